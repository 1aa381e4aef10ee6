"""Finds an object by its name, or says which names there are."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from tfdistill._internal.checks import refuse_class

T = TypeVar("T")


def find(what: str, name: str, known: Mapping[str, T]) -> T:
    """Finds an object by its name.

    Args:
        what: Name of the argument, for the error.
        name: The name asked for.
        known: All objects, by name.

    Raises:
        ValueError: If the name is unknown.
    """
    if isinstance(name, str) and name in known:
        return known[name]
    refuse_class(what, name, "a name or an object")
    near = difflib.get_close_matches(str(name), known)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    raise ValueError(f"{what} must be one of {', '.join(known)}, not {name!r}{hint}")


def name_by_class(kind: type, *means: str) -> None:
    """Has a class that changes what its parent's name stands for use its own.

    Otherwise files would hold the parent's name, and what is loaded from them would
    silently do what the parent does.

    Args:
        kind: A new subclass, with the attribute `name`.
        means: Names of the methods that the name stands for.
    """
    if "name" not in vars(kind) and any(method in vars(kind) for method in means):
        kind.name = kind.__name__  # type: ignore[attr-defined]


def refuse_borrowed(what: str, value, known: Mapping[str, type], *means: str) -> None:
    """Refuses a custom class with the name of one that ships and does something else.

    Args:
        what: What it is, for the error.
        value: An object with the attribute `name`.
        known: The classes that ship, by name.
        means: Names of the methods that the name stands for.

    Raises:
        ValueError: If the name is taken.
    """
    kind, ships = type(value), known.get(value.name)
    if ships and any(getattr(kind, m) is not getattr(ships, m) for m in means):
        raise ValueError(
            f"The {what} {kind.__name__} needs a name of its own: files would take "
            f"{value.name!r} for {ships.__name__}, which ships with tfdistill."
        )
