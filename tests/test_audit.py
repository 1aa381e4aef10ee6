"""Wrong labels are found, and right ones are left alone."""

import csv
import dataclasses
import functools
import json
import re

import commands
import keras
import numpy as np
import pytest
import scipy.special
from sklearn.metrics import average_precision_score

import tfdistill
from tfdistill import audit
from tfdistill.cli import audit_listing
from tfdistill.runs.journal import read_arrays, write_arrays
from tfdistill.studies import audit_folder, audit_halves, origins, pretraining

FLAGS = ["--dataset=digits", "--student=mlp", "--rounds=1", "--outer_steps=50"]


def run(workdir, *flags, **options):
    return commands.run("audit", f"--workdir={workdir}", *flags, **options)


def probabilities(workdir):
    with open(workdir / "audit.csv", encoding="utf-8") as file:
        rows = {int(row["index"]): row for row in csv.DictReader(file)}
    return np.array([float(rows[k]["probability"]) for k in range(len(rows))])


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits")


@pytest.fixture(scope="module")
def examined(digits):
    train, wrong = audit.flipped(digits.train, 0.1)
    dataset = dataclasses.replace(digits, train=train)
    recipe = audit.Recipe(rounds=1, outer_steps=100)
    return audit.examine(dataset, recipe), wrong, dataset


def test_flipped(digits):
    train, wrong = audit.flipped(digits.train, 0.2, seed=1)
    assert ((train.labels != digits.train.labels) == wrong).all()
    assert 0.15 < wrong.mean() < 0.25
    again, _ = audit.flipped(digits.train, 0.2, seed=1)
    assert (again.labels == train.labels).all()
    assert not audit.flipped(digits.train, 0.0)[1].any()
    with pytest.raises(ValueError, match="share must be between 0 and 1, not 2"):
        audit.flipped(digits.train, 2)


def test_wrong_labels_are_found(examined):
    found, wrong, _ = examined
    assert average_precision_score(wrong, -found.scores) > 0.93
    assert found.noise_rate == pytest.approx(wrong.mean(), abs=0.04)
    assert (found.suspects & wrong).sum() > 0.8 * wrong.sum()
    assert wrong[found.suspects].mean() > 0.7
    assert wrong[found.ranking[:50]].mean() > 0.9


def test_the_folder_of_another_audit_is_refused(digits, tmp_path):
    few = digits.of_classes([0, 1])
    recipe = audit.Recipe("linear", rounds=1, outer_steps=2, steps=2)
    first = audit.examine(few, recipe, folder=tmp_path)
    again = audit.examine(few, recipe, folder=tmp_path)
    np.testing.assert_array_equal(first.scores, again.scores)
    # Of all processes, but for what the last moments of each took.
    assert again.seconds > 0.9 * first.seconds > 0
    assert again.cpu_seconds > 0.9 * first.cpu_seconds > 0
    with pytest.raises(ValueError, match="holds parts of another audit"):
        audit.examine(few, dataclasses.replace(recipe, seed=1), folder=tmp_path)


@pytest.mark.parametrize(
    "row", [None, 3 * [1 / 3], 2 * [np.nan], ["x", "y"], [-1.0, 2.0]], ids=repr
)
def test_a_part_that_is_no_probabilities_is_redone(digits, tmp_path, row):
    few = digits.of_classes([0, 1])
    recipe = audit.Recipe("linear", rounds=1, outer_steps=2, steps=2)
    first = audit.examine(few, recipe, folder=tmp_path)
    path = tmp_path / "part-0.npz"
    rows = len(read_arrays(str(path))["probabilities"]) * [row]
    write_arrays(str(path), **({} if row is None else {"probabilities": rows}))
    with pytest.warns(UserWarning, match="part-0.npz is damaged"):
        again = audit.examine(few, recipe, folder=tmp_path)
    np.testing.assert_allclose(again.probabilities, first.probabilities, atol=1e-5)


