"""The networks that learn from distilled data.

A student is a callable that returns a new `keras.Model`: normalised images in,
logits out. Those shipped here are plain functions of the image shape and the number
of classes; `build` takes a user's in the same way, and checks what it gives.
"""

import difflib
import importlib
import inspect
import numbers
import operator
import os
import re
import sys
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("tfdistill")
class XavierNormal(keras.initializers.VarianceScaling):
    """Normal with mean 0 and variance 2 / (fan_in + fan_out), of any kernel.

    Args:
        seed: An int or a `keras.random.SeedGenerator`; by default one of its own.
    """

    # Not Keras's GlorotNormal: that one cuts the normal off at two deviations, which
    # the initialiser of the paper's students does not.

    def __init__(self, seed=None):
        super().__init__(1.0, "fan_avg", "untruncated_normal", seed=seed)

    def get_config(self):
        return {"seed": super().get_config()["seed"]}


@keras.saving.register_keras_serializable("tfdistill")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each value by the energy of its neighbours in the channels.

    `y_c = x_c / (k + alpha / size * sum_j x_j ** 2) ** beta`, where j runs from
    c - size // 2 to c + (size - 1) // 2: torch's convention, which divides alpha by the
    size as `tf.nn.local_response_normalization` does not.

    Args:
        size: How many channels a window has, at least 1.
        alpha: Weight of the mean energy, at least 0.
        beta: Exponent.
        k: What is added to the energy, > 0.
    """

    def __init__(self, size=4, alpha=0.001 / 9, beta=0.75, k=1.0, **kwargs):
        super().__init__(**kwargs)
        _check_count("size", size)
        if not alpha >= 0:
            raise ValueError(f"alpha must be at least 0, not {alpha!r}.")
        if not k > 0:
            raise ValueError(f"k must be above 0, not {k!r}.")
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def call(self, inputs):
        # TensorFlow's own op has no second derivative. A banded matrix sums the
        # windows faster than shifted slices or pooling do; exp and log differentiate
        # faster than a power.
        channel = np.arange(inputs.shape[-1])
        ahead = channel[:, None] - channel  # of the output channel
        window = (ahead >= -(self.size // 2)) & (ahead <= (self.size - 1) // 2)
        window = tf.constant(window * (self.alpha / self.size), inputs.dtype)
        energy = tf.tensordot(tf.square(inputs), window, 1)
        return inputs * tf.exp(-self.beta * tf.math.log(self.k + energy))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {name: getattr(self, name) for name in ("size", "alpha", "beta", "k")}
        return {**super().get_config(), **own}


def lenet(
    image_shape: Sequence[int] = (28, 28, 1), num_classes: int = 10
) -> keras.Model:
    """LeNet-5, the student for MNIST (Wang et al. 2018, section 4).

    Images of less than 32 pixels are padded, as the paper's are; those of less than
    12 before both convolutions.

    Args:
        image_shape: (height, width, channels), sides of at least 4.
        num_classes: At least 2.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If the images are too small, or a number is no whole number.
    """
    side = _smallest_side("lenet", image_shape, at_least=4)
    layers = [
        _conv(6, 5, padding="same" if side < 32 else "valid"),
        keras.layers.MaxPooling2D(2),
        _conv(16, 5, padding="same" if side < 12 else "valid"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Flatten(),
        _dense(120),
        _dense(84),
    ]
    return _classifier("lenet", image_shape, layers, num_classes)


def alex_cifar_net(
    image_shape: Sequence[int] = (32, 32, 3), num_classes: int = 10
) -> keras.Model:
    """The student for CIFAR-10 (Wang et al. 2018, section 4).

    Args:
        image_shape: (height, width, channels).
        num_classes: At least 2.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If a number is no whole number, or too small.
    """

    def pool():
        # "same" would pad one side only. Zeros serve for torch's -inf, as nothing
        # that is pooled here is negative.
        return [keras.layers.ZeroPadding2D(1), keras.layers.MaxPooling2D(3, 2)]

    layers = [
        _conv(64, 5),
        *pool(),
        LocalResponseNormalization(),
        _conv(64, 5),
        LocalResponseNormalization(),
        *pool(),
        keras.layers.Flatten(),
        _dense(384),
        _dense(192),
    ]
    return _classifier("alex_cifar_net", image_shape, layers, num_classes)


def alexnet(
    image_shape: Sequence[int] = (224, 224, 3), num_classes: int = 10
) -> keras.Model:
    """AlexNet in one tower, without dropout (Wang et al. 2018, section 4).

    Args:
        image_shape: (height, width, channels), sides of at least 63.
        num_classes: At least 2.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If the images are too small, or a number is no whole number.
    """
    layers = [
        keras.layers.ZeroPadding2D(2),
        _conv(64, 11, strides=4, padding="valid"),
        keras.layers.MaxPooling2D(3, 2),
        _conv(192, 5),
        keras.layers.MaxPooling2D(3, 2),
        _conv(384, 3),
        _conv(256, 3),
        _conv(256, 3),
        keras.layers.MaxPooling2D(3, 2),
        keras.layers.Flatten(),
        _dense(4096),
        _dense(4096),
    ]
    return _classifier("alexnet", image_shape, layers, num_classes, smallest=63)


def convnet(
    image_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    *,
    width: int = 128,
    depth: int = 3,
) -> keras.Model:
    """Convolutions with instance norm: the usual student of later distillation work.

    Args:
        image_shape: (height, width, channels), sides of at least 2 ** depth.
        num_classes: At least 2.
        width: Channels of each convolution, at least 1.
        depth: How many blocks there are, each of which halves the image, at least 1.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If the images are too small, or a number is no whole number.
    """
    _check_count("width", width)
    _check_count("depth", depth)
    layers = []
    for _ in range(depth):
        layers += [
            _conv(width, 3, activation=None),
            keras.layers.GroupNormalization(groups=-1, epsilon=1e-5),
            keras.layers.ReLU(),
            keras.layers.AveragePooling2D(2),
        ]
    layers.append(keras.layers.Flatten())
    return _classifier("convnet", image_shape, layers, num_classes, smallest=2**depth)


def mlp(
    image_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    *,
    hidden: Sequence[int] = (128, 128),
) -> keras.Model:
    """Dense layers only.

    Args:
        image_shape: (height, width, channels).
        num_classes: At least 2.
        hidden: Units of each hidden layer.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If a number is no whole number, or too small.
    """
    if not isinstance(hidden, Sequence) or not all(map(_is_count, hidden)):
        raise ValueError(f"hidden must be whole numbers of at least 1, not {hidden!r}.")
    layers = [keras.layers.Flatten(), *(_dense(units) for units in hidden)]
    return _classifier("mlp", image_shape, layers, num_classes)


def linear(
    image_shape: Sequence[int] = (28, 28, 1), num_classes: int = 10
) -> keras.Model:
    """Softmax regression.

    Args:
        image_shape: (height, width, channels).
        num_classes: At least 2.

    Returns:
        A model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If a number is no whole number, or too small.
    """
    return _classifier("linear", image_shape, [keras.layers.Flatten()], num_classes)


#: The students that ship, by name.
STUDENTS: dict[str, Callable[..., keras.Model]] = {
    student.__name__: student
    for student in (lenet, alex_cifar_net, alexnet, convnet, mlp, linear)
}


def get(student: str | Callable[..., keras.Model]) -> Callable[..., keras.Model]:
    """Finds a student.

    Args:
        student: A callable, which is returned as it is; the name of a shipped student
            ("alex_cifar_net", "AlexCifarNet"); or "package.module:function", which
            is imported, from the current folder too.

    Returns:
        The callable that makes the student's model.

    Raises:
        ValueError: If there is no such student.
    """
    if isinstance(student, keras.layers.Layer):
        raise ValueError(
            "student must be a callable that returns a new keras.Model each time, "
            f"not the model {student.name!r} itself."
        )
    if callable(student):
        return student
    if isinstance(student, str) and ":" in student:
        return _imported(student)
    keys = {_key(name): name for name in STUDENTS}
    key = _key(str(student))
    if key in keys:
        return STUDENTS[keys[key]]
    near = [repr(keys[match]) for match in difflib.get_close_matches(key, keys)]
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    raise ValueError(
        f"student must be one of {', '.join(STUDENTS)}, 'package.module:function' or "
        f"a callable, not {student!r}{hint}"
    )


def name_of(student: str | Callable[..., keras.Model]) -> str:
    """The string by which `get` finds a student again.

    Args:
        student: What `get` takes.

    Returns:
        The name of a shipped student, "package.module:function" if it can be imported
        from there, otherwise (lambdas, scripts' functions) only what it is called.

    Raises:
        ValueError: If there is no such student.
    """
    if isinstance(student, str) and ":" in student:
        return student
    student = get(student)
    for name, shipped in STUDENTS.items():
        if student is shipped:
            return name
    name = getattr(student, "__name__", type(student).__name__)
    path = f"{student.__module__}:{getattr(student, '__qualname__', name)}"
    # What lies in __main__ is somewhere else for the next process.
    if student.__module__ != "__main__":
        try:
            if get(path) is student:
                return path
        except ValueError:
            pass
    return name


def build(
    student: str | Callable[..., keras.Model],
    image_shape: Sequence[int],
    num_classes: int,
) -> keras.Model:
    """Makes a student's model and checks that it can be distilled for.

    Args:
        student: What `get` takes. `image_shape` and `num_classes` are passed by
            keyword, to a callable that has such parameters.
        image_shape: (height, width, channels) of the data.
        num_classes: Of the data.

    Returns:
        A built model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If there is no such student, or its model doesn't fit the data.
    """
    image_shape = tuple(image_shape)
    make, name = get(student), name_of(student)
    model = make(**_arguments(make, name, image_shape, num_classes))
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"student {name} must return a keras.Model, not {type(model).__name__}."
        )
    _check_inputs(model, name, image_shape)
    # A symbolic call builds whatever is not built yet, needs no values, and tells
    # the shape of the outputs of any kind of model.
    try:
        outputs = model(keras.Input(image_shape))
    except (TypeError, ValueError, tf.errors.OpError) as error:
        raise ValueError(
            f"student {name} cannot take images of shape {image_shape}: "
            f"{_first_sentence(error)}"
        ) from error
    _check_outputs(model, outputs, name, num_classes)
    if not model.trainable_variables:
        raise ValueError(f"student {name} has no trainable weights.")
    return model


def _conv(filters, size, padding="same", activation="relu", **kwargs):
    return keras.layers.Conv2D(
        filters,
        size,
        padding=padding,
        activation=activation,
        kernel_initializer=XavierNormal(),
        **kwargs,
    )


def _dense(units, activation="relu"):
    return keras.layers.Dense(
        units, activation=activation, kernel_initializer=XavierNormal()
    )


def _classifier(name, image_shape, layers, num_classes, smallest=1):
    _smallest_side(name, image_shape, smallest)
    _check_count("num_classes", num_classes, at_least=2)
    images = outputs = keras.Input(tuple(image_shape), name="images")
    for layer in (*layers, _dense(num_classes, activation=None)):
        outputs = layer(outputs)
    return keras.Model(images, outputs, name=name)


def _is_count(value, at_least=1):
    return isinstance(value, numbers.Integral) and value >= at_least


def _check_count(name, value, at_least=1):
    if not _is_count(value, at_least):
        raise ValueError(
            f"{name} must be a whole number of at least {at_least}, not {value!r}."
        )


def _smallest_side(name, image_shape, at_least):
    # Channels are a count like the sides, with no smallest size.
    floors = (at_least, at_least, 1)
    if (
        not isinstance(image_shape, Sequence)
        or len(image_shape) != len(floors)
        or not all(map(_is_count, image_shape, floors))
    ):
        raise ValueError(
            "image_shape must be (height, width, channels) with sides of at least "
            f"{at_least} for {name}, not {image_shape!r}."
        )
    return min(image_shape[:2])


def _key(name):
    return re.sub(r"[-_\s]", "", name).lower()


def _imported(path):
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in f"{module_name}.{name}".split(".")):
        raise ValueError(f"student must read 'package.module:function', not {path!r}.")
    # A console script's path has its own folder, not the user's.
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(f"student {path!r} cannot be imported: {error}.") from error
    try:
        student = operator.attrgetter(name)(module)
    except AttributeError:
        raise ValueError(
            f"student {path!r} is not there: module {module_name!r} has no {name!r}."
        ) from None
    if not callable(student):
        raise ValueError(
            f"student {path!r} must be callable, not of type {type(student).__name__}."
        )
    return get(student)


def _arguments(make, name, image_shape, num_classes):
    offered = {"image_shape": image_shape, "num_classes": num_classes}
    try:
        signature = inspect.signature(make)
    except ValueError:  # some builtins have none
        return {}
    by_keyword = (
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    parameters = signature.parameters.values()
    taken = {p.name for p in parameters if p.kind in by_keyword}
    # The **kwargs of a model's class are for Keras, which would refuse ours.
    if any(p.kind is p.VAR_KEYWORD for p in parameters) and not inspect.isclass(make):
        taken |= set(offered)
    arguments = {key: value for key, value in offered.items() if key in taken}
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise ValueError(
            f"student {name} can only be given image_shape and num_classes: {error}."
        ) from None
    return arguments


def _check_inputs(model, name, image_shape):
    inputs = getattr(model, "inputs", None)
    if not inputs:  # subclassed, or a Sequential that is not built yet
        return
    if len(inputs) != 1:
        raise ValueError(
            f"student {name} must have exactly one input, not {len(inputs)}."
        )
    given, shape = tuple(inputs[0].shape), (None, *image_shape)
    fits = len(given) == len(shape) and all(
        a is None or a == b for a, b in zip(given, shape)
    )
    if not fits:
        raise ValueError(
            f"student {name} takes inputs of shape {given} but the data set's are "
            f"{shape}."
        )


def _check_outputs(model, outputs, name, num_classes):
    if not isinstance(outputs, keras.KerasTensor):
        raise ValueError(
            f"student {name} must return one tensor of logits, not a "
            f"{type(outputs).__name__}."
        )
    shape = tuple(outputs.shape)
    if len(shape) != 2 or shape[0] is not None:
        raise ValueError(
            f"student {name} must give outputs of shape {(None, num_classes)}, not "
            f"{shape}."
        )
    if shape[1] != num_classes:
        raise ValueError(
            f"student {name} gives {shape[1]} outputs but the data set has "
            f"{num_classes} classes."
        )
    final = model
    while isinstance(final, keras.Model):
        final = (getattr(final, "operations", None) or final.layers or [None])[-1]
    # Either an argument of the layer, or a layer (or keras.ops function) of its own.
    activation = getattr(getattr(final, "activation", None), "__name__", "")
    applied = {activation, type(final).__name__.lower()} & {"softmax", "sigmoid"}
    # The last layer of a subclassed model need not be its final one; with other
    # units than there are classes, it is not.
    if applied and getattr(final, "units", num_classes) == num_classes:
        raise ValueError(
            f"student {name} must return logits, but its final layer {final.name!r} "
            f"applies a {applied.pop()}."
        )


def _first_sentence(error):
    text = re.sub(r"\x1b\[\d+m", "", str(error))  # Keras prints in bold
    lines = [line for line in text.splitlines() if line.strip()]
    # Keras puts the name of the layer that failed before the reason.
    if len(lines) > 1 and lines[0].startswith("Exception encountered"):
        lines = lines[1:]
    return lines[0] if lines else type(error).__name__
