"""What makes the synthetic batches: the contract of all synthesizers."""

import abc
from typing import NamedTuple

import keras
import tensorflow as tf

from tfdistill.data.normalization import Normalization
from tfdistill.inner.curriculum import Curriculum
from tfdistill.synthesizers.schedule import Schedule


class DataSource(NamedTuple):
    """What a later user of the images must know about the real data.

    Attributes:
        name: The data set's name.
        normalization: Its `Normalization`, which the images are in.
        class_names: A name for each class, or for each output of a regression.
    """

    name: str
    normalization: Normalization
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, dataset) -> "DataSource":
        """The source that a `tfdistill.Dataset` is."""
        return cls(dataset.name, dataset.normalization, tuple(dataset.class_names))


class Synthesizer(keras.layers.Layer, abc.ABC):
    """Makes the batches that students learn from; learns by its trainable variables.

    A subclass makes its variables in its constructor and says by `curriculum` what they
    mean. Everything else follows: training, validation, export.

    Attributes:
        image_shape: The shape of one image, (height, width, channels).
        num_classes: How many classes there are; for a regression, how many outputs.
        epochs: How often a student goes through the same batches: those of step t and
            of step t + num_steps / epochs have the same images and labels. By default
            1.
        is_random: Whether two students may have two curricula.
        source: What the images stand for, or None: then they cannot be exported.

    Example:
        >>> import keras, tensorflow as tf, tfdistill
        >>> class OneBatch(tfdistill.Synthesizer, tfdistill.Curriculum):
        ...     def __init__(self, dataset):
        ...         super().__init__()
        ...         self.image_shape = dataset.image_shape
        ...         self.num_classes = dataset.num_classes
        ...         self.source = tfdistill.DataSource.of(dataset)
        ...         self.schedule = tfdistill.Schedule(epochs=1, steps=1)
        ...         self.inner_optimizer = self.schedule.inner_optimizer
        ...         self.num_steps = 1
        ...         shape = (dataset.num_classes, *dataset.image_shape)
        ...         self.images = self.add_weight(shape=shape, initializer="normal")
        ...     def curriculum(self, seed):
        ...         return self
        ...     def batch(self, t):
        ...         labels = tf.eye(self.num_classes)
        ...         images, now = self.images.value, self.schedule.at(t)
        ...         return tfdistill.Batch(images, labels, now)
        >>> synthesizer = OneBatch(tfdistill.load_dataset("digits"))
        >>> distilled = tfdistill.Distiller("linear", synthesizer).distilled()
        >>> distilled.images.shape
        (1, 10, 8, 8, 1)
    """

    image_shape: tuple[int, ...]
    num_classes: int
    epochs: int = 1
    is_random: bool = False
    source: DataSource | None = None

    @abc.abstractmethod
    def curriculum(self, seed: tf.Tensor) -> Curriculum:
        """What one student learns from: perhaps the synthesizer itself.

        Args:
            seed: int32 tensor `[2]` from which anything random is drawn, in a graph or
                eagerly.
        """

    @property
    def sources(self) -> list[tf.Tensor]:
        """Its trainable variables: what its batches are made of, if it is a
        `Curriculum` itself."""
        return [variable.value for variable in self.trainable_variables]

    def scale_rates(self, factor: tf.Tensor) -> None:
        """Multiplies all learned rates by a factor in (0, 1], in a graph or eagerly.

        By default those of each `Schedule` in it.
        """
        for layer in self._flatten_layers(include_self=False):
            if isinstance(layer, Schedule):
                layer.scale_rates(factor)

    def exported_seed(self) -> tf.Tensor:
        """The seed of the curriculum that is exported, int32 `[2]`."""
        return tf.constant([0, 0], tf.int32)
