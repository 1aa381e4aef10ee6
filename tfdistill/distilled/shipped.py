"""The zoo: distilled sets that ship with the library."""

import os

from tfdistill._internal import lookup
from tfdistill.distilled.dataset import DistilledDataset

#: Where they are: a folder for each data set, and in it one for each size.
FOLDER = os.path.join(os.path.dirname(__file__), "zoo")


def distilled_names() -> list[str]:
    """The names that `load_distilled` takes, such as "mnist/10".

    Example:
        >>> import tfdistill
        >>> all("/" in name for name in tfdistill.distilled_names())
        True
    """
    names = [
        (dataset, int(size))
        for dataset in sorted(os.listdir(FOLDER))
        if os.path.isdir(os.path.join(FOLDER, dataset))
        for size in os.listdir(os.path.join(FOLDER, dataset))
        if size.isdecimal()
    ]
    return [f"{dataset}/{size}" for dataset, size in sorted(names)]


def load_distilled(name: str) -> DistilledDataset:
    """A distilled set that ships with the library.

    Its `provenance["measured"]` lists test accuracies of fresh networks.

    Args:
        name: The data set and the images of each class, such as "mnist/10"; one of
            `distilled_names`.

    Raises:
        ValueError: If there is none of this name.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_distilled("digits/10")
        >>> digits.num_images
        100
    """
    lookup.find("name", name, dict.fromkeys(distilled_names()))
    return DistilledDataset.load(os.path.join(FOLDER, *name.split("/")))
