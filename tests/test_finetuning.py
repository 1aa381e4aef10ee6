"""Students for other classes than they know, and the data they are taken to."""

import functools
import json
import os
import re

import commands
import keras
import numpy as np
import pytest
import tensorflow as tf
import tfds_fixtures
from commands import run as command

import tfdistill
from tfdistill import students
from tfdistill.data import loading as datasets
from tfdistill.students import applications
from tfdistill.weights import Population

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


# Heads


def ends(model):
    return [np.asarray(v) for v in model.trainable_variables[-2:]]


def test_a_new_head_keeps_all_but_the_last_layer():
    model = students.build("mlp", (8, 8, 1), 5)
    other = students.with_new_head(model, 3)
    assert other.output_shape == (None, 3)
    for a, b in zip(model.trainable_variables[:-2], other.trainable_variables[:-2]):
        np.testing.assert_array_equal(a, b)
    assert not np.any(ends(other)[0]) and not np.any(ends(other)[1])


@pytest.mark.parametrize("ending", ["softmax", "layer", "features"])
def test_a_new_head_on_models_of_all_endings(ending):
    inputs = keras.Input((4,))
    features = outputs = keras.layers.Dense(7, "relu")(inputs)
    features = keras.layers.ReLU()(features)
    if ending != "features":
        last = keras.layers.Dense(5, "softmax" if ending == "softmax" else None)
        outputs = last(features)
        outputs = keras.layers.Softmax()(outputs) if ending == "layer" else outputs
    else:
        outputs = features
    model = students.with_new_head(keras.Model(inputs, outputs), 3)
    shapes = [tuple(v.shape) for v in model.trainable_variables]
    assert shapes == [(4, 7), (7,), (7, 3), (3,)]
    assert not np.any(model(np.ones((2, 4))))


def added(x):
    return keras.layers.Dense(5)(x) + keras.layers.Dense(5)(keras.layers.ReLU()(x))


def beside(x):
    """The last of the model's layers is not the one whose output is its own."""
    first = keras.layers.Dense(3)(x)
    return keras.layers.Concatenate()([keras.layers.Dense(5)(x), first])


@pytest.mark.parametrize(
    "ending",
    [
        added,
        beside,
        lambda x: keras.layers.Activation("relu")(keras.layers.Dense(5)(x)),
        lambda x: keras.ops.relu(keras.layers.Dense(5)(x)),
        keras.layers.Dense(5, "relu"),
        lambda x: 2 * keras.layers.Dense(5)(x),
    ],
    ids=["sum", "beside", "relu layer", "keras.ops.relu", "activation", "scaled"],
)
def test_a_new_head_throws_no_features_away(ending):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, ending(inputs))
    other = students.with_new_head(model, 3)
    kept = {id(v) for v in model.trainable_variables}
    assert kept < {id(v) for v in other.trainable_variables}
    images = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    features = keras.Model(other.input, other.layers[-1].input)
    np.testing.assert_array_equal(features(images), model(images))
    with pytest.raises(ValueError, match="does not end in a dense layer"):
        applications.head(model)


def test_a_new_head_goes_back_through_a_function_of_keras():
    inputs, last = keras.Input((4,)), keras.layers.Dense(5)
    hidden = keras.layers.Dense(4)(inputs)
    last(inputs)  # elsewhere, too
    model = keras.Model(inputs, keras.ops.softmax(last(hidden)))
    assert applications.head(model) is last
    other = students.with_new_head(model, 3)
    assert [v.shape for v in other.trainable_variables[::2]] == [(4, 4), (4, 3)]


def nested(image_shape, num_classes, activation=None):
    """A classifier inside a model: what it learned goes on, its last layer does not."""
    inner = keras.Sequential(
        [
            keras.layers.Flatten(),
            keras.layers.Dense(8, "relu"),
            keras.layers.Dense(num_classes, activation),
        ]
    )
    images = keras.Input(image_shape)
    return keras.Model(images, inner(images, training=False))


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_new_head_replaces_that_of_a_nested_model(activation):
    model = nested((4, 4, 1), 5, activation)
    outer = keras.Sequential([model, keras.layers.Softmax()])
    for given in (model, outer):
        other = students.with_new_head(given, 3)
        shapes = [tuple(v.shape) for v in other.trainable_variables]
        assert shapes == [(16, 8), (8,), (8, 3), (3,)]
        assert other.trainable_variables[0] is model.trainable_variables[0]
        assert applications.head(given).kernel is model.trainable_variables[2]
        assert not np.any(other(np.ones((2, 4, 4, 1))))


