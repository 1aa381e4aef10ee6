"""Distilled data of other programs: recognised, checked, refused."""

import dataclasses
import importlib.util
import io
import pickle
import sys
import tracemalloc
import types
import zipfile

import numpy as np
import pytest
import tensorflow as tf
import tfds_fixtures
from PIL import Image

import tfdistill
from tfdistill.data import streamed
from tfdistill.distilled.foreign import labels
from tfdistill.inner.objectives.least_squares import LeastSquares

KINDS = {"f4": "FloatStorage", "f2": "HalfStorage", "i8": "LongStorage"}


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits")


@pytest.fixture(scope="module")
def colour():
    """Colour images of dead leaves, which have the statistics of natural ones."""
    rng = np.random.default_rng(0)
    images = np.zeros((300, 8, 8, 3))
    for image in images:
        for _ in range(12):
            (top, bottom), (left, right) = np.sort(rng.integers(0, 9, (2, 2)))
            image[top:bottom, left:right] = rng.uniform(0, 255, 3) * [1, 0.7, 0.4]
    return tfdistill.from_arrays((images.astype("uint8"), np.arange(300) % 2))


# The writers: each takes a path, images [n, H, W, C] and class numbers, and returns
# the path.


class _Tensor:
    """What `torch.save` makes a pickle of."""

    def __init__(self, array):
        self.array = np.ascontiguousarray(array)

    def __reduce_ex__(self, protocol):
        shape = self.array.shape
        strides = tuple(n // self.array.itemsize for n in self.array.strides)
        storage = _Storage(self.array)
        given = (
            storage,
            0,
            shape,
            strides,
            False,
            __import__("collections").OrderedDict(),
        )
        return sys.modules["torch._utils"]._rebuild_tensor_v2, given


class _Storage:
    def __init__(self, array):
        self.array = array


def torch_save(value, path, monkeypatch, compress=zipfile.ZIP_STORED):
    """The archive that PyTorch writes, by the pickler of the standard library."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in KINDS.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        pass

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    entries = {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            if not isinstance(thing, _Storage):
                return None
            key = str(len(entries))
            entries[key] = thing.array.tobytes()
            kind = getattr(torch, KINDS[thing.array.dtype.str[1:]])
            return ("storage", kind, key, "cpu", thing.array.size)

    stream = io.BytesIO()
    Pickler(stream, protocol=2).dump(value)
    with zipfile.ZipFile(path, "w", compress) as archive:
        archive.writestr("archive/data.pkl", stream.getvalue())
        archive.writestr("archive/byteorder", "little")
        for key, content in entries.items():
            archive.writestr(f"archive/data/{key}", content)
        archive.writestr("archive/version", "3\n")
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.delitem(sys.modules, "torch._utils")
    return path


def channels_first(images):
    return np.moveaxis(images, -1, 1).astype("f4")


def pt_of_a_dictionary(path, images, numbers, monkeypatch):
    value = {"images": _Tensor(channels_first(images)), "labels": _Tensor(numbers)}
    return torch_save(value, f"{path}.pt", monkeypatch)


def pt_of_a_pair(path, images, numbers, monkeypatch):
    one_hot = np.eye(numbers.max() + 1, dtype="f4")[numbers]
    value = (_Tensor(channels_first(images)), _Tensor(one_hot))
    return torch_save(value, f"{path}.pth", monkeypatch)


def npz_of_centred_labels(path, images, numbers, monkeypatch):
    classes = numbers.max() + 1
    centred = np.eye(classes, dtype="f4")[numbers] - 1 / classes
    steps = images.reshape(2, -1, *images.shape[1:])  # in two batches
    np.savez(f"{path}.npz", x=steps, y=centred.reshape(2, -1, classes))
    return f"{path}.npz"


def npy_pair(path, images, numbers, monkeypatch):
    np.save(f"{path}_images.npy", channels_first(images))
    np.save(f"{path}_labels.npy", numbers)
    return f"{path}_images.npy"


def parquet_of_lists(path, images, numbers, monkeypatch):
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    rows = {"image": images.tolist(), "label": numbers.tolist()}
    pyarrow.parquet.write_table(pyarrow.table(rows), f"{path}.parquet")
    return f"{path}.parquet"


def png(image):
    stream = io.BytesIO()
    image = image[..., 0] if image.shape[-1] == 1 else image
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def folder_of_pictures(path, pictures, numbers):
    for at, (picture, number) in enumerate(zip(pictures, numbers)):
        folder = path / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{at}.png").write_bytes(png(picture))
    return str(path)


def parquet_of_pictures(path, pictures, numbers):
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    cells = [{"bytes": png(picture), "path": None} for picture in pictures]
    table = pyarrow.table({"image": cells, "label": numbers.tolist()})
    pyarrow.parquet.write_table(table, f"{path}.parquet")
    return f"{path}.parquet"


NUMBERS = [
    pt_of_a_dictionary,
    pt_of_a_pair,
    npz_of_centred_labels,
    npy_pair,
    parquet_of_lists,
]
PICTURES = [folder_of_pictures, parquet_of_pictures]


def some(dataset, count=40):
    images = dataset.normalization.normalize(dataset.train.images[:count]).numpy()
    return images, dataset.train.labels[:count].astype("i8")


def whitening(images, epsilon):
    """ZCA of flat images: the matrix, and what is subtracted."""
    flat = images.reshape(len(images), -1).astype("f8")
    values, vectors = np.linalg.eigh(np.cov(flat.T, bias=True))
    return (vectors / np.sqrt(np.maximum(values, 0) + epsilon)) @ vectors.T, flat.mean(
        0
    )


def whitened(dataset, images, write):
    """Images whitened as they lie in the file, and the whitening."""
    first = write in (pt_of_a_dictionary, pt_of_a_pair, npy_pair)
    real, _ = some(dataset, 300)
    lie = (lambda x: np.moveaxis(x, -1, 1)) if first else (lambda x: x)
    matrix, before = whitening(lie(real), 0.01)
    flat = lie(images).reshape(len(images), -1)
    found = ((flat - before) @ matrix).reshape(lie(images).shape)
    back = np.moveaxis(found, 1, -1) if first else found
    return back.astype("f4"), (matrix, before)


def read(path, dataset, **declared):
    return tfdistill.read_distilled(path, dataset, **declared)


def refusal(path, dataset, **declared):
    with pytest.raises(ValueError) as error:
        read(path, dataset, **declared)
    text = str(error.value)
    assert "\n" not in text and text.endswith(".") and text.count(". ") == 0
    return text


@pytest.mark.parametrize(
    ("write", "data"),
    [
        *((write, "colour") for write in NUMBERS[:3]),
        *((write, "digits") for write in NUMBERS[2:]),
    ],
)
def test_numbers_of_other_programs(write, data, request, tmp_path, monkeypatch):
    """Raw, normalised and whitened: read if declared, and otherwise caught."""
    dataset = request.getfixturevalue(data)
    images, numbers = some(dataset)

    def check(distilled):
        # In the order of the file, normalised as the real ones.
        found = distilled.images.reshape(images.shape)
        np.testing.assert_allclose(found, images, atol=2e-3)
        np.testing.assert_array_equal(distilled.labels.argmax(-1).reshape(-1), numbers)
        assert not distilled.recipe.is_ordered

    raw = dataset.normalization.denormalize(images).astype("f4")
    path = write(tmp_path / "raw", raw, numbers, monkeypatch)
    check(read(path, dataset, pixels="0..1"))
    assert "pixels=0..1" in refusal(path, dataset)
    assert "pixels=0..1" in refusal(path, dataset, pixels="-1..1")
    path = write(tmp_path / "both", 2 * raw - 1, numbers, monkeypatch)
    check(read(path, dataset, pixels="-1..1"))
    assert "pixels=-1..1" in refusal(path, dataset)
    path = write(tmp_path / "normal", images, numbers, monkeypatch)
    check(read(path, dataset))
    assert "pixels=standardised" in refusal(path, dataset, pixels="0..1")
    white, (matrix, before) = whitened(dataset, images, write)
    path = write(tmp_path / "white", white, numbers, monkeypatch)
    check(read(path, dataset, zca=(matrix, before)))
    for pixels in (None, "0..1", "-1..1"):
        assert "whitened" in refusal(path, dataset, pixels=pixels)
    # Not whitened at all, but said to be.
    path = write(tmp_path / "normal", images, numbers, monkeypatch)
    assert "leave zca out" in refusal(path, dataset, zca=(matrix, before))
    file = tmp_path / "zca.npz"
    np.savez(file, zca=matrix, mean=before)
    path = write(tmp_path / "white", white, numbers, monkeypatch)
    check(read(path, dataset, zca=file))


def test_whole_numbers_in_parquet_are_pixels(digits, tmp_path, monkeypatch):
    images, numbers = some(digits)
    raw = np.round(255 * digits.normalization.denormalize(images))
    raw = raw.astype("uint8")
    path = parquet_of_lists(tmp_path / "raw", raw, numbers, monkeypatch)
    found = read(path, digits).images.reshape(images.shape)
    np.testing.assert_allclose(found, images, atol=0.01)


@pytest.mark.parametrize("data", ["digits", "colour"])
@pytest.mark.parametrize("write", PICTURES)
def test_pictures_of_other_programs(write, data, request, tmp_path):
    dataset = request.getfixturevalue(data)
    images, numbers = some(dataset)

    def pictures(values):
        return np.clip(np.round(255 * values), 0, 255).astype("uint8")

    path = write(tmp_path / "raw", dataset.train.images[:40], numbers)
    distilled = read(path, dataset)
    order = np.argsort(numbers, kind="stable")
    if write is parquet_of_pictures:
        order = np.arange(40)
    found = dataset.normalization.denormalize(distilled.images[0])
    real = dataset.train.images[:40] / 255
    assert sorted(f.tobytes() for f in found.round(2)) == sorted(
        r.tobytes() for r in real.astype("f4").round(2)
    )
    assert sorted(distilled.labels.argmax(-1)[0]) == sorted(numbers[order])
    path = write(tmp_path / "normal", pictures(0.5 + 0.15 * images), numbers)
    refusal(path, dataset)
    # What undoes it can be said.
    std = np.float32(dataset.normalization.std) / (0.15 * 255)
    mean = np.float32(dataset.normalization.mean) - 0.5 * 255 * std
    read(path, dataset, mean=mean, std=std)
    white, _ = whitened(dataset, images, write)
    path = write(tmp_path / "white", pictures(0.5 + 0.2 * white), numbers)
    # Clipped, they may look like anything but real images.
    assert "look" in refusal(path, dataset) or "far" in refusal(path, dataset)


@pytest.mark.parametrize("shape", [(8, 8), (8, 6)])
def test_pictures_in_parquet_are_turned_and_put_on_white(shape, tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    rng, numbers = np.random.default_rng(0), np.arange(40) % 2
    images = rng.integers(0, 256, (40, *shape, 3), np.uint8)
    images[:, :2] = 255
    cells = []
    for at, image in enumerate(images):
        stream = io.BytesIO()
        if at % 2:  # on its side, as EXIF says
            picture = Image.fromarray(np.rot90(image).copy())
            exif = picture.getexif()
            exif[0x112] = 6
            picture.save(stream, "PNG", exif=exif)
        else:
            alpha = np.full((*shape, 1), 255, np.uint8)
            alpha[:2] = 0
            whole = np.concatenate([np.where(alpha > 0, image, 0), alpha], -1)
            Image.fromarray(whole).save(stream, "PNG")
        cells.append({"bytes": stream.getvalue(), "path": None})
    table = pyarrow.table({"image": cells, "label": numbers.tolist()})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    real = tfdistill.from_arrays((images, numbers))
    found = read(tmp_path / "a.parquet", real).images[0]
    expected = real.normalization.normalize(images)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    wide = tfdistill.from_arrays((images[:, :, :4], numbers))
    assert "pixels, but the real images" in refusal(tmp_path / "a.parquet", wide)


def pictured(digits):
    """Pictures as bytes, and columns of pictures that are none of the images."""
    cells = [png(image) for image in digits.train.images[:20]]
    return cells, {
        "frames": [[cell] * 2 for cell in cells],
        "thumb": cells[:10] + [None] * 10,
        "preview": [{"bytes": cell, "path": ""} for cell in cells[:10]] + [None] * 10,
        "links": [None] * 19 + [{"bytes": None, "path": "a.png"}],
    }


@pytest.mark.parametrize("name", ["image", "picture"])
@pytest.mark.parametrize("other", ["frames", "thumb", "preview", "links"])
def test_images_in_parquet_are_a_picture_in_each_row(name, other, digits, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    cells, others = pictured(digits)
    if other == "links":
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        others["links"] = pa.array(others["links"], kind)
    numbers = "cls" if name == "image" else "label"
    columns = {name: cells, other: others[other], numbers: digits.train.labels[:20]}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", digits, check=False)
    expected = digits.normalization.normalize(digits.train.images[:20])
    np.testing.assert_allclose(found.images[0], expected, atol=1e-5)
    # Alone, they are what is wrong.
    pyarrow.parquet.write_table(
        pa.table({"image": others[other], "label": columns[numbers]}),
        tmp_path / "a.parquet",
    )
    says = "must hold images" if other == "frames" else "not all in the file"
    assert says in refusal(tmp_path / "a.parquet", digits)
    if other != "frames":  # nor are others the images because they are whole
        columns = {"image": others[other], "near": cells, "label": columns[numbers]}
        pyarrow.parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
        assert says in refusal(tmp_path / "a.parquet", digits)


def test_pictures_in_parquet_are_bytes_of_any_type(digits, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    cells, numbers = pictured(digits)[0], digits.train.labels[:20]
    length = max(map(len, cells))
    padded = [cell.ljust(length, b"\0") for cell in cells]
    codes = pa.array([cell[-16:] for cell in cells], pa.binary(16))
    for kind in ("binary", "large_binary", "binary_view", pa.binary(length)):
        columns = {"picture": pa.array(padded, kind), "label": numbers, "code": codes}
        pyarrow.parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
        found = read(tmp_path / "a.parquet", digits, check=False)
        expected = digits.normalization.normalize(digits.train.images[:20])
        np.testing.assert_allclose(found.images[0], expected, atol=1e-5)


def test_a_normalisation_in_the_file_is_used(digits, tmp_path):
    images, numbers = some(digits)
    raw = digits.normalization.denormalize(images)
    mean, std = np.float32([0.5]), np.float32([0.2])
    path = tmp_path / "own.npz"
    np.savez(path, images=(raw - mean) / std, labels=numbers, mean=mean, std=std)
    found = read(path, digits)
    np.testing.assert_allclose(found.images[0], images, atol=1e-4)
    # The file is wrong about it.
    np.savez(path, images=raw, labels=numbers, mean=mean, std=std)
    assert "pixels=0..1" in refusal(path, digits)
    np.testing.assert_allclose(
        read(path, digits, pixels="0..1").images[0], images, atol=1e-4
    )
    np.savez(path, images=(raw - mean) / std, labels=numbers)
    given = read(path, digits, mean=[127.5], std=[51.0])
    np.testing.assert_allclose(given.images[0], images, atol=1e-4)
    # Data that are floats by nature may have any mean.
    floats = tfdistill.from_arrays((digits.train.images + 900.0, digits.train.labels))
    own = floats.normalization
    images, numbers = floats.train.images[:40] - own.mean, floats.train.labels[:40]
    images = (images / own.std).astype("f4")
    np.savez(path, images=images, labels=numbers, mean=own.mean, std=own.std)
    np.testing.assert_allclose(read(path, floats).images[0], images, atol=1e-2)
    images, numbers = some(digits)
    matrix, before = whitening(images, 0.01)
    flat = (images.reshape(40, -1) - before) @ matrix
    np.savez(path, images=flat, labels=numbers, zca=matrix, zca_mean=before)
    np.testing.assert_allclose(read(path, digits).images[0], images, atol=1e-3)


def test_a_normalisation_of_many_channels_is_used(tmp_path):
    rng, labels = np.random.default_rng(0), np.arange(60) % 2
    images = rng.random((60, 4, 4, 80), "float32") * np.linspace(0.5, 1, 80)
    images = images.astype("float32")
    real = tfdistill.from_arrays((images, labels))
    other = tfdistill.from_arrays((0.8 * images + 0.1, labels))
    data = tfdistill.baselines.random_real(other, steps=2)
    data.save(tmp_path / "folder")
    data.to_npz(tmp_path / "a.npz")
    expected = read(tmp_path / "folder", real).images
    found = read(tmp_path / "a.npz", real).images
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"std": [0.2]}, "has a std, but no mean"),
        ({"mean": [0.5]}, "has a mean, but no std"),
        ({"mean": np.zeros(64), "std": [0.2]}, "mean has 64 numbers, but the images"),
        ({"mean": [0.5], "std": np.ones((9, 9))}, "std has 81 numbers"),
    ],
)
def test_half_a_normalisation_in_the_file_is_refused(given, says, digits, tmp_path):
    images, numbers = some(digits)
    raw, path = digits.normalization.denormalize(images), tmp_path / "a.npz"
    np.savez(path, images=raw, labels=numbers, **given)
    assert says in refusal(path, digits, check=False)
    read(path, digits, pixels="0..1")
    np.savez(path, images=(raw - 0.5) / 0.2, labels=numbers, **given)
    found = read(path, digits, mean=[0.5], std=[0.2])
    np.testing.assert_allclose(found.images[0], images, atol=1e-4)


def test_our_own_files_are_read(digits, tmp_path):
    own = tfdistill.Normalization((0.6,), (0.1,))
    data = tfdistill.baselines.random_real(digits, steps=2).replace(student="mlp")
    raw = digits.normalization.denormalize(data.images)
    data = data.replace(images=(raw - 0.6) / 0.1, normalization=own)
    data.save(tmp_path / "run" / "distilled")
    data.to_npz(tmp_path / "a.npz")
    expected = tfdistill.baselines.random_real(digits, steps=2).images
    for path in ("run", "run/distilled", "a.npz"):
        found = read(tmp_path / path, digits)
        np.testing.assert_allclose(
            found.images.reshape(expected.shape), expected, atol=1e-4
        )
        assert found.normalization == digits.normalization
    assert read(tmp_path / "run", digits).recipe.is_ordered
    (tmp_path / "run" / "distilled" / "tfdistill.json").unlink()  # a plain TFDS folder
    with pytest.raises(ValueError, match="moments"):
        read(tmp_path / "run" / "distilled", digits)
    found = read(tmp_path / "run" / "distilled", digits, mean=[0.6], std=[0.1])
    np.testing.assert_allclose(
        found.images.reshape(expected.shape), expected, atol=1e-4
    )
    assert tfdistill.read_distilled(data, digits).normalization == digits.normalization


def test_our_own_sets_say_themselves_what_their_images_are(digits, tmp_path):
    data = tfdistill.baselines.random_real(digits, steps=2)
    data.save(tmp_path / "run" / "distilled")
    recipe = tfdistill.OrdinaryTraining(updates=7)
    for source in (data, tmp_path / "run", tmp_path / "run" / "distilled"):
        for given in ({"pixels": "0-1"}, {"mean": [0.5]}, {"std": [1]}):
            with pytest.raises(ValueError, match=f"leave out {min(given)}=."):
                tfdistill.read_distilled(source, digits, **given)
        says = refusal(source, digits, pixels="0..1", zca=np.eye(64))
        assert "leave out pixels= and zca=." in says
        found = tfdistill.read_distilled(source, digits, recipe=recipe)
        assert found.recipe == recipe
        np.testing.assert_array_equal(found.images, data.images)


@pytest.mark.parametrize("shape", [(1, 64, 1), (64, 2, 3)])
def test_our_own_parquet_of_long_images_is_read(shape, tmp_path):
    """The pictures to look at beside the images are thicker than these."""
    pytest.importorskip("datasets")
    images = np.random.default_rng(0).random((60, *shape), "float32")
    real = tfdistill.from_arrays((images, np.arange(60) % 2))
    data = tfdistill.baselines.random_real(real, steps=2)
    data.to_parquet(tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", real)
    expected = data.images.reshape(found.images.shape)
    np.testing.assert_allclose(found.images, expected, atol=1e-5)


def test_real_data_that_are_streamed_class_by_class(monkeypatch):
    monkeypatch.setattr(streamed, "_SHUFFLE_LIMIT", 1)
    rng, count = np.random.default_rng(0), 2500
    images = rng.integers(0, 60, (2 * count, 4, 4, 1), np.uint8)
    images[count:] += 190
    labels = np.repeat([0, 1], count)
    pairs = tf.data.Dataset.from_tensor_slices((images, labels))
    real = tfdistill.from_tf_data(pairs, in_memory=False)
    given = np.float32(images[::500]) / 255, labels[::500]
    found = tfdistill.read_distilled(given, real, pixels="0..1")
    moments = found.images.mean(), found.images.std()
    np.testing.assert_allclose(moments, (0, 1), atol=0.1)


def test_floats_up_to_255_are_what_uint8_is(digits, tmp_path):
    """The same real images as uint8, as floats in 0..255 and in 0..1."""
    parts = (digits.train, digits.test)
    forms = {
        "uint8": digits,
        "255": tfdistill.from_arrays(
            *((part.images.astype("float32"), part.labels) for part in parts)
        ),
        "1": tfdistill.from_arrays(
            *((part.images.astype("float32") / 255, part.labels) for part in parts)
        ),
    }
    images, numbers = some(digits)
    raw = digits.normalization.denormalize(images)
    np.savez(tmp_path / "pixels.npz", images=raw, labels=numbers)
    for of in forms.values():
        made = tfdistill.baselines.random_real(of, steps=1)
        for to in forms.values():
            found = tfdistill.read_distilled(made, to)
            again = tfdistill.read_distilled(found, of)
            np.testing.assert_allclose(again.images, made.images, atol=1e-3)
            moments = found.images.mean(), found.images.std()
            np.testing.assert_allclose(moments, (0, 1), atol=0.3)
        found = tfdistill.read_distilled(tmp_path / "pixels.npz", of, pixels="0..1")
        np.testing.assert_allclose(
            found.images[0],
            of.normalization.normalize(raw if of is forms["1"] else 255 * raw),
            atol=1e-3,
        )


RANGES = {
    "-1..1": lambda x: x.astype("float32") / 127.5 - 1,
    "0..16": lambda x: x.astype("float32") * 16 / 255,
    "0..65535": lambda x: x.astype("float32") * 257,
    "bytes that are left as they are": lambda x: x,
}


@pytest.mark.parametrize("name", RANGES)
def test_black_and_white_are_those_of_the_real_images(name, digits, tmp_path):
    change = RANGES[name]
    own = tfdistill.Normalization([0], [1], scale=1) if "bytes" in name else None
    train, test = (
        (change(part.images), part.labels) for part in (digits.train, digits.test)
    )
    real = tfdistill.from_arrays(train, test, normalization=own)
    images, numbers = digits.train.images[:40], digits.train.labels[:40]
    right = real.normalization.normalize(change(images)).numpy()
    unit = np.float32(images) / 255
    made = read((images, numbers), digits)
    made.save(tmp_path / "made")
    floats = tfdistill.from_arrays((unit, numbers))
    as_floats = floats.normalization.normalize(unit)[None].numpy()
    as_floats = made.replace(images=as_floats, normalization=floats.normalization)
    moments = {"mean": [0.5], "std": [0.5]}
    own_moments = {"mean": real.normalization.mean, "std": real.normalization.std}
    for source, declared in (
        ((unit, numbers), {"pixels": "0..1"}),
        ((images, numbers), {}),
        ((2 * unit - 1, numbers), {"pixels": "-1..1"}),
        ((2 * unit - 1, numbers), moments),
        ((right, numbers), own_moments),
        (made, {}),
        (tmp_path / "made", {}),
        (as_floats, {}),
    ):
        found = read(source, real, **declared).images[0]
        np.testing.assert_allclose(found, right, atol=1e-3)
    if own is None:  # else standardised is no other thing
        says = refusal((2 * unit - 1, numbers), real, pixels="standardised")
        assert "pixels=" in says
    # The way back is known if the range is the same, and cannot be if it is another.
    back = read(made, real)
    part = tuple(values[:700] for values in train)
    others = tfdistill.from_arrays(part, test, normalization=own)
    found = others.normalization.denormalize(read(back, others).images)
    expected = real.normalization.denormalize(back.images)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert "range" in refusal(back, digits)
    back.save(tmp_path / "back")
    assert "back: its images were floats" in refusal(tmp_path / "back", digits)
    assert read(back, digits, check=False).normalization == digits.normalization


def test_noise_is_neither_whitened_nor_far(digits, colour):
    """Distilled images that began as noise in normalised space."""
    rng = np.random.default_rng(0)
    for dataset in (digits, colour):
        for strength in (0.7, 1.0, 2.0):
            noise = strength * rng.standard_normal((20, *dataset.image_shape))
            read((noise, np.arange(20) % 2), dataset)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (np.arange(6) % 3, "integer"),
        (np.float32([0, 1, 2, 2, 1, 0]), "integer"),
        (np.arange(6).reshape(2, 3) % 3, "integer"),
        (np.eye(3)[[0, 1, 2, 2, 1, 0]], "one-hot"),
        (np.full((6, 3), 1 / 3), "soft"),
        (np.eye(3)[[0, 1, 2, 2, 1, 0]].reshape(2, 3, 3) - 1 / 3, "centred"),
        (np.random.default_rng(0).normal(0, 0.4, (6, 3)), "centred"),
    ],
)
def test_labels_are_recognised(given, kind):
    found = labels.meaning(given, 6, 3)
    assert found.kind == kind and found.values.shape == (6, 3)
    assert found.objective.name == (
        "least_squares" if kind == "centred" else "classification"
    )
    np.testing.assert_array_equal(
        labels.hard(found.values).argmax(-1), found.values.argmax(-1)
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.arange(6), "go from 0 to 5"),
        (np.arange(6) - 1, "go from -1 to 4"),
        (np.float32([0.5] * 6), "neither whole numbers"),
        (np.zeros((6, 4)), "neither a class"),
        (np.full((6, 3), 0.7), "neither negative"),
        (np.random.default_rng(0).normal(0, 9, (6, 3)), "store their softmax"),
    ],
)
def test_other_labels_are_refused(given, says):
    with pytest.raises(ValueError, match=says):
        labels.meaning(given, 6, 3)


def test_what_is_advised_for_images_with_a_mean_of_their_own_helps(digits, tmp_path):
    data = tfdistill.baselines.random_real(digits, steps=2)
    bright = data.replace(normalization=tfdistill.Normalization((0.9,), (0.1,)))
    bright.to_npz(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="look like real ones by the real") as error:
        read(tmp_path / "a.npz", digits)
    assert "pixels=" not in str(error.value) and "check=False if" in str(error.value)
    own = digits.normalization
    shown = f"mean= and std= ({own.mean[0]:.3g} and {own.std[0]:.3g})"
    assert shown in str(error.value)
    found = read(tmp_path / "a.npz", digits, mean=own.mean, std=own.std)
    expected = data.images.reshape(found.images.shape)
    np.testing.assert_allclose(found.images, expected, atol=0.01)
    found = read(tmp_path / "a.npz", digits, check=False)
    raw = bright.normalization.denormalize(expected)
    np.testing.assert_allclose(own.denormalize(found.images), raw, atol=0.1)


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_our_own_files_keep_their_objective(form, digits, tmp_path):
    if form == "parquet":
        pytest.importorskip("datasets")
    rng, one_hot = np.random.default_rng(0), np.eye(10)[np.arange(20) % 10]
    data = tfdistill.DistilledDataset(
        rng.standard_normal((1, 20, 8, 8, 1)),
        5 * (one_hot[None] - 0.1),
        recipe=tfdistill.OrdinaryTraining(),
        objective=LeastSquares("cross_entropy"),
        normalization=digits.normalization,
        class_names=digits.class_names,
    )
    for at, (values, kind) in enumerate(
        [(data.labels, "centred"), (one_hot[None], "one-hot"), (one_hot[None] + 1, "")]
    ):
        path = tmp_path / f"{at}.{form}"
        getattr(data.replace(labels=values), f"to_{form}")(path)
        found = read(path, digits, check=False)
        assert isinstance(found.objective, LeastSquares)
        assert found.objective.options == {"judged_by": "cross_entropy"}
        assert found.provenance["labels"] == (kind or "learned")
        np.testing.assert_allclose(found.labels, values, atol=1e-6)


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "words"])
@pytest.mark.parametrize("missing", [0, 3])
def test_words_of_any_type_in_parquet_are_the_objective(
    kind, missing, digits, tmp_path, monkeypatch
):
    """Such as pandas, Polars and Arrow write, and where the first rows have none."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    images, numbers = some(digits)
    centred = np.eye(10)[numbers] - 0.1
    path = parquet_of_lists(tmp_path / "a", images, centred, monkeypatch)
    table = pyarrow.parquet.read_table(path)
    kind = pa.dictionary("int32", "large_string") if kind == "words" else kind
    for name, word in (
        ("objective", "least_squares"),
        ("objective_options", '{"judged_by": "cross_entropy"}'),
    ):
        words = pa.array([None] * missing + [word] * (40 - missing))
        table = table.append_column(name, words.cast(kind))
    pyarrow.parquet.write_table(table, path)
    found = read(path, digits, check=False)
    assert found.objective.options == {"judged_by": "cross_entropy"}


def test_an_objective_that_does_not_fit_the_labels_is_refused():
    numbers = np.arange(6) % 3
    assert labels.meaning(numbers, 6, 3, "somebody's").objective.name == (
        "classification"
    )
    with pytest.raises(ValueError, match="but its labels are not rows"):
        labels.meaning(np.eye(3)[numbers] - 1 / 3, 6, 3, "classification")
    for options, says in (("[1]", "no JSON object"), ('{"a": 1}', "no such options")):
        with pytest.raises(ValueError, match=says):
            labels.meaning(numbers, 6, 3, "least_squares", options)
    with pytest.raises(ValueError, match="shape"):  # a number for each image
        labels.meaning(numbers, 6, 3, "regression")


class _Evil:
    def __reduce__(self):
        return print, ("this must never be printed",)


def evil_pt(path, program):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", program)
    return path


def looped(count):
    """Lists that hold each other: to follow all ways would take for ever."""
    value: list = []
    value.extend([value] * count)
    for _ in range(40):
        value = [value] * count
    return value


HOSTILE = {
    "lists that hold themselves": lambda p, m: torch_save(looped(50), p / "a.pt", m),
    "lists without end": lambda p, m: evil_pt(
        p / "a.pt", b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b"."
    ),
    "a pickle with code": lambda p, m: evil_pt(p / "a.pt", pickle.dumps(_Evil(), 2)),
    "code by the stack": lambda p, m: evil_pt(p / "a.pt", pickle.dumps(_Evil(), 4)),
    "an object of a class": lambda p, m: evil_pt(
        p / "a.pt", b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R."
    ),
    "an old opcode that calls": lambda p, m: evil_pt(
        p / "a.pt", b"\x80\x02(S'1'\nibuiltins\neval\n."
    ),
    "a memo of a terabyte": lambda p, m: evil_pt(
        p / "a.pt", b"\x80\x02Nr\xff\xff\xff\xff."
    ),
    "a bare pickle": lambda p, m: (
        (p / "a.pt").write_bytes(pickle.dumps(_Evil())) and p / "a.pt"
    ),
    "an object array": lambda p, m: (
        np.savez(p / "a.npz", images=np.array([_Evil()]), labels=[1]) or p / "a.npz"
    ),
    "objects among the labels": lambda p, m: (
        np.savez(p / "a.npz", images=np.zeros((2, 8, 8)), labels=np.array([_Evil()]))
        or p / "a.npz"
    ),
    "not a file of its kind": lambda p, m: (
        (p / "a.npz").write_bytes(b"PK\x03\x04 and no more") and p / "a.npz"
    ),
    "a compressed tensor": lambda p, m: torch_save(
        {"images": _Tensor(np.zeros((9, 1, 8, 8), "f4"))},
        p / "a.pt",
        m,
        zipfile.ZIP_DEFLATED,
    ),
}


def header(shape):
    stream = io.BytesIO()
    about = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, about)
    return stream.getvalue()


