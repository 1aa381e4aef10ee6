"""Files and folders that hold images and labels, and what they hold."""

import os
import pathlib

import numpy as np

from tfdistill.data import folders, tfds_sources
from tfdistill.data.dataset import Dataset
from tfdistill.distilled.foreign import archives, pairs, parquet, torch_files
from tfdistill.distilled.foreign.arrays import TEXTS, Found, found_in, in_python
from tfdistill.distilled.foreign.stored import Stored, amount, load

_SUFFIXES = (".npz", ".npy", ".pt", ".pth", ".parquet")


def find(path: str, dataset: Dataset, limit: int) -> Found:
    """What a file or a folder holds.

    Args:
        path: Of a file that ends in .npz, .npy, .pt, .pth or .parquet; two such files
            with a "+" between them; or a folder, of TFDS or of images by class.
        dataset: The real data.
        limit: The most bytes that an array may take.

    Raises:
        FileNotFoundError: If it isn't there.
        ValueError: If it is none of these, or cannot be read.
    """
    both = pairs.named(path)
    if len(both) == 2:
        images, labels = both
        arrays = _single("images", images, limit) | _single("labels", labels, limit)
        return found_in(arrays, limit)
    _there(path)
    if os.path.isdir(path):
        builder = tfds_sources.prepared(path)
        if builder is not None:
            return _of_tfds(builder, limit)
        return _of_folder(path, dataset, limit)
    if path.endswith(".parquet"):
        return parquet.of_parquet(path, dataset, limit)
    arrays = arrays_in(path)
    if set(arrays) == {"array"}:
        other = pairs.labels_beside(path)
        if other is None:
            raise ValueError(
                "it holds one array; name the file of the labels, too, with a + "
                "between them: images.npy+labels.npy"
            )
        (images,) = arrays.values()
        arrays = {"images": images, **_single("labels", other, limit)}
    return found_in(arrays, limit)


def arrays_in(path: str) -> dict[str, Stored]:
    """The arrays of a file of NumPy or PyTorch, by name.

    Raises:
        ValueError: If it is neither, or holds anything else.
    """
    if path.endswith(".npz"):
        return archives.of_npz(path)
    if path.endswith(".npy"):
        return {"array": archives.of_npy(path)}
    if path.endswith((".pt", ".pth")):
        return in_python(torch_files.of_pt(path))
    raise ValueError(
        f"it must be a folder, or a file that ends in one of {', '.join(_SUFFIXES)}"
    )


def _there(path):
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file or folder {path!r}.")


def _single(called, path, limit):
    """The one array of a file, called so, and the words beside it."""
    _there(path)
    arrays = arrays_in(path)
    texts = {name: arrays.pop(name) for name in TEXTS if name in arrays}
    if len(arrays) != 1:
        raise ValueError(f"{path} must hold one array, not {len(arrays)}")
    ((name, array),) = arrays.items()
    return {called: Stored.of(load(name, array, limit)), **texts}


def _of_tfds(builder, limit):
    import tensorflow_datasets as tfds

    split = "train" if "train" in builder.info.splits else min(builder.info.splits)
    count = int(builder.info.splits[split].num_examples)
    tfds_sources.check_records(builder, [split])

    def examples(names=None):
        return builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=names and tfds.decode.PartialDecoding(names),
        ).take(count)

    def read(name):
        found, size = [], 0
        for example in examples({name}).as_numpy_iterator():
            size += example[name].nbytes  # which a feature may leave open
            if size > limit:
                raise ValueError(
                    f"its feature {name!r} takes more than all the real training "
                    f"images ({amount(limit)})"
                )
            found.append(example[name])
        return np.stack(found)

    arrays = {
        name: Stored(
            (count, *[n or 1 for n in spec.shape]),
            spec.dtype.size or 1,
            lambda name=name: read(name),
        )
        for name, spec in examples().element_spec.items()
        if hasattr(spec, "shape") and spec.dtype.size
    }
    names = {
        name: tfds_sources.names_of(of)
        for name, of in builder.info.features.items()
        if isinstance(of, tfds.features.ClassLabel) and of.num_classes
    }
    return found_in(arrays, limit, names)


def _of_folder(path, dataset, limit):
    source = folders.of_folder(pathlib.Path(path), one_size=True)
    pairs, names = source.parts["train"].images(), list(source.class_names)
    count, spec = source.counts["train"], pairs.element_spec[0]
    numbers = _classes(names, dataset)

    def read():
        return np.stack([image for image, _ in pairs.as_numpy_iterator()])

    images = load("images", Stored((count, *spec.shape), 1, read), limit)
    labels = [label for _, label in pairs.as_numpy_iterator()]
    return Found(images, np.asarray(numbers)[labels])


def _classes(names, dataset):
    """The class of each folder, by its name or number."""
    known = list(dataset.class_names)
    if set(names) <= set(known):
        return [known.index(name) for name in names]
    if all(name.isdecimal() and int(name) < len(known) for name in names):
        return [int(name) for name in names]
    raise ValueError(
        f"its folders are called {', '.join(names[:5])}, but the classes are "
        f"{', '.join(known[:5])}: call them so, or by their numbers"
    )
