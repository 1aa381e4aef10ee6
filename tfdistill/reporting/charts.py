"""The charts of the report, as SVG in the page's own colours."""

import io
import re
import warnings
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib import pyplot as plt

from tfdistill.reporting import plots
from tfdistill.reporting.run import Run

# Matplotlib has no CSS variables: these colours are replaced by them.
_COLOURS = {
    "currentColor": "#010101",
    "var(--line)": "#020202",
    **{f"var(--series-{k})": f"#0303{k:02d}" for k in range(6)},
}
_HYPERPARAMETERS = 4


def curves(runs: Sequence[Run]) -> str | None:
    """The headline on validation data against outer steps, one line for each run.

    Args:
        runs: At least one run; all have the same measure.

    Returns:
        An SVG element; None if no run has a curve.
    """
    found = [(run.name, run.curve) for run in runs if run.curve is not None]
    return _curves(found, runs[0].measure, len(runs), "outer steps") if found else None


def timed_curves(runs: Sequence[Run]) -> str | None:
    """The same against the seconds of learning; None if a run does not have them."""
    found = [(run.name, run.timed_curve) for run in runs]
    if any(curve is None for _, curve in found):
        return None
    return _curves(found, runs[0].measure, len(runs), "seconds of learning")


def _curves(found, measure, count, against):
    scale = 100 if measure.is_share else 1
    lows: list[float] = []
    with _page_style():
        figure, axis = plt.subplots(figsize=(5.2, 2.9), layout="constrained")
        for k, (name, (steps, mean, std)) in enumerate(found):
            mean, std, colour = scale * mean, scale * std, _series(k)
            axis.fill_between(
                steps, mean - std, mean + std, alpha=0.18, lw=0, color=colour
            )
            style = "o-" if len(steps) == 1 else "-"
            axis.plot(steps, mean, style, color=colour, label=name)
            lows.extend((mean - std)[np.isfinite(mean - std)])
        axis.set(
            xlabel=against,
            ylabel=f"validation {measure.title}{', %' if measure.is_share else ''}",
        )
        axis.margins(x=0.01)
        axis.xaxis.get_major_locator().set_params(integer=True)
        lowest = min(lows, default=0.0)
        if measure.is_share:
            axis.set_ylim(min(90, max(0, 10 * (lowest // 10))), 100)
        elif lowest >= 0:
            axis.set_ylim(bottom=0)
        if count > 1:
            place = "lower" if measure.higher_is_better else "upper"
            axis.legend(loc=f"{place} right")
        return _svg(figure)


def rates(run: Run) -> str:
    """The learned rates against steps, one line for each epoch: an SVG element."""
    return _by_step(run.distilled.learning_rates, "learned rate", (5.2, 2.6))


def hyperparameters(run: Run) -> dict[str, str]:
    """Other learned hyperparameters: SVG elements by title, at most four."""
    names = [name for name in run.distilled.hyperparameters if name != "learning_rate"]
    charts = {}
    for name in names[:_HYPERPARAMETERS]:
        words, values = name.replace("_", " "), run.distilled.hyperparameters[name]
        charts[f"Learned {words}"] = _by_step(values, words, (3.8, 2.3))
    return charts


def _by_step(values, title, size):
    steps = np.arange(1, values.shape[1] + 1)
    with _page_style():
        figure, axis = plt.subplots(figsize=size, layout="constrained")
        for k, epoch in enumerate(plots.evenly(len(values), 6)):
            axis.plot(
                steps,
                values[epoch],
                "o-" if len(steps) <= 40 else "-",
                color=_series(k),
                label=f"epoch {epoch + 1}",
            )
        axis.set(xlabel="step", ylabel=title)
        if values.min() >= 0:
            axis.set_ylim(0, 1.08 * values.max() or 1)
        axis.xaxis.get_major_locator().set_params(integer=True)
        if len(values) > 1:
            figure.legend(loc="outside upper right", ncols=3)
        return _svg(figure)


def _series(k):
    return list(_COLOURS.values())[2 + k % 6]


def _page_style():
    text, line = list(_COLOURS.values())[:2]
    return matplotlib.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "tfdistill",  # one run, one page
            "text.parse_math": False,  # the names of runs are anybody's
            "font.size": 10,
            "text.color": text,
            "axes.labelcolor": text,
            "xtick.labelcolor": text,
            "ytick.labelcolor": text,
            "xtick.color": line,
            "ytick.color": line,
            "axes.edgecolor": line,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.grid.axis": "y",
            "grid.color": line,
            "grid.linewidth": 0.7,
            "axes.axisbelow": True,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "lines.markersize": 3.5,
        }
    )


def _svg(figure) -> str:
    """A figure as an SVG element in the page's colours and font."""
    stream = io.StringIO()
    with warnings.catch_warnings():
        # The page's reader has other fonts than this machine.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    text = stream.getvalue()
    for variable, colour in _COLOURS.items():
        text = text.replace(colour, variable)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return text[text.index("<svg") :]
