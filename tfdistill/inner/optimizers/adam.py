"""Adam, inside the loop."""

from typing import final

import keras
import tensorflow as tf

from tfdistill.inner.optimizers import hyperparameter
from tfdistill.inner.optimizers.base import InnerOptimizer, step_by_step


@final
class Adam(InnerOptimizer):
    """Adam as in Keras, with learned rates and an epsilon of 1e-4.

    Args:
        learning_rate: Initial learning rate, > 0.
        epsilon: Added to the root of the second moment, > 0. Learned steps take the
            default alone, which is what files know as Adam; others are for networks
            whose steps are not learned (`LearningStudents`).

    Raises:
        ValueError: If a number is not above 0.

    Example:
        >>> import tfdistill
        >>> tfdistill.inner.Adam(learning_rate=1e-3).num_slots
        2
    """

    name = "adam"
    num_slots = 2

    _beta_1, _beta_2 = 0.9, 0.999
    # The derivative of an update by a tiny gradient is rate / epsilon: Keras's 1e-7
    # makes meta-gradients explode.
    _epsilon = 1e-4

    def __init__(self, learning_rate: float = 0.02, *, epsilon: float = _epsilon):
        if not epsilon > 0:
            raise ValueError(f"epsilon must be above 0, not {epsilon!r}.")
        self._epsilon = float(epsilon)
        self.hyperparameters = (hyperparameter.learning_rate(learning_rate),)

    def check_for_files(self) -> None:
        """Refuses an epsilon that files would not keep, with a ValueError."""
        if self._epsilon != Adam._epsilon:
            raise ValueError(
                f"Learned steps take Adam's epsilon of {Adam._epsilon:g}, not "
                f"{self._epsilon:g}: files of distilled data keep no other."
            )

    def update(self, t, hyperparameters, gradients, weights, slots):
        first, second = slots[: len(weights)], slots[len(weights) :]
        first = [_mix(self._beta_1, m, g) for m, g in zip(first, gradients)]
        second = [_mix(self._beta_2, v, g * g) for v, g in zip(second, gradients)]
        rate = hyperparameters["learning_rate"]
        count = tf.cast(t + 1, rate.dtype)
        rate *= tf.sqrt(1 - self._beta_2**count) / (1 - self._beta_1**count)
        weights = [
            w - rate * m / (_root(v) + self._epsilon)
            for w, m, v in zip(weights, first, second)
        ]
        return weights, first + second

    def to_keras(self, hyperparameters):
        return keras.optimizers.Adam(
            step_by_step(hyperparameters["learning_rate"]),
            self._beta_1,
            self._beta_2,
            self._epsilon,
        )


def _mix(beta, average, value):
    return beta * average + (1 - beta) * value


def _root(x):
    # Where the average is 0, so is the update: the root passes no derivative on.
    above = x > 0
    return tf.where(above, tf.sqrt(tf.where(above, x, tf.ones_like(x))), 0)
