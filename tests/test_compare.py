"""The referee: what it chooses on, what it says, and that it goes on."""

import dataclasses
import itertools
import json
import math
from types import SimpleNamespace

import commands
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import tfdistill
from tfdistill.cli import compare
from tfdistill.data.split import Split
from tfdistill.evaluation import batches, fresh_students, statistics
from tfdistill.evaluation.attacked import PixelAttack, pixel_ends, robustness_ratio
from tfdistill.evaluation.ordinarily_trained import Architecture, Trainer
from tfdistill.evaluation.pairs import judged
from tfdistill.runs.journal import Journal
from tfdistill.studies.comparison import cells, competitors, networks, page, teachers
from tfdistill.studies.comparison.settings import Settings
from tfdistill.studies.comparison.teachers import Teacher

QUICK = {
    "architectures": ["linear"],
    "networks": 2,
    "choosing": 2,
    "rates": [0.01, 0.03],
    "updates": [10, 30],
    "attack_images": 30,
}


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits").hold_out(0.1)


@pytest.fixture(scope="module")
def soft(digits):
    """Class means with labels that say a little of all classes."""
    data = tfdistill.baselines.k_means(digits, steps=1)
    return data.replace(labels=0.9 * data.labels + 0.01, student="linear")


@pytest.fixture(scope="module")
def found(digits, soft):
    """Soft labels, the same twice, and labels that are all wrong."""
    wrong = soft.replace(labels=np.roll(soft.labels, 1, -1))
    return tfdistill.compare(
        {"soft": soft, "again": soft, "wrong": wrong},
        digits,
        **{
            **QUICK,
            **{"architectures": ["linear", "mlp"], "rates": [0.03], "updates": [30]},
            "networks": 4,
        },
        baselines=["random_real", "herding"],
        teacher_epochs=0,
    )


def with_test(dataset, labels):
    test = Split(dataset.test.images, labels, dataset.normalization, num_classes=10)
    return dataclasses.replace(dataset, test=test)


@pytest.mark.slow
def test_nothing_is_chosen_on_test_images(digits, soft):
    """With test labels in another order every choice is the same, bit by bit."""
    centred = soft.replace(labels=soft.labels - 0.1, objective="least_squares")
    sets = {"centred": centred}
    rng = np.random.default_rng(0)
    shuffled = with_test(digits, rng.permutation(digits.test.labels))
    first, second = (
        tfdistill.compare(
            sets, data, **QUICK, baselines=["random_real"], teacher_epochs=1
        )
        for data in (digits, shuffled)
    )
    assert first.choices == second.choices
    assert len({tuple(c.values()) for c in first.choices.values()}) > 3
    for name in first.sets:
        ours, theirs = first.best(name, "linear"), second.best(name, "linear")
        assert ours.key == theirs.key
        assert ours.accuracies.mean() > theirs.accuracies.mean() + 0.2
    kinds = {labels for _, _, labels, _ in first.choices}
    assert kinds == {"own", "hard", "teacher"}


def test_what_is_better_is_said_only_if_it_is(found):
    pairs = {(p["first"], p["second"]): p for p in found.pairs()}
    # All of the given ones, each with the real ones, but not these with each other.
    assert len(pairs) == 3 + 3 * 2
    same = pairs["soft", "again"]
    assert same["difference"] == 0 and same["better"] is None and same["p"] == 1
    assert pairs["soft", "wrong"]["better"] == "soft"
    assert pairs["wrong", "herding"]["better"] == "herding"
    text = page.markdown(found)
    assert "Between soft and again no difference is shown (0.0 points" in text
    assert "soft is better than wrong by" in text
    assert "wrong is better" not in text


