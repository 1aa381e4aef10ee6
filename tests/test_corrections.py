"""Where audited examples lie, and the copies that follow from an audit."""

import csv
import hashlib
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tfds_fixtures
from commands import run as tfdistill
from PIL import Image
from sklearn.datasets import load_digits

from tfdistill import load_dataset
from tfdistill.studies import corrections, origins


def arrays(count=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 4, 4), "uint8"), rng.permutation(count) % 3


def save_folder(root, images, labels, names=("=a", "b", "c"), inside=""):
    for k, (image, label) in enumerate(zip(images, labels)):
        folder = root / names[label] / (inside if k % 2 else "")
        folder.mkdir(parents=True, exist_ok=True)
        ending = (".png", ".tiff", ".PNG")[k % 3]
        Image.fromarray(image).save(folder / f"{k:03}{ending}")


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


@pytest.mark.parametrize(
    "parts", [(), ("train",), ("train", "test"), ("training", "valid")]
)
@pytest.mark.parametrize("inside", ["", "deeper", "a/b"])
def test_files_of_a_folder(tmp_path, parts, inside):
    images, labels = arrays()
    for part in parts or ("",):
        save_folder(tmp_path / "d" / part, images, labels, inside=inside)
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


def test_a_folder_of_the_name_hides_no_data(tmp_path, monkeypatch):
    """Runs are often put into a folder that is called like their data."""
    tfds_fixtures.svhn(tmp_path / "tfds")
    (tmp_path / "svhn_cropped" / "images" / "x").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    data_dir = "~/tfds"
    loaded = load_dataset("svhn_cropped", data_dir=data_dir, in_memory=True)
    _, found = origins.whole(loaded, "svhn_cropped", data_dir)
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


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_any_kind_and_name_are_copied_beside_the_labels(tmp_path, save):
    images, labels = arrays()
    others = {"meta": np.array({"source": "me"}, dtype=object), "x": images}
    path = tmp_path / "d.npz"
    save(path, x_train=images, y_train=labels, **others)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("file.npy", file.read("x.npy"))  # as np.savez takes no such name
    names = ["0", "1", "2"]
    corrections.apply(list(rows(9)), "npz", str(path), names, tmp_path / "new")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "new/d.npz") as new:
        assert new.namelist() == old.namelist() and "file.npy" in new.namelist()
        differ = [name for name in old.namelist() if new.read(name) != old.read(name)]
        kinds = [[i.compress_type for i in z.infolist()] for z in (old, new)]
    assert differ == ["y_train.npy"] and kinds[0] == kinds[1]
    with np.load(tmp_path / "new" / "d.npz") as found:
        assert np.flatnonzero(found["y_train"] != labels).tolist() == [9]


LABELS_OF = {
    "numbers": lambda y: y,
    "a column": lambda y: y[:, None],
    "one-hot": lambda y: np.eye(3)[y],
    "names": lambda y: np.array(["bird", "cat", "zebra"])[y],
    "bytes": lambda y: np.array([b"bird", b"cat", b"zebra"])[y],
}


@pytest.mark.parametrize("kind", LABELS_OF)
@pytest.mark.parametrize("tested", [False, True])
def test_an_npz_with_labels_of_any_form(tmp_path, kind, tested):
    images, labels = arrays()
    parts = {"x_train": images, "y_train": LABELS_OF[kind](labels)}
    if tested:
        parts |= {"x_test": images[:6], "y_test": LABELS_OF[kind](labels[:6])}
    if kind in ("numbers", "one-hot"):
        parts["class_names"] = ["bird", "cat", "zebra"]
    path = tmp_path / "of mine.npz"
    np.savez(path, **parts)
    before = path.read_bytes()
    dataset, found = origins.whole(load_dataset(str(path)), str(path))
    assert found.kind == "npz" and len(found.places) == 20
    np.testing.assert_array_equal(dataset.train.labels, labels)
    changed = [
        corrections.Row(k, found.places[k], names[labels[k]], names[2], k in (3, 9))
        for names in [dataset.class_names]
        for k in range(20)
    ]
    corrections.apply(changed, "npz", str(path), dataset.class_names, tmp_path / "new")
    assert path.read_bytes() == before
    expected = labels.copy()
    expected[[3, 9]] = 2
    again, _ = origins.whole(
        load_dataset(str(tmp_path / "new" / "of mine.npz")),
        str(tmp_path / "new" / "of mine.npz"),
    )
    np.testing.assert_array_equal(again.train.labels, expected)
    assert again.class_names == dataset.class_names


