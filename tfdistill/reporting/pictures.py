"""Pictures of distilled images."""

import numpy as np

from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.distilled.pictures import as_pictures


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
