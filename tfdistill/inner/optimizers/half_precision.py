"""Keras's optimizers for weights in half precision, whose averages are in float32."""

from collections.abc import Sequence

import keras
import tensorflow as tf

_HALF = "float16", "bfloat16"


class PreciseSlots(keras.optimizers.Optimizer):
    """A Keras optimizer whose slots are float32 where weights are in half precision."""

    def add_variable(self, shape, initializer="zeros", dtype=None, **kwargs):
        dtype = "float32" if dtype in _HALF else dtype
        return super().add_variable(shape, initializer, dtype, **kwargs)


@keras.saving.register_keras_serializable("tfdistill")
class PreciseAdam(PreciseSlots, keras.optimizers.Adam):
    """Adam that computes in float32 where weights are in half precision.

    Keras's computes in their type. In bfloat16 its beta of 0.999 is 1, and no step has
    any length; in float16 averages of squares are too small.
    """

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        dtype = tf.as_dtype(first.dtype)
        weight, gradient, rate = (
            tf.cast(tf.convert_to_tensor(x), dtype)
            for x in (variable, gradient, learning_rate)
        )
        count = tf.cast(self.iterations + 1, dtype)
        rate *= tf.sqrt(1 - self.beta_2**count) / (1 - self.beta_1**count)
        mean = self.beta_1 * first + (1 - self.beta_1) * gradient
        square = self.beta_2 * second + (1 - self.beta_2) * gradient * gradient
        self.assign(first, mean)
        self.assign(second, square)
        self.assign(variable, weight - rate * mean / (tf.sqrt(square) + self.epsilon))


def for_weights(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]
) -> keras.optimizers.Optimizer:
    """The same optimizer, or one that computes in float32 where it has to.

    Args:
        optimizer: Not built yet. Keras's Adam is what fails in half precision.
        variables: The weights that it is for.

    Returns:
        `PreciseAdam` for Adam and weights in half precision; else what was given.
    """
    is_adam = type(optimizer) is keras.optimizers.Adam
    if not is_adam or not any(v.dtype in _HALF for v in variables):
        return optimizer
    return PreciseAdam.from_config(optimizer.get_config())
