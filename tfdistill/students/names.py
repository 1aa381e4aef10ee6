"""Who learns from distilled data: any callable that returns a new `keras.Model`.

A student takes normalised images and gives logits. `build` makes the model of one that
ships or of a user's own, in the same way, and checks that it fits the data.
"""

import dataclasses
import difflib
import functools
import importlib
import inspect
import operator
import os
import re
import sys
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int, first_sentence
from tfdistill.students import architecture_spaces
from tfdistill.students.applications import application, with_new_head  # noqa: F401
from tfdistill.students.networks import (
    alex_cifar_net,
    alexnet,
    convnet,
    lenet,
    linear,
    mlp,
)
from tfdistill.students.teaching_networks import gtn_learner

#: The students that ship, by name.
STUDENTS: dict[str, Callable[..., keras.Model]] = {
    student.__name__: student
    for student in (lenet, alex_cifar_net, alexnet, convnet, mlp, linear, gtn_learner)
}


def get(student: str | Callable[..., keras.Model]) -> Callable[..., keras.Model]:
    """Finds a student.

    Args:
        student: A callable, which is returned as it is; the name of a shipped student
            ("alex_cifar_net", "AlexCifarNet"), with its widths after an "@" where it
            has such an argument ("gtn_learner@8-16-32"); a space of architectures with
            the number of a draw ("small_convnets@3"); "package.module:function",
            which is imported, from the current folder too; "keras.applications:NAME",
            as of `application`, with ":imagenet" at its end for pretrained weights; or
            the path of a `.keras` file.

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
    if isinstance(student, str) and student.endswith(".keras"):
        return _saved(student)
    if isinstance(student, str) and student.startswith("keras.applications:"):
        return application(*student.split(":", 2)[1:])
    if isinstance(student, str) and ":" in student:
        return get(imported(student))
    name, _, widths = str(student).partition("@")
    keys = {_key(name): name for name in STUDENTS}
    key = _key(name)
    if name in architecture_spaces.SPACES and widths.isdecimal():
        return architecture_spaces.drawn(name, int(widths))
    if key in keys:
        return _sized(STUDENTS[keys[key]], widths) if widths else STUDENTS[keys[key]]
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
    if isinstance(student, Sampled) or (isinstance(student, str) and "," in student):
        return ",".join(name_of(each) for each in each_of(student))
    if isinstance(student, str) and (":" in student or student.endswith(".keras")):
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


@dataclasses.dataclass(frozen=True)
class Sampled:
    """Several students, of which one is drawn each time, all alike likely.

    Distilled data teaches architectures, not one network, if it is made for many (Such
    et al. 2019). A string of names with commas means the same.

    Attributes:
        students: What `get` takes, at least one.
    """

    students: tuple[str | Callable[..., keras.Model], ...]

    @classmethod
    def of_widths(
        cls,
        student: str,
        ranges: Sequence[tuple[int, int]],
        count: int = 8,
        seed: int = 0,
    ) -> "Sampled":
        """One student in several widths, drawn once.

        Args:
            student: The name of a shipped one that has widths, e.g. "gtn_learner".
            ranges: The least and the largest of each width; the paper's learner of
                MNIST has (32, 128), (64, 256), (64, 256).
            count: How many there are, at least 1.
            seed: Of the draw.

        Raises:
            ValueError: If a range is empty, or the student has no such widths.
        """
        check_int("count", count, 1)
        for low, high in ranges:
            check_int("width", low, 1)
            check_int(f"the largest width of {low}-{high}", high, low)
        low, high = np.transpose(ranges)
        rng = np.random.default_rng(seed)
        widths = rng.integers(low, high, (count, len(ranges)), endpoint=True)
        return cls(tuple(f"{student}@{'-'.join(map(str, w))}" for w in widths))


def each_of(student: "str | Callable[..., keras.Model] | Sampled") -> list:
    """The students that one stands for: itself, or those of a `Sampled`.

    Raises:
        ValueError: If one of them is not there.
    """
    if isinstance(student, str) and "," in student:
        student = Sampled(tuple(student.split(",")))
    if isinstance(student, Sampled):
        return [get(each) for each in student.students]
    return [get(student)]


def assign(model: keras.Model, values: Sequence[np.ndarray]) -> bool:
    """Gives a model the values of its trainable variables, then of its others.

    Returns:
        Whether their shapes are the model's; if not, it is left as it is.
    """
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    if [tuple(v.shape) for v in variables] != [np.shape(x) for x in values]:
        return False
    for variable, value in zip(variables, values):
        variable.assign(value)
    return True


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
            f"{first_sentence(error)}"
        ) from error
    _check_outputs(model, outputs, name, num_classes)
    if not model.trainable_variables:
        raise ValueError(f"student {name} has no trainable weights.")
    return model


def imported(path: str, what: str = "student") -> Callable:
    """Imports a callable, from the current folder too.

    Args:
        path: "package.module:function".
        what: What it is, for the errors.

    Raises:
        ValueError: If there is none.
    """
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in f"{module_name}.{name}".split(".")):
        raise ValueError(f"{what} must read 'package.module:function', not {path!r}.")
    # A console script's path has its own folder, not the user's.
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(f"{what} {path!r} cannot be imported: {error}.") from error
    try:
        found = operator.attrgetter(name)(module)
    except AttributeError:
        raise ValueError(
            f"{what} {path!r} is not there: module {module_name!r} has no {name!r}."
        ) from None
    if not callable(found):
        raise ValueError(
            f"{what} {path!r} must be callable, not of type {type(found).__name__}."
        )
    return found


def _sized(student, widths):
    """A shipped student with given widths, which knows its name."""
    parameters = inspect.signature(student).parameters
    try:
        numbers = [int(width) for width in widths.split("-")]
    except ValueError:
        numbers = []
    if "widths" in parameters:
        value = {"widths": tuple(numbers)}
    elif "width" in parameters and len(numbers) == 1:
        value = {"width": numbers[0]}
    else:
        value = {}
    if not (numbers and value):
        raise ValueError(
            f"student {student.__name__}@{widths} must read like gtn_learner@8-16-32 "
            "or convnet@32: whole numbers, for a student that has widths."
        )
    sized = functools.partial(student, **value)
    sized.__name__ = f"{student.__name__}@{'-'.join(map(str, numbers))}"
    return sized


def _key(name):
    return re.sub(r"[-_\s]", "", name).lower()


def _saved(path):
    if not os.path.isfile(path):
        raise ValueError(f"student {path} is not there.")

    def saved() -> keras.Model:
        try:
            return keras.models.load_model(path, compile=False)
        except (OSError, LookupError, TypeError, ValueError) as error:
            raise ValueError(
                f"student {path} cannot be read: {first_sentence(error)}"
            ) from error

    return saved


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
