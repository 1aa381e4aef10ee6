"""Objectives: how a student is taught, and what it is judged on."""

from collections.abc import Mapping

from tfdistill._internal import lookup
from tfdistill.inner.objectives.attack import Attack as Attack
from tfdistill.inner.objectives.base import TAUGHT, Objective
from tfdistill.inner.objectives.classification import Classification
from tfdistill.inner.objectives.least_squares import LeastSquares
from tfdistill.inner.objectives.regression import Regression
from tfdistill.inner.objectives.unknown import UnknownObjective

#: Those that ship and need no arguments, by the names that files use. (An attack
#: teaches as classification does.)
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


def of_file(name: str, options: Mapping) -> Objective:
    """What a file names: an objective that ships, or a placeholder for another.

    Raises:
        ValueError: If one that ships has no such options.
    """
    if name not in OBJECTIVES:
        return UnknownObjective(name, options)
    try:
        return OBJECTIVES[name](**options)
    except TypeError:
        raise ValueError(
            f"the objective {name!r} has no such options: {options}"
        ) from None
