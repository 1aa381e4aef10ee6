"""The map from raw images to the inputs of students; it is saved with the data."""

import dataclasses
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

_AT_ONCE = 2**20  # numbers that are looked at in float64
_LEAST = 1e-30  # a deviation by which float32 can be divided


@dataclasses.dataclass(frozen=True)
class Normalization:
    """Affine map of each channel, from raw images to the inputs of students.

    A raw value `x` becomes `(x / scale - mean) / std`.

    Attributes:
        mean: One finite number per channel, of images divided by `scale`.
        std: One positive number per channel, of images divided by `scale`.
        scale: Largest raw value: 255 for uint8 images, 1 for float ones and for masks
            of 0 and 1.

    Raises:
        ValueError: If the numbers do not describe an invertible map.

    Example:
        >>> import numpy as np
        >>> import tfdistill
        >>> norm = tfdistill.Normalization(mean=[0.5], std=[0.25])
        >>> raw = np.array([[0, 255]], np.uint8)[..., None]
        >>> norm.normalize(raw).numpy().ravel()
        array([-2.,  2.], dtype=float32)
        >>> norm.denormalize(norm.normalize(raw)).ravel()
        array([0., 1.], dtype=float32)
        >>> tfdistill.Normalization.from_config(norm.to_config()) == norm
        True
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 255.0

    def __post_init__(self):
        try:
            mean, std = np.float64(self.mean), np.float64(self.std)
            scale = float(self.scale)
            numbers = np.array([*mean, *std, scale])
            valid = mean.shape == std.shape == (len(mean),) and mean.size
            valid = valid and np.isfinite(numbers).all() and std.min() > 0 < scale
        except (TypeError, ValueError):
            valid = False
        if not valid:
            raise ValueError(
                "A normalization needs a finite mean and a positive std for each "
                f"channel and a positive scale, not mean={self.mean!r}, "
                f"std={self.std!r} and scale={self.scale!r}."
            )
        for name, value in (("mean", mean), ("std", std)):
            object.__setattr__(self, name, tuple(value.tolist()))
        object.__setattr__(self, "scale", scale)

    def normalize(self, images) -> tf.Tensor:
        """Normalises raw images; may be used inside `tf.function` and `tf.data`.

        Args:
            images: Raw array or tensor [..., C] of any numeric dtype.

        Returns:
            float32 tensor of the same shape.

        Raises:
            ValueError: If the last axis does not have one entry per channel.
        """
        images = tf.convert_to_tensor(images)
        self.check_channels(images.shape)
        shape = (*images.shape[:-1], len(self.mean))
        # Broadcasting over whole rows is several times faster than over 3 channels.
        width = (images.shape[-2] if images.shape.rank > 1 else None) or 1
        std = np.tile(self.std, width)
        gain, offset = 1 / (self.scale * std), -np.tile(self.mean, width) / std
        images = tf.cast(tf.ensure_shape(images, shape), tf.float32)
        rows = tf.reshape(images, (-1, len(std)))
        rows = rows * np.float32(gain) + np.float32(offset)
        return tf.ensure_shape(tf.reshape(rows, tf.shape(images)), shape)

    def denormalize(self, images) -> np.ndarray:
        """Undoes `normalize`, up to the scale.

        Args:
            images: Normalised array or tensor [..., C].

        Returns:
            float32 array of the same shape: raw images divided by `scale`. Real
            images are in [0, 1]; other images may exceed it, since nothing is clipped.

        Raises:
            ValueError: If the last axis does not have one entry per channel.
        """
        images = np.asarray(images, np.float32)
        self.check_channels(images.shape)
        return images * np.float32(self.std) + np.float32(self.mean)

    def displayable(self, images) -> np.ndarray:
        """Denormalises images for display, clipped to [0, 1].

        Args:
            images: Normalised array or tensor [..., C].

        Returns:
            float32 array of the same shape, in [0, 1]. If the scale is not 255, the
            values from the 1st to the 99th percentile are stretched to this range.

        Raises:
            ValueError: If the last axis does not have one entry per channel.
        """
        images = self.denormalize(images)
        if self.scale != 255:
            low, high = np.percentile(images, [1, 99])
            images = (images - low) / ((high - low) or 1)
        return np.clip(images, 0, 1)

    def check_channels(self, shape) -> None:
        """Checks that images of a shape have the channels of this map.

        A broadcast would otherwise turn grey images into three channels unnoticed.

        Args:
            shape: Shape [..., C] of images; an unknown C (None) is accepted.

        Raises:
            ValueError: If the last axis does not have one entry per channel.
        """
        if not len(shape) or shape[-1] not in (None, len(self.mean)):
            raise ValueError(
                f"images must have {len(self.mean)} channels to match the "
                f"normalization, not shape {tuple(shape)}."
            )

    def to_config(self) -> dict:
        """Returns a dict for JSON, with the keys "mean", "std" and "scale"."""
        mean, std = list(self.mean), list(self.std)
        return {"mean": mean, "std": std, "scale": self.scale}

    @classmethod
    def from_config(cls, config: dict) -> "Normalization":
        """Makes the map that `to_config` described.

        Args:
            config: Dict with "mean", "std" and, optionally, "scale".

        Returns:
            The `Normalization`.

        Raises:
            ValueError: If a key is missing or unknown, or a value is not allowed.
        """
        try:
            return cls(**config)
        except TypeError:
            raise ValueError(
                "A normalization must be a dict with the keys mean, std and scale, "
                f"not {config!r}."
            ) from None


def measure(chunks: Iterable[np.ndarray]) -> Normalization:
    """Measures the mean and standard deviation of each channel.

    Args:
        chunks: Raw images [n, H, W, C], uint8 or float32.

    Returns:
        The `Normalization` that gives these images mean 0 and standard deviation 1. A
        constant channel keeps its scale: its std is 1.

    Raises:
        ValueError: If a number is NaN or infinite.
    """
    count, highest, scale = 0, 0, 1.0
    shift, total, squares = None, np.zeros(()), np.zeros(())
    for chunk in chunks:
        scale = 255.0 if chunk.dtype == np.uint8 else 1.0
        rows = chunk.reshape(-1, chunk.shape[-1])
        count, step = count + len(rows), max(1, _AT_ONCE // rows.shape[1])
        # Distances from some pixel: those of a constant channel are exactly 0.
        shift = rows[0].astype(np.float64) if shift is None else shift
        for at in range(0, len(rows), step):
            some = rows[at : at + step]
            highest, away = max(highest, some.max()), some - shift
            total = total + away.sum(0)
            squares = squares + np.square(away, out=away).sum(0)
    if not np.isfinite(squares).all():
        raise ValueError("images must be finite, but some are NaN or infinite.")
    if scale == 255 and highest == 1:  # a mask, which 255 would make black
        scale = 1.0
    away = total / count
    mean = (shift + away) / scale
    std = np.sqrt(np.maximum(squares / count - away**2, 0)) / scale
    # What rounding leaves of a constant channel is small beside its numbers or, if they
    # were centred, beside those of the others. (Above 1, these say nothing of it.)
    size = np.sqrt(mean**2 + std**2)
    least = 1e-6 * np.maximum(size, min(1.0, size.max()))
    std = np.where(std <= np.maximum(least, _LEAST), 1.0, std)
    return Normalization(tuple(mean), tuple(std), scale)
