"""Architectures ranked by what they learn from distilled data, in seconds each.

Such et al. 2019, section 4.3: a candidate trains on synthetic data alone, and is scored
on the validation part of the real training data; only the best are trained on real
data. An oracle of KerasTuner chooses the candidates.
"""

import functools
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdistill import students
from tfdistill._internal.checks import check_int, first_sentence
from tfdistill.data.dataset import Dataset
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation import networks
from tfdistill.evaluation.batches import fitted
from tfdistill.evaluation.evaluator import Evaluator, evaluate_model
from tfdistill.runs import files
from tfdistill.runs.backup import Backup
from tfdistill.students import architecture_spaces, names, saving
from tfdistill.studies.architecture_search import kept, oracles
from tfdistill.studies.architecture_search.candidates import (
    Agreement,
    Candidate,
    agreement_of,
    ranked,
)
from tfdistill.studies.pretraining import Recipe, check_batches, pretrain
from tfdistill.weights.random import RandomWeights


class Search:
    """A search for architectures, kept in a folder, so that a killed one can resume.

    All results are in `candidates.json`. A search that resumes tries the same
    candidates again, and nothing is measured twice.

    Args:
        space: The name of a shipped space, "package.module:function", or a callable
            `(hp, image_shape, num_classes) -> keras.Model`, as `architecture_spaces`
            describes it.
        distilled: The `DistilledDataset` that candidates train on.
        dataset: The real data, with a validation part (`Dataset.hold_out`).
        folder: Folder for results.
        oracle: "random", "bayesian" or "hyperband".
        num_students: Number of networks, each with other initial weights, whose mean
            accuracy is a candidate's score, at least 1. Hyperband trains this many for
            promising candidates and fewer for others: at least 2. A search that goes on
            may ask for more (it trains all again), not for fewer; one by Hyperband for
            neither.
        passes: Passes over the distilled images by Adam (`DistilledDataset.by_adam`),
            at least 1. By default, candidates train as the images' recipe says. Learned
            steps suit some architectures better than others, which affects the ranking.
        score_images: Largest number of validation images on which networks are tested
            after distilled data, at least 1; classes keep their proportions.
        seed: Seed of the oracle, the initial weights and the choice of images, at least
            0.
        strategy: A strategy whose replicas share a candidate's networks, and their
            batches of real data. Call nothing of this class in its scope: clearing
            Keras after each candidate, which keeps memory from growing, ends the scope.
        saves: Whether networks are to be saved: candidates of which a `.keras` file
            cannot be loaded are skipped before they are trained.

    Raises:
        ImportError: If KerasTuner is not installed.
        ValueError: If there is no such space or oracle, none of the space's candidates
            fits, a number is out of range, or the data are of different kinds.

    Example:
        >>> import tempfile, tfdistill
        >>> digits = tfdistill.load_dataset("digits").hold_out(0.1)
        >>> distilled = tfdistill.baselines.random_real(digits, steps=2)
        >>> search = tfdistill.architecture_search.Search(
        ...     "small_convnets", distilled, digits, tempfile.mkdtemp()
        ... )  # and then: search.explore(20), search.ranking
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
        passes: int | None = None,
        score_images: int = 2000,
        seed: int = 0,
        strategy: tf.distribute.Strategy | None = None,
        saves: bool = False,
    ):
        if oracle not in oracles.ORACLES:
            raise ValueError(
                f"oracle must be one of {', '.join(oracles.ORACLES)}, not {oracle!r}."
            )
        fewest = 2 if oracle == "hyperband" else 1
        num_students = check_int("num_students", num_students, fewest)
        if dataset.validation is None:
            raise ValueError(
                f"{dataset.name} needs a validation part: dataset.hold_out(0.1)."
            )
        distilled.check_fits(dataset)
        self._space = _found(space)
        self._name, self._is_named = _name_of(space), isinstance(space, str)
        self._first: dict | None = None  # values of the first network that fits
        if passes is not None:
            distilled = distilled.by_adam(passes)
        self._distilled, self._dataset, self._oracle = distilled, dataset, oracle
        self._folder, self._num_students = files.local(folder), num_students
        self._seed = check_int("seed", seed, 0)
        self._score_images = check_int("score_images", score_images, 1)
        self._strategy = strategy or tf.distribute.get_strategy()
        self._validation, self._saves = dataset.validation.passes(), saves
        try:
            self._choices = oracles.choices(self._rehearsed, self._seed)
        except ValueError as error:
            raise ValueError(
                f"The space {self._name} has no candidate for images of shape "
                f"{tuple(dataset.image_shape)} and {dataset.num_classes} classes: "
                f"{error}"
            ) from error

    @functools.cached_property
    def candidates(self) -> list[Candidate]:
        """All candidates that were tried so far, in order.

        Raises:
            ValueError: If the folder holds another search, or one with more networks.
        """
        return kept.read(self._folder, self._settings, self._num_students)

    @property
    def ranking(self) -> list[Candidate]:
        """Candidates with `num_students` networks, the best on distilled data first.

        Hyperband's have fewer, too; they come by their number of networks, then by
        score: of many scores of few networks, the highest are lucky ones.
        """
        fewest = 1 if self._oracle == "hyperband" else self._num_students
        return ranked(self.candidates, fewest)

    @property
    def example(self) -> Candidate:
        """A candidate with the first value of each hyperparameter; it may not fit."""
        return Candidate(dict(self._choices.values))

    def explore(
        self, count: int, after_each: Callable[[Candidate], None] = lambda _: None
    ) -> None:
        """Trains candidates on distilled data until `count` are ranked.

        Fewer, if the space has no more; at most ten times `count` are tried.

        Args:
            count: Number of candidates to rank, at least 1.
            after_each: Called with each candidate that was trained or skipped.

        Raises:
            ValueError: If none of them can be trained.
        """
        count = check_int("count", count, 1)
        known = {oracles.key(c.values): c for c in self.candidates}
        oracle = oracles.Oracle(
            self._choices,
            self._oracle,
            count,
            self._num_students,
            self._folder,
            self._seed,
        )
        while len(self.ranking) < count and (proposal := oracle.ask()):
            values, num_students = proposal
            candidate = known.setdefault(oracles.key(values), Candidate(values))
            fits = candidate.refusal is None
            if fits and len(candidate.accuracies) < num_students:
                if not candidate.accuracies:
                    self.candidates.append(candidate)
                self._score(candidate, num_students)
                self._write()
                after_each(candidate)
            # A search that resumes may know more networks, or what came of them.
            first = candidate.accuracies[:num_students]
            oracle.tell(float(np.mean(first)) if len(first) == num_students else None)
        if not self.ranking:
            raise ValueError(
                f"None of {len(self.candidates)} candidates of the space {self._name} "
                f"could be trained; the last: {self.candidates[-1].refusal}"
            )

    def compare(
        self,
        count: int,
        epochs: int,
        after_each: Callable[[Candidate], None] = lambda _: None,
        *,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = 0,
    ) -> None:
        """Trains some candidates on real data, too.

        All results on real data are of one training: those of another are dropped.

        Args:
            count: Number of candidates, at least 1, evenly spaced from the best to the
                worst of the ranking.
            epochs: Passes over the training images, at least 1.
            after_each: Called with each candidate that was trained.
            batch_size, learning_rate, callbacks, verbose: Same as for `retrained`.
        """
        training: dict[str, Any] = {
            "epochs": check_int("epochs", epochs, 1),
            "batch_size": check_int("batch_size", batch_size, 1),
            "learning_rate": float(learning_rate),
        }
        check_batches(self._dataset, batch_size, self._strategy)
        told = {**training, "halve_every": -(-epochs // 3)}
        shown: dict[str, Any] = {"callbacks": callbacks, "verbose": verbose}
        ranking, count = self.ranking, check_int("count", count, 1)
        kept.drop_others(self.candidates, told)
        places = np.linspace(0, len(ranking) - 1, min(count, len(ranking)))
        for candidate in [ranking[k] for k in places.round().astype(int)]:
            if candidate.real_accuracy is None:
                started = time.monotonic()
                model = self.retrained(candidate, **training, **shown)
                found = evaluate_model(model, self._validation)
                candidate.real_accuracy = found.accuracy_mean
                candidate.real_seconds = time.monotonic() - started
                candidate.real_training = told
                self._write()
                after_each(candidate)
                keras.utils.clear_session()  # or memory grows

    def agreement(self, top: int = 5) -> Agreement:
        """Compares the two rankings of the candidates that `compare` has trained.

        Args:
            top: k, at least 1; less, if there are fewer than 2 k candidates.

        Raises:
            ValueError: If there are fewer than 3 candidates, or `top` is below 1.
        """
        return agreement_of(self.ranking, top)

    def build(self, candidate: Candidate) -> keras.Model:
        """A new model of a candidate's architecture.

        Raises:
            ValueError: If it doesn't fit.
        """
        return oracles.model_of(self._build, candidate.values)

    def retrained(
        self,
        candidate: Candidate,
        epochs: int,
        *,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        backup: Backup | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = 0,
    ) -> keras.Model:
        """A network of a candidate's architecture, trained on real data from scratch.

        Args:
            candidate: The candidate.
            epochs: Passes over the training images, at least 1.
            batch_size: Batch size, at least 1.
            learning_rate: Initial rate of Adam, > 0; it is halved after each third of
                the epochs, rounded up.
            backup, callbacks, verbose: Same as for `pretraining.pretrain`.
        """
        epochs = check_int("epochs", epochs, 1)
        with self._strategy.scope():
            (model,) = pretrain(
                lambda: self.build(candidate),
                self._dataset,
                [0],
                Recipe(epochs, -(-epochs // 3), learning_rate),
                batch_size=batch_size,
                seed=self._seed,
                backup=backup,
                callbacks=callbacks,
                verbose=verbose,
            )
        return model

    @functools.cached_property
    def _scored_on(self):
        images, most = self._dataset.validation, self._score_images
        if len(images) > most:
            images = images.split(most / len(images), self._seed)[1]
            # Rounded class by class, they may be a few more.
            order = np.random.default_rng(self._seed).permutation(len(images))
            images = images.subset(order < most)
        return fitted(images, self._distilled).passes()

    def _build(self, hyperparameters):
        def candidate(image_shape, num_classes):
            return self._space(hyperparameters, image_shape, num_classes)

        data = self._dataset
        return students.build(candidate, data.image_shape, data.num_classes)

    def _rehearsed(self, hyperparameters):
        model = self._build(hyperparameters)
        if self._saves:
            saving.rehearse(model)
        if self._first is None:
            self._first = dict(hyperparameters.values)
        return model

    def _score(self, candidate, num_students):
        def make_model():
            model = self.build(candidate)
            candidate.parameters = model.count_params()
            return model

        images = self._scored_on
        started = time.monotonic()
        try:
            if self._saves:
                saving.rehearse(self.build(candidate))
            # One graph for all, which costs more to trace than the training itself.
            learn = Evaluator(
                make_model,
                self._distilled,
                initial_weights=RandomWeights(),
                side_by_side=1,
                strategy=self._strategy,
            )
            found = learn(self._distilled, images, num_students, seed=self._seed)
            candidate.accuracies = found.accuracies.tolist()
        except oracles.REFUSALS as error:
            candidate.refusal = first_sentence(error)
        candidate.seconds += time.monotonic() - started
        keras.utils.clear_session()  # or memory grows

    @functools.cached_property
    def _settings(self):
        return kept.settings(
            self._name,
            self._distilled,
            self._dataset,
            self._score_images,
            self._seed,
            self._told(),
            self._oracle,
            self._num_students,
            self._saves,
        )

    def _told(self):
        """What tells a space that is no name from others: one of its networks."""
        if self._is_named or self._first is None:
            return ""

        def first(image_shape, num_classes):
            return oracles.model_of(self._build, self._first)

        try:
            return networks.key(first, self._dataset)
        except oracles.REFUSALS:  # networks whose weights cannot be drawn
            return ""

    def _write(self):
        kept.write(self._folder, self._settings, self.candidates)


def _found(space):
    if callable(space):
        return space
    if ":" in space:
        return names.imported(space, "space")
    known = architecture_spaces.SPACES
    if space not in known:
        raise ValueError(
            f"space must be one of {', '.join(known)}, or 'package.module:function', "
            f"not {space!r}."
        )
    return known[space]


def _name_of(space):
    if isinstance(space, str):
        return space
    return getattr(space, "__name__", type(space).__name__)
