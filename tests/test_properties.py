"""Properties of what is generated: data of any form, and students of any layers.

What is accepted means the same everywhere; everything else is refused in one sentence.
"""

import collections
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from hypothesis import given
from hypothesis import strategies as st
from keras import layers
from PIL import Image
from property_cases import cases

import tfdistill
from tfdistill.inner import unroll
from tfdistill.testing import measures
from tfdistill.weights.population import Population

#: Cases by property: those that were accepted, and those that were refused.
COUNTS: dict = {
    "data": collections.Counter(),
    "students": collections.Counter(),
}
LEAST = {"data": 350, "students": 115}


def attempt(kind, function, *args, **kwargs):
    """What came out; or None, if it was refused as a user may expect."""
    try:
        made = function(*args, **kwargs)
    except ValueError as error:
        text = str(error)
        assert "\n" not in text and "Traceback" not in text, text
        assert text.endswith(".") and 10 < len(text) < 700, text
        COUNTS[kind]["refused"] += 1
        return None
    COUNTS[kind]["accepted"] += 1
    return made


def content(split):
    """All normalised images and labels of a split."""
    if split.is_held:
        return split.normalization.normalize(split.images).numpy(), split.labels
    parts = zip(*[(x.numpy(), y.numpy()) for x, y in split.batch(5)], strict=True)
    return [np.concatenate(part) for part in parts]


def same(one, other):
    """Whether two data sets are equal, wherever their images are."""
    assert one.class_names == other.class_names
    assert one.normalization == other.normalization
    for part in ("train", "test"):
        for a, b in zip(content(getattr(one, part)), content(getattr(other, part))):
            np.testing.assert_array_equal(a, b)


# Arrays -----------------------------------------------------------------------------

SHAPES = st.sampled_from(
    [(4, 4, 1), (6, 5, 3), (7, 4), (1, 9, 1), (5, 5, 2)] * 5
    + [(3, 8, 8), (1, 9, 9), (16,), (2, 5, 6, 1), (0, 4, 1), ()]
)
#: From uint8 images to those of another type, and whether they are accepted.
TYPES = {
    "uint8": (lambda x: x, True),
    "int64": (lambda x: x.astype("int64"), True),
    "bool": (lambda x: x > 127, True),
    "mask": (lambda x: np.uint8(x > 127), True),
    "0..1": (lambda x: x / np.float32(255), True),
    "-1..1": (lambda x: x / 127.5 - 1, True),
    "half": (lambda x: (x / 255).astype("float16"), True),
    "0..255": (lambda x: x.astype("float32"), True),
    "constant": (lambda x: 0 * x, True),
    "int16": (lambda x: 9 * x.astype("int16"), False),
    "nan": (lambda x: np.where(x > 200, np.nan, x), False),
    "infinite": (lambda x: np.where(x > 200, np.inf, x), False),
    "complex": (lambda x: x * 1j, False),
    "text": (lambda x: x.astype(str), False),
    "objects": (lambda x: x.astype(object), False),
}
#: From integer labels to those of another form, and whether they are accepted.
FORMS = {
    "integers": (lambda y: y, True),
    "bytes": (lambda y: y.astype("uint8"), True),
    "column": (lambda y: y[:, None], True),
    "one-hot": (lambda y: np.eye(3)[y], True),
    "one-hot bools": (lambda y: np.eye(3, dtype=bool)[y], True),
    "names": (lambda y: np.array(["ant", "bee", "cow"])[y], True),
    "list": (lambda y: y.tolist(), True),
    "from 1": (lambda y: y + 1, False),
    "negative": (lambda y: y - 1, False),
    "floats": (lambda y: y / 1, False),
    "soft": (lambda y: np.eye(3)[y] * 0.8 + 0.2 / 3, False),
    "short": (lambda y: y[:-1], False),
    "cube": (lambda y: y[:, None, None], False),
    "complex": (lambda y: y * 1j, False),
    "dates": (lambda y: y.astype("M8[D]"), False),
    "none": (lambda y: [None] * len(y), False),
}


def mostly_accepted(table):
    good = [name for name, (_, accepted) in table.items() if accepted]
    return st.sampled_from(4 * good + [name for name in table if name not in good])


def arrays(seed, shape, count=9):
    """uint8 images of all values, and three classes in turn."""
    images = np.random.default_rng(seed).integers(0, 256, (count, *shape), "uint8")
    return images, np.arange(count) % 3


