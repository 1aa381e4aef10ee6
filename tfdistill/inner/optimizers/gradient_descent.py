"""Plain gradient descent."""

from typing import final

import keras

from tfdistill.inner.optimizers import hyperparameter
from tfdistill.inner.optimizers.base import InnerOptimizer, step_by_step


@final
class GradientDescent(InnerOptimizer):
    """theta <- theta - eta_t g (Wang et al. 2018, equation 2).

    Args:
        learning_rate: Initial learning rate, > 0.

    Raises:
        ValueError: If it is not above 0.

    Example:
        >>> import tfdistill
        >>> tfdistill.inner.GradientDescent(learning_rate=0.1).name
        'sgd'
    """

    name = "sgd"

    def __init__(self, learning_rate: float = 0.02):
        self.hyperparameters = (hyperparameter.learning_rate(learning_rate),)

    def update(self, t, hyperparameters, gradients, weights, slots):
        del t
        rate = hyperparameters["learning_rate"]
        return [w - rate * g for w, g in zip(weights, gradients)], slots

    def to_keras(self, hyperparameters):
        return keras.optimizers.SGD(step_by_step(hyperparameters["learning_rate"]))
