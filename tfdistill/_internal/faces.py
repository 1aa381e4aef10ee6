"""How things show themselves: objects in a line and as a table, modules by names."""

import ast
import html
import inspect
import types
from collections.abc import Mapping
from typing import Any


class Face:
    """A mix-in: `repr` in a line, and a table in a notebook, from a few facts.

    By default the facts are the arguments of the constructor that the object keeps, as
    attributes of the same names (or with an underscore), if they are not the defaults:
    your own subclass needs nothing.
    """

    def _facts(self) -> dict[str, Any]:
        """What is shown, by name."""
        found = {}
        for name, parameter in inspect.signature(
            type(self).__init__
        ).parameters.items():
            value = getattr(self, name, getattr(self, f"_{name}", None))
            if name != "self" and value is not None and not callable(value):
                if not _is(value, parameter.default):
                    found[name] = value
        return found

    def __repr__(self):
        facts = ", ".join(f"{name}={fact(v)}" for name, v in self._facts().items())
        return f"{type(self).__name__}({facts})"

    def _repr_html_(self):
        return table(type(self).__name__, self._facts())


def fact(value) -> str:
    """A value in a few words; arrays are their dtype and shape."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        dtype = getattr(value.dtype, "name", value.dtype)
        return f"{dtype} {list(value.shape)}"
    if value is None or isinstance(value, (bool, int, str, Face)):
        return repr(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return (
            f"{len(value)} values"
            if len(value) > 8
            else f"({', '.join(map(fact, value))})"
        )
    name = getattr(value, "name", None)
    return repr(name) if isinstance(name, str) else type(value).__name__


def table(title: str, facts: Mapping[str, Any], below: str = "") -> str:
    """An HTML table of facts.

    Args:
        title: The heading.
        facts: Values by name; strings are shown as they are.
        below: HTML that follows.
    """
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name.replace('_', ' '))}</th>"
        f"<td style='text-align:left'>{html.escape(_text(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<div><b>{html.escape(title)}</b><table>{rows}</table>{below}</div>"


def lines(title: str, facts: Mapping[str, Any]) -> str:
    """Facts as text, a line each."""
    width = max(map(len, facts))
    shown = (f"  {name:{width}}  {_text(value)}" for name, value in facts.items())
    return "\n".join([title, *shown])


def size(shape) -> str:
    """A shape in words: "28 x 28 x 1"."""
    return " x ".join(map(str, shape))


def show_own(module: types.ModuleType) -> None:
    """Lets `dir` and tab completion show a module's own names, not what it works with.

    What it imports for others, as "name as name", is its own; other imports are not.
    """

    def own():
        used = _imported_for_itself(module)
        return [x for x in vars(module) if not x.startswith("_") and x not in used]

    vars(module)["__dir__"] = own


def _imported_for_itself(module):
    try:
        source = inspect.getsource(module)
    except OSError:  # installed without sources
        return set()
    return {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.parse(source).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if alias.asname != alias.name
    }


def _text(value):
    return value if isinstance(value, str) else fact(value)


def _is(value, default):
    plain = (bool, int, float, str)
    return isinstance(value, plain) and isinstance(default, plain) and value == default
