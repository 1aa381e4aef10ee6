"""Ordinary training: what anybody does with a small data set."""

import dataclasses
import math
from collections.abc import Mapping
from typing import final

import keras
import tensorflow as tf

from tfdistill._internal.checks import check_positive, keep_ints
from tfdistill._internal.pipelines import untuned
from tfdistill._internal.seeds import Draw, fold_in, shuffled
from tfdistill.data.random_changes import RandomChanges
from tfdistill.distilled.recipe import Recipe, Teacher, compile_for
from tfdistill.inner.curriculum import Batch, Curriculum
from tfdistill.inner.optimizers.adam import Adam
from tfdistill.runs import strategies

_EPSILON = 1e-7  # Keras's


@final
@dataclasses.dataclass(frozen=True)
class OrdinaryTraining(Recipe):
    """Training by shuffled batches, randomly changed, with Adam.

    The rate falls to 0 along a half cosine. The order of the images does not matter.

    Args:
        updates: Number of updates, at least 1.
        learning_rate: Rate of the first update, > 0.
        batch_size: Images of each update; at most all of them are in one batch.
        changes: `RandomChanges` to each batch.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> data = tfdistill.baselines.random_real(digits, steps=2)
        >>> data = data.replace(recipe=tfdistill.OrdinaryTraining(updates=50))
        >>> model = data.train(tfdistill.students.linear(digits.image_shape))
    """

    updates: int = 1000
    learning_rate: float = 1e-3
    batch_size: int = 256
    changes: RandomChanges = dataclasses.field(default_factory=RandomChanges)

    kind = "ordinary"
    is_ordered = False

    def __post_init__(self):
        # NumPy's numbers become Python's, which JSON takes.
        keep_ints(self, 1, "updates", "batch_size")
        check_positive("learning_rate", self.learning_rate)
        object.__setattr__(self, "learning_rate", float(self.learning_rate))
        if not isinstance(self.changes, RandomChanges):
            raise ValueError(
                f"changes must be RandomChanges, not {type(self.changes).__name__}."
            )

    @property
    def inner_optimizer(self):  # type: ignore[override]
        """Adam, as in Keras."""
        return Adam(float(self.learning_rate), epsilon=_EPSILON)

    @property
    def hyperparameters(self):  # type: ignore[override]
        """None are learned."""
        return {}

    def num_steps(self, steps):
        del steps
        return self.updates

    def check(self, steps):
        """Accepts data in any number of batches."""

    def draws(self, num_images):
        return self.batch_size < num_images or not self.changes.changes_nothing

    def teacher(self, distilled):
        return _Ordinarily(distilled)

    def fit(self, model, distilled, verbose):
        flat = (-1, *distilled.image_shape)
        images = distilled.images.reshape(flat)
        labels = distilled.labels.reshape(len(images), -1)
        size = min(self.batch_size, len(images))
        strategies.check_batches(model, size)
        batches = tf.data.Dataset.from_tensor_slices((images, labels))
        batches = batches.shuffle(len(images)).repeat().batch(size)
        if not self.changes.changes_nothing:
            layer = self.changes.layer(int(keras.random.randint((), 0, 2**30)))
            batches = batches.map(lambda x, y: (layer(x, training=True), y))
        rates = keras.optimizers.schedules.CosineDecay(
            float(self.learning_rate), self.updates
        )
        compile_for(distilled, model, lambda: keras.optimizers.Adam(rates))
        # Keras's log has a line for each epoch of about a hundred updates; all updates
        # must be in epochs of one length.
        epochs = max(1, self.updates // 100)
        while self.updates % epochs:
            epochs -= 1
        model.fit(
            untuned(batches),
            epochs=epochs,
            steps_per_epoch=self.updates // epochs,
            shuffle=False,
            verbose=verbose,
        )

    def describe(self, shape):
        batch = min(self.batch_size, shape[0] * shape[1])
        changes = ", ".join(
            name.replace("_", " ") if value is True else f"{name} {value:g}"
            for name, value in self.changes.to_config().items()
        )
        return (
            f"ordinary training: {self.updates} updates by Adam at "
            f"{self.learning_rate:g}, batches of {batch}, "
            f"{f'random changes ({changes})' if changes else 'no random changes'}"
        )

    def to_config(self):
        config = dataclasses.asdict(self)
        return {"kind": self.kind, **config, "changes": self.changes.to_config()}

    @classmethod
    def from_config(cls, config: Mapping) -> "OrdinaryTraining":
        """What `to_config` wrote.

        Raises:
            ValueError, TypeError: If a name or a value is not one of its.
        """
        values = {name: value for name, value in config.items() if name != "kind"}
        known = {field.name for field in dataclasses.fields(cls)}
        if not set(values) <= known:
            unknown = ", ".join(sorted(set(values) - known))
            raise ValueError(f"ordinary training has no {unknown}")
        if "changes" in values:
            values["changes"] = RandomChanges.from_config(values["changes"])
        return cls(**values)


@final
class _Ordinarily(Teacher):
    def __init__(self, distilled):
        images, labels = _flat(distilled)
        self._images = tf.Variable(images, trainable=False)
        self._labels = tf.Variable(labels, trainable=False)
        self._updates = tf.Variable(0, trainable=False)
        self._rate = tf.Variable(0.0, trainable=False)
        self._kind = _structure(distilled.recipe)
        self._recipe = distilled.recipe
        self.assign(distilled)

    def difference(self, distilled):
        if not isinstance(distilled.recipe, OrdinaryTraining):
            return "kind of recipe"
        if _structure(distilled.recipe) != self._kind:
            return "batch size and random changes"
        shapes = [a.shape for a in _flat(distilled)]
        return "" if shapes == [self._images.shape, self._labels.shape] else "shape"

    def assign(self, distilled, shuffle=False):
        del shuffle  # they always are
        images, labels = _flat(distilled)
        self._images.assign(images)
        self._labels.assign(labels)
        self._updates.assign(distilled.recipe.updates)
        self._rate.assign(distilled.recipe.learning_rate)

    def forget(self):
        self._updates.assign(0)

    def curriculum(self, seed):
        # Read here: an int32 variable lies where XLA does not reach on a GPU.
        updates = tf.convert_to_tensor(self._updates)
        return _Shuffled(
            self._images, self._labels, updates, self._rate, self._recipe, seed
        )


@final
class _Shuffled(Curriculum):
    """Batches of images in a random order, changed at random, with falling rates."""

    def __init__(self, images, labels, updates, rate, recipe, seed):
        self._images, self._labels = images, labels
        self._updates, self._rate, self._recipe = updates, rate, recipe
        self._order = fold_in(seed, Draw.ORDER)
        self._seed = fold_in(seed, Draw.CHANGES)
        self.inner_optimizer = recipe.inner_optimizer

    @property
    def num_steps(self):  # type: ignore[override]
        return self._updates

    @property
    def sources(self):
        return []

    def batch(self, t):
        count = self._images.shape[0]
        size = min(self._recipe.batch_size, count)
        images, labels = self._images, self._labels
        if size < count:
            # Without end: a batch may hold the last images of one order and the first
            # of the next, as in `tf.data`'s shuffle, repeat and batch.
            rows = t * size + tf.range(size)
            passes = [t * size // count, (t * size + size - 1) // count]
            orders = [
                shuffled(fold_in(self._order, number), count) for number in passes
            ]
            # One after the other: Grappler breaks a stack of two equal orders.
            rows = tf.gather(tf.concat(orders, 0), rows - passes[0] * count)
            images, labels = tf.gather(images, rows), tf.gather(labels, rows)
        else:
            images, labels = tf.identity(images), tf.identity(labels)
        if not self._recipe.changes.changes_nothing:
            images = self._recipe.changes(images, fold_in(self._seed, t))
        rate = falling(self._rate, t, self._updates)
        return Batch(images, labels, {"learning_rate": rate})


def falling(rate, t, updates) -> tf.Tensor:
    """The learning rate of an update: it falls to 0 along a half cosine.

    Args:
        rate: That of the first update.
        t: Number of the update, from 0.
        updates: Number of all updates.

    Returns:
        float32 scalar.
    """
    done = tf.cast(t, tf.float32) / tf.cast(updates, tf.float32)
    return rate * (1 + tf.cos(math.pi * done)) / 2


def _flat(distilled):
    images = distilled.images.reshape(-1, *distilled.image_shape)
    return images, distilled.labels.reshape(len(images), -1)


def _structure(recipe):
    return recipe.batch_size, recipe.changes
