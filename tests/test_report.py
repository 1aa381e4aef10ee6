"""The report: one page of a real run, with everything inside."""

import base64
import html.parser
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tfdistill import DistilledDataset
from tfdistill.reporting import report


def tfdistill(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tfdistill", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "TF_CPP_MIN_LOG_LEVEL": "2"},
        timeout=300,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run, with the evaluation of another network in another order."""
    workdir = tmp_path_factory.mktemp("runs") / "first"
    for arguments in (
        ["distill", "--student=linear", "--outer_steps=4", "--report_every=2"]
        + ["--steps=2", "--epochs=2", "--soft_labels", "--num_students=2"],
        ["evaluate", "--student=mlp", "--shuffle_steps", "--num_students=2"],
    ):
        process = tfdistill(*arguments, f"--workdir={workdir}")
        assert process.returncode == 0, process.stderr
    return workdir


class Page(html.parser.HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(source)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data + " "

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(run):
    return Page(report.page([run]))


def test_everything_is_inside(page):
    assert len(page.all("svg")) == 2
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert not page.all("script") and not page.all("link")


def test_accuracies_are_those_of_the_run(run, page):
    metrics = json.loads((run / "metrics.json").read_text())
    other = json.loads((run / "metrics-mlp-shuffled.json").read_text())
    for result in (metrics, metrics["before"], metrics["random_real"], other):
        mean, std = 100 * result["accuracy_mean"], 100 * result["accuracy_std"]
        assert f"{mean:.2f} ± {std:.2f} %" in page.text
    assert "distilled images, in another order mlp" in page.text
    counts = np.array(metrics["confusion"])
    assert counts.sum() == 2 * 359 and counts.shape == (10, 10)
    assert np.trace(counts) / counts.sum() == pytest.approx(metrics["accuracy_mean"])
    assert f"3 as 3: {100 * counts[3, 3] / counts[3].sum():.1f} %" in [
        cell.get("title") for cell in page.all("td")
    ]


def test_pictures_are_the_distilled_images(run, page):
    distilled = DistilledDataset.load(run / "distilled")
    pictures = page.all("img")
    assert len(pictures) == distilled.num_images
    shown = distilled.normalization.displayable(distilled.images).reshape(-1, 8, 8)
    for picture, image in zip(pictures, shown):
        content = base64.b64decode(picture["src"].split(",")[1])
        pixels = np.asarray(Image.open(io.BytesIO(content)))
        np.testing.assert_allclose(pixels / 255, image, atol=0.003)
    for rate in distilled.learning_rates.ravel():
        assert f"{rate:.3g}" in page.text


def test_how_to_repeat_it(run, page):
    assert f"--flagfile={run}/flags.txt --workdir=again" in page.text
    flags = (run / "flags.txt").read_text().split()
    assert f"tfdistill distill --workdir=again {' '.join(flags)}" in page.text


def test_several_runs_on_one_page(run, tmp_path):
    other = tmp_path / "second & last"
    shutil.copytree(run, other)
    distilled = DistilledDataset.load(other / "distilled")
    flags = distilled.provenance["flags"].replace("--seed=0", "--seed=17")
    distilled = distilled.replace(provenance={"flags": flags})
    distilled.save(other / "distilled", overwrite=True)
    page = Page(report.page([run, other]))
    assert (
        "2 runs of tfdistill" in page.text and "Flag first second & last" in page.text
    )
    assert "seed 0 17" in page.text and "outer_steps 4 4" not in page.text
    assert len(page.all("svg")) == 3  # one chart of both, and the rates of each


def test_command(run, tmp_path):
    process = tfdistill("report", f"--workdir={run}")
    assert process.returncode == 0, process.stderr
    assert f"{run}/report.html shows {run}" in process.stdout
    assert (run / "report.html").read_text().startswith(report.MARK)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--workdir is missing"),
        (["--workdir=absent"], "absent holds no finished run"),
        (["--workdir=absent", "--output=/"], "--output=/ is a folder"),
        (["--workdir=absent", "--output=README.md"], "README.md is no report"),
    ],
)
def test_bad_input_gets_one_sentence(arguments, says):
    process = tfdistill("report", *arguments)
    assert process.returncode == 2 and says in process.stderr
    assert "Traceback" not in process.stderr


def test_damaged_metrics_are_named(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "metrics.json").write_text("{")
    with pytest.raises(ValueError, match="metrics.json is damaged"):
        report.page([tmp_path / "run"])
