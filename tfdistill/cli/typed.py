"""Flags as they are typed: lists with commas between their values."""

import csv
import io
from collections.abc import Iterable


def listed(values: Iterable[str]) -> str:
    """Values of a flag, as absl reads them: one that holds a comma is in quotes.

    Args:
        values: Texts without ends of lines.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()
