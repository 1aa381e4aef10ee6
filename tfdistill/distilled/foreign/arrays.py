"""Which of several arrays are the images, the labels and the normalisation."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from tfdistill.data.labels import as_text
from tfdistill.distilled.foreign.stored import Stored, load

#: Names that programs give to images, those of the exact ones first.
_IMAGES = (
    *("pixels", "images", "image", "x", "data", "inputs", "x_train", "train_images"),
    *("images_train", "image_syn", "images_syn", "syn_images", "syn_data", "img"),
    *("synthetic_images", "distilled_images", "imgs"),
)
#: Names of labels, those of the fullest ones first.
_LABELS = (
    *("soft_labels", "soft_label", "label_syn", "labels_syn", "syn_labels"),
    *("labels", "label", "y", "targets", "target", "y_train", "train_labels"),
    *("labels_train", "synthetic_labels", "distilled_labels"),
)
_MEAN = ("mean", "image_mean", "channel_mean", "pixel_mean")
_STD = ("std", "image_std", "channel_std", "pixel_std")
_SCALE = ("scale",)
_ZCA = ("zca", "zca_matrix", "transform_matrix", "whitening", "whitening_matrix")
# Collections in a file of tensors, at most: deeper ones than Python can follow, too.
_MOST = 500
_ZCA_MEAN = ("zca_mean", "mean_vector", "whitening_mean")
#: Names of arrays that hold words.
TEXTS = ("class_names", "objective", "objective_options")


@dataclasses.dataclass(frozen=True)
class Found:
    """What a file says, before anything is made of it.

    Attributes:
        images: Numbers, `[..., H, W, C]`, `[..., C, H, W]` or `[..., H * W * C]`.
        labels: Numbers, one or a row for each image.
        mean, std: Of the normalisation that the images have, of any size; None if the
            file doesn't say.
        zca: Matrix `[D, D]` by which the flat images were multiplied; None if none is
            in the file.
        zca_mean: `[D]`, what was subtracted before; None for nothing.
        class_names: In the order of the labels; none if the file doesn't say.
        objective: The name of what the labels are for; "" if the file doesn't say.
        objective_options: What differs from its defaults, a JSON object; "" for none.
    """

    images: np.ndarray
    labels: np.ndarray
    mean: np.ndarray | None = None
    std: np.ndarray | None = None
    zca: np.ndarray | None = None
    zca_mean: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    objective: str = ""
    objective_options: str = ""


def found_in(
    arrays: Mapping[str, Stored],
    limit: int,
    class_names: Mapping[str, Sequence[str]] | None = None,
) -> Found:
    """Finds images, labels and normalisation by their names, or by their shapes.

    Args:
        arrays: Arrays by name.
        limit: The most bytes that one may take.
        class_names: Of each array that has some of its own, by its name. Those of
            labels that have none, such as soft ones, are those of the labels beside.

    Raises:
        ValueError: If there are no images or no labels, or one is too large.
    """
    own = {name: of for name, of in (class_names or {}).items() if name in arrays}
    images = images_in(arrays)
    if images is None:
        raise ValueError(
            f"it must hold images and labels, but has {_listed(arrays)}: call them "
            "'images' and 'labels'"
        )
    labels = _named(arrays, _LABELS, lambda shape: len(shape) >= 1)
    if labels is None:
        known = {*_MEAN, *_STD, *_SCALE, *_ZCA, *_ZCA_MEAN, *TEXTS}
        labels = _only(n for n in arrays if n != images and _plain(n) not in known)
    if labels is None:
        raise ValueError(
            f"it has images ({images!r}), but no labels, only {_listed(arrays)}: call "
            "them 'labels'"
        )
    beside = _named({name: arrays[name] for name in own}, _LABELS)
    names = own.get(labels) or own.get(beside or _only(own))
    others = {
        "mean": _named(arrays, _MEAN),
        "std": _named(arrays, _STD),
        "zca": _named(arrays, _ZCA, _is_square),
        "zca_mean": _named(arrays, _ZCA_MEAN),
    }
    return Found(
        _numbers(images, arrays[images], limit),
        _numbers(labels, arrays[labels], limit),
        **{
            what: None if name is None else _numbers(name, arrays[name], limit)
            for what, name in others.items()
        },
        class_names=tuple(map(as_text, names or _words("class_names", arrays, limit))),
        objective=_word("objective", arrays, limit),
        objective_options=_word("objective_options", arrays, limit),
    )


def images_in(arrays: Mapping[str, Stored]) -> str | None:
    """The name of the images; None if there are none, or several that may be."""
    named = _named(arrays, _IMAGES, lambda shape: len(shape) >= 2)
    if named is not None:
        return named
    return _only(name for name in arrays if len(arrays[name].shape) >= 3)


def _words(name, arrays, limit):
    """The words of an array of any type; none if it isn't there."""
    if name not in arrays:
        return []
    return load(name, arrays[name], limit).reshape(-1).tolist()


