"""The folder of an audit, which is of one recipe and of one set of images."""

import hashlib
import os
import warnings

import numpy as np

from tfdistill._internal.seeds import set_for_keras
from tfdistill.data import fingerprints
from tfdistill.data.dataset import Dataset
from tfdistill.evaluation import networks
from tfdistill.runs import files
from tfdistill.runs.journal import read_arrays
from tfdistill.weights.fixed import FixedWeights


def claim(folder: str | os.PathLike, dataset: Dataset, recipe) -> None:
    """Takes a folder for an audit, or refuses one with parts of another.

    Args:
        folder: Where; it is made if it is not there.
        dataset: The data whose training part is audited.
        recipe: The audit's `Recipe`.

    Raises:
        ValueError: If the folder is that of another audit.
    """
    train = dataset.train
    settings = {name: str(value) for name, value in vars(recipe).items()}
    student = recipe.student
    if not isinstance(student, str):  # its text may hold an address
        settings["student"] = getattr(student, "__qualname__", type(student).__name__)
        # Keras draws fixed weights: so the same in every process.
        set_for_keras(recipe.seed)
        settings["networks"] = networks.key(student, dataset, FixedWeights())
    elif student.endswith(".keras"):  # another network may be called the same
        settings["networks"] = files.sha256(student)
    labels = np.asarray(train.labels, np.int64)
    settings["labels"] = hashlib.sha256(labels.tobytes()).hexdigest()
    settings["image_shape"] = str(tuple(train.image_shape))
    settings["images"] = " ".join(fingerprints.of_split(train))
    settings["normalization"] = " ".join(
        fingerprints.of_normalization(train.normalization)
    )
    path = os.path.join(files.local(folder), "audit.json")
    if not os.path.isfile(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        files.write_json(path, settings)
        return
    known = files.read_json(path)
    # Earlier versions don't say these.
    for name in ("networks", "images", "normalization"):
        if name not in known:
            settings.pop(name, None)
    if known != settings:
        raise ValueError(f"{folder} holds parts of another audit; choose another one.")


def part(path: str, shape: tuple[int, int]) -> np.ndarray | None:
    """What the student of one distillation has said, if it is kept and whole.

    Args:
        path: The file of the part.
        shape: (examples, classes).

    Returns:
        The probabilities, of that shape; each row sums to 1.
    """
    arrays = read_arrays(path)
    if arrays is None:
        return None
    found = arrays.get("probabilities", np.empty(0))
    if found.shape == shape and found.dtype.kind == "f":
        if (found >= 0).all() and np.allclose(found.sum(1), 1, atol=1e-3):
            return found
    warnings.warn(f"{path} is damaged; its results are redone.", stacklevel=2)
    return None
