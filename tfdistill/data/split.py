"""Labelled images as batches, in memory or streamed, that can always be replayed.

Images stay raw and are normalised batch by batch, in an order that a seed alone gives.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int, check_mask, check_rows
from tfdistill.data import faces, stratified
from tfdistill.data.batches import replayable
from tfdistill.data.examples import Examples
from tfdistill.data.held import Held
from tfdistill.data.images import as_images, raw_pairs
from tfdistill.data.labels import as_labels, check_range, new_numbers
from tfdistill.data.normalization import Normalization, measure
from tfdistill.data.streamed import Streamed

# Numbers in a batch that is only passed through a network, and in all that are kept.
_PASS_LIMIT, _KEPT_LIMIT = 2**25, 2**26


class Split(faces.SplitFace):
    """One part of a data set: raw images with their labels, in memory.

    `Split.streamed` makes a split whose examples are read anew in every epoch.

    Args:
        images: Array [N, H, W, C] or [N, H, W] of uint8 or finite floats; bools and
            other integers in 0..255 are converted to uint8.
        labels: Integers [N], from 0 up; bools, [N, 1] and one-hot rows are converted.
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
        knows_labels: Whether the labels are in memory, or were read from the stream.
        is_told_classes: Whether `num_classes` was given, rather than found in labels.

    Raises:
        ValueError: If the arrays are not what is described above.

    Example:
        >>> import numpy as np
        >>> import tfdistill
        >>> images = np.zeros([6, 8, 8, 1], np.uint8)
        >>> split = tfdistill.Split(images, labels=[0, 1, 0, 1, 0, 1])
        >>> split.num_examples, split.num_classes, split.image_shape
        (6, 2, (8, 8, 1))
        >>> for x, y in split.batch(4):
        ...     print(x.shape, y.numpy())
        (4, 8, 8, 1) [0 1 0 1]
        (2, 8, 8, 1) [0 1]
    """

    def __init__(
        self,
        images,
        labels,
        normalization: Normalization | None = None,
        *,
        num_classes: int | None = None,
    ):
        images = as_images(images)
        labels = as_labels(labels, len(images))
        self._set(Held(images, labels), normalization, num_classes)
        check_range(labels, num_classes)

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

        The dataset is read twice, and must give the same examples.

        Args:
            dataset: Unbatched (raw image [H, W, C], integer label) pairs, in the same
                order on every pass; `batch` shuffles them.
            num_examples: Number of pairs in the dataset.
            image_shape: (H, W, C).
            normalization: Same as in `Split`; None measures up to 10,000 images.
            num_classes: Same as in `Split`.

        Returns:
            A `Split` without `images` and `labels`: they raise ValueError.

        Raises:
            ValueError: If an argument is not what is described above.
        """
        num_examples = check_int("num_examples", num_examples, 1)
        image_shape = tuple(int(size) for size in image_shape)
        pairs = raw_pairs(dataset, shape=image_shape)
        examples = Streamed.of_pairs(pairs, num_examples, image_shape)
        return Split.of_examples(examples, normalization, num_classes)

    @classmethod
    def of_examples(cls, examples: Examples, normalization, num_classes) -> "Split":
        """Same as the constructor, of `Examples`."""
        split = cls.__new__(cls)  # the constructor takes arrays
        split._set(examples, normalization, num_classes)
        return split

    def _set(self, examples: Examples, normalization, num_classes) -> None:
        if normalization is not None:
            normalization.check_channels(examples.image_shape)
        if num_classes is not None:
            num_classes = check_int("num_classes", num_classes, 1)
        self._examples = examples
        self._normalization, self._num_classes = normalization, num_classes
        self.is_told_classes = num_classes is not None

    @property
    def num_examples(self) -> int:
        return self._examples.num_examples

    @property
    def image_shape(self) -> tuple[int, ...]:
        return self._examples.image_shape

    @property
    def images(self) -> np.ndarray:
        return self._examples.images

    @property
    def labels(self) -> np.ndarray:
        return self._examples.labels

    @property
    def is_held(self) -> bool:
        return self._examples.is_held

    @property
    def is_normalized(self) -> bool:
        """Whether a normalization was given, rather than to be measured."""
        return self._normalization is not None

    @property
    def knows_labels(self) -> bool:
        return self._examples.knows_labels

    @functools.cached_property
    def normalization(self) -> Normalization:
        return self._normalization or measure(self._examples.chunks())

    @functools.cached_property
    def num_classes(self) -> int:
        return self._num_classes or int(self.read_labels().max()) + 1

    def __len__(self) -> int:
        return self.num_examples

    def read_labels(self) -> np.ndarray:
        """Returns the labels of all examples, also of a stream, which is read once.

        Returns:
            int32 array [N].

        Raises:
            ValueError: If the stream does not hold `num_examples` examples, or a label
                is out of range.
        """
        labels = self._examples.read_labels()
        check_range(labels, self._num_classes)
        return labels

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

        Without `repeat` it is one epoch, the same whenever it is iterated: for epochs
        that differ, give `repeat=True`, and `steps_per_epoch` to Keras's `fit`.

        Args:
            batch_size: Number of examples in a batch; a larger one than N means N.
            shuffle: Whether to shuffle: fully, but a stream of other things than files
                within 256 MiB, with a warning if it is sorted.
            seed: Non-negative seed of the shuffle.
            repeat: Whether epoch follows epoch without end, each in another order. The
                remainder of each is dropped: every batch is full.
            start: Number of batches to skip: the first is batch `start` of such a call
                without it. A stream is read from the start of its epoch for that.
            drop_remainder: Whether to drop a last, smaller batch.
            augment: Changes each batch of raw images, as `augmentation.crop_flip`. It
                is given them and an int64 [2], the seed and the number of the batch.

        Returns:
            Dataset of (normalised float32 [B, H, W, C], int32 [B]) of known shape and
            cardinality, prefetched.

        Raises:
            ValueError: If a number is not an integer in its range.
        """
        size = min(check_int("batch_size", batch_size, 1), self.num_examples)
        seed, start = check_int("seed", seed, 0), check_int("start", start, 0)
        return replayable(
            self._examples,
            self.normalization,
            size,
            shuffle=shuffle,
            seed=seed,
            repeat=repeat,
            start=start,
            drop_remainder=drop_remainder,
            augment=augment,
        )

    def passes(self) -> tf.data.Dataset:
        """Batches all examples, in order and in large batches, for several passes.

        Returns:
            Same as `batch`. Images in memory are kept, normalised, if they are few.
        """
        numbers = math.prod(self.image_shape)
        batches = self.batch(max(1, min(1000, _PASS_LIMIT // numbers)))
        is_kept = self.is_held and len(self) * numbers <= _KEPT_LIMIT
        return batches.cache() if is_kept else batches

    def split(self, fraction: float, seed: int = 0) -> tuple["Split", "Split"]:
        """Holds out a part of every class.

        A stream is not copied: both parts read all of it, and decode their own.

        Args:
            fraction: Part of the examples to hold out, between 0 and 1.
            seed: Non-negative seed of the choice.

        Returns:
            (rest, held-out part), disjoint and each in the order of this split. Every
            class with at least two examples is in both.

        Raises:
            ValueError: If the fraction is out of range or no class has two examples.
        """
        if not isinstance(fraction, (float, np.floating)) or not 0 < fraction < 1:
            raise ValueError(f"fraction must be between 0 and 1, not {fraction!r}.")
        seed = check_int("seed", seed, 0)
        held = stratified.hold_out(self.read_labels(), fraction, seed)
        rest, out = (self._examples.where(mask) for mask in (~held, held))
        # What is held out must not affect how the rest is normalised.
        kept = Split.of_examples(rest, self._normalization, self._num_classes)
        return kept, Split.of_examples(out, kept.normalization, self.num_classes)

    def sample(
        self,
        images_per_class: int,
        seed: int = 0,
        *,
        class_names: Sequence[str] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws the same number of examples of every class, without repetition.

        Args:
            images_per_class: Number of examples of each class, over all steps.
            seed: Non-negative seed of the draw.
            class_names: What errors call the classes; their numbers by default.

        Returns:
            (normalised float32 [K * images_per_class, H, W, C], int32 labels
            0, 1, ..., K - 1, 0, 1, ...), where K is the number of classes.

        Raises:
            ValueError: If a class has too few examples.
        """
        images_per_class = check_int("images_per_class", images_per_class, 1)
        seed = check_int("seed", seed, 0)
        labels, names = self.read_labels(), class_names or range(self.num_classes)
        rows = stratified.draw(labels, names, images_per_class, seed)
        return self.take(rows), labels[rows]

    def of_class(self, label: int) -> np.ndarray:
        """Returns all examples of a class, in the order of the split.

        Args:
            label: Integer from 0 to `num_classes` - 1.

        Returns:
            Normalised float32 array [N_label, H, W, C].

        Raises:
            ValueError: If the label is no such integer, or no example has it.
        """
        rows = np.flatnonzero(self.read_labels() == check_int("label", label, 0))
        if not len(rows):
            raise ValueError(f"Class {label} has no examples.")
        return self.take(rows)

    def subset(self, mask: np.ndarray) -> "Split":
        """Selects examples.

        Args:
            mask: bool array [N], true for the examples to keep.

        Returns:
            A `Split` of these examples, in their order, with the same normalization
            and number of classes.

        Raises:
            ValueError: If the mask is of another kind, or selects no example.
        """
        mask = check_mask(mask, self.num_examples)
        self.read_labels()  # bad labels of a stream are refused here, not later
        examples = self._examples.where(mask)
        return Split.of_examples(examples, self.normalization, self.num_classes)

    def shard(self, count: int, index: int) -> "Split":
        """Selects every count-th example, for one of several workers.

        Args:
            count: Number of workers, at least 1.
            index: Index of this worker, from 0.

        Returns:
            A `Split` of the examples `index`, `index + count`, ....

        Raises:
            ValueError: If a number is out of range, or no example is left.
        """
        most = min(check_int("count", count, 1), self.num_examples)
        if check_int("index", index, 0) >= most:
            raise ValueError(f"index must be below {most}, not {index}.")
        return self.subset(np.arange(self.num_examples) % count == index)

    def of_classes(self, labels: Sequence[int]) -> "Split":
        """Selects the examples of some classes.

        Args:
            labels: Different integers from 0 to `num_classes` - 1, at least one; they
                become 0, 1, ... in the order given.

        Returns:
            A `Split` with `len(labels)` classes and the same normalization.

        Raises:
            ValueError: If a class does not exist or is named twice, or if none of the
                classes has examples.
        """
        labels = list(labels)
        numbers = new_numbers(labels, self.num_classes)
        mask = np.isin(self.read_labels(), labels)
        if not mask.any():
            raise ValueError(f"Classes {', '.join(map(str, labels))} have no examples.")
        examples = self._examples.where(mask).relabelled(numbers)
        return Split.of_examples(examples, self.normalization, len(labels))

    def normalized_by(self, normalization: Normalization, num_classes: int) -> "Split":
        """Changes how the examples are normalised and how many classes there are.

        Args:
            normalization: `Normalization` of the batches.
            num_classes: Number of classes.

        Returns:
            A `Split` that shares the examples of this one.

        Raises:
            ValueError: If the normalization is not one of this number of channels.
        """
        return Split.of_examples(self._examples, normalization, num_classes)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Returns the images of some examples; of a stream, no others are decoded.

        Args:
            rows: Different indices of examples from 0, at least one, in any order.

        Returns:
            Normalised float32 array [len(rows), H, W, C], in the order of `rows`.

        Raises:
            ValueError: If the rows are something else, such as a mask, or none.
        """
        rows = check_rows(rows, self.num_examples)
        return self.normalization.normalize(self._examples.take(rows)).numpy()
