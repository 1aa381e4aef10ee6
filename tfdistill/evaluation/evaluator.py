"""Evaluation: fresh students learn from distilled data, and are tested."""

import functools
import warnings

import keras
import numpy as np
import tensorflow as tf

from tfdistill import students
from tfdistill._internal import identity
from tfdistill._internal.checks import check_int
from tfdistill._internal.seeds import Stream, student_seed
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation import copies, turns
from tfdistill.evaluation.batches import (
    Fits,
    Passes,
    check_labels,
    content,
    difference,
)
from tfdistill.evaluation.fresh_students import FreshStudents, by_xla
from tfdistill.evaluation.result import Evaluation
from tfdistill.evaluation.starts import check_starts, start_alike
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.objectives.classification import Classification
from tfdistill.inner.stateless import in_precision
from tfdistill.runs.journal import Journal, can_tell, held
from tfdistill.students.ranges import whole
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
        objective: What students learn by and are judged on; by default that of `like`.
        initial_weights: Where students start. By default, what `like` was distilled
            for: its saved weights if they fit the student (then all students start
            alike), otherwise random ones. Those of `FixedWeights()` are the same for
            all evaluators, unless `keras.utils.set_random_seed` was called.
        side_by_side: Same as for `FreshStudents`.
        jit_compile: Whether XLA compiles; by default, ordinary training on GPU and TPU.
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
        jit_compile: bool | None = None,
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
        starts = population.members[0][1].num_held_out
        if starts is not None:  # more at once would be the same student twice
            side_by_side = min(side_by_side, starts)
        self._population, self._journal = population, journal
        self._like, self._own_objective = like, objective is None
        self._own_start = initial_weights is None
        self._last_test, self._content = None, None  # what the last test set holds
        self._objective = objective or like.objective
        check = Fits(like, self._objective, like.normalization)
        self._passes = functools.partial(Passes, check=check)
        self._by_xla = by_xla(like.recipe, jit_compile)
        self._students = FreshStudents(
            population,
            self._teacher,
            self._objective,
            side_by_side=side_by_side,
            jit_compile=self._by_xla,
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
        """Trains and tests students; the arguments are those of `evaluate`.

        A student who would be the copy of another is not tested, nor those after it.
        """
        sets = list(distilled) if isinstance(distilled, (list, tuple)) else [distilled]
        for data in sets:
            if different := self._difference(data):
                raise ValueError(
                    f"Data sets that an Evaluator tests have the same {different} as "
                    "the one that it was made for: make another one for each."
                )
            if not identity.alike(self._objective, data.objective):
                self._objective.check_start(data.labels)
        dealt = self.dealt(sets, num_students, shuffle_steps=shuffle_steps)
        copies.warn(num_students, len(dealt), self._population)

        def deal(group):
            data = sets[dealt[group * self._students.group]]
            self._teacher.assign(data, shuffle_steps)

        batches = self._passes(test, batch_size=batch_size)
        entry = self._entry(test, batches, sets, seed, shuffle_steps)
        return self._students.evaluate(batches, len(dealt), seed, deal, entry)

    def dealt(
        self, sets, num_students: int = 20, *, shuffle_steps: bool = False
    ) -> list[int]:
        """Which set each student learns from, of those that are tested.

        Groups that learn side by side take the sets in turn, and of several
        architectures all combinations. It ends before the copy of another student: with
        the same start, and nothing drawn while it learns.

        Args:
            sets: `DistilledDataset`s; none for students that are tested untrained.
            num_students, shuffle_steps: Same as for `evaluate`.

        Returns:
            The index of each student's set; 0 without sets.
        """
        asked, group = check_int("num_students", num_students, 1), self._students.group
        return copies.dealt(
            self._population, sets, asked, group, shuffle_steps=shuffle_steps
        )

    def takes(self, distilled: DistilledDataset) -> bool:
        """Whether a data set has the shape and the kind of training it was made for."""
        return not self._difference(distilled)

    def _difference(self, distilled):
        """In what a data set, or its training, differs; "" in nothing."""
        like = self._like
        if different := difference(distilled, like):
            return different
        if self._own_objective and not identity.alike(
            distilled.objective, like.objective
        ):
            return "objective"
        if self._own_start and distilled.initial_weights is not None:
            if not start_alike(distilled, like):
                return "initial weights"
        return self._teacher.difference(distilled)

    def untrained(
        self, test, num_students: int = 20, *, seed: int = 0, batch_size: int = 1000
    ) -> Evaluation:
        """Tests the same students untrained: pretrained ones without adaptation."""
        dealt = self.dealt([], num_students)
        copies.warn(num_students, len(dealt), self._population)
        self._teacher.forget()
        batches = self._passes(test, batch_size=batch_size)
        entry = self._entry(test, batches, [], seed, False)
        return self._students.evaluate(batches, len(dealt), seed, journal=entry)

    def _entry(self, test, batches, sets, seed, shuffle_steps):
        takers = [s.inner_optimizer for s in sets if s.recipe.is_ordered]
        if self._journal is None or not can_tell([self._objective, *takers]):
            return None
        if self._last_test is not test:
            self._last_test, self._content = test, content(batches)
        images, tested = self._content
        # A student of each architecture identifies it, its pool and distribution.
        key = student_seed(seed, Stream.EVALUATION, 0)
        arrays = self._population.depends(key, images)
        for data in sets:
            arrays += [data.images, data.labels, *data.hyperparameters.values()]
        measured = type(self._objective).__name__, sorted(held(self._objective).items())
        # Learned steps are in the arrays, but for who takes them.
        recipes = [
            {"name": s.inner_optimizer.name, **held(s.inner_optimizer)}
            if s.recipe.is_ordered
            else s.recipe.to_config()
            for s in sets
        ]
        who = self._population.name, tested
        how = measured, *recipes, *["XLA"] * self._by_xla  # which draws other batches
        # In earlier versions, students shared an order, or drew it by a layer's key.
        order = "each a draw of its own" if shuffle_steps else False
        several = [len(sets) > 1, len(self._population.members) > 1]
        how = *how, *[f"in groups of {self._students.group}"] * any(several)
        how = *how, *["all combinations"] * all(several)  # not in earlier versions
        return self._journal.entry(arrays, *who, seed, order, len(sets), *how)


def evaluate(
    distilled,
    student,
    test,
    num_students: int = 20,
    *,
    objective: Objective | None = None,
    initial_weights: InitialWeights | None = None,
    jit_compile: bool | None = None,
    journal: Journal | None = None,
    **kwargs,
) -> Evaluation:
    """Trains fresh students on distilled data alone and tests them.

    Args:
        distilled: A `DistilledDataset`, or several of one shape, which pairs of
            students take in turn.
        student: Same as for `Distiller`. Of several architectures, each student takes
            the next one, and of several sets, too, the next combination: the numbers of
            students of any two differ by at most one. A warning says so if there are
            fewer students than architectures.
        test: A `Split`, or batches of (normalised images, labels). One of bytes is
            normalised as the distilled images are, whatever its own normalization.
        num_students: Number of students, at least 1. The paper tests 200. Fewer are
            tested where more would be copies: one of fixed weights, and of a pool those
            that are held out, if nothing is drawn while they learn (dropout, batches).
            A warning says so of a pool.
        objective, initial_weights, jit_compile, journal: Same as for `Evaluator`.
        **kwargs: `shuffle_steps`: whether each student takes the steps in a random
            order of its own; `seed`: seed of initial weights and orders; `batch_size`:
            size of the test's batches, if `test` is a `Split`.

    Returns:
        An `Evaluation`.

    Raises:
        ValueError: If the student doesn't fit the data, or the objective the labels; or
            if several sets differ in their fixed initial weights, or only some have
            any, and no `initial_weights` are given.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> data = tfdistill.baselines.random_real(digits, steps=2)
        >>> result = tfdistill.evaluate(data, "linear", digits.test, num_students=2)
        >>> result.num_students
        2
    """
    sets = list(distilled) if isinstance(distilled, (list, tuple)) else [distilled]
    evaluator = Evaluator(
        student,
        sets[0],
        objective=objective,
        initial_weights=initial_weights,
        side_by_side=1 if num_students == 1 else 2,
        jit_compile=jit_compile,
        journal=journal,
    )
    check_starts(sets, initial_weights)
    if left_out := turns.untested(student, num_students):
        warnings.warn(left_out, stacklevel=2)
    return evaluator(sets, test, num_students, **kwargs)


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
        test: A `Split`, which is normalised by its own normalization; or batches of
            (images, labels), as the model takes them.
        objective: What is measured; `Classification()` by default.
        batch_size: Size of the test's batches, if `test` is a `Split`.

    Returns:
        An `Evaluation` of this one student.

    Raises:
        ValueError: If the model takes raw images, and these are normalised.

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
        _check_kind(model, images)
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


def _check_kind(model, images):
    """Refuses floats for a model of bytes, to which Keras would round them down."""
    takes = whole(model)
    if takes and images.dtype.kind == "f":
        raise ValueError(
            f"the model takes {takes} images, not {images.dtype}: give batches of raw "
            "images, which are not normalised."
        )
