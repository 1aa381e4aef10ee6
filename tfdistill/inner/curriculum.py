"""What one student learns from: T batches, and how to take a step on each."""

import abc
from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from tfdistill.inner.optimizers.base import InnerOptimizer


class Batch(NamedTuple):
    """A synthetic batch: what one inner step learns from.

    Attributes:
        images: float `[batch, *image_shape]`, normalised.
        labels: float `[batch, classes]`: for classification one-hot or soft, rows that
            sum to 1.
        hyperparameters: The inner optimizer's hyperparameters in this step, by name,
            each a float scalar: "learning_rate" and any others.

    Example:
        >>> import tensorflow as tf, tfdistill
        >>> images, labels = tf.zeros([10, 8, 8, 1]), tf.eye(10)
        >>> batch = tfdistill.Batch(images, labels, {"learning_rate": tf.constant(0.1)})
        >>> float(batch.learning_rate) == float(tf.constant(0.1))
        True
    """

    images: tf.Tensor
    labels: tf.Tensor
    hyperparameters: Mapping[str, tf.Tensor]

    @property
    def learning_rate(self) -> tf.Tensor:
        """The learning rate, a float scalar > 0."""
        return self.hyperparameters["learning_rate"]


class Curriculum(abc.ABC):
    """The synthetic batches of one student, in order.

    A meta-gradient is the derivative of a judgement with respect to `sources`. `batch`
    computes everything from them by differentiable operations.

    Attributes:
        num_steps: T, the number of inner steps: an int; where nothing is
            differentiated, also an integer tensor.
        inner_optimizer: The `InnerOptimizer` that takes the steps.

    Example:
        >>> import tensorflow as tf, tfdistill
        >>> class Constant(tfdistill.Curriculum):
        ...     num_steps = 3
        ...     inner_optimizer = tfdistill.inner.GradientDescent()
        ...     def __init__(self, images, labels, rate):
        ...         self.images, self.labels, self.rate = images, labels, rate
        ...     @property
        ...     def sources(self):
        ...         return [self.images, self.rate]
        ...     def batch(self, t):
        ...         hyperparameters = {"learning_rate": self.rate}
        ...         return tfdistill.Batch(self.images, self.labels, hyperparameters)
    """

    num_steps: int
    inner_optimizer: InnerOptimizer

    @property
    @abc.abstractmethod
    def sources(self) -> list[tf.Tensor]:
        """The tensors or variables that the batches are computed from."""

    @abc.abstractmethod
    def batch(self, t: tf.Tensor) -> Batch:
        """The batch of inner step t, in a graph or eagerly.

        Args:
            t: An integer scalar in 0..num_steps - 1.
        """
