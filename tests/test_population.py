"""Students of several architectures: which is drawn, and what they start from."""

import collections
import functools
import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import FixedWeights, LearningStudents, RandomWeights
from tfdistill._internal.seeds import Stream, key_of, set_for_keras, student_seed
from tfdistill.data import augmentation
from tfdistill.evaluation import turns
from tfdistill.students import teaching_networks
from tfdistill.weights.population import Population

SHAPE, CLASSES = (8, 8, 1), 10
TWO = "mlp,linear"


def test_each_seed_draws_one_architecture():
    population = Population(TWO, SHAPE, CLASSES)

    @tf.function
    def size(seed):
        return population.draw(
            seed, lambda student, weights, state: sum(tf.size(w) for w in weights)
        )

    sizes = [int(size(tf.constant([7, n]))) for n in range(12)]
    assert set(sizes) == {650, 8 * 8 * 128 + 128 + 128 * 128 + 128 + 1290}
    assert sizes == [int(size(tf.constant([7, n]))) for n in range(12)]
    assert size.experimental_get_tracing_count() == 1


def test_no_two_draws_of_a_student_share_a_key(monkeypatch):
    """Noise by the key of a kernel would be that kernel, times a constant."""
    keys = []

    def noting(draw):
        def noted(shape, seed, *args, **kwargs):
            keys.append((draw.__name__, *map(int, seed)))
            return draw(shape, seed, *args, **kwargs)

        return noted

    digits = tfdistill.load_dataset("digits")
    small = functools.partial(
        teaching_networks.gtn_generator, latent_size=5, units=8, channels=4
    )
    options = {"steps": 2, "batch_size": 10}
    synthesizers = [
        tfdistill.RealBatches(digits, **options),
        *(
            tfdistill.Generator.of(digits, curriculum=kind, network=small, **options)
            for kind in ("none", "all_shuffled", "shuffled_batch")
        ),
    ]
    students = LearningStudents(size=5, batch_size=3)
    population = Population(TWO, SHAPE, CLASSES, students)
    data = tfdistill.baselines.random_real(digits, steps=3)
    teacher = data.recipe.teacher(data)
    teacher.assign(data, True)
    for name in ("stateless_uniform", "stateless_normal", "stateless_truncated_normal"):
        monkeypatch.setattr(tf.random, name, noting(getattr(tf.random, name)))
    curricula = [s.curriculum for s in synthesizers] + [teacher.curriculum]
    for curriculum, number in itertools.product(curricula, range(4)):
        seed = tf.constant([1, number])
        keys.clear()
        curriculum(seed)
        population.draw(seed, lambda *_: tf.zeros([]))
        assert len(keys) > 3 and len({key[1:] for key in keys}) == len(keys)


@pytest.mark.parametrize("large", [2**32 + 1, 2**40 + 1, 2**63 - 2**32 + 1])
def test_all_bits_of_a_seed_count(large):
    digits = tfdistill.load_dataset("digits")
    images = digits.train.images[:3].astype("float32")

    def drawn(seed):
        options = {"steps": 1, "batch_size": 3, "seed": seed}
        numbered = tf.constant([seed, 5], tf.int64)
        return [
            student_seed(seed, Stream.TRAINING, 4),
            tfdistill.RealBatches(digits, **options).exported_seed(),
            tfdistill.RandomChanges(shift=0.4).layer(seed)(images, training=True),
            augmentation.crop_flip(images, numbered),
        ]

    for one, other in zip(drawn(1), drawn(large)):
        assert not np.array_equal(one, other)
    starts = []
    for seed in (1, large):
        set_for_keras(seed)
        starts.append(tfdistill.students.linear((8, 8, 1)).get_weights()[0])
    assert not np.array_equal(*starts)
    for small in (0, 7, 2**31, 2**32 - 1):  # whose draws are as in earlier versions
        np.testing.assert_array_equal(
            key_of(small, 3), np.uint32([small, 3]).view("i4")
        )


def test_data_for_two_architectures(tmp_path):
    digits = tfdistill.load_dataset("digits")
    synthesizer = tfdistill.DistilledImages.from_real(
        digits, steps=2, epochs=2, learning_rate=0.1
    )
    distiller = tfdistill.Distiller(TWO, synthesizer, seed=1)
    distiller.compile(keras.optimizers.Adam(0.02), students_per_step=2)
    distiller.fit(
        digits.train.batch(128, shuffle=True, repeat=True),
        steps_per_epoch=40,
        verbose=0,
    )
    distilled = distiller.distilled()
    assert distilled.student == TWO
    result = tfdistill.evaluate(distilled, TWO, digits.test, num_students=4)
    alone = [
        tfdistill.evaluate(distilled, name, digits.test, num_students=2).accuracies
        for name in TWO.split(",")
    ]
    # Students of the two come in turn; each starts as it does alone.
    in_turn = [alone[0][0], alone[1][1]]
    np.testing.assert_allclose(result.accuracies[:2], in_turn, atol=0.01)
    assert result.accuracy_mean > 0.6


