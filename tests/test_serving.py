"""Trained networks as other programs are given them."""

import json
import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import students
from tfdistill.cli import results
from tfdistill.distilled import exports, serving
from tfdistill.evaluation import statistics
from tfdistill.runs import files

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:  # the same, in TensorFlow
    Interpreter = tf.lite.Interpreter

OLD = Path(__file__).parent / "earlier_versions" / "student"


class Twice(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def with_lambda():
    layers = [keras.Input((8, 8, 1)), keras.layers.Lambda(lambda x: x + 1.0)]
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(10)])


def with_own_layer():
    layers = [keras.Input((8, 8, 1)), keras.layers.BatchNormalization(), Twice()]
    return keras.Sequential(
        [
            *layers,
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10),
        ]
    )


class Reads(keras.Model):
    """Reads what Keras knows nothing of."""

    def __init__(self, tables):
        super().__init__()
        self.head = keras.layers.Dense(10)
        self.scale = tf.Variable(2.0, trainable=False)
        self.held = [keras.layers.Flatten()]
        if tables:
            table = tf.lookup.KeyValueTensorInitializer([0, 1], [0.0, 5.0])
            self.table = tf.lookup.StaticHashTable(table, 0.0)
            self.held.append(keras.layers.IntegerLookup(vocabulary=[7, 8]))

    def call(self, images):
        outputs = self.scale * self.head(self.held[0](images))
        if len(self.held) > 1:
            outputs += self.table.lookup(tf.constant(1))
            outputs += tf.cast(self.held[1](tf.constant([8])), outputs.dtype)
        return outputs


@pytest.fixture(scope="module")
def distilled():
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=1)
    return data.replace(class_names=["$a\n", "é", *"cdefghij"])


@pytest.mark.parametrize("make", [with_lambda, with_own_layer])
@pytest.mark.parametrize("probabilities", [False, True])
def test_what_goes_in_and_out_has_a_name(make, probabilities, distilled, tmp_path):
    model, folder = make(), tmp_path / "served"
    tfdistill.export_student(
        distilled, model, folder, probabilities=probabilities, version=3
    )
    assert os.listdir(folder) == ["3"]  # as TensorFlow Serving wants it
    loaded = tf.saved_model.load(folder / "3")
    scale = distilled.normalization.scale
    raw = np.random.default_rng(0).random((5, 8, 8, 1)) * scale
    raw = raw.astype(distilled.serving_model(model).inputs[0].dtype)
    logits = model(distilled.normalization.normalize(raw), training=False)
    name = "probabilities" if probabilities else "logits"
    wanted = tf.nn.softmax(logits) if probabilities else logits
    signature = loaded.signatures["serving_default"]
    assert [*signature.structured_input_signature[1]] == ["images"]
    found = signature(images=tf.constant(raw))
    assert [*found] == [name]
    np.testing.assert_allclose(found[name], wanted, atol=1e-5)
    np.testing.assert_allclose(loaded.serve(raw), wanted, atol=1e-5)
    names = json.loads((folder / "3" / "assets" / "class_names.json").read_text())
    assert tuple(names) == distilled.class_names
    with pytest.raises(FileExistsError, match="overwrite"):
        tfdistill.export_student(distilled, model, folder, version=3)
    with pytest.raises(ValueError, match="version must be"):
        tfdistill.export_student(distilled, model, tmp_path / "no", version=0)


@pytest.mark.parametrize("tables", [False, True])
def test_variables_and_tables_of_tensorflow_are_served(tables, distilled, tmp_path):
    model = distilled.train(Reads(tables))
    tfdistill.export_student(distilled, model, tmp_path / "served")
    loaded = tf.saved_model.load(tmp_path / "served" / "1")
    raw = np.full((2, 8, 8, 1), 3, distilled.serving_model(model).inputs[0].dtype)
    logits = model(distilled.normalization.normalize(raw), training=False)
    np.testing.assert_allclose(loaded.serve(raw), logits, atol=1e-5)
    counts = len(loaded.trainable_variables), len(loaded.others)
    assert counts == (2, 3 if tables else 1)
    if not tables:
        exports.save_tflite(tmp_path / "served", tmp_path / "student.tflite")
        runner = Interpreter(str(tmp_path / "student.tflite")).get_signature_runner()
        found = runner(images=raw[:1])["logits"]
        np.testing.assert_allclose(found, logits[:1], atol=1e-4)


