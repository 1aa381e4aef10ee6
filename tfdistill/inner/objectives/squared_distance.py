"""Half the squared distance: the loss of all that regresses."""

import keras
import tensorflow as tf


def half_squared_distances(labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Of the rows of a batch, float `[batch]`, in the precision of the outputs.

    Args:
        labels, outputs: Numbers `[batch, outputs]`.
    """
    squares = tf.math.squared_difference(outputs, tf.cast(labels, outputs.dtype))
    return tf.reduce_sum(squares, -1) / 2


class HalfSquaredDistance(keras.losses.Loss):
    """The same as a loss for `keras.Model.compile`, a mean over the batch."""

    def call(self, y_true, y_pred):
        return half_squared_distances(y_true, y_pred)