def test_several_architectures_need_random_weights():
    with pytest.raises(ValueError, match="random initial weights"):
        Population(TWO, SHAPE, CLASSES, FixedWeights())


def test_seeds_of_fixed_starts_are_integers():
    one, other = (
        Population("linear", SHAPE, CLASSES, FixedWeights(), seed=seed).saved()[0]
        for seed in (3, np.int64(3))
    )
    np.testing.assert_array_equal(one, other)
    for wrong in (-3, 3.0, "3"):
        with pytest.raises(ValueError, match="seed must be an integer of at least 0"):
            Population("linear", SHAPE, CLASSES, seed=wrong)


def test_a_saved_start_is_used_where_it_fits():
    first = Population("linear", SHAPE, CLASSES, FixedWeights())
    again = Population("linear", SHAPE, CLASSES, saved=first.saved())
    for a, b in zip(first.saved(), again.saved()):
        np.testing.assert_array_equal(a, b)
    assert Population("mlp", SHAPE, CLASSES, saved=first.saved()).is_random


@pytest.mark.parametrize("pooled", [False, True])
def test_a_network_that_the_user_has_and_a_fixed_start_leave_each_other(
    pooled, tmp_path
):
    digits = tfdistill.load_dataset("digits")
    net, other = (tfdistill.students.linear(SHAPE) for _ in range(2))
    other.save_weights(tmp_path / "other.weights.h5")
    pool = tfdistill.Pool.of_files([str(tmp_path / "other.weights.h5")])
    mine = net.get_weights()

    def made():
        images = tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
        weights = FixedWeights(pool) if pooled else FixedWeights()
        model = tfdistill.Distiller(lambda: net, images, weights)
        model.compile(students_per_step=1)
        return model

    def same(arrays, others):
        for a, b in zip(arrays, others, strict=True):
            np.testing.assert_array_equal(a, b)

    backup = tfdistill.Backup(tmp_path / "states")
    run = {"steps_per_epoch": 1, "verbose": 0, "callbacks": [backup]}
    first = made()
    first.fit(digits.train.batch(50), **run)
    same(net.get_weights(), mine)
    data, found = first.distilled(), first.evaluate(digits.test)
    same(data.initial_weights, (other if pooled else net).get_weights())
    # The user goes on with the network.
    trained = [w + 1 for w in mine]
    net.set_weights(trained)
    same(first.distilled().initial_weights, data.initial_weights)
    assert first.evaluate(digits.test) == found
    again = made()
    assert backup.restore(again) == 1
    same(again.distilled().initial_weights, data.initial_weights)
    result = tfdistill.evaluate(data, lambda: net, digits.test)
    np.testing.assert_allclose(result.accuracy_mean, found[1])
    same(net.get_weights(), trained)


def test_frozen_layers_stay_as_they_were_bound():
    """A user who unfreezes and trains such a layer changes no students."""
    body = keras.layers.Dense(4, trainable=False)

    def student(image_shape, num_classes):
        layers = keras.layers.Flatten(), body, keras.layers.Dense(num_classes)
        return keras.Sequential([keras.Input(image_shape), *layers])

    with pytest.warns(UserWarning, match="frozen layers"):
        population = Population(student, SHAPE, CLASSES)
    ((_, weights),) = population.members
    before = weights.sample(tf.constant([1, 2]))
    known = [v.numpy() for v in body.variables]
    body.set_weights([w + 1 for w in known])
    after = weights.sample(tf.constant([1, 2]))
    for a, b in zip(tf.nest.flatten(before), tf.nest.flatten(after), strict=True):
        np.testing.assert_array_equal(a, b)
    zeros = [tf.zeros_like(x) for x in after[1]]
    for state in (after[1], weights.with_frozen(zeros)):
        for a, b in zip(state, known, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [RandomWeights, FixedWeights, LearningStudents])
