"""Distilled data on disk, in other processes, and damaged."""

import functools
import json
import math
import os
import re
import subprocess
import sys

import commands as processes
import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import DistilledDataset, Normalization
from tfdistill.distilled import tfrecords

STEPS, BATCH, CLASSES, SHAPE = 3, 4, 2, (6, 5, 1)
RECORDS = "distilled-train.tfrecord-00000-of-00001"


def make(**changes):
    rng = np.random.default_rng(0)
    labels = rng.uniform(size=(STEPS, BATCH, CLASSES))
    arguments = {
        "images": rng.standard_normal((STEPS, BATCH, *SHAPE)),
        "labels": labels / labels.sum(-1, keepdims=True),
        "learning_rates": rng.uniform(0.01, 0.2, (2, STEPS)),
        "normalization": Normalization((0.3,), (0.2,)),
        "class_names": ("cat", "dog"),
        "student": "mlp",
        "provenance": {"dataset": "pets"},
    }
    return DistilledDataset(**{**arguments, **changes})


def student():
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras.layers.Dense(7, "tanh"),
            keras.layers.Dense(CLASSES),
        ]
    )


def test_records_are_a_function_of_what_they_hold(tmp_path):
    program = (
        "import sys, tfdistill\n"
        "tfdistill.DistilledDataset.load(sys.argv[1]).save(sys.argv[2])"
    )
    first, second = tmp_path / "first", tmp_path / "second"
    make().save(first)
    process = processes.run_python("-c", program, first, second, fresh=True)
    assert process.returncode == 0, process.stderr
    name = "distilled-train.tfrecord-00000-of-00001"
    assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize("fixed", [False, True])
def test_saved_and_loaded_is_the_same(tmp_path, fixed):
    weights = [np.float32([1, 2]), np.float32([[3]])] if fixed else None
    distilled = make(initial_weights=weights)
    distilled.save(tmp_path / "d")
    loaded = DistilledDataset.load(tmp_path / "d")
    for name in ("images", "labels", "learning_rates"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(distilled, name))
    for name in ("normalization", "class_names", "student", "provenance"):
        assert getattr(loaded, name) == getattr(distilled, name)
    assert (loaded.initial_weights is not None) == fixed
    for a, b in zip(loaded.initial_weights or [], weights or []):
        np.testing.assert_array_equal(a, b)


ELSEWHERE = """
import sys
import keras, numpy as np, tensorflow as tf, tensorflow_datasets as tfds
folder, start, result = sys.argv[1:]
builder = tfds.builder_from_directory(folder)
examples = list(tfds.as_numpy(builder.as_dataset(split="train", shuffle_files=False)))
assert builder.info.features["label"].names == ["cat", "dog"]
spec = {"image": tf.io.FixedLenFeature([6, 5, 1], tf.float32),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "soft_label": tf.io.FixedLenFeature([2], tf.float32),
        "step": tf.io.FixedLenFeature([], tf.int64),
        "learning_rates": tf.io.FixedLenFeature([2], tf.float32)}
plain = [tf.io.parse_single_example(record, spec) for record in
         tf.data.TFRecordDataset(folder + "/distilled-train.tfrecord-00000-of-00001")]
assert len(plain) == len(examples)
for a, b in zip(plain, examples):
    for key in spec:
        np.testing.assert_array_equal(a[key], b[key])
last = max(e["step"] for e in examples) + 1
def column(key):
    return np.stack([[e[key] for e in examples if e["step"] == s] for s in range(last)])
rates = column("learning_rates")[:, 0].T
model = keras.Sequential([keras.Input((6, 5, 1)), keras.layers.Flatten(),
                          keras.layers.Dense(7, "tanh"), keras.layers.Dense(2)])
with np.load(start) as arrays:
    model.set_weights([arrays[f"arr_{i}"] for i in range(4)])
model.compile(
    keras.optimizers.SGD(keras.optimizers.schedules.PiecewiseConstantDecay(
        list(range(rates.size)), [*rates.ravel().tolist(), 0.0])),
    keras.losses.CategoricalCrossentropy(from_logits=True))
batches = tf.data.Dataset.from_tensor_slices((column("image"), column("soft_label")))
model.fit(batches, epochs=len(rates), shuffle=False, verbose=0)
assert "tfdistill" not in sys.modules
np.savez(result, *model.get_weights())
"""


