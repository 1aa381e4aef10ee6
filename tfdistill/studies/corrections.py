"""What follows from an audit: a corrected copy, or a list of what to keep."""

import csv
import dataclasses
import os
import shutil
from collections.abc import Sequence

import numpy as np

from tfdistill.runs import files

#: The names of the columns of `audit.csv`.
COLUMNS = (
    *("index", "where", "given", "suggested", "probability", "agreement", "suspect"),
)
_FORMULA = tuple("=+-@\t\r")


@dataclasses.dataclass(frozen=True)
class Row:
    """One example of `audit.csv`: its row, place and labels; whether it is suspect."""

    index: int
    where: str
    given: str
    suggested: str
    suspect: bool


def cell(text: str) -> str:
    """A text as a cell, which no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _text(cell):
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def read(path: str) -> list[Row]:
    """Reads `audit.csv`, in which a person may have changed who is suspect.

    Raises:
        ValueError: If a column is missing, or a cell is not as it was.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [
                Row(
                    int(row["index"]),
                    _text(row["where"]),
                    _text(row["given"]),
                    _text(row["suggested"]),
                    bool(int(row["suspect"])),
                )
                for row in csv.DictReader(file)
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no table of an audit ({error}).") from error


def apply(
    rows: Sequence[Row], kind: str, source: str, names: Sequence[str], folder: str
) -> str:
    """Writes what an audit leads to into a new folder; the data stay as they are.

    Args:
        rows: Of `audit.csv`.
        kind, source: Same as `kind` and `path` of `Origins`.
        names: Names of the classes, in the order of the labels.
        folder: The new folder: `keep.txt`, the places of all examples that are not
            suspect, and for a folder of images or an `.npz` file a copy in which
            suspects have the suggested labels.

    Returns:
        A sentence that says what was written.

    Raises:
        FileExistsError: If the folder exists.
        ValueError: If it lies in the data.
    """
    folder = files.local(folder)
    if source and os.path.isdir(source):
        inside = os.path.realpath(folder) + os.sep
        if inside.startswith(os.path.realpath(source) + os.sep):
            raise ValueError(f"{folder} lies in the data, {source}: choose another.")
    if os.path.exists(folder):
        raise FileExistsError(f"{folder} exists: choose another folder.")
    changed = [row for row in rows if row.suspect and row.suggested != row.given]
    with files.replacing(folder, overwrite=False) as temporary:
        os.mkdir(temporary)
        kept = sorted((row.index, row.where) for row in rows if not row.suspect)
        files.write_text(
            os.path.join(temporary, "keep.txt"),
            "".join(f"{where}\n" for _, where in kept),
        )
        if kind == "folder":
            _copy_folder(source, os.path.join(temporary, "images"), changed)
        if kind == "npz":
            target = os.path.join(temporary, os.path.basename(source))
            _copy_npz(source, target, changed, list(names))
    copied = {"folder": "images", "npz": os.path.basename(source)}.get(kind)
    said = f"{folder} holds keep.txt, the {len(kept)} examples that are not suspect"
    if copied:
        said += f", and {copied}, a copy with {len(changed)} labels changed"
    return f"{said}."


def _copy_folder(source, target, changed):
    new = {row.where: row.suggested for row in changed}
    for parent, _, names in os.walk(source):
        for name in names:
            place = os.path.relpath(os.path.join(parent, name), source)
            where = place
            if place in new:
                given, end = os.path.split(place)
                where = os.path.join(os.path.dirname(given), new[place], end)
                if os.path.exists(os.path.join(source, where)):
                    end = f"{os.path.basename(given)}-{end}"
                    where = os.path.join(os.path.dirname(where), end)
            path = os.path.join(target, where)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copy2(os.path.join(source, place), path)


def _copy_npz(source, target, changed, names):
    with np.load(source, allow_pickle=False) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    labels = np.array(content["y_train"])
    for row in changed:
        labels.reshape(-1)[row.index] = names.index(row.suggested)
    np.savez(target, **{**content, "y_train": labels})
