"""The command line, as a user meets it: in processes of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import run as tfdistill
from commands import start

import tfdistill as library

SMALL = [
    "--student=linear",
    "--outer_steps=6",
    "--report_every=3",
    "--steps=2",
    "--epochs=2",
    "--batch_size=64",
    "--num_students=3",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "run"
    process = tfdistill("distill", f"--workdir={workdir}", *SMALL, fresh=True)
    assert process.returncode == 0, process.stderr
    return workdir, process


@pytest.fixture
def run(finished, tmp_path_factory):
    """A copy of the run for each test: what one writes there is not what others find.

    Returns:
        Its folder, and the process that made it.
    """
    workdir, process = finished
    copy = tmp_path_factory.mktemp("copies") / "run"
    return shutil.copytree(workdir, copy), process


def test_distill_shows_progress_and_the_three_accuracies(run):
    _, process = run
    assert "2/3 learning 6/6 outer steps" in process.stdout
    for row in ("before", "random real images", "distilled images"):
        line = next(x for x in process.stdout.splitlines() if x.startswith(f"  {row}"))
        assert "±" in line and "(3 students)" in line


def test_the_screen_is_ours(run, tmp_path):
    workdir, process = run
    assert process.stderr == ""
    # What is kept off it: if TensorFlow says nothing any more, neither need we.
    output = f"--output={tmp_path / 'distilled.npz'}"
    process = tfdistill(
        "export", f"--workdir={workdir}", output, "--verbose", fresh=True
    )
    assert process.returncode == 0 and "oneDNN" in process.stderr


def test_run_folder(run):
    workdir, _ = run
    assert sorted(os.listdir(workdir)) == [
        ".lock",
        "backup",
        "distilled",
        "flags.txt",
        "images",
        "logs",
        "metrics.json",
        "student",
    ]
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert 0 <= metrics["accuracy_mean"] <= 1 and metrics["accuracy_std"] >= 0
    assert metrics["num_students"] == 3
    assert metrics["student"] == "linear" and metrics["dataset"] == "digits"
    assert metrics["outer_steps"] == 6
    for picture in ("distilled.png", "accuracy.png"):
        assert (workdir / "images" / picture).read_bytes().startswith(b"\x89PNG")


def test_saved_model_takes_raw_images(run):
    tf = pytest.importorskip("tensorflow")
    from tfdistill import load_dataset

    workdir, _ = run
    test = load_dataset("digits").test
    served = tf.saved_model.load(str(workdir / "student" / "1"))
    logits = served.serve(tf.constant(test.images))
    assert logits.shape == (test.num_examples, 10)
    assert np.isfinite(logits).all()


def test_same_command_again_says_it_is_finished(run):
    workdir, _ = run
    before = (workdir / "distilled" / "tfdistill.json").read_bytes()
    process = tfdistill("distill", f"--workdir={workdir}", *SMALL)
    assert process.returncode == 0 and "finished" in process.stdout
    assert (workdir / "distilled" / "tfdistill.json").read_bytes() == before


def test_flags_file_repeats_the_run(run, tmp_path):
    workdir, _ = run
    again = tmp_path / "again"
    process = tfdistill(
        "distill", f"--flagfile={workdir / 'flags.txt'}", f"--workdir={again}"
    )
    assert process.returncode == 0, process.stderr
    from tfdistill import DistilledDataset

    first = DistilledDataset.load(workdir / "distilled")
    second = DistilledDataset.load(again / "distilled")
    np.testing.assert_allclose(first.images, second.images, atol=1e-5)
    np.testing.assert_allclose(first.learning_rates, second.learning_rates, rtol=1e-5)


def test_another_run_in_the_same_folder_is_refused(run):
    workdir, _ = run
    process = tfdistill("distill", f"--workdir={workdir}", *SMALL, "--seed=5")
    refused(process, "holds another run", "--seed=5", "--overwrite")
    assert (workdir / "metrics.json").exists()


def test_evaluate(run):
    workdir, _ = run
    recorded = json.loads((workdir / "metrics.json").read_text())
    process = tfdistill(
        "evaluate", f"--workdir={workdir}", "--num_students=3", fresh=True
    )
    assert process.returncode == 0, process.stderr
    assert "linear on digits" in process.stdout and "(3 students)" in process.stdout
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert metrics["accuracy_mean"] == pytest.approx(
        recorded["accuracy_mean"], abs=2e-3
    )
    assert metrics["random_real"] == recorded["random_real"]
    assert "epochs" in recorded["random_real"]["rates"]
    assert set(metrics) - set(recorded) == {"shuffle_steps", "test_data"}


def test_evaluate_another_architecture_in_another_order(run):
    workdir, _ = run
    process = tfdistill(
        "evaluate",
        f"--workdir={workdir}",
        "--student=mlp",
        "--shuffle_steps",
        "--num_students=2",
    )
    assert process.returncode == 0, process.stderr
    metrics = json.loads((workdir / "metrics-mlp-shuffled.json").read_text())
    assert metrics["student"] == "mlp" and metrics["num_students"] == 2


def test_images_for_any_order_have_no_other_order(tmp_path):
    library.load_distilled("digits/10").save(tmp_path / "run" / "distilled")
    process = tfdistill("evaluate", f"--workdir={tmp_path}/run", "--shuffle_steps")
    refused(process, "--shuffle_steps is for images with steps in an order")
    assert not list((tmp_path / "run").glob("metrics*"))


def test_evaluate_learned_steps_by_ordinary_training(run):
    workdir, _ = run
    recorded = json.loads((workdir / "metrics.json").read_text())
    command = "evaluate", f"--workdir={workdir}", "--num_students=2"
    # A flag of ordinary training means it.
    process = tfdistill(*command, "--updates=40", "--training_rate=0.01")
    assert process.returncode == 0, process.stderr
    assert "ordinary training: 40 updates by Adam at 0.01" in process.stdout
    assert json.loads((workdir / "metrics.json").read_text()) == recorded
    metrics = json.loads((workdir / "metrics-40-updates-0.01.json").read_text())
    assert metrics["updates"] == 40 and metrics["student"] == "linear"
    assert metrics["accuracy_mean"] > 0.4
    refused(tfdistill(*command, "--ordinary", "--shuffle_steps"), "--shuffle_steps")
    refused(tfdistill(*command, "--updates=0"), "--updates=0")
    for changes in ("shift", "flip:no", "turn:0.1"):
        refused(tfdistill(*command, f"--changes={changes}"), "must read like")


def test_evaluations_do_not_replace_each_other(tmp_path):
    """A file is named by all in which a test differs from the run's own."""
    other = tmp_path / "other.npz"
    digits = library.load_dataset("digits")
    images, labels = digits.test.images[:50], digits.test.labels[:50]
    classes = np.arange(50) % 10
    np.savez(other, x_train=images, y_train=classes, x_test=images, y_test=labels)
    workdir = tmp_path / "run"
    copied = tfdistill("distilled", "--name=digits/10", f"--workdir={workdir}")
    assert copied.returncode == 0, copied.stderr
    tested = "evaluate", f"--workdir={workdir}", "--student=linear", "--num_students=1"
    short = "--updates=2"
    for flags in (
        [short],
        [short, f"--dataset={other}"],
        [short, "--changes=flip:0"],
        [short, "--changes="],
        [short, "--training_batch=8"],
    ):
        before = {*workdir.glob("metrics*")}
        process = tfdistill(*tested, "--dataset=digits", *flags)
        assert process.returncode == 0, process.stderr
        assert len({*workdir.glob("metrics*")} - before) == 1


