"""The contract of whatever keeps the examples of a split, in memory or not."""

import abc
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import tensorflow as tf


class Examples(abc.ABC):
    """Raw images and their labels.

    Where the examples are kept matters to this class and its two subclasses alone:
    `held.Held` keeps them in memory, `streamed.Streamed` reads them again in every
    epoch. Examples do not change: `where` and `relabelled` return other ones, which
    share the data as far as they can.

    Attributes:
        is_held: Whether the images are in memory.
        num_examples: Number of examples N, at least 1.
        image_shape: (H, W, C).
    """

    is_held: ClassVar[bool]
    num_examples: int
    image_shape: tuple[int, ...]

    @property
    @abc.abstractmethod
    def images(self) -> np.ndarray:
        """Read-only raw array [N, H, W, C], uint8 or float32.

        Raises:
            ValueError: If the examples are streamed.
        """

    @property
    @abc.abstractmethod
    def labels(self) -> np.ndarray:
        """Read-only int32 array [N].

        Raises:
            ValueError: If the examples are streamed.
        """

    @property
    @abc.abstractmethod
    def knows_labels(self) -> bool:
        """Whether `read_labels` returns without reading anything."""

    @abc.abstractmethod
    def read_labels(self) -> np.ndarray:
        """Returns all labels, int32 [N]. A stream is read once for them.

        Raises:
            ValueError: If the stream does not hold `num_examples` examples.
        """

    @abc.abstractmethod
    def epoch(
        self, size: int, full: bool, seed: tf.Tensor | None = None
    ) -> tf.data.Dataset:
        """The batches of one epoch, in a form that is cheap to skip.

        Args:
            size: Number of examples in a batch, from 1 to N.
            full: Whether to drop the remainder, so that every batch has `size`
                examples.
            seed: int64 [2]: the order is a function of it alone. None keeps the order
                of the examples.

        Returns:
            Dataset of tuples; `fetch` makes the batches of them.
        """

    @abc.abstractmethod
    def fetch(self, *batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Makes a batch of one tuple of `epoch`; called in the graph of a `map`.

        Args:
            *batch: The members of the tuple.

        Returns:
            (raw images [B, H, W, C], integer labels [B]).
        """

    @abc.abstractmethod
    def take(self, rows: np.ndarray) -> np.ndarray:
        """Returns the raw images of some examples.

        Args:
            rows: Different indices of examples, in any order.

        Returns:
            Array [len(rows), H, W, C], in the order of `rows`.
        """

    @abc.abstractmethod
    def where(self, mask: np.ndarray) -> "Examples":
        """Selects examples.

        Args:
            mask: bool [N], true for at least one example.

        Returns:
            The examples for which the mask is true, in their order.
        """

    @abc.abstractmethod
    def relabelled(self, numbers: np.ndarray) -> "Examples":
        """Replaces labels.

        Args:
            numbers: int32 array: label y becomes `numbers[y]`.

        Returns:
            The same images with the new labels.
        """

    @abc.abstractmethod
    def chunks(self) -> Iterator[np.ndarray]:
        """Raw images [n, H, W, C], in order, to measure their mean and deviation."""
