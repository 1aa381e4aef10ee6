"""Which numbers raw images hold: do train, test and the normalization go together?"""

import dataclasses

import numpy as np

from tfdistill.data import stratified
from tfdistill.data.normalization import Normalization

_LOOKED_AT = 2000  # images, from end to end
_FEW, _SOME = 10, 30  # images that tell the sign of a range, or its width
# Parts of one data set differ less in their deviation; 0..1 and -1..1 differ by 2.
_USUAL_RATIO, _WILD_RATIO = 1.8, 20.0
# Normalised images have deviation 1. Those that were normalised with the wrong scale
# differ from each other by next to nothing, or by hundreds.
_LEAST_SPREAD, _LARGEST = 0.05, 300.0
# Black and white are the same numbers in both parts, if enough images reach them. Parts
# that were standardised each by its own mean and deviation differ by a few percent.
_MANY, _OTHER_END, _EQUAL = 0.1, 0.1, 1e-6
_FEWER_BITS = 4.0  # pictures of 6 bits a pixel, or fewer, beside those of 8


@dataclasses.dataclass(frozen=True)
class Extent:
    """The numbers of a part's raw images.

    Attributes:
        dtype: Their type.
        count: Number of images that were looked at.
        low, high, mean, std: Over all of these images and their pixels.
        reached: Whether many images reach the lowest number, and many the highest: then
            these are black and white.
    """

    dtype: str
    count: int
    low: float
    high: float
    mean: float
    std: float
    reached: bool = False

    @staticmethod
    def of_images(images: np.ndarray) -> "Extent":
        """Looks at raw images [N, H, W, C]."""
        rows = stratified.spaced(len(images), _LOOKED_AT)
        moments = np.empty((len(rows), 4))
        for of, row in zip(moments, rows, strict=True):
            image = images[row].astype(np.float64)
            of[:] = image.min(), image.max(), image.mean(), np.square(image).mean()
        return Extent.of_moments(moments, images.dtype.name)

    @staticmethod
    def of_moments(moments: np.ndarray, dtype: str) -> "Extent":
        """Sums up the rows [N, 4] of a `passes.Scan`.

        Raises:
            ValueError: If an image is not finite.
        """
        if not np.isfinite(moments).all():
            row = int((~np.isfinite(moments)).any(1).argmax())
            raise ValueError(
                "images must be finite, but some are NaN or infinite, such as example "
                f"{row}."
            )
        mean, square = moments[:, 2:].mean(0, dtype=np.float64)
        std = np.sqrt(max(0.0, square - mean**2))
        low, high, reached = _ends(moments[:, 0], moments[:, 1])
        return Extent(dtype, len(moments), low, high, float(mean), float(std), reached)

    def __str__(self) -> str:
        return f"{self.dtype} in {self.low:.4g}..{self.high:.4g}"

    @property
    def is_constant(self) -> bool:
        """Whether all numbers are equal, as far as can be told."""
        return self.high - self.low <= 1e-6 * max(abs(self.low), abs(self.high))


def check_alike(train: Extent, test: Extent, *, declared: bool) -> None:
    """Refuses train and test whose numbers mean different things.

    Args:
        train, test: What they hold.
        declared: Whether a normalization was given, which says that both are meant;
            then only scales that differ beyond doubt are refused.

    Raises:
        ValueError: If one is in 0..255 and the other in 0..1, say.
    """
    if train.is_constant or test.is_constant:
        return
    ratio = max(test.std, 1e-30) / max(train.std, 1e-30)
    ratio = max(ratio, 1 / ratio)
    fewest, spread = min(train.count, test.count), max(train.std, test.std)
    low, other = sorted((train.low, test.low))
    differ = ratio > _WILD_RATIO
    if not declared and train.dtype == test.dtype == "uint8":
        # In 0..255 both: the one may be darker, or have less contrast.
        differ |= fewest >= _SOME and _fewer_bits(train, test)
    elif not declared:
        differ |= fewest >= _FEW and low < -0.5 * spread and other >= 0
        differ |= fewest >= _SOME and ratio > _USUAL_RATIO
        differ |= fewest >= _SOME and abs(train.mean - test.mean) > 3 * spread
        differ |= fewest >= _SOME and _other_ends(train, test)
    if differ:
        raise ValueError(
            f"train holds {train} (mean {train.mean:.3g}, deviation {train.std:.3g}) "
            f"but test {test} (mean {test.mean:.3g}, deviation {test.std:.3g}), and "
            "both are normalised alike: give them one scale, such as 0..255."
        )


def _ends(lows, highs):
    low, high = float(lows.min()), float(highs.max())
    near = _EQUAL * (high - low)
    shares = (lows <= low + near).mean(), (highs >= high - near).mean()
    return low, high, bool(min(shares) >= _MANY)


def _other_ends(train, test):
    """Whether black or white are other numbers in train than in test."""
    if not (train.reached and test.reached):
        return False
    apart = max(abs(train.low - test.low), abs(train.high - test.high))
    return apart > _OTHER_END * max(train.high - train.low, test.high - test.low)


def _fewer_bits(train, test):
    """Whether white is 15, 16 or 63 in one part of uint8, and 255 in the other."""
    low, high = sorted((train.high, test.high))
    return train.reached and test.reached and high > _FEWER_BITS * low


def check_fits(normalization: Normalization, train: Extent) -> None:
    """Refuses a normalization that is meant for images of another scale.

    Args:
        normalization: The one that was given.
        train: What the images hold.

    Raises:
        ValueError: If normalised images would all look alike, or be huge.
    """
    mean, std = np.float64(normalization.mean), np.float64(normalization.std)
    ends = (np.array([[train.low], [train.high]]) / normalization.scale - mean) / std
    # Dark uint8 images are in 0..255, too.
    flat = train.dtype != "uint8" and not train.is_constant
    flat = flat and np.ptp(ends, axis=0).max() < _LEAST_SPREAD
    if flat or np.abs(ends).max() > _LARGEST:
        raise ValueError(
            f"the normalization is for images in 0..{normalization.scale:g}, but train "
            f"holds {train}, which would become {ends.min():.3g}..{ends.max():.3g}: "
            "give it the scale of the images, or None to measure them."
        )
