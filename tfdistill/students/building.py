"""Makes the model of a student, and checks that it fits the data."""

import inspect
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int, with_kind
from tfdistill.students.endings import final
from tfdistill.students.logits import what_else
from tfdistill.students.names import get, name_of
from tfdistill.students.training import check_training, has_values


def build(
    student: str | Callable[..., keras.Model],
    image_shape: Sequence[int],
    num_classes: int,
    *,
    logits: bool = True,
) -> keras.Model:
    """Makes a student's model and checks that it can be distilled for.

    Args:
        student: Same as for `get`. `image_shape` and `num_classes` are passed by
            keyword to a callable that has such parameters.
        image_shape: (height, width, channels) of the data.
        num_classes: Number of classes of the data, at least 1.
        logits: Whether probabilities in their place are refused: what a softmax at the
            end gives, under whatever name. Only a classification needs logits.

    Returns:
        A built model from `[batch, *image_shape]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: If there is no such student, its model doesn't fit the data, or the
            steps of a distilled data set would train another one than `fit` does.

    Example:
        >>> import tfdistill
        >>> model = tfdistill.students.build("convnet@16", (8, 8, 1), num_classes=10)
        >>> model.output_shape
        (None, 10)
    """
    image_shape = tuple(image_shape)
    num_classes = check_int("num_classes", num_classes, 1)
    make, name = get(student), name_of(student)
    arguments = _arguments(make, name, image_shape, num_classes)
    try:
        model = make(**arguments)
    except (ValueError, MemoryError, tf.errors.OpError):
        raise
    except Exception as error:  # a mistake in the user's function
        raise ValueError(f"student {name} failed: {with_kind(error)}") from error
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"student {name} must return a keras.Model, not {type(model).__name__}."
        )
    check(model, image_shape, num_classes, who=f"student {name}", logits=logits)
    if not model.trainable_variables:
        raise ValueError(f"student {name} has no trainable weights.")
    _without_cudnn(model)
    check_training(model, image_shape, name)
    return model


def check(
    model: keras.Model,
    image_shape: Sequence[int],
    num_classes: int,
    *,
    who: str = "the model",
    logits: bool = True,
) -> None:
    """Builds a model, if it is not built yet, and refuses one that doesn't fit data.

    Args:
        model: It may be of any class.
        image_shape, num_classes, logits: Same as for `build`.
        who: What errors call it.

    Raises:
        ValueError: If it takes other images, gives other outputs, or no logits.

    Example:
        >>> import keras, tfdistill
        >>> model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
        >>> tfdistill.students.check(model, (8, 8, 1), num_classes=10)
    """
    image_shape = tuple(image_shape)
    _check_inputs(model, who, image_shape)
    # A symbolic call builds whatever is not built yet, needs no values, and tells
    # the shape of the outputs of any kind of model.
    try:
        outputs = model(keras.Input(image_shape))
    except Exception as error:  # of Keras, or a mistake in the user's `call`
        raise ValueError(
            f"{who} cannot take images of shape {image_shape}: {with_kind(error)}"
        ) from error
    _check_outputs(model, outputs, who, num_classes)
    if logits:
        _check_logits(model, who, image_shape, num_classes)


def assign(model: keras.Model, values: Sequence[np.ndarray]) -> bool:
    """Assigns a model's trainable variables, then its others.

    Returns:
        Whether the shapes fit; if not, nothing is assigned.

    Example:
        >>> import tfdistill
        >>> one, other = (tfdistill.students.linear((8, 8, 1)) for _ in range(2))
        >>> tfdistill.students.assign(one, other.get_weights())
        True
    """
    if not fits(model, values):
        return False
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    for variable, value in zip(variables, values):
        variable.assign(value)
    return True


def fits(model: keras.Model, values: Sequence[np.ndarray]) -> bool:
    """Whether a model's trainable variables, then its others, have such shapes."""
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    return [tuple(v.shape) for v in variables] == [np.shape(x) for x in values]


def _without_cudnn(model):
    """Makes recurrent layers run as plain operations on GPUs, too.

    cuDNN's kernels have no second derivative, and a student is differentiated twice.
    """
    for layer in model._flatten_layers():
        if isinstance(layer, (keras.layers.LSTM, keras.layers.GRU)):
            layer.use_cudnn = False


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


def _check_inputs(model, who, image_shape):
    inputs = getattr(model, "inputs", None)
    if not inputs:  # subclassed, or a Sequential that is not built yet
        return
    if len(inputs) != 1:
        raise ValueError(f"{who} must have exactly one input, not {len(inputs)}.")
    given, shape = tuple(inputs[0].shape), (None, *image_shape)
    fits = len(given) == len(shape) and all(
        a is None or a == b for a, b in zip(given, shape)
    )
    if not fits:
        raise ValueError(
            f"{who} takes inputs of shape {given} but the data set's are {shape}."
        )


def _check_outputs(model, outputs, who, num_classes):
    if not isinstance(outputs, keras.KerasTensor):
        raise ValueError(
            f"{who} must return one tensor of logits, not a {type(outputs).__name__}."
        )
    shape = tuple(outputs.shape)
    if len(shape) != 2 or shape[0] is not None:
        raise ValueError(
            f"{who} must give outputs of shape {(None, num_classes)}, not {shape}."
        )
    if shape[1] != num_classes:
        raise ValueError(
            f"{who} gives {shape[1]} outputs but the data set has "
            f"{num_classes} classes."
        )


def _check_logits(model, who, image_shape, num_classes):
    last = final(model)
    # Either an argument of the layer, or a layer (or keras.ops function) of its own.
    name = type(last).__name__.lower()
    if isinstance(last, (keras.layers.Dense, keras.layers.Activation)):
        name = getattr(last.activation, "__name__", "")
    if name in {"softmax", "sigmoid"} and not isinstance(last, keras.Model):
        raise ValueError(
            f"{who} must return logits, but its final layer {last.name!r} "
            f"applies a {name}."
        )
    if num_classes < 2 or not has_values(model):
        return
    given = what_else(model, image_shape)
    if given:
        raise ValueError(
            f"{who} must return logits, but it gives {given}; leave out the "
            "activation at its end."
        )
