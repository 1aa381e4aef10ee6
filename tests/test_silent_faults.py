"""Students that once learned nothing, or something else, and did not say so."""

import dataclasses
import functools
import re
import types
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import inner, students, unroll
from tfdistill.inner.optimizers import half_precision
from tfdistill.inner.problem import Problem
from tfdistill.inner.stateless import StatelessModel
from tfdistill.studies import pretraining
from tfdistill.testing import measures
from tfdistill.weights.population import Population

SHAPE, SEED = (4, 4, 1), tf.constant([1, 2])


def sequential(*layers):
    return keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), *layers])


def dense(*args, **kwargs):
    return keras.layers.Dense(*args, **kwargs)


# Frozen layers --------------------------------------------------------------------


def backbone():
    """Layers that know something, as if they were read from a file."""
    layers = [keras.layers.Dense(5, "relu"), keras.layers.BatchNormalization()]
    model = sequential(*layers)
    rng = np.random.default_rng(3)
    model.set_weights([rng.uniform(1, 2, w.shape) for w in model.get_weights()])
    return model


def frozen_model():
    base = backbone()
    base.trainable = False
    return keras.Sequential(
        [base, keras.layers.BatchNormalization(), keras.layers.Dropout(0.5), dense(3)]
    )


def frozen_layers():
    base = backbone()
    for layer in base.layers:
        layer.trainable = False
    images = keras.Input(SHAPE)
    return keras.Model(images, dense(3)(base(images)))


def frozen_kernels():
    """Variables that are switched off one by one, as low-rank adaptation does it."""
    base = backbone()
    base.layers[1].enable_lora(2)
    base.layers[2].trainable = False
    return keras.Sequential([base, dense(3)])


class FrozenInside(keras.Model):
    def __init__(self):
        super().__init__()
        self.base = backbone()
        self.base.trainable = False
        self.last = dense(3)

    def call(self, images):
        return self.last(self.base(images))


def adapted():
    norm = keras.layers.Normalization()
    norm.adapt(np.random.default_rng(0).normal(7, 3, (50, *SHAPE)))
    return keras.Sequential(
        [keras.Input(SHAPE), norm, keras.layers.Flatten(), dense(3)]
    )


class Table(keras.layers.Layer):
    """Multiplies by fixed numbers, and acts otherwise in training for all one knows."""

    def build(self, shape):
        self.table = self.add_weight(
            shape=(shape[-1], 5), initializer="zeros", trainable=False
        )
        self.table.assign(np.random.default_rng(0).normal(0, 1, (shape[-1], 5)))

    def call(self, inputs, training=None):
        return keras.ops.matmul(inputs, self.table)


class TableInside(keras.Model):
    def __init__(self):
        super().__init__()
        self.table, self.last = Table(), dense(3)
        self.table.build((None, 16))

    def call(self, images):
        return self.last(self.table(keras.ops.reshape(images, (-1, 16))))


def quantised():
    """A quantised kernel with a low-rank adapter, as QLoRA trains it."""
    model = sequential(dense(5), dense(3))
    model.layers[1].quantize("int8")
    model.layers[1].enable_lora(2)
    return model


_SHARED = []


def shared_backbone():
    if not _SHARED:
        _SHARED.append(backbone())
        _SHARED[0].trainable = False
    return keras.Sequential([_SHARED[0], dense(3)])


FROZEN = {
    "a model": (frozen_model, 6),
    "its layers": (frozen_layers, 6),
    "weights": (frozen_kernels, 5),
    "in a subclass": (FrozenInside, 6),
    "adapted to data": (adapted, 2),
    "a table": (lambda: sequential(Table(), dense(3)), 1),
    "a table in a subclass": (TableInside, 1),
    "quantised": (quantised, 2),
    "shared by all": (shared_backbone, 6),
}


@pytest.mark.parametrize("kind", FROZEN)
def test_frozen_layers_keep_their_values(kind):
    make, least = FROZEN[kind]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        population = Population(make, SHAPE, 3)
    said = [str(w.message) for w in said if "every student keeps" in str(w.message)]
    assert len(said) == 1 and "\n" not in said[0]
    ((student, weights),) = population.members
    draws = [weights.sample(SEED), weights.sample(SEED + 1)]
    kept = [
        all(np.array_equal(state[k], value) for _, state in draws)
        for k, value in enumerate(student.state)
    ]
    assert sum(kept) >= least
    values = [np.asarray(x) for x, is_kept in zip(student.state, kept) if is_kept]
    assert sum(np.ptp(np.append(v, 0.0)) > 0.5 for v in values) >= min(4, least)
    assert any(np.any(a != b) for a, b in zip(draws[0][0], draws[1][0]))


