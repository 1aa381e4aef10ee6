"""The meta-gradient, against finite differences and plain nested tapes."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfdistill import (
    BackGradient,
    Classification,
    DistilledImages,
    FixedWeights,
    FullUnroll,
    students,
)
from tfdistill.inner import (
    Problem,
    StatelessModel,
    back_gradient,
    parts,
    second_order,
    train,
)

SHAPE, CLASSES = (8, 8, 1), 3


def lenet():
    return students.lenet(SHAPE, CLASSES)


def convnet():
    return students.convnet(SHAPE, CLASSES, width=8, depth=2)


def batch_norm():
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(4, 3, strides=2),
            layers.BatchNormalization(momentum=0.7),
            layers.Activation("tanh"),
            layers.Flatten(),
            layers.Dense(CLASSES),
        ]
    )


def dropout():
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Flatten(),
            layers.Dense(12, "tanh"),
            layers.Dropout(0.4, seed=3),
            layers.Dense(CLASSES),
        ]
    )


def two_branches():
    inputs = keras.Input(SHAPE)
    left = layers.Flatten()(layers.Conv2D(3, 3, activation="swish")(inputs))
    right = layers.Dense(5, "tanh")(layers.Flatten()(inputs))
    outputs = layers.Dense(CLASSES)(layers.Concatenate()([left, right]))
    return keras.Model(inputs, outputs)


def recurrent_attention():
    inputs = keras.Input(SHAPE)
    rows = layers.Reshape((8, 8))(inputs)
    x = layers.LayerNormalization()(layers.GRU(4, return_sequences=True)(rows))
    x = layers.MultiHeadAttention(2, 3)(x, x)
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(x)))


def regularised(strength=0.1):
    inputs = keras.Input(SHAPE)
    x = layers.SeparableConv2D(4, 3, activation="relu")(inputs)
    x = layers.GroupNormalization(2)(x)
    x = layers.Flatten()(x)
    penalty = keras.regularizers.L2(strength)
    return keras.Model(inputs, layers.Dense(CLASSES, kernel_regularizer=penalty)(x))


EVERY = [
    *(lenet, convnet, batch_norm, dropout),
    *(two_branches, recurrent_attention, regularised),
]


@pytest.fixture
def float64():
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


class Setting:
    """A student, a synthesizer with soft labels and a real batch, all small."""

    def __init__(self, make_model, steps=2, epochs=2, rate=0.1, judgements=1, **kwargs):
        keras.utils.set_random_seed(1)
        rng = np.random.default_rng(0)
        self.model = make_model()
        self.student = StatelessModel(self.model)
        self.initial_weights = FixedWeights()
        self.initial_weights.build(make_model, self.model)
        self.synthesizer = DistilledImages(
            rng.standard_normal((steps, 2 * CLASSES, *SHAPE)),
            np.tile(np.arange(CLASSES), 2),
            CLASSES,
            epochs=epochs,
            learning_rate=rate,
            soft_labels=True,
            **kwargs,
        )
        dtype, size = keras.config.floatx(), 20 * judgements
        self.images = tf.constant(rng.standard_normal((size, *SHAPE)), dtype)
        self.labels = tf.constant(rng.integers(0, CLASSES, size), tf.int32)
        self.function = tf.function(self.unroll, autograph=False)
        # One object of each kind, so that each is traced once.
        self.meta_gradient = functools.cache(
            functools.partial(self._meta_gradient, judgements=judgements)
        )

    @staticmethod
    def _meta_gradient(kind, **options):
        return kind(**options)

    def unroll(self, meta_gradient):
        return meta_gradient(
            Problem(
                self.student,
                self.synthesizer,
                Classification(),
                *self.initial_weights.sample(tf.constant([1, 2])),
                self.images,
                self.labels,
            )
        )

    def __call__(self, kind, **options):
        return self.function(self.meta_gradient(kind, **options))


def check_against_central_differences(function, variables, gradients, size=1e-6):
    """Compares derivatives along a direction of each variable, to 1e-6."""
    rng = np.random.default_rng(1)
    for variable, gradient in zip(variables, gradients):
        value, gradient = variable.numpy(), np.asarray(gradient)
        direction = rng.standard_normal(value.shape)
        direction /= np.linalg.norm(direction)
        # Along the gradient too, so that the derivative is not small by chance.
        direction += gradient / np.linalg.norm(gradient)
        losses = []
        for sign in (+1, -1):
            variable.assign(value + sign * size * direction)
            losses.append(float(function()))
        variable.assign(value)
        numeric = (losses[0] - losses[1]) / (2 * size)
        exact = float(np.sum(gradient * direction))
        assert abs(exact) > 1e-5, variable.name
        # The differences themselves are rounded, to about 1e-16 / size.
        assert exact == pytest.approx(numeric, rel=1e-6, abs=3e-10), variable.name


@pytest.mark.parametrize("make_model", EVERY)
def test_meta_gradient_against_central_differences(make_model, float64):
    setting = Setting(make_model)
    variables = setting.synthesizer.trainable_variables
    assert [v.name for v in variables] == ["images", "label_logits", "raw_rates"]
    check_against_central_differences(
        lambda: setting(BackGradient).loss,
        variables,
        setting(BackGradient).gradients,
    )


@pytest.mark.parametrize(
    ("inner_optimizer", "judgements"), [("momentum", 1), ("adam", 2)]
)
def test_momenta_adam_and_judgements_on_the_way(inner_optimizer, judgements, float64):
    setting = Setting(
        batch_norm, inner_optimizer=inner_optimizer, judgements=judgements
    )
    variables = setting.synthesizer.trainable_variables
    momenta = ["raw_momenta"] if inner_optimizer == "momentum" else []
    assert [v.name for v in variables][2:] == ["raw_rates", *momenta]
    ours, reference = setting(BackGradient), setting(FullUnroll)
    assert float(ours.loss) == pytest.approx(float(reference.loss), rel=1e-12)
    for a, b in zip(ours.gradients, reference.gradients):
        assert np.linalg.norm(a - b) < 1e-10 * np.linalg.norm(b)
    check_against_central_differences(
        lambda: setting(BackGradient).loss, variables, ours.gradients
    )


@pytest.mark.parametrize(
    ("keep_every", "make_model"),
    [(3, dropout), (np.int64(4), batch_norm), (2**40, batch_norm)],
)
def test_steps_between_kept_ones_are_made_again(keep_every, make_model):
    # Six steps; dropout's seeds and batch norm's averages are made again, too.
    setting = Setting(make_model, epochs=3, inner_optimizer="momentum", judgements=3)
    kept = setting(BackGradient, keep_every=1)
    again = setting(BackGradient, keep_every=keep_every)
    assert float(again.loss) == pytest.approx(float(kept.loss), rel=1e-6)
    for a, b in zip(again.gradients, kept.gradients):
        assert np.linalg.norm(b) > 0
        assert np.linalg.norm(a - b) < 1e-5 * np.linalg.norm(b)


def test_many_steps_of_a_large_student_keep_few(monkeypatch):
    setting = Setting(lenet, steps=10, epochs=10)
    needed = 100 * 4 * setting.model.count_params()
    made = lengths_of_arrays(monkeypatch)
    for budget, lengths in ((needed, {100}), (needed - 1, {10})):
        monkeypatch.setattr(back_gradient, "KEPT_BYTES", budget)
        made.clear()
        function = tf.function(setting.unroll, autograph=False)
        function.get_concrete_function(BackGradient())
        assert set(made) == lengths


def lengths_of_arrays(monkeypatch):
    """The lengths of all arrays of tensors made from now on."""
    lengths, make = [], tf.TensorArray

    def recorded(dtype, size, **kwargs):
        lengths.append(size)
        return make(dtype, size, **kwargs)

    monkeypatch.setattr(tf, "TensorArray", recorded)
    return lengths


@pytest.mark.parametrize("make_model", [lenet, dropout])
def test_back_gradient_equals_nested_tapes(make_model):
    """In float32; in float64 all layers are compared with central differences."""
    setting = Setting(make_model)
    ours, reference = setting(BackGradient), setting(FullUnroll)
    assert float(ours.loss) == pytest.approx(float(reference.loss), rel=1e-6)
    for a, b in zip(ours.gradients, reference.gradients):
        assert np.linalg.norm(b) > 0
        assert np.linalg.norm(a - b) < 1e-5 * np.linalg.norm(b)


@pytest.mark.parametrize("known", [True, False])
def test_examples_of_a_small_last_batch_judge_in_turn(known):
    """A batch that is smaller than the number of judgements, of known size or not."""
    setting = Setting(batch_norm, judgements=4)
    images, labels = setting.images, setting.labels
    shapes = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in (images, labels)]

    @tf.function(autograph=False, input_signature=None if known else shapes)
    def judged(images, labels):
        setting.images, setting.labels = images, labels
        return setting.unroll(BackGradient(judgements=4))

    small, in_turn = [0, 1, 2], [0, 1, 2, 0]
    found, expected = (
        judged(tf.gather(images, rows), tf.gather(labels, rows))
        for rows in (small, in_turn)
    )
    assert np.isfinite(found.loss)
    assert float(found.loss) == pytest.approx(float(expected.loss), rel=1e-6)
    np.testing.assert_allclose(*(of.gradients[0] for of in (found, expected)), 1e-5)


def test_threads_share_a_large_real_batch(monkeypatch):
    """Each judges a part; in all, that is the judgement on the whole batch."""
    threads = tf.config.threading
    monkeypatch.setattr(threads, "get_inter_op_parallelism_threads", lambda: 3)
    setting = Setting(batch_norm, judgements=40)
    sizes = []

    def network(images):
        sizes.append(len(images))
        return tf.reduce_mean(images, [1, 2, 3])

    outputs = parts.side_by_side(setting.student, network, setting.images)
    assert sizes == [266, 267, 267]
    np.testing.assert_array_equal(outputs, network(setting.images))
    setting.meta_gradient = lambda kind: kind()
    ours, reference = setting(BackGradient), setting(FullUnroll)
    np.testing.assert_allclose(ours.outputs, reference.outputs, atol=1e-5)
    for a, b in zip(ours.gradients, reference.gradients):
        assert np.linalg.norm(a - b) < 1e-5 * np.linalg.norm(b)


def own_statistics():
    """In inference, too, the mean that is subtracted is that of the batch."""
    inputs = keras.Input(SHAPE)
    hidden = layers.Dense(6)(layers.Flatten()(inputs))
    hidden -= keras.ops.mean(hidden, 0, keepdims=True)
    outputs = layers.Dense(CLASSES, kernel_initializer="zeros")(hidden)
    return keras.Model(inputs, outputs)


def test_a_student_that_mixes_images_is_judged_on_whole_batches(monkeypatch):
    threads = tf.config.threading
    monkeypatch.setattr(threads, "get_inter_op_parallelism_threads", lambda: 3)
    setting = Setting(own_statistics, judgements=40)
    setting.images += tf.linspace(0.0, 3.0, len(setting.images))[:, None, None, None]
    setting.meta_gradient = lambda kind: kind()
    ours, reference = setting(BackGradient), setting(FullUnroll)
    np.testing.assert_allclose(ours.outputs, reference.outputs, atol=1e-5)
    for a, b in zip(ours.gradients, reference.gradients):
        assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(b)


@pytest.mark.parametrize(
    ("make_model", "sizes"), [(batch_norm, {64}), (own_statistics, {256})]
)
def test_parts_follow_one_another_of_a_student_that_mixes_no_images(make_model, sizes):
    model, seen = make_model(), set()

    def network(images):
        seen.add(images.shape[0])
        return model(images)

    images = tf.random.stateless_normal([256, *SHAPE], [0, 0])
    found = parts.one_by_one(StatelessModel(model), network, images)
    assert seen == sizes
    np.testing.assert_allclose(found, model(images), atol=1e-5)


@pytest.mark.parametrize("images_type", ["float16", "float32", "float64"])
@pytest.mark.parametrize("policy", ["float32", "float64"])
def test_parts_are_in_the_precision_of_the_whole_batch(images_type, policy):
    dense = layers.Dense(CLASSES, dtype=policy)
    flat = layers.Flatten(dtype=policy)
    student = StatelessModel(keras.Sequential([keras.Input(SHAPE), flat, dense]))

    def network(images):
        return student(student.weights, student.state, images, training=False)[0]

    images = tf.random.stateless_normal([256, *SHAPE], [0, 0], dtype="float64")
    images = tf.cast(images, images_type)
    found = tf.function(parts.one_by_one, autograph=False)(student, network, images)
    whole = network(images)
    assert found.dtype == whole.dtype
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_a_regulariser_counts():
    penalised = Setting(regularised)(BackGradient)
    free = Setting(lambda: regularised(0.0))(BackGradient)
    assert not np.allclose(penalised.gradients[0], free.gradients[0], rtol=1e-3)


def test_the_graph_does_not_grow_with_the_steps():
    def size(steps):
        setting = Setting(two_branches, steps=steps, epochs=1)
        graph = setting.function.get_concrete_function(BackGradient()).graph
        definition = graph.as_graph_def()
        return len(definition.node) + sum(
            len(function.node_def) for function in definition.library.function
        )

    assert size(3) == size(30)


@pytest.mark.parametrize("inner_optimizer", ["sgd", "momentum", "adam"])
def test_the_inner_loop_is_what_fit_does(inner_optimizer):
    rate = 0.01 if inner_optimizer == "adam" else 0.1
    setting = Setting(
        batch_norm, steps=3, epochs=2, rate=rate, inner_optimizer=inner_optimizer
    )
    synthesizer = setting.synthesizer
    schedule = synthesizer.schedule
    rng = np.random.default_rng(0)
    for raw in schedule.trainable_variables:
        raw.assign_add(0.3 * rng.standard_normal(raw.shape))
    weights, state = train(
        setting.student,
        synthesizer,
        Classification(),
        *setting.initial_weights.sample(tf.constant([1, 2])),
    )
    values = {name: x.numpy().ravel() for name, x in schedule.values().items()}
    setting.model.compile(
        synthesizer.inner_optimizer.to_keras(values),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    batches = (synthesizer.images.numpy(), synthesizer.labels.numpy())
    setting.model.fit(
        tf.data.Dataset.from_tensor_slices(batches), epochs=2, shuffle=False, verbose=0
    )
    for a, b in zip(weights, setting.model.trainable_variables):
        np.testing.assert_allclose(a, b, atol=1e-5)
    for a, b in zip(state, setting.model.non_trainable_variables):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("make_model", [lenet, batch_norm])
def test_xla_gives_the_same(make_model):
    setting = Setting(make_model)
    plain = setting(BackGradient)
    compiled = tf.function(setting.unroll, jit_compile=True, autograph=False)
    for a, b in zip(compiled(BackGradient()).gradients, plain.gradients):
        # XLA fuses and reorders float32 sums.
        assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(b)


@pytest.mark.parametrize(
    ("shape", "size", "strides", "padding"),
    [
        ((9, 8), 2, 2, "VALID"),
        ((9, 8), (3, 2), (2, 1), "SAME"),
        ((9, 8), [1, 3, 3, 1], [1, 2, 2, 1], "SAME"),
        ((9,), 3, 2, "SAME"),
        ((5, 4, 6), 2, 2, "VALID"),
        # The output has the input's shape.
        ((8, 7), 3, 1, "SAME"),
        ((1, 1), 2, 2, "SAME"),
        ((5,), 1, 1, "VALID"),
        ((3, 1, 4), (3, 1, 2), 1, "SAME"),
    ],
)
def test_pooling_has_a_second_derivative(shape, size, strides, padding):
    rng = np.random.default_rng(0)
    images, direction = (tf.constant(rng.normal(size=(2, *shape, 3))) for _ in range(2))

    @tf.function(autograph=False)
    def twice(images):
        with tf.GradientTape() as outer:
            outer.watch(images)
            with tf.GradientTape() as inner, second_order.exact():
                inner.watch(images)
                pooled = tf.nn.max_pool(images * images, size, strides, padding)
                loss = tf.reduce_sum(pooled**3)
            gradient = inner.gradient(loss, images)
        # A gradient that nobody else holds.
        second = outer.gradient(gradient, images, output_gradients=direction * 2.0)
        return pooled, gradient, second

    pooled, gradient, second = twice(images)
    # TensorFlow has no three-dimensional pooling in double precision.
    single = tf.cast(images * images, tf.float32)
    expected = tf.nn.max_pool(single, size, strides, padding)
    np.testing.assert_allclose(pooled, expected, rtol=1e-6)
    step = 1e-6 * 2 * direction
    ends = [twice(images + sign * step)[1] for sign in (1, -1)]
    np.testing.assert_allclose(second, (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-6)
    if len(shape) == 2:  # XLA
        images, direction = (tf.cast(x, tf.float32) for x in (images, direction))
        for a, b in zip(
            tf.function(twice, jit_compile=True)(images), (pooled, gradient, second)
        ):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_the_model_itself_is_left_alone():
    setting = Setting(dropout)
    before = [v.numpy() for v in setting.model.variables]
    setting(BackGradient)
    for variable, value in zip(setting.model.variables, before):
        np.testing.assert_array_equal(variable, value)


def test_tensorflow_is_as_it_was_after_a_trace():
    import tensorflow.python.ops.nn_impl as nn

    setting = Setting(batch_norm)
    setting(BackGradient)
    assert tf.nn.moments is nn.moments_v2
    with second_order.exact():
        exact = tf.nn.moments
        with second_order.exact():
            assert tf.nn.moments is exact is not nn.moments_v2
        assert tf.nn.moments is exact
    assert tf.nn.moments is nn.moments_v2
