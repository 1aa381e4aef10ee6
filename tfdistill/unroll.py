"""The inner loop and its adjoint (Wang et al. 2018, algorithm 1).

A student's weights theta_0 become theta_T by T steps on synthetic batches; a real batch
judges theta_T; the meta-gradient is the derivative of that judgement with respect to
what the batches are made of. No other module holds a tape around a tape.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


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
    _, learner = tf.while_loop(
        lambda t, _: t < curriculum.num_steps,
        lambda t, learner: (t + 1, step(student, curriculum, objective, t, learner)),
        (0, start),
    )
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


def back_gradient(student, curriculum, objective, weights, state, images, labels):
    """The meta-gradient, at the memory of one set of weights (and slots) a step.

    The forward loop keeps where the student stands before each step and nothing else;
    the backward loop rebuilds one step at a time under a tape and takes one
    vector-Jacobian product. Both are `tf.while_loop`s, so that neither the graph nor
    the time to trace it depends on T.

    Args:
        student: A `StatelessModel`.
        curriculum: Has `num_steps`, `batch(t)`, `inner_optimizer` and `sources`, the
            tensors or variables that its batches are made of.
        objective: An `Objective`.
        weights, state: The student's start, lists of tensors.
        images, labels: J real batches, `[J, batch, ...]`. The last judges the student
            after all T steps; the others, at even distances, on its way there (Such et
            al. 2019's intermediate losses). J divides T.

    Returns:
        An `Unrolled`.

    Raises:
        ValueError: If J doesn't divide T.
    """
    num_steps = curriculum.num_steps
    last, distance = _judgements(images, num_steps)
    start = Learner(weights, state, curriculum.inner_optimizer.slots(weights))

    # Forward: theta_0 ... theta_T, each theta_t kept (with state and slots beside it).
    def forward(t, learner, history):
        history = [h.write(t, x) for h, x in zip(history, tf.nest.flatten(learner))]
        return t + 1, step(student, curriculum, objective, t, learner), history

    history = [
        tf.TensorArray(
            x.dtype, num_steps, clear_after_read=False, element_shape=x.shape
        )
        for x in tf.nest.flatten(start)
    ]
    _, learner, history = tf.while_loop(
        lambda t, *_: t < num_steps, forward, (0, start, history)
    )

    # The judgement, and its derivative with respect to theta_T.
    loss, outputs, cotangents = judge(
        student, objective, learner, images[last], labels[last]
    )

    # Backward: from d loss / d theta_{t+1} to d loss / d theta_t, and the share of
    # step t in the derivative with respect to the sources.
    def backward(t, loss, cotangents, gradients):
        learner = tf.nest.pack_sequence_as(start, [h.read(t) for h in history])
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
        def judged():
            number = t // distance - 1
            more, _, own = judge(
                student, objective, learner, images[number], labels[number]
            )
            return loss + more, [c + o for c, o in zip(cotangents, own)]

        loss, cotangents = tf.cond(
            (t > 0) & (t % distance == 0), judged, lambda: (loss, cotangents)
        )
        return t - 1, loss, cotangents, gradients

    zeros = [tf.zeros(s.shape, s.dtype) for s in curriculum.sources]
    _, loss, _, gradients = tf.while_loop(
        lambda t, *_: t >= 0,
        backward,
        (num_steps - 1, loss, cotangents, zeros),
        maximum_iterations=num_steps,
    )
    count = last + 1
    return Unrolled(loss / count, outputs, [g / count for g in gradients])


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


METHODS = {"back_gradient": back_gradient, "full": full}


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


def _add(total, share):
    # A step reads one row of the distilled images: add that row, not a whole array.
    if isinstance(share, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(total, share.indices[:, None], share.values)
    return total + share