def test_a_frozen_norm_of_means_keeps_its_mean():
    layer = students.gtn_learner((8, 8, 1), widths=(2, 3, 4)).layers[3]
    layer.trainable = False
    layer.mean.assign([1.0, 2.0])
    layer(np.zeros((2, 4, 4, 2), "float32"), training=True)
    np.testing.assert_array_equal(layer.mean, [1, 2])


def test_statistics_of_layers_that_are_trained_are_drawn():
    def make():
        model = backbone()
        return keras.Sequential([model, dense(3)])

    with pytest.warns(UserWarning, match="weights that the student loads are not used"):
        population = Population(make, SHAPE, 3)
    ((_, weights),) = population.members
    _, (mean, variance) = weights.sample(SEED)
    assert not np.any(mean) and np.all(variance == 1)


@pytest.mark.parametrize("freeze", [False, True])
def test_a_file_as_a_student(freeze, tmp_path):
    model = backbone()
    model.trainable = not freeze
    path = str(tmp_path / "mine.keras")
    keras.Sequential([keras.Input(SHAPE), model, dense(3)]).save(path)
    says = "frozen layers" if freeze else "FixedWeights"
    with pytest.warns(UserWarning, match=says):
        Population(path, SHAPE, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        Population(path, SHAPE, 3, tfdistill.FixedWeights())
        Population("mlp", (8, 8, 1), 3)


@pytest.mark.filterwarnings("ignore:.*frozen layers")
@pytest.mark.parametrize("make", [frozen_model, frozen_layers])
@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_pretrained_students_keep_them_too(make, ending, tmp_path):
    dataset = tfdistill.load_dataset("digits").of_classes([0, 1, 2])
    part = tfdistill.Split(
        dataset.train.images[:64, 2:6, 2:6],
        dataset.train.labels[:64],
        dataset.normalization,
    )
    data = dataclasses.replace(dataset, train=part, test=part)

    def make_model():
        return students.build(make, SHAPE, 3)

    with pytest.warns(UserWarning, match="every student keeps"):
        trained = pretraining.pretrain(
            make_model, data, range(2), pretraining.Recipe(1), batch_size=32, verbose=0
        )
    known = [v.numpy() for v in students.frozen(make_model())]
    paths = []
    for k, model in enumerate(trained):
        for value, variable in zip(known, students.frozen(model)):
            np.testing.assert_array_equal(value, variable)
        if ending == ".keras":
            # Which layers are frozen in the file makes no difference.
            model.trainable = True
        paths.append(tmp_path / f"{k}{ending}")
        (model.save if ending == ".keras" else model.save_weights)(paths[-1])
    weights = tfdistill.PretrainedWeights(tfdistill.Pool.of_files(paths[:1], paths[1:]))
    model = make_model()
    weights.build(make_model, model)
    values, state = weights.sample_held_out(SEED, tf.constant(0))
    trained[1].trainable = True
    StatelessModel(model).assign(values, state)
    for value, variable in zip(known, students.frozen(model)):
        np.testing.assert_array_equal(value, variable)
    probe = np.ones((2, *SHAPE), "float32")
    np.testing.assert_allclose(model(probe), trained[1](probe), rtol=1e-5)


def test_a_strangers_distribution_keeps_them():
    class Zeros(tfdistill.weights.InitialWeights):
        def sample(self, seed):
            zeros = [tf.zeros_like(x) for x in self.student.state]
            return self.student.weights, self.with_frozen(zeros)

    weights = Zeros()
    weights.build(frozen_model, students.build(frozen_model, SHAPE, 3))
    _, state = weights.sample(SEED)
    assert sum(np.any(x) for x in state) == 6


# Probabilities in place of logits -------------------------------------------------


def softmax(x):
    return keras.ops.softmax(x)


class Wrapped(keras.Model):
    def __init__(self, activation):
        super().__init__()
        self.net = sequential(dense(3))
        self.activation = activation

    def call(self, images):
        return self.activation(self.net(images)) * 1.0


ENDINGS = {
    "lambda": [keras.layers.Lambda(softmax)],
    "identity": [keras.layers.Softmax(), keras.layers.Identity()],
    "dropout": [keras.layers.Activation("softmax"), keras.layers.Dropout(0.2)],
    "reshape": [keras.layers.Softmax(), keras.layers.Reshape((3,))],
    "callable": [keras.layers.Activation(lambda x: tf.nn.softmax(2 * x))],
    "sigmoid": [keras.layers.Lambda(keras.ops.sigmoid)],
    "hard sigmoid": [keras.layers.Activation("hard_sigmoid")],
    "tanh": [keras.layers.Lambda(lambda x: (keras.ops.tanh(x) + 1) / 2)],
    "log": [keras.layers.Activation("log_softmax")],
    "clipped": [keras.layers.Softmax(), keras.layers.Lambda(lambda x: x + 1e-6)],
}


@pytest.mark.parametrize("kind", ENDINGS)
@pytest.mark.parametrize("kernel", ["glorot_uniform", "zeros"])
def test_probabilities_are_refused(kind, kernel):
    def make():
        last = dense(3, kernel_initializer=kernel)
        return sequential(dense(4, "relu"), last, *ENDINGS[kind])

    with pytest.raises(ValueError, match="must return logits, but it gives"):
        students.build(make, SHAPE, 3)
    students.build(make, SHAPE, 3, logits=False)


@pytest.mark.parametrize(
    "activation", [softmax, tf.sigmoid, lambda x: tf.math.log(tf.nn.softmax(x))]
)
def test_probabilities_of_a_subclass_are_refused(activation):
    with pytest.raises(ValueError, match="must return logits"):
        students.build(lambda: Wrapped(activation), SHAPE, 3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_probabilities_are_refused_in_any_precision(policy):
    def make():
        last = dense(3, dtype=policy)
        return sequential(last, keras.layers.Lambda(softmax, dtype=policy))

    with pytest.raises(ValueError, match="logits, .*softmax"):
        students.build(make, SHAPE, 3)


LOGITS = {
    "near zero": [
        dense(3, kernel_initializer=keras.initializers.RandomNormal(0, 1e-6))
    ],
    "zero": [dense(3, kernel_initializer="zeros")],
    "zero and 1/3": [
        dense(
            3,
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(1 / 3),
        )
    ],
    "zero and log 1/3": [
        dense(
            3,
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(np.log(1 / 3)),
        )
    ],
    "relu": [dense(3, "relu")],
    "softplus": [dense(3, "softplus")],
    "bounded": [dense(3, "tanh")],
    "negative": [
        dense(3, kernel_initializer="zeros"),
        keras.layers.Lambda(lambda x: -x),
    ],
    "after a gate": [dense(4, "sigmoid"), dense(3)],
    "after a softmax": [dense(4, "softmax"), dense(3)],
    "two": [dense(16), keras.layers.BatchNormalization(), dense(3)],
}


@pytest.mark.parametrize("kind", LOGITS)
def test_logits_raise_no_alarm(kind):
    def make():
        layers = [
            type(x).from_config(x.get_config())
            for x in LOGITS[kind]
            if not isinstance(x, keras.layers.Lambda)
        ]
        layers += [x for x in LOGITS[kind] if isinstance(x, keras.layers.Lambda)]
        return sequential(*layers)

    students.build(make, SHAPE, 3)


def test_regression_may_end_in_a_sigmoid():
    def make():
        return sequential(dense(3, "sigmoid"))

    images = tfdistill.DistilledImages(np.zeros((1, 3, *SHAPE)), [0, 1, 2], 3)
    tfdistill.Distiller(make, images, objective=tfdistill.Regression())
    with pytest.raises(ValueError, match="final layer .* applies a sigmoid"):
        tfdistill.Distiller(make, images)


# Layers that gather rows ----------------------------------------------------------


def positions():
    """A transformer's: a position's embedding is added to each row of the image."""
    images = keras.Input(SHAPE)
    rows = keras.layers.Reshape(SHAPE[:2])(images)
    rows = keras.layers.Dense(5)(rows)
    embed = keras.layers.Embedding(SHAPE[0], 5)
    rows = keras.layers.Lambda(lambda x: x[0] + x[1])(
        [rows, embed(keras.ops.arange(SHAPE[0]))]
    )
    return keras.Model(images, dense(3)(keras.layers.Flatten()(keras.ops.tanh(rows))))


class Gathers(keras.layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=(9, shape[-1]), initializer="glorot_uniform")

    def call(self, x):
        rows = tf.nn.embedding_lookup(self.table, [7, 2, 2])
        return x * (1 + tf.reduce_sum(rows, 0)) + keras.ops.take(self.table, 4, axis=0)


def gathers():
    return sequential(dense(6, "tanh"), Gathers(), dense(3))


class Positions(keras.layers.Layer):
    def build(self, shape):
        self.embed = keras.layers.Embedding(shape[1], shape[2])
        self.embed.build(())

    def call(self, x):
        return x + self.embed(keras.ops.arange(x.shape[1]))


def attends():
    images = keras.Input(SHAPE)
    rows = keras.layers.Dense(4)(keras.layers.Reshape(SHAPE[:2])(images))
    rows = Positions()(rows)
    rows = keras.layers.Add()([rows, keras.layers.MultiHeadAttention(1, 3)(rows, rows)])
    return keras.Model(images, dense(3)(keras.layers.GlobalAveragePooling1D()(rows)))


def problem(make, optimizer="sgd", dtype="float32", seed=1):
    keras.utils.set_random_seed(seed)
    model = students.build(make, SHAPE, 3)
    rng = np.random.default_rng(0)
    images = tfdistill.DistilledImages(
        rng.standard_normal((2, 3, *SHAPE)),
        [0, 1, 2],
        3,
        epochs=2,
        inner_optimizer=optimizer,
        learning_rate=0.1,
        soft_labels=True,
        dtype=dtype,
    )
    student = StatelessModel(model)
    real = tf.constant(rng.standard_normal((12, *SHAPE)), dtype)
    labels = tf.constant(rng.integers(0, 3, 12), "int32")
    return Problem(
        student,
        images,
        tfdistill.Classification(),
        student.weights,
        student.state,
        real,
        labels,
    )


def judged(meta_gradient, problem):
    found = meta_gradient(problem)
    return found.loss.numpy(), [g.numpy() for g in found.gradients]


@pytest.mark.parametrize(
    "make, optimizer", [(positions, "adam"), (gathers, "momentum"), (attends, "sgd")]
)
def test_students_that_gather(make, optimizer):
    with measures.double_precision():
        given = problem(make, optimizer, "float64")
        loss, gradients = judged(inner.BackGradient(), given)
        full_loss, full = judged(inner.FullUnroll(), given)
    assert loss == pytest.approx(full_loss, rel=1e-9)
    assert measures.relative_error(gradients, full) < 1e-6


# Precisions -----------------------------------------------------------------------


def small(policy, last=None):
    return lambda: sequential(
        dense(8, "tanh", use_bias=False, dtype=policy),
        keras.layers.BatchNormalization(dtype=policy),
        dense(3, dtype=last or policy, kernel_regularizer="l2"),
    )


@functools.cache
def in_float32(optimizer):
    like = problem(small("float32"), optimizer)
    return like, judged(inner.BackGradient(), like)


@pytest.mark.parametrize(
    "policy, last, optimizer, error",
    [
        ("float32", "float64", "momentum", 1e-5),
        ("float64", None, "momentum", 1e-5),
        ("float64", "float16", "momentum", 0.01),
        ("mixed_float16", None, "momentum", 0.01),
        ("mixed_float16", None, "adam", 0.04),
        ("mixed_bfloat16", "float32", "momentum", 0.05),
        ("float16", None, "adam", 0.04),
        ("bfloat16", None, "momentum", 0.05),
    ],
)
def test_precisions(policy, last, optimizer, error):
    like, (true_loss, true) = in_float32(optimizer)
    given = problem(small(policy, last), optimizer)
    values = zip(given.weights + given.state, like.weights + like.state)
    start = [tf.cast(b, a.dtype) for a, b in values]
    split = len(given.weights)
    given = given._replace(weights=start[:split], state=start[split:])
    loss, gradients = judged(inner.BackGradient(), given)
    assert loss.dtype == "float32" and {g.dtype.name for g in gradients} == {"float32"}
    assert loss == pytest.approx(true_loss, rel=error)
    assert measures.relative_error(gradients, true) < error


def digits_learner(policy):
    def learner(image_shape, num_classes):
        images = keras.Input(image_shape)
        flat = keras.layers.Flatten(dtype=policy)(images)
        hidden = keras.layers.Dense(32, "relu", dtype=policy)(flat)
        return keras.Model(
            images, keras.layers.Dense(num_classes, dtype=policy)(hidden)
        )

    return learner


def learned(policy):
    """The accuracy of a network that learned from a few distilled digits."""
    digits = tfdistill.load_dataset("digits")
    images = tfdistill.DistilledImages.from_noise(
        digits, steps=2, epochs=2, learning_rate=0.05
    )
    distiller = tfdistill.Distiller(digits_learner(policy), images)
    distiller.compile(keras.optimizers.Adam(0.05, beta_1=0.5), students_per_step=1)
    assert type(distiller.optimizer) is keras.optimizers.Adam
    real = digits.train.batch(128, shuffle=True, repeat=True)
    distiller.fit(real, steps_per_epoch=80, verbose=0)
    accuracy = distiller.test(digits.test.batch(1000), 2).accuracy_mean
    distilled = distiller.distilled()
    model = students.build(digits_learner(policy), digits.image_shape, 10)
    trained = distilled.train(model)
    own = tfdistill.evaluate_model(trained, digits.test).accuracy_mean
    assert own == pytest.approx(accuracy, abs=0.15)
    return accuracy


@pytest.mark.parametrize("policy", ["bfloat16", "float64"])
def test_digits_learn_in_any_precision(policy):
    assert learned(policy) > 0.6


@pytest.mark.parametrize(
    "global_policy", ["mixed_float16", "mixed_bfloat16"], indirect=True
)
def test_digits_learn_by_a_global_policy(global_policy):
    assert learned(None) > 0.6


@pytest.mark.parametrize("global_policy", ["mixed_float16"], indirect=True)
def test_generators_of_mixed_precision(global_policy):
    digits = tfdistill.load_dataset("digits")
    generator = tfdistill.Generator.of(digits, steps=2, batch_size=10)
    batch = generator.curriculum(SEED).batch(0)
    assert batch.images.dtype == batch.labels.dtype == "float32"


@pytest.mark.parametrize("global_policy", ["float16", "bfloat16"], indirect=True)
def test_images_are_not_learned_in_half_precision(global_policy):
    images = tfdistill.DistilledImages(np.zeros((1, 3, *SHAPE)), [0, 1, 2], 3)
    with pytest.raises(ValueError, match=f"variable .* is {global_policy}, in which"):
        tfdistill.Distiller(lambda: sequential(dense(3)), images)


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
        keras.optimizers.SGD(loss_scale_factor=8.0),
    ],
)
def test_outer_optimizers_that_scale_losses_are_refused(optimizer):
    images = tfdistill.DistilledImages(np.zeros((1, 3, *SHAPE)), [0, 1, 2], 3)
    distiller = tfdistill.Distiller(lambda: sequential(dense(3)), images)
    with pytest.raises(ValueError, match="must not scale losses"):
        distiller.compile(optimizer)