def test_figures_of_a_set(found, digits):
    one = found.figures("soft")
    cell = found.best("soft", "linear")
    assert one["accuracy_mean"] == pytest.approx(cell.accuracies.mean())
    trace = np.trace(cell.confusion, axis1=1, axis2=2) / len(digits.test)
    np.testing.assert_allclose(trace, cell.accuracies)
    assert one["accuracy_low"] < one["accuracy_mean"] < one["accuracy_high"]
    assert one["transfer_worst"] == one["transfer_mean"] == one["transfer"]["mlp"]
    assert len(one["per_class"]) == 10
    assert 0 <= one["pgd"] <= one["fgsm"] + 0.1 and one["fgsm"] <= 1
    assert one["bytes"] == 10 * 64 * 4 + 10 * 10 * 4
    assert found.figures("herding")["bytes"] == 10 * 64 * 4 + 10
    # No network learned from the real data.
    assert one["label_robust"] is None
    # Random images have the score of no difference.
    random = found.figures("random_real")["augmentation_robust"]
    assert random == pytest.approx(statistics.ranking_score(0))
    assert one["augmentation_robust"] > random > 0.2
    content = json.loads(json.dumps(found.to_json()))
    assert len(content["cells"]) == 2 * 2 * (2 + 2 + 2 + 1 + 1)
    assert content["sets"]["soft"]["as_learned"]


def test_all_is_json_whatever_the_numbers_are(digits, soft):
    """A class has no test images, and the arguments are NumPy's."""
    labels = np.minimum(digits.test.read_labels(), 8)
    result = tfdistill.compare(
        {"soft": soft},
        with_test(digits, labels),
        architectures=["linear"],
        baselines=[],
        networks=np.uint8(2),
        choosing=np.int64(1),
        updates=np.array([5]),
        rates=np.float32([0.01]),
        epsilon=np.float32(0.03),
        attack_images=np.int64(0),
        teacher_epochs=np.int64(0),
    )
    json.dumps(dict(result.settings), allow_nan=False)
    json.dumps([*result.choices.values()], allow_nan=False)
    content = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert content["sets"]["soft"]["per_class"][9] is None
    assert content["settings"]["updates"] == [5]
    assert np.shape(content["cells"][0]["accuracies"]) == (2,)
    assert "nan" not in page.html(result)


def test_one_network_of_learned_steps_has_no_spread(digits, soft):
    """Fixed initial weights leave nothing to draw, however many are asked for."""
    start = tfdistill.students.linear((8, 8, 1), 10).get_weights()
    given = {**QUICK, "rates": [0.03], "updates": [5], "networks": 3, "choosing": 1}
    found = tfdistill.compare(
        {"fixed": soft.replace(initial_weights=start)},
        digits,
        **{**given, "attack_images": 0},
        baselines=[],
        teacher_epochs=0,
    )
    mean, std, count = found.sets["fixed"]["as_learned"]
    assert count == 1
    assert f"steps on linear: {100 * mean:.1f} %." in page.markdown(found)
    earlier = {"fixed": {**found.sets["fixed"], "as_learned": [mean, std]}}
    earlier = dataclasses.replace(found, sets=earlier)
    assert f"{100 * mean:.1f} ± 0.0 %." in page.markdown(earlier)


def test_the_page_holds_every_set_and_every_meaning(found):
    for text in (page.markdown(found), page.html(found)):
        for name in (*found.sets, *page.COLUMNS, "learned steps"):
            assert name in text
        assert "test images decide nothing" in text
    assert page.html(found).count("<tr") >= 3 * len(found.sets)


def test_networks_start_the_same_whatever_they_learn_from(digits, soft):
    """For sets of every size, objective and recipe: the test is a paired one."""
    architecture = Architecture("linear", digits)
    recipe = tfdistill.OrdinaryTraining(updates=1, learning_rate=1e-12)
    more = tfdistill.baselines.random_real(digits, steps=3)
    centred = soft.replace(objective="least_squares", labels=soft.labels - 0.1)
    starts = [
        Trainer(architecture, data.replace(recipe=recipe))(
            data.replace(recipe=recipe), 4, 7
        )[0][1][0]
        for data in (soft, more, centred)
    ]
    expected, _ = architecture.start(7, 5)
    for weights in starts:
        for found, value in zip(weights, expected):
            np.testing.assert_allclose(found, value, atol=1e-9)
    assert np.abs(architecture.start(7, 6)[0][0] - expected[0]).max() > 1e-3


class Observed(tfdistill.Classification):
    """Notes whether Grappler is off."""

    def __init__(self):
        self.noted = []

    def inner_loss(self, labels, outputs):
        options = tf.config.optimizer.get_experimental_options()
        self.noted.append(options.get("disable_meta_optimizer", False))
        return super().inner_loss(labels, outputs)


