"""The report: one HTML page about runs, with everything inside it."""

import base64
import dataclasses
import itertools
import math
import os
from collections import Counter
from collections.abc import Sequence
from importlib import resources

import jinja2
import numpy as np

from tfdistill._internal.version import __version__
from tfdistill.distilled.pictures import png
from tfdistill.inner.objectives.classification import mistakes
from tfdistill.reporting import charts, pictures
from tfdistill.reporting.fonts import shortened
from tfdistill.reporting.lines import evenly
from tfdistill.reporting.measure import whole_percent
from tfdistill.reporting.run import Run as Run
from tfdistill.runs import headings

#: The first line of each page; it marks a file that may be overwritten.
MARK = f"<!-- tfdistill {__version__} report -->"
_PIXELS = 1_000_000  # the most pixels of images to show for a run
_IMAGES_A_STEP = 100
# The caption of an image costs as much as this many pixels.
_PIXELS_A_CAPTION = 200
_CAPTION = 60  # letters
# A table of more classes would be a page of many megabytes.
_CLASSES_IN_A_TABLE = 100
# Its numbers are too small to see of more classes: mistakes are listed, too.
_CLASSES_IN_WORDS = 20
_PAIRS = 20
# How the networks start that the images are for, by the value of --initial_weights.
_STARTS = {
    "random": "which start from random weights",
    "learning": "learned through networks that were training on them meanwhile",
    "fixed": "which start from one draw of weights, saved with the images",
    "pretrained": "which start from the pretrained networks of a pool",
    "pretrained_fixed": "which start from one pretrained network",
}


def page(runs: Sequence[str | os.PathLike | Run]) -> str:
    """The report of one run, or of several side by side.

    Args:
        runs: At least one: folders of finished runs, or `Run.of_results` of results in
            memory.

    Returns:
        HTML that contains all pictures.

    Raises:
        FileNotFoundError: If a folder holds no distilled data set.
        ValueError: If there is no run, or a folder holds no finished run or a damaged
            file.

    Example:
        >>> import tfdistill
        >>> from tfdistill import report
        >>> digits = tfdistill.load_dataset("digits")
        >>> data = tfdistill.baselines.random_real(digits, steps=2)
        >>> result = tfdistill.evaluate(data, "linear", digits.test, 2)
        >>> run = report.Run.of_results(data, {"random real images": result})
        >>> "Test accuracy" in report.page([run])
        True
    """
    if isinstance(runs, (str, os.PathLike, Run)):
        runs = [runs]
    if not runs:
        raise ValueError("A report needs at least one run.")
    shown = _named_apart([r if isinstance(r, Run) else Run.of_folder(r) for r in runs])
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source = resources.files("tfdistill.reporting").joinpath("report.html")
    return environment.from_string(source.read_text("utf-8")).render(
        mark=MARK,
        version=__version__,
        runs=shown,
        groups=_groups(shown),
        differing=_differing(shown),
        charts=charts,
        steps=_steps,
        has_long_words=_has_long_words,
        for_whom=_for_whom,
        labels_note=pictures.labels_note,
        whole_percent=whole_percent,
        confusion=_confusion,
    )


def _named_apart(runs):
    """Runs that share a name are named by their folders, or numbered."""
    counts = Counter(run.name for run in runs)
    named = []
    for number, run in enumerate(runs, 1):
        if counts[run.name] > 1:
            name = run.folder or f"{run.name} ({number})"
            run = dataclasses.replace(run, name=name)
        named.append(run)
    return named


def _groups(runs):
    """Runs grouped by measure and test data; only those of one group are compared."""
    named = {}
    for run in runs:
        key = run.measure, run.metrics.get("dataset")
        named.setdefault(key, []).append(run)
    groups = [
        (measure, dataset, which, of)
        for (measure, dataset), alike in named.items()
        for which, of in _by_test_part(alike).items()
    ]
    return [
        {
            "measure": measure,
            "on": (f" on {dataset}" if dataset and len(groups) > 1 else "") + which,
            "runs": of,
            "bars": measure.bars([run.metrics for run in of]),
            "best": measure.best([run.metrics for run in of]),
            "curves": charts.curves(of, f"curves-{number}"),
            "timed": charts.timed_curves(of, f"timed-{number}")
            if len(of) > 1
            else None,
        }
        for number, (measure, dataset, which, of) in enumerate(groups, 1)
    ]


