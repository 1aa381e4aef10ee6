"""Learned images: the synthesizer of Wang et al. 2018."""

from typing import final

import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill.data import normalised
from tfdistill.inner import enlarging
from tfdistill.inner.curriculum import Batch, Curriculum
from tfdistill.inner.objectives.classification import Classification, are_shares
from tfdistill.inner.optimizers.base import InnerOptimizer
from tfdistill.synthesizers import classes
from tfdistill.synthesizers.base import DataSource, Synthesizer
from tfdistill.synthesizers.schedule import Schedule


@final
class DistilledImages(Synthesizer, Curriculum):
    """Learned pixels and learned rates (Wang et al. 2018, section 3).

    Each of the `steps` batches is one inner step; students go through all of them
    `epochs` times. Epochs share the images; every (epoch, step) has its own rate.

    Args:
        images: Initial images, float `[steps, batch, *image_shape]`, normalised.
        labels: int `[batch]`, classes from 0, the same in every step; or `[steps,
            batch]`.
        num_classes: Number of classes.
        epochs: Passes over the steps, at least 1.
        inner_optimizer, learning_rate: Same as for `Schedule`. The paper uses "sgd".
        soft_labels: Whether labels are learned, too. Each is a softmax over logits,
            which starts at `label_confidence` for the given class.
        label_confidence: Initial probability of the given class, in (1 / classes, 1);
            for soft labels.
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
        ValueError: If a shape is wrong, a number out of range, or images are no floats.

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
        normalised.refuse_integers(images)
        if images.dtype.kind != "f":
            raise ValueError(f"images must be numbers, not {images.dtype}.")
        if not np.all(np.isfinite(images)):
            raise ValueError("images must be finite; some pixels are NaN or infinite.")
        shapes = images.shape[1:2], images.shape[:2]
        if labels.shape not in shapes or labels.dtype.kind not in "iu":
            raise ValueError(
                f"labels must be {images.shape[1]} integers, one for each image of a "
                "step, or as many for every step, not "
                f"{labels.dtype} of shape {list(labels.shape)}."
            )
        if labels.min() < 0 or labels.max() >= num_classes:
            raise ValueError(
                f"labels must lie in 0..{num_classes - 1}, "
                f"not in {labels.min()}..{labels.max()}."
            )
        if not (centred_labels or 1 / num_classes < label_confidence < 1):
            raise ValueError(
                f"label_confidence must lie between 1 / {num_classes} and 1, "
                f"not {label_confidence}."
            )
        if label_confidence != 0.9 and not soft_labels:
            raise ValueError("label_confidence needs soft_labels: leave it out.")
        if soft_labels and centred_labels:
            raise ValueError("Labels are either soft_labels or centred_labels.")
        self.steps, self.epochs = images.shape[0], epochs
        self.num_classes = num_classes
        self.enlarged = enlarging.check_factor(enlarged)
        self.image_shape = enlarging.enlarged_shape(images.shape[2:], enlarged)
        self.source, self.recipe = source, recipe
        labels = np.broadcast_to(labels, images.shape[:2])
        fixed = not (soft_labels or centred_labels)
        self._labels = labels.astype("int32") if fixed else None
        self.images = self._learned(images, "images")
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
            values = _centred(np.eye(num_classes)[labels])
            self.label_values = self._learned(values, "label_values")
        if soft_labels:
            odds = label_confidence * (num_classes - 1) / (1 - label_confidence)
            logits = np.log(odds) * np.eye(num_classes)[labels]
            self.label_logits = self._learned(logits, "label_logits")

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
            images_per_class: Images of each class in each step, at least 1; with
                `enlarged`, as many as take their room: enlarged ** 2 times as many.
            images_per_step: Images in each step, in place of `images_per_class`, and
                with `enlarged` in the same way more: of the classes in turn. If they
                are fewer than the classes, the next step goes on with the others.
            steps, epochs: Same as for the constructor; at least 1.
            seed: Random seed.
            **kwargs: Other arguments of the constructor.
        """
        factor = _factor(dataset, kwargs)
        size = classes.per_step(dataset, images_per_class, images_per_step)
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
            ValueError: If a class has fewer than images_per_class * steps images, or
                enlarged ** 2 times as many.
        """
        factor = _factor(dataset, kwargs)
        size = classes.per_step(dataset, images_per_class, images_per_step)
        images = classes.sampled(dataset, steps, factor**2 * size, seed)
        images = _shrunk(images, factor)
        return cls._of(dataset, images, epochs=epochs, **kwargs)

    @classmethod
    def from_distilled(cls, distilled, **kwargs) -> "DistilledImages":
        """Starts from existing data: a baseline, or an earlier distillation.

        Args:
            distilled: A `DistilledDataset`.
            **kwargs: Other arguments of the constructor, where they are to differ from
                those of the data: `epochs`, `enlarged`, `recipe`, `inner_optimizer` and
                rates, and labels, if these were learned. Further epochs start from the
                rates of the last one; an inner optimizer of another class, from its
                own.

        Raises:
            ValueError: If `enlarged` does not divide the sides of the images, or plain
                numbers, as labels, are to become soft ones, or those of a regression
                classes; or if `label_confidence` is for soft labels that were learned.
        """
        numbers, num_classes = distilled.labels.argmax(-1), distilled.num_classes
        learned = not np.array_equal(distilled.labels, np.eye(num_classes)[numbers])
        by_squares = distilled.objective.name == "least_squares"
        plain = learned and (by_squares or not are_shares(distilled.labels))
        recipe = distilled.recipe
        given = {
            "epochs": distilled.epochs,
            "enlarged": distilled.enlarged,
            "recipe": None if recipe.is_ordered else recipe,
            "inner_optimizer": distilled.inner_optimizer
            if recipe.is_ordered
            else "sgd",
            "centred_labels": plain,
            "soft_labels": learned and not plain,
            "source": DataSource(
                distilled.provenance.get("dataset", ""),
                distilled.normalization,
                distilled.class_names,
            ),
            **kwargs,
        }
        if learned and given["soft_labels"] and "label_confidence" in kwargs:
            raise ValueError(
                "the labels of the data go on as they were learned: leave "
                "label_confidence out."
            )
        images = distilled.stored_images.astype("float32")
        if given["enlarged"] != distilled.enlarged:
            factor = _factor(distilled, given)
            images = _shrunk(distilled.images.astype("float32"), factor)
        made = cls(images, numbers, num_classes, **given)
        if learned:
            made._start_labels(distilled.labels, distilled.objective)
        if recipe.is_ordered:
            values = dict(distilled.hyperparameters)
            if given.get("learning_rate") is not None:
                del values["learning_rate"]
            made.schedule.start(distilled.inner_optimizer, values)
        return made

    def _start_labels(self, labels, objective):
        """Labels as an earlier distillation has learned them."""
        shares, of_classes = are_shares(labels), isinstance(objective, Classification)
        if self.label_values is not None:
            values = _centred(labels) if shares and of_classes else labels
            self.label_values.assign(values)
        elif not shares and (self.label_logits is not None or not of_classes):
            raise ValueError(
                "the labels of the data are plain numbers, and no shares of classes: "
                "go on with centred_labels=True and soft_labels=False."
            )
        elif self.label_logits is not None:
            self.label_logits.assign(np.log(np.clip(labels, 1e-12, None)))

    @classmethod
    def _of(cls, dataset, images, **kwargs):
        labels = classes.in_turn(*images.shape[:2], dataset.num_classes)
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
        return tf.one_hot(self._labels, self.num_classes, dtype=self.dtype)

    def curriculum(self, seed):
        del seed
        return self

    def batch(self, t) -> Batch:
        """The batch of inner step t, a scalar integer in 0..num_steps - 1."""
        step = t % self.steps
        if self.label_values is not None:
            labels = tf.gather(self.label_values.value, step)
        elif self.label_logits is None:
            own = tf.gather(self._labels, step)
            labels = tf.one_hot(own, self.num_classes, dtype=self.dtype)
        else:
            labels = tf.nn.softmax(tf.gather(self.label_logits.value, step))
        images = enlarging.enlarged(tf.gather(self.images.value, step), self.enlarged)
        return Batch(images, labels, self.schedule.at(t))


def _centred(shares):
    """Plain numbers to start from (Zhou et al. 2022): smaller ones for more classes."""
    num_classes = shares.shape[-1]
    return (shares - 1 / num_classes) / np.sqrt(num_classes / 10)


def _factor(dataset, options):
    """How many times smaller the images are stored."""
    factor = enlarging.check_factor(options.get("enlarged", 1))
    enlarging.enlarged_shape(dataset.image_shape, factor)
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