def terabyte_npy(path, _):
    np.save(path / "x_labels.npy", np.zeros(3, int))
    (path / "x_images.npy").write_bytes(header((2**32, 8, 8, 1)) + bytes(64))
    return path / "x_images.npy"


def terabyte_npz(path, _):
    with zipfile.ZipFile(path / "a.npz", "w") as archive:
        archive.writestr("images.npy", header((2**32, 8, 8, 1)))
        archive.writestr("labels.npy", header((2**32,)))
    return path / "a.npz"


def zip_bomb(path, _):
    """A gigabyte of zeros in a megabyte, of the shape that it has."""
    with zipfile.ZipFile(path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("images.npy", "w", force_zip64=True) as file:
            file.write(header((2**18, 8, 8, 1)))
            for _ in range(64):
                file.write(bytes(2**20))
        archive.writestr("labels.npy", header((2,)) + bytes(8))
    return path / "a.npz"


class _Vast(_Tensor):
    """A tensor of one number that claims a terabyte, by strides of 0."""

    def __init__(self, strides):
        super().__init__(np.zeros(1, "f4"))
        self.strides = strides

    def __reduce_ex__(self, protocol):
        make, (storage, *rest) = super().__reduce_ex__(protocol)
        return make, (storage, 0, (2**32, 1, 8, 8), self.strides, *rest[3:])


def terabyte_pt(strides):
    def write(path, monkeypatch):
        value = {"images": _Vast(strides), "labels": _Tensor(np.zeros(3, "i8"))}
        return torch_save(value, path / "a.pt", monkeypatch)

    return write


def vast_parquet(path, **columns):
    """A kilobyte that stands for as many values as it claims."""
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    rows = {"image": [[0.0] * 64] * 10, "label": list(range(10)), **columns}
    pyarrow.parquet.write_table(pyarrow.table(rows), path, compression="zstd")
    assert path.stat().st_size < 2**15
    return path


def vast_list():
    """Ten lists, of which the last is of four million zeros."""
    import pyarrow

    ends = pyarrow.array([0] * 10 + [4 * 10**6], pyarrow.int32())
    return pyarrow.ListArray.from_arrays(ends, pyarrow.array(np.zeros(4 * 10**6)))


def doubled(times):
    """A pair of a pair of a pair: as a text, twice as long each time."""
    pairs = b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(times))
    return b")q\x00" + pairs


