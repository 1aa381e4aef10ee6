"""What a person can mend, and how it comes to be said in one sentence."""

import contextlib
import os
import re
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator

from tfdistill._internal import fields
from tfdistill.runs import files

# Turn the order of what a terminal shows after them.
_TURNING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


class InputError(Exception):
    """What a person can mend: shown as one sentence, without a traceback."""


class IncompleteError(Exception):
    """The result is there, but something that is made of it is not."""


@contextlib.contextmanager
def checking() -> Iterator[None]:
    """Turns errors about arguments and files into `InputError`.

    To be put around loading, building and checks alone. A ValueError out of a
    computation is a mistake of ours, and keeps its traceback.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        if files.is_disk_full(error):
            raise
        # Other spaces may be those of a path.
        text = re.sub(r"\s+", " ", str(error), flags=re.ASCII)
        raise InputError(text.strip()) from error


def shown(sentence: str) -> str:
    """A sentence for a terminal, which obeys nothing of what files say in it."""
    return "".join(
        c.encode("unicode_escape").decode()
        if c in _TURNING or fields.has_controls(c)
        else c
        for c in sentence
    )


def shown_lines(text: str) -> str:
    """Several lines for a terminal; those after the first are indented.

    So a line break that a file says makes no line that looks like one of ours.
    """
    return "\n  ".join(shown(line) for line in text.split("\n"))


def own_frames(error: BaseException) -> str:
    """Where in a person's own code an error came up; empty if it was not there.

    Those are the frames that lie neither in tfdistill nor in an installed package.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(frame.filename)]
    return "".join(traceback.format_list(own))


def _is_own(path):
    package = os.path.dirname(os.path.dirname(__file__))
    inside = tuple(f"{x}{os.sep}" for x in (package, sysconfig.get_path("stdlib")))
    installed = {"site-packages", "dist-packages"} & set(path.split(os.sep))
    return os.path.isfile(path) and not (installed or path.startswith(inside))


@contextlib.contextmanager
def warnings_in_lines(in_flags: Callable[[str], str]) -> Iterator[None]:
    """Prints what the library warns of as lines of their own, each once.

    Args:
        in_flags: Turns a sentence of the library into one of the command line.
    """
    said = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        show = warnings.showwarning

        def line(message, category, *args, **kwargs):
            if category is not UserWarning:
                show(message, category, *args, **kwargs)
            elif str(message) not in said:
                said.add(str(message))
                text = shown_lines(in_flags(str(message)))
                print(text, file=sys.stderr, flush=True)

        warnings.showwarning = line
        yield
