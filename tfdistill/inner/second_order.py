"""Exact second derivatives of TensorFlow's functions, while a graph is traced.

A meta-gradient differentiates gradients. Some of TensorFlow's functions have a correct
first derivative and a wrong second one. While a student's network is traced, they are
replaced by functions with the same values and first derivatives, whose second
derivatives are correct, too. Before and after, TensorFlow is unchanged.
"""

import contextlib
import functools
import itertools
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
    """`tf.nn.max_pool`, with a second derivative that is exact in two cases more.

    XLA computes that derivative in bfloat16, and not at all in double precision. On the
    CPU it is silently wrong where the output has the shape of the input: the kernel
    seems to write over its own input.
    """
    lengths = list(input.shape[1:-1])
    channels_last = data_format in (None, "NWC", "NHWC", "NDHWC")
    plain = padding in ("SAME", "VALID") and channels_last
    if not (plain and 1 <= len(lengths) <= 3 and None not in lengths):
        return _tensorflow_max_pool(input, ksize, strides, padding, data_format, name)
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
        return _tensorflow_max_pool(input, ksize, strides, padding, data_format, name)
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
    sizes = [sizes] if isinstance(sizes, int) else list(sizes)
    return {1: sizes * count, count: sizes, count + 2: sizes[1:-1]}[len(sizes)]


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
