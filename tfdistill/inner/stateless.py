"""A Keras model seen as a pure function of its weights."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfdistill.inner import second_order


class StatelessModel:
    """A built `keras.Model` as a pure function `(weights, state, images) -> outputs`.

    `weights` are the values of the model's trainable variables, `state` the values of
    all others (batch-norm statistics, the states of seed generators). The model's own
    variables are never changed, so one model can be unrolled, in one graph, for any
    number of students.

    Args:
        model: A built `keras.Model` with one input and one output.
    """

    def __init__(self, model: keras.Model):
        self.model = model

    @property
    def weights(self) -> list[tf.Tensor]:
        """The current values of the model's trainable variables."""
        return [tf.convert_to_tensor(v.value) for v in self.model.trainable_variables]

    @property
    def state(self) -> list[tf.Tensor]:
        """The current values of the model's other variables."""
        return [
            tf.convert_to_tensor(v.value) for v in self.model.non_trainable_variables
        ]

    def __call__(
        self,
        weights: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        images: tf.Tensor,
        training: bool,
    ) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor]:
        """Applies the model.

        Args:
            weights: One tensor for each trainable variable.
            state: One tensor for each other variable.
            images: float tensor `[batch, *image_shape]`.
            training: Whether dropout, batch norm etc. are in training mode.

        Returns:
            The outputs, the new state, and the sum of the model's own penalties
            (regularisers, activity losses): a scalar, 0 if there are none.
        """
        with second_order.exact():
            outputs, state, penalties = self.model.stateless_call(
                list(weights),
                list(state),
                images,
                training=training,
                return_losses=True,
            )
        penalty = tf.add_n(penalties) if penalties else tf.zeros([], outputs.dtype)
        return outputs, list(state), penalty

    def assign(self, weights: Sequence[tf.Tensor], state: Sequence[tf.Tensor]) -> None:
        """Writes weights and state into the model's own variables."""
        for variable, value in zip(self.model.trainable_variables, weights):
            variable.assign(value)
        for variable, value in zip(self.model.non_trainable_variables, state):
            variable.assign(value)