@cases(160)
@given(
    st.integers(0, 9),
    SHAPES,
    mostly_accepted(TYPES),
    mostly_accepted(FORMS),
    st.booleans(),
)
def test_arrays(seed, shape, kind, form, tested):
    raw, numbers = arrays(seed, shape)
    (convert, is_image), (write, is_label) = TYPES[kind], FORMS[form]
    images, labels = convert(raw), write(numbers)
    part = images, labels
    data = attempt("data", tfdistill.from_arrays, part, part if tested else None)
    fits = shape in [(4, 4, 1), (6, 5, 3), (7, 4), (1, 9, 1), (5, 5, 2)]
    assert (data is not None) == (is_image and is_label and fits), (shape, kind, form)
    if data is None:
        return
    names = ("ant", "bee", "cow") if form == "names" else ("0", "1", "2")
    assert data.class_names == names
    if tested:
        np.testing.assert_array_equal(data.train.labels, numbers)
        np.testing.assert_array_equal(
            data.train.images,
            images.reshape(raw.shape + (1,) * (len(shape) == 2)).astype(
                data.train.images.dtype
            ),
        )
        same(
            data,
            tfdistill.from_arrays(
                (images, numbers), (images, numbers), class_names=names
            ),
        )


# Pipelines --------------------------------------------------------------------------


def unordered(dataset):
    options = tf.data.Options()
    options.deterministic = False
    return dataset.with_options(options)


#: Steps of a pipeline, and whether its order and its images stay the same.
STEPS = {
    "fixed shuffle": (lambda d: d.shuffle(9, 1, reshuffle_each_iteration=False), True),
    "map": (lambda d: d.map(lambda x, y: (255 - x, y), 2), True),
    "some": (lambda d: d.filter(lambda x, y: x[0, 0, 0] > 30), True),
    "known": (lambda d: d.apply(tf.data.experimental.assert_cardinality(12)), None),
    "batches": (lambda d: d.batch(5).unbatch(), True),
    "cache": (lambda d: d.cache(), True),
    "twice": (lambda d: d.repeat(2), True),
    "option": (unordered, True),
    "interleave": (
        lambda d: tf.data.Dataset.range(2).interleave(lambda k: d.shard(2, k)),
        True,
    ),
    "one-hot": (lambda d: d.map(lambda x, y: (x, tf.one_hot(y, 3))), True),
    "column": (lambda d: d.map(lambda x, y: (x, y[None])), True),
    "reshuffle": (lambda d: d.shuffle(9), False),
    "flips": (
        lambda d: d.map(lambda x, y: (tf.image.random_flip_left_right(x), y)),
        False,
    ),
    "races": (
        lambda d: d.map(lambda x, y: (x, y), 2, deterministic=False),
        False,
    ),
    "batched": (lambda d: d.batch(3), None),
    "endless": (lambda d: d.repeat(), None),
    "triples": (lambda d: d.map(lambda x, y: (x, y, 1.0)), None),
    "names": (lambda d: d.map(lambda x, y: (x, tf.as_string(y))), None),
    "floats": (lambda d: d.map(lambda x, y: (x, tf.cast(y, tf.float32))), None),
    "empty": (lambda d: d.take(0), None),
}
#: After these, labels are not what the others take.
LAST = ("one-hot", "column", "batched", "endless", "triples", "names", "floats")


@cases(35)
@given(
    st.integers(0, 9),
    st.lists(st.sampled_from([s for s in STEPS if s not in LAST]), max_size=2),
    st.sampled_from([None, None, *LAST]),
)
def test_pipelines(seed, steps, last):
    images, labels = arrays(seed, (4, 4, 1), 24)
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    steps = [*steps, last] if last else steps
    for step in steps:
        dataset = STEPS[step][0](dataset)
    held, streamed = (
        attempt(
            "data", tfdistill.from_tf_data, dataset, num_classes=3, in_memory=in_memory
        )
        for in_memory in (True, False)
    )
    kinds = {STEPS[step][1] for step in steps}
    if "cache" not in steps and "known" not in steps:
        assert (held is None) == (None in kinds), steps
        assert (streamed is None) == (None in kinds or False in kinds), steps
    if streamed is not None and False not in kinds:
        same(held, streamed)


# Folders ----------------------------------------------------------------------------

MODES = ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK"]
FORMATS = ["png", "jpg", "webp", "tif", "bmp", "gif"]
folder_names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]),
    min_size=1,
    max_size=5,
).filter(lambda name: name not in (".", ".."))


