"""Lines of figures and of the report's charts: bands, values by step, legends."""

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt

_LINES, _MARKED = 6, 40


def band(axis: plt.Axes, x: Sequence[float], mean, std, **style):
    """A line in a band of one standard deviation; points without neighbours are dots.

    Args:
        axis: Where to draw.
        x, mean, std: Each `[points]`; what is not finite is left out.
        **style: Of the line, as for `axis.plot`.

    Returns:
        The line.
    """
    known = np.pad(np.isfinite(mean), 1)
    alone = np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])
    dots = {"marker": "o", "markevery": alone.tolist()} if len(alone) else {}
    (line,) = axis.plot(x, mean, **dots, **style)
    low, high, colour = mean - std, mean + std, line.get_color()
    axis.fill_between(x, low, high, alpha=0.2, lw=0, color=colour)
    return line


def by_step(axis: plt.Axes, values: np.ndarray, name: str, colours=()) -> None:
    """A learned hyperparameter against steps, one line for each epoch, at most 6.

    Args:
        axis: Where to draw.
        values: float `[epochs, steps]`.
        name: Of the hyperparameter.
        colours: Of the lines; Matplotlib's by default.
    """
    steps = np.arange(1, values.shape[1] + 1)
    if len(colours):
        axis.set_prop_cycle(color=colours)
    for epoch in evenly(len(values), _LINES):
        style = "o-" if len(steps) <= _MARKED else "-"
        axis.plot(steps, values[epoch], style, ms=3.5, label=f"epoch {epoch + 1}")
    axis.set(xlabel="step", ylabel=name.replace("_", " "))
    axis.xaxis.get_major_locator().set_params(integer=True)
    if values.min() >= 0:
        axis.set_ylim(0, 1.08 * values.max() or 1)


def legend(
    on: plt.Axes | plt.Figure, artists: Sequence, names: Sequence[str], **options
) -> None:
    """A legend of any names: Matplotlib leaves out those that begin with "_".

    Args:
        on: The axes, or the figure, that it is of.
        artists, names: What is shown, and what it is called.
        **options: As for `legend` of Matplotlib.
    """
    drawn = on.legend(artists, list(map(str, range(len(names)))), **options)
    for text, name in zip(drawn.get_texts(), names):
        text.set_text(name)


def evenly(count: int, most: int) -> np.ndarray:
    """Evenly spaced indices of at most `most` out of `count` things."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