def _by_test_part(runs):
    """Runs on data of one name by what tells their test parts apart, in words.

    A run that does not say what its test part holds, or says it of the labels alone,
    is with those of which it may be, if there is one such part only.
    """
    said = [_test_part(run) for run in runs]
    whole = [a for a in said if not any(b != a and b.startswith(a) for b in said)]
    parts = {}
    for run, one in zip(runs, said):
        fit = {part for part in whole if part.startswith(one)}
        parts.setdefault(fit.pop() if len(fit) == 1 else one, []).append(run)
    if len(parts) == 1:
        return {"": runs}
    known = [part for part in parts if part]
    words = {part: f" (test data {k})" for k, part in enumerate(known, 1)}
    return {words.get(part, " (unknown test data)"): of for part, of in parts.items()}


def _test_part(run) -> str:
    """A hash of the run's test part, the labels' first; empty if it is not known."""
    if "test_data" in run.metrics:
        return run.metrics["test_data"]
    return headings.recorded(run.folder, headings.TEST) if run.folder else ""


def _differing(runs) -> list[str]:
    """Names of the flags in which runs differ.

    Of two runs of one command, also those that only one has.
    """
    known = [run.flags for run in runs if run.flags]  # one made in Python has none
    found = {
        name: None
        for one, other in itertools.combinations(known, 2)
        for name in {**one, **other}
        if one.get(name) != other.get(name)
        and (name in one and name in other or ("kind" in one) == ("kind" in other))
    }
    return list(found)


def _steps(run) -> list[dict]:
    """Pictures, captions and learned rates of each step, or of rows of images."""
    data, rates = run.distilled, run.distilled.learning_rates
    labels = data.labels.reshape(data.num_images, -1)
    numbers, rows, side = _chosen(data)
    found = iter(pictures.of_images(data, np.concatenate(rows), side))
    return [
        {
            "number": int(number) + 1,
            "rates": [] if rates is None else rates[:, number].tolist(),
            "images": [
                {
                    "picture": _data_uri(next(found)),
                    "caption": shortened(
                        data.objective.caption(label, data.class_names), _CAPTION
                    ),
                }
                for label in labels[row]
            ],
        }
        for number, row in zip(numbers, rows)
    ]


def _chosen(data):
    """Which steps, or rows, are shown, which images of each, and of which side."""
    ordered = data.recipe.is_ordered
    # Those of no order are one step.
    labels = data.labels if ordered else data.labels.reshape(1, data.num_images, -1)
    steps, batch = labels.shape[:2]
    count = min(batch, _IMAGES_A_STEP)
    side = min(256, math.isqrt(_PIXELS // count))
    each = max(pictures.of_images(data, np.array([0]), side).size, _PIXELS_A_CAPTION)
    if ordered:
        numbers = evenly(steps, max(1, _PIXELS // (each * count)))
        rows = [k * batch + pictures.over_classes(labels[k], count) for k in numbers]
        return numbers, rows, side
    most, width = max(count, _PIXELS // each), pictures.row_width(data)
    if most < batch:
        most -= most % width  # whole rows
    chosen = pictures.over_classes(labels[0], most)
    rows = np.split(chosen, range(width, len(chosen), width))
    return range(len(rows)), rows, side


def _has_long_words(steps) -> bool:
    """Whether captions are too long for ten in a row on a phone."""
    captions = (image["caption"] for step in steps for image in step["images"])
    return any(len(word) > 5 for caption in captions for word in caption.split())


def _for_whom(metrics) -> str:
    """For which networks the images are, in words."""
    weights = metrics.get("initial_weights", "")
    known = _STARTS.get(weights) or f"{weights.replace('_', ' ')} initial weights"
    who = f" for {metrics['student']}" if "student" in metrics else ""
    return f"{who}, {known}" if weights else who


def _confusion(run) -> dict | None:
    """The confusion table, and for many classes the most frequent confusions."""
    shares, names = run.confusion, run.distilled.class_names
    pairs, table = run.metrics.get("mistakes"), None
    if shares is not None:
        # Earlier versions wrote matrices of any size.
        table = shares if len(names) <= _CLASSES_IN_A_TABLE else None
        # Those of few classes can be read from the table.
        pairs = mistakes(shares, _PAIRS) if len(names) > _CLASSES_IN_WORDS else []
    if pairs is None:
        return None
    named = [(names[i], names[j], share) for i, j, share in pairs[:_PAIRS]]
    return {"table": table, "pairs": named}


def _data_uri(image) -> str:
    return "data:image/png;base64," + base64.b64encode(png(image)).decode()