def test_outer_optimizers_that_accumulate_gradients_are_refused():
    images = tfdistill.DistilledImages(np.zeros((1, 3, *SHAPE)), [0, 1, 2], 3)
    distiller = tfdistill.Distiller(lambda: sequential(dense(3)), images)
    with pytest.raises(ValueError, match="pass students_per_step=4 to compile"):
        distiller.compile(keras.optimizers.Adam(gradient_accumulation_steps=4))
    distiller.compile(keras.optimizers.Adam())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("by_update", [True, False])
def test_adam_in_keras_is_that_of_the_loop_in_half_precision(dtype, by_update):
    adam, rates = inner.Adam(epsilon=1e-7), {"learning_rate": np.full(9, 0.1)}
    weights, rng = [tf.ones([4, 3], dtype)], np.random.default_rng(0)
    slots = unroll.first_slots(adam, weights)
    variable = keras.Variable(weights[0], dtype=dtype)
    if by_update:
        optimizer = inner.InnerOptimizer.to_keras(adam, rates)
    else:
        optimizer = adam.to_keras(rates)
    optimizer = half_precision.for_weights(optimizer, [variable])
    for t in range(9):
        # float16 has no such squares.
        gradients = [tf.constant(rng.normal(0, 1e-4, [4, 3]), dtype)]
        given = {"learning_rate": tf.constant(0.1)}
        weights, slots = adam.take(t, given, gradients, weights, slots)
        optimizer.apply(gradients, [variable])
    learned = np.asarray(weights[0], "float32")
    assert np.abs(learned - 1).max() > 0.3
    np.testing.assert_allclose(
        np.asarray(variable.value, "float32"), learned, atol=0.02
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_momentum_in_keras_is_that_of_the_loop_in_any_precision(dtype):
    momentum = inner.Momentum()
    weights, rng = [tf.zeros([4, 3], dtype)], np.random.default_rng(0)
    slots = unroll.first_slots(momentum, weights)
    variable = keras.Variable(weights[0], dtype=dtype)
    # bfloat16 has no number between 0.996 and 1.
    values = {"learning_rate": 1e-3, "momentum": 0.9985}
    optimizer = momentum.to_keras({k: np.full(60, v) for k, v in values.items()})
    given = {k: tf.constant(v, "float64") for k, v in values.items()}
    if dtype != "float64":
        given = {k: tf.cast(v, "float32") for k, v in given.items()}
    for t in range(60):
        gradients = [tf.constant(rng.normal(1, 0.5, [4, 3]), dtype)]
        weights, slots = momentum.take(t, given, gradients, weights, slots)
        optimizer.apply(gradients, [variable])
    np.testing.assert_allclose(
        np.asarray(variable.value, "float64"), np.asarray(weights[0], "float64"), 1e-6
    )


@pytest.mark.parametrize("optimizer", ["ordinary", "adam"])
def test_models_in_half_precision_learn_what_those_in_single_do(optimizer):
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=2)
    if optimizer == "ordinary":
        recipe = tfdistill.OrdinaryTraining(updates=20, learning_rate=0.02)
    else:
        rates = {"learning_rate": np.full((10, 2), 0.01)}
        recipe = tfdistill.LearnedSchedule(optimizer, rates)
    data, changes = data.replace(recipe=recipe), {}
    for policy in ("float32", "float16", "bfloat16"):
        model = students.build(digits_learner(policy), digits.image_shape, 10)
        rng = np.random.default_rng(0)
        start = [rng.normal(0, 0.1, w.shape) for w in model.get_weights()]
        model.set_weights(start)
        data.train(model)
        pairs = zip(model.get_weights(), start)
        changes[policy] = [np.asarray(a, "float32") - b for a, b in pairs]
    for policy in ("float16", "bfloat16"):
        error = measures.relative_error(changes[policy], changes["float32"])
        assert error < 0.25, policy