def test_ordinary_networks_hold_nothing_else(distilled, tmp_path):
    model = distilled.train(with_own_layer())
    tfdistill.export_student(distilled, model, tmp_path / "served")
    assert not hasattr(tf.saved_model.load(tmp_path / "served" / "1"), "others")


@pytest.mark.parametrize("global_policy", ["mixed_bfloat16", "float64"], indirect=True)
@pytest.mark.parametrize("probabilities", [False, True])
def test_raw_images_are_normalised_in_full_precision(
    global_policy, probabilities, tmp_path
):
    raw = np.random.default_rng(0).normal(1000, 1, (40, 8, 8, 1)).astype("float32")
    part = raw, np.arange(40) % 2
    dataset = tfdistill.from_arrays(part, part)
    data = tfdistill.baselines.random_real(dataset, steps=1)
    if probabilities:
        data = data.replace(labels=data.labels - 0.5, objective="least_squares")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    wanted = tf.cast(model(dataset.normalization.normalize(raw)), tf.float32)
    if probabilities:
        wanted = tf.nn.softmax(wanted * np.log(99))
    served = data.serving_model(model, probabilities=probabilities)
    served.save(tmp_path / "served.keras")
    tfdistill.export_student(
        data, model, tmp_path / "served", probabilities=probabilities
    )
    signature = tf.saved_model.load(tmp_path / "served" / "1").signatures[
        "serving_default"
    ]
    (exported,) = signature(images=tf.constant(raw)).values()
    again = keras.saving.load_model(tmp_path / "served.keras")
    for found in (served(raw), again(raw), exported):
        assert found.dtype == tf.float32
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_files_of_earlier_versions_normalise_in_full_precision():
    layer = serving.Normalize(tfdistill.Normalization([1000], [1], scale=1))
    config = {**layer.get_config(), "dtype": "mixed_bfloat16"}
    found = serving.Normalize.from_config(config)(np.float32([[999.5]]))
    np.testing.assert_allclose(found, [[-0.5]], rtol=1e-5)


def test_probabilities_of_least_squares_are_calibrated():
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.load_distilled("digits/10")
    keras.utils.set_random_seed(0)
    model = data.train(students.mlp(data.image_shape, data.num_classes))
    served = data.serving_model(model, probabilities=True)
    found = served.predict(digits.test.images, verbose=0)
    labels = np.asarray(digits.test.labels)
    logs = np.log(np.maximum(found, 1e-12))
    assert statistics.calibration_error(logs, labels) < 0.1
    assert found.max(1).mean() > 0.85
    # By cross-entropy, outputs were judged as they are.
    judged = data.replace(objective=tfdistill.LeastSquares("cross_entropy"))
    as_logits = judged.serving_model(model, probabilities=True)
    plain = tf.nn.softmax(data.serving_model(model)(digits.test.images[:9]))
    np.testing.assert_allclose(as_logits(digits.test.images[:9]), plain, atol=1e-5)


def test_numbers_of_a_regression_are_no_probabilities(distilled):
    data, model = distilled.replace(objective="regression"), with_own_layer()
    data.serving_model(model)
    with pytest.raises(ValueError, match="no probabilities: leave out"):
        data.serving_model(model, probabilities=True)