def test_another_job_without_tfdistill_trains_the_same_network(tmp_path):
    distilled = make()
    distilled.save(tmp_path / "d")
    model = student()
    np.savez(tmp_path / "start.npz", *model.get_weights())
    process = subprocess.run(
        [sys.executable, "-c", ELSEWHERE]
        + [str(tmp_path / name) for name in ("d", "start.npz", "result.npz")],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert process.returncode == 0, process.stderr
    distilled.train(model)
    with np.load(tmp_path / "result.npz") as arrays:
        for i, value in enumerate(model.get_weights()):
            np.testing.assert_allclose(arrays[f"arr_{i}"], value, atol=1e-5)


@pytest.mark.parametrize("probabilities", [False, True])
def test_exported_model_takes_raw_images(tmp_path, probabilities, capfd):
    distilled = make()
    model = distilled.train(student())
    served = distilled.serving_model(model, probabilities=probabilities)
    capfd.readouterr()
    served.export(tmp_path / "served")
    assert capfd.readouterr().out == ""
    assert keras.config.is_interactive_logging_enabled()
    served.save(tmp_path / "served.keras")
    again = keras.models.load_model(tmp_path / "served.keras")
    raw = np.random.default_rng(1).integers(0, 256, (50, *SHAPE), "uint8")
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    outputs = loaded.serve(raw).numpy()
    np.testing.assert_allclose(again(raw), outputs, atol=1e-5)
    logits = model(distilled.normalization.normalize(raw)).numpy()
    np.testing.assert_array_equal(outputs.argmax(-1), logits.argmax(-1))
    if probabilities:
        np.testing.assert_allclose(outputs.sum(-1), 1, rtol=1e-5)
    else:
        np.testing.assert_allclose(outputs, logits, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "outputs", "says"),
    [
        ((9, 9, 1), 3, r"takes inputs of shape \(None, 9, 9, 1\) but"),
        (SHAPE, 7, "gives 7 outputs but the data set has 2 classes"),
    ],
)
def test_a_model_of_other_shapes_is_refused(shape, outputs, says):
    distilled = make()
    model = keras.Sequential(
        [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(outputs)]
    )
    for use in (distilled.train, distilled.serving_model):
        with pytest.raises(ValueError, match=f"the model {says}"):
            use(model)


def test_the_folder_of_a_run_has_its_data_inside(tmp_path):
    make().save(tmp_path / "run" / "distilled")
    inside = re.escape(str(tmp_path / "run" / "distilled"))
    with pytest.raises(FileNotFoundError, match=f"it is in {inside}"):
        DistilledDataset.load(tmp_path / "run")
    with pytest.raises(ValueError, match="it is a distilled data set; a run has"):
        tfdistill.report.page(tmp_path / "run" / "distilled")
    with pytest.raises(FileNotFoundError, match="tfdistill.json"):
        DistilledDataset.load(tmp_path)


def test_a_folder_is_not_overwritten_unasked(tmp_path):
    make().save(tmp_path / "d")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        make(student="linear").save(tmp_path / "d")
    assert DistilledDataset.load(tmp_path / "d").student == "mlp"
    make(student="linear").save(tmp_path / "d", overwrite=True)
    assert DistilledDataset.load(tmp_path / "d").student == "linear"
    assert os.listdir(tmp_path) == ["d"]


def test_a_save_that_fails_leaves_nothing_behind(tmp_path):
    make().save(tmp_path / "d")
    broken = make()
    broken.provenance["not"] = object()
    with pytest.raises(ValueError, match="provenance must hold values of JSON"):
        broken.save(tmp_path / "d", overwrite=True)
    assert DistilledDataset.load(tmp_path / "d").student == "mlp"
    assert os.listdir(tmp_path) == ["d"]


@pytest.mark.parametrize("keep", [0, 1, 50, -1])
def test_truncated_records_are_refused(tmp_path, keep):
    make().save(tmp_path / "d")
    path = tmp_path / "d" / RECORDS
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="truncated or altered"):
        DistilledDataset.load(tmp_path / "d")


