"""FADA: few-shot adversarial domain adaptation, a baseline (Motiian et al. 2017).

A pretrained network is adapted to a new domain by a few labelled examples. A
discriminator sees the logits of two images and tells which of four groups they are:

    1. both of the source, of one class      2. source and target, of one class
    3. both of the source, of two classes    4. source and target, of two classes

The network learns to classify both domains, and to make the discriminator take 2 for 1
and 4 for 3: the classes can still be told apart, but not the domains.
"""

import copy
import functools
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill import students
from tfdistill._internal.checks import check_int, check_positive
from tfdistill._internal.seeds import Stream, seed_of_draw, student_seed
from tfdistill.data.labels import as_labels
from tfdistill.data.split import Split
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation.batches import difference
from tfdistill.inner.optimizers import half_precision
from tfdistill.inner.stateless import StatelessModel
from tfdistill.weights.pretrained import PretrainedWeights

#: The group that the network wants each group to be taken for.
_CONFUSED = np.array([0, 0, 2, 2])


def fada(
    model: keras.Model,
    source: Split,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    gamma: float = 0.2,
    rounds: int = 400,
    discriminator_steps: int = 200,
    steps_a_round: int = 2,
    pairs: int = 32,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> keras.Model:
    """Adapts a network to a target domain with a few examples.

    Args:
        model: Pretrained on the source, with logits; changed in place.
        source: The source's training examples, normalised as the model expects.
        images: Images of the target, float `[shots, *image_shape]`, normalised.
        labels: Their classes, int `[shots]`.
        gamma: Weight of the confusion loss, at least 0.
        rounds: Updates of the network, each followed by `steps_a_round` of the
            discriminator; at least 1.
        discriminator_steps: Updates of the discriminator before the first update of the
            network, at least 0.
        steps_a_round: Updates of the discriminator in each round, at least 1.
        pairs: Pairs of each group in each update, at least 1.
        learning_rate: Learning rate of both Adam optimizers, > 0.
        seed: Seed of the pairs and of the discriminator.

    Returns:
        The model.

    Raises:
        ValueError: If a number is out of range, the shots' shapes don't fit the source,
            all shots are of one class, or the model takes raw images.

    Example:
        >>> import numpy as np, tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> model = tfdistill.students.linear(digits.image_shape)  # to be pretrained
        >>> images, labels = digits.test.sample(2)
        >>> few = {"rounds": 1, "discriminator_steps": 1}
        >>> adapted = tfdistill.adaptation.fada(
        ...     model, digits.train, np.roll(images, 1, axis=2), labels, **few
        ... )
    """
    images, labels = np.asarray(images, "float32"), as_labels(labels, len(labels))
    if images.shape != (len(labels), *source.image_shape):
        raise ValueError(
            f"images must have the shape {[len(labels), *source.image_shape]}, one for "
            f"each label, not {list(images.shape)}."
        )
    if len(np.unique(labels)) < 2:
        raise ValueError("The target's examples must be of at least two classes.")
    for name, value, least in (
        ("rounds", rounds, 1),
        ("discriminator_steps", discriminator_steps, 0),
        ("steps_a_round", steps_a_round, 1),
        ("pairs", pairs, 1),
        ("gamma", gamma, 0),
    ):
        if not value >= least:
            raise ValueError(f"{name} must be at least {least}, not {value}.")
    students.check_range([model], model.name, source.image_shape, source.normalization)
    check_positive("learning_rate", learning_rate)
    check_int("seed", seed, 0)
    discriminator = _discriminator(source.num_classes, seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizers = []
    for variables in (discriminator.trainable_variables, model.trainable_variables):
        adam = keras.optimizers.Adam(learning_rate)
        optimizers.append(half_precision.for_weights(adam, variables))
        optimizers[-1].build(variables)
    groups = tf.constant(np.repeat(np.arange(4), pairs))
    confused = tf.constant(np.repeat(_CONFUSED, pairs))
    # The second of a pair is the target's in groups 2 and 4, the source's elsewhere.
    foreign = tf.constant(np.repeat([False, True, False, True], pairs))

    def judged(batch, training):
        logits = [model(x, training=training) for x in batch]
        return logits, discriminator(keras.ops.concatenate(logits, -1), training=True)

    @tf.function(autograph=False)
    def update_discriminator(first, second):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in discriminator.trainable_variables])
            _, told = judged((first, second), training=False)
            value = loss(groups, told)
        _apply(optimizers[0], tape, value, discriminator)
        return value

    @tf.function(autograph=False)
    def update_model(first, second, first_labels, second_labels):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in model.trainable_variables])
            (one, two), told = judged((first, second), training=True)
            shots = [tf.boolean_mask(x, foreign) for x in (second_labels, two)]
            domains = loss(first_labels, one) + loss(*shots)
            value = domains + gamma * loss(confused, told)
        _apply(optimizers[1], tape, value, model)
        return value

    sampler = _pairs(source, images, labels, pairs, np.random.default_rng(seed))
    for _ in range(discriminator_steps):
        first, second, _, _ = next(sampler)
        update_discriminator(first, second)
    for _ in range(rounds):
        update_model(*next(sampler))
        for _ in range(steps_a_round):
            first, second, _, _ = next(sampler)
            update_discriminator(first, second)
    return model


