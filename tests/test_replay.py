"""Replay: what is kept is counted, what is known is said, and a study goes on."""

import dataclasses
import functools
import json
from pathlib import Path

import commands
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import replay
from tfdistill.data.random_changes import RandomChanges
from tfdistill.studies.replay import learning

ROOT = Path(__file__).parents[1]
TINY = replay.Distillation("linear", outer_steps=3, batch_size=32, pool=2)
QUICK = {
    "bytes_per_class": 230,
    "student": "linear",
    "updates": 60,
    "learning_rate": 0.03,
    "changes": RandomChanges(),
}


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits").of_classes(range(6))


@pytest.fixture(scope="module")
def task(digits):
    return digits.of_classes([2, 3])


@pytest.fixture(scope="module")
def found(digits):
    memories = {"herding": replay.Herding(), "random": replay.Reservoir()}
    return replay.compare(digits, memories, seeds=[3, 4], **QUICK)


@pytest.fixture(scope="module")
def made(task):
    """What a distillation makes of the random images of a seed, with pixels or not."""
    start = replay.Reservoir().remember(task, 3, seed=1)
    return {kind: TINY.learned(task, start, 1, pixels=kind) for kind in (True, False)}


@pytest.fixture
def made_once(made, monkeypatch):
    """The same to everybody: it takes seconds."""

    def learned(self, task, start, seed, *, pixels):
        return made[pixels]

    monkeypatch.setattr(replay.Distillation, "learned", learned)


@pytest.mark.parametrize(
    "memory",
    [
        replay.Herding(),
        replay.Reservoir(),
        replay.SoftLabels(TINY),
        replay.Distilled(TINY),
        replay.Distilled(TINY, pixels="float16"),
        replay.Distilled(TINY, pixels="float32"),
    ],
    ids=["herding", "reservoir", "soft", "uint8", "float16", "float32"],
)
def test_every_byte_that_is_kept_is_counted(memory, task, made_once):
    kept = memory.remember(task, 3, seed=1)
    arrays = [x for x in vars(kept).values() if isinstance(x, np.ndarray)]
    assert sum(x.nbytes for x in arrays) == kept.num_bytes
    assert kept.num_bytes == 6 * memory.bytes_per_image(task)
    images = kept.normalized(task.normalization)
    assert images.shape == (6, 8, 8, 1) and images.dtype == "float32"
    assert sorted(kept.classes()) == [0, 0, 0, 1, 1, 1]
    # The same again, from the same seed.
    again = memory.remember(task, 3, seed=1)
    np.testing.assert_array_equal(kept.images, again.images)


def test_what_real_memories_keep(task):
    real = task.train.images
    for memory in (replay.Herding(), replay.Reservoir()):
        kept = memory.remember(task, 4, seed=0)
        assert kept.images.dtype == "uint8" and kept.labels.dtype == "uint8"
        for image, label in zip(kept.images, kept.labels):
            same = (real == image).all((1, 2, 3))
            assert label in task.train.labels[same]
    # Herding is the baseline of this name.
    chosen = tfdistill.baselines.herding(task, steps=4)
    kept = replay.Herding().remember(task, 4, seed=0)
    ours = kept.normalized(task.normalization)[:4]
    np.testing.assert_allclose(ours, chosen.images[:, 0], atol=1e-5)
    seeds = [replay.Reservoir().remember(task, 4, seed=k).images for k in (0, 1)]
    assert (seeds[0] != seeds[1]).any()


def test_a_reservoir_keeps_every_image_as_often():
    rng, times = np.random.default_rng(0), np.zeros(6)
    for _ in range(600):
        chosen = replay.Reservoir()._chosen(np.zeros((6, 1)), 2, rng)
        assert len({*chosen}) == 2
        times[chosen] += 1
    assert times.min() > 150 and times.max() < 250  # 200 each


