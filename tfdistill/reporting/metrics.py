"""What a run folder says of its distilled set: `metrics.json` and files beside it."""

import contextlib
import os
import shlex
import types
from collections.abc import Mapping

from tfdistill._internal import fields
from tfdistill.reporting.measure import Measure
from tfdistill.runs import files

#: In a file of results: what the distilled set holds, a hash; earlier ones have none.
SET = "distilled_data"
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
    SET: fields.TEXT,
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


def is_of(content: Mapping, own: str | None) -> bool:
    """Whether a file's content may be of a distilled set.

    Args:
        content: Of a file of results.
        own: The hash of the set, or None if it is unknown.
    """
    return own is None or content.get(SET, own) == own


def of_another(name: str, own: str) -> str:
    """What a file is called if the one of that name is of another distilled set.

    Args:
        name: Of the file, without ".json".
        own: The hash of the set.
    """
    return f"{name}-{own[:8]}"


def of_set(folder: str | os.PathLike) -> tuple[dict[str, dict], list[str]]:
    """The evaluations of the distilled set that is in a run folder.

    Args:
        folder: The run folder, which has a metrics.json.

    Returns:
        The content of each file by its path, the main evaluation first; and the paths
        of those that are of another set.

    Raises:
        ValueError: If one is damaged, or none is a main one of this set.
    """
    from tfdistill.distilled import tfrecords

    data = os.path.join(folder, "distilled")
    own = tfrecords.fingerprint(data)
    path = os.path.join(folder, "metrics.json")
    contents = {each: read_metrics(each) for each in [path, *other_files(folder)]}
    found = {each: of for each, of in contents.items() if is_of(of, own)}
    if own and path not in found:
        main = os.path.join(folder, f"{of_another('metrics', own)}.json")
        if main not in found:
            where = shlex.quote(str(folder))
            way_out = f"tfdistill evaluate --workdir={where} tests that one"
            if "unfinished" in contents[path]:
                way_out = "the command that began the run goes on with it"
            raise ValueError(
                f"{path} is of another distilled set than the one in {data}: {way_out}."
            )
        found = {main: found.pop(main), **found}
    return found, [each for each in contents if each not in found]


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