def test_a_flipped_bit_is_refused(tmp_path):
    make(initial_weights=[np.float32([1, 2])]).save(tmp_path / "d")
    for name in (RECORDS, "initial_weights.npz"):
        path = tmp_path / "d" / name
        content = path.read_bytes()
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        with pytest.raises(ValueError, match=f"{name} is truncated or altered"):
            DistilledDataset.load(tmp_path / "d")
        path.write_bytes(content)
    DistilledDataset.load(tmp_path / "d")


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no distilled data"):
        DistilledDataset.load(tmp_path)
    make().save(tmp_path / "d")
    os.remove(tmp_path / "d" / RECORDS)
    with pytest.raises(ValueError, match="cannot be read"):
        DistilledDataset.load(tmp_path / "d")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 99),
        ("format", None),
        ("steps", 7),
        ("steps", "three"),
        ("image_shape", [60, 5, 1]),
        ("learning_rates", [[1, 2, 3], [4, 5, -6]]),
        ("learning_rates", "fast"),
        ("normalization", {}),
        ("class_names", ["cat"]),
        ("sha256", {}),
        ("initial_weights", "fixed"),
    ],
)
def test_altered_metadata_is_refused(tmp_path, key, value):
    make().save(tmp_path / "d")
    path = tmp_path / "d" / "tfdistill.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ValueError, match="cannot be read"):
        DistilledDataset.load(tmp_path / "d")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}'])
def test_metadata_that_is_no_metadata(tmp_path, text):
    make().save(tmp_path / "d")
    (tmp_path / "d" / "tfdistill.json").write_text(text)
    with pytest.raises(ValueError, match="cannot be read"):
        DistilledDataset.load(tmp_path / "d")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"images": np.zeros((3, 4))}, "images must have the shape"),
        ({"images": np.full((STEPS, BATCH, *SHAPE), np.nan)}, "finite"),
        ({"labels": np.zeros((STEPS, BATCH, 3))}, "labels must have the shape"),
        ({"labels": np.zeros((STEPS, BATCH, CLASSES))}, "distributions"),
        ({"learning_rates": np.zeros((1, STEPS))}, "above 0"),
        ({"learning_rates": np.ones((1, 2))}, "learning_rates must have the shape"),
        ({"images": np.zeros((3, 4, 6, 5, 1), "uint8")}, "normalised, not uint8: give"),
    ],
)
def test_wrong_arrays_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        make(**changes)


def test_rates_are_given_once():
    momenta = np.full((2, STEPS), 0.5, "float32")
    data = make(inner_optimizer="momentum", hyperparameters={"momentum": momenta})
    rates, all_of_them = data.learning_rates, data.hyperparameters
    twice = {"learning_rate": 2 * rates, "momentum": momenta}
    for changes, expected in (
        ({"hyperparameters": all_of_them}, rates),
        ({"learning_rates": rates.tolist(), "hyperparameters": all_of_them}, rates),
        ({"hyperparameters": twice}, 2 * rates),
        ({"learning_rates": 2 * rates}, 2 * rates),
    ):
        found = data.replace(**changes)
        np.testing.assert_array_equal(found.learning_rates, expected)
        np.testing.assert_array_equal(found.momenta, momenta)
    with pytest.raises(ValueError, match="give the rates once"):
        data.replace(learning_rates=2 * rates, hyperparameters=all_of_them)


@pytest.mark.parametrize(
    "given",
    [
        {"learning_rates": np.ones((2, STEPS))},
        {"inner_optimizer": "no such"},
        {"hyperparameters": {"momentum": np.ones((2, STEPS))}},
    ],
)
def test_a_recipe_leaves_nothing_to_say_of_steps(given):
    with pytest.raises(ValueError, match="either learning_rates or a recipe: with"):
        make().replace(recipe=tfdistill.OrdinaryTraining(), **given)


def test_the_schedule_is_the_rates_in_order():
    for rates in ([[0.1]], [[0.1, 0.2], [0.3, 0.4]]):
        steps = len(rates[0])
        distilled = make(
            images=np.zeros((steps, 1, *SHAPE)),
            labels=np.tile([1.0, 0.0], (steps, 1, 1)),
            learning_rates=rates,
        )
        schedule = distilled.optimizer()._learning_rate
        found = [float(schedule(t)) for t in range(distilled.num_steps)]
        np.testing.assert_allclose(found, np.ravel(rates), rtol=1e-6)


