"""Seeds: each random draw of a run is a pure function of its address.

One integer is the seed of a run. What is drawn for student k of outer step t depends
only on that seed and on the address (stream, t, k), so that a run can be repeated or
resumed, on one device or several. Streams separate draws that share a seed.
"""

import contextlib
import enum
import random
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int

_ROOT = 0x5EED


class Stream(enum.IntEnum):
    """What students are for: the first part of an address."""

    TRAINING = 0
    EVALUATION = 1
    PRETRAINING = 2


class Draw(enum.IntEnum):
    """What is drawn for one student besides its weights.

    Its k-th variable takes the number k, which other draws would repeat: so theirs are
    larger. The smaller ones of earlier versions are only folded in further.
    """

    CHANGES = 4
    ORDER = 5
    CURRICULUM = 2**20 + 1
    ARCHITECTURE = 2**20 + 2
    MEMBER = 2**20 + 3


#: Follows the seed in the NumPy generators of an audit.
AUDIT_HALVES = 0x4A1F


def student_seed(seed, *address) -> tf.Tensor:
    """The seed of one student.

    Args:
        seed: Seed of the run, an integer or an integer scalar.
        *address: A `Stream`, then integers or integer scalars.

    Returns:
        int32 `[2]`, for TensorFlow's stateless functions.

    Raises:
        ValueError: If the seed is a number, but no integer of at least 0.
    """
    if not tf.is_tensor(seed):
        seed = check_int("seed", seed, 0)
    key = key_of(seed, _ROOT)
    for part in address:
        key = fold_in(key, part)
    return key


def seed_of_draw(seed: int, number: int) -> int:
    """The seed of one of several draws, of which the first has the seed of the run.

    Args:
        seed: Of the run, an integer of at least 0.
        number: Of the draw, from 0.

    Returns:
        An integer of at least 0. Runs of neighbouring seeds share no draws, as they
        would by `seed + number`.
    """
    if number == 0:
        return seed
    return int(np.random.SeedSequence([_ROOT, seed, number]).generate_state(1)[0])


def key_of(seed, number) -> tf.Tensor:
    """A key, int32 `[2]`, for which all bits of a seed count.

    Args:
        seed: Below 2**63, an integer or an integer scalar.
        number: Below 2**31, the same.
    """
    key = tf.stack([tf.cast(seed, tf.int32), tf.cast(number, tf.int32)])
    upper = tf.cast(tf.bitwise.right_shift(tf.cast(seed, tf.int64), 32), tf.int32)
    return tf.where(upper == 0, key, fold_in(key, upper))


def set_for_keras(seed: int) -> None:
    """Sets the seeds of Keras, NumPy and Python, which take 32 bits of it.

    Args:
        seed: An integer of at least 0, all of whose bits count.
    """
    keras.utils.set_random_seed(in_32_bits(seed))


def in_32_bits(seed: int) -> int:
    """A seed for libraries that take 32 bits: the seed itself, if it is below 2**31.

    Args:
        seed: An integer of at least 0, all of whose bits count.
    """
    if seed < 2**31:
        return seed
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


# XLA draws the same integers where no number of the seed is negative: TensorFlow
# extends such a number by its sign, XLA by zeros. Its floats, such as those of random
# changes, are always others: the upper bits of what is drawn, TensorFlow's the lower.
def fold_in(seed: tf.Tensor, part) -> tf.Tensor:
    """Another seed, int32 `[2]`, that depends on one seed and an integer."""
    return tf.random.experimental.stateless_fold_in(
        seed, int(part) if isinstance(part, enum.IntEnum) else part
    )


def shuffled(seed: tf.Tensor, count: int) -> tf.Tensor:
    """The numbers below `count` in a random order, int32: XLA has no shuffle."""
    drawn = tf.random.stateless_uniform([count], seed, None, None, tf.int32)
    return tf.argsort(drawn, stable=True)


@contextlib.contextmanager
def drawn_by_keras(seed: int) -> Iterator[None]:
    """Has Keras draw the weights of the models that the block makes from a seed.

    Its initialisers take their seeds from Python's `random`, which is as before when
    the block ends. A seed that `keras.utils.set_random_seed` has set stays in force.

    Args:
        seed: An integer of at least 0.
    """
    if _is_set():
        yield
        return
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def _is_set():
    """Whether `keras.utils.set_random_seed`, which sets TensorFlow's seed, was called.

    Keras does not tell in all of its versions.
    """
    with tf.Graph().as_default():  # a new graph has none
        without = tf.compat.v1.get_seed(1)
    return tf.compat.v1.get_seed(1) != without
