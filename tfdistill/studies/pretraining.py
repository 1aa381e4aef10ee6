"""Pretraining: students learn from real data, several at once."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill import students
from tfdistill._internal import identity
from tfdistill._internal.checks import (
    check_different,
    check_int,
    check_positive,
    keep_ints,
)
from tfdistill._internal.pipelines import untuned
from tfdistill._internal.seeds import Stream, student_seed
from tfdistill.data import fingerprints
from tfdistill.data.dataset import Dataset
from tfdistill.data.split import Split
from tfdistill.inner.optimizers import half_precision
from tfdistill.inner.stateless import StatelessModel
from tfdistill.runs.backup import Backup
from tfdistill.students.training import check_draws
from tfdistill.weights.random import RandomWeights


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a student is pretrained: Adam, with a rate that is halved at intervals.

    Attributes:
        epochs: Passes over the data, at least 1.
        halve_every: Number of epochs after which the rate is halved, at least 1.
        learning_rate: Initial rate, > 0.

    Raises:
        ValueError: If a number is out of range.
    """

    epochs: int = 40
    halve_every: int = 20
    learning_rate: float = 2e-4

    def __post_init__(self):
        keep_ints(self, 1, "epochs", "halve_every")
        check_positive("learning_rate", self.learning_rate)

    def rate(self, epoch: int) -> float:
        """The rate in an epoch; epochs count from 0."""
        return self.learning_rate * 0.5 ** (epoch // self.halve_every)


#: The paper's recipes, by data set.
RECIPES = {
    "mnist": Recipe(40, 20, 2e-4),
    "usps": Recipe(130, 40, 2e-4),
    "svhn_cropped": Recipe(65, 20, 2e-4),
    "cifar10": Recipe(50, 7, 1e-3),
}


#: Updates of a student that the default recipe has at the least.
FEWEST_UPDATES = 1000


def recipe_for(name: str, updates_an_epoch: int | None = None) -> Recipe:
    """The paper's recipe for a data set, or the default one.

    Args:
        name: Name of a `Dataset`; a selection of its classes makes no difference.
        updates_an_epoch: How many batches the data has. If they are few, the default
            recipe has more epochs, and halves the rate half way.
    """
    known, default = RECIPES.get(name.partition("[")[0]), Recipe()
    if known or not updates_an_epoch:
        return known or default
    epochs = enough_epochs(default.epochs, updates_an_epoch)
    return Recipe(epochs, epochs // 2, default.learning_rate)


def enough_epochs(epochs: int, updates_an_epoch: int) -> int:
    """These epochs, or more where they are fewer than `FEWEST_UPDATES` updates."""
    return max(epochs, -(-FEWEST_UPDATES // updates_an_epoch))


def updates_an_epoch(dataset: Dataset, batch_size: int) -> int:
    """The batches of an epoch; one, if the data has less."""
    return max(1, dataset.train.num_examples // batch_size)


def check_batches(
    dataset: Dataset, batch_size: int, strategy: tf.distribute.Strategy
) -> None:
    """Refuses batches of which a strategy's replicas would have unequal parts.

    Args:
        dataset: The data set whose training part is learned from.
        batch_size: Batch size of each student, over all replicas.
        strategy: The strategy.

    Raises:
        ValueError: If they would.
    """
    images, replicas = dataset.train.num_examples, strategy.num_replicas_in_sync
    if min(batch_size, images) % replicas:
        raise ValueError(
            f"batch_size must be a multiple of the strategy's {replicas} replicas, and "
            f"at most {images}, the number of training images, not {batch_size}."
        )


class Cohort(keras.Model):
    """Students that learn in parallel, as branches of one graph.

    None sees another's batches, and Adam works weight by weight, so that each becomes
    what it would be alone.

    Args:
        members: Built models with logits, of one architecture.
        identity: What tells their training from another one, by name, as JSON.
    """

    def __init__(self, members: Sequence[keras.Model], identity: Mapping, **kwargs):
        super().__init__(**kwargs)
        self.members, self._identity = list(members), dict(identity)

    @property
    def identity(self) -> dict:
        """What `Backup` compares before it restores a state."""
        return self._identity

    @property
    def checkpointed(self) -> dict:
        """What `Backup` saves besides the optimizer."""
        variables = [v for member in self.members for v in member.variables]
        return {"members": [variable.value for variable in variables]}

    def call(self, images, training=None):
        """Logits `[batch, members, classes]` of a batch of images for each member."""
        logits = [
            member(x, training=training) for member, x in zip(self.members, images)
        ]
        return keras.ops.stack(logits, axis=1)


def pretrain(
    make_model: Callable[[], keras.Model],
    dataset: Dataset,
    numbers: Sequence[int],
    recipe: Recipe,
    *,
    batch_size: int = 1024,
    seed: int = 0,
    backup: Backup | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> list[keras.Model]:
    """Trains several students at once.

    In the scope of a `tf.distribute.Strategy` its replicas share each batch.

    Args:
        make_model: Returns a built model with logits.
        dataset: The data set whose training part they learn from.
        numbers: Indices of the students, from 0, all different. With the seed, they
            determine how each starts, and the order of its examples.
        recipe: How to train.
        batch_size: Batch size of each student, at least 1.
        seed: Random seed.
        backup: Where the state is kept after each epoch, so that a killed training can
            resume, with more epochs, too.
        callbacks, verbose: Same as for `keras.Model.fit`.

    Returns:
        A trained model for each number.

    Raises:
        ValueError: If there is no number, one is there twice, the replicas cannot share
            batches evenly, the students draw random numbers that no seed of them
            decides, or `backup` holds the state of another training: of other
            data, networks, numbers or batches, with another seed or other rates.
    """
    numbers = [check_int("numbers", number, 0) for number in numbers]
    check_different("numbers", numbers, "the same number gives the same student again")
    check_batches(dataset, batch_size, tf.distribute.get_strategy())
    members = [make_model() for _ in numbers]
    name, shape = members[0].name, dataset.image_shape
    students.check_range(members[:1], name, shape, dataset.normalization)
    check_draws(members[0], shape, name)
    start = RandomWeights()
    start.build(make_model, members[0])
    for member, number in zip(members, numbers):
        weights = start.sample(student_seed(seed, Stream.PRETRAINING, number))
        StatelessModel(member).assign(*weights)
    told = {
        "students": numbers,
        "seed": int(seed),
        "batch size": int(batch_size),
        "learning rate": float(recipe.learning_rate),
        "epochs between halvings": int(recipe.halve_every),
    }
    if backup:
        told |= _told(dataset, members[0])
    cohort = Cohort(members, told)
    cohort([tf.zeros([1, *dataset.image_shape])] * len(members))  # builds it
    adam = keras.optimizers.Adam(recipe.learning_rate, beta_1=0.5)
    cohort.compile(
        half_precision.for_weights(adam, cohort.trainable_variables),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # The loss is the mean over the students, each of which minimises its own.
        loss_weights=float(len(members)),
        metrics=["accuracy"],
        jit_compile=False,
    )
    cohort.optimizer.build(cohort.trainable_variables)
    done = backup.restore(cohort) if backup else 0
    orders = [np.random.SeedSequence([seed, n]).generate_state(1) for n in numbers]
    streams = [
        dataset.train.batch(
            batch_size, shuffle=True, seed=int(order), repeat=True, start=done
        )
        for (order,) in orders
    ]

    def side_by_side(*pairs):
        images, labels = zip(*pairs)
        return images, tf.stack(labels, axis=1)

    batches = tf.data.Dataset.zip(tuple(streams)).map(side_by_side)
    steps = updates_an_epoch(dataset, batch_size)
    cohort.fit(
        untuned(batches.prefetch(2)),
        steps_per_epoch=steps,
        epochs=recipe.epochs,
        initial_epoch=done // steps,
        callbacks=[
            keras.callbacks.LearningRateScheduler(recipe.rate),
            *([backup] if backup else []),
            *callbacks,
        ],
        shuffle=False,  # the streams are
        verbose=verbose,
    )
    return members


def _told(dataset, member):
    """What tells data, and a network that has learned nothing, from others, by name."""
    train, student = dataset.train, StatelessModel(member)
    images = next(iter(train.batch(4)))[0]
    with tf.device("CPU"):  # others compute a little differently each time
        network = student.traits(student.weights, student.state, images)
    found = {
        "data": dataset.name,
        "classes": list(map(str, dataset.class_names)),
        "normalization": fingerprints.of_normalization(dataset.normalization),
        "number of images": train.num_examples,
    }
    if train.is_held:  # a stream would be read for them
        found["images"] = identity.key(fingerprints.of_split(train))[:8]
    return {**found, "network": identity.key(network)[:8]}


def accuracies(members: Sequence[keras.Model], split: Split) -> list[float]:
    """The accuracy of each model on a whole split, in 0..1."""

    @tf.function(autograph=False)
    def hits(images, labels):
        found = [tf.argmax(m(images, training=False), -1) for m in members]
        equal = tf.equal(tf.stack(found), tf.cast(labels, tf.int64))
        return tf.reduce_sum(tf.cast(equal, tf.int32), axis=1)

    total = sum(hits(images, labels).numpy() for images, labels in split.batch(1000))
    return (np.asarray(total) / split.num_examples).tolist()