def test_exported_folders_of_old_and_new_are_read(distilled, tmp_path):
    """As SavedModels, as pretrained students, and for LiteRT."""
    known = tf.saved_model.load(str(OLD)).trainable_variables
    model = students.linear((8, 8, 1))
    for variable, value in zip(model.trainable_variables, known):
        variable.assign(value)
    folders = [tmp_path / "new", tmp_path / "rate [0.1]"]
    for folder in folders:
        tfdistill.export_student(distilled, model, folder)
    for folder in (OLD, *folders, tmp_path / "new" / "1"):
        pool = tfdistill.Pool.of_files([str(folder)])
        (values,) = pool.values(pool.training, lambda: students.linear((8, 8, 1)))
        for value, variable in zip(values, known):
            np.testing.assert_array_equal(value, variable)
        path = tmp_path / "student.tflite"
        exports.save_tflite(folder, path, overwrite=True)
        runner = Interpreter(str(path)).get_signature_runner()
        (name,) = runner.get_input_details()
        raw = np.full((1, 8, 8, 1), 0.5, runner.get_input_details()[name]["dtype"])
        (logits,) = runner(**{name: raw}).values()
        normal = distilled.normalization.normalize(raw)
        np.testing.assert_allclose(logits, model(normal), atol=1e-4)


def test_versions_lie_side_by_side(distilled, tmp_path):
    folder = tmp_path / "served"

    def export(bias, **arguments):
        model = students.linear((8, 8, 1))
        model.variables[-1].assign(np.full(10, bias))
        tfdistill.export_student(distilled, model, folder, **arguments)
        return model

    def biases():
        return {
            int(path.name): tf.saved_model.load(path).trainable_variables[-1][0].numpy()
            for path in folder.iterdir()
            if path.is_dir()
        }

    export(1)
    (folder / ".hidden").touch()  # as file managers leave some
    model = export(10, version=10)
    export(2, version=2)
    assert biases() == {1: 1, 2: 2, 10: 10}
    assert files.saved_model(folder) == str(folder / "10")
    with pytest.raises(FileExistsError, match="2 exists; pass overwrite"):
        export(3, version=2)
    export(3, version=2, overwrite=True)
    assert biases() == {1: 1, 2: 3, 10: 10}
    # A run has one.
    results.save_student(str(tmp_path), distilled, model)
    results.save_student(str(tmp_path), distilled, model)
    tfdistill.export_student(distilled, model, tmp_path / "student", version=2)
    results.save_student(str(tmp_path), distilled, model)
    assert os.listdir(tmp_path / "student") == ["1"]
    # Anything else is replaced as a whole, or not at all.
    (folder / "notes.txt").touch()
    with pytest.raises(FileExistsError, match="served exists; pass overwrite"):
        export(4, version=4)
    export(4, version=4, overwrite=True)
    assert os.listdir(folder) == ["4"]


def test_folders_that_are_called_by_numbers_are_no_versions(tmp_path):
    assert not files.holds_versions(tmp_path / "none")
    (tmp_path / "0").mkdir()  # images of a class
    assert not files.holds_versions(tmp_path)
    assert not files.holds_versions(OLD)


def test_the_last_version_is_served(tmp_path):
    for version in ("2", "10", "x"):
        (tmp_path / version).mkdir()
    assert files.saved_model(tmp_path) == str(tmp_path / "10")
    (tmp_path / "saved_model.pb").touch()
    assert files.saved_model(tmp_path) == str(tmp_path)
    assert files.saved_model(tmp_path / "none") == str(tmp_path / "none")


def test_a_network_for_raw_images_is_not_judged_on_normalised_ones():
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.load_distilled("digits/10")
    served = data.serving_model(tfdistill.students.linear(digits.image_shape))
    raw = tf.data.Dataset.from_tensor_slices((digits.test.images, digits.test.labels))
    assert tfdistill.evaluate_model(served, raw.batch(100)).num_students == 1
    with pytest.raises(ValueError, match="takes uint8 images, not float32"):
        tfdistill.evaluate_model(served, digits.test)
