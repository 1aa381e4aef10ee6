"""From the black and white of other images to those of the real ones."""

import numpy as np

from tfdistill.data import ends as real_ends
from tfdistill.data.dataset import Dataset
from tfdistill.data.normalization import Normalization

_SAMPLE = 2000  # real images


def placed(images, of: tuple[float, float], ends: np.ndarray) -> np.ndarray:
    """Moves images from one range to that of the real ones.

    Args:
        images: `[..., C]`.
        of: What black and white are in them.
        ends: What they are in the real images, `[2, C]`.
    """
    low, high = of
    black, white = ends
    return black + (white - black) * ((images - low) / (high - low))


def in_real(
    images: np.ndarray,
    theirs: Normalization,
    dataset: Dataset,
    ends: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Images in the range of the real ones, by what their normalization tells.

    Its numbers are of images in 0..1, or in 0..255 if one is above 2. They may also be
    of images in the range of the real ones, if that is another or the numbers are the
    same: what is more like the real ones is taken.

    Args:
        images: `[..., C]`, as `theirs` denormalises them.
        theirs: The normalization that they had. Its scale tells the range if it is 255.
        dataset: The real data.
        ends: What `data.ends.black_and_white` finds in it.

    Returns:
        The images, as the real data's normalization denormalises them, and the `apart`
        of what was guessed: 0 if nothing was.
    """
    if theirs.scale == 255:
        return placed(images, (0.0, 1.0), ends), 0.0
    own, mean, std = dataset.normalization, np.array(theirs.mean), np.array(theirs.std)
    white = 255.0 if max(*theirs.mean, *theirs.std) > 2 else 1.0
    ways = [lambda x: placed(x, (0.0, white), ends)]
    same = np.allclose([mean, std], [own.mean, own.std], rtol=1e-4)
    if same or not real_ends.are_usual(ends):
        ways.append(lambda x: x)
    # Pixels of a range cannot deviate more: these numbers were not measured in it.
    if (std**2 > (1 + 1e-6) * mean * (white - mean)).any():
        axes = tuple(range(images.ndim - 1))
        mean, std = images.mean(axes), images.std(axes)
    real = own.denormalize(some_real(dataset))
    moments = real.mean((0, 1, 2)), real.std((0, 1, 2))
    far = [apart((way(mean), way(mean + std) - way(mean)), moments) for way in ways]
    best = int(np.argmin(far))
    return ways[best](images), far[best]


def some_real(dataset: Dataset) -> np.ndarray:
    """Some of the real training images, normalised, `[n, H, W, C]`."""
    count = dataset.train.num_examples
    rows = np.random.default_rng(0).permutation(count)[:_SAMPLE]
    return dataset.train.take(rows)


def apart(moments, real) -> float:
    """How far a mean and a deviation, by channel, are from those of real images."""
    (mean, std), (real_mean, real_std) = moments, real
    deviation = np.maximum(real_std, 1e-6)
    means = np.abs(mean - real_mean) / deviation
    ratio = np.maximum(std, 1e-9) / deviation
    return float(means.mean() + np.abs(np.log(ratio)).mean())
