"""Distilled data: a small data set that carries its recipe."""

import os
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill import students
from tfdistill._internal import fields
from tfdistill._internal.checks import check_int
from tfdistill.data.normalization import Normalization
from tfdistill.distilled import checks, exports, faces, serving, synthesized, tfrecords
from tfdistill.distilled.learned_schedule import LearnedSchedule, one_recipe
from tfdistill.distilled.recipe import Recipe
from tfdistill.inner import enlarging, objectives, optimizers
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.optimizers.base import InnerOptimizer
from tfdistill.synthesizers.base import Synthesizer


class DistilledDataset(faces.DistilledFace):
    """Distilled images and labels, and how to train on them.

    Learned steps, in order, are given by `learning_rates`, `inner_optimizer` and
    `hyperparameters`; any other way to train, by `recipe`.

    Args:
        images: float `[steps, batch, *image_shape]`, normalised; float16 are stored as
            such, in half the room, all others as float32.
        labels: float `[steps, batch, classes]`: for classification one-hot or soft,
            rows that sum to 1.
        learning_rates: float `[epochs, steps]`, > 0.
        recipe: How to train on the data, such as `OrdinaryTraining`, in place of
            learned steps.
        enlarged: How many times larger both sides of the images are for students than
            in `images` and in files, at least 1.
        inner_optimizer: The optimizer that the rates are for: an `InnerOptimizer`, or
            the name of one that ships: "sgd" (by default), "momentum" or "adam".
        hyperparameters: The inner optimizer's other hyperparameters, by name, float
            `[epochs, steps]`; for "momentum", {"momentum": ...}. They may hold the
            rates, too, in place of `learning_rates`.
        objective: How students are taught: an `Objective`, "classification" or
            "regression".
        normalization: The `Normalization` of the images.
        class_names: A name for each class, or for each output of a regression.
        student: Name of the student that the data was distilled for.
        initial_weights: Arrays of the fixed initial weights that the data was distilled
            for (trainable variables, then the others); None for random ones.
        provenance: How the data was made: values that JSON can hold; NaN is kept as
            None.

    Attributes:
        images: As students see them, float32 `[steps, batch, *image_shape]`.
        stored_images: As they are stored, float32 or float16: not yet enlarged.
        recipe: How to train on it, a `Recipe`: `LearnedSchedule` or `OrdinaryTraining`.

    Raises:
        ValueError: If shapes don't fit, a number is not finite or out of range, or
            arguments contradict each other.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> distilled = tfdistill.baselines.random_real(digits, steps=2)
        >>> distilled.num_images, distilled.learning_rates.shape
        (20, (3, 2))
        >>> model = distilled.train(tfdistill.students.linear(digits.image_shape))
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        learning_rates: np.ndarray | None = None,
        *,
        recipe: Recipe | None = None,
        enlarged: int = 1,
        inner_optimizer: InnerOptimizer | str | None = None,
        hyperparameters: Mapping[str, np.ndarray] | None = None,
        objective: Objective | str = "classification",
        normalization: Normalization,
        class_names: Sequence[str],
        student: str = "",
        initial_weights: Sequence[np.ndarray] | None = None,
        provenance: Mapping | None = None,
    ):
        self.stored_images = checks.pixels(images)
        self.enlarged = enlarging.check_factor(enlarged)
        self.labels = checks.numbers("labels", labels)
        steps = learning_rates, inner_optimizer, hyperparameters
        self.recipe: Recipe = one_recipe(recipe, *steps)
        self.objective = objectives.get(objective)
        self.normalization = normalization
        self.class_names = tuple(class_names)
        self.student = student
        self.initial_weights = checks.weights(initial_weights)
        self.provenance = fields.plain_copy("provenance", provenance or {})
        checks.check(self)
        pixels = self.stored_images.astype("float32")
        self.images = np.asarray(enlarging.enlarged(pixels, self.enlarged))

    @property
    def inner_optimizer(self) -> InnerOptimizer:
        """The optimizer that takes the inner steps."""
        return self.recipe.inner_optimizer

    @property
    def hyperparameters(self) -> Mapping[str, np.ndarray]:
        """The optimizer's learned numbers by name, each float32 `[epochs, steps]`."""
        return self.recipe.hyperparameters

    @property
    def learning_rates(self) -> np.ndarray | None:
        """float32 `[epochs, steps]`; None if no rates are learned."""
        return self.hyperparameters.get("learning_rate")

    @property
    def momenta(self) -> np.ndarray | None:
        """float32 `[epochs, steps]`; None if the inner optimizer has none."""
        return self.hyperparameters.get("momentum")

    @classmethod
    def from_synthesizer(cls, synthesizer: Synthesizer, **kwargs) -> "DistilledDataset":
        """The data of a synthesizer, as it is now.

        Args:
            synthesizer: Any `Synthesizer`; its exported curriculum is read once.
            **kwargs: Arguments of the constructor.

        Raises:
            ValueError: If the synthesizer doesn't know its data's normalisation.
        """
        made = synthesized.made_by(synthesizer)
        provenance = {**made["provenance"], **kwargs.pop("provenance", {})}
        return cls(**{**made, **kwargs, "provenance": provenance})

    @property
    def steps(self) -> int:
        """Number of batches: inner steps in each epoch."""
        return len(self.images)

    @property
    def epochs(self) -> int:
        """Number of passes over the learned steps; 1 if none are learned."""
        rates = self.learning_rates
        return 1 if rates is None else len(rates)

    @property
    def num_steps(self) -> int:
        """Number of a student's updates: of learned steps, steps * epochs."""
        return self.recipe.num_steps(self.steps)

    @property
    def num_images(self) -> int:
        """Number of images: steps * batch."""
        return self.images.shape[0] * self.images.shape[1]

    @property
    def num_classes(self) -> int:
        """Number of classes, or of outputs of a regression."""
        return len(self.class_names)

    @property
    def num_bytes(self) -> int:
        """Bytes of images and labels, as they are stored."""
        return self.stored_images.nbytes + self.labels.nbytes

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(height, width, channels)."""
        return self.images.shape[2:]

    def optimizer(self) -> keras.optimizers.Optimizer:
        """A new Keras optimizer that takes the learned steps, for `fit` in order.

        Raises:
            ValueError: If no steps are learned.
        """
        if not isinstance(self.recipe, LearnedSchedule):
            raise ValueError("The data has no learned steps: call train(model).")
        return self.recipe.optimizer()

    def replace(self, **changes) -> "DistilledDataset":
        """A copy with some arguments of the constructor changed.

        Args:
            **changes: Arguments of the constructor; a `provenance` is merged into the
                current one; what was "measured" of other data is left out.
        """
        kept = dict(
            **self.recipe.kept(changes),
            images=self.stored_images,
            enlarged=1 if "images" in changes else self.enlarged,
            labels=self.labels,
            objective=self.objective,
            normalization=self.normalization,
            class_names=self.class_names,
            student=self.student,
            initial_weights=self.initial_weights,
        )
        known, given = dict(self.provenance), changes.pop("provenance", {})
        if {*changes} - {"class_names", "student"}:  # which only say what it is
            known.pop("measured", None)
        return DistilledDataset(**{**kept, **changes}, provenance={**known, **given})

    def in_half_precision(self) -> "DistilledDataset":
        """A copy whose images are stored as float16, in half the room.

        Networks learn from the rounded ones: to three digits, which they don't notice.

        Raises:
            ValueError: If a pixel is beyond what float16 holds.
        """
        with np.errstate(over="ignore"):  # which makes them infinite: refused
            images = self.stored_images.astype("float16")
        kept = {"enlarged": self.enlarged, "provenance": self.provenance}
        return self.replace(images=images, **kept)

    def by_adam(self, passes: int, learning_rate: float = 3e-3) -> "DistilledDataset":
        """A copy to train on by Adam, in place of the learned steps.

        Learned steps suit the students that they were learned for. Other students learn
        more from more passes, one update a step, with rates that fall along a half
        cosine. Images of ordinary training are one step: `OrdinaryTraining` suits them.

        Args:
            passes: Passes over the images, at least 1.
            learning_rate: Rate of the first step, > 0.

        Raises:
            ValueError: If a number is out of range.
        """
        passes = check_int("passes", passes, 1)
        steps = passes * self.steps
        # In the middle of each step, so that the last rate is above 0, too.
        turns = np.pi * (np.arange(steps) + 0.5) / steps
        return self.replace(
            learning_rates=learning_rate * np.cos(turns / 2).reshape(passes, -1) ** 2,
            inner_optimizer="adam",
            hyperparameters={},
        )

    def as_dataset(self) -> tf.data.Dataset:
        """One epoch: batches (images, labels) in their order, one for each step."""
        return tf.data.Dataset.from_tensor_slices((self.images, self.labels))

    def check_fits(self, dataset) -> None:
        """Refuses real data of other images or classes.

        Args:
            dataset: A `tfdistill.Dataset`.

        Raises:
            ValueError: If image shapes or class counts differ, or if the classes are
                called the same, in another order. Other names are allowed.
        """
        checks.check_fits(self, dataset)

    def assign_initial_weights(self, model: keras.Model) -> bool:
        """Assigns the fixed initial weights that the data was distilled for.

        Returns:
            Whether there are any, and they fit the model.
        """
        return self.initial_weights is not None and students.assign(
            model, self.initial_weights
        )

    def train(self, model: keras.Model, *, verbose: int = 0) -> keras.Model:
        """Trains a model by `keras.Model.fit`, as the recipe says.

        If the data was distilled for fixed initial weights that fit the model, it
        starts from them; otherwise from the weights that it has.

        Args:
            model: A model with logits.
            verbose: Same as for `keras.Model.fit`.

        Returns:
            The same model.

        Raises:
            ValueError: If the model takes other or raw images, gives no logits, or the
                replicas of its strategy cannot share batches evenly.
        """
        checks.check_learner(self, model)
        self.assign_initial_weights(model)
        self.recipe.fit(model, self, verbose)
        return model

    def serving_model(
        self, model: keras.Model, *, probabilities: bool = False
    ) -> keras.Model:
        """A model that takes raw images and normalises them: export this one.

        Args:
            model: A trained student, which takes normalised images.
            probabilities: Whether it returns probabilities instead of logits. Of least
                squares, outputs that are a one-hot label less 1 / classes mean 99 %.

        Returns:
            A model of `[batch, *image_shape]`: uint8 where the normalization's scale
            is 255, else float32. What it returns is float32. `model.export(folder)`
            writes it as a SavedModel.

        Raises:
            ValueError: If the model doesn't fit, or takes integers, or the objective
                has no probabilities.
        """
        return serving.model_of(self, model, probabilities)

    def save(self, folder: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Writes a folder that TFDS, or plain `tf.data`, reads.

        One TFRecord file in TFDS form holds an example for each image, in training
        order: image float32 or float16 (normalised, as stored), label int64, soft_label
        float32 `[classes]`, step int64, and for learned steps learning_rates and, of
        momentum, momenta, float32 `[epochs]`; `tfdistill.json` beside it holds the
        rest. The folder appears complete or not at all.

        Args:
            folder: Path of the new folder.
            overwrite: Whether to replace an existing folder.

        Raises:
            FileExistsError: If it exists and overwrite is False.
            ValueError: If TFDS would read other names of classes: empty or padded ones,
                duplicates, or ones with line breaks.
        """
        tfrecords.save(self, folder, overwrite)

    def to_npz(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Writes one file that NumPy alone reads, with `allow_pickle=False`.

        Arrays: `images` float32 `[steps, batch, *image_shape]` (normalised), `labels`
        float32 `[steps, batch, classes]`; for learned steps, `learning_rates` float32
        `[epochs, steps]`, `inner_optimizer`, the name of their optimizer ("sgd",
        "momentum" or "adam", whose epsilon is 1e-4 here), with its other
        hyperparameters `[epochs, steps]` (`momenta` for "momentum"); `recipe`, the rest
        of how to train, as JSON; `objective`, the name of what the labels are for, and
        its `objective_options`, as JSON, if any; `class_names`; `mean`, `std`
        `[channels]` and `scale`: a raw image x is normalised to
        `(x / scale - mean) / std`. Fixed initial weights are `initial_weights_0`, ...

        Args:
            path: Path of the new file, ending in .npz.
            overwrite: Whether to replace an existing file.

        Raises:
            FileExistsError: If it exists and overwrite is False.
        """
        exports.save_npz(self, path, overwrite)

    def to_parquet(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Writes one file that Hugging Face's `datasets`, or any Parquet reader, reads.

        One row for each image, in training order: `image` (a PNG to look at, clipped
        and rounded), `label`, `soft_label` `[classes]`, `pixels` float32 in the image's
        shape (exact and normalised: train on this), `step`, `learning_rates` `[epochs]`
        (and `momenta`, if there are any) of that step, and in every row
        `inner_optimizer`, `objective`, `recipe`, `mean`, `std` and `scale`, the same as
        in `to_npz`. The names of the classes are `label`'s.

        Args:
            path: Path of the new file, ending in .parquet.
            overwrite: Whether to replace an existing file.

        Raises:
            FileExistsError: If it exists and overwrite is False.
            ImportError: If `datasets` is not installed: the extra `[huggingface]`.
            ValueError: If there are fixed initial weights, or images of over 5 axes.
        """
        exports.save_parquet(self, path, overwrite)

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike,
        *,
        inner_optimizer: InnerOptimizer | str | None = None,
        objective: Objective | str | None = None,
    ) -> "DistilledDataset":
        """Reads what `save` wrote.

        Args:
            folder: Path of the folder.
            inner_optimizer, objective: Objects of your own classes that the data is
                for. A file holds their names, never code to import: without them, the
                data can be viewed but not trained on.

        Raises:
            FileNotFoundError: If there is no distilled data set in the folder.
            ValueError: If a file is damaged, altered or for other objects than given.
        """
        own = None if inner_optimizer is None else optimizers.get(inner_optimizer)
        taught = None if objective is None else objectives.get(objective)
        return tfrecords.load(folder, cls, own, taught)
