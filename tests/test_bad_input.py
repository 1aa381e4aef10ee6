"""Thousands of bad inputs: each is refused in a sentence, and nothing is lost.

Files are truncated, flipped, overwritten and filled with hostile contents; flags and
arguments get whatever their types hold. Only errors that are meant for the user may
come out, and no file may change or appear anywhere.
"""

import hashlib
import json
import os
import pathlib

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from property_cases import cases

import tfdistill
from tfdistill import Attack, DistilledDataset, DistilledImages, Normalization, Pool
from tfdistill.cli import distill, machine, run_folder
from tfdistill.cli.errors import InputError
from tfdistill.data import loading as datasets
from tfdistill.distilled import tfrecords as records
from tfdistill.runs import files, journal
from tfdistill.weights import pool as pools

# What a user is told in a sentence; anything else is a traceback from inside.
REFUSALS = (ValueError, FileNotFoundError, FileExistsError)
COUNTS = {"inputs": 0, "refused": 0}


def attempt(function, *arguments, **kwargs):
    """What came out, or None if it was refused as a user may expect."""
    COUNTS["inputs"] += 1
    try:
        return function(*arguments, **kwargs)
    except REFUSALS as error:
        COUNTS["refused"] += 1
        text = str(error)
        of = type(error).__module__.partition(".")[0]
        assert of in ("builtins", "tfdistill") and 10 < len(text) < 2000, text
        return None


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).digest()
        for path in pathlib.Path(folder).rglob("*")
        if path.is_file()
    }


