"""The inner loop (Wang et al. 2018, algorithm 1): one step, many steps, a judgement."""

from typing import NamedTuple

import tensorflow as tf

from tfdistill.inner import parts
from tfdistill.inner.problem import Problem


class Learner(NamedTuple):
    """A student at one moment of its training: lists of tensors.

    Attributes:
        weights: One for each trainable variable of the model.
        state: One for each other variable.
        slots: The running averages of the inner optimizer.

    Example:
        >>> import tensorflow as tf
        >>> from tfdistill import unroll
        >>> learner = unroll.Learner([tf.ones([2, 3])], [], [])
        >>> len(learner.differentiable)
        1
    """

    weights: list[tf.Tensor]
    state: list[tf.Tensor]
    slots: list[tf.Tensor]

    @property
    def differentiable(self) -> list[tf.Tensor]:
        """All tensors but the integer ones (seeds of stochastic layers)."""
        return [x for x in tf.nest.flatten(self) if x.dtype.is_floating]


def start(problem: Problem) -> Learner:
    """The student before its first step.

    Example:
        >>> import tfdistill
        >>> from tfdistill import inner, unroll
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=2, epochs=1)
        >>> student = inner.StatelessModel(tfdistill.students.linear((8, 8, 1)))
        >>> given = tfdistill.Classification(), student.weights, student.state
        >>> problem = inner.Problem(student, images, *given, *digits.test.sample(2))
        >>> len(unroll.start(problem).weights)
        2
    """
    slots = first_slots(problem.curriculum.inner_optimizer, problem.weights)
    return Learner(problem.weights, problem.state, slots)


def first_slots(optimizer, weights) -> list[tf.Tensor]:
    """The running averages of an inner optimizer before its first step.

    Half precision, which weights may have, holds neither Adam's averages of squares
    nor the derivative of their root: these are float32.

    Example:
        >>> import tensorflow as tf
        >>> from tfdistill import inner, unroll
        >>> len(unroll.first_slots(inner.Adam(), [tf.ones([2, 3])]))
        2
    """
    half = tf.float16, tf.bfloat16
    slots = optimizer.slots(weights)
    return [tf.cast(s, tf.float32) if s.dtype in half else s for s in slots]


def step(problem: Problem, t, learner: Learner) -> Learner:
    """One step: theta_{t+1} = theta_t - eta_t * grad l(x_t, theta_t), or as in Adam.

    Example:
        >>> import tfdistill
        >>> from tfdistill import inner, unroll
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=2, epochs=1)
        >>> student = inner.StatelessModel(tfdistill.students.linear((8, 8, 1)))
        >>> given = tfdistill.Classification(), student.weights, student.state
        >>> problem = inner.Problem(student, images, *given, *digits.test.sample(2))
        >>> learner = unroll.step(problem, 0, unroll.start(problem))
        >>> len(learner.weights)
        2
    """
    batch = problem.curriculum.batch(t)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(learner.weights)
        outputs, state, penalty = problem.student(
            learner.weights, learner.state, batch.images, training=True
        )
        loss = problem.objective.inner_loss(batch.labels, outputs) + penalty
    judged = batch.labels, outputs
    gradients = derivatives(tape, loss, learner.weights, problem, "inner_loss", *judged)
    weights, slots = problem.curriculum.inner_optimizer.take(
        t, batch.hyperparameters, gradients, learner.weights, learner.slots
    )
    return Learner(weights, state, slots)


def walk(problem: Problem, learner: Learner, first, stop, track=()):
    """Takes the steps `first` to `stop` - 1.

    Args:
        problem: The student and its curriculum; the real batch is not used.
        learner: The student before step `first`.
        first, stop: Integers, or integer scalars.
        track: Where to keep the learner before each step, from `room`; by default
            nowhere.

    Returns:
        The learner after the last step, and the track.

    Example:
        >>> import tfdistill
        >>> from tfdistill import inner, unroll
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=2, epochs=1)
        >>> student = inner.StatelessModel(tfdistill.students.linear((8, 8, 1)))
        >>> given = tfdistill.Classification(), student.weights, student.state
        >>> problem = inner.Problem(student, images, *given, *digits.test.sample(2))
        >>> learner, _ = unroll.walk(problem, unroll.start(problem), 0, stop=2)
        >>> len(learner.weights)
        2
    """

    def forward(t, learner, track):
        track = write(track, t - first, learner)
        return t + 1, step(problem, t, learner), track

    _, learner, track = tf.while_loop(
        lambda t, *_: t < stop,
        forward,
        (first, learner, list(track)),
        parallel_iterations=1,
    )
    return learner, track


def train(student, curriculum, objective, weights, state):
    """The inner loop alone: a student's weights and state after all T steps.

    Args:
        student: A `StatelessModel`.
        curriculum: A `Curriculum`.
        objective: An `Objective`.
        weights, state: The student's initial values, lists of tensors.

    Returns:
        The trained weights and the state after them.

    Example:
        >>> import tfdistill
        >>> from tfdistill import inner, unroll
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=2, epochs=1)
        >>> student = inner.StatelessModel(tfdistill.students.linear((8, 8, 1)))
        >>> start = student.weights, student.state
        >>> trained = unroll.train(student, images, tfdistill.Classification(), *start)
        >>> student.assign(*trained)
    """
    nothing = tf.zeros([])
    problem = Problem(student, curriculum, objective, weights, state, nothing, nothing)
    learner, _ = walk(problem, start(problem), 0, curriculum.num_steps)
    return learner.weights, learner.state


