"""Which labels of a data set are wrong? Students of distilled data contradict them.

A few distilled images have no room for single wrong labels: they hold what thousands of
examples agree on. Students that learn from images distilled from one half of the data
judge the labels of the other half. How many labels are wrong is estimated from examples
of which students are sure (the anchor points of Patrini et al. 2017, arXiv:1609.03683);
with that, Bayes' rule gives the probability that a given label is right.
"""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

import keras
import numpy as np
import scipy.special

from tfdistill import students
from tfdistill._internal import seeds
from tfdistill._internal.checks import check_positive, keep_ints
from tfdistill.data.dataset import Dataset
from tfdistill.distiller import Distiller
from tfdistill.inner.stateless import in_precision
from tfdistill.runs import files
from tfdistill.runs.annealing import Anneal
from tfdistill.runs.backup import Backup
from tfdistill.runs.clock import Clock
from tfdistill.runs.journal import write_arrays
from tfdistill.studies import audit_folder, audit_halves
from tfdistill.studies.flipping import flipped as flipped
from tfdistill.synthesizers.images import DistilledImages
from tfdistill.weights.fixed import FixedWeights
from tfdistill.weights.random import RandomWeights

# Below 1, students are surer than they say: few outer steps make them so. Above, less.
_TEMPERATURES = np.geomspace(0.25, 8, 41)


@dataclasses.dataclass(frozen=True)
class Audit:
    """What students that never saw an example say about its label.

    Attributes:
        given: int `[examples]`, the audited labels; every class has some.
        probabilities: float32 `[examples, classes]`, the mean over students.
        votes: int `[examples, classes]`, how many students predict each class; at least
            one student judges each example.
        cpu_seconds: CPU time of making the students and of their predictions.
        seconds: How long that took.

    Example:
        >>> import numpy as np, tfdistill
        >>> given, said = np.repeat([0, 1], 50), np.eye(2)[[1] + 49 * [0] + 50 * [1]]
        >>> audit = tfdistill.audit.Audit(given, said, said.astype(int))
        >>> np.flatnonzero(audit.suspects).tolist()
        [0]
    """

    given: np.ndarray
    probabilities: np.ndarray
    votes: np.ndarray
    cpu_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.votes.shape[1]

    @functools.cached_property
    def scores(self) -> np.ndarray:
        """Probability that each given label is right, float `[examples]`, in 0..1.

        By Bayes' rule from what students say of the example and from `noise_rate`, as
        if a wrong label were any other class alike: how often a class stands for
        another one is known too badly where few labels are wrong. Students are more or
        less sure than they may be, so their probabilities are tempered (Guo et al.
        2017, arXiv:1706.04599), such that the given labels are as likely as can be.
        """
        # Nobody can know that no label at all is wrong.
        wrong = min(self.noise_rate + 1 / len(self.given), 1 - 1 / self.num_classes)
        logs = np.log(np.clip(self.probabilities, 1e-30, 1)).astype("float64")
        likeliest, best = np.empty(0), -np.inf
        for temperature in _TEMPERATURES:
            right = self._of_given(scipy.special.softmax(logs / temperature, 1))
            given_right = right * (1 - wrong)
            given = given_right + (1 - right) * wrong / (self.num_classes - 1)
            if (likelihood := np.log(given).sum()) > best:
                likeliest, best = given_right / given, likelihood
        return likeliest

    @property
    def agreement(self) -> np.ndarray:
        """Share of students that predict the given label, float `[examples]`."""
        return self._of_given(self.votes) / self.votes.sum(1)

    @functools.cached_property
    def suggested(self) -> np.ndarray:
        """The most probable label of each example, int `[examples]`."""
        return self.probabilities.argmax(1)

    @property
    def ranking(self) -> np.ndarray:
        """Indices of all examples, the most suspect first, int `[examples]`."""
        return np.argsort(self.scores, kind="stable")

    def noise(self) -> np.ndarray:
        """Estimates how often each true class was given each label.

        Students rarely err where they are sure, and they never saw the given labels.
        For each class, the given labels are counted among the surest quarter (but at
        least 100) of the examples that students assign to it.

        Returns:
            float `[classes, classes]`, which sums to 1: the share of examples with the
            given label of the row and the true label of the column.
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
        # The sizes of the true classes follow from those of the given ones.
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
        """Whether each label is probably wrong, bool `[examples]`.

        They are the first of the ranking: where students suggest another label, and
        the given one is right with a probability below one half.
        """
        return (self.scores < 0.5) & (self.suggested != self.given)

    def _of_given(self, values):
        return np.take_along_axis(values, self.given[:, None], 1)[:, 0]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How students are made for an audit.

    Attributes:
        student: Same as for `Distiller`. Weights that it loads are not used, but for
            those of frozen layers, which must not have learned from the audited labels.
        rounds: How often the data is halved, each time at random. Each half is
            distilled once, for initial weights of its own, and each example is judged
            by this many students.
        outer_steps: Outer steps of each distillation.
        steps, images_per_class: Size of the distilled data; it has one epoch.
        batch_size: Number of real images that judge a student in an outer step.
        outer_learning_rate: Learning rate of the outer Adam, > 0.
        seed: Random seed, at least 0.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import tfdistill
        >>> tfdistill.audit.Recipe("convnet@32", rounds=1).student
        'convnet@32'
    """

    student: object = "gtn_learner@16-32-64"
    rounds: int = 2
    outer_steps: int = 800
    steps: int = 10
    images_per_class: int = 2
    batch_size: int = 256
    outer_learning_rate: float = 0.03
    seed: int = 0

    def __post_init__(self):
        names = "rounds outer_steps steps images_per_class batch_size".split()
        keep_ints(self, 1, *names)
        keep_ints(self, 0, "seed")
        check_positive("outer_learning_rate", self.outer_learning_rate)


