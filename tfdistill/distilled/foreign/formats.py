"""Files and folders that hold images and labels, and what they hold."""

import io
import json
import os
import pathlib

import numpy as np

from tfdistill.data import folders, pictures, tfds_sources
from tfdistill.data.dataset import Dataset
from tfdistill.distilled.foreign import archives, pairs, torch_files
from tfdistill.distilled.foreign.arrays import TEXTS, Found, found_in, in_python
from tfdistill.distilled.foreign.stored import Stored, load

_SUFFIXES = (".npz", ".npy", ".pt", ".pth", ".parquet")
# Stands for an encoded picture that is not decoded yet.
_PICTURE = object()


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
        return _of_parquet(path, dataset, limit)
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
    split = "train" if "train" in builder.info.splits else min(builder.info.splits)
    count = int(builder.info.splits[split].num_examples)
    examples = builder.as_dataset(split=split, shuffle_files=False).take(count)

    def read(name):
        return np.stack([e[name] for e in examples.as_numpy_iterator()])

    arrays = {
        name: Stored(
            (count, *[n or 1 for n in spec.shape]),
            spec.dtype.size or 1,
            lambda name=name: read(name),
        )
        for name, spec in examples.element_spec.items()
        if hasattr(spec, "shape") and spec.dtype.size
    }
    features = builder.info.features.items()
    names = {name: of.names for name, of in features if getattr(of, "names", None)}
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


def _of_parquet(path, dataset, limit):
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError(
            "Parquet needs PyArrow: pip install tfdistill[huggingface]"
        ) from error
    table = pyarrow.parquet.ParquetFile(path)
    shape, count = dataset.image_shape, table.metadata.num_rows
    columns: dict[str, list] = {name: [] for name in table.schema_arrow.names}
    size = int(np.prod(shape)) * 8
    if count * size > limit:
        raise ValueError(f"it claims {count} images, more than the real training data")
    row: dict = {}
    for batch in table.iter_batches(batch_size=16):
        for row in batch.to_pylist():
            for name, value in row.items():
                columns[name].append(_cell(value))
    arrays = {}
    for name, values in columns.items():
        shapes = {np.shape(value) for value in values}
        if values and all(value is _PICTURE for value in values):
            # Pictures beside the images may be to look at, of any size.
            arrays[name] = Stored(
                (count, *shape[:2], 1 if shape[-1] == 1 else 3),
                1,
                lambda name=name: _pictures(table, name, shape),
            )
        elif all(v is not None for v in values) and len(shapes) == 1:
            array = np.asarray(values)
            if array.dtype.kind in "biuf":
                arrays[name] = Stored.of(array)
    # One row's objective and normalisation are those of all.
    for name in ("objective", "objective_options"):
        if isinstance(row.get(name), str):
            arrays[name] = Stored.of(np.asarray(row[name]))
    for name in ("mean", "std", "scale"):
        if name in arrays:
            arrays[name] = Stored.of(arrays[name].load()[0])
    return found_in(arrays, limit, _class_names(table.schema_arrow.metadata))


def _class_names(metadata):
    """Names of classes by column, as Hugging Face's datasets write them."""
    found = json.loads((metadata or {}).get(b"huggingface") or b"{}")
    for key in ("info", "features"):
        found = found.get(key) if isinstance(found, dict) else None
    columns = found.items() if isinstance(found, dict) else ()
    return {
        name: feature["names"]
        for name, feature in columns
        if isinstance(feature, dict) and isinstance(feature.get("names"), list)
    }


def _cell(value):
    """A number, an array, or `_PICTURE` for an encoded one; None for all else."""
    if _encoded(value) is not None:
        return _PICTURE
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, list):
        array = np.asarray(value)
        return array.astype("float32") if array.dtype.kind == "f" else array
    return None


def _encoded(value):
    """The bytes of a picture, as they are or as Hugging Face writes them; or None."""
    if isinstance(value, dict):
        value = value.get("bytes")
    return value if isinstance(value, bytes) else None


def _pictures(table, name, shape):
    """The pixels of a column of encoded pictures, of the size of the real images."""
    return np.stack(
        [
            _decoded(_encoded(row[name]), shape)
            for batch in table.iter_batches(batch_size=16, columns=[name])
            for row in batch.to_pylist()
        ]
    )


def _decoded(encoded, shape):
    from PIL import Image

    with Image.open(io.BytesIO(encoded)) as picture:
        size = picture.height, picture.width
        if pictures.is_deep(picture):
            raise ValueError("its pictures have more than 8 bits per channel")
        if sorted(size) == sorted(shape[:2]):  # they may be on their side
            found = pictures.decoded(picture, shape[-1] == 1)
            size = found.shape[:2]
        if size != tuple(shape[:2]):
            raise ValueError(
                f"its pictures have {size[0]} x {size[1]} pixels, but the real "
                f"images {shape[0]} x {shape[1]}"
            )
        return found
