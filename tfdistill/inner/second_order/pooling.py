"""Max pooling, with a second derivative that is exact in more cases."""

import functools
import itertools

import tensorflow as tf
from tensorflow.python.ops import control_flow_util

_max_pool, _max_pool1d = tf.nn.max_pool, tf.nn.max_pool1d
_max_pool2d, _max_pool3d = tf.nn.max_pool2d, tf.nn.max_pool3d
_pool = tf.nn.pool


def max_pool(input, ksize, strides, padding, data_format=None, name=None):
    """`tf.nn.max_pool`, with a second derivative that is exact in two cases more.

    XLA computes that derivative in bfloat16, and not at all in double precision. On the
    CPU it is silently wrong where the output has the shape of the input: the kernel
    seems to write over its own input.
    """
    pooled = _composed(input, ksize, strides, padding, data_format)
    if pooled is None:
        pooled = _max_pool(input, ksize, strides, padding, data_format, name)
    return pooled


def max_pool1d(input, ksize, strides, padding, data_format="NWC", name=None):
    """`tf.nn.max_pool1d`."""
    pooled = _composed(input, ksize, strides, padding, data_format)
    if pooled is None:
        pooled = _max_pool1d(input, ksize, strides, padding, data_format, name)
    return pooled


def max_pool2d(input, ksize, strides, padding, data_format="NHWC", name=None):
    """`tf.nn.max_pool2d`."""
    pooled = _composed(input, ksize, strides, padding, data_format)
    if pooled is None:
        pooled = _max_pool2d(input, ksize, strides, padding, data_format, name)
    return pooled


def max_pool3d(input, ksize, strides, padding, data_format="NDHWC", name=None):
    """`tf.nn.max_pool3d`."""
    pooled = _composed(input, ksize, strides, padding, data_format)
    if pooled is None:
        pooled = _max_pool3d(input, ksize, strides, padding, data_format, name)
    return pooled


def pool(
    input,
    window_shape,
    pooling_type,
    strides=None,
    padding="VALID",
    data_format=None,
    dilations=None,
    name=None,
):
    """`tf.nn.pool`: Keras's adaptive pooling."""
    pooled = None
    if pooling_type == "MAX" and set(_listed(dilations)) <= {1}:
        pooled = _composed(input, window_shape, strides or 1, padding, data_format)
    if pooled is None:
        pooled = _pool(
            input,
            window_shape,
            pooling_type,
            strides,
            padding,
            data_format,
            dilations,
            name,
        )
    return pooled


def _composed(input, ksize, strides, padding, data_format):
    """The largest of each window, where TensorFlow's kernel fails; else None."""
    input = tf.convert_to_tensor(input)
    lengths = list(input.shape[1:-1])
    channels_last = data_format in (None, "NWC", "NHWC", "NDHWC")
    plain = padding in ("SAME", "VALID") and channels_last
    if not (plain and 1 <= len(lengths) <= 3 and None not in lengths):
        return None
    windows, steps = (_spatial(sizes, len(lengths)) for sizes in (ksize, strides))
    if padding == "SAME":
        pads = [
            max(0, -(-length // step) * step - step + window - length)
            for length, window, step in zip(lengths, windows, steps)
        ]
    else:
        pads = [0] * len(lengths)
    padded = [length + pad for length, pad in zip(lengths, pads)]
    places = [
        range(0, length - window + 1, step)
        for length, window, step in zip(padded, windows, steps)
    ]
    kept = [len(p) for p in places] == lengths
    missing = len(lengths) == 3 and input.dtype == tf.float64  # there is no such kernel
    if not (_is_compiled() or kept or missing):
        return None
    around = [[0, 0], *([pad // 2, pad - pad // 2] for pad in pads), [0, 0]]
    input = tf.pad(input, around, constant_values=input.dtype.min)
    # The largest of the window's places, one after another.
    shifted = [
        input[
            (
                slice(None),
                *(slice(i, i + p[-1] + 1, p.step) for i, p in zip(offsets, places)),
            )
        ]
        for offsets in itertools.product(*map(range, windows))
    ]
    return functools.reduce(tf.maximum, shifted)


def _spatial(sizes, count):
    """The sizes along `count` axes, from any form that TensorFlow accepts."""
    sizes = _listed(sizes)
    return {1: sizes * count, count: sizes, count + 2: sizes[1:-1]}[len(sizes)]


def _listed(sizes):
    if sizes is None:
        return []
    return [sizes] if isinstance(sizes, int) else list(sizes)


def _is_compiled():
    graph = tf.compat.v1.get_default_graph()
    return control_flow_util.GraphOrParentsInXlaContext(graph)
