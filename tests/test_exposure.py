"""How exposed a network is to a distilled attack: from its making to its measuring."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from commands import run as command

import tfdistill
from tfdistill import exposure, students
from tfdistill.cli import exposed
from tfdistill.evaluation.evaluator import evaluate_model
from tfdistill.runs.files import sha256
from tfdistill.studies import pretraining
from tfdistill.weights import pool as pools


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pool of students of the digits, and an attack on them: 0s are to be 1s."""
    folder = tmp_path_factory.mktemp("exposure")
    (folder / "pool").mkdir()
    digits = tfdistill.load_dataset("digits")
    members = []
    for number, model in enumerate(
        pretraining.pretrain(
            lambda: students.build("linear", digits.image_shape, 10),
            digits,
            range(5),
            pretraining.Recipe(epochs=4, learning_rate=0.01),
            batch_size=128,
            verbose=0,
        )
    ):
        path = folder / "pool" / f"{number}.weights.h5"
        model.save_weights(path)
        members.append(pools.Member(str(path), sha256(path), 0.9))
    manifest = pools.manifest(
        folder / "pool",
        members,
        2,
        student="linear",
        dataset="digits",
        normalization=digits.normalization,
        num_classes=10,
    )
    (folder / "pool" / pools.MANIFEST).write_text(manifest)
    process = command(
        "distill",
        "--initial_weights=pretrained",
        f"--pool={folder / 'pool'}",
        "--objective=attack",
        "--attack_class=0",
        "--target_class=1",
        "--steps=1",
        "--epochs=1",
        "--images_per_class=10",
        "--learning_rate=0.5",
        "--outer_steps=200",
        "--num_students=2",
        f"--workdir={folder / 'attack'}",
    )
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture(scope="module")
def attack(folder):
    return tfdistill.DistilledDataset.load(folder / "attack" / "distilled")


@pytest.mark.slow
def test_the_command_says_what_is_left_of_an_attack(folder):
    workdir = folder / "attack"
    process = command(
        "evaluate", f"--workdir={workdir}", "--attack", "--num_students=2"
    )
    assert process.returncode == 0, process.stderr
    content = json.loads((workdir / "exposure.json").read_text())
    found = content["trainings"]
    assert list(found) == list(exposure.TRAININGS) and content["num_networks"] == 2
    for name in found:
        assert f"\n{name} " in process.stdout
    assert found["before"]["accuracy_mean"] > 0.85
    assert found["attacked"]["attacked_mean"] > 0.6
    assert found["attacked"]["attacked_mean"] > found["rates x 0.1"]["attacked_mean"]
    assert (found["before"]["survives"], found["attacked"]["survives"]) == (0, 1)
    assert (workdir / "images" / "exposure.png").stat().st_size > 10_000
    # What the attack's own test found, by other code.
    metrics = json.loads((workdir / "metrics.json").read_text())
    for key in ("attacked_mean", "modified_accuracy_mean", "accuracy_mean"):
        assert found["attacked"][key] == pytest.approx(metrics[key], abs=0.01)
        known = metrics["no_distilled_data"][key]
        assert found["before"][key] == pytest.approx(known, abs=1e-9)


def test_of_a_pool_that_holds_none_out_no_more_are_measured_than_asked(tmp_path):
    digits = tfdistill.load_dataset("digits")
    path = str(tmp_path / "a.weights.h5")
    students.build("linear", digits.image_shape, 10).save_weights(path)
    about = {"dataset": "digits", "normalization": digits.normalization}
    members = 3 * [pools.Member(path, sha256(path), 0.9)]
    (tmp_path / pools.MANIFEST).write_text(
        pools.manifest(tmp_path, members, 0, student="linear", num_classes=10, **about)
    )
    data = tfdistill.baselines.random_real(digits, steps=1)
    data = data.replace(provenance={"load": {}})
    given = SimpleNamespace(pool=tmp_path, num_students=2, model=None, student="linear")
    assert len(exposed._networks(given, data)[1]) == 2


def test_a_fixed_start_of_another_student_is_none():
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=1)
    start = students.linear(digits.image_shape).get_weights()
    data = data.replace(initial_weights=start)
    given = SimpleNamespace(pool=None, model=None, student="linear")
    assert len(exposed._networks(given, data)[1]) == 1
    given.student = "mlp"
    with pytest.raises(ValueError, match="--attack needs a --model or a --pool"):
        exposed._networks(given, data)


@pytest.mark.slow
def test_a_model_of_ones_own(folder):
    pool = tfdistill.Pool.load(folder / "pool")
    model = students.build("linear", (8, 8, 1), 10)
    model.load_weights(pool.held_out[0].path)
    model.save(folder / "mine.keras")
    process = command(
        "evaluate",
        f"--workdir={folder / 'attack'}",
        "--attack",
        f"--model={folder / 'mine.keras'}",
    )
    assert process.returncode == 0, process.stderr
    path = folder / "attack" / "exposure-mine.keras.json"
    found = json.loads(path.read_text())["trainings"]
    result = evaluate_model(model, tfdistill.load_dataset("digits").test)
    assert found["before"]["accuracy_mean"] == result.accuracy_mean
    assert found["attacked"]["attacked_mean"] > 0.5