def write(path, seed, mode, ending):
    """A picture in a mode; in another one, if the format does not know it."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (6, 5, 4), "uint8")).convert("RGB")
    image = image.convert("RGBA" if mode == "LA" else mode)
    try:
        image.save(path.with_suffix(f".{ending}"))
    except (OSError, ValueError):
        image.convert("RGB").save(path.with_suffix(f".{ending}"))


@cases(32)
@given(
    st.lists(
        st.sampled_from(["a", "b", "ant", "bee 2", "ö", ".git", "@eaDir"])
        | folder_names,
        min_size=2,
        max_size=3,
        unique_by=str.casefold,
    ),
    st.lists(
        st.tuples(st.sampled_from(MODES), st.sampled_from(FORMATS)),
        min_size=2,
        max_size=4,
    ),
    st.sampled_from(["", "", "nested", "notes", "cut", "empty", "deep", "hidden"]),
)
def test_folders(names, files, extra):
    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root, name) for name in names]
        for folder in folders:
            folder.mkdir()
            for k, (mode, ending) in enumerate(files):
                inside = folder / "more" if extra == "nested" and k else folder
                inside.mkdir(exist_ok=True)
                write(inside / str(k), k, mode, ending)
        first = next(f for f in folders[0].iterdir() if f.is_file())
        if extra == "cut":
            first.write_bytes(first.read_bytes()[:40])
        elif extra == "empty":
            first.write_bytes(b"")
        elif extra == "deep":
            Image.new("I;16", (5, 6)).save(folders[0] / "deep.png")
        elif extra in ("notes", "hidden"):
            name = "notes.txt" if extra == "notes" else "._0.png"
            (folders[0] / name).write_text("no image")
        with_warnings = [
            attempt("data", load_quietly, root, in_memory)
            for in_memory in (True, False)
        ]
        held, streamed = with_warnings
        assert (held is None) == (streamed is None)
        if extra in ("cut", "empty", "deep"):
            is_seen = folders[0].name[0] not in ".@#$"
            assert held is None or not is_seen
        if held is not None:
            same(held, streamed)
            seen = sorted(name for name in names if name[0] not in ".@#$")
            assert held.class_names == tuple(seen)
            count = len(held.train) + len(held.test)
            assert count == len(seen) * len(files)


def load_quietly(root, in_memory):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tfdistill.load_dataset(Path(root), in_memory=in_memory)


# Names of classes -------------------------------------------------------------------


@cases(100)
@given(
    st.lists(
        st.text(min_size=1, max_size=4)
        | st.sampled_from(["a", "", "10", "b\n", "ä", "class 1", "c"]),
        min_size=2,
        max_size=4,
    )
)
def test_names_of_classes(names):
    images, _ = arrays(0, (2, 2, 1), 2 * len(names))
    labels = np.arange(2 * len(names)) % len(names)
    data = attempt("data", tfdistill.from_arrays, (images, labels), class_names=names)
    if data is None:
        return
    assert data.class_names == tuple(names)
    distilled = tfdistill.DistilledDataset(
        np.zeros((1, len(names), 2, 2, 1)),
        np.eye(len(names))[None],
        [[0.1]],
        normalization=data.normalization,
        class_names=data.class_names,
    )
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "distilled")
        distilled.save(folder)
        loaded = tfdistill.DistilledDataset.load(folder)
        assert loaded.class_names == tuple(names)
        found = tfds.builder_from_directory(folder).info.features["label"].names
        assert tuple(found) == tuple(names)


# Students ---------------------------------------------------------------------------

SHAPE, CLASSES = (4, 4, 1), 3
ACTIVATIONS = ["tanh", "softplus", "gelu", "sigmoid", "softsign", "elu", "relu"]
#: Layers of images and of vectors, of some width, and whether they are accepted.
OF_IMAGES = {
    "conv": (lambda n, a: layers.Conv2D(n, 3, padding="same", activation=a), True),
    "separable": (lambda n, a: layers.SeparableConv2D(n, 2, activation=a), True),
    "depthwise": (lambda n, a: layers.DepthwiseConv2D(2, padding="same"), True),
    "transposed": (lambda n, a: layers.Conv2DTranspose(n, 2, activation=a), True),
    "dense": (lambda n, a: layers.Dense(n, a), True),
    "average": (lambda n, a: layers.AveragePooling2D(2, 1), True),
    "maximum": (lambda n, a: layers.MaxPooling2D(2, 1), True),
    "batch norm": (lambda n, a: layers.BatchNormalization(), True),
    "group norm": (lambda n, a: layers.GroupNormalization(1), True),
    "larger": (lambda n, a: layers.UpSampling2D(interpolation="bilinear"), True),
    "resized": (lambda n, a: layers.Resizing(3, 5), True),
    "flip": (lambda n, a: layers.RandomFlip(seed=n), True),
    "contrast": (
        lambda n, a: layers.Lambda(lambda x: tf.image.adjust_contrast(x, 1.1)),
        False,
    ),
}
OF_VECTORS = {
    "dense": (lambda n, a: layers.Dense(n, a), True),
    "regularised": (lambda n, a: layers.Dense(n, a, kernel_regularizer="l2"), True),
    "batch norm": (lambda n, a: layers.BatchNormalization(), True),
    "layer norm": (lambda n, a: layers.LayerNormalization(), True),
    "dropout": (lambda n, a: layers.Dropout(0.3, seed=n), True),
    "softmax": (lambda n, a: layers.Softmax(), True),
    "activation": (lambda n, a: layers.Activation(a), True),
    "constrained": (lambda n, a: layers.Dense(n, kernel_constraint="non_neg"), False),
}


def stack(table):
    layer = st.tuples(
        st.sampled_from(list(table)), st.integers(2, 4), st.sampled_from(ACTIVATIONS)
    )
    return st.lists(layer, max_size=2)


@pytest.mark.slow
@cases(115)
@given(
    stack(OF_IMAGES),
    stack(OF_VECTORS),
    st.sampled_from(["sgd", "momentum", "adam"]),
    st.integers(0, 5),
)
def test_students(of_images, of_vectors, optimizer, seed):
    """The meta-gradient equals central differences, to a thousandth."""
    rng = np.random.default_rng(seed)

    def make_model():
        keras.utils.set_random_seed(seed)
        return keras.Sequential(
            [
                keras.Input(SHAPE),
                *(OF_IMAGES[name][0](n, a) for name, n, a in of_images),
                layers.Flatten(),
                *(OF_VECTORS[name][0](n, a) for name, n, a in of_vectors),
                layers.Dense(CLASSES),
            ]
        )

    tables = [(OF_IMAGES, of_images), (OF_VECTORS, of_vectors)]
    is_accepted = all(table[name][1] for table, some in tables for name, *_ in some)
    with measures.double_precision():

        def accept():
            weights = tfdistill.FixedWeights()
            ((student, _),) = Population(make_model, SHAPE, CLASSES, weights).members
            tfdistill.BackGradient().check_student(student, SHAPE)
            return student

        accepted = attempt("students", accept)
        assert (accepted is not None) == is_accepted
        if not is_accepted:
            return
        synthesizer = tfdistill.DistilledImages(
            rng.standard_normal((1, CLASSES, *SHAPE)),
            np.arange(CLASSES),
            CLASSES,
            epochs=2,
            inner_optimizer=optimizer,
            learning_rate=0.05,
            dtype="float64",
        )
        problem = measures.problem(synthesizer, make_model=make_model)
        gradients = tfdistill.BackGradient()(problem).gradients
        gradients = [g.numpy() for g in gradients]
        size = np.sqrt(sum(np.sum(g**2) for g in gradients))
        ways = [g / (size or 1) + 0.1 * rng.standard_normal(g.shape) for g in gradients]
        variables = synthesizer.trainable_variables
        values, losses = [v.numpy() for v in variables], []
        for sign in (1e-5, -1e-5):
            for variable, value, way in zip(variables, values, ways, strict=True):
                variable.assign(value + sign * way)
            trained, _ = unroll.walk(problem, unroll.start(problem), 0, 2)
            batch = problem.images, problem.labels
            losses.append(float(unroll.judge(problem, trained, *batch)[0]))
        numeric = (losses[0] - losses[1]) / 2e-5
        exact = sum(np.sum(g * way) for g, way in zip(gradients, ways))
        assert abs(numeric - exact) <= 1e-3 * max(abs(numeric), abs(exact)) + 1e-8


def test_enough_cases(request, record_property):
    """The last one here: all others have run before, in the same process."""
    said = ", ".join(
        f"{sum(of.values())} cases of {kind} ({of['refused']} refused in a sentence)"
        for kind, of in COUNTS.items()
        if of
    )
    record_property("summary", f"Generated: {said}")
    if len(request.session.items) > 1 and not request.config.option.keyword:
        for kind, least in LEAST.items():
            assert sum(COUNTS[kind].values()) >= least, kind