def test_networks_are_trained_without_grappler(digits, soft, grappler):
    """As those of an `Evaluator`: it breaks large loops."""
    recipe, objective = tfdistill.OrdinaryTraining(updates=1), Observed()
    Trainer(
        Architecture("linear", digits), soft.replace(recipe=recipe, objective=objective)
    )
    assert objective.noted and all(objective.noted)


@pytest.mark.slow
def test_a_comparison_goes_on_where_it_was(digits, soft, tmp_path, monkeypatch):
    lines: list[str] = []

    class Killed(Exception):
        pass

    def stop(line):
        lines.append(line)
        if len(lines) == 5:
            raise Killed

    given = {**QUICK, "baselines": ["herding"], "teacher_epochs": 0, "rates": [0.03]}
    given["networks"] = 3
    with pytest.raises(Killed):
        tfdistill.compare({"a": soft}, digits, **given, folder=tmp_path, report=stop)
    trained = []
    original = cells.Bench._trained

    def count(self, data, first, together):
        trained.append(first)
        return original(self, data, first, together)

    monkeypatch.setattr(cells.Bench, "_trained", count)
    second = tfdistill.compare({"a": soft}, digits, **given, folder=tmp_path)
    after = len(trained)
    whole = tfdistill.compare({"a": soft}, digits, **given)
    assert after < len(trained) - after
    assert second.choices == whole.choices
    for one, other in zip(second.cells, whole.cells):
        np.testing.assert_array_equal(one.accuracies, other.accuracies)
        np.testing.assert_array_equal(one.pgd, other.pgd)
    del trained[:]
    third = tfdistill.compare({"a": soft}, digits, **given, folder=tmp_path)
    assert not trained and third.choices == whole.choices
    given["networks"] = 2  # fewer are the first of these
    fewer = tfdistill.compare({"a": soft}, digits, **given, folder=tmp_path)
    assert not trained
    for one, other in zip(fewer.cells, whole.cells):
        np.testing.assert_array_equal(one.accuracies, other.accuracies[:2])
    # Other test images are other results.
    other = with_test(digits, np.roll(digits.test.labels, 1))
    tfdistill.compare({"a": soft}, other, **given, folder=tmp_path)
    assert trained and max(trained) < cells._CHOOSING


class Scaled(tfdistill.Classification):
    """Cross-entropy times a factor: by 0, nothing is learned."""

    def __init__(self, factor, more=None):
        self.factor, self.more = factor, more

    def inner_loss(self, labels, outputs):
        return self.factor * super().inner_loss(labels, outputs)


def test_objectives_are_told_apart_by_all_they_hold(digits, soft, tmp_path):
    given = {**QUICK, "rates": [0.03], "updates": [30], "attack_images": 0}
    given = {**given, "baselines": [], "teacher_epochs": 0}

    def accuracies(folder=None, more=None, **factors):
        sets = {
            name: soft.replace(objective=Scaled(factor, more))
            for name, factor in factors.items()
        }
        found = tfdistill.compare(sets, digits, **given, folder=folder)
        return [cell.accuracies.mean() for cell in found.cells if cell.labels == "own"]

    off, off_changed, on, on_changed = accuracies(off=0.0, on=1.0)
    assert max(off, off_changed) < 0.3 and min(on, on_changed) > 0.5
    for factor, expected in ((1.0, on), (0.0, off), (1.0, on)):
        assert accuracies(tmp_path, a=factor)[0] == pytest.approx(expected, abs=0.01)
    # What may be another one the next time is not kept, and that is said.
    kept = len(list((tmp_path / "journal").iterdir()))
    with pytest.warns(UserWarning, match="keeps no results, since Scaled.more cannot"):
        accuracies(tmp_path, lambda: 0, a=1.0)
    assert len(list((tmp_path / "journal").iterdir())) == kept


