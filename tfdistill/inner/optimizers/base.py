"""The contract of inner optimizers: one update, and an equivalent for Keras."""

import abc
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal import lookup
from tfdistill.inner.optimizers.hyperparameter import Hyperparameter

#: The methods that the name of an inner optimizer stands for.
STEPS = ("update", "slots", "to_keras")


class InnerOptimizer(abc.ABC):
    """The update of one inner step: a pure function, differentiated like the rest.

    An object holds the hyperparameters that the synthesizer learns, with their initial
    values.

    Attributes:
        name: Its name in files; by default, that of the class.
        hyperparameters: The numbers that `update` reads at every step; "learning_rate"
            comes first.
        num_slots: Number of running averages that it keeps for each weight.

    Example:
        >>> import tfdistill
        >>> class SignDescent(tfdistill.InnerOptimizer):
        ...     name = "sign"
        ...     def __init__(self, learning_rate=0.01):
        ...         self.hyperparameters = (
        ...             tfdistill.inner.learning_rate(learning_rate),
        ...         )
        ...     def update(self, t, hyperparameters, gradients, weights, slots):
        ...         rate = hyperparameters["learning_rate"]
        ...         signs = [g / (abs(g) + 1e-3) for g in gradients]
        ...         return [w - rate * s for w, s in zip(weights, signs)], slots
    """

    name: str
    hyperparameters: tuple[Hyperparameter, ...]
    num_slots: int = 0

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        lookup.name_by_class(cls, *STEPS)

    def slots(self, weights: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The slots before the first step: `num_slots` for each weight, here zeros."""
        return [tf.zeros_like(w) for _ in range(self.num_slots) for w in weights]

    @abc.abstractmethod
    def update(
        self,
        t: tf.Tensor,
        hyperparameters: Mapping[str, tf.Tensor],
        gradients: list[tf.Tensor],
        weights: list[tf.Tensor],
        slots: list[tf.Tensor],
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """One step.

        Args:
            t: The step, an integer scalar from 0.
            hyperparameters: The values in this step, by name, each a scalar.
            gradients, weights: One tensor for each weight.
            slots: In the order of `slots`.

        Returns:
            The new weights and the new slots.
        """

    def take(
        self,
        t: tf.Tensor,
        hyperparameters: Mapping[str, tf.Tensor],
        gradients: Sequence,
        weights: list[tf.Tensor],
        slots: list[tf.Tensor],
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """`update`, whatever the types of the weights and of their gradients.

        It is computed in float32, or in float64 if anything is float64; weights and
        slots keep their types. The gradients of layers that gather rows are made dense.

        Args:
            t, hyperparameters, weights, slots: The same as for `update`.
            gradients: A tensor, or `tf.IndexedSlices`, for each weight.
        """
        gradients = [tf.convert_to_tensor(g) for g in gradients]
        numbers = [tf.convert_to_tensor(h) for h in hyperparameters.values()]
        types = {x.dtype for x in [*numbers, *weights, *slots]}
        dtype = tf.float64 if tf.float64 in types else tf.float32

        def cast(values):
            return [tf.cast(x, dtype) for x in values]

        named = dict(zip(hyperparameters, cast(numbers)))
        after = self.update(t, named, cast(gradients), cast(weights), cast(slots))
        new_weights, new_slots = (
            [tf.cast(x, x_before.dtype) for x, x_before in zip(*pair)]
            for pair in zip(after, (weights, slots))
        )
        return new_weights, new_slots

    def to_keras(
        self, hyperparameters: Mapping[str, np.ndarray]
    ) -> keras.optimizers.Optimizer:
        """A Keras optimizer that takes the same steps, for `fit` in order.

        By default, one that calls `update`.

        Args:
            hyperparameters: The value at each step, float `[T]`, by name.
        """
        # Imported late: it is made of this class.
        from tfdistill.inner.optimizers.in_keras import InKeras

        return InKeras(self, hyperparameters)


def step_by_step(rates) -> keras.optimizers.schedules.LearningRateSchedule:
    """A Keras schedule with a given rate for each step."""
    rates = [float(r) for r in rates]
    # The rate after the last step is never used: Keras wants one more value than
    # boundaries, and at least one boundary.
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        list(range(len(rates))), [*rates, rates[-1]]
    )