@st.composite
def damages(draw):
    """A function that damages bytes."""
    kind = draw(st.sampled_from(["cut", "flip", "write", "empty", "insert", "double"]))
    where, bit = draw(st.floats(0, 0.9999)), draw(st.integers(0, 7))
    junk = draw(st.binary(min_size=1, max_size=8))

    def damage(data):
        at = int(where * len(data))
        if kind == "cut":
            return data[:at]
        if kind == "flip":
            return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
        if kind == "write":
            return data[:at] + junk + data[at + len(junk) :]
        if kind == "insert":
            return data[:at] + junk + data[at:]
        return b"" if kind == "empty" else data * 2

    return damage


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["/etc/passwd", "../../x", "~", "a\x00b", "C:\\x", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


def paths_into(content, prefix=()):
    """Every place in nested JSON."""
    if prefix:
        yield prefix
    items = content.items() if isinstance(content, dict) else ()
    if isinstance(content, list):
        items = enumerate(content)
    for key, value in items:
        yield from paths_into(value, (*prefix, key))


def with_value(content, path, value):
    content = json.loads(json.dumps(content))
    inside = content
    for key in path[:-1]:
        inside = inside[key]
    if value is paths_into:  # a mark: the key goes
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return content


class Playground:
    """A folder whose files are damaged one at a time, and that must not change else."""

    def __init__(self, folder, names):
        self.root, self.folder, self.names = folder.parent, folder, names
        self._whole = {name: (folder / name).read_bytes() for name in names}

    def attempt(self, name, data, function):
        path = self.folder / name
        path.write_bytes(data)
        try:
            before = contents(self.root)
            result = attempt(function)
            assert contents(self.root) == before
            return result
        finally:
            path.write_bytes(self._whole[name])

    def damaged(self, name, damage):
        return damage(self._whole[name])


@pytest.fixture(scope="module")
def distilled(tmp_path_factory):
    rng = np.random.default_rng(0)
    data = DistilledDataset(
        rng.standard_normal((1, 2, 2, 2, 1)),
        np.eye(2)[None],
        [[0.1]],
        normalization=Normalization((0.5,), (0.2,)),
        class_names=("a", "b"),
        student="linear",
        initial_weights=[np.zeros((4, 2), "float32"), np.zeros(2, "float32")],
    )
    folder = tmp_path_factory.mktemp("d") / "distilled"
    data.save(folder)
    names = ["tfdistill.json", records._RECORDS, records._WEIGHTS]
    return data, Playground(folder, names)


@cases(500)
@given(st.integers(0, 2), damages())
def test_damaged_distilled_data(distilled, number, damage):
    data, playground = distilled
    name = playground.names[number]
    found = playground.attempt(
        name,
        playground.damaged(name, damage),
        lambda: DistilledDataset.load(playground.folder),
    )
    if found is not None:  # nothing that counts was hit
        np.testing.assert_array_equal(found.images, data.images)
        np.testing.assert_array_equal(found.learning_rates, data.learning_rates)
        assert found.normalization == data.normalization
        assert found.class_names == data.class_names


@cases(400)
@given(st.data(), anything | st.just(paths_into))
def test_hostile_metadata_of_distilled_data(distilled, data, value):
    _, playground = distilled
    name = "tfdistill.json"
    content = json.loads((playground.folder / name).read_bytes())
    path = data.draw(st.sampled_from(list(paths_into(content))))
    content = with_value(content, path, value)
    # As an attacker would: with a signature that is right again.
    if isinstance(content.get("sha256"), dict) and path[0] != "sha256":
        content["sha256"][name] = records.signature(content)
    found = playground.attempt(
        name,
        json.dumps(content).encode("utf-8"),
        lambda: DistilledDataset.load(playground.folder),
    )
    if found is not None:
        assert found.images.shape == (1, 2, 2, 2, 1)
        assert len(found.class_names) == 2 and isinstance(found.student, str)
        assert all(isinstance(name, str) for name in found.class_names)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("p") / "pool"
    folder.mkdir()
    members = []
    for number in range(2):
        path = str(folder / f"student-{number}.weights.h5")
        make_model().save_weights(path)
        members.append(pools.Member(path, files.sha256(path), 0.5))
    text = pools.manifest(
        str(folder),
        members,
        1,
        student="linear",
        dataset="digits",
        normalization=Normalization((0.5,), (0.2,)),
        num_classes=10,
    )
    (folder / pools.MANIFEST).write_text(text)
    return Playground(folder, [pools.MANIFEST, "student-0.weights.h5"])


def make_model():
    return tfdistill.students.linear((2, 2, 1), 2)


def read_pool(folder):
    pool = Pool.load(folder)
    return pool, pool.values(pool.members, make_model)


@cases(250)
@given(st.integers(0, 1), damages())
def test_damaged_pool(pool, number, damage):
    name = pool.names[number]
    load = Pool.load if number == 0 else read_pool
    pool.attempt(name, pool.damaged(name, damage), lambda: load(pool.folder))


@cases(300)
@given(st.data(), anything | st.just(paths_into))
def test_hostile_manifest_of_a_pool(pool, data, value):
    content = json.loads((pool.folder / pools.MANIFEST).read_bytes())
    path = data.draw(st.sampled_from(list(paths_into(content))))
    found = pool.attempt(
        pools.MANIFEST,
        json.dumps(with_value(content, path, value)).encode("utf-8"),
        lambda: Pool.load(pool.folder),
    )
    if found is not None:
        for member in found.members:  # nothing outside the folder is read
            assert pathlib.Path(member.path).parent == pool.folder


def test_weights_that_are_signed_but_damaged(pool):
    name = "student-0.weights.h5"
    whole = (pool.folder / name).read_bytes()

    @cases(40)
    @given(damages())
    def check(damage):
        def load():
            return Pool.of_files([str(pool.folder / name)])

        pool.attempt(
            name,
            damage(whole),
            lambda: load().values(load().members, make_model),
        )

    check()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("z") / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    np.savez(
        folder / "data.npz",
        x_train=rng.integers(0, 256, (8, 4, 4), "uint8"),
        y_train=np.arange(8) % 2,
        x_test=rng.integers(0, 256, (4, 4, 4), "uint8"),
        y_test=np.arange(4) % 2,
    )
    return Playground(folder, ["data.npz"])


@cases(150)
@given(damages())
def test_damaged_npz(archive, damage):
    archive.attempt(
        "data.npz",
        archive.damaged("data.npz", damage),
        lambda: datasets.load_dataset(str(archive.folder / "data.npz")),
    )


arrays = hnp.arrays(
    st.sampled_from(["u1", "i8", "f4", "f8", "c8", "U3", "?", "M8[s]", "f2"]),
    hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3),
) | st.sampled_from([np.array([object(), {}], object), np.array(["a", None], object)])


