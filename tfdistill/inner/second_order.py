"""Exact second derivatives of TensorFlow's functions, while a graph is traced.

A meta-gradient differentiates gradients. Some of TensorFlow's functions have a correct
first derivative and a wrong second one. While a student's network is traced, they are
replaced by functions with the same values and first derivatives, whose second
derivatives are correct, too. Before and after, TensorFlow is unchanged.
"""

import contextlib
import functools
import threading
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.python.ops import control_flow_util


def _moments(x, axes, shift=None, keepdims=False, name=None):
    """`tf.nn.moments`.

    TensorFlow's own stops the gradient at the mean inside the variance. The first
    derivative is still correct, but the second is wrong, and so is the meta-gradient
    through batch and group normalisation.
    """
    del shift
    with tf.name_scope(name or "moments"):
        mean = tf.reduce_mean(x, axes, keepdims=True)
        variance = tf.reduce_mean(
            tf.math.squared_difference(x, mean), axes, keepdims=keepdims
        )
        return (mean if keepdims else tf.squeeze(mean, axes)), variance


_tensorflow_max_pool = tf.nn.max_pool


def _max_pool(input, ksize, strides, padding, data_format=None, name=None):
    """`tf.nn.max_pool`, whose second derivative stays exact when XLA compiles it.

    XLA computes that derivative in bfloat16, and not at all in double precision.
    """
    plain = padding in ("SAME", "VALID") and data_format in (None, "NHWC")
    known = input.shape.rank == 4 and input.shape[1:3].is_fully_defined()
    if not (plain and known and _is_compiled()):
        return _tensorflow_max_pool(input, ksize, strides, padding, data_format, name)
    lengths, windows, strides = input.shape[1:3], _two(ksize), _two(strides)
    if padding == "SAME":
        pads = [
            max(0, -(-length // stride) * stride - stride + window - length)
            for length, window, stride in zip(lengths, windows, strides)
        ]
        lengths = [length + pad for length, pad in zip(lengths, pads)]
        pads = [[0, 0], *([pad // 2, pad - pad // 2] for pad in pads), [0, 0]]
        input = tf.pad(input, pads, constant_values=input.dtype.min)
    rows, columns = (
        range(0, length - window + 1, stride)
        for length, window, stride in zip(lengths, windows, strides)
    )
    shifted = [
        input[
            :, i : i + rows[-1] + 1 : strides[0], j : j + columns[-1] + 1 : strides[1]
        ]
        for i in range(windows[0])
        for j in range(windows[1])
    ]
    return functools.reduce(tf.maximum, shifted)


def _two(sizes):
    """Height and width, from any form that TensorFlow accepts."""
    sizes = [sizes] if isinstance(sizes, int) else list(sizes)
    return {1: sizes * 2, 2: sizes, 4: sizes[1:3]}[len(sizes)]


def _is_compiled():
    graph = tf.compat.v1.get_default_graph()
    return control_flow_util.GraphOrParentsInXlaContext(graph)


# Keras looks these up in `tf.nn` at each call.
_EXACT = {"moments": _moments, "max_pool": _max_pool}
_lock = threading.Lock()
_entered: list[dict] = []


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Replaces TensorFlow's functions until the block ends.

    Blocks may be nested, and they overlap where several threads trace a strategy's
    replicas: the first block to begin replaces, the last to end restores.
    """
    with _lock:
        before = {name: getattr(tf.nn, name) for name in _EXACT}
        _entered.append(_entered[0] if _entered else before)
        for name, function in _EXACT.items():
            setattr(tf.nn, name, function)
    try:
        yield
    finally:
        with _lock:
            before = _entered.pop()
            if not _entered:
                for name, function in before.items():
                    setattr(tf.nn, name, function)
