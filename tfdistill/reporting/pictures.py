"""Pictures of distilled images."""

import numpy as np

from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.distilled.pictures import as_pictures


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
