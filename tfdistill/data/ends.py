"""What black and white are in the real images, whose floats may be in any range."""

import numpy as np

from tfdistill.data import stratified
from tfdistill.data.dataset import Dataset
from tfdistill.data.extent import Extent

_LOOKED_AT = 2000  # images, from end to end
# Shares of a range: what rounding takes of it, what resizing adds to it, and what its
# images reach at least, however dark they are.
_NEAR, _OVERSHOT, _DARKEST = 0.02, 0.25, 0.1


def black_and_white(dataset: Dataset) -> np.ndarray:
    """The lowest and the highest number that a pixel of the real images may be.

    Images of 8 bits are in 0..255, however dark they are. Of floats, the training
    images tell: 0..1 or 0..255, if they may be, and otherwise their own ends.

    Args:
        dataset: The real data.

    Returns:
        float32 `[2, C]`, of raw images divided by the scale.
    """
    normalization = dataset.normalization
    channels = dataset.image_shape[-1]
    if normalization.scale == 255:
        return _usual(1.0, channels)
    rows = stratified.spaced(dataset.train.num_examples, _LOOKED_AT)
    images = normalization.denormalize(dataset.train.take(rows))
    found = Extent.of_images(images)
    white = 1.0 if found.high <= 1 + _OVERSHOT else 255.0
    away = max(-found.low, found.high - white)
    if found.reached:
        away = max(abs(found.low), abs(found.high - white))
    low, high = images.min((0, 1, 2)), images.max((0, 1, 2))
    # Another channel may be in another range.
    is_dark = white != 1 and high.min() < _DARKEST * white
    if away <= (_NEAR if found.reached else _OVERSHOT) * white and not is_dark:
        return _usual(white, channels)
    return np.stack([low, high])


def are_usual(ends: np.ndarray) -> bool:
    """Whether these ends are those of 0..1 or of 0..255."""
    return any(np.array_equal(ends, _usual(x, ends.shape[1])) for x in (1.0, 255.0))


def _usual(white, channels):
    return np.float32([[0] * channels, [white] * channels])
