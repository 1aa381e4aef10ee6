"""Draws of one variable from its Keras initialiser, as a function of a seed."""

import copy
import warnings
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import with_kind
from tfdistill.inner.stateless import layer_seed

# Those of Keras and of the students that ship are known to be right.
_KNOWN = "keras.", "tfdistill."
_WAY_OUT = (
    "use objects of keras.initializers (their seeds are replaced, also in the "
    "attributes of a custom Initializer), or FixedWeights()"
)


class Seeds(keras.random.SeedGenerator):
    """Keras's seed generator without its variable: a pure function of one seed.

    Args:
        seed: int32 `[2]`.
    """

    def __init__(self, seed: tf.Tensor):
        self._seed = seed
        self._count = 0

    def next(self, ordered=True):
        """The next seed, int64 `[2]`."""
        self._count += 1
        return layer_seed(self._seed, self._count)


def draw(
    initializer: Callable, variable: keras.Variable, seeds: keras.random.SeedGenerator
) -> tf.Tensor:
    """The value of a variable by its initialiser.

    Args:
        initializer: Keras's, or any function of a shape and a `dtype`.
        variable: The variable, of whose shape and type the value is.
        seeds: Where random initialisers take their seeds from.
    """
    initializer = _reseeded(initializer, seeds)
    value = initializer(tuple(variable.shape), dtype=variable.dtype)
    return tf.cast(value, variable.dtype)


def _reseeded(initializer, seeds):
    """A copy that takes its seeds from ours, for Keras's own with a seed always give
    the same values; those that it holds are copied likewise."""
    is_object = isinstance(initializer, keras.initializers.Initializer)
    if not (is_object or hasattr(initializer, "seed")):
        return initializer
    initializer = copy.copy(initializer)
    for name, value in list(vars(initializer).items()):
        if isinstance(value, keras.initializers.Initializer):
            setattr(initializer, name, _reseeded(value, seeds))
        elif isinstance(value, keras.random.SeedGenerator):
            setattr(initializer, name, seeds)
    if hasattr(initializer, "seed"):
        initializer.seed = seeds
    return initializer


def check(drawn: Sequence[tuple[Callable, keras.Variable, tf.Tensor | None]]) -> None:
    """Refuses own initialisers whose values do not come from the seeds of `draw`.

    Args:
        drawn: Initialisers, each with its variable and with the value that it gave
            another network; None if that is not known.

    Raises:
        ValueError: If one fails, or gives every student the same values, though it
            varies by itself. There is a warning if values are not repeatable.
    """
    own = {
        (id(initializer), tuple(variable.shape)): (initializer, variable, made)
        for initializer, variable, made in drawn
        if not type(initializer).__module__.startswith(_KNOWN)
    }
    if not own:
        return

    def values(seed):
        return [_tried(i, v, Seeds(seed)) for i, v, _ in own.values()]

    # As students are drawn: what is not computed from the seed is a constant there.
    traced = tf.function(values, autograph=False)
    rounds = [traced(tf.constant(seed)) for seed in ([1, 2], [3, 4], [1, 2])]
    unrepeatable = []
    for k, (initializer, variable, made) in enumerate(own.values()):
        first, other, again = (np.asarray(of[k]) for of in rounds)
        if not np.array_equal(first, again, equal_nan=True):
            unrepeatable.append(variable.path)
        elif np.array_equal(first, other, equal_nan=True) and _varies(
            initializer, variable, made
        ):
            raise ValueError(
                f"The initializer of {variable.path} would give all students the same "
                "values, for its random numbers are drawn only once, outside of "
                f"TensorFlow or with a seed of its own: {_WAY_OUT}."
            )
    if unrepeatable:
        warnings.warn(
            f"The initializer of {unrepeatable[0]} draws other values each time, "
            f"whatever the seed, so that no run can be repeated: {_WAY_OUT}.",
            stacklevel=4,
        )


def _tried(initializer, variable, seeds):
    try:
        return draw(initializer, variable, seeds)
    except Exception as error:
        raise ValueError(
            f"The initializer of {variable.path} fails where students are drawn: "
            f"{_WAY_OUT}. {with_kind(error)}"
        ) from error


def _varies(initializer, variable, made):
    """Whether an initialiser by itself, as Keras calls it, gives several values."""
    shape, dtype = tuple(variable.shape), variable.dtype
    found = [tf.cast(initializer(shape, dtype=dtype), dtype) for _ in range(2)]
    found += [] if made is None else [made]
    return not all(np.array_equal(found[0], of, equal_nan=True) for of in found)
