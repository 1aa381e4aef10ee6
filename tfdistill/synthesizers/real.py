"""Real data in place of synthetic data: what a generator is compared with."""

import dataclasses
from typing import final

import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill._internal.seeds import Draw, fold_in, key_of
from tfdistill.data.normalization import Normalization
from tfdistill.inner.curriculum import Batch, Curriculum
from tfdistill.inner.optimizers.base import InnerOptimizer
from tfdistill.synthesizers.base import DataSource, Synthesizer
from tfdistill.synthesizers.schedule import Schedule


@dataclasses.dataclass(frozen=True, eq=False)
class RealCurriculum(Curriculum):
    """A curriculum of real images.

    Attributes:
        images: Raw images of all training data.
        labels: Their classes, int `[N]`.
        rows: Indices of each step's images, int `[T, batch]`.
        normalization, num_classes: Those of the data set.
        schedule: The `Schedule` of the steps.
    """

    images: tf.Tensor
    labels: tf.Tensor
    rows: tf.Tensor
    normalization: Normalization
    num_classes: int
    schedule: Schedule

    @property
    def num_steps(self) -> int:  # type: ignore[override]
        return self.rows.shape[0]

    @property
    def inner_optimizer(self) -> InnerOptimizer:  # type: ignore[override]
        return self.schedule.inner_optimizer

    @property
    def sources(self) -> list:
        """The variables of the schedule."""
        return [v.value for v in self.schedule.trainable_variables]

    def batch(self, t) -> Batch:
        """The batch of inner step t."""
        rows = tf.gather(self.rows, t)
        images = self.normalization.normalize(tf.gather(self.images, rows))
        dtype = self.schedule.variable_dtype
        labels = tf.one_hot(tf.gather(self.labels, rows), self.num_classes, dtype=dtype)
        return Batch(tf.cast(images, dtype), labels, self.schedule.at(t))


@final
class RealBatches(Synthesizer):
    """Random real batches, different for each student; only the rates are learned.

    The control of Such et al. 2019: as many steps and images as a generator has.

    Args:
        dataset: A `tfdistill.Dataset` in memory, whose training images are drawn.
        steps: T, at least 1.
        batch_size: Images in each step, at least 1.
        inner_optimizer, learning_rate: Same as for `Schedule`.
        seed: Seed of the exported batches.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> real = tfdistill.RealBatches(digits, steps=4, batch_size=16)
        >>> tfdistill.Distiller("linear", real).distilled().images.shape
        (4, 16, 8, 8, 1)
    """

    is_random = True

    def __init__(
        self,
        dataset,
        *,
        steps: int = 32,
        batch_size: int = 128,
        inner_optimizer: InnerOptimizer | str = "momentum",
        learning_rate: float | None = None,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.num_classes = dataset.image_shape, dataset.num_classes
        self.num_steps = check_int("steps", steps, 1)
        self.batch_size = check_int("batch_size", batch_size, 1)
        self.source = DataSource.of(dataset)
        self._real = dataset.train
        self._seed = check_int("seed", seed, 0)
        self._exported = key_of(self._seed, 0)
        self.schedule = Schedule(
            1,
            steps,
            inner_optimizer=inner_optimizer,
            learning_rate=learning_rate,
            dtype=self.dtype_policy,
        )

    def curriculum(self, seed):
        """Random rows of the real images, different for each seed."""
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

    def exported_seed(self):
        return self._exported

    @property
    def learning_rates(self) -> tf.Tensor:
        """The rates, float `[1, T]`."""
        return self.schedule.learning_rates
