"""The recipe of unrolled methods: learned steps, in order."""

import dataclasses
from collections.abc import Mapping
from typing import final

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal import identity
from tfdistill._internal.pipelines import untuned
from tfdistill._internal.seeds import Draw, fold_in, shuffled
from tfdistill.distilled.recipe import Recipe, Teacher, compile_for
from tfdistill.inner import optimizers
from tfdistill.inner.curriculum import Batch, Curriculum
from tfdistill.inner.optimizers import plurals
from tfdistill.inner.optimizers.base import InnerOptimizer
from tfdistill.inner.optimizers.hyperparameter import Hyperparameter
from tfdistill.inner.optimizers.unknown import UnknownOptimizer
from tfdistill.runs import strategies


@final
@dataclasses.dataclass(frozen=True)
class LearnedSchedule(Recipe):
    """The learned steps, in order: an optimizer and its hyperparameters at each step.

    Attributes:
        inner_optimizer: The optimizer that takes the steps, or its name: "sgd",
            "momentum" or "adam".
        hyperparameters: The optimizer's hyperparameters by name, float32 `[epochs,
            steps]`.

    Raises:
        ValueError: If a hyperparameter is missing or is not the optimizer's, shapes
            differ, a value is not finite or out of its bounds, or Adam's epsilon is
            not that of learned steps.

    Example:
        >>> import numpy as np, tfdistill
        >>> recipe = tfdistill.LearnedSchedule(
        ...     "sgd",
        ...     {"learning_rate": np.full((3, 10), 0.02)},
        ... )
        >>> recipe.epochs, recipe.steps
        (3, 10)
    """

    inner_optimizer: InnerOptimizer
    hyperparameters: Mapping[str, np.ndarray]

    kind = "learned"
    is_ordered = True

    def __post_init__(self):
        optimizer = optimizers.get_for_files(self.inner_optimizer)
        object.__setattr__(self, "inner_optimizer", optimizer)
        known = {h.name: h for h in optimizer.hyperparameters}
        if set(known) != set(self.hyperparameters):
            raise ValueError(
                f"The inner optimizer {optimizer.name!r} needs the "
                f"hyperparameters {', '.join(known)}, not "
                f"{', '.join(self.hyperparameters) or 'none'}."
            )
        arrays = {name: np.asarray(self.hyperparameters[name]) for name in known}
        for name, values in arrays.items():
            plural = known[name].plural
            if values.dtype.kind not in "biuf":
                raise ValueError(f"{plural} must be numbers, not {values.dtype}.")
            if values.ndim != 2 or len(values) < 1:
                raise ValueError(
                    f"{plural} must have the shape [epochs, steps], not "
                    f"{list(values.shape)}."
                )
            rates = arrays["learning_rate"].shape
            if values.shape != rates:
                raise ValueError(
                    f"{plural} must have the shape {list(rates)} of the learning "
                    f"rates, not {list(values.shape)}."
                )
            arrays[name] = values = values.astype("float32")
            _check_range(known[name], values)
        object.__setattr__(self, "hyperparameters", arrays)

    @property
    def epochs(self) -> int:
        """Number of passes over the steps."""
        return len(self.hyperparameters["learning_rate"])

    @property
    def steps(self) -> int:
        """Number of steps in each epoch."""
        return self.hyperparameters["learning_rate"].shape[1]

    def num_steps(self, steps):
        return self.epochs * steps

    def check(self, steps):
        if self.steps != steps:
            shape = list(self.hyperparameters["learning_rate"].shape)
            raise ValueError(
                f"learning_rates must have the shape [epochs, {steps}], not {shape}."
            )

    def teacher(self, distilled):
        return _StepByStep(distilled)

    def fit(self, model, distilled, verbose):
        strategies.check_batches(model, distilled.images.shape[1])
        compile_for(distilled, model, self.optimizer)
        batches = untuned(distilled.as_dataset())
        model.fit(batches, epochs=self.epochs, shuffle=False, verbose=verbose)

    def describe(self, shape):
        def several(count, what):
            return f"{count} {what}{'s' if count > 1 else ''}"

        passes = f"{several(shape[0], 'step')} × {several(self.epochs, 'epoch')}"
        return f"{passes} of {several(shape[1], 'image')}"

    def columns(self):
        # Not when it is made: folders of earlier versions may load with such names.
        plurals.check(self.inner_optimizer.hyperparameters)
        return {
            h.plural: self.hyperparameters[h.name]
            for h in self.inner_optimizer.hyperparameters
        }

    def optimizer(self) -> keras.optimizers.Optimizer:
        """A new Keras optimizer that takes the learned steps, for `fit` in order."""
        flat = {name: v.reshape(-1) for name, v in self.hyperparameters.items()}
        return self.inner_optimizer.to_keras(flat)

    @classmethod
    def of_columns(
        cls,
        inner_optimizer: InnerOptimizer | str,
        columns: Mapping[str, np.ndarray],
    ) -> "LearnedSchedule":
        """The schedule from the arrays of a file.

        Args:
            inner_optimizer: An `InnerOptimizer`, or its name. An unknown name is kept:
                such data can be viewed, but not trained on.
            columns: Arrays by the names of `columns`; others are ignored.
        """
        if isinstance(inner_optimizer, str):
            name = inner_optimizer
            if name in optimizers.INNER_OPTIMIZERS:
                inner_optimizer = optimizers.get(name)
            else:
                inner_optimizer = UnknownOptimizer(name, _guessed(columns))
        return cls(
            inner_optimizer,
            {
                h.name: columns[h.plural]
                for h in inner_optimizer.hyperparameters
                if h.plural in columns
            },
        )


