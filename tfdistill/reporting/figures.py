"""Figures of results: who is taken for whom, rates, comparisons, classes.

Each function returns a Matplotlib figure: `figure.savefig("confusion.png")` writes it,
and a notebook shows it.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib import pyplot as plt

from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation.result import Evaluation
from tfdistill.reporting import fonts, lines
from tfdistill.reporting.lines import evenly
from tfdistill.reporting.measure import Measure, whole_percent

_NAMED, _NUMBERED = 100, 20


@fonts.styled
def confusion(evaluation: Evaluation, class_names=None) -> plt.Figure:
    """Which class is taken for which, as shares of each true class.

    Args:
        evaluation: Of classifiers; their confusions are added up.
        class_names: A name for each class; their numbers, if not given.

    Raises:
        AttributeError: If the evaluation has no confusion matrix.
        ValueError: If there is not one name for each class.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> data = tfdistill.baselines.random_real(digits, steps=2)
        >>> result = tfdistill.evaluate(data, "linear", digits.test, 2)
        >>> figure = tfdistill.figures.confusion(result, digits.class_names)
        >>> figure.axes[0].get_xlabel()
        'taken for'
    """
    counts = evaluation.confusion.sum(0)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    count = len(shares)
    names = _names(class_names, count)
    true_names = _with_gaps(names, evaluation)
    side = min(max(4.0, 0.4 * count + 1.5), 20.0)
    figure, axis = plt.subplots(figsize=(side + 1, side), layout="constrained")
    shown = axis.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    named = evenly(count, _NAMED)
    axis.set_xticks(named, [names[k] for k in named], rotation=90 if count > 10 else 45)
    axis.set_yticks(named, [true_names[k] for k in named])
    if count <= _NUMBERED:
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > 0.55 else "black"
            style = {"ha": "center", "va": "center", "color": colour, "size": 8}
            if text := whole_percent(share):
                axis.text(column, row, text, **style)
    axis.set(xlabel="taken for", ylabel="true class")
    axis.spines[:].set_visible(False)
    figure.colorbar(shown, label="share of the true class (%)", shrink=0.8)
    return figure


@fonts.styled
def rates(distilled: DistilledDataset, name: str = "learning_rate") -> plt.Figure:
    """A learned hyperparameter against steps, one line for each epoch.

    Args:
        distilled: The data. Of more than 6 epochs, 6 are shown.
        name: One of `distilled.hyperparameters`.

    Raises:
        ValueError: If there is no such hyperparameter.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> data = tfdistill.baselines.random_real(digits, steps=2)
        >>> len(tfdistill.figures.rates(data).axes[0].lines)  # 3 epochs
        3
    """
    if name not in distilled.hyperparameters:
        raise ValueError(
            f"name must be one of {', '.join(distilled.hyperparameters)}, not {name!r}."
        )
    values = distilled.hyperparameters[name]
    figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    lines.by_step(axis, values, name)
    if len(values) > 1:
        axis.legend(frameon=False)
    _plain(axis)
    return figure


@fonts.styled
def comparison(results: Mapping[str, Evaluation]) -> plt.Figure:
    """Results beside each other: bars of their headline, with standard deviations.

    Args:
        results: At least one evaluation, all of one objective, by what students learned
            from.

    Raises:
        ValueError: If there are no results, or their headlines differ.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> data = tfdistill.baselines.random_real(digits, steps=2)
        >>> result = tfdistill.evaluate(data, "linear", digits.test, 2)
        >>> figure = tfdistill.figures.comparison({"random real images": result})
        >>> figure.axes[0].get_xlabel()
        'accuracy (%)'
    """
    contents = {name: result.to_json() for name, result in results.items()}
    measures = {Measure.of(content) for content in contents.values()}
    if len(measures) != 1:
        raise ValueError(
            "results must hold at least one evaluation, and all must have one headline "
            f"figure, not {', '.join(sorted(m.name for m in measures)) or 'none'}."
        )
    (measure,) = measures
    scale = 100 if measure.is_share else 1
    figure, axis = plt.subplots(
        figsize=(6.4, 0.45 * len(contents) + 0.9), layout="constrained"
    )
    axis.barh(
        np.arange(len(contents)),
        [scale * measure.mean(content) for content in contents.values()],
        0.6,
        xerr=[scale * measure.std(content) for content in contents.values()],
    )
    axis.set_yticks(np.arange(len(contents)), list(map(fonts.short, contents)))
    axis.invert_yaxis()
    axis.set(xlabel=measure.heading + (" (%)" if measure.is_share else ""))
    if measure.is_share:
        axis.set_xlim(0, 100)
    _plain(axis, "x")
    return figure


@fonts.styled
def per_class(evaluation: Evaluation, class_names=None) -> plt.Figure:
    """How much of each class is recognised, the least first.

    Classes without test images come last, and are called so.

    Args:
        evaluation, class_names: Same as for `confusion`, which raises the same errors.

    Example:
        >>> import tfdistill
        >>> model = tfdistill.students.linear((8, 8, 1))
        >>> digits = tfdistill.load_dataset("digits")
        >>> result = tfdistill.evaluate_model(model, digits.test)
        >>> len(tfdistill.figures.per_class(result).axes[0].patches)
        10
    """
    shares = 100 * evaluation.per_class
    names = _with_gaps(_names(class_names, len(shares)), evaluation)
    order = np.argsort(shares, kind="stable")
    height = min(0.28 * len(shares) + 0.9, 40.0)
    figure, axis = plt.subplots(figsize=(6.4, height), layout="constrained")
    axis.barh(np.arange(len(shares)), shares[order], 0.7)
    named = evenly(len(shares), _NAMED)
    axis.set_yticks(named, [names[order[k]] for k in named])
    axis.set_ylim(len(shares) - 0.5, -0.5)  # bars of NaN take no room of their own
    axis.set(xlabel="recognised (%)", xlim=(0, 100))
    _plain(axis, "x")
    return figure


def _names(names, count):
    names = list(map(str, range(count) if names is None else names))
    if len(names) != count:
        raise ValueError(f"class_names must hold {count} names, not {len(names)}.")
    return fonts.readable(names)


def _with_gaps(names, evaluation):
    """Names of true classes, of which some may have no test images."""
    empty = np.isnan(evaluation.per_class)
    return [f"{n} (no test images)" if e else n for n, e in zip(names, empty)]


def _plain(axis, grid="y"):
    axis.grid(axis=grid, alpha=0.25)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
