"""What a run leaves behind, used by programs that have never heard of tfdistill."""

import importlib.util
import json
import os
import subprocess
import sys

import commands
import keras
import numpy as np
import pytest

import tfdistill
from tfdistill import DistilledDataset, Normalization
from tfdistill.distilled import exports
from tfdistill.inner.optimizers import plurals

STEPS, BATCH, CLASSES, SHAPE = 3, 4, 2, (6, 5, 3)


def make(initial_weights=None):
    rng = np.random.default_rng(0)
    labels = rng.uniform(0.1, 1, (STEPS, BATCH, CLASSES))
    return DistilledDataset(
        rng.standard_normal((STEPS, BATCH, *SHAPE)),
        labels / labels.sum(-1, keepdims=True),
        rng.uniform(0.01, 0.2, (2, STEPS)),
        normalization=Normalization((0.3, 0.4, 0.5), (0.2, 0.25, 0.3)),
        class_names=("cat", "dog"),
        initial_weights=initial_weights,
    )


@pytest.fixture(scope="module")
def distilled():
    return make()


@pytest.fixture(scope="module")
def for_one_network():
    return make([np.float32([1, 2]), np.float32([[3]])])


def elsewhere(program, *arguments):
    """Runs a program in a process of its own, away from this package."""
    program += "\nimport sys\nassert 'tfdistill' not in sys.modules"
    process = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=300,
    )
    assert process.returncode == 0, process.stderr


NPZ = """
import sys, numpy as np
path, expected = sys.argv[1:]
with np.load(path, allow_pickle=False) as data, np.load(expected) as wanted:
    for key in wanted:
        np.testing.assert_array_equal(data[key], wanted[key])
    assert data["class_names"].tolist() == ["cat", "dog"]
    assert data["initial_weights_1"].tolist() == [[3]]
    raw = data["images"] * data["std"] + data["mean"]
    np.testing.assert_allclose((raw - data["mean"]) / data["std"], data["images"],
                               atol=1e-5)
"""


def test_numpy_reads_the_npz(for_one_network, tmp_path):
    distilled = for_one_network
    distilled.to_npz(tmp_path / "d.npz")
    np.savez(
        tmp_path / "expected.npz",
        images=distilled.images,
        labels=distilled.labels,
        learning_rates=distilled.learning_rates,
        mean=np.float32([0.3, 0.4, 0.5]),
        std=np.float32([0.2, 0.25, 0.3]),
        scale=np.float32(255),
    )
    elsewhere(NPZ, tmp_path / "d.npz", tmp_path / "expected.npz")
    assert sorted(os.listdir(tmp_path)) == ["d.npz", "expected.npz"]


PARQUET = """
import sys, datasets, numpy as np
datasets.disable_progress_bars()
path, npz, cache = sys.argv[1:]
data = datasets.load_dataset("parquet", data_files=path, split="train", cache_dir=cache)
assert data.features["label"].names == ["cat", "dog"]
with np.load(npz) as wanted:
    steps = len(wanted["images"])
    rows = data.with_format("numpy")
    pixels = np.stack([np.asarray(x) for x in rows["pixels"]])
    np.testing.assert_array_equal(pixels.reshape(wanted["images"].shape),
                                  wanted["images"])
    labels = np.stack(rows["soft_label"][:])
    np.testing.assert_array_equal(labels.reshape(wanted["labels"].shape),
                                  wanted["labels"])
    np.testing.assert_array_equal(rows["label"][:], labels.argmax(-1))
    rates = np.stack(rows["learning_rates"][:]).reshape(steps, -1, 2)
    np.testing.assert_array_equal(rates[:, 0].T, wanted["learning_rates"])
    first = data[0]
    assert first["image"].size == (5, 6) and first["image"].mode == "RGB"
    shown = np.clip(wanted["images"][0, 0] * wanted["std"] + wanted["mean"], 0, 1)
    np.testing.assert_allclose(np.asarray(first["image"]) / 255, shown, atol=0.003)
    np.testing.assert_allclose(first["mean"], wanted["mean"])
    columns = {"soft_label": "labels", "pixels": "images"}
    assert {columns.get(n, n) for n in data.column_names} >= {*wanted} - {"class_names"}
    for name in ("inner_optimizer", "objective", "recipe"):
        assert set(data[name]) == {str(wanted[name])}
"""


def test_hugging_face_reads_the_parquet(distilled, tmp_path):
    pytest.importorskip("datasets", reason="needs the extra [huggingface]")
    distilled.to_parquet(tmp_path / "d.parquet")
    distilled.to_npz(tmp_path / "d.npz")
    elsewhere(
        PARQUET, tmp_path / "d.parquet", tmp_path / "d.npz", tmp_path / "datasets"
    )


def test_what_else_files_hold_is_no_name_for_hyperparameters(tmp_path):
    objective = tfdistill.LeastSquares(judged_by="cross_entropy")
    data = make([np.zeros(2)]).replace(objective=objective)
    data.save(tmp_path / "d")
    data.to_npz(tmp_path / "d.npz")
    features = json.loads((tmp_path / "d" / "features.json").read_text())
    held = {
        *json.loads((tmp_path / "d" / "tfdistill.json").read_text()),
        *features["featuresDict"]["features"],
        *np.load(tmp_path / "d.npz"),
    }
    if importlib.util.find_spec("datasets"):
        import pyarrow.parquet

        data.replace(initial_weights=None).to_parquet(tmp_path / "d.parquet")
        held |= {*pyarrow.parquet.read_schema(tmp_path / "d.parquet").names}
    else:
        held.add("pixels")
    own = {*data.recipe.columns(), "initial_weights_0"}
    assert held - own == plurals.TAKEN - {"soft_labels"}


