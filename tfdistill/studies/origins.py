"""Where each example of a data set lies: its file, its row, or its TFDS id.

What is found here is compared with the labels of the loaded data, so that a wrong place
is never named.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from tfdistill.data import folders, npz, stratified
from tfdistill.data.dataset import Dataset
from tfdistill.data.finding import find
from tfdistill.data.labels import as_labels, numbered
from tfdistill.data.split import Split

# As `load_dataset` holds a fifth of every class out, where there is no test part.
_HELD_OUT, _SEED = 0.2, 0


@dataclasses.dataclass(frozen=True)
class Origins:
    """Where the examples of a split lie.

    Attributes:
        kind: "folder", "npz", "tfds" or "arrays".
        path: The folder or file; "" for none.
        rows: int `[examples]`, the number of each in its source, from 0.
        places: For each example a path within the folder, a TFDS id, or `x_train[7]`.
    """

    kind: str
    path: str
    rows: np.ndarray
    places: Sequence[str]

    def where(self, mask: np.ndarray) -> "Origins":
        """Those of some examples: mask is bool `[examples]`."""
        rows = np.flatnonzero(mask)
        places = [self.places[int(k)] for k in rows]
        return dataclasses.replace(self, rows=self.rows[rows], places=places)


def whole(dataset: Dataset, name: str, data_dir=None) -> tuple[Dataset, Origins]:
    """A data set whose `train` has all examples that no test part was made for.

    Args:
        dataset: What `load_dataset` gave for the name, in memory.
        name, data_dir: Same as for `load_dataset`.

    Returns:
        The data set, `train` in the order of the source, and where its examples lie.
    """
    kind, path, labels, places, has_test = _found(name, data_dir)
    train, test = dataset.train, dataset.test
    given = np.asarray(train.labels)
    if has_test and np.array_equal(labels, given):
        return dataset, Origins(kind, path, np.arange(len(labels)), places)
    if not has_test and len(labels) == train.num_examples + test.num_examples:
        held = stratified.hold_out(labels, _HELD_OUT, _SEED)
        parts = ((~held, train), (held, test))
        if all(np.array_equal(labels[m], np.asarray(p.labels)) for m, p in parts):
            images = np.empty((len(labels), *train.image_shape), train.images.dtype)
            for mask, part in parts:
                images[mask] = part.images
            everything = Split(
                images, labels, train.normalization, num_classes=train.num_classes
            )
            every = Origins(kind, path, np.arange(len(labels)), places)
            return dataclasses.replace(dataset, train=everything), every
    rows = np.arange(train.num_examples)
    return dataset, Origins("arrays", "", rows, [f"train[{k}]" for k in rows])


def _found(name, data_dir):
    """Kind, path, labels, places, and whether there is a test part."""
    try:
        found = find(name, data_dir)
        if found.kind == "tfds":
            return "tfds", "", *_of_builder(found.builder)
        if found.kind == "folder":
            return "folder", found.path, *_of_folder(pathlib.Path(found.path))
        if found.kind == "npz":
            arrays, names = npz.read(found.path, images=False)
            (labels,), _ = numbered([arrays["y_train"]], names)
            labels, has_test = as_labels(labels, len(labels)), "y_test" in arrays
            return "npz", found.path, labels, _rows("x_train", labels), has_test
        from sklearn.datasets import load_digits

        labels = load_digits().target
        return "arrays", "", labels, _rows("digits", labels), False
    # A form of data that is not known here: its rows are counted.
    except (LookupError, OSError, TypeError, ValueError):
        return "arrays", "", np.zeros(0, int), [], True


def _rows(name, labels):
    return [f"{name}[{k}]" for k in range(len(labels))]


def _of_folder(root):
    parts = folders.listed(root)
    _, found = parts["train"]
    numbers = {name: k for k, name in enumerate(sorted({name for _, name in found}))}
    labels = np.array([numbers[name] for _, name in found], int)
    return labels, [os.path.relpath(path, root) for path, _ in found], "test" in parts


def _of_builder(builder):
    import tensorflow_datasets as tfds

    kinds = (tfds.features.Image, tfds.features.ClassLabel)
    image, label = (
        next(k for k, f in builder.info.features.items() if isinstance(f, kind))
        for kind in kinds
    )
    examples = builder.as_dataset(
        split="train",
        shuffle_files=False,
        decoders={image: tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(add_tfds_id=True, try_autocache=False),
    )
    found = [
        (int(example[label]), example["tfds_id"].decode())
        for example in examples.as_numpy_iterator()
    ]
    labels = np.array([label for label, _ in found], int)
    has_test = bool({"test", "validation"} & set(builder.info.splits))
    return labels, [place for _, place in found], has_test
