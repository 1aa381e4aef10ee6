"""What an array of another shape than [H, W, C] probably is, and what to do with it."""

import math
from collections.abc import Sequence

_CHANNELS = (1, 2, 3, 4)


def check(shape: Sequence[int | None]) -> None:
    """Refuses the shapes of what is not an image, or an image with its axes elsewhere.

    Args:
        shape: Shape of one example: (H, W) and (H, W, C) are images.

    Raises:
        ValueError: If it is another one: a vector, a volume, or channels first.
    """
    known = ", ".join("?" if size is None else str(size) for size in shape)
    if len(shape) == 1 and shape[0]:
        size = shape[0]
        side = math.isqrt(size)
        square = f"({side}, {side}, 1) if they are square images, or " * (
            side > 1 and side * side == size
        )
        raise ValueError(
            f"each example is a vector of {size} numbers: reshape it to {square}"
            f"(1, {size}, 1), a single row of pixels."
        )
    if len(shape) == 4:
        raise ValueError(
            f"each example is a volume or a video of shape ({known}): images are "
            "[H, W, C], so move its first axis into the channels, such as by "
            "np.moveaxis(images, 1, -2).reshape(N, H, W, D * C)."
        )
    if len(shape) == 3 and _channels_first(*shape):
        raise ValueError(
            f"images must be [H, W, C], but ({known}) has its channels first: move "
            "them, such as by np.moveaxis(images, 1, -1)."
        )


def _channels_first(first, height, width):
    if first not in (1, 3, 4) or width in _CHANNELS or None in (height, width):
        return False
    alike = max(height, width) <= 2 * min(height, width)
    # One row of pixels with many channels is a sequence, and allowed.
    return min(height, width) > 4 and (alike or first != 1)
