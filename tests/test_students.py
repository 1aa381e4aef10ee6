"""Students as shipped, and as users bring them."""

import functools
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdistill import inner, students
from tfdistill.cli.errors import own_frames
from tfdistill.students.names import each_of
from tfdistill.students.networks import LocalResponseNormalization, XavierNormal

# Small images that each student can still take.
SMALL = {
    "lenet": (8, 8, 1),
    "alex_cifar_net": (8, 8, 3),
    "alexnet": (63, 63, 3),
    "convnet": (8, 8, 1),
    "wide_convnet": (8, 8, 1),
    "wide_convnet_bn": (8, 8, 1),
    "mlp": (8, 8, 1),
    "linear": (8, 8, 1),
    "gtn_learner": (7, 8, 1),
}


def make_images(shape, batch=2, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, *shape)).astype("float32")


def layers_of(*layers):
    """A student that has fresh layers like these at every call."""
    return lambda: keras.Sequential(
        [type(layer).from_config(layer.get_config()) for layer in layers]
    )


def flat_dense(units=10, **kwargs):
    return keras.layers.Flatten(), keras.layers.Dense(units, **kwargs)


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.gate = keras.layers.Dense(64, activation="sigmoid")
        self.logits = keras.layers.Dense(10)
        self.flatten = keras.layers.Flatten()

    def call(self, images):
        flat = self.flatten(images)
        return self.logits(tf.nn.relu(flat) * self.gate(flat))


class SubclassedGateLast(keras.Model):
    def __init__(self, num_classes):
        super().__init__()
        self.logits = keras.layers.Dense(num_classes)
        self.gate = keras.layers.Dense(64, activation="sigmoid")

    def call(self, images):
        flat = tf.reshape(images, [tf.shape(images)[0], 64])
        return self.logits(flat * self.gate(flat))


class SubclassedSoftmaxLast(keras.Model):
    """The layer made last is a gate; the one called last makes logits."""

    def __init__(self, gate=keras.layers.Softmax):
        super().__init__()
        self.first, self.logits = keras.layers.Dense(10), keras.layers.Dense(10)
        self.flatten, self.gate = keras.layers.Flatten(), gate()

    def call(self, images):
        hidden = self.first(self.flatten(images))
        return self.logits(hidden * self.gate(hidden))


def nested_gate():
    gate = functools.partial(keras.layers.Dense, 10, "sigmoid")
    return keras.Sequential([keras.Input((8, 8, 1)), SubclassedSoftmaxLast(gate)])


def two_branches(image_shape, num_classes):
    images = keras.Input(image_shape)
    one = keras.layers.Conv2D(3, 3, padding="same")(images)
    two = keras.layers.Conv2D(3, 5, padding="same", activation="softmax")(images)
    merged = keras.layers.Flatten()(keras.layers.Add()([one, two]))
    return keras.Model(images, keras.layers.Dense(num_classes)(merged))


def with_state(**shapes):
    images = keras.Input(shapes["image_shape"])
    hidden = keras.layers.Flatten()(keras.layers.BatchNormalization()(images))
    hidden = keras.layers.Dropout(0.5)(hidden)
    return keras.Model(images, keras.layers.Dense(shapes["num_classes"])(hidden))


USERS = {
    "unbuilt sequential": layers_of(*flat_dense()),
    "nested sequential": layers_of(keras.Sequential(list(flat_dense()))),
    "open sides": layers_of(
        keras.layers.InputLayer((None, None, 1)),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(10),
    ),
    "subclassed": Subclassed,
    "subclassed, gate last": SubclassedGateLast,
    "subclassed, softmax last": SubclassedSoftmaxLast,
    "subclassed, nested": nested_gate,
    "two branches": two_branches,
    "state, kwargs": with_state,
    "partial": functools.partial(students.convnet, width=4, depth=1),
}


# The networks ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, image_shape, count",
    [
        ("lenet", (28, 28, 1), 61_706),
        ("lenet", (32, 32, 1), 61_706),
        ("alex_cifar_net", (32, 32, 3), 1_756_426),
        ("convnet", (28, 28, 1), 308_746),
        ("mlp", (28, 28, 1), 118_282),
        ("linear", (28, 28, 1), 7_850),
    ],
)
def test_number_of_weights(name, image_shape, count):
    model = students.build(name, image_shape, 10)
    assert model.count_params() == count
    assert model.output_shape == (None, 10)
    assert model(make_images(image_shape)).shape == (2, 10)