FLOATS = b"X\x07\x00\x00\x00storagectorch\nFloatStorage\n"  # of a storage
PROGRAMS = {
    "a deep key": b"})" + b"\x85" * 200_000 + b"Ns.",
    "a key of pairs": b"}" + doubled(40) + b"Ns.",
    "a key of many numbers": b"}(" + b"K\x01" * 10_000 + b"tNs.",
    "keys of a long text": b"X\x00\x00\x10\x00%bq\x00]q\x01K\x01a}(" % (b"x" * 2**20)
    + b"".join(b"h\x00h\x00K%c\x87h\x01" % n for n in range(100))
    + b"u.",
    "a module of pairs": doubled(23) + b"X\x01\x00\x00\x00x\x93.",
    "a storage of pairs": b"(" + FLOATS + doubled(23) + b"X\x01\x00\x00\x00xK\x01tQ.",
    "ordered dictionaries of a dictionary": b"ccollections\nOrderedDict\nq\x00}q\x01("
    + b"".join(b"M%c%cN" % (n % 256, n // 256) for n in range(20_000))
    + b"u]("
    + b"h\x00h\x01\x85R" * 1000
    + b"e.",
    "strides of text": b"ctorch._utils\n_rebuild_tensor_v2\n(("
    + FLOATS
    + b"X\x01\x00\x00\x000NK\x00tQK\x00J\xff\xff\xff\x0f\x85X\x01\x00\x00\x00a\x85tR.",
    "a list many times": b"]q\x00("
    + b"K\x01" * 10_000
    + b"e]("
    + b"h\x00" * 1000
    + b"e.",
    "a name without end": b"cx\n" + b"y" * 10**5 + b"\n.",
}


def program_pt(name):
    def write(path, _):
        with zipfile.ZipFile(
            evil_pt(path / "a.pt", b"\x80\x02" + PROGRAMS[name]), "a"
        ) as f:
            f.writestr("a/data/0", b"")
        return path / "a.pt"

    return write


HOSTILE |= {name: program_pt(name) for name in PROGRAMS}
HOSTILE |= {
    "a Parquet list without end": lambda p, m: vast_parquet(
        p / "a.parquet", image=vast_list()
    ),
    "a Parquet picture without end": lambda p, m: vast_parquet(
        p / "a.parquet", image=[bytes(4 * 10**6)] * 10
    ),
    "Parquet words without end": lambda p, m: vast_parquet(
        p / "a.parquet", objective=["x" * 4 * 10**6] * 10
    ),
    "a terabyte in .npy": terabyte_npy,
    "a terabyte in .npz": terabyte_npz,
    "a zip bomb": zip_bomb,
    "a terabyte of one number": terabyte_pt((0, 0, 0, 0)),
    "a terabyte beyond its numbers": terabyte_pt((64, 64, 8, 1)),
}


def in_little_memory(call, *arguments, **declared):
    tracemalloc.start()
    try:
        found = call(*arguments, **declared)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name, digits, tmp_path, monkeypatch, capsys):
    path = str(HOSTILE[name](tmp_path, monkeypatch))
    text = in_little_memory(refusal, path, digits)
    assert "never be printed" not in capsys.readouterr().out
    assert path.split("+")[0] in text and len(text) < 1000
    if name.startswith(("a pickle with", "code", "an object of", "an old")):
        assert "could run code" in text and "torch.save({'images'" in text


def test_parquet_columns_that_nobody_needs_are_no_matter(digits, tmp_path):
    """Vast ones are not read; others are of any kind, or lack values."""
    pytest.importorskip("pyarrow")
    path = vast_parquet(
        tmp_path / "a.parquet",
        notes=vast_list(),
        words=[["a", "b"]] * 10,
        records=[[{"n": 1}]] * 10,
        some=[1, None] * 5,
        ragged=[[1.0], [2.0, 3.0]] * 5,
        preview=[bytes(4 * 10**6)] * 10,
    )
    found = in_little_memory(read, path, digits, check=False)
    np.testing.assert_array_equal(found.labels.argmax(-1)[0], range(10))


def test_tfds_pictures_are_read_if_needed_and_up_to_a_size(digits, tmp_path):
    import tensorflow_datasets as tfds

    features = {
        "image": tfds.features.Image(shape=(None, None, 1)),
        "preview": tfds.features.Image(shape=(None, None, 1)),
        "label": tfds.features.ClassLabel(num_classes=10),
    }
    for name, side in (("small", 8), ("vast", 2000)):
        image = np.zeros((side, side, 1), "uint8")
        example = {"image": image, "label": 1, "preview": io.BytesIO(b"no picture")}
        tfds_fixtures._prepare(tmp_path, name, "1.0.0", features, {"train": [example]})
    assert read(tmp_path / "small/1.0.0", digits, check=False).num_images == 1
    assert "more than all" in refusal(tmp_path / "vast/1.0.0", digits, check=False)


@pytest.mark.parametrize("dtype", ["f2", "f4"])
def test_views_and_kinds_of_tensors(digits, dtype, tmp_path, monkeypatch):
    """A tensor may be a part of its storage, and a parameter, and deep inside."""
    images, numbers = some(digits)
    whole = np.concatenate([images, images]).astype(dtype)

    class Part(_Tensor):
        def __reduce_ex__(self, protocol):
            make, (storage, _, _, *rest) = super().__reduce_ex__(protocol)
            return make, (storage, 40 * 64, (40, 8, 8, 1), *rest)

    value = {"epoch": 3, "data": [[Part(whole), _Tensor(numbers)]], "accuracy": [0.5]}
    path = torch_save(value, tmp_path / "a.pt", monkeypatch)
    found = read(path, digits)
    np.testing.assert_allclose(found.images[0], images, atol=3e-3)
    np.testing.assert_array_equal(found.labels[0].argmax(-1), numbers)


@pytest.mark.parametrize("inside", [False, True])
def test_keys_of_dictionaries_are_tuples_too(inside, digits, tmp_path, monkeypatch):
    """Such as results beside the tensors, by network and images per class."""
    images, numbers = some(digits)
    tensors = {"images": _Tensor(images), "labels": _Tensor(numbers)}
    results = {("ConvNet", 10): 0.5, ("MLP", None): 0.4}
    value = {"accuracy": results, **tensors}
    if inside:
        value = {("mnist", 4): tensors, "accuracy": results}
    found = read(torch_save(value, tmp_path / "a.pt", monkeypatch), digits)
    np.testing.assert_allclose(found.images[0], images, atol=1e-6)


def test_what_cannot_be_matched_is_said(digits, tmp_path):
    noise = np.random.default_rng(0).standard_normal((4, 8, 8))
    for arrays, says in (
        ({"images": np.zeros((4, 9, 9))}, "no labels"),
        ({"a": np.zeros(3), "b": np.zeros(3)}, "must hold images and labels"),
        ({"images": np.zeros((4, 9, 9)), "labels": np.zeros(4)}, r"\[4, 9, 9\]"),
        ({"images": np.full((4, 8, 8), np.nan), "labels": np.zeros(4)}, "NaN"),
        ({"images": noise, "labels": np.zeros((4, 3))}, "neither"),
    ):
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(ValueError, match=says):
            read(tmp_path / "a.npz", digits)
    np.save(tmp_path / "alone.npy", np.zeros((4, 8, 8)))
    assert "images.npy+labels.npy" in refusal(str(tmp_path / "alone.npy"), digits)
    (tmp_path / "a.bin").write_bytes(b"")
    assert "ends in one of" in refusal(str(tmp_path / "a.bin"), digits)
    with pytest.raises(FileNotFoundError, match="absent"):
        read(tmp_path / "absent.npz", digits)
    with pytest.raises(ValueError, match="pixels must be one of"):
        read((np.zeros((4, 8, 8)), np.zeros(4)), digits, pixels="raw")


def test_arrays_are_checked_as_files_are(digits):
    images, numbers = some(digits)
    holes = np.where(images > 1, np.nan, images)
    for arrays, says in (
        ((images, numbers.astype(str)), "'labels' must be numbers, not <U"),
        ((images, numbers.astype(object)), "'labels' must be numbers, not object"),
        ((images.astype(object), numbers), "'images' must be numbers, not object"),
        ((holes, numbers), "'images' has numbers that are NaN"),
        ((images,), "must be two"),
        ((images, numbers, [0.5]), "must be two"),
    ):
        assert says in refusal(arrays, digits)
    with pytest.raises(ValueError, match="'zca' must be numbers"):
        read((images, numbers), digits, zca=np.full((64, 64), "a"))
    read([images.tolist(), numbers.tolist()], digits)


def test_classes_in_another_order_are_refused(digits, tmp_path):
    """Their labels would be swapped; other names of the same classes may come."""
    two, swapped = digits.of_classes([0, 1]), digits.of_classes([1, 0])
    data = tfdistill.baselines.random_real(two, steps=1)
    data.save(tmp_path / "run" / "distilled")
    data.to_npz(tmp_path / "a.npz")
    data.save(tmp_path / "tfds")
    (tmp_path / "tfds" / "tfdistill.json").unlink()
    forms = [data, "run", "a.npz", "tfds"]
    if importlib.util.find_spec("datasets"):
        data.to_parquet(tmp_path / "a.parquet")
        forms.append("a.parquet")
    named = dataclasses.replace(swapped, class_names=("one", "zero"))
    for form in forms:
        source = tmp_path / form if isinstance(form, str) else form
        tfdistill.read_distilled(source, two)
        tfdistill.read_distilled(source, named)
        says = refusal(source, swapped)
        assert "in another order (1, 0) than" in says and "images (0, 1)" in says
    with pytest.raises(ValueError, match="in another order"):
        tfdistill.compare({"a": data}, swapped.hold_out(0.1))


def npz_named_in_bytes(path, images, numbers, names, monkeypatch):
    named = {"images": images, "labels": numbers, "class_names": np.array(names, "S")}
    np.savez(f"{path}.npz", **named)
    return f"{path}.npz"


def pt_named(path, images, numbers, names, monkeypatch):
    images, numbers = _Tensor(np.float32(images)), _Tensor(numbers)
    value = {"images": images, "labels": numbers, "class_names": names}
    return torch_save(value, f"{path}.pt", monkeypatch)


def pt_named_outside(path, images, numbers, names, monkeypatch):
    data = [_Tensor(np.float32(images)), _Tensor(numbers)]
    value = {"data": data, "class_names": tuple(names)}
    return torch_save(value, f"{path}.pt", monkeypatch)


def pair_named(path, images, numbers, names, monkeypatch):
    value = {"labels": _Tensor(numbers), "class_names": names}
    np.save(f"{path}.npy", images)
    return f"{path}.npy+" + torch_save(value, f"{path}.pt", monkeypatch)


def parquet_named(path, images, numbers, names, monkeypatch):
    datasets = pytest.importorskip("datasets")
    features = {
        "pixels": datasets.Array3D(images.shape[1:], "float32"),
        "fine_label": datasets.ClassLabel(names=names),
    }
    rows = [{"pixels": x, "fine_label": int(k)} for x, k in zip(images, numbers)]
    table = datasets.Dataset.from_list(rows, features=datasets.Features(features))
    table.to_parquet(f"{path}.parquet")
    return f"{path}.parquet"


def tfds_named(path, images, numbers, names, monkeypatch):
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=images.shape[1:]),
            "target": tfds.features.ClassLabel(names=names),
            "soft_label": tfds.features.Tensor(shape=(len(names),), dtype=np.float32),
        }
    )
    path.mkdir()
    soft = np.eye(len(names), dtype="f4")[numbers]
    with tf.io.TFRecordWriter(str(path / "x-train.tfrecord-00000-of-00001")) as records:
        for image, target, row in zip(np.uint8(images), numbers, soft):
            example = {"image": image, "target": target, "soft_label": row}
            records.write(features.serialize_example(features.encode_example(example)))
    template = tfds.core.ShardedFileTemplate(
        data_dir=path, dataset_name="x", split="train", filetype_suffix="tfrecord"
    )
    train = tfds.core.SplitInfo(
        name="train", shard_lengths=[40], num_bytes=1, filename_template=template
    )
    tfds.folder_dataset.write_metadata(
        data_dir=path,
        features=features,
        split_infos=[train],
        version="1.0.0",
        check_data=False,
    )
    return str(path)


