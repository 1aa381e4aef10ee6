"""Where audited examples lie, and the copies that follow from an audit."""

import csv
import hashlib

import numpy as np
import pytest
import tfds_fixtures
from commands import run as tfdistill
from PIL import Image
from sklearn.datasets import load_digits

from tfdistill import load_dataset
from tfdistill.studies import corrections, origins


def arrays(count=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 4, 4), "uint8"), rng.permutation(count) % 3


def save_folder(root, images, labels, names=("=a", "b", "c")):
    for k, (image, label) in enumerate(zip(images, labels)):
        (root / names[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / names[label] / f"{k:03}.png")


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("tested", [False, True])
def test_all_rows_of_an_npz_without_a_test_part(tmp_path, tested):
    images, labels = arrays()
    parts = {"x_train": images, "y_train": labels}
    if tested:
        parts |= {"x_test": images[:6], "y_test": labels[:6]}
    np.savez(tmp_path / "d.npz", **parts)
    name = str(tmp_path / "d.npz")
    dataset, found = origins.whole(load_dataset(name), name)
    np.testing.assert_array_equal(dataset.train.images[..., 0], images)
    np.testing.assert_array_equal(dataset.train.labels, labels)
    assert found.kind == "npz" and found.places[7] == "x_train[7]"
    some = found.where(labels == 2)
    assert list(some.rows) == list(np.flatnonzero(labels == 2))


@pytest.mark.parametrize("parts", [(), ("train",), ("train", "test")])
def test_files_of_a_folder(tmp_path, parts):
    images, labels = arrays()
    for part in parts or ("",):
        save_folder(tmp_path / "d" / part, images, labels)
    name = str(tmp_path / "d")
    dataset, found = origins.whole(load_dataset(name), name)
    assert len(found.places) == dataset.train.num_examples == 20
    for image, place in zip(dataset.train.images, found.places):
        with Image.open(tmp_path / "d" / place) as file:
            np.testing.assert_array_equal(image[..., 0], np.asarray(file))


def test_digits_and_tfds(tmp_path):
    dataset, found = origins.whole(load_dataset("digits"), "digits")
    np.testing.assert_array_equal(dataset.train.labels, load_digits().target)
    assert found.places[-1] == "digits[1796]"
    tfds_fixtures.svhn(tmp_path)
    loaded = load_dataset("svhn_cropped", data_dir=tmp_path, in_memory=True)
    dataset, found = origins.whole(loaded, "svhn_cropped", str(tmp_path))
    assert len(set(found.places)) == dataset.train.num_examples
    assert found.kind == "tfds" and "train.tfrecord" in found.places[0]


def test_a_place_that_is_not_sure_is_not_named(tmp_path):
    images, labels = arrays()
    np.savez(tmp_path / "d.npz", x_train=images, y_train=labels)
    name = str(tmp_path / "d.npz")
    loaded = load_dataset(name)
    np.savez(tmp_path / "d.npz", x_train=images, y_train=labels[::-1])
    dataset, found = origins.whole(loaded, name)
    assert dataset is loaded and found.kind == "arrays"
    assert found.places[3] == "train[3]"


def rows(*changed):
    for k in range(20):
        yield corrections.Row(k, f"x_train[{k}]", "0", "2", k in changed)


def test_an_npz_is_copied_with_other_labels(tmp_path):
    images, labels = arrays()
    path = tmp_path / "d.npz"
    np.savez(path, x_train=images, y_train=labels[:, None], extra=[1.5])
    before = path.read_bytes()
    said = corrections.apply(
        list(rows(3, 9)), "npz", str(path), ["0", "1", "2"], tmp_path / "new"
    )
    assert "a copy with 2 labels changed" in said and path.read_bytes() == before
    with np.load(tmp_path / "new" / "d.npz") as found:
        expected = labels[:, None].copy()
        expected[[3, 9]] = 2
        np.testing.assert_array_equal(found["y_train"], expected)
        assert found["extra"] == [1.5] and (found["x_train"] == images).all()
    kept = (tmp_path / "new" / "keep.txt").read_text().split()
    assert len(kept) == 18 and "x_train[9]" not in kept
    with pytest.raises(FileExistsError):
        corrections.apply(list(rows()), "npz", str(path), ["0"], tmp_path / "new")


def test_a_copy_does_not_lie_in_the_data(tmp_path):
    (tmp_path / "d").mkdir()
    for folder in (tmp_path / "d" / "new", tmp_path / "d"):
        with pytest.raises(ValueError, match="lies in the data"):
            corrections.apply([], "folder", str(tmp_path / "d"), [], str(folder))


def test_the_command_applies_what_the_table_says(tmp_path):
    images, labels = arrays(60, seed=1)
    images[:] = 20 + 100 * labels[:, None, None]
    save_folder(tmp_path / "d" / "train", images, labels)
    save_folder(tmp_path / "d" / "test", images[:6], labels[:6])
    (tmp_path / "d" / "train" / "b" / "007.png").unlink(missing_ok=True)
    before = contents(tmp_path / "d")
    flags = ["audit", "--dataset=./d", "--student=linear", "--outer_steps=2"]
    flags += ["--steps=1", "--rounds=1", "--workdir=audit"]
    process = tfdistill(*flags, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "audit" / "images" / "suspects.png").exists()
    table = tmp_path / "audit" / "audit.csv"
    with open(table, encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    # A person decides.
    for k, row in enumerate(found):
        row["suspect"] = int(k == 0)
    found[0]["suggested"] = "c" if found[0]["given"] != "c" else "b"
    with open(table, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, found[0])
        writer.writeheader()
        writer.writerows(found)
    process = tfdistill(*flags, "--apply=new", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "1 labels changed" in process.stdout
    copied = contents(tmp_path / "new" / "images")
    assert contents(tmp_path / "d") == before and len(copied) == len(before)
    place = found[0]["where"]
    assert set(before) - set(copied) == {place}
    (moved,) = set(copied) - set(before)
    assert moved.startswith(f"train/{found[0]['suggested']}/")
    assert copied[moved] == before[place]
    process = tfdistill(*flags, "--apply=d/new", cwd=tmp_path)
    assert process.returncode == 2 and "lies in the data" in process.stderr
