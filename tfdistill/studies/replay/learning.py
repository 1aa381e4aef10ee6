"""One network that learns task after task, in balanced batches."""

from typing import final

import numpy as np
import tensorflow as tf

from tfdistill._internal.seeds import Draw, Stream, fold_in, student_seed
from tfdistill.distilled.ordinary import OrdinaryTraining, falling
from tfdistill.evaluation.ordinarily_trained import Architecture
from tfdistill.inner import unroll
from tfdistill.inner.curriculum import Batch, Curriculum
from tfdistill.inner.objectives.least_squares import LeastSquares


class Learner:
    """Trains networks of one architecture on squared errors.

    One graph serves all tasks and memories.

    Args:
        architecture: The `Architecture`.
        training: How it learns each task: `OrdinaryTraining`, but that each batch has
            as many images of each class.
    """

    def __init__(self, architecture: Architecture, training: OrdinaryTraining):
        student, objective = architecture.student, LeastSquares()

        @tf.function(reduce_retracing=True, autograph=False)
        def learn(weights, state, images, targets, starts, counts, seed):
            batches = _Balanced(images, targets, starts, counts, seed, training)
            return unroll.train(student, batches, objective, weights, state)

        self._learn = learn

    def __call__(self, network, images, targets, classes, seed: int, task: int):
        """Trains a network on one task and on the memory of those before.

        Args:
            network: Its weights and its state, lists of tensors.
            images: float32 `[n, *image_shape]`, normalised.
            targets: float32 `[n, classes]`.
            classes: The class of each image, int `[n]`.
            seed: Random seed.
            task: Number of the task.

        Returns:
            Weights and state after the last update.
        """
        order = np.argsort(classes, kind="stable")
        _, counts = np.unique(classes, return_counts=True)
        starts = np.cumsum(counts) - counts
        numbers = [tf.constant(x, tf.int32) for x in (starts, counts)]
        key = student_seed(seed, Stream.TRAINING, task)
        arrays = [tf.constant(x[order]) for x in (images, targets)]
        return self._learn(*network, *arrays, *numbers, key)


@final
class _Balanced(Curriculum):
    """Batches with as many images of each class, drawn at random.

    Images of a class lie together: from `starts`, as many as `counts`.
    """

    def __init__(self, images, targets, starts, counts, seed, training):
        self._images, self._targets = images, targets
        self._starts, self._counts = starts, counts
        self._drawn, self._changed = (
            fold_in(seed, Draw.ORDER),
            fold_in(seed, Draw.CHANGES),
        )
        self._training, self.num_steps = training, training.updates
        self.inner_optimizer = training.inner_optimizer

    @property
    def sources(self):
        return []

    def batch(self, t):
        size = self._training.batch_size
        # One class after the other, without end.
        which = (t * size + tf.range(size)) % tf.shape(self._counts)[0]
        counts = tf.gather(self._counts, which)
        share = tf.random.stateless_uniform([size], fold_in(self._drawn, t))
        place = tf.cast(share * tf.cast(counts, share.dtype), tf.int32)
        # A share may be rounded up to 1.
        rows = tf.gather(self._starts, which) + tf.minimum(place, counts - 1)
        images, targets = tf.gather(self._images, rows), tf.gather(self._targets, rows)
        images = self._training.changes(images, fold_in(self._changed, t))
        rate = falling(self._training.learning_rate, t, self.num_steps)
        return Batch(images, targets, {"learning_rate": rate})
