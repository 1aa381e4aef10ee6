"""What is kept of earlier classes: the contract, and memories of real images."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import final

import numpy as np

from tfdistill._internal.checks import check_int
from tfdistill.data.dataset import Dataset
from tfdistill.data.normalization import Normalization
from tfdistill.studies import baselines


@dataclasses.dataclass(frozen=True)
class Kept:
    """The images of one task as they are kept: all arrays count, byte by byte.

    Attributes:
        images: `[n, *image_shape]`: raw ones of the data set; or learned ones, which
            are normalised, as floats or as uint8.
        labels: Classes of the task from 0, int `[n]`; or learned, float
            `[n, classes]`: one-hot labels less 1 / classes, or any numbers about these.
        ranges: Of learned images in uint8: what 0 and 255 stand for, float32 `[n, 2]`.
        learned: Whether images are learned ones.

    Example:
        >>> import numpy as np, tfdistill
        >>> images = np.zeros((4, 8, 8, 1), "uint8")
        >>> kept = tfdistill.replay.Kept(images, np.array([0, 0, 1, 1], "uint8"))
        >>> kept.num_bytes
        260
    """

    images: np.ndarray
    labels: np.ndarray
    ranges: np.ndarray | None = None
    learned: bool = False

    @property
    def num_bytes(self) -> int:
        """Bytes of all arrays."""
        ranges = 0 if self.ranges is None else self.ranges.nbytes
        return self.images.nbytes + self.labels.nbytes + ranges

    def classes(self) -> np.ndarray:
        """The class of each image, in the task, int `[n]`."""
        return self.labels if self.labels.ndim == 1 else self.labels.argmax(1)

    def normalized(self, normalization: Normalization) -> np.ndarray:
        """The images as networks see them, float32 `[n, *image_shape]`."""
        if not self.learned:
            return normalization.normalize(self.images).numpy()
        images = self.images.astype("float32")
        if self.ranges is None:
            return images
        low, high = (end.reshape(-1, *[1] * (images.ndim - 1)) for end in self.ranges.T)
        return low + images * ((high - low) / 255)

    def targets(self, classes: Sequence[int], num_classes: int) -> np.ndarray:
        """What networks are regressed onto: one-hot labels less 1 / num_classes.

        Learned labels say nothing of the classes of other tasks: a network is to answer
        these as if the label were a hard one.

        Args:
            classes: The task's classes, as numbers in the whole data set.
            num_classes: Number of classes of the whole data set.

        Returns:
            float32 `[n, num_classes]`.
        """
        count, own = len(self.labels), len(classes)
        rows = np.zeros((count, num_classes), "float32")
        if self.labels.ndim == 1:
            rows[np.arange(count), np.asarray(classes)[self.labels]] = 1
        else:
            rows[:, classes] = self.labels.astype("float32") + 1 / own
        return rows - np.float32(1 / num_classes)


class Memory(abc.ABC):
    """Chooses or makes what is kept of a task's classes.

    Your own is a subclass whose `repr` says all that its result depends on, such as a
    frozen dataclass.

    Attributes:
        limited: Whether it keeps to the bytes that it is given.

    Example:
        >>> import dataclasses, numpy as np, tfdistill
        >>> @dataclasses.dataclass(frozen=True)
        ... class First(tfdistill.replay.Memory):
        ...     def bytes_per_image(self, task):
        ...         return tfdistill.replay.Herding().bytes_per_image(task)
        ...     def remember(self, task, images_per_class, seed):
        ...         labels = task.train.labels
        ...         rows = np.concatenate(
        ...             [np.flatnonzero(labels == c)[:images_per_class]
        ...              for c in range(task.num_classes)]
        ...         )
        ...         classes = labels[rows].astype("uint8")
        ...         return tfdistill.replay.Kept(task.train.images[rows], classes)
        >>> digits = tfdistill.load_dataset("digits")
        >>> First().remember(digits, 3, seed=0).num_bytes
        1950
    """

    limited: bool = True

    @abc.abstractmethod
    def bytes_per_image(self, task: Dataset) -> int:
        """Bytes that one image takes, with its label.

        Args:
            task: Same as for `remember`.
        """

    @abc.abstractmethod
    def remember(self, task: Dataset, images_per_class: int, seed: int) -> Kept:
        """What is kept of a task, once it is learned.

        Args:
            task: The images of its classes, numbered from 0. Its test images are its
                training images: nothing else is known.
            images_per_class: How many are kept of each class, at least 1.
            seed: Random seed.

        Raises:
            ValueError: If a class has fewer images.
        """


class _Real(Memory):
    """Real images as they are in the data set, and the number of the class."""

    def bytes_per_image(self, task):
        return task.train.images[0].nbytes + _label_type(task).itemsize

    def remember(self, task, images_per_class, seed):
        rng = np.random.default_rng(check_int("seed", seed, 0))
        labels = task.train.labels
        rows = []
        for label in range(task.num_classes):
            own = np.flatnonzero(labels == label)
            if len(own) < images_per_class:
                raise ValueError(
                    f"{images_per_class} images of each class are to be kept, but "
                    f"class {task.class_names[label]} of {task.name} has {len(own)}: "
                    "give fewer bytes."
                )
            rows.append(
                own[self._chosen(task.train.images[own], images_per_class, rng)]
            )
        rows = np.concatenate(rows)
        return Kept(task.train.images[rows], labels[rows].astype(_label_type(task)))

    @abc.abstractmethod
    def _chosen(self, images, count, rng):
        """Indices of the images of a class that are kept."""


@final
@dataclasses.dataclass(frozen=True)
class Herding(_Real):
    """Real images whose running mean follows the mean of their class.

    Means are of pixels: same as `baselines.herding`.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits").of_classes([3, 8])
        >>> tfdistill.replay.Herding().remember(digits, 5, seed=0).num_bytes
        650
    """

    def _chosen(self, images, count, rng):
        del rng
        return baselines.herded(images, count)


@final
@dataclasses.dataclass(frozen=True)
class Reservoir(_Real):
    """Random real images, chosen online: each is seen once, kept or dropped.

    Each class has a reservoir of its own (Vitter 1985), so that all memories have the
    same bytes at all times.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits").of_classes([3, 8])
        >>> tfdistill.replay.Reservoir().remember(digits, 5, seed=0).num_bytes
        650
    """

    def _chosen(self, images, count, rng):
        kept: list[int] = []
        for number, row in enumerate(rng.permutation(len(images))):
            place = int(rng.integers(number + 1))
            if number < count:
                kept.append(row)
            elif place < count:
                kept[place] = row
        return kept


@final
@dataclasses.dataclass(frozen=True)
class Nothing(Memory):
    """No memory: the lower bound.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits").of_classes([3, 8])
        >>> tfdistill.replay.Nothing().remember(digits, 5, seed=0).num_bytes
        0
    """

    limited = False

    def bytes_per_image(self, task):
        return 0

    def remember(self, task, images_per_class, seed):
        del images_per_class, seed
        return Kept(task.train.images[:0], np.zeros(0, "uint8"))


@final
@dataclasses.dataclass(frozen=True)
class Everything(Memory):
    """All images of all tasks: the upper bound.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits").of_classes([3, 8])
        >>> kept = tfdistill.replay.Everything().remember(digits, 5, seed=0)
        >>> len(kept.images) == len(digits.train)
        True
    """

    limited = False

    def bytes_per_image(self, task):
        return Herding().bytes_per_image(task)

    def remember(self, task, images_per_class, seed):
        del images_per_class, seed
        return Kept(task.train.images, task.train.labels.astype(_label_type(task)))


def _label_type(task):
    """The smallest integers that number a task's classes."""
    return np.min_scalar_type(task.num_classes - 1)
