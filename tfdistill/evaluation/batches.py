"""Batches that fresh students are tested on: the same each time, and with an end."""

import itertools
from collections.abc import Iterable, Iterator, Mapping

import keras
import tensorflow as tf

from tfdistill._internal import endless
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
            or another iterable; or an iterator, which is read once and kept.
        steps: Number of batches that are read; all by default.

    Raises:
        ValueError: If they have no end, or are an iterator, and there are no steps. If
            they do not say how many they are, they must end after 100,000.
    """

    def __init__(self, batches, steps: int | None = None):
        if isinstance(batches, Iterator):
            batches = Kept(batches, steps)
        if steps is None and endless.is_endless(batches):
            raise ValueError(f"The batches to test on repeat without end: {_WAY_OUT}.")
        self._batches, self._steps = batches, steps

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
            yield fitting.pairs(batch)
        if not count:
            raise ValueError("There are no batches to test on.")


class LastPasses:
    """The `Passes` of the last test set, so that an iterator is read only once."""

    def __init__(self):
        self._of, self._passes = (None, None), None

    def __call__(self, batches, steps: int | None) -> Passes:
        """Same as `Passes`, which is the last one if the arguments are its."""
        if self._passes is None or self._of[0] is not batches or self._of[1] != steps:
            self._passes, self._of = Passes(batches, steps), (batches, steps)
        return self._passes


def with_kept_validation(arguments: Mapping) -> dict:
    """Arguments of `fit` in which validation data can be read again and again.

    Raises:
        ValueError: If it is an iterator, and there are no `validation_steps`.
    """
    data, steps = (arguments.get(f"validation_{name}") for name in ("data", "steps"))
    kept = {"validation_data": Kept(data, steps)} if isinstance(data, Iterator) else {}
    return {**arguments, **kept}


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
