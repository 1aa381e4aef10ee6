"""The inner loop and its adjoint (Wang et al. 2018, algorithm 1).

A student's weights theta_0 become theta_T by T steps on synthetic batches; a real batch
judges theta_T; the meta-gradient is the derivative of that judgement with respect to
what the batches are made of. No other module holds a tape around a tape.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

#: What `back_gradient` may keep of one student's steps before it makes some of them
#: again instead.
KEPT_BYTES = 2**28


class Unrolled(NamedTuple):
    """One student's training and its derivative.

    Attributes:
        loss: The meta-loss, a scalar: the mean over all judgements.
        outputs: The trained student's outputs on the last real batch.
        gradients: d loss / d source, one dense tensor for each of the curriculum's
            sources.
    """

    loss: tf.Tensor
    outputs: tf.Tensor
    gradients: list[tf.Tensor]


class Learner(NamedTuple):
    """Where a student stands: lists of tensors.

    Attributes:
        weights: One for each trainable variable of the model.
        state: One for each other variable.
        slots: Those of the inner optimizer.
    """

    weights: list[tf.Tensor]
    state: list[tf.Tensor]
    slots: list[tf.Tensor]

    @property
    def differentiable(self) -> list[tf.Tensor]:
        """All but integers (the seeds of stochastic layers)."""
        return [x for x in tf.nest.flatten(self) if x.dtype.is_floating]


def step(student, curriculum, objective, t, learner):
    """theta_{t+1} = theta_t - eta_t * grad l(x_t, theta_t), or with momentum."""
    batch = curriculum.batch(t)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(learner.weights)
        outputs, state, penalty = student(
            learner.weights, learner.state, batch.images, training=True
        )
        loss = objective.inner_loss(batch.labels, outputs) + penalty
    gradients = tape.gradient(loss, learner.weights, unconnected_gradients="zero")
    weights, slots = curriculum.inner_optimizer.update(
        t, batch, gradients, learner.weights, learner.slots
    )
    return Learner(weights, state, slots)


def walk(student, curriculum, objective, learner, first, stop, track=()):
    """Takes the steps from `first` to before `stop`.

    Args:
        student: A `StatelessModel`.
        curriculum: Has `batch(t)` and `inner_optimizer`.
        objective: An `Objective`.
        learner: Where the student stands before step `first`.
        first, stop: Integers, or integer scalars.
        track: `_track`'s, to be filled; nothing is kept if not given.

    Returns:
        The learner after the last step, and the track: the learner before each.
    """

    def forward(t, learner, track):
        track = _write(track, t - first, learner)
        return t + 1, step(student, curriculum, objective, t, learner), track

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
        curriculum: Has `num_steps`, `batch(t)` and `inner_optimizer`.
        objective: An `Objective`.
        weights, state: The student's start, lists of tensors.

    Returns:
        The trained weights and the state after them.
    """
    start = Learner(weights, state, curriculum.inner_optimizer.slots(weights))
    learner, _ = walk(student, curriculum, objective, start, 0, curriculum.num_steps)
    return learner.weights, learner.state


def judge(student, objective, learner, images, labels):
    """The meta-loss on one real batch, the outputs, and d loss / d learner."""
    sources = learner.differentiable
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(sources)
        outputs, _, _ = student(learner.weights, learner.state, images, training=False)
        loss = objective.meta_loss(labels, outputs)
    gradients = tape.gradient(loss, sources, unconnected_gradients="zero")
    return loss, outputs, gradients