def test_a_set_is_not_copied_into_another_run(run, tmp_path):
    workdir, _ = run
    command = "distilled", "--name=digits/10", "--overwrite"
    process = tfdistill(*command, f"--workdir={workdir}")
    refused(process, "is a run of tfdistill distill")
    (tmp_path / "file").write_text("precious")
    refused(tfdistill(*command, f"--workdir={tmp_path / 'file'}"), "is a file")
    (tmp_path / "distilled").mkdir()
    (tmp_path / "distilled" / "mine").touch()
    refused(tfdistill(*command, f"--workdir={tmp_path}"), "holds no distilled set")
    assert (tmp_path / "distilled" / "mine").exists()


def test_evaluate_on_other_data(run, tmp_path):
    workdir, _ = run
    recorded = json.loads((workdir / "metrics.json").read_text())
    digits = library.load_dataset("digits")
    arrays = {}
    for part, split in (("train", digits.train), ("test", digits.test)):
        arrays |= {f"x_{part}": split.images[:200], f"y_{part}": split.labels[:200]}
    names = np.array(["zero", *"abcdefghi"])
    np.savez(tmp_path / "other.npz", class_names=names, **arrays)
    command = "evaluate", f"--workdir={workdir}", "--num_students=4"
    process = tfdistill(*command, f"--dataset={tmp_path / 'other.npz'}")
    assert process.returncode == 0, process.stderr
    assert "(zero, a, b, c, d, ...) have other names" in process.stdout
    assert "random real" not in process.stdout  # that was measured on digits
    assert json.loads((workdir / "metrics.json").read_text()) == recorded
    metrics = json.loads((workdir / "metrics-on-other.json").read_text())
    assert metrics["dataset"] == "other" and metrics["num_students"] == 4
    np.savez(
        tmp_path / "other.npz", class_names=np.arange(10)[::-1].astype(str), **arrays
    )
    process = tfdistill(*command, f"--dataset={tmp_path / 'other.npz'}")
    assert process.returncode == 2 and "come in another order (9, 8" in process.stderr


