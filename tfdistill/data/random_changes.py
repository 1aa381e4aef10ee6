"""Random changes to the images that students learn from, drawn anew at every step."""

import dataclasses
import math
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import is_number
from tfdistill._internal.seeds import key_of
from tfdistill.inner.second_order import projective_transform


@dataclasses.dataclass(frozen=True)
class RandomChanges:
    """Shifts, turns, zooms, flips, colours and cutouts, drawn for each image.

    A pure function of images and seed, differentiable, on normalised images. Distilled
    images are few: without such changes students learn them by heart. The ranges mean
    the same as in Keras's `RandomTranslation`, `RandomRotation`, `RandomZoom` and
    `RandomFlip`.

    Args:
        shift: Largest shift, as a share of height and width, in [0, 1].
        rotation: Largest turn, as a share of a full circle, in [0, 0.5].
        zoom: Largest change of size, in [0, 1).
        flip: Whether a random half is mirrored, left to right.
        cutout: Side of a square that becomes 0 (the mean of the real images), as a
            share of the sides, in [0, 1].
        colour: Strength of changes of brightness, contrast and saturation, in [0, 1].
        whole_batch: Whether all images of a batch change in the same way (the siamese
            augmentation of Zhao and Bilen 2021).

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> import tensorflow as tf, tfdistill
        >>> change = tfdistill.RandomChanges(shift=0.1, rotation=0.04, zoom=0.1)
        >>> change(tf.zeros([5, 28, 28, 1]), tf.constant([0, 1])).shape
        TensorShape([5, 28, 28, 1])
    """

    shift: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    flip: bool = False
    cutout: float = 0.0
    colour: float = 0.0
    whole_batch: bool = False

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is bool:
                if not isinstance(value, (bool, np.bool_)):
                    raise ValueError(f"{field.name} must be True or False.")
                object.__setattr__(self, field.name, bool(value))
                continue
            highest = {"rotation": 0.5, "zoom": 0.99}.get(field.name, 1.0)
            if not is_number(value) or not 0 <= value <= highest:
                raise ValueError(
                    f"{field.name} must lie in 0..{highest:g}, not be {value!r}."
                )
            # NumPy's numbers become Python's, which JSON takes.
            object.__setattr__(self, field.name, float(value))

    @property
    def changes_nothing(self) -> bool:
        """Whether images stay as they are."""
        return not (
            self.shift
            or self.rotation
            or self.zoom
            or self.flip
            or self.cutout
            or self.colour
        )

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Changes images at random.

        Args:
            images: float `[batch, height, width, channels]`, normalised.
            seed: int32 `[2]`.

        Returns:
            Images of the same shape.
        """
        draws = _Draws(images, seed, 1 if self.whole_batch else tf.shape(images)[0])
        if self.shift or self.rotation or self.zoom or self.flip:
            images = self._move(images, draws)
        if self.colour:
            images = self._tint(images, draws)
        if self.cutout:  # last, as a square that is not tinted
            images = self._cut(images, draws)
        return images

    def _move(self, images, draws):
        height, width = images.shape[1:3]
        angle = 2 * math.pi * draws(1, self.rotation)
        scale = 1 + draws(2, self.zoom)
        down, right = height * draws(3, self.shift), width * draws(4, self.shift)
        side = tf.ones_like(angle)
        if self.flip:
            side = tf.where(draws(5, 1.0) < 0, -1.0, 1.0)
        # Where the pixel (x, y) comes from: turned and scaled about the middle.
        middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
        cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
        a, b = side * cosine, -side * sine
        x = middle_x - a * (middle_x + right) - b * (middle_y + down)
        y = middle_y - sine * (middle_x + right) - cosine * (middle_y + down)
        zero = tf.zeros_like(angle)
        rows = tf.stack([a, b, x, sine, cosine, y, zero, zero], 1)
        moved = projective_transform(
            images, rows, [height, width], 0.0, "BILINEAR", "NEAREST"
        )
        return tf.ensure_shape(moved, images.shape)

    def _cut(self, images, draws):
        height, width = images.shape[1:3]
        inside = tf.ones([1, height, width], tf.bool)
        for number, length, axis in ((6, height, 1), (7, width, 2)):
            middle = length * (draws(number, 0.5) + 0.5)
            place = tf.range(length, dtype=tf.float32)[None] + 0.5
            near = tf.abs(place - middle[:, None]) < self.cutout * length / 2
            inside &= tf.expand_dims(near, 3 - axis)
        return tf.where(inside[..., None], tf.zeros([], images.dtype), images)

    def _tint(self, images, draws):
        def by(number, width):
            drawn = tf.cast(draws(number, width * self.colour), images.dtype)
            return drawn[:, None, None, None]

        images += by(8, 0.5)
        mean = tf.reduce_mean(images, [1, 2, 3], keepdims=True)
        images = mean + (1 + by(9, 0.5)) * (images - mean)
        grey = tf.reduce_mean(images, 3, keepdims=True)
        return grey + (1 + by(10, 1.0)) * (images - grey)

    def to_config(self) -> dict:
        """The changes that are made, as JSON; those that are not are left out."""
        fields = dataclasses.asdict(self)
        return {name: value for name, value in fields.items() if value}

    @classmethod
    def from_config(cls, config: Mapping) -> "RandomChanges":
        """What `to_config` wrote.

        Raises:
            ValueError: If a name or a value is not one of `RandomChanges`.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if not set(config) <= known:
            raise ValueError(
                f"the changes {', '.join(sorted(set(config) - known))} are unknown"
            )
        return cls(**config)

    def layer(self, seed: int = 0) -> keras.layers.Layer:
        """The same as a Keras layer, which changes images while a model is trained.

        Args:
            seed: Random seed.
        """
        return RandomlyChanged(self, seed)


@keras.saving.register_keras_serializable("tfdistill", "_RandomlyChanged")
class RandomlyChanged(keras.layers.Layer):
    """`RandomChanges` as a layer: active in training, otherwise the identity.

    Args:
        changes: The `RandomChanges`, or their config.
        seed: Random seed.
    """

    def __init__(self, changes: RandomChanges | Mapping, seed: int = 0, **kwargs):
        # What comes in is changed as it is, whatever Keras's policy.
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        if isinstance(changes, Mapping):
            changes = RandomChanges.from_config(changes)
        self._changes, self._seed = changes, seed
        self._seeds = keras.random.SeedGenerator(seed)

    def get_config(self):
        config = {"changes": self._changes.to_config(), "seed": self._seed}
        return {**super().get_config(), **config}

    def call(self, images, training=False):
        if not training:
            return images
        return self._changes(images, key_of(*tf.unstack(self._seeds.next())))


class _Draws:
    """Uniform numbers in -width..width, one for each image or one for all."""

    def __init__(self, images, seed, count):
        self._seed, self._count = seed, count
        self._all = tf.shape(images)[0]

    def __call__(self, number, width):
        seed = tf.random.experimental.stateless_fold_in(self._seed, number)
        drawn = tf.random.stateless_uniform([self._count], seed, -width, width)
        return tf.broadcast_to(drawn, [self._all])
