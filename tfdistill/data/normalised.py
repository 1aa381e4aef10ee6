"""Are the batches that `fit` is given normalised images, as students expect them?"""

import numpy as np
import tensorflow as tf

from tfdistill.data.dataset import Dataset
from tfdistill.data.normalization import Normalization
from tfdistill.data.split import Split

_WAY_OUT = "give data.train.batch(...), or normalization.normalize(images)"
_ENOUGH = 1000  # numbers, one of which is below the mean
_HUGE = 20.0  # deviation of what was not normalised
_DARK = -0.25  # what black becomes, if it can be told from the mean


def check(batches, normalization: Normalization | None) -> None:
    """Refuses what is not normalised, by the first batch.

    Args:
        batches: What `fit` is given: a `tf.data.Dataset` of batches (images, labels),
            or an array of images; anything else is not looked at.
        normalization: `Normalization` that the images should have; None if that is not
            known.

    Raises:
        ValueError: If these are raw images, single ones, or no batches at all.
    """
    if isinstance(batches, Dataset):
        raise ValueError(
            f"{batches.name} is a whole data set: give batches of its training part, "
            "data.train.batch(256, shuffle=True)."
        )
    if isinstance(batches, Split):
        raise ValueError("a Split is not batches: give split.batch(256, shuffle=True).")
    if isinstance(batches, tf.data.Dataset):
        images = _first(batches)
    else:
        images = batches[:256] if isinstance(batches, np.ndarray | tf.Tensor) else None
    if images is None:
        return
    images = np.asarray(images)
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
    for images, *_ in batches.take(1):
        return images
    return None


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
