"""Oracles of KerasTuner choose the next candidate."""

import json
import os
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfdistill._internal.checks import first_sentence

#: How the next candidate is chosen: at random; where a Gaussian process on the scores
#: so far expects the best; at random, with more networks for better candidates.
ORACLES = ("random", "bayesian", "hyperband")
#: Errors of a network that doesn't fit the data, or the memory.
REFUSALS = (ValueError, TypeError, tf.errors.OpError)
# Number of draws before a space without a fitting candidate is given up.
_DRAWS = 50


class Oracle:
    """Proposes candidates of a space, given the scores of those before.

    Its proposals depend only on its seed and on the scores: with the same scores, it
    makes the same proposals again.

    Args:
        choices: The result of `choices`.
        kind: One of `ORACLES`.
        count: Number of candidates wanted, at least 1; at most ten times as many are
            proposed.
        num_students: Number of networks whose mean is a candidate's score; for
            Hyperband, the largest number.
        folder: Where KerasTuner keeps its own files, in `tuner`.
        seed: At least 0.
    """

    def __init__(
        self,
        choices,
        kind: str,
        count: int,
        num_students: int,
        folder: str | os.PathLike,
        seed: int,
    ):
        tuner, most = keras_tuner(), 10 * count
        settings = {
            "objective": tuner.Objective("accuracy", "max"),
            "hyperparameters": choices.copy(),
            # Whatever else a network asks for keeps its default.
            "tune_new_entries": False,
            "seed": seed + 1,  # 0 would mean a random one
            "max_consecutive_failed_trials": most + 1,
        }
        if kind == "hyperband":
            self._oracle = tuner.oracles.HyperbandOracle(
                max_epochs=num_students, hyperband_iterations=None, **settings
            )
            self._oracle.max_trials = most
        elif kind == "bayesian":
            self._oracle = tuner.oracles.BayesianOptimizationOracle(
                max_trials=most, num_initial_points=max(3, count // 3), **settings
            )
        else:
            self._oracle = tuner.oracles.RandomSearchOracle(max_trials=most, **settings)
        self._oracle.verbose = 0
        self._num_students, self._trial = num_students, None
        # Gives the oracle its folder.
        tuner.engine.base_tuner.BaseTuner(
            self._oracle,
            directory=os.fspath(folder),
            project_name="tuner",
            overwrite=True,
        )

    def ask(self) -> tuple[dict, int] | None:
        """The next candidate: its hyperparameters, by name, and the number of networks.

        Returns:
            The two, or None if there are no more candidates.
        """
        trial = self._trial = self._oracle.create_trial("search")
        if trial.status != "RUNNING":
            return None
        values = trial.hyperparameters.values
        # Hyperband keeps its rounds among them.
        own = {k: v for k, v in values.items() if not k.startswith("tuner/")}
        return own, values.get("tuner/epochs", self._num_students)

    def tell(self, score: float | None) -> None:
        """Reports the last candidate's score, or None if the candidate doesn't fit."""
        trial: Any = self._trial
        if score is not None:
            self._oracle.update_trial(trial.trial_id, {"accuracy": score})
        trial.status = "FAILED" if score is None else "COMPLETED"
        self._oracle.end_trial(trial)


def choices(build: Callable, seed: int):
    """All choices of a space, found by building some of its networks.

    Args:
        build: From a `keras_tuner.HyperParameters` to a model; raises one of `REFUSALS`
            if that doesn't fit.
        seed: Seed of these networks, at least 0.

    Returns:
        A `keras_tuner.HyperParameters`.

    Raises:
        ValueError: If none of the networks fits; the message says why the last one
            doesn't.
    """
    found = keras_tuner().HyperParameters()
    fits, error, since = False, Exception(), 0
    for draw in range(_DRAWS):
        known = len(found.space)
        found.values = {}
        for number, choice in enumerate(found.space):
            if draw and found.is_active(choice):
                value = choice.random_sample(f"{seed} {draw} {number}")
                found.values[choice.name] = value
        unseen = [s for s in found.inactive_scopes if s not in found.active_scopes]
        for condition in unseen[0] if unseen else ():
            found.values[condition.name] = condition.values[0]
        found.ensure_active_values()
        try:
            build(found)
            fits = True
        except REFUSALS as refusal:
            error = refusal
        # More may come after other values than these.
        since = since + 1 if len(found.space) == known else 0
        if fits and since == 3 and not unseen:
            break
    if fits:
        found.values = {}
        found.ensure_active_values()
        return found
    raise ValueError(
        f"of {_DRAWS} candidates none fits, the last one because: "
        f"{first_sentence(error)}"
    )


def model_of(build: Callable, values: dict) -> keras.Model:
    """The network with these hyperparameters.

    Args:
        build: Same as for `choices`.
        values: Hyperparameters from `Oracle.ask`.
    """
    hyperparameters = keras_tuner().HyperParameters()
    hyperparameters.values = dict(values)
    return build(hyperparameters)


def key(values: dict) -> str:
    """A string that is the same for equal hyperparameters."""
    return json.dumps(values, sort_keys=True)


def keras_tuner():
    """The module `keras_tuner`.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    try:
        import keras_tuner
    except ImportError as error:
        raise ImportError(
            "A search needs KerasTuner: pip install 'tfdistill[search]'."
        ) from error
    return keras_tuner
