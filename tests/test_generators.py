"""Data made by a network: its gradients, its curricula, what it exports."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_unroll import check_against_central_differences, float64  # noqa: F401

import tfdistill
from tfdistill import BackGradient
from tfdistill.data.normalization import Normalization
from tfdistill.students import teaching_networks
from tfdistill.synthesizers import generator as generators
from tfdistill.synthesizers.generator import CURRICULA, Generator
from tfdistill.synthesizers.real import RealBatches

SHAPE, CLASSES = (12, 12, 1), 3
SOURCE = tfdistill.DataSource("stripes", Normalization((0.0,), (1.0,)), ("a", "b", "c"))


def network(image_shape=SHAPE, num_classes=CLASSES):
    return teaching_networks.gtn_generator(
        image_shape, num_classes, latent_size=5, units=8, channels=4
    )


def learner():
    return teaching_networks.gtn_learner(SHAPE, CLASSES, widths=(3, 4, 6))


def generator(**kwargs):
    keras.utils.set_random_seed(0)
    kwargs = {
        "steps": 4,
        "batch_size": 6,
        "network": network,
        "source": SOURCE,
    } | kwargs
    return Generator(SHAPE, CLASSES, **kwargs)


def real(seed=0, size=40):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, size)
    images = rng.standard_normal((size, *SHAPE)) * 0.3
    images += np.arange(CLASSES)[labels][:, None, None, None] - 1
    return images.astype(keras.config.floatx()), labels.astype("int32")


def one_step(distiller, rate):
    """One outer step on the first students; returns the meta-loss."""
    distiller.optimizer.learning_rate = rate
    distiller.optimizer.iterations.assign(0)
    distiller.reset_metrics()
    return distiller.train_on_batch(*real(), return_dict=True)["loss"]


@pytest.mark.parametrize(
    ("inner_optimizer", "curriculum"), [("momentum", "all_shuffled"), ("adam", "full")]
)
def test_meta_gradients_against_central_differences(
    inner_optimizer,
    curriculum,
    float64,  # noqa: F811
):
    synthesizer = generator(
        inner_optimizer=inner_optimizer, soft_labels=True, curriculum=curriculum
    )
    distiller = tfdistill.Distiller(
        learner, synthesizer, meta_gradient=BackGradient(judgements=2)
    )
    distiller.compile(keras.optimizers.SGD(1.0), students_per_step=2, clip=None)
    variables = synthesizer.trainable_variables
    names = {v.name for v in variables}
    assert {"latents", "label_logits", "raw_rates", "kernel", "gain"} <= names
    assert ("raw_momenta" in names) == (inner_optimizer == "momentum")
    before = [v.numpy() for v in variables]
    one_step(distiller, 1.0)
    gradients = [b - v.numpy() for b, v in zip(before, variables)]
    for variable, value in zip(variables, before):
        variable.assign(value)
    # Batch norm undoes the gains before it: their derivative is all but zero.
    pairs = [
        (v, g)
        for v, g in zip(variables, gradients)
        if v.name != "gain" or v is variables[-1]
    ]
    check_against_central_differences(lambda: one_step(distiller, 0.0), *zip(*pairs))


def test_rates_that_are_not_learned_stay():
    synthesizer = generator(learned_rates=False, learning_rate=0.1)
    before, latents = synthesizer.learning_rates, synthesizer.latents.numpy()
    distiller = tfdistill.Distiller("linear", synthesizer)
    distiller.compile(keras.optimizers.SGD(1.0), students_per_step=1)
    distiller.train_on_batch(*real())
    np.testing.assert_array_equal(synthesizer.learning_rates, before)
    assert np.any(synthesizer.latents.numpy() != latents)


def test_batch_norm_of_the_network_sees_the_batch_alone():
    synthesizer = generator()
    state = [v.numpy() for v in synthesizer.network.non_trainable_variables]
    curriculum = synthesizer.curriculum(tf.constant([1, 2]))
    made = synthesizer.network(
        [synthesizer.latents[1], curriculum.labels[1]], training=True
    )
    np.testing.assert_allclose(curriculum.images[1], made, atol=1e-5)
    again = generator().network.non_trainable_variables
    for a, b in zip(state, again):
        np.testing.assert_array_equal(a, b)


SEEDS = [tf.constant([1, 2]), tf.constant([1, 3])]


@pytest.mark.parametrize("kind", CURRICULA)
def test_curricula_are_drawn_by_their_seed(kind):
    synthesizer = generator(curriculum=kind)
    assert synthesizer.is_random == (kind != "full")
    assert (synthesizer.latents is None) == (kind == "none")
    one, again, other = (
        synthesizer.curriculum(seed) for seed in (SEEDS[0], SEEDS[0], SEEDS[1])
    )
    np.testing.assert_array_equal(one.images, again.images)
    assert np.array_equal(one.images, other.images) == (kind == "full")
    if kind in ("full", "shuffled_batch"):
        cycle = np.tile(np.eye(CLASSES), (2, 1))
        np.testing.assert_array_equal(one.labels, [cycle] * 4)


@pytest.mark.parametrize("kind", CURRICULA)
def test_dropout_of_the_network_is_drawn_by_seed_and_step(kind):
    def dropping(image_shape, num_classes):
        inputs = [keras.Input((5,)), keras.Input((num_classes,))]
        # Ones, of which half are dropped, are all that the images depend on.
        size = int(np.prod(image_shape))
        ones = keras.layers.Dense(size, None, True, "zeros", "ones")
        dropped = keras.layers.Dropout(0.5)(ones(keras.layers.Concatenate()(inputs)))
        return keras.Model(inputs, keras.layers.Reshape(image_shape)(dropped))

    synthesizer = generator(curriculum=kind, network=dropping)
    kept = [synthesizer.curriculum(seed).images.numpy() > 0 for seed in SEEDS]
    again = synthesizer.curriculum(SEEDS[0]).images.numpy() > 0
    np.testing.assert_array_equal(kept[0], again)
    assert np.array_equal(*kept) == (kind == "full")
    # Two masks agree by chance in half of the units.
    assert 0.4 < np.mean(kept[0][0] == kept[0][1]) < 0.6
    # The derivative goes through the units that are kept.
    bias = synthesizer.network.trainable_variables[1]
    with tf.GradientTape() as tape:
        images = synthesizer.curriculum(SEEDS[0]).images
    np.testing.assert_allclose(
        tape.gradient(images, bias.value), 2 * again.sum((0, 1)).ravel(), rtol=1e-5
    )


def test_without_a_curriculum_noise_and_labels_are_drawn_anew():
    synthesizer = generator(curriculum="none", steps=20, batch_size=30)
    (latents, labels), (others, classes) = (
        map(np.asarray, synthesizer._fed(seed)) for seed in SEEDS
    )
    assert {*labels.max(-1).flat} == {*labels.sum(-1).flat} == {1}
    drawn = labels.argmax(-1)
    # 200 of each class are expected, and of 600 a third to agree by chance.
    assert np.abs(np.bincount(drawn.flat, minlength=CLASSES) - 200).max() < 50
    for other in (classes.argmax(-1), np.roll(drawn, 1, 0), np.roll(drawn, 1, 1)):
        assert 0.2 < np.mean(drawn == other) < 0.45
    assert latents.mean() == pytest.approx(0, abs=0.1)
    assert latents.std() == pytest.approx(1, abs=0.1)
    assert len({*latents.flat} | {*others.flat}) == latents.size + others.size


@pytest.mark.parametrize("kind", ["full", "shuffled_batch", "all_shuffled"])
def test_learned_latents_are_fed_with_their_labels(kind):
    synthesizer = generator(curriculum=kind, soft_labels=True)
    logits = np.random.default_rng(0).standard_normal((4, 6, CLASSES))
    synthesizer.label_logits.assign(logits)
    learned = synthesizer.latents.numpy(), tf.nn.softmax(logits).numpy()
    fed = [np.asarray(x) for x in synthesizer._fed(SEEDS[0])]
    if kind == "all_shuffled":
        learned, fed = (
            [x.reshape(-1, x.shape[-1]) for x in pair] for pair in (learned, fed)
        )
    same = [[np.array_equal(z, x) for x in learned[0]] for z in fed[0]]
    assert np.sum(same, axis=1).tolist() == [1] * len(same)
    drawn = np.argmax(same, axis=1)
    np.testing.assert_allclose(fed[1], learned[1][drawn], rtol=1e-5)
    in_order = np.arange(len(drawn))
    assert np.array_equal(drawn, in_order) == (kind == "full")
    assert len({*drawn}) > 1


def test_images_of_the_network_lie_within_two():
    model = network()
    *_, bias, gain = model.trainable_variables
    gain.assign([0])
    z, labels = np.ones((2, 5), "float32"), np.eye(CLASSES, dtype="float32")[:2]
    for value in (-50.0, -0.5, 0.1, 50.0):
        bias.assign([value])
        np.testing.assert_allclose(model([z, labels]), 2 * np.tanh(value), rtol=1e-5)


def test_it_learns_and_another_keras_job_repeats_it(tmp_path):
    synthesizer = generator(steps=6, batch_size=9, learning_rate=0.1)
    distiller = tfdistill.Distiller(
        learner,
        synthesizer,
        tfdistill.FixedWeights(),
        meta_gradient=BackGradient(judgements=3),
    )
    distiller.compile(keras.optimizers.Adam(0.01), students_per_step=1)
    batches = tf.data.Dataset.from_tensors(real(size=120)).repeat()
    test = tf.data.Dataset.from_tensors(real(1, 300))
    before = distiller.evaluate(test, return_dict=True)["accuracy"]
    distiller.fit(batches, steps_per_epoch=60, verbose=0)
    after = distiller.evaluate(test, return_dict=True)["accuracy"]
    assert after > max(before, 0.9)
    distiller.distilled().save(tmp_path / "distilled")
    distilled = tfdistill.DistilledDataset.load(tmp_path / "distilled")
    np.testing.assert_allclose(distilled.images, synthesizer.images, atol=1e-6)
    momenta = synthesizer.schedule.values()["momentum"]
    np.testing.assert_allclose(distilled.momenta, momenta, atol=1e-6)
    model = distilled.train(learner())
    images, labels = real(1, 300)
    accuracy = (model.predict(images, verbose=0).argmax(-1) == labels).mean()
    assert accuracy == pytest.approx(after, abs=0.01)
    evaluated = tfdistill.evaluate(distilled, learner, test, num_students=1)
    assert evaluated.accuracy_mean == pytest.approx(after, abs=0.01)


def test_real_batches_learn_their_rates():
    images, labels = real(size=200)
    dataset = tfdistill.from_arrays((images.astype("float32"), labels), real(1))
    synthesizer = RealBatches(dataset, steps=4, batch_size=8, seed=3)
    distiller = tfdistill.Distiller(learner, synthesizer)
    distiller.compile(keras.optimizers.Adam(0.1), students_per_step=2)
    rates = np.asarray(synthesizer.learning_rates)
    distiller.fit(dataset.train.batch(50, repeat=True), steps_per_epoch=5, verbose=0)
    assert not np.allclose(rates, synthesizer.learning_rates)
    seeds = [tf.constant([1, n]) for n in range(2)]
    one, other = (synthesizer.curriculum(seed) for seed in seeds)
    assert not np.array_equal(one.rows, other.rows)
    distilled = distiller.distilled()
    assert distilled.images.shape == (4, 8, *SHAPE)
    known = dataset.train.normalization.normalize(dataset.train.images).numpy()
    for image, label in zip(distilled.images[0], distilled.labels[0]):
        (row,) = np.flatnonzero(np.isclose(known, image).all((1, 2, 3)))
        assert dataset.train.labels[row] == label.argmax()


@pytest.mark.parametrize(
    "kwargs, words",
    [
        ({"curriculum": "fulll"}, ["fulll", "all_shuffled"]),
        ({"curriculum": "none", "soft_labels": True}, ["soft_labels", "none"]),
        ({"steps": 0}, ["steps", "0"]),
        ({"batch_size": -1}, ["batch_size", "-1"]),
        ({"inner_optimizer": "rmsprop"}, ["rmsprop", "adam"]),
        ({"momentum": 1.5}, ["momentum", "1.5"]),
        ({"network": lambda **_: network((16, 16, 1))}, ["(12, 12, 1)", "(16, 16, 1)"]),
        ({"network": lambda **_: network(num_classes=7)}, ["labels", "7"]),
        ({"network": lambda **_: learner()}, ["two inputs"]),
    ],
)
def test_what_does_not_fit_is_refused(kwargs, words):
    with pytest.raises(ValueError) as error:
        generator(**kwargs)
    assert all(word in str(error.value) for word in words)


def test_a_learner_that_the_curriculum_cannot_feed_is_refused():
    for fits_not in (
        lambda: teaching_networks.gtn_learner((16, 16, 1), CLASSES),
        lambda: teaching_networks.gtn_learner(SHAPE, 7),
    ):
        with pytest.raises(ValueError, match="student"):
            tfdistill.Distiller(fits_not, generator())


@pytest.mark.parametrize("kind", ["kernel_regularizer", "activity_regularizer"])
def test_penalties_of_the_network_are_refused(kind):
    def penalised(image_shape, num_classes):
        inputs = [keras.Input((5,)), keras.Input((num_classes,))]
        dense = keras.layers.Dense(int(np.prod(image_shape)), **{kind: "l2"})
        outputs = dense(keras.layers.Concatenate()(inputs))
        return keras.Model(inputs, keras.layers.Reshape(image_shape)(outputs))

    with pytest.raises(ValueError, match="no effect on the generator's network"):
        tfdistill.Distiller(learner, generator(network=penalised))


def test_networks_check_their_arguments():
    with pytest.raises(ValueError, match="4 divides"):
        generators.gtn_generator((10, 10, 1))
    with pytest.raises(ValueError, match="at least 7"):
        teaching_networks.gtn_learner((6, 6, 1))
    with pytest.raises(ValueError, match="widths"):
        teaching_networks.gtn_learner(widths=(3, 4))


def test_weight_normalised_layers_survive_a_file(tmp_path):
    model = learner()
    path = tmp_path / "model.keras"
    model.save(path)
    images, _ = real()
    again = keras.models.load_model(path)
    np.testing.assert_allclose(model(images), again(images), atol=1e-6)
    layer = model.layers[1]
    norms = np.sqrt(np.square(layer.kernel).sum((0, 1, 2)))
    np.testing.assert_allclose(norms, layer.gain, rtol=1e-5)
