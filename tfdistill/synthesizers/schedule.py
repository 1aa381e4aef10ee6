"""The synthetic batch of an inner step, and the learned rate that it is taken at."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill.inner import optimizers as inner_optimizers


class Batch(NamedTuple):
    """A synthetic batch: what one inner step learns from.

    Attributes:
        images: float `[batch, *image_shape]`, normalised.
        labels: float `[batch, classes]`, one-hot or soft: rows that sum to 1.
        learning_rate: float scalar, > 0.
        momentum: float scalar in (0, 1); None if the inner optimizer has none.
    """

    images: tf.Tensor
    labels: tf.Tensor
    learning_rate: tf.Tensor
    momentum: tf.Tensor | None = None


class Schedule(keras.layers.Layer):
    """The learned rates, and momenta, of the inner steps.

    Rates are kept positive by a softplus, momenta in (0, 1) by a sigmoid.

    Args:
        epochs, steps: Their shape; at least 1 each.
        inner_optimizer: "sgd", "momentum" or "adam".
        learning_rate: The rate to start from, > 0; 0.02 is the papers'.
        momentum: The momentum to start from, in (0, 1), for "momentum".

    Raises:
        ValueError: If a number is out of range, or there is no such optimizer.
    """

    def __init__(
        self,
        epochs: int,
        steps: int,
        *,
        inner_optimizer: str = "sgd",
        learning_rate: float = 0.02,
        momentum: float = 0.5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_int("epochs", epochs, 1)
        check_int("steps", steps, 1)
        self.inner_optimizer = inner_optimizers.get(inner_optimizer)
        if not (np.isfinite(learning_rate) and learning_rate > 0):
            raise ValueError(f"learning_rate must be above 0, not {learning_rate}.")
        if not 0 < momentum < 1:
            raise ValueError(f"momentum must lie between 0 and 1, not be {momentum}.")
        start = tf.constant(learning_rate, "float64")
        self.raw_rates = self.add_weight(
            shape=(epochs, steps),
            initializer=keras.initializers.Constant(float(_inverse_softplus(start))),
            aggregation="only_first_replica",  # `scale_rates` gives all the same
            name="raw_rates",
        )
        self.raw_momenta = None
        if self.inner_optimizer.has_momentum:
            self.raw_momenta = self.add_weight(
                shape=(epochs, steps),
                initializer=keras.initializers.Constant(
                    float(np.log(momentum / (1 - momentum)))
                ),
                name="raw_momenta",
            )

    @property
    def learning_rates(self) -> tf.Tensor:
        """The rates, float `[epochs, steps]`."""
        return tf.nn.softplus(self.raw_rates)

    @property
    def momenta(self) -> tf.Tensor | None:
        """The momenta, float `[epochs, steps]`, if there are any."""
        return None if self.raw_momenta is None else tf.sigmoid(self.raw_momenta)

    def of_step(self, t) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Rate and momentum of inner step t, scalars."""
        rate = tf.nn.softplus(tf.gather(tf.reshape(self.raw_rates, [-1]), t))
        if self.raw_momenta is None:
            return rate, None
        return rate, tf.sigmoid(tf.gather(tf.reshape(self.raw_momenta, [-1]), t))

    def scale_rates(self, factor: tf.Tensor) -> None:
        """As of a `Synthesizer`."""
        factor = tf.cast(factor, self.raw_rates.dtype)
        scaled = _inverse_softplus(factor * self.learning_rates)
        self.raw_rates.assign(tf.where(factor < 1, scaled, self.raw_rates))


def _inverse_softplus(rates):
    return rates + tf.math.log(-tf.math.expm1(-rates))
