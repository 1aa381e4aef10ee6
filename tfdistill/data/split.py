"""Labelled images as batches: held in memory or streamed, always replayable.

A split keeps its images raw (uint8 where they came as uint8) and normalises them
batch by batch; the order of its batches is a function of a seed alone, so that a run
can resume where it stopped.
"""

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill.data.images import as_images, raw_pairs
from tfdistill.data.normalization import Normalization, measure

_SHUFFLE_LIMIT = 256 << 20  # bytes of raw images in a stream's shuffle buffer
_PASS_LIMIT = 2**25  # numbers in a batch that only has to be passed through a network
_MEASURED_EXAMPLES = 10_000  # of a stream, for its mean and standard deviation


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
        is_held: Whether the images are in memory.

    Raises:
        ValueError: If the arrays are not what is described above.
    """

    is_held = True

    def __init__(
        self,
        images,
        labels,
        normalization: Normalization | None = None,
        *,
        num_classes: int | None = None,
    ):
        images, labels = as_images(images), np.asarray(labels)
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
        return StreamedSplit(
            dataset, num_examples, image_shape, normalization, num_classes
        )

    def _setup(self, num_examples, image_shape, normalization, num_classes) -> None:
        self.num_examples = check_int("num_examples", num_examples, 1)
        self.image_shape = tuple(int(size) for size in image_shape)
        if normalization is not None:
            normalization._check_channels(self.image_shape)
        if num_classes is not None:
            check_int("num_classes", num_classes, 1)
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
            self._normalization = measure(self._raw_chunks())
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
        augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    ) -> tf.data.Dataset:
        """Batches the examples, in an order that depends on the arguments alone.

        Args:
            batch_size: Examples in a batch; more than the split holds means all.
            shuffle: Whether to shuffle every epoch anew. Examples in memory are
                shuffled fully, a stream within a buffer of up to 10,000 examples.
            seed: Non-negative seed of the shuffle.
            repeat: Whether to go on without end. Every batch is then full: the
                remainder of an epoch is dropped.
            start: Number of batches to leave out: batch 0 of the result is batch
                `start` of the same call without `start`. In memory this costs
                nothing; a stream reads on to it from the start of its epoch.
            drop_remainder: Whether to drop a last, smaller batch.
            augment: Changes each batch of raw images: a function of them and of an
                int64 `[2]`, the seed and the batch's number, such as
                `augmentation.crop_flip`.

        Returns:
            Dataset of (normalised float32 [B, H, W, C], int32 [B]) of known shape and
            cardinality, prefetched.

        Raises:
            ValueError: If a number is not an integer in its range.
        """
        size = min(check_int("batch_size", batch_size, 1), self.num_examples)
        seed, start = check_int("seed", seed, 0), check_int("start", start, 0)
        full = repeat or drop_remainder or self.num_examples % size == 0
        per_epoch = self.num_examples // size + (not full)
        first = start // per_epoch if repeat else 0
        epochs = tf.data.Dataset.range(first, tf.int64.max if repeat else 1)

        normalization = self.normalization  # measured, if it must be, outside a graph

        def finish(index, batch):
            images, labels = self._fetch(*batch)
            if augment is not None:
                images = augment(images, tf.stack([seed, index]))
            rows = size if full else None
            images = tf.ensure_shape(images, (rows, *self.image_shape))
            labels = tf.ensure_shape(tf.cast(labels, tf.int32), (rows,))
            return normalization.normalize(images), labels

        batches = epochs.flat_map(
            lambda epoch: self._epoch(size, per_epoch, full, shuffle, (seed, epoch))
        ).skip(start - first * per_epoch)
        left = tf.data.INFINITE_CARDINALITY if repeat else max(0, per_epoch - start)
        batches = batches.apply(tf.data.experimental.assert_cardinality(left))
        batches = batches.enumerate(start).map(finish, tf.data.AUTOTUNE, True)
        return batches.prefetch(tf.data.AUTOTUNE)

    def passes(self) -> tf.data.Dataset:
        """All examples, in order, in large batches: to be gone through several times.

        Returns:
            As `batch`; normalised once and kept, if the images are in memory.
        """
        fitting = _PASS_LIMIT // math.prod(self.image_shape)
        batches = self.batch(max(1, min(1000, fitting)))
        return batches.cache() if self.is_held else batches

    def split(self, fraction: float, seed: int = 0) -> tuple["Split", "Split"]:
        """Holds out a part of every class.

        A stream is not copied: both parts read all of it, and decode their own examples
        only.

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
        rng = np.random.default_rng(check_int("seed", seed, 0))
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
            images_per_class: Number of examples of each class, over all steps.
            seed: Non-negative seed of the draw.

        Returns:
            (normalised float32 [C * images_per_class, H, W, C'], int32 labels
            0, 1, ..., C - 1, 0, 1, ...), where C is the number of classes.

        Raises:
            ValueError: If a class has too few examples.
        """
        check_int("images_per_class", images_per_class, 1)
        rng = np.random.default_rng(check_int("seed", seed, 0))
        labels, picked = self._read_labels(), []
        for label in range(self.num_classes):
            where = np.flatnonzero(labels == label)
            if len(where) < images_per_class:
                raise ValueError(
                    f"{images_per_class} different images of each class are asked for "
                    f"(images_per_class * steps), but class {label} has only "
                    f"{len(where)} examples."
                )
            picked.append(rng.choice(where, images_per_class, replace=False))
        rows = np.stack(picked, axis=1).reshape(-1)
        images = self.normalization.normalize(self._take(rows)).numpy()
        return images, labels[rows].astype(np.int32)

    def of_class(self, label: int) -> np.ndarray:
        """All examples of a class, in memory and in the order of the split.

        Args:
            label: 0 to C - 1.

        Returns:
            Normalised float32 [N_label, H, W, C'].

        Raises:
            ValueError: If there is none.
        """
        rows = np.flatnonzero(self._read_labels() == label)
        if not len(rows):
            raise ValueError(f"Class {label} has no examples.")
        return self.normalization.normalize(self._take(rows)).numpy()

    def subset(self, mask: np.ndarray) -> "Split":
        """Some of the examples, in their order.

        Args:
            mask: bool `[N]`: which.

        Returns:
            A `Split` with the normalisation and the classes of this one.
        """
        self._read_labels()  # which a stream needs to find its own again
        return self._with(self.normalization, self.num_classes)._subset(mask)

    def shard(self, count: int, index: int) -> "Split":
        """Every count-th example, for one of several workers.

        Args:
            count: Of the workers, at least 1.
            index: Of this one, from 0.

        Raises:
            ValueError: If a number is out of range, or no example is left.
        """
        check_int("count", count, 1)
        if check_int("index", index, 0) >= min(count, self.num_examples):
            raise ValueError(
                f"index must be below {min(count, self.num_examples)}, not {index}."
            )
        return self.subset(np.arange(self.num_examples) % count == index)

    def of_classes(self, labels: Sequence[int]) -> "Split":
        """The examples of some classes, which become 0, 1, ... in the order given.

        Args:
            labels: Some different ones of 0 to C - 1.

        Returns:
            A `Split` with the normalisation of this one.

        Raises:
            ValueError: If there is no such class, one is named twice, or none has
                examples.
        """
        labels = list(labels)
        known = set(range(self.num_classes))
        if not labels or not set(labels) <= known or len(set(labels)) < len(labels):
            raise ValueError(
                f"classes must be different ones of 0 to {self.num_classes - 1}, not "
                f"{', '.join(map(str, labels)) or 'none'}."
            )
        mask = np.isin(self._read_labels(), labels)
        if not mask.any():
            raise ValueError(f"Classes {', '.join(map(str, labels))} have no examples.")
        numbers = np.zeros(self.num_classes, np.int32)
        numbers[labels] = np.arange(len(labels))
        subset = self.subset(mask)
        subset._relabel(numbers)
        subset._num_classes = len(labels)
        return subset

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

    # What follows is all that depends on where the examples are.

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

    def _relabel(self, numbers: np.ndarray) -> None:
        with tf.device("CPU:0"):
            self._tensors = self._tensors[0], tf.constant(numbers[self._labels])
        self._labels = np.asarray(memoryview(self._tensors[1]))

    def _raw_chunks(self) -> Iterator[np.ndarray]:
        return (self._images[i : i + 1000] for i in range(0, self.num_examples, 1000))


class StreamedSplit(Split):
    """A `Split` that reads its examples from a `tf.data.Dataset`."""

    is_held = False

    def __init__(self, dataset, num_examples, image_shape, normalization, num_classes):
        self._setup(num_examples, image_shape, normalization, num_classes)
        self._pairs, self._labels = raw_pairs(dataset, shape=self.image_shape), None

    @property
    def images(self) -> np.ndarray:
        raise ValueError("A streamed split holds no images: use batch() or sample().")

    @property
    def labels(self) -> np.ndarray:
        raise ValueError("A streamed split holds no labels: use batch() or sample().")

    def _epoch(self, size, per_epoch, full, shuffle, seeds) -> tf.data.Dataset:
        pairs = self._pairs
        if shuffle:
            spec = pairs.images().element_spec[0]
            # The seed below is all there is, whatever TensorFlow's global one: of this
            # function's graph only. (With a global seed of 0 TensorFlow would fail.)
            tf.compat.v1.set_random_seed(None)
            fitting = _SHUFFLE_LIMIT // (spec.dtype.size * spec.shape.num_elements())
            shuffled = pairs.records.shuffle(
                min(self.num_examples, 10_000, max(size, fitting)),
                # The seed of an epoch must not be that of another seed's epoch.
                seed=tf.random.stateless_uniform(
                    [], tf.stack(seeds), minval=None, maxval=None, dtype=tf.int64
                ),
                reshuffle_each_iteration=False,
            )
            pairs = dataclasses.replace(pairs, records=shuffled)
        return pairs.images().batch(size, drop_remainder=full)

    def _fetch(self, images, labels):
        return images, labels

    def _read_labels(self) -> np.ndarray:
        if self._labels is None:
            labels = self._pairs.labels().batch(1024).as_numpy_iterator()
            labels = np.concatenate([np.int32([]), *labels])
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
        images = self._pairs.where(mask).images().map(lambda image, _: image)
        return np.stack(list(images.as_numpy_iterator()))[rows.argsort().argsort()]

    def _subset(self, mask: np.ndarray) -> "Split":
        subset = copy.copy(self)
        subset._pairs, subset._labels = self._pairs.where(mask), self._labels[mask]
        subset.num_examples = len(subset._labels)
        return subset

    def _relabel(self, numbers: np.ndarray) -> None:
        self._labels = numbers[self._labels]
        table = tf.constant(numbers)
        records = self._pairs.records.map(lambda record, y: (record, table[y]))
        self._pairs = dataclasses.replace(self._pairs, records=records)

    def _raw_chunks(self) -> Iterator[np.ndarray]:
        images = self._pairs.images().map(lambda image, _: image)
        return images.take(_MEASURED_EXAMPLES).batch(256).as_numpy_iterator()
