"""Students that are learning: p(theta) over whole training trajectories."""

import copy
from typing import final

import tensorflow as tf

from tfdistill._internal.checks import check_int, check_kind
from tfdistill._internal.seeds import Draw, fold_in, shuffled
from tfdistill.data.random_changes import RandomChanges
from tfdistill.inner import optimizers, unroll
from tfdistill.inner.curriculum import Batch, Curriculum
from tfdistill.inner.optimizers.adam import Adam
from tfdistill.inner.optimizers.base import InnerOptimizer
from tfdistill.inner.problem import Problem
from tfdistill.weights.base import InitialWeights
from tfdistill.weights.random import RandomWeights

# Ages are int64, the numbers of steps int32: past so many they begin again.
_MOST_STEPS = 2**30


@final
class LearningStudents(InitialWeights):
    """Students of all ages, who learn from the distilled data as it is now.

    For an outer step, one of them is drawn and used to judge the data; then it takes a
    step of its own training on them. At a maximal age, or when it is no longer finite,
    it is replaced by a new one (Zhou et al. 2022, algorithm 1). Ages are staggered from
    the start. Each replica of a strategy, and each architecture of `students.Sampled`,
    has students of its own; `Backup` saves those of its process, so that several
    machines all go on with the chief's. Tests train fresh students.

    Args:
        size: Number of students, at least 1.
        max_age: Number of steps after which a student is drawn afresh, at least 1.
        steps: Number of own steps that a student takes each time, at least 1.
        optimizer: How a student takes its own steps, an `InnerOptimizer` whose initial
            hyperparameters stay, or its name; Adam(3e-4, epsilon=1e-7) by default.
        batch_size: Number of images that a student draws for a step of its own, at
            least 1; all of them by default. A part of them costs that part of a
            step's time.
        changes: `RandomChanges` to the images of each step; by default none.
        start: The distribution of students of age 0; `RandomWeights()` by default. Not
            another `LearningStudents`, or one with an `advance` of its own.

    Raises:
        ValueError: If a number is out of range, or an argument is of another kind.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=1)
        >>> students = tfdistill.LearningStudents(size=5, max_age=50)
        >>> distiller = tfdistill.Distiller("mlp", images, students)
    """

    is_random = True

    def __init__(
        self,
        size: int = 10,
        max_age: int = 100,
        *,
        steps: int = 1,
        optimizer: InnerOptimizer | str | None = None,
        batch_size: int | None = None,
        changes: RandomChanges | None = None,
        start: InitialWeights | None = None,
    ):
        self.size = check_int("size", size, 1)
        self.max_age = check_int("max_age", max_age, 1)
        self.steps = check_int("steps", steps, 1)
        default = Adam(3e-4, epsilon=1e-7)
        self.optimizer = default if optimizer is None else optimizers.get(optimizer)
        if batch_size is not None:
            batch_size = check_int("batch_size", batch_size, 1)
        if changes is not None and (isinstance(changes, type) or not callable(changes)):
            check_kind("changes", changes, RandomChanges)
        self.batch_size, self.changes = batch_size, changes
        self._start = RandomWeights() if start is None else start
        check_kind("start", self._start, InitialWeights)
        if not self._start.is_random:
            raise ValueError(
                "start must be random: from fixed initial weights all students of the "
                "pool would be the same."
            )
        if type(self._start).advance is not InitialWeights.advance:
            raise ValueError(
                "start must only draw students, but a "
                f"{type(self._start).__name__} trains them, too, as this pool does."
            )

    def build(self, make_model, model):
        super().build(make_model, model)
        # A copy of this object has the same start, and another architecture.
        self._start = copy.copy(self._start)
        self._start.build(make_model, model)
        weights, state = self._start.sample(tf.constant([0, 0]))
        slots = unroll.first_slots(self.optimizer, weights)
        self._kept = tf.nest.map_structure(
            lambda x: self._variable(tf.zeros([self.size, *x.shape], x.dtype)),
            unroll.Learner(weights, state, slots),
        )
        # A student that was never drawn has the age -1. On a GPU, TensorFlow keeps
        # variables of int32 in the host's memory, where XLA does not reach them.
        never = tf.constant(-1, tf.int64)
        self._ages = self._variable(tf.fill([self.size], never))

    def _variable(self, value):
        return tf.Variable(
            value,
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.NONE,
        )

    @property
    def variables(self):
        """The pool: one variable for each of a student's tensors, and the ages."""
        return [*tf.nest.flatten(self._kept), self._ages]

    def sample(self, seed):
        index = self._index(seed)
        age = self._age(index)

        def kept():
            weights, state, _ = self._kept
            return (
                [tf.gather(w, index) for w in weights],
                [tf.gather(s, index) for s in state],
            )

        return tf.cond(
            self._is_fresh(age), lambda: tuple(self._start.sample(seed)), kept
        )

    def sample_held_out(self, seed, number):
        return self._start.sample_held_out(seed, number)

    @property
    def num_held_out(self):
        return self._start.num_held_out

    @property
    def draws_from_pool(self):
        return self._start.draws_from_pool

    def advance(self, seed: tf.Tensor, problem: Problem) -> None:
        """The student that `sample` drew takes its own steps, and goes back.

        Args:
            seed: The same as of `sample`.
            problem: What it learned from.
        """
        index = self._index(seed)
        age = self._age(index)
        fresh = self._is_fresh(age)
        # At first, students are of every age, so that later a few at a time are new.
        firsts = [k * self.max_age // self.size for k in range(self.size)]
        first = tf.gather(tf.constant(firsts, tf.int64), index)
        age = tf.where(fresh, tf.where(age < 0, first, tf.zeros_like(age)), age)
        first_slots = unroll.first_slots(self.optimizer, problem.weights)
        slots = [
            tf.where(fresh, new, tf.gather(kept, index))
            for new, kept in zip(first_slots, self._kept.slots)
        ]
        learner = unroll.Learner(problem.weights, problem.state, slots)
        own = _Own(problem.curriculum, self, seed)
        problem = problem._replace(curriculum=own)
        # Adam corrects by age the averages of a student that began at 0. The first
        # students begin at other ages, with averages of 0: their steps are about half
        # to twice as long, until they are replaced. A count would be one more variable.
        t = tf.cast(age % _MOST_STEPS, tf.int32)
        if self.steps == 1:  # a loop would cost a fifth more
            learner = unroll.step(problem, t, learner)
        else:
            learner, _ = unroll.walk(problem, learner, t, t + self.steps)
        # One that is not finite would never learn again: the next one is fresh.
        finite = [tf.reduce_all(tf.math.is_finite(x)) for x in learner.differentiable]
        age = tf.where(tf.reduce_all(finite), age + self.steps, self.max_age)
        kept = [*tf.nest.flatten(self._kept), self._ages]
        for variable, value in zip(kept, [*tf.nest.flatten(learner), age]):
            # In place: the pool is large. The handle is that of this replica.
            tf.raw_ops.ResourceScatterNdUpdate(
                ref=variable.handle, indices=[[index]], updates=value[None]
            )

    def _index(self, seed):
        own = fold_in(seed, Draw.MEMBER)
        return tf.random.stateless_uniform([], own, 0, self.size, tf.int32)

    def _age(self, index):
        return tf.gather(self._ages, index)

    def _is_fresh(self, age):
        return (age < 0) | (age >= self.max_age)


@final
class _Own(Curriculum):
    """The batches of another curriculum, again and again, for own steps."""

    def __init__(self, curriculum, students, seed):
        self._curriculum, self._students, self._seed = curriculum, students, seed
        self.inner_optimizer = students.optimizer
        self.num_steps = curriculum.num_steps
        self._constants = {
            h.name: tf.constant(h.start, tf.float32)
            for h in self.inner_optimizer.hyperparameters
        }

    @property
    def sources(self):
        return []

    def batch(self, t):
        batch = self._curriculum.batch(t % self._curriculum.num_steps)
        images, labels = batch.images, batch.labels
        size, changes = self._students.batch_size, self._students.changes
        if size is not None and size < images.shape[0]:
            own = fold_in(fold_in(self._seed, Draw.ORDER), t)
            rows = shuffled(own, images.shape[0])[:size]
            images, labels = tf.gather(images, rows), tf.gather(labels, rows)
        if changes is not None:
            images = changes(images, fold_in(fold_in(self._seed, Draw.CHANGES), t))
        return Batch(images, labels, self._constants)
