"""Which files a path means: a saved set, one, or images and their labels."""

import os
import re

from tfdistill.runs import files

# What the other file of a pair is called, after the one with the images.
_PAIRS = (
    *(("images", "labels"), ("image", "label"), ("x", "y"), ("data", "labels")),
    *(("data", "targets"), ("images", "targets")),
)


def saved_set(path: str) -> str | None:
    """Where `DistilledDataset.save` wrote: the folder itself, or in a run folder.

    Args:
        path: Of anything.

    Returns:
        Path of the saved set; None if there is none.
    """
    for folder in (files.local(path), os.path.join(files.local(path), "distilled")):
        if os.path.isfile(os.path.join(folder, "tfdistill.json")):
            return folder
    return None


def named(path: str) -> list[str]:
    """The files, or the folder, that a path names.

    Args:
        path: Of one; or of two, with a "+" between them. A "+" of a single one that is
            there is a part of its name.
    """
    both = path.split("+")
    if len(both) != 2 or os.path.exists(files.local(path)):
        both = [path]
    return [*map(files.local, both)]


def members(path: str) -> list[str]:
    """The same, with the labels that nobody named: those beside the images."""
    found = named(path)
    if len(found) == 1 and found[0].endswith((".npy", ".pt", ".pth")):
        other = labels_beside(found[0])
        found += [other] if other else []
    return found


def labels_beside(path: str) -> str | None:
    """The file of the labels beside that of the images, if there is one.

    Args:
        path: Of the images, such as "images.npy", whose labels are in "labels.npy".
    """
    folder, name = os.path.split(path)
    for images, labels in _PAIRS:
        other = re.sub(
            rf"(?<![A-Za-z]){images}(?![A-Za-z])", labels, name, flags=re.IGNORECASE
        )
        if other != name and os.path.isfile(os.path.join(folder, other)):
            return os.path.join(folder, other)
    return None
