"""The learned hyperparameters of the inner steps."""

import dataclasses
import warnings
from collections.abc import Iterator

import keras
import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill.inner import optimizers
from tfdistill.inner.optimizers import plurals
from tfdistill.inner.optimizers.base import InnerOptimizer


class Schedule(keras.layers.Layer):
    """The learned hyperparameters of an inner optimizer, with a value for each step.

    Args:
        epochs, steps: Shape of the values; each at least 1.
        inner_optimizer: An `InnerOptimizer`, which has the hyperparameters and their
            initial values; or the name of one that ships: "sgd", "momentum" or "adam".
        learning_rate: Initial learning rate, > 0, in place of the optimizer's.
        learned: Whether the values are learned; otherwise they stay.

    Raises:
        ValueError: If a number is out of range, there is no such optimizer, or its
            hyperparameters cannot be told apart, or from what else files hold.

    Example:
        >>> import tfdistill
        >>> schedule = tfdistill.Schedule(2, 5, inner_optimizer="momentum")
        >>> {name: value.shape for name, value in schedule.values().items()}
        {'learning_rate': TensorShape([2, 5]), 'momentum': TensorShape([2, 5])}
    """

    def __init__(
        self,
        epochs: int,
        steps: int,
        *,
        inner_optimizer: InnerOptimizer | str = "sgd",
        learning_rate: float | None = None,
        learned: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        shape = check_int("epochs", epochs, 1), check_int("steps", steps, 1)
        self.inner_optimizer = optimizers.get_for_files(inner_optimizer)
        plurals.check(self.inner_optimizer.hyperparameters)
        for hyperparameter in self.inner_optimizer.hyperparameters:
            if hyperparameter.name == "learning_rate" and learning_rate is not None:
                hyperparameter = dataclasses.replace(
                    hyperparameter, start=learning_rate
                )
            raw = hyperparameter.raw(tf.constant(hyperparameter.start, "float64"))
            # An attribute, by which checkpoints find it.
            variable = self.add_weight(
                shape=shape,
                initializer=keras.initializers.Constant(float(raw)),
                trainable=learned,
                aggregation="only_first_replica",  # `scale_rates` gives all the same
                name=hyperparameter.variable,
            )
            setattr(self, hyperparameter.variable, variable)

    def raw(self, name: str) -> keras.Variable:
        """The variable `[epochs, steps]` that a hyperparameter is computed from."""
        for hyperparameter in self.inner_optimizer.hyperparameters:
            if hyperparameter.name == name:
                return getattr(self, hyperparameter.variable)
        raise KeyError(name)

    def start(self, optimizer: InnerOptimizer, values) -> None:
        """Takes the values of another schedule of as many steps.

        Of other epochs, the first ones are taken, or the last one is repeated. Those
        that are not given stay as they are. Values of another optimizer are left, which
        a warning says of rates.

        Args:
            optimizer: What they are for.
            values: float `[epochs, steps]` by name.
        """
        own = self.inner_optimizer
        if type(optimizer) is not type(own):
            if "learning_rate" in values:
                warnings.warn(
                    f"The rates of {optimizer.name} are not taken for {own.name}, "
                    "which starts from its own; learning_rate= sets another one.",
                    stacklevel=3,
                )
            return
        for hyperparameter in own.hyperparameters:
            if hyperparameter.name not in values:
                continue
            variable = getattr(self, hyperparameter.variable)
            value = tf.cast(values[hyperparameter.name], tf.float64)
            epochs = tf.minimum(tf.range(variable.shape[0]), len(value) - 1)
            variable.assign(hyperparameter.raw(tf.gather(value, epochs)))

    def values(self) -> dict[str, tf.Tensor]:
        """Each hyperparameter by name, float `[epochs, steps]`."""
        return {
            h.name: h.value(tf.convert_to_tensor(getattr(self, h.variable).value))
            for h in self.inner_optimizer.hyperparameters
        }

    @property
    def learning_rates(self) -> tf.Tensor:
        """The rates, float `[epochs, steps]`."""
        return self.values()["learning_rate"]

    def at(self, t) -> dict[str, tf.Tensor]:
        """Each hyperparameter of inner step t by name, a scalar."""
        return {
            h.name: h.value(
                tf.gather(tf.reshape(getattr(self, h.variable).value, [-1]), t)
            )
            for h in self.inner_optimizer.hyperparameters
        }

    def scale_rates(self, factor: tf.Tensor) -> None:
        """Multiplies the rates by a factor in (0, 1], if they are learned.

        What a rate has above a lower bound of its own is multiplied, as what is learned
        moves it. One that cannot fall further stays. In a graph or eagerly.
        """
        for hyperparameter in self.inner_optimizer.hyperparameters:
            variable = getattr(self, hyperparameter.variable)
            if hyperparameter.name == "learning_rate" and variable.trainable:
                factor = tf.cast(factor, variable.dtype)
                before = tf.convert_to_tensor(variable.value)
                rates, least = hyperparameter.value(before), max(hyperparameter.low, 0)
                scaled = hyperparameter.raw(least + factor * (rates - least))
                falls = (factor < 1) & (scaled < before) & tf.math.is_finite(scaled)
                variable.assign(tf.where(falls, scaled, before))


def within(layer: keras.layers.Layer) -> Iterator[Schedule]:
    """The schedules in a layer, such as a synthesizer."""
    for part in layer._flatten_layers(include_self=False):
        if isinstance(part, Schedule):
            yield part
