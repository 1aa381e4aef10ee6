"""Any inner optimizer as a Keras optimizer."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfdistill.inner.optimizers.base import InnerOptimizer, step_by_step
from tfdistill.inner.optimizers.half_precision import PreciseSlots


class InKeras(PreciseSlots):
    """Takes the steps of an inner optimizer, with given hyperparameters at each.

    It cannot be saved with a model: its steps are code that no file can hold.

    Args:
        inner: The inner optimizer.
        hyperparameters: The value at each step, float `[T]`, by name; after the last
            step, its value stays.
    """

    def __init__(
        self,
        inner: InnerOptimizer,
        hyperparameters: Mapping[str, np.ndarray],
        name: str = "inner",
        **kwargs,
    ):
        super().__init__(
            step_by_step(hyperparameters["learning_rate"]), name=name, **kwargs
        )
        self._inner, self._hyperparameters = inner, dict(hyperparameters)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        with tf.init_scope():  # a step may be being traced
            slots = self._inner.slots(
                [tf.convert_to_tensor(v.value) for v in variables]
            )
        count = len(variables)
        self._slots = [
            self.add_variable_from_reference(
                variables[k % count],
                f"slot_{k // count}",
                lambda shape, dtype, slot=slot: tf.cast(slot, dtype),
            )
            for k, slot in enumerate(slots)
        ]

    def apply(self, grads, trainable_variables=None):
        # All weights at once, not one by one as in Keras: an inner optimizer may look
        # at the norm of the whole gradient.
        if not self.built:
            self.build(trainable_variables)
        variables = trainable_variables or self._trainable_variables
        t = tf.cast(self.iterations, tf.int32)
        weights = [tf.convert_to_tensor(v.value) for v in variables]
        grads = [
            tf.zeros_like(w) if g is None else tf.convert_to_tensor(g)
            for w, g in zip(weights, grads)
        ]
        pairs = self._all_reduce_sum_gradients(zip(grads, variables))
        double = any(w.dtype == tf.float64 for w in weights)
        weights, slots = self._inner.take(
            t,
            {
                name: tf.gather(
                    tf.constant(values, "float64" if double else "float32"),
                    tf.minimum(t, len(values) - 1),
                )
                for name, values in self._hyperparameters.items()
            },
            [gradient for gradient, _ in pairs],
            weights,
            [tf.convert_to_tensor(slot.value) for slot in self._slots],
        )
        for variable, value in zip([*variables, *self._slots], [*weights, *slots]):
            variable.assign(value)
        for variable in variables:
            # As in every optimizer of Keras.
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))
        self.iterations.assign_add(1)
        return self.iterations
