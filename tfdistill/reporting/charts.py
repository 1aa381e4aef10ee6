"""The charts of the report, as SVG in the page's own colours."""

import html
import io
import re
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt

from tfdistill.reporting import fonts, lines
from tfdistill.reporting.run import Run

_SERIES, _HYPERPARAMETERS, _LETTERS = 6, 4, 50
# Matplotlib has no CSS variables: these colours are replaced by them.
_COLOURS = {
    "currentColor": "#010101",
    "var(--line)": "#020202",
    **{f"var(--series-{k})": f"#0303{k:02d}" for k in range(_SERIES)},
}

_ID = re.compile(r"( id=\"|href=\"#|url\(#)")


def curves(runs: Sequence[Run], name: str) -> str | None:
    """The headline on validation data against outer steps, one line for each run.

    Args:
        runs: At least one run; all have the same measure.
        name: Of the chart, its own on a page: the ids in it begin with it.

    Returns:
        An SVG element; None if no run has a curve.
    """
    found = [(run.name, run.curve) for run in runs if run.curve is not None]
    measure, several = runs[0].measure, len(runs) > 1
    return _curves(found, measure, several, "outer steps", name) if found else None


def timed_curves(runs: Sequence[Run], name: str) -> str | None:
    """The same against the seconds of learning; None if a run does not have them."""
    found = [(run.name, run.timed_curve) for run in runs]
    if any(curve is None for _, curve in found):
        return None
    measure, several = runs[0].measure, len(runs) > 1
    return _curves(found, measure, several, "seconds of learning", name)


def _curves(found, measure, several, against, name):
    scale = 100 if measure.is_share else 1
    title = f"validation {measure.title}{', %' if measure.is_share else ''}"
    drawn, said = [], []
    lows: list[float] = []
    with _page_style():
        names = [_in_legend(run) for run, _ in found]
        # Many or long names would leave no room within the axes.
        below = len(names) > _SERIES or max(map(len, names)) > _LETTERS // 2
        height = 2.9 + 0.2 * len(names) * (several and below)
        figure, axis = plt.subplots(figsize=(5.2, height), layout="constrained")
        for k, (run, (steps, mean, std)) in enumerate(found):
            mean, std = scale * mean, scale * std
            style = {"color": _series(k), "linestyle": _dashes(k)}
            drawn.append(lines.band(axis, steps, mean, std, **style))
            lows.extend((mean - std)[np.isfinite(mean - std)])
            first, last = (f"{mean[i]:.4g} at {steps[i]:.4g}" for i in (0, -1))
            said.append(f"{run}: {first}, {last}" if len(steps) > 1 else first)
        axis.set(xlabel=against, ylabel=title)
        axis.margins(x=0.01)
        axis.xaxis.get_major_locator().set_params(integer=True)
        lowest = min(lows, default=0.0)
        if measure.is_share:
            axis.set_ylim(min(90, max(0, 10 * (lowest // 10))), 100)
        elif lowest >= 0:
            axis.set_ylim(bottom=0)
        if several and below:
            lines.legend(figure, drawn, names, loc="outside lower center")
        elif several:
            place = "lower" if measure.higher_is_better else "upper"
            lines.legend(axis, drawn, names, loc=f"{place} right")
        return _svg(figure, name, f"{title}, against {against}", said)


def rates(run: Run, name: str) -> str:
    """The learned rates against steps, one line for each epoch: an SVG element.

    Args:
        run: The run.
        name: Same as for `curves`.
    """
    values = run.distilled.learning_rates
    return _by_step(values, "learned rate", (5.2, 2.6), name)


def hyperparameters(run: Run, name: str) -> dict[str, str]:
    """Other learned hyperparameters: SVG elements by title, at most four.

    Args:
        run, name: Same as for `rates`.
    """
    known = run.distilled.hyperparameters
    others = [each for each in known if each != "learning_rate"]
    charts = {}
    for each in others[:_HYPERPARAMETERS]:
        words = each.replace("_", " ")
        chart = _by_step(known[each], words, (3.8, 2.3), f"{name}-{each}")
        charts[f"Learned {words}"] = chart
    return charts


def _by_step(values, title, size, name):
    with _page_style():
        figure, axis = plt.subplots(figsize=size, layout="constrained")
        lines.by_step(axis, values, title, list(map(_series, range(_SERIES))))
        if len(values) > 1:
            figure.legend(loc="outside upper right", ncols=3)
        said = [
            f"epoch {epoch + 1}: from {rates[0]:.4g} to {rates[-1]:.4g}"
            for epoch, rates in enumerate(values)
        ]
        return _svg(figure, name, f"{title} against steps", said)


def _in_legend(run):
    """The name of a run, which may be a long path: its beginning and its end."""
    half = _LETTERS // 2
    return run if len(run) <= _LETTERS else f"{run[: half - 1]}…{run[-half:]}"


def _series(k):
    return list(_COLOURS.values())[2 + k % _SERIES]


def _dashes(k):
    """The line of the first colours is whole; then dashed, with more and more dots."""
    dots = k // _SERIES - 1
    return "-" if dots < 0 else (0, [4, 2, *[1, 2] * dots])


def _page_style():
    text, line = list(_COLOURS.values())[:2]
    return fonts.settings(
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


def _svg(figure, name, title, said) -> str:
    """A figure as an SVG element in the page's colours and font.

    Args:
        figure: The figure.
        name: Its ids begin with it.
        title: What it shows.
        said: The same in words, for those who do not see it: one text for each line.
    """
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
    text = re.sub("<[^>]*>", lambda tag: _ID.sub(rf"\1{name}-", tag[0]), text)
    words = html.escape(f"{title}. {'; '.join(said)}.")
    text = text[text.index("<svg") :].replace(
        "<svg", f'<svg role="img" aria-label="{words}"', 1
    )
    return text.replace(">", f"><title>{html.escape(title)}</title>", 1)
