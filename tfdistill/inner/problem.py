"""The contract of meta-gradients: their input and their output."""

import abc
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tfdistill._internal.faces import Face
from tfdistill.inner import second_order
from tfdistill.inner.curriculum import Curriculum
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.stateless import StatelessModel


class Problem(NamedTuple):
    """The task of one student: to learn from a curriculum, and to be judged.

    Attributes:
        student: The network as a pure function.
        curriculum: What the student learns from.
        objective: How it is taught, and what it is judged on.
        weights: Its initial trainable weights, a list of tensors.
        state: Initial values of its other variables, a list of tensors.
        images: The real batch, float `[batch, *image_shape]`, normalised.
        labels: Labels of the real batch, `[batch, ...]`, as in the data set.

    Example:
        >>> import tfdistill
        >>> from tfdistill import inner
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=2, epochs=1)
        >>> student = inner.StatelessModel(tfdistill.students.linear((8, 8, 1)))
        >>> given = tfdistill.Classification(), student.weights, student.state
        >>> problem = inner.Problem(student, images, *given, *digits.test.sample(2))
        >>> judged = tfdistill.BackGradient()(problem)
        >>> len(judged.gradients) == len(images.sources)
        True
    """

    student: StatelessModel
    curriculum: Curriculum
    objective: Objective
    weights: list[tf.Tensor]
    state: list[tf.Tensor]
    images: tf.Tensor
    labels: tf.Tensor


class Judgement(NamedTuple):
    """The meta-loss of a trained student, and its derivative.

    Attributes:
        loss: The meta-loss, a scalar.
        gradients: d loss / d source: one dense tensor for each source of the
            curriculum.
        labels: The real labels that belong to `outputs`.
        outputs: The trained student's outputs on real images.

    Example:
        >>> import tensorflow as tf, tfdistill
        >>> labels, outputs = tf.constant([1, 0]), tf.zeros([2, 10])
        >>> loss = tfdistill.Classification().meta_loss(labels, outputs)
        >>> judged = tfdistill.inner.Judgement(loss, [tf.zeros([10])], labels, outputs)
        >>> round(float(judged.loss), 3)
        2.303
    """

    loss: tf.Tensor
    gradients: list[tf.Tensor]
    labels: tf.Tensor
    outputs: tf.Tensor


class MetaGradient(Face, abc.ABC):
    """How a student learns, and how its judgement is differentiated.

    An object holds its options and nothing else. It is called for each student while
    the graph is traced.

    Example:
        >>> import tensorflow as tf, tfdistill
        >>> from tfdistill import inner
        >>> class PlainTape(tfdistill.MetaGradient):
        ...     def __call__(self, problem):
        ...         sources = problem.curriculum.sources
        ...         with tf.GradientTape() as tape:
        ...             tape.watch(sources)
        ...             learner = inner.unroll.start(problem)
        ...             for t in range(problem.curriculum.num_steps):
        ...                 learner = inner.unroll.step(problem, t, learner)
        ...             outputs, _, _ = problem.student(
        ...                 learner.weights, learner.state, problem.images, False
        ...             )
        ...             loss = problem.objective.meta_loss(problem.labels, outputs)
        ...         gradients = tape.gradient(
        ...             loss, sources, unconnected_gradients="zero"
        ...         )
        ...         gradients = [tf.convert_to_tensor(g) for g in gradients]
        ...         return inner.Judgement(loss, gradients, problem.labels, outputs)
    """

    @abc.abstractmethod
    def __call__(self, problem: Problem) -> Judgement:
        """Trains a student, judges it, and differentiates the judgement.

        Args:
            problem: The student, what it learns from, and the real batch.

        Returns:
            The meta-loss, with its derivative by each of `problem.curriculum.sources`.
        """

    def check_synthesizer(self, synthesizer, curriculum: Curriculum) -> None:
        """Refuses a synthesizer that it cannot learn.

        Called once, before anything is traced. By default any is accepted. One that
        takes no inner steps learns no rates: it refuses a synthesizer without a
        `recipe` of its own, whose result would be trained on by such rates.

        Args:
            synthesizer: The `Synthesizer`.
            curriculum: What one of its students learns from.

        Raises:
            ValueError: If the synthesizer, or its number of steps, is refused.
        """
        del synthesizer, curriculum

    def check_student(
        self, student: StatelessModel, image_shape: Sequence[int]
    ) -> None:
        """Refuses a student that it cannot use.

        Called once for each architecture, before an outer step is traced. By default,
        one whose steps cannot be differentiated: with an operation that has no second
        derivative.

        Args:
            student: The network as a pure function.
            image_shape: (height, width, channels).

        Raises:
            ValueError: If the student is refused.
        """
        second_order.check(student, image_shape, student.name)
