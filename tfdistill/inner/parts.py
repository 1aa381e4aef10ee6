"""A large batch in parts, on a CPU: one after another, or side by side."""

import os
import weakref

import numpy as np
import tensorflow as tf

from tfdistill.inner.tracing import accelerated

#: Images that one thread is given at the least: with fewer, that is not worth it.
_LEAST = 256
#: Images of one of the parts that follow one another: few, so that what a layer makes
#: of them is still in the cache when the next one reads it.
_PART = 64
#: Of students who were asked: whether they mix the images of a batch.
_MIXING: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def one_by_one(student, network, images: tf.Tensor) -> tf.Tensor:
    """What a network makes of a batch, of one part after another.

    On a CPU that is faster, and memory holds the activations of one part; a GPU or TPU
    is faster with the whole batch. A student that mixes the images of a batch, not
    in training mode, is given the whole one, too.

    Args:
        student: The `StatelessModel` that the network is of.
        network: A function of images `[n, *image_shape]`, with outputs in the precision
            of the losses (`stateless.in_precision`).
        images: float `[batch, *image_shape]`.

    Returns:
        Its outputs, `[batch, outputs]`.
    """
    count = images.shape[0]
    if accelerated() or count is None or count <= _PART or count % _PART:
        return network(images)
    if _mixes(student, images):
        return network(images)
    parts = tf.reshape(images, [count // _PART, _PART, *images.shape[1:]])
    # Else images or layers are not in double precision, and outputs in single.
    double = images.dtype == tf.float64 and network(images[:1]).dtype == tf.float64
    found = tf.map_fn(
        network,
        parts,
        parallel_iterations=1,
        fn_output_signature=tf.float64 if double else tf.float32,
    )
    return tf.reshape(found, [count, found.shape[-1]])


def side_by_side(student, network, images: tf.Tensor) -> tf.Tensor:
    """What a network makes of a batch, by as many threads as there are.

    Operations have one thread each, where students learn beside each other: a single
    one's last, large batch would leave all others waiting.

    Args:
        student, network, images: Same as for `one_by_one`.

    Returns:
        Its outputs, `[batch, ...]`.
    """
    threads = tf.config.threading.get_inter_op_parallelism_threads()
    count = min(threads or os.cpu_count() or 1, (images.shape[0] or 0) // _LEAST)
    if count < 2 or accelerated() or _mixes(student, images):
        return network(images)
    ends = [images.shape[0] * i // count for i in range(count + 1)]
    parts = [images[first:stop] for first, stop in zip(ends, ends[1:])]
    return tf.concat([network(part) for part in parts], 0)


def _mixes(student, images):
    """Whether outputs for an image depend on others; also if that is not known."""
    if student not in _MIXING:
        with tf.init_scope():  # numbers are needed, of a graph that is being traced
            _MIXING[student] = _tried(student, images.shape[1:], images.dtype)
    return _MIXING[student]


def _tried(student, image_shape, dtype):
    rng = np.random.default_rng(0)

    def random(shape, scale=1.0):
        return scale * rng.standard_normal(shape)

    # A last layer may still be zero.
    weights = [
        tf.cast(random(w.shape, np.sqrt(2 / max(1, np.prod(w.shape[:-1])))), w.dtype)
        for w in student.weights
    ]
    kept, *others = random([3, 4, *image_shape])
    try:
        # Batches of one size, so that rounding errors are the same.
        one, other = (
            student(
                weights, student.state, tf.cast(np.concatenate([kept, x]), dtype), False
            )[0][:4]
            for x in others
        )
    except Exception:  # it does not take random numbers
        return True
    largest = np.max(np.abs(one), initial=0)
    return not np.allclose(one, other, rtol=0, atol=1e-5 * largest)
