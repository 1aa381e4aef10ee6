"""Finds an object by its name, or says which names there are."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

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
    near = difflib.get_close_matches(str(name), known)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    raise ValueError(f"{what} must be one of {', '.join(known)}, not {name!r}{hint}")