def test_networks_in_half_precision_are_pretrained_and_adapted():
    digits = tfdistill.load_dataset("digits")
    (model,) = pretraining.pretrain(
        lambda: students.build(digits_learner("bfloat16"), digits.image_shape, 10),
        digits,
        [0],
        pretraining.Recipe(5, 5, 0.01),
        batch_size=128,
        verbose=0,
    )
    assert pretraining.accuracies([model], digits.test)[0] > 0.8
    before = model.get_weights()
    shots = digits.test.sample(1)
    few = {"rounds": 3, "discriminator_steps": 1, "learning_rate": 0.01}
    tfdistill.adaptation.fada(model, digits.train, *shots, **few)
    moved = max(
        np.abs(np.asarray(a, "float32") - np.asarray(b, "float32")).max()
        for a, b in zip(model.get_weights(), before)
    )
    assert 0.01 < moved < 0.1


def test_a_model_that_learned_in_half_precision_is_saved_as_it_is(tmp_path):
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=2)
    data = data.replace(recipe=tfdistill.OrdinaryTraining(updates=2))
    model = students.build(digits_learner("bfloat16"), digits.image_shape, 10)
    data.train(model).save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is type(model.optimizer)
    for own, other in zip(model.optimizer.variables, again.optimizer.variables):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_a_fixed_start_in_half_precision_is_saved(name, tmp_path):
    def make():
        return sequential(dense(3, dtype=name))

    images = tfdistill.DistilledImages.from_noise(
        tfdistill.load_dataset("digits"), steps=1
    )

    def learner(image_shape, num_classes):
        flat = keras.layers.Flatten(dtype=name)
        return keras.Sequential([flat, dense(num_classes, dtype=name)])

    distiller = tfdistill.Distiller(learner, images, tfdistill.FixedWeights())
    distiller.distilled().save(tmp_path / "saved")
    loaded = tfdistill.DistilledDataset.load(tmp_path / "saved")
    model = students.build(learner, (8, 8, 1), 10)
    assert loaded.assign_initial_weights(model)
    ((student, _),) = distiller.population.members
    np.testing.assert_array_equal(
        np.asarray(model.weights[0], "float32"),
        np.asarray(student.weights[0], "float32"),
    )