def test_learned_pixels_and_labels(task, made_once):
    start = replay.Reservoir()
    real = start.remember(task, 3, seed=1)
    soft = replay.SoftLabels(TINY, start).remember(task, 3, seed=1)
    np.testing.assert_array_equal(soft.images, real.images)
    one_hot = np.eye(2)[real.labels] - 0.5
    assert 0 < np.abs(soft.labels - one_hot).max() < 0.2
    exact = replay.Distilled(TINY, start, "float32").remember(task, 3, seed=1)
    moved = np.abs(exact.images - real.normalized(task.normalization)).max()
    assert 0.001 < moved < 0.1
    small = replay.Distilled(TINY, start, "uint8").remember(task, 3, seed=1)
    step = np.ptp(exact.images, axis=(1, 2, 3)).max() / 255
    seen = small.normalized(task.normalization)
    assert np.abs(seen - exact.images).max() < 0.51 * step


def test_targets_of_one_head():
    kept = replay.Kept(np.zeros((2, 1, 1, 1), "uint8"), np.array([1, 0], "uint8"))
    expected = np.eye(5)[[3, 1]] - 0.2
    np.testing.assert_allclose(kept.targets([1, 3], 5), expected, atol=1e-6)
    soft = np.array([[-0.5, 0.5], [0.4, -0.3]])
    kept = dataclasses.replace(kept, labels=soft)
    expected[1, [1, 3]] = [0.7, 0.0]
    np.testing.assert_allclose(kept.targets([1, 3], 5), expected, atol=1e-6)


def test_batches_hold_as_many_images_of_each_class():
    labels = np.repeat([0, 1, 2], [1, 50, 7]).astype("float32")
    training = tfdistill.OrdinaryTraining(10, 0.1, 9, RandomChanges())
    batches = learning._Balanced(
        tf.zeros([58, 1, 1, 1]),
        tf.constant(labels[:, None]),
        tf.constant([0, 1, 51]),
        tf.constant([1, 50, 7]),
        tf.constant([0, 1]),
        training,
    )
    drawn = [batches.batch(tf.constant(t)) for t in range(10)]
    for batch in drawn:
        assert [*np.bincount(batch.labels[:, 0].numpy().astype(int))] == [3, 3, 3]
    rates = [float(batch.learning_rate) for batch in drawn]
    assert rates[0] == pytest.approx(0.1) and 0 < rates[-1] < 0.01


def test_without_memory_all_is_forgotten(found):
    """And with all images little; with some images something in between."""
    assert set(found.memories) == {"herding", "random", "no memory", "all images"}
    assert found.tasks == (("0", "1"), ("2", "3"), ("4", "5"))
    for matrix in found.accuracies.values():
        assert matrix.shape == (2, 3, 3)
        assert np.isnan(matrix[:, 0, 1:]).all() and np.isfinite(matrix[:, 2]).all()
        # Of the first task there is no memory yet.
        np.testing.assert_array_equal(matrix[:, 0], found.accuracies["random"][:, 0])
    assert found.final("no memory").max() < 0.4
    assert found.forgetting("no memory").min() > 0.9
    assert found.final("all images").min() > 0.9
    for name in ("herding", "random"):
        assert 0.5 < found.final(name).min()
        assert found.forgetting(name).max() < 0.5
        assert found.memories[name]["images_per_class"] == 3
        assert found.memories[name]["bytes_per_class"] == 3 * 65
    assert found.memories["no memory"]["bytes_per_class"] == 0


def test_memories_alone(digits):
    """Of the last task, too, no more is known than what is kept."""
    memories = {"random": replay.Reservoir()}
    found = replay.compare(digits, memories, seeds=[3], alone=True, **QUICK)
    assert set(found.memories) == {"random", "all images"}
    assert found.memories["random"]["bytes_per_class"] == 3 * 65
    assert 0.3 < found.final("random") < found.final("all images")
    assert found.settings["alone"]


def test_figures(found):
    matrix = np.array([[[0.9, np.nan, np.nan], [0.95, 0.8, np.nan], [0.5, 0.6, 1]]])
    about = {"limited": True, "images_per_class": 1, "bytes_per_class": 65.0}
    one = replay.Replay("x", (("0",),) * 3, {"a": about}, {"a": matrix}, {})
    assert one.final("a") == pytest.approx([0.7])
    assert one.curve("a")[0] == pytest.approx([0.9, 0.875, 0.7])
    assert one.forgetting("a") == pytest.approx([(0.45 + 0.2) / 2])
    assert [(p["first"], p["second"]) for p in found.pairs()] == [("herding", "random")]
    text = found.markdown()
    for name in found.memories:
        assert f"| {name} |" in text
    assert "herding and random" in text or "is better than" in text
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["matrices"]["random"][0][0][1:] == [None, None]


