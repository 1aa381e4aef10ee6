"""Evaluation: fresh students learn from distilled data, and are tested."""

import functools

import keras
import numpy as np
import tensorflow as tf

from tfdistill import students
from tfdistill._internal.seeds import Stream, student_seed
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation.batches import Passes, check_labels, check_of, content
from tfdistill.evaluation.fresh_students import FreshStudents
from tfdistill.evaluation.result import Evaluation
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.objectives.classification import Classification
from tfdistill.inner.stateless import in_precision
from tfdistill.runs.journal import Journal
from tfdistill.weights.base import InitialWeights
from tfdistill.weights.population import Population


class Evaluator:
    """Trains fresh students on data sets of one shape, and tests them.

    One graph serves all of them: comparing many data sets, rates or numbers of epochs
    costs no new tracing.

    Args:
        student: Same as for `Distiller`.
        like: A `DistilledDataset` with the shape and the classes of all data sets to
            test.
        objective: What is measured; by default what `like` was distilled for.
        initial_weights: Where students start. By default, what `like` was distilled
            for: its saved weights if they fit the student (then all students are the
            same, and one is enough), otherwise random ones.
        side_by_side: Same as for `FreshStudents`.
        journal: Where results are kept, so that a killed evaluation can resume.
        strategy: A strategy whose replicas share the students.

    Raises:
        ValueError: If the student doesn't fit the data.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> data = tfdistill.baselines.random_real(digits, steps=2)
        >>> evaluator = tfdistill.Evaluator("linear", data)
        >>> faster = data.replace(learning_rates=2 * data.learning_rates)
        >>> for distilled in (data, faster):
        ...     result = evaluator(distilled, digits.test, num_students=2)
    """

    def __init__(
        self,
        student,
        like,
        *,
        objective: Objective | None = None,
        initial_weights: InitialWeights | None = None,
        side_by_side: int = 2,
        journal: Journal | None = None,
        strategy: tf.distribute.Strategy | None = None,
    ):
        if not isinstance(like, DistilledDataset):
            raise ValueError(
                "The distilled data must be a DistilledDataset, not a "
                f"{type(like).__name__}: DistilledDataset.load(folder) reads one."
            )
        strategy = strategy or tf.distribute.get_strategy()
        with strategy.scope():
            population = Population(
                student,
                like.image_shape,
                like.num_classes,
                initial_weights,
                saved=like.initial_weights,
                logits=(objective or like.objective).takes_logits,
            )
            self._teacher = like.recipe.teacher(like)
        models = [learner.model for learner, _ in population.members]
        shape = like.image_shape
        students.check_range(models, population.name, shape, like.normalization)
        if not population.is_random:
            side_by_side = 1  # two at once would be the same student twice
        self._population, self._journal = population, journal
        self._like, self._own_objective = like, objective is None
        self._last_test, self._content = None, None  # what the last test set holds
        self._objective = objective or like.objective
        self._check = check_of(like, self._objective, like.normalization)
        self._students = FreshStudents(
            population,
            self._teacher,
            self._objective,
            side_by_side=side_by_side,
            strategy=strategy,
        )

    def __call__(
        self,
        distilled,
        test,
        num_students: int = 20,
        *,
        shuffle_steps: bool = False,
        seed: int = 0,
        batch_size: int = 1000,
    ) -> Evaluation:
        """Trains and tests students; the arguments are those of `evaluate`."""
        sets = list(distilled) if isinstance(distilled, (list, tuple)) else [distilled]
        for data in sets:
            if different := self._difference(data):
                raise ValueError(
                    f"Data sets that an Evaluator tests have the same {different} as "
                    "the one that it was made for: make another one for each."
                )

        def deal(group):
            data = sets[group % len(sets)]
            order = None
            if shuffle_steps and data.recipe.is_ordered:
                order = np.random.default_rng([seed, group]).permutation(data.num_steps)
            self._teacher.assign(data, order)

        batches = Passes(test, check=self._check, batch_size=batch_size)
        entry = self._entry(test, batches, sets, seed, shuffle_steps)
        return self._students.evaluate(batches, num_students, seed, deal, entry)

    def takes(self, distilled: DistilledDataset) -> bool:
        """Whether a data set has the shape and the kind of training it was made for."""
        return not self._difference(distilled) and self._teacher.takes(distilled)

    def _difference(self, distilled):
        """In what a data set differs, but for its training; "" in nothing."""
        like, start = self._like, distilled.initial_weights
        for name in ("image_shape", "num_classes", "normalization"):
            if getattr(distilled, name) != getattr(like, name):
                return name.replace("_", " ")
        if self._own_objective and not _alike(distilled.objective, like.objective):
            return "objective"
        if distilled is not like and start is not None:
            known = like.initial_weights or []
            if [a.shape for a in start] != [a.shape for a in known] or not all(
                map(np.array_equal, start, known)
            ):
                return "initial weights"
        return ""

    def untrained(
        self, test, num_students: int = 20, *, seed: int = 0, batch_size: int = 1000
    ) -> Evaluation:
        """Tests the same students untrained: pretrained ones without adaptation."""
        self._teacher.forget()
        batches = Passes(test, check=self._check, batch_size=batch_size)
        entry = self._entry(test, batches, [], seed, False)
        return self._students.evaluate(batches, num_students, seed, journal=entry)

    def _entry(self, test, batches, sets, seed, shuffle_steps):
        if self._journal is None:
            return None
        if self._last_test is not test:
            self._last_test, self._content = test, content(batches)
        images, tested = self._content
        # A student of each architecture identifies it, its pool and distribution.
        arrays, key = [], student_seed(seed, Stream.EVALUATION, 0)
        for learner, weights in self._population.members:
            start = weights.sample_held_out(key, tf.constant(0))
            arrays += [*start[0], *start[1], *learner.traits(*start, images)]
        for data in sets:
            arrays += [data.images, data.labels, *data.hyperparameters.values()]
        measured = type(self._objective).__name__, sorted(vars(self._objective).items())
        # Learned steps are in the arrays, but for who takes them.
        recipes = [
            _taken_by(s.inner_optimizer)
            if s.recipe.is_ordered
            else s.recipe.to_config()
            for s in sets
        ]
        who = self._population.name, tested
        return self._journal.entry(
            arrays, *who, seed, shuffle_steps, len(sets), measured, *recipes
        )