# Students that surprise -----------------------------------------------------------


def clears_session():
    keras.utils.clear_session()
    return sequential(dense(3))


def clears_session_late():
    layers = [dense(4), dense(3)]
    keras.backend.clear_session(free_memory=False)
    return sequential(*layers)


_ONE = {}


def the_same_model():
    if not _ONE:
        _ONE["model"] = sequential(dense(3))
    return _ONE["model"]


def the_same_layers():
    return keras.Sequential([the_same_model(), dense(3)])


_TWO = []


def models_in_turn():
    if not _TWO:
        _TWO.extend([sequential(dense(3)), sequential(dense(3))])
    _TWO.reverse()
    return _TWO[0]


@pytest.mark.parametrize(
    "make, says",
    [
        (clears_session, "calls keras.utils.clear_session.*leave that call out"),
        (clears_session_late, "calls keras.utils.clear_session.*leave that call out"),
        (the_same_model, "the same layers twice .*dense.*inside the callable"),
        (the_same_layers, "the same layers twice .*dense.*FixedWeights"),
        (models_in_turn, "one that was made before .*dense.*inside the callable"),
    ],
)
def test_what_is_wrong_is_said(make, says):
    with pytest.raises(ValueError, match=says) as error:
        Population(make, SHAPE, 3)
    assert "\n" not in str(error.value)
    Population(make, SHAPE, 3, tfdistill.FixedWeights())
    images = np.random.default_rng(0).normal(size=(30, *SHAPE))
    data = tfdistill.from_arrays((images, np.arange(30) % 3))
    with pytest.raises(ValueError, match=says):
        pretraining.pretrain(make, data, range(3), pretraining.Recipe(1), verbose=0)
    learning = tfdistill.LearningStudents(size=2)
    with pytest.raises(ValueError, match=says):
        Population(make, SHAPE, 3, learning)


