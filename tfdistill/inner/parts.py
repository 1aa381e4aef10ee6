"""A large batch in parts, on a CPU: one after another, or side by side."""

import os

import tensorflow as tf

from tfdistill.inner.tracing import accelerated

#: Images that one thread is given at the least: with fewer, that is not worth it.
_LEAST = 256
#: Images of one of the parts that follow one another.
_PART = 128


def one_by_one(network, images: tf.Tensor) -> tf.Tensor:
    """What a network makes of a batch, of one part after another.

    On a CPU that is no slower, and memory holds the activations of one part; a GPU or
    TPU is faster with the whole batch.

    Args:
        network: A function of images `[n, *image_shape]`, for each of them by itself.
        images: float `[batch, *image_shape]`.

    Returns:
        Its outputs, `[batch, outputs]`.
    """
    count = images.shape[0]
    if accelerated() or count is None or count <= _PART or count % _PART:
        return network(images)
    parts = tf.reshape(images, [count // _PART, _PART, *images.shape[1:]])
    found = tf.map_fn(network, parts, parallel_iterations=1)
    return tf.reshape(found, [count, found.shape[-1]])


def side_by_side(network, images: tf.Tensor) -> tf.Tensor:
    """What a network makes of a batch, by as many threads as there are.

    Operations have one thread each, where students learn beside each other: a single
    one's last, large batch would leave all others waiting.

    Args:
        network, images: Same as for `one_by_one`.

    Returns:
        Its outputs, `[batch, ...]`.
    """
    threads = tf.config.threading.get_inter_op_parallelism_threads()
    count = min(threads or os.cpu_count() or 1, (images.shape[0] or 0) // _LEAST)
    if count < 2 or accelerated():
        return network(images)
    ends = [images.shape[0] * i // count for i in range(count + 1)]
    parts = [images[first:stop] for first, stop in zip(ends, ends[1:])]
    return tf.concat([network(part) for part in parts], 0)
