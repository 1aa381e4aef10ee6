"""Pictures of distilled data and of a run."""

import os
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt

from tfdistill._internal.checks import check_int
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.reporting import fonts, pictures, tiles
from tfdistill.reporting.lines import band, evenly, legend
from tfdistill.runs import files

# Upper limits: each image takes time and space in a figure, or at least 34 x 34 pixels
# of a grid.
_FIGURE_IMAGES, _FIGURE_STEPS, _FIGURE_COLUMNS = 600, 100, 40
_GRID_IMAGES, _GRID_COLUMNS, _GRID_PIXELS = 2000, 100, 4_000_000
_CAPTION_WIDTH, _CAPTION_LINES = 14, 3


@fonts.styled
def distilled_images(
    distilled: DistilledDataset, *, max_steps: int = 20, max_images: int = 10
) -> plt.Figure:
    """A row of images for each step, with their labels and the step's learned rates.

    Images may have any shape; a vector is shown as a row of pixels. The caption above
    each comes from `distilled.objective.caption`.

    Args:
        distilled: The data to show.
        max_steps: Largest number of rows, at least 1; steps are left out evenly.
        max_images: Largest number of images in a row, at least 1. Whatever is allowed,
            the figure has at most 100 rows, 40 columns and 600 images.

    Raises:
        ValueError: If a number is below 1.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> distilled = tfdistill.baselines.random_real(digits, steps=2)
        >>> figure = tfdistill.plots.distilled_images(distilled, max_images=3)
        >>> len(figure.axes[0].images), figure.axes[0].texts[1].get_text()
        (6, '1')
    """
    max_steps = min(check_int("max_steps", max_steps, 1), _FIGURE_STEPS)
    distilled = pictures.in_rows(distilled, max_steps)
    max_images = min(check_int("max_images", max_images, 1), _FIGURE_COLUMNS)
    count = min(distilled.images.shape[1], max_images)
    steps = evenly(distilled.steps, min(max_steps, _FIGURE_IMAGES // count))
    shown = pictures.of_steps(distilled, steps, count)
    names = fonts.readable(distilled.class_names)
    labels = distilled.labels[steps, :count]
    captions = [
        _wrapped(distilled.objective.caption(label, names))
        for label in labels.reshape(-1, labels.shape[-1])
    ]
    note = pictures.labels_note(distilled)
    return tiles.tiles(
        shown.reshape(-1, *shown.shape[2:]),
        captions,
        count,
        notes=[_rates(distilled, step) for step in steps],
        below=f"Above each image its label: {note}." if note else "",
    )


def _rates(distilled, step):
    if distilled.learning_rates is None:
        return ""
    rates = distilled.learning_rates[:, step]
    lines = [f"{rate:.3g}" for rate in rates[:4]] + ["…"] * (len(rates) > 4)
    return f"step {step + 1}\nrate " + "\n".join(lines)


def _wrapped(caption):
    text = fonts.shortened(caption, _CAPTION_WIDTH * _CAPTION_LINES)
    lines = textwrap.wrap(text, _CAPTION_WIDTH) or [""]
    if len(lines) > _CAPTION_LINES:
        lines = [*lines[: _CAPTION_LINES - 1], f"{lines[_CAPTION_LINES - 1]} …"]
    return "\n".join(lines)


def _without_middle(line):
    half = _CAPTION_WIDTH // 2
    return line if len(line) <= 2 * half + 1 else f"{line[:half]}…{line[-half:]}"


@fonts.styled
def accuracy_curve(
    outer_steps: Sequence[float],
    mean: Sequence[float],
    std: Sequence[float] | None = None,
    *,
    baseline: float | None = None,
    baseline_name: str = "random real images",
    figure_name: str = "accuracy",
    is_share: bool = True,
    higher_is_better: bool = True,
) -> plt.Figure:
    """A validation figure of fresh students, such as accuracy, against outer steps.

    Args:
        outer_steps: Outer steps at which it was measured, at least one.
        mean, std: Mean and standard deviation over students, in 0..1 for a share.
            Without `std`, there is no band.
        baseline: A value to draw as a horizontal line.
        baseline_name: Name of that value.
        figure_name: Name of the figure: an objective's `headline`.
        is_share: Whether it is one of the objective's `shares`, and is shown as a
            percentage.
        higher_is_better: The objective's `higher_is_better`.

    Raises:
        ValueError: If there are no outer steps.

    Example:
        >>> import tfdistill
        >>> figure = tfdistill.plots.accuracy_curve([0, 10], [0.1, 0.8], [0.02, 0.01])
        >>> figure.axes[0].get_ylabel()
        'validation accuracy of fresh students (%)'
    """
    if not len(outer_steps):
        raise ValueError("outer_steps must hold at least one step.")
    scale = 100 if is_share else 1
    centre = scale * np.asarray(mean, float)
    width = scale * np.asarray(np.zeros_like(centre) if std is None else std, float)
    figure, axis = plt.subplots(figsize=(6.4, 4), layout="constrained")
    line = band(axis, outer_steps, centre, width)
    if baseline is not None:
        level = axis.axhline(scale * baseline, color="0.45", ls="--", lw=1.2)
        names = ["distilled data", fonts.short(baseline_name)]
        place = f"{'lower' if higher_is_better else 'upper'} right"
        legend(axis, [line, level], names, frameon=False, loc=place)
    low = centre - width
    axis.set(
        xlabel="outer steps",
        ylabel=f"validation {figure_name.replace('_', ' ')} of fresh students"
        + (" (%)" if is_share else ""),
        xlim=(0, 1.01 * max(outer_steps) or 1),
    )
    bottom = min(0.0, float(np.min(low[np.isfinite(low)], initial=0.0)))
    if is_share:
        axis.set_ylim(bottom, 100)
    elif bottom == 0:
        axis.set_ylim(bottom=0)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


@fonts.styled
def exposure(figures: Mapping[str, Mapping], attacked: str, target: str) -> plt.Figure:
    """What is left of an attack, for each way of training.

    Args:
        figures: The result of `exposure.figures`.
        attacked, target: Names of the two classes.

    Example:
        >>> import tfdistill
        >>> shares = {"attacked_mean": 0.8, "attacked_std": 0.1}
        >>> shares |= {"accuracy_mean": 0.7, "accuracy_std": 0.1}
        >>> figure = tfdistill.plots.exposure({"attacked": shares}, "cat", "dog")
        >>> figure.axes[0].get_xlabel()
        'test images (%)'
    """
    figure, axis = plt.subplots(
        figsize=(7.5, 0.6 * len(figures) + 1), layout="constrained"
    )
    rows, bars = np.arange(len(figures)), []
    for shift, key, color in (
        (-0.19, "attacked", "tab:red"),
        (0.19, "accuracy", "0.72"),
    ):
        mean, std = (
            [100 * f[f"{key}_{what}"] for f in figures.values()]
            for what in ("mean", "std")
        )
        bars.append(axis.barh(rows + shift, mean, 0.36, xerr=std, color=color))
    axis.set_yticks(rows, list(map(fonts.short, figures)))
    axis.invert_yaxis()
    axis.set(xlim=(0, 100), xlabel="test images (%)")
    axis.grid(axis="x", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    place = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
    names = f"{fonts.short(attacked)} called {fonts.short(target)}", "accuracy"
    legend(axis, bars, names, frameon=False, **place)
    return figure


def grid(
    distilled: DistilledDataset, *, max_steps: int = 20, max_images: int = 10
) -> np.ndarray:
    """One picture with a row of images for each step, for TensorBoard or `plt.imshow`.

    Rows of data without steps are of all classes, as those of `distilled_images`.

    Args:
        distilled, max_steps, max_images: Same as for `distilled_images`, but whatever
            is allowed, there are at most 100 images in a row and 2,000 in total.

    Returns:
        float32 `[height, width, 1 or 3]` in 0..1. Small images are enlarged to a height
        of at least 32 pixels; large ones are averaged, so that the picture has at most
        about 4 million pixels.

    Raises:
        ValueError: If a number is below 1.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> distilled = tfdistill.baselines.random_real(digits, steps=2)
        >>> tfdistill.plots.grid(distilled).shape  # 2 rows of 10 images, with borders
        (68, 340, 1)
    """
    max_steps = min(check_int("max_steps", max_steps, 1), _GRID_IMAGES)
    distilled = pictures.in_rows(distilled, max_steps)
    max_images = min(check_int("max_images", max_images, 1), _GRID_COLUMNS)
    count = min(distilled.images.shape[1], max_images)
    chosen = evenly(distilled.steps, min(max_steps, _GRID_IMAGES // count))
    side = int(np.clip(np.sqrt(_GRID_PIXELS / (len(chosen) * count)), 34, 258)) - 2
    images = pictures.of_steps(distilled, chosen, count, side)
    zoom = -(-32 // images.shape[2])
    images = images.repeat(zoom, axis=2)
    images = images.repeat(max(1, min(zoom, side // images.shape[3])), axis=3)
    edges = [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)]
    images = np.pad(images, edges, constant_values=1)
    steps, count, height, width, channels = images.shape
    rows = images.transpose(0, 2, 1, 3, 4)
    return rows.reshape(steps * height, count * width, channels)


def agreement(
    distilled: Sequence[float], real: Sequence[float], spearman: float
) -> plt.Figure:
    """Accuracy of architectures on distilled data against that on real data.

    Args:
        distilled, real: The accuracies of each architecture, in 0..1.
        spearman: The rank correlation.

    Example:
        >>> import tfdistill
        >>> distilled, real = [0.2, 0.3, 0.5], [0.6, 0.7, 0.9]
        >>> figure = tfdistill.plots.agreement(distilled, real, spearman=1)
        >>> figure.axes[0].get_title()
        '3 architectures, rank correlation 1.00'
    """
    figure, axis = plt.subplots(figsize=(5.4, 4.2), layout="constrained")
    axis.scatter(100 * np.asarray(distilled), 100 * np.asarray(real), s=22, alpha=0.7)
    axis.set(
        xlabel="validation accuracy after distilled data (%)",
        ylabel="validation accuracy after real data (%)",
        title=f"{len(real)} architectures, rank correlation {spearman:.2f}",
    )
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


@fonts.styled
def titled_images(
    images: np.ndarray, titles: Sequence[str], note: str = ""
) -> plt.Figure:
    """Images with titles, eight in a row.

    Args:
        images: float `[count, *image_shape]` in 0..1, at least one. Only the first 400
            are shown.
        titles: A title for each image. Of one with several lines, each stays one, and
            loses its middle if it is long.
        note: What is said below them.

    Example:
        >>> import numpy as np, tfdistill
        >>> images = np.random.default_rng(0).random((2, 8, 8, 1))
        >>> figure = tfdistill.plots.titled_images(images, ["given 3", "given 8"])
        >>> len(figure.axes[0].images)
        2
    """
    shown = pictures.as_pictures(np.asarray(images)[:400])
    captions = []
    for title in titles[: len(shown)]:
        lines = [fonts.shown(line) for line in title.split("\n")]
        several = len(lines) > 1
        captions.append(
            "\n".join(map(_without_middle, lines)) if several else _wrapped(*lines)
        )
    return tiles.tiles(shown, captions, min(len(shown), 8), below=note, width=1.35)


@fonts.styled
def label_noise(noise: np.ndarray, class_names: Sequence[str]) -> plt.Figure:
    """How often each true class was given each other label, as shares of all labels.

    Args:
        noise: The result of `audit.Audit.noise`.
        class_names: Names of its rows and columns.

    Example:
        >>> import numpy as np, tfdistill
        >>> noise = np.array([[0.5, 0.1], [0.0, 0.4]])
        >>> figure = tfdistill.plots.label_noise(noise, ["cat", "dog"])
        >>> figure.axes[0].get_title()
        '10.0 % of labels are wrong (estimate)'
    """
    count = len(class_names)
    # The correct labels on the diagonal would dominate the colours.
    wrong = np.ma.masked_array(100 * noise, np.eye(count, dtype=bool))
    side = min(max(4.0, 0.42 * count + 1.6), 22.6)
    figure, axis = plt.subplots(figsize=(side + 0.9, side), layout="constrained")
    shown = axis.imshow(wrong, cmap="Reds", vmin=0, vmax=max(wrong.max(), 1e-9))
    axis.set_facecolor("0.93")
    named = evenly(count, 150)  # so many fit
    names = fonts.readable(class_names)
    names = [names[k] for k in named]
    axis.set_xticks(named, names, rotation=90 if count > 10 else 45)
    axis.set_yticks(named, names)
    axis.tick_params(labelsize=8, length=0)
    axis.set(xlabel="true label, by the students", ylabel="given label")
    axis.set_title(
        f"{100 * (1 - np.trace(noise)):.1f} % of labels are wrong (estimate)"
    )
    axis.spines[:].set_visible(False)
    figure.colorbar(shown, label="share of all labels (%)", shrink=0.8)
    return figure


def save(figure: plt.Figure, path: str | os.PathLike) -> None:
    """Writes a figure as PNG, complete or not at all, and closes it.

    Example:
        >>> import os, tempfile, tfdistill
        >>> figure = tfdistill.plots.accuracy_curve([0, 10], [0.1, 0.8])
        >>> path = os.path.join(tempfile.mkdtemp(), "accuracy.png")
        >>> tfdistill.plots.save(figure, path)
    """
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
    plt.close(figure)