def test_parquet_has_no_place_for_fixed_weights(for_one_network, tmp_path):
    with pytest.raises(ValueError, match="fixed initial weights.*write a .npz file"):
        for_one_network.to_parquet(tmp_path / "d.parquet")
    for_one_network.save(tmp_path / "run" / "distilled")
    output = f"--output={tmp_path / 'd.parquet'}"
    process = command(f"--workdir={tmp_path / 'run'}", output)
    assert process.returncode == 2 and "write a .npz file" in process.stderr
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_the_files_say_how_to_train(distilled, tmp_path, form):
    recipe = tfdistill.OrdinaryTraining(updates=7, learning_rate=0.25)
    ordinary = DistilledDataset(
        distilled.images,
        distilled.labels,
        recipe=recipe,
        normalization=distilled.normalization,
        class_names=distilled.class_names,
    )
    path = str(tmp_path / f"d.{form}")
    if form == "npz":
        ordinary.to_npz(path)
        text = str(np.load(path)["recipe"])
    else:
        datasets = pytest.importorskip("datasets", reason="needs [huggingface]")
        ordinary.to_parquet(path)
        rows = datasets.Dataset.from_parquet(path, cache_dir=str(tmp_path))
        (text,) = set(rows["recipe"])
    assert json.loads(text) == recipe.to_config()


SERVED = """
import sys, numpy as np, tensorflow as tf
try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:  # the same, in TensorFlow
    Interpreter = tf.lite.Interpreter
folder, lite, npz = sys.argv[1:]
with np.load(npz) as arrays:
    raw, wanted = arrays["raw"], arrays["logits"]
model = tf.saved_model.load(folder)
np.testing.assert_allclose(model.serve(raw), wanted, atol=1e-5)
runner = Interpreter(lite).get_signature_runner()
(name,) = runner.get_input_details()
(logits,) = runner(**{name: raw}).values()
np.testing.assert_allclose(logits, wanted, atol=1e-4)
"""


@pytest.mark.slow
def test_tensorflow_and_litert_serve_the_student(distilled, tmp_path):
    model = distilled.train(tfdistill.students.mlp(SHAPE, CLASSES))
    raw = np.random.default_rng(1).integers(0, 256, (7, *SHAPE), "uint8")
    np.savez(
        tmp_path / "expected.npz",
        raw=raw,
        logits=model(distilled.normalization.normalize(raw)),
    )
    served = distilled.serving_model(model)
    served.export(tmp_path / "student", verbose=False)
    exports.save_tflite(tmp_path / "student", tmp_path / "student.tflite")
    elsewhere(
        SERVED,
        tmp_path / "student",
        tmp_path / "student.tflite",
        tmp_path / "expected.npz",
    )


def test_a_student_that_litert_cannot_hold(tmp_path):
    with pytest.raises(FileNotFoundError, match="no trained network"):
        exports.save_tflite(tmp_path, tmp_path / "student.tflite")
    inputs = keras.Input((4,))
    outputs = keras.ops.fft((inputs, keras.ops.zeros_like(inputs)))[0]
    keras.Model(inputs, outputs).export(tmp_path / "student", verbose=False)
    with pytest.raises(ValueError, match="LiteRT cannot hold"):
        exports.save_tflite(tmp_path / "student", tmp_path / "student.tflite")
    assert not (tmp_path / "student.tflite").exists()


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_files_are_not_overwritten_unasked(distilled, tmp_path, form):
    if form == "parquet":
        pytest.importorskip("datasets", reason="needs the extra [huggingface]")
    path = tmp_path / f"d.{form}"
    path.write_text("precious")
    write = getattr(distilled, f"to_{form}")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write(path)
    assert path.read_text() == "precious"
    write(path, overwrite=True)
    assert path.stat().st_size > 100 and os.listdir(tmp_path) == [path.name]


def command(*arguments, **options):
    return commands.run("export", *arguments, **options)


def test_command(distilled, tmp_path):
    distilled.save(tmp_path / "run" / "distilled")
    output = tmp_path / "d.npz"
    flags = f"--workdir={tmp_path / 'run'}", f"--output={output}"
    process = command(*flags, fresh=True)
    assert process.returncode == 0, process.stderr
    assert str(output) in process.stdout
    with np.load(output, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["images"], distilled.images)
    process = command(*flags)
    assert process.returncode == 2 and "exists; choose" in process.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--output=d.npz"], "--workdir is missing"),
        (["--workdir=W"], "--output is missing: name a file"),
        (["--workdir=W", "--output=x"], "must be a file that ends in one of .npz, .p"),
        (["--workdir=W", "--output=d.txt"], "--output=d.txt must be"),
    ],
)
def test_bad_input_gets_one_sentence(arguments, says):
    process = command(*arguments)
    assert process.returncode == 2 and says in process.stderr
    assert "Traceback" not in process.stderr
