"""Halves of an audited data set: students learn from one and judge the other."""

import numpy as np

from tfdistill._internal import seeds
from tfdistill.data.dataset import Dataset
from tfdistill.data.split import Split


def check(dataset: Dataset, recipe) -> None:
    """Refuses data of which half has too few images of a class to start from.

    Args:
        dataset: The data whose training part is audited.
        recipe: The audit's `Recipe`.

    Raises:
        ValueError: If a class has too few examples.
    """
    needed = recipe.images_per_class * recipe.steps
    counts = np.bincount(dataset.train.labels, minlength=dataset.num_classes)
    fewest = counts.min() // 2
    if fewest < needed:
        steps = fewest // recipe.images_per_class
        way_out = f": steps may be at most {steps}" if steps else ""
        raise ValueError(
            f"images_per_class and steps need {2 * needed} images of each class, "
            f"{recipe.images_per_class} * {recipe.steps} in each half, but class "
            f"{dataset.class_names[counts.argmin()]!r} has {counts.min()}{way_out}."
        )


def drawn(split: Split, seed: int) -> np.ndarray:
    """A random half of every class, bool `[examples]`."""
    rng = np.random.default_rng([seed, seeds.AUDIT_HALVES])
    held = np.zeros(split.num_examples, bool)
    for label in range(split.num_classes):
        where = rng.permutation(np.flatnonzero(split.labels == label))
        held[where[: len(where) // 2]] = True
    return held
