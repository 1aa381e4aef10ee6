"""The inner loop and its adjoint (Wang et al. 2018, algorithm 1).

A student's weights theta_0 become theta_T by T steps of gradient descent on synthetic
batches; a real batch judges theta_T; the meta-gradient is the derivative of that
judgement with respect to the synthesizer's variables. No other module holds a tape
around a tape.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Unrolled(NamedTuple):
    """One student's training and its derivative.

    Attributes:
        loss: The meta-loss, a scalar.
        outputs: The trained student's outputs on the real batch.
        gradients: d loss / d variable, one dense tensor for each of the
            synthesizer's trainable variables.
    """

    loss: tf.Tensor
    outputs: tf.Tensor
    gradients: list[tf.Tensor]


def gradient_descent_step(student, synthesizer, objective, t, weights, state):
    """theta_{t+1} = theta_t - eta_t * grad l(x_t, theta_t)."""
    batch = synthesizer.batch(t)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        outputs, state, penalty = student(weights, state, batch.images, training=True)
        loss = objective.inner_loss(batch.labels, outputs) + penalty
    gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
    rate = batch.learning_rate
    return [w - rate * g for w, g in zip(weights, gradients)], state


def train(student, synthesizer, objective, weights, state):
    """The inner loop alone: a student's weights and state after all T steps.

    Args:
        student: A `StatelessModel`.
        synthesizer: Anything with `num_steps` and `batch(t)`.
        objective: An `Objective`.
        weights, state: The student's start, lists of tensors.

    Returns:
        The trained weights and the state after them.
    """

    def body(t, weights, state):
        weights, state = gradient_descent_step(
            student, synthesizer, objective, t, weights, state
        )
        return t + 1, weights, state

    _, weights, state = tf.while_loop(
        lambda t, *_: t < synthesizer.num_steps, body, (0, weights, state)
    )
    return weights, state


def back_gradient(student, synthesizer, objective, weights, state, images, labels):
    """The meta-gradient, at the memory of one set of weights a step.

    The forward loop keeps each step's weights and nothing else; the backward loop
    rebuilds one step at a time under a tape and takes one vector-Jacobian product.
    Both are `tf.while_loop`s, so that neither the graph nor the time to trace it
    depends on T.

    Args:
        student: A `StatelessModel`.
        synthesizer: Has `num_steps`, `batch(t)` and `trainable_variables`.
        objective: An `Objective`.
        weights, state: The student's start, lists of tensors.
        images, labels: The real batch that judges the trained student.

    Returns:
        An `Unrolled`.
    """
    num_steps = synthesizer.num_steps

    # Forward: theta_0 ... theta_T, each theta_t kept (with the state beside it).
    def forward(t, weights, state, history):
        history = [h.write(t, x) for h, x in zip(history, weights + state)]
        weights, state = gradient_descent_step(
            student, synthesizer, objective, t, weights, state
        )
        return t + 1, weights, state, history

    history = [
        tf.TensorArray(
            x.dtype, num_steps, clear_after_read=False, element_shape=x.shape
        )
        for x in weights + state
    ]
    _, weights, state, history = tf.while_loop(
        lambda t, *_: t < num_steps, forward, (0, weights, state, history)
    )

    # The judgement, and its derivative with respect to theta_T.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights + _floats(state))
        outputs, _, _ = student(weights, state, images, training=False)
        loss = objective.meta_loss(labels, outputs)
    cotangents = tape.gradient(
        loss, weights + _floats(state), unconnected_gradients="zero"
    )

    # Backward: from d loss / d theta_{t+1} to d loss / d theta_t, and the share of
    # step t in the derivative with respect to the synthesizer's variables.
    variables = [v.value for v in synthesizer.trainable_variables]

    def backward(t, cotangents, gradients):
        values = [h.read(t) for h in history]
        weights_t, state_t = values[: len(weights)], values[len(weights) :]
        sources = weights_t + _floats(state_t)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources + variables)
            next_weights, next_state = gradient_descent_step(
                student, synthesizer, objective, t, weights_t, state_t
            )
        products = tape.gradient(
            next_weights + _floats(next_state),
            sources + variables,
            output_gradients=cotangents,
            unconnected_gradients="zero",
        )
        shares = products[len(sources) :]
        gradients = [_add(g, share) for g, share in zip(gradients, shares)]
        return t - 1, products[: len(sources)], gradients

    _, _, gradients = tf.while_loop(
        lambda t, *_: t >= 0,
        backward,
        (num_steps - 1, cotangents, [tf.zeros(v.shape, v.dtype) for v in variables]),
        maximum_iterations=num_steps,
    )
    return Unrolled(loss, outputs, gradients)


def full(student, synthesizer, objective, weights, state, images, labels):
    """The same by plain nested tapes: slow and large, the reference for tests.

    Takes and returns what `back_gradient` does. Its graph and its memory grow with
    every step's activations.
    """
    variables = [v.value for v in synthesizer.trainable_variables]
    with tf.GradientTape() as tape:
        for t in range(synthesizer.num_steps):
            weights, state = gradient_descent_step(
                student, synthesizer, objective, t, weights, state
            )
        outputs, _, _ = student(weights, state, images, training=False)
        loss = objective.meta_loss(labels, outputs)
    gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
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


def _floats(tensors):
    return [x for x in tensors if x.dtype.is_floating]


def _add(total, share):
    # A step reads one row of the distilled images: add that row, not a whole array.
    if isinstance(share, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(total, share.indices[:, None], share.values)
    return total + share
