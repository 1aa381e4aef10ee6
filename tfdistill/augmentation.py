"""Random changes to real images that leave their labels true."""

import tensorflow as tf


def crop_flip(images: tf.Tensor, seed: tf.Tensor, padding: int = 4) -> tf.Tensor:
    """Pads with black, crops at random, and mirrors every other image, left to right.

    What the paper does to CIFAR-10's real images (Wang et al. 2018).

    Args:
        images: Raw images `[batch, height, width, channels]` of any dtype.
        seed: int32 or int64 `[2]`: the result is a function of it and the images.
        padding: Pixels on each side, at least 0.

    Returns:
        Images of the same shape and dtype.
    """
    count, height, width = tf.unstack(tf.shape(images)[:3])
    seeds = tf.random.experimental.stateless_split(tf.cast(seed, tf.int32), 3)

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


#: By the name that the command line gives them.
AUGMENTATIONS = {"none": None, "crop_flip": crop_flip}
