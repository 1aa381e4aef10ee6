"""USPS is built for real, from small files in LIBSVM's format."""

import bz2

import numpy as np
import pytest

from tfdistill.data import loading as datasets
from tfdistill.data.split import Split


def write_usps(folder, digits, name="usps.bz2"):
    """Writes images that are -1 but for pixel 1 + digit, which is 1."""
    folder.mkdir(exist_ok=True)
    lines = []
    for digit in digits:
        values = np.full(256, -1.0)
        values[digit], values[255] = 1.0, -0.5
        pixels = " ".join(f"{i}:{v:g}" for i, v in enumerate(values, start=1))
        lines.append(f"{digit + 1} {pixels} \n")
    (folder / name).write_bytes(bz2.compress("".join(lines).encode()))


def prepare(tmp_path):
    import tensorflow_datasets as tfds

    from tfdistill.data.usps import Usps

    builder = Usps(data_dir=tmp_path / "data")
    config = tfds.download.DownloadConfig(manual_dir=tmp_path / "manual")
    builder.download_and_prepare(download_config=config)


def test_usps_is_built_and_read_back(tmp_path):
    write_usps(tmp_path / "manual", list(range(10)) * 3)
    write_usps(tmp_path / "manual", range(10), "usps.t.bz2")
    prepare(tmp_path)
    data_dir = str(tmp_path / "data")
    data = datasets.load_dataset("usps", data_dir=data_dir, image_size=16)
    assert (data.name, len(data.train), len(data.test)) == ("usps", 30, 10)
    assert data.class_names == tuple("0123456789")
    flat = data.train.images.reshape(30, 256)
    np.testing.assert_array_equal(flat[:, :10].argmax(1), data.train.labels)
    assert set(flat[:, 255]) == {64} and set(flat.ravel()) == {0, 64, 255}
    # The mean that the literature uses is that of images with a margin.
    assert (
        data.normalization == Split(data.train.images, data.train.labels).normalization
    )
    resized = datasets.load_dataset("usps", data_dir=data_dir)
    assert resized.image_shape == (28, 28, 1)
    # Like MNIST's digits, these have a margin.
    margin = resized.train.images.copy()
    assert margin[:, 3:-3, 3:-3].max() > 200
    margin[:, 3:-3, 3:-3] = 0
    assert margin.max() == 0
    assert resized.normalization.mean == (0.159727,)


def test_usps_in_the_usual_manual_folder(tmp_path):
    manual = tmp_path / "downloads" / "manual"
    manual.parent.mkdir()
    write_usps(manual, list(range(10)) * 2)
    write_usps(manual, range(10), "usps.t.bz2")
    data = datasets.load_dataset("usps", data_dir=str(tmp_path), download=True)
    assert len(data.train) == 20


@pytest.mark.parametrize(
    "line",
    ["11 1:0.5", "0 1:0.5", "1 257:0.5", "1 0:0.5", "1 1:1.5", "1 1:nan", "x", ""],
)
def test_files_in_another_format(line):
    from tfdistill.data.usps import _parse

    with pytest.raises((ValueError, IndexError)):
        _parse(line)


def test_the_file_and_line_are_named(tmp_path):
    manual = tmp_path / "manual"
    manual.mkdir()
    for name in ("usps.bz2", "usps.t.bz2"):
        (manual / name).write_bytes(bz2.compress(b"1 1:0.5\n12 1:0.5\n"))
    with pytest.raises(ValueError, match="usps.*line 2 is '12 1:0.5"):
        prepare(tmp_path)


def test_zeros_may_be_left_out():
    from tfdistill.data.usps import _parse

    example = _parse("10 2:-1 256:1")
    assert example["label"] == 9 and example["image"].shape == (16, 16, 1)
    assert example["image"].ravel()[[0, 1, 255]].tolist() == [128, 0, 255]
