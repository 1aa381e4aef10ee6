"""Learned images: the synthesizer of Wang et al. 2018."""

from typing import final

import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill.inner import enlarging
from tfdistill.inner.curriculum import Batch, Curriculum
from tfdistill.inner.optimizers.base import InnerOptimizer
from tfdistill.synthesizers.base import DataSource, Synthesizer
from tfdistill.synthesizers.schedule import Schedule


@final
class DistilledImages(Synthesizer, Curriculum):
    """Learned pixels and learned rates (Wang et al. 2018, section 3).

    Each of the `steps` batches is one inner step; students go through all of them
    `epochs` times. Epochs share the images; every (epoch, step) has its own rate.

    Args:
        images: Initial images, float `[steps, batch, *image_shape]`, normalised.
        labels: int `[batch]`, classes from 0, the same in every step.
        num_classes: Number of classes.
        epochs: Passes over the steps, at least 1.
        inner_optimizer, learning_rate: Same as for `Schedule`. The paper uses "sgd".
        soft_labels: Whether labels are learned, too. Each is a softmax over logits,
            which starts at `label_confidence` for the given class.
        label_confidence: Initial probability of the given class, in (1 / classes, 1).
        centred_labels: Whether labels are learned as plain numbers, for `LeastSquares`
            and `RidgeRegression`. They start as one-hot labels less 1 / classes, over
            the root of classes / 10 (Zhou et al. 2022).
        enlarged: How many times smaller than an image both sides of `images` are:
            students see them enlarged, so that enlarged ** 2 of them take the room of
            one (Kim et al. 2022).
        learned_rates: Whether the rates are learned; otherwise they stay.
        recipe: How to train on the result, such as `OrdinaryTraining`; by default by
            the learned steps, in order.
        source: The `DataSource` of the images; `from_noise` and `from_real` set it.

    Raises:
        ValueError: If a shape is wrong, or a number is out of range.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=4, epochs=2)
        >>> tuple(images.images.shape), images.num_steps
        ((4, 10, 8, 8, 1), 8)
    """

    def __init__(
        self,
        images,
        labels,
        num_classes: int,
        *,
        epochs: int = 3,
        inner_optimizer: InnerOptimizer | str = "sgd",
        learning_rate: float | None = None,
        soft_labels: bool = False,
        label_confidence: float = 0.9,
        centred_labels: bool = False,
        enlarged: int = 1,
        learned_rates: bool = True,
        recipe=None,
        source: "DataSource | None" = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        images, labels = np.asarray(images), np.asarray(labels)
        if images.ndim < 3 or 0 in images.shape:
            raise ValueError(
                "images must have the shape [steps, batch, *image_shape] with at least "
                f"one step and one image, not {list(images.shape)}."
            )
        if images.dtype.kind not in "biuf":
            raise ValueError(f"images must be numbers, not {images.dtype}.")
        if not np.all(np.isfinite(images)):
            raise ValueError("images must be finite; some pixels are NaN or infinite.")
        if labels.shape != images.shape[1:2] or labels.dtype.kind not in "iu":
            raise ValueError(
                f"labels must be {images.shape[1]} integers, one for each image of a "
                f"step, not {labels.dtype} of shape {list(labels.shape)}."
            )
        if labels.min() < 0 or labels.max() >= num_classes:
            raise ValueError(
                f"labels must lie in 0..{num_classes - 1}, "
                f"not in {labels.min()}..{labels.max()}."
            )
        if not 1 / num_classes < label_confidence < 1:
            raise ValueError(
                f"label_confidence must lie between 1 / {num_classes} and 1, "
                f"not {label_confidence}."
            )
        if soft_labels and centred_labels:
            raise ValueError("Labels are either soft_labels or centred_labels.")
        self.steps, self.epochs = images.shape[0], epochs
        self.num_classes = num_classes
        self.enlarged = enlarging.check_factor(enlarged)
        self.image_shape = enlarging.enlarged_shape(images.shape[2:], enlarged)
        self.source, self.recipe = source, recipe
        self.classes = labels.astype("int32")
        self.images = self.add_weight(
            shape=images.shape,
            initializer=lambda shape, dtype: tf.cast(images, dtype),
            name="images",
        )
        self.schedule = Schedule(
            epochs,
            self.steps,
            inner_optimizer=inner_optimizer,
            learning_rate=learning_rate,
            learned=learned_rates,
            dtype=self.dtype_policy,
        )
        self.inner_optimizer = self.schedule.inner_optimizer
        self.label_logits = self.label_values = None
        if centred_labels:
            values = np.eye(num_classes)[labels] - 1 / num_classes
            values /= np.sqrt(num_classes / 10)
            self.label_values = self.add_weight(
                shape=(self.steps, *values.shape),
                initializer=lambda shape, dtype: tf.cast(
                    np.broadcast_to(values, shape), dtype
                ),
                name="label_values",
            )
        if soft_labels:
            odds = label_confidence * (num_classes - 1) / (1 - label_confidence)
            logits = np.log(odds) * np.eye(num_classes)[labels]
            self.label_logits = self.add_weight(
                shape=(self.steps, *logits.shape),
                initializer=lambda shape, dtype: tf.cast(
                    np.broadcast_to(logits, shape), dtype
                ),
                name="label_logits",
            )

    @classmethod
    def from_noise(
        cls,
        dataset,
        *,
        images_per_class: int = 1,
        images_per_step: int | None = None,
        steps: int = 10,
        epochs: int = 3,
        seed: int = 0,
        **kwargs,
    ) -> "DistilledImages":
        """Starts from noise, N(0, 1) in every normalised pixel, as in the paper.

        Args:
            dataset: A `tfdistill.Dataset`: gives image shape and classes.
            images_per_class: Images of each class in each step, at least 1.
            images_per_step: Images in each step, in place of `images_per_class`; their
                labels cycle through the classes.
            steps, epochs: Same as for the constructor; at least 1.
            seed: Random seed.
            **kwargs: Other arguments of the constructor.
        """
        factor = _factor(dataset, kwargs)
        size = _images_per_step(dataset, images_per_class, images_per_step)
        height, width, channels = dataset.image_shape
        shape = (check_int("steps", steps, 1), factor**2 * size)
        shape += (height // factor, width // factor, channels)
        images = np.random.default_rng(check_int("seed", seed, 0)).standard_normal(
            shape
        )
        return cls._of(dataset, images, epochs=epochs, **kwargs)

    @classmethod
    def from_real(
        cls,
        dataset,
        *,
        images_per_class: int = 1,
        images_per_step: int | None = None,
        steps: int = 10,
        epochs: int = 3,
        seed: int = 0,
        **kwargs,
    ) -> "DistilledImages":
        """Starts from random training images, different ones in every step.

        Args:
            dataset: A `tfdistill.Dataset`, whose training part is sampled.
            images_per_class, images_per_step, steps, epochs, seed, **kwargs: Same as
                for `from_noise`.

        Raises:
            ValueError: If a class has fewer than images_per_class * steps images.
        """
        factor = _factor(dataset, kwargs)
        size = _images_per_step(dataset, images_per_class, images_per_step)
        size *= factor**2
        check_int("steps", steps, 1)
        per_class = -(-size // dataset.num_classes)
        images, _ = dataset.train.sample(
            per_class * steps, seed=seed, class_names=dataset.class_names
        )
        images = np.reshape(images, (steps, -1, *dataset.image_shape))
        images = _shrunk(images[:, :size], factor)
        return cls._of(dataset, images, epochs=epochs, **kwargs)

    @classmethod
    def from_distilled(cls, distilled, **kwargs) -> "DistilledImages":
        """Starts from existing data: a baseline, or an earlier distillation.

        Args:
            distilled: A `DistilledDataset` whose steps all have the same classes in the
                same order.
            **kwargs: Other arguments of the constructor; by default as many epochs as
                the data has.

        Raises:
            ValueError: If steps have different classes.
        """
        classes = distilled.labels.argmax(-1)
        if np.any(classes != classes[0]):
            raise ValueError(
                "All steps must have the same classes in the same order to start from "
                "these images."
            )
        return cls(
            distilled.images,
            classes[0],
            distilled.num_classes,
            **{
                "epochs": distilled.epochs,
                "source": DataSource(
                    distilled.provenance.get("dataset", ""),
                    distilled.normalization,
                    distilled.class_names,
                ),
                **kwargs,
            },
        )

    @classmethod
    def _of(cls, dataset, images, **kwargs):
        # Both starts have their classes in a cycle: 0, 1, ..., 0, 1, ...
        labels = np.arange(images.shape[1]) % dataset.num_classes
        source = DataSource.of(dataset)
        return cls(images, labels, dataset.num_classes, source=source, **kwargs)

    @property
    def num_steps(self) -> int:
        """T, the number of inner steps: steps * epochs."""
        return self.steps * self.epochs

    @property
    def learning_rates(self) -> tf.Tensor:
        """The rates, float `[epochs, steps]`."""
        return self.schedule.learning_rates

    @property
    def labels(self) -> tf.Tensor:
        """One-hot, soft or centred labels, float `[steps, batch, classes]`."""
        if self.label_values is not None:
            return self.label_values.value
        if self.label_logits is not None:
            return tf.nn.softmax(self.label_logits)
        one_hot = tf.one_hot(self.classes, self.num_classes, dtype=self.dtype)
        return tf.repeat(one_hot[None], self.steps, axis=0)

    def curriculum(self, seed):
        del seed
        return self

    def batch(self, t) -> Batch:
        """The batch of inner step t, a scalar integer in 0..num_steps - 1."""
        step = t % self.steps
        if self.label_values is not None:
            labels = tf.gather(self.label_values.value, step)
        elif self.label_logits is None:
            labels = tf.one_hot(self.classes, self.num_classes, dtype=self.dtype)
        else:
            labels = tf.nn.softmax(tf.gather(self.label_logits.value, step))
        images = enlarging.enlarged(tf.gather(self.images.value, step), self.enlarged)
        return Batch(images, labels, self.schedule.at(t))


def _factor(dataset, options):
    """How many times smaller the images are stored."""
    factor = enlarging.check_factor(options.get("enlarged", 1))
    if any(side % factor for side in dataset.image_shape[:2]):
        raise ValueError(
            f"enlarged must divide the sides of the images, {dataset.image_shape[0]} "
            f"and {dataset.image_shape[1]}, which {factor} does not."
        )
    return factor


def _shrunk(images, factor):
    """The means of squares of pixels."""
    *before, height, width, channels = images.shape
    rows, columns = height // factor, width // factor
    squares = images.reshape(*before, rows, factor, columns, factor, channels)
    return squares.mean((-4, -2))


def _images_per_step(dataset, images_per_class, images_per_step):
    if images_per_step is not None:
        return check_int("images_per_step", images_per_step, 1)
    return check_int("images_per_class", images_per_class, 1) * dataset.num_classes
