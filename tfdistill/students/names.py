"""Who learns from distilled data: any callable that returns a new `keras.Model`.

A student takes normalised images and returns logits. `get` finds one by a name;
`name_of` gives the name by which it is found again.
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

from tfdistill._internal.checks import check_int, first_sentence, with_kind
from tfdistill.students import architecture_spaces
from tfdistill.students.applications import application
from tfdistill.students.networks import (
    alex_cifar_net,
    alexnet,
    convnet,
    lenet,
    linear,
    mlp,
    wide_convnet,
    wide_convnet_bn,
)
from tfdistill.students.teaching_networks import gtn_learner

# A file of a stranger may name a student: weights of each layer take memory.
_WIDEST, _MOST_WIDTHS = 4096, 8
#: The students that ship, by name.
STUDENTS: dict[str, Callable[..., keras.Model]] = {
    student.__name__: student
    for student in (
        lenet,
        alex_cifar_net,
        alexnet,
        convnet,
        wide_convnet,
        wide_convnet_bn,
        mlp,
        linear,
        gtn_learner,
    )
}


def get(student: str | Callable[..., keras.Model]) -> Callable[..., keras.Model]:
    """Finds a student.

    Args:
        student: A callable, which is returned as it is; the name of a shipped student
            ("alex_cifar_net", "AlexCifarNet"), with its widths after an "@" where it
            has such an argument ("gtn_learner@8-16-32"); a space of architectures with
            the number of a draw ("small_convnets@3"); "package.module:function", which
            is imported, also from the current folder; "keras.applications:NAME" (see
            `application`), with ":imagenet" at its end for pretrained weights; or the
            path of a `.keras` file.

    Returns:
        The callable that makes the student's model.

    Raises:
        ValueError: If there is no such student, or its widths are above 4096.

    Example:
        >>> import tfdistill
        >>> tfdistill.students.get("LeNet") is tfdistill.students.lenet
        True
        >>> tfdistill.students.get("convnet@16")((8, 8, 1), 10).output_shape
        (None, 10)
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
    spaces = architecture_spaces.SPACES
    if name in spaces and widths.isdecimal():
        return architecture_spaces.drawn(name, int(widths))
    if name in spaces:
        raise ValueError(
            f"student {student!r} is a space of architectures: say which of them by "
            f"the number of a draw, such as {name}@3."
        )
    keys = {_key(each): each for each in STUDENTS}
    keys |= {_key(each): f"{each}@3" for each in spaces}
    key = _key(name)
    if keys.get(key) in STUDENTS:
        return _sized(STUDENTS[keys[key]], widths) if widths else STUDENTS[keys[key]]
    near = [repr(keys[match]) for match in difflib.get_close_matches(key, keys)]
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    raise ValueError(
        f"student must be one of {', '.join(STUDENTS)}, a draw from "
        f"{' or '.join(spaces)} ({next(iter(spaces))}@3), 'package.module:function', "
        f"the path of a .keras file or, in Python, a callable, not {student!r}{hint}"
    )


def name_of(student: str | Callable[..., keras.Model]) -> str:
    """The string by which `get` finds a student again.

    Args:
        student: Same as for `get`.

    Returns:
        The name of a shipped student, "package.module:function" if it can be imported
        from there, otherwise (lambdas, functions of scripts) its plain name.

    Raises:
        ValueError: If there is no such student.

    Example:
        >>> import tfdistill
        >>> tfdistill.students.name_of(tfdistill.students.lenet)
        'lenet'
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
    # The next process would not find it in __main__.
    if student.__module__ != "__main__":
        try:
            if get(path) is student:
                return path
        except ValueError:
            pass
    return name


@dataclasses.dataclass(frozen=True)
class Sampled:
    """Several students, of which one is drawn each time, chosen uniformly.

    Data that is distilled for many networks teaches more than one architecture (Such et
    al. 2019). A string of names with commas means the same.

    Attributes:
        students: Each the same as for `get`; at least one.

    Raises:
        ValueError: If there are none, or they are no tuple or list.

    Example:
        >>> import tfdistill
        >>> sampled = tfdistill.students.Sampled(("mlp", "convnet@16"))
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=2)
        >>> tfdistill.Distiller(sampled, images).distilled().student
        'mlp,convnet@16'
    """

    students: tuple[str | Callable[..., keras.Model], ...]

    def __post_init__(self):
        if not isinstance(self.students, (tuple, list)) or not self.students:
            raise ValueError(
                "students must be a tuple of one student or more, not "
                f"{self.students!r}."
            )

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
            student: Name of a shipped student that has widths, e.g. "gtn_learner".
            ranges: Smallest and largest value of each width; the paper's learner for
                MNIST has (32, 128), (64, 256), (64, 256).
            count: Number of draws, at least 1.
            seed: Seed of the draw.

        Raises:
            ValueError: If a range is empty, or the student has no such widths.

        Example:
            >>> import tfdistill
            >>> widths = [(8, 16), (16, 32), (16, 64)]
            >>> sampled = tfdistill.students.Sampled.of_widths("gtn_learner", widths, 4)
            >>> len(sampled.students)
            4
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
    """The students of a `Sampled`, or the one student itself.

    Raises:
        ValueError: If a student is unknown.
    """
    if isinstance(student, str) and "," in student:
        student = Sampled(tuple(student.split(",")))
    if isinstance(student, Sampled):
        return [get(each) for each in student.students]
    return [get(student)]


def imported(path: str, what: str = "student") -> Callable:
    """Imports a callable, also from the current folder.

    Args:
        path: "package.module:function".
        what: What the callable is, for errors.

    Raises:
        ValueError: If it cannot be imported.
    """
    module_name, _, name = path.partition(":")
    if module_name.endswith(".py"):
        module = module_name.removesuffix(".py").replace(os.sep, ".")
        raise ValueError(
            f"{what} {path!r} must name a module, not its file: leave out .py, as in "
            f"'{module}:{name}'."
        )
    if not all(part.isidentifier() for part in f"{module_name}.{name}".split(".")):
        raise ValueError(f"{what} must read 'package.module:function', not {path!r}.")
    # A console script's path has its own folder, not the user's.
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module does
        raise ValueError(
            f"{what} {path!r} cannot be imported: {with_kind(error)}"
        ) from error
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
    """A shipped student with given widths, and a name that says so."""
    parameters = inspect.signature(student).parameters
    shown = widths if len(widths) < 100 else f"{widths[:100]}..."
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
            f"student {student.__name__}@{shown} must read like gtn_learner@8-16-32 "
            "or convnet@32: whole numbers, for a student that has widths."
        )
    if max(numbers) > _WIDEST or len(numbers) > _MOST_WIDTHS:
        raise ValueError(
            f"student {student.__name__}@{shown} is too large: a name has at most "
            f"{_MOST_WIDTHS} widths of at most {_WIDEST}; in Python, pass the student "
            "itself."
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
        # What zipfile, h5py and Keras raise depends on which byte is wrong.
        except Exception as error:
            raise ValueError(
                f"student {path} cannot be read: {first_sentence(error)}"
            ) from error

    return saved
