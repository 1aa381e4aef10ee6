"""Finds operations without a second derivative, before a student is distilled for.

For such an operation, TensorFlow either fails in the middle of a trace, or silently
leaves out a part of the meta-gradient.
"""

import contextlib
import re
import warnings
from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow.python.framework import func_graph, ops

from tfdistill.inner.second_order.paths import is_reached, on_paths

#: Have a gradient, which is not the derivative of what they compute.
_INEXACT = {
    "ImageProjectiveTransformV2",
    "ImageProjectiveTransformV3",
    "PreventGradient",
}
#: What to use instead of operations whose names begin so.
_INSTEAD = {
    "AdjustContrast": "keras.layers.RandomContrast",
    "AdjustHue": "keras.layers.RandomHue",
    "AdjustSaturation": "keras.layers.RandomSaturation",
    "CropAndResize": "keras.ops.image.crop_images and keras.ops.image.resize",
    "Cudnn": "keras.layers.LSTM or GRU with use_cudnn=False",
    "Dilation2D": "keras.layers.MaxPooling2D",
    "Fractional": "keras.layers.AdaptiveMaxPooling2D or AdaptiveAveragePooling2D",
    "HSVToRGB": "tf.image.hsv_to_rgb",
    "ImageProjectiveTransform": "keras.ops.image.affine_transform",
    "LRN": "tf.nn.local_response_normalization",
    "MaxPool": "keras.layers.MaxPooling2D",
    "PyFunc": "functions of TensorFlow or keras.ops",
    "Resize": "keras.ops.image.resize",
    "ScaleAndTranslate": "keras.ops.image.resize",
    "Softsign": "tf.nn.softsign",
}


def check(student, image_shape: Sequence[int], name: str, *, order: int = 2) -> None:
    """Searches a student's first gradient for what can't be differentiated again.

    The gradient is traced, not computed.

    Args:
        student: A `StatelessModel`.
        image_shape: (height, width, channels).
        name: What the sentences call the student.
        order: 1 to search its outputs alone, for what has no derivative at all.

    Raises:
        ValueError: If a meta-gradient through the student is impossible or wrong.

    Warns:
        UserWarning: If a layer stops gradients.
    """
    try:
        traced = _traced(student, image_shape, order)
    except (TypeError, ValueError, NotImplementedError, tf.errors.OpError):
        return  # not this check's concern: the real trace fails in the same way
    operations = list(on_paths(*traced))
    found = [(op, path) for op, path in operations if _is_wrong(op)]
    for operation, path in found:
        if operation.type != "StopGradient":
            kind = re.sub("(Grad|Backprop).*", "", operation.type)
            # The gradients of functions do not carry the names of layers.
            paths = [path, *(p for op, p in operations if op.type == kind)]
            layer = layer_of(student.model, paths)
            raise ValueError(_sentence(name, kind, layer, order))
    # The derivative of logsumexp does not depend on what is stopped in it.
    stops = [path for _, path in found if "ReduceLogSumExp" not in path]
    for layer in sorted({layer_of(student.model, [path]) for path in stops}):
        warnings.warn(
            f"student {name}: {layer} stops gradients (tf.stop_gradient), so the "
            "meta-gradient leaves out what flows through there.",
            stacklevel=3,
        )


def reaches_images(student, image_shape: Sequence[int]) -> bool:
    """Whether a derivative leads from a student's loss to the images.

    Its outputs and penalties are traced, not computed.

    Args:
        student: A `StatelessModel`.
        image_shape: (height, width, channels).
    """
    try:
        graph, (*_, images), (loss, *_) = _traced(student, image_shape, order=1)
    except (TypeError, ValueError, NotImplementedError, tf.errors.OpError):
        return True  # as above
    return is_reached(graph, [images], loss)


def _traced(student, image_shape, order):
    """A graph of what is differentiated; its sources; and what depends on them."""
    model = student.model
    graph = func_graph.FuncGraph("second_order")
    with graph.as_default():
        weights, state = (
            [_placeholder(v.shape, v.dtype) for v in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        )
        images = _placeholder((None, *image_shape), keras.config.floatx())
        sources = [x for x in (*weights, *state, images) if x.dtype.is_floating]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            outputs, state, penalty = student(weights, state, images, training=True)
            # Its gradient depends on the outputs, as that of any inner loss does.
            loss = -tf.reduce_sum(tf.nn.log_softmax(outputs)[:, 0]) + penalty
        gradients = [loss]
        if order == 2:
            # Without a first derivative, that is what the search finds.
            with contextlib.suppress(LookupError):
                gradients = tape.gradient(loss, weights)
        targets = [
            tf.convert_to_tensor(x) for x in (*gradients, *state) if x is not None
        ]
    return graph, sources, targets


def _placeholder(shape, dtype):
    return tf.compat.v1.placeholder(dtype, shape)


def _is_wrong(operation):
    """Whether the derivative of an operation on a path is missing or wrong."""
    if operation.type in _INEXACT:
        return True
    if operation.type == "MaxPoolGrad":  # wrong on the CPU where the shape is kept
        before, after = (x.shape[1:] for x in operation.inputs[:2])
        return before == after
    try:
        return ops.get_gradient_function(operation) is None
    except LookupError:
        return True


def _sentence(name, kind, layer, order):
    found = (use for start, use in _INSTEAD.items() if kind.startswith(start))
    which, often = ("second derivative", " twice") if order == 2 else ("derivative", "")
    instead = next(found, f"functions that can be differentiated{often}")
    return (
        f"student {name}: {layer} uses {kind}, whose {which} TensorFlow does not have, "
        f"so images cannot be distilled through it: use {instead}."
    )


def layer_of(model: keras.Model, paths: Sequence[str]) -> str:
    """The innermost layer whose name is in the scopes of an operation, of several."""
    names = {layer.name for layer in model._flatten_layers(include_self=False)}
    for path in paths:
        for scope in reversed(path.split("/")[:-1]):
            # Keras numbers the scopes of a layer that is called again.
            for candidate in (scope, re.sub(r"_\d+$", "", scope)):
                if candidate in names:
                    return f"its layer {candidate!r}"
    return "the model itself"
