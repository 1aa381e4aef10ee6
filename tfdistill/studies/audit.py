"""Is a data set sound? Students of distilled data say which labels they contradict.

A few distilled images have no room for single wrong labels: what thousands of examples
agree on goes into them. Students that learn from images distilled from one half of the
data judge the labels of the other half. What a label is worth is then ranked as in
confident learning (Northcutt et al. 2021, arXiv:1911.00068), by its probability; how
many are wrong is counted where the students are sure (the anchor points of Patrini et
al. 2017, arXiv:1609.03683).
"""

import dataclasses
import functools
import os
import time
from collections.abc import Callable

import keras
import numpy as np
import scipy.special

from tfdistill import students
from tfdistill._internal import seeds
from tfdistill._internal.checks import check_int
from tfdistill.data.dataset import Dataset
from tfdistill.data.split import Split
from tfdistill.distiller import Distiller
from tfdistill.runs.annealing import Anneal
from tfdistill.runs.backup import Backup
from tfdistill.runs.journal import read_arrays, write_arrays
from tfdistill.synthesizers.images import DistilledImages
from tfdistill.weights.fixed import FixedWeights


@dataclasses.dataclass(frozen=True)
class Audit:
    """What students that never saw an example say about its label.

    Attributes:
        given: int `[examples]`, the labels in question; every class has some.
        probabilities: float32 `[examples, classes]`, the mean over students.
        votes: int `[examples, classes]`, how many students call it what; at least one.
        cpu_seconds: What it took to make the students and to ask them.
    """

    given: np.ndarray
    probabilities: np.ndarray
    votes: np.ndarray
    cpu_seconds: float = 0.0

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return self.votes.shape[1]

    @functools.cached_property
    def scores(self) -> np.ndarray:
        """float `[examples]`: the given label's probability, low if contradicted."""
        return self._of_given(self.probabilities)

    @property
    def agreement(self) -> np.ndarray:
        """float `[examples]` in 0..1: the share of students who say the given label."""
        return self._of_given(self.votes) / self.votes.sum(1)

    @functools.cached_property
    def suggested(self) -> np.ndarray:
        """int `[examples]`: the most probable label."""
        return self.probabilities.argmax(1)

    @property
    def ranking(self) -> np.ndarray:
        """int `[examples]`: all examples, the most suspect first."""
        return np.argsort(self.scores, kind="stable")

    def noise(self) -> np.ndarray:
        """Which labels stand for which, by the examples of which students are sure.

        Students err, too, but hardly where they are sure, and they never saw the given
        labels: of each class, how often it is given another label is counted among the
        surest quarter (but at least 100) of the examples that students say are of it.

        Returns:
            float `[classes, classes]` of sum 1: the share of examples with the given
            label of the row and the true label of the column.
        """
        said, sure = self.suggested, self.probabilities.max(1)
        given_by_true = np.eye(self.num_classes)
        for label in range(self.num_classes):
            where = np.flatnonzero(said == label)
            if len(where):
                where = where[np.argsort(-sure[where], kind="stable")]
                surest = self.given[where[: max(len(where) // 4, 100)]]
                counts = np.bincount(surest, minlength=self.num_classes)
                given_by_true[:, label] = counts / len(surest)
        # How many there are of each true class follows from how many are given.
        shares = np.bincount(self.given, minlength=self.num_classes) / len(self.given)
        true = np.clip(np.linalg.lstsq(given_by_true, shares, rcond=None)[0], 0, None)
        joint = given_by_true * true
        return joint / joint.sum()

    @property
    def noise_rate(self) -> float:
        """The estimated share of wrong labels, in 0..1."""
        return float(1 - np.trace(self.noise()))

    @functools.cached_property
    def suspects(self) -> np.ndarray:
        """bool `[examples]`: whose label is probably wrong.

        Of each given label so many as `noise` says, the least probable ones, and only
        where students suggest another.
        """
        scores = self.scores
        wrong = self.noise()
        np.fill_diagonal(wrong, 0)
        chosen = np.zeros(len(self.given), bool)
        for label, share in enumerate(wrong.sum(1)):
            of_label = np.flatnonzero(self.given == label)
            count = round(share * len(self.given))
            chosen[of_label[np.argsort(scores[of_label], kind="stable")[:count]]] = True
        return chosen & (self.suggested != self.given)

    def _of_given(self, values):
        return np.take_along_axis(values, self.given[:, None], 1)[:, 0]


def flipped(split: Split, share: float, seed: int = 0) -> tuple[Split, np.ndarray]:
    """Makes some labels wrong, to see how well an audit finds them.

    Args:
        split: In memory.
        share: The probability of each label to become any other, in 0..1.
        seed: Of the choice.

    Returns:
        The split with such labels, and bool `[examples]`: which are wrong.

    Raises:
        ValueError: If the share is out of range.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be between 0 and 1, not {share!r}.")
    rng = np.random.default_rng(check_int("seed", seed, 0))
    wrong = rng.random(split.num_examples) < share
    labels = np.array(split.labels)
    others = rng.integers(1, split.num_classes, wrong.sum())
    labels[wrong] = (labels[wrong] + others) % split.num_classes
    changed = Split(
        split.images, labels, split.normalization, num_classes=split.num_classes
    )
    return changed, wrong


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How students are made for an audit.

    Attributes:
        student: As of `Population`.
        rounds: How often the data is halved, each time in another way: twice as many
            distillations, each for initial weights of its own, and each example is
            judged by this many students.
        outer_steps: Of each distillation.
        steps, images_per_class: Of the distilled data, which is gone through once.
        batch_size: Real images that judge a student while distilling.
        outer_learning_rate: Of Adam on the images.
        seed: Of everything that is drawn.
    """

    student: object = "gtn_learner@16-32-64"
    rounds: int = 2
    outer_steps: int = 800
    steps: int = 10
    images_per_class: int = 2
    batch_size: int = 256
    outer_learning_rate: float = 0.03
    seed: int = 0


def examine(
    dataset: Dataset,
    recipe: Recipe,
    *,
    folder: str | os.PathLike | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Audit:
    """Audits the labels of a data set's training examples.

    Args:
        dataset: Whose `train` is in question, held in memory.
        recipe: How.
        folder: Where the state is kept after each distillation, and within: a run that
            is killed goes on. None for nowhere.
        tell: Called with a line about each distillation.

    Returns:
        An `Audit` of `dataset.train`, in its order.

    Raises:
        ValueError: If a class has too few examples to be halved and distilled, or the
            student doesn't fit the data.
        FloatingPointError: If a student diverges.
    """
    train = dataset.train
    probabilities = np.zeros((train.num_examples, train.num_classes), np.float32)
    votes, cpu_seconds = np.zeros(probabilities.shape, np.int32), 0.0
    for number in range(2 * recipe.rounds):
        held = _half(train, recipe.seed + number // 2) ^ bool(number % 2)
        found, spent = _judged(dataset, held, recipe, number, folder)
        said = found.argmax(1)
        probabilities[held] += found / recipe.rounds
        votes[np.flatnonzero(held), said] += 1
        cpu_seconds += spent
        tell(
            f"Distillation {number + 1} of {2 * recipe.rounds}: its student agrees "
            f"with {100 * np.mean(said == train.labels[held]):.2f} % of the other "
            "half's labels."
        )
    return Audit(np.asarray(train.labels), probabilities, votes, cpu_seconds)


def _half(split, seed):
    """bool `[examples]`: a random half of every class."""
    rng = np.random.default_rng([seed, seeds.AUDIT_HALVES])
    held = np.zeros(split.num_examples, bool)
    for label in range(split.num_classes):
        where = rng.permutation(np.flatnonzero(split.labels == label))
        held[where[: len(where) // 2]] = True
    return held


def _judged(dataset, held, recipe, number, folder):
    """What `_judge` says, and its CPU-seconds: found in the folder, or kept there."""
    path = folder and os.path.join(folder, f"part-{number}")
    kept = path and read_arrays(f"{path}.npz")
    if kept and len(kept["probabilities"]) == held.sum():
        return kept["probabilities"], float(kept["cpu_seconds"])
    started = time.process_time()
    probabilities = _judge(dataset, held, recipe, number, path)
    spent = time.process_time() - started
    if path:
        write_arrays(f"{path}.npz", probabilities=probabilities, cpu_seconds=spent)
    return probabilities, spent


def _judge(dataset, held, recipe, number, backup_folder):
    """Distils from one part, and lets the student judge the part that is held out.

    Returns:
        Its probabilities, float32 `[held-out examples, classes]`.
    """
    known, judged = dataset.train.subset(~held), dataset.train.subset(held)
    seed = recipe.seed + 1000 * number
    keras.utils.set_random_seed(seed % 2**31)
    distiller = Distiller(
        recipe.student,
        DistilledImages.from_real(
            dataclasses.replace(dataset, train=known),
            images_per_class=recipe.images_per_class,
            steps=recipe.steps,
            epochs=1,
            soft_labels=True,
            inner_optimizer="momentum",
            seed=seed,
        ),
        # One known start is learned for in a fraction of the time that any takes.
        FixedWeights(),
        seed=seed,
    )
    distiller.compile(
        keras.optimizers.Adam(
            recipe.outer_learning_rate, beta_1=0.5, use_ema=True, ema_momentum=0.97
        ),
        students_per_step=1,
    )
    anneal = Anneal("cosine", outer_steps=recipe.outer_steps)
    callbacks, done, every = [anneal], 0, max(1, recipe.outer_steps // 5)
    if backup_folder:
        backup = Backup(backup_folder, anneal)
        done = backup.restore(distiller)
        callbacks.append(backup)
    distiller.fit(
        known.batch(
            recipe.batch_size, shuffle=True, seed=seed, repeat=True, start=done
        ),
        **anneal.epochs(done, every),
        verbose=0,
        callbacks=callbacks,
    )
    student = students.build(recipe.student, dataset.image_shape, dataset.num_classes)
    distiller.distilled().train(student)
    # Not by `predict`, which would be traced for each student, and used once.
    logits = np.concatenate(
        [student(images, training=False) for images, _ in judged.passes()]
    )
    if not np.isfinite(logits).all():
        raise FloatingPointError(
            f"The student of distillation {number + 1} diverged: choose a smaller "
            "outer learning rate."
        )
    return scipy.special.softmax(logits, axis=1)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """Whether a model was fitted to wrong labels: what it says of an audit's suspects.

    Attributes:
        repeated: The share of suspects to which the model gives the label that students
            contradict, in 0..1; high if it has learned the wrong labels by heart.
        sided: The share to which it gives the label that the students suggest.
        disagreement: The share of all other examples whose label it contradicts.
    """

    repeated: float
    sided: float
    disagreement: float


def fitted(audit: Audit, said: np.ndarray) -> Fitted:
    """Compares a model with the students.

    Args:
        audit: With at least one suspect.
        said: int `[examples]`: the model's class of each of the audited examples.

    Raises:
        ValueError: If there are no suspects, or it is another number of examples.
    """
    suspects = audit.suspects
    if said.shape != suspects.shape:
        raise ValueError(
            f"said must have the shape {list(suspects.shape)}, not {list(said.shape)}."
        )
    if not suspects.any():
        raise ValueError("No label is suspect, so none can have been learned by heart.")
    repeats = said == audit.given
    return Fitted(
        repeated=float(repeats[suspects].mean()),
        sided=float((said == audit.suggested)[suspects].mean()),
        disagreement=float(1 - repeats[~suspects].mean()),
    )
