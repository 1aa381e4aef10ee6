"""Architectures ranked by what they learn from distilled data, in seconds each.

Such et al. 2019, section 4.3: a candidate trains on synthetic data alone, and is scored
on the validation part of the real training data; only the best are trained on real
data. Which candidates there are, an oracle of KerasTuner says.
"""

import dataclasses
import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill import architecture_spaces, students
from tfdistill.distilled import DistilledDataset
from tfdistill.evaluation import (
    PRETRAINING,
    Evaluator,
    evaluate_model,
    student_seed,
)
from tfdistill.initial_weights import RandomWeights
from tfdistill.splits import Dataset, check_int
from tfdistill.stateless import StatelessModel

#: How the next candidate is chosen.
ORACLES = ("random", "bayesian", "hyperband")
#: What a network that doesn't fit, or doesn't fit into memory, is refused with.
_REFUSALS = (ValueError, TypeError, tf.errors.OpError)
# Draws until a space is given up, for want of a candidate that fits.
_DRAWS = 50


@dataclasses.dataclass
class Candidate:
    """One architecture of a space.

    Attributes:
        values: The hyperparameters that make it, by name.
        parameters: How many weights it has.
        accuracies: On the validation part, of each network trained on distilled data.
        seconds: What these cost, with building and tracing.
        refusal: Why it was skipped; None if it was not.
        real_accuracy: On the validation part, after real data; None if not known.
        real_seconds: What that cost.
    """

    values: dict
    parameters: int = 0
    accuracies: list[float] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    refusal: str | None = None
    real_accuracy: float | None = None
    real_seconds: float | None = None

    @property
    def score(self) -> float:
        """The mean of `accuracies`."""
        return float(np.mean(self.accuracies))

    def __str__(self):
        return " ".join(f"{name}={value}" for name, value in self.values.items())


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How well the ranking by distilled data agrees with real training.

    Attributes:
        candidates: How many were trained on both.
        spearman: The rank correlation of the accuracies, -1 to 1.
        top: k, of what follows.
        overlap: Which part of the k best by distilled data is among the k best by real.
        shortfall: What the best of the top k by distilled data lacks, in accuracy by
            real data, to the best of all.
        speedup: How much longer a candidate took on real data.
    """

    candidates: int
    spearman: float
    top: int
    overlap: float
    shortfall: float
    speedup: float


class Search:
    """A search for architectures, kept in a folder: a killed one goes on.

    An oracle's questions depend on its seed and on the answers so far, all of which are
    in `candidates.json`: a search that goes on asks the same questions again, and what
    is known is not measured again.

    Args:
        space: As of `architecture_spaces.get`.
        distilled: The `DistilledDataset` that candidates train on.
        dataset: The real data, with a validation part (`Dataset.hold_out`).
        folder: Where results are kept; KerasTuner's own files are in `tuner`.
        oracle: "random", "bayesian" or "hyperband".
        num_students: Networks, of other initial weights each, whose mean accuracy is a
            candidate's score. Hyperband gives the promising ones so many, and the
            others fewer: at least 2.
        seed: Of the oracle and of initial weights, at least 0.

    Raises:
        ImportError: If there is no KerasTuner.
        ValueError: If there is no such space or oracle, none of the space's candidates
            fits, a number is out of range, or the data are of different kinds.
    """

    def __init__(
        self,
        space: str | Callable[..., keras.Model],
        distilled: DistilledDataset,
        dataset: Dataset,
        folder: str | os.PathLike,
        *,
        oracle: str = "random",
        num_students: int = 1,
        seed: int = 0,
    ):
        self._tuner = _keras_tuner()
        if oracle not in ORACLES:
            raise ValueError(
                f"oracle must be one of {', '.join(ORACLES)}, not {oracle!r}."
            )
        check_int("num_students", num_students, 2 if oracle == "hyperband" else 1)
        if dataset.validation is None:
            raise ValueError(
                f"{dataset.name} needs a validation part: dataset.hold_out(0.1)."
            )
        distilled.check_fits(dataset)
        self._space = architecture_spaces.get(space)
        self._name = space if isinstance(space, str) else space.__name__
        self._distilled, self._dataset = distilled, dataset
        self._folder = os.fspath(folder)
        self._oracle, self._num_students = oracle, num_students
        self._seed = check_int("seed", seed, 0)
        self._validation = dataset.validation.batch(1000)
        self._choices = self._declared()

    @functools.cached_property
    def candidates(self) -> list[Candidate]:
        """All that were tried so far, in their order.

        Raises:
            ValueError: If the folder holds another search.
        """
        return self._read()

    @property
    def ranking(self) -> list[Candidate]:
        """The candidates that were not skipped, the best on distilled data first."""
        scored = [c for c in self.candidates if c.refusal is None]
        return sorted(scored, key=lambda c: c.score, reverse=True)

    def explore(
        self, count: int, after_each: Callable[[Candidate], None] = lambda _: None
    ) -> None:
        """Trains candidates on distilled data until so many are ranked.

        Fewer, if the space has no more; at most ten times as many are tried.

        Args:
            count: At least 1.
            after_each: Called with each candidate that was trained or skipped.
        """
        oracle = self._make_oracle(10 * check_int("count", count, 1))
        known = {_key(c.values): c for c in self.candidates}
        while len(self.ranking) < count:
            trial = oracle.create_trial("search")
            if trial.status != "RUNNING":
                return
            values = trial.hyperparameters.values
            wanted = values.get("tuner/epochs", self._num_students)
            candidate = known.get(_key(values))
            if candidate is None:
                candidate = known[_key(values)] = Candidate(_own(values))
                self.candidates.append(candidate)
            if candidate.refusal is None and len(candidate.accuracies) < wanted:
                self._score(candidate, wanted)
                self._write()
                after_each(candidate)
            if candidate.refusal is None:
                scored = {"accuracy": candidate.score}
                oracle.update_trial(trial.trial_id, scored)
            trial.status = "FAILED" if candidate.refusal else "COMPLETED"
            oracle.end_trial(trial)

    def compare(
        self,
        count: int,
        epochs: int,
        after_each: Callable[[Candidate], None] = lambda _: None,
        **kwargs,
    ) -> None:
        """Trains some candidates on real data, too.

        Args:
            count: How many, evenly from the best to the worst of the ranking.
            epochs: Passes over the training images, at least 1.
            after_each: Called with each candidate that was trained.
            **kwargs: Of `train_on_real`.
        """
        ranking = self.ranking
        places = np.linspace(0, len(ranking) - 1, min(count, len(ranking)))
        for place in places.round().astype(int):
            candidate = ranking[place]
            if candidate.real_accuracy is None:
                started = time.monotonic()
                model = self.retrained(candidate, epochs, **kwargs)
                found = evaluate_model(model, self._validation)
                candidate.real_accuracy = found.accuracy_mean
                candidate.real_seconds = time.monotonic() - started
                self._write()
                after_each(candidate)
                keras.utils.clear_session()

    def agreement(self, top: int = 5) -> Agreement:
        """Compares the two rankings of the candidates that `compare` has trained.

        Args:
            top: k; less, if they are fewer than twice as many.

        Raises:
            ValueError: If they are fewer than 3.
        """
        both = [c for c in self.ranking if c.real_accuracy is not None]
        if len(both) < 3:
            raise ValueError(
                f"Rankings of {len(both)} candidates cannot be compared: it takes 3."
            )
        from scipy import stats

        score = np.array([c.score for c in both])
        real = np.array([c.real_accuracy for c in both])
        constant = np.ptp(score) == 0 or np.ptp(real) == 0
        top = min(top, len(both) // 2)
        best = np.argsort(-real, kind="stable")[:top]
        return Agreement(
            candidates=len(both),
            spearman=0.0 if constant else float(stats.spearmanr(score, real).statistic),
            top=top,
            overlap=float(np.mean(best < top)),  # `both` is in the order of the score
            shortfall=float(real.max() - real[:top].max()),
            speedup=sum(c.real_seconds for c in both) / sum(c.seconds for c in both),
        )

    def build(self, values: dict) -> keras.Model:
        """A new model of the candidate with these hyperparameters.

        Raises:
            ValueError: If it doesn't fit.
        """
        choices = self._tuner.HyperParameters()
        choices.values = dict(values)
        return self._build(choices)

    def retrained(self, candidate: Candidate, epochs: int, **kwargs) -> keras.Model:
        """A network of a candidate's architecture, trained on real data from scratch.

        Args:
            candidate: Whose.
            epochs, **kwargs: As of `train_on_real`.
        """
        model = self.build(candidate.values)
        start = RandomWeights()
        start.build(lambda: self.build(candidate.values), model)
        seed = student_seed(self._seed, PRETRAINING, 0)
        StatelessModel(model).assign(*start.sample(seed))
        train_on_real(model, self._dataset, epochs, seed=self._seed, **kwargs)
        return model

    def _build(self, choices):
        def candidate(image_shape, num_classes):
            return self._space(choices, image_shape, num_classes)

        data = self._dataset
        return students.build(candidate, data.image_shape, data.num_classes)

    def _score(self, candidate, num_students):
        started = time.monotonic()
        try:
            candidate.parameters = self.build(candidate.values).count_params()
            evaluator = Evaluator(
                lambda: self.build(candidate.values),
                self._distilled,
                initial_weights=RandomWeights(),
                side_by_side=1,
            )
            found = evaluator(
                self._distilled, self._validation, num_students, seed=self._seed
            )
            candidate.accuracies = found.accuracies.tolist()
        except _REFUSALS as error:
            candidate.refusal = students.first_sentence(error)
        candidate.seconds += time.monotonic() - started
        keras.utils.clear_session()

    def _declared(self):
        """All choices of the space, found by building some of its networks."""
        choices = self._tuner.HyperParameters()
        fits, error = False, None
        for draw in range(_DRAWS):
            known = len(choices.space)
            choices.values = {}
            for number, choice in enumerate(choices.space):
                if draw and choices.is_active(choice):
                    value = choice.random_sample(f"{self._seed} {draw} {number}")
                    choices.values[choice.name] = value
            choices.ensure_active_values()
            try:
                self._build(choices)
                fits = True
            except _REFUSALS as refusal:
                error = refusal
            if fits and draw > 1 and len(choices.space) == known:
                choices.values = {}
                choices.ensure_active_values()
                return choices
        data = self._dataset
        raise ValueError(
            f"The space {self._name} has no candidate for images of shape "
            f"{tuple(data.image_shape)} and {data.num_classes} classes: of {_DRAWS} "
            f"none fits, the last one because: {students.first_sentence(error)}"
        )

    def _make_oracle(self, max_trials):
        oracles = self._tuner.oracles
        settings = {
            "objective": self._tuner.Objective("accuracy", "max"),
            "hyperparameters": self._choices.copy(),
            # Whatever else a network asks for keeps its default.
            "tune_new_entries": False,
            "seed": self._seed + 1,  # 0 would mean a random one
            "max_consecutive_failed_trials": max_trials + 1,
        }
        if self._oracle == "hyperband":
            oracle = oracles.HyperbandOracle(
                max_epochs=self._num_students, hyperband_iterations=None, **settings
            )
            oracle.max_trials = max_trials
        elif self._oracle == "bayesian":
            oracle = oracles.BayesianOptimizationOracle(
                max_trials=max_trials, **settings
            )
        else:
            oracle = oracles.RandomSearchOracle(max_trials=max_trials, **settings)
        oracle.verbose = 0
        # Gives the oracle its folder.
        self._tuner.engine.base_tuner.BaseTuner(
            oracle, directory=self._folder, project_name="tuner", overwrite=True
        )
        return oracle

    @property
    def _path(self):
        return os.path.join(self._folder, "candidates.json")

    def _settings(self):
        """What the candidates' results depend on."""
        data = self._distilled
        key = hashlib.sha256()
        for array in (data.images, data.labels, data.learning_rates):
            key.update(np.ascontiguousarray(array))
        return {
            "space": self._name,
            "dataset": self._dataset.name,
            "distilled": key.hexdigest(),
            "seed": self._seed,
        }

    def _read(self):
        if not os.path.isfile(self._path):
            return []
        try:
            with open(self._path, encoding="utf-8") as file:
                content = json.load(file)
            candidates = [Candidate(**c) for c in content["candidates"]]
            settings = content["settings"]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{self._path} is damaged: remove it, and the search begins anew."
            ) from error
        if settings != self._settings():
            raise ValueError(
                f"{self._path} is of another search: of other distilled data, space, "
                "data set or seed."
            )
        return candidates

    def _write(self):
        content = {
            "settings": self._settings(),
            "candidates": [dataclasses.asdict(c) for c in self.candidates],
        }
        os.makedirs(self._folder, exist_ok=True)
        temporary = f"{self._path}.tmp"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
        os.replace(temporary, self._path)


