"""The architecture that students are of, with values of its own."""

import tensorflow as tf

from tfdistill.inner.stateless import StatelessModel


class Bound(StatelessModel):
    """A model as a pure function, and a copy of the values that it has now.

    A student's callable may give a model that the user has, too, and goes on to train:
    neither changes the other.

    Args:
        model: A built `keras.Model`.

    Attributes:
        trainable_variables, non_trainable_variables: The copies, a `tf.Variable` for
            each of the model's.

    Example:
        >>> import tfdistill
        >>> model = tfdistill.students.linear((8, 8, 1))
        >>> bound = tfdistill.weights.bound.Bound(model)
        >>> model.set_weights([weight + 1 for weight in model.get_weights()])
        >>> float(bound.weights[1][0])
        0.0
    """

    def __init__(self, model):
        super().__init__(model)
        self.trainable_variables, self.non_trainable_variables = (
            [tf.Variable(tf.convert_to_tensor(v.value), trainable=False) for v in kind]
            for kind in (model.trainable_variables, model.non_trainable_variables)
        )

    @property
    def variables(self) -> list[tf.Variable]:
        """All of the copies, those of trainable variables first."""
        return self.trainable_variables + self.non_trainable_variables

    @property
    def weights(self):
        return [tf.convert_to_tensor(v) for v in self.trainable_variables]

    @property
    def state(self):
        return [tf.convert_to_tensor(v) for v in self.non_trainable_variables]

    def assign(self, weights, state):
        """Writes weights and state into the copies; the model keeps its own."""
        for variable, value in zip(self.variables, [*weights, *state]):
            variable.assign(tf.cast(value, variable.dtype))
