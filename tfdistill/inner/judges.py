"""Judgements during training: what `BackGradient` and `FullUnroll` share."""

from typing import NamedTuple

import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill.inner.problem import MetaGradient, Problem


class Judges(NamedTuple):
    """The parts of a real batch, each of which judges the student once.

    Attributes:
        images, labels: `[J, batch / J, ...]`; of a batch of fewer than J examples, as
            the last of a data set may be, each judges several times, `[J, 1, ...]`.
        last: J - 1, the index of the part that judges after all T steps.
        distance: T / J, the number of steps from one judgement to the next.
    """

    images: tf.Tensor
    labels: tf.Tensor
    last: int
    distance: int


class Unroll(MetaGradient):
    """A meta-gradient through all of a student's steps.

    Args:
        judgements: J, how often a student is judged: after all of its T steps, and
            evenly spaced before (the intermediate losses of Such et al. 2019). Each
            judgement uses its own part of the real batch, of at least one example; the
            meta-loss is their mean. J must divide T.

    Raises:
        ValueError: If J is below 1.
    """

    def __init__(self, *, judgements: int = 1):
        self.judgements = check_int("judgements", judgements, 1)

    def check_synthesizer(self, synthesizer, curriculum):
        """Refuses a T that J does not divide."""
        self._check_steps(curriculum.num_steps)

    def _check_steps(self, num_steps):
        if num_steps % self.judgements:
            raise ValueError(
                f"judgements must divide the {num_steps} steps of a student evenly, "
                f"which {self.judgements} does not."
            )

    def _judges(self, problem: Problem) -> Judges:
        self._check_steps(problem.curriculum.num_steps)
        count = self.judgements

        def parts(examples):
            if count == 1:
                return examples[None]
            number, most, least = examples.shape[0], max, min
            if number is None:
                number, most, least = tf.shape(examples)[0], tf.maximum, tf.minimum
            size = least(most(number // count, 1), number)
            # The last batch of a data set may be small: its examples judge in turn.
            rows = tf.range(count * size) % most(number, 1)
            shape = [count, size, *examples.shape[1:]]
            return tf.reshape(tf.gather(examples, rows), shape)

        return Judges(
            parts(problem.images),
            parts(problem.labels),
            count - 1,
            problem.curriculum.num_steps // count,
        )