@pytest.mark.parametrize("part", ["test", "validation"])
def test_results_are_of_all_images(part, digits, tmp_path, monkeypatch):
    """Of the last one, too, whatever the first hundreds are."""
    data = tfdistill.baselines.average_real(digits, steps=1)
    given = {**QUICK, "rates": [0.03], "updates": [5], "networks": 1, "choosing": 1}
    given = {**given, "baselines": [], "teacher_epochs": 0, "attack_images": 0}
    tfdistill.compare({"a": data}, digits, **given, folder=tmp_path)
    trained, original = [], cells.Bench._trained

    def count(self, data, first, together):
        trained.append(first)
        return original(self, data, first, together)

    monkeypatch.setattr(cells.Bench, "_trained", count)
    tfdistill.compare({"a": data}, digits, **given, folder=tmp_path)
    assert not trained
    split = getattr(digits, part)
    images = np.concatenate([split.images[:-1], 255 - split.images[-1:]])
    other = Split(images, split.labels, digits.normalization, num_classes=10)
    other = dataclasses.replace(digits, **{part: other})
    tfdistill.compare({"a": data}, other, **given, folder=tmp_path)
    chosen = [first for first in trained if first == cells._CHOOSING]
    assert len(chosen) == (2 if part == "validation" else 0) and trained


def test_what_tells_results_of_shipped_objectives(digits, soft, monkeypatch):
    """From those of others."""
    keys = []
    monkeypatch.setattr(Journal, "entry", lambda self, arrays, *what: keys.append(what))
    settings = Settings(updates=(10,), rates=(0.01,), batch_size=32)
    architecture, journal = Architecture("linear", digits), Journal("unused")
    bench = cells.Bench(architecture, digits, settings, journal=journal)
    recipe = tfdistill.OrdinaryTraining(updates=10)
    for data in (soft, soft.replace(objective="least_squares", labels=soft.labels - 1)):
        bench._entry([data.replace(recipe=recipe)], "validation", 2)
    # XLA draws other random changes than they were trained with.
    monkeypatch.setattr(fresh_students, "accelerated", lambda: True)
    bench._entry([soft.replace(recipe=recipe)], "validation", 2)
    assert keys.pop() == (*keys[0], "XLA")
    judges = batches.content(digits.validation.passes())[1]
    assert keys == [
        ("linear", "validation", judges, 0, recipe.to_config(), name, 2)
        for name in ("classification", "least_squares")
    ]


def test_networks_that_diverge_are_the_worst(digits, soft):
    """Their outputs are NaN, and they are not chosen, nor do they end a comparison."""
    given = {**QUICK, "rates": [1e30, 0.03], "updates": [10]}
    found = tfdistill.compare(
        {"a": soft}, digits, **given, baselines=[], teacher_epochs=0
    )
    assert {choice["rate"] for choice in found.choices.values()} == {0.03}
    given["rates"] = [1e30]
    found = tfdistill.compare(
        {"a": soft}, digits, **given, baselines=[], teacher_epochs=0
    )
    assert found.figures("a")["accuracy_mean"] < 0.2
    page.markdown(found), json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.slow
def test_a_teacher_is_kept_and_is_of_its_data(digits, tmp_path):
    folder = str(tmp_path)
    first = Teacher("linear", digits, 1, 0, folder)
    again = Teacher("linear", digits, 1, 0, folder)
    images = next(iter(digits.test.batch(7)))[0].numpy()
    np.testing.assert_allclose(first.labels(images), again.labels(images), atol=1e-6)
    assert first.accuracy == again.accuracy
    assert first.labels(images[None]).shape == (1, 7, 10)
    for name, data in (("mlp", digits), ("linear", digits.of_classes([3, 4]))):
        with pytest.raises(ValueError, match="choose another folder"):
            Teacher(name, data, 1, 0, folder)


@pytest.mark.parametrize(("images", "epochs"), [(54_000, 5), (1_295, 200), (9, 1_000)])
def test_a_teacher_of_small_data_has_more_epochs(images, epochs):
    dataset = SimpleNamespace(train=SimpleNamespace(num_examples=images))
    assert teachers.usual_epochs(dataset) == epochs
    flags = ["--sets=a", "--workdir=w"]
    c = compare.COMMAND.parse(flags)
    run = compare._with_teacher(c, dataset)
    earlier = compare.COMMAND.record(c.replace(teacher_epochs=5))
    # So that what an earlier version began on small data is not mixed with.
    differs = compare.COMMAND.differences(run, earlier)
    assert differs == sorted({"--teacher_epochs=5", f"--teacher_epochs={epochs}"}) * (
        epochs != 5
    )
    asked = compare.COMMAND.parse([*flags, "--teacher_epochs=1"])
    assert compare._with_teacher(asked, dataset).teacher_epochs == 1