def _alike(objective, other):
    """Whether two objectives are of one class, with the same settings."""
    return type(objective) is type(other) and vars(objective) == vars(other)


def _taken_by(optimizer):
    """An inner optimizer's name and settings, as JSON."""
    settings = {
        name: value
        for name, value in vars(optimizer).items()
        if isinstance(value, (bool, int, float, str))
    }
    return {"name": optimizer.name, **settings}


def evaluate(
    distilled,
    student,
    test,
    num_students: int = 20,
    *,
    objective: Objective | None = None,
    initial_weights: InitialWeights | None = None,
    journal: Journal | None = None,
    **kwargs,
) -> Evaluation:
    """Trains fresh students on distilled data alone and tests them.

    Args:
        distilled: A `DistilledDataset`, or several of one shape, which pairs of
            students take in turn.
        student: Same as for `Distiller`.
        test: A `Split`, or batches of (normalised images, labels).
        num_students: Number of students, at least 1. The paper tests 200.
        objective, initial_weights, journal: Same as for `Evaluator`.
        **kwargs: `shuffle_steps`: whether each student takes the steps in a random
            order of its own; `seed`: seed of initial weights and orders; `batch_size`:
            size of the test's batches, if `test` is a `Split`.

    Returns:
        An `Evaluation`.

    Raises:
        ValueError: If the student doesn't fit the data.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> data = tfdistill.baselines.random_real(digits, steps=2)
        >>> result = tfdistill.evaluate(data, "linear", digits.test, num_students=2)
        >>> result.num_students
        2
    """
    first = distilled[0] if isinstance(distilled, (list, tuple)) else distilled
    # Students of one pair would share their order.
    alone = num_students == 1 or kwargs.get("shuffle_steps", False)
    evaluator = Evaluator(
        student,
        first,
        objective=objective,
        initial_weights=initial_weights,
        side_by_side=1 if alone else 2,
        journal=journal,
    )
    return evaluator(distilled, test, num_students, **kwargs)


def evaluate_model(
    model: keras.Model,
    test,
    *,
    objective: Objective | None = None,
    batch_size: int = 1000,
) -> Evaluation:
    """Tests a model as it is, without training it.

    Args:
        model: A built model, for classification with logits.
        test: Same as for `evaluate`.
        objective: What is measured; `Classification()` by default.
        batch_size: Size of the test's batches, if `test` is a `Split`.

    Returns:
        An `Evaluation` of this one student.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> model = tfdistill.students.linear(digits.image_shape)
        >>> tfdistill.evaluate_model(model, digits.test).num_students
        1
    """
    objective = objective or Classification()

    @tf.function(reduce_retracing=True, autograph=False)
    def judge(images, labels):
        images = tf.convert_to_tensor(images)
        outputs = in_precision(model(images, training=False), images)
        loss = objective.meta_loss(labels, outputs)
        size = tf.cast(tf.shape(outputs)[0], outputs.dtype)
        return {"loss": size * loss, **objective.totals(labels, outputs)}

    @functools.cache
    def num_outputs(shape, dtype):
        return model(np.zeros((1, *shape), dtype)).shape[-1]

    def check(images, labels):
        check_labels(
            images, labels, num_outputs(images.shape[1:], images.dtype), objective
        )

    totals: dict = {}
    num_examples = 0
    for images, labels in Passes(test, check=check, batch_size=batch_size):
        for name, value in judge(images, labels).items():
            totals[name] = totals.get(name, 0) + value.numpy()[None]
        num_examples += len(labels)
    losses = totals.pop("loss") / num_examples
    return Evaluation(totals, losses, num_examples, objective)