class NoTraining(keras.Model):
    """Its `call` has no `training`: Keras tells its layers all the same."""

    def __init__(self):
        super().__init__()
        self.stack = [
            keras.layers.Flatten(),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dropout(0.9),
            dense(3),
        ]

    def call(self, x):
        for layer in self.stack:
            x = layer(x)
        return x


class Unspoken(NoTraining):
    """It takes `training`, and says nothing of it to its layers."""

    def call(self, x, training=None):
        return super().call(x)


@pytest.mark.parametrize("make", [NoTraining, Unspoken])
def test_layers_of_subclasses_know_that_they_are_trained(make):
    given = problem(make)
    student = given.student
    images = 5 + 2 * given.images
    _, state, _ = student(given.weights, given.state, images, training=True)
    changed = [np.any(a != b) for a, b in zip(state, given.state)]
    assert all(changed) and len(changed) == 3
    _, state, _ = student(given.weights, given.state, images, training=False)
    assert all(np.array_equal(a, b) for a, b in zip(state, given.state))
    assert np.isfinite(judged(inner.BackGradient(), given)[0])


class TwoImages(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = sequential(dense(3))

    def call(self, one, two):
        return self.last(one + two)


class TwoAnswers(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = sequential(dense(3))

    def call(self, images):
        return {"logits": self.last(images), "images": images}


class OwnLoss(NoTraining):
    def compute_loss(self, *args, **kwargs):
        return 0.0 * super().compute_loss(*args, **kwargs)


class OwnStep(NoTraining):
    def train_step(self, data):
        return {}


class Noise(keras.layers.Layer):
    """Adds what `draw` gives."""

    def __init__(self, draw, **attributes):
        super().__init__(name="mine")
        self.draw = draw
        for name, value in attributes.items():
            setattr(self, name, value)

    def call(self, x, training=None):
        return x + self.draw(self) if training else x


def noisy(draw, **attributes):
    def make():
        own = {name: value() for name, value in attributes.items()}
        return sequential(dense(4), Noise(draw, **own), dense(3))

    return make


def spectral():
    return sequential(keras.layers.SpectralNormalization(dense(4), name="sn"), dense(3))


ELSEWHERE = keras.random.SeedGenerator(1)
NOT_SEEDED = {
    "keras.random": lambda _: keras.random.normal(()),
    "a generator of no layer": lambda _: keras.random.normal((), seed=ELSEWHERE),
    "tf.random": lambda _: tf.random.normal([], seed=1),
    "a branch": lambda _: tf.cond(
        tf.random.uniform([]) > 0.5, lambda: tf.random.normal([]), lambda: 0.0
    ),
    "a loop": lambda _: tf.map_fn(lambda _: tf.random.normal([]), tf.zeros([4])),
    "a function": lambda _: tf.function(tf.random.normal, autograph=False)([4]),
    "tf.random.Generator": lambda _: tf.random.get_global_generator().normal([]),
}
SEEDED = {
    "layers of Keras": lambda: sequential(
        keras.layers.Reshape(SHAPE),
        keras.layers.RandomFlip(),
        keras.layers.RandomTranslation(0.1, 0.1),
        keras.layers.RandomBrightness(0.1, (-3, 3)),
        keras.layers.RandomErasing(0.3),
        keras.layers.Reshape((16, 1)),
        keras.layers.LSTM(4, dropout=0.2, recurrent_dropout=0.2),
        keras.layers.GaussianNoise(0.1),
        keras.layers.BatchNormalization(),
        keras.layers.AlphaDropout(0.1),
        dense(3),
    ),
    "changes of a recipe": lambda: sequential(
        keras.layers.Reshape(SHAPE),
        tfdistill.RandomChanges(flip=True, shift=0.1).layer(),
        keras.layers.Flatten(),
        dense(3),
    ),
    "a generator of its own": noisy(
        lambda layer: keras.random.normal((), seed=layer.seeds[0]),
        seeds=lambda: [keras.random.SeedGenerator(1)],
    ),
    "a constant": noisy(lambda _: keras.random.normal((), seed=1)),
    "stateless": noisy(lambda _: tf.random.stateless_normal([], [1, 2])),
    "frozen weights": lambda: sequential(
        keras.layers.SpectralNormalization(dense(4, trainable=False)), dense(3)
    ),
}


def constrained(**kwargs):
    return lambda: sequential(dense(4, **kwargs), dense(3))


@pytest.mark.parametrize(
    "make, says",
    [
        (TwoImages, "cannot take images of shape"),
        (TwoAnswers, "one tensor of logits, not a dict"),
        (constrained(kernel_constraint="non_neg"), "constraint NonNeg on .*kern"),
        (constrained(bias_constraint=keras.constraints.MaxNorm(1)), "constraint MaxN"),
        (OwnLoss, "a compute_loss of its own, .* do not call: build it without"),
        (OwnStep, "a train_step of its own"),
        (spectral, "its layer 'sn' assigns to the weight .*kernel' in training"),
    ],
)
def test_students_that_are_refused(make, says):
    with pytest.raises(ValueError, match=says) as error:
        students.build(make, SHAPE, 3)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", NOT_SEEDED)
def test_random_numbers_of_no_seed_are_refused(name):
    says = "its layer 'mine' draws random numbers .*: give .*keras.random.SeedGenerator"
    with pytest.raises(ValueError, match=says):
        students.build(noisy(NOT_SEEDED[name]), SHAPE, 3)


class Counts(keras.layers.Layer):
    """Counts its calls, in a variable that Keras tracks or in another one."""

    def __init__(self, make):
        super().__init__(name="mine")
        self.make = make

    def build(self, shape):
        self.hidden = types.SimpleNamespace(count=self.make(self))

    def call(self, x):
        self.hidden.count.assign_add(tf.ones([]))
        return x + tf.cast(self.hidden.count > 1e9, x.dtype)


COUNTERS = {
    "tracked": lambda layer: layer.add_weight(trainable=False),
    "Keras's own": lambda _: keras.Variable(0.0),
    "TensorFlow's own": lambda _: tf.Variable(0.0),
}


@pytest.mark.parametrize("name", COUNTERS)
def test_variables_that_nothing_would_keep_are_refused(name):
    def make():
        return sequential(Counts(COUNTERS[name]), dense(3))

    if name == "tracked":
        students.build(make, SHAPE, 3)
        return
    with pytest.raises(ValueError, match="its layer 'mine' assigns to a variable that"):
        students.build(make, SHAPE, 3)


@pytest.mark.parametrize("name", SEEDED)
def test_random_numbers_of_seeds_are_drawn(name):
    students.build(SEEDED[name], SHAPE, 3)


def test_a_look_at_the_range_leaves_weights_that_training_assigns():
    model = spectral()
    before = model.get_weights()
    normalization = tfdistill.load_dataset("digits").normalization
    students.check_range([model], "own", SHAPE, normalization)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_penalties_of_layers_are_kept():
    def make():
        layers = [
            dense(4, activity_regularizer="l2"),
            dense(3, kernel_regularizer="l1"),
        ]
        return sequential(*layers)

    given = problem(make)
    _, _, penalty = given.student(given.weights, given.state, given.images, True)
    given.student.model(given.images)
    assert penalty.numpy() == pytest.approx(float(sum(given.student.model.losses)))


# The table in the docs ------------------------------------------------------------


def test_the_table_of_models_says_what_happens():
    page = Path(__file__).parents[1] / "docs" / "models.md"
    rows = re.findall(r"^\| (.+?) \| (\w+)", page.read_text("utf-8"), re.MULTILINE)
    table = {name.strip("`").lower(): answer for name, answer in rows}
    cases = {
        "subclassed model": NoTraining,
        "frozen layers": frozen_model,
        "embeddings": gathers,
        "softmax or sigmoid at the end": lambda: sequential(dense(3, "softmax")),
        "several outputs": TwoAnswers,
        "several inputs": TwoImages,
        "weight constraints": constrained(kernel_constraint="max_norm"),
        "layers that assign to their weights in training": spectral,
        "random numbers without a seed generator": noisy(NOT_SEEDED["tf.random"]),
        "a `train_step` or `compute_loss` of its own": OwnLoss,
        "the same layers each time": the_same_model,
        "`clear_session()` in the callable": clears_session,
        "mixed_float16": small("mixed_float16"),
        "mixed_bfloat16": small("mixed_bfloat16"),
        "float16": small("float16"),
        "bfloat16": small("bfloat16"),
        "float64": small("float64"),
    }
    for name, make in cases.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                Population(make, SHAPE, 3)
                answer = "yes"
            except ValueError:
                answer = "refused"
        assert table[name.strip("`")] == answer, name
