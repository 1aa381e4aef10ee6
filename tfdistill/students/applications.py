"""Networks from elsewhere, with a new head for other classes.

Fine-tuning (Wang et al. 2018, section 4.3) keeps what a network has learned, except for
its last layer, whose weights become zero.
"""

import sys
from collections.abc import Callable, Sequence

import keras

# How images of ImageNet are usually normalised, in 0..255.
_MEAN = [255 * x for x in (0.485, 0.456, 0.406)]
_STD = [255 * x for x in (0.229, 0.224, 0.225)]
_ACTIVATIONS = (keras.layers.Activation, keras.layers.Softmax)


def with_new_head(model: keras.Model, num_classes: int) -> keras.Model:
    """A network with a new last layer, which outputs zero until it learns.

    Args:
        model: A functional or `Sequential` model. If it ends in a dense layer, perhaps
            with a softmax, these are replaced; if it ends in features `[batch, n]`, the
            new layer is added to them.
        num_classes: At least 1.

    Returns:
        A model to logits `[batch, num_classes]` that shares the other layers.

    Raises:
        ValueError: If the model's layers are not known, or it gives no features.
    """
    features = _features(model)
    if len(features.shape) != 2:
        raise ValueError(
            f"The network {model.name!r} gives {tuple(features.shape)}, not features "
            "[batch, n]; build it with pooling, such as pooling='avg'."
        )
    last = keras.layers.Dense(num_classes, kernel_initializer="zeros")
    return keras.Model(model.inputs[0], last(features), name=model.name)


def head(model: keras.Model) -> keras.layers.Layer:
    """The final dense layer of a network.

    Raises:
        ValueError: If it does not end in one.
    """
    layers = [x for x in model.layers if not isinstance(x, _ACTIVATIONS)]
    if not layers or not isinstance(layers[-1], keras.layers.Dense):
        raise ValueError(
            f"The network {model.name!r} does not end in a dense layer that a new head "
            "could replace."
        )
    return layers[-1]


def application(name: str, weights: str | None = None) -> Callable[..., keras.Model]:
    """A network of `keras.applications` as a student, with a new head.

    Its images are normalised by the usual mean and deviation of ImageNet.

    Args:
        name: Name of the network, such as "MobileNetV2".
        weights: None for random ones; "imagenet" for Keras's pretrained ones, which are
            downloaded; or the path of a file.

    Returns:
        A callable for `students.build`. With pretrained weights, start from them by
        `FixedWeights()`.

    Raises:
        ValueError: If the name is unknown.
    """
    make = getattr(keras.applications, name, None)
    if not callable(make):
        known = sorted(n for n in dir(keras.applications) if n[0].isupper())
        raise ValueError(
            f"keras.applications has no network {name!r}, but {', '.join(known)}."
        )
    prepare = sys.modules[make.__module__].preprocess_input

    def student(image_shape: Sequence[int], num_classes: int) -> keras.Model:
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


def _features(model):
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"The network {model.name!r} must be a functional or Sequential model that "
            "is built, or its last layer cannot be replaced."
        )
    try:
        return head(model).input
    except ValueError:
        return model.outputs[0]
