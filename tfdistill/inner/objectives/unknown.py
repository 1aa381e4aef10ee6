"""What a file names and this library does not know."""

from typing import final

from tfdistill.inner.objectives.base import Objective


@final
class UnknownObjective(Objective):
    """Stands for somebody's own objective until it is given.

    Data for it can be looked at and saved, but not be trained on.

    Args:
        name: What the file calls it.
    """

    def __init__(self, name: str):
        self.name = name

    def inner_loss(self, labels, outputs):
        raise self._error()

    def meta_loss(self, labels, outputs):
        raise self._error()

    def keras_loss(self):
        raise self._error()

    def _error(self):
        return ValueError(
            f"The data is for the objective {self.name!r}, which is not one of "
            "tfdistill: pass DistilledDataset.load(folder, objective=...)."
        )