@cases(150)
@given(st.dictionaries(st.sampled_from(["x_train", "y_train", "x_test"]), arrays))
def test_wrong_arrays_in_an_npz(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("npz")
    np.savez(folder / "data.npz", **content)
    attempt(datasets.load_dataset, str(folder / "data.npz"))
    assert os.listdir(folder) == ["data.npz"]


@cases(150)
@given(arrays, arrays)
def test_wrong_arrays(images, labels):
    found = attempt(datasets.from_arrays, (images, labels))
    assert found is None or found.num_classes > 1


@cases(100)
@given(arrays, arrays, anything)
def test_wrong_arguments_of_distilled_images(images, labels, number):
    found = attempt(DistilledImages, images, labels, 3, learning_rate=number)
    assert found is None or np.isfinite(found.learning_rates).all()


@cases(100)
@given(st.dictionaries(st.sampled_from(["images", "labels", "learning_rates"]), arrays))
def test_wrong_arguments_of_distilled_data(distilled, changes):
    found = attempt(distilled[0].replace, **changes)
    assert found is None or found.images.ndim >= 3


@cases(150)
@given(anything, anything, anything)
def test_wrong_normalizations(mean, std, scale):
    found = attempt(Normalization, mean, std, scale)
    assert found is None or min(found.std) > 0
    attempt(Normalization.from_config, mean)


@cases(60)
@given(anything, anything)
def test_wrong_classes_of_an_attack(attack_class, target_class):
    found = attempt(Attack, attack_class, target_class)
    assert found is None or found.attack_class != found.target_class


@cases(60)
@given(anything, anything)
def test_wrong_limits_of_a_run(outer_steps, seconds):
    attempt(tfdistill.Anneal, outer_steps=outer_steps, seconds=seconds)


@pytest.fixture(scope="module")
def backups(tmp_path_factory):
    digits = tfdistill.load_dataset("digits")
    synthesizer = DistilledImages.from_noise(digits, steps=1, epochs=1)
    model = tfdistill.Distiller("linear", synthesizer)
    model.compile(keras.optimizers.SGD(0.1))
    folder = tmp_path_factory.mktemp("b") / "backup"
    model.fit(
        digits.train.batch(64, repeat=True),
        steps_per_epoch=1,
        verbose=0,
        callbacks=[tfdistill.Backup(folder)],
    )
    names = ["ckpt-1.index", "ckpt-1.data-00000-of-00001"]
    return model, Playground(folder, names)


@pytest.mark.filterwarnings("ignore:The backup")
@cases(60)
@given(st.integers(0, 1), damages())
def test_damaged_checkpoint(backups, number, damage):
    model, playground = backups
    name = playground.names[number]
    playground.attempt(
        name,
        playground.damaged(name, damage),
        lambda: tfdistill.Backup(playground.folder).restore(model),
    )


@pytest.mark.filterwarnings("ignore:.*is damaged")
@cases(60)
@given(damages())
def test_damaged_journal(tmp_path_factory, damage):
    folder = tmp_path_factory.mktemp("j")
    entry = journal.Journal(folder).entry([np.zeros(3)], 1)
    entry.write(confusion=[np.eye(2, dtype="int64")], loss=[0.5])
    (path,) = folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    COUNTS["inputs"] += 1
    found = entry.read()
    assert set(found) in (set(), {"confusion", "loss"})
    assert all(len(values) == 1 for values in found.values())


class Reached(Exception):
    """The command has accepted its input."""


numbers = st.sampled_from(["0", "-1", "1", "nan", "inf", "-inf", "1e-9", "0.5", "7"])
hostile = numbers | st.text(max_size=6) | st.sampled_from(["/dev/null", "..", "a:b"])


@cases(120)
@given(st.data())
def test_hostile_flags(tmp_path_factory, monkeypatch, data):
    names = set(distill.COMMAND.flags)
    names -= {"workdir", "threads", "download", "strategy", "data_dir"}
    chosen = data.draw(
        st.dictionaries(st.sampled_from(sorted(names)), hostile, min_size=1, max_size=3)
    )
    folder = tmp_path_factory.mktemp("flags")
    base = [f"--workdir={folder / 'run'}", "--student=linear"]
    sizes = ["--steps=1", "--epochs=1", "--outer_steps=2"]
    reached = []

    def claim(command, configuration, owned, content):
        reached.append(configuration)
        raise Reached

    monkeypatch.setattr(run_folder, "claim", claim)
    monkeypatch.setattr(machine, "set_threads", lambda *_: None)
    COUNTS["inputs"] += 1
    try:
        given = [f"--{name}={value}" for name, value in chosen.items()]
        distill.COMMAND.run(distill.COMMAND.parse([*base, *sizes, *given]))
    except InputError as error:
        COUNTS["refused"] += 1
        assert "\n" not in str(error) and len(str(error)) > 10
    except Reached:
        values = [getattr(reached[0], name) for name in distill.COMMAND.flags]
        assert np.isfinite([v for v in values if type(v) is float]).all()
    assert os.listdir(folder) == []


def test_enough_bad_inputs_were_tried(request, record_property):
    """The last one here: all others have run before, in the same process."""
    record_property(
        "summary",
        f"{COUNTS['inputs']} bad inputs: {COUNTS['refused']} refused in a sentence, "
        "the others harmless; no file lost or written elsewhere",
    )
    if len(request.session.items) > 1 and not request.config.option.keyword:
        assert COUNTS["inputs"] >= 2000
