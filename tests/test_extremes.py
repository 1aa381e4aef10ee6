"""Many classes, odd shapes and odd names: what is written stays small and readable."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
from matplotlib import pyplot as plt

from tfdistill import Attack, Classification, DistilledDataset, Normalization
from tfdistill.cli import results
from tfdistill.evaluation.result import Evaluation
from tfdistill.reporting import charts, figures, fonts, plots, report
from tfdistill.runs import files
from tfdistill.studies.architecture_search import candidates


def make(shape=(4, 4, 1), steps=1, classes=2, batch=None, names=None):
    batch = batch or classes
    rng = np.random.default_rng(0)
    labels = np.eye(classes)[np.arange(batch) % classes]
    channels = shape[-1]
    return DistilledDataset(
        rng.standard_normal((steps, batch, *shape)),
        np.broadcast_to(labels, (steps, batch, classes)),
        np.full((1, steps), 0.1),
        normalization=Normalization((0.5,) * channels, (0.2,) * channels),
        class_names=names or [f"class of the number {k}" for k in range(classes)],
    )


@pytest.mark.parametrize(
    "shape", [(5,), (1, 7), (4, 6), (1, 7, 1), (7, 1, 1), (2, 3, 4, 1), (3, 2, 5)]
)
def test_parquet_takes_images_of_any_shape(tmp_path, shape):
    datasets = pytest.importorskip("datasets")
    data = make(shape, steps=2)
    data.to_parquet(tmp_path / "d.parquet")
    rows = datasets.Dataset.from_parquet(
        str(tmp_path / "d.parquet"), cache_dir=str(tmp_path)
    )
    found = np.float32(rows["pixels"]).reshape(data.images.shape)
    np.testing.assert_array_equal(found, data.images)
    assert rows["step"] == [0, 0, 1, 1] and min(rows[0]["image"].size) >= 1


@pytest.mark.parametrize("classes", [100, 101, 1000])
def test_metrics_of_many_classes_are_small(tmp_path, classes):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (2, classes, classes))
    counts[:, :, 7] += 50  # the most frequent mistake
    counts[:, 3] = 0
    result = Evaluation.of_confusion(counts, np.zeros(2))
    files.write_json(tmp_path / "m.json", result.to_json())
    text = (tmp_path / "m.json").read_text()
    assert len(text) < 60_000 and text.count("\n") < 150
    content = json.loads(text)
    assert content["accuracy_per_class"][3] is None
    assert ("confusion" in content) == (classes == 100)
    run = report.Run.of_results(make(classes=classes), {"data": result})
    page = report.page([run])
    assert len(page) < 1_500_000
    if classes > 100:
        assert {said for _, said, _ in content["mistakes"]} == {7}
        assert "<td>class of the number 7<td" in page


def test_numbers_of_json_take_a_line_and_texts_stay():
    content = {"a": [[1, 2.5, None], []], "b": "[ 1,\n  2 ]", "c": ["x  y", 1]}
    path = "m.json"
    with pytest.MonkeyPatch.context() as patch:
        written = {}
        patch.setattr(files, "write_text", written.__setitem__)
        files.write_json(path, content)
    assert json.loads(written[path]) == content
    assert "[1, 2.5, null]" in written[path]


def test_json_has_no_nan(tmp_path):
    """Strict readers refuse it; the library's own know null as such a figure."""
    data, nan = make(classes=3), float("nan")
    result = Evaluation.of_confusion(np.ones((2, 3, 3), int), np.array([nan, np.inf]))
    report_1 = {"outer_step": 1, "val_accuracy": nan, "val_accuracy_std": nan}
    content = {**result.to_json(), "accuracy_mean": nan, "history": [report_1]}
    for key in ("before", "shuffled"):
        content[key] = {"accuracy_mean": nan, "accuracy_std": 0.0, "num_students": 2}
    files.write_json(tmp_path / "metrics.json", content)

    def refuse(constant):
        raise ValueError(constant)

    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text, parse_constant=refuse)["loss_mean"] is None
    data.save(tmp_path / "distilled")
    run = report.Run.of_folder(tmp_path)
    assert np.isnan(run.metrics["loss_mean"]) and np.isnan(run.curve[1]).all()
    # The page is that of NaN in files of earlier versions.
    page = report.page([run])
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    assert "NaN" in (tmp_path / "metrics.json").read_text()
    assert report.page([tmp_path]) == page
    candidate = candidates.Candidate({"width": 3}, accuracies=[nan, 0.5])
    files.write_json(tmp_path / "c.json", dataclasses.asdict(candidate))
    again = candidates.Candidate.of_json(files.read_json(tmp_path / "c.json"))
    np.testing.assert_array_equal(again.accuracies, candidate.accuracies)


