"""NumPy's files, without `pickle` and without surprises of size."""

import os
import zipfile

import numpy as np

from tfdistill.distilled.foreign.stored import Stored

_LONGEST_HEADER = 10_000


def of_npz(path: str) -> dict[str, Stored]:
    """The arrays of a .npz file; only their headers are read.

    Raises:
        ValueError: If it is not a whole archive, or an array holds objects or claims
            another size than it has.
    """
    found = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")

            def load(filename=entry.filename):
                with zipfile.ZipFile(path) as again, again.open(filename) as file:
                    return np.lib.format.read_array(file, allow_pickle=False)

            with archive.open(entry) as file:
                found[name] = _described(name, file, entry.file_size, load)
    return found


def of_npy(path: str) -> Stored:
    """The array of a .npy file; only its header is read.

    Raises:
        ValueError: Same as for `of_npz`.
    """

    def load():
        with open(path, "rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    with open(path, "rb") as file:
        name = os.path.basename(path)
        return _described(name, file, os.path.getsize(path), load)


def _described(name, file, size, load):
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"its array {name!r} is of an unknown kind")
    shape, _, dtype = readers[version](file, max_header_size=_LONGEST_HEADER)
    if dtype.hasobject:
        raise ValueError(
            f"its array {name!r} holds Python objects, which could run code: save it "
            "again as an array of numbers (np.stack of images of one shape)"
        )
    found = Stored(tuple(map(int, shape)), dtype.itemsize, load)
    if min(found.shape, default=0) < 0 or found.nbytes + file.tell() != size:
        raise ValueError(
            f"its array {name!r} claims the shape {list(found.shape)}, which is not "
            "the size of what is there"
        )
    return found