def test_all_is_json_whatever_the_numbers_are(digits):
    result = replay.compare(
        digits,
        {"random": replay.Reservoir()},
        bytes_per_class=np.int64(130),
        student="linear",
        classes_per_task=np.uint8(2),
        updates=np.int64(1),
        seeds=np.array([3]),
        bounds=False,
    )
    content = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert content["memories"]["random"]["images_per_class"] == 2
    assert content["settings"]["bytes_per_class"] == 130


def test_a_memory_sees_one_task_and_no_test_image(digits):
    seen = []

    @dataclasses.dataclass(frozen=True)
    class Spy(replay.Memory):
        def bytes_per_image(self, task):
            return 65

        def remember(self, task, images_per_class, seed):
            seen.append(task)
            return replay.Herding().remember(task, images_per_class, seed)

    replay.compare(digits, {"spy": Spy()}, seeds=[0], bounds=False, **QUICK)
    assert [task.class_names for task in seen] == [("0", "1"), ("2", "3")]
    for number, task in enumerate(seen):
        own = np.isin(digits.train.labels, [2 * number, 2 * number + 1])
        np.testing.assert_array_equal(task.train.images, digits.train.images[own])
        assert task.test is task.train and task.validation is None
        # How images are normalised is known from the first task.
        assert task.normalization == seen[0].normalization != digits.normalization


def test_memories_without_a_limit_are_compared_as_others(digits):
    memories = {"none": replay.Nothing(), "all": replay.Everything()}
    given = {**QUICK, "updates": 5, "bytes_per_class": 1}
    result = replay.compare(digits, memories, seeds=[3], bounds=False, **given)
    assert [about["limited"] for about in result.memories.values()] == [False, False]
    assert result.accuracies["none"].shape == result.accuracies["all"].shape


