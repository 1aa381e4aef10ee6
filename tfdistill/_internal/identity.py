"""What tells an object from another one of its class: values that `repr` tells apart.

told, untold = identity.settings(optimizer)
"""

import dataclasses
import enum
import hashlib
import os
import types
from collections.abc import Collection
from typing import Any

import numpy as np

# Their `repr` has all of them. (NumPy's of arrays leaves out the middle, and digits.)
_PRINTED = (
    *(bool, int, float, complex, str, bytes, type(None)),
    *(enum.Enum, os.PathLike, np.generic, np.dtype),
)


class UntoldError(ValueError):
    """What a value is cannot be told, so that two of them cannot be told apart."""


def settings(of: object, but: Collection[str] = ()) -> tuple[dict[str, Any], list[str]]:
    """The attributes of an object, as `told` gives them.

    Args:
        of: The object.
        but: Names of attributes to leave out.

    Returns:
        Those that can be told, by name; and the names of the others.
    """
    found, untold = {}, []
    for name in [name for name in vars(of) if name not in but]:
        try:
            found[name] = told(vars(of)[name])
        except (UntoldError, RecursionError):
            untold.append(name)
    return found, untold


def alike(one: object, other: object, but: Collection[str] = ()) -> bool:
    """Whether two objects are of one class, with the same attributes.

    Attributes that cannot be told must be the very same objects.

    Args:
        one, other: The objects.
        but: Names of attributes to leave out.
    """
    (known, untold), found = settings(one, but), settings(other, but)
    same = type(one) is type(other) and (known, untold) == found
    return same and all(vars(one)[name] is vars(other)[name] for name in untold)


def key(value: Any) -> str:
    """A hash of what `told` gives, in hexadecimal digits."""
    return hashlib.sha256(repr(told(value)).encode()).hexdigest()


def told(value: Any, *, lenient: bool = False) -> Any:
    """A value whose `repr` tells it from others, in every process.

    Numbers, texts and what is made of them stay as they are. Arrays and tensors become
    hashes. Classes and functions become their names, if they have some of their own.

    Args:
        value: The value; lists, tuples, dicts, sets and dataclasses may be nested.
        lenient: Whether all but arrays stays as it is, in lists, tuples and dicts.

    Raises:
        UntoldError: If it cannot be told: a lambda, a variable, which may change, or an
            object of any other class.
    """
    if isinstance(value, _PRINTED):
        return value
    if isinstance(value, (list, tuple)):
        parts = (told(each, lenient=lenient) for each in value)
        return tuple(parts) if isinstance(value, tuple) else list(parts)
    if isinstance(value, np.ndarray):
        return _hashed(value)
    if lenient:
        if isinstance(value, dict):
            return {key: told(each, lenient=True) for key, each in value.items()}
        return value
    if isinstance(value, (set, frozenset, dict)):
        pairs = value.items() if isinstance(value, dict) else value
        return "dict or set", sorted(map(told, pairs), key=repr)
    if hasattr(value, "__array__") and not hasattr(value, "assign"):
        return _hashed(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return _named(type(value)), told(parts)
    if isinstance(value, (type, types.FunctionType)):
        return _named(value)
    raise UntoldError(f"a {type(value).__name__} cannot be told from another one")


def _hashed(value):
    try:
        array = np.asarray(value)
    except Exception as error:  # that of a graph, for one; each library has its own
        raise UntoldError("it has no values") from error
    if array.dtype.hasobject:
        return "array", array.shape, told(array.ravel().tolist())
    key = hashlib.sha256(array.tobytes()).hexdigest()
    return "array", str(array.dtype), array.shape, key


def _named(code):
    name = f"{code.__module__}.{code.__qualname__}"
    if "<" in name:  # <lambda>, or one of the <locals> of a function
        raise UntoldError(f"{name} has no name of its own")
    return name
