"""Flags as they are typed: beside flagfiles, lists with commas, and paths."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tfdistill._internal import fields
from tfdistill.cli.errors import InputError

if TYPE_CHECKING:
    from tfdistill.cli.command import Flag

_FLAGFILE = ("--flagfile", "-flagfile")


def listed(values: Iterable[str]) -> str:
    """Values of a flag, as absl reads them: one that holds a comma is in quotes.

    Args:
        values: Texts without ends of lines.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def apart(
    arguments: Sequence[str], flags: "Mapping[str, Flag]"
) -> tuple[list[str], list[str]]:
    """The arguments that name flagfiles, and all others, as absl tells them apart.

    Args:
        arguments: A command line, without the command.
        flags: The command's, by name.
    """
    files: list[str] = []
    others: list[str] = []
    rest = list(arguments)
    while rest and rest[0] != "--":  # absl reads no flags behind it
        word, *rest = rest
        name, equals, _ = word.partition("=")
        if name.lstrip("-") == "undefok":  # absl's own, of flags in files, too
            files.append(word if equals else f"{word}={rest[0] if rest else ''}")
        is_file = name in _FLAGFILE and bool(equals or rest)
        (files if is_file else others).append(word)
        flag = flags.get(name.lstrip("-")) if name.startswith("-") else None
        takes_next = is_file or (
            flag and flag.kind is not bool and rest and not rest[0].startswith("-")
        )
        if takes_next and not equals:
            (files if is_file else others).append(rest.pop(0))
    return files, [*others, *rest]


def check_path(path: str) -> None:
    """Refuses a path that no file in UTF-8 can hold, as those of a run are.

    Raises:
        InputError: If it is one.
    """
    if not fields.is_unicode(path):
        raise InputError(
            f"{path!a} is not UTF-8, as what is written of a run: rename it, or "
            "give a link to it."
        )
