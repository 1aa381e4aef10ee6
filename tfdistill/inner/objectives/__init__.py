"""Objectives: how a student is taught, and what it is judged on."""

import numpy as np

from tfdistill._internal import lookup
from tfdistill.inner.objectives.attack import Attack as Attack
from tfdistill.inner.objectives.base import TAUGHT, Objective
from tfdistill.inner.objectives.classification import Classification, are_shares
from tfdistill.inner.objectives.least_squares import LeastSquares
from tfdistill.inner.objectives.regression import Regression

#: Those that ship and have no options, by the names that files use. (An attack teaches
#: as classification does.)
OBJECTIVES = {kind.name: kind for kind in (Classification, LeastSquares, Regression)}


def get(objective: Objective | str) -> Objective:
    """An objective as it is, or a new one by its name.

    Raises:
        ValueError: If the name is unknown, or a custom objective has that of another.
    """
    if isinstance(objective, Objective):
        lookup.refuse_borrowed("objective", objective, OBJECTIVES, *TAUGHT)
        return objective
    return lookup.find("objective", objective, OBJECTIVES)()


def check_start(objective: Objective, labels: np.ndarray) -> None:
    """Refuses labels that students are to learn from, but are not judged by.

    Files of earlier versions may hold such ones, so that `check_labels` takes them.

    Args:
        objective: The objective that students are taught and judged by.
        labels: float `[steps, batch, classes]`.

    Raises:
        ValueError: If the labels are refused.
    """
    objective.check_labels(labels)
    if isinstance(objective, LeastSquares) and are_shares(labels):
        raise ValueError(
            'labels must be centred for the objective "least_squares", which judges by '
            "centred ones: make DistilledImages with centred_labels=True, or take "
            "another objective."
        )
