"""What makes the synthetic batches: the contract of all synthesizers."""

import abc
from typing import NamedTuple

import keras
import tensorflow as tf

from tfdistill._internal.faces import Face
from tfdistill.data.normalization import Normalization
from tfdistill.inner.curriculum import Curriculum
from tfdistill.synthesizers.schedule import within


class DataSource(NamedTuple):
    """What a later user of the images must know about the real data.

    Attributes:
        name: Name of the data set.
        normalization: The `Normalization` of the images.
        class_names: A name for each class, or for each output of a regression.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> tfdistill.DataSource.of(digits).name
        'digits'
    """

    name: str
    normalization: Normalization
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, dataset) -> "DataSource":
        """The source for a `tfdistill.Dataset`."""
        return cls(dataset.name, dataset.normalization, tuple(dataset.class_names))


def check_penalties(name: str, penalties) -> None:
    """Refuses penalties of what makes the data: only the meta-gradient teaches it.

    Args:
        name: Whose they are.
        penalties: Its `losses`, of regularizers and `add_loss`.

    Raises:
        ValueError: If there are any.
    """
    if penalties:
        raise ValueError(
            f"Penalties have no effect on {name}, for it learns by the meta-gradient "
            "alone: remove its regularizers and add_loss()."
        )


class Synthesizer(Face, keras.layers.Layer, abc.ABC):
    """Makes the batches that students learn from; its variables are what is learned.

    A subclass creates its trainable variables in its constructor and makes batches of
    them in `curriculum`. Training, validation and export follow from that.

    Attributes:
        image_shape: The shape of one image, (height, width, channels).
        num_classes: Number of classes; for a regression, of outputs.
        epochs: Number of passes of a student over the same batches, by default 1: those
            of step t and of step t + num_steps / epochs have the same images and
            labels.
        is_random: Whether students may have different curricula.
        source: The `DataSource` of the images; with None they cannot be exported.
        enlarged: How many times smaller its variable `images` is than what students
            see; it is stored so.
        recipe: How to train on what is exported, such as `OrdinaryTraining`; None for
            the learned steps, in order.

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
    recipe = None
    enlarged: int = 1

    @abc.abstractmethod
    def curriculum(self, seed: tf.Tensor) -> Curriculum:
        """What one student learns from; it may be the synthesizer itself.

        Args:
            seed: Seed of all random draws, int32 tensor `[2]`, in a graph or eagerly.

        Returns:
            A `Curriculum`, whose `sources` the meta-gradient is taken by. Its batches
            are those of the classes and shapes that the synthesizer has.
        """

    def _learned(self, start, name: str) -> keras.Variable:
        """A trainable variable that starts as an array."""
        return self.add_weight(
            shape=start.shape,
            initializer=lambda shape, dtype: tf.cast(start, dtype),
            name=name,
        )

    @property
    def sources(self) -> list[tf.Tensor]:
        """Its trainable variables: the sources, if it is its own `Curriculum`."""
        return [variable.value for variable in self.trainable_variables]

    def scale_rates(self, factor: tf.Tensor) -> None:
        """Multiplies all learned rates by a factor in (0, 1], in a graph or eagerly.

        By default, those of each `Schedule` in it. Rates that are not learned stay.
        """
        for schedule in within(self):
            schedule.scale_rates(factor)

    def exported_seed(self) -> tf.Tensor:
        """The seed of the curriculum that is exported, int32 `[2]`."""
        return tf.constant([0, 0], tf.int32)
