"""Students of several architectures: which is drawn, and what they start from."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import FixedWeights, LearningStudents, RandomWeights
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
    # Students come in pairs of one architecture, in turn.
    np.testing.assert_allclose(result.accuracies[:2], alone[0], atol=0.01)
    assert result.accuracy_mean > 0.6


def test_several_architectures_need_random_weights():
    with pytest.raises(ValueError, match="random initial weights"):
        Population(TWO, SHAPE, CLASSES, FixedWeights())


def test_a_saved_start_is_used_where_it_fits():
    first = Population("linear", SHAPE, CLASSES, FixedWeights())
    again = Population("linear", SHAPE, CLASSES, saved=first.saved())
    for a, b in zip(first.saved(), again.saved()):
        np.testing.assert_array_equal(a, b)
    assert Population("mlp", SHAPE, CLASSES, saved=first.saved()).is_random


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


def test_validation_counts_no_copies():
    (found,) = validated("linear", 5, initial_weights=FixedWeights())
    assert len(found) == 1
