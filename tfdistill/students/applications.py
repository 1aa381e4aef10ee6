"""Networks from elsewhere, with a new head for other classes.

Fine-tuning (Wang et al. 2018, section 4.3) keeps what a network has learned, except for
its last layer, whose weights become zero.
"""

import sys
from collections.abc import Callable, Sequence

import keras

from tfdistill._internal.checks import check_int
from tfdistill.students.endings import output

# How images of ImageNet are usually normalised, in 0..255.
_MEAN = [255 * x for x in (0.485, 0.456, 0.406)]
_STD = [255 * x for x in (0.229, 0.224, 0.225)]
_PROBABILITIES = {"softmax", "log_softmax", "logsoftmax", "sigmoid"}


def with_new_head(model: keras.Model, num_classes: int) -> keras.Model:
    """A network with a new last layer, which outputs zero until it learns.

    Args:
        model: A functional or `Sequential` model. If its output is that of a dense
            layer, perhaps with a softmax or sigmoid, these are replaced, also at the
            end of a nested model; if it is anything else `[batch, n]`, such as a
            relu's, these are features, and the new layer is added to them.
        num_classes: At least 1.

    Returns:
        A model to logits `[batch, num_classes]` that shares the other layers.

    Raises:
        ValueError: If the model's layers are not known, it gives no features, or
            `num_classes` is no such integer.

    Example:
        >>> import tfdistill
        >>> model = tfdistill.students.mlp((8, 8, 1), num_classes=10)
        >>> tfdistill.students.with_new_head(model, num_classes=3).output_shape
        (None, 3)
    """
    num_classes = check_int("num_classes", num_classes, 1)
    _, features = _split(model)
    if len(features.shape) != 2:
        raise ValueError(
            f"The network {model.name!r} gives {tuple(features.shape)}, not features "
            "[batch, n]; build it with pooling, such as pooling='avg'."
        )
    last, taken = None, {layer.name for layer in model.layers}
    # Keras counts the names that it gives, but not those of a model from a file.
    while last is None or last.name in taken:
        last = keras.layers.Dense(num_classes, kernel_initializer="zeros")
    return keras.Model(model.inputs[0], last(features), name=model.name)


def head(model: keras.Model) -> keras.layers.Layer:
    """The final dense layer of a network.

    Raises:
        ValueError: If its output is not that of one, perhaps with a softmax.
    """
    last, _ = _split(model)
    if last is None:
        raise ValueError(
            f"The network {model.name!r} does not end in a dense layer that a new head "
            "could replace."
        )
    return last


def with_head_for(model: keras.Model, num_classes: int) -> keras.Model:
    """A network whose last layer is of the same kind, for other classes.

    Args:
        model: One that ends in a dense layer.
        num_classes: At least 1.

    Returns:
        A model to `[batch, num_classes]`, for the weights of one that knows these.

    Raises:
        ValueError: If it does not end in one.
    """
    last = head(model)
    other = type(last).from_config({**last.get_config(), "units": num_classes})
    return keras.models.clone_model(
        model,
        clone_function=lambda layer: other if layer is last else layer,
        recursive=True,
    )


def application(name: str, weights: str | None = None) -> Callable[..., keras.Model]:
    """A network of `keras.applications` as a student, with a new head.

    Its images are normalised by the usual mean and deviation of ImageNet.

    Args:
        name: Name of the network, such as "MobileNetV2". It takes colour images.
        weights: None for random ones; "imagenet" for Keras's pretrained ones, which are
            downloaded; or the path of a file.

    Returns:
        A callable for `students.build`. With pretrained weights, start from them by
        `FixedWeights()`.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> import tfdistill
        >>> student = tfdistill.students.application("MobileNetV2")
        >>> student.__name__
        'mobilenetv2'
    """
    make = getattr(keras.applications, name, None)
    if not callable(make):
        known = sorted(n for n in dir(keras.applications) if n[0].isupper())
        raise ValueError(
            f"keras.applications has no network {name!r}, but {', '.join(known)}."
        )
    prepare = sys.modules[make.__module__].preprocess_input

    def student(image_shape: Sequence[int], num_classes: int) -> keras.Model:
        if image_shape[-1] != 3:
            raise ValueError(
                f"keras.applications:{name} takes colour images only, and these have "
                f"the channels {image_shape[-1]}: load them with channels=3 "
                "(--channels=3)."
            )
        base = make(
            include_top=False,
            weights=weights,
            input_shape=tuple(image_shape),
            pooling="avg",
        )
        images = keras.Input(tuple(image_shape))
        raw = keras.layers.Rescaling(_STD, _MEAN)(images)
        features = base(prepare(raw))
        return with_new_head(keras.Model(images, features, name=name), num_classes)

    student.__name__ = name.lower()
    return student


def _split(model, index=0):
    """The final dense layer, None if there is none, and the features before it."""
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"The network {model.name!r} must be a functional or Sequential model that "
            "is built, or its last layer cannot be replaced."
        )
    made = whole = output(model, index)
    while True:
        operation, call, index = made._keras_history
        node = operation._inbound_nodes[call]  # a layer may be called elsewhere, too
        if output(operation) is not None:
            last, features = _split(operation, index)
            if last is None:
                return None, whole
            inner = keras.Model(operation.inputs, features, name=operation.name)
            return last, inner(*node.arguments.args, **node.arguments.kwargs)
        if not _ends_a_classifier(operation):
            return None, whole
        made = node.input_tensors[0]
        if isinstance(operation, keras.layers.Dense):
            return operation, made


def _ends_a_classifier(operation):
    """Whether a layer, or a function of keras.ops, makes logits or probabilities."""
    if isinstance(operation, (keras.layers.Dense, keras.layers.Activation)):
        name = getattr(operation.activation, "__name__", "")
        return name in {"linear", *_PROBABILITIES}
    return type(operation).__name__.lower() in _PROBABILITIES
