"""How a student goes downhill: the update of one inner step, and its Keras twin.

An inner optimizer is a pure function of the student's weights and of its own slots
(running averages, one a weight), so that `unroll` differentiates it exactly like the
rest of a step. Rates and momenta come with each batch: the synthesizer learns them.
"""

import abc
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf


class InnerOptimizer(abc.ABC):
    """The update of one inner step."""

    #: By which `get` finds it, and files record it.
    name: str
    #: Whether it reads the batches' momentum.
    has_momentum = False
    #: Slots for each weight.
    num_slots = 0

    def slots(self, weights: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The slots before the first step: zeros, `num_slots` for each weight."""
        return [tf.zeros_like(w) for _ in range(self.num_slots) for w in weights]

    @abc.abstractmethod
    def update(self, t, batch, gradients, weights, slots):
        """One step.

        Args:
            t: The step, an integer scalar from 0.
            batch: The step's `Batch`: its rate and momentum.
            gradients, weights: Lists of tensors, one for each weight.
            slots: As `slots` gives them.

        Returns:
            The new weights and the new slots.
        """

    @abc.abstractmethod
    def to_keras(
        self, rates: np.ndarray, momenta: np.ndarray | None
    ) -> keras.optimizers.Optimizer:
        """A Keras optimizer that takes the same steps.

        Args:
            rates: float `[T]`, of each step.
            momenta: float `[T]`, or None.
        """


class GradientDescent(InnerOptimizer):
    """theta <- theta - eta_t g (Wang et al. 2018)."""

    name = "sgd"

    def update(self, t, batch, gradients, weights, slots):
        del t
        rate = batch.learning_rate
        return [w - rate * g for w, g in zip(weights, gradients)], slots

    def to_keras(self, rates, momenta):
        del momenta
        return keras.optimizers.SGD(step_by_step(rates))


class Momentum(InnerOptimizer):
    """m <- beta_t m + g; theta <- theta - alpha_t m (Such et al. 2019)."""

    name = "momentum"
    has_momentum = True
    num_slots = 1

    def update(self, t, batch, gradients, weights, slots):
        del t
        slots = [batch.momentum * m + g for m, g in zip(slots, gradients)]
        return [w - batch.learning_rate * m for w, m in zip(weights, slots)], slots

    def to_keras(self, rates, momenta):
        return ScheduledMomentum(rates.tolist(), momenta.tolist())


class Adam(InnerOptimizer):
    """Adam as in Keras, with its constants, but for the learned rates."""

    name = "adam"
    num_slots = 2

    _beta_1, _beta_2 = 0.9, 0.999
    # The derivative of an update by a tiny gradient is rate / epsilon: Keras's 1e-7
    # makes meta-gradients explode.
    _epsilon = 1e-4

    def update(self, t, batch, gradients, weights, slots):
        first, second = slots[: len(weights)], slots[len(weights) :]
        first = [_mix(self._beta_1, m, g) for m, g in zip(first, gradients)]
        second = [_mix(self._beta_2, v, g * g) for v, g in zip(second, gradients)]
        count = tf.cast(t + 1, batch.learning_rate.dtype)
        corrected = tf.sqrt(1 - self._beta_2**count) / (1 - self._beta_1**count)
        rate = batch.learning_rate * corrected
        weights = [
            w - rate * m / (_root(v) + self._epsilon)
            for w, m, v in zip(weights, first, second)
        ]
        return weights, first + second

    def to_keras(self, rates, momenta):
        del momenta
        return keras.optimizers.Adam(
            step_by_step(rates), self._beta_1, self._beta_2, self._epsilon
        )


#: All of them, by name.
INNER_OPTIMIZERS = {kind.name: kind() for kind in (GradientDescent, Momentum, Adam)}


def get(name: str) -> InnerOptimizer:
    """Finds an inner optimizer.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in INNER_OPTIMIZERS:
        raise ValueError(
            f"inner_optimizer must be one of {', '.join(INNER_OPTIMIZERS)}, "
            f"not {name!r}."
        )
    return INNER_OPTIMIZERS[name]


def step_by_step(rates) -> keras.optimizers.schedules.LearningRateSchedule:
    """The Keras schedule of given rates, one a step."""
    rates = [float(r) for r in rates]
    # The rate after the last step is never used: Keras wants one more value than
    # boundaries, and at least one boundary.
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        list(range(len(rates))), [*rates, rates[-1]]
    )


@keras.saving.register_keras_serializable("tfdistill")
class ScheduledMomentum(keras.optimizers.SGD):
    """SGD whose rate and momentum are given for every step.

    m <- momenta[t] m + g; w <- w - rates[t] m. After the last step both stay.

    Args:
        rates: A number > 0 for each step.
        momenta: A number in [0, 1) for each step.
    """

    def __init__(self, rates, momenta, name="scheduled_momentum", **kwargs):
        # Keras makes its slots where the momentum is not 0; its value is not used.
        super().__init__(step_by_step(rates), momentum=0.5, name=name, **kwargs)
        self._rates, self._momenta = list(rates), list(momenta)

    def update_step(self, gradient, variable, learning_rate):
        momentum = tf.gather(
            tf.constant(self._momenta, variable.dtype),
            tf.minimum(tf.cast(self.iterations, tf.int32), len(self._momenta) - 1),
        )
        slot = self.momentums[self._get_variable_index(variable)]
        average = momentum * slot + tf.cast(gradient, variable.dtype)
        self.assign(slot, average)
        self.assign_sub(variable, tf.cast(learning_rate, variable.dtype) * average)

    def get_config(self):
        config = {"rates": self._rates, "momenta": self._momenta}
        kept = super().get_config()
        for name in ("learning_rate", "momentum", "nesterov"):
            kept.pop(name)
        return {**kept, **config}


def _mix(beta, average, value):
    return beta * average + (1 - beta) * value


def _root(x):
    # Where the average is 0 so is the update: no derivative comes through the root.
    above = x > 0
    return tf.where(above, tf.sqrt(tf.where(above, x, tf.ones_like(x))), 0)
