"""Running graphs as they are traced."""

import functools
from collections.abc import Callable

import tensorflow as tf


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