def train_on_real(
    model: keras.Model,
    dataset: Dataset,
    epochs: int,
    *,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
    verbose: int | str = 0,
) -> None:
    """Trains a model on the training part, by Adam with a cosine schedule.

    Args:
        model: A built model with logits.
        dataset: Real data.
        epochs: Passes over it, at least 1.
        batch_size: At least 1.
        learning_rate: At first, > 0; 0 in the end.
        seed: Of the order of the examples.
        verbose: As of `keras.Model.fit`.
    """
    train = dataset.train
    steps = max(1, train.num_examples // batch_size)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps * epochs)
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(
        train.batch(batch_size, shuffle=True, seed=seed, repeat=True),
        steps_per_epoch=steps,
        epochs=epochs,
        shuffle=False,  # the batches are
        verbose=verbose,
    )


def table(candidates: Sequence[Candidate]) -> str:
    """Candidates, in the order given, as a Markdown table.

    Args:
        candidates: None of them skipped.
    """
    lines = [
        "| rank | distilled data | real data | weights | seconds | architecture |",
        "|---|---|---|---|---|---|",
    ]
    for rank, candidate in enumerate(candidates, 1):
        real = candidate.real_accuracy
        cells = (
            f"{rank}",
            f"{100 * candidate.score:.2f} %",
            "" if real is None else f"{100 * real:.2f} %",
            f"{candidate.parameters:,}",
            f"{candidate.seconds:.1f}",
            f"{candidate}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _keras_tuner():
    try:
        import keras_tuner
    except ImportError as error:
        raise ImportError(
            "Searching needs KerasTuner: pip install 'tfdistill[search]'."
        ) from error
    return keras_tuner


def _own(values):
    """Without those by which Hyperband keeps its rounds."""
    return {k: v for k, v in values.items() if not k.startswith("tuner/")}


def _key(values):
    return json.dumps(_own(values), sort_keys=True)
