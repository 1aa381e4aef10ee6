"""Gradient descent with momentum."""

from typing import final

import keras
import tensorflow as tf

from tfdistill.inner.optimizers import hyperparameter
from tfdistill.inner.optimizers.base import InnerOptimizer, step_by_step
from tfdistill.inner.optimizers.half_precision import PreciseSlots


@final
class Momentum(InnerOptimizer):
    """m <- beta_t m + g; theta <- theta - alpha_t m (Such et al. 2019, section 3.1).

    Args:
        learning_rate: Initial learning rate, > 0.
        momentum: Initial momentum, in (0, 1).

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import tfdistill
        >>> [h.name for h in tfdistill.inner.Momentum().hyperparameters]
        ['learning_rate', 'momentum']
    """

    name = "momentum"
    num_slots = 1

    def __init__(self, learning_rate: float = 0.02, momentum: float = 0.5):
        self.hyperparameters = (
            hyperparameter.learning_rate(learning_rate),
            hyperparameter.momentum(momentum),
        )

    def update(self, t, hyperparameters, gradients, weights, slots):
        del t
        rate, momentum = (hyperparameters[k] for k in ("learning_rate", "momentum"))
        slots = [momentum * m + g for m, g in zip(slots, gradients)]
        return [w - rate * m for w, m in zip(weights, slots)], slots

    def to_keras(self, hyperparameters):
        return ScheduledMomentum(
            hyperparameters["learning_rate"].tolist(),
            hyperparameters["momentum"].tolist(),
        )


@keras.saving.register_keras_serializable("tfdistill")
class ScheduledMomentum(PreciseSlots, keras.optimizers.SGD):
    """SGD whose rate and momentum are given for every step.

    m <- momenta[t] m + g; w <- w - rates[t] m. After the last step, both keep their
    last value. Where weights are in half precision, it computes in float32.

    Args:
        rates: A number > 0 for each step.
        momenta: A number in [0, 1) for each step.
    """

    def __init__(self, rates, momenta, name="scheduled_momentum", **kwargs):
        # Keras creates its slots if the momentum is not 0; the value is not used.
        super().__init__(step_by_step(rates), momentum=0.5, name=name, **kwargs)
        self._rates, self._momenta = list(rates), list(momenta)

    def update_step(self, gradient, variable, learning_rate):
        slot = self.momentums[self._get_variable_index(variable)]
        momentum = tf.gather(
            tf.constant(self._momenta, slot.dtype),
            tf.minimum(tf.cast(self.iterations, tf.int32), len(self._momenta) - 1),
        )
        weight, gradient, rate = (
            tf.cast(tf.convert_to_tensor(x), slot.dtype)
            for x in (variable, gradient, learning_rate)
        )
        average = momentum * slot + gradient
        self.assign(slot, average)
        self.assign(variable, weight - rate * average)

    def get_config(self):
        config = {"rates": self._rates, "momenta": self._momenta}
        kept = super().get_config()
        for name in ("learning_rate", "momentum", "nesterov"):
            kept.pop(name)
        return {**kept, **config}
