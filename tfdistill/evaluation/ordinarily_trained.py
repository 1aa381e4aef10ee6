"""Networks that were trained on a set, kept, so that they can be asked anything."""

import dataclasses
import time

import numpy as np
import tensorflow as tf

from tfdistill import students
from tfdistill._internal import identity
from tfdistill._internal.seeds import Stream, fold_in, student_seed
from tfdistill.data.dataset import Dataset
from tfdistill.evaluation.attacked import PixelAttack
from tfdistill.evaluation.fresh_students import by_xla, training
from tfdistill.inner.tracing import as_traced
from tfdistill.weights.population import Population
from tfdistill.weights.random import RandomWeights

_VAST = 1e6


class Architecture:
    """Networks of one architecture, as functions of their weights.

    Args:
        student: Same as for `students.get`.
        dataset: The real data.

    Raises:
        ValueError: If it doesn't fit the data, takes raw images, or is several.
    """

    def __init__(self, student, dataset: Dataset):
        population = Population(
            student, dataset.image_shape, dataset.num_classes, RandomWeights()
        )
        if len(population.members) > 1:
            raise ValueError(f"{population.name} is several architectures: name one.")
        self.name = population.name
        ((self.student, self.weights),) = population.members
        models, shape = [self.student.model], dataset.image_shape
        students.check_range(models, self.name, shape, dataset.normalization)

        @tf.function(reduce_retracing=True, autograph=False)
        def logits(weights, state, images):
            return self.student(weights, state, images, training=False)[0]

        self._logits = logits
        self._attacks: dict = {}

    def start(self, seed: int, number) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """The initial weights and state of a network.

        They depend on the seed and its number alone, whatever it learns from.
        """
        key = fold_in(student_seed(seed, Stream.EVALUATION), number)
        return self.weights.sample_held_out(key, tf.constant(number))

    def depends(self, seed: int, images) -> list[np.ndarray]:
        """What results of its networks depend on: how they start, what they compute.

        Args:
            seed: Same as for `start`.
            images: Some of the real ones, normalised.
        """
        start = self.start(seed, 0)
        traits = self.student.traits(*start, images)
        return [*(np.asarray(x) for x in (*start[0], *start[1])), *traits]

    def logits(self, trained, batches) -> np.ndarray:
        """Outputs float `[n, classes]` of a trained network for all batches.

        Those of one that diverged, which are not finite, are numbers that say nothing.
        """
        found = [self._logits(*trained, images).numpy() for images, _ in batches]
        numbers = np.nan_to_num(np.concatenate(found), posinf=_VAST, neginf=-_VAST)
        return np.clip(numbers, -_VAST, _VAST)

    def accuracy_under(self, attack: PixelAttack, trained, batches, ends) -> float:
        """The accuracy of a trained network on attacked images, in 0..1.

        Args:
            attack: The attack.
            trained: Weights and state of the network.
            batches: (normalised images, labels) batches.
            ends: What `pixel_ends` found.
        """
        if attack not in self._attacks:

            @tf.function(reduce_retracing=True, autograph=False)
            def hits(weights, state, images, labels, ends, seed):
                def network(changed):
                    return self.student(weights, state, changed, training=False)[0]

                changed = attack(network, images, labels, ends, seed)
                said = tf.argmax(network(changed), -1, labels.dtype)
                return tf.reduce_sum(tf.cast(said == labels, tf.int32))

            self._attacks[attack] = hits
        right = total = 0
        for number, (images, labels) in enumerate(batches):
            seed = tf.constant([number, 0])
            hit = self._attacks[attack](*trained, images, labels, ends, seed)
            right += int(hit)
            total += len(labels)
        return right / total


class Trainer:
    """Trains networks of one architecture on sets of one shape, several at a time.

    One graph serves all sets, rates and numbers of updates.

    Args:
        architecture: The `Architecture`.
        like: A `DistilledDataset` of the shape, objective and kind of recipe.
        side_by_side: Number of networks in one graph.
    """

    def __init__(self, architecture: Architecture, like, side_by_side: int = 2):
        self._teacher = teacher = like.recipe.teacher(like)
        self._objective = like.objective
        self.side_by_side = side_by_side
        train = training(
            architecture.student,
            architecture.weights,
            teacher,
            self._objective,
            side_by_side,
            by_xla(like.recipe),
        )
        self._train = as_traced(tf.function(train, autograph=False))
        # Traced now, so that the time of a training is that of a training.
        once = dataclasses.replace(like.recipe, updates=1)
        self(like.replace(recipe=once), 0, 0)

    def takes(self, distilled) -> bool:
        """Whether the graph is for a set: its shape, objective and kind of recipe."""
        return not self._teacher.difference(distilled) and identity.alike(
            distilled.objective, self._objective
        )

    def __call__(self, distilled, first: int, seed: int):
        """Trains the networks `first`, `first + 1`, ... on a set.

        Returns:
            Weights and state of each, and the seconds that each took.
        """
        self._teacher.assign(distilled)
        started = time.monotonic()
        key = student_seed(seed, Stream.EVALUATION)
        trained = self._train(key, tf.constant(first))
        trained[0][0][0].numpy()  # waits for it
        return trained, (time.monotonic() - started) / self.side_by_side
