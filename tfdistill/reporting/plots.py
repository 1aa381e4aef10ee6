"""Pictures of distilled data and of a run."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt

from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.runs import files


def distilled_images(
    distilled: DistilledDataset, *, max_steps: int = 20, max_images: int = 10
) -> plt.Figure:
    """A row of images a step, with their labels and the step's learned rates.

    Args:
        distilled: What to show.
        max_steps: Rows at the most; steps are left out evenly.
        max_images: Images a row at the most.
    """
    steps = evenly(distilled.steps, max_steps)
    count = min(distilled.images.shape[1], max_images)
    shown = distilled.normalization.displayable(distilled.images[steps, :count])
    labels = distilled.labels[steps, :count]
    figure, axes = plt.subplots(
        len(steps),
        count,
        figsize=(1.0 * count + 1.6, 1.18 * len(steps) + 0.4),
        squeeze=False,
        layout="constrained",
    )
    for row, step in enumerate(steps):
        for column in range(count):
            axis = axes[row, column]
            _show(axis, shown[row, column])
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            label = labels[row, column]
            best = int(label.argmax())
            title = distilled.class_names[best]
            if label[best] < 0.995:
                title += f" {100 * label[best]:.0f} %"
            axis.set_title(title, fontsize=8, pad=2)
        rates = distilled.learning_rates[:, step]
        text = ", ".join(f"{rate:.3g}" for rate in rates[:4])
        text += ", …" if len(rates) > 4 else ""
        axes[row, 0].set_ylabel(
            f"step {step + 1}\nrate {text.replace(', ', chr(10))}",
            rotation=0,
            ha="right",
            va="center",
            fontsize=8,
        )
    return figure


def accuracy_curve(
    outer_steps: Sequence[int],
    mean: Sequence[float],
    std: Sequence[float],
    *,
    baseline: float | None = None,
    baseline_name: str = "random real images",
) -> plt.Figure:
    """Validation accuracy of fresh students against outer steps.

    Args:
        outer_steps: When it was measured.
        mean, std: Over students, in 0..1.
        baseline: An accuracy to draw as a level, in 0..1.
        baseline_name: What that is.
    """
    centre, width = 100 * np.asarray(mean), 100 * np.asarray(std)
    figure, axis = plt.subplots(figsize=(6.4, 4), layout="constrained")
    axis.fill_between(outer_steps, centre - width, centre + width, alpha=0.2, lw=0)
    axis.plot(outer_steps, centre, label="distilled data")
    if baseline is not None:
        axis.axhline(100 * baseline, color="0.45", ls="--", lw=1.2, label=baseline_name)
        axis.legend(frameon=False, loc="lower right")
    axis.set(
        xlabel="outer steps",
        ylabel="validation accuracy of fresh students (%)",
        xlim=(0, max(outer_steps) or 1),
        ylim=(min(0.0, float(np.min(centre - width))), 100),
    )
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def exposure(figures: Mapping[str, Mapping], attacked: str, target: str) -> plt.Figure:
    """What is left of an attack, by how networks were trained on it.

    Args:
        figures: As of `exposure.figures`.
        attacked, target: What the two classes are called.
    """
    figure, axis = plt.subplots(
        figsize=(7.5, 0.6 * len(figures) + 1), layout="constrained"
    )
    rows = np.arange(len(figures))
    for shift, key, label, color in (
        (-0.19, "attacked", f"{attacked} called {target}", "tab:red"),
        (0.19, "accuracy", "accuracy", "0.72"),
    ):
        mean, std = (
            [100 * f[f"{key}_{what}"] for f in figures.values()]
            for what in ("mean", "std")
        )
        axis.barh(rows + shift, mean, 0.36, xerr=std, label=label, color=color)
    axis.set_yticks(rows, list(figures))
    axis.invert_yaxis()
    axis.set(xlim=(0, 100), xlabel="test images (%)")
    axis.grid(axis="x", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def grid(
    distilled: DistilledDataset, *, max_steps: int = 20, max_images: int = 10
) -> np.ndarray:
    """The images as one picture, a row a step: for TensorBoard, or `plt.imshow`.

    Args:
        distilled: What to show.
        max_steps: Rows at the most; steps are left out evenly.
        max_images: Images a row at the most.

    Returns:
        float32 `[height, width, 1 or 3]` in 0..1. Pixels of small images are
        repeated, so that each image is at least 32 pixels high.
    """
    chosen = evenly(distilled.steps, max_steps)
    images = distilled.normalization.displayable(distilled.images[chosen, :max_images])
    if images.shape[-1] not in (1, 3):
        images = images[..., :1]
    zoom = -(-32 // images.shape[2])
    images = images.repeat(zoom, axis=2).repeat(zoom, axis=3)
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
        distilled, real: Of each architecture, in 0..1.
        spearman: The rank correlation.
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


def titled_images(images: np.ndarray, titles: Sequence[str]) -> plt.Figure:
    """Images, eight in a row.

    Args:
        images: `[count, height, width, channels]` in 0..1, at least one.
        titles: One for each.
    """
    columns = min(len(images), 8)
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(1.35 * columns, 1.5 * rows),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, title in zip(axes.flat, images, titles):
        _show(axis, image)
        axis.set_title(title, fontsize=8, pad=2)
    return figure


def label_noise(noise: np.ndarray, class_names: Sequence[str]) -> plt.Figure:
    """Which labels stand for which others, as shares of all labels.

    Args:
        noise: As of `audit.Audit.noise`.
        class_names: Of its rows and columns.
    """
    count = len(class_names)
    # The right labels on the diagonal would outshine all others.
    wrong = np.ma.masked_array(100 * noise, np.eye(count, dtype=bool))
    side = max(4.0, 0.42 * count + 1.6)
    figure, axis = plt.subplots(figsize=(side + 0.9, side), layout="constrained")
    shown = axis.imshow(wrong, cmap="Reds", vmin=0, vmax=max(wrong.max(), 1e-9))
    axis.set_facecolor("0.93")
    axis.set_xticks(range(count), class_names, rotation=90 if count > 10 else 45)
    axis.set_yticks(range(count), class_names)
    axis.tick_params(labelsize=8, length=0)
    axis.set(xlabel="true label, by the students", ylabel="given label")
    axis.set_title(
        f"{100 * (1 - np.trace(noise)):.1f} % of labels are wrong (estimate)"
    )
    axis.spines[:].set_visible(False)
    figure.colorbar(shown, label="share of all labels (%)", shrink=0.8)
    return figure


def _show(axis, image):
    grey = image.shape[-1] not in (3, 4)
    axis.imshow(
        image[..., 0] if grey else image,
        cmap="gray" if grey else None,
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )


def save(figure: plt.Figure, path: str | os.PathLike) -> None:
    """Writes a figure as PNG, complete or not at all, and closes it."""
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
    plt.close(figure)


def evenly(count: int, most: int) -> np.ndarray:
    """Which of `count` things to show if there is room for `most`: int indices."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
