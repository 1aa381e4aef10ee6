"""The fixed weights that students of several data sets start from."""

from collections.abc import Sequence

import numpy as np

from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.weights.base import InitialWeights


def start_alike(first: DistilledDataset, second: DistilledDataset) -> bool:
    """Whether two data sets have the same fixed initial weights, or both have none.

    Args:
        first, second: The two.
    """
    own, other = first.initial_weights, second.initial_weights
    if own is None or other is None:
        return own is other
    return len(own) == len(other) and all(map(np.array_equal, own, other))


def check_starts(
    sets: Sequence[DistilledDataset], initial_weights: InitialWeights | None
) -> None:
    """Refuses sets whose students would start from the weights of the first one.

    Args:
        sets: All that are tested together.
        initial_weights: Where students start, if that is given: then from nothing that
            the sets hold.

    Raises:
        ValueError: If only some have fixed initial weights, or these differ.
    """
    if initial_weights is None and not all(start_alike(data, sets[0]) for data in sets):
        raise ValueError(
            "Data sets that are tested together have the same fixed initial weights, "
            "or all have none: give initial_weights, where all students start."
        )
