"""The rate and the number of epochs that suit a set, chosen on held-out images."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfdistill.data.split import Split
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.distilled.ordinary import OrdinaryTraining
from tfdistill.evaluation.batches import fitted
from tfdistill.evaluation.evaluator import Evaluator
from tfdistill.evaluation.starts import check_starts
from tfdistill.runs.journal import Journal
from tfdistill.weights.base import InitialWeights

#: The paper's candidates; learned rates may be added.
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
EPOCHS = (1, 3, 5)
#: Candidates for the first rate of ordinary training, by Adam.
TRAINING_RATES = (0.001, 0.003, 0.01)


def tune(
    sets: Sequence[DistilledDataset],
    student,
    validation: Split,
    *,
    rates: Sequence | None = None,
    epochs: Sequence[int] | None = None,
    learned: np.ndarray | None = None,
    num_students: int = 4,
    initial_weights: InitialWeights | None = None,
    seed: int = 0,
    journal: Journal | None = None,
    evaluator: Evaluator | None = None,
) -> list[DistilledDataset]:
    """Chooses the best rate and number of epochs for sets of one kind.

    For sets with `OrdinaryTraining`, it chooses the rate of that.

    One choice is made for all sets, by the mean accuracy of students on held-out
    training images; test data is not used.

    Args:
        sets: At least one, all of one shape.
        student: The student that learns from them, same as for `students.get`.
        validation: Held-out training data, which is normalised as by `evaluate`.
        rates: Candidates for the rate of every step, > 0; by default `RATES`, and
            `TRAINING_RATES` for `OrdinaryTraining`. Other hyperparameters stay: further
            epochs have those of the last one.
        epochs: Candidates for the number of epochs, at least 1; by default `EPOCHS`.
            Not for `OrdinaryTraining`, nor is `learned`.
        learned: One more candidate: rates `[epochs, steps]` that a distillation
            learned, with its own number of epochs.
        num_students: Number of students for each candidate, at least 1; they take the
            sets in turn as by `evaluate`.
        initial_weights: Same as for `Evaluator`.
        seed: Seed of the students.
        journal: Same as for `Evaluator`.
        evaluator: Who tests the candidates, if there is one already for data like this;
            it then has the student, initial weights and journal.

    Returns:
        The sets with the chosen rates; their provenance records the choice, and the
        mean accuracy for which it was chosen.

    Raises:
        ValueError: If `learned` doesn't have the steps of the sets, an argument is not
            for their training, or fixed initial weights are refused as by `evaluate`.

    Example:
        >>> import tfdistill
        >>> from tfdistill import baselines
        >>> digits = tfdistill.load_dataset("digits").hold_out(0.1)
        >>> sets = [baselines.random_real(digits, steps=2)]
        >>> few = {"rates": [0.02], "epochs": [1, 3], "num_students": 1}
        >>> (tuned,) = baselines.tune(sets, "linear", digits.validation, **few)
        >>> tuned.provenance["rates"] in ("0.02 x 1 epochs", "0.02 x 3 epochs")
        True
    """
    steps, recipe = sets[0].steps, sets[0].recipe
    candidates: dict[str, dict]
    if isinstance(recipe, OrdinaryTraining):
        if epochs is not None or learned is not None:
            raise ValueError(
                "epochs and learned are for sets with learned steps; of sets with "
                "OrdinaryTraining the rate alone is chosen: give rates only."
            )
        candidates = {
            f"{rate:g}": {"recipe": dataclasses.replace(recipe, learning_rate=rate)}
            for rate in (TRAINING_RATES if rates is None else rates)
        }
    else:
        candidates = {
            f"{rate:g} x {count} epochs": {
                "learning_rates": np.full((count, steps), rate)
            }
            for count in (EPOCHS if epochs is None else epochs)
            for rate in (RATES if rates is None else rates)
        }
    if learned is not None:
        if np.ndim(learned) != 2 or np.shape(learned)[1] != steps:
            raise ValueError(
                f"learned must have the shape [epochs, {steps}], "
                f"not {list(np.shape(learned))}."
            )
        candidates["learned"] = {"learning_rates": np.asarray(learned)}
    evaluator = evaluator or evaluator_of(
        sets, student, num_students, initial_weights, journal
    )
    batches = fitted(validation, sets[0]).passes()

    def score(name):
        data = [_changed(d, **candidates[name]) for d in sets]
        result = evaluator(data, batches, num_students, seed=seed)
        return float(np.nan_to_num(result.accuracy_mean))

    scores = {name: score(name) for name in candidates}
    best = max(scores, key=lambda name: scores[name])
    return [
        _changed(
            data,
            **candidates[best],
            provenance={
                "rates": best,
                "rates_chosen_on": "held-out training images",
                "accuracy_on_them": scores[best],
            },
        )
        for data in sets
    ]


def evaluator_of(
    sets: Sequence[DistilledDataset],
    student,
    num_students: int,
    initial_weights: InitialWeights | None,
    journal: Journal | None,
) -> Evaluator:
    """One that tests several sets, whose students start alike.

    Args:
        sets, student, num_students, initial_weights, journal: Same as for `tune`.

    Raises:
        ValueError: If fixed initial weights are refused as by `evaluate`.
    """
    check_starts(sets, initial_weights)
    return Evaluator(
        student,
        sets[0],
        initial_weights=initial_weights,
        side_by_side=2 if num_students > 1 else 1,
        journal=journal,
    )


def _changed(data, **changes):
    """A copy; of a candidate's epochs, where it has more, the last is repeated."""
    if "learning_rates" in changes:
        epochs = np.arange(len(changes["learning_rates"])).clip(max=data.epochs - 1)
        changes["hyperparameters"] = {
            name: values[epochs]
            for name, values in data.hyperparameters.items()
            if name != "learning_rate"
        }
    return data.replace(**changes)
