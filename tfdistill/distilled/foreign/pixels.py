"""Somebody else's pixels in the normalisation of the real data, and is it that?"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from tfdistill.data.dataset import Dataset
from tfdistill.data.ends import black_and_white
from tfdistill.data.normalization import Normalization
from tfdistill.distilled.foreign import ranges
from tfdistill.distilled.foreign.arrays import Found

#: What pixels can be: the ends of their range; None for images that have a mean and a
#: standard deviation.
READINGS: Mapping[str, tuple[float, float] | None] = {
    "standardised": None,
    "0..1": (0.0, 1.0),
    "0..255": (0.0, 255.0),
    "-1..1": (-1.0, 1.0),
}
# Distances are of means, in standard deviations of the real pixels, plus logarithms of
# standard deviations. Distilled images may be paler or stronger than real ones.
_FAR, _FAR_PICTURES, _NEARER = 1.6, 1.0, 0.35
_FITTING = 0.98  # of the pixels within a range


@dataclasses.dataclass(frozen=True)
class Declared:
    """What is known of a set's pixels, besides what its file says.

    Attributes:
        pixels: One of `READINGS`; None for the usual one: 0..255 for whole numbers,
            else standardised.
        mean, std: What was subtracted and divided by, by channel; None for those in
            the file, or the real data's.
        zca, zca_mean: The whitening, a matrix `[D, D]` and what was subtracted before,
            `[D]`; None for what is in the file.
        check: Whether what doesn't look like it is refused.
    """

    pixels: str | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    zca: np.ndarray | None = None
    zca_mean: np.ndarray | None = None
    check: bool = True

    def __post_init__(self):
        if self.pixels not in (None, *READINGS):
            raise ValueError(
                f"pixels must be one of {', '.join(READINGS)}, not {self.pixels!r}."
            )
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std need each other.")
        if self.mean is not None and self.pixels not in (None, "standardised"):
            raise ValueError(f"mean and std need no pixels={self.pixels}.")


def normalised(found: Found, dataset: Dataset, declared: Declared):
    """The images, normalised as the real ones are.

    Args:
        found: What the file holds.
        dataset: The real data.
        declared: What else is known.

    Returns:
        float32 `[n, *image_shape]`, and how they were read, in words.

    Raises:
        ValueError: If the shape is another, or they look like something else than they
            are said to be.
    """
    images, channels_first = _laid_out(found.images, dataset.image_shape)
    zca = found.zca if declared.zca is None else declared.zca
    before = found.zca_mean if declared.zca is None else declared.zca_mean
    is_whole = images.dtype.kind in "ui" and not images.min() < 0
    stored = _in_order(images, channels_first)
    if zca is not None:
        images = _unwhitened(images, zca, before)
    images = _in_order(images, channels_first)
    reading = declared.pixels
    mean, std = declared.mean, declared.std
    channels = dataset.image_shape[-1]
    if mean is None and reading in (None, "standardised"):
        mean, std = _own(found, channels)
    if reading is None:
        said = mean is not None
        reading = "0..255" if is_whole and zca is None and not said else "standardised"
    own = dataset.normalization
    numbers = [
        _channels(name, values, channels)
        for name, values in (("mean", mean), ("std", std))
    ]
    known = mean is not None
    ends = black_and_white(dataset)
    if known:
        theirs = Normalization(tuple(numbers[0]), tuple(numbers[1]), 1.0)
        raw = theirs.denormalize(images)
        raw, _ = ranges.in_real(raw, theirs, dataset, ends)
    else:
        raw = _raw(images, reading, own, ends)
    result = (raw - np.float32(own.mean)) / np.float32(own.std)
    words = reading
    if reading == "standardised":
        words += " by a mean and a deviation of its own" if known else " like real ones"
    if zca is not None:
        words += ", whitened"
    if declared.check:
        real = ranges.some_real(dataset)
        _check_whitening(stored, zca is not None, real)
        _check(images, result, reading, known, own, ends, real)
    return result.astype("float32"), words


def _laid_out(images, shape):
    """Images `[n, H, W, C]` or `[n, C, H, W]`, and whether channels come first."""
    height, width, channels = shape
    for layout, first in ((shape, False), ((channels, height, width), True)):
        if images.ndim >= 4 and images.shape[-3:] == tuple(layout):
            return images.reshape(-1, *layout), first
    if channels == 1 and images.ndim >= 3 and images.shape[-2:] == (height, width):
        return images.reshape(-1, *shape), False
    if channels == 1 and images.ndim == 2 and images.shape[-1] == height * width:
        return images.reshape(-1, *shape), False
    raise ValueError(
        f"its images have the shape {list(images.shape)}, but the real ones are "
        f"{' x '.join(map(str, shape))}: load these in the same size (image_size, "
        "channels)"
    )


def _unwhitened(images, matrix, before):
    """Undoes x -> (x - before) @ matrix of images that are flat as they lie there."""
    flat = images.reshape(len(images), -1).astype("float64")
    size = flat.shape[1]
    if matrix.shape != (size, size):
        raise ValueError(
            f"its whitening is a matrix of shape {list(matrix.shape)}, but the images "
            f"have {size} numbers"
        )
    try:
        flat = np.linalg.solve(matrix.T.astype("float64"), flat.T).T
    except np.linalg.LinAlgError:
        raise ValueError("its whitening cannot be undone: it is singular") from None
    if before is not None:
        if before.size != size:
            raise ValueError(
                f"its whitening subtracts {before.size} numbers, but the images have "
                f"{size}"
            )
        flat = flat + before.reshape(-1)
    return flat.reshape(images.shape)


def _own(found, channels):
    """The mean and the deviation in a file: both or neither, as many as channels."""
    own = {"mean": found.mean, "std": found.std}
    sizes = {name: values.size for name, values in own.items() if values is not None}
    way_out = "give both, mean= and std=, or say what the pixels are, pixels="
    for name, size in sizes.items():
        if len(sizes) == 1:
            (other,) = {*own} - {name}
            raise ValueError(f"it has a {name}, but no {other}: {way_out}")
        if size not in (1, channels):
            raise ValueError(
                f"its {name} has {size} numbers, but the images have {channels} "
                f"channel{'s' * (channels != 1)}: {way_out}"
            )
    return own.values()


def _channels(name, values, channels):
    if values is None:
        return None
    values = np.asarray(values, "float32").reshape(-1)
    if values.size not in (1, channels) or not np.isfinite(values).all():
        raise ValueError(f"{name} must be {channels} numbers, not {values.size}.")
    if name == "std" and values.min() <= 0:
        raise ValueError("std must be above 0.")
    return np.broadcast_to(values, [channels])


def _raw(images, reading, own, ends):
    """Pixels as the real ones are before they are normalised."""
    of = READINGS[reading]
    return own.denormalize(images) if of is None else ranges.placed(images, of, ends)


def _in_order(images, channels_first):
    images = np.moveaxis(images, 1, -1) if channels_first else images
    return np.ascontiguousarray(images, "float32")


def _check_whitening(images, is_said, real):
    """Refuses pixels that look whitened and aren't said to be, or the reverse."""
    alike, tails = _texture(images)
    real_alike, real_tails = _texture(real)
    # Neighbours that are hardly alike, and heavier tails than noise or images have.
    chance = math.sqrt(24 / images.size)
    looks_so = alike < 0.6 * real_alike
    looks_so = looks_so and tails > max(real_tails, 0) + 0.25 + chance
    if looks_so and not is_said:
        raise ValueError(
            "its images look whitened (neighbouring pixels are hardly alike): give the "
            "matrix, zca=FILE, or check=False if they are not"
        )
    if is_said and alike > 0.75 * real_alike:
        raise ValueError(
            "its images are said to be whitened, but neighbouring pixels are as alike "
            "as those of real images: leave zca out (or pass check=False if they are)"
        )


