"""Are images that students are given normalised, as they expect them?"""

import itertools
import types

import keras
import numpy as np
import tensorflow as tf

from tfdistill.data.dataset import Dataset
from tfdistill.data.normalization import Normalization
from tfdistill.data.split import Split

_WAY_OUT = "give data.train.batch(...), or normalization.normalize(images)"
_ENOUGH = 1000  # numbers, one of which is below the mean
_HUGE = 20.0  # deviation of what was not normalised
_DARK = -0.25  # what black becomes, if it can be told from the mean


def first_batch(batches, labels=None) -> tuple[tuple | None, object]:
    """The first batch of what `fit` is given, and that again, with its first batch.

    Args:
        batches: What `fit` is given: batches (images, labels) of a `tf.data.Dataset`, a
            `keras.utils.PyDataset` or a generator, or an array of images; anything else
            is not looked at.
        labels: The labels, if it is an array.

    Returns:
        Its arrays (images, labels), with None for labels that are missing, or None if
        the first batch is not known; and what to give to `fit` in place of `batches`.

    Raises:
        ValueError: If these are single images, or no batches at all.
    """
    if isinstance(batches, Dataset):
        raise ValueError(
            f"{batches.name} is a whole data set: give batches of its training part, "
            "data.train.batch(256, shuffle=True, repeat=True), and steps_per_epoch."
        )
    if isinstance(batches, Split):
        raise ValueError(
            "a Split is not batches: give split.batch(256, shuffle=True, repeat=True), "
            "and steps_per_epoch."
        )
    batch = None
    if isinstance(batches, tf.data.Dataset):
        batch = _first(batches)
    elif isinstance(batches, keras.utils.PyDataset):
        batch = _pair(None if batches.num_batches == 0 else batches[0])
    elif isinstance(batches, types.GeneratorType):
        first = next(batches, None)
        batch = _pair(first)
        # Keras takes generators, and no other iterators.
        batches = (batch for batch in itertools.chain([first], batches))
    elif isinstance(batches, np.ndarray | tf.Tensor):
        batch = batches[:256], None if labels is None else labels[:256]
    if batch is None:
        return None, batches
    images, labels = batch
    arrays = np.asarray(images), None if labels is None else np.asarray(labels)
    return arrays, batches


def refuse_integers(images: np.ndarray) -> None:
    """Refuses images of whole numbers, which nobody has normalised.

    Args:
        images: Those that students are to learn from.

    Raises:
        ValueError: If these are integers or bools.
    """
    if images.dtype.kind in "biu":
        raise ValueError(
            f"images must be normalised, not {images.dtype}: give "
            "normalization.normalize(images)."
        )


def check_images(images: np.ndarray, normalization: Normalization | None) -> None:
    """Refuses a batch of images that are not normalised.

    Args:
        images: The batch.
        normalization: `Normalization` that they should have; None if that is not known.

    Raises:
        ValueError: If these are raw images.
    """
    if images.dtype == np.uint8:
        raise ValueError(f"images must be normalised, not uint8: {_WAY_OUT}.")
    is_changed = normalization is not None and (
        any(normalization.mean) or set(normalization.std) != {1.0}
    )
    if is_changed and images.size and images.dtype.kind in "iuf":
        _check_numbers(images, normalization)


def _first(batches):
    spec = batches.element_spec
    if not isinstance(spec, tuple) or not isinstance(spec[0], tf.TensorSpec):
        return None
    if len(spec) > 1 and spec[1].shape.rank == 0:
        raise ValueError("the dataset holds single examples: give batch(256) of it.")
    for batch in batches.take(1):
        return batch[:2] if len(batch) > 1 else None
    raise ValueError("the dataset holds no batches.")


def _pair(batch):
    """Images and labels of a batch; None if it is no pair, which a step refuses."""
    if batch is None:
        raise ValueError("the dataset holds no batches.")
    is_pair = isinstance(batch, tuple | list) and len(batch) > 1
    return tuple(batch[:2]) if is_pair else None


def _check_numbers(images, normalization):
    mean, std = np.float64(normalization.mean), np.float64(normalization.std)
    black, white = (-mean / std).min(), ((1 - mean) / std).max()
    low, high, spread = float(images.min()), float(images.max()), float(images.std())
    raw = spread > _HUGE
    if normalization.scale == 255:
        room = white - black
        raw |= low < black - room - 1 or high > white + room + 1
    raw |= low >= 0 and high > 0 and black < _DARK and images.size >= _ENOUGH
    if raw:
        raise ValueError(
            "images must be normalised, to mean 0 and deviation 1, but the first batch "
            f"is in {low:.3g}..{high:.3g}: {_WAY_OUT}."
        )
