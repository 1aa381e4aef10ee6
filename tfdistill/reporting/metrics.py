"""`metrics.json` of a run folder, as a report reads it."""

import contextlib
import os
import types
from collections.abc import Mapping

from tfdistill._internal import fields
from tfdistill.reporting.measure import Measure
from tfdistill.runs import files

_CHANGE = fields.Kind(
    "a number, true or false",
    lambda value: fields.SWITCH.holds(value) or fields.FIGURE.holds(value),
)
_COUNT = {"num_students": fields.whole(1)}
_FIELDS = {
    **_COUNT,
    "num_networks": fields.whole(1),
    "num_sets": fields.whole(1),
    "seed": fields.whole(0, fields.LARGEST_SEED),
    "headline": fields.TEXT,
    "higher_is_better": fields.SWITCH,
    "shares": fields.each(fields.TEXT),
    "shuffle_steps": fields.SWITCH,
    "updates": fields.whole(1),
    "training_rate": fields.number(0),
    "training_batch": fields.whole(1),
    "changes": fields.values(_CHANGE),
    "other_pool": fields.TEXT,
    "dataset": fields.TEXT,
    "test_data": fields.TEXT,
    "student": fields.TEXT,
    "initial_weights": fields.TEXT,
    "selection": fields.TEXT,
    "outer_steps": fields.whole(0),
    "num_images": fields.whole(0),
    "seconds": fields.number(0),
    "seconds_learning": fields.number(0),
    "peak_memory_bytes": fields.number(0),
    "confusion": fields.each(fields.each(fields.number(0))),
    "accuracy_per_class": fields.each(fields.maybe(fields.FIGURE)),
    "mistakes": fields.each(fields.each(fields.number(0), 3, 3)),
    "history": fields.each(fields.OBJECT),
}
_UNFINISHED = {"unfinished": fields.each(fields.LINE)}
_REPORT = {"outer_step": fields.whole(0)}
MAIN = "distilled images"
#: The tests of `tfdistill distill`, in the order of a table: what students learned
#: from, and its key in metrics.json; empty for the main one, which is the file itself.
TESTS = {
    "no distilled data": "no_distilled_data",
    "before": "before",
    "random real images": "random_real",
    MAIN: "",
    "their steps shuffled": "shuffled",
}


def other_files(folder: str | os.PathLike) -> list[str]:
    """The whole files of evaluations beside metrics.json in a run folder, sorted."""
    return [
        os.path.join(folder, name)
        for name in sorted(os.listdir(folder))
        if name.startswith("metrics-") and name.endswith(".json")
        if files.final_name(name) is None
    ]


def unfinished(path: str | os.PathLike) -> list[str]:
    """What is still to be made of a result, as any file that holds one says.

    Raises:
        ValueError: If the file is damaged.
    """
    content = files.read_json(path)
    with _damage(path):
        fields.check(content, {}, _UNFINISHED)
    return content.get("unfinished", [])


def read_figures(path: str | os.PathLike) -> dict:
    """What a file of an evaluation, whole or in part, holds; null is NaN.

    Raises:
        ValueError: If the file is damaged.
    """
    content = files.read_json(path)
    with _damage(path):
        for key in TESTS.values():
            if key and key in content:
                content[key] = _checked(content[key], _COUNT)
        return _checked(content)


def read_metrics(path: str | os.PathLike) -> dict:
    """The metrics of a finished run, whose fields are as a report expects them.

    Raises:
        ValueError: If the file is damaged.
    """
    content = read_figures(path)
    with _damage(path):
        headline = Measure.of(content).name
        fields.check(content, {**_COUNT, f"{headline}_mean": fields.FIGURE})
    return content


def check_classes(path: str, content: Mapping, count: int) -> None:
    """Refuses metrics of other classes than the data has.

    Raises:
        ValueError: If the confusion matrix or a mistake is of others.
    """
    rows = content.get("confusion")
    square = rows is None or list(map(len, rows)) == [count] * count
    known = set(range(count))
    named = all({i, j} <= known for i, j, _ in content.get("mistakes", ()))
    if not (square and named):
        raise ValueError(f"{path} is damaged: its mistakes are not of {count} classes.")


@contextlib.contextmanager
def _damage(path):
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}.") from error


def _checked(content, needed=types.MappingProxyType({})):
    """An evaluation, in which figures that are null are NaN."""
    fields.check({"content": content}, {"content": fields.OBJECT})
    content, figures = _figures(content, lambda key: key.endswith(("_mean", "_std")))
    fields.check(content, {**figures, **needed}, _FIELDS)
    if "history" in content:
        content["history"] = list(map(_checked_report, content["history"]))
    return content


def _checked_report(report):
    report, figures = _figures(report, lambda key: key.startswith("val_"))
    fields.check(report, _REPORT | figures, {"seconds": fields.number(0)})
    return report


def _figures(content, is_figure):
    """The same with NaN for null, and of which kind its figures are."""
    found = {key: fields.figure(content[key]) for key in content if is_figure(key)}
    return {**content, **found}, dict.fromkeys(found, fields.FIGURE)