def test_own_student_and_own_data(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import keras\n"
        "def net():\n"
        "    return keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(),\n"
        "        keras.layers.BatchNormalization(), keras.layers.Dropout(0.1),\n"
        "        keras.layers.Dense(3)])\n"
    )
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "data.npz",
        x_train=rng.integers(0, 256, (60, 4, 4), "uint8"),
        y_train=np.arange(60) % 3,
        x_test=rng.integers(0, 256, (30, 4, 4), "uint8"),
        y_test=np.arange(30) % 3,
    )
    process = tfdistill(
        "distill",
        "--workdir=run",
        "--dataset=data.npz",
        *SMALL,
        "--student=mine:net",
        "--start=noise",
        "--soft_labels",
        "--initial_weights=fixed",
        cwd=tmp_path,
    )
    assert process.returncode == 0, process.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["student"] == "mine:net"


@pytest.mark.slow
def test_images_that_are_streamed_and_resized(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(60):
        size = rng.integers(6, 12, 2)
        pixels = rng.integers(100, 156, (*size, 3)) + 100 * (number % 3 - 1)
        folder = tmp_path / "images" / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype("uint8")).save(folder / f"{number}.png")
    process = tfdistill(
        "distill",
        "--workdir=run",
        "--dataset=./images",
        "--in_memory=false",
        "--image_size=4",
        *SMALL,
        cwd=tmp_path,
    )
    assert process.returncode == 0, process.stderr
    content = json.loads(
        (tmp_path / "run" / "distilled" / "tfdistill.json").read_text()
    )
    assert content["image_shape"] == [4, 4, 3]


def test_the_test_images_are_used_once_and_the_costs_are_told(run):
    workdir, process = run
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert "nothing on test images" in metrics["selection"]
    for cost in ("bytes", "seconds_learning", "peak_memory_bytes"):
        assert metrics[cost] > 0
    # 2 steps of 10 images of 64 pixels, with 10 numbers for the label of each.
    assert metrics["bytes"] == 2 * 10 * (64 + 10) * 4
    assert [h["outer_step"] for h in metrics["history"]] == [0, 3, 6]
    page = Path(__file__).parents[1] / "docs" / "command_line.md"
    text = page.read_text(encoding="utf-8")
    table = text.split("| key |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| ", table, re.MULTILINE)
    said = {key for row in rows for key in re.findall(r"\w+", row)}
    # The first is of pretrained networks, the second what `evaluate` adds.
    assert said - set(metrics) == {"no_distilled_data", "test_data"}
    assert metrics["seconds_learning"] < metrics["seconds"]
    assert process.stdout.count("Test accuracy") == 1
    count = round(metrics["seconds_learning"])
    learning = f"{count} second{'' if count == 1 else 's'} of learning"
    assert f"6 KiB of images and labels, {learning}, " in process.stdout
    assert "Chosen: nothing on test images" in process.stdout


@pytest.mark.parametrize(
    ("flags", "says", "sets"),
    [
        (["--student=linear", "--num_sets=3"], "2 of 3 sets: more --num_students", 2),
        (["--initial_weights=fixed", "--student=linear"], "linear learns from", 2),
        (["--kind=average_real", "--student=linear"], "1 set", 1),
        (["--kind=k_means", "--nearest_neighbours"], "nearest neighbours", 2),
        (["--kind=optimized_real", "--nearest_neighbours"], "_real, 2 sets, k ", 2),
    ],
)
def test_baseline(flags, says, sets, tmp_path):
    workdir = tmp_path / "run"
    fresh = "--nearest_neighbours" in flags
    sizes = ["--steps=2", *["--num_sets=2"] * ("--kind=average_real" not in flags)]
    sizes += ["--num_students=4"] * (not fresh)
    process = tfdistill("baseline", f"--workdir={workdir}", *sizes, *flags, fresh=fresh)
    assert process.returncode == 0, process.stderr
    assert says in process.stdout
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert metrics["accuracy_mean"] > 0.5 and metrics["num_images"] == 20
    assert metrics["num_sets"] == sets
    assert (workdir / "images" / "distilled.png").exists()
    if "--nearest_neighbours" in flags:
        assert not (workdir / "student").exists()
        return
    assert (workdir / "student" / "1" / "saved_model.pb").exists()
    process = tfdistill("evaluate", f"--workdir={workdir}", "--num_students=2")
    assert process.returncode == 0, process.stderr
    assert "linear on digits" in process.stdout