@pytest.mark.parametrize("classes", [10, 31, 1000])
def test_the_screen_shows_no_more_lines_than_fit(classes):
    recalls = np.linspace(1, 0, classes)
    recalls[[2, 4]] = np.nan
    lines = results.class_lines([f"c{k}" for k in range(classes)], recalls)
    assert len(lines) <= 30
    if classes == 10:
        assert lines[2] == "  c2: no test images" and lines[0] == "  c0: 100.0 %"
    else:
        assert lines[1] == f"  c{classes - 1}: 0.0 %"
        assert lines[-1] == "  2 classes have no test images."


def test_a_class_without_test_images_is_called_so():
    counts = np.array([[[3, 1, 0], [0, 0, 0], [2, 0, 2]]])
    result = Evaluation.of_confusion(counts, np.zeros(1))
    np.testing.assert_array_equal(result.per_class, [0.75, np.nan, 0.5])
    run = report.Run.of_results(make(classes=3), {"data": result})
    assert report.page([run]).count("no test images") == 1
    for objective in (Classification(), Attack(0, 1)):
        found = objective.details({"confusion": counts})["accuracy_per_class"]
        assert found == [0.75, None, 0.5]


NAMES = ["猫", "ネコ cat", "$a_b$", "cost: $5", "x" * 500, "naïve", "\x1b[31mred"]


def pictures(names):
    yield plots.distilled_images(make(classes=len(names), names=names))
    yield plots.label_noise(np.eye(len(names)) / len(names), names)
    yield plots.titled_images(np.zeros((len(names), 4, 4, 1)), names)
    row = {"attacked_mean": 0.5, "attacked_std": 0, "accuracy_mean": 1}
    yield plots.exposure({"as meant": {**row, "accuracy_std": 0}}, *names[:2])
    yield plots.accuracy_curve([0, 1], [0, 1], baseline=0.5, baseline_name=names[2])


def words(figure):
    return [text.get_text() for text in figure.findobj(plt.Text) if text.get_text()]


def test_pictures_show_names_as_they_are(tmp_path, monkeypatch):
    """No mathematics, and no boxes for characters that no font has."""
    # As on a machine that has no fonts but Matplotlib's.
    monkeypatch.setattr(fonts, "_candidates", lambda: found)
    found = [each for each in _candidates() if each[0] in ("sans-serif", "DejaVu Sans")]
    fonts._fonts.cache_clear()
    assert fonts.readable(NAMES)[:4] == ["class 0", "class 1", "$a_b$", "cost: $5"]
    assert fonts.readable(NAMES)[6] == "class 6"
    assert fonts.shown("ネ/a.png") == "?/a.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of missing glyphs
        for figure in pictures(NAMES):
            shown = words(figure)
            plots.save(figure, tmp_path / "p.png")
            assert all(len(text) < 120 for text in shown)
    fonts._fonts.cache_clear()


_candidates = fonts._candidates


@pytest.mark.parametrize("style", [lambda: fonts.style(["$"]), charts._page_style])
def test_a_styled_figure_keeps_what_the_session_becomes(style):
    """The first figure of a notebook makes it interactive."""
    before = dict(plt.rcParams)
    with style():
        assert not plt.rcParams["text.parse_math"]
        plt.rcParams["interactive"] = not before["interactive"]
    after = dict(plt.rcParams)
    plt.rcParams["interactive"] = before["interactive"]
    assert after == {**before, "interactive": not before["interactive"]}


def test_a_font_that_has_the_characters_is_used(monkeypatch):
    monkeypatch.setattr(
        fonts, "_candidates", lambda: [("sans-serif", "a"), ("Some CJK", "b")]
    )
    monkeypatch.setattr(fonts, "_characters", {"a": {"é"}, "b": {"猫"}}.__getitem__)
    fonts._fonts.cache_clear()
    assert fonts.readable(["猫 é", "犬"]) == ["猫 é", "class 1"]
    with fonts.style(["猫"]):
        families = plt.rcParams["font.family"]
        assert families[-1] == "Some CJK" and not plt.rcParams["text.parse_math"]
    assert plt.rcParams["text.parse_math"]
    fonts._fonts.cache_clear()


