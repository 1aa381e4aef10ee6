"""Inner optimizers: how a student takes a step."""

from tfdistill._internal import lookup
from tfdistill.inner.optimizers.adam import Adam
from tfdistill.inner.optimizers.base import STEPS, InnerOptimizer
from tfdistill.inner.optimizers.gradient_descent import GradientDescent
from tfdistill.inner.optimizers.momentum import Momentum

#: Those that ship, by the names that files and the command line use.
INNER_OPTIMIZERS = {kind.name: kind for kind in (GradientDescent, Momentum, Adam)}


def get(optimizer: InnerOptimizer | str) -> InnerOptimizer:
    """An inner optimizer as it is, or a new one by its name.

    Raises:
        ValueError: If the name is unknown, or a custom one has that of another.
    """
    if isinstance(optimizer, InnerOptimizer):
        lookup.refuse_borrowed("inner optimizer", optimizer, INNER_OPTIMIZERS, *STEPS)
        return optimizer
    return lookup.find("inner_optimizer", optimizer, INNER_OPTIMIZERS)()


def get_for_files(optimizer: InnerOptimizer | str) -> InnerOptimizer:
    """Same as `get`, for learned steps, whose optimizer is a name in files.

    Raises:
        ValueError: As for `get`, or if Adam's epsilon is not that of learned steps.
    """
    found = get(optimizer)
    if isinstance(found, Adam):
        found.check_for_files()
    return found
