"""Pictures of distilled images."""

import numpy as np

from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.distilled.pictures import as_pictures
from tfdistill.inner.objectives.classification import Classification
from tfdistill.reporting.lines import evenly


def in_rows(distilled: DistilledDataset, most: int) -> DistilledDataset:
    """The data in rows to look at: its steps, or, where there are none, of all classes.

    Args:
        distilled: The data to show.
        most: Number of rows of data for ordinary training, at least 1; of more, images
            are left out evenly over the classes.
    """
    count, width = distilled.num_images, row_width(distilled)
    if distilled.recipe.is_ordered or count < width:
        return distilled
    labels = distilled.labels.reshape(count, -1)
    chosen = over_classes(labels, min(count // width, most) * width)
    images = distilled.images.reshape(count, *distilled.image_shape)[chosen]
    return distilled.replace(
        images=images.reshape(-1, width, *distilled.image_shape),
        labels=labels[chosen].reshape(len(chosen) // width, width, -1),
    )


def row_width(distilled: DistilledDataset) -> int:
    """Images in a row of data for ordinary training: one of each of a few classes."""
    return min(distilled.num_classes, 10)


def over_classes(labels: np.ndarray, most: int) -> np.ndarray:
    """Indices of at most `most` images, evenly over the classes, in their order.

    Args:
        labels: float `[images, classes]`; the class is that of the largest number.
        most: At least 1.
    """
    classes = labels.argmax(-1)
    counts = np.bincount(np.sort(classes)[evenly(len(classes), most)])
    members = [np.flatnonzero(classes == k) for k in range(len(counts))]
    chosen = [of[evenly(len(of), n)] for of, n in zip(members, counts) if n]
    return np.sort(np.concatenate(chosen))


def labels_note(distilled: DistilledDataset) -> str:
    """A remark, if labels are learned: what is shown of one, and that it may move."""
    if not isinstance(distilled.objective, Classification):
        return ""
    labels = distilled.labels
    # Those that are given are 1 at one class, 0 elsewhere, and perhaps centred.
    given = np.eye(labels.shape[-1])[labels.argmax(-1)]
    if np.ptp(labels - given, axis=-1).max() < 0.005:
        return ""
    return (
        "the most likely class of a learned one, which may have moved from the class "
        "that the image started from"
    )


def of_steps(
    distilled: DistilledDataset, steps: np.ndarray, count: int, side: int = 256
) -> np.ndarray:
    """Pictures of the distilled images of some steps.

    Args:
        distilled: The data to show.
        steps: int `[rows]`, from 0.
        count: Number of images of each step, at least 1; the first ones are shown.
        side: Same as for `as_pictures`.

    Returns:
        float32 `[rows, count, height, width, 1 or 3]` in 0..1.
    """
    batch = distilled.images.shape[1]
    indices = np.add.outer(batch * steps, np.arange(min(count, batch)))
    found = of_images(distilled, indices.ravel(), side)
    return found.reshape(*indices.shape, *found.shape[1:])


def of_images(
    distilled: DistilledDataset, indices: np.ndarray, side: int = 256
) -> np.ndarray:
    """Pictures of some of the distilled images.

    Args:
        distilled: The data to show.
        indices: int `[count]`, among the images of all steps.
        side: Same as for `as_pictures`.

    Returns:
        float32 `[count, height, width, 1 or 3]` in 0..1.
    """
    images = distilled.images.reshape(-1, *distilled.image_shape)[indices]
    return as_pictures(distilled.normalization.displayable(images), side)
