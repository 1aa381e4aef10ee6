"""Flags as they are typed: lists with commas between their values, and paths."""

import csv
import io
from collections.abc import Iterable

from tfdistill._internal import fields
from tfdistill.cli.errors import InputError


def listed(values: Iterable[str]) -> str:
    """Values of a flag, as absl reads them: one that holds a comma is in quotes.

    Args:
        values: Texts without ends of lines.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


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
