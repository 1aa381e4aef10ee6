"""Is a folder of distilled data what it says? Checked before anything of it is read.

A checksum tells damage from what was written, not a friend from a stranger. So sizes
that a file claims are compared with the file's own size before memory is asked for.
"""

import json
import math
import os
import zipfile
from collections.abc import Mapping

import numpy as np

from tfdistill._internal import fields, record_lengths
from tfdistill.distilled.foreign import archives
from tfdistill.inner import enlarging

# The largest side of an image, and number of its axes.
_SIDE, _AXES = 2**24, 6
_FIELDS = {
    "steps": fields.whole(1),
    "batch": fields.whole(1),
    "image_shape": fields.each(fields.whole(1, _SIDE), 1, _AXES),
    "normalization": fields.OBJECT,
    "class_names": fields.each(fields.LINE, 1),
    "student": fields.LINE,
    "initial_weights": fields.one_of("random", "fixed"),
    "provenance": fields.OBJECT,
}
# Absent from files of earlier versions.
_OPTIONAL = {
    "inner_optimizer": fields.TEXT,
    "objective": fields.TEXT,
    "objective_options": fields.OBJECT,
    "recipe": fields.OBJECT,
    "enlarged": fields.whole(1, enlarging.LARGEST),
    "image_dtype": fields.one_of("float32", "float16"),
    "hyperparameters": fields.each(fields.TEXT),
    "created": fields.TEXT,
    "versions": fields.values(fields.TEXT),
}
_PROVENANCE = {
    "flags": fields.TEXT,
    "load": fields.OBJECT,
    "dataset": fields.maybe(fields.TEXT),
    "attack": fields.maybe(fields.each(fields.whole(0), 2, 2)),
}


def check_fields(content: Mapping) -> None:
    """Checks the metadata, but for what the recipe and the normalisation check.

    Raises:
        ValueError: If a field is missing or is of another kind.
    """
    fields.check(content, _FIELDS, _OPTIONAL)
    fields.check(content["provenance"], {}, _PROVENANCE)


def check_provenance(provenance: Mapping) -> None:
    """Refuses what could be written into a file, and not be read again.

    Raises:
        ValueError: If a value that the library gives, too, is of another kind, values
            are nested too deeply, or a text is not UTF-8.
    """
    names = ", ".join(_PROVENANCE)
    try:
        fields.check(provenance, {}, _PROVENANCE)
        fields.parse(json.dumps({"provenance": provenance}))
    except ValueError as error:
        raise ValueError(
            f"provenance: {error}; the library uses the names {names} itself."
        ) from None
    inside: list = [provenance]
    while inside:
        value = inside.pop()
        if isinstance(value, str) and not fields.is_unicode(value):
            shown = value if len(value) < 100 else f"{value[:100]}..."
            raise ValueError(
                f"provenance holds {shown!a}, which no file in UTF-8 can hold: if a "
                "file or folder is called so, in another encoding, rename it."
            )
        if isinstance(value, Mapping):
            inside += [*value, *value.values()]
        elif isinstance(value, (list, tuple)):
            inside += value


def check_records(path: str, content: Mapping) -> None:
    """Compares a TFRecord file with the shapes that metadata claims.

    TensorFlow asks for the memory of a shape before it looks at the record.

    Args:
        path: The file.
        content: Metadata that `check_fields` has let pass.

    Raises:
        ValueError: If the file has another number of records, or one is too short.
    """
    pixel = np.dtype(content.get("image_dtype", "float32")).itemsize
    least = pixel * math.prod(content["image_shape"]) + 4 * len(content["class_names"])
    wanted, found = content["steps"] * content["batch"], 0
    try:
        for length in record_lengths.of_file(path):
            found = found + 1 if length >= least else wanted + 1
            if found > wanted:
                break
    except ValueError:
        found = wanted + 1
    if found != wanted:
        raise ValueError(
            f"{os.path.basename(path)} does not hold {wanted} images of the shape "
            f"{content['image_shape']} with {len(content['class_names'])} classes"
        )


def read_arrays(path: str) -> list[np.ndarray]:
    """Reads the arrays that `np.savez` wrote, in their order.

    Raises:
        ValueError: If the file is damaged, or an array is no finite numbers or claims
            more of them than the file holds.
    """
    name = os.path.basename(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(i.file_size for i in archive.infolist()) > os.path.getsize(path):
                raise ValueError("it is larger than its file")
        stored = archives.of_npz(path)  # the headers, checked against the file
        found = [stored[f"arr_{i}"].load() for i in range(len(stored))]
        for array in found:
            if array.dtype.kind not in "biuf":
                raise ValueError(f"it holds {array.dtype}, not numbers")
    except Exception as error:  # zip, zlib, numpy and the system each have their own
        raise ValueError(f"{name} is damaged ({error})") from error
    if not all(np.isfinite(array).all() for array in found):
        raise ValueError(f"{name} holds numbers that are not finite")
    return found