@pytest.mark.parametrize("part", ["", "train", "training"])
def test_a_folder_is_copied_with_images_moved(tmp_path, part):
    """Nested ones stay nested, and none takes the place of another."""
    data = tmp_path / "d"
    for k, name in enumerate(
        ("a/1.png", "b/1.png", "c/1.png", "a/in/2.png", "c/3.png")
    ):
        path = data / part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), 40 * k, "uint8")).save(path)
    (data / part / "a" / "notes.txt").write_text("mine")
    before = contents(data)
    root = f"{part}/" if part else ""
    moves = [("a/1.png", "c"), ("b/1.png", "c"), ("a/in/2.png", "b")]
    changed = [
        corrections.Row(k, root + place, place[0], to, True)
        for k, (place, to) in enumerate(moves)
    ]
    corrections.apply(changed, "folder", str(data), list("abc"), tmp_path / "new")
    copied = contents(tmp_path / "new" / "images")
    assert contents(data) == before
    assert sorted(copied.values()) == sorted(before.values())
    assert set(copied) == {
        root + place
        for place in (
            *("a/notes.txt", "b/in/2.png", "c/1.png", "c/3.png", "c/a-1.png"),
            "c/b-1.png",
        )
    }
    assert copied[f"{root}c/1.png"] == before[f"{root}c/1.png"]


@pytest.mark.parametrize("kind", ["tfds", "arrays"])
def test_of_other_data_there_is_a_list_of_what_to_keep(tmp_path, kind):
    tfds_fixtures.svhn(tmp_path)
    name, where = (
        ("svhn_cropped", str(tmp_path)) if kind == "tfds" else ("digits", None)
    )
    dataset = load_dataset(name, data_dir=where, in_memory=True)
    dataset, found = origins.whole(dataset, name, where)
    assert found.kind == kind
    before = contents(tmp_path)
    rows_of = [
        corrections.Row(k, place, "0", "1", k in (0, 2))
        for k, place in enumerate(found.places)
    ]
    folder = tmp_path.parent / f"{tmp_path.name}-new"
    said = corrections.apply(rows_of, found.kind, found.path, ["0", "1"], folder)
    assert said.endswith("made of folders of images and .npz files only.")
    assert contents(tmp_path) == before
    assert [p.name for p in folder.iterdir()] == ["keep.txt"]
    kept = (folder / "keep.txt").read_text().splitlines()
    assert kept == [p for k, p in enumerate(found.places) if k not in (0, 2)]
    if kind == "tfds":  # what TFDS calls these examples
        builder = tfds.builder("svhn_cropped", data_dir=where)
        config = tfds.ReadConfig(add_tfds_id=True)
        ids = {
            example["tfds_id"].decode()
            for example in tfds.as_numpy(
                builder.as_dataset("train", read_config=config)
            )
        }
        assert set(kept) < ids


TABLE = [
    ",".join(corrections.COLUMNS),
    *("1,x_train[1],'=a,b,0.1,0.0,1", "0,x_train[0],b,'=a,0.2,0.0,0"),
]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("0.0,0", "0.0,x", r"row 3: suspect must be 1 \(take .*\) or 0 .*, not 'x'"),
        ("0.0,0", "0.0", "row 3: suspect must be 1 .*, not ''"),
        (",", ";", "no column 'index'; commas must separate the columns"),
        ("given", "mine", "no column 'given'"),
        ("0,x_train[0]", "9,x_train[0]", "row 3: index must be .*, not '9'"),
        ("x_train[0]", "x_train[1]", r"row 3: where must stay 'x_train\[0\]'"),
        ("b,'=a", "b,../z", "row 3: suggested must be the name of a class"),
        (TABLE[2], TABLE[1], r"row 3: x_train\[1\] is there twice"),
        (TABLE[2], "", r"lacks 1 of 2 examples, the first of them x_train\[0\]; keep"),
        ("b", "\udcff", "no CSV file in UTF-8"),
        ("b", "b" * 200_000, "no CSV file in UTF-8"),
    ],
)
def test_a_table_that_was_edited_wrongly_is_refused(tmp_path, old, new, sentence):
    places = origins.Origins("npz", "", np.arange(2), ["x_train[0]", "x_train[1]"])
    path = tmp_path / "audit.csv"
    for mark in ("", "\ufeff"):  # as some spreadsheets put it
        path.write_text(mark + "\n".join(TABLE), "utf-8")
        suspect, kept = corrections.read(path, places, ["=a", "b"])
        assert (suspect.given, suspect.suggested, suspect.suspect) == ("=a", "b", True)
        assert (kept.index, kept.where, kept.suspect) == (0, "x_train[0]", False)
    changed = "\n".join(TABLE).replace(old, new)
    path.write_bytes(changed.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=sentence):
        corrections.read(path, places, ["=a", "b"])