def test_networks_and_images_of_another_audit_are_told(digits, tmp_path):
    few = digits.of_classes([0, 1])
    narrow, wide = (
        functools.partial(tfdistill.students.mlp, hidden=(width,)) for width in (2, 4)
    )
    recipe = audit.Recipe(narrow, rounds=1, outer_steps=1, steps=1)
    first = audit.examine(few, recipe, folder=tmp_path)
    mirrored = tfdistill.Split(
        few.train.images[:, :, ::-1], few.train.labels, few.normalization
    )
    halves = tfdistill.Normalization((0.5,), (0.5,))
    train, test = (part.normalized_by(halves, 2) for part in (few.train, few.test))
    darker = dataclasses.replace(few, train=train, test=test, normalization=halves)
    others = [
        (few, dataclasses.replace(recipe, student=wide)),
        (darker, recipe),
        (dataclasses.replace(few, train=mirrored), recipe),
    ]
    for given in others:
        with pytest.raises(ValueError, match="holds parts of another audit"):
            audit.examine(*given, folder=tmp_path)
    path = tmp_path / "audit.json"
    known = json.loads(path.read_text())
    for name in ("networks", "images", "normalization"):  # as earlier versions did
        del known[name]
    path.write_text(json.dumps(known))
    again = audit.examine(few, recipe, folder=tmp_path)
    np.testing.assert_array_equal(first.probabilities, again.probabilities)


def test_another_network_in_the_same_file_is_another_audit(digits, tmp_path):
    file = tmp_path / "net.keras"
    file.write_bytes(b"one network")
    recipe = audit.Recipe(str(file))
    for _ in range(2):
        audit_folder.claim(tmp_path, digits, recipe)
    file.write_bytes(b"another one")
    with pytest.raises(ValueError, match="holds parts of another audit"):
        audit_folder.claim(tmp_path, digits, recipe)


@pytest.mark.parametrize("share", [0.004, 0.02, 0.2])
def test_few_wrong_labels_are_found_as_well_as_many(share):
    rng = np.random.default_rng(0)
    true = rng.integers(0, 10, 2000)
    logits = 2 * rng.normal(size=(2000, 10))
    logits[np.arange(2000), true] += rng.uniform(4, 20, 2000)
    probabilities = np.float32(scipy.special.softmax(logits, 1))
    wrong = rng.random(2000) < share
    given = np.where(wrong, (true + rng.integers(1, 10, 2000)) % 10, true)
    votes = np.int32(np.eye(10)[probabilities.argmax(1)])
    found = audit.Audit(given, probabilities, votes)
    assert found.noise_rate == pytest.approx(wrong.mean(), abs=0.02)
    assert (found.suspects & wrong).sum() > 0.7 * wrong.sum()
    assert wrong[found.suspects].mean() > 0.9
    assert found.suspects[found.ranking[: found.suspects.sum()]].all()


def test_noise_by_pairs(digits):
    # Every fifth 3 is called an 8.
    labels = np.array(digits.train.labels)
    threes = np.flatnonzero(labels == 3)
    labels[threes[::5]] = 8
    train = tfdistill.Split(
        digits.train.images, labels, digits.normalization, num_classes=10
    )
    found = audit.examine(
        dataclasses.replace(digits, train=train),
        audit.Recipe("mlp", rounds=1, outer_steps=80),
    )
    noise = found.noise()
    assert noise.sum() == pytest.approx(1)
    shares = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(noise.sum(1), shares, atol=0.02)
    wrong = noise - np.diag(np.diag(noise))
    assert np.unravel_index(wrong.argmax(), wrong.shape) == (8, 3)
    assert wrong[8, 3] == pytest.approx(len(threes[::5]) / len(labels), rel=0.5)


