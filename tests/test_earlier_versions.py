"""What an earlier version wrote is read, gone on with, and made again alike."""

import json
import re
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import commands
import numpy as np
import pytest

import tfdistill

FOLDER = Path(__file__).parent / "earlier_versions"
# The flags of each run by its name, as they were given then: not from flags.txt, for a
# default that changes would make another run of the same command.
COMMANDS = {
    name: (command, shlex.split(flags))
    for command, name, flags in re.findall(
        r"^tfdistill (\w+) --workdir=(\w+) (.*)$",
        (FOLDER / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
}
FINISHED = ["momentum", "fixed", "k_means", "pretrained"]
KILLED = ["images_killed", "generator_killed"]
# Not "real": a seed draws other real images now (CHANGELOG.md, "Changed").
REPEATED = ["adam", "attack", "pretrained"]


def run(folder, lines):
    """Runs commands in a folder, one after the other."""
    return [commands.run(*arguments, cwd=folder) for arguments in lines]


def same_command(name, workdir=None):
    command, flags = COMMANDS[name]
    return [command, f"--workdir={workdir or name}", *flags]


def evaluate_command(name):
    # The seed of the run: the students are those that the earlier version tested.
    (seed,) = [flag for flag in COMMANDS[name][1] if flag.startswith("--seed=")]
    students = f"--num_students={metrics(FOLDER, name)['num_students']}"
    return ["evaluate", f"--workdir={name}", students, seed, "--threads=2"]


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    return shutil.copytree(FOLDER, tmp_path_factory.mktemp("earlier") / "versions")


@pytest.fixture(scope="module")
def output(copied):
    """What a job's commands print, by the job's name; two jobs run at once."""
    jobs = {name: [same_command(name)] for name in KILLED}
    for name in REPEATED:
        jobs[f"{name} again"] = [same_command(name, f"{name}_again")]
    for name in FINISHED:
        jobs[name] = [same_command(name), evaluate_command(name)]
    jobs["pool"] = [same_command("pool")]
    jobs["report"] = [
        ["report", f"--workdir={','.join(FINISHED)}", "--output=all.html"]
    ]
    with ThreadPoolExecutor(2) as executor:
        started = {
            name: executor.submit(run, copied, lines) for name, lines in jobs.items()
        }

        def output(name):
            processes = started[name].result()
            for process in processes:
                assert process.returncode == 0, process.stdout + process.stderr
            return [process.stdout for process in processes]

        yield output
        executor.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits")


def metrics(folder, name):
    return json.loads((folder / name / "metrics.json").read_text(encoding="utf-8"))


def load(folder, name):
    return tfdistill.DistilledDataset.load(folder / name / "distilled")


def assert_as_before(distilled, name):
    """Compares data with what the earlier version made by the same flags."""
    if (FOLDER / name / "distilled").exists():
        before = load(FOLDER, name)
        expected = {
            key: getattr(before, key)
            for key in ("images", "labels", "learning_rates", "momenta")
            if getattr(before, key) is not None
        }
    else:
        with np.load(FOLDER / "results" / f"{name}.npz") as arrays:
            expected = dict(arrays)
    assert ("momenta" in expected) == (distilled.momenta is not None)
    for key, values in expected.items():
        np.testing.assert_allclose(
            getattr(distilled, key), values, rtol=0, atol=1e-5, err_msg=key
        )


def test_all_that_is_kept_is_known():
    kept = {path.name for path in FOLDER.iterdir() if path.is_dir()}
    kept -= {"results", "student"}
    results = {path.stem for path in (FOLDER / "results").iterdir()}
    assert kept | results == set(COMMANDS)


@pytest.mark.parametrize("name", FINISHED)
def test_distilled_data_load(name):
    distilled = load(FOLDER, name)
    assert distilled.images.shape == (2, 10, 8, 8, 1)
    assert distilled.student == "linear" and len(distilled.class_names) == 10
    assert (distilled.initial_weights is not None) == (name == "fixed")
    assert (distilled.momenta is not None) == (name == "momentum")
    hard = (distilled.labels.max(-1) == 1).all()
    assert hard == (name != "momentum")
    flags = (FOLDER / name / "flags.txt").read_text(encoding="utf-8")
    assert distilled.provenance["flags"] == flags
    assert distilled.provenance["load"]["dataset"] == "digits"


@pytest.mark.parametrize("name", FINISHED)
def test_distilled_data_are_worth_what_they_were(name, digits):
    known = metrics(FOLDER, name)
    weights = None
    if name == "pretrained":
        weights = tfdistill.PretrainedWeights(FOLDER / "pool")
    result = tfdistill.evaluate(
        load(FOLDER, name),
        "linear",
        digits.test,
        known["num_students"],
        initial_weights=weights,
        seed=known["seed"],
    )
    # There were two sets of the baseline, each with a student, of which one is kept.
    tolerance = 0.05 if name == "k_means" else 2e-3
    assert result.accuracy_mean == pytest.approx(known["accuracy_mean"], abs=tolerance)


def test_a_pool_loads(digits):
    pool = tfdistill.Pool.load(FOLDER / "pool")
    assert (len(pool.training), len(pool.held_out)) == (2, 1)
    assert pool.student == "linear" and pool.dataset == "digits"
    assert pool.num_classes == 10
    for member in pool.members:
        (values,) = pool.values(
            [member], lambda: tfdistill.students.build("linear", (8, 8, 1), 10)
        )
        kernel, bias = values
        images, labels = digits.test.images, digits.test.labels
        flat = pool.normalization.normalize(images).numpy().reshape(len(images), -1)
        accuracy = np.mean((flat @ kernel + bias).argmax(1) == labels)
        assert accuracy == pytest.approx(member.accuracy, abs=2e-3)


def test_one_of_a_pool_is_a_fixed_start(digits):
    synthesizer = tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
    weights = tfdistill.FixedWeights(FOLDER / "pool", 1)
    distiller = tfdistill.Distiller("linear", synthesizer, weights)
    distiller.compile()
    saved = distiller.distilled().initial_weights
    pool = tfdistill.Pool.load(FOLDER / "pool")
    (expected,) = pool.values(
        pool.training[1:], lambda: tfdistill.students.build("linear", (8, 8, 1), 10)
    )
    for value, other in zip(saved, expected, strict=True):
        np.testing.assert_array_equal(value, other)


def test_a_baseline_chooses_the_same_images(digits):
    known = load(FOLDER, "k_means")
    images = tfdistill.baselines.k_means(
        digits.hold_out(0.1, seed=3), images_per_class=1, steps=2, seed=3
    ).images
    np.testing.assert_allclose(images, known.images, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLED)
def test_an_interrupted_run_ends_as_an_undisturbed_one(name, output, copied):
    (said,) = output(name)
    assert "Going on after outer step 4." in said
    assert metrics(copied, name)["outer_steps"] == 12
    assert_as_before(load(copied, name), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", REPEATED)
def test_the_same_flags_give_the_same_images(name, output, copied):
    output(f"{name} again")
    assert_as_before(load(copied, f"{name}_again"), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", FINISHED)
def test_a_finished_run_is_known_and_evaluated(name, output, copied):
    again, evaluated = output(name)
    assert f"{name} holds this run, finished" in again
    known, found = metrics(FOLDER, name), metrics(copied, name)
    # The pool holds out one network, which counted twice.
    count = 1 if name == "pretrained" else known["num_students"]
    assert f"({count} student" in evaluated
    tolerance = 0.05 if name == "k_means" else 2e-3
    assert found["accuracy_mean"] == pytest.approx(
        known["accuracy_mean"], abs=tolerance
    )
    # What is not tested again is kept.
    assert known.keys() <= found.keys()
    assert found["selection"] == known["selection"]


@pytest.mark.slow
def test_a_finished_pool_is_known(output):
    (said,) = output("pool")
    assert "pool holds this pool, finished" in said


@pytest.mark.slow
def test_a_report_shows_them_all(output, copied):
    output("report")
    page = (copied / "all.html").read_text(encoding="utf-8")
    for name in FINISHED:
        assert name in page
