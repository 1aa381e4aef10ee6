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
        ValueError: If the name is unknown, an own one has that of another, or Adam an
            epsilon that files would not keep.
    """
    if isinstance(optimizer, Adam):
        optimizer.check_for_files()
    if isinstance(optimizer, InnerOptimizer):
        lookup.refuse_borrowed("inner optimizer", optimizer, INNER_OPTIMIZERS, *STEPS)
        return optimizer
    return lookup.find("inner_optimizer", optimizer, INNER_OPTIMIZERS)()