def examine(
    dataset: Dataset,
    recipe: Recipe,
    *,
    folder: str | os.PathLike | None = None,
    tell: Callable[[str], None] = lambda text: None,
    callbacks: Callable[[int], Sequence[keras.callbacks.Callback]] = lambda number: (),
) -> Audit:
    """Audits the labels of a data set's training examples.

    Args:
        dataset: Its `train`, held in memory, is audited.
        recipe: How students are made.
        folder: Keeps the state, so that a killed run can resume; None for nowhere.
        tell: Called with a sentence after each distillation.
        callbacks: Gives the Keras callbacks of each distillation, from its number.

    Returns:
        An `Audit` of `dataset.train`, in its order.

    Raises:
        ValueError: If a class has too few examples to be halved and distilled, the
            student doesn't fit the data, or the folder is that of another audit.
        FloatingPointError: If a student diverges.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits").of_classes([0, 1])
        >>> recipe = tfdistill.audit.Recipe("linear", rounds=1, outer_steps=2, steps=2)
        >>> found = tfdistill.audit.examine(digits, recipe)
        >>> len(found.ranking) == digits.train.num_examples
        True
    """
    train = dataset.train
    audit_halves.check(dataset, recipe)
    if folder:
        audit_folder.claim(folder, dataset, recipe)
    probabilities = np.zeros((train.num_examples, train.num_classes), np.float32)
    votes = np.zeros(probabilities.shape, np.int32)
    clock = Clock(folder and os.path.join(files.local(folder), "seconds.json"))
    for number in range(2 * recipe.rounds):
        held = audit_halves.drawn(train, recipe.seed + number // 2) ^ bool(number % 2)
        more = [
            *callbacks(number),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: clock.keep()),
        ]
        found = _judged(dataset, held, recipe, number, folder, more)
        clock.keep()
        said = found.argmax(1)
        probabilities[held] += found / recipe.rounds
        votes[np.flatnonzero(held), said] += 1
        tell(
            f"Distillation {number + 1} of {2 * recipe.rounds}: its student agrees "
            f"with {100 * np.mean(said == train.labels[held]):.2f} % of the labels of "
            "the other half, which it has not seen."
        )
    given = np.asarray(train.labels)
    return Audit(given, probabilities, votes, clock.cpu_seconds, clock.seconds)


def _judged(dataset, held, recipe, number, folder, callbacks):
    """The result of `_judge`, from the folder or kept there."""
    path = folder and os.path.join(files.local(folder), f"part-{number}")
    shape = held.sum(), dataset.num_classes
    if path and (kept := audit_folder.part(f"{path}.npz", shape)) is not None:
        return kept
    probabilities = _judge(dataset, held, recipe, number, path, callbacks)
    if path:
        write_arrays(f"{path}.npz", probabilities=probabilities)
    return probabilities


