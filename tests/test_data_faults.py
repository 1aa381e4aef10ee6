"""Real data that were once taken for something else, without a word."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill.data.split import Split

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
            lambda k: pairs().shard(4, k), num_parallel_calls=2, deterministic=False
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
        lambda k: pairs().shard(4, k), num_parallel_calls=2
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