def judge(problem: Problem, learner: Learner, images, labels):
    """The meta-loss on a real batch, the outputs, and d loss / d learner.

    Example:
        >>> import tfdistill
        >>> from tfdistill import inner, unroll
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=2, epochs=1)
        >>> student = inner.StatelessModel(tfdistill.students.linear((8, 8, 1)))
        >>> given = tfdistill.Classification(), student.weights, student.state
        >>> problem = inner.Problem(student, images, *given, *digits.test.sample(2))
        >>> learner = unroll.start(problem)
        >>> _, outputs, slope = unroll.judge(problem, learner, *digits.test.sample(2))
        >>> outputs.shape.as_list(), len(slope)
        ([20, 10], 2)
    """

    def network(images):
        return problem.student(learner.weights, learner.state, images, False)[0]

    sources = learner.differentiable
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(sources)
        outputs = parts.side_by_side(problem.student, network, images)
        loss = problem.objective.meta_loss(labels, outputs)
    judged = labels, outputs
    gradients = derivatives(tape, loss, sources, problem, "meta_loss", *judged)
    return loss, outputs, gradients


def derivatives(tape, loss, sources, problem: Problem, method: str, labels, outputs):
    """d loss / d source, dense; zeros for those that it does not depend on.

    Args:
        tape: What recorded the loss.
        loss: A scalar, of the problem's objective.
        sources: Tensors or variables.
        problem: Whose objective it is.
        method: The objective's method that computed the loss.
        labels, outputs: What it computed the loss from.

    Raises:
        ValueError: If it depends on none of them.

    Example:
        >>> import tensorflow as tf
        >>> from tfdistill import unroll
        >>> used, unused = tf.constant(3.0), tf.constant(1.0)
        >>> with tf.GradientTape() as tape:
        ...     tape.watch([used, unused])
        ...     loss = used * used
        >>> judged = None, "meta_loss", None, None  # for the error alone
        >>> found = unroll.derivatives(tape, loss, [used, unused], *judged)
        >>> [float(x) for x in found]
        [6.0, 0.0]
    """
    gradients = tape.gradient(loss, sources)
    if sources and all(g is None for g in gradients):
        raise ValueError(_why_none(problem.objective, method, labels, outputs))
    pairs = zip(sources, gradients)
    return dense([tf.zeros_like(s) if g is None else g for s, g in pairs])


def _why_none(objective, method, labels, outputs):
    """Why a loss does not depend on what is learned: by the objective, or before it."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(outputs)
        loss = getattr(objective, method)(labels, outputs)
    if tape.gradient(loss, outputs) is None:
        return (
            f"{type(objective).__name__}.{method} has no derivative: nothing can be "
            "learned from a loss of argmax, rounded or compared outputs, or of numbers "
            "from outside TensorFlow's operations."
        )
    return (
        "The student's outputs depend on nothing that is learned: a layer stops "
        "gradients, or computes outside TensorFlow's operations."
    )


def dense(gradients) -> list[tf.Tensor]:
    """Gradients as tensors; those of layers that gather rows are `tf.IndexedSlices`.

    Example:
        >>> import tensorflow as tf
        >>> from tfdistill import unroll
        >>> values, rows, shape = tf.ones([1, 2]), tf.constant([2]), tf.constant([3, 2])
        >>> unroll.dense([tf.IndexedSlices(values, rows, shape)])[0].numpy().tolist()
        [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    """
    return [tf.convert_to_tensor(g) for g in gradients]


def room(learner: Learner, length) -> list[tf.TensorArray]:
    """A track for `length` learners like this one: an array for each tensor.

    Example:
        >>> import tensorflow as tf
        >>> from tfdistill import unroll
        >>> learner = unroll.Learner([tf.ones([2, 3])], [], [])
        >>> len(unroll.room(learner, length=5))
        1
    """
    return [
        tf.TensorArray(x.dtype, length, clear_after_read=False, element_shape=x.shape)
        for x in tf.nest.flatten(learner)
    ]


def write(track, index, learner: Learner) -> list[tf.TensorArray]:
    """Writes a learner into a track.

    Example:
        >>> import tensorflow as tf
        >>> from tfdistill import unroll
        >>> learner = unroll.Learner([tf.ones([2, 3])], [], [])
        >>> track = unroll.write(unroll.room(learner, 5), 0, learner)
        >>> track[0].size().numpy().item()
        5
    """
    return [a.write(index, x) for a, x in zip(track, tf.nest.flatten(learner))]


def read(track, index, like: Learner) -> Learner:
    """Reads a learner from a track.

    Example:
        >>> import tensorflow as tf
        >>> from tfdistill import unroll
        >>> learner = unroll.Learner([tf.ones([2, 3])], [], [])
        >>> track = unroll.write(unroll.room(learner, 5), 4, learner)
        >>> unroll.read(track, 4, like=learner).weights[0].shape.as_list()
        [2, 3]
    """
    return tf.nest.pack_sequence_as(like, [a.read(index) for a in track])
