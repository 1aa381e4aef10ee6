"""Does a file of weights hold as many numbers as it says?

Keras reads an array before it compares its shape with the network's.
"""

import os

import h5py


def check(path: str) -> None:
    """Compares the arrays of a `.weights.h5` file with the file's size.

    Args:
        path: The file, which a stranger may have written.

    Raises:
        OSError: If it is no HDF5 file.
        ValueError: If arrays claim more numbers than the file holds, or are elsewhere.
    """
    left, seen = os.path.getsize(path), set()
    with h5py.File(path, "r") as file:
        groups: list[h5py.Group] = [file]
        while groups:
            group = groups.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError("it links to other places than its own")
                item = group[name]
                if item in seen:
                    continue
                seen.add(item)
                if isinstance(item, h5py.Group):
                    groups.append(item)
                elif isinstance(item, h5py.Dataset):
                    if item.external or item.is_virtual:
                        raise ValueError("it has weights that are in another file")
                    left -= item.nbytes
        if left < 0:
            raise ValueError(
                "it claims more weights than its size: save it anew by Keras, "
                "which does not compress"
            )
