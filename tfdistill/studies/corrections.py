"""What follows from an audit: a corrected copy, or a list of what to keep."""

import csv
import dataclasses
import os
import pathlib
import shlex
import shutil
import zipfile
from collections.abc import Sequence

import numpy as np

from tfdistill._internal import fields
from tfdistill.data import folders
from tfdistill.runs import files
from tfdistill.studies.origins import Origins

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


def read(path: str, places: Origins, names: Sequence[str]) -> list[Row]:
    """Reads `audit.csv`, in which a person may have changed who is suspect.

    Args:
        path: The file.
        places: Where the audited examples lie.
        names: Names of the classes.

    Raises:
        ValueError: If it is no such table, lacks an example or has one twice, or a
            cell holds what it must not.
    """
    known = dict(zip(places.rows.tolist(), places.places))
    labels = {cell(name): name for name in names}
    found: dict[int, Row] = {}
    try:
        # Spreadsheets put a mark at the beginning.
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            for column in (field.name for field in dataclasses.fields(Row)):
                if column not in (reader.fieldnames or ()):
                    raise ValueError(
                        f"{path} has no column {column!r}; commas must separate the "
                        "columns."
                    )
            for cells in reader:
                try:
                    row = _row(cells, known, labels)
                    if row.index in found:
                        raise ValueError(f"{row.where} is there twice.")
                except ValueError as error:
                    raise ValueError(
                        f"{path}, row {reader.line_num}: {error}"
                    ) from None
                found[row.index] = row
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file in UTF-8 ({error}).") from error
    lacking = [place for index, place in known.items() if index not in found]
    if lacking:
        raise ValueError(
            f"{path} lacks {len(lacking)} of {len(known)} examples, the first of them "
            f"{lacking[0]}; keep all rows, with 0 as suspect to leave a label as it is."
        )
    return list(found.values())


def _row(cells, known, labels):
    """A row of the table; `known` and `labels` are what its cells can say."""
    index, suspect = ((cells[name] or "").strip() for name in ("index", "suspect"))
    if not (index.isdecimal() and int(index) in known):
        raise ValueError(f"index must be that of an audited example, not {index!r}.")
    where = known[int(index)]
    if cells["where"] != cell(where):
        raise ValueError(
            f"where must stay {where!r}, as index {index} is there, not "
            f"{cells['where']!r}."
        )
    for name in ("given", "suggested"):
        if cells[name] not in labels:
            raise ValueError(
                f"{name} must be the name of a class, not {cells[name]!r}."
            )
    if suspect not in ("0", "1"):
        raise ValueError(
            "suspect must be 1 (take the label suggested) or 0 (keep the one given), "
            f"not {suspect!r}."
        )
    given, suggested = labels[cells["given"]], labels[cells["suggested"]]
    return Row(int(index), where, given, suggested, suspect == "1")


def check_places(places: Origins) -> None:
    """Refuses files that `audit.csv` could not name.

    Raises:
        ValueError: If the name of one is not UTF-8.
    """
    for place in places.places:
        if not fields.is_unicode(place):
            raise ValueError(
                f"the name of {place!a} is not UTF-8, as audit.csv is: rename it."
            )


def check_folder(folder: str, source: str) -> str:
    """Refuses a folder that `apply` would not write; nothing is made.

    Args:
        folder, source: Same as for `apply`.

    Returns:
        The folder, as a path of this machine.

    Raises:
        FileExistsError: If the folder exists.
        ValueError: If it lies in the data.
        PermissionError: If it cannot be made.
    """
    folder = files.local(folder)
    if os.path.isdir(source) and _is_inside(folder, source):
        raise ValueError(f"{folder} lies in the data, {source}: choose another.")
    if os.path.lexists(folder):
        raise FileExistsError(f"{folder} exists: choose another folder.")
    parent = os.path.dirname(os.path.abspath(folder))
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if not (os.path.isdir(parent) and os.access(parent, os.W_OK)):
        raise PermissionError(f"{folder} cannot be made in {parent}: choose another.")
    return folder


