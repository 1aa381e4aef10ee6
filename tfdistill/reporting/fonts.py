"""Names in pictures: in any script that a font of this machine has, and as they are."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib import font_manager

#: Tried first, because they have most scripts between them; then any other font.
_LIKELY = ("Noto Sans CJK", "Noto Sans", "WenQuanYi", "Droid Sans", "IPA", "Unifont")
# Of a machine with thousands of fonts not all are opened.
_MOST_OPENED = 400
_NAME = 40  # letters


@contextlib.contextmanager
def style(texts: Iterable[str]) -> Iterator[None]:
    """Texts of figures that are made inside are shown as they are.

    A "$" is a dollar, not mathematics, and fonts that have the characters are used.

    Args:
        texts: What is to be shown.
    """
    needed = {character for text in texts for character in text if ord(character) > 127}
    families = list(matplotlib.rcParams["font.family"])
    for family, has in _fonts(frozenset(needed)):
        if needed & has:
            needed -= has
            families.append(family)
    with settings({"text.parse_math": False, "font.family": families}):
        yield


@contextlib.contextmanager
def settings(changed: Mapping) -> Iterator[None]:
    """Some of Matplotlib's settings are others inside.

    Not `rc_context`, which puts all of them back: in a notebook, the first figure of
    all makes the session interactive, which must last, or later figures are not shown.

    Args:
        changed: The settings.
    """
    before = {name: matplotlib.rcParams[name] for name in changed}
    matplotlib.rcParams.update(changed)
    try:
        yield
    finally:
        matplotlib.rcParams.update(before)


def styled(draw: Callable) -> Callable:
    """Wraps a function that makes a figure: the texts in its arguments get `style`."""

    @functools.wraps(draw)
    def drawn(*arguments, **named):
        with style(_texts((*arguments, *named.values()))):
            return draw(*arguments, **named)

    return drawn


def _texts(value):
    """All texts in some arguments, and the names of classes."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple, Mapping)):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        yield from _texts(value.tolist())
    elif hasattr(value, "class_names"):
        yield from value.class_names


def readable(names: Sequence[str]) -> list[str]:
    """Short names for a picture: one that no font can show becomes "class 3"."""
    return [
        shortened(name, _NAME) if not _missing(name) else f"class {number}"
        for number, name in enumerate(names)
    ]


def shown(text: str) -> str:
    """A text for a picture: "?" stands for each character that no font can show."""
    missing = _missing(text)
    return "".join("?" if character in missing else character for character in text)


def shortened(text: str, most: int) -> str:
    """A text; if it has more than `most` characters, its beginning and "…"."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def short(name: str) -> str:
    """A name for a picture: as `shown`, and not long."""
    return shortened(shown(name), _NAME)


def _missing(text):
    needed = frozenset(c for c in text if ord(c) > 127 or not c.isprintable())
    return needed.difference(*(has for _, has in _fonts(needed)))


@functools.lru_cache(maxsize=4096)
def _fonts(needed: frozenset) -> tuple:
    """Fonts that have some of the characters: family, and those it has."""
    found = []
    for family, path in _candidates():
        if not needed:
            break
        has = needed & _characters(path)
        if has:
            found.append((family, has))
            needed -= has
    return tuple(found)


@functools.cache
def _candidates():
    """Families with the path of a font of each, the likeliest first."""
    default = font_manager.findfont(font_manager.FontProperties())
    fonts = sorted(
        font_manager.fontManager.ttflist,
        key=lambda f: (not f.name.startswith(_LIKELY), f.style != "normal", f.name),
    )
    paths: dict = {}
    for font in fonts:
        if font.name.startswith("Last Resort"):  # it has a box for every character
            continue
        paths.setdefault(font.name, font.fname)
    return [("sans-serif", default), *list(paths.items())[:_MOST_OPENED]]


@functools.cache
def _characters(path):
    try:
        return frozenset(map(chr, font_manager.get_font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):  # what FreeType cannot read
        return frozenset()
