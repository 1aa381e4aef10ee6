"""A named classification task: what to train on, and what to evaluate on."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfdistill.data.faces import DatasetFace
from tfdistill.data.normalization import Normalization
from tfdistill.data.split import Split


@dataclasses.dataclass(frozen=True, repr=False)
class Dataset(DatasetFace):
    """A named classification task.

    Attributes:
        name: Name of the data.
        train: `Split` to distil and to train on.
        test: `Split` to evaluate on, once everything is chosen.
        normalization: `Normalization` that all splits use.
        class_names: One name per class, in the order of the labels.
        validation: `Split` to choose on, which `hold_out` takes from the training
            data; None if nothing is held out.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits").of_classes([3, 8])
        >>> digits.name, digits.class_names, digits.image_shape
        ('digits[3,8]', ('3', '8'), (8, 8, 1))
        >>> held_out = digits.hold_out(fraction=0.1)
        >>> len(digits.train), len(held_out.train), len(held_out.validation)
        (285, 256, 29)
    """

    name: str
    train: Split
    test: Split
    normalization: Normalization
    class_names: tuple[str, ...]
    validation: Split | None = None

    def hold_out(self, fraction: float = 0.1, seed: int = 0) -> "Dataset":
        """Holds out a part of the training data, to choose on.

        Args:
            fraction: Part of every class of `train`, between 0 and 1.
            seed: Non-negative seed of the choice.

        Returns:
            A `Dataset` with a smaller `train` and with `validation`.

        Raises:
            ValueError: If there is a validation split already, if the fraction is out
                of range, or if no class has two examples.
        """
        if self.validation is not None:
            raise ValueError(f"{self.name} has a validation split already.")
        train, validation = self.train.split(fraction, seed)
        return dataclasses.replace(self, train=train, validation=validation)

    def resplit(self, fraction: float = 0.2, seed: int = 0) -> "Dataset":
        """Draws a new test split at random from all examples.

        The paper splits USPS like this, into 7,438 and 1,860 examples; the official
        test images were written by other people and are harder.

        Args:
            fraction: Part of every class to test on, between 0 and 1.
            seed: Non-negative seed of the choice.

        Returns:
            A `Dataset` in memory, with `resplit` in its name.

        Raises:
            ValueError: If there is a validation split already, if the data are
                streamed, if the fraction is out of range, or if no class has two
                examples.
        """
        if self.validation is not None:
            raise ValueError(f"{self.name} has a validation split, made before.")
        images, labels = (
            np.concatenate([getattr(part, kind) for part in (self.train, self.test)])
            for kind in ("images", "labels")
        )
        both = Split(
            images, labels, self.normalization, num_classes=self.train.num_classes
        )
        train, test = both.split(fraction, seed)
        name = f"{self.name}[resplit {fraction:g}]"
        return dataclasses.replace(self, name=name, train=train, test=test)

    def of_classes(self, labels: Sequence[int]) -> "Dataset":
        """Selects some of the classes, in all splits.

        Args:
            labels: Different integers from 0 to `num_classes` - 1, at least two; they
                become 0, 1, ... in the order given.

        Returns:
            A `Dataset` with the same normalization, and with the labels in its name.

        Raises:
            ValueError: If a class does not exist, is named twice, or is the only one.
        """
        if len(labels) < 2:
            raise ValueError(f"There must be at least 2 classes, not {len(labels)}.")
        parts: dict = {
            name: split and split.of_classes(labels)
            for name, split in (
                ("train", self.train),
                ("test", self.test),
                ("validation", self.validation),
            )
        }
        return dataclasses.replace(
            self,
            **parts,
            name=f"{self.name}[{','.join(map(str, labels))}]",
            class_names=tuple(self.class_names[label] for label in labels),
        )

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C) of the images."""
        return self.train.image_shape

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)
