"""Who learns: one architecture or several, and the weights that students start with."""

import copy
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill import students
from tfdistill._internal.checks import check_int, check_kind
from tfdistill._internal.seeds import Draw, drawn_by_keras, fold_in
from tfdistill.inner.stateless import StatelessModel
from tfdistill.students.building import fits
from tfdistill.students.names import each_of
from tfdistill.weights.base import InitialWeights
from tfdistill.weights.fixed import FixedWeights
from tfdistill.weights.random import RandomWeights


class Population:
    """The distribution that students are drawn from.

    Each architecture is traced once, as a branch of the graph, and a student runs one
    branch: a small network costs little, and nothing is traced again. (One masked
    network of the largest widths would always cost the most.)

    Args:
        student: A callable that returns a `keras.Model` with logits, a name, or
            `students.Sampled`: several of them.
        image_shape: (height, width, channels).
        num_classes: At least 2.
        initial_weights: p(theta_0); `RandomWeights()` by default.
        saved: Arrays of fixed initial weights: used if they fit the student and no
            `initial_weights` are given.
        logits: Same as for `students.build`.
        seed: Of the weights that Keras draws for the models, such as those that
            `FixedWeights()` keeps, unless `keras.utils.set_random_seed` was called.

    Raises:
        ValueError: If a student doesn't fit the data, several are to start from weights
            that are not random, or the seed is no integer of at least 0.

    Example:
        >>> import tensorflow as tf, tfdistill
        >>> population = tfdistill.weights.Population("linear,mlp", (8, 8, 1), 10)
        >>> len(population.members), population.is_random
        (2, True)
        >>> seed = tf.constant([0, 1])
        >>> number = population.draw(seed, lambda _, weights, state: len(weights))
        >>> int(number) in (2, 6)  # weights of the one, or of the other
        True
    """

    def __init__(
        self,
        student,
        image_shape: Sequence[int],
        num_classes: int,
        initial_weights: InitialWeights | None = None,
        saved: Sequence[np.ndarray] | None = None,
        *,
        logits: bool = True,
        seed: int = 0,
    ):
        seed = check_int("seed", seed, 0)
        if initial_weights is not None:
            check_kind("initial_weights", initial_weights, InitialWeights)
        self.name = students.name_of(student)
        architectures = each_of(student)
        self.members: list[tuple[StatelessModel, InitialWeights]] = []
        with drawn_by_keras(seed):
            for architecture in architectures:

                def make_model(architecture=architecture) -> keras.Model:
                    return students.build(
                        architecture, image_shape, num_classes, logits=logits
                    )

                model = make_model()
                learner = StatelessModel(model, students.name_of(architecture))
                start = None
                if initial_weights is not None:  # others may be given the same object
                    weights = copy.copy(initial_weights)
                elif saved is not None and fits(model, saved):
                    weights, start = FixedWeights(), saved
                else:
                    weights = RandomWeights()
                weights.build(make_model, model)
                if start is not None:
                    split = len(model.trainable_variables)
                    weights.student.assign(start[:split], start[split:])
                self.members.append((learner, weights))
        self.is_random = self.members[0][1].is_random
        if len(architectures) > 1 and not self.is_random:
            raise ValueError(
                f"Several students ({self.name}) need random initial weights: each "
                "starts from weights of its own."
            )

    def draw(self, seed: tf.Tensor, learn: Callable):
        """Draws a student and calls `learn` with it, in a graph or eagerly.

        Args:
            seed: int32 tensor `[2]` from which architecture and weights are drawn.
            learn: Called with the student's `InitialWeights`, weights and state, once
                for each architecture; the results must have the same structure.

        Returns:
            What `learn` returns for the student that was drawn.
        """

        def branch(weights):
            return lambda: learn(weights, *weights.sample(seed))

        branches = [branch(weights) for _, weights in self.members]
        if len(branches) == 1:
            return branches[0]()
        own = fold_in(seed, Draw.ARCHITECTURE)
        which = tf.random.stateless_uniform([], own, 0, len(branches), tf.int32)
        return tf.switch_case(which, branches)

    def checkpointed(self, strategy: tf.distribute.Strategy) -> dict:
        """What students start from, if that is fixed, and what they keep; may be `{}`.

        Args:
            strategy: The one in whose scope the students were made. Each of its
                replicas has variables of its own; those of this process are saved.
        """
        found = [
            own
            for _, weights in self.members
            for variable in weights.variables
            for own in strategy.experimental_local_results(variable)
        ]
        kept = {"students": found} if found else {}
        if not self.is_random:
            kept["start"] = self.members[0][1].student.variables
        return kept

    def depends(self, seed: tf.Tensor, images) -> list:
        """What results depend on: of each architecture starts, and what it computes.

        All starts that there are to test with; one, if there is no end of them.

        Args:
            seed: Of the start, int32 `[2]`.
            images: Some of the real ones, normalised.

        Returns:
            Arrays and tensors.
        """
        found: list = []
        for student, weights in self.members:
            start = weights.sample_held_out(seed, tf.constant(0))
            found += [*start[0], *start[1], *student.traits(*start, images)]
            for number in range(1, weights.num_held_out or 1):
                trained, state = weights.sample_held_out(seed, tf.constant(number))
                found += [*trained, *state]
        return found

    def record(self) -> dict:
        """What is to be known of starts that are not saved, as JSON: `{}` if random."""
        _, weights = self.members[0]
        return {"pretrained": True} if weights.draws_from_pool else {}

    def saved(self) -> list[np.ndarray] | None:
        """Arrays of the fixed initial weights; None if they are random."""
        if self.is_random:
            return None
        _, weights = self.members[0]
        return weights.student.arrays()
