"""Exact second derivatives of TensorFlow's functions, while a graph is traced.

A meta-gradient differentiates gradients. Some of TensorFlow's functions have a correct
first derivative and a wrong second one, or none. While a student's network is traced,
they are replaced by functions with the same values, whose first and second derivatives
are correct. Before and after, TensorFlow is unchanged. `check` finds what is left.
"""

import contextlib
import threading
from collections.abc import Iterator

import tensorflow as tf

from tfdistill.inner.second_order import functions, pooling
from tfdistill.inner.second_order.guard import check as check
from tfdistill.inner.second_order.guard import reaches_images as reaches_images
from tfdistill.inner.second_order.projective import projective_transform
from tfdistill.inner.second_order.resizing import resize

# Keras looks these up in TensorFlow's modules at each call.
_EXACT = {
    (tf.nn, "moments"): functions.moments,
    (tf.nn, "softmax_cross_entropy_with_logits"): (
        functions.softmax_cross_entropy_with_logits
    ),
    (tf.nn, "softsign"): functions.softsign,
    (tf.nn, "local_response_normalization"): functions.local_response_normalization,
    (tf.nn, "lrn"): functions.local_response_normalization,
    (tf.nn, "max_pool"): pooling.max_pool,
    (tf.nn, "max_pool1d"): pooling.max_pool1d,
    (tf.nn, "max_pool2d"): pooling.max_pool2d,
    (tf.nn, "max_pool3d"): pooling.max_pool3d,
    (tf.nn, "pool"): pooling.pool,
    (tf.image, "hsv_to_rgb"): functions.hsv_to_rgb,
    (tf.image, "resize"): resize,
    (tf.raw_ops, "ImageProjectiveTransformV3"): projective_transform,
}
_lock = threading.Lock()
_entered: list[dict] = []


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Replaces TensorFlow's functions until the block ends.

    Blocks may be nested, and they overlap where several threads trace a strategy's
    replicas: the first block to begin replaces, the last to end restores.
    """
    with _lock:
        before = {place: getattr(*place) for place in _EXACT}
        _entered.append(_entered[0] if _entered else before)
        for place, function in _EXACT.items():
            setattr(*place, function)
    try:
        yield
    finally:
        with _lock:
            before = _entered.pop()
            if not _entered:
                for place, function in before.items():
                    setattr(*place, function)