def test_the_teacher_learns_what_small_data_teaches(digits, soft):
    given = {**QUICK, "choosing": 1, "rates": [0.03], "updates": [10]}
    given |= {"baselines": [], "attack_images": 0}
    found = tfdistill.compare({"soft": soft}, digits, **given)
    assert found.settings["teacher_epochs"] == 200 and found.real_accuracy > 0.85
    assert "--teacher_epochs" not in page.markdown(found)
    weak = dataclasses.replace(found, real_accuracy=0.2)
    assert "The teacher has learned less than networks did from soft: label-robust" in (
        page.markdown(weak)
    )


def test_a_teacher_of_other_training_is_refused(digits, tmp_path):
    folder = str(tmp_path)
    first = Teacher("linear", digits, 1, 0, folder)
    images = digits.train.images
    mirrored = tfdistill.Split(
        images[:, :, ::-1], digits.train.labels, digits.normalization, num_classes=10
    )
    others = [
        ("epochs", (digits, 2, 0)),
        ("seed", (digits, 1, 1)),
        ("images", (dataclasses.replace(digits, train=mirrored), 1, 0)),
    ]
    for what, given in others:
        with pytest.raises(ValueError, match=f"a teacher of other {what}: choose"):
            Teacher("linear", *given, folder)
    (tmp_path / "teacher.json").unlink()  # as earlier versions left it
    assert Teacher("linear", digits, 1, 0, folder).accuracy == first.accuracy


def test_labels_of_a_teacher_in_half_precision_are_as_exact_as_others(digits):
    def mixed(image_shape, num_classes):
        flat = keras.layers.Flatten(dtype="mixed_bfloat16")
        dense = keras.layers.Dense(num_classes, dtype="mixed_bfloat16")
        return keras.Sequential([keras.Input(image_shape), flat, dense])

    labels = Teacher(mixed, digits, 1, 0, None).labels(digits.test.images[:1100])
    assert labels.dtype == "float32" and labels.shape[1:] == (10,)
    np.testing.assert_allclose(labels.sum(1), 1, atol=1e-5)


def test_a_teacher_of_another_network_of_its_name_is_refused(digits, tmp_path):
    def network(activation):
        def named(image_shape, num_classes):
            layers = [
                keras.Input(image_shape),
                keras.layers.Flatten(),
                keras.layers.Dense(4, activation),
                keras.layers.Dense(num_classes),
            ]
            return keras.Sequential(layers)

        return named

    first = Teacher(network("relu"), digits, 1, 0, str(tmp_path))
    again = Teacher(network("relu"), digits, 1, 0, str(tmp_path))
    assert again.accuracy == first.accuracy
    with pytest.raises(ValueError, match="a teacher of other networks: choose"):
        Teacher(network("tanh"), digits, 1, 0, str(tmp_path))


def test_random_images_of_neighbouring_seeds_are_others(digits):
    found = [
        competitors.real([10], ["random_real"], digits, seed)[0] for seed in (0, 1)
    ]
    drawn = {data.images.tobytes() for rival in found for data in rival.draws}
    assert len(drawn) == 6
    alone = tfdistill.baselines.random_real(digits, steps=1, seed=1)
    assert np.array_equal(found[1].draws[0].images, alone.images)


