"""Checks of arguments, and the messages of other libraries' errors."""

import math
import numbers
import re
from collections.abc import Sequence

import numpy as np


def is_int(value, minimum: int) -> bool:
    """Whether a value is an integer of at least `minimum`, NumPy's too, and no bool."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and minimum <= value < 2**63


def check_int(name: str, value, minimum: int) -> int:
    """Checks an argument that must be an integer.

    Args:
        name: Name of the argument, for the error.
        value: What was passed; a NumPy integer is accepted, a bool is not.
        minimum: The smallest allowed value.

    Returns:
        The value as an `int`.

    Raises:
        ValueError: If the value is not such an integer.
    """
    if not is_int(value, minimum):
        huge = isinstance(value, (int, np.integer)) and value >= 2**63
        most = " and below 2**63" if huge else ""
        raise ValueError(
            f"{name} must be an integer of at least {minimum}{most}, not {value!r}."
        )
    return int(value)


def keep_ints(record, minimum: int, *names: str) -> None:
    """Checks integers of a frozen dataclass, and keeps NumPy's as Python's.

    NumPy's overflow where they are short, and JSON does not take them.

    Args:
        record: The object, in its `__post_init__`.
        minimum: The smallest allowed value.
        *names: Names of the fields.

    Raises:
        ValueError: If a value is not such an integer.
    """
    for name in names:
        value = check_int(name, getattr(record, name), minimum)
        object.__setattr__(record, name, value)


def check_different(name: str, values: Sequence, why: str) -> None:
    """Checks an argument whose values must be there once each.

    Args:
        name: Name of the argument, for the error.
        values: What was passed, one or more.
        why: What a value that is there twice would do.

    Raises:
        ValueError: If there is no value, or one is there twice.
    """
    if not len(values):
        raise ValueError(f"{name} must be at least one.")
    if len(set(values)) < len(values):
        raise ValueError(f"{name} must all be different, not {list(values)}: {why}.")


def is_number(value) -> bool:
    """Whether a value is a real number, Python's or NumPy's; a bool is none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_positive(name: str, value) -> None:
    """Checks an argument, such as a learning rate, that must be finite and above 0.

    Args:
        name: Name of the argument, for the error.
        value: What was passed; NumPy's numbers are accepted, a bool is not.

    Raises:
        ValueError: If the value is not such a number.
    """
    if not is_number(value) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a finite number above 0, not {value!r}.")


def check_mask(mask, count: int) -> np.ndarray:
    """Checks an argument that says of each example whether it is meant.

    NumPy takes an integer array of this length for the indices of examples.

    Args:
        mask: What was passed.
        count: Number of examples.

    Returns:
        The bool array [count].

    Raises:
        ValueError: If it is something else, or true for no example.
    """
    mask = _array(mask)
    if mask.dtype != bool or mask.shape != (count,):
        raise ValueError(
            f"mask must be bool [{count}], one for each example, not {mask.dtype} of "
            f"shape {list(mask.shape)}: a comparison, such as labels == 3, makes one."
        )
    if not mask.any():
        raise ValueError("mask must be true for at least one example.")
    return mask


def check_rows(rows, count: int) -> np.ndarray:
    """Checks an argument that names examples by their indices.

    NumPy takes a mask for one row of each example, and counts -1 from the end.

    Args:
        rows: What was passed.
        count: Number of examples.

    Returns:
        The array of integers, one-dimensional.

    Raises:
        ValueError: If it is something else, empty, out of range, or names one twice.
    """
    rows = _array(rows)
    if rows.dtype.kind not in "iu" or rows.ndim != 1 or not rows.size:
        raise ValueError(
            f"rows must be indices of examples, one or more, not {rows.dtype} of shape "
            f"{list(rows.shape)}: np.flatnonzero(mask) makes them of a mask."
        )
    least, most, different = rows.min(), rows.max(), len(np.unique(rows))
    if least < 0 or most >= count or different < len(rows):
        raise ValueError(
            f"rows must be different indices from 0 to {count - 1}: of these "
            f"{len(rows)}, from {least} to {most}, {different} are different."
        )
    return rows


def _array(value):
    try:
        return np.asarray(value)
    except ValueError:  # rows of different lengths
        return np.zeros(0, object)


def refuse_class(name: str, value, takes: str = "an object") -> None:
    """Refuses a class that was passed in place of an object of it.

    Args:
        name: Name of the argument, for the error.
        value: What was passed.
        takes: What the argument takes.

    Raises:
        ValueError: If the value is a class.
    """
    if isinstance(value, type):
        raise ValueError(
            f"{name} must be {takes}, {value.__name__}(), not the class "
            f"{value.__name__} itself."
        )


def check_kind(name: str, value, kind: type) -> None:
    """Checks an argument that must be an object of a public abstract class.

    Args:
        name: Name of the argument, for the error.
        value: What was passed.
        kind: The class.

    Raises:
        ValueError: If the value is none, such as the class in place of an object.
    """
    if isinstance(value, kind):
        return
    if isinstance(value, type) and issubclass(value, kind):
        refuse_class(name, value)
    raise ValueError(
        f"{name} must be an object of a subclass of tfdistill.{kind.__name__}, not a "
        f"{type(value).__name__}."
    )


def with_kind(error: BaseException) -> str:
    """The first sentence of an error, after its kind where that is half of the news."""
    known = isinstance(error, (ImportError, ValueError)) and str(error)
    kind = "" if known else f"{type(error).__name__}: "
    return f"{kind}{first_sentence(error).rstrip('.')}."


def first_sentence(error: BaseException) -> str:
    """The line of an error, often Keras's of many lines, that says what is wrong."""
    text = re.sub(r"\x1b\[\d+m", "", str(error))  # Keras prints in bold
    lines = [line for line in text.splitlines() if line.strip()]
    # Keras puts the name of the layer that failed before the reason.
    if len(lines) > 1 and lines[0].startswith("Exception encountered"):
        lines = lines[1:]
    return lines[0] if lines else type(error).__name__
