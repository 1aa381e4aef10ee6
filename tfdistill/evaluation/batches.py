"""Batches of real data that students are judged on: of their kind, and with an end."""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal import endless
from tfdistill.data import normalised
from tfdistill.data.dataset import Dataset
from tfdistill.data.normalization import Normalization
from tfdistill.data.split import Split
from tfdistill.runs import fitting

#: Batches after which data of unknown length are held to have no end.
MOST = 100_000
_WAY_OUT = (
    "pass their number (validation_steps to fit, steps to Distiller.evaluate), or take "
    "that many of a tf.data.Dataset by take(n)"
)


class Passes:
    """The batches of a test set, which can be read again and again.

    Args:
        batches: (images, labels) batches: a `tf.data.Dataset`, `keras.utils.PyDataset`
            or another iterable; an iterator, which is read once and kept; or a `Split`.
        steps: Number of batches that are read; all by default.
        check: Called with the arrays (images, labels) of each batch of the first pass;
            `Fits` prepares a `Split`, too.
        batch_size: Size of the batches of a `Split`.

    Raises:
        ValueError: If these are no batches; they have no end, or are an iterator, and
            there are no steps; or they do not say how many they are, and do not end
            after 100,000.
    """

    def __init__(
        self,
        batches,
        steps: int | None = None,
        check: Callable | None = None,
        batch_size: int = 1000,
    ):
        if isinstance(batches, Dataset):
            raise ValueError(
                f"{batches.name} is a whole data set: give its part .test."
            )
        known = hasattr(batches, "batch") or isinstance(
            batches, Iterable | keras.utils.PyDataset
        )
        if isinstance(batches, tuple) or not known:
            raise ValueError(
                "the test must be a Split, such as data.test, or batches of "
                f"(normalised images, labels), not a {type(batches).__name__}."
            )
        if isinstance(batches, Split) and isinstance(check, Fits):
            batches = check.of_split(batches)
        if hasattr(batches, "batch") and not isinstance(batches, tf.data.Dataset):
            batches = batches.batch(batch_size)
        if isinstance(batches, Iterator):
            batches = Kept(batches, steps)
        if steps is None and endless.is_endless(batches):
            raise ValueError(f"The batches to test on repeat without end: {_WAY_OUT}.")
        self._batches, self._steps, self._check = batches, steps, check

    def __iter__(self):
        batches: Iterable = self._batches
        if isinstance(batches, keras.utils.PyDataset):
            number = batches.num_batches
            places = itertools.count() if number is None else range(number)
            batches = map(batches.__getitem__, places)
        elif isinstance(batches, tf.data.Dataset) and self._steps is not None:
            batches = batches.take(self._steps)
        count = 0
        for batch in itertools.islice(batches, self._steps):
            count += 1
            if count > MOST and not (self._steps or endless.says_its_length(batches)):
                raise ValueError(
                    "The batches to test on do not say how many they are, and "
                    f"{MOST:,} were not all: {_WAY_OUT}."
                )
            pair = fitting.pairs(batch)
            if self._check is not None:
                self._check(*map(np.asarray, pair))
            yield pair
        if not count:
            raise ValueError("There are no batches to test on.")
        self._check = None


class Fits:
    """What real data must be for students to be judged on it.

    Called with the arrays (images, labels) of a batch, it refuses those that are not.

    Args:
        like: What they learn from: anything with `image_shape` and `num_classes`.
        objective: The `Objective`.
        normalization: `Normalization` of the images; None if it is not known.
    """

    def __init__(self, like, objective, normalization: Normalization | None):
        self._like, self._objective = like, objective
        self._normalization = normalization

    def __call__(self, images: np.ndarray, labels: np.ndarray | None) -> None:
        """Raises a ValueError if students cannot be judged on a batch."""
        normalised.check_images(images, self._normalization)
        if images.shape[1:] != tuple(self._like.image_shape):
            raise ValueError(
                f"real images have the shape {images.shape[1:]}, but those that "
                f"students learn from {tuple(self._like.image_shape)}."
            )
        if labels is None:
            raise ValueError(
                "fit was given images, but no labels: fit(images, labels)."
            )
        check_labels(images, labels, self._like.num_classes, self._objective)

    def of_split(self, split: Split) -> Split:
        """A `Split` of bytes, normalised as what students learn from.

        Of floats nobody knows whether they are in the same units: they keep their own.

        Raises:
            ValueError: If it was made for another number of classes.
        """
        count, norm = self._like.num_classes, self._normalization
        if split.is_told_classes and split.num_classes != count:
            raise ValueError(
                f"the test has {split.num_classes} classes, but the images that "
                f"students learn from have {count}."
            )
        if norm is None or norm.scale != 255:
            return split
        own = split.normalization
        are_alike = own.scale == 255 and len(own.mean) == len(norm.mean)
        return split.normalized_by(norm, count) if are_alike else split


