"""Second derivatives: exact where TensorFlow's are replaced, refused where not."""

import contextlib
import itertools
import pathlib
import re
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfdistill
from tfdistill import BackGradient, DistilledImages, Distiller, students
from tfdistill.inner import StatelessModel, second_order
from tfdistill.inner.second_order import functions, pooling
from tfdistill.inner.second_order.projective import projective_transform
from tfdistill.inner.second_order.resizing import resize
from tfdistill.testing import measures

SHAPE, CLASSES = (6, 6, 4), 3
INTERPOLATIONS = ["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area"]


def rows(layer, length=36):
    """A layer of sequences, on images as sequences."""
    return keras.Sequential([layers.Reshape((length, -1)), layer])


def volumes(layer):
    return keras.Sequential([layers.Reshape((6, 6, 4, 1)), layer])


def attention():
    inputs = keras.Input(SHAPE)
    x = layers.Reshape((36, 4))(inputs)
    return keras.Model(inputs, layers.MultiHeadAttention(2, 3)(x, x))


def own(function, **kwargs):
    return lambda: layers.Lambda(function, **kwargs)


# What docs/layers.md says is tried here, by the same names.

EXACT = {
    "Dense": lambda: layers.Dense(3, "tanh"),
    "EinsumDense": lambda: layers.EinsumDense("abcd,de->abce", (6, 6, 3)),
    "Conv1D": lambda: rows(layers.Conv1D(2, 3)),
    "Conv2D": lambda: layers.Conv2D(3, 3, strides=2),
    "Conv3D": lambda: volumes(layers.Conv3D(2, 3)),
    "Conv2DTranspose": lambda: layers.Conv2DTranspose(3, 3, strides=2),
    "DepthwiseConv2D": lambda: layers.DepthwiseConv2D(3, strides=2),
    "SeparableConv2D": lambda: layers.SeparableConv2D(3, 3),
    "AveragePooling1D": lambda: rows(layers.AveragePooling1D(3, 2)),
    "AveragePooling2D": lambda: layers.AveragePooling2D(3, 1, padding="same"),
    "GlobalAveragePooling2D": layers.GlobalAveragePooling2D,
    "GlobalMaxPooling2D": layers.GlobalMaxPooling2D,
    "LayerNormalization": layers.LayerNormalization,
    "UnitNormalization": layers.UnitNormalization,
    "MultiHeadAttention": attention,
    "SimpleRNN": lambda: rows(layers.SimpleRNN(3), 6),
    "GRU": lambda: rows(layers.GRU(3), 6),
    "LSTM": lambda: rows(layers.LSTM(3), 6),
    "Dropout": lambda: layers.Dropout(0.3, seed=1),
    "RandomFlip": lambda: layers.RandomFlip(seed=1),
    "RandomBrightness": lambda: layers.RandomBrightness(0.1, (-9, 9), seed=1),
    "RandomContrast": lambda: layers.RandomContrast(0.1, (-9, 9), seed=1),
    "RandomGaussianBlur": lambda: layers.RandomGaussianBlur(seed=1),
}
REPLACED = {
    "BatchNormalization": layers.BatchNormalization,
    "GroupNormalization": lambda: layers.GroupNormalization(2),
    "MaxPooling1D": lambda: rows(layers.MaxPooling1D(3, 1, padding="same")),
    "MaxPooling2D": lambda: layers.MaxPooling2D(3, 1, padding="same"),
    "MaxPooling3D": lambda: volumes(layers.MaxPooling3D(2, 1, padding="same")),
    "UpSampling2D": lambda: layers.UpSampling2D(interpolation="bilinear"),
    "Resizing": lambda: layers.Resizing(4, 9),
    "RandomRotation": lambda: layers.RandomRotation(0.2, seed=3),
    "RandomTranslation": lambda: layers.RandomTranslation(0.2, 0.2, seed=3),
    "RandomZoom": lambda: layers.RandomZoom(0.3, seed=3),
    "RandomShear": lambda: layers.RandomShear(0.3, seed=3),
    "RandomPerspective": lambda: layers.RandomPerspective(seed=3),
    "softsign": lambda: layers.Activation("softsign"),
    "tf.nn.local_response_normalization": own(
        lambda x: tf.nn.local_response_normalization(x, 1), output_shape=SHAPE
    ),
    "tf.nn.softmax_cross_entropy_with_logits": own(
        lambda x: tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(x[:, ::-1]), x)
    ),
    "tf.image.hsv_to_rgb": own(
        lambda x: tf.image.hsv_to_rgb(tf.sigmoid(x[..., :3])), output_shape=(6, 6, 3)
    ),
}
REFUSED = {
    "tf.image.crop_and_resize": lambda x: tf.image.crop_and_resize(
        x, [[0.1, 0.1, 0.8, 0.7]], [0], [4, 4]
    ),
    "tf.image.adjust_contrast": lambda x: tf.image.adjust_contrast(x, 1.1),
    "tf.image.adjust_hue": lambda x: tf.image.adjust_hue(tf.sigmoid(x[..., :3]), 0.1),
    "tf.image.adjust_saturation": lambda x: tf.image.adjust_saturation(
        tf.sigmoid(x[..., :3]), 1.1
    ),
    "tf.nn.dilation2d": lambda x: tf.nn.dilation2d(
        x, tf.ones([2, 2, 4]), [1] * 4, "SAME", "NHWC", [1] * 4
    ),
    "tf.nn.fractional_max_pool": lambda x: tf.nn.fractional_max_pool(x, 1.5, seed=1)[0],
    "tf.nn.max_pool_with_argmax": lambda x: tf.nn.max_pool_with_argmax(
        x, 2, 2, "VALID"
    )[0],
    "tf.numpy_function": lambda x: tf.ensure_shape(
        tf.numpy_function(np.abs, [x], tf.float32), x.shape
    ),
    "tf.quantization.fake_quant_with_min_max_vars": (
        lambda x: tf.quantization.fake_quant_with_min_max_vars(x, -1.0, 1.0)
    ),
}
WARNED = {
    "tf.stop_gradient": own(lambda x: x * tf.stop_gradient(x)),
    "BatchNormalization(renorm=True)": lambda: layers.BatchNormalization(renorm=True),
}
#: By `students.build`, as no student can have it.
REFUSED_AS_STUDENT = {
    "SpectralNormalization": lambda: layers.SpectralNormalization(layers.Conv2D(2, 3)),
}
#: Without kernels, or not made by Keras, in double precision.
SINGLE = {"RandomRotation", "tf.nn.local_response_normalization"}


