"""Labelled images: normalised, held in memory or streamed, always replayable.

Every source ends up as a `Dataset` of two `Split`s. A split keeps its images raw
(uint8 where they came as uint8) and normalises them batch by batch; the order of
its batches is a function of a seed alone, so that a run can resume where it stopped.
"""

import contextlib
import copy
import dataclasses
import difflib
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

_MEMORY_LIMIT = 2 << 30  # bytes of raw training images that are still held
_SHUFFLE_LIMIT = 256 << 20  # bytes of raw images in a stream's shuffle buffer
_MEASURED_EXAMPLES = 10_000  # of a stream, for its mean and standard deviation
_HELD_OUT = 0.2  # of the training data, where a source has no test data
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")

# Mean and standard deviation of images scaled to [0, 1], as the literature uses
# them: results only compare when everyone normalises alike.
_KNOWN = {
    "mnist": ((0.1307,), (0.3081,)),
    "usps": ((0.159727,), (0.257267,)),
    "svhn_cropped": ((0.43791, 0.44398, 0.47293), (0.19803, 0.20102, 0.19704)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)),
    "caltech_birds2011": ((0.47851, 0.49927, 0.40222), (0.23211, 0.22771, 0.26652)),
}
_DEFAULT_SIZE = {"usps": 28}  # so that USPS and MNIST share their students