def figures_of(names):
    """Every figure of results, for as many classes as there are names."""
    count = len(names)
    counts = np.ones((2, count, count), int)
    counts[:, 1] = 0
    result = Evaluation.of_confusion(counts, np.zeros(2))
    yield figures.confusion(result, names)
    yield figures.per_class(result, np.array(names))
    yield figures.comparison({name: result for name in names})
    yield figures.rates(make(classes=count, names=names))
    yield plots.exposure(
        {names[0]: {f"{a}_{b}": 0.5 for a in ("attacked", "accuracy") for b in STATS}},
        *names[:2],
    )
    yield plots.accuracy_curve([1, 2], [0.5, 0.6], baseline=0.4, baseline_name=names[0])


STATS = "mean", "std"


def test_figures_show_names_in_any_script(tmp_path):
    """What no font of the machine has is replaced, and nothing is a formula."""
    fonts._fonts.cache_clear()
    names = ["_mine", "\U000f1234", "$a_{", "x" * 60, *"abcdef"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of glyphs that are missing
        for number, figure in enumerate(figures_of(names)):
            figure.canvas.draw()
            shown = words(figure)
            assert not any("\U000f1234" in text or len(text) > 60 for text in shown)
            if number in (0, 1):
                assert {"_mine", "class 1 (no test images)", "$a_{"} <= set(shown)
            if number in (2, 4, 5):
                assert any(text.startswith("_mine") for text in shown)
            plots.save(figure, tmp_path / "p.png")


def test_a_class_without_test_images_is_not_the_best():
    counts = np.array([[[3, 1, 0], [0, 0, 0], [2, 0, 2]]])
    result = Evaluation.of_confusion(counts, np.zeros(1))
    names = ["a", "b", "c"]
    for draw, expected in (
        (figures.per_class, ["c", "a", "b (no test images)"]),
        (figures.confusion, ["a", "b (no test images)", "c"]),
    ):
        figure = draw(result, names)
        labels = figure.axes[0].get_yticklabels()
        assert [label.get_text() for label in labels] == expected
        plt.close(figure)


@pytest.mark.parametrize(
    ("mean", "dots"), [([0.8], [0]), ([0.1, 0.8], []), ([0.1, None, 0.8, 0.9], [0])]
)
def test_a_point_without_neighbours_is_a_dot(mean, dots):
    mean = np.array(mean, float)
    figure = plots.accuracy_curve(100 * np.arange(1, len(mean) + 1), mean, 0 * mean)
    (line,) = figure.axes[0].lines
    assert (line.get_markevery() or []) == dots
    assert line.get_marker() == ("o" if dots else "None")
    figure.axes[0].set_axis_off()
    figure.canvas.draw()
    assert (np.asarray(figure.canvas.buffer_rgba())[..., :3] < 250).any()
    plt.close(figure)


def test_charts_of_the_report_warn_of_no_glyphs():
    result = Evaluation.of_confusion(np.array([[[1, 0], [0, 1]]]), np.zeros(1))
    history = [{"outer_step": 1, "val_accuracy": 0.5}]
    runs = [
        report.Run.of_results(make(), {"a": result}, name=name, history=history)
        for name in ("猫", "$犬$")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = report.page(runs)
    assert ">猫</text>" in page and ">$犬$</text>" in page


@pytest.mark.parametrize(
    ("shape", "steps", "classes"),
    [
        ((4, 4, 1), 1, 1000),
        ((4, 4, 1), 2000, 3),
        ((1, 4000), 9, 2),
        ((3000, 1, 1), 1, 9),
    ],
)
def test_pictures_are_of_limited_size(shape, steps, classes):
    data = make(shape, steps, classes)
    grid = plots.grid(data, max_steps=10**6, max_images=10**6)
    assert grid.size < 9_000_000 and min(grid.shape[:2]) >= 34
    figure = plots.distilled_images(data)
    assert len(figure.axes[0].images) <= 200 and max(figure.get_size_inches()) <= 40
    plt.close(figure)
