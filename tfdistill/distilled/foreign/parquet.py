"""Parquet files: columns of numbers, of pictures and of words."""

import collections
import io
import json

import numpy as np

from tfdistill.data import pictures
from tfdistill.data.dataset import Dataset
from tfdistill.distilled.foreign.arrays import Found, found_in, images_in
from tfdistill.distilled.foreign.stored import Stored

_WORDS = ("objective", "objective_options")
_TEXTS = {"string", "large_string", "string_view"}
_BYTES = {"binary", "large_binary", "binary_view"}
_LONGEST_HASH = 64  # bytes; pictures take more
# Each row has the same ones.
_MOMENTS = ("mean", "std", "scale")


def of_parquet(path: str, dataset: Dataset, limit: int) -> Found:
    """What a Parquet file holds.

    One column at a time is read, and none that claims to be too large: a few bytes can
    stand for any number of values.

    Args:
        path: Of the file.
        dataset: The real data.
        limit: The most bytes that a column may take.

    Raises:
        ValueError: If PyArrow is not installed, the file has no images or no labels,
            or claims more than the limit.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError(
            "Parquet needs PyArrow: pip install tfdistill[huggingface]"
        ) from error
    table = pyarrow.parquet.ParquetFile(path)
    shape, count = dataset.image_shape, table.metadata.num_rows
    if count * int(np.prod(shape)) * 8 > limit:
        raise ValueError(f"it claims {count} images, more than the real training data")
    claims = _claims(table.metadata)
    arrays = {}
    for field in table.schema_arrow:
        found = _stored(table, field, shape, claims[field.name], limit)
        if found is not None:
            arrays[field.name] = found
    lacking = _lacking(table)
    whole = {name: array for name, array in arrays.items() if name not in lacking}
    # Pictures of some rows alone may be to look at, beside the images, but for those
    # that are called images: they are refused.
    if images_in(arrays) not in lacking and images_in(whole) is not None:
        arrays = whole
    return found_in(arrays, limit, _class_names(table.schema_arrow.metadata))


def _claims(metadata):
    """The bytes that each column takes in memory at most, as the file says."""
    found = collections.Counter()
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            size = max(8 * chunk.num_values, chunk.total_uncompressed_size)
            # A column is read with all whose names begin by its own and a dot.
            parts = chunk.path_in_schema.split(".")
            for end in range(len(parts)):
                found[".".join(parts[: end + 1])] += size
    return found


def _stored(table, field, shape, claimed, limit):
    """A column as an array that is not read yet; None if it is none."""
    from pyarrow import types

    name, own, count = field.name, _own(field.type), table.metadata.num_rows
    kind = _innermost(own)
    is_number = types.is_integer(kind) or types.is_floating(kind)
    is_number = is_number or types.is_boolean(kind)
    if name in _WORDS and str(own) in _TEXTS:
        return Stored((1,), claimed, lambda: np.asarray([_first(table, name)]))
    if not (count and (is_number or _is_picture(own))):
        return None
    if claimed > limit:  # refused if it is needed
        return Stored((count, -(-claimed // count)), 1, lambda: _numbers(table, name))
    if not is_number:
        # Pictures beside the images may be to look at, of any size.
        of_all = (count, *shape[:2], 1 if shape[-1] == 1 else 3)
        return Stored(of_all, 1, lambda: _pictures(table, name, shape))
    values = _numbers(table, name)
    if values is None:
        return None
    if name in _MOMENTS:
        return Stored.of(values[0])
    # Not kept: there may be any number of columns.
    return Stored(values.shape, values.itemsize, lambda: _numbers(table, name))


def _own(kind):
    """The type of a row's value, whichever way it is stored."""
    from pyarrow import types

    while True:
        if hasattr(kind, "storage_type"):
            kind = kind.storage_type
        elif types.is_dictionary(kind):
            kind = kind.value_type
        else:
            return kind


def _innermost(kind):
    """The type of what lists, also of lists, hold."""
    while hasattr(kind := _own(kind), "value_type"):
        kind = kind.value_type
    return kind


def _is_picture(kind):
    """Whether values are bytes, as they are or as Hugging Face writes them."""
    from pyarrow import types

    if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if types.is_fixed_size_binary(kind):
        return kind.byte_width > _LONGEST_HASH
    return str(kind) in _BYTES


def _lacking(table):
    """Columns of pictures of which some are missing, as the file says."""
    nulls = collections.Counter()
    for group in map(table.metadata.row_group, range(table.metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.statistics is not None:
                nulls[chunk.path_in_schema] += chunk.statistics.null_count or 0
    return {
        field.name
        for field in table.schema_arrow
        if _is_picture(_own(field.type))
        and (nulls[field.name] or nulls[f"{field.name}.bytes"])
    }


def _read(table, name, rows):
    """The values of a column, some rows at a time."""
    for batch in table.iter_batches(batch_size=rows, columns=[name]):
        yield dict(zip(batch.schema.names, batch.columns))[name]


def _numbers(table, name):
    """The array of a column; None if values are missing, or rows of other lengths."""
    parts = [_array(values) for values in _read(table, name, 2**16)]
    if any(part is None for part in parts):
        return None
    if len({part.shape[1:] for part in parts}) != 1:
        return None
    return np.concatenate(parts)


def _array(values):
    from pyarrow import compute, types

    shape = [len(values)]
    while True:
        values = getattr(values, "storage", values)
        if values.null_count:
            return None
        if types.is_dictionary(values.type):
            values = values.dictionary_decode()
        elif hasattr(values, "flatten") and hasattr(values.type, "value_type"):
            lengths = compute.list_value_length(values).unique().to_pylist()
            if len(lengths) != 1:
                return None
            shape += lengths
            values = values.flatten()
        else:
            break
    array = values.to_numpy(zero_copy_only=False).reshape(shape)
    return array.astype("float32") if array.dtype.kind == "f" else array


def _first(table, name):
    """The first word of a column; "" if it has none."""
    words = (values[0].as_py() for values in _read(table, name, 1))
    return next((word for word in words if word is not None), "")


def _pictures(table, name, shape):
    """The pixels of a column of encoded pictures, of the size of the real images."""
    return np.stack(
        [_decoded(values[0].as_py(), shape) for values in _read(table, name, 1)]
    )


def _decoded(encoded, shape):
    from PIL import Image

    if isinstance(encoded, dict):
        encoded = encoded["bytes"]
    if encoded is None:
        raise ValueError("its pictures are not all in the file: write them into it")
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