def test_a_new_head_on_a_nested_head_alone():
    images = keras.Input((4,))
    model = keras.Model(images, keras.Sequential([keras.layers.Dense(5)])(images))
    other = students.with_new_head(model, 3)
    assert [v.shape for v in other.trainable_variables] == [(4, 3), (3,)]


def test_a_new_head_on_layers_that_have_names_of_keras():
    # In a new process, Keras counts from the start, whatever a file has.
    keras.utils.clear_session()
    inputs = keras.Input((4,), name="images")
    hidden = keras.layers.Dense(6, "relu", name="dense")(inputs)
    hidden = keras.layers.Dense(6, "relu", name="dense_1")(hidden)
    other = students.with_new_head(keras.Model(inputs, hidden), 3)
    assert [v.shape for v in other.trainable_variables[::2]] == [(4, 6), (6, 6), (6, 3)]


def test_models_that_no_head_fits_on():
    image = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match="not features.*pooling"):
        students.with_new_head(image, 3)
    with pytest.raises(ValueError, match="functional or Sequential"):
        students.with_new_head(keras.Sequential([keras.layers.Dense(3)]), 3)


def test_numbers_of_classes_are_integers(tmp_path):
    """NumPy's, too, which Keras refuses."""
    path, shape = tmp_path / "a.weights.h5", (8, 8, 1)
    students.mlp(shape, 5).save_weights(path)
    pool = tfdistill.Pool.of_files([path], num_classes=np.int64(5))
    weights = tfdistill.FixedWeights(pool, new_head=True)
    Population("mlp", shape, 3, weights)
    model = students.with_new_head(students.mlp(shape, 5), np.uint8(3))
    assert model.output_shape == (None, 3)

    def own(num_classes):
        layers = [keras.layers.Flatten(), keras.layers.Dense(num_classes)]
        return keras.Sequential([keras.Input(shape), *layers])

    assert students.build(own, shape, np.int64(3)).output_shape == (None, 3)
    for wrong in (0, 3.0, "3", True):
        for call in (
            lambda wrong: tfdistill.Pool.of_files([path], num_classes=wrong),
            lambda wrong: students.with_new_head(model, wrong),
            lambda wrong: students.build(own, shape, wrong),
        ):
            with pytest.raises(ValueError, match="num_classes must be an integer of"):
                call(wrong)


def test_pretrained_students_get_new_heads(tmp_path):
    paths = []
    for k in range(2):
        model = students.build("mlp", (8, 8, 1), 5)
        paths.append(tmp_path / f"{k}.weights.h5")
        model.save_weights(paths[-1])
    pool = tfdistill.Pool.of_files(paths[:1], paths[1:], num_classes=5)

    def make_model():
        return students.build("mlp", (8, 8, 1), 3)

    weights = tfdistill.PretrainedWeights(pool, new_head=True)
    weights.build(make_model, make_model())
    values, _ = weights.sample_held_out(tf.constant([0, 0]), tf.constant(0))
    for variable, value in zip(model.trainable_variables[:-2], values):
        np.testing.assert_array_equal(variable, value)
    assert [v.shape for v in values[-2:]] == [(128, 3), (3,)]
    assert not np.any(values[-2])
    fixed = tfdistill.FixedWeights(pool, 1, new_head=True)
    start = make_model()
    fixed.build(make_model, start)
    assert students.assign(start, fixed.student.arrays())
    np.testing.assert_array_equal(start.get_weights()[0], model.get_weights()[0])
    with pytest.raises(ValueError, match="cannot be read|another architecture"):
        tfdistill.PretrainedWeights(pool).build(make_model, make_model())


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_the_classes_of_a_pool_that_does_not_say(tmp_path, ending):
    paths = [str(tmp_path / f"{k}{ending}") for k in range(2)]
    for path in paths:
        model = students.linear((8, 8, 1), 5)
        (model.save if ending == ".keras" else model.save_weights)(path)
    pool = tfdistill.Pool.of_files(paths[:1], paths[1:])

    def built(num_classes):
        make_model = functools.partial(students.linear, (8, 8, 1), num_classes)
        weights = tfdistill.PretrainedWeights(pool, new_head=True)
        weights.build(make_model, make_model())
        return weights.sample_held_out(tf.constant([0, 0]), tf.constant(0))[0]

    assert built(5)[0].shape == (64, 5)
    if ending == ".keras":
        assert built(3)[0].shape == (64, 3)
        return
    with pytest.raises(ValueError, match="other than 3 classes, give the pool num_cla"):
        built(3)


