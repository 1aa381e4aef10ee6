"""Which class each synthetic image begins as."""

import numpy as np

from tfdistill._internal.checks import check_int


def in_turn(steps: int, size: int, num_classes: int) -> np.ndarray:
    """The classes in turn: 0, 1, ..., 0, 1, ...

    Every step begins with class 0. If a step has fewer images than there are classes,
    the next step goes on with the others, so that all of them are taught.

    Args:
        steps: Number of steps, at least 1.
        size: Number of images in each, at least 1.
        num_classes: Number of classes.

    Returns:
        int `[steps, size]`.

    Raises:
        ValueError: If there are fewer images than classes in all.
    """
    total = check_int("steps", steps, 1) * size
    if total < num_classes:
        raise ValueError(
            f"{total} images in all cannot teach {num_classes} classes: take more "
            "steps, or more images in each."
        )
    if size < num_classes:
        return np.arange(total).reshape(steps, size) % num_classes
    return np.tile(np.arange(size) % num_classes, (steps, 1))
