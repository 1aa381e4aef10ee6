"""Small images as large ones: several of them take the room of one."""

import tensorflow as tf

from tfdistill.inner.second_order.resizing import resize


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