def _is_inside(folder, source):
    """Whether a folder would lie in the data, or where a link of the data leads."""
    root = pathlib.Path(source)
    of_data = {root, *(root.joinpath(place).parent for place in folders.below(root))}
    inside = os.path.realpath(folder) + os.sep
    return any(inside.startswith(os.path.realpath(each) + os.sep) for each in of_data)


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
        A sentence that says what was written, and how to read the copy.

    Raises:
        ValueError, OSError: By `check_folder`, or if an audited file is gone.
    """
    folder = check_folder(folder, source)
    changed = [row for row in rows if row.suspect and row.suggested != row.given]
    with files.replacing(folder, overwrite=False) as temporary:
        os.mkdir(temporary)
        kept = sorted((row.index, row.where) for row in rows if not row.suspect)
        files.write_text(
            os.path.join(temporary, "keep.txt"),
            "".join(f"{where}\n" for _, where in kept),
        )
        if kind == "folder":
            _copy_folder(source, os.path.join(temporary, "images"), rows, changed)
        if kind == "npz":
            target = os.path.join(temporary, os.path.basename(source))
            _copy_npz(source, target, changed, list(names))
    copied = {"folder": "images", "npz": os.path.basename(source)}.get(kind)
    said = f"{folder} holds keep.txt, the {len(kept)} examples that are not suspect"
    if not copied:
        return f"{said}; copies are made of folders of images and .npz files only."
    plural = "" if len(changed) == 1 else "s"
    read_by = f"--dataset={shlex.quote(os.path.join(folder, copied))}"
    return f"{said}, and a copy with {len(changed)} label{plural} changed: {read_by}"


def _copy_folder(source, target, rows, changed):
    new = {row.where: row.suggested for row in changed}
    train = os.path.relpath(folders.of_training(pathlib.Path(source)), source)
    depth = 0 if train == os.curdir else len(pathlib.Path(train).parts)
    places = folders.below(pathlib.Path(source))
    if lacking := sorted({row.where for row in rows} - {*places}):
        raise ValueError(
            f"{source} lacks {len(lacking)} of {len(rows)} audited files, the first of "
            f"them {lacking[0]}; audit what is there now."
        )
    for place in places:
        if place not in new:
            _copy(os.path.join(source, place), os.path.join(target, place))
    # Now all places are known that are taken.
    for place, name in sorted(new.items()):
        parts = list(pathlib.Path(place).parts)
        given, parts[depth] = parts[depth], name
        while os.path.lexists(os.path.join(target, *parts)):
            parts[-1] = f"{given}-{parts[-1]}"
        _copy(os.path.join(source, place), os.path.join(target, *parts))


def _copy(source, target):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy2(source, target)


def _copy_npz(source, target, changed, names):
    with np.load(source, allow_pickle=False) as arrays:
        labels = np.array(arrays["y_train"])
    for row in changed:
        number = names.index(row.suggested)
        if labels.dtype.kind == "U":
            labels.reshape(-1)[row.index] = row.suggested
        elif labels.dtype.kind == "S":
            labels.reshape(-1)[row.index] = row.suggested.encode()
        elif labels.size > len(labels):  # one-hot
            labels[row.index] = np.arange(labels.shape[1]) == number
        else:
            labels.reshape(-1)[row.index] = number
    # Other arrays are copied unread: they may be of any kind and name.
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            copied = zipfile.ZipInfo(member.filename)
            copied.compress_type = member.compress_type
            with (
                old.open(member) as read,
                new.open(copied, "w", force_zip64=True) as write,
            ):
                if member.filename.removesuffix(".npy") == "y_train":
                    np.lib.format.write_array(write, labels, allow_pickle=False)
                else:
                    shutil.copyfileobj(read, write)
