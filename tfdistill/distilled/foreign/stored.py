"""Arrays in a file that are described before they are read."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Stored:
    """An array that is still in its file.

    Attributes:
        shape: Its shape, whole numbers of at least 0.
        itemsize: Bytes of one of its numbers.
        load: Reads it.
    """

    shape: tuple[int, ...]
    itemsize: int
    load: Callable[[], np.ndarray]

    @property
    def nbytes(self) -> int:
        """Bytes that it will take, of whatever size its shape claims."""
        return math.prod(self.shape) * self.itemsize

    @classmethod
    def of(cls, array: np.ndarray) -> "Stored":
        """An array that is in memory already."""
        return cls(array.shape, array.itemsize, lambda: array)


def load(name: str, array: Stored, limit: int) -> np.ndarray:
    """Reads an array that is not too large.

    Args:
        name: What it is called in the file.
        array: The array.
        limit: The most bytes that it may take.

    Raises:
        ValueError: If it claims more.
    """
    if array.nbytes > limit:
        raise ValueError(
            f"its array {name!r} of shape {list(array.shape)} would take "
            f"{amount(array.nbytes)}, more than all the real training images "
            f"({amount(limit)})"
        )
    return array.load()


def amount(size: int) -> str:
    """A number of bytes in words."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024  # type: ignore[assignment]
    return f"{size:.0f} TiB"