@pytest.mark.parametrize("part", ["", "train"])
def test_what_is_read_through_links_is_copied(tmp_path, part):
    """Classes, parts and images may be links; what leads round or nowhere, too."""
    images, labels = arrays()
    away, data = tmp_path / "away", tmp_path / "d"
    save_folder(away / "all", images, labels)
    (data / part).mkdir(parents=True)
    if part:
        save_folder(away / "test", images[:6], labels[:6])
        (data / "test").symlink_to(away / "test")
    (data / part / "=a").symlink_to(away / "all" / "=a")
    (away / "all" / "b").rename(data / part / "b")
    (data / part / "c").mkdir()
    for path in (away / "all" / "c").iterdir():
        (data / part / "c" / path.name).symlink_to(path)
    (data / part / "b" / "round").symlink_to(data)
    (data / part / "b" / "gone.txt").symlink_to(tmp_path / "nowhere")
    dataset, found = origins.whole(load_dataset(str(data)), str(data))
    names = [dataset.class_names[k] for k in dataset.train.labels]
    rows = [
        corrections.Row(int(k), place, name, "b", place.endswith("a/000.png"))
        for k, place, name in zip(found.rows, found.places, names)
    ]
    moved = [row for row in rows if row.suspect and row.given != "b"]
    arguments = rows, "folder", str(data), dataset.class_names
    corrections.apply(*arguments, tmp_path / "new")
    copy = str(tmp_path / "new" / "images")
    again, _ = origins.whole(load_dataset(copy), copy)
    assert again.class_names == dataset.class_names
    assert again.train.num_examples == dataset.train.num_examples == 20
    expected = np.bincount(dataset.train.labels, minlength=3)
    expected += np.array([-len(moved), len(moved), 0])
    np.testing.assert_array_equal(np.bincount(again.train.labels), expected)
    assert len(again.test) == len(dataset.test)
    # Where a link leads is part of the data, too.
    with pytest.raises(ValueError, match="lies in the data"):
        corrections.apply(*arguments, away / "all" / "=a" / "new")


def test_no_copy_lacks_an_audited_file(tmp_path):
    images, labels = arrays()
    save_folder(tmp_path / "d", images, labels)
    row = corrections.Row(0, "b/gone.png", "b", "b", False)
    with pytest.raises(ValueError, match="lacks 1 of 1 audited files, .* b/gone.png"):
        corrections.apply([row], "folder", str(tmp_path / "d"), ["b"], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_exists_or_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError, match="exists: choose another"):
            corrections.check_folder(str(tmp_path / name), "")
    with pytest.raises(PermissionError, match="cannot be made"):
        corrections.check_folder(str(tmp_path / "file" / "new"), "")
    assert corrections.check_folder(str(tmp_path / "a" / "new"), "") == str(
        tmp_path / "a" / "new"
    )
    assert not (tmp_path / "a").exists()


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
    process = tfdistill(*flags, "--apply=audit", cwd=tmp_path)
    assert process.returncode == 2 and "another folder than" in process.stderr
    # The audit is finished: its flags need not be said again.
    process = tfdistill("audit", "--workdir=audit", "--apply=new", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    said = process.stdout.splitlines()
    assert said[0] == "audit holds this audit, finished; --apply follows its audit.csv."
    assert said[1].endswith(" and a copy with 1 label changed: --dataset=new/images")
    assert load_dataset(str(tmp_path / "new/images")).class_names == ("=a", "b", "c")
    copied = contents(tmp_path / "new" / "images")
    assert contents(tmp_path / "d") == before and len(copied) == len(before)
    place = found[0]["where"]
    assert set(before) - set(copied) == {place}
    (moved,) = set(copied) - set(before)
    assert moved.startswith(f"train/{found[0]['suggested']}/")
    assert copied[moved] == before[place]
    # A folder that could not be written is refused before the work.
    flags[-1] = "--workdir=other"
    process = tfdistill(*flags, "--apply=new", cwd=tmp_path)
    assert process.returncode == 2 and "new exists" in process.stderr
    assert not (tmp_path / "other").exists()
