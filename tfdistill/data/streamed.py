"""Examples that are read from a `tf.data.Dataset` in every epoch."""

import warnings
from collections.abc import Iterator
from typing import final

import numpy as np
import tensorflow as tf

from tfdistill.data import passes, stratified
from tfdistill.data.examples import Examples
from tfdistill.data.images import Pairs

_SHUFFLE_LIMIT = 256 << 20  # bytes of records in the shuffle buffer
_RECORD_OVERHEAD = 512  # bytes that each record there takes besides
_MEASURED_EXAMPLES = 10_000  # decoded to measure the mean and standard deviation
_OTHER_COUNT = "num_examples is {}, but the stream holds {} examples."
_NOT_HELD = "A streamed split holds no {}: use batch() or sample()."


@final
class Streamed(Examples):
    """Examples that are read anew in every epoch.

    Args:
        pairs: What `raw_pairs` made, in the same order on every pass.
        num_examples: Number of pairs.
        image_shape: (H, W, C).
        labels: int32 array [N]; None reads them when they are needed, unless the pairs
            are listed.
    """

    is_held = False

    def __init__(
        self,
        pairs: Pairs,
        num_examples: int,
        image_shape: tuple[int, ...],
        labels: np.ndarray | None = None,
    ):
        if labels is None and pairs.listed is not None:
            labels = pairs.listed[1].numpy()
        self._pairs, self._labels = pairs, labels
        # TensorFlow's own shapes are no tuples.
        self.num_examples, self.image_shape = num_examples, tuple(image_shape)

    @property
    def images(self) -> np.ndarray:
        raise ValueError(_NOT_HELD.format("images"))

    @property
    def labels(self) -> np.ndarray:
        raise ValueError(_NOT_HELD.format("labels"))

    @property
    def knows_labels(self) -> bool:
        return self._labels is not None

    @staticmethod
    def of_pairs(
        pairs: Pairs, num_examples: int, image_shape: tuple[int, ...]
    ) -> "Streamed":
        """Reads a stream twice, and checks it.

        Args:
            pairs: What `raw_pairs` made.
            num_examples: Number of pairs that there should be.
            image_shape: (H, W, C).

        Raises:
            ValueError: If there are others, or the passes differ.
        """
        found = passes.scan(pairs, decode=False)
        if len(found.labels) != num_examples:
            raise ValueError(_OTHER_COUNT.format(num_examples, len(found.labels)))
        passes.check_repeats(pairs, found)
        return Streamed(pairs, num_examples, image_shape, found.labels)

    def read_labels(self) -> np.ndarray:
        if self._labels is None:
            batches = _arrays(self._pairs.labels().batch(1024))
            labels = np.concatenate([np.int32([]), *batches])
            if len(labels) != self.num_examples:
                raise ValueError(_OTHER_COUNT.format(self.num_examples, len(labels)))
            self._labels = labels
        return self._labels

    def epoch(
        self, size: int, full: bool, seed: tf.Tensor | None = None
    ) -> tf.data.Dataset:
        pairs = self._pairs
        if seed is not None:
            pairs = pairs.shuffled(seed, self._window(size))
        return pairs.images().batch(size, drop_remainder=full)

    def fetch(self, *batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = batch
        return images, labels

    def take(self, rows: np.ndarray) -> np.ndarray:
        return np.concatenate([*self._images(rows)])[rows.argsort().argsort()]

    def where(self, mask: np.ndarray) -> "Streamed":
        # With their labels, so that the whole stream is not read for them again.
        labels = self.read_labels()[mask]
        return Streamed(self._pairs.where(mask), len(labels), self.image_shape, labels)

    def relabelled(self, numbers: np.ndarray) -> "Streamed":
        labels = None if self._labels is None else numbers[self._labels]
        pairs = self._pairs.relabelled(numbers)
        return Streamed(pairs, self.num_examples, self.image_shape, labels)

    def chunks(self) -> Iterator[np.ndarray]:
        # From end to end, as the first ones may be all of one class.
        return self._images(stratified.spaced(self.num_examples, _MEASURED_EXAMPLES))

    def _images(self, rows):
        """The images of some pairs, in their order; no other image is decoded."""
        pairs = self._pairs
        if len(rows) < self.num_examples:
            mask = np.zeros(self.num_examples, bool)
            mask[rows] = True
            pairs = pairs.where(mask)
        return _arrays(pairs.images().map(lambda image, _: image).batch(256))

    def _window(self, size):
        """How many records are shuffled at a time, unless they are listed."""
        record = self._pairs.records.element_spec[0]
        image = self._pairs.images().element_spec[0]
        # An image that is still encoded takes less than the decoded one, as a rule.
        is_known = record.dtype != tf.string and record.shape.is_fully_defined()
        spec = record if is_known else image
        bytes_each = spec.dtype.size * spec.shape.num_elements() + _RECORD_OVERHEAD
        window = min(self.num_examples, max(size, _SHUFFLE_LIMIT // bytes_each))
        if self._pairs.listed is not None or self._labels is None:
            return window
        if not stratified.is_mixed(self._labels, window):
            warnings.warn(
                f"the examples come sorted by their classes, and only {window:,} of "
                f"{self.num_examples:,} are shuffled at a time, so that batches miss "
                "classes: pass in_memory=True if they fit in memory, or shuffle what "
                "the images are read from once (paths, say), by shuffle(N, seed=0, "
                "reshuffle_each_iteration=False).",
                stacklevel=2,
            )
        return window


def _arrays(batches):
    """Yields the arrays of a dataset; what cannot be read is told in a sentence."""
    position = [0]
    with passes.reading(position):
        for array in batches.as_numpy_iterator():
            position[0] += len(array)
            yield array