def back_gradient(
    student,
    curriculum,
    objective,
    weights,
    state,
    images,
    labels,
    *,
    keep_every: int | None = None,
):
    """The meta-gradient, at the memory of one set of weights (and slots) a kept step.

    On the way forward it keeps where the student stands before its steps and nothing
    else; on the way back it rebuilds one step at a time under a tape and takes one
    vector-Jacobian product. All are `tf.while_loop`s, so that neither the graph nor
    the time to trace it depends on T. Their iterations may not overlap, or several
    steps' activations would be held at once.

    Args:
        student: A `StatelessModel`.
        curriculum: Has `num_steps`, `batch(t)`, `inner_optimizer` and `sources`, the
            tensors or variables that its batches are made of.
        objective: An `Objective`.
        weights, state: The student's start, lists of tensors.
        images, labels: J real batches, `[J, batch, ...]`. The last judges the student
            after all T steps; the others, at even distances, on its way there (Such et
            al. 2019's intermediate losses). J divides T.
        keep_every: k, at least 1: only every k-th of the T steps is kept, and those
            between are taken again on the way back. Memory is that of T / k + k steps
            instead of T, arithmetic a quarter more. By default 1 if T steps take no
            more than `KEPT_BYTES`, else the square root of T.

    Returns:
        An `Unrolled`.

    Raises:
        ValueError: If J doesn't divide T.
    """
    num_steps = curriculum.num_steps
    last, distance = _judgements(images, num_steps)
    start = Learner(weights, state, curriculum.inner_optimizer.slots(weights))
    go = functools.partial(walk, student, curriculum, objective)

    def judged(number, learner):
        return judge(student, objective, learner, images[number], labels[number])

    def back(first, track, stop, sums):
        """Steps `stop` - 1 ... `first`: from d loss / d theta_{t+1} to d theta_t."""

        def backward(t, loss, cotangents, gradients):
            learner = _read(track, t - first, start)
            origin = learner.differentiable
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(origin + curriculum.sources)
                after = step(student, curriculum, objective, t, learner)
            products = tape.gradient(
                after.differentiable,
                origin + curriculum.sources,
                output_gradients=cotangents,
                unconnected_gradients="zero",
            )
            cotangents, shares = products[: len(origin)], products[len(origin) :]
            gradients = [_add(g, share) for g, share in zip(gradients, shares)]
            if last == 0:
                return t - 1, loss, cotangents, gradients

            # What was judged on the way has its own say in what came before.
            def with_judgement():
                more, _, own = judged(t // distance - 1, learner)
                return loss + more, [c + o for c, o in zip(cotangents, own)]

            loss, cotangents = tf.cond(
                (t > 0) & (t % distance == 0),
                with_judgement,
                lambda: (loss, cotangents),
            )
            return t - 1, loss, cotangents, gradients

        _, *sums = tf.while_loop(
            lambda t, *_: t >= first,
            backward,
            (stop - 1, *sums),
            maximum_iterations=num_steps,
            parallel_iterations=1,
        )
        return sums

    def judged_last(learner):
        loss, outputs, cotangents = judged(last, learner)
        zeros = [tf.zeros(s.shape, s.dtype) for s in curriculum.sources]
        return outputs, (loss, cotangents, zeros)

    keep_every = keep_every or _affordable(start, num_steps)
    if keep_every == 1:
        learner, track = go(start, 0, num_steps, _track(start, num_steps))
        outputs, sums = judged_last(learner)
        loss, _, gradients = back(0, track, num_steps, sums)
    else:
        # Stretches of k steps: the first of each is kept, the others made again.
        count = -(-num_steps // keep_every)

        def ends(s):
            return s * keep_every, tf.minimum((s + 1) * keep_every, num_steps)

        def forward(s, learner, kept):
            kept = _write(kept, s, learner)
            return s + 1, go(learner, *ends(s))[0], kept

        def backward(s, *sums):
            first, stop = ends(s)
            room = _track(start, keep_every)
            _, track = go(_read(kept, s, start), first, stop, room)
            return s - 1, *back(first, track, stop, sums)

        _, learner, kept = tf.while_loop(
            lambda s, *_: s < count,
            forward,
            (0, start, _track(start, count)),
            parallel_iterations=1,
        )
        outputs, sums = judged_last(learner)
        _, loss, _, gradients = tf.while_loop(
            lambda s, *_: s >= 0,
            backward,
            (count - 1, *sums),
            maximum_iterations=count,
            parallel_iterations=1,
        )
    return Unrolled(loss / (last + 1), outputs, [g / (last + 1) for g in gradients])


def full(student, curriculum, objective, weights, state, images, labels):
    """The same by plain nested tapes: slow and large, the reference for tests.

    Takes and returns what `back_gradient` does. Its graph and its memory grow with
    every step's activations.
    """
    last, distance = _judgements(images, curriculum.num_steps)
    losses = []
    with tf.GradientTape() as tape:
        tape.watch(curriculum.sources)
        slots = curriculum.inner_optimizer.slots(weights)
        learner = Learner(weights, state, slots)
        for t in range(curriculum.num_steps):
            learner = step(student, curriculum, objective, t, learner)
            if (t + 1) % distance == 0:
                number = (t + 1) // distance - 1
                outputs, _, _ = student(
                    learner.weights, learner.state, images[number], training=False
                )
                losses.append(objective.meta_loss(labels[number], outputs))
        loss = tf.add_n(losses) / (last + 1)
    gradients = tape.gradient(loss, curriculum.sources, unconnected_gradients="zero")
    return Unrolled(loss, outputs, [tf.convert_to_tensor(g) for g in gradients])


METHODS: dict[str, Callable[..., Unrolled]] = {
    "back_gradient": back_gradient,
    "full": full,
}


def as_traced(function: Callable) -> Callable:
    """Runs a `tf.function` as it was traced, without Grappler's rewrites.

    Of the loops here they make nothing faster, double the time until the first step,
    and break large ones on the CPU: temporary variables put into the body of a loop
    stay behind after its last iteration, and the next call fails with
    AlreadyExistsError (tensorflow issue 23780).

    Args:
        function: Any callable that calls `tf.function`s.

    Returns:
        The same function; TensorFlow's options are as before after each call.
    """
    option = "disable_meta_optimizer"

    @functools.wraps(function)
    def call(*args, **kwargs):
        before = tf.config.optimizer.get_experimental_options().get(option, False)
        tf.config.optimizer.set_experimental_options({option: True})
        try:
            return function(*args, **kwargs)
        finally:
            tf.config.optimizer.set_experimental_options({option: before})

    return call


def _judgements(images, num_steps):
    """The number of the last judgement, and the steps from one to the next."""
    count = images.shape[0]
    if num_steps % count:
        raise ValueError(
            f"{count} judgements cannot be spread evenly over {num_steps} steps."
        )
    return count - 1, num_steps // count


def _affordable(learner, num_steps):
    """After how many steps one is to be kept."""
    size = sum(x.shape.num_elements() * x.dtype.size for x in tf.nest.flatten(learner))
    return 1 if num_steps * size <= KEPT_BYTES else math.isqrt(num_steps)


def _track(learner, length):
    """Room for learners like this one: a `tf.TensorArray` for each tensor."""
    return [
        tf.TensorArray(x.dtype, length, clear_after_read=False, element_shape=x.shape)
        for x in tf.nest.flatten(learner)
    ]


def _write(track, index, learner):
    return [a.write(index, x) for a, x in zip(track, tf.nest.flatten(learner))]


def _read(track, index, like):
    return tf.nest.pack_sequence_as(like, [a.read(index) for a in track])


def _add(total, share):
    # A step reads one row of the distilled images: add that row, not a whole array.
    if isinstance(share, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(total, share.indices[:, None], share.values)
    return total + share