def test_the_table_says_what_is_tried():
    text = (pathlib.Path(__file__).parents[1] / "docs" / "layers.md").read_text()
    found = {"exact": set(), "replaced": set(), "refused": set(), "warned": set()}
    for name, held in re.findall(r"^\| `([^`]+)`[^|]* \| (\w+)", text, re.MULTILINE):
        found[held].add(name)
    assert found == {
        "exact": set(EXACT),
        "replaced": set(REPLACED),
        "refused": {*REFUSED, *REFUSED_AS_STUDENT},
        "warned": set(WARNED),
    }


# Derivatives ----------------------------------------------------------------------


def error_of(make, dtype, exact=second_order.exact):
    """The relative error of a layer's derivatives, the larger of the first two's."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input(SHAPE), make()])
    state = [tf.identity(v.value) for v in model.variables]
    count = len(model.trainable_variables)
    at, direction = (tf.constant(rng.normal(size=(2, *SHAPE)), dtype) for _ in range(2))

    @tf.function(autograph=False)
    def gradients(images):
        with tf.GradientTape() as outer:
            outer.watch(images)
            with tf.GradientTape() as inner, exact():
                inner.watch(images)
                outputs, _ = model.stateless_call(
                    state[:count], state[count:], images, training=True
                )
                weights = tf.random.stateless_normal(tf.shape(outputs), [1, 2], 0, 1)
                loss = tf.reduce_sum(
                    tf.sin(0.7 * outputs) * tf.cast(weights, outputs.dtype)
                )
            first = inner.gradient(loss, images)
        second = outer.gradient(first, images, direction, unconnected_gradients="zero")
        return loss, first, second

    _, first, second = gradients(at)
    size = 1e-6 if dtype == "float64" else 3e-3
    ends = [gradients(at + sign * size * direction) for sign in (1, -1)]
    slope, change = ((a - b) / (2 * size) for a, b in zip(*(e[:2] for e in ends)))
    return max(
        measures.relative_error([tf.reduce_sum(first * direction)], [slope]),
        measures.relative_error([second], [change]),
    )


@pytest.mark.parametrize("name", [*EXACT, *REPLACED])
def test_second_derivative_of_a_layer(name):
    make = (EXACT | REPLACED)[name]
    if name in SINGLE:
        assert error_of(make, "float32") < 1e-2
    else:
        with measures.double_precision():
            assert error_of(make, "float64") < 1e-6


# TensorFlow's max pooling is wrong, too, but not always: tests/test_unroll.py.
@pytest.mark.parametrize("name", [n for n in REPLACED if "Max" not in n])
def test_what_is_replaced_is_wrong_in_tensorflow(name):
    dtype = "float32" if name in SINGLE else "float64"
    with contextlib.ExitStack() as stack:
        if dtype == "float64":
            stack.enter_context(measures.double_precision())
        try:
            error = error_of(REPLACED[name], dtype, exact=contextlib.nullcontext)
        except (LookupError, tf.errors.OpError, TypeError):
            return
    assert error > 1e-2


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("kind", ["Resizing", "UpSampling2D"])
def test_second_derivative_of_each_interpolation(kind, interpolation):
    make = {
        "Resizing": lambda: layers.Resizing(4, 9, interpolation=interpolation),
        "UpSampling2D": lambda: layers.UpSampling2D(2, interpolation=interpolation),
    }
    with measures.double_precision():
        assert error_of(make[kind], "float64") < 1e-6


BRANCHES = {
    "resizing": [
        lambda i=i: layers.Resizing(3, 5, interpolation=i) for i in INTERPOLATIONS
    ],
    "upsampling": [
        lambda i=i: layers.UpSampling2D(2, interpolation=i)
        for i in ("bilinear", "bicubic", "lanczos3")
    ],
    "transforms": [REPLACED[name] for name in ("RandomTranslation", "RandomZoom")],
    "normalisations": [
        *(REPLACED[n] for n in ("BatchNormalization", "GroupNormalization")),
        *(EXACT[n] for n in ("LayerNormalization", "UnitNormalization")),
        REPLACED["softsign"],
    ],
    "pooling": [
        *(REPLACED[f"MaxPooling{n}D"] for n in (1, 2, 3)),
        *(EXACT[f"AveragePooling{n}D"] for n in (1, 2)),
    ],
    "convolutions": [
        EXACT[n] for n in ("DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose")
    ],
    "attention": [attention],
}


@pytest.mark.parametrize("name", BRANCHES)
def test_meta_gradient_through_a_whole_student(name):
    def make_model():
        keras.utils.set_random_seed(1)
        inputs = keras.Input(SHAPE)
        # What is replaced stands between weights, so that all of its parts count.
        x = layers.Conv2D(4, 3, padding="same", activation="tanh")(inputs)
        ends = [layers.Flatten()(make()(x)) for make in BRANCHES[name]]
        x = layers.Concatenate()(ends) if len(ends) > 1 else ends[0]
        return keras.Model(inputs, layers.Dense(CLASSES)(x))

    images = np.random.default_rng(0).standard_normal((1, CLASSES, *SHAPE))
    with measures.double_precision():
        synthesizer = DistilledImages(
            images, np.arange(CLASSES), CLASSES, epochs=2, learning_rate=0.1
        )
        problem = measures.problem(synthesizer, make_model=make_model)
        second_order.check(problem.student, SHAPE, name)
        function = tf.function(lambda: BackGradient()(problem), autograph=False)
        measures.check_derivatives(
            lambda: function().loss,
            synthesizer.trainable_variables,
            function().gradients,
        )


def test_resizing_and_transforms_compile():
    images = tf.random.stateless_normal([2, *SHAPE], [1, 2])
    shift = [[1.0, 0.1, 0.5, -0.1, 1.0, 0.2, 0.0, 0.0]]

    def twice(images):
        with tf.GradientTape() as outer:
            outer.watch(images)
            with tf.GradientTape() as inner:
                inner.watch(images)
                x = resize(images, [4, 9], "bicubic")
                x = projective_transform(x, shift, [4, 9], 0.0, "BILINEAR", "REFLECT")
                loss = tf.reduce_sum(x**3)
            gradient = inner.gradient(loss, images)
        return gradient, outer.gradient(gradient, images)

    for a, b in zip(tf.function(twice, jit_compile=True)(images), twice(images)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


# Values ---------------------------------------------------------------------------


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("method", [*INTERPOLATIONS, "gaussian", "mitchellcubic"])
def test_resizing_has_tensorflows_values(method, antialias):
    rng = np.random.default_rng(0)
    for before, after in [((7, 5), (4, 9)), ((1, 8), (4, 2)), ((5, 5), (5, 5))]:
        images = tf.constant(rng.normal(size=(2, *before, 3)), tf.float32)
        for given in (images, images[0], tf.cast(images, tf.float16)):
            found = resize(given, after, method, antialias=antialias)
            expected = tf.image.resize(given, after, method, antialias=antialias)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_resizing_of_what_is_known_late():
    images = tf.random.stateless_normal([2, 7, 5, 3], [1, 2])
    expected = tf.image.resize(images, [4, 9])

    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, None, None, 3]),
            tf.TensorSpec([2], tf.int32),
        ],
    )
    def late(images, size):
        return resize(images, size)

    np.testing.assert_allclose(late(images, [4, 9]), expected, atol=1e-6)
    found = resize(images, tf.constant([4, 9]))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    kept = resize(images, [4, 4], preserve_aspect_ratio=True)
    expected = tf.image.resize(images, [4, 4], preserve_aspect_ratio=True)
    np.testing.assert_array_equal(kept, expected)
    whole = tf.cast(images, tf.int32)
    np.testing.assert_array_equal(resize(whole, [4, 4]), tf.image.resize(whole, [4, 4]))


@pytest.mark.parametrize("interpolation", ["NEAREST", "BILINEAR"])
@pytest.mark.parametrize("fill_mode", ["CONSTANT", "REFLECT", "WRAP", "NEAREST"])
def test_transforms_have_tensorflows_values(interpolation, fill_mode):
    rng = np.random.default_rng(0)
    sizes = [(6, 7), (1, 5), (9, 4)]
    for count, (k, size) in itertools.product((1, 3), enumerate(sizes * 4)):
        images = tf.constant(rng.normal(size=(3, *size, 2)), tf.float32)
        far = 0.04 * (k % 2)
        transforms = np.tile([1, 0, 0, 0, 1, 0, 0, 0], (count, 1)) + rng.normal(
            size=(count, 8)
        ) * [0.5, 0.5, 9, 0.5, 0.5, 9, far, far]
        arguments = {
            "images": images,
            "transforms": tf.constant(transforms, tf.float32),
            "output_shape": [5, 8],
            "fill_value": 0.7,
            "interpolation": interpolation,
            "fill_mode": fill_mode,
        }
        np.testing.assert_allclose(
            projective_transform(**arguments),
            tf.raw_ops.ImageProjectiveTransformV3(**arguments),
            atol=1e-5,
        )


def test_functions_have_tensorflows_values():
    x = tf.random.stateless_normal([2, 5, 6, 12], [1, 2])
    for name, (ours, *arguments) in {
        "moments": (functions.moments, x, [0, 1]),
        "softsign": (functions.softsign, x),
        "lrn": (functions.local_response_normalization, x, 2, 2.0, 1e-2, 0.75),
        "local_response_normalization": (functions.local_response_normalization, x),
        "softmax_cross_entropy_with_logits": (
            functions.softmax_cross_entropy_with_logits,
            tf.nn.softmax(x[::-1]),
            x,
        ),
        "max_pool1d": (pooling.max_pool1d, x[0], 3, 1, "SAME"),
        "max_pool2d": (pooling.max_pool2d, x, 3, 1, "SAME"),
        "max_pool3d": (pooling.max_pool3d, x[..., None], 3, 1, "SAME"),
        "pool": (pooling.pool, x, [3, 3], "MAX", [1, 1], "SAME"),
    }.items():
        expected = getattr(tf.nn, name)(*arguments)
        for a, b in zip(tf.nest.flatten(ours(*arguments)), tf.nest.flatten(expected)):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    colours = tf.random.stateless_uniform([20, 20, 3], [1, 2])
    np.testing.assert_allclose(
        functions.hsv_to_rgb(colours), tf.image.hsv_to_rgb(colours), atol=1e-6
    )


def test_tensorflow_gets_its_functions_back():
    places = list(second_order._EXACT)
    before = [getattr(*place) for place in places]
    with pytest.raises(KeyError), second_order.exact(), second_order.exact():
        assert [getattr(*place) for place in places] == list(
            second_order._EXACT.values()
        )
        raise KeyError
    assert [getattr(*place) for place in places] == before


# The guard ------------------------------------------------------------------------


def student_with(function):
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, name="before")(inputs)
    make = function if isinstance(function, layers.Layer) else None
    x = (make or layers.Lambda(function, name="mine"))(x)
    outputs = layers.Dense(CLASSES)(layers.Flatten()(layers.Activation("tanh")(x)))
    return StatelessModel(keras.Model(inputs, outputs))


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_second_derivative_is_refused(name):
    with pytest.raises(ValueError, match="^student own: its layer 'mine' uses ") as e:
        second_order.check(student_with(REFUSED[name]), SHAPE, "own")
    assert "images cannot be distilled through it: use " in str(e.value)


@pytest.mark.parametrize("name", REFUSED_AS_STUDENT)
def test_what_no_student_can_have_is_refused(name):
    with pytest.raises(ValueError, match="assigns to .* in training"):
        students.build(
            lambda: student_with(REFUSED_AS_STUDENT[name]()).model, SHAPE, CLASSES
        )


@pytest.mark.parametrize(
    "function",
    [
        tf.function(lambda x: tf.raw_ops.Softsign(features=x), autograph=False),
        lambda x: tf.map_fn(lambda row: tf.raw_ops.Softsign(features=row), x),
        lambda x: tf.cond(
            tf.reduce_sum(x) > 0, lambda: tf.raw_ops.Softsign(features=x), lambda: x
        ),
    ],
)
def test_functions_loops_and_branches_are_searched(function):
    with pytest.raises(ValueError, match="'mine' uses Softsign, .*: use tf.nn.softs"):
        second_order.check(student_with(function), SHAPE, "own")


@pytest.mark.parametrize("name", WARNED)
def test_a_stopped_gradient_is_said_once(name):
    student = student_with(WARNED[name]())
    with pytest.warns(UserWarning, match="^student own: its layer .* stops ") as found:
        second_order.check(student, SHAPE, "own")
    assert len(found) == 1


@tf.custom_gradient
def with_a_derivative_of_its_own(x):
    return tf.raw_ops.Softsign(features=x), lambda g: g * tf.exp(-x)


@pytest.mark.parametrize(
    "function",
    [
        with_a_derivative_of_its_own,
        tf.function(tf.nn.silu, autograph=False),
        lambda x: tf.map_fn(tf.nn.softplus, x),
        lambda x: x + tf.round(x) * tf.cast(x > 0, x.dtype),
        lambda x: x * tf.cast(tf.argmax(x, -1), x.dtype)[..., None],
        lambda x: x + tf.zeros_like(x) * tf.random.normal(tf.shape(x)),
        lambda x: keras.ops.logsumexp(x, -1),
        # What is not on the way is nobody's matter.
        lambda x: (tf.raw_ops.Softsign(features=x), x)[1],
    ],
)
def test_no_false_alarm(function):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second_order.check(student_with(function), SHAPE, "own")


@pytest.mark.parametrize("name", students.STUDENTS)
def test_no_false_alarm_for_what_ships(name):
    shape = (63, 63, 3) if name == "alexnet" else (8, 8, 1)
    student = StatelessModel(students.build(name, shape, CLASSES))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second_order.check(student, shape, name)
    assert second_order.reaches_images(student, shape)


@pytest.mark.parametrize("name", [*EXACT, *REPLACED])
def test_no_false_alarm_for_layers(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = keras.Sequential([keras.Input(SHAPE), (EXACT | REPLACED)[name]()])
        model.add(layers.Flatten())
        model.add(layers.Dense(CLASSES))
        second_order.check(StatelessModel(model), SHAPE, name)
    assert second_order.reaches_images(StatelessModel(model), SHAPE)


@pytest.mark.slow
def test_no_false_alarm_for_mobilenet():
    shape = (32, 32, 3)
    model = keras.applications.MobileNetV2(
        shape, weights=None, classes=CLASSES, classifier_activation=None
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second_order.check(StatelessModel(model), shape, "mobilenet")


def some_images():
    images = np.zeros((1, CLASSES, *SHAPE))
    return DistilledImages(images, np.arange(CLASSES), CLASSES, epochs=1)


def test_a_distiller_refuses_at_once():
    def student():
        return student_with(REFUSED["tf.nn.dilation2d"]).model

    with pytest.raises(ValueError, match="student: its layer 'mine' uses Dilation2D"):
        Distiller(student, some_images())


def reads(function):
    """A student's callable: all that it knows of images goes through the function."""

    def make(image_shape, num_classes):
        images = keras.Input(image_shape)
        x = layers.Flatten()(layers.Lambda(function)(images))
        return keras.Model(images, layers.Dense(num_classes)(x))

    return make


