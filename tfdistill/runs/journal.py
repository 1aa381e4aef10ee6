"""Results of an evaluation so far, on disk, so that a killed one can resume."""

import hashlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tfdistill._internal import identity
from tfdistill.runs import files

_LEARNED = ["hyperparameters"]


class Journal:
    """A folder of results, each addressed by everything that it depends on.

    Own objectives and inner optimizers are told apart by what they hold: numbers,
    texts, arrays, functions of modules, and lists of these. If one holds anything else,
    such as a lambda, nothing is kept, and a warning says so.

    Args:
        folder: Path of the folder, which the first result creates.
        writes: Whether this process writes; all may read.
        tell: Called whenever there are results of more students, with their number,
            with all arrays of the evaluation so far, and with whether they were found
            here, and nobody had to train.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        writes: bool = True,
        tell: Callable[[int, Mapping, bool], None] = lambda *_: None,
    ):
        self._folder, self._writes, self._tell = files.local(folder), writes, tell

    def entry(self, arrays: Iterable[np.ndarray], *settings) -> "Entry":
        """The results of one evaluation.

        Args:
            arrays: The arrays that it depends on: weights, images, rates.
            *settings: Other values that it depends on, compared by `repr`; arrays among
                them by what they hold.
        """
        told = identity.told(settings, lenient=True)
        key = hashlib.sha256(repr(told).encode())
        for array in map(np.ascontiguousarray, arrays):
            key.update(f"{array.dtype} {array.shape}".encode())
            key.update(array)
        path = os.path.join(self._folder, f"{key.hexdigest()[:32]}.npz")
        return Entry(path, self._writes, self._tell)

    def forget(self) -> None:
        """Removes the folder, once the final result is written."""
        shutil.rmtree(self._folder, ignore_errors=True)


class Entry:
    """The results of the first students of one evaluation."""

    def __init__(
        self, path: str, writes: bool, tell: Callable[[int, Mapping, bool], None]
    ):
        self._path, self._writes, self._tell = path, writes, tell
        self._known = 0

    def read(self, most: int | None = None) -> dict[str, np.ndarray]:
        """Results of each student so far, by name; initially none.

        Args:
            most: Number of students that are wanted, the first ones; all by default.
        """
        arrays = read_arrays(self._path) or {}
        if most is not None:
            arrays = {name: array[:most] for name, array in arrays.items()}
        if arrays:
            self._say(arrays, found=True)
        return arrays

    def write(self, **arrays) -> None:
        """Replaces the results: completely or not at all."""
        if self._writes:
            write_arrays(self._path, **arrays)
        self._say(arrays, found=False)

    def _say(self, arrays, found):
        # What is not of single students, such as a choice, is no news of them.
        if not all(np.ndim(array) for array in arrays.values()):
            return
        known = min(map(len, arrays.values()))
        self._tell(known - self._known, arrays, found)
        self._known = known


def held(of: object) -> dict[str, Any]:
    """What a custom objective or inner optimizer holds, as a setting of an entry.

    Learned hyperparameters are left out, for their values are among the arrays.
    """
    return identity.settings(of, _LEARNED)[0]


def can_tell(objects: Iterable[object]) -> bool:
    """Whether `held` has all that objects hold; a warning names what it lacks."""
    found = {
        f"{type(of).__name__}.{name}"
        for of in objects
        for name in identity.settings(of, _LEARNED)[1]
    }
    if found:
        warnings.warn(
            f"The journal keeps no results, since {', '.join(sorted(found))} "
            "cannot be told from another: hold numbers, texts, arrays, or functions "
            "of a module.",
            stacklevel=4,  # beyond what asks for an entry, and its caller
        )
    return not found


def read_arrays(path: str) -> dict[str, np.ndarray] | None:
    """Reads what `write_arrays` has written; None if it is absent or damaged."""
    if not os.path.isfile(path):
        return None
    try:
        # NumPy leaves a file that it opens itself open, if it is damaged.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception:  # zip, zlib, numpy and the system each have their own
        warnings.warn(f"{path} is damaged; its results are redone.", stacklevel=2)
        return None


def write_arrays(path: str, **arrays) -> None:
    """Writes a file of named arrays: completely or not at all."""
    with files.replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