def _word(name, arrays, limit):
    """The one word of an array; "" if it isn't there, or holds several."""
    if name not in arrays or math.prod(arrays[name].shape) != 1:
        return ""
    return as_text(*_words(name, arrays, limit))


def whitening_in(arrays: Mapping[str, Stored], limit: int):
    """The matrix of a whitening, and what is subtracted before (or None).

    Raises:
        ValueError: If there is no square matrix, or it is too large.
    """
    matrix = _named(arrays, _ZCA, _is_square)
    if matrix is None:
        matrix = _only(n for n in arrays if _is_square(arrays[n].shape))
    if matrix is None:
        raise ValueError(
            f"it must hold a square matrix 'zca', but has {_listed(arrays)}"
        )
    before = _named(arrays, (*_ZCA_MEAN, "mean"))
    return _numbers(matrix, arrays[matrix], limit), (
        None if before is None else _numbers(before, arrays[before], limit)
    )


def in_python(value, seen: set[int] | None = None) -> dict[str, Stored]:
    """The arrays in dictionaries, lists and tuples: the first that belong together.

    Args:
        value: What `torch_files.of_pt` gives.
        seen: Identities of the collections that were looked into: they may hold each
            other, and themselves.
    """
    seen = set() if seen is None else seen
    if id(value) in seen or len(seen) > _MOST:
        return {}
    seen.add(id(value))
    if _stored(value):
        return {"array": _stored(value)}
    if isinstance(value, dict):
        # Text could be repeated without end in the name of a tuple.
        items = [
            (at if isinstance(key, tuple) else key, item)
            for at, (key, item) in enumerate(value.items())
        ]
    elif isinstance(value, (list, tuple)):
        items = list(enumerate(value))
    else:
        return {}
    texts = _texts(items)
    # A collection may hold another many times.
    stored = {key: _stored(item) for key, item in {id(x): x for _, x in items}.items()}
    found = {str(k): stored[id(x)] for k, x in items if stored[id(x)]} | texts
    if any(len(array.shape) >= 2 for array in found.values()):
        return found
    for _, item in items:
        inside = in_python(item, seen)
        if any(len(array.shape) >= 2 for array in inside.values()):
            return {**texts, **inside}
    return found


def _stored(value):
    """An array as it is, or a list of plain numbers as one; else None."""
    if isinstance(value, Stored):
        return value
    if isinstance(value, (list, tuple)) and value:
        if all(isinstance(x, (int, float)) for x in value):
            return Stored.of(np.asarray(value))
    return None


def _texts(items):
    """The words among the items of a collection, as arrays by name."""
    found = {}
    for name, value in items:
        if name in ("objective", "objective_options") and isinstance(value, str):
            found[name] = Stored.of(np.asarray(value))
        elif name == "class_names" and value is not None:
            found[name] = _listed_words(name, value)
    return found


def _listed_words(name, value):
    if isinstance(value, Stored):
        return value
    words = value if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(word, (str, bytes, int, float)) for word in words):
        raise ValueError(f"its {name!r} must be a list of words")
    return Stored.of(np.asarray([as_text(word) for word in words]))


def _named(arrays, names: Sequence[str], fits=lambda shape: True):
    by_name = {_plain(name): name for name in arrays}
    for name in names:
        if name in by_name and fits(arrays[by_name[name]].shape):
            return by_name[name]
    return None


def _only(names):
    names = list(names)
    return names[0] if len(names) == 1 else None


def _plain(name):
    return re.sub(r"[\W_]+", "_", name.lower()).strip("_")


def _is_square(shape):
    return len(shape) == 2 and shape[0] == shape[1]


def _listed(arrays):
    shapes = [f"{name!r} {list(array.shape)}" for name, array in arrays.items()]
    return ", ".join(shapes[:8]) or "no arrays"


def _numbers(name, array, limit):
    return checked(name, load(name, array, limit))


def checked(name: str, values) -> np.ndarray:
    """An array, if it is one of finite numbers.

    Raises:
        ValueError: If it holds anything else.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"its array {name!r} must be numbers, not {values.dtype}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"its array {name!r} has numbers that are NaN or infinite")
    return values