def tokens():
    images = keras.Input(SHAPE)
    x = layers.Embedding(300, 2)(layers.Flatten()(images))
    return keras.Model(images, layers.Dense(CLASSES)(layers.Flatten()(x)))


def tokens_and_values():
    images = keras.Input(SHAPE)
    x = layers.Flatten()(images)
    x = layers.Concatenate()([x, layers.Flatten()(layers.Embedding(300, 2)(x))])
    return keras.Model(images, layers.Dense(CLASSES)(x))


@pytest.mark.parametrize(
    "make",
    [
        tokens,
        reads(tf.round),
        reads(tf.sign),
        reads(tf.function(lambda x: 2 * tf.floor(x), autograph=False)),
        reads(lambda x: tf.map_fn(tf.math.rint, x)),
        reads(tf.stop_gradient),
    ],
)
@pytest.mark.filterwarnings("ignore:.*stops gradients")
def test_a_student_without_a_derivative_by_the_images_is_refused(make):
    with pytest.raises(ValueError, match="^student .*: no derivative leads from its"):
        Distiller(make, some_images())


@pytest.mark.parametrize(
    "make",
    [
        tokens_and_values,
        reads(tf.custom_gradient(lambda x: (tf.round(x), lambda g: g))),
        reads(lambda x: x + tf.stop_gradient(tf.round(x) - x)),
        reads(lambda x: tf.cond(x[0, 0, 0, 0] > 0, lambda: tf.round(x), lambda: x)),
    ],
)
@pytest.mark.filterwarnings("ignore:.*stops gradients")
def test_another_way_to_the_images_is_enough(make):
    images = some_images()
    distiller = Distiller(make, images)
    distiller.compile()
    before = images.images.numpy()
    real = np.random.default_rng(1).standard_normal((6, *SHAPE)).astype("float32")
    batch = tf.data.Dataset.from_tensors((real, np.arange(6) % CLASSES))
    distiller.fit(batch, verbose=0)
    assert np.abs(images.images.numpy() - before).max() > 1e-4


