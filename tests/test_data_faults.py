"""Real data that were once taken for something else, without a word."""

import itertools
import os
import re
import struct
import subprocess
import sys
import tracemalloc
import unicodedata
import warnings
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfdistill
from tfdistill.cli import audit, distill
from tfdistill.cli import data as cli_data
from tfdistill.cli.errors import InputError
from tfdistill.data import augmentation, passes, pictures
from tfdistill.data.ends import black_and_white
from tfdistill.data.extent import Extent
from tfdistill.data.normalization import measure
from tfdistill.data.split import Split
from tfdistill.evaluation.ordinarily_trained import Architecture
from tfdistill.studies import origins, pretraining

SHAPE, COUNT = (4, 4, 1), 40


def arrays(count=COUNT, seed=0):
    """Images that differ, and labels 0, 1, 0, 1, ...."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *SHAPE), np.uint8), np.arange(count) % 2


IMAGES, LABELS = arrays()


def pairs():
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))


def refusal(function, *args, **kwargs):
    """The one sentence by which data are refused."""
    with pytest.raises(ValueError) as caught:
        function(*args, **kwargs)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith("."), sentence
    return sentence


# Order that does not repeat ---------------------------------------------------------


def exhausted():
    made = iter(list(zip(IMAGES, LABELS)))
    signature = pairs().element_spec
    return tf.data.Dataset.from_generator(lambda: made, output_signature=signature)


def changing_length():
    passes = iter(range(100))

    def generate():
        yield from zip(IMAGES[: COUNT - next(passes)], LABELS)

    return tf.data.Dataset.from_generator(
        generate, output_signature=pairs().element_spec
    )


def growing():
    passes = iter(range(100))

    def generate():
        yield from zip(IMAGES[: 20 + next(passes)], LABELS)

    return tf.data.Dataset.from_generator(
        generate, output_signature=pairs().element_spec
    )


def from_files(folder):
    for name in "ab":
        for k in range(6):
            (folder / name).mkdir(exist_ok=True)
            image = IMAGES[k + 6 * (name == "b")]
            keras.utils.save_img(folder / name / f"{k}.png", image, scale=False)
    loaded = keras.utils.image_dataset_from_directory(
        folder, image_size=SHAPE[:2], color_mode="grayscale", verbose=False
    )
    return loaded.unbatch()


def augmented(image, label):
    return tf.image.random_flip_left_right(image), label


def noisy(image, label):
    noise = tf.numpy_function(
        lambda x: np.uint8(np.random.rand(*SHAPE)), [image], "uint8"
    )
    return image + tf.ensure_shape(noise, SHAPE) + tf.cast(
        tf.random.uniform(SHAPE, 0, 9, tf.int32), tf.uint8
    ), label


UNSTEADY = {
    "shuffle": (lambda _: pairs().shuffle(COUNT), "reshuffle_each_iteration=False"),
    "seeded": (
        lambda _: pairs().shuffle(9, seed=1).map(lambda x, y: (x, y)),
        "reshuff",
    ),
    "files": (from_files, r"image_dataset_from_directory.*shuffle=False"),
    "flips": (lambda _: pairs().map(augmented), "augment="),
    "noise": (lambda _: pairs().map(noisy), "another image on the second pass"),
    "generator": (
        lambda _: exhausted(),
        "second none: from_generator needs a function",
    ),
    "shorter": (lambda _: changing_length(), "39 examples, but 40 were expected"),
    "longer": (lambda _: growing(), "more than 20 examples, but 20 were expected"),
    "random filter": (
        lambda _: pairs().filter(lambda x, y: tf.random.uniform([]) < 0.5),
        "second pass|expected",
    ),
    "interleaved": (
        lambda _: tf.data.Dataset.range(4).interleave(
            lambda k: pairs().shard(4, k), 2, num_parallel_calls=2, deterministic=False
        ),
        "deterministic=False",
    ),
    "mapped": (
        lambda _: pairs().map(lambda x, y: (x, y), 2, deterministic=False),
        "deterministic=False",
    ),
}


@pytest.mark.parametrize("kind", UNSTEADY)
def test_streams_that_do_not_repeat_are_refused(kind, tmp_path):
    make, says = UNSTEADY[kind]
    sentence = refusal(
        tfdistill.from_tf_data, make(tmp_path), num_classes=2, in_memory=False
    )
    assert re.search(says, sentence), sentence
    if kind not in ("generator", "shorter", "longer", "random filter"):
        assert "in_memory=True" in sentence
        held = tfdistill.from_tf_data(make(tmp_path), num_classes=2, in_memory=True)
        assert held.train.is_held
        with pytest.raises(ValueError, match="second pass|deterministic"):
            count = 12 if kind == "files" else COUNT
            Split.streamed(make(tmp_path), count, SHAPE)


STEADY = {
    "fixed shuffle": lambda: pairs().shuffle(COUNT, reshuffle_each_iteration=False),
    "cached": lambda: pairs().shuffle(COUNT).cache(),
    "interleaved": lambda: tf.data.Dataset.range(4).interleave(
        lambda k: pairs().shard(4, k), 2, num_parallel_calls=2
    ),
    "as an option": lambda: unordered(pairs().map(lambda x, y: (x, y), 4)),
    "stateless": lambda: pairs().map(
        lambda x, y: (tf.image.stateless_random_flip_left_right(x, [1, y]), y)
    ),
}


def unordered(dataset):
    options = tf.data.Options()
    options.deterministic = False
    return dataset.with_options(options)


@pytest.mark.parametrize("kind", STEADY)
def test_streams_that_repeat_keep_test_images_apart(kind):
    data = tfdistill.from_tf_data(STEADY[kind](), in_memory=False)
    parts = [
        np.concatenate([x for x, _ in p.batch(9)]) for p in (data.train, data.test)
    ]
    train, test = ({image.tobytes() for image in part} for part in parts)
    assert len(train) == 32 and len(test) == 8 and not train & test


def test_a_test_part_that_is_cut_from_what_is_reshuffled():
    shuffled = pairs().shuffle(COUNT)
    sentence = refusal(
        tfdistill.from_tf_data, shuffled.take(30), shuffled.skip(30), in_memory=True
    )
    assert "are also in train" in sentence and "reshuffle_each_iteration" in sentence
    fixed = pairs().shuffle(COUNT, reshuffle_each_iteration=False)
    data = tfdistill.from_tf_data(fixed.take(30), fixed.skip(30))
    assert len(data.test) == 10
    # The same images in both are the user's affair.
    assert len(tfdistill.from_tf_data(pairs(), pairs().take(10)).test) == 10


def test_an_image_that_cannot_be_read_is_a_sentence():
    def fail(row):
        if row == 7:
            raise OSError("the disk is gone")
        return IMAGES[row]

    def load(row, label):
        image = tf.numpy_function(fail, [row], tf.uint8)
        return tf.ensure_shape(image, SHAPE), label

    broken = tf.data.Dataset.from_tensor_slices((np.arange(COUNT), LABELS)).map(load)
    wrong = pairs().apply(tf.data.experimental.assert_cardinality(COUNT + 3))
    for in_memory in (True, False):
        sentence = refusal(tfdistill.from_tf_data, broken, in_memory=in_memory)
        assert "damaged" in sentence and "the disk is gone" in sentence
        assert "43" in refusal(tfdistill.from_tf_data, wrong, in_memory=in_memory)


# Normalisation that does not match --------------------------------------------------

DIGITS = tfdistill.load_dataset("digits")
SCALED = DIGITS.train.images / np.float32(255)
PARTS = {
    "uint8": DIGITS.train.images,
    "0..1": SCALED,
    "-1..1": 2 * SCALED - 1,
    "0..255": DIGITS.train.images.astype("float32"),
    "mean 0": (SCALED - SCALED.mean()) / SCALED.std(),
    "mask": (SCALED > 0.5).astype("uint8"),
    "bool": SCALED > 0.5,
}
# What means the same: the numbers decide, not the type.
ALIKE = [{"uint8", "0..255"}, {"mask", "bool"}, {"0..1", "mask"}, {"0..1", "bool"}]


@pytest.mark.parametrize("train, test", list(itertools.product(PARTS, PARTS)))
def test_parts_of_other_scales(train, test):
    labels = DIGITS.train.labels
    parts = (PARTS[train][:300], labels[:300]), (PARTS[test][300:400], labels[300:400])
    streams = [tf.data.Dataset.from_tensor_slices(part) for part in parts]

    attempts = [
        lambda: tfdistill.from_arrays(*parts),
        lambda: tfdistill.from_tf_data(*streams, in_memory=train < test),
    ]
    for attempt in attempts:
        if train == test or {train, test} in ALIKE:
            data = attempt()
            (x, _), *_ = data.test.batch(100)
            assert 0.5 < np.std(x) < 2
        else:
            sentence = refusal(attempt)
            assert "give them one scale" in sentence or "one shape" in sentence


@pytest.mark.parametrize("kind", ["photographs", "drawings"])
def test_parts_that_may_differ_raise_no_alarm(kind):
    """Parts that were standardised each for itself, or that lack black or white."""
    rng = np.random.default_rng(0)
    images = DIGITS.train.images[:400] / np.float32(255)
    if kind == "photographs":  # few of them reach black and white
        images = np.clip(rng.normal(0.5, 0.2, (400, 8, 8, 3)), 0, 1).astype("float32")
    train, test = images[:300], images[300:]
    labels = DIGITS.train.labels[:400]

    def own(part):
        return (part - part.mean()) / part.std()

    for a, b in (
        (own(train), own(test)),
        (train, np.minimum(test, 0.95)),
        (2 * train - 1, 0.8 * (2 * test - 1) + rng.normal(0, 0.02, test.shape)),
        (train, test[:20] * 0.7),
    ):
        tfdistill.from_arrays((a, labels[:300]), (b, labels[300 : 300 + len(b)]))


def test_dark_photographs_are_in_0_to_255_too():
    """Another camera, or the night: no other scale could be given to them."""
    rng, labels = np.random.default_rng(0), np.arange(100) % 2
    day = np.clip(rng.normal(128, 60, (100, 8, 8)), 0, 255).astype("uint8")
    night = np.clip(rng.normal(40, 12, (100, 8, 8)), 0, 255).astype("uint8")
    white = np.clip(rng.normal(250, 3, (100, 8, 8)), 0, 255).astype("uint8")
    for parts in itertools.permutations((day, night, white), 2):
        tfdistill.from_arrays(*((images, labels) for images in parts))
    digits, labels = PARTS["uint8"][:100], DIGITS.train.labels[:100]
    few = np.round(digits / 255 * 16).astype("uint8")  # as scikit-learn has them
    for parts in itertools.permutations((digits, few)):
        said = refusal(tfdistill.from_arrays, *((images, labels) for images in parts))
        assert "give them one scale" in said


def test_small_or_constant_parts_are_not_refused():
    images, labels = PARTS["uint8"][:40], DIGITS.train.labels[:40]
    for test in (images[:2] // 8, 0 * images[:3], 255 + 0 * images[:12]):
        tfdistill.from_arrays((images, labels), (test, labels[: len(test)]))
    darker = images // 2
    norm = tfdistill.Normalization((0.3,), (0.3,))
    tfdistill.from_arrays((images, labels), (darker // 2, labels), normalization=norm)


@pytest.mark.parametrize(
    "images, scale, fits",
    [
        ("0..1", 255, False),
        ("-1..1", 255, False),
        ("uint8", 1, False),
        ("0..255", 1, False),
        ("0..255", 255, True),
        ("uint8", 255, True),
        ("0..1", 1, True),
    ],
)
def test_a_normalization_of_another_scale(images, scale, fits):
    norm = tfdistill.Normalization((0.3,), (0.35,), scale)
    part = PARTS[images][:50], DIGITS.train.labels[:50]
    if fits:
        tfdistill.from_arrays(part, normalization=norm)
    else:
        sentence = refusal(tfdistill.from_arrays, part, normalization=norm)
        assert f"in 0..{scale}" in sentence and "measure them" in sentence


def test_black_and_white_of_floats():
    """0..1 or 0..255 where no pixel says otherwise, else what the images reach."""
    images = np.random.default_rng(0).random((60, 4, 4, 2))
    ends = images.min((0, 1, 2)), images.max((0, 1, 2))
    for low, high, expected in (
        (0, 0.3, (0, 1)),  # dark
        (-0.05, 1.05, (0, 1)),  # resized
        (0, 100, (0, 255)),
        (-10, 265, (0, 255)),
        (0, 16, None),
        (-1, 1, None),
        (900, 1155, None),
    ):
        part = low + (high - low) * images, np.arange(60) % 2
        found = tfdistill.from_arrays(part, part)
        if expected is None:
            expected = low + (high - low) * np.stack(ends)
        else:
            expected = np.transpose([expected] * 2)
        np.testing.assert_allclose(black_and_white(found), expected, rtol=0.02)
    clipped = np.clip(2 * images - 0.5, 0, 1)  # many images reach both ends
    found = tfdistill.from_arrays((100 * clipped, np.arange(60) % 2))
    np.testing.assert_allclose(black_and_white(found), [[0, 0], [100, 100]], atol=1e-4)


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1, 1e6])
def test_numbers_of_any_size_are_normalised(size):
    rng = np.random.default_rng(0)
    images = np.float32(size * (1 + rng.random((600, 8, 8, 1))))
    data = tfdistill.from_arrays((images, np.arange(600) % 2))
    ((x, _),) = data.train.batch(10**6)
    assert np.std(x) == pytest.approx(1, abs=1e-3)
    assert not Extent.of_images(images).is_constant
    shown = data.normalization.displayable(x)
    assert shown.min() == 0 and shown.max() == 1


@pytest.mark.parametrize(
    "channel",
    [
        lambda noise: np.uint8(noise * 0 + 77),
        lambda noise: noise * 0,
        lambda noise: 0.1 + 1e-7 * noise,
        lambda noise: 3e-9 * (1 + 1e-7 * noise),
        lambda noise: 250 + 3e-5 * noise,
        lambda noise: 1e-8 * noise,  # constant, but for rounding, and centred
    ],
)
def test_a_constant_channel_stays_as_it_is(channel):
    noise = np.random.default_rng(0).normal(size=(300, 40, 40, 1))
    kept = channel(noise)
    other = np.random.default_rng(1).integers(0, 200, noise.shape)
    kind = kept.dtype if kept.dtype == np.uint8 else np.float32
    images = np.concatenate([kept, other], -1).astype(kind)
    std = measure([images]).std
    assert std[0] == 1 and std[1] != 1


def test_measuring_takes_little_memory():
    images = np.random.default_rng(0).integers(0, 256, (300, 96, 96, 3), np.uint8)
    split = Split(images, np.arange(300) % 2)
    tracemalloc.start()
    try:
        found, extent = split.normalization, Extent.of_images(split.images)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40e6 and images.nbytes > 7.9e6
    scaled = images / 255
    np.testing.assert_allclose(found.mean, scaled.mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(found.std, scaled.std((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(extent.std, images.std(), rtol=1e-9)


def test_masks_of_0_and_1_are_not_black():
    data = tfdistill.from_arrays((PARTS["mask"], DIGITS.train.labels))
    ((x, _),) = data.train.batch(10**6)
    assert data.normalization.scale == 1
    assert np.mean(x) == pytest.approx(0, abs=1e-3)
    assert np.std(x) == pytest.approx(1, abs=1e-3)
    assert data.normalization.displayable(x).max() == 1


layers = keras.layers


class Divides(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = layers.Dense(10)

    def call(self, images):
        return self.last(keras.ops.reshape(images / 255.0, (-1, 64)))


def begins_with(first):
    return lambda: keras.Sequential(
        [keras.Input((8, 8, 1)), *first(), layers.Flatten(), layers.Dense(10)]
    )


def adapted():
    layer = layers.Normalization()
    layer.adapt(DIGITS.train.images.astype("float32"))
    return [layer]


def frozen():
    base = begins_with(lambda: [layers.Rescaling(1 / 255), layers.Conv2D(4, 3)])()
    base.trainable = False
    return [base]


FOR_RAW = {
    "rescaling": begins_with(lambda: [layers.Rescaling(1 / 255)]),
    "to -1..1": begins_with(lambda: [layers.Rescaling(1 / 127.5, -1)]),
    "a function": begins_with(lambda: [layers.Lambda(lambda x: x / 255)]),
    "a method": Divides,
    "adapted": begins_with(adapted),
    "frozen": lambda: keras.Sequential([*frozen(), layers.Dense(10)]),
    "brightness": begins_with(lambda: [layers.RandomBrightness(0.2)]),
    "a little": begins_with(lambda: [layers.RandomBrightness(0.02)]),
    "contrast": begins_with(lambda: [layers.RandomContrast(0.3)]),
}
FOR_NORMALISED = {
    "brightness": begins_with(
        lambda: [layers.RandomBrightness(0.2, value_range=(-3, 3))]
    ),
    "augmented": begins_with(
        lambda: [layers.RandomFlip(), layers.RandomRotation(0.1), layers.Dropout(0.5)]
    ),
    "noise": begins_with(lambda: [layers.GaussianNoise(1.0)]),
    "pooled": begins_with(lambda: [layers.AveragePooling2D(4)]),
    "relu": begins_with(lambda: [layers.ReLU()]),
    "raw again": begins_with(lambda: [layers.Rescaling(58.0, 123.0)]),
}


@pytest.mark.filterwarnings("ignore:.*frozen layers")
@pytest.mark.parametrize("kind", FOR_RAW)
def test_students_of_raw_images_are_refused(kind):
    synthesizer = tfdistill.DistilledImages.from_noise(DIGITS, steps=1)
    sentence = refusal(tfdistill.Distiller, FOR_RAW[kind], synthesizer)
    assert re.search("leave its rescaling out|value_range", sentence)
    distilled = tfdistill.baselines.random_real(DIGITS, steps=1)
    assert refusal(tfdistill.Evaluator, FOR_RAW[kind], distilled)
    assert refusal(distilled.train, FOR_RAW[kind]())
    # Raw images are fine if they are asked for.
    norm = tfdistill.Normalization((0,), (1,), 1)
    part = DIGITS.train.images[:90], DIGITS.train.labels[:90]
    raw = tfdistill.from_arrays(part, normalization=norm)
    tfdistill.Evaluator(FOR_RAW[kind], tfdistill.baselines.random_real(raw, steps=1))


def of_whole_numbers(dtype):
    def make(image_shape, num_classes):
        images = keras.Input(image_shape, dtype=dtype)
        x = layers.Flatten()(layers.Embedding(256, 2)(layers.Flatten()(images)))
        return keras.Model(images, layers.Dense(num_classes)(x))

    return make


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_normalised_images_are_not_cast_to_whole_numbers(dtype):
    make = of_whole_numbers(dtype)
    model = make(DIGITS.image_shape, 10)
    distilled = tfdistill.baselines.random_real(DIGITS, steps=1)
    real = tfdistill.RealBatches(DIGITS, steps=1, batch_size=2)
    shots = DIGITS.train.sample(1)
    recipe = pretraining.Recipe(epochs=1)
    for function, *arguments in (
        (tfdistill.Evaluator, make, distilled),
        (tfdistill.Distiller, make, real),
        (Architecture, make, DIGITS),
        (distilled.train, model),
        (distilled.serving_model, model),
        (tfdistill.adaptation.fada, model, DIGITS.train, *shots),
        (pretraining.pretrain, lambda: model, DIGITS, [0], recipe),
    ):
        sentence = refusal(function, *arguments)
        assert f"takes {dtype} images" in sentence and "a float Input" in sentence
    batch = shots[0], shots[1]
    sentence = refusal(
        tfdistill.evaluate_model, model, tf.data.Dataset.from_tensors(batch)
    )
    assert f"takes {dtype} images, not float32" in sentence


@pytest.mark.parametrize("scale", [1, 255])
def test_numbers_that_stay_whole_may_be_tokens(scale):
    norm = tfdistill.Normalization((0,), (1,), scale)
    part = DIGITS.train.images[:90], DIGITS.train.labels[:90]
    tokens = tfdistill.from_arrays(part, normalization=norm)
    distilled = tfdistill.baselines.random_real(tokens, steps=1)
    make = of_whole_numbers("int32")
    if scale == 255:
        assert "takes int32 images" in refusal(tfdistill.Evaluator, make, distilled)
        return
    tfdistill.Evaluator(make, distilled)
    model = make(DIGITS.image_shape, 10)
    served = distilled.serving_model(distilled.train(model))
    images = DIGITS.test.images[:3].astype("float32")
    np.testing.assert_allclose(served(images), model(images), rtol=1e-5)


@pytest.mark.parametrize("kind", FOR_NORMALISED)
def test_students_of_normalised_images_raise_no_alarm(kind):
    distilled = tfdistill.baselines.random_real(DIGITS, steps=1)
    tfdistill.Evaluator(FOR_NORMALISED[kind], distilled)


def test_asking_a_student_changes_nothing():
    model = begins_with(lambda: [layers.Dropout(0.5), layers.BatchNormalization()])()
    before = [v.numpy() for v in model.variables]
    tfdistill.students.check_range([model], "mine", (8, 8, 1), DIGITS.normalization)
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, variable)


def test_fit_wants_normalised_batches():
    distiller = tfdistill.Distiller(
        "linear", tfdistill.DistilledImages.from_noise(DIGITS, steps=1)
    )
    distiller.compile()
    images, labels = DIGITS.train.images, DIGITS.train.labels

    def batches(images):
        return tf.data.Dataset.from_tensor_slices((images, labels)).batch(64)

    for given, says in (
        (batches(images), "not uint8"),
        (batches(images.astype("float32")), "normalised.*first batch"),
        (batches(SCALED), "in 0..1"),
        (batches(images).unbatch(), "batch\\(256\\) of it"),
        (images, "not uint8"),
        (DIGITS, "data.train.batch"),
        (DIGITS.train, "split.batch"),
    ):
        assert re.search(says, refusal(distiller.fit, given, verbose=0))
    with pytest.raises(ValueError, match="not uint8"):
        distiller.fit(images, labels)
    augmented = DIGITS.train.batch(64, augment=augmentation.crop_flip)
    distiller.fit(augmented, verbose=0, steps_per_epoch=1)
    distiller.fit(np.array(DIGITS.normalization.normalize(images)), labels, verbose=0)


@pytest.mark.parametrize("test", [DIGITS, (SCALED, DIGITS.train.labels), [1], None])
def test_what_is_no_test_part(test):
    distilled = tfdistill.baselines.random_real(DIGITS, steps=1)
    sentence = refusal(tfdistill.evaluate, distilled, "linear", test, 1)
    assert "test" in sentence or "Each batch must be a pair" in sentence
    model = tfdistill.students.linear(DIGITS.image_shape)
    assert refusal(tfdistill.evaluate_model, model, test) == sentence


# Folders ----------------------------------------------------------------------------


def picture(k=0, size=(6, 5), mode="RGB"):
    shape = size + ((len(mode),) if len(mode) > 1 else ())
    return Image.fromarray(
        np.random.default_rng(k).integers(0, 256, shape, np.uint8), mode=None
    ).convert(mode)


def put(path, image=None, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or picture(hash(path.name) % 1000)).save(path, **kwargs)


def loaded(folder, **kwargs):
    """A folder, in memory and streamed alike, and what was said about it."""
    sets = []
    for in_memory in (True, False):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            data = tfdistill.load_dataset(folder, in_memory=in_memory, **kwargs)
        said = [str(w.message) for w in said if w.category is UserWarning]
        assert len(said) <= 1 and not any("\n" in line for line in said)
        sets.append((data, said))
    (held, said), (streamed, also) = sets
    assert said == also and held.class_names == streamed.class_names
    for name in ("train", "test"):
        batches = (getattr(data, name).batch(7) for data in (held, streamed))
        for (x, y), (u, v) in zip(*batches, strict=True):
            np.testing.assert_array_equal(x, u)
            np.testing.assert_array_equal(y, v)
    return held, "".join(said)


def test_files_of_all_formats_in_nested_folders(tmp_path):
    endings = ["webp", "tif", "tiff", "PNG", "jpg", "jpeg", "bmp", "gif", "tga", "ppm"]
    for name in "ab":
        for k, ending in enumerate(endings):
            put(tmp_path / name / "by_date" / f"20{k}" / f"{k}.{ending}")
            put(tmp_path / name / f"{k}.{ending}")
        put(tmp_path / name / "without_suffix", format="PNG")
    data, said = loaded(tmp_path)
    assert len(data.train) + len(data.test) == 2 * 21 and not said
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "a" / "labels.csv").write_text("no image")
    (tmp_path / "a" / "._1.png").write_bytes(b"of a system")
    for name in ("__MACOSX", "@eaDir", ".thumbnails", "a/@eaDir", "b/.cache"):
        put(tmp_path / name / "preview.png")
    (tmp_path / "empty" / "nothing").mkdir(parents=True)
    put(tmp_path / "cover.png")
    again, said = loaded(tmp_path)
    assert again.class_names == ("a", "b") and len(again.train) == len(data.train)
    assert "42 of train images are read; left out:" in said
    for what in ("1 folders @eaDir/", "1 image files outside", "1 other files", "more"):
        assert what in said


def test_folders_inside_a_class_are_read_or_spoken_of(tmp_path):
    for name in ("a/1", "a/#1", "b"):
        for k in range(4):
            put(tmp_path / "d" / name / f"{k}.png")
    (tmp_path / "d" / "a" / "1" / "round").symlink_to(tmp_path / "d" / "a")
    (tmp_path / "d" / "c").symlink_to(tmp_path / "d" / "b")
    data, said = loaded(tmp_path / "d")
    assert data.class_names == ("a", "b", "c")
    assert len(data.train) + len(data.test) == 12
    assert "1 folders #1/ inside" in said and "1 links to folders inside" in said


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="users of Unix")
def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    for name in ("a/1", "a/2", "b"):
        for k in range(4):
            put(tmp_path / name / f"{k}.png")
    (tmp_path / "a" / "2").chmod(0)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    user = os.geteuid()
    try:
        if user == 0:  # who reads everything
            os.seteuid(65534)
        said = refusal(tfdistill.load_dataset, "./")
    finally:
        os.seteuid(user)
        (tmp_path / "a" / "2").chmod(0o755)
    assert "a/2' cannot be read: Permission denied" in said


@pytest.mark.parametrize(
    "folders, test, left_out",
    [
        (["train", "val"], "val", ""),
        (["train", "valid", "test"], "test", "valid/"),
        (["Training", "Testing"], "Testing", ""),
        (["train", "test", "extra"], "test", "extra/"),
        (["train", "validation"], "validation", ""),
    ],
)
def test_parts_by_their_folders(folders, test, left_out, tmp_path):
    for k, part in enumerate(folders):
        for name in "ab":
            for n in range(3 + k):
                put(tmp_path / part / name / f"{part}{n}.png")
    data, said = loaded(tmp_path)
    assert len(data.train) == 6 and len(data.test) == 2 * (3 + folders.index(test))
    assert (left_out in said) if left_out else not said


def test_names_that_are_not_utf8(tmp_path):
    """Those of folders from systems that wrote Latin-1."""
    name = os.fsdecode(b"donn\xe9es")
    try:
        put(tmp_path / name / "a" / "0.png")
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    in_folder(tmp_path / name, parts=("",))
    put(tmp_path / name / "a" / f"{name}.png")
    data = tfdistill.load_dataset(tmp_path / name)
    assert data.name == "donn?es"
    distilled = tfdistill.baselines.random_real(data, steps=1)
    distilled.save(tmp_path / "distilled")
    for provenance in ({"load": {"dataset": [name]}}, {"of": {name: 1}}):
        assert "donn\\udce9es', which no" in refusal(
            distilled.replace, provenance=provenance
        )
    flags = [f"--dataset={tmp_path / name}", f"--workdir={tmp_path / 'run'}"]
    with pytest.raises(InputError, match="udce9es' is not UTF-8.*: rename it, or give"):
        cli_data.load(distill.COMMAND.parse(flags))
    (tmp_path / "link").symlink_to(tmp_path / name)
    flags[0] = f"--dataset={tmp_path / 'link'}"
    assert cli_data.load(distill.COMMAND.parse(flags)).name == "donn?es"
    with pytest.raises(InputError, match="udce9es.png' is not UTF-8.*: rename it"):
        audit.load(audit.COMMAND.parse(flags))


def test_a_class_may_be_called_train(tmp_path):
    for name in ("car", "plane", "train"):
        for k in range(5):
            put(tmp_path / name / f"{k}.png")
    assert loaded(tmp_path)[0].class_names == ("car", "plane", "train")


@pytest.mark.parametrize("colour", ["first", "last"])
def test_colour_if_any_image_has_it(colour, tmp_path):
    grey = "b" if colour == "first" else "a"
    for name in "ab":
        for k in range(5):
            put(tmp_path / name / f"{k}.png", picture(k, mode="L"))
    assert loaded(tmp_path)[0].image_shape == (6, 5, 1)
    other = ({"a", "b"} - {grey}).pop()
    put(tmp_path / other / "9.webp", picture(9))
    data, said = loaded(tmp_path)
    assert data.image_shape == (6, 5, 3) and "10 are grey" in said


def test_pictures_are_as_they_are_looked_at(tmp_path):
    upright = picture(3, (6, 5))
    for name in "ab":
        for k in range(4):
            put(tmp_path / name / f"{k}.png")
    turned = {3: 180, 6: 90, 8: -90}
    for tag, angle in turned.items():
        exif = Image.Exif()
        exif[0x0112] = tag
        for ending in ("tif", "png", "webp"):
            path = tmp_path / "a" / f"turned{tag}.{ending}"
            put(path, upright.rotate(angle, expand=True), exif=exif, lossless=True)
    clear = np.zeros((6, 5, 4), np.uint8)
    clear[0, 0, 3] = 255
    put(tmp_path / "b" / "clear.png", Image.fromarray(clear))
    paletted = Image.new("P", (5, 6))
    put(tmp_path / "b" / "clear.gif", paletted, transparency=0)
    data, said = loaded(tmp_path)
    images = np.concatenate([data.train.images, data.test.images])
    same = (images == np.asarray(upright)).all((1, 2, 3)).sum()
    assert same == 9 and "9 are turned as their EXIF" in said
    white = (images == 255).all(-1).sum((1, 2))
    assert sorted(white)[-2:] == [29, 30] and "2 have transparent pixels" in said


def chunk(kind, data):
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
    )


def png16(colours, kind):
    """6 x 5 pixels of 16 bits, which Pillow cannot write in colour."""
    rows = b"".join(b"\0" + bytes(2 * 5 * colours) for _ in range(6))
    header = struct.pack(">IIBBBBB", 5, 6, 16, kind, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def tiff16(order):
    """6 x 5 pixels of three times 16 bits."""
    at = 8 + 2 + 12 * 9 + 4  # of what follows the tags
    tags = {256: 5, 257: 6, 258: at, 259: 1, 262: 2, 273: at + 6, 277: 3, 278: 6}
    tags[279] = 6 * 5 * 6
    found = b"".join(
        struct.pack(f"{order}HHII", tag, 4, 1, value)
        if tag != 258
        else struct.pack(f"{order}HHII", tag, 3, 3, value)
        for tag, value in tags.items()
    )
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    start += struct.pack(f"{order}H", len(tags)) + found + bytes(4)
    return start + struct.pack(f"{order}3H", 16, 16, 16) + bytes(6 * 5 * 6)


def sgi16(packed, colours):
    shape = struct.pack(">HBBHHHH", 474, packed, 2, 3, 5, 6, colours)
    return shape + bytes(512 - len(shape)) + bytes(6 * 5 * 2 * colours)


@pytest.mark.parametrize(
    "content, depth",
    [
        (png16(1, 0), 16),
        (png16(3, 2), 16),
        (png16(2, 4), 16),
        (png16(4, 6), 16),
        (tiff16("<"), 16),
        (tiff16(">"), 16),
        (b"P6 5 6 65535\n" + bytes(180), 16),
        (b"P6 5 6 1023\n" + bytes(180), 16),
        (b"P6 5 6 200\n" + bytes(90), 8),
        (b"P3 5 6 1023\n" + b"0 " * 90, 16),
        (b"P3 5 6 255\n" + b"0 " * 90, 8),
        (sgi16(0, 3), 16),
        (sgi16(1, 3), 16),
    ],
)
def test_deep_pictures_are_not_cut_to_8_bits(content, depth, tmp_path):
    path = tmp_path / "0.dat"  # Pillow goes by what is inside
    path.write_bytes(content)
    if depth == 8:
        assert pictures.header(path).size == (6, 5)
        assert pictures.pixels(path, False).shape == (6, 5, 3)
    else:
        assert "more than 8 bits" in refusal(pictures.header, path)


def test_a_huge_picture_is_not_called_damaged(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "0.png")
    assert "more than 178,956,970 pixels" in refusal(
        pictures.header, tmp_path / "0.png"
    )


def test_exif_data_may_follow_the_pixels(tmp_path):
    path, exif = tmp_path / "0.png", Image.Exif()
    exif[0x0112] = 6
    upright = picture(3, (6, 5))
    upright.rotate(90, expand=True).save(path, exif=exif)
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    stop = start + 12 + struct.unpack_from(">I", data, start)[0]
    rest, end = data[:start] + data[stop:-12], data[-12:]
    path.write_bytes(rest + data[start:stop] + end)
    assert pictures.header(path).is_turned and pictures.header(path).size == (6, 5)
    np.testing.assert_array_equal(pictures.pixels(path, False), np.asarray(upright))
    path.write_bytes(rest + end)
    assert not pictures.header(path).is_turned


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped"])
@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_damaged_files_are_named(damage, ending, tmp_path):
    for name in "ab":
        for k in range(5):
            put(tmp_path / name / f"{k}.{ending}", picture(k, (40, 40)))
    path = tmp_path / "b" / f"3.{ending}"
    whole = path.read_bytes()
    if damage == "flipped" and ending != "png":
        return  # such pictures are whole, and look odd
    path.write_bytes(
        {
            "cut": whole[: len(whole) // 2],
            "empty": b"",
            "text": b"no image",
            "flipped": whole[:60] + bytes(255 - b for b in whole[60:90]) + whole[90:],
        }[damage]
    )
    for in_memory in (True, False):
        sentence = refusal(tfdistill.load_dataset, tmp_path, in_memory=in_memory)
        assert f"3.{ending}" in sentence


def test_a_streamed_folder_lets_the_process_end(tmp_path):
    for name in "ab":
        for k in range(40):
            put(tmp_path / name / f"{k}.png", picture(k))
    program = f"""