def test_attacks_stay_within_their_bounds(digits):
    architecture = Architecture("linear", digits)
    weights, state = architecture.start(0, 0)
    images, labels = next(iter(digits.test.batch(40)))
    labels = tf.cast(labels, tf.int32)

    def logits(x):
        return architecture.student(weights, state, x, training=False)[0]

    def loss(x):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits(x))

    raw, ends = digits.normalization.denormalize(images), pixel_ends(digits)
    for attack in (PixelAttack(0.1), PixelAttack(0.1, 10), PixelAttack(0.03, 3)):
        seed = tf.constant([1, 2])
        changed = attack(logits, images, labels, ends, seed)
        moved = digits.normalization.denormalize(changed)
        assert np.abs(moved - raw).max() <= attack.epsilon + 1e-5
        assert moved.min() >= -1e-5 and moved.max() <= 1 + 1e-5
        # A linear network's loss grows in every image.
        assert (loss(changed) > loss(images)).numpy().all()
    # Nor is a pixel changed that is beyond them.
    none = PixelAttack(0.0)(logits, images, labels, 0.9 * ends, seed)
    np.testing.assert_allclose(none, images, atol=1e-6)
    # What rounds its images has no gradient to follow, and is left as it is.
    rounded = PixelAttack(0.1)(
        lambda x: logits(tf.round(x)), images, labels, ends, seed
    )
    np.testing.assert_allclose(rounded, images, atol=1e-6)
    for wrong in ({"epsilon": 2.0}, {"steps": 0}):
        with pytest.raises(ValueError, match="epsilon must lie"):
            PixelAttack(**wrong)


def test_attacks_are_as_strong_on_floats_as_on_the_same_bytes(digits):
    """In 0..255, in -1..1, or with a range of its own in each channel."""
    settings = Settings(updates=(30,), rates=(0.03,), networks=2, attack_images=100)
    found = []
    for change in (
        lambda x: x,
        lambda x: x.astype("float32"),
        lambda x: x / 127.5 - 1,
        lambda x: np.concatenate([x / 255.0, x * 2.0], -1),
    ):
        parts = (digits.train, digits.test, digits.validation)
        train, test, held = ((change(part.images), part.labels) for part in parts)
        data = tfdistill.from_arrays(train, test)
        held = Split(*held, data.normalization, num_classes=10)
        data = dataclasses.replace(data, validation=held)
        own = tfdistill.baselines.k_means(data, steps=1)
        bench = cells.Bench(Architecture("linear", data), data, settings)
        (competitor,) = competitors.given({"own": own}, data)
        found.append(bench.fill(competitor, "hard", False))
    first, *others = found
    assert first.clean.mean() > first.fgsm.mean() + 0.03
    for cell in others[:2]:
        for name in ("clean", "fgsm", "pgd"):
            # Rounding may move two images of a hundred.
            np.testing.assert_allclose(
                getattr(cell, name), getattr(first, name), atol=0.021
            )
    assert others[2].clean.mean() > others[2].fgsm.mean() + 0.03


def test_equal_sets_are_rarely_called_better_by_two_networks():
    """Differences of one image that two networks share are no certainty."""
    rng = np.random.default_rng(0)
    names = list(itertools.combinations(range(4), 2))
    alarms = []
    for _ in range(200):
        hits = np.round(360 * rng.normal(0.9, 0.01, (4, 2)))
        found = judged(dict(enumerate(hits / 360)), names)
        alarms.append(any(pair["better"] is not None for pair in found))
    assert np.mean(alarms) <= 0.05


def test_statistics_are_those_of_the_books():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.9, 0.02, 5), rng.normal(0.87, 0.02, 5)
    low, high = statistics.interval(first)
    expected = stats.t.interval(0.95, 4, first.mean(), stats.sem(first))
    assert (low, high) == pytest.approx(expected)
    assert math.isnan(statistics.interval([0.5])[0])
    found = statistics.paired_p(first, second)
    assert found == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert statistics.paired_p([0.5], [0.1]) == 1
    assert statistics.paired_p([0.5, 0.6], [0.5, 0.6]) == 1
    assert statistics.paired_p([0.5, 0.6], [0.4, 0.5]) == 0.5
    assert statistics.paired_p([0.9] * 20, [0.1] * 20) < 1e-5
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    # Sure of all, right in half: half a point off.
    logits, labels = np.float32([[50, 0]] * 4), np.array([0, 0, 1, 1])
    assert statistics.calibration_error(logits, labels) == pytest.approx(0.5)
    factor = statistics.best_factor(logits, labels)
    assert factor == 2.0**-4
    assert statistics.calibration_error(logits, labels, 0.0) == pytest.approx(0)
    assert statistics.ranking_score(0) == pytest.approx(1 / (math.e + 1))
    score = statistics.label_robust_score(0.9, 0.9, 0.8, 0.8)
    assert score == pytest.approx(statistics.ranking_score(0))
    assert statistics.label_robust_score(1, 1, 1, 0) == pytest.approx(
        statistics.ranking_score(0.5)
    )
    assert statistics.augmentation_robust_score(1, 0, 1, 0) == 1
    assert robustness_ratio(0.9, [0.9, 0.9], 0.1) == 1
    assert robustness_ratio(0.9, [0.1, 0.1], 0.1) == 0
    assert robustness_ratio(0.1, [0.1], 0.1) is None