def test_a_student_without_a_derivative_by_the_images_may_learn_real_ones():
    digits = tfdistill.load_dataset("digits")
    Distiller(reads(tf.round), tfdistill.RealBatches(digits, steps=2, batch_size=4))


def test_ridge_regression_needs_no_second_derivative():
    images = DistilledImages(
        np.random.default_rng(0).standard_normal((1, CLASSES, *SHAPE)),
        np.arange(CLASSES),
        CLASSES,
        epochs=1,
        centred_labels=True,
        recipe=tfdistill.OrdinaryTraining(),
    )
    distiller = Distiller(
        lambda: student_with(REFUSED["tf.nn.dilation2d"]).model,
        images,
        tfdistill.LearningStudents(size=1),
        "least_squares",
        meta_gradient=tfdistill.RidgeRegression(),
    )
    distiller.compile()
    before = images.images.numpy()
    real = np.random.default_rng(1).standard_normal((6, *SHAPE)).astype("float32")
    batch = tf.data.Dataset.from_tensors((real, np.arange(6) % CLASSES))
    distiller.fit(batch.repeat(2), verbose=0)  # and the student takes a step of its own
    assert np.abs(images.images.numpy() - before).max() > 1e-4


def test_ridge_regression_needs_a_first_derivative():
    layer = layers.Lambda(lambda x: x + tf.raw_ops.Bitcast(input=x, type=x.dtype))
    student = StatelessModel(student_with(layer).model, "own")
    with pytest.raises(ValueError, match="own: .* uses Bitcast, whose deriv"):
        tfdistill.RidgeRegression().check_student(student, SHAPE)