def test_students_forget_the_labels_that_they_load(tmp_path):
    """Weights that know the labels by heart side with them, right or wrong."""
    rng = np.random.default_rng(0)
    images, labels = rng.random((60, 8, 8, 1), "float32"), np.arange(60) % 2
    noise = tfdistill.from_arrays((images, labels), (images, labels))
    flat = noise.normalization.normalize(images).numpy().reshape(60, -1)
    model = tfdistill.students.linear((8, 8, 1), 2)
    wanted = 20 * np.eye(2)[labels] - 10
    model.set_weights([np.linalg.lstsq(flat, wanted, rcond=None)[0], np.zeros(2)])
    assert (model(flat.reshape(images.shape)).numpy().argmax(1) == labels).all()
    model.save(tmp_path / "mine.keras")
    recipe = audit.Recipe(
        str(tmp_path / "mine.keras"), rounds=1, outer_steps=2, steps=2
    )
    with pytest.warns(UserWarning, match="weights that the student loads are not"):
        found = audit.examine(noise, recipe)
    assert found.agreement.mean() < 0.7
    recipe = dataclasses.replace(recipe, student=lambda: model)
    with pytest.raises(ValueError, match="the same layers twice"):
        audit.examine(noise, recipe)


@pytest.mark.parametrize("name", ["rounds", "outer_steps", "batch_size"])
def test_an_audit_of_nothing_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1"):
        audit.Recipe("linear", **{name: 0})


@pytest.mark.parametrize("rate", [-0.03, 0, np.nan, np.inf, "0.03", None, True])
def test_rates_that_teach_nothing_are_refused(rate):
    for name, recipe in (
        ("outer_learning_rate", audit.Recipe),
        ("learning_rate", pretraining.Recipe),
        ("learning_rate", tfdistill.replay.Distillation),
        ("learning_rate", tfdistill.OrdinaryTraining),
    ):
        with pytest.raises(ValueError) as refused:
            recipe(**{name: rate})
        said = f"{name} must be a finite number above 0, not {rate!r}."
        assert str(refused.value) == said


def test_seeds_that_numpy_does_not_take_are_named(digits):
    data = tfdistill.baselines.random_real(digits, steps=1)
    says = "seed must be an integer of at least 0, not -1"
    for call in (
        lambda seed: audit.Recipe(seed=seed),
        lambda seed: tfdistill.baselines.k_means(digits, steps=1, seed=seed),
        lambda seed: tfdistill.baselines.optimized_real(
            [data], "linear", digits.train, seed=seed
        ),
        lambda seed: tfdistill.replay.Reservoir().remember(digits, 1, seed=seed),
    ):
        with pytest.raises(ValueError, match=says):
            call(seed=-1)


def test_a_class_of_which_half_is_too_small_is_refused_first(tmp_path):
    labels = np.repeat([0, 1], [20, 3])
    arrays = np.zeros((23, 8, 8), "uint8"), labels
    few = tfdistill.from_arrays(arrays, arrays, class_names=("many", "few"))
    recipe = audit.Recipe("linear", 1, outer_steps=1, steps=2, images_per_class=1)
    needed = r"images_per_class and steps need 4 images of each class, 1 \* 2 in each "
    with pytest.raises(
        ValueError, match=f"{needed}half, but class 'few' has 3: steps may be at most 1"
    ):
        audit.examine(few, recipe, folder=tmp_path / "parts", tell=pytest.fail)
    assert not (tmp_path / "parts").exists()
    audit_halves.check(few, dataclasses.replace(recipe, steps=1))
    with pytest.raises(ValueError, match="class 'few' has 3.$"):
        audit.examine(few, dataclasses.replace(recipe, images_per_class=3))
    result = run(tmp_path / "audit", "--dataset=digits", "--steps=60")
    assert result.returncode and not (tmp_path / "audit").exists()
    needed = "--images_per_class and --steps need 240 images of each class, 2 * 60 in"
    assert needed in result.stderr


def test_each_example_is_judged_by_all_rounds_that_did_not_see_it(digits):
    recipe = audit.Recipe("linear", rounds=2, outer_steps=5)
    found = audit.examine(digits, recipe)
    assert (found.votes.sum(1) == 2).all()
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)
    assert ((found.agreement >= 0) & (found.agreement <= 1)).all()


