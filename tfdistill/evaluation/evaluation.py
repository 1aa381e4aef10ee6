"""Fresh students on distilled data: how good is it?"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal.seeds import Stream, fold_in, student_seed
from tfdistill.inner import unroll
from tfdistill.inner.objectives import Classification, Objective
from tfdistill.runs.journal import Entry, Journal
from tfdistill.synthesizers.schedule import Batch
from tfdistill.weights.initial_weights import InitialWeights
from tfdistill.weights.population import Population


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How students did on a whole test set.

    Attributes:
        confusion: int `[students, classes, classes]`, counts of test examples: rows
            are true classes, columns what the student said.
        losses: float `[students]`, the mean meta-loss of each.
    """

    confusion: np.ndarray
    losses: np.ndarray

    @classmethod
    def joined(cls, evaluations: Sequence["Evaluation"]) -> "Evaluation":
        """One of all the students of several, at least one."""
        return cls(
            np.concatenate([e.confusion for e in evaluations]),
            np.concatenate([e.losses for e in evaluations]),
        )

    @property
    def num_students(self) -> int:
        """How many students were tested."""
        return len(self.confusion)

    @property
    def accuracies(self) -> np.ndarray:
        """float `[students]`, each in 0..1."""
        hits = np.trace(self.confusion, axis1=1, axis2=2)
        return hits / self.confusion.sum((1, 2))

    @property
    def accuracy_mean(self) -> float:
        """The mean accuracy over students, in 0..1."""
        return float(self.accuracies.mean())

    @property
    def accuracy_std(self) -> float:
        """The standard deviation over students (dividing by their number)."""
        return float(self.accuracies.std())

    @property
    def per_class(self) -> np.ndarray:
        """float `[classes]`: the mean share of each class that is recognised."""
        hits = np.diagonal(self.confusion, axis1=1, axis2=2).sum(0)
        return hits / np.maximum(self.confusion.sum((0, 2)), 1)

    def __str__(self):
        noun = "student" if self.num_students == 1 else "students"
        return (
            f"{100 * self.accuracy_mean:.2f} ± {100 * self.accuracy_std:.2f} % "
            f"({self.num_students} {noun})"
        )


class FreshStudents:
    """Trains students on synthetic batches, and tests them, side by side.

    Args:
        population: Who learns, a `Population`. Of several architectures each group of
            students that are side by side has one, in turn.
        synthesizer: Anything with `curriculum(seed)`.
        objective: An `Objective`.
        side_by_side: How many students share one graph, as parallel branches.
        jit_compile: Whether XLA compiles the training.
        strategy: Whose scope all of these were made in; each of its replicas has
            students of its own.
    """

    def __init__(
        self,
        population: Population,
        synthesizer,
        objective: Objective,
        *,
        side_by_side: int = 2,
        jit_compile: bool = False,
        strategy: tf.distribute.Strategy | None = None,
    ):
        self._strategy = strategy or tf.distribute.get_strategy()
        self._side_by_side = side_by_side
        self._group = side_by_side * self._strategy.num_replicas_in_sync
        self._synthesizer, self._objective = synthesizer, objective
        self._functions = [
            self._traced(*member, jit_compile) for member in population.members
        ]

    def _traced(self, student, initial_weights, jit_compile):
        synthesizer, objective = self._synthesizer, self._objective
        strategy, side_by_side = self._strategy, self._side_by_side
        replicas = strategy.num_replicas_in_sync

        def train_some(key, first):
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group

            def learn(number):
                seed = fold_in(key, number)
                return unroll.train(
                    student,
                    synthesizer.curriculum(seed),
                    objective,
                    *initial_weights.sample_held_out(seed, number),
                )

            own = first + replica * side_by_side
            return [learn(own + k) for k in range(side_by_side)]

        def test_some(trained, images, labels):
            results = []
            for weights, state in trained:
                outputs, _, _ = student(weights, state, images, training=False)
                classes = outputs.shape[-1]
                results.append(
                    (
                        tf.math.confusion_matrix(
                            labels, tf.argmax(outputs, -1), classes
                        ),
                        objective.meta_loss(labels, outputs),
                    )
                )
            return [tf.stack(values) for values in zip(*results)]

        @tf.function(jit_compile=jit_compile, autograph=False)
        def train(key, first):
            return strategy.run(train_some, (key, first))

        @tf.function(reduce_retracing=True, autograph=False)
        def test(trained, images, labels):
            results = strategy.run(test_some, (trained, images, labels))
            if replicas == 1:
                return results
            return [strategy.gather(values, axis=0) for values in results]

        return unroll.as_traced(train), unroll.as_traced(test)

    def evaluate(
        self,
        batches: Iterable,
        num_students: int,
        seed: int,
        before_each: Callable[[int], None] = lambda group: None,
        journal: Entry | None = None,
    ) -> Evaluation:
        """Trains and tests.

        Args:
            batches: Of (normalised images, integer labels): the whole test set.
            num_students: At least 1.
            seed: Of the initial weights.
            before_each: Called with the number of each group of students that are
                side by side, from 0 on, before it is trained.
            journal: Where results are kept from group to group, and those of a
                process that was killed are found.
        """
        confusion, losses = journal.read() if journal else ([], [])
        done = len(losses) - len(losses) % self._group
        confusion, losses = confusion[:done], losses[:done]
        key = student_seed(seed, Stream.EVALUATION)
        for first in range(done, num_students, self._group):
            group = first // self._group
            train, test = self._functions[group % len(self._functions)]
            before_each(group)
            trained = train(key, tf.constant(first))
            counts, total, examples = np.zeros((), "int64"), np.zeros(()), 0
            for images, labels in batches:
                confusions, means = test(trained, images, labels)
                counts = counts + confusions.numpy().astype("int64")
                total = total + means.numpy() * len(labels)
                examples += len(labels)
            confusion.extend(counts)
            losses.extend(total / examples)
            if journal:
                journal.write(confusion, losses)
        return Evaluation(
            np.stack(confusion[:num_students]), np.stack(losses[:num_students])
        )