@pytest.mark.parametrize(
    "write",
    [
        npz_named_in_bytes,
        pt_named,
        pt_named_outside,
        pair_named,
        parquet_named,
        tfds_named,
    ],
)
def test_names_of_classes_are_found_in_any_form(write, digits, tmp_path, monkeypatch):
    names = ["cat", "dog", "eel", "fox", "gnu", "hen", "ibex", "jay", "kid", "lynx"]
    real = dataclasses.replace(digits, class_names=tuple(names))
    images, numbers = digits.train.images[:40], digits.train.labels[:40].astype("i8")
    path = write(tmp_path / "a", images, numbers, names, monkeypatch)
    found = read(path, real, pixels="0..255")
    np.testing.assert_array_equal(found.labels[0].argmax(-1), numbers)
    path = write(tmp_path / "b", images, 9 - numbers, names[::-1], monkeypatch)
    assert "in another order (cat, dog" in refusal(path, real, pixels="0..255")


def test_names_of_classes_in_no_order_are_refused(digits, tmp_path, monkeypatch):
    images, numbers = some(digits)
    names = {"cat": 0, "dog": 1}
    path = pt_named(tmp_path / "a", images, numbers, [names], monkeypatch)
    assert "'class_names' must be a list of words" in refusal(path, digits)
    path = pt_named(tmp_path / "a", images, numbers, None, monkeypatch)
    read(path, digits)