def test_networks_in_half_precision_judge_as_exactly_as_others(digits):
    def mixed(image_shape, num_classes):
        flat = keras.layers.Flatten(dtype="mixed_bfloat16")
        dense = keras.layers.Dense(num_classes, dtype="mixed_bfloat16")
        return keras.Sequential([keras.Input(image_shape), flat, dense])

    recipe = audit.Recipe(mixed, rounds=1, outer_steps=1, steps=1)
    few = digits.of_classes([0, 1, 2])
    found = audit.examine(few, recipe).probabilities
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)


def test_a_model_that_has_learned_wrong_labels_by_heart(examined):
    found, wrong, dataset = examined
    images = dataset.normalization.normalize(dataset.train.images).numpy()
    by_heart = audit.fitted(found, np.asarray(dataset.train.labels))
    assert by_heart.repeated == 1 and by_heart.disagreement == 0
    keras.utils.set_random_seed(0)
    model = tfdistill.students.mlp(dataset.image_shape, 10)
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    right = ~wrong
    model.fit(images[right], dataset.train.labels[right], epochs=15, verbose=0)
    sound = audit.fitted(found, model.predict(images, verbose=0).argmax(1))
    assert sound.repeated < 0.3 and sound.sided > 0.7
    with pytest.raises(ValueError, match="shape"):
        audit.fitted(found, np.zeros(3, int))


def test_nothing_is_suspect_where_nothing_is_contradicted():
    given = np.arange(100) % 4
    probabilities = np.float32(np.eye(4)[given] * 0.6 + 0.1)
    found = audit.Audit(given, probabilities, np.int32(np.eye(4)[given]))
    assert found.noise_rate == 0 and not found.suspects.any()
    with pytest.raises(ValueError, match="No label is suspect"):
        audit.fitted(found, given)


def test_pictures_show_each_other_label_and_which_are_of_suspects():
    found = audit.Audit(
        np.array([0, 1, 0, 1, 1]),
        np.float32([[0.1, 0.9], [0.2, 0.8], [0.4, 0.6], [0.2, 0.8], [0.2, 0.8]]),
        np.int32([[0, 1]] * 5),
    )
    # The noise is estimated to be less than what is doubtful.
    vars(found)["suspects"] = np.array([True, False, False, False, False])
    arrays = np.zeros((5, 4, 4), "uint8"), [0, 1, 0, 1, 1]
    images = tfdistill.from_arrays(
        arrays,
        arrays,
        class_names=("a very long name of a class", "one"),
    )
    names = ["a/" + 30 * "1", *(f"b/{k}.png" for k in range(2, 6))]
    places = origins.Origins("folder", "", np.arange(5), names)
    figure = audit_listing.figures(found, images, places, [0, 1, 2])["suspects"]()
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "a very …class →\none?\n1111111…1111111",
        "one\n2.png",
        "a very …lass (→\none?)\n3.png",
    ]
    assert "not suspect" in figure.get_supxlabel()
    figure = audit_listing.figures(found, images, places, [0, 1])["suspects"]()
    assert figure.get_supxlabel() == ""