def test_alexnet_has_torchvisions_number_of_weights():
    model = students.alexnet()
    # torchvision's 61,100,840, less 990 classes
    assert model.count_params() == 57_044_810
    assert model.input_shape == (None, 224, 224, 3)
    assert model.layers[-4].input.shape == (None, 6, 6, 256)


@pytest.mark.parametrize("name", ["lenet", "convnet", "mlp", "linear"])
@pytest.mark.parametrize("image_shape", [(8, 8, 1), (9, 17, 3), (40, 12, 1)])
def test_other_shapes(name, image_shape):
    model = students.build(name, image_shape, 3)
    assert model(make_images(image_shape)).shape == (2, 3)


def test_lenet_takes_what_it_says():
    sizes = [4, 11, 12, 31, 32]
    sides = [students.lenet((side, side, 1)).layers[4].output.shape for side in sizes]
    assert sides == [(None, n, n, 16) for n in (1, 2, 1, 5, 5)]


@pytest.mark.parametrize("name", students.STUDENTS)
def test_learns_through_its_own_learning(name):
    """A loss after one step of descent has a derivative in the images of the step."""
    model = students.build(name, SMALL[name], 4)
    images = tf.constant(make_images(SMALL[name]))
    labels = tf.one_hot([0, 3], 4)
    weights = [tf.convert_to_tensor(v) for v in model.trainable_variables]
    state = [tf.convert_to_tensor(v) for v in model.non_trainable_variables]

    def loss(weights, images):
        outputs, _ = model.stateless_call(weights, state, images, training=True)
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, outputs))

    @inner.as_traced
    @tf.function(autograph=False)
    def meta_gradient(images):
        with tf.GradientTape() as outer:
            outer.watch(images)
            with tf.GradientTape() as tape:
                tape.watch(weights)
                value = loss(weights, images)
            gradients = tape.gradient(value, weights)
            moved = [w - 0.02 * g for w, g in zip(weights, gradients)]
            value = loss(moved, tf.constant(make_images(SMALL[name], seed=1)))
        return outer.gradient(value, images)

    gradient = meta_gradient(images).numpy()
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("name", students.STUDENTS)
def test_saves_and_loads(name, tmp_path):
    model = students.build(name, SMALL[name], 4)
    model.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    images = make_images(SMALL[name])
    np.testing.assert_allclose(loaded(images), model(images), rtol=1e-6)
    initializer = loaded.layers[-1].kernel_initializer
    # That of Such et al. 2019 is Kaiming's, which Keras has.
    assert isinstance(initializer, XavierNormal) == (name != "gtn_learner")


@pytest.mark.parametrize("name", sorted(set(students.STUDENTS) - {"alexnet"}))
def test_double_precision(name):
    # Keras asks floatx only once; after that, its policy counts.
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        model = students.build(name, SMALL[name], 4)
        outputs = model(make_images(SMALL[name]).astype("float64"))
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    assert outputs.dtype == "float64"
    assert {v.dtype for v in model.weights} == {"float64"}


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: students.lenet((3, 28, 1)), "at least 4 for lenet, not .3, 28, 1."),
        (lambda: students.alexnet((32, 32, 3)), "at least 63 for alexnet, not .32"),
        (lambda: students.convnet((15, 16, 1), depth=4), "at least 16 for convnet"),
        (lambda: students.mlp((28, 28)), r"image_shape must be .* not \(28, 28\)"),
        (lambda: students.linear(28), "image_shape must be .* not 28"),
        (lambda: students.linear((28, 28, 0)), "image_shape must be .*channels"),
        (lambda: students.linear(num_classes=1), "num_classes must be .* 2, not 1"),
        (lambda: students.convnet(width=0), "width must be .* 1, not 0"),
        (lambda: students.convnet(width=True), "width must be an integer .* not True"),
        (lambda: students.mlp(hidden=(5, True)), r"hidden must be integers .* True\)"),
        (lambda: students.linear((4, 4, True)), r"image_shape must be .* True\)"),
        (lambda: students.convnet(depth=1.5), "depth must be .* 1, not 1.5"),
        (lambda: students.mlp(hidden=(5, 0)), r"hidden must be .* 1, not \(5, 0\)"),
        (lambda: students.mlp(hidden=5), "hidden must be .* 1, not 5"),
        (lambda: LocalResponseNormalization(0), "size must be .* 1, not 0"),
        (lambda: LocalResponseNormalization(alpha=-1), "alpha must be .* not -1"),
        (lambda: LocalResponseNormalization(k=0), "k must be above 0, not 0"),
    ],
)
def test_refuses_bad_numbers(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Their parts ----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(400, 600), (5, 5, 40, 60)])
def test_xavier_normal(shape):
    values = XavierNormal(seed=1)(shape)
    expected = np.sqrt(2 / (np.prod(shape[:-2]) * (shape[-2] + shape[-1])))
    assert np.std(values) == pytest.approx(expected, rel=0.02)
    assert np.mean(values) == pytest.approx(0, abs=0.02 * expected)
    # Of a normal 4.6% lie beyond two deviations; a truncated one has none there.
    beyond = np.mean(np.abs(values) > 2 * expected)
    assert beyond == pytest.approx(0.0455, rel=0.1)


