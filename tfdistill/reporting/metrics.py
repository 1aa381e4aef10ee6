"""`metrics.json` of a run folder, as a report reads it."""

import os
from collections.abc import Mapping

from tfdistill._internal import fields
from tfdistill.reporting.measure import Measure
from tfdistill.runs import files

_FIELDS = {
    "headline": fields.TEXT,
    "higher_is_better": fields.SWITCH,
    "shares": fields.each(fields.TEXT),
    "shuffle_steps": fields.SWITCH,
    "updates": fields.whole(1),
    "training_rate": fields.number(0),
    "training_batch": fields.whole(1),
    "changes": fields.OBJECT,
    "other_pool": fields.TEXT,
    "dataset": fields.TEXT,
    "test_data": fields.TEXT,
    "student": fields.TEXT,
    "initial_weights": fields.TEXT,
    "selection": fields.TEXT,
    "outer_steps": fields.whole(0),
    "num_images": fields.whole(0),
    "seconds": fields.number(0),
    "peak_memory_bytes": fields.number(0),
    "confusion": fields.each(fields.each(fields.number(0))),
    "accuracy_per_class": fields.each(fields.maybe(fields.FIGURE)),
    "mistakes": fields.each(fields.each(fields.number(0), 3, 3)),
    "history": fields.each(fields.OBJECT),
}
_REPORT = {"outer_step": fields.whole(0)}
#: Rows that `tfdistill distill` tests beside the result.
BESIDE = {
    "no_distilled_data": "no distilled data",
    "before": "the images before",
    "random_real": "random real images",
}


def other_files(folder: str | os.PathLike) -> list[str]:
    """The whole files of evaluations beside metrics.json in a run folder, sorted."""
    return [
        os.path.join(folder, name)
        for name in sorted(os.listdir(folder))
        if name.startswith("metrics-") and name.endswith(".json")
        if files.final_name(name) is None
    ]


def read_metrics(path: str | os.PathLike) -> dict:
    """The metrics of a finished run, whose fields are as a report expects them.

    Raises:
        ValueError: If the file is damaged.
    """
    content = files.read_json(path)
    try:
        for key in BESIDE:
            if key in content:
                content[key] = _checked(content[key])
        content = _checked(content)
        headline = Measure.of(content).name
        fields.check(content, {f"{headline}_mean": fields.FIGURE})
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
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


def _checked(content):
    """An evaluation, in which figures that are null are NaN."""
    fields.check({"content": content}, {"content": fields.OBJECT})
    content, figures = _figures(content, lambda key: key.endswith(("_mean", "_std")))
    fields.check(content, figures | {"num_students": fields.whole(1)}, _FIELDS)
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
