"""Memories that are learned: distilled images, and labels of real ones."""

import dataclasses
from typing import final

import keras
import numpy as np

from tfdistill import students
from tfdistill._internal.checks import check_positive, keep_ints
from tfdistill.data.dataset import Dataset
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.distilled.ordinary import OrdinaryTraining
from tfdistill.distiller import Distiller
from tfdistill.inner.ridge import RidgeRegression
from tfdistill.students.names import each_of
from tfdistill.studies.replay.memories import Kept, Memory, Reservoir
from tfdistill.synthesizers.base import DataSource
from tfdistill.synthesizers.images import DistilledImages
from tfdistill.weights.learning import LearningStudents

#: Forms in which learned pixels can be kept.
PIXELS = ("uint8", "float16", "float32")
_LABELS = "float16"
_RANGE = np.zeros(2, "float32")  # of an image in uint8


@dataclasses.dataclass(frozen=True)
class Distillation:
    """How images or labels are learned: by feature regression (Zhou et al. 2022).

    Attributes:
        student: The networks through which is distilled, same as for `Distiller`.
        outer_steps: Updates of the images and labels.
        batch_size: Real images that judge them in each.
        learning_rate: Of the outer Adam, > 0.
        pool: Number of networks that learn from the images while these are learned.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import tfdistill
        >>> tfdistill.replay.Distillation(outer_steps=50).batch_size
        256
    """

    student: object = "wide_convnet_bn@32-64"
    outer_steps: int = 200
    batch_size: int = 256
    learning_rate: float = 0.01
    pool: int = 10

    def __post_init__(self):
        keep_ints(self, 1, "outer_steps", "batch_size", "pool")
        check_positive("learning_rate", self.learning_rate)
        each_of(self.student)

    def __repr__(self):
        fields = dataclasses.asdict(self)
        fields["student"] = students.name_of(self.student)
        return f"Distillation({fields})"

    def learned(
        self, task: Dataset, start: Kept, seed: int, *, pixels: bool
    ) -> DistilledDataset:
        """Learns images and labels, or labels alone, from the images of a task.

        Args:
            task: The images of its classes, numbered from 0.
            start: The images to start from.
            seed: Random seed.
            pixels: Whether images are learned, besides labels.
        """
        classes = start.classes().astype("int32")
        images = DistilledImages(
            start.normalized(task.normalization)[None],
            classes,
            task.num_classes,
            epochs=1,
            centred_labels=True,
            learned_rates=False,
            recipe=OrdinaryTraining(),
            source=DataSource.of(task),
        )
        images.images.trainable = pixels
        # As one-hot labels of real images are: both are replayed to one network.
        centred = np.eye(task.num_classes)[classes] - 1 / task.num_classes
        assert images.label_values is not None  # labels are centred
        images.label_values.assign(centred[None])
        distiller = Distiller(
            self.student,
            images,
            LearningStudents(self.pool),
            "least_squares",
            meta_gradient=RidgeRegression(),
            seed=seed,
        )
        distiller.compile(
            keras.optimizers.Adam(self.learning_rate, beta_1=0.5), students_per_step=1
        )
        real = task.train.batch(self.batch_size, shuffle=True, seed=seed, repeat=True)
        distiller.fit(real, steps_per_epoch=self.outer_steps, epochs=1, verbose=0)
        return distiller.distilled()


@final
@dataclasses.dataclass(frozen=True)
class Distilled(Memory):
    """Distilled images with learned labels.

    Labels are kept as float16. Pixels in uint8 take eight bytes more for each image:
    what 0 and 255 stand for.

    Args:
        distillation: How they are learned.
        start: Real images to start from, a `Memory` of real images.
        pixels: How pixels are kept: "uint8", "float16" or "float32".

    Raises:
        ValueError: If `pixels` is none of these.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits").of_classes([3, 8])
        >>> quick = tfdistill.replay.Distillation("linear", outer_steps=50)
        >>> tfdistill.replay.Distilled(quick).bytes_per_image(digits)
        76
    """

    distillation: Distillation = Distillation()
    start: Memory = Reservoir()
    pixels: str = "uint8"

    def __post_init__(self):
        if self.pixels not in PIXELS:
            raise ValueError(
                f"pixels must be one of {', '.join(PIXELS)}, not {self.pixels!r}."
            )

    def bytes_per_image(self, task):
        size = np.prod(task.image_shape) * np.dtype(self.pixels).itemsize
        size += _RANGE.nbytes * (self.pixels == "uint8")
        return int(size) + task.num_classes * np.dtype(_LABELS).itemsize

    def remember(self, task, images_per_class, seed):
        start = self.start.remember(task, images_per_class, seed)
        learned = self.distillation.learned(task, start, seed, pixels=True)
        images, labels = learned.images[0], learned.labels[0].astype(_LABELS)
        if self.pixels != "uint8":
            return Kept(images.astype(self.pixels), labels, learned=True)
        return _in_uint8(images, labels)


@final
@dataclasses.dataclass(frozen=True)
class SoftLabels(Memory):
    """Real images as they are, with learned labels in float16.

    Args:
        distillation: How labels are learned.
        start: Which real images, a `Memory` of real images.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits").of_classes([3, 8])
        >>> quick = tfdistill.replay.Distillation("linear", outer_steps=50)
        >>> tfdistill.replay.SoftLabels(quick).bytes_per_image(digits)
        68
    """

    distillation: Distillation = Distillation()
    start: Memory = Reservoir()

    def bytes_per_image(self, task):
        label = task.num_classes * np.dtype(_LABELS).itemsize
        return task.train.images[0].nbytes + label

    def remember(self, task, images_per_class, seed):
        start = self.start.remember(task, images_per_class, seed)
        learned = self.distillation.learned(task, start, seed, pixels=False)
        return dataclasses.replace(start, labels=learned.labels[0].astype(_LABELS))


def _in_uint8(images, labels):
    """Learned images as whole numbers, each within its own range."""
    axes = tuple(range(1, images.ndim))
    low, high = images.min(axes, keepdims=True), images.max(axes, keepdims=True)
    width = np.where(high > low, high - low, 1)
    codes = np.round((images - low) / width * 255).astype("uint8")
    ranges = np.stack([low.ravel(), high.ravel()], 1).astype("float32")
    return Kept(codes, labels, ranges, learned=True)