def test_xavier_normal_draws_by_its_seed():
    initializer = XavierNormal(seed=3)
    np.testing.assert_array_equal(initializer((4, 5)), initializer((4, 5)))
    assert np.any(XavierNormal()((4, 5)) != XavierNormal()((4, 5)))
    initializer.seed = keras.random.SeedGenerator(0)
    assert np.any(initializer((4, 5)) != initializer((4, 5)))


def test_layers_start_from_different_draws():
    kernels = [
        layer.kernel.numpy()
        for layer in students.mlp((8, 8, 1), 64, hidden=(64, 64)).layers[-3:]
    ]
    assert np.any(kernels[0] != kernels[1]) and np.any(kernels[1] != kernels[2])


@pytest.mark.parametrize("size", [1, 3, 4, 9])
def test_local_response_normalization_is_torchs(size):
    alpha, beta, k = 0.7, 0.6, 1.5
    x = make_images((2, 3, 7))
    expected = np.empty_like(x)
    for c in range(7):
        energy = 0
        for j in range(max(0, c - size // 2), min(7, c + (size - 1) // 2 + 1)):
            energy = energy + x[..., j] ** 2
        expected[..., c] = x[..., c] / (k + alpha / size * energy) ** beta
    layer = LocalResponseNormalization(size, alpha, beta, k)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5)
    twin = LocalResponseNormalization.from_config(layer.get_config())
    np.testing.assert_array_equal(twin(x), layer(x))


def test_pools_as_torch_does():
    """Torch's MaxPool2d(3, stride=2, padding=1) starts one pixel outside."""
    layers = students.alex_cifar_net((4, 4, 1)).layers
    pad, pool = layers[2:4]
    image = np.arange(16.0, dtype="float32").reshape(1, 4, 4, 1)
    pooled = pool(pad(image))[0, ..., 0]
    np.testing.assert_array_equal(pooled, [[5, 7], [13, 15]])
    # TensorFlow's "same" would have started at the first pixel.
    same = tf.nn.max_pool2d(image, 3, 2, "SAME")[0, ..., 0]
    np.testing.assert_array_equal(same, [[10, 11], [14, 15]])


# get and name_of ------------------------------------------------------------------


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A user's folder with a module of students, the current one."""
    (tmp_path / "my_students.py").write_text(
        "import keras\n"
        "class Makers:\n"
        "    @staticmethod\n"
        "    def tiny(num_classes):\n"
        "        return keras.Sequential(\n"
        "            [keras.layers.Flatten(), keras.layers.Dense(num_classes)])\n"
        "tiny = Makers.tiny\n"
        "number = 3\n"
        "def broken():\n"
        "    return helper()\n"
        "def helper():\n"
        "    return there_is_none\n"
    )
    (tmp_path / "wrong.py").write_text("there_is_none\n")
    (tmp_path / "needs_more.py").write_text("import there_is_no_such_module\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield tmp_path
    sys.modules.pop("my_students", None)


@pytest.mark.parametrize("name", ["AlexCifarNet", "alex-cifar-net", "alex_cifar_net"])
def test_get_by_name(name):
    assert students.get(name) is students.alex_cifar_net
    assert students.name_of(name) == "alex_cifar_net"


def test_get_gives_callables_back():
    for student in (students.lenet, Subclassed, functools.partial(students.mlp)):
        assert students.get(student) is student


def test_get_from_the_current_folder(project):
    for path in ("my_students:tiny", "my_students:Makers.tiny"):
        assert students.name_of(path) == path
        assert students.build(path, (8, 8, 1), 5).output_shape == (None, 5)
    tiny = students.get("my_students:tiny")
    assert students.name_of(tiny) == "my_students:Makers.tiny"
    assert students.get(students.name_of(tiny)) is tiny


def test_name_of():
    assert students.name_of(students.lenet) == "lenet"
    assert students.name_of(Subclassed) == f"{__name__}:Subclassed"
    assert students.get(students.name_of(two_branches)) is two_branches
    assert students.name_of(lambda: None) == "<lambda>"
    assert students.name_of(functools.partial(students.mlp)) == "partial"

    def local():
        pass

    assert students.name_of(local) == "local"
    local.__module__, local.__qualname__ = "__main__", "local"
    assert students.name_of(local) == "local"


@pytest.mark.parametrize(
    "student, message",
    [
        ("lenett", "not 'lenett'; did you mean 'lenet'?"),
        (
            "resnet50",
            "one of lenet, .*keras file or, in Python, a callable, not 'resnet50'[.;]",
        ),
        (3, "a callable, not 3[.]"),
        ("no_such_module:f", "cannot be imported: No module named 'no_such_module'"),
        ("needs_more:f", "imported: No module named 'there_is_no_such_module'"),
        ("wrong:f", "cannot be imported: NameError: name 'there_is_none' is not def"),
        ("my_students.py:tiny", "leave out .py, as in 'my_students:tiny'"),
        ("in/side.py:tiny", "leave out .py, as in 'in.side:tiny'"),
        ("my_students:nope", "module 'my_students' has no 'nope'"),
        ("my_students:number", "must be callable, not of type int"),
        ("my_students:", "must read 'package.module:function', not 'my_students:'"),
        (".relative:f", "must read 'package.module:function'"),
        (keras.Sequential(name="mine"), "returns a new .* not the model 'mine' itself"),
    ],
)
def test_get_says_what_is_wrong(student, message, project):
    with pytest.raises(ValueError, match=message):
        students.get(student)


# build ----------------------------------------------------------------------------


def test_a_mistake_in_a_students_function_is_shown_where_it_is(project):
    says = "student my_students:broken failed: NameError: name 'there_is_none' is not"
    with pytest.raises(ValueError, match=says) as error:
        students.build("my_students:broken", (8, 8, 1), 10)
    shown = own_frames(error.value)
    assert re.findall(r'File ".*/(.*)", line \d+, in (\w+)', shown) == [
        ("my_students.py", "broken"),
        ("my_students.py", "helper"),
    ]


@pytest.mark.parametrize("kind", USERS)
def test_build_takes_users_models(kind):
    model = students.build(USERS[kind], (8, 8, 1), 10)
    assert model.built and model.trainable_variables
    assert model(make_images((8, 8, 1)), training=True).shape == (2, 10)


@pytest.mark.parametrize("kind", USERS)
def test_build_works_where_variables_have_no_values(kind):
    """In a stateless scope, where `RandomWeights` looks at initialisers."""
    with keras.StatelessScope():
        model = students.build(USERS[kind], (8, 8, 1), 10)
        assert all(v._initializer for v in model.trainable_variables)


def two_inputs():
    images = [keras.Input((8, 8, 1)), keras.Input((8, 8, 1))]
    hidden = keras.layers.Flatten()(keras.layers.Add()(images))
    return keras.Model(images, keras.layers.Dense(10)(hidden))


def two_outputs():
    images = keras.Input((8, 8, 1))
    hidden = keras.layers.Flatten()(images)
    return keras.Model(images, [keras.layers.Dense(10)(hidden) for _ in range(2)])


def ops_softmax():
    images = keras.Input((8, 8, 1))
    logits = keras.layers.Dense(10)(keras.layers.Flatten()(images))
    return keras.Model(images, keras.ops.softmax(logits))


def nested_softmax():
    # Its last layer is used before, too, so that it is not the last in Keras's order.
    images, last = keras.Input((8, 8, 1)), keras.layers.Dense(10, "softmax")
    flat = keras.layers.Flatten()(images)
    hidden = keras.layers.Dense(64)(last(flat))
    return keras.Sequential([keras.Model(images, last(hidden))])


class SubclassedSoftmax(keras.Model):
    def __init__(self):
        super().__init__()
        self.net = keras.Sequential(list(flat_dense(activation="softmax")))

    def call(self, images):
        return self.net(images)


@pytest.mark.parametrize(
    "student, message",
    [
        (lambda: None, "student <lambda> must return a keras.Model, not NoneType"),
        (lambda width: None, "image_shape and num_classes: .*'width'"),
        (lambda num_classes, /: None, "image_shape and num_classes: .*'num_classes'"),
        (two_inputs, "exactly one input, not 2"),
        (two_outputs, "one tensor of logits, not a list"),
        (
            lambda: students.lenet((28, 28, 1)),
            r"inputs of shape \(None, 28, 28, 1\) but the data set's are \(None, 8, 8",
        ),
        (
            layers_of(keras.layers.InputLayer(batch_shape=(4, 8, 8, 1)), *flat_dense()),
            r"inputs of shape \(4, 8, 8, 1\) but",
        ),
        (
            layers_of(keras.layers.InputLayer((64,)), keras.layers.Dense(10)),
            r"inputs of shape \(None, 64\) but",
        ),
        (
            layers_of(keras.layers.Conv2D(3, 9), *flat_dense()),
            r"cannot take images of shape \(8, 8, 1\): .*9",
        ),
        (layers_of(keras.layers.Dense(10)), r"of shape \(None, 10\), not \(None, 8, "),
        (layers_of(*flat_dense(20)), "gives 20 outputs but the data set has 10 cl"),
        (layers_of(*flat_dense(activation="softmax")), "logits, .* applies a softmax"),
        (layers_of(*flat_dense(activation="sigmoid")), "logits, .* applies a sigmoid"),
        (layers_of(*flat_dense(), keras.layers.Softmax()), "logits, .* a softmax"),
        (
            layers_of(*flat_dense(), keras.layers.Activation("sigmoid")),
            "logits, .* a sigmoid",
        ),
        (ops_softmax, "logits, .* a softmax"),
        (nested_softmax, "logits, .* applies a softmax"),
        (SubclassedSoftmax, "logits, .* a softmax"),
        (
            layers_of(keras.layers.Flatten(), keras.layers.Dense(10, trainable=False)),
            "no trainable weights",
        ),
    ],
)
def test_build_says_what_is_wrong(student, message):
    with pytest.raises(ValueError, match=message) as error:
        students.build(student, (8, 8, 1), 10)
    assert "\n" not in str(error.value)


def test_widths_are_part_of_the_name():
    narrow = students.get("gtn_learner@3-4-6")
    assert students.name_of(narrow) == "gtn_learner@3-4-6"
    shapes = [v.shape[-1] for v in narrow((8, 8, 1), 4).weights if v.name == "gain"]
    assert shapes == [3, 4, 6, 4]
    convnet = students.build("convnet@5", (8, 8, 1), 4)
    assert convnet.layers[1].filters == 5
    for wrong in ("lenet@4", "gtn_learner@4-x-6", "convnet@4-5", "gtn_learner@4-5"):
        with pytest.raises(ValueError, match="widths|whole numbers"):
            students.build(wrong, (8, 8, 1), 4)


def test_a_space_of_architectures_needs_the_number_of_a_draw():
    for given in ("small_convnets", "cells@x"):
        with pytest.raises(ValueError, match=f"{given}' is a space .*, such as .*@3"):
            students.get(given)
    with pytest.raises(ValueError, match="did you mean 'small_convnets@3'"):
        students.get("small_convnet")
    with pytest.raises(ValueError, match="a draw from small_convnets or cells"):
        students.get("resnet")


@pytest.mark.parametrize("none", [(), "mlp", None])
def test_one_student_at_least_is_sampled(none):
    with pytest.raises(ValueError, match="must be a tuple of one student or more"):
        students.Sampled(none)


def test_several_students_are_sampled():
    ranges = [(3, 5), (4, 4), (6, 9)]
    sampled = students.Sampled.of_widths("gtn_learner", ranges, count=3, seed=1)
    assert sampled == students.Sampled.of_widths("gtn_learner", ranges, 3, seed=1)
    name = students.name_of(sampled)
    assert name.count("gtn_learner@") == 3 and name.count("-4-") == 3
    assert [students.name_of(s) for s in each_of(name)] == name.split(",")
    assert each_of(students.lenet) == [students.lenet]
    with pytest.raises(ValueError, match="5-3"):
        students.Sampled.of_widths("gtn_learner", [(5, 3)])


def test_recurrent_layers_do_without_cudnn():
    # Its kernels, which Keras takes on GPUs, have no second derivative.
    def recurrent(image_shape, num_classes):
        images = keras.Input(image_shape)
        rows = keras.layers.Reshape(image_shape[:2])(images)
        rows = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))(
            rows
        )
        inside = keras.Sequential(
            [keras.layers.GRU(4), keras.layers.Dense(num_classes)]
        )
        return keras.Model(images, inside(rows))

    model = students.build(recurrent, (6, 5, 1), 3)
    layers = [x for x in model._flatten_layers() if hasattr(x, "use_cudnn")]
    assert len(layers) == 3 and not any(layer.use_cudnn for layer in layers)
