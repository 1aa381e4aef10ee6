"""The report: one page of a real run, with everything inside."""

import base64
import dataclasses
import html
import html.parser
import io
import json
import re
import shlex
import shutil
import warnings

import keras
import numpy as np
import pytest
from commands import run as tfdistill
from PIL import Image
from test_summaries import CASES, learn, many

import tfdistill as library
from tfdistill import DistilledDataset
from tfdistill.cli import main, useless_flags
from tfdistill.reporting import measure as measures
from tfdistill.reporting import report
from tfdistill.runs import headings


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run; what others learn in another order, or by ordinary training."""
    workdir = tmp_path_factory.mktemp("runs") / "first"
    for arguments in (
        ["distill", "--student=linear", "--outer_steps=4", "--report_every=2"]
        + ["--steps=2", "--epochs=2", "--soft_labels", "--num_students=2"],
        ["evaluate", "--student=mlp", "--shuffle_steps", "--num_students=2"],
        ["evaluate", "--updates=3", "--num_students=2"],
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
    tested = [metrics[key] for key in ("before", "random_real", "shuffled")]
    for result in (*tested, metrics, other):
        mean, std = 100 * result["accuracy_mean"], 100 * result["accuracy_std"]
        assert f"{mean:.2f} ± {std:.2f} %" in page.text
    found = [row["what"] for row in report.Run.of_folder(run).rows[:4]]
    assert found[:2] == ["the images before", "random real images"]
    assert found[2:] == ["distilled images", "their steps shuffled"]
    assert "distilled images, in another order mlp" in page.text
    assert "distilled images, by 3 ordinary updates from a rate of 0.001" in page.text
    counts = np.array(metrics["confusion"])
    assert counts.sum() == 2 * 359 and counts.shape == (10, 10)
    assert np.trace(counts) / counts.sum() == pytest.approx(metrics["accuracy_mean"])
    assert f"3 as 3: {100 * counts[3, 3] / counts[3].sum():.1f} %" in [
        cell.get("title") for cell in page.all("td")
    ]


def test_what_a_page_says_is_in_words(run, page):
    """Who learns, what took the time, what labels are and that figures are rounded."""
    assert "for linear, which start from random weights;" in page.text
    assert re.search(
        r"\d s in all, \d+ s of it learning; at most \d\.\d GiB", page.text
    )
    assert "the most likely class of a learned one, which may have moved" in page.text
    assert "rows need not sum to 100" in page.text
    assert len(page.all("details")) == 1  # one of two commands is enough
    weights = main.command("distill").flags["initial_weights"].choices
    assert set(report._STARTS) == set(weights)


def test_a_picture_says_that_labels_are_learned_if_they_are(run):
    learned = DistilledDataset.load(run / "distilled")
    given = many(np.zeros((1, 2, 4, 4, 1)))
    centred = given.replace(labels=given.labels - 0.5, objective="least_squares")
    for data, says in ((learned, True), (given, False), (centred, False)):
        figure = library.plots.distilled_images(data)
        assert ("may have moved" in figure.get_supxlabel().replace("\n", " ")) == says


def test_cells_of_a_confusion_are_never_a_lone_nought():
    counts = np.array([[[996, 4], [0, 1000]]])
    result = library.Evaluation.of_confusion(counts, np.zeros(1))
    figure = library.figures.confusion(result)
    assert [text.get_text() for text in figure.axes[0].texts] == [
        ">99",
        "<1",
        "100",
    ]
    data = many(np.zeros((1, 2, 4, 4, 1)))
    page = Page(report.page(report.Run.of_results(data, {"images": result})))
    assert "a >99 <1 b 100" in page.text


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
    lines = (run / "flags.txt").read_text().split("\n")
    flags = [line for line in lines if line and not line.startswith("#")]
    (told,) = re.findall(r"tfdistill distill --workdir=again (--.*?) [^-]", page.text)
    # The whole record has flags, too, that have no use beside the others.
    assert set(told.split()) < set(flags) and "--learned_rates" in told
    assert "--penalty" not in told and "--penalty=1e-06" in flags
    command = main.command("distill")
    again = command.parse([*told.split(), "--workdir=again"])
    assert command.record(again) == "\n".join(flags) + "\n"


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
    # Two charts of both, by outer steps and by seconds, and the rates of each.
    assert len(page.all("svg")) == 4
    assert "seconds of learning" in page.text


def test_runs_differ_in_flags_that_one_of_them_lacks(run):
    first = report.Run.of_folder(run)
    more = {**first.flags, "changes": "none"}
    second = dataclasses.replace(first, name="second", flags=more)
    in_python = dataclasses.replace(first, name="python", flags={})
    page = Page(report.page([first, second, in_python]))
    assert "Flag first second python changes – none – " in page.text
    baseline = dataclasses.replace(first, flags={**first.flags, "kind": "k_means"})
    for other in (in_python, baseline):
        assert "Where they differ" not in Page(report.page([first, other])).text


def test_only_runs_of_one_data_set_compare(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    path = other / "metrics.json"
    worse = json.loads(path.read_text()) | {"dataset": "letters", "accuracy_mean": 0.1}
    path.write_text(json.dumps(worse))
    page = Page(report.page([run, other]))
    assert "Test accuracy on digits" in page.text
    assert "Test accuracy on letters" in page.text
    alone = Page(report.page([run]))
    marked = [
        len([t for t in p.all("tr") if t.get("class") == "main"]) for p in (page, alone)
    ]
    assert marked[0] == 2 * marked[1] + 2  # each is the best of its data set


@pytest.mark.parametrize(
    ("parts", "together"),
    [
        (["a-1", "b-1"], ["0", "1"]),
        (["a-1", "a-2", "a-1"], ["02", "1"]),
        (["", "a-1", "a"], ["012"]),  # as earlier versions wrote, or as a stream
        (["", "a-1", "b-1", ""], ["03", "1", "2"]),
        (["", "a", "a-1", "a-2"], ["0", "1", "2", "3"]),
    ],
)
def test_only_runs_of_one_test_part_compare(run, tmp_path, parts, together):
    first, runs = report.Run.of_folder(run), []
    for number, part in enumerate(parts):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "flags.txt").write_text(f"{headings.TEST}{part}\n" if part else "")
        new = {"name": str(number), "folder": str(folder)}
        runs.append(dataclasses.replace(first, **new))
    groups = report._groups(runs)
    assert ["".join(run.name for run in of["runs"]) for of in groups] == together
    assert len({of["on"] for of in groups}) == len(groups)
    # What `evaluate` measured last is said beside its figures.
    known = dict(first.metrics, test_data="c-1")
    groups = report._groups([dataclasses.replace(r, metrics=known) for r in runs])
    assert len(groups) == 1 and not groups[0]["on"]


def test_headings_tell_test_parts_of_one_name_apart(run, tmp_path):
    shutil.copytree(run, tmp_path / "other")
    path = tmp_path / "other" / "flags.txt"
    path.write_text(f"{path.read_text()}{headings.TEST}0-0\n")
    page = Page(report.page([run, tmp_path / "other"]))
    assert "Test accuracy on digits (test data 1)" in page.text
    assert "Test accuracy on digits (test data 2)" in page.text
    assert "Test accuracy on digits (" not in Page(report.page([run])).text


def test_command(run, tmp_path):
    process = tfdistill("report", f"--workdir={run}", fresh=True)
    assert process.returncode == 0, process.stderr
    assert f"{run}/report.html shows {run}" in process.stdout
    assert (run / "report.html").read_text().startswith(report.MARK)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--workdir is missing"),
        (["--workdir=absent"], "--workdir=absent: there is no such folder"),
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


def test_what_a_killed_evaluation_left_is_no_row(run, tmp_path):
    before = report.Run.of_folder(run).rows
    shutil.copytree(run, tmp_path / "run")
    left = tmp_path / "run" / "metrics-mlp-shuffled.0123abcd.tmp.json"
    for text in ((run / "metrics-mlp-shuffled.json").read_text(), "{"):
        left.write_text(text)
        assert report.Run.of_folder(tmp_path / "run").rows == before


def test_a_report_shows_networks_that_nearly_overflowed(run, tmp_path):
    large = float(np.finfo(np.float32).max)
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "metrics.json"
    content = json.loads(path.read_text())
    content |= {"headline": "loss", "higher_is_better": False}
    for result in (content, content["before"]):
        result |= {"loss_mean": large, "loss_std": large}
    for row in content["history"]:
        row |= {"val_loss": large, "val_loss_std": 0.0}
    path.write_text(json.dumps(content))
    assert "3.403e+38 ± 3.4e+38" in Page(report.page([tmp_path / "run"])).text
    path.write_text(json.dumps({**content, "loss_mean": 10**31}))
    with pytest.raises(ValueError, match="loss_mean must be a number"):
        report.page([tmp_path / "run"])


def test_metrics_without_a_headline_give_the_same_page(run, tmp_path):
    old = tmp_path / run.name
    shutil.copytree(run, old)
    for path in old.glob("metrics*.json"):
        content = json.loads(path.read_text())
        tests = ("before", "random_real", "shuffled")
        for result in (content, *map(content.get, tests)):
            for name in ("headline", "higher_is_better", "shares"):
                assert result is None or result.pop(name) is not None
        path.write_text(json.dumps(content))
    assert report.page([old]) == report.page([run]).replace(str(run), str(old))


@pytest.fixture(scope="module", params=CASES)
def made(request, tmp_path_factory):
    """A run in Python beside the images before: its case, results and `Run`."""
    distilled, student, real, history = learn(
        request.param, tmp_path_factory.mktemp("logs")
    )
    before = distilled.replace(images=np.zeros_like(distilled.images))
    results = {
        name: library.evaluate(data, student, real, 2)
        for name, data in (("no images", before), ("distilled images", distilled))
    }
    made = report.Run.of_results(distilled, results, name="mine", history=history)
    return request.param, results, made


def test_a_run_in_python(made):
    case, results, run = made
    source = report.page([run])
    page, distilled = Page(source), run.distilled
    for result in results.values():
        assert result.summary().split(" ± ")[0] in page.text
    heading, curve = {
        "regression": ("squared error (lower is better)", "Squared error"),
        "own objective": ("explained (higher is better)", "Explained"),
        "vectors": ("accuracy", "Accuracy"),
    }[case]
    assert f"Test {heading} Of fresh networks on the test data" in page.text
    assert f"{curve} against outer steps" in page.text and "4 outer steps" in page.text
    # The curve, the rates and the momenta.
    assert len(page.all("svg")) == 3 and "Learned momentum" in page.text
    assert len(page.all("img")) == distilled.num_images
    caption = distilled.objective.caption(distilled.labels[0, 0], ("pan", "tilt"))
    assert page.all("img")[0]["alt"] == caption and caption in page.text
    assert ("What is taken for what" in page.text) == (case == "vectors")
    assert ("close" in page.text) == (case == "own objective")
    for absent in ("Settings", "How to repeat it", "Selected", "GiB", "None"):
        assert absent not in page.text
    assert "mine 6 images of plane for" in page.text
    assert source.count('class="main"') == 1


def test_commands_are_those_that_repeat_the_run(run, tmp_path):
    given = report.Run.of_folder(run).commands
    assert [words[2] for words in given] == [
        f"--flagfile={run}/flags.txt",
        "--workdir=again",
    ]
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("flags.txt"))
    assert report.Run.of_folder(tmp_path / "run").commands == given[1:]
    assert "not at hand" not in Page(report.page(tmp_path / "run")).text
    data = DistilledDataset.load(run / "distilled")
    data = data.replace(provenance={"flags": ""})  # made in Python
    data.save(tmp_path / "run" / "distilled", overwrite=True)
    assert report.Run.of_folder(tmp_path / "run").commands == []
    page = Page(report.page(tmp_path / "run"))
    assert not page.all("pre") and "How it was made" in page.text


def test_a_report_tells_commands_that_are_taken(run, tmp_path):
    def told(*lines):
        data = DistilledDataset.load(run / "distilled")
        flags = "\n".join([data.provenance["flags"], *lines])
        data = data.replace(provenance={"flags": flags})
        data.save(tmp_path / "a run" / "distilled", overwrite=True)
        (tmp_path / "a run" / "flags.txt").write_text(f"# command: distill\n{flags}")
        ask = main.command("report")
        ask.run(ask.parse([f"--workdir={tmp_path / 'a run'}"]))
        text = Page((tmp_path / "a run" / "report.html").read_text()).text
        found = re.findall(r"tfdistill distill (.*?) (?:Where|tfdistill|Made)", text)
        return [shlex.split(words.partition(" Python")[0]) for words in found]

    shutil.copytree(run, tmp_path / "a run")
    # An earlier version recorded what has no use; own networks are to be typed again.
    by_file, without = told("--architectures=8", "--student=mynets:small")
    distill = main.command("distill")
    for given in (by_file, without):
        given = [word for word in given if word.startswith("--")]
        configuration = distill.parse(given)
        useless_flags.check(distill, configuration, given)
        assert configuration.student == "mynets:small" and configuration.soft_labels
    assert told("--validation=0.0") == []  # it was taken once


def test_only_runs_of_one_measure_compare(made, run):
    case, _, mine = made
    page = Page(report.page([run, mine, mine]))
    assert "3 runs of tfdistill first mine (2) mine (3)" in page.text
    title, data = mine.measure.label, mine.metrics["dataset"]
    assert page.text.count("Test accuracy on digits Of fresh networks; whiskers") == 1
    heading = f"Test {mine.measure.heading} on {data}"
    assert f"{heading} Of fresh networks;" in page.text
    assert f"{title} on {data} against outer steps" in page.text


def test_numbers_have_bars_up_to_the_largest():
    error = measures.Measure("error", is_share=False, higher_is_better=False)
    rows = [{"error_mean": m, "error_std": s} for m, s in ((1, 0), (3, 1), (2, 0))]
    bars = error.bars(rows)
    assert [bar["length"] for bar in bars] == [0.25, 0.75, 0.5]
    assert bars[1]["low"] == 0.5 and bars[1]["spread"] == 0.5
    assert error.best(rows) == [True, False, False]
    below, above, unknown, none = error.bars(
        [{"error_mean": m, "error_std": 0} for m in (-1, 3, float("nan"))] + [{}]
    )
    assert (below["start"], below["length"]) == (0, 0.25)
    assert (above["start"], above["length"]) == (0.25, 0.75)
    assert unknown is None and none is None
    assert error.bars([{"error_mean": 0.0}])[0]["length"] == 0


def test_the_first_result_is_the_main_one_if_none_is_of_distilled_images(made):
    _, results, run = made
    result = results["no images"]
    other = report.Run.of_results(run.distilled, {"noise": result, "again": result})
    assert other.what == "noise" and other.name == "run" and other.curve is None
    assert "outer steps" not in Page(report.page(other)).text


def test_results_that_do_not_compare_are_refused(made):
    _, results, run = made
    with pytest.raises(ValueError, match="at least one evaluation"):
        report.Run.of_results(run.distilled, {})
    (result, *_) = results.values()
    loss = dataclasses.replace(result, objective=Loss(), totals={})
    with pytest.raises(ValueError, match="one headline"):
        report.Run.of_results(run.distilled, {"a": result, "b": loss})
    assert report.Run.of_results(run.distilled, {"b": loss}).measure.name == "loss"
    with pytest.raises(ValueError, match="at least one run"):
        report.page([])


class Loss(library.Objective):
    """An objective without any figure of its own: its headline is the loss."""

    name = "loss"

    def inner_loss(self, labels, outputs):
        return (outputs - labels) ** 2

    meta_loss = inner_loss


def test_a_page_of_many_classes_steps_and_pixels_is_bounded():
    rng = np.random.default_rng(0)
    for count, shape in (
        (2, (2000, 1, 4)),
        (1000, (1, 1000, 4, 4, 1)),
        (2, (2, 120, 100, 300, 3)),
    ):
        counts = 9 * np.eye(count, dtype=int)[None]
        counts[0, 0, 1] = 27
        result = library.Evaluation.of_confusion(counts, np.zeros(1))
        names = [f"<class {k}>" for k in range(count)]
        data = many(rng.standard_normal(shape, "float32"), names)
        made = report.Run.of_results(data, {"distilled images": result})
        source = report.page(made)
        assert len(source) < 5_000_000
        page = Page(source)
        images = len(page.all("img"))
        assert 100 <= images <= 5000
        said = f"{images} of {data.num_images} images. Under" in page.text
        assert said == (images < data.num_images)
        if count == 1000:
            assert "<class 0> <class 1> 75.0 %" in page.text
        else:
            assert len(page.all("td")) > 4


@pytest.mark.parametrize("labels", [np.tile, np.repeat])
def test_images_that_are_shown_are_of_all_classes(monkeypatch, labels):
    data = many(np.zeros((1, 43, 8, 8, 1)), [f"class{k}" for k in range(43)])
    data = data.replace(
        images=np.zeros((1, 215, 8, 8, 1)),
        labels=np.eye(43)[labels(np.arange(43), 5)][None],
        recipe=library.OrdinaryTraining(updates=2),
    )
    counts = np.eye(43, dtype=int)[None]
    result = library.Evaluation.of_confusion(counts, np.zeros(1))
    made = report.Run.of_results(data, {"images": result})
    page = Page(report.page(made))
    assert len(page.all("img")) == 215 and "of 215 images" not in page.text
    figure = library.plots.distilled_images(data)
    assert len(figure.axes[0].images) == 200
    monkeypatch.setattr(report, "_PIXELS", 20_000)
    page = Page(report.page(made))
    captions = [image["alt"] for image in page.all("img")]
    assert len(captions) == 100 and "100 of 215 images. Under" in page.text
    for shown in (captions, [text.get_text() for text in figure.axes[0].texts]):
        assert set(data.class_names) <= set(shown)


def runs_of(names, classes=2):
    """Runs with a curve, all of the same results."""
    counts = 9 * np.eye(classes, dtype=int)[None]
    counts[0, 0, 1] = 27
    result = library.Evaluation.of_confusion(counts, np.zeros(1))
    data = many(np.zeros((1, classes, 4, 4, 1)), [f"class {k}" for k in range(classes)])
    keys = "outer_step", "seconds", "val_accuracy"
    history = [dict(zip(keys, row)) for row in ((10, 1.0, 0.5), (20, 2.0, 0.625))]
    return [
        report.Run.of_results(data, {"images": result}, name=name, history=history)
        for name in names
    ]


def test_every_run_of_a_chart_is_in_its_legend_with_a_line_of_its_own():
    names = ["_mine", 'id="a" <b>', *(f"run{k}" for k in range(12))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a layout without room
        source = report.page(runs_of(names))
        report.page(runs_of(["/long" * 40, "b"]))
    charts = re.findall(r"<svg.*?</svg>", source, re.DOTALL)[:2]
    for chart in charts:
        texts = {html.unescape(text) for text in re.findall(r">([^<]+)</text>", chart)}
        assert set(names) <= texts
        (legend,) = re.findall(r'id="[\w-]+legend_1".*', chart, re.DOTALL)
        lines = re.findall(r"fill: none; (?:stroke-dasharray[^;]*; )?.*?\"", legend)
        styles = [line for line in lines if "series" in line]
        assert len(styles) == len(set(styles)) == len(names)


def test_a_page_is_read_without_sight():
    page = Page(report.page(runs_of(["a<b", "b"], classes=30)))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 50
    for name in ("xlink:href", "clip-path"):
        used = [re.search("#([^)]+)", a[name])[1] for _, a in page.tags if name in a]
        assert used and set(used) <= set(ids)
    charts = page.all("svg")
    assert len(charts) == 4  # two curves, and the rates of each run
    assert all(chart["role"] == "img" for chart in charts)
    said = "validation accuracy, %, against outer steps. a<b: 50 at 10, 62.5 at 20; b:"
    assert charts[0]["aria-label"].startswith(said)
    assert charts[2]["aria-label"].startswith("learned rate against steps. epoch 1: fr")
    assert "learned rate against steps" in page.text
    # Of the confusions each cell has a number, a row and a column.
    rows = [a for a in page.all("th") if a.get("scope") == "row"]
    columns = [a for a in page.all("th") if a.get("scope") == "col"]
    assert len(rows) == 2 * 30 and len(columns) == 2 * (30 + 3)
    assert "class 0 25 75 class 1 100 class 2" in page.text
    assert "True class Taken for Share class 0 class 1 75.0 %" in page.text


def test_the_classes_of_an_attack_are_named(made):
    _, _, run = made
    attack = library.Attack(0, 1)
    counts = np.array([[[2, 6], [0, 4]]])
    result = library.Evaluation({"confusion": counts}, np.zeros(1), 12, attack)
    data = many(np.zeros((1, 2, 4, 4, 1))).replace(objective=attack)
    text = Page(report.page(report.Run.of_results(data, {"attack": result}))).text
    assert "calls 75.00 % of class 0 a 1; 83.33 % against the modified labels" in text


def test_a_history_must_tell_its_outer_steps(made):
    _, results, run = made
    history = keras.callbacks.History()
    history.set_params({"steps": None})
    with pytest.raises(ValueError, match="steps_per_epoch"):
        report.Run.of_results(run.distilled, results, history=history)


@pytest.mark.parametrize("frequency", [2, [1, 4]])
def test_a_history_of_which_some_epochs_had_no_validation(frequency):
    digits = library.load_dataset("digits").hold_out(0.1)
    images = library.DistilledImages.from_real(digits, steps=1)
    distiller = library.Distiller("linear", images)
    distiller.compile(validation_students=2)
    mine = keras.callbacks.History()
    options = {
        **{"steps_per_epoch": 2, "epochs": 4, "validation_freq": frequency},
        **{"validation_data": digits.validation.batch(100), "verbose": 0},
    }
    train = digits.train.batch(100, repeat=True)
    history = distiller.fit(train, **options)
    result = distiller.test(digits.validation.batch(100), 2)
    data, results = distiller.distilled(), {"images": result}
    run = report.Run.of_results(data, results, history=history)
    steps, mean, std = run.curve
    assert steps.tolist() == ([4, 8] if frequency == 2 else [2, 8])
    assert mean.tolist() == history.history["val_accuracy"]
    assert std.tolist() == history.history["val_accuracy_std"]
    assert run.metrics["outer_steps"] == 8
    assert "against outer steps" in report.page([run])
    # Keras's own does not say of which epochs its values are.
    assert distiller.fit(train, callbacks=[mine], **options) is mine
    with pytest.raises(ValueError, match="does not say after which epochs"):
        report.Run.of_results(data, results, history=mine)
    del options["validation_freq"]
    distiller.fit(train, callbacks=[mine := keras.callbacks.History()], **options)
    run = report.Run.of_results(data, results, history=mine)
    assert run.curve[0].tolist() == [2, 4, 6, 8]