def difference(distilled, like) -> str:
    """In what the images or classes of two `DistilledDataset`s differ.

    One test serves both only if in nothing.

    Args:
        distilled, like: The two.

    Returns:
        Such as "normalization"; "" if they do not differ.
    """
    for name in ("image_shape", "num_classes", "normalization"):
        if getattr(distilled, name) != getattr(like, name):
            return name.replace("_", " ")
    return ""


def fitted(split: Split, distilled) -> Split:
    """A `Split`, normalised as distilled images are: same as `Fits.of_split`.

    Args:
        split: The real data that students are judged on.
        distilled: A `DistilledDataset`, which they learn from.

    Raises:
        ValueError: If it was made for another number of classes.
    """
    fits = Fits(distilled, distilled.objective, distilled.normalization)
    return fits.of_split(split)


class LastPasses:
    """The `Passes` of the last test set, so that an iterator is read only once.

    Args:
        check: Same as for `Passes`.
    """

    def __init__(self, check: Fits):
        self._check = check
        self._last: tuple | None = None

    def __call__(self, batches, steps: int | None = None) -> Passes:
        """Same as `Passes`, which is the last one if the batches are its."""
        if isinstance(batches, Passes):
            return batches
        if self._last is None or self._last[0] is not batches or self._last[1] != steps:
            self._last = batches, steps, Passes(batches, steps, self._check)
        return self._last[2]

    def with_validation(self, arguments: Mapping) -> dict:
        """Arguments of `fit` in which validation data can be read again and again.

        Raises:
            ValueError: If it is an iterator, and there are no `validation_steps`; or a
                `Split` of another number of classes.
        """
        data, steps = map(arguments.get, ("validation_data", "validation_steps"))
        kept = {}
        if isinstance(data, Iterator):
            kept["validation_data"] = Kept(data, steps)
        if isinstance(data, Split):
            kept["validation_data"] = self._check.of_split(data).batch(1000)
        return {**arguments, **kept}


def content(batches: Iterable) -> tuple[np.ndarray, str]:
    """What batches hold, however the examples are shared out among them.

    Args:
        batches: (images, labels) batches.

    Returns:
        The images of the first batch, and a hash of all images and labels.
    """
    first, digests = np.empty(0), (hashlib.sha256(), hashlib.sha256())
    for number, batch in enumerate(batches):
        arrays = [np.ascontiguousarray(x) for x in batch]
        if not number:
            first, _ = arrays
            for digest, array in zip(digests, arrays):
                digest.update(f"{array.dtype} {array.shape[1:]}".encode())
        for digest, array in zip(digests, arrays):
            digest.update(array)
    return first, "".join(digest.hexdigest() for digest in digests)


def check_labels(images, labels, num_classes: int, objective) -> None:
    """Refuses labels of a batch by which students cannot be judged.

    Args:
        images, labels: Arrays.
        num_classes: Number of the students' outputs.
        objective: The `Objective`.

    Raises:
        ValueError: If they are refused.
    """
    objective.check_real(labels, num_classes)
    if len(images) != len(labels):
        raise ValueError(f"there are {len(labels)} labels of {len(images)} images.")


class Kept(keras.utils.PyDataset):
    """The first batches of an iterator, in memory.

    Args:
        batches: The iterator.
        steps: Number of batches.

    Raises:
        ValueError: If there is no number, for an iterator may have no end.
    """

    def __init__(self, batches: Iterator, steps: int | None):
        super().__init__()
        if steps is None:
            raise ValueError(
                "The batches to test on are a generator, which may have no end: "
                f"{_WAY_OUT}."
            )
        self._batches = list(itertools.islice(batches, steps))

    def __getitem__(self, index):
        return self._batches[index]

    @property
    def num_batches(self):
        return len(self._batches)
