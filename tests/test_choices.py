"""Nothing is chosen on test images: all choices are alike whatever their labels are."""

import json
import re

import commands
import numpy as np
import pytest
from search_spaces import widths

import tfdistill

BASELINE = "baseline", "--student=linear", "--steps=2"


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Two files that differ in test labels: what is right in one is wrong in the other.

    What would be best on the test images of one is the worst on those of the other.
    """
    digits, folder = tfdistill.load_dataset("digits"), tmp_path_factory.mktemp("data")
    found = [folder / "right.npz", folder / "wrong.npz"]
    for turn, path in enumerate(found):
        np.savez(
            path,
            x_train=digits.train.images[:500],
            y_train=digits.train.labels[:500],
            x_test=digits.test.images,
            y_test=(digits.test.labels + turn) % 10,
        )
    return found


def chosen(workdir, output):
    """What a run of a command has chosen, watched and learned."""
    metrics = json.loads((workdir / "metrics.json").read_text())
    data = tfdistill.DistilledDataset.load(workdir / "distilled")
    return {
        "images": data.images.tolist(),
        "rates": data.learning_rates.tolist(),
        "what networks say": np.sum(metrics["confusion"], 0).tolist(),
        "chosen": metrics.get("chosen"),
        "sets": metrics.get("num_sets"),
        "history": [
            {key: value for key, value in entry.items() if key != "seconds"}
            for entry in metrics.get("history", [])
        ],
        "random real images": {*re.findall(r"random real \S+ %", output)},
    }


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(
            (
                *("distill", "--student=linear", "--steps=2", "--epochs=2"),
                *("--num_students=2", "--outer_steps=2", "--report_every=1"),
            ),
            marks=pytest.mark.slow,
            id="distill",
        ),
        pytest.param(
            (*BASELINE, "--kind=optimized_real", "--num_sets=1", "--num_students=2"),
            marks=pytest.mark.slow,
            id="optimized_real",
        ),
        pytest.param(
            ("baseline", "--steps=2", "--nearest_neighbours", "--num_sets=2"),
            id="nearest_neighbours",
        ),
        pytest.param(
            (
                *("baseline", "--steps=2", "--nearest_neighbours", "--num_sets=2"),
                "--kind=optimized_real",
            ),
            id="the best of nearest_neighbours",
        ),
    ],
)
def test_commands(flags, paths, tmp_path):
    found, accuracies = [], []
    for path in paths:
        workdir = tmp_path / path.stem
        data = f"--dataset={path}", f"--workdir={workdir}"
        found.append(chosen(workdir, commands.succeed(*flags, *data)))
        metrics = json.loads((workdir / "metrics.json").read_text())
        accuracies.append(metrics.get("random_real", metrics)["accuracy_mean"])
    right, wrong = found
    for what, choice in right.items():
        assert choice == wrong[what], what
    if "distill" in flags:
        assert len(right["history"]) == 3 and right["random real images"]
    else:
        assert right["chosen"]
    assert accuracies[0] > 0.4 > 0.2 > accuracies[1]  # those labels were read


def test_searches(paths, tmp_path):
    found = []
    for path in paths:
        digits = tfdistill.load_dataset(str(path)).hold_out(0.2)
        distilled = tfdistill.baselines.random_real(digits, steps=4).by_adam(10)
        search = tfdistill.architecture_search.Search(
            widths, distilled, digits, tmp_path / path.stem
        )
        search.explore(2)
        search.compare(2, epochs=1, batch_size=32)
        found.append([(c.values, c.score, c.real_accuracy) for c in search.ranking])
    right, wrong = found
    assert right == wrong and len(right) == 2
    assert all(None not in candidate for candidate in right)
