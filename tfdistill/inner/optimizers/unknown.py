"""What a file names and this library does not know."""

from collections.abc import Sequence
from typing import final

from tfdistill.inner.optimizers.base import InnerOptimizer
from tfdistill.inner.optimizers.hyperparameter import Hyperparameter


@final
class UnknownOptimizer(InnerOptimizer):
    """Stands for somebody's own inner optimizer until it is given.

    Data for it can be looked at and saved, but not be trained on.

    Args:
        name: What the file calls it.
        hyperparameters: Those that the file has values of.
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