class Evaluator:
    """Trains fresh students on data sets of one shape, and tests them.

    One graph serves them all: comparing many data sets, rates or numbers of epochs
    costs no tracing.

    Args:
        student: As of `Population`.
        like: A `DistilledDataset` with the shape and the classes of all.
        initial_weights: Where students start. By default what `like` was distilled
            for: the saved weights if those were fixed and fit the student (then
            all students are alike, and one is enough), else random ones.
        side_by_side: As of `FreshStudents`.
        journal: Where an evaluation that is killed finds its students' results again.
        strategy: Over whose replicas the students are spread.

    Raises:
        ValueError: If the student doesn't fit the data.
    """

    def __init__(
        self,
        student,
        like,
        *,
        initial_weights: InitialWeights | None = None,
        side_by_side: int = 2,
        journal: Journal | None = None,
        strategy: tf.distribute.Strategy | None = None,
    ):
        strategy = strategy or tf.distribute.get_strategy()
        with strategy.scope():
            population = Population(
                student,
                like.image_shape,
                like.num_classes,
                initial_weights,
                saved=like.initial_weights,
            )
            self._curriculum = _Curriculum(like)
        if not population.is_random:
            side_by_side = 1  # beside each other they would be the same student twice
        self._population, self._journal = population, journal
        self._students = FreshStudents(
            population,
            self._curriculum,
            Classification(),
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
        """Trains and tests students, as the function `evaluate` does."""
        if num_students < 1:
            raise ValueError(f"num_students must be at least 1, not {num_students}.")
        sets = list(distilled) if isinstance(distilled, (list, tuple)) else [distilled]

        def deal(group):
            data = sets[group % len(sets)]
            order = np.arange(data.num_steps)
            if shuffle_steps:
                order = np.random.default_rng([seed, group]).permutation(order)
            self._curriculum.assign(data, order)

        batches = _batches(test, batch_size)
        entry = self._entry(batches, sets, seed, shuffle_steps)
        return self._students.evaluate(batches, num_students, seed, deal, entry)

    def untrained(
        self, test, num_students: int = 20, *, seed: int = 0, batch_size: int = 1000
    ) -> Evaluation:
        """The same students, as they start: pretrained ones without adaptation."""
        self._curriculum.forget()
        batches = _batches(test, batch_size)
        entry = self._entry(batches, [], seed, False)
        return self._students.evaluate(batches, num_students, seed, journal=entry)

    def _entry(self, batches, sets, seed, shuffle_steps):
        if self._journal is None:
            return None
        # The first student stands for all: architecture, pool, distribution.
        _, weights = self._population.members[0]
        start = weights.sample_held_out(
            student_seed(seed, Stream.EVALUATION, 0), tf.constant(0)
        )
        arrays = [*start[0], *start[1], *next(iter(batches))]
        for data in sets:
            arrays += [data.images, data.labels, data.learning_rates]
            arrays += [] if data.momenta is None else [data.momenta]
        return self._journal.entry(arrays, seed, shuffle_steps, len(sets))


def evaluate(
    distilled,
    student,
    test,
    num_students: int = 20,
    *,
    initial_weights: InitialWeights | None = None,
    journal: Journal | None = None,
    **kwargs,
) -> Evaluation:
    """Trains fresh students on distilled data alone and tests them.

    Args:
        distilled: A `DistilledDataset`, or several of one shape, among which the
            students are dealt out in pairs.
        student: As of `Evaluator`.
        test: A `Split`, or batches of (normalised images, integer labels).
        num_students: How many, at least 1. The paper takes 200.
        initial_weights, journal: As of `Evaluator`.
        **kwargs: `shuffle_steps`: whether each student meets the steps in another
            order; `seed` of initial weights and orders; `batch_size` of the test, if
            `test` is a `Split`.

    Returns:
        An `Evaluation`.

    Raises:
        ValueError: If the student doesn't fit the data.
    """
    first = distilled[0] if isinstance(distilled, (list, tuple)) else distilled
    # Students of one pair would share their order.
    alone = num_students == 1 or kwargs.get("shuffle_steps", False)
    evaluator = Evaluator(
        student,
        first,
        initial_weights=initial_weights,
        side_by_side=1 if alone else 2,
        journal=journal,
    )
    return evaluator(distilled, test, num_students, **kwargs)


def evaluate_model(model: keras.Model, test, *, batch_size: int = 1000) -> Evaluation:
    """Tests a model as it is.

    Args:
        model: Gives logits.
        test: As of `evaluate`.
        batch_size: Of the test, if `test` is a `Split`.

    Returns:
        An `Evaluation` of this one student.
    """
    objective = Classification()

    @tf.function(reduce_retracing=True, autograph=False)
    def judge(images, labels):
        outputs = model(images, training=False)
        said = tf.argmax(outputs, -1)
        return (
            tf.math.confusion_matrix(labels, said, outputs.shape[-1], dtype=tf.int64),
            objective.meta_loss(labels, outputs)
            * tf.cast(tf.size(labels), outputs.dtype),
        )

    found = [judge(images, labels) for images, labels in _batches(test, batch_size)]
    confusion = sum(counts.numpy() for counts, _ in found)
    loss = sum(loss.numpy() for _, loss in found) / confusion.sum()
    return Evaluation(confusion[None], np.array([loss]))


def _batches(test, batch_size):
    return test if isinstance(test, tf.data.Dataset) else test.batch(batch_size)


class _Curriculum:
    """Batches and rates that can change without the graph being traced again."""

    def __init__(self, distilled):
        self.inner_optimizer = distilled.inner_optimizer
        self._images = tf.Variable(distilled.images, trainable=False)
        self._labels = tf.Variable(distilled.labels, trainable=False)
        self._order = tf.Variable(
            np.zeros(1, "int32"), trainable=False, shape=tf.TensorShape([None])
        )
        self._rates, self._momenta = (
            tf.Variable(
                np.zeros(1, "float32"), trainable=False, shape=tf.TensorShape([None])
            )
            for _ in range(2)
        )

    def assign(self, distilled, order):
        """Takes on a data set of the same shape, its steps (of all epochs) in order."""
        self._images.assign(distilled.images)
        self._labels.assign(distilled.labels)
        self._order.assign((order % distilled.steps).astype("int32"))
        self._rates.assign(distilled.learning_rates.reshape(-1)[order])
        if distilled.momenta is not None:
            self._momenta.assign(distilled.momenta.reshape(-1)[order])

    def forget(self):
        """Takes on no steps at all."""
        self._order.assign(np.zeros(0, "int32"))

    def curriculum(self, seed):
        del seed
        return self

    @property
    def num_steps(self):
        return tf.size(self._order)

    def batch(self, t):
        step = tf.gather(self._order, t)
        return Batch(
            tf.gather(self._images, step),
            tf.gather(self._labels, step),
            tf.gather(self._rates, t),
            tf.gather(self._momenta, t) if self.inner_optimizer.has_momentum else None,
        )
