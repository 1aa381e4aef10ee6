"""What students of an evaluation have done so far, on disk: a killed one goes on."""

import hashlib
import os
import shutil
import warnings
from collections.abc import Iterable

import numpy as np


class Journal:
    """A folder of results, each found again by all that it depends on.

    Args:
        folder: Where; made with the first result.
    """

    def __init__(self, folder: str | os.PathLike):
        self._folder = os.fspath(folder)

    def entry(self, arrays: Iterable[np.ndarray], *numbers: int) -> "Entry":
        """The results of one evaluation.

        Args:
            arrays: Whatever it depends on: weights, images, rates.
            *numbers: Seeds and the like.
        """
        key = hashlib.sha256(repr(numbers).encode())
        for array in map(np.ascontiguousarray, arrays):
            key.update(f"{array.dtype} {array.shape}".encode())
            key.update(array)
        return Entry(os.path.join(self._folder, f"{key.hexdigest()[:32]}.npz"))

    def forget(self) -> None:
        """Removes the folder: the result that it was for is written."""
        shutil.rmtree(self._folder, ignore_errors=True)


class Entry:
    """The results of the first students of one evaluation."""

    def __init__(self, path: str):
        self._path = path

    def read(self) -> tuple[list[np.ndarray], list[float]]:
        """A confusion matrix and a loss for each student so far; none at first."""
        if not os.path.isfile(self._path):
            return [], []
        try:
            # NumPy leaves a file that it opens itself open, if it is damaged.
            with (
                open(self._path, "rb") as file,
                np.load(file, allow_pickle=False) as arrays,
            ):
                return list(arrays["confusion"]), list(arrays["losses"])
        except Exception:  # zip, zlib, numpy and the system each have their own
            warnings.warn(
                f"{self._path} is damaged; its students are tested again.", stacklevel=2
            )
            return [], []

    def write(self, confusion: list[np.ndarray], losses: list[float]) -> None:
        """Replaces what is there: completely or not at all."""
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        temporary = f"{self._path}.tmp"
        try:
            with open(temporary, "wb") as file:
                np.savez(file, confusion=confusion, losses=losses)
            os.replace(temporary, self._path)
        except BaseException:
            if os.path.exists(temporary):
                os.remove(temporary)
            raise
