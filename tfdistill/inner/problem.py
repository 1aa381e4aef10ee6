"""What a meta-gradient is asked, and what it answers."""

import abc
from typing import NamedTuple

import tensorflow as tf

from tfdistill.inner.curriculum import Curriculum
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.stateless import StatelessModel


class Problem(NamedTuple):
    """One student that is to learn from a curriculum and to be judged on a real batch.

    Attributes:
        student: The network as a pure function.
        curriculum: What the student learns from.
        objective: How it is taught, and what it is judged on.
        weights: Its initial trainable weights, a list of tensors.
        state: The initial values of its other variables, a list of tensors.
        images: The real batch, float `[batch, *image_shape]`, normalised.
        labels: Its labels, `[batch, ...]`, as the data set has them.
    """

    student: StatelessModel
    curriculum: Curriculum
    objective: Objective
    weights: list[tf.Tensor]
    state: list[tf.Tensor]
    images: tf.Tensor
    labels: tf.Tensor


class Judgement(NamedTuple):
    """What a real batch says of a trained student, and the derivative of that.

    Attributes:
        loss: The meta-loss, a scalar.
        gradients: d loss / d source, one dense tensor for each source of the
            curriculum.
        labels: Those real labels that `outputs` is for.
        outputs: The trained student's outputs on real images.
    """

    loss: tf.Tensor
    gradients: list[tf.Tensor]
    labels: tf.Tensor
    outputs: tf.Tensor


class MetaGradient(abc.ABC):
    """How a student learns, and how its judgement is differentiated.

    An object holds its options and nothing else: it is called while a graph is traced,
    for each student.
    """

    @abc.abstractmethod
    def __call__(self, problem: Problem) -> Judgement:
        """Trains a student and differentiates the judgement of it.

        Args:
            problem: Who learns what, and is judged on what.
        """

    def check(self, num_steps: int) -> None:
        """Refuses students that take a number of steps it cannot be used for.

        Called once, before anything is traced. By default any number will do.

        Args:
            num_steps: T, of the curricula to come.

        Raises:
            ValueError: If it cannot.
        """
        del num_steps