import sys, time
import tfdistill
from PIL import Image
convert = Image.Image.convert
data = tfdistill.load_dataset({str(tmp_path)!r}, in_memory=False)
data.normalization
def slow(*args, **kwargs):
    time.sleep(0.05)
    return convert(*args, **kwargs)
Image.Image.convert = slow
batches = iter(data.train.batch(8, shuffle=True, repeat=True))
next(batches)
raise SystemExit(143)
"""
    process = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=90,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert process.returncode == 143, process.stderr


# Labels and names -------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda y: y[:, None],
        lambda y: y == 1,
        lambda y: np.eye(2)[y],
        lambda y: np.eye(2, dtype="int64")[y],
        lambda y: np.eye(2, dtype=bool)[y],
        lambda y: np.array(["cat", "dog"])[y],
        lambda y: np.array([b"cat", b"dog"])[y],
        lambda y: np.array(["cat", "dog"], object)[y][:, None],
        lambda y: np.array([b"cat", b"dog"], object)[y],
        lambda y: list(y),
        lambda y: y.astype("uint64"),
    ],
)
def test_labels_of_any_usual_form(make):
    given = make(LABELS)
    data = tfdistill.from_arrays((IMAGES, given), (IMAGES, given))
    np.testing.assert_array_equal(data.train.labels, LABELS)
    is_text = isinstance(given, np.ndarray) and given.dtype.kind in "SUO"
    assert data.class_names == (("cat", "dog") if is_text else ("0", "1"))
    if not is_text:
        stream = tf.data.Dataset.from_tensor_slices((IMAGES, given))
        for in_memory in (True, False):
            data = tfdistill.from_tf_data(stream, in_memory=in_memory)
            np.testing.assert_array_equal(
                np.bincount(data.train.read_labels()), [16, 16]
            )


@pytest.mark.parametrize(
    "labels, way_out",
    [
        (LABELS + 1, "subtract 1"),
        (LABELS * 2, "without gaps"),
        (LABELS / 1, "astype"),
        (np.full((COUNT, 2), 0.5), "argmax"),
        (np.eye(3)[LABELS][:, :, None], "one per image"),
        ([[1], [2, 3]], "labels must be"),
        (np.array([b"\xe9", b"\xe8"])[LABELS], "not UTF-8: decode"),
    ],
)
def test_labels_that_are_refused(labels, way_out):
    assert re.search(way_out, refusal(tfdistill.from_arrays, (IMAGES, labels)))
    if isinstance(labels, np.ndarray) and labels.dtype.kind == "f":
        stream = tf.data.Dataset.from_tensor_slices((IMAGES, labels))
        for in_memory in (True, False):
            sentence = refusal(tfdistill.from_tf_data, stream, in_memory=in_memory)
            assert "cast" in sentence or "argmax" in sentence or "scalars" in sentence


def test_names_that_are_labels_keep_their_order():
    names = np.array(["dog", "cat"])[LABELS]
    data = tfdistill.from_arrays((IMAGES, names), class_names=["dog", "cat", "cow"])
    assert data.class_names == ("dog", "cat", "cow")
    for other in (["dog"] * COUNT, ["dog", "fox"] * 20):
        sentence = (
            refusal(
                tfdistill.from_arrays, (IMAGES, ["dog", "cat"] * 20), (IMAGES, other)
            )
            if "fox" in other
            else "which is not in"
        )
        assert "which is not in" in sentence
    sentence = refusal(tfdistill.from_arrays, (IMAGES, names), (IMAGES, LABELS))
    assert "all names or all integers" in sentence


BAD_NAMES = [
    "",
    " ",
    " a",
    "a\t",
    "a\nb",
    "a\rb",
    "a\u2028b",
    "\x85",
    "\ud800",
    "\xa0x",
]


@pytest.mark.parametrize("name", [*BAD_NAMES, "b"])
def test_names_that_files_would_change(name):
    names = (name, "b")
    assert "rename" in refusal(
        tfdistill.from_arrays, (IMAGES, LABELS), class_names=names
    )
    distilled = tfdistill.baselines.random_real(
        tfdistill.from_arrays((IMAGES, LABELS)), steps=1
    ).replace(class_names=names)
    assert "rename" in refusal(distilled.save, "never")
    assert not os.path.exists("never")


def test_names_may_be_bytes(tmp_path):
    names = np.array([b"cat", "dög".encode()])
    data = tfdistill.from_arrays((IMAGES, LABELS), class_names=list(names))
    assert data.class_names == ("cat", "dög")
    path = str(tmp_path / "d.npz")
    np.savez(path, x_train=IMAGES, y_train=names[LABELS], class_names=names[::-1])
    data = tfdistill.load_dataset(path)
    assert data.class_names == ("dög", "cat")
    every, found = origins.whole(data, path)
    np.testing.assert_array_equal(every.train.labels, 1 - LABELS)
    assert found.kind == "npz" and found.places[3] == "x_train[3]"


def test_accents_are_of_one_or_two_characters(tmp_path):
    one, two = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    for part, name in (("train", one), ("train", "z"), ("test", two), ("test", "z")):
        for k in range(3):
            put(tmp_path / part / name / f"{k}.png")
    data, said = loaded(tmp_path)
    assert data.class_names == ("z", one) and not said
    assert data.test.of_classes([1]).num_examples == 3
    assert cli_data.labels([two], data.class_names) == [1]
    labels = [np.array([name, "z"])[LABELS] for name in (one, two)]
    data = tfdistill.from_arrays(*((IMAGES, y) for y in labels), class_names=["z", two])
    assert data.class_names == ("z", one)
    data = tfdistill.from_arrays(*((IMAGES, y) for y in labels))
    data = tfdistill.baselines.random_real(data, steps=1)
    earlier = data.replace(class_names=["z", two])
    other = tfdistill.from_arrays((IMAGES, LABELS), class_names=[two, "z"])
    with pytest.raises(ValueError, match="come in another order"):
        earlier.check_fits(other)


def test_classes_are_chosen_by_their_names(tmp_path, capsys):
    for k in range(12):
        for n in range(5):
            put(tmp_path / str(k) / f"{n}.png", picture(100 * k + n))

    def of(classes):
        flags = [f"--dataset={tmp_path}/", "--workdir=w", f"--classes={classes}"]
        found = cli_data.load(distill.COMMAND.parse(flags))
        # An audit, which also knows where each image lies, takes the same ones.
        audited, places, _ = audit.load(audit.COMMAND.parse(flags))
        assert audited.class_names == found.class_names and audited.name == found.name
        names = [found.class_names[k] for k in audited.train.labels]
        assert names == [place.split("/")[0] for place in places.places]
        parts = found.train, found.validation, found.test
        assert len(names) == sum(map(len, parts))
        return found

    assert of("2,10").class_names == ("2", "10")
    assert "2 (label 4), 10 (label 2)" in capsys.readouterr().out
    with pytest.raises(InputError, match="no class is called '12'"):
        of("2,12")
    for k, name in enumerate(["car", "plane", "train"]):
        (tmp_path / str(k)).rename(tmp_path / name)
    for k in range(3, 12):
        (tmp_path / str(k)).rename(tmp_path / f".{k}")
    assert of("train,car").class_names == ("train", "car")
    assert of("2,0").class_names == ("train", "car")
    with pytest.raises(InputError, match="no class is called '0'; there are car"):
        of("car,0")


# Arrays of other shapes -------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, way_out",
    [
        ((3, 8, 8), r"np.moveaxis\(images, 1, -1\)"),
        ((1, 9, 8), r"np.moveaxis\(images, 1, -1\)"),
        ((4, 32, 20), r"np.moveaxis\(images, 1, -1\)"),
        ((784,), r"\(28, 28, 1\)"),
        ((17,), r"\(1, 17, 1\)"),
        ((5, 6, 7, 1), "volume.*channels"),
        ((2, 5, 6, 7, 1), r"shape \[N, H, W, C\]|unbatched"),
    ],
)
def test_shapes_are_recognised(shape, way_out):
    images = np.random.default_rng(0).random((20, *shape), "float32")
    assert re.search(way_out, refusal(tfdistill.from_arrays, (images, LABELS[:20])))
    stream = tf.data.Dataset.from_tensor_slices((images, LABELS[:20]))
    assert re.search(way_out, refusal(tfdistill.from_tf_data, stream))


@pytest.mark.parametrize(
    "shape", [(3, 8, 3), (1, 100, 16), (8, 3), (1, 30, 1), (2, 9, 9)]
)
def test_odd_images_are_images(shape):
    images = np.random.default_rng(0).random((20, *shape), "float32")
    data = tfdistill.from_arrays((images, LABELS[:20]))
    assert data.image_shape == (shape if len(shape) == 3 else (*shape, 1))


def test_an_archive_says_what_it_holds(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, images=IMAGES, labels=LABELS)
    assert "it holds images, labels" in refusal(tfdistill.load_dataset, path)
    np.savez(path, x_train=IMAGES, labels=LABELS)
    assert "lacks y_train: it holds x_train, labels" in refusal(
        tfdistill.load_dataset, path
    )


# The tables of docs/data.md ---------------------------------------------------------


def taken(images=IMAGES, labels=LABELS, test=None, **kwargs):
    tfdistill.from_arrays((images, labels), test, **kwargs)


def streamed(dataset):
    tfdistill.from_tf_data(dataset, num_classes=2, in_memory=False)


def in_folder(root, change=lambda root: None, parts=("train", "test"), **kwargs):
    for part in parts:
        for name in "ab":
            for k in range(3):
                put(root / part / name / f"{k}.png", picture(k, **kwargs))
    change(root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tfdistill.load_dataset(root, in_memory=False)


def cut(root):
    (root / "train" / "a" / "0.png").write_bytes(b"")


def deep(root):
    Image.new("I;16", (5, 6)).save(root / "train" / "a" / "0.png")


def huge(root):
    Image.new("1", (20_000, 20_000)).save(root / "train" / "a" / "0.png")


def without_end(_):
    forever = pairs().repeat().filter(lambda image, label: label >= 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "MOST", 2000)
        tfdistill.from_tf_data(forever)


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("in_memory", [None, True, False])
def test_a_dataset_of_unknown_length_has_an_end(part, in_memory, monkeypatch):
    monkeypatch.setattr(passes, "MOST", 2000)
    endless = pairs().repeat().filter(lambda image, label: label >= 0)
    parts = {"train": pairs(), "test": pairs(), part: endless}
    said = refusal(tfdistill.from_tf_data, **parts, in_memory=in_memory)
    assert said.startswith(f"{part}: the dataset must end") and "take(n)" in said
    assert "2,000 were not all" in said
    long = endless.take(3000).apply(tf.data.experimental.assert_cardinality(3000))
    parts[part] = long
    dataset = tfdistill.from_tf_data(**parts, in_memory=in_memory)
    assert len(getattr(dataset, part)) == 3000


REAL = np.random.default_rng(0).random((COUNT, 6, 6, 3), "float32")
DRAWN = SCALED[:COUNT]
TABLES = {
    "uint8 [N, H, W, C]": lambda _: taken(),
    "Grey [N, H, W]": lambda _: taken(IMAGES[..., 0]),
    "Other integers in 0..255": lambda _: taken(IMAGES.astype("int64")),
    "Integers above 255": lambda _: taken(IMAGES.astype("int64") + 1),
    "Floats in any range": lambda _: taken(9 * REAL - 40),
    "Masks: bool, or uint8 0 and 1": lambda _: taken(REAL > 0.5),
    "NaN or infinite numbers": lambda _: taken(REAL / 0),
    "Channels first [N, C, H, W]": lambda _: taken(np.moveaxis(REAL, -1, 1)),
    "Vectors [N, D]": lambda _: taken(REAL.reshape(COUNT, -1)),
    "Volumes [N, D, H, W, C]": lambda _: taken(REAL[..., None]),
    "Images of several sizes": lambda _: taken([REAL[0], REAL[1][1:]], [0, 1]),
    "Train uint8, test floats in 0..255": lambda _: taken(
        test=(IMAGES.astype("float32"), LABELS)
    ),
    "Train uint8, test floats in 0..1": lambda _: taken(test=(IMAGES / 255, LABELS)),
    "Train in 0..1, test in -1..1": lambda _: taken(REAL, test=(2 * REAL - 1, LABELS)),
    "Train in -1..1, test of mean 0 and deviation 1": lambda _: taken(
        2 * DRAWN - 1, test=((DRAWN - DRAWN.mean()) / DRAWN.std(), LABELS)
    ),
    "Train and test of other sizes or channels": lambda _: taken(test=(REAL, LABELS)),
    "A Normalization of another scale": lambda _: taken(
        REAL, normalization=tfdistill.Normalization((0.5,) * 3, (0.3,) * 3)
    ),
    "Integers 0..K-1": lambda _: taken(),
    "Bools": lambda _: taken(labels=LABELS == 1),
    "[N, 1]": lambda _: taken(labels=LABELS[:, None]),
    "One-hot [N, K]": lambda _: taken(labels=np.eye(2)[LABELS]),
    "Names of classes": lambda _: taken(labels=["a", "b"] * 20),
    "Labels 1..K": lambda _: taken(labels=LABELS + 1),
    "Labels with gaps": lambda _: taken(labels=LABELS * 2),
    "Integers of 2**31 and more": lambda _: taken(labels=LABELS + 2**31),
    "Floats": lambda _: taken(labels=LABELS / 1),
    "Soft labels": lambda _: taken(labels=np.full((COUNT, 2), 0.5)),
    "Bytes that are not UTF-8": lambda _: taken(labels=[b"\xe9", b"\xe8"] * 20),
    "Class names that are empty, padded or equal, or have line breaks": lambda _: taken(
        class_names=["a", "b "]
    ),
    "Unbatched pairs (image, label)": lambda _: streamed(pairs()),
    "Batches": lambda _: streamed(pairs().batch(4)),
    "shuffle(), streamed": lambda _: streamed(UNSTEADY["shuffle"][0](_)),
    "image_dataset_from_directory, streamed": lambda root: streamed(from_files(root)),
    "shuffle().cache()": lambda _: streamed(STEADY["cached"]()),
    "deterministic=False as an option": lambda _: streamed(STEADY["as an option"]()),
    "deterministic=False of a step, streamed": lambda _: streamed(
        UNSTEADY["mapped"][0](_)
    ),
    "Random changes in map(), streamed": lambda _: streamed(UNSTEADY["flips"][0](_)),
    "A generator that ends after one pass": lambda _: streamed(exhausted()),
    "take() and skip() after shuffle()": lambda _: tfdistill.from_tf_data(
        *[f(30) for d in [pairs().shuffle(COUNT)] for f in (d.take, d.skip)]
    ),
    "repeat() without end": lambda _: streamed(pairs().repeat()),
    "A generator without end": without_end,
    "All formats that Pillow decodes": in_folder,
    "train/ and test/, or just classes": in_folder,
    "train/ and val/ or valid/": lambda root: in_folder(root, parts=("train", "val")),
    "Grey and colour": lambda root: in_folder(
        root, lambda root: put(root / "train" / "a" / "0.png", picture(mode="L"))
    ),
    "EXIF orientation": in_folder,
    "Transparent pixels": lambda root: in_folder(root, mode="RGBA"),
    "A damaged or empty file": lambda root: in_folder(root, cut),
    "More than 8 bits per channel": lambda root: in_folder(root, deep),
    "More pixels than Pillow opens": lambda root: in_folder(root, huge),
}


def test_the_tables_say_what_is_taken(tmp_path):
    text = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| (taken|refused) \|", text, re.MULTILINE)
    assert {name.replace("`", "") for name, _ in rows} == set(TABLES)
    for number, (name, said) in enumerate(rows):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            TABLES[name.replace("`", "")](folder)
            answer = "taken"
        except ValueError:
            answer = "refused"
        assert answer == said, name
