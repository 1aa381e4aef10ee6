"""Students that would be tested twice, since they would learn the same again."""

import os
import sys
import warnings

from tfdistill.evaluation import turns
from tfdistill.inner.stateless import SEED_STATE
from tfdistill.weights.population import Population

_FOLDER = os.path.dirname(__file__)


def draws(population: Population) -> bool:
    """Whether networks draw something themselves while they learn (dropout)."""
    return any(
        variable.name == SEED_STATE
        for learner, _ in population.members
        for variable in learner.model.non_trainable_variables
    )


def dealt(
    population: Population, sets, asked: int, group: int, *, shuffle_steps: bool = False
) -> list[int]:
    """Which set each student learns from, of those that are tested.

    Args:
        population: The `Population` that they are of.
        sets, shuffle_steps: Same as for `Evaluator.dealt`.
        asked: Number of students, at least 1.
        group: Same as for `before`.

    Returns:
        The index of each student's set; 0 without sets.
    """
    counts = len(population.members), max(1, len(sets))
    which = [turns.set_of(number // group, *counts) for number in range(asked)]
    if (sets and draws(population)) or any(
        data.recipe.draws(data.num_images)
        or (shuffle_steps and data.recipe.is_ordered and data.num_steps > 1)
        for data in sets
    ):
        return which
    return before(which, population, group)


def before(which: list[int], population: Population, group: int) -> list[int]:
    """The sets of students up to the first that has learned the same as another.

    Only of students that draw nothing while they learn.

    Args:
        which: The set that each student learns from.
        population: The `Population` that they are of.
        group: How many students learn side by side: they are of one architecture.
    """
    members = population.members
    starts = members[0][1].num_held_out
    if not starts:
        return which
    known: set = set()
    for number, one in enumerate(which):
        architecture = turns.architecture(number // group, len(members))
        known.add((number % starts, one, architecture))
        if len(known) == number:
            return which[:number]
    return which


def warn(asked: int, tested: int, population: Population) -> None:
    """Warns if a pool has fewer networks than were asked for.

    Args:
        asked, tested: Numbers of students.
        population: The `Population` that they are of.
    """
    starts = population.members[0][1].num_held_out
    if starts and population.is_random and tested < asked:
        warnings.warn(
            f"The pool holds out {starts} network{'s' * (starts > 1)}: "
            f"{asked - tested} of {asked} tests would be copies, and are left out.",
            stacklevel=_levels(),
        )


def _levels():
    """How far up who asks for tests is: the first caller beyond this folder."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and os.path.dirname(frame.f_code.co_filename) == _FOLDER:
        frame, level = frame.f_back, level + 1
    return level