def _judge(dataset, held, recipe, number, backup_folder, more):
    """Distils from one part, and lets the student judge the part that is held out.

    Its probabilities are float32 `[held-out examples, classes]`.
    """
    known, judged = dataset.train.subset(~held), dataset.train.subset(held)
    seed = recipe.seed + 1000 * number
    seeds.set_for_keras(seed)
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
        # For one fixed start, learning takes a fraction of the time.
        FixedWeights(),
        seed=seed,
    )
    _forget_loaded(distiller, recipe.student, dataset, seed)
    distiller.compile(
        keras.optimizers.Adam(
            recipe.outer_learning_rate, beta_1=0.5, use_ema=True, ema_momentum=0.97
        ),
        students_per_step=1,
    )
    anneal = Anneal("cosine", outer_steps=recipe.outer_steps)
    callbacks, done, every = [anneal, *more], 0, max(1, recipe.outer_steps // 5)
    if backup_folder:
        backup = Backup(backup_folder, anneal, check_run=False)
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
    # Not by `predict`, which would be traced for each student and used once.
    logits = np.concatenate(
        [in_precision(student(x, training=False), x) for x, _ in judged.passes()]
    )
    if not np.isfinite(logits).all():
        raise FloatingPointError(
            f"The student of distillation {number + 1} diverged: choose a smaller "
            "outer learning rate."
        )
    return scipy.special.softmax(logits, axis=1)


def _forget_loaded(distiller, student, dataset, seed):
    """Draws the fixed start if the student loads it: it may know the labels by heart.

    Frozen layers keep their values, as they do wherever weights are drawn.
    """
    ((learner, start),) = distiller.population.members

    def make_model():
        return students.build(student, dataset.image_shape, dataset.num_classes)

    # What is drawn is another value in each model, unless all numbers are one.
    pairs = zip(start.student.weights, make_model().trainable_variables)
    if any(np.ptp(one) and np.array_equal(one, other) for one, other in pairs):
        weights = RandomWeights()
        weights.build(make_model, learner.model)
        address = seed, seeds.Stream.TRAINING
        start.student.assign(*weights.sample(seeds.student_seed(*address)))


@dataclasses.dataclass(frozen=True)
class Fitted:
    """Whether a model was fitted to wrong labels: its predictions for the suspects.

    Attributes:
        repeated: Share of suspects for which the model predicts the given label, which
            students contradict, in 0..1; high if it has memorised wrong labels.
        sided: Share of suspects for which it predicts the label that students suggest.
        disagreement: Share of all other examples whose label it contradicts.

    Example:
        >>> import tfdistill
        >>> tfdistill.audit.Fitted(repeated=0.9, sided=0.1, disagreement=0.0).repeated
        0.9
    """

    repeated: float
    sided: float
    disagreement: float


def fitted(audit: Audit, said: np.ndarray) -> Fitted:
    """Compares a model's predictions with an audit.

    Args:
        audit: An audit with at least one suspect.
        said: The model's class of each audited example, int `[examples]`.

    Raises:
        ValueError: If there are no suspects, or the number of examples differs.

    Example:
        >>> import numpy as np, tfdistill
        >>> given, said = np.repeat([0, 1], 50), np.eye(2)[[1] + 49 * [0] + 50 * [1]]
        >>> audit = tfdistill.audit.Audit(given, said, said.astype(int))
        >>> tfdistill.audit.fitted(audit, given).repeated  # learned by heart
        1.0
    """
    suspects = audit.suspects
    if said.shape != suspects.shape:
        raise ValueError(
            f"said must have the shape {list(suspects.shape)}, not {list(said.shape)}."
        )
    if not suspects.any():
        raise ValueError("No label is suspect, so none can have been memorised.")
    repeats = said == audit.given
    return Fitted(
        repeated=float(repeats[suspects].mean()),
        sided=float((said == audit.suggested)[suspects].mean()),
        disagreement=float(1 - repeats[~suspects].mean()),
    )
