"""Random choices of examples, class by class: functions of the labels and a seed."""

from collections.abc import Iterable

import numpy as np


def hold_out(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Chooses a part of every class.

    Args:
        labels: Integer array [N].
        fraction: Part of every class to choose, between 0 and 1.
        seed: Non-negative seed of the choice.

    Returns:
        bool [N], true for the chosen examples: of a class with two examples or more,
        at least one and not all; of a class with one example, none.

    Raises:
        ValueError: If no class has two examples.
    """
    rng, held = np.random.default_rng(seed), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        where = np.flatnonzero(labels == label)
        count = min(max(1, round(fraction * len(where))), len(where) - 1)
        held[rng.choice(where, count, replace=False)] = True
    if not held.any():
        raise ValueError("No class has two examples, so nothing can be held out.")
    return held


def draw(
    labels: np.ndarray, names: Iterable, images_per_class: int, seed: int
) -> np.ndarray:
    """Draws the same number of examples of every class, without repetition.

    Args:
        labels: Integer array [N].
        names: What errors call the C classes.
        images_per_class: Number of examples to draw of each class.
        seed: Non-negative seed of the draw.

    Returns:
        Indices [C * images_per_class] of examples of the classes
        0, 1, ..., C - 1, 0, 1, ....

    Raises:
        ValueError: If a class has too few examples.
    """
    rng, picked = np.random.default_rng(seed), []
    for label, name in enumerate(names):
        where = np.flatnonzero(labels == label)
        if len(where) < images_per_class:
            raise ValueError(
                f"{images_per_class} different images of each class are asked for "
                f"(images_per_class * steps), but class {name} has only "
                f"{len(where)} examples."
            )
        picked.append(rng.choice(where, images_per_class, replace=False))
    return np.stack(picked, axis=1).reshape(-1)


def is_mixed(labels: np.ndarray, count: int) -> bool:
    """Whether the first examples have the classes of all, as by chance.

    Args:
        labels: Integer array [N].
        count: Number of first examples, from 1 to N.
    """
    _, numbers = np.unique(labels, return_inverse=True)
    shares = np.bincount(numbers) / len(labels)
    first = np.bincount(numbers[:count], minlength=len(shares)) / count
    # The mean distance of shares that were drawn at random, and what is no harm.
    by_chance = 0.4 * np.sqrt(shares * (1 - shares) / count).sum()
    return np.abs(first - shares).sum() / 2 <= 2 * by_chance + 0.1


def spaced(count: int, most: int) -> np.ndarray:
    """Chooses examples from end to end: one at random of each of equal parts.

    Neither sorted examples nor those of classes in turn give a wrong picture by it.

    Args:
        count: Number of examples.
        most: Largest number to choose.

    Returns:
        Indices in ascending order; all of them, if there are no more than `most`.
    """
    if count <= most:
        return np.arange(count)
    within = np.random.default_rng(0).random(most)
    return np.unique(((np.arange(most) + within) * (count / most)).astype(int))
