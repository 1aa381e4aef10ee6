"""Data sets as a user meets them: real files, real TFDS folders, real errors."""

import doctest
import importlib
import json
import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill.cli import data as cli_data
from tfdistill.cli import distill
from tfdistill.cli.errors import InputError
from tfdistill.data import loading as datasets
from tfdistill.data import reading, streamed
from tfdistill.data.dataset import Dataset
from tfdistill.data.images import Form, Pairs, raw_pairs
from tfdistill.data.normalization import Normalization
from tfdistill.data.split import Split


def make_arrays(num_examples=60, shape=(6, 5, 3), classes=3, seed=0):
    """Images whose first pixel is their index, so that examples can be told apart."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (num_examples, *shape), np.uint8)
    images[:, 0, 0, 0] = np.arange(num_examples)
    return images, np.arange(num_examples) % classes


def make_split(num_examples=60, **kwargs):
    images, labels = make_arrays(num_examples, **kwargs)
    return Split(images, labels, Normalization((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)))


def make_streamed(num_examples=60):
    images, labels = make_arrays(num_examples)
    return Split.streamed(
        tf.data.Dataset.from_tensor_slices((images, labels)),
        num_examples,
        images.shape[1:],
        Normalization((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)),
    )


def make_listed(num_examples=60):
    images, labels = make_arrays(num_examples)
    rows = np.arange(num_examples)
    pairs = Pairs.of_list(rows, np.int32(labels), lambda row: tf.constant(images)[row])
    norm = Normalization((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    return Split.streamed(pairs, num_examples, images.shape[1:], norm)


MAKERS = [make_split, make_streamed, make_listed]


def indices(batches):
    """Which examples of `make_arrays` are in the batches."""
    norm = Normalization((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    return [
        np.rint(norm.denormalize(x)[:, 0, 0, 0] * 255).astype(int).tolist()
        for x, _ in batches
    ]


@pytest.mark.parametrize("name", ["dataset", "loading", "normalization", "split"])
def test_examples_in_docstrings(name):
    module = importlib.import_module(f"tfdistill.data.{name}")
    failed, attempted = doctest.testmod(module)
    assert attempted and not failed


# Normalization


def test_normalization_follows_its_formula_and_is_undone():
    norm = Normalization((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    images, _ = make_arrays()
    normalized = norm.normalize(images)
    assert normalized.dtype == tf.float32 and normalized.shape == images.shape
    expected = (images / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    np.testing.assert_allclose(normalized, expected, atol=1e-5)
    np.testing.assert_allclose(norm.denormalize(normalized), images / 255, atol=1e-6)
    assert norm.denormalize([[0.0, 0.0, 99.0]]).max() > 1, "must not be clipped"


def test_normalization_works_in_a_graph_of_unknown_shape():
    norm = Normalization((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    images, _ = make_arrays()
    spec = tf.TensorSpec((None, None, None, 3), tf.uint8)
    in_graph = tf.function(norm.normalize, input_signature=[spec])(images)
    np.testing.assert_allclose(in_graph, norm.normalize(images), atol=1e-6)


def test_normalization_config_survives_json():
    norm = Normalization(np.float32([0.5]), [2], scale=1)
    config = json.loads(json.dumps(norm.to_config()))
    assert Normalization.from_config(config) == norm
    assert isinstance(hash(norm), int)


@pytest.mark.parametrize(
    "change",
    [
        {"std": [0.0]},
        {"std": [-1.0]},
        {"mean": [float("nan")]},
        {"mean": [0.1, 0.2]},
        {"mean": [], "std": []},
        {"mean": 0.5},
        {"scale": 0},
        {"scale": None},
        {"mean": "x"},
        {"more": 1},
    ],
)
def test_normalization_config_is_checked(change):
    with pytest.raises(ValueError, match="normalization"):
        Normalization.from_config({"mean": [0.5], "std": [0.2], **change})


@pytest.mark.parametrize("config", [None, {}, {"mean": [0.5]}])
def test_normalization_config_is_complete(config):
    with pytest.raises(ValueError, match="keys mean, std and scale"):
        Normalization.from_config(config)


def test_channels_are_not_broadcast():
    with pytest.raises(ValueError, match="3 channels"):
        Normalization((0.5,) * 3, (0.2,) * 3).normalize(np.zeros((2, 4, 4, 1)))


# Batches


@pytest.mark.parametrize("make", MAKERS)
def test_batches_are_normalised_in_order(make):
    images, labels = make_arrays()
    split = make()
    assert len(split) == split.num_examples == 60 and split.image_shape == (6, 5, 3)
    batches = split.batch(16)
    assert batches.cardinality() == 4
    assert batches.element_spec[0].shape.as_list() == [None, 6, 5, 3]
    assert [spec.dtype for spec in batches.element_spec] == [tf.float32, tf.int32]
    x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
    np.testing.assert_array_equal(y, labels)
    np.testing.assert_allclose(x, split.normalization.normalize(images), atol=1e-5)


@pytest.mark.parametrize("make", MAKERS)
def test_every_epoch_has_every_example_once_in_a_new_order(make):
    batches = indices(make().batch(20, shuffle=True, repeat=True).take(6))
    first, second = sum(batches[:3], []), sum(batches[3:], [])
    assert sorted(first) == sorted(second) == list(range(60))
    assert first != second and first != list(range(60))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("start", [0, 2, 3, 11])
def test_start_resumes_the_endless_stream(make, start):
    arguments = {"shuffle": True, "seed": 7, "repeat": True}
    # 60 examples in batches of 16: every epoch drops a remainder of 12.
    whole = indices(make().batch(16, **arguments).take(14))
    assert all(len(batch) == 16 for batch in whole)
    assert (
        indices(make().batch(16, start=start, **arguments).take(3))
        == (whole[start : start + 3])
    )


@pytest.mark.parametrize("make", MAKERS)
def test_order_depends_on_the_seed_alone(make):
    split = make()
    batches = split.batch(20, shuffle=True, seed=1)
    assert indices(batches) == indices(batches)
    assert indices(batches) == indices(make().batch(20, shuffle=True, seed=1))
    assert indices(batches) != indices(split.batch(20, shuffle=True, seed=2))
    whole = indices(batches)
    for seed in (0, 5):
        tf.random.set_seed(seed)
        assert indices(make().batch(20, shuffle=True, seed=1)) == whole


def test_order_of_a_seed_never_changes():
    """Runs that were interrupted before an update of the library resume exactly."""
    batches = indices(make_split(8).batch(4, shuffle=True, seed=3, repeat=True).take(3))
    assert batches == [[4, 3, 6, 5], [7, 2, 0, 1], [7, 3, 6, 0]]


@pytest.mark.parametrize("make", MAKERS)
def test_sizes_of_batches(make):
    split = make()

    def sizes(*args, **kwargs):
        return [len(y) for _, y in split.batch(*args, **kwargs).take(5)]

    assert sizes(25) == [25, 25, 10]
    assert sizes(25, drop_remainder=True) == [25, 25]
    assert sizes(25, start=2) == [10]
    assert sizes(25, start=9) == []
    assert sizes(1000) == [60]
    assert sizes(1000, repeat=True) == [60] * 5
    assert split.batch(20).element_spec[0].shape[0] == 20
    assert split.batch(25, repeat=True).cardinality() == tf.data.INFINITE_CARDINALITY
    assert split.batch(25, start=1).cardinality() == 2


@pytest.mark.parametrize("make", MAKERS)
def test_keras_trains_on_batches(make):
    split = make()
    model = tf.keras.Sequential(
        [tf.keras.layers.Flatten(), tf.keras.layers.Dense(3, activation="softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(split.batch(25, shuffle=True), epochs=2, verbose=0)
    endless = split.batch(25, repeat=True)
    model.fit(endless, steps_per_epoch=3, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_images_are_captured_not_written_into_the_graph():
    images = np.zeros((5000, 28, 28, 1), np.uint8)
    split = Split(images, np.arange(5000) % 10)
    first = tf.function(lambda: next(iter(split.batch(100, shuffle=True))))
    graph = first.get_concrete_function().graph
    assert graph.as_graph_def().ByteSize() < 100_000
    assert first()[0].shape == (100, 28, 28, 1)
    assert not split.images.flags.owndata, "a second copy of the images is kept"


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 0},
        {"batch_size": 2.0},
        {"batch_size": True},
        {"batch_size": 4, "start": -1},
        {"batch_size": 4, "seed": -1},
        {"batch_size": 4, "seed": None},
    ],
)
def test_bad_arguments_of_batch(arguments):
    with pytest.raises(ValueError, match=f"{list(arguments)[-1]} must be an integer"):
        make_split().batch(**arguments)


# Splitting and sampling


@pytest.mark.parametrize("make", MAKERS)
def test_split_is_disjoint_stratified_and_repeatable(make):
    rest, held = make().split(0.25, seed=4)
    kept, out = sum(indices(rest.batch(9)), []), sum(indices(held.batch(9)), [])
    assert sorted(kept + out) == list(range(60)) and (len(rest), len(held)) == (45, 15)
    assert np.bincount(np.array(out) % 3).tolist() == [5, 5, 5]
    assert sum(indices(make().split(0.25, seed=4)[1].batch(60)), []) == out
    assert sum(indices(make().split(0.25, seed=5)[1].batch(60)), []) != out
    assert rest.normalization == held.normalization == make().normalization
    assert held.sample(2)[0].shape == (6, 6, 5, 3)


def test_what_is_held_out_does_not_normalise_the_rest():
    images = np.float32(np.arange(40))[:, None, None, None] ** 3
    fresh, seen = (Split(images, np.arange(40) % 2) for _ in range(2))
    seen.sample(1)
    assert not fresh.is_normalized and not seen.is_normalized
    parts = [split.split(0.5) for split in (fresh, seen)]
    own = Split(parts[0][0].images, parts[0][0].labels).normalization
    assert {part.normalization for pair in parts for part in pair} == {own}
    assert own != seen.normalization == fresh.normalization


def test_split_keeps_a_class_of_two_in_both_parts():
    split = Split(np.zeros((12, 2, 2, 1)), [0] * 10 + [1] * 2)
    rest, held = split.split(0.01)
    assert set(rest.labels) == set(held.labels) == {0, 1}
    for fraction in (0, 1, -0.5, float("nan")):
        with pytest.raises(ValueError, match="fraction must be between 0 and 1"):
            split.split(fraction)


@pytest.mark.parametrize("make", MAKERS)
def test_sample_takes_real_examples_in_the_order_of_labels(make):
    split, (images, labels) = make(), make_arrays()
    x, y = split.sample(4, seed=2)
    assert x.dtype == np.float32 and y.dtype == np.int32
    assert y.tolist() == [0, 1, 2] * 4
    (rows,) = indices([(x, y)])
    assert len(set(rows)) == 12 and (labels[rows] == y).all()
    expected = split.normalization.normalize(images[rows])
    np.testing.assert_allclose(x, expected, atol=1e-5)
    np.testing.assert_array_equal(make_split().sample(4, seed=2)[0], x)
    assert not np.array_equal(split.sample(4, seed=3)[0], x)
    with pytest.raises(ValueError, match="class 0 has only 20 examples"):
        split.sample(21)


def test_passes_over_a_stream_are_read_anew():
    reads = []

    def read(label):
        reads.append(int(label))
        return np.full((6, 5, 3), label, "uint8")

    def load(label):
        image = tf.numpy_function(read, [label], tf.uint8)
        return tf.ensure_shape(image, (6, 5, 3)), label

    norm = Normalization((0.5,) * 3, (0.2,) * 3)
    pairs = tf.data.Dataset.from_tensor_slices(LABELS).map(load)
    for in_memory in (True, False):
        data = datasets.from_tf_data(
            pairs, pairs, num_classes=3, normalization=norm, in_memory=in_memory
        )
        reads.clear()
        batches = data.test.passes()
        found = [np.concatenate([y for _, y in batches]) for _ in range(3)]
        assert len(reads) == (0 if in_memory else 3 * len(LABELS))
        for labels in found:
            np.testing.assert_array_equal(labels, LABELS)


def test_passes_keep_few_images_alone():
    """Kept, they are floats, four times as large as uint8."""
    few, many = (
        Split(np.zeros((count, 256, 256, 8), np.uint8), np.arange(count) % 2)
        for count in (64, 256)
    )
    for split, is_kept in ((few, True), (many, False)):
        kind = type(split.passes()).__name__
        assert (kind == "CacheDataset") == is_kept, kind
        assert split.passes().cardinality() == split.batch(64).cardinality()


def test_streamed_split_says_what_it_does_not_have():
    split = make_streamed()
    with pytest.raises(ValueError, match="holds no images"):
        split.images
    with pytest.raises(ValueError, match="holds no labels"):
        split.labels
    pairs = tf.data.Dataset.from_tensor_slices(make_arrays())
    with pytest.raises(ValueError, match="num_examples is 61.*60 examples"):
        Split.streamed(pairs, 61, (6, 5, 3)).sample(1)


# Arrays


def test_arrays_are_kept_raw_and_measured():
    images, labels = make_arrays()
    data = datasets.from_arrays((images, labels), (images[:9], labels[:9]))
    assert isinstance(data, Dataset) and data.name == "arrays"
    assert data.image_shape == (6, 5, 3) and data.num_classes == 3
    assert data.class_names == ("0", "1", "2")
    assert data.train.images.dtype == np.uint8 and data.train.labels.dtype == np.int32
    np.testing.assert_array_equal(data.train.images, images)
    np.testing.assert_allclose(data.normalization.mean, images.mean((0, 1, 2)) / 255)
    np.testing.assert_allclose(data.normalization.std, images.std((0, 1, 2)) / 255)
    assert data.test.normalization == data.normalization
    (x, _), *_ = data.train.batch(60)
    np.testing.assert_allclose(tf.reduce_mean(x, (0, 1, 2)), [0, 0, 0], atol=1e-4)


def test_arrays_of_other_kinds():
    images, labels = make_arrays()
    as_ints = datasets.from_arrays((images.astype(np.int64), labels))
    assert as_ints.train.images.dtype == np.uint8
    as_floats = datasets.from_arrays((images[..., 0] / 255, labels))
    assert as_floats.image_shape == (6, 5, 1) and as_floats.normalization.scale == 1
    assert as_floats.train.images.dtype == np.float32
    constant = datasets.from_arrays((np.full((60, 2, 2), 9, np.uint8), labels))
    assert constant.normalization.std == (1.0,)


def test_arrays_without_a_test_part_hold_a_fifth_out():
    images, labels = make_arrays()
    data = datasets.from_arrays((images, labels), class_names=["a", "b", "c"], seed=1)
    assert (len(data.train), len(data.test)) == (48, 12)
    assert np.bincount(data.test.labels).tolist() == [4, 4, 4]
    mean = data.train.images.mean((0, 1, 2)) / 255
    np.testing.assert_allclose(data.normalization.mean, mean)


IMAGES, LABELS = make_arrays()


@pytest.mark.parametrize(
    "train, test, message",
    [
        ((IMAGES, LABELS[:-1]), None, "train: labels must be 60 integers"),
        ((IMAGES, LABELS / 1.0), None, "train: labels must be 60 integers"),
        ((IMAGES, LABELS - 1), None, "labels must be integers from 0"),
        ((IMAGES, LABELS + 1), None, "train has none of class 0"),
        ((IMAGES, LABELS * 0), None, "at least 2 classes"),
        ((IMAGES * np.nan, LABELS), None, "train: images must be finite"),
        ((IMAGES * 1e300, LABELS), None, "images must be finite"),
        ((IMAGES + np.int16(1), LABELS), None, r"integers in 0..255, not 1..256"),
        ((IMAGES[0, 0], LABELS), None, "a vector of 3 numbers: reshape"),
        ((IMAGES[:0], LABELS[:0]), None, "at least one"),
        ((IMAGES.astype(object), LABELS), None, "images must be numbers"),
        ((IMAGES, LABELS + 2**31), None, "labels must be integers from 0 to 2"),
        ((IMAGES, (LABELS > 0) * (1 - 2**32)), None, "from 0 to 2.*: they are -429"),
        ((IMAGES, (LABELS > 0) * (2**31 - 1)), None, "none of class 1: number them"),
        (IMAGES, None, "pair"),
        ((IMAGES, LABELS), (IMAGES[:, 1:], LABELS), "one shape"),
        ((IMAGES, LABELS), (IMAGES, LABELS + 1), "test has class 3"),
        ((IMAGES, LABELS), (IMAGES[:0], LABELS[:0]), "test: images must be"),
    ],
)
def test_bad_arrays(train, test, message):
    with pytest.raises(ValueError, match=message):
        datasets.from_arrays(train, test)


def test_too_few_class_names():
    with pytest.raises(ValueError, match="from 0 to 1, not from 0 to 2"):
        datasets.from_arrays((IMAGES, LABELS), class_names=["a", "b"])


@pytest.mark.parametrize("make", MAKERS)
def test_shards_hold_every_example_once(make):
    split = make()
    seen = [
        sum(indices(split.shard(7, k).batch(4, shuffle=True)), []) for k in range(7)
    ]
    assert [len(s) for s in seen] == [9, 9, 9, 9, 8, 8, 8]
    assert sorted(sum(seen, [])) == list(range(60))
    assert split.shard(7, 1).num_classes == split.num_classes
    with pytest.raises(ValueError, match="index must be below 7, not 7"):
        split.shard(7, 7)


@pytest.mark.parametrize("make", MAKERS)
def test_a_subset_has_an_example(make):
    split, mask = make(), np.arange(60) == 7
    assert indices(split.subset(mask).batch(9)) == [[7]]
    with pytest.raises(ValueError, match="mask must be true for at least one"):
        split.subset(mask & False)


@pytest.mark.parametrize("make", [make_split, make_streamed])
@pytest.mark.parametrize(
    "mask",
    [
        np.arange(60) % 2,  # once taken for the indices of examples
        [7, 9],
        np.ones(5, bool),
        np.ones([60, 1], bool),
        [[True], []],
        None,
    ],
)
def test_a_mask_is_no_list_of_indices(make, mask):
    with pytest.raises(ValueError, match=r"mask must be bool \[60\].* not .*\.$"):
        make().subset(mask)
    assert len(make().subset([True] * 60)) == 60


@pytest.mark.parametrize("make", MAKERS)
def test_rows_are_taken_in_their_order(make):
    split = make()
    for rows in ([40, 3, 7], range(59, -1, -1), np.uint8([3])):
        found = split.normalization.denormalize(split.take(rows))[:, 0, 0, 0] * 255
        assert np.rint(found).tolist() == list(rows)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "rows, says",
    [
        (np.arange(60) % 3 == 1, r"rows must be indices .* not bool of shape \[60\]"),
        ([[1, 2]], "rows must be indices"),
        ([1.0, 2.0], "rows must be indices"),
        ([], "rows must be indices"),
        ([[1], []], "rows must be indices"),
        (7, "rows must be indices"),
        ([0, 60], "rows must be different indices from 0 to 59"),
        ([-1, 5], "rows must be different indices"),
        ([4, 4, 5], "of these 3, from 4 to 5, 2 are different"),
    ],
)
def test_what_is_taken_are_different_rows(make, rows, says):
    with pytest.raises(ValueError, match=says):
        make().take(rows)


def test_a_class_is_one_integer():
    split = make_split()
    for label in (split.labels, True, "1", -1):
        with pytest.raises(ValueError, match="label must be an integer"):
            split.of_class(label)


def test_a_stream_decodes_only_what_is_wanted():
    decoded = []

    def decode(row):
        decoded.append(int(row))
        return IMAGES[row]

    rows = tf.data.Dataset.from_tensor_slices((np.arange(60), LABELS))
    pairs = Pairs(
        rows,
        lambda row: tf.ensure_shape(
            tf.numpy_function(decode, [row], tf.uint8), (6, 5, 3)
        ),
    )
    norm = Normalization((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    split = Split.streamed(pairs, 60, (6, 5, 3), norm)
    rest, held = split.split(0.2)
    part = rest.of_classes([2, 0]).shard(2, 1)
    assert split.num_classes == 3 and not decoded
    assert sorted(sum(indices(part.batch(8, shuffle=True)), [])) == sorted(decoded)
    assert len(decoded) == len(part) == 16


def sorted_folder(tmp_path, count=30):
    """Dark cats and bright dogs, a folder of each."""
    for part in ("train", "test"):
        for name, grey in (("cat", 30), ("dog", 220)):
            (tmp_path / part / name).mkdir(parents=True)
            for k in range(count):
                image = np.full((4, 4, 1), grey, np.uint8)
                path = tmp_path / part / name / f"{k:02}.png"
                keras.utils.save_img(path, image, scale=False)
    return tmp_path


def test_a_streamed_folder_is_shuffled_fully(tmp_path, monkeypatch):
    monkeypatch.setattr(streamed, "_SHUFFLE_LIMIT", 1)
    data = datasets.load_dataset(sorted_folder(tmp_path), in_memory=False)
    assert data.train.read_labels().tolist() == [0] * 30 + [1] * 30
    for part in (data.train, data.hold_out(0.2).train, data.train.shard(2, 0)):
        labels = [y.numpy() for _, y in part.batch(10, shuffle=True)]
        assert all(0 < y.sum() < 10 for y in labels), labels


def test_a_sorted_stream_says_that_it_cannot_be_shuffled(monkeypatch, recwarn):
    images, labels = make_arrays(2000, (4, 4, 3), 2)
    by_class = np.argsort(labels, kind="stable")
    pairs = tf.data.Dataset.from_tensor_slices((images, labels))
    in_order = tf.data.Dataset.from_tensor_slices((images[by_class], labels[by_class]))
    whole = [
        datasets.from_tf_data(p, p, in_memory=False).train for p in (pairs, in_order)
    ]
    for split in whole:  # all of it fits
        _, labels = next(iter(split.batch(100, shuffle=True)))
        assert 25 < labels.numpy().sum() < 75
    monkeypatch.setattr(streamed, "_SHUFFLE_LIMIT", 500 * (48 + 512))
    next(iter(whole[0].batch(100, shuffle=True)))
    next(iter(whole[1].batch(100)))
    assert not [w for w in recwarn if w.category is UserWarning]
    with pytest.warns(UserWarning, match="sorted by their classes, and only 500 of 2"):
        next(iter(whole[1].batch(100, shuffle=True)))


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("order", ["sorted", "in turn"])
def test_a_stream_is_measured_from_end_to_end(order, listed, monkeypatch):
    monkeypatch.setattr(streamed, "_MEASURED_EXAMPLES", 500)
    labels = np.int32(
        np.arange(1000) // 500 if order == "sorted" else np.arange(1000) % 2
    )
    images = np.uint8(labels[:, None, None, None] * 200 + 20) * np.ones((4, 4, 1), "u1")
    decoded = []

    def decode(row):
        decoded.append(int(row))
        return images[row]

    def load(row):
        image = tf.numpy_function(decode, [row], tf.uint8)
        return tf.ensure_shape(image, (4, 4, 1))

    rows = np.arange(1000)
    pairs = Pairs(tf.data.Dataset.from_tensor_slices((rows, labels)), load)
    pairs = Pairs.of_list(rows, labels, load) if listed else pairs
    measured = Split.streamed(pairs, 1000, (4, 4, 1)).normalization
    whole = Split(images, labels).normalization
    np.testing.assert_allclose(measured.mean, whole.mean, rtol=0.1)
    np.testing.assert_allclose(measured.std, whole.std, rtol=0.1)
    assert len(decoded) == len(set(decoded)) <= 500


# tf.data


def test_tf_data_streams_what_it_would_hold():
    pairs = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    held = datasets.from_tf_data(pairs, pairs.take(10))
    streamed = datasets.from_tf_data(pairs, pairs.take(10), in_memory=False)
    assert held.train.images.shape == IMAGES.shape
    assert held.class_names == streamed.class_names == ("0", "1", "2")
    assert held.normalization == streamed.normalization
    for one, two in ((held.train, streamed.train), (held.test, streamed.test)):
        assert len(one) == len(two)
        for (x, y), (u, v) in zip(one.batch(7), two.batch(7), strict=True):
            np.testing.assert_array_equal(x, u)
            np.testing.assert_array_equal(y, v)


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_one_hot_labels_of_patches_are_no_batch(dtype):
    """As many classes as rows, and more channels than pictures have."""
    images = np.random.default_rng(0).random((90, 9, 9, 103), "float32")
    labels = np.arange(90) % 9
    one_hot = tf.data.Dataset.from_tensor_slices((images, np.eye(9)[labels] == 1))
    one_hot = one_hot.map(lambda x, y: (x, tf.cast(y, dtype)))
    for in_memory in (True, False):
        data = datasets.from_tf_data(one_hot, in_memory=in_memory)
        assert data.num_classes == 9 and data.image_shape == (9, 9, 103)
    grey = images[..., 0].reshape(90, 9, 9)
    for kind in (labels, labels % 2, 0 * labels):
        batches = tf.data.Dataset.from_tensor_slices((grey, kind)).batch(9, True)
        batches = batches.map(lambda x, y: (x, tf.cast(y, dtype)))
        with pytest.raises(ValueError, match=r"batched.*unbatch"):
            datasets.from_tf_data(batches)


def test_sizes_that_are_not_known():
    def make():
        return ((x, y) for x, y in zip(IMAGES, LABELS))

    spec = tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([], tf.int32)
    pairs = tf.data.Dataset.from_generator(make, output_signature=spec)
    with pytest.raises(ValueError, match=r"one known size, not \(None, None, 3\)"):
        datasets.from_tf_data(pairs)
    known = pairs.map(lambda x, y: (tf.ensure_shape(x, [6, 5, 3]), y))
    assert datasets.from_tf_data(known).image_shape == (6, 5, 3)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("dtype", ["int64", "uint32", "uint64"])
def test_labels_are_not_cut_to_32_bits(dtype, in_memory):
    label = 2**32 - 1 if dtype == "uint32" else 2**32 + 1  # -1 or 1, if they were
    for shape in ([60], [60, 1]):
        labels = ((LABELS > 0) * np.array(label, dtype)).reshape(shape)
        pairs = tf.data.Dataset.from_tensor_slices((IMAGES, labels))
        with pytest.raises(ValueError, match="must be integers from 0 to 2"):
            datasets.from_tf_data(pairs, in_memory=in_memory)
        labels = LABELS.astype(dtype).reshape(shape)
        pairs = tf.data.Dataset.from_tensor_slices((IMAGES, labels))
        assert datasets.from_tf_data(pairs, in_memory=in_memory).num_classes == 3


def test_large_tf_data_are_streamed(monkeypatch):
    monkeypatch.setattr(reading, "_MEMORY_LIMIT", 1000)
    pairs = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    data = datasets.from_tf_data(pairs)
    assert (len(data.train), len(data.test)) == (48, 12)
    with pytest.raises(ValueError, match="holds no images"):
        data.train.images


def test_tf_data_of_unknown_length_and_rank_two():
    pairs = tf.data.Dataset.from_tensor_slices((IMAGES[..., 0] / 255, LABELS))
    data = datasets.from_tf_data(pairs.filter(lambda x, y: y < 2), num_classes=2)
    assert len(data.train) + len(data.test) == 40 and data.image_shape == (6, 5, 1)
    assert data.train.images.dtype == np.float32


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(
    "change, arguments, message",
    [
        (lambda d: d.repeat(), {}, "train: the dataset must end"),
        (lambda d: d.batch(4), {}, r"batched.*unbatch\(\)"),
        (lambda d: d.map(lambda x, y: x), {}, "pairs"),
        (lambda d: d.map(lambda x, y: (tf.cast(x, tf.int32), y)), {}, "int32"),
        (lambda d: d.map(lambda x, y: (x / 0, y)), {}, "images must be finite"),
        (lambda d: d, {"num_classes": 2}, "from 0 to 1, not from 0 to 2"),
        (lambda d: d, {"num_classes": 2, "class_names": "abc"}, "num_classes is 2"),
        (lambda d: d.take(0), {}, "the dataset holds no examples"),
    ],
)
def test_bad_tf_data(change, arguments, message, in_memory):
    pairs = change(tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)))
    with pytest.raises(ValueError, match=message):
        datasets.from_tf_data(pairs, in_memory=in_memory, **arguments)


# load_dataset: digits and files


def test_digits():
    data = datasets.load_dataset("digits")
    assert (data.name, data.image_shape, data.num_classes) == ("digits", (8, 8, 1), 10)
    assert len(data.train) + len(data.test) == 1797 and 350 < len(data.test) < 370
    assert data.train.images.dtype == np.uint8 and data.train.images.max() == 255
    again = datasets.load_dataset("digits", seed=3)
    np.testing.assert_array_equal(again.test.images, data.test.images)
    assert datasets.load_dataset("digits", image_size=16).image_shape == (16, 16, 1)


def write_npz(path, **changes):
    x, y = make_arrays()
    arrays = {"x_train": x, "y_train": y, "x_test": x[:9], "y_test": y[:9], **changes}
    np.savez(path, **{key: a for key, a in arrays.items() if a is not None})
    return str(path)


def test_npz(tmp_path):
    path = write_npz(tmp_path / "mine.npz", class_names=np.array(["a", "b", "ü"]))
    data = datasets.load_dataset(path)
    assert data.name == "mine" and data.class_names == ("a", "b", "ü")
    assert (len(data.train), len(data.test)) == (60, 9)
    untested = write_npz(tmp_path / "untested.npz", x_test=None, y_test=None)
    assert len(datasets.load_dataset(untested).test) == 12
    assert datasets.load_dataset(path, image_size=4).image_shape == (4, 4, 3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"y_train": None}, "lacks y_train"),
        ({"y_test": None}, "lacks y_test"),
        ({"x_train": IMAGES.astype(object)}, "not a whole .npz file of plain arrays"),
        ({"x_train": IMAGES * np.nan}, "x_train: images must be finite"),
        ({"y_test": LABELS[:9] + 1}, "test has class 3"),
        ({"y_train": LABELS[:9]}, "labels must be 60 integers"),
        ({"class_names": np.array(["a", "b"])}, "from 0 to 1, not from 0 to 2"),
    ],
)
def test_bad_npz(tmp_path, changes, message):
    path = write_npz(tmp_path / "bad.npz", **changes)
    with pytest.raises(ValueError, match=message) as caught:
        datasets.load_dataset(path)
    assert "bad.npz" in str(caught.value) and "\n" not in str(caught.value)


def test_broken_npz(tmp_path):
    whole = write_npz(tmp_path / "whole.npz")
    content = (tmp_path / "whole.npz").read_bytes()
    for name, broken in {
        "cut": content[:-900],
        "flipped": content[:3000] + b"\xff" * 50 + content[3050:],
        "empty": b"",
        "text": b"x_train",
    }.items():
        (tmp_path / f"{name}.npz").write_bytes(broken)
        with pytest.raises(ValueError, match="not a whole .npz file"):
            datasets.load_dataset(str(tmp_path / f"{name}.npz"))
    with open(tmp_path / "single.npz", "wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(ValueError, match="not a whole .npz file"):
        datasets.load_dataset(str(tmp_path / "single.npz"))
    with pytest.raises(FileNotFoundError, match="absent.npz"):
        datasets.load_dataset(whole.replace("whole", "absent"))


def write_images(folder, count, mode="RGB", size=(5, 6), suffix="png"):
    from PIL import Image

    folder.mkdir(parents=True)
    rng = np.random.default_rng(count)
    for i in range(count):
        shape = (size[1], size[0]) + ((3,) if mode == "RGB" else ())
        image = Image.fromarray(rng.integers(0, 256, shape, np.uint8))
        image.save(folder / f"{i}.{suffix}")


@pytest.mark.parametrize("in_memory", [None, False])
def test_folder_of_images(tmp_path, in_memory):
    from PIL import Image

    for part, count in (("train", 6), ("test", 2)):
        write_images(tmp_path / part / "cats", count)
        write_images(tmp_path / part / "dogs", count + 1)
    (tmp_path / "train" / "dogs" / "notes.txt").write_text("no image")
    data = datasets.load_dataset(tmp_path, in_memory=in_memory)
    assert data.class_names == ("cats", "dogs") and data.image_shape == (6, 5, 3)
    (x, y), *_ = data.train.batch(99)
    assert y.numpy().tolist() == [0] * 6 + [1] * 7 and len(data.test) == 5
    expected = np.asarray(Image.open(tmp_path / "train" / "cats" / "3.png")) / 255
    raw = data.normalization.denormalize(x)
    np.testing.assert_allclose(raw[3], expected, atol=1e-5)


def test_folder_without_parts_in_grey_and_other_formats(tmp_path):
    for name, suffix in {"a": "bmp", "b": "jpg", "c": "gif", "d": "PNG"}.items():
        write_images(tmp_path / name, 5, "L", suffix=suffix)
    data = datasets.load_dataset(str(tmp_path))
    assert data.image_shape == (6, 5, 1) and data.num_classes == 4
    assert (len(data.train), len(data.test)) == (16, 4)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_a_path_is_no_name(tmp_path, monkeypatch, name):
    write_images(tmp_path / name / "a", 5)
    write_images(tmp_path / name / "b", 5)
    monkeypatch.chdir(tmp_path)
    for path in (pathlib.Path(name), f"./{name}"):
        assert datasets.load_dataset(path).image_shape == (6, 5, 3)


def test_folder_of_images_of_two_sizes(tmp_path):
    write_images(tmp_path / "a", 5)
    write_images(tmp_path / "b", 5, size=(7, 9))
    with pytest.raises(ValueError, match="images differ in size.*image_size"):
        datasets.load_dataset(str(tmp_path))
    assert datasets.load_dataset(tmp_path, image_size=8).image_shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("5.pgm", b"P5\n8 "),
        ("5.png", b"\x89PNG\r\n\x1a\n" + b"\0\0\0\x02IHDR" + 2 * b"\0" + 4 * b"\0"),
        ("5.bmp", b"BM" + 20 * b"\0"),
    ],
)
def test_a_damaged_header_names_its_file(name, content, tmp_path):
    for folder in "ab":
        write_images(tmp_path / folder, 5)
    (tmp_path / "a" / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}' is not a whole image"):
        datasets.load_dataset(str(tmp_path))


def test_a_text_that_begins_like_an_image_is_left_out(tmp_path):
    for folder in "ab":
        write_images(tmp_path / folder, 5)
    (tmp_path / "a" / "notes.txt").write_text("P1 is the first patient\n")
    found = datasets.load_dataset(str(tmp_path))
    assert len(found.train) + len(found.test) == 10


def test_bad_folders(tmp_path):
    with pytest.raises(ValueError, match="no images are in"):
        datasets.load_dataset(str(tmp_path))
    write_images(tmp_path / "train" / "a", 3)
    with pytest.raises(ValueError, match="at least 2 classes"):
        datasets.load_dataset(str(tmp_path))
    write_images(tmp_path / "train" / "b", 3)
    write_images(tmp_path / "test" / "c", 3)
    with pytest.raises(ValueError, match="class 'c' is only in test"):
        datasets.load_dataset(str(tmp_path))
    (tmp_path / "train" / "a" / "0.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="0.png' is not a whole image"):
        datasets.load_dataset(str(tmp_path))
    content = (tmp_path / "train" / "a" / "1.png").read_bytes()
    (tmp_path / "train" / "a" / "0.png").write_bytes(content[:-40])
    (tmp_path / "test" / "c").rename(tmp_path / "test" / "b")
    with pytest.raises(ValueError, match="damaged"):
        datasets.load_dataset(str(tmp_path))


# load_dataset: TFDS


def make_builder(
    data_dir, splits=("train", "test"), shape=(6, 5, 3), version="1.0.0", **labels
):
    """Prepares a TFDS data set "toys" with a mask besides its images."""
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=shape),
            "mask": tfds.features.Image(shape=(None, None, 1)),
            "label": tfds.features.ClassLabel(names=["ball", "car", "doll"]),
        }
    )

    class Toys(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(version)
        name = "toys"

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=features, supervised_keys=("image", "label")
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in splits}

        def _generate_examples(self, split):
            pairs = zip(IMAGES, labels.get(split, LABELS), strict=True)
            for i, (image, label) in enumerate(pairs):
                mask = np.zeros((2, 2, 1), np.uint8)
                yield i, {"image": image, "mask": mask, "label": label}

    builder = Toys(data_dir=data_dir)
    builder.download_and_prepare()
    return str(builder.data_dir)


def test_prepared_tfds_folder(tmp_path):
    path = make_builder(tmp_path)
    by_path = datasets.load_dataset(path)
    by_name = datasets.load_dataset("toys:1.0.0", data_dir=str(tmp_path))
    latest = datasets.load_dataset(os.path.dirname(path))
    np.testing.assert_array_equal(latest.train.images, by_path.train.images)
    streamed = datasets.load_dataset(path, in_memory=False)
    assert by_path.name == "toys" and by_path.class_names == ("ball", "car", "doll")
    order = by_path.train.images[:, 0, 0, 0]  # TFDS shuffles what it prepares
    np.testing.assert_array_equal(by_path.train.images, IMAGES[order])
    np.testing.assert_array_equal(by_path.train.labels, LABELS[order])
    assert by_path.normalization == by_name.normalization == streamed.normalization
    for other in (by_name, streamed):
        for (x, y), (u, v) in zip(by_path.test.batch(7), other.test.batch(7)):
            np.testing.assert_array_equal(x, u)
            np.testing.assert_array_equal(y, v)


def test_tfds_parts(tmp_path):
    path = make_builder(tmp_path / "validated", ("train", "validation"))
    assert len(datasets.load_dataset(path).test) == 60
    path = make_builder(tmp_path / "untested", ("train",))
    data = datasets.load_dataset(path, seed=1)
    assert np.bincount(data.test.labels).tolist() == [4, 4, 4]
    path = make_builder(tmp_path / "untrained", ("test",))
    with pytest.raises(ValueError, match="no split train, only test"):
        datasets.load_dataset(path)


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("in_memory", ["true", "false"])
def test_examples_without_a_label_are_refused_in_a_sentence(tmp_path, part, in_memory):
    """TFDS gives those that nobody has labelled the label -1."""
    labels = np.where(np.arange(60) == 7, -1, LABELS)
    path = make_builder(tmp_path, **{part: labels})
    flags = [f"--dataset={path}", f"--in_memory={in_memory}", "--workdir=run"]
    says = r": example 0 or a later one is damaged: labels must be integers from 0 to 2"
    with pytest.raises(InputError, match=says):
        cli_data.load(distill.COMMAND.parse(flags))


def test_a_stream_that_cannot_be_read_is_a_sentence():
    pairs = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS.astype("int64") - 1))
    examples = streamed.Streamed(raw_pairs(pairs), 60, IMAGES.shape[1:])
    split = Split.of_examples(examples, None, None)
    for read in (
        split.read_labels,
        lambda: split.normalization,
        lambda: examples.take(np.arange(3)),
    ):
        with pytest.raises(ValueError, match="damaged: labels must be integers from 0"):
            read()


def test_tfds_images_without_one_size(tmp_path):
    path = make_builder(tmp_path, shape=(None, None, 3))
    with pytest.raises(ValueError, match="image_size"):
        datasets.load_dataset(path)
    data = datasets.load_dataset(path, image_size=10)
    assert data.image_shape == (10, 10, 3) and data.train.images.dtype == np.uint8


def test_damaged_tfds_folder(tmp_path):
    path = make_builder(tmp_path)
    (record,) = [f for f in os.listdir(path) if "train.tfrecord" in f]
    with open(os.path.join(path, record), "r+b") as file:
        file.truncate(2000)
    with pytest.raises(ValueError, match="damaged"):
        datasets.load_dataset(path)


@pytest.mark.parametrize(
    "name, message",
    [
        ("mnits", "did you mean .*mnist"),
        ("digit", "did you mean .*digits"),
        ("usp", "did you mean .*usps"),
        ("qqqqqqqq", "no data set, file or folder 'qqqqqqqq'"),
        ("mnist:9.9.9", "TFDS has no 'mnist:9.9.9'"),
        ("nofolder/", "There is no file or folder 'nofolder/'"),
        ("my/images/here", "There is no file or folder 'my/images/here'"),
        ("images.zip", "There is no file or folder 'images.zip'"),
        ("data/imges", "There is no data set, file or folder 'data/imges'"),
    ],
)
def test_unknown_names(tmp_path, name, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        datasets.load_dataset(name, data_dir=str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mnist", "usps"])
def test_data_that_are_not_there(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="download=True.*data_dir="):
        datasets.load_dataset(name, data_dir=str(tmp_path))


def test_paths_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        datasets.load_dataset(tmp_path / "absent")


def test_a_folder_does_not_hide_a_data_set_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        write_images(tmp_path / "mnist" / name, 5)
    with pytest.raises(FileNotFoundError, match="download=True"):
        datasets.load_dataset("mnist", data_dir=str(tmp_path / "absent"))
    assert datasets.load_dataset("./mnist").class_names == ("a", "b")


@pytest.mark.parametrize("size", [0, -1, 2.5, "8"])
def test_bad_image_size(size):
    with pytest.raises(ValueError, match="image_size must be an integer"):
        datasets.load_dataset("digits", image_size=size)


# What is made of them


@pytest.mark.parametrize("in_memory", [True, False])
def test_some_of_the_classes(tmp_path, in_memory):
    whole = datasets.load_dataset(make_builder(tmp_path), in_memory=in_memory)
    some = whole.hold_out().of_classes([2, 0])
    assert some.name == "toys[2,0]" and some.class_names == ("doll", "ball")
    assert some.normalization == whole.normalization
    for part in (some.train, some.test, some.validation):
        ((images, labels),) = part.batch(1000)
        raw = whole.normalization.denormalize(images)[:, 0, 0, 0] * 255
        np.testing.assert_array_equal(labels, (np.rint(raw) % 3 == 0).astype(int))
    assert len(some.test) == 40


@pytest.mark.parametrize("labels", [[0], [0, 0], [0, 3], [-1, 0], [True, False]])
def test_bad_classes(labels):
    data = datasets.from_arrays(make_arrays())
    with pytest.raises(ValueError, match="at least 2|must be different .* 0 to 2"):
        data.of_classes(labels)


def test_grey_images_in_colour_and_the_reverse(tmp_path):
    grey = datasets.load_dataset("digits")
    colour = datasets.load_dataset("digits", channels=3, image_size=12)
    assert colour.image_shape == (12, 12, 3)
    ((images, _),) = colour.test.batch(1000)
    np.testing.assert_array_equal(images[..., 0], images[..., 2])
    again = datasets.load_dataset("digits", channels=1)
    np.testing.assert_array_equal(again.test.images, grey.test.images)
    toys = make_builder(tmp_path)
    assert datasets.load_dataset(toys, channels=1).image_shape == (6, 5, 1)
    two = tmp_path / "two.npz"
    np.savez(two, x_train=np.zeros((4, 3, 3, 2)), y_train=[0, 1, 0, 1])
    with pytest.raises(ValueError, match="only grey images.* not those of 2"):
        datasets.load_dataset(two, channels=3)
    four = tf.data.Dataset.from_tensors((np.zeros((4, 4, 4), "uint8"), 0))
    with pytest.raises(ValueError, match="^only grey .* leave channels out.$"):
        raw_pairs(four, Form(channels=3))
    with pytest.raises(ValueError, match="channels must be 1 or 3, not 2"):
        datasets.load_dataset("digits", channels=2)


def test_grey_images_are_rounded(tmp_path):
    """A mask keeps what is bright; others are off by half a level at most."""
    colours = np.random.default_rng(0).integers(0, 256, (5, 3, 3, 3), "uint8")
    weights = [0.2989, 0.587, 0.114]
    for images in (colours, (colours > 127).astype("uint8")):
        grey = Form(channels=1).of_arrays(images)
        assert grey.dtype == np.uint8
        np.testing.assert_allclose(grey[..., 0], images @ weights, atol=0.501)


def test_a_streamed_shape_is_that_of_a_data_set_in_memory(tmp_path):
    toys = make_builder(tmp_path)
    held, streamed = (
        datasets.load_dataset(toys, in_memory=in_memory) for in_memory in (True, False)
    )
    assert streamed.image_shape == held.image_shape
    assert type(streamed.image_shape) is tuple
    tfdistill.students.lenet(streamed.image_shape)


def test_a_test_split_drawn_anew_from_all_examples():
    digits = datasets.load_dataset("digits")
    anew = digits.resplit(0.2)
    total = digits.train.num_examples + digits.test.num_examples
    assert anew.train.num_examples + anew.test.num_examples == total
    assert anew.test.num_examples == pytest.approx(0.2 * total, abs=5)
    assert anew.name == "digits[resplit 0.2]"
    assert anew.normalization == digits.normalization

    def counted(parts):
        images = [image.tobytes() for part in parts for image in part.images]
        return sorted(images)

    assert counted([anew.train, anew.test]) == counted([digits.train, digits.test])
    again = digits.resplit(0.2).test.images
    np.testing.assert_array_equal(anew.test.images, again)
    with pytest.raises(ValueError, match="validation"):
        digits.hold_out(0.1).resplit(0.2)


class Fitted(keras.Sequential):
    """Notes what it is fitted to."""

    def fit(self, x, *args, **kwargs):
        self.data = x
        return super().fit(x, *args, **kwargs)


@pytest.mark.parametrize("in_memory", [True, False])
def test_no_pipeline_is_tuned(in_memory, tmp_path):
    """Iterators of tuned ones now and then take up to a minute to be deleted."""
    for name in "ab":
        write_images(tmp_path / name, 6)
    data = tfdistill.load_dataset(str(tmp_path), in_memory=in_memory).hold_out(0.5)
    read = [data.train.batch(2, repeat=True), data.validation.batch(2)]
    ordered = tfdistill.baselines.random_real(data, steps=1)
    plain = ordered.replace(recipe=tfdistill.OrdinaryTraining(updates=2))
    for distilled in (ordered, plain):
        model = Fitted([keras.Input(data.image_shape), keras.layers.Flatten()])
        model.add(keras.layers.Dense(2))
        distilled.train(model, verbose=0)
        read.append(model.data)
    for pipeline in read:
        assert pipeline.options().autotune.enabled is False


@pytest.mark.parametrize(
    "make",
    [
        tfdistill.DistilledImages.from_real,
        tfdistill.baselines.random_real,
        tfdistill.baselines.k_means,
        tfdistill.baselines.herding,
    ],
    ids=lambda make: make.__name__,
)
def test_a_class_with_too_few_images_is_named(make):
    images = np.arange(20 * 16).reshape(20, 4, 4).astype("uint8")
    data = tfdistill.from_arrays(
        (images, np.arange(20) % 2), class_names=["seven", "eight"]
    )
    with pytest.raises(ValueError, match="class seven has "):
        make(data, images_per_class=100)
