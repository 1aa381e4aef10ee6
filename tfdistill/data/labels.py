"""Labels of any usual form, as integers from 0; and the names of classes."""

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfdistill._internal import fields
from tfdistill._internal.checks import is_int

_CAST = "cast them to integers, such as by labels.astype(int)"
_TOO_LARGE = "labels must be integers from 0 to 2**31 - 1"
_SOFT = "soft labels are not supported: take the likeliest class, labels.argmax(1)"


def as_labels(labels, count: int) -> np.ndarray:
    """Checks an array of labels and converts it.

    Args:
        labels: Integers or bools [N] or [N, 1], or one-hot rows [N, C].
        count: Number of images N.

    Returns:
        int32 array [N].

    Raises:
        ValueError: If they are something else.
    """
    try:
        labels = np.asarray(labels)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"labels must be {count} integers: {error}.") from None
    kind, shape, way_out = labels.dtype.kind, labels.shape, ""
    if labels.shape == (count, 1):
        labels = labels[:, 0]
    if labels.ndim == 2 and kind in "biuf" and len(labels) == count:
        if is_one_hot(labels):
            labels = labels.argmax(1)
        elif np.allclose(labels.sum(1), 1):
            way_out = f"; {_SOFT}"
    elif kind == "f":
        way_out = f"; {_CAST}"
    elif _is_text(labels):
        way_out = "; from_arrays takes names of classes"
    if labels.shape != (count,) or labels.dtype.kind not in "biu":
        raise ValueError(
            f"labels must be {count} integers, one per image, not "
            f"{labels.dtype} of shape {shape}{way_out}."
        )
    if len(labels) and not -(2**31) <= int(labels.min()) <= int(labels.max()) < 2**31:
        raise ValueError(f"{_TOO_LARGE}: they are {labels.min()} to {labels.max()}.")
    return labels.astype(np.int32)


def is_one_hot(labels: np.ndarray) -> bool:
    """Whether each label, along the last axis of numbers, has a 1 and else 0."""
    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(-1) == 1).all())


def numbered(
    parts: Sequence, class_names: Sequence[str] | None
) -> tuple[list, Sequence[str] | None]:
    """Replaces labels that are names by the numbers of their classes.

    Args:
        parts: Labels of each part, of any form; those of train are the first.
        class_names: Names in the order of the labels; None sorts those of train.

    Returns:
        (labels of each part, class names): both as they were, unless the labels are
        strings.

    Raises:
        ValueError: If only some parts have strings, or a name is unknown.
    """
    arrays = [_array(labels) for labels in parts]
    if not any(map(_is_text, arrays)):
        return list(parts), class_names
    if not all(map(_is_text, arrays)):
        raise ValueError("labels of train and test must be all names or all integers.")
    texts = [[as_text(x) for x in array.reshape(-1).tolist()] for array in arrays]
    given = sorted(set(texts[0])) if class_names is None else class_names
    names = [as_text(name) for name in given]
    numbers = {name: k for k, name in enumerate(names)}
    for text in texts:
        unknown = sorted(set(text) - set(numbers))
        if unknown:
            known = "train" if class_names is None else "class_names"
            raise ValueError(
                f"a label is {unknown[0]!r}, which is not in {known}: each label must "
                "be the name of a class."
            )
    return [np.array([numbers[x] for x in text], np.int32) for text in texts], names


def as_text(name) -> str:
    """The name of a class, so that names that look the same are the same.

    Systems differ in how they write a letter with an accent: as one character or two.

    Args:
        name: A string, or bytes in UTF-8.

    Raises:
        ValueError: If it is bytes that are not UTF-8: it would lose letters.
    """
    if isinstance(name, bytes):
        try:
            name = name.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(
                f"the name {bytes(name)!r} of a class is not UTF-8: decode the names, "
                "such as by np.char.decode(names, 'latin-1')."
            ) from None
    return unicodedata.normalize("NFC", str(name))


def _array(labels):
    try:
        return np.asarray(labels)
    except ValueError:
        return np.zeros(0)  # refused later


def _is_text(array):
    if array.dtype.kind == "O":
        return array.size > 0 and all(
            isinstance(x, (str, bytes)) for x in array.reshape(-1)
        )
    return array.dtype.kind in "SU" and array.size > 0