def _check(images, result, reading, known, own, ends, real):
    """Refuses pixels that look like another reading than theirs."""
    mean, std = np.float32(own.mean), np.float32(own.std)
    distance = _distance(result, real)
    found = {
        name: _distance((_raw(images, name, own, ends) - mean) / std, real)
        for name, of in READINGS.items()
        if name != reading and (of is None or _fits(images, of))
    }
    if known:
        found["standardised"] = _distance(images, real)
    best = min(found, key=lambda name: found[name], default=None)
    if best is not None and distance > found[best] + _NEARER and distance > 0.5:
        advice = f"{best}: pass pixels={best} (or check=False if they are right)"
        if known and best == "standardised":  # as which they are read
            advice = (
                "real ones by the real data's: pass check=False if they are right, or "
                f"these, mean= and std= ({_shown(mean)} and {_shown(std)}), if not"
            )
        raise ValueError(
            f"its images are read as {reading}{' by its mean and std' * known}, but "
            f"their moments (mean {_shown(images.mean((0, 1, 2)))}, deviation "
            f"{_shown(images.std((0, 1, 2)))}) look like {advice}"
        )
    if distance > (_FAR if READINGS[reading] is None else _FAR_PICTURES):
        raise ValueError(
            f"its images are read as {reading}, but their moments (mean "
            f"{_shown(images.mean((0, 1, 2)))}, deviation "
            f"{_shown(images.std((0, 1, 2)))}) are far from the real ones': give "
            "the mean= and std= that they were normalised by, or pixels= (or "
            "check=False if they are right)"
        )


def _distance(images, real):
    """How far the moments of normalised images are from those of real ones."""
    found, expected = ((x.mean((0, 1, 2)), x.std((0, 1, 2))) for x in (images, real))
    return ranges.apart(found, expected)


def _fits(images, ends):
    low, high = ends
    slack = 0.02 * (high - low)
    return np.mean((images >= low - slack) & (images <= high + slack)) >= _FITTING


def _texture(images):
    """The correlation of neighbouring pixels, and the excess kurtosis of all."""
    images = images.astype("float64") - images.mean((0, 1, 2))
    square = np.square(images).mean()
    if not square > 0:
        return 1.0, 0.0
    down = (images[:, 1:] * images[:, :-1]).mean() if images.shape[1] > 1 else square
    right = images[:, :, 1:] * images[:, :, :-1]
    right = right.mean() if images.shape[2] > 1 else square
    return (down + right) / 2 / square, np.power(images, 4).mean() / square**2 - 3


def _shown(values):
    return " / ".join(f"{value:.3g}" for value in values)


def limit(dataset: Dataset) -> int:
    """The most bytes of an array: what the real training images would take as float64.

    A whitening of small images fits, too.
    """
    numbers = math.prod(dataset.image_shape)
    images = 8 * dataset.train.num_examples * (numbers + dataset.num_classes)
    return images + min(16 * numbers**2, 2**31) + 2**20