def adapted(
    student,
    initial_weights: PretrainedWeights,
    source: Split,
    sets: Sequence[DistilledDataset],
    num_students: int,
    *,
    seed: int = 0,
    **kwargs,
) -> Iterator[keras.Model]:
    """Adapts the held-out students of a pool, one after another.

    Args:
        student: Their architecture, same as for `students.get`.
        initial_weights: The pool.
        source: Same as for `fada`.
        sets: Data sets of a few target images each, such as `baselines.random_real`,
            of one normalization; students take them in turn. Their rates are not used.
        num_students: Number of students, at least 1.
        seed: Seed of pairs and discriminators; each student has its own.
        **kwargs: Other arguments of `fada`.

    Yields:
        The same model each time, with the next adapted student in it.

    Raises:
        ValueError: If a number is out of range, or the sets differ in image shape,
            normalization or number of classes.

    Example:
        >>> import os, tempfile, tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> paths = [os.path.join(tempfile.mkdtemp(), "a.keras") for _ in range(2)]
        >>> for path in paths:
        ...     tfdistill.students.linear(digits.image_shape).save(path)
        >>> pool = tfdistill.Pool.of_files(training=paths[:1], held_out=paths[1:])
        >>> start = tfdistill.PretrainedWeights(pool)
        >>> sets = [tfdistill.baselines.random_real(digits, steps=1)]
        >>> few = {"rounds": 1, "discriminator_steps": 1}
        >>> for model in tfdistill.adaptation.adapted(
        ...     "linear", start, digits.train, sets, num_students=1, **few
        ... ):
        ...     result = tfdistill.evaluate_model(model, digits.test)
    """
    like = sets[0]
    check_int("num_students", num_students, 1)
    for data in sets:
        if different := difference(data, like):
            raise ValueError(
                f"Data sets that students take in turn have the same {different}: "
                "adapt to each kind alone."
            )

    make_model = functools.partial(
        students.build, student, like.image_shape, like.num_classes
    )
    model = make_model()
    initial_weights = copy.copy(initial_weights)  # others may be given the same object
    initial_weights.build(make_model, model)
    for number in range(num_students):
        weights = initial_weights.sample_held_out(
            student_seed(seed, Stream.EVALUATION, number), tf.constant(number)
        )
        StatelessModel(model).assign(*weights)
        shots = sets[number % len(sets)]
        images = shots.images.reshape(-1, *like.image_shape)
        labels = shots.labels.argmax(-1).reshape(-1)
        own = seed_of_draw(seed, number)
        yield fada(model, source, images, labels, seed=own, **kwargs)


def _discriminator(num_classes, seed):
    seeds = keras.random.SeedGenerator(seed)

    def dense(units, activation=None):
        initializer = keras.initializers.GlorotUniform(seeds)
        return keras.layers.Dense(units, activation, kernel_initializer=initializer)

    return keras.Sequential(
        [
            keras.Input((2 * num_classes,)),
            dense(128, "relu"),
            dense(64, "relu"),
            dense(64, "relu"),
            dense(4),
        ]
    )


def _apply(optimizer, tape, loss, model):
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))


def _pairs(source, images, labels, count, rng) -> Iterator[tuple]:
    """Endless batches of `count` pairs of each group, in the groups' order."""
    classes = np.unique(labels)
    known = {c: source.of_class(int(c)) for c in classes}
    shots = {c: images[labels == c] for c in classes}

    def draw(of, wanted):
        return np.stack([of[c][rng.integers(len(of[c]))] for c in wanted])

    while True:
        first = rng.choice(classes, 4 * count)
        other = rng.integers(1, len(classes), 4 * count)
        other = classes[(np.searchsorted(classes, first) + other) % len(classes)]
        second = np.where(np.repeat([True, True, False, False], count), first, other)
        seconds = [
            draw(of, part)
            for of, part in zip((known, shots, known, shots), np.split(second, 4))
        ]
        yield draw(known, first), np.concatenate(seconds), first, second