def without_bias(image_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(image_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(8, "relu"),
            keras.layers.Dense(num_classes, use_bias=False),
        ]
    )


def small_gtn_learner(image_shape, num_classes):
    return students.gtn_learner(image_shape, num_classes, widths=(2, 3, 4))


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
@pytest.mark.parametrize("architecture", [without_bias, small_gtn_learner, nested])
def test_a_new_head_is_of_the_kind_of_the_old_one(tmp_path, architecture, ending):
    paths = [str(tmp_path / f"{k}{ending}") for k in range(2)]
    for path in paths:
        model = architecture((8, 8, 1), 5)
        (model.save if ending == ".keras" else model.save_weights)(path)
    pool = tfdistill.Pool.of_files(paths[:1], paths[1:], num_classes=5)

    def make_model():
        return architecture((8, 8, 1), 3)

    start = make_model()
    fixed = tfdistill.FixedWeights(pool, 1, new_head=True)
    fixed.build(make_model, start)
    assert students.assign(start, fixed.student.arrays())
    np.testing.assert_array_equal(start.get_weights()[0], model.get_weights()[0])
    images = tf.random.stateless_normal([6, 8, 8, 1], [0, 0])
    with tf.GradientTape() as tape:
        outputs = start(images)
        loss = tf.reduce_sum(tf.nn.log_softmax(outputs)[:, 0])
    assert not np.any(outputs)
    own = [v.value for v in applications.head(start).trainable_variables]
    assert any(np.any(g) for g in tape.gradient(loss, own))


def test_a_network_of_keras_applications():
    model = students.build("keras.applications:MobileNetV2", (32, 32, 3), 20)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    assert not np.any(model(images)) and model.output_shape == (None, 20)
    # Inside, it sees what Keras's own preprocessing makes of the raw images.
    network, last = model.layers[-2:]
    raw = images * [58.395, 57.12, 57.375] + [123.675, 116.28, 103.53]
    prepared = keras.applications.mobilenet_v2.preprocess_input(raw)
    features = keras.Model(model.input, last.input)(images)
    np.testing.assert_allclose(network(prepared), features, atol=1e-5)
    with pytest.raises(ValueError, match="colour images only.*channels=3"):
        students.build("keras.applications:MobileNetV2", (32, 32, 1), 20)
    with pytest.raises(ValueError, match="no network 'Nets', but .*MobileNetV2"):
        students.build("keras.applications:Nets", (32, 32, 3), 20)


@pytest.mark.slow
def test_digits_0_to_4_taken_to_5_to_9(tmp_path):
    process = command(
        "pretrain",
        "--classes=0,1,2,3,4",
        "--num_students=4",
        "--held_out=2",
        "--epochs=10",
        "--learning_rate=0.003",
        "--batch_size=64",
        f"--workdir={tmp_path / 'pool'}",
    )
    assert process.returncode == 0, process.stderr
    assert tfdistill.Pool.load(tmp_path / "pool").dataset == "digits[0,1,2,3,4]"
    process = command(
        "distill",
        "--classes=5,6,7,8,9",
        "--initial_weights=pretrained",
        f"--pool={tmp_path / 'pool'}",
        "--new_head",
        "--steps=1",
        "--epochs=3",
        "--learning_rate=0.1",
        "--outer_steps=100",
        "--num_students=2",
        f"--workdir={tmp_path / 'run'}",
    )
    assert process.returncode == 0, process.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    # With a head of zeros, all is called one class.
    assert metrics["no_distilled_data"]["accuracy_mean"] < 0.3
    assert metrics["accuracy_mean"] > 0.55 and metrics["num_images"] == 5
    assert metrics["accuracy_mean"] > metrics["before"]["accuracy_mean"]
    again = command("evaluate", f"--workdir={tmp_path / 'run'}", "--num_students=2")
    assert again.returncode == 0, again.stderr
    assert f"{100 * metrics['accuracy_mean']:.2f}" in again.stdout


