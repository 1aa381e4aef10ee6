"""Random changes to real images that keep their labels valid."""

import numpy as np
import tensorflow as tf

from tfdistill._internal.seeds import key_of


def crop_flip(images: tf.Tensor, seed: tf.Tensor, padding: int = 4) -> tf.Tensor:
    """Pads images with zeros, crops them at random, and mirrors a random half.

    The paper does this to the real images of CIFAR-10 (Wang et al. 2018). Raw zeros are
    black in 0..255 and 0..1, but grey in -1..1: give images in -1..1 as 0..1.

    Args:
        images: Raw images [B, H, W, C] of any dtype.
        seed: int32 or int64 [2]: the result is a function of it and the images.
        padding: Number of pixels on each side, at least 0.

    Returns:
        Images of the same shape and dtype. Each image is mirrored, left to right, with
        probability 1/2.
    """
    count, height, width = tf.unstack(tf.shape(images)[:3])
    seeds = tf.random.experimental.stateless_split(key_of(*tf.unstack(seed)), 3)

    def positions(seed, size):
        first = tf.random.stateless_uniform(
            [count, 1], seed, 0, 2 * padding + 1, tf.int32
        )
        return first + tf.range(size)

    sides = [padding, padding]
    cropped = tf.pad(images, [[0, 0], sides, sides, [0, 0]])
    cropped = tf.gather(cropped, positions(seeds[0], height), axis=1, batch_dims=1)
    cropped = tf.gather(cropped, positions(seeds[1], width), axis=2, batch_dims=1)
    mirrored = tf.random.stateless_uniform([count, 1, 1, 1], seeds[2]) < 0.5
    return tf.where(mirrored, tf.reverse(cropped, [2]), cropped)


def resized_crop_flip(
    images: tf.Tensor, seed: tf.Tensor, smallest: float = 0.08
) -> tf.Tensor:
    """Crops images at random, resizes the crops, and mirrors a random half.

    The paper does this to the photographs of CUB-200 and PASCAL VOC (Wang et al. 2018).

    Args:
        images, seed: Same as in `crop_flip`.
        smallest: Smallest area of a crop, as a part of the image, in (0, 1]. The ratio
            of its sides changes by up to 4 : 3.

    Returns:
        Images of the same shape and dtype. Each image is mirrored, left to right, with
        probability 1/2.
    """
    images = tf.convert_to_tensor(images)
    count, height, width = tf.unstack(tf.shape(images)[:3])
    seeds = tf.random.experimental.stateless_split(key_of(*tf.unstack(seed)), 4)
    area = tf.random.stateless_uniform([count], seeds[0], smallest, 1.0)
    ratio = tf.exp(
        tf.random.stateless_uniform([count], seeds[1], *np.log([3 / 4, 4 / 3]))
    )
    sides = tf.sqrt(tf.stack([area * ratio, area / ratio], axis=1))
    sides = tf.minimum(sides, 1.0)  # [count, 2], relative to the image
    low = tf.random.stateless_uniform([count, 2], seeds[2]) * (1 - sides)
    mirrored = tf.random.stateless_uniform([count], seeds[3]) < 0.5
    left = tf.where(mirrored, low[:, 1] + sides[:, 1], low[:, 1])
    right = tf.where(mirrored, low[:, 1], low[:, 1] + sides[:, 1])
    boxes = tf.stack([low[:, 0], left, low[:, 0] + sides[:, 0], right], axis=1)
    cropped = tf.image.crop_and_resize(
        images, boxes, tf.range(count), tf.stack([height, width])
    )
    cropped = tf.ensure_shape(cropped, images.shape)
    if images.dtype.is_integer:
        cropped = tf.round(cropped)
    return tf.cast(cropped, images.dtype)


#: Augmentations by their names on the command line.
AUGMENTATIONS = {
    "none": None,
    "crop_flip": crop_flip,
    "resized_crop_flip": resized_crop_flip,
}