def test_training_as_it_was_meant_is_training(attack):
    digits = tfdistill.load_dataset("digits")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(10),
        ]
    )
    start = [
        np.asarray(v)
        for v in [*model.trainable_variables, *model.non_trainable_variables]
    ]
    (result,) = exposure.measure(
        model, [start], attack, digits, trainings={"attacked": exposure.Training()}
    ).values()
    model.set_weights(model.get_weights())
    for variable, value in zip(
        [*model.trainable_variables, *model.non_trainable_variables], start
    ):
        variable.assign(value)
    again = evaluate_model(attack.train(model), digits.test)
    np.testing.assert_array_equal(result.confusion, again.confusion)


@pytest.mark.parametrize("kind", ["least squares", "a loss of its own"])
def test_training_as_it_was_meant_is_by_the_loss_of_the_images(kind):
    class Halved(tfdistill.Classification):
        def inner_loss(self, labels, outputs):
            return super().inner_loss(labels, outputs) / 2

    digits = tfdistill.load_dataset("digits")
    plain = tfdistill.baselines.random_real(digits, steps=5)
    if kind == "least squares":
        centred = plain.labels - np.float32(0.1)
        images = plain.replace(labels=centred, objective=tfdistill.LeastSquares())
    else:
        images = plain.replace(objective=Halved())
    model = tfdistill.students.mlp(digits.image_shape)
    start, ways = model.get_weights(), {"attacked": exposure.Training()}
    (result,) = exposure.measure(
        model, [start], images, digits, trainings=ways
    ).values()
    model.set_weights(start)
    again = evaluate_model(images.train(model), digits.test)
    np.testing.assert_allclose(result.losses, again.losses, rtol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"rate": -0.1}, "rate must be a number of at least 0, not -0.1"),
        ({"clip": 0.0}, "clip must be above 0, not 0.0"),
        ({"clean_steps": -1}, "clean_steps must be an integer of at least 0"),
    ],
)
def test_a_training_that_there_is_not(wrong, says):
    with pytest.raises(ValueError, match=says):
        exposure.Training(**wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"starts": []}, "starts must hold the values of at least one network"),
        ({"clean_rate": 0.0}, "clean_rate must be a finite number above 0"),
        ({"clean_rate": float("nan")}, "clean_rate must be .* above 0, not nan"),
        ({"clean_batch_size": 0}, "clean_batch_size must be an integer of at least 1"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
    ],
)
def test_what_gives_no_measure_is_refused(wrong, says):
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=1)
    model = students.linear(digits.image_shape)
    given = {"starts": iter([model.get_weights()]), **wrong}
    with pytest.raises(ValueError, match=says):
        exposure.measure(model, distilled=data, dataset=digits, **given)


def test_networks_of_neighbouring_seeds_share_no_clean_batches():
    digits = tfdistill.load_dataset("digits")
    images = tfdistill.baselines.random_real(digits, steps=1)
    model = students.linear(digits.image_shape)
    ways = {"clean": exposure.Training(rate=0.0, clean_steps=1)}
    starts = [model.get_weights()] * 2
    first, second = (
        exposure.measure(model, starts, images, digits, trainings=ways, seed=seed)
        for seed in (0, 1)
    )
    losses = [*first["clean"].losses, *second["clean"].losses]
    assert len(set(losses)) == 4


def test_a_weight_that_the_output_does_not_use_stays_as_it_is():
    digits = tfdistill.load_dataset("digits")
    images = tfdistill.baselines.random_real(digits, steps=1)

    class Unused(keras.Model):
        def __init__(self):
            super().__init__()
            self.last = tfdistill.students.linear((8, 8, 1), 10)
            self.spare = self.add_weight(shape=(3,), initializer="ones")

        def call(self, x):
            return self.last(x)

    model = Unused()
    tfdistill.students.check(model, (8, 8, 1), 10)
    start = [v.numpy() for v in model.variables]
    for training in (exposure.Training(), exposure.Training(clip=1.0)):
        exposure.measure(model, [start], images, digits, trainings={"a": training})
        np.testing.assert_array_equal(model.spare, np.ones(3))
        assert all(np.isfinite(v).all() for v in model.get_weights())


@pytest.mark.parametrize("kind", [int, float, np.float32, np.float64])
def test_numbers_of_any_kind_train(kind):
    digits = tfdistill.load_dataset("digits")
    images = tfdistill.baselines.random_real(digits, steps=1)
    model = students.linear(digits.image_shape)
    before = model.get_weights()
    short = exposure.Training(clip=kind(1))
    exposure.measure(model, [before], images, digits, trainings={"short": short})
    moved = [a - b for a, b in zip(model.get_weights(), before)]
    furthest = images.learning_rates.sum()
    assert 0 < np.sqrt(sum((x**2).sum() for x in moved)) <= 1.001 * furthest
    clean = exposure.Training(clip=kind(10**6), clean_steps=1)
    found = exposure.measure(
        model, [before], images, digits, trainings={"clean": clean}, clean_rate=kind(1)
    )
    assert np.isfinite(found["clean"].losses).all()


