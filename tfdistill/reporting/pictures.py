"""Pictures of distilled images."""

import numpy as np

from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.distilled.pictures import as_pictures
from tfdistill.inner.objectives.classification import Classification


def in_rows(distilled: DistilledDataset, most: int = 10) -> DistilledDataset:
    """The data in rows to look at: its steps, or, where there are none, of all classes.

    Args:
        distilled: The data to show.
        most: Number of images in a row where data is for ordinary training and the
            number of classes says nothing else.
    """
    count = distilled.num_images
    width = distilled.num_classes if distilled.num_classes <= most else most
    if distilled.recipe.is_ordered or count % width:
        return distilled
    images = distilled.images.reshape(-1, width, *distilled.image_shape)
    return distilled.replace(
        images=images, labels=distilled.labels.reshape(*images.shape[:2], -1)
    )


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
    shown = distilled.normalization.displayable(distilled.images[steps, :count])
    pictures = as_pictures(shown.reshape(-1, *distilled.image_shape), side)
    return pictures.reshape(*shown.shape[:2], *pictures.shape[1:])
