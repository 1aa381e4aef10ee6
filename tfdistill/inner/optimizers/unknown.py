"""A placeholder for an inner optimizer that only a file names."""

from collections.abc import Sequence
from typing import final

from tfdistill.inner.optimizers.base import InnerOptimizer
from tfdistill.inner.optimizers.hyperparameter import Hyperparameter


@final
class UnknownOptimizer(InnerOptimizer):
    """Stands for a user's own inner optimizer until it is passed.

    Data for it can be viewed and saved, but not trained on.

    Args:
        name: Its name in the file.
        hyperparameters: The hyperparameters whose values the file holds.
    """

    def __init__(self, name: str, hyperparameters: Sequence[Hyperparameter]):
        self.name, self.hyperparameters = name, tuple(hyperparameters)

    def slots(self, weights):
        raise self._error()

    def update(self, t, hyperparameters, gradients, weights, slots):
        raise self._error()

    def to_keras(self, hyperparameters):
        raise self._error()

    def _error(self):
        return ValueError(
            f"The data is for the inner optimizer {self.name!r}, which is not one of "
            "tfdistill: pass DistilledDataset.load(folder, inner_optimizer=...)."
        )
