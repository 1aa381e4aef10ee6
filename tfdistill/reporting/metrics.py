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
    "student": fields.TEXT,
    "initial_weights": fields.TEXT,
    "selection": fields.TEXT,
    "outer_steps": fields.whole(0),
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


def read_metrics(path: str | os.PathLike) -> dict:
    """The metrics of a finished run, whose fields are as a report expects them.

    Raises:
        ValueError: If the file is damaged.
    """
    content = files.read_json(path)
    try:
        for each in (content, *(content[key] for key in BESIDE if key in content)):
            _check(each)
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


def _check(content):
    fields.check({"content": content}, {"content": fields.OBJECT})
    figures = [key for key in content if key.endswith(("_mean", "_std"))]
    needed = dict.fromkeys(figures, fields.FIGURE) | {"num_students": fields.whole(1)}
    fields.check(content, needed, _FIELDS)
    for report in content.get("history", ()):
        values = [key for key in report if key.startswith("val_")]
        needed = _REPORT | dict.fromkeys(values, fields.FIGURE)
        fields.check(report, needed, {"seconds": fields.number(0)})