def test_another_label_is_probable_for_suspects_alone():
    found = audit.Audit(
        np.array([0, 1, 0]),
        np.float32([[0.1, 0.9], [0.2, 0.8], [0.4, 0.6]]),
        np.int32([[0, 1]] * 3),
    )
    places = origins.Origins("digits", "", np.arange(3), ["a", "b", "c"])
    vars(found)["suspects"] = np.array([False, False, True])
    listed = audit_listing.words(found, ["two", "one"], places, [0, 1, 2])
    assert listed.split("\n") == [
        "The most suspect:",
        "  c: labelled two, probably one",
        "The least certain, not suspect:",
        "  a: labelled two",
        "  b: labelled one",
    ]
    listed = audit_listing.words(found, ["two", "one"], places, [0, 1])
    assert "probably" not in listed and "most suspect" not in listed
    listed = audit_listing.words(found, ["two", "one"], places, [2])
    assert "least certain" not in listed


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished audit, its flags, and what it printed."""
    folder = tmp_path_factory.mktemp("audits")
    model = tfdistill.students.mlp((8, 8, 1), 10)
    model.save(folder / "mine.keras")
    flags = [*FLAGS, "--flip=0.1", f"--model={folder / 'mine.keras'}"]
    result = run(folder / "audit", *flags, fresh=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "audit", flags, result


def test_command(finished):
    work, flags, result = finished
    assert "labels of digits are suspect" in result.stdout
    assert re.search(r"distilling (\d)/\1 halves", result.stdout)
    assert "--model gives" in result.stdout
    metrics = json.loads((work / "metrics.json").read_text())
    assert metrics["average_precision"] > 0.85
    with open(work / "audit.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(int(row["index"]) for row in rows) == list(range(1797))
    assert sum(row["suspect"] == "1" for row in rows) == metrics["suspects"] > 0
    scores = [float(row["probability"]) for row in rows]
    assert scores == sorted(scores)
    assert {path.name for path in (work / "images").iterdir()} == {
        "noise.png",
        "suspects.png",
    }
    assert not (work / "parts").exists()
    assert all(row["where"] == f"digits[{row['index']}]" for row in rows)
    assert "The most suspect:\n  digits[" in result.stdout
    assert "precision of the suspects" in result.stdout and "recall" in result.stdout
    assert "holds this audit, finished" in run(work, *flags).stdout
    refused = run(work, *FLAGS)
    assert refused.returncode == 2 and "holds another run" in refused.stderr


@pytest.mark.slow
def test_it_is_compared_on_its_own_examples(finished):
    """Of all of them: there is no test part to leave out."""
    work, _, _ = finished
    tool = [commands.ROOT + "/tools/compare_audit.py", f"--audit={work}"]
    process = commands.run_python(*tool, "--cpu_seconds=1", "--student=linear")
    assert process.returncode == 0, process.stderr
    (epoch, *_) = json.loads((work / "cleanlab.json").read_text())["epochs"]
    assert 0 < epoch["average_precision"] <= 1
    # The audit's seconds have its predictions, too.
    assert 0 < epoch["cpu_seconds_of_predictions"] < epoch["cpu_seconds"]
    path = work / "metrics.json"
    metrics = json.loads(path.read_text())
    content = path.read_text()
    path.write_text(json.dumps({**metrics, "flipped": metrics["flipped"] + 1}))
    refused = commands.run_python(*tool)
    path.write_text(content)
    assert refused.returncode and "are others now" in refused.stderr + refused.stdout


@pytest.mark.slow
def test_a_killed_audit_goes_on(finished, tmp_path):
    whole, flags, _ = finished
    process = commands.start("audit", f"--workdir={tmp_path / 'killed'}", *flags)
    lines = iter(process.stdout.readline, "")
    assert any(line.startswith("Distillation 1 of 2") for line in lines)
    process.kill()
    process.communicate()
    (tmp_path / "killed" / "parts" / "part-1.npz").write_bytes(b"damaged")
    again = run(tmp_path / "killed", *flags)
    assert again.returncode == 0, again.stderr
    assert "part-1.npz is damaged" in again.stderr
    whole, killed = (probabilities(path) for path in (whole, tmp_path / "killed"))
    # TensorFlow adds in another order each time, and training carries it on.
    assert np.abs(whole - killed).mean() < 0.02


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--flip=1.5"], "flip"),
        (["--in_memory=false"], "--noin_memory is not for tfdistill audit"),
        (["--student=none_such"], "none_such"),
        (["--model=missing.keras"], "missing.keras"),
        (["--dataset=digits", "--steps=99"], "class"),
        (["--flip=0.1", "--apply=copy"], "--apply is not for --flip"),
        (["--resplit=0.1"], "--resplit is not for tfdistill audit"),
    ],
)
def test_refusals(tmp_path, flags, sentence):
    result = run(tmp_path / "audit", *flags)
    assert result.returncode == 2
    assert sentence in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.stderr
