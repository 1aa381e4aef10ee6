"""What is read back from a file that a stranger may have written: JSON, checked.

content = fields.parse(text)
fields.check(content, {"steps": fields.whole(1), "student": fields.TEXT})
"""

import dataclasses
import json
import math
import os
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

# Nothing that tfdistill writes is nested half as deep.
_DEEPEST = 32
_LONGEST_SHOWN = 80


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a value must be.

    Attributes:
        says: It in words: "a whole number of at least 1".
        holds: Whether a value is such.
    """

    says: str
    holds: Callable[[Any], bool]


def has_controls(text: str) -> bool:
    """Whether a text holds line breaks or others that a terminal obeys.

    So do halves of characters, which files in UTF-8 cannot hold.
    """
    return any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text)


def _is_number(value):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # The largest floats overflow in sums and squares; whole numbers have no bound.
    return number and abs(value) < 1e30


#: Above it, other readers of JSON round whole numbers.
_MOST = 2**53


def whole(lowest: int, highest: int = _MOST) -> Kind:
    """Whole numbers in a range, both ends allowed."""
    last = "2**53" if highest == _MOST else highest

    def holds(value):
        return type(value) is int and lowest <= value <= highest

    return Kind(f"a whole number from {lowest} to {last}", holds)


#: The largest seed of random numbers that the library takes.
LARGEST_SEED = 2**63 - 1


def number(lowest: float = -math.inf, highest: float = math.inf) -> Kind:
    """Finite numbers in a range, both ends allowed."""
    ends = "" if lowest == -math.inf else f" in {lowest:g}..{highest:g}"
    return Kind(f"a number{ends}", lambda v: _is_number(v) and lowest <= v <= highest)


#: Any float, NaN and infinity, too: what students that diverge give.
FIGURE = Kind("a number", lambda v: isinstance(v, float) or _is_number(v))
TEXT = Kind("a text", lambda v: isinstance(v, str))
LINE = Kind(
    "a text without line breaks and other control characters",
    lambda v: isinstance(v, str) and not has_controls(v),
)
SWITCH = Kind("true or false", lambda v: isinstance(v, bool))
OBJECT = Kind("an object", lambda v: isinstance(v, dict))
CHECKSUM = Kind(
    "a SHA-256",
    lambda v: isinstance(v, str) and len(v) == 64 and set(v) <= set("0123456789abcdef"),
)


def one_of(*values) -> Kind:
    """One of some values."""
    return Kind(
        f"one of {', '.join(map(str, values))}",
        lambda v: any(v == each and type(v) is type(each) for each in values),
    )


def maybe(kind: Kind) -> Kind:
    """null, too."""
    return Kind(f"{kind.says} or null", lambda v: v is None or kind.holds(v))


def each(kind: Kind, fewest: int = 0, most: int = 2**53) -> Kind:
    """Lists of values of one kind."""
    return Kind(
        f"a list, each {kind.says}",
        lambda v: (
            isinstance(v, list) and fewest <= len(v) <= most and all(map(kind.holds, v))
        ),
    )


def values(kind: Kind) -> Kind:
    """Objects with values of one kind."""
    return Kind(
        f"an object, each value {kind.says}",
        lambda v: isinstance(v, dict) and all(map(kind.holds, v.values())),
    )


def check(
    content: Mapping, kinds: Mapping[str, Kind], optional: Mapping[str, Kind] = {}
) -> None:
    """Checks the fields of an object; other fields may be there, too.

    Args:
        content: The object.
        kinds: Fields that must be there.
        optional: Fields that need not.

    Raises:
        ValueError: If a field is missing, or is of another kind.
    """
    for name, kind in {**kinds, **optional}.items():
        if name not in content:
            if name in optional:
                continue
            raise ValueError(f"{name} is missing")
        if not kind.holds(content[name]):
            shown = repr(content[name])
            if len(shown) > _LONGEST_SHOWN:
                shown = f"{shown[:_LONGEST_SHOWN]}…"
            raise ValueError(f"{name} must be {kind.says}, not {shown}")


def plain(value: Any) -> Any:
    """A value as JSON holds it: NumPy's numbers and arrays, too. For `json.dumps`.

    Raises:
        ValueError: If JSON cannot hold it.
    """
    if hasattr(value, "tolist"):  # NumPy, which help of commands does not import
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise ValueError(f"JSON cannot hold a {type(value).__name__}")


def is_unicode(text: str) -> bool:
    """Whether files in UTF-8 can hold a text: names of files may be of other bytes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def as_json(content: Any) -> Any:
    """A value of JSON's own, from one that may hold NumPy's.

    NaN and infinity, which JSON does not have, become null: `figure` reads it.

    Raises:
        ValueError, TypeError: If JSON cannot hold it.
    """
    text = json.dumps(content, default=plain)
    return json.loads(text, parse_constant=lambda _: None)


def plain_copy(what: str, content: Mapping) -> dict:
    """An object as JSON gives it back, by `as_json`.

    Args:
        what: Name of the object, for the error.
        content: The object.

    Raises:
        ValueError: If JSON cannot hold a value.
    """
    try:
        return as_json(dict(content))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must hold values of JSON: {error}.") from error


def figure(value: Any) -> Any:
    """A value of a file; NaN for null, as which JSON has NaN."""
    return math.nan if value is None else value


def parse(text: str) -> dict:
    """An object as JSON.

    Raises:
        ValueError: If it is no JSON, no object, or nested too deeply.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("it holds no object")
    level: list = [content]
    for _ in range(_DEEPEST):
        inside = (v.values() if isinstance(v, dict) else v for v in level)
        level = [v for of in inside for v in of if isinstance(v, (dict, list))]
        if not level:
            return content
    raise ValueError("it is nested too deeply")