def test_too_few_real_images_to_compare_with(tmp_path):
    # 15 images of each class in 10 steps: no class has 150 to draw.
    process = tfdistill(
        *("distill", f"--workdir={tmp_path / 'run'}", "--student=linear"),
        *("--steps=10", "--start=noise", "--images_per_class=15", "--epochs=1"),
        "--num_students=2",
        *("--outer_steps=2", "--report_every=1", "--batch_size=64"),
    )
    assert process.returncode == 0, process.stderr
    assert "Nothing is compared with random real images: 150 diff" in process.stdout
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert "random_real" not in metrics and metrics["num_images"] == 1500
    process = tfdistill("report", f"--workdir={tmp_path / 'run'}")
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("command", ["", "distill", "baseline", "evaluate"])
def test_help(command):
    process = tfdistill(*filter(None, [command]), "--help")
    assert process.returncode == 0
    assert "usage" in process.stdout
    assert "--workdir" in process.stdout
    assert "Traceback" not in process.stderr
    asked = tfdistill(*filter(None, ["help", command]))
    assert asked.returncode == 0 and asked.stdout == process.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["distil"], ["'distil'", "distill"]),
        (["distill"], ["--workdir is missing"]),
        (["distill", "--workdir=W", "--dataset=mnits"], ["mnits", "mnist"]),
        (["distill", "--workdir=W", "--dataset=mnist", "--data_dir=D"], ["--download"]),
        (
            ["distill", "--workdir=W", "--student=lenett"],
            ["--student must be one of", "'lenett'; did you mean 'lenet'"],
        ),
        (["distill", "--workdir=W", "--judgements=7"], ["--judgements must divide"]),
        (
            ["distill", "--workdir=W", "--meta_gradient=ridge", "--epochs=3"],
            ["--meta_gradient=ridge", "--recipe=ordinary and --epochs=1"],
        ),
        (["distill", "--workdir=W", "--student=alexnet"], ["alexnet", "63"]),
        (["distill", "--workdir=W", "--steps=0"], ["steps", "0"]),
        (["distill", "--workdir=W", "--images_per_class=-1"], ["images_per_class"]),
        (
            ["distill", "--workdir=W", "--images_per_class=150"],
            ["150 diff", "128"],
        ),
        (["distill", "--workdir=/proc/run"], ["--workdir=/proc/run cannot be written"]),
        (["distill", "--workdir=W", "--epochs=many"], ["epochs", "many"]),
        (["distill", "--workdir=W", "--validation=1.5"], ["validation", "1.5"]),
        (["baseline"], ["--workdir is missing"]),
        (["baseline", "--workdir=W", "--kind=kmeans"], ["kmeans", "k_means"]),
        (["baseline", "--workdir=W", "--kind=k_means", "--steps=200"], ["centroids"]),
        (
            ["baseline", "--workdir=W", "--learned_rates=W"],
            ["learned_rates=W: there is no"],
        ),
        (["distill", "--workdir=W", "--ema=nan"], ["--ema must be a finite number"]),
        (
            ["distill", "--workdir=W", "--strategy=multi_worker", "--minutes=1"],
            ["multi_worker", "--outer_steps"],
        ),
        (["distill", "--workdir=W", "--stepz=3"], ["stepz", "steps"]),
        (["distill", "--workdir=W", "extra"], ["'extra'"]),
        (["evaluate", "--workdir=W"], ["--workdir=W: there is no such folder"]),
        (["report", "--workdir=W"], ["--workdir=W: there is no such folder"]),
        (["search", "--distilled=N", "--workdir=W"], ["--distilled=N: there is no"]),
        (
            ["audit", "--workdir=W", "--apply=C"],
            ["--workdir=W holds no audit", "tfdistill audit --dataset=... --workdir=W"],
        ),
    ],
)
def test_bad_input_gets_one_sentence(arguments, says, tmp_path):
    process = tfdistill(*arguments, cwd=tmp_path)
    refused(process, *says)
    assert not (tmp_path / "W").exists()


