"""Examples that are kept in memory."""

from collections.abc import Iterator
from typing import final

import numpy as np
import tensorflow as tf

from tfdistill.data.examples import Examples


@final
class Held(Examples):
    """Examples in memory.

    Args:
        images: Raw images [N, H, W, C], uint8 or float32. An array is copied; a tensor
            in the memory of the CPU is shared.
        labels: int32 array [N].
    """

    is_held = True

    def __init__(self, images: np.ndarray | tf.Tensor, labels: np.ndarray):
        with tf.device("CPU:0"):  # accelerator memory is for the students
            self._tensors = tf.constant(images), tf.constant(labels)
        # Views of the tensors, so that the data exist once after this.
        self._images, self._labels = (np.asarray(memoryview(t)) for t in self._tensors)
        self.num_examples = len(self._images)
        self.image_shape = self._images.shape[1:]

    @property
    def images(self) -> np.ndarray:
        return self._images

    @property
    def labels(self) -> np.ndarray:
        return self._labels

    @property
    def knows_labels(self) -> bool:
        return True

    def read_labels(self) -> np.ndarray:
        return self._labels

    def epoch(
        self, size: int, full: bool, seed: tf.Tensor | None = None
    ) -> tf.data.Dataset:
        order = tf.range(self.num_examples)
        if seed is not None:
            order = tf.random.experimental.stateless_shuffle(order, seed, alg="philox")
        whole, rest = divmod(self.num_examples, size)
        return tf.data.Dataset.range(whole + (rest > 0 and not full)).map(
            lambda k: (order[k * size : (k + 1) * size],)
        )

    def fetch(self, *batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        (rows,) = batch
        # The tensors are captured, not written into the graph.
        images, labels = self._tensors
        return tf.gather(images, rows), tf.gather(labels, rows)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self._images[rows]

    def where(self, mask: np.ndarray) -> "Held":
        return Held(self._images[mask], self._labels[mask])

    def relabelled(self, numbers: np.ndarray) -> "Held":
        return Held(self._tensors[0], numbers[self._labels])

    def chunks(self) -> Iterator[np.ndarray]:
        return iter([self._images])