def test_networks_of_any_precision_train_alike():
    seen, changes = set(), []

    class Noted(tfdistill.Classification):
        def inner_loss(self, labels, outputs):
            seen.add(outputs.dtype)
            return super().inner_loss(labels, outputs)

    digits = tfdistill.load_dataset("digits")
    images = tfdistill.baselines.random_real(digits, steps=2).replace(objective=Noted())
    ways = {"a": exposure.Training(clip=0.5, clean_steps=2)}
    start = students.linear(digits.image_shape).get_weights()
    for policy in ("float32", "float64", "float16", "mixed_bfloat16", "mixed_float16"):
        penalty = keras.regularizers.L2(0.1)
        last = keras.layers.Dense(10, kernel_regularizer=penalty, dtype=policy)
        first = keras.layers.Flatten(dtype=policy)
        model = keras.Sequential([keras.Input(digits.image_shape), first, last])
        exposure.measure(model, [start], images, digits, trainings=ways)
        changes.append(model.get_weights()[0].astype("float64") - start[0])
    assert seen == {tf.float32}
    for change in changes[1:]:
        assert np.abs(change - changes[0]).max() < 0.1 * np.abs(changes[0]).max()


def test_no_limit_clips_nothing():
    digits = tfdistill.load_dataset("digits")
    images = tfdistill.baselines.random_real(digits, steps=1)
    model = students.linear(digits.image_shape)
    start, found = model.get_weights(), []
    for clip in (1e6, 1e300, float("inf")):
        ways = {"a": exposure.Training(clip=clip)}
        exposure.measure(model, [start], images, digits, trainings=ways)
        found.append(model.get_weights()[0])
    np.testing.assert_array_equal(found, [found[0]] * 3)


def test_a_start_that_is_not_whole_is_refused():
    digits = tfdistill.load_dataset("digits")
    images = tfdistill.baselines.random_real(digits, steps=1)
    layers = keras.layers.Flatten(), keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(10)])
    whole = [*model.trainable_variables, *model.non_trainable_variables]
    start = [variable.numpy() for variable in whole]
    for wrong in (start[:4], [*start, start[0]], start[::-1]):
        with pytest.raises(ValueError, match="the values of all variables of the mod"):
            exposure.measure(model, [start, wrong], images, digits)


def test_counter_measures_do_what_they_say():
    rng = np.random.default_rng(0)
    images = np.arange(2 * 4, dtype="float32").reshape(2, 4, 1, 1)
    data = tfdistill.DistilledDataset(
        images,
        np.tile(np.eye(2)[[0, 1, 0, 1]], (2, 1, 1)),
        [[0.1, 0.2], [0.3, 0.4]],
        normalization=tfdistill.Normalization((0.0,), (1.0,)),
        class_names="ab",
    )
    shuffled = list(exposure._batches(data, exposure.Training(shuffled=True), rng))
    assert [len(x) for x, _, _ in shuffled] == [2] * 8
    for epoch in (shuffled[:4], shuffled[4:]):
        seen = np.concatenate([x.ravel() for x, _, _ in epoch])
        assert sorted(seen) == list(range(8)) and list(seen) != list(range(8))
    halved = list(exposure._batches(data, exposure.Training(rate=0.5), rng))
    np.testing.assert_allclose([r for _, _, r in halved], [0.05, 0.1, 0.15, 0.2])
    assert not list(exposure._batches(data, exposure.Training(rate=0), rng))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model=M"], "--model needs --attack"),
        (["--attack", "--model=absent.keras"], "absent.keras is not there"),
    ],
)
def test_bad_flags_get_one_sentence(arguments, says, folder):
    process = command("evaluate", f"--workdir={folder / 'attack'}", *arguments)
    assert process.returncode == 2
    assert says in process.stderr.strip().splitlines()[-1]


def test_other_images_are_no_attack(attack, folder):
    attack.replace(provenance={"attack": None}).save(folder / "plain" / "distilled")
    process = command("evaluate", f"--workdir={folder / 'plain'}", "--attack")
    assert process.returncode == 2
    assert "--attack needs a distilled attack" in process.stderr


def test_images_of_other_classes_are_no_attack(attack):
    two = tfdistill.load_dataset("digits").of_classes([3, 8])
    with pytest.raises(ValueError, match="have 10 classes, but .* has 2"):
        exposure.measure(tfdistill.students.linear((8, 8, 1)), [], attack, two)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--shuffle_steps"], "--shuffle_steps is not for --attack"),
        (["--model=m.keras", "--pool=p"], "--model and --pool exclude each other"),
    ],
)
def test_flags_that_an_exposure_does_not_read_are_refused(flags, says):
    from tfdistill.cli import main
    from tfdistill.cli.errors import InputError

    with pytest.raises(InputError, match=says):
        main.command("evaluate").parse(["--workdir=w", "--attack", *flags])