def test_bad_arguments_are_refused(digits, soft):
    whole = tfdistill.load_dataset("digits")
    for sets, data, given, says in (
        ({}, digits, {}, "at least one set"),
        ({"a": soft}, whole, {}, "hold_out first"),
        ({"k_means": soft}, digits, {}, "cannot be called k_means"),
        ({"a": soft}, digits.of_classes([0, 1]), {}, "classes"),
        ({"a": soft}, digits, {"baselines": ["best"]}, "baselines must be some of"),
        ({"a": soft}, digits, {"baselines": ["herding"] * 2}, "must all be different"),
        ({"a": soft}, digits, {"architectures": []}, "at least one"),
        ({"a": soft}, digits, {"architectures": ["lanet"]}, "did you mean 'lenet'"),
        ({"a": soft}, digits, {"networks": 0}, "networks must be"),
        ({"a": soft}, digits, {"rates": [0]}, "rates must be"),
        ({"a": soft}, digits, {"updates": [0]}, "updates must be"),
        ({"a": soft}, digits, {"updates": []}, "updates must be"),
    ):
        with pytest.raises(ValueError, match=says):
            tfdistill.compare(sets, data, **given)


def test_code_that_a_set_names_is_the_callers_to_name(
    digits, soft, tmp_path, monkeypatch
):
    """A stranger's set names a module of the current folder, alone or among others."""
    (tmp_path / "their_trap.py").write_text(
        "import tfdistill\nopen('imported', 'w').close()\n"
        "def net(image_shape, num_classes):\n"
        "    return tfdistill.students.linear(image_shape, num_classes)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    sets = {
        "theirs": soft.replace(student="their_trap:net"),
        "more": soft.replace(student="linear,their_trap:net"),
    }
    lines = []
    result = tfdistill.compare(
        {"theirs": sets["theirs"]},
        digits,
        **{**QUICK, "networks": 1, "choosing": 1, "attack_images": 0},
        baselines=[],
        teacher_epochs=0,
        report=lines.append,
    )
    assert result.sets["theirs"]["as_learned"] is None
    assert "theirs is for their_trap:net, which names code to run" in lines[0]
    found = networks.chosen(None, sets, digits)
    assert [one.name for one in found.architectures] == ["convnet", "lenet"]
    assert len(found.left_out) == 2 and not found.own
    assert not (tmp_path / "imported").exists()
    found = networks.chosen(["their_trap:net"], sets, digits)
    assert found.main == "their_trap:net" and set(found.own) == {"theirs", "more"}
    assert (tmp_path / "imported").exists()


def test_sets_of_networks_that_are_not_here(digits, soft):
    """A callable's plain name, another size: the others judge, unless it is given."""

    def my_net(image_shape, num_classes):
        return tfdistill.students.linear(image_shape, num_classes)

    sets = {
        "mine": soft.replace(student="my_net"),
        "large": soft.replace(student="alexnet"),
        "plain": soft,
    }
    found = networks.chosen(None, sets, digits)
    names = [one.name for one in found.architectures]
    assert names == ["linear", "convnet", "lenet"] and set(found.own) == {"plain"}
    assert [line.partition(",")[0] for line in found.left_out] == [
        "mine is for my_net",
        "large is for alexnet",
    ]
    found = networks.chosen([my_net], sets, digits)
    assert found.own["mine"].students == (my_net,)