def test_one_object_serves_several_distillers(kind):
    digits, weights = tfdistill.load_dataset("digits"), kind()
    seed = tf.constant([1, 2])

    def distiller(student):
        images = tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
        return tfdistill.Distiller(student, images, weights)

    first = distiller("linear")
    ((learner, own),) = first.population.members
    before = own.sample(seed)
    kept = [v.numpy() for v in own.variables]
    second = distiller("mlp")
    second.compile(students_per_step=1)
    second.fit(digits.train.batch(100), steps_per_epoch=2, verbose=0)
    data = second.distilled()
    tfdistill.evaluate(data, "mlp", digits.test, 1, initial_weights=weights)
    assert own.student.model is learner.model
    for a, b in zip(
        tf.nest.flatten(before), tf.nest.flatten(own.sample(seed)), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    for value, variable in zip(kept, own.variables, strict=True):
        np.testing.assert_array_equal(value, variable)


def validated(student, *counts, **options):
    """What `Distiller.test` finds, asked for several numbers of networks in turn."""
    digits = tfdistill.load_dataset("digits")
    synthesizer = tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
    distiller = tfdistill.Distiller(student, synthesizer, **options)
    distiller.compile()
    batches = digits.test.batch(400)
    return [distiller.test(batches, count).accuracies for count in counts]


def test_validation_reaches_each_architecture_whatever_was_asked_before():
    together = "mlp,linear,lenet"
    (three,) = validated(together, 3)
    one, again = validated(together, 1, 3)
    np.testing.assert_allclose(again, three, atol=1e-6)
    np.testing.assert_allclose(one, three[:1], atol=1e-6)
    for number, student in enumerate(together.split(",")):
        (alone,) = validated(student, 3)
        np.testing.assert_allclose(three[number], alone[number], atol=0.01)


def test_sets_and_architectures_come_in_all_combinations():
    for architectures, sets in itertools.product(range(1, 5), range(1, 7)):
        every = [*itertools.product(range(architectures), range(sets))]
        of_group = [
            (group % architectures, turns.set_of(group, architectures, sets))
            for group in range(2 * len(every))
        ]
        for count in range(1, len(of_group) + 1):
            taken = collections.Counter(of_group[:count])
            assert np.ptp([taken[pair] for pair in every]) <= 1
            of_sets = collections.Counter(one for _, one in of_group[:count])
            if architectures == 1 or count % math.lcm(architectures, sets) == 0:
                assert np.ptp([of_sets[one] for one in range(sets)]) <= 1
        if architectures == 1:
            assert [one for _, one in of_group] == [*range(sets)] * 2


def test_an_evaluation_tests_each_architecture_on_each_set():
    digits = tfdistill.load_dataset("digits")
    made = tfdistill.baselines.random_real(digits, steps=2)
    sets = [made, made.replace(labels=made.labels[:, ::-1])]
    found = tfdistill.evaluate(sets, TWO, digits.test, num_students=4).losses
    alone = [
        [tfdistill.evaluate(data, who, digits.test, num_students=4) for data in sets]
        for who in TWO.split(",")
    ]
    for number, (who, which) in enumerate([(0, 0), (1, 1), (0, 1), (1, 0)]):
        expected = alone[who][which].losses[number]
        assert found[number] == pytest.approx(expected, rel=1e-3)
    evaluator = tfdistill.Evaluator(TWO, made)
    assert evaluator(made, digits.test, 2).losses[1] == pytest.approx(
        alone[1][0].losses[1], rel=1e-3
    )


def test_who_asks_for_less_than_each_architecture_is_told():
    digits = tfdistill.load_dataset("digits")
    made = tfdistill.baselines.random_real(digits, steps=1)
    with pytest.warns(UserWarning, match="first 1 of 2 .* ask for 2 students"):
        tfdistill.evaluate(made, TWO, digits.test, num_students=1)
    assert not turns.untested(TWO, 2) and not turns.untested("mlp", 1)


def test_validation_counts_no_copies():
    (found,) = validated("linear", 5, initial_weights=FixedWeights())
    assert len(found) == 1


def dropping(image_shape, num_classes):
    layers = keras.layers.Flatten(), keras.layers.Dropout(0.5)
    last = keras.layers.Dense(num_classes)
    return keras.Sequential([keras.Input(image_shape), *layers, last])


def test_networks_with_dropout_are_no_copies_of_each_other():
    (found,) = validated(dropping, 4, initial_weights=FixedWeights())
    assert len({*found}) > 1 and len(found) == 4
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=2)
    evaluator = tfdistill.Evaluator(dropping, data, initial_weights=FixedWeights())
    found = evaluator(data, digits.test, 4)
    assert len({*found.losses}) == found.num_students == 4
    # Who does not learn drops nothing.
    assert evaluator.untrained(digits.test, 4).num_students == 1