def test_a_study_goes_on_where_it_was(digits, found, made_once, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    def kill(line):
        raise Killed

    memories = {"random": replay.Reservoir(), "learned": replay.Distilled(TINY)}
    given = {"bounds": False, "folder": tmp_path, **QUICK}
    with pytest.raises(Killed):
        replay.compare(digits, memories, seeds=[3], report=kill, **given)
    trained = []
    original = learning.Learner.__call__

    def count(self, *arguments):
        trained.append(arguments[-1])
        return original(self, *arguments)

    monkeypatch.setattr(learning.Learner, "__call__", count)
    second = replay.compare(digits, memories, seeds=[3], **given)
    assert trained == [0, 1, 2]  # those of the second memory
    expected = found.accuracies["random"][:1]
    np.testing.assert_array_equal(second.accuracies["random"], expected)
    monkeypatch.setattr(replay.Distillation, "learned", None)  # nothing is made again
    third = replay.compare(digits, memories, seeds=[3], **given)
    assert len(trained) == 3
    np.testing.assert_array_equal(
        second.accuracies["learned"], third.accuracies["learned"]
    )
    # Another protocol is another result, of the same memories.
    replay.compare(digits, memories, seeds=[3], **{**given, "updates": 5})
    assert len(trained) == 9


@dataclasses.dataclass(frozen=True)
class Coded(replay.Memory):
    """Random images; if learned, 0 and 255 are the low and the high end."""

    low: float
    high: float
    learned: bool = True

    def bytes_per_image(self, task):
        return 64 + 1 + 8

    def remember(self, task, images_per_class, seed):
        kept = replay.Reservoir().remember(task, images_per_class, seed)
        ranges = np.tile(np.float32([self.low, self.high]), (len(kept.images), 1))
        return dataclasses.replace(kept, ranges=ranges, learned=self.learned)


def test_memories_of_one_images_are_told_apart(digits, tmp_path):
    memories = {
        "right": Coded(-0.7, 2.7),
        "inverted": Coded(2.7, -0.7),
        "real": Coded(2.7, -0.7, learned=False),
    }
    given = {**QUICK, "seeds": [0], "bounds": False}
    kept = replay.compare(digits, memories, **given, folder=tmp_path)
    alone = replay.compare(digits, {"it": memories["inverted"]}, **given)
    right, inverted, real = (kept.accuracies[name] for name in memories)
    np.testing.assert_array_equal(inverted, alone.accuracies["it"])
    assert not np.array_equal(right, inverted, equal_nan=True)
    assert not np.array_equal(real, inverted, equal_nan=True)


def test_partials_keep_memories_of_their_own(digits, tmp_path, monkeypatch):
    made = []
    original = replay.Distillation.learned

    def learned(self, *arguments, **kwargs):
        made.append(self.student.keywords["hidden"])
        return original(self, *arguments, **kwargs)

    monkeypatch.setattr(replay.Distillation, "learned", learned)
    for width in (2, 4, 4):
        student = functools.partial(tfdistill.students.mlp, hidden=(width,))
        memory = replay.SoftLabels(replay.Distillation(student, outer_steps=1, pool=1))
        given = {**QUICK, "bounds": False, "updates": 1, "folder": tmp_path}
        replay.compare(digits, {"it": memory}, seeds=[0], **given)
    assert made == [(2,)] * 2 + [(4,)] * 2


def test_what_is_refused(digits):
    def compare(memory=None, data=digits, **changed):
        given = {**QUICK, "seeds": [0], "bounds": False, **changed}
        return replay.compare(data, {"it": memory or replay.Herding()}, **given)

    with pytest.raises(ValueError, match="don't hold one image of it, which takes 65"):
        compare(bytes_per_class=64)
    with pytest.raises(ValueError, match="fewer than two tasks of 4"):
        compare(classes_per_task=4)
    with pytest.raises(ValueError, match="classes_per_task must be an integer of at"):
        compare(classes_per_task=1)
    with pytest.raises(ValueError, match="class 0 of digits.* has .* fewer bytes"):
        compare(bytes_per_class=10**6)
    with pytest.raises(ValueError, match="seeds must each be at least one"):
        compare(seeds=[])
    with pytest.raises(ValueError, match=r"all be different, not \[3, 0, 3\]"):
        compare(seeds=[3, 0, np.int64(3)])
    with pytest.raises(ValueError, match="learning_rate must be a finite number"):
        compare(learning_rate=0)
    for name, alone in (("all images", True), ("no memory", False)):
        memories = {"it": replay.Herding(), name: replay.Reservoir()}
        with pytest.raises(ValueError, match=f"cannot be called {name}: a bound is"):
            replay.compare(digits, memories, seeds=[0], alone=alone, **QUICK)
    with pytest.raises(ValueError, match="pixels must be one of uint8, float16"):
        replay.Distilled(pixels="int4")
    with pytest.raises(ValueError, match="outer_steps must be"):
        replay.Distillation(outer_steps=0)

    class Greedy(replay.Memory):
        def bytes_per_image(self, task):
            return 65

        def remember(self, task, images_per_class, seed):
            return replay.Herding().remember(task, images_per_class + 1, seed)

    with pytest.raises(ValueError, match="it keeps 520 bytes of 2 classes, more than"):
        compare(Greedy())


@pytest.mark.slow
def test_the_example_runs(tmp_path):
    process = commands.run_python(
        *("examples/replay.py", f"--workdir={tmp_path}", "--seeds=1"),
        *("--student=linear", "--through=linear", "--outer_steps=2", "--updates=5"),
        *("--bytes_per_class=80", "--nobounds", "--only=distilled,herding"),
        cwd=ROOT,
    )
    assert process.returncode == 0, process.stderr
    content = json.loads((tmp_path / "replay.json").read_text())
    assert [*content["memories"]] == ["distilled", "herding"]
    assert "| distilled | 1 | 76 |" in (tmp_path / "replay.md").read_text()
    assert "| distilled | 1 | 76 |" in process.stdout