def test_fixed_weights_are_where_train_starts():
    model = student()
    distilled = make(initial_weights=model.get_weights())
    once = distilled.train(student()).get_weights()
    twice = distilled.train(student()).get_weights()
    for a, b in zip(once, twice):
        np.testing.assert_array_equal(a, b)
    assert not distilled.assign_initial_weights(tfdistill.students.linear(SHAPE, 2))


def test_by_adam():
    distilled = make(
        inner_optimizer="momentum",
        hyperparameters={"momentum": np.full((2, STEPS), 0.5)},
    )
    again = distilled.by_adam(3, 0.01)
    rates = again.learning_rates.reshape(-1)
    assert again.learning_rates.shape == (3, distilled.steps)
    assert again.inner_optimizer.name == "adam" and again.momenta is None
    assert (np.diff(rates) < 0).all() and 0 < rates[-1] < rates[0] < 0.01
    np.testing.assert_array_equal(again.images, distilled.images)
    for passes, rate in ((0, 0.01), (1.5, 0.01), (3, 0.0)):
        with pytest.raises(ValueError):
            distilled.by_adam(passes, rate)


@pytest.mark.parametrize(
    "provenance",
    [
        {"flags": {"lr": 1}},
        {"attack": True},
        {"load": "x"},
        {"dataset": 7},
        {"mine": functools.reduce(lambda inside, _: [inside], range(40), 1)},
    ],
)
def test_what_could_not_be_read_again_is_not_taken(provenance):
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=1)
    with pytest.raises(ValueError, match="provenance: "):
        data.replace(provenance=provenance)


def test_weights_that_are_not_finite_are_not_taken():
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=1)
    with pytest.raises(ValueError, match="initial_weights must be finite"):
        data.replace(initial_weights=[np.array([0, -np.inf])])


def test_weights_are_of_kinds_that_files_hold(tmp_path):
    values = np.arange(3.0)
    for kind in ("bfloat16", "float8_e5m2", "float16", "int32", ">f4"):
        given = values.astype(getattr(ml_dtypes, kind, kind))
        make(initial_weights=[given]).save(tmp_path / "d", overwrite=True)
        (again,) = DistilledDataset.load(tmp_path / "d").initial_weights
        np.testing.assert_array_equal(again, values)
    for wrong in (values.astype("complex64"), np.array(["a"]), np.array([None])):
        with pytest.raises(ValueError, match="initial_weights must be numbers, not"):
            make(initial_weights=[wrong])


def strict(text):
    """JSON as others than Python read it."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(name))


def test_figures_that_are_not_finite_are_null_in_files(tmp_path):
    rows = [{"student": "mlp", "mean": math.nan, "std": np.inf, "num_students": 2}]
    data = make(provenance={"measured": rows, "score": np.float32("nan")})
    data.provenance["later"] = -math.inf
    data.save(tmp_path / "d")
    provenance = strict((tmp_path / "d" / "tfdistill.json").read_text())["provenance"]
    assert provenance["score"] is None and provenance["later"] is None
    assert "| mlp | nan ± nan % | 2 |" in (tmp_path / "d" / "README.md").read_text()
    assert DistilledDataset.load(tmp_path / "d").provenance == provenance


def test_files_of_earlier_versions_with_nan_are_read(tmp_path):
    make().save(tmp_path / "d")
    path = tmp_path / "d" / "tfdistill.json"
    content = json.loads(path.read_text())
    content["provenance"]["score"] = math.nan
    content["sha256"][path.name] = tfrecords.signature(content)
    path.write_text(json.dumps(content))
    again = DistilledDataset.load(tmp_path / "d")
    assert again.provenance["score"] is None
    again.save(tmp_path / "d", overwrite=True)
    strict(path.read_text())


@pytest.mark.parametrize("measured", [0.9, [1], [{"student": "mlp"}], {"a": 1}])
def test_results_of_another_form_are_not_shown(measured, tmp_path):
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=1)
    data.replace(provenance={"measured": measured}).save(tmp_path / "a")
    assert "## Measured" not in (tmp_path / "a" / "README.md").read_text()
    tfdistill.DistilledDataset.load(tmp_path / "a")
