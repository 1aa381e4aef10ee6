"""Small images as large ones: several of them take the room of one."""

import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill.inner.second_order.resizing import resize

#: With more, a small file of a stranger's could ask for any memory.
LARGEST = 16


def check_factor(enlarged) -> int:
    """Checks an argument `enlarged`.

    Raises:
        ValueError: If it is no integer in 1..16.
    """
    factor = check_int("enlarged", enlarged, 1)
    if factor > LARGEST:
        raise ValueError(f"enlarged must be at most {LARGEST}, not {factor}.")
    return factor


def enlarged_shape(shape: tuple[int, ...], factor: int) -> tuple[int, ...]:
    """The shape of an enlarged image.

    Args:
        shape: (height, width, channels); of other shapes, if nothing is enlarged.
        factor: How many times larger both sides become, at least 1.

    Raises:
        ValueError: If something is to be enlarged that has no height and width.
    """
    if factor == 1:
        return tuple(shape)
    if len(shape) != 3:
        raise ValueError(
            f"enlarged needs images of height, width and channels, not {list(shape)}."
        )
    height, width, channels = shape
    return (factor * height, factor * width, channels)


def enlarged(images: tf.Tensor, factor: int) -> tf.Tensor:
    """Enlarges images, bilinearly; exact to differentiate twice.

    Args:
        images: float `[..., height, width, channels]`.
        factor: How many times larger both sides become, at least 1.

    Returns:
        float `[..., factor * height, factor * width, channels]`.
    """
    if factor == 1:
        return images
    *before, height, width, channels = images.shape
    flat = tf.reshape(images, [-1, height, width, channels])
    large = resize(flat, [factor * height, factor * width], "bilinear")
    return tf.reshape(large, [*before, factor * height, factor * width, channels])
