"""Real data in the place of synthetic data: what a generator must do better than."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill._internal.seeds import Draw, fold_in
from tfdistill.data.normalization import Normalization
from tfdistill.inner.optimizers import InnerOptimizer
from tfdistill.synthesizers.images import DataSource, ScheduledSynthesizer
from tfdistill.synthesizers.schedule import Batch, Schedule


class RealCurriculum(NamedTuple):
    """A curriculum of real images.

    Attributes:
        images: Raw images of all training data.
        labels: Their classes, int `[N]`.
        rows: int `[T, batch]`: which of them a step has.
        normalization, num_classes: Of the images.
        schedule: The `Schedule` of the steps.
    """

    images: tf.Tensor
    labels: tf.Tensor
    rows: tf.Tensor
    normalization: Normalization
    num_classes: int
    schedule: Schedule

    @property
    def num_steps(self) -> int:
        return self.rows.shape[0]

    @property
    def inner_optimizer(self) -> InnerOptimizer:
        return self.schedule.inner_optimizer

    @property
    def sources(self) -> list:
        """As of a `Synthesizer`: the rates and momenta."""
        return [v.value for v in self.schedule.trainable_variables]

    def batch(self, t) -> Batch:
        """The batch of inner step t."""
        rows = tf.gather(self.rows, t)
        images = self.normalization.normalize(tf.gather(self.images, rows))
        rate, momentum = self.schedule.of_step(t)
        labels = tf.one_hot(
            tf.gather(self.labels, rows), self.num_classes, dtype=rate.dtype
        )
        return Batch(tf.cast(images, rate.dtype), labels, rate, momentum)


class RealBatches(ScheduledSynthesizer):
    """Random real batches, other ones for each student; only the rates are learned.

    The control of Such et al. 2019: as many steps and images as a generator has.

    Args:
        dataset: A `tfdistill.Dataset` in memory, whose training images are drawn.
        steps: T, at least 1.
        batch_size: Images of a step, at least 1.
        inner_optimizer, learning_rate, momentum: As of `Schedule`.
        seed: Of the batches that are exported.

    Raises:
        ValueError: If a number is out of range.
    """

    is_random = True

    def __init__(
        self,
        dataset,
        *,
        steps: int = 32,
        batch_size: int = 128,
        inner_optimizer: str = "momentum",
        learning_rate: float = 0.02,
        momentum: float = 0.5,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.num_classes = dataset.image_shape, dataset.num_classes
        self.num_steps = check_int("steps", steps, 1)
        self.batch_size = check_int("batch_size", batch_size, 1)
        self.source = DataSource.of(dataset)
        self._real = dataset.train
        self._exported = tf.constant([seed, 0], tf.int32)
        self.schedule = Schedule(
            1,
            steps,
            inner_optimizer=inner_optimizer,
            learning_rate=learning_rate,
            momentum=momentum,
            dtype=self.dtype_policy,
        )

    def curriculum(self, seed):
        """As of a `Synthesizer`."""
        seed = fold_in(seed, Draw.CURRICULUM)
        rows = tf.random.stateless_uniform(
            [self.num_steps, self.batch_size],
            seed,
            0,
            self._real.num_examples,
            tf.int32,
        )
        return RealCurriculum(
            self._real.images,
            self._real.labels,
            rows,
            self._real.normalization,
            self.num_classes,
            self.schedule,
        )

    def _drawn(self):
        return self.curriculum(self._exported)

    @property
    def images(self) -> np.ndarray:
        """One draw, float `[T, batch, *image_shape]`, normalised."""
        return self._real.normalization.normalize(self._real.images[self._drawn().rows])

    @property
    def labels(self) -> np.ndarray:
        """Of `images`: float `[T, batch, classes]`."""
        return np.eye(self.num_classes)[self._real.labels[self._drawn().rows]]
