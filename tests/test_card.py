"""What a folder of distilled data says of itself."""

import contextlib
import io
import json
import os
import re

import commands
import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

import tfdistill
from tfdistill.distilled import card, programs, shipped
from tfdistill.inner.objectives import OBJECTIVES
from tfdistill.inner.objectives.unknown import UnknownObjective
from tfdistill.synthesizers import generator

IN_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits")


def saved(digits, folder, **changes):
    data = tfdistill.baselines.random_real(digits, steps=3)
    data.replace(**changes).save(folder)
    return data


def test_metadata_of_tfds_say_what_it_is(digits, tmp_path):
    data = saved(digits, tmp_path / "data")
    info = tfds.builder_from_directory(tmp_path / "data").info
    assert info.name == "digits_distilled" and str(info.version) == "1.0.0"
    assert info.supervised_keys == ("image", "label") and info.disable_shuffling
    assert "30 synthetic images" in info.description
    builder = tfds.builder_from_directory(tmp_path / "data")
    pairs = builder.as_dataset(split="train", as_supervised=True, shuffle_files=False)
    images = np.stack([image for image, _ in tfds.as_numpy(pairs)])
    np.testing.assert_array_equal(images, data.images.reshape(images.shape))


def test_a_card_has_a_front_matter_a_picture_and_a_program(digits, tmp_path):
    yaml = pytest.importorskip("yaml")
    recipe = tfdistill.OrdinaryTraining(updates=50)
    rows = [{"student": "mlp", "mean": 0.9, "std": 0.01, "num_students": 5}]
    rows += [{"student": "linear", "mean": 0.8, "std": 0.0, "num_students": 1}]
    folder = tmp_path / "data"
    data = saved(digits, folder, recipe=recipe, provenance={"measured": rows})
    text = (folder / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    fields = yaml.safe_load(front)
    assert fields["task_categories"] == ["image-classification"]
    assert "50 updates by Adam" in body and "| mlp | 90.00 ± 1.00 % | 5 |" in body
    assert "| linear | 80.00 % | 1 |" in body
    with Image.open(folder / "images.png") as picture:
        assert picture.size == (340, 102)
    found = trained(folder)
    assert found["images"].shape == (data.num_images, 8, 8, 1)
    assert found["model"].optimizer.iterations == 50


def trained(folder, whose="your network"):
    """What a card's program makes, of a network that is put into it."""
    (program,) = IN_PYTHON.findall((folder / "README.md").read_text())
    assert f"model = ...  # {whose}: 8 x 8 x 1 to 10 outputs" in program
    network = "model = tfdistill.students.mlp((8, 8, 1), 10)"
    program = re.sub(r"^model = \.\.\..*$", network, program, flags=re.MULTILINE)
    found: dict = {"tfdistill": tfdistill}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(program.replace("FOLDER", str(folder)), found)
    return found


def accuracy(model, digits):
    images = digits.normalization.normalize(digits.test.images)
    return float(
        np.mean(model.predict(images, verbose=0).argmax(1) == digits.test.labels)
    )


@pytest.mark.parametrize("centred", [False, True])
def test_the_program_of_a_card_trains_as_the_library_does(digits, tmp_path, centred):
    data = tfdistill.baselines.random_real(digits, images_per_class=5, steps=1)
    changes = tfdistill.RandomChanges(shift=0.1, rotation=0.02, zoom=0.1, flip=False)
    recipe = tfdistill.OrdinaryTraining(150, 0.01, batch_size=40, changes=changes)
    data = data.replace(recipe=recipe)
    if centred:
        data = data.replace(labels=data.labels - 0.1, objective="least_squares")
    data.save(tmp_path / "data")
    found = trained(tmp_path / "data")
    assert found["model"].optimizer.iterations == 150
    own = data.train(tfdistill.students.mlp((8, 8, 1), 10))
    assert accuracy(found["model"], digits) == pytest.approx(
        accuracy(own, digits), abs=0.08
    )
    text = (tmp_path / "data" / "README.md").read_text()
    assert ("half the squared distance" in text) == centred


@pytest.mark.parametrize("enlarged", [1, 2])
def test_images_in_half_the_room(digits, tmp_path, enlarged):
    whole = tfdistill.baselines.random_real(digits, steps=2).replace(enlarged=enlarged)
    half = whole.in_half_precision()
    assert half.num_bytes == whole.num_bytes - whole.stored_images.nbytes // 2
    assert half.images.dtype == np.float32 and half.image_shape == whole.image_shape
    np.testing.assert_allclose(half.images, whole.images, rtol=1e-3, atol=1e-3)
    half.save(tmp_path / "data")
    again = tfdistill.DistilledDataset.load(tmp_path / "data")
    assert again.num_bytes == half.num_bytes
    np.testing.assert_array_equal(again.images, half.images)
    whole.save(tmp_path / "whole")
    small, large = (
        next((tmp_path / name).glob("*.tfrecord*")).stat().st_size
        for name in ("data", "whole")
    )
    assert large - small == pytest.approx(whole.stored_images.nbytes / 2, abs=80)
    # Anybody reads them, and who goes on from them learns in float32.
    card = (tmp_path / "data" / "README.md").read_text()
    assert " KiB of images (float16) and labels" in card
    found: dict = {}
    reading, _, _ = IN_PYTHON.findall(card)[0].partition("\nbatch = ")
    exec(reading.replace("FOLDER", str(tmp_path / "data")), found)
    assert found["images"].dtype == np.float32
    np.testing.assert_allclose(
        found["images"], half.images.reshape(found["images"].shape), atol=1e-6
    )
    going = tfdistill.DistilledImages.from_distilled(again)
    assert going.images.dtype == "float32" and going.enlarged == enlarged
    huge = np.full_like(whole.stored_images, 1e6)
    with pytest.raises(ValueError, match="images must be finite"):
        whole.replace(images=huge).in_half_precision()


def test_what_was_measured_is_said_of_the_same_data_only(digits, tmp_path):
    row = {"student": "mlp", "mean": 0.9, "std": 0.0, "num_students": 2}
    data = tfdistill.baselines.random_real(digits, steps=2)
    data = data.replace(provenance={"measured": [row], "seed": 1})

    def says(which):
        which.save(tmp_path / "data", overwrite=True)
        assert which.provenance["seed"] == 1
        return "## Measured" in (tmp_path / "data" / "README.md").read_text()

    assert says(data) and says(data.in_half_precision())
    assert says(data.replace(student="mlp", provenance={"later": 2}))
    for other in (
        data.by_adam(1),
        data.replace(images=0 * data.images),
        data.replace(labels=data.labels[..., ::-1]),
        data.replace(recipe=tfdistill.OrdinaryTraining()),
        data.replace(initial_weights=[np.zeros(3)]),
        data.replace(normalization=tfdistill.Normalization((0.1,), (0.2,))),
    ):
        assert not says(other)
    assert says(data.replace(enlarged=2, provenance={"measured": [row]}))


def test_a_command_stores_images_in_half_the_room(tmp_path):
    short = ("--student=linear", "--outer_steps=2", "--updates=2", "--num_students=1")
    commands.succeed(
        *("distill", "--workdir=run", "--stored_as=float16", "--enlarged=2", *short),
        cwd=tmp_path,
    )
    data = tfdistill.DistilledDataset.load(tmp_path / "run" / "distilled")
    assert data.stored_images.dtype == np.float16 and data.enlarged == 2
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["bytes"] == data.num_bytes


@pytest.mark.parametrize("flip", [False, True])
def test_the_program_of_a_card_changes_images_as_the_library_does(
    digits, tmp_path, flip
):
    changes = tfdistill.RandomChanges(shift=0.2, rotation=0.1, zoom=0.3, flip=flip)
    recipe = tfdistill.OrdinaryTraining(1, changes=changes)
    data = tfdistill.baselines.random_real(digits, steps=1).replace(recipe=recipe)
    data.save(tmp_path / "data")
    change = trained(tmp_path / "data")["change"]
    images = np.repeat(data.images[0, 3:4], 20_000, 0)
    tf.random.set_seed(0)
    theirs, _ = change(tf.constant(images), tf.zeros([len(images), 10]))
    ours = changes(tf.constant(images), tf.constant([0, 1]))
    # Of images that are resampled more often, the pixels differ less.
    for figure in (np.mean, np.std):
        np.testing.assert_allclose(figure(theirs, 0), figure(ours, 0), atol=0.04)


def test_the_program_of_a_card_changes_a_whole_batch_alike(digits, tmp_path):
    changes = tfdistill.RandomChanges(shift=0.2, flip=True, whole_batch=True)
    recipe = tfdistill.OrdinaryTraining(1, changes=changes)
    data = tfdistill.baselines.random_real(digits, steps=1).replace(recipe=recipe)
    data.save(tmp_path / "data")
    change = trained(tmp_path / "data")["change"]
    images = np.repeat(data.images[0, 3:4], 5, 0)
    changed, again = (change(tf.constant(images), tf.zeros([5, 10]))[0] for _ in "ab")
    np.testing.assert_array_equal(changed, np.repeat(changed[:1], 5, 0))
    assert not np.array_equal(changed, again)
    # Alike is no change by itself.
    none = tfdistill.RandomChanges(whole_batch=True)
    recipe = tfdistill.OrdinaryTraining(1, changes=none)
    data.replace(recipe=recipe).save(tmp_path / "none")
    assert "change" not in trained(tmp_path / "none")


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_learned_steps_are_taken_in_their_order(digits, tmp_path, optimizer):
    data = tfdistill.baselines.random_real(digits, images_per_class=2, steps=3)
    rates = np.linspace(0.01, 0.06, 6).reshape(2, 3)
    momenta = np.linspace(0.9, 0.1, 6).reshape(2, 3)
    recipe = tfdistill.LearnedSchedule(
        optimizer,
        {"learning_rate": rates / (1 if optimizer == "sgd" else 10)}
        | ({"momentum": momenta} if optimizer == "momentum" else {}),
    )
    data = data.replace(recipe=recipe)
    data.save(tmp_path / "data")
    keras.utils.set_random_seed(1)
    found = trained(tmp_path / "data")
    keras.utils.set_random_seed(1)
    own = data.train(tfdistill.students.mlp((8, 8, 1), 10))
    for a, b in zip(found["model"].get_weights(), own.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-5)
    text = (tmp_path / "data" / "README.md").read_text()
    assert "The order matters" in text and "`learning_rates`" in text


@pytest.mark.parametrize("ordinary", [False, True])
def test_the_program_starts_from_the_fixed_weights(digits, tmp_path, ordinary):
    start = tfdistill.students.mlp((8, 8, 1), 10)
    data = tfdistill.baselines.random_real(digits, images_per_class=2, steps=3)
    data = data.replace(initial_weights=start.get_weights())
    if ordinary:
        recipe = tfdistill.OrdinaryTraining(1, 1e-9, changes=tfdistill.RandomChanges())
        data = data.replace(recipe=recipe)
    data.save(tmp_path / "data")
    found = trained(tmp_path / "data", whose="the network of the distillation")
    own = start if ordinary else data.train(tfdistill.students.mlp((8, 8, 1), 10))
    for a, b in zip(found["model"].get_weights(), own.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_program_that_ends_early_says_what_is_to_be_written(digits, tmp_path):
    saved(digits, tmp_path / "a", objective=Weighted())
    for name, options in (
        ("b", {"cutout": 0.2, "whole_batch": True}),
        ("c", {"colour": 0.2, "flip": True}),
        ("d", {"colour": 0.2, "cutout": 0.2}),
    ):
        changes = tfdistill.RandomChanges(**options)
        recipe = tfdistill.OrdinaryTraining(changes=changes)
        saved(digits, tmp_path / name, recipe=recipe)
    for name, missing in (
        ("a", "The loss and the training are"),
        ("b", "Cutouts are"),
        ("c", "Changes of colour are"),
        ("d", "Changes of colour and cutouts are"),
    ):
        (program,) = IN_PYTHON.findall((tmp_path / name / "README.md").read_text())
        assert f"# {missing} for you to write" in program


def test_the_program_of_a_regression_trains_as_the_library_does(digits, tmp_path):
    data = saved(digits, tmp_path / "data", objective="regression")
    text = (tmp_path / "data" / "README.md").read_text()
    assert "half the squared distance" in text and "custom" not in text
    keras.utils.set_random_seed(1)
    found = trained(tmp_path / "data")
    keras.utils.set_random_seed(1)
    own = data.replace(objective="regression").train(
        tfdistill.students.mlp((8, 8, 1), 10)
    )
    for a, b in zip(found["model"].get_weights(), own.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_objective_that_ships_is_called_custom(digits, name):
    data = tfdistill.baselines.random_real(digits, steps=1).replace(objective=name)
    assert "custom" not in programs.instructions(data) + programs.labels(data)


class Weighted(tfdistill.Classification):
    """An objective of one's own."""

    name = "weighted"


def test_an_own_objective_is_named(digits, tmp_path):
    saved(digits, tmp_path / "data", objective=Weighted())
    text = (tmp_path / "data" / "README.md").read_text()
    assert "a custom objective, `weighted`" in text and "model.fit" not in text


def made_by(method, digits):
    """A distiller as `--method` makes it, untrained."""
    images = tfdistill.DistilledImages.from_real(digits, steps=1)
    learning, others = tfdistill.LearningStudents(size=1), {}
    if method == "teaching":
        network = generator.network("gtn_generator@8-16-4")
        images = tfdistill.Generator.of(digits, steps=1, batch_size=10, network=network)
    if method == "ridge":
        others = {"meta_gradient": tfdistill.RidgeRegression()}
    if method == "own":
        others = {"meta_gradient": Own()}
    if method in ("ridge", "windows"):
        others["initial_weights"] = learning
        recipe = tfdistill.OrdinaryTraining(updates=5)
        images = tfdistill.DistilledImages.from_real(
            digits,
            steps=1,
            epochs=1,
            recipe=recipe,
            centred_labels=method == "ridge",
        )
        others["objective"] = "least_squares" if method == "ridge" else "classification"
    return tfdistill.Distiller("linear", images, **others)


class Own(tfdistill.inner.BackGradient.__mro__[1]):
    """A method of one's own."""

    def __call__(self, problem):
        return tfdistill.inner.BackGradient()(problem)


@pytest.mark.parametrize(
    "method, paper",
    [
        ("ridge", "Zhou, Yongchao"),
        ("windows", "Feng, Yunzhen"),
        ("unrolled", "Wang, Tongzhou"),
        ("teaching", "Such, Felipe"),
        ("own", None),
        ("real images", None),
    ],
)
def test_the_paper_is_that_of_the_method(digits, tmp_path, method, paper):
    if method == "real images":
        data = tfdistill.baselines.random_real(digits, steps=1)
    else:
        data = made_by(method, digits).distilled()
    # The paper stays, even if the data are given another recipe.
    data = data.replace(recipe=tfdistill.OrdinaryTraining(updates=5))
    data.save(tmp_path / "data")
    text = (tmp_path / "data" / "README.md").read_text()
    cited = tfds.builder_from_directory(tmp_path / "data").info.citation
    for known in ("Zhou, Yong", "Feng, Yun", "Wang, Ton", "Such, Fel"):
        assert (known in text) == (known in cited) == (known in (paper or ""))
    assert ("@" in cited) == (paper is not None)


def test_earlier_files_say_the_method_by_a_flag(digits, tmp_path):
    flags = "--seed=0\n--method=windows\n--steps=1"
    saved(digits, tmp_path / "data", provenance={"flags": flags})
    assert "Feng, Yunzhen" in (tmp_path / "data" / "README.md").read_text()


@pytest.mark.parametrize("name", ["a|b\n# c", "<script>", "données 日本"])
def test_names_of_others_are_only_names(digits, tmp_path, name):
    names = [name, *digits.class_names[1:]]
    provenance = {"dataset": "My Photos (2024)|x"}
    try:
        saved(digits, tmp_path / "data", class_names=names, provenance=provenance)
    except ValueError as error:
        assert "class" in str(error)
        return
    text = (tmp_path / "data" / "README.md").read_text()
    assert "<script>" not in text and "\n# c" not in text
    info = tfds.builder_from_directory(tmp_path / "data").info
    assert info.name == "my_photos_2024_x_distilled"


@pytest.mark.parametrize("shape", [(30,), (4, 9, 1), (1, 40, 1), (3, 5, 2)])
def test_images_of_any_shape_have_a_picture(tmp_path, shape):
    data = tfdistill.DistilledDataset(
        np.random.default_rng(0).normal(size=(2, 3, *shape)),
        np.tile(np.eye(3), (2, 1, 1)),
        np.full((1, 2), 0.1),
        normalization=tfdistill.Normalization((0.0,), (1.0,), 1),
        class_names=("a", "b", "c"),
    )
    try:
        data.save(tmp_path / "data")
    except ValueError as error:
        pytest.skip(str(error))
    with Image.open(tmp_path / "data" / "images.png") as picture:
        assert max(picture.size) < 1000


def test_a_card_says_that_networks_are_pretrained(digits, tmp_path):
    paths = [tmp_path / f"{k}.keras" for k in range(2)]
    for path in paths:
        tfdistill.students.linear((8, 8, 1)).save(path)
    members = [(tfdistill.weights.Member(str(path)),) for path in paths]
    weights = tfdistill.PretrainedWeights(tfdistill.Pool(*members))
    images = tfdistill.DistilledImages.from_real(digits, steps=1)
    distiller = tfdistill.Distiller("linear", images, initial_weights=weights)
    distiller.compile()
    # Earlier versions noted the flag alone.
    by_flag = {"provenance": {"flags": "--seed=0\n--initial_weights=pretrained"}}
    random = tfdistill.baselines.random_real(digits, steps=1)
    for data in (distiller.distilled(), random.replace(**by_flag)):
        text = card.markdown(data, "1")
        assert "| to be trained from | pretrained networks, those of a pool |" in text
        assert "# a network of the pool of the distillation: 8 x 8" in text
    assert "from | random weights |" in card.markdown(random, "1")


def normalised_by(mean, std, scale):
    data = tfdistill.DistilledDataset(
        np.zeros((1, 2, 2, 2, len(mean))),
        np.eye(2)[None],
        np.ones((1, 1)),
        normalization=tfdistill.Normalization(mean, std, scale),
        class_names=["a", "b"],
    )
    return " ".join(card.markdown(data, "1").split())


def test_a_card_says_where_all_numbers_of_many_channels_are():
    def written(channels):
        return normalised_by(np.arange(channels) / 10, np.ones(channels), 1)

    rest = "(all, unrounded, in `tfdistill.json`). Labels"
    assert f"mean 0, 0.1, 0.2, 0.3 and std 1, 1, 1, 1 {rest}" in written(4)
    assert f"mean 0, 0.1, 0.2, 0.3, ... and std 1, 1, 1, 1, ... {rest}" in written(5)


@pytest.mark.parametrize(
    ("mean", "std", "scale"),
    [(1013.4464159, 0.58377, 1), (-7.25, 3e-5, 1234567), (0.13066, 0.30811, 255)],
)
def test_inputs_are_right_by_the_numbers_of_a_card(mean, std, scale):
    text = normalised_by([mean], [std], scale)
    found = re.search(r"x / (\S+) - mean.*?mean (\S+) and std (\S+)", text).groups()
    raw = (mean + std * np.linspace(-2, 2, 9)) * scale
    numbers = map(float, found), (scale, mean, std)
    x, right = ((raw / c - a) / b for c, a, b in numbers)
    np.testing.assert_allclose(x, right, atol=0.002)


@pytest.mark.parametrize(
    ("count", "category"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (2000, "1K<n<10K"), (10_000, "10K<n<100K")],
)
def test_the_size_is_that_of_the_hub(count, category):
    data = tfdistill.DistilledDataset(
        np.zeros((1, count, 2, 2, 1)),
        np.eye(2)[None, np.arange(count) % 2],
        np.ones((1, 1)),
        normalization=tfdistill.Normalization((0.5,), (0.2,)),
        class_names=["a", "b"],
    )
    assert f"size_categories:\n- {category}\n" in card.markdown(data, "1")


def test_nothing_of_strangers_is_markup(digits):
    """Whatever a name is, the card has its own headings, rows, tags and links."""
    evil = "a|b\n\n# Buy now <b>x</b> [y](http://z) \\[y](http://z)"
    data = tfdistill.baselines.random_real(digits, steps=1)
    row = {"student": evil, "mean": 0.5, "std": 0.1, "num_students": 2}
    objective = UnknownObjective(evil)

    def card_of(name, objective):
        about = {"dataset": name, "measured": [{**row, "student": name}]}
        names = [name + str(k) for k in range(10)]
        changes = {"student": name, "class_names": names, "provenance": about}
        return card.markdown(data.replace(objective=objective, **changes), "1")

    def marks(text):
        prose = re.sub(r"```python.*?```", "", text, flags=re.DOTALL)
        return re.findall(r"^#+|[|<>]|(?<!\\)(?:\\\\)*\[", prose, re.MULTILINE)

    known = UnknownObjective("x")
    assert marks(card_of(evil, objective)) == marks(card_of("x", known))


@pytest.mark.parametrize("name", tfdistill.distilled_names())
def test_cards_of_shipped_sets_are_as_generated(name):
    path = os.path.join(shipped.FOLDER, *name.split("/"), "README.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    version = re.search(r"the work of tfdistill ([\d.]+\d)", text)[1]
    assert card.markdown(tfdistill.load_distilled(name), version) == text
