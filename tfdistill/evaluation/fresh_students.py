"""Fresh students, trained and tested in parallel."""

from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill._internal.seeds import Stream, fold_in, student_seed
from tfdistill.evaluation import turns
from tfdistill.evaluation.result import Evaluation
from tfdistill.inner import unroll
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.stateless import StatelessModel
from tfdistill.inner.tracing import accelerated, as_traced
from tfdistill.runs.journal import Entry
from tfdistill.weights.base import InitialWeights
from tfdistill.weights.population import Population


def training(
    student: StatelessModel,
    initial_weights: InitialWeights,
    synthesizer,
    objective: Objective,
    side_by_side: int,
    jit_compile: bool = False,
) -> Callable:
    """What trains several students in one graph, as parallel branches.

    Args:
        student, initial_weights: Of a member of a `Population`.
        synthesizer, objective, side_by_side, jit_compile: Same as for `FreshStudents`.

    Returns:
        A function of the seed of all students and the number of the first, both
        tensors. It returns the weights and the state of each. They depend on the seed,
        a student's number, and whether XLA compiles, which may draw other batches.
    """
    check_int("side_by_side", side_by_side, 1)

    def train(key, first):
        @tf.function(autograph=False)  # all students by one trace
        def learn(number):
            # What students start from is drawn outside of XLA, whose floats are others.
            seed = fold_in(key, number)
            curriculum = synthesizer.curriculum(seed)
            start = initial_weights.sample_held_out(seed, number)

            @tf.function(jit_compile=jit_compile, autograph=False)
            def walk(weights, state):
                return unroll.train(student, curriculum, objective, weights, state)

            return walk(*start)

        return [learn(first + k) for k in range(side_by_side)]

    return train


def by_xla(recipe, asked: bool | None = None) -> bool:
    """Whether XLA compiles the training of fresh students.

    On a GPU the operations of hundreds of small updates wait for TensorFlow's runtime.
    Learned steps are so few that to compile them takes longer.

    Args:
        recipe: A `Recipe`, or None.
        asked: What the user says; by default, where there is a GPU or TPU, in ordinary
            training.
    """
    if asked is not None:
        return bool(asked)
    return recipe is not None and not recipe.is_ordered and accelerated()


class FreshStudents:
    """Trains students on synthetic batches and tests them, several in parallel.

    Args:
        population: The `Population` of students. Of several architectures, each group
            of parallel students takes the next one.
        synthesizer: Anything with `curriculum(seed)`.
        objective: An `Objective`.
        side_by_side: Number of students that share one graph, as parallel branches; at
            least 1. One, if there are several architectures.
        jit_compile: Whether XLA compiles the training.
        strategy: The strategy in whose scope all of these were made; each of its
            replicas has students of its own.

    Attributes:
        group: Number of students that learn at once, from the same batches.
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
        if len(population.members) > 1:  # else the last ones may have no students
            side_by_side = min(side_by_side, 1)
        self._side_by_side = side_by_side
        self.group = side_by_side * self._strategy.num_replicas_in_sync
        self._synthesizer, self._objective = synthesizer, objective
        self._functions = [
            self._traced(*member, jit_compile) for member in population.members
        ]

    def _traced(self, student, initial_weights, jit_compile):
        synthesizer, objective = self._synthesizer, self._objective
        strategy, side_by_side = self._strategy, self._side_by_side
        replicas = strategy.num_replicas_in_sync

        several = training(
            student, initial_weights, synthesizer, objective, side_by_side, jit_compile
        )

        def train_some(key, first):
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return several(key, first + replica * side_by_side)

        def test_some(trained, images, labels):
            @tf.function(autograph=False)  # all students by one trace
            def test_one(weights, state):
                outputs, _, _ = student(weights, state, images, training=False)
                loss = objective.meta_loss(labels, outputs)
                return {"loss": loss, **objective.totals(labels, outputs)}

            results = [test_one(*of_student) for of_student in trained]
            return tf.nest.map_structure(lambda *of: tf.stack(of), *results)

        @tf.function(autograph=False)
        def train(key, first):
            return strategy.run(train_some, (key, first))

        @tf.function(autograph=False)
        def test(trained, images, labels):
            results = strategy.run(test_some, (trained, images, labels))
            if replicas == 1:
                return results
            return {
                name: strategy.gather(values, axis=0)
                for name, values in results.items()
            }

        return as_traced(train), test

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
            batches: (normalised images, labels) batches: the whole test set.
            num_students: At least 1.
            seed: Seed of the initial weights.
            before_each: Called before each group of parallel students is trained, with
                the number of the group, from 0.
            journal: Where results are kept after each group, so that a killed process
                can resume.
        """
        num_students = check_int("num_students", num_students, 1)
        kept = journal.read(num_students) if journal else {}
        if "loss" not in kept:
            kept = {}
        done = min(map(len, kept.values()), default=0)
        if done < num_students:  # a group is trained as a whole
            done -= done % self.group
        found = {name: [*values[:done]] for name, values in kept.items()}
        num_examples = 0
        key = student_seed(seed, Stream.EVALUATION)
        for first in range(done, num_students, self.group):
            group = first // self.group
            whose = turns.architecture(group, len(self._functions))
            train, test = self._functions[whose]
            before_each(group)
            trained = train(key, tf.constant(first))
            tested, totals, num_examples = as_traced(test), {}, 0
            for images, labels in batches:
                batch = [tf.convert_to_tensor(x) for x in (images, labels)]
                if not num_examples:  # one trace for batches of any size
                    test.get_concrete_function(trained, *map(_of_any_size, batch))
                for name, value in tested(trained, *batch).items():
                    # The loss is a mean over the batch, all else a sum.
                    value = value.numpy() * (len(labels) if name == "loss" else 1)
                    totals[name] = totals.get(name, 0) + value
                num_examples += len(labels)
            totals["loss"] = totals["loss"] / num_examples
            for name, value in totals.items():
                # The last group may have more than are wanted.
                of_all = [*found.get(name, []), *value]
                found[name] = of_all[:num_students]
            if journal:
                journal.write(**found)
        if not num_examples:  # the journal held all of them
            num_examples = sum(len(labels) for _, labels in batches)
        arrays = {n: np.stack(values) for n, values in found.items()}
        losses = arrays.pop("loss")
        return Evaluation(arrays, losses, num_examples, self._objective)


def _of_any_size(batch):
    return tf.TensorSpec((None, *batch.shape[1:]), batch.dtype)