@pytest.mark.slow
def test_the_command(digits, soft, tmp_path):
    """Files of two programs, of which one is raw: refused, mended, judged, kept."""
    raw = digits.normalization.denormalize(soft.images[0])
    np.savez(tmp_path / "theirs.npz", images=raw, labels=soft.labels[0] - 0.1)
    soft.save(tmp_path / "run" / "distilled")
    given = [
        f"--sets={tmp_path}/theirs.npz,ours={tmp_path}/run",
        *("--architectures=linear", "--networks=2", "--choosing=2"),
        *("--rates=0.03", "--updates=10", "--baselines=random_real"),
        *("--teacher_epochs=1", "--attack_images=20", f"--workdir={tmp_path}/judged"),
    ]
    refused = commands.run("compare", *given)
    assert refused.returncode == 2
    assert "pass --pixels=theirs:0..1 (or --nocheck" in refused.stderr
    assert not (tmp_path / "judged").exists()
    given.append("--pixels=theirs:0..1")
    text = commands.succeed("compare", *given)
    assert "theirs: 10 images, 0..1, centred labels" in text
    assert "linear, theirs, own labels, random changes: rate 0.03, 10 updates" in text
    assert "ours, by its learned steps: linear" in text
    assert "Everything is in" in text
    content = json.loads((tmp_path / "judged" / "comparison.json").read_text())
    assert set(content["sets"]) == {"theirs", "ours", "random_real"}
    assert content["sets"]["ours"]["label_robust"] is not None
    assert tfdistill.Pool.load(tmp_path / "judged" / "teacher").student == "linear"
    table = (tmp_path / "judged" / "comparison.md").read_text()
    assert table.count("\n| ") == 4 and "**ECE**" in table
    assert "<table>" in (tmp_path / "judged" / "comparison.html").read_text()
    again = commands.succeed("compare", *given)
    assert "holds this comparison, finished" in again


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sets=a/x.npz,b/x.pt"], "two sets that are called 'x'"),
        (["--sets=a", "--pixels=b:0..1"], "is for the set 'b', but there are a"),
        (["--sets=a", "--mean=0.5,x"], "must be numbers with slashes"),
        (["--sets=a", "--rates=0"], "--rates=0 must be numbers above 0"),
        (["--sets=a", "--updates=1.5"], "--updates=1.5 must be numbers above 0"),
        ([], "--sets is missing"),
    ],
)
def test_bad_flags_are_refused(arguments, says):
    from tfdistill.cli import main
    from tfdistill.cli.errors import InputError

    with pytest.raises(InputError, match=says.replace("(", r"\(")):
        main.command("compare").parse(["--workdir=w", *arguments])


@pytest.mark.parametrize("order", [1, -1])
def test_the_value_for_one_set_goes_before_that_for_all(order):
    from tfdistill.cli import compared_sets

    items = ["one:0..255", "0..1"][::order]
    found = compared_sets._of_each("pixels", items, {"one": "a", "two": "b"})
    assert found == {"one": "0..255", "two": "0..1"}


def test_what_is_said_of_all_sets_is_not_of_our_own(digits, soft, tmp_path):
    from tfdistill.cli import compared_sets, main
    from tfdistill.cli.errors import InputError

    raw = digits.normalization.denormalize(soft.images[0])
    np.savez(tmp_path / "theirs.npz", images=raw, labels=soft.labels[0])
    soft.save(tmp_path / "run" / "distilled")
    both = f"ours={tmp_path}/run,{tmp_path}/theirs.npz"

    def read(sets, pixels):
        arguments = ["--workdir=w", f"--sets={sets}", f"--pixels={pixels}"]
        c = main.command("compare").parse(arguments)
        return compared_sets.read(c, digits)

    found = read(both, "0..1")
    np.testing.assert_array_equal(found["ours"].images, soft.images)
    np.testing.assert_allclose(found["theirs"].images, soft.images, atol=1e-5)
    with pytest.raises(InputError, match="leave out --pixels=ours:"):
        read(both, "0..1,ours:0..255")
    with pytest.raises(InputError, match="leave out --pixels=."):
        read(f"{tmp_path}/run", "0..1")