def one_recipe(
    recipe: Recipe | None,
    learning_rates: np.ndarray | None,
    inner_optimizer: InnerOptimizer | str | None,
    hyperparameters: Mapping[str, np.ndarray] | None,
) -> Recipe:
    """A recipe as it is, or that of learned steps.

    Args:
        recipe, learning_rates, inner_optimizer, hyperparameters: Same as for
            `DistilledDataset`.

    Raises:
        ValueError: If there is neither, or both; if rates are given twice, and differ;
            or as for `LearnedSchedule`.
    """
    given = dict(hyperparameters or {})
    if recipe is not None:
        if learning_rates is not None or inner_optimizer is not None or given:
            raise ValueError(
                "Give either learning_rates or a recipe: with a recipe, leave "
                "inner_optimizer and hyperparameters out, too."
            )
        return recipe
    rates = given.get("learning_rate") if learning_rates is None else learning_rates
    if rates is None:
        raise ValueError("Give either learning_rates or a recipe.")
    optimizer = optimizers.get("sgd" if inner_optimizer is None else inner_optimizer)
    made = LearnedSchedule(optimizer, {**given, "learning_rate": rates})
    again = np.asarray(given.get("learning_rate", rates), "float32")
    if not np.array_equal(again, made.hyperparameters["learning_rate"]):
        raise ValueError(
            "learning_rates and those that hyperparameters hold differ: give the rates "
            "once."
        )
    return made


def _check_range(hyperparameter: Hyperparameter, values: np.ndarray) -> None:
    plural, low, high = (
        getattr(hyperparameter, name) for name in ("plural", "low", "high")
    )
    finite = np.isfinite(values)
    if np.isinf(high) and not (finite & (values > low)).all():
        raise ValueError(f"{plural} must all be finite and above {low:g}.")
    # float32 rounds a sigmoid to its bounds.
    if not (finite & (values >= low) & (values <= high)).all():
        raise ValueError(f"{plural} must lie in {low:g}..{high:g}.")


def _guessed(columns):
    """Hyperparameters of an unknown optimizer: any numbers."""
    for plural in columns:
        name = "learning_rate" if plural == "learning_rates" else plural
        yield Hyperparameter(name, 1.0, low=-np.inf, plural=plural)


@final
class _StepByStep(Teacher):
    """Batches and hyperparameters that can change without being traced again."""

    def __init__(self, distilled):
        self.inner_optimizer = distilled.inner_optimizer
        self._images = tf.Variable(distilled.images, trainable=False)
        self._labels = tf.Variable(distilled.labels, trainable=False)
        self._num_steps = tf.Variable(0, trainable=False)
        self._shuffle = tf.Variable(False, trainable=False)
        self._hyperparameters = {
            name: _of_any_length("float32") for name in distilled.hyperparameters
        }

    def difference(self, distilled):
        if not distilled.recipe.is_ordered:
            return "kind of recipe"
        own, assigned = self.inner_optimizer, ["hyperparameters"]
        # All else that an optimizer holds is in the graph.
        if not identity.alike(distilled.inner_optimizer, own, assigned):
            return "inner optimizer"
        shapes = distilled.images.shape, distilled.labels.shape
        return "" if shapes == (self._images.shape, self._labels.shape) else "shape"

    def assign(self, distilled, shuffle=False):
        self._images.assign(distilled.images)
        self._labels.assign(distilled.labels)
        self._num_steps.assign(distilled.num_steps)
        self._shuffle.assign(shuffle)
        for name, values in distilled.hyperparameters.items():
            self._hyperparameters[name].assign(values.reshape(-1))

    def forget(self):
        self._num_steps.assign(0)

    def curriculum(self, seed):
        count = tf.convert_to_tensor(self._num_steps)
        order = tf.cond(
            self._shuffle,
            lambda: shuffled(fold_in(fold_in(seed, Draw.ORDER), 0), count),
            lambda: tf.range(count),
        )
        return _InOrder(
            self._images,
            self._labels,
            self._hyperparameters,
            # Where int32 lies on a GPU, XLA does not reach it.
            tf.cast(order, tf.int64),
            self.inner_optimizer,
        )


@final
class _InOrder(Curriculum):
    """The steps of one student."""

    def __init__(self, images, labels, hyperparameters, order, inner_optimizer):
        self._images, self._labels = images, labels
        self._hyperparameters, self._order = hyperparameters, order
        self.inner_optimizer = inner_optimizer

    @property
    def num_steps(self):  # type: ignore[override]
        return tf.size(self._order)

    @property
    def sources(self):
        return []

    def batch(self, t):
        number = tf.gather(self._order, t)
        step = number % self._images.shape[0]
        return Batch(
            tf.gather(self._images, step),
            tf.gather(self._labels, step),
            {n: tf.gather(v, number) for n, v in self._hyperparameters.items()},
        )


def _of_any_length(dtype):
    shape = tf.TensorShape([None])
    return tf.Variable(np.zeros(1, dtype), trainable=False, shape=shape)
