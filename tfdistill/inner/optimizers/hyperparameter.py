"""A learned number that an inner optimizer reads at every step."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import is_number


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
    """A learned number between two bounds; each inner step has its own value.

    What is learned is a raw number without bounds: a sigmoid keeps the value between
    two finite bounds, a softplus above `low` or below `high` where the other is
    infinite. Without bounds it is the value itself.

    Attributes:
        name: Its name in a `Batch` and in files, such as "weight_decay".
        start: Initial value, between the bounds.
        low, high: The bounds, finite or infinite; neither is ever reached.
        plural: Name in files of the values of all steps, which nothing else in them
            has; by default the name with an "s".
        variable: Name of the raw variable, which no other hyperparameter has; by
            default "raw_" and the plural.

    Raises:
        ValueError: If the start is not between the bounds.

    Example:
        >>> import tfdistill
        >>> decay = tfdistill.inner.Hyperparameter("decay", 0.5, high=1.0)
        >>> decay.plural, round(float(decay.value(decay.raw(0.25))), 3)
        ('decays', 0.25)
    """

    name: str
    start: float
    low: float = 0.0
    high: float = math.inf
    plural: str = ""
    variable: str = ""

    def __post_init__(self):
        if not self.plural:
            object.__setattr__(self, "plural", f"{self.name}s")
        if not self.variable:
            object.__setattr__(self, "variable", f"raw_{self.plural}")
        start = self.start
        # The bounds are never reached, infinity neither.
        if not is_number(start) or not self.low < start < self.high:
            bounds = f"lie between {self.low:g} and {self.high:g}"
            if math.isinf(self.high):
                bounds = f"be above {self.low:g}"
            raise ValueError(f"{self.name} must {bounds}, not be {start!r}.")

    def raw(self, value: tf.Tensor) -> tf.Tensor:
        """The raw number of a value; in a graph, too.

        A value at a bound, to which float32 rounds what is near, is taken a little
        inside: its raw number would be infinite, and never learned again.
        """
        value = tf.convert_to_tensor(value)
        if math.isinf(self.low) and math.isinf(self.high):
            return value
        if math.isinf(self.high):
            return _inverse_softplus(_inside(value - self.low))
        if math.isinf(self.low):
            return -_inverse_softplus(_inside(self.high - value))
        width = self.high - self.low
        above = _inside(value - self.low, width)
        below = _inside(self.high - value, width)
        return tf.math.log(above) - tf.math.log(below)

    def value(self, raw: tf.Tensor) -> tf.Tensor:
        """The value of a raw number; in a graph, too."""
        if math.isinf(self.low) and math.isinf(self.high):
            return tf.convert_to_tensor(raw)
        if math.isinf(self.high):
            return self.low + tf.nn.softplus(raw)
        if math.isinf(self.low):
            return self.high - tf.nn.softplus(-raw)
        return self.low + (self.high - self.low) * tf.sigmoid(raw)


def _inside(distance, width=1.0):
    least = tf.cast(width * np.finfo(np.float32).eps, distance.dtype)
    return tf.where(distance > 0, distance, least)


def _inverse_softplus(value):
    return value + tf.math.log(-tf.math.expm1(-value))


def learning_rate(start: float = 0.02) -> Hyperparameter:
    """The learning rate, which every inner optimizer has; the papers start at 0.02.

    Example:
        >>> import tfdistill
        >>> tfdistill.inner.learning_rate(0.1).name
        'learning_rate'
    """
    return Hyperparameter(
        "learning_rate", start, plural="learning_rates", variable="raw_rates"
    )


def momentum(start: float = 0.5) -> Hyperparameter:
    """The momentum of Such et al. 2019, in (0, 1).

    Example:
        >>> import tfdistill
        >>> tfdistill.inner.momentum(0.9).high
        1.0
    """
    return Hyperparameter("momentum", start, high=1.0, plural="momenta")
