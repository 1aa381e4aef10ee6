"""Images of any shape as pictures of limited size."""

import numpy as np

from tfdistill.distilled.dataset import DistilledDataset

# The largest ratio of a picture's sides: a line of single pixels could not be seen.
_RATIO = 8


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


def as_pictures(images: np.ndarray, side: int = 256) -> np.ndarray:
    """Images of one shape as grey or coloured pictures.

    Args:
        images: float `[count, *image_shape]` in 0..1. A vector `[D]` becomes one row of
            pixels. `[H, W]` is grey. In `[..., H, W, C]`, all axes before the width are
            rows. 3 or 4 channels are red, green, blue and one that is ignored;
            otherwise the first channel is shown in grey.
        side: Larger pictures are averaged over squares of pixels until height and
            width are at most this.

    Returns:
        float `[count, height, width, 1 or 3]` in 0..1.
    """
    shape = images.shape[1:]
    if len(shape) < 3:
        shape = (*shape, 1) if len(shape) == 2 else (1, *shape, 1)
    images = images.reshape(len(images), -1, *shape[-2:])
    images = images[..., : 3 if shape[-1] in (3, 4) else 1]
    block = -(-max(images.shape[1:3]) // side)
    for axis in (1, 2):
        images = _means(images, axis, block)
    height, width = images.shape[1:3]
    images = images.repeat(max(1, width // (_RATIO * height)), axis=1)
    return images.repeat(max(1, height // (_RATIO * width)), axis=2)


def _means(images, axis, block):
    """Means of neighbours along an axis; the last block may be smaller."""
    if block == 1:
        return images
    starts = np.arange(0, images.shape[axis], block)
    sizes = np.diff([*starts, images.shape[axis]])
    sums = np.add.reduceat(images, starts, axis)
    return sums / np.expand_dims(sizes.astype(images.dtype), (0, *range(2, 5 - axis)))
