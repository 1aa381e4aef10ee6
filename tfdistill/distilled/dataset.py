"""What comes out: a small data set, with the way to train on it."""

import os
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill.data.normalization import Normalization
from tfdistill.distilled import exports
from tfdistill.distilled import tfrecords as records
from tfdistill.inner import optimizers as inner_optimizers
from tfdistill.students import names as students
from tfdistill.synthesizers.schedule import Batch


class DistilledDataset:
    """Distilled batches in their order, and how to take a step on each.

    Args:
        images: float `[steps, batch, *image_shape]`, normalised.
        labels: float `[steps, batch, classes]`, one-hot or soft: rows sum to 1.
        learning_rates: float `[epochs, steps]`, > 0.
        inner_optimizer: What the rates are for: "sgd", "momentum" or "adam".
        momenta: float `[epochs, steps]`, in 0..1, for "momentum"; else None.
        normalization: What the images are normalised by.
        class_names: A name for each class.
        student: The name of the student that it was distilled for.
        initial_weights: The arrays of the one fixed start that it was distilled for
            (trainable variables, then the others), or None if it was for random ones.
        provenance: Anything JSON can hold: how it was made.

    Raises:
        ValueError: If shapes don't fit, or a number is not finite or out of range.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        learning_rates: np.ndarray,
        *,
        inner_optimizer: str = "sgd",
        momenta: np.ndarray | None = None,
        normalization: Normalization,
        class_names: Sequence[str],
        student: str = "",
        initial_weights: Sequence[np.ndarray] | None = None,
        provenance: Mapping | None = None,
    ):
        self.images = _numbers("images", images)
        self.labels = _numbers("labels", labels)
        self.learning_rates = _numbers("learning_rates", learning_rates)
        self.inner_optimizer = inner_optimizers.get(inner_optimizer)
        self.momenta = None if momenta is None else _numbers("momenta", momenta)
        self.normalization = normalization
        self.class_names = tuple(class_names)
        self.student = student
        self.initial_weights = initial_weights
        self.provenance = dict(provenance or {})
        self._check()

    def _check(self):
        images, labels, rates = self.images, self.labels, self.learning_rates
        if not all(isinstance(name, str) for name in (*self.class_names, self.student)):
            raise ValueError(
                "class_names and student must be strings, not "
                f"{self.class_names} and {self.student!r}."
            )
        if images.ndim < 3 or 0 in images.shape:
            raise ValueError(
                "images must have the shape [steps, batch, *image_shape], "
                f"not {list(images.shape)}."
            )
        if labels.shape != (*images.shape[:2], len(self.class_names)):
            raise ValueError(
                f"labels must have the shape [steps, batch, classes] = "
                f"{[*images.shape[:2], len(self.class_names)]}, "
                f"not {list(labels.shape)}."
            )
        if rates.ndim != 2 or len(rates) < 1 or rates.shape[1] != len(images):
            raise ValueError(
                f"learning_rates must have the shape [epochs, {len(images)}], "
                f"not {list(rates.shape)}."
            )
        if not np.isfinite(images).all():
            raise ValueError("images must be finite; some pixels are NaN or infinite.")
        if not (np.isfinite(rates).all() and (rates > 0).all()):
            raise ValueError("learning_rates must all be finite and above 0.")
        if (self.momenta is not None) != self.inner_optimizer.has_momentum:
            raise ValueError(
                'momenta must be given for the inner optimizer "momentum", and for no '
                f"other; it is {self.inner_optimizer.name!r}."
            )
        if self.momenta is not None and not (
            self.momenta.shape == rates.shape
            and ((self.momenta >= 0) & (self.momenta <= 1)).all()
        ):
            raise ValueError(
                f"momenta must have the shape {list(rates.shape)} of the rates and lie "
                "in 0..1."
            )
        if not ((labels >= 0).all() and np.allclose(labels.sum(-1), 1, atol=1e-3)):
            raise ValueError("labels must be distributions: rows >= 0 that sum to 1.")

    @classmethod
    def from_synthesizer(cls, synthesizer, **kwargs) -> "DistilledDataset":
        """What a synthesizer makes now.

        Args:
            synthesizer: Has `images`, `labels`, `learning_rates`, `momenta`,
                `inner_optimizer` and `source`.
            **kwargs: The constructor's.

        Raises:
            ValueError: If the synthesizer doesn't know its data's normalisation.
        """
        source = synthesizer.source
        if source is None:
            raise ValueError(
                "The synthesizer has no source, so nobody could use its images: make "
                "it by from_noise() or from_real(), or pass source=DataSource(...)."
            )
        provenance = {"dataset": source.name, **kwargs.pop("provenance", {})}
        momenta = synthesizer.momenta
        return cls(
            *(
                keras.ops.convert_to_numpy(x)
                for x in (
                    synthesizer.images,
                    synthesizer.labels,
                    synthesizer.learning_rates,
                )
            ),
            inner_optimizer=synthesizer.inner_optimizer.name,
            momenta=None if momenta is None else keras.ops.convert_to_numpy(momenta),
            normalization=source.normalization,
            class_names=source.class_names,
            provenance=provenance,
            **kwargs,
        )

    @property
    def steps(self) -> int:
        """Batches of images: gradient-descent steps an epoch."""
        return len(self.images)

    @property
    def epochs(self) -> int:
        """How often the steps are gone through."""
        return len(self.learning_rates)

    @property
    def num_steps(self) -> int:
        """Inner steps in all: steps * epochs."""
        return self.learning_rates.size

    @property
    def num_images(self) -> int:
        """Images in all: steps * batch."""
        return self.images.shape[0] * self.images.shape[1]

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(height, width, channels)."""
        return self.images.shape[2:]

    def batch(self, t) -> Batch:
        """The batch of step t, so that `unroll.train` can train on it."""
        step = t % self.steps
        images, labels = tf.constant(self.images), tf.constant(self.labels)
        rates = tf.constant(self.learning_rates.reshape(-1))
        momentum = None
        if self.momenta is not None:
            momentum = tf.gather(tf.constant(self.momenta.reshape(-1)), t)
        return Batch(
            tf.gather(images, step),
            tf.gather(labels, step),
            tf.gather(rates, t),
            momentum,
        )

    def optimizer(self) -> keras.optimizers.Optimizer:
        """A new Keras optimizer that takes the learned steps, for `fit` in order."""
        momenta = None if self.momenta is None else self.momenta.reshape(-1)
        return self.inner_optimizer.to_keras(self.learning_rates.reshape(-1), momenta)

    def replace(self, **changes) -> "DistilledDataset":
        """The same, but for some arguments of the constructor.

        Args:
            **changes: Arguments of the constructor; a `provenance` is added to the
                one that is there.
        """
        kept = dict(
            images=self.images,
            labels=self.labels,
            learning_rates=self.learning_rates,
            inner_optimizer=self.inner_optimizer.name,
            momenta=self.momenta,
            normalization=self.normalization,
            class_names=self.class_names,
            student=self.student,
            initial_weights=self.initial_weights,
        )
        provenance = {**self.provenance, **changes.pop("provenance", {})}
        return DistilledDataset(**{**kept, **changes}, provenance=provenance)

    def by_adam(self, passes: int, learning_rate: float = 3e-3) -> "DistilledDataset":
        """The same images and labels, for Adam in place of the learned steps.

        Learned steps suit the students that they were learned for. Others learn more
        from more passes, at rates that fall along a half cosine.

        Args:
            passes: How often the images are gone through, at least 1.
            learning_rate: Of the first step, > 0.

        Raises:
            ValueError: If a number is out of range.
        """
        check_int("passes", passes, 1)
        steps = passes * self.steps
        # In the middle of each step, so that the last rate is above 0, too.
        turns = np.pi * (np.arange(steps) + 0.5) / steps
        return self.replace(
            learning_rates=learning_rate * np.cos(turns / 2).reshape(passes, -1) ** 2,
            inner_optimizer="adam",
            momenta=None,
        )

    def as_dataset(self) -> tf.data.Dataset:
        """One epoch: (images, labels) batches in their order, one a step."""
        return tf.data.Dataset.from_tensor_slices((self.images, self.labels))

    def check_fits(self, dataset) -> None:
        """Refuses real data of another kind.

        Args:
            dataset: A `tfdistill.Dataset`.

        Raises:
            ValueError: If image shapes or class counts differ.
        """
        if tuple(dataset.image_shape) != tuple(self.image_shape):
            raise ValueError(
                f"The distilled images have the shape {tuple(self.image_shape)}, but "
                f"those of {dataset.name} have {tuple(dataset.image_shape)}."
            )
        if dataset.num_classes != self.num_classes:
            raise ValueError(
                f"The distilled images have {self.num_classes} classes, but "
                f"{dataset.name} has {dataset.num_classes}."
            )

    def assign_initial_weights(self, model: keras.Model) -> bool:
        """Gives a model the fixed start that the data was distilled for.

        Returns:
            Whether there is one and its shapes are the model's.
        """
        return self.initial_weights is not None and students.assign(
            model, self.initial_weights
        )

    def train(self, model: keras.Model, *, verbose: int = 0) -> keras.Model:
        """Trains a model by `fit`: the learned steps, the batches in order.

        If the data was distilled for fixed initial weights that fit the model, it
        starts from them; otherwise from the weights that it has.

        Args:
            model: A built model with logits.
            verbose: As of `keras.Model.fit`.

        Returns:
            The same model.
        """
        self.assign_initial_weights(model)
        model.compile(
            self.optimizer(),
            keras.losses.CategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        model.fit(self.as_dataset(), epochs=self.epochs, shuffle=False, verbose=verbose)
        return model

    def serving_model(
        self, model: keras.Model, *, probabilities: bool = False
    ) -> keras.Model:
        """A model of raw images, with the normalisation inside: export this one.

        Args:
            model: A trained student, taking normalised images.
            probabilities: Whether it gives probabilities instead of logits.

        Returns:
            A model of `[batch, *image_shape]`: uint8 where the real data is in 0..255,
            else float32. `model.export(folder)` writes it as a SavedModel.
        """
        scale = self.normalization.scale
        inputs = keras.Input(
            self.image_shape, dtype="uint8" if scale == 255 else "float32"
        )
        outputs = model(_Normalize(self.normalization)(inputs))
        if probabilities:
            outputs = keras.layers.Softmax()(outputs)
        return keras.Model(inputs, outputs)

    def save(self, folder: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Writes a folder that TFDS, or plain `tf.data`, reads.

        One TFRecord file in TFDS form, an example an image, in training order:
        image float32 (normalised), label int64, soft_label float32 `[classes]`,
        step int64, learning_rates float32 `[epochs]`, and momenta float32 `[epochs]` if
        there are any; `tfdistill.json` beside it holds the rest. The folder appears
        complete or not at all.

        Args:
            folder: Where to.
            overwrite: Whether to replace a folder that is there.

        Raises:
            FileExistsError: If it is there and overwrite is False.
        """
        records.save(self, folder, overwrite)

    def to_npz(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Writes one file that NumPy alone reads, with `allow_pickle=False`.

        Arrays: `images` float32 `[steps, batch, *image_shape]` (normalised), `labels`
        float32 `[steps, batch, classes]`, `learning_rates` float32 `[epochs, steps]`,
        `inner_optimizer`, what they are for ("sgd", "momentum" or "adam"), with
        `momenta` `[epochs, steps]` for "momentum"; `class_names`; `mean`, `std`
        `[channels]` and `scale`: a raw image x is
        normalised to `(x / scale - mean) / std`. A fixed start is there as
        `initial_weights_0`, `initial_weights_1`, ...

        Args:
            path: Where to, ending in .npz.
            overwrite: Whether to replace a file that is there.

        Raises:
            FileExistsError: If it is there and overwrite is False.
        """
        exports.save_npz(self, path, overwrite)

    def to_parquet(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Writes one file that Hugging Face's `datasets`, or any Parquet reader, reads.

        A row an image, in training order: `image` (a PNG to look at, clipped and
        rounded), `label`, `soft_label` `[classes]`, `pixels` float32 `[H, W, C]` (the
        exact, normalised image: train on this), `step`, `learning_rates` `[epochs]`
        (and `momenta`, if there are any) of that step, and in every row
        `inner_optimizer`, `mean`, `std` and `scale` as of `to_npz`.

        Args:
            path: Where to, ending in .parquet.
            overwrite: Whether to replace a file that is there.

        Raises:
            FileExistsError: If it is there and overwrite is False.
            ImportError: If `datasets` is not installed: the extra `[huggingface]`.
        """
        exports.save_parquet(self, path, overwrite)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "DistilledDataset":
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: If there is no distilled data set in the folder.
            ValueError: If a file of it is truncated, altered or of another format.
        """
        return records.load(folder, cls)


def _numbers(name, values):
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numbers, not {array.dtype}.")
    return array.astype("float32")


@keras.saving.register_keras_serializable("tfdistill")
class _Normalize(keras.layers.Layer):
    def __init__(self, normalization, **kwargs):
        super().__init__(**kwargs)
        if isinstance(normalization, dict):
            normalization = Normalization.from_config(normalization)
        self.normalization = normalization

    def call(self, images):
        return self.normalization.normalize(images)

    def compute_output_spec(self, images):
        return keras.KerasTensor(images.shape, "float32")

    def get_config(self):
        config = {"normalization": self.normalization.to_config()}
        return {**super().get_config(), **config}
