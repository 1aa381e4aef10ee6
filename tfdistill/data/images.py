"""Raw images and labels of any kind, converted to one form."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfdistill.data import labels as label_forms
from tfdistill.data import shapes
from tfdistill.data.normalization import Normalization

_LOOKED_AT = 8  # labels, to tell one-hot vectors from batches: few batches hold one 1


@dataclasses.dataclass(frozen=True)
class Form:
    """Size and channels that raw images are converted to.

    Attributes:
        image_size: Height and width of the images; None keeps theirs.
        channels: 3 for colour (grey images get three equal channels), 1 for grey; None
            keeps them.
        margin: Number of black pixels on each side, within `image_size`.
    """

    image_size: int | None = None
    channels: int | None = None
    margin: int = 0

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Converts images.

        Args:
            images: Raw images [..., H, W, C] of known C, uint8 or float32.

        Returns:
            Images [..., H', W', C'] of the same dtype.

        Raises:
            ValueError: If the channels are to change but are not 1 or 3.
        """
        if self.image_size:
            inner = self.image_size - 2 * self.margin
            if images.shape[-3:-1] != (inner, inner):
                images = _resize(images, inner)
            images = tf.image.pad_to_bounding_box(
                images, self.margin, self.margin, self.image_size, self.image_size
            )
        self.check_channels(images.shape)
        if self.channels in (None, images.shape[-1]):
            return images
        if self.channels == 3:
            return tf.image.grayscale_to_rgb(images)
        grey = tf.image.rgb_to_grayscale(tf.cast(images, tf.float32))
        # TensorFlow rounds down, which would leave little of a mask of 0 and 1.
        return grey if images.dtype != tf.uint8 else tf.cast(tf.round(grey), tf.uint8)

    def check_channels(self, shape) -> None:
        """Checks that images of a shape [..., H, W, C] can be converted.

        Raises:
            ValueError: If the channels are to change but are not 1 or 3.
        """
        wanted, found = self.channels, shape[-1]
        if wanted not in (None, found) and {wanted, found} != {1, 3}:
            raise ValueError(
                "only grey images (1 channel) can be converted to colour (3) and the "
                f"reverse, not those of {found} channels: leave channels out."
            )

    def of_arrays(self, images: np.ndarray) -> np.ndarray:
        """Converts an array of images [N, H, W, C]."""
        if self == Form():
            return images
        chunks = (tf.constant(images[i : i + 512]) for i in range(0, len(images), 512))
        return np.concatenate([self(chunk).numpy() for chunk in chunks])

    def of_normalization(self, known: Normalization | None) -> Normalization | None:
        """Converts a normalization to that of images in this form.

        Args:
            known: `Normalization` of the images as they were; None if there is none.

        Returns:
            `Normalization` of the converted images; None if it does not follow from
            `known`.
        """
        if known is None or self.channels in (None, len(known.mean)):
            return known
        if len(known.mean) == 1:
            return Normalization(known.mean * 3, known.std * 3, known.scale)
        return None


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Labelled images that are decoded only after `where` has selected them.

    Attributes:
        records: Unbatched (record, integer label) pairs.
        decode: Converts a record to an image; None if the records are images.
        listed: The records [N] and labels, int32 [N], if all are in memory.
    """

    records: tf.data.Dataset
    decode: Callable[[tf.Tensor], tf.Tensor] | None = None
    listed: tuple[tf.Tensor, tf.Tensor] | None = None

    @staticmethod
    def of_list(
        records, labels, decode: Callable[[tf.Tensor], tf.Tensor] | None
    ) -> "Pairs":
        """The pairs of a list in memory, such as paths of files and their labels.

        Args:
            records: Array or tensor [N].
            labels: Same of int32.
            decode: Same as in `Pairs`.
        """
        with tf.device("CPU:0"):  # accelerator memory is for the students
            listed = tf.constant(records), tf.constant(labels)
        return Pairs(tf.data.Dataset.from_tensor_slices(listed), decode, listed)

    def images(self) -> tf.data.Dataset:
        """Returns a dataset of the (image, label) pairs."""
        decode = self.decode
        if decode is None:
            return self.records
        return self.records.map(
            lambda record, label: (decode(record), label),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    def labels(self) -> tf.data.Dataset:
        """Returns a dataset of the labels; no image is decoded."""
        return self.records.map(lambda _, label: label)

    def where(self, mask: np.ndarray) -> "Pairs":
        """Returns the pairs for which a bool array [N] is true."""
        if self.listed is not None:
            records, labels = (x.numpy()[mask] for x in self.listed)
            return Pairs.of_list(records, labels, self.decode)
        wanted = tf.constant(mask)
        kept = self.records.enumerate().filter(lambda row, _: wanted[row])
        return Pairs(kept.map(lambda _, pair: pair), self.decode)

    def relabelled(self, numbers: np.ndarray) -> "Pairs":
        """Returns the pairs whose label is `numbers[y]` instead of y."""
        if self.listed is not None:
            records, labels = self.listed
            return Pairs.of_list(records, numbers[labels.numpy()], self.decode)
        table = tf.constant(numbers)
        records = self.records.map(lambda record, y: (record, table[y]))
        return Pairs(records, self.decode)

    def shuffled(self, seed: tf.Tensor, window: int) -> "Pairs":
        """Returns the pairs in another order; may be called in a graph.

        Args:
            seed: int64 [2], of which alone the order is a function.
            window: Number of records among which the next one is drawn, where they are
                read in order. Those of a list are shuffled fully.
        """
        if self.listed is not None:
            listed = self.listed
            rows = tf.range(len(listed[1]))
            rows = tf.random.experimental.stateless_shuffle(rows, seed, alg="philox")
            order = tf.data.Dataset.from_tensor_slices(rows)
            in_order = order.map(lambda row: tuple(x[row] for x in listed))
            return Pairs(in_order, self.decode)
        # The seed below is all there is, whatever TensorFlow's global one: of this
        # function's graph only. (With a global seed of 0 TensorFlow would fail.)
        tf.compat.v1.set_random_seed(None)
        records = self.records.shuffle(
            window,
            # The seed of an epoch must not be that of another seed's epoch.
            seed=tf.random.stateless_uniform(
                [], seed, minval=None, maxval=None, dtype=tf.int64
            ),
            reshuffle_each_iteration=False,
        )
        return Pairs(records, self.decode)


def raw_pairs(data: Pairs | tf.data.Dataset, form: Form = Form(), shape=None) -> Pairs:
    """Converts images to uint8 or float32 of static shape, and labels to int32.

    Args:
        data: `Pairs`, or a dataset of (image [H, W, C] or [H, W], label): an integer,
            a bool or a one-hot vector.
        form: `Form` to convert the images to.
        shape: (H, W, C) of all images, if known.

    Returns:
        `Pairs` of images [H, W, C] and scalar int32 labels, in a fixed order wherever
        the dataset leaves the choice. uint8 images stay uint8, bools become uint8;
        others become float32, uint16 ones in [0, 1].

    Raises:
        ValueError: If the data are of another kind, or the images differ in size.
    """
    pairs = data if isinstance(data, Pairs) else Pairs(data)
    spec = getattr(pairs.records, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise ValueError(
            "the data must be a tf.data.Dataset of pairs (image, label), not "
            f"{data if spec is None else spec!r}."
        )
    image, label = pairs.images().element_spec
    if not all(isinstance(part, tf.TensorSpec) for part in (image, label)):
        raise ValueError(
            f"the pairs must be of an image and a label, not of {image} and {label}."
        )
    if _is_batched(image.shape, label.shape, pairs):
        raise ValueError(
            f"the dataset is batched, in images of shape {image.shape}: give its "
            "single pairs, by unbatch()."
        )
    to_number = label_forms.scalar(label)
    kept = image.dtype in (tf.uint8, tf.uint16, tf.bool) or image.dtype.is_floating
    if kept and image.shape.rank is not None:
        shapes.check(image.shape.as_list())
    if not kept or image.shape.rank not in (2, 3, None):
        raise ValueError(
            "images must be unbatched [H, W, C] of uint8, uint16 or floats, not "
            f"{image.dtype.name} of shape {image.shape}; tf.cast converts them."
        )
    if image.shape.rank == 3 and image.shape[-1] is not None:
        form.check_channels(image.shape)  # later it would be an error of tf.data

    def standard(record):
        image = record if pairs.decode is None else pairs.decode(record)
        if image.shape.rank == 2:
            image = image[..., None]
        if image.dtype == tf.bool:
            image = tf.cast(image, tf.uint8)
        if image.dtype != tf.uint8:
            image = tf.image.convert_image_dtype(image, tf.float32)
        image = form(image)
        return tf.ensure_shape(image, shape) if shape is not None else image

    records = pairs.records.map(lambda record, label: (record, to_number(label)))
    if records.options().deterministic is False:
        in_order = tf.data.Options()
        in_order.deterministic = True
        records = records.with_options(in_order)
    standardized = Pairs(records, standard, pairs.listed)
    if not standardized.images().element_spec[0].shape.is_fully_defined():
        raise ValueError(
            f"images must have one known size, not {image.shape}: resize them, by "
            "image_size of load_dataset, or by tf.image.resize in map() of a dataset; "
            "if they have one, tf.ensure_shape says so there."
        )
    return standardized


def _is_batched(image, label, pairs):
    if image.rank not in (3, 4) or label.rank not in (1, 2):
        return False
    # Otherwise the label may be a vector, one-hot, of one image [H, W, C].
    if image.rank == 4 or label[0] is None:
        return True
    if image[0] != label[0] or label.rank == 2:
        return image[0] == label[0]
    if image[-1] in (1, 3, 4):
        return False
    # [9, 9, 103] with [9] is 9 grey images, or one of 103 bands where 9 classes are.
    try:
        first = list(pairs.labels().take(_LOOKED_AT).as_numpy_iterator())
    except tf.errors.OpError:  # it is said where all of them are read
        return False
    return not all(map(label_forms.is_one_hot, first))


def as_images(images) -> np.ndarray:
    """Checks an array of images and converts it.

    Args:
        images: Numbers [N, H, W, C] or [N, H, W], N at least 1: finite floats,
            integers in 0..255, or bools.

    Returns:
        Array [N, H, W, C], float32 or uint8; no copy if it was one already.

    Raises:
        ValueError: If the images are not what is described above.
    """
    try:
        images = np.asarray(images)
    except ValueError:
        raise ValueError(
            "images must be one array [N, H, W, C], not of several sizes: resize them."
        ) from None
    if images.dtype.kind in "biuf" and images.size and images.ndim:
        shapes.check(images.shape[1:])
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not images.size or images.dtype.kind not in "biuf":
        raise ValueError(
            "images must be numbers of shape [N, H, W, C] or [N, H, W], at least one, "
            f"not {images.dtype} of shape {images.shape}."
        )
    low, high = images.min(), images.max()  # NaN, if there is one
    if images.dtype.kind == "f":
        if not max(-low, high) <= np.finfo(np.float32).max:
            raise ValueError("images must be finite, but some are NaN or infinite.")
    elif low < 0 or high > 255:
        raise ValueError(
            f"images must be integers in 0..255, not {low}..{high}; floats may be in "
            "any range, so divide them, such as by 65535."
        )
    kept = np.float32 if images.dtype.kind == "f" else np.uint8
    return images.astype(kept, copy=False)


def _resize(images: tf.Tensor, size: int) -> tf.Tensor:
    resized = tf.image.resize(images, (size, size), antialias=True)
    if images.dtype == tf.uint8:
        resized = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    return resized