@dataclasses.dataclass(frozen=True)
class Normalization:
    """Per-channel affine map from raw images to what students see.

    A raw value `x` becomes `(x / scale - mean) / std`.

    Attributes:
        mean: One finite number per channel, of images divided by `scale`.
        std: One positive number per channel, of images divided by `scale`.
        scale: Largest raw value: 255 for uint8 images, 1 for float images.

    Raises:
        ValueError: If the numbers do not describe an invertible map.
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
        self._check_channels(images.shape)
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
            float32 array of the same shape: raw images divided by `scale`, which is
            [0, 1] for real images. It is not clipped.

        Raises:
            ValueError: If the last axis does not have one entry per channel.
        """
        images = np.asarray(images, np.float32)
        self._check_channels(images.shape)
        return images * np.float32(self.std) + np.float32(self.mean)

    def to_config(self) -> dict:
        """Returns the map as a dict that JSON can hold."""
        mean, std = list(self.mean), list(self.std)
        return {"mean": mean, "std": std, "scale": self.scale}

    @classmethod
    def from_config(cls, config: dict) -> "Normalization":
        """Builds the map that `to_config` described.

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

    def _check_channels(self, shape) -> None:
        # A broadcast would otherwise turn grey images into three channels unseen.
        if not len(shape) or shape[-1] not in (None, len(self.mean)):
            raise ValueError(
                f"images must have {len(self.mean)} channels to match the "
                f"normalization, not shape {tuple(shape)}."
            )


class Split:
    """One part of a data set: raw images held in memory, with their labels.

    `Split.streamed` makes one whose examples are read anew in every epoch.

    Args:
        images: Array [N, H, W, C] or [N, H, W] of uint8 or finite floats; other
            integers in 0..255 are converted to uint8.
        labels: Integer array [N], from 0 up.
        normalization: `Normalization` of the batches; None measures these images.
        num_classes: Number of classes; None takes the largest label plus one.

    Attributes:
        num_examples: Number of examples N.
        num_classes: Number of classes.
        image_shape: (H, W, C).
        images: Read-only raw array [N, H, W, C], uint8 or float32.
        labels: Read-only int32 array [N].
        normalization: The `Normalization` of the batches.

    Raises:
        ValueError: If the arrays are not what is described above.
    """

    def __init__(
        self,
        images,
        labels,
        normalization: Normalization | None = None,
        *,
        num_classes: int | None = None,
    ):
        images, labels = _as_images(images), np.asarray(labels)
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"labels must be {len(images)} integers, one per image, not "
                f"{labels.dtype} of shape {labels.shape}."
            )
        with tf.device("CPU:0"):  # accelerator memory is for the students
            self._tensors = tf.constant(images), tf.constant(labels.astype(np.int32))
        # Views of the tensors, so that the data exist once after this.
        self._images, self._labels = (np.asarray(memoryview(t)) for t in self._tensors)
        self._setup(len(images), images.shape[1:], normalization, num_classes)
        self._check_labels(labels)

    @staticmethod
    def streamed(
        dataset: tf.data.Dataset,
        num_examples: int,
        image_shape: Sequence[int],
        normalization: Normalization | None = None,
        *,
        num_classes: int | None = None,
    ) -> "Split":
        """Makes a split whose examples are read from a `tf.data.Dataset`.

        Args:
            dataset: Unbatched (raw image [H, W, C], integer label) pairs, in the same
                order on every pass; shuffling is left to `batch`.
            num_examples: Number of pairs in the dataset.
            image_shape: (H, W, C).
            normalization: As in `Split`; None measures the first 10,000 images.
            num_classes: As in `Split`; None reads all labels once.

        Returns:
            A `Split` without `images` and `labels`.

        Raises:
            ValueError: If an argument is not what is described above.
        """
        return _StreamedSplit(
            dataset, num_examples, image_shape, normalization, num_classes
        )

    def _setup(self, num_examples, image_shape, normalization, num_classes) -> None:
        self.num_examples = _check_int("num_examples", num_examples, 1)
        self.image_shape = tuple(int(size) for size in image_shape)
        if normalization is not None:
            normalization._check_channels(self.image_shape)
        if num_classes is not None:
            _check_int("num_classes", num_classes, 1)
        self._normalization, self._num_classes = normalization, num_classes

    @property
    def images(self) -> np.ndarray:
        return self._images

    @property
    def labels(self) -> np.ndarray:
        return self._labels

    @property
    def normalization(self) -> Normalization:
        if self._normalization is None:
            self._normalization = _measure(self._raw_chunks())
        return self._normalization

    @property
    def num_classes(self) -> int:
        if self._num_classes is None:
            self._num_classes = int(self._read_labels().max()) + 1
        return self._num_classes

    def __len__(self) -> int:
        return self.num_examples

    def batch(
        self,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        repeat: bool = False,
        start: int = 0,
        drop_remainder: bool = False,
    ) -> tf.data.Dataset:
        """Batches the examples, in an order that depends on the arguments alone.

        Args:
            batch_size: Examples in a batch; more than the split holds means all.
            shuffle: Whether to shuffle every epoch anew. Examples in memory are
                shuffled fully, a stream within a buffer of up to 10,000 examples and
                by TensorFlow's global seed, too.
            seed: Non-negative seed of the shuffle.
            repeat: Whether to go on without end. Every batch is then full: the
                remainder of an epoch is dropped.
            start: Number of batches to leave out: batch 0 of the result is batch
                `start` of the same call without `start`. In memory this costs
                nothing; a stream reads on to it from the start of its epoch.
            drop_remainder: Whether to drop a last, smaller batch.

        Returns:
            Dataset of (normalised float32 [B, H, W, C], int32 [B]) of known shape and
            cardinality, prefetched.

        Raises:
            ValueError: If a number is not an integer in its range.
        """
        size = min(_check_int("batch_size", batch_size, 1), self.num_examples)
        seed, start = _check_int("seed", seed, 0), _check_int("start", start, 0)
        full = repeat or drop_remainder or self.num_examples % size == 0
        per_epoch = self.num_examples // size + (not full)
        first = start // per_epoch if repeat else 0
        epochs = tf.data.Dataset.range(first, tf.int64.max if repeat else 1)

        normalization = self.normalization  # measured, if it must be, outside a graph

        def finish(*batch):
            images, labels = self._fetch(*batch)
            rows = size if full else None
            images = tf.ensure_shape(images, (rows, *self.image_shape))
            labels = tf.ensure_shape(tf.cast(labels, tf.int32), (rows,))
            return normalization.normalize(images), labels

        batches = epochs.flat_map(
            lambda epoch: self._epoch(size, per_epoch, full, shuffle, (seed, epoch))
        ).skip(start - first * per_epoch)
        left = tf.data.INFINITE_CARDINALITY if repeat else max(0, per_epoch - start)
        batches = batches.apply(tf.data.experimental.assert_cardinality(left))
        return batches.map(finish, tf.data.AUTOTUNE, True).prefetch(tf.data.AUTOTUNE)

    def split(self, fraction: float, seed: int = 0) -> tuple["Split", "Split"]:
        """Holds out a part of every class.

        A stream is not copied: both parts read all of it and keep their own examples.

        Args:
            fraction: Part of the examples to hold out, between 0 and 1.
            seed: Non-negative seed of the choice.

        Returns:
            (rest, held-out part), disjoint and each in the order of this split. Every
            class with at least two examples is in both.

        Raises:
            ValueError: If the fraction is out of range or no class has two examples.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"fraction must be between 0 and 1, not {fraction!r}.")
        rng = np.random.default_rng(_check_int("seed", seed, 0))
        labels, held = self._read_labels(), np.zeros(self.num_examples, bool)
        for label in np.unique(labels):
            where = np.flatnonzero(labels == label)
            count = min(max(1, round(fraction * len(where))), len(where) - 1)
            held[rng.choice(where, count, replace=False)] = True
        if not held.any():
            raise ValueError("No class has two examples, so nothing can be held out.")
        rest = self._subset(~held)
        # What was held out must not inform how the rest is normalised.
        return rest, self._subset(held)._with(rest.normalization, self.num_classes)

    def sample(
        self, images_per_class: int, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws random examples, without repetition, equally many of every class.

        Args:
            images_per_class: Number of examples of each class.
            seed: Non-negative seed of the draw.

        Returns:
            (normalised float32 [C * images_per_class, H, W, C'], int32 labels
            0, 1, ..., C - 1, 0, 1, ...), where C is the number of classes.

        Raises:
            ValueError: If a class has too few examples.
        """
        _check_int("images_per_class", images_per_class, 1)
        rng = np.random.default_rng(_check_int("seed", seed, 0))
        labels, picked = self._read_labels(), []
        for label in range(self.num_classes):
            where = np.flatnonzero(labels == label)
            if len(where) < images_per_class:
                raise ValueError(
                    f"images_per_class is {images_per_class}, but class {label} has "
                    f"only {len(where)} examples."
                )
            picked.append(rng.choice(where, images_per_class, replace=False))
        rows = np.stack(picked, axis=1).reshape(-1)
        images = self.normalization.normalize(self._take(rows)).numpy()
        return images, labels[rows].astype(np.int32)

    def _with(self, normalization, num_classes) -> "Split":
        other = copy.copy(self)  # shares the data
        normalization._check_channels(self.image_shape)
        other._normalization, other._num_classes = normalization, num_classes
        return other

    def _check_labels(self, labels: np.ndarray) -> None:
        allowed = self._num_classes or 2**31
        if labels.min() < 0 or labels.max() >= allowed:
            most = f" to {allowed - 1}" if self._num_classes else ""
            raise ValueError(
                f"labels must be integers from 0{most}, not from {labels.min()} to "
                f"{labels.max()}."
            )

    # The five methods below are all that depends on where the examples are.

    def _epoch(self, size, per_epoch, full, shuffle, seeds) -> tf.data.Dataset:
        order = tf.range(self.num_examples)
        if shuffle:
            order = tf.random.experimental.stateless_shuffle(
                order, tf.stack(seeds), alg="philox"
            )
        return tf.data.Dataset.range(per_epoch).map(
            lambda k: (order[k * size : (k + 1) * size],)
        )

    def _fetch(self, rows):
        # The tensors are captured, not written into the graph.
        return [tf.gather(tensor, rows) for tensor in self._tensors]

    def _read_labels(self) -> np.ndarray:
        return self._labels

    def _take(self, rows: np.ndarray) -> np.ndarray:
        return self._images[rows]

    def _subset(self, mask: np.ndarray) -> "Split":
        classes, norm = self._num_classes, self._normalization
        return Split(self._images[mask], self._labels[mask], norm, num_classes=classes)

    def _raw_chunks(self) -> Iterator[np.ndarray]:
        return (self._images[i : i + 1000] for i in range(0, self.num_examples, 1000))


class _StreamedSplit(Split):
    """A `Split` that reads its examples from a `tf.data.Dataset`."""

    def __init__(self, dataset, num_examples, image_shape, normalization, num_classes):
        self._setup(num_examples, image_shape, normalization, num_classes)
        self._dataset, self._labels = _raw_pairs(dataset, shape=self.image_shape), None

    @property
    def images(self) -> np.ndarray:
        raise ValueError("A streamed split holds no images: use batch() or sample().")

    @property
    def labels(self) -> np.ndarray:
        raise ValueError("A streamed split holds no labels: use batch() or sample().")

    def _epoch(self, size, per_epoch, full, shuffle, seeds) -> tf.data.Dataset:
        dataset = self._dataset
        if shuffle:
            spec = dataset.element_spec[0]
            fitting = _SHUFFLE_LIMIT // (spec.dtype.size * spec.shape.num_elements())
            dataset = dataset.shuffle(
                min(self.num_examples, 10_000, max(size, fitting)),
                # The seed of an epoch must not be that of another seed's epoch.
                seed=tf.random.stateless_uniform(
                    [], tf.stack(seeds), minval=None, maxval=None, dtype=tf.int64
                ),
                reshuffle_each_iteration=False,
            )
        return dataset.batch(size, drop_remainder=full)

    def _fetch(self, images, labels):
        return images, labels

    def _read_labels(self) -> np.ndarray:
        if self._labels is None:
            labels = self._dataset.map(lambda _, label: label).batch(1024)
            labels = np.concatenate([np.int32([]), *labels.as_numpy_iterator()])
            if len(labels) != self.num_examples:
                raise ValueError(
                    f"num_examples is {self.num_examples}, but the stream holds "
                    f"{len(labels)} examples."
                )
            self._check_labels(labels)
            self._labels = labels.astype(np.int32)
        return self._labels

    def _take(self, rows: np.ndarray) -> np.ndarray:
        mask = np.zeros(self.num_examples, bool)
        mask[rows] = True
        images = self._masked(mask).map(lambda image, _: image)
        return np.stack(list(images.as_numpy_iterator()))[rows.argsort().argsort()]

    def _subset(self, mask: np.ndarray) -> "Split":
        subset = copy.copy(self)
        subset._dataset, subset._labels = self._masked(mask), self._labels[mask]
        subset.num_examples = len(subset._labels)
        return subset

    def _masked(self, mask: np.ndarray) -> tf.data.Dataset:
        mask = tf.constant(mask)
        kept = self._dataset.enumerate().filter(lambda row, _: mask[row])
        return kept.map(lambda _, pair: pair)

    def _raw_chunks(self) -> Iterator[np.ndarray]:
        images = self._dataset.take(_MEASURED_EXAMPLES).map(lambda image, _: image)
        return images.batch(256).as_numpy_iterator()


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A named classification task.

    Attributes:
        name: What the data are called.
        train: `Split` to distil and to train on.
        test: `Split` to evaluate on.
        normalization: `Normalization` that both splits use.
        class_names: One name per class, in the order of the labels.
    """

    name: str
    train: Split
    test: Split
    normalization: Normalization
    class_names: tuple[str, ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.train.image_shape

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def from_arrays(
    train,
    test=None,
    *,
    class_names: Sequence[str] | None = None,
    normalization: Normalization | None = None,
    name: str = "arrays",
    seed: int = 0,
) -> Dataset:
    """Makes a data set of arrays.

    Args:
        train: (images, labels), as in `Split`; the labels are 0..C-1.
        test: The same for testing; None holds out a fifth of every class of `train`.
        class_names: One name per class; None names them "0", "1", ....
        normalization: None measures the training images.
        name: What to call the data.
        seed: Non-negative seed of the held-out part.

    Returns:
        The `Dataset`, in memory.

    Raises:
        ValueError: If the arrays are not what is described above.
    """
    splits = []
    for part, pair in (("train", train), ("test", test))[: 1 + (test is not None)]:
        with _blame(part):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ValueError("the data must be a pair (images, labels).")
            classes = None if class_names is None else len(class_names)
            splits.append(Split(*pair, normalization, num_classes=classes))
    return _assemble(name, splits, class_names, seed)


def from_tf_data(
    train: tf.data.Dataset,
    test: tf.data.Dataset | None = None,
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    normalization: Normalization | None = None,
    in_memory: bool | None = None,
    name: str = "tf.data",
) -> Dataset:
    """Makes a data set of `tf.data.Dataset`s.

    Args:
        train: Unbatched (image, label) pairs; images [H, W, C] or [H, W] of a known
            shape, uint8, uint16 or floats; labels integers 0..C-1. What is streamed
            must come in the same order on every pass.
        test: The same for testing; None holds out a fifth of every class of `train`.
        num_classes: None takes the number of names or the largest label plus one.
        class_names: One name per class; None names them "0", "1", ....
        normalization: None measures the training images.
        in_memory: Whether to hold the images in memory; None does so when those of
            `train` take less than 2 GiB.
        name: What to call the data.

    Returns:
        The `Dataset`.

    Raises:
        ValueError: If the pairs are not what is described above.
    """
    if num_classes is not None and class_names is None:
        class_names = [str(c) for c in range(_check_int("num_classes", num_classes, 2))]
    elif num_classes not in (None, len(class_names or ())):
        raise ValueError(
            f"num_classes is {num_classes}, but class_names has {len(class_names)}."
        )
    parts = {"train": train} if test is None else {"train": train, "test": test}
    return _from_pairs(
        name, parts, {}, in_memory, None, class_names, normalization, seed=0
    )


def load_dataset(
    name: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    download: bool = False,
    in_memory: bool | None = None,
    image_size: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Loads a data set by its name or from its files.

    Data without a test (or validation) part are split: a fifth of every class is
    held out, the same one for the same seed.

    Args:
        name: One of
            - "digits": the 8x8 digits that come with scikit-learn;
            - the name of a TensorFlow data set with an image and a class label,
              such as "mnist", "name/config" or "name:version", or "usps";
            - a `.npz` file with x_train, y_train and, optionally, x_test, y_test and
              class_names (array of strings), as in `from_arrays`;
            - a folder of images, `train/<class>/*.png` and `test/<class>/*.png` or
              just `<class>/*.png`; also jpg, jpeg, bmp and gif;
            - the folder of a prepared TensorFlow data set (with dataset_info.json).
            A folder that is called like a data set is reached as "./mnist".
        data_dir: Folder of prepared TensorFlow data sets; None is that of TFDS.
        download: Whether TensorFlow data sets may be downloaded and prepared.
        in_memory: Whether to hold the images in memory; None does so when the raw
            training images take less than 2 GiB. Digits and `.npz` are always held.
        image_size: Side to resize the images to; None keeps them as they are, but for
            "usps", which becomes 28x28 like MNIST.
        seed: Non-negative seed of the held-out part; that of "digits" is fixed.

    Returns:
        The `Dataset`.

    Raises:
        FileNotFoundError: If a file, or prepared data, are missing.
        ValueError: If there is no such data set, or its data cannot be used.
    """
    path = os.fspath(name)
    if image_size is not None:
        _check_int("image_size", image_size, 1)
    if path == "digits":
        return _load_digits(image_size)
    is_path = isinstance(name, os.PathLike) or path.startswith((".", "/", "~"))
    is_path = is_path or path.endswith(".npz")
    path = os.path.expanduser(path) if is_path else path
    with _blame(repr(path)):
        if os.path.isdir(path) and (is_path or path not in _known_names()):
            if os.path.isfile(os.path.join(path, "dataset_info.json")):
                import tensorflow_datasets as tfds

                builder = tfds.builder_from_directory(path)
                return _load_tfds(builder, in_memory, image_size, seed)
            return _load_folder(pathlib.Path(path), in_memory, image_size, seed)
        if is_path and not os.path.isfile(path):
            raise FileNotFoundError(f"There is no file or folder {path!r}.")
        if is_path:
            return _load_npz(path, image_size, seed)
    builder = _find_builder(path, data_dir, download)
    with _blame(repr(path)):
        return _load_tfds(builder, in_memory, image_size, seed)


def _load_digits(image_size: int | None) -> Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    return from_arrays((_resize_all(images, image_size), digits.target), name="digits")


def _load_npz(path: str, image_size: int | None, seed: int) -> Dataset:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except Exception as error:  # zip, zlib, numpy and the system each have their own
        raise ValueError(f"not a whole .npz file of plain arrays ({error})") from error
    tested = {"x_test", "y_test"} & set(arrays)
    wanted = ["x_train", "y_train", "x_test", "y_test"][: 4 if tested else 2]
    missing = [key for key in wanted if key not in arrays]
    if missing:
        raise ValueError(
            f"the file must hold {', '.join(wanted)}, but lacks {', '.join(missing)}."
        )
    values = [arrays[key] for key in wanted]
    for i in range(0, len(values), 2):
        with _blame(wanted[i]):
            values[i] = _resize_all(_as_images(values[i]), image_size)
    names = arrays.get("class_names")
    names = None if names is None else [str(name) for name in names.reshape(-1)]
    pairs = zip(values[::2], values[1::2], strict=True)
    return from_arrays(
        *pairs, class_names=names, name=pathlib.Path(path).stem, seed=seed
    )


def _load_folder(root: pathlib.Path, in_memory, image_size, seed) -> Dataset:
    from PIL import Image

    def folders(parent):
        return sorted(f for f in parent.iterdir() if f.is_dir() and f.name[0] != ".")

    has_train = (root / "train").is_dir()
    roots = {"train": root / "train" if has_train else root}
    if has_train and (root / "test").is_dir():
        roots["test"] = root / "test"
    names = [folder.name for folder in folders(roots["train"])]
    mode, shape, parts, counts = None, None, {}, {}

    def read(path):
        with Image.open(os.fsdecode(path)) as image:
            return np.atleast_3d(np.asarray(image.convert(mode)))

    for part, parent in roots.items():
        found = [
            (file, folder.name)
            for folder in folders(parent)
            for file in sorted(folder.iterdir())
            if file.suffix.lower() in _IMAGE_SUFFIXES
        ]
        unknown = sorted({folder for _, folder in found} - set(names))
        if unknown or not found:
            problem = f"the class {unknown[0]!r} is" if unknown else "no images are"
            where = "only in test" if unknown else f"in {parent}/<class>/"
            raise ValueError(f"{problem} {where}.")
        for file, _ in found:  # headers only: a bad file should show up now
            try:
                with Image.open(file) as image:
                    if mode is None:
                        mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
                        shape = (image.height, image.width), file
                    size, deep = (image.height, image.width), image.mode[0] in "IF"
            except OSError as error:
                raise ValueError(f"{str(file)!r} is not a whole image.") from error
            if deep:
                raise ValueError(f"{str(file)!r} has more than 8 bits per channel.")
            if size != shape[0] and not image_size:
                raise ValueError(
                    f"images differ in size, such as {str(shape[1])!r} and "
                    f"{str(file)!r}: give image_size to resize them."
                )
        files = [str(file) for file, _ in found]
        labels = np.int32([names.index(folder) for _, folder in found])
        static = (*((None, None) if image_size else shape[0]), len(mode))

        def load(file, label, static=static):
            image = tf.numpy_function(read, [file], tf.uint8)
            return tf.ensure_shape(image, static), label

        pairs = tf.data.Dataset.from_tensor_slices((files, labels))
        parts[part] = pairs.map(load, num_parallel_calls=tf.data.AUTOTUNE)
        counts[part] = len(files)
    return _from_pairs(
        root.resolve().name, parts, counts, in_memory, image_size, names, None, seed
    )


def _known_names() -> list[str]:
    import tensorflow_datasets as tfds

    return ["digits", "usps", *tfds.list_builders(with_community_datasets=False)]


def _find_builder(name: str, data_dir, download: bool):
    import tensorflow_datasets as tfds

    base = re.split("[:/]", name)[0]
    if base == "usps":
        from tfdistill import usps  # noqa: F401  (TFDS knows it from then on)
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        near = difflib.get_close_matches(base, _known_names())
        hint = f"did you mean {' or '.join(near)}?" if near else "no name is near."
        raise ValueError(f"There is no data set or file {name!r}; {hint}") from None
    except (AssertionError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"TFDS has no {name!r}: {reason}") from error
    if not builder.is_prepared():
        if not download:
            raise FileNotFoundError(
                f"{name!r} is not prepared in {str(builder.data_dir)!r}: give "
                "--download (download=True) to fetch it or --data_dir (data_dir) to "
                "say where it is."
            )
        builder.download_and_prepare()
    return builder


def _load_tfds(builder, in_memory, image_size, seed) -> Dataset:
    import tensorflow_datasets as tfds

    info = builder.info
    kinds = tfds.features.Image, tfds.features.ClassLabel
    # A mask is an image too: what is meant by the images is then in supervised_keys.
    keys = [k for k in info.supervised_keys or () if isinstance(k, str)]
    for candidates in (keys, list(info.features)):
        found = [
            [k for k in candidates if isinstance(info.features[k], kind)]
            for kind in kinds
        ]
        if [len(keys) for keys in found] == [1, 1]:
            (image_key,), (label_key,) = found
            break
    else:
        raise ValueError(
            "the data need one Image and one ClassLabel feature, not "
            f"{', '.join(info.features)}."
        )
    splits = {"train": "train"}
    splits |= {"test": s for s in ("validation", "test") if s in info.splits}
    if "train" not in info.splits:
        raise ValueError(f"there is no split train, only {', '.join(info.splits)}.")
    parts = {
        part: builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding({image_key: True, label_key: True}),
            read_config=tfds.ReadConfig(try_autocache=False),
        ).map(lambda example: (example[image_key], example[label_key]))
        for part, split in splits.items()
    }
    counts = {part: info.splits[split].num_examples for part, split in splits.items()}
    image, known = info.features[image_key], _KNOWN.get(builder.name)
    if known and (image.np_dtype != np.uint8 or image.shape[-1] != len(known[0])):
        known = None  # another data set of that name
    config = builder.builder_config.name if builder.builder_config else None
    return _from_pairs(
        f"{builder.name}/{config}" if config else builder.name,
        parts,
        counts,
        in_memory,
        image_size or _DEFAULT_SIZE.get(builder.name),
        info.features[label_key].names,
        Normalization(*known) if known else None,
        seed,
    )


def _from_pairs(
    name, parts, counts, in_memory, image_size, class_names, normalization, seed
) -> Dataset:
    """Makes a data set of streams; `counts` lacks those that a user made."""
    classes = None if class_names is None else len(class_names)
    splits = []
    for part, pairs in parts.items():
        with _blame(part):
            pairs = _raw_pairs(pairs, image_size)
            image, count = pairs.element_spec[0], counts.get(part)
            if count is None:
                count = int(pairs.cardinality())
                if count == tf.data.INFINITE_CARDINALITY:
                    raise ValueError("the dataset must end, but it repeats forever.")
                if count == tf.data.UNKNOWN_CARDINALITY:
                    count = int(pairs.reduce(np.int64(0), lambda n, _: n + 1))
            if in_memory is None:  # decided by train, for both
                raw = count * image.shape.num_elements() * image.dtype.size
                in_memory = raw < _MEMORY_LIMIT
            split = _StreamedSplit(pairs, count, image.shape, normalization, classes)
            if in_memory:
                split = Split(*_hold(pairs, count), normalization, num_classes=classes)
            elif part not in counts:  # a user's labels: checked before they do harm
                split._read_labels()
            splits.append(split)
    return _assemble(name, splits, class_names, seed)


def _raw_pairs(dataset, image_size=None, shape=None) -> tf.data.Dataset:
    """Brings (image, label) pairs to static shape, uint8 or float32, and int32."""
    spec = getattr(dataset, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise ValueError(
            "the data must be a tf.data.Dataset of pairs (image, label), not "
            f"{dataset if spec is None else spec!r}."
        )
    image, label = spec
    if label.shape.rank != 0 or not label.dtype.is_integer:
        raise ValueError(f"labels must be integer scalars, not {label}.")
    kept = image.dtype in (tf.uint8, tf.uint16) or image.dtype.is_floating
    if not kept or image.shape.rank not in (2, 3, None):
        raise ValueError(
            "images must be unbatched [H, W, C] of uint8, uint16 or floats, not "
            f"{image.dtype.name} of shape {image.shape}."
        )

    def standard(image, label):
        if image.shape.rank == 2:
            image = image[..., None]
        if image.dtype != tf.uint8:
            image = tf.image.convert_image_dtype(image, tf.float32)
        image = _resize(image, image_size) if image_size else image
        image = tf.ensure_shape(image, shape) if shape is not None else image
        return image, tf.cast(label, tf.int32)

    pairs = dataset.map(standard, num_parallel_calls=tf.data.AUTOTUNE)
    if not pairs.element_spec[0].shape.is_fully_defined():
        raise ValueError(
            "images must have one known size: give image_size, or ensure_shape of the "
            f"dataset, whose images are {image.shape}."
        )
    return pairs


def _hold(pairs: tf.data.Dataset, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads `count` pairs into arrays that are allocated once."""
    spec = pairs.element_spec[0]
    images = np.empty((count, *spec.shape), spec.dtype.as_numpy_dtype)
    labels, at = np.empty(count, np.int32), 0
    try:
        for x, y in pairs.batch(512).prefetch(2).as_numpy_iterator():
            images[at : at + len(x)], labels[at : at + len(x)] = x, y
            at += len(x)
    except tf.errors.OpError as error:
        reason = error.message.split("}} ")[-1].splitlines()[0]
        raise ValueError(f"example {at} or a later one is damaged: {reason}") from error
    if at != count:
        raise ValueError(f"there are {at} examples, but {count} were announced.")
    return images, labels


def _assemble(name, splits, class_names, seed) -> Dataset:
    """Checks what the two parts must agree on, and normalises them alike."""
    train, test = splits if len(splits) == 2 else splits[0].split(_HELD_OUT, seed)
    if class_names is None:
        class_names = [str(label) for label in range(train.num_classes)]
        absent = set(range(train.num_classes)) - set(train._read_labels().tolist())
        if absent:
            raise ValueError(
                "labels must be 0 to C - 1, but the largest is "
                f"{train.num_classes - 1} and train has none of class {min(absent)}."
            )
    if len(class_names) < 2:
        raise ValueError(f"There must be at least 2 classes, not {len(class_names)}.")
    if train.image_shape != test.image_shape:
        raise ValueError(
            "Images of train and test must have one shape, not "
            f"{train.image_shape} and {test.image_shape}."
        )
    if train._labels is not None and test._labels is not None:
        extra = set(test._labels.tolist()) - set(train._labels.tolist())
        if extra:
            raise ValueError(f"test has class {min(extra)}, which train has not.")
    normalization, count = train.normalization, len(class_names)
    train, test = (part._with(normalization, count) for part in (train, test))
    return Dataset(name, train, test, normalization, tuple(map(str, class_names)))


def _measure(chunks: Iterable[np.ndarray]) -> Normalization:
    """Mean and standard deviation of the channels of raw images."""
    count, total, squares, scale = 0, 0.0, 0.0, 1.0
    for chunk in chunks:
        scale = 255.0 if chunk.dtype == np.uint8 else 1.0
        rows = chunk.reshape(-1, chunk.shape[-1]).astype(np.float64) / scale
        count, total = count + len(rows), total + rows.sum(0)
        squares = squares + np.square(rows).sum(0)
    if not np.isfinite(squares).all():
        raise ValueError("images must be finite, but some are NaN or infinite.")
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    # Rounding leaves a constant channel a little away from 0.
    return Normalization(mean, np.where(std < 1e-6, 1.0, std), scale)


def _as_images(images) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not images.size or images.dtype.kind not in "iuf":
        raise ValueError(
            "images must be numbers of shape [N, H, W, C] or [N, H, W], at least one, "
            f"not {images.dtype} of shape {images.shape}."
        )
    low, high = images.min(), images.max()  # NaN, if there is one
    if images.dtype.kind == "f":
        if not max(-low, high) <= np.finfo(np.float32).max:
            raise ValueError("images must be finite, but some are NaN or infinite.")
    elif low < 0 or high > 255:
        raise ValueError(f"images must be integers in 0..255, not {low}..{high}.")
    kept = np.float32 if images.dtype.kind == "f" else np.uint8
    return images.astype(kept, copy=False)


def _resize(images: tf.Tensor, size: int) -> tf.Tensor:
    resized = tf.image.resize(images, (size, size), antialias=True)
    if images.dtype == tf.uint8:
        resized = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    return resized


def _resize_all(images: np.ndarray, size: int | None) -> np.ndarray:
    if size is None or images.shape[1:3] == (size, size):
        return images
    chunks = (tf.constant(images[i : i + 512]) for i in range(0, len(images), 512))
    return np.concatenate([_resize(chunk, size).numpy() for chunk in chunks])


def _check_int(name: str, value, minimum: int) -> int:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not minimum <= value < 2**63:
        raise ValueError(
            f"{name} must be an integer of at least {minimum}, not {value!r}."
        )
    return int(value)


@contextlib.contextmanager
def _blame(what: str):
    """Says in the sentence of a ValueError what it is about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
