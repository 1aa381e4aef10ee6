"""A placeholder for an objective that only a file names."""

from collections.abc import Mapping
from typing import final

from tfdistill.inner.objectives.base import Objective


@final
class UnknownObjective(Objective):
    """Stands for a user's own objective until it is passed.

    Data for it can be viewed and saved, but not trained on.

    Args:
        name, options: Those in the file.
    """

    def __init__(self, name: str, options: Mapping | None = None):
        self.name, self.options = name, options or {}

    def inner_loss(self, labels, outputs):
        raise self._error()

    def meta_loss(self, labels, outputs):
        raise self._error()

    def keras_loss(self):
        raise self._error()

    def _error(self):
        return ValueError(
            f"The data is for the objective {self.name!r}, which does not ship with "
            "tfdistill: pass DistilledDataset.load(folder, objective=...)."
        )
