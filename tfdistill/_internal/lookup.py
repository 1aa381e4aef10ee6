"""A thing by its name, or a sentence that says which names there are."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def find(what: str, name: str, known: Mapping[str, T]) -> T:
    """Finds what has a name.

    Args:
        what: What is looked for, for the error: an argument's name.
        name: The name asked for.
        known: Everything there is, by name.

    Raises:
        ValueError: If there is nothing of that name.
    """
    if isinstance(name, str) and name in known:
        return known[name]
    near = difflib.get_close_matches(str(name), known)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    raise ValueError(f"{what} must be one of {', '.join(known)}, not {name!r}{hint}")