def scalar(spec: tf.TensorSpec) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that converts the labels of a `tf.data.Dataset`.

    Args:
        spec: Type and shape of a label: an integer or bool, shape () or (1,), or a
            one-hot vector.

    Returns:
        Function from a label to an int32 scalar.

    Raises:
        ValueError: If the labels are something else.
    """
    dtype, shape, way_out = spec.dtype, spec.shape, ""
    whole = dtype.is_integer or dtype.is_bool
    if shape.rank == 0 and whole:
        return _narrowed
    if shape.rank == 1 and shape[0] == 1 and whole:
        return lambda label: _narrowed(label[0])
    if shape.rank == 1 and (shape[0] or 0) > 1 and (whole or dtype.is_floating):
        return _of_one_hot
    if dtype == tf.string:
        way_out = "; look the names up, such as by keras.layers.StringLookup"
    elif shape.rank in (0, 1) and dtype.is_floating:
        way_out = "; cast them, such as by tf.cast(label, tf.int32)"
    raise ValueError(
        f"labels must be integer scalars, not {dtype.name} of shape {shape}{way_out}."
    )


def _narrowed(label):
    if label.dtype.is_bool or label.dtype.max <= tf.int32.max:
        return tf.cast(label, tf.int32)
    # A cast alone would keep the lower half of the bits.
    fits = (label >= 0) & (label <= tf.int32.max)
    with tf.control_dependencies([tf.debugging.Assert(fits, [_TOO_LARGE])]):
        return tf.cast(label, tf.int32)


def _of_one_hot(label):
    label = tf.cast(label, tf.float32)
    ones = tf.reduce_sum(tf.cast(label == 1, tf.int32)) == 1
    zeros = tf.reduce_all((label == 0) | (label == 1))
    says = f"labels must be integers or one-hot; {_SOFT}"
    with tf.control_dependencies([tf.debugging.Assert(ones & zeros, [says])]):
        return tf.argmax(label, output_type=tf.int32)


def check_range(labels: np.ndarray, num_classes: int | None) -> None:
    """Refuses labels that are not 0 to `num_classes` - 1; None allows any from 0.

    Args:
        labels: Integer array [N].
        num_classes: Number of classes.

    Raises:
        ValueError: If a label is out of range.
    """
    allowed = num_classes or 2**31
    if labels.min() < 0 or labels.max() >= allowed:
        most = f" to {allowed - 1}" if num_classes else ""
        from_one = labels.min() == 1 and labels.max() == num_classes
        raise ValueError(
            f"labels must be integers from 0{most}, not from {labels.min()} to "
            f"{labels.max()}{': subtract 1' * bool(from_one)}."
        )


def new_numbers(classes: Sequence[int], num_classes: int) -> np.ndarray:
    """The numbers 0, 1, ... of some classes, in the order given.

    Args:
        classes: Their present numbers.
        num_classes: Number of all classes.

    Returns:
        int32 array [num_classes]; 0 for the others.

    Raises:
        ValueError: If a class does not exist or is named twice, or there are none.
    """
    classes = list(classes)
    whole = all(is_int(x, 0) for x in classes)  # a list of bools would be a mask
    known = whole and set(classes) <= set(range(num_classes))
    if not classes or not known or len(set(classes)) < len(classes):
        raise ValueError(
            f"labels must be different integers from 0 to {num_classes - 1}, "
            f"not {', '.join(map(str, classes)) or 'none'}."
        )
    numbers = np.zeros(num_classes, np.int32)
    numbers[classes] = np.arange(len(classes))
    return numbers


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """Refuses names of classes that would not survive in a file.

    TFDS writes one name a line, drops empty lines and strips the others: the classes
    after such a name would move up.

    Args:
        names: One name per class.

    Returns:
        The names, as `as_text` gives them.

    Raises:
        ValueError: If one is empty, padded, a duplicate, or has control characters.
    """
    names, first = tuple(map(as_text, names)), dict[str, int]()
    for k, name in enumerate(names):
        problem = ""
        if not name.strip():
            problem = "is empty"
        elif name != name.strip():
            problem = "begins or ends with a space"
        elif fields.has_controls(name):
            problem = "holds a line break or another control character"
        elif first.setdefault(name, k) < k:
            problem = f"is also that of class {first[name]}"
        if problem:
            raise ValueError(
                f"the name {name!r} of class {k} {problem}: files keep one name a "
                "line, so rename the class."
            )
    return names
