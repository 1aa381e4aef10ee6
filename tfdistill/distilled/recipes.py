"""The one recipe that the arguments of distilled data say."""

from collections.abc import Mapping

import numpy as np

from tfdistill.distilled.learned_schedule import LearnedSchedule
from tfdistill.distilled.recipe import Recipe
from tfdistill.inner import optimizers
from tfdistill.inner.optimizers.base import InnerOptimizer


def one_recipe(
    recipe: Recipe | None,
    learning_rates: np.ndarray | None,
    inner_optimizer: InnerOptimizer | str | None,
    hyperparameters: Mapping[str, np.ndarray] | None,
) -> Recipe:
    """A recipe as it is, or that of learned steps.

    Args:
        recipe, learning_rates, inner_optimizer, hyperparameters: Same as for
            `DistilledDataset`.

    Raises:
        ValueError: If there is neither, or both; if rates are given twice, and differ;
            or as for `LearnedSchedule`.
    """
    given = dict(hyperparameters or {})
    if recipe is not None:
        if learning_rates is not None or inner_optimizer is not None or given:
            raise ValueError(
                "Give either learning_rates or a recipe: with a recipe, leave "
                "inner_optimizer and hyperparameters out, too."
            )
        return recipe
    rates = given.get("learning_rate") if learning_rates is None else learning_rates
    if rates is None:
        raise ValueError("Give either learning_rates or a recipe.")
    optimizer = optimizers.get("sgd" if inner_optimizer is None else inner_optimizer)
    made = LearnedSchedule(optimizer, {**given, "learning_rate": rates})
    again = np.asarray(given.get("learning_rate", rates), "float32")
    if not np.array_equal(again, made.hyperparameters["learning_rate"]):
        raise ValueError(
            "learning_rates and those that hyperparameters hold differ: give the rates "
            "once."
        )
    return made