def test_a_model_of_ones_own_is_a_student(tmp_path):
    path = str(tmp_path / "mine.keras")
    model = students.build("mlp", (8, 8, 1), 10)
    model.save(path)
    again = students.build(path, (8, 8, 1), 10)
    for a, b in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert students.name_of(path) == path
    with pytest.raises(ValueError, match="mine.keras gives 10 outputs"):
        students.build(path, (8, 8, 1), 3)
    with pytest.raises(ValueError, match="absent.keras is not there"):
        students.build("absent.keras", (8, 8, 1), 10)
    with open(path, "r+b") as file:
        file.truncate(1000)
    with pytest.raises(ValueError, match="mine.keras cannot be read"):
        students.build(path, (8, 8, 1), 10)


@pytest.mark.slow
def test_the_example_adapts_a_model_with_batch_norm(tmp_path):
    example = os.path.join(ROOT, "examples", "own_model.py")
    process = commands.run_python(example, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    found = re.search(r"(0\.\d+) before, (0\.\d+) after", process.stdout)
    before, after = map(float, found.groups())
    assert after > max(0.9, before + 0.3)
    # What was saved is what adapted, and takes raw images with its normalisation.
    distilled = tfdistill.DistilledDataset.load(tmp_path / "distilled")
    model = keras.models.load_model(tmp_path / "mine.keras")
    served = distilled.serving_model(distilled.train(model))
    digits = tfdistill.load_dataset("digits").test
    said = served.predict(np.roll(digits.images, 1, axis=2), verbose=0).argmax(-1)
    assert np.mean(said == digits.labels) > 0.9


# Data sets in TFDS form


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    tfds_fixtures.svhn(folder)
    tfds_fixtures.cub(folder)
    tfds_fixtures.voc(folder)
    return folder


def test_each_box_is_an_example(data_dir):
    data = datasets.load_dataset("voc/2007", data_dir=data_dir, image_size=16)
    assert (data.name, data.num_classes) == ("voc/2007", 20)
    assert (len(data.train), len(data.test)) == (80, 80)
    # A box is all of one level, which tells the class; the rest would be black.
    np.testing.assert_allclose(
        data.train.images.mean((1, 2, 3)), 20 + 200 * data.train.labels / 19, atol=4
    )
    assert data.normalization.mean == (0.485, 0.456, 0.406)
    usual = datasets.load_dataset("voc/2007", data_dir=data_dir, in_memory=False)
    assert usual.image_shape == (224, 224, 3)


def test_birds(data_dir):
    data = datasets.load_dataset("caltech_birds2011", data_dir=data_dir)
    assert (data.image_shape, data.num_classes) == ((224, 224, 3), 200)
    assert len(data.train) == 400 and data.normalization.std[0] == 0.23211


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["--dataset=voc/2007", "--image_size=8"],
        ["--dataset=caltech_birds2011", "--image_size=8"],
        ["--dataset=svhn_cropped", "--image_size=8"],
    ],
)
def test_runs_end_to_end_on_them(data_dir, arguments, tmp_path):
    process = command(
        "distill",
        *arguments,
        f"--data_dir={data_dir}",
        "--student=linear",
        "--initial_weights=fixed",
        "--steps=1",
        "--validation=0.3",
        "--outer_steps=3",
        f"--workdir={tmp_path / 'run'}",
    )
    assert process.returncode == 0, process.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert 0 <= metrics["accuracy_mean"] <= 1


@pytest.mark.parametrize("name", ["voc/2007", "caltech_birds2011", "svhn_cropped"])
def test_data_that_are_not_there(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="download=True"):
        datasets.load_dataset(name, data_dir=str(tmp_path))
