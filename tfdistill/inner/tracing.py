"""How graphs are run."""

import functools
from collections.abc import Callable

import tensorflow as tf


def accelerated() -> bool:
    """Whether there is a GPU or TPU."""
    return any(d.device_type != "CPU" for d in tf.config.list_logical_devices())


def as_traced(function: Callable) -> Callable:
    """Runs a `tf.function` as it was traced, without Grappler's rewrites.

    The rewrites make the loops of this library no faster, double the time until the
    first step, and break large loops on the CPU: Grappler puts temporary variables into
    the body of a loop, they outlive its last iteration, and the next call fails with
    AlreadyExistsError (tensorflow issue 23780).

    Args:
        function: Any callable that calls `tf.function`s.

    Returns:
        The same function; each call restores TensorFlow's options.

    Example:
        >>> import tensorflow as tf, tfdistill
        >>> square = tfdistill.inner.as_traced(tf.function(lambda x: x * x))
        >>> float(square(tf.constant(3.0)))
        9.0
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