def test_workdir_that_cannot_be_a_run_folder(tmp_path):
    (tmp_path / "file").write_text("precious")
    process = tfdistill("distill", f"--workdir={tmp_path / 'file'}", *SMALL)
    refused(process, "is a file")
    process = tfdistill("distill", f"--workdir={tmp_path}", *SMALL)
    refused(process, "is not empty")
    assert (tmp_path / "file").read_text() == "precious"


def test_damaged_distilled_data_is_refused(run):
    workdir, _ = run
    records = workdir / "distilled" / "distilled-train.tfrecord-00000-of-00001"
    records.write_bytes(records.read_bytes()[:-100])
    refused(tfdistill("evaluate", f"--workdir={workdir}"), "truncated")


def refused(process, *says):
    assert process.returncode == 2, process.stdout + process.stderr
    lines = process.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("tfdistill: "), process.stderr
    for text in says:
        assert text in lines[0]


@pytest.mark.parametrize("arguments", [[], ["--shuffle_steps"]], ids=str)
def test_evaluating_an_unfinished_run_does_not_finish_it(tmp_path, arguments):
    """As it is when a run is killed between its images and its metrics."""
    digits = library.load_dataset("digits")
    data = library.baselines.random_real(digits, steps=1)
    data = data.replace(student="linear", provenance={"load": {"dataset": "digits"}})
    data.save(tmp_path / "run" / "distilled")
    (tmp_path / "run" / "flags.txt").write_text("--dataset=digits\n")
    journal = tmp_path / "run" / "journal"
    journal.mkdir()
    process = tfdistill(
        *["evaluate", f"--workdir={tmp_path}/run", "--num_students=1", *arguments]
    )
    assert process.returncode == 0, process.stderr
    assert "is not finished" in process.stdout and journal.exists()
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert len(list((tmp_path / "run").glob("metrics-linear*.json"))) == 1
    process = tfdistill("report", f"--workdir={tmp_path}/run")
    assert process.returncode == 2 and "holds no finished run" in process.stderr


def test_a_run_of_another_command(run, tmp_path):
    """No flags are compared, and nothing of the run is changed."""
    workdir, _ = run
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    other = f"--workdir={workdir} is a run of tfdistill distill; choose another"
    for arguments in (
        ["audit", "--apply=corrected"],
        ["audit", "--apply=corrected", "--dataset=digits"],
        ["baseline", "--steps=1", "--student=linear"],
        ["audit", "--dataset=digits", "--student=linear", "--overwrite"],
    ):
        process = tfdistill(*arguments, f"--workdir={workdir}", cwd=tmp_path)
        refused(process, other)
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "flags.txt").write_text("# command: audit\n--steps=10\n")
    export = ["export", "--workdir=audit", "--output=x.npz"]
    for arguments in (
        *(["evaluate", "--workdir=audit"], ["report", "--workdir=audit"], export),
        ["search", "--distilled=audit", "--workdir=W"],
    ):
        process = tfdistill(*arguments, cwd=tmp_path)
        refused(process, "is a run of tfdistill audit, which makes no distilled images")
    assert before == {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    assert [path.name for path in tmp_path.iterdir()] == ["audit"]


def test_a_run_that_has_no_result_yet(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "flags.txt").write_text("# command: distill\n--steps=10\n")
    for arguments in (
        *(["evaluate"], ["report"], ["export", "--output=x.npz"]),
        ["export", "--output=x.tflite"],
    ):
        process = tfdistill(*arguments, "--workdir=r", cwd=tmp_path)
        says = "is not finished", "the same command of tfdistill distill goes on"
        refused(process, *says)


def test_learned_rates_of_other_data(run, tmp_path):
    """The built-in data is no answer to rates that were learned for other images."""
    workdir, _ = run
    images = np.zeros((40, 4, 4), "uint8")
    np.savez(tmp_path / "d.npz", x_train=images, y_train=np.arange(40) % 2)
    process = tfdistill(
        *["baseline", f"--learned_rates={workdir}", "--dataset=./d.npz"],
        *["--steps=1", "--student=linear", "--workdir=W"],
        cwd=tmp_path,
    )
    refused(process, "The distilled images have the shape (8, 8, 1), but those of")


@pytest.mark.parametrize("arguments", [["distilled"], ["help", "distill"]], ids=str)
def test_output_that_is_cut(arguments):
    """As by `| head`, which reads some lines and goes."""
    process = start(*arguments)
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(60) == 128 + signal.SIGPIPE


def test_errors_that_are_closed():
    command = f"{sys.executable} -m tfdistill distilled 2>&-"
    process = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert process.returncode == 0 and "digits/10: " in process.stdout
