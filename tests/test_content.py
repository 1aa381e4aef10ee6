"""A folder holds the same run only if what its paths lead to is the same."""

import dataclasses
import os
import re

import commands
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill.cli import baseline, compared_sets, content, data, main, run_folder
from tfdistill.cli.content import Content
from tfdistill.cli.errors import InputError
from tfdistill.data import fingerprints

EARLIER = os.path.join(os.path.dirname(__file__), "earlier_versions")


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits").hold_out(0.1)


def with_part(dataset, part, images=None, labels=None):
    split = getattr(dataset, part)
    split = tfdistill.Split(
        split.images if images is None else images,
        split.labels if labels is None else labels,
        split.normalization,
        num_classes=split.num_classes,
    )
    return dataclasses.replace(dataset, **{part: split})


def claim(name, arguments, found):
    """Takes a folder as a command does, and lets go of it."""
    command = main.command(name)
    try:
        run_folder.claim(command, command.parse(arguments), ["flags.txt"], found)
    finally:
        while run_folder._held:
            run_folder._held.pop().close()


@pytest.mark.parametrize("part", ["train", "test", "validation"])
def test_labels_and_images_are_content(digits, part):
    """Also if all counts, and the mean of all images, are the same."""
    known, split = data.content(digits), getattr(digits, part)
    same = with_part(digits, part)
    assert data.content(same) == known
    labels = np.roll(split.labels, 1)
    mirrored = split.images[:, :, ::-1]
    for changed in ({"labels": labels}, {"images": mirrored}):
        found = data.content(with_part(digits, part, **changed))
        assert found.now != known.now and found.earlier == known.earlier


def test_content_is_the_same_on_other_machines(digits):
    """These resize, and sum, with small differences."""
    images = digits.train.images.astype("float32") / 7
    known = fingerprints.of_split(with_part(digits, "train", images).train)
    assert len(set(known)) > 10
    rng = np.random.default_rng(0)
    for _ in range(5):
        noise = np.float32(1 + 1e-7 * rng.standard_normal(images.shape))
        found = fingerprints.of_split(with_part(digits, "train", images * noise).train)
        assert found == known


def test_labels_of_a_stream_are_content(digits):
    images, labels = digits.train.images[:40], digits.train.labels[:40]

    def streamed(labels):
        pairs = tf.data.Dataset.from_tensor_slices((images, labels))
        return tfdistill.Split.streamed(pairs, 40, (8, 8, 1), num_classes=10)

    same = [fingerprints.of_split(streamed(labels)) for _ in range(2)]
    assert same[0] == same[1] != fingerprints.of_split(streamed(np.roll(labels, 1)))


@pytest.mark.parametrize("name", ["distill", "baseline", "pretrain", "audit"])
def test_data_with_other_labels_are_another_run(name, digits, tmp_path):
    """As after `audit --apply`: the file is called the same, and lies elsewhere."""
    corrected = with_part(digits, "train", labels=np.roll(digits.train.labels, 1))
    own = [f"--workdir={tmp_path}", "--dataset=one/my.npz"]
    moved = [f"--workdir={tmp_path}", "--dataset=two/my.npz"]
    claim(name, own, data.content(digits))
    claim(name, moved, data.content(digits))
    for arguments in (own, moved):
        with pytest.raises(InputError, match="holds another run"):
            claim(name, arguments, data.content(corrected))


@pytest.mark.parametrize("name", ["distill", "baseline", "pretrain", "audit"])
def test_another_network_in_the_same_file_is_another_run(name, digits, tmp_path):
    """Folders of earlier versions, which say nothing of it, go on."""
    file = tmp_path / "net.keras"
    arguments = [f"--workdir={tmp_path / 'w'}", f"--student={file}"]

    def found():
        return data.content(digits, students={"student": ["linear", str(file)]})

    file.write_bytes(b"one network")
    claim(name, arguments, data.content(digits))
    claim(name, arguments, found())
    claim(name, arguments, found())
    file.write_bytes(b"another one")
    with pytest.raises(InputError, match="or --student holds"):
        claim(name, arguments, found())


def test_a_folder_of_an_earlier_version_goes_on(digits, tmp_path):
    """It has a hash of the data's form alone; from now on it has the whole one."""
    known = data.content(digits)
    arguments = [f"--workdir={tmp_path}", "--dataset=here/digits.npz"]
    moved = [f"--workdir={tmp_path}", "--dataset=elsewhere/digits.npz"]
    claim("distill", arguments, dataclasses.replace(known, now=known.earlier[0]))
    claim("distill", moved, known)
    flags = (tmp_path / "flags.txt").read_text()
    assert flags.endswith(f"# content: {known.now}\n")
    with pytest.raises(InputError, match="holds another run"):
        claim("distill", moved, Content("other", earlier=known.earlier))


def test_the_source_of_an_adaptation_is_content(digits, tmp_path, monkeypatch):
    """Folders of earlier versions, which say nothing of it, go on."""
    one_device = tf.distribute.get_strategy()
    monkeypatch.setattr(baseline.machine, "set_threads", lambda _: None)
    monkeypatch.setattr(baseline.machine, "strategy", lambda _: one_device)
    monkeypatch.setattr(baseline.rehearsal, "of_distilled", lambda *_: None)
    monkeypatch.setattr(run_folder, "is_finished", lambda _: True)  # no training
    monkeypatch.chdir(tmp_path)
    folder, pool = tmp_path / "w", os.path.join(EARLIER, "pool")
    flags = [f"--workdir={folder}", "--kind=fada", f"--pool={pool}", "--steps=1"]
    flags += ["--initial_weights=pretrained", "--num_students=1", "--num_sets=1"]

    def save(name, shift=0):
        parts = {"train": digits.train, "test": digits.test}
        arrays = {f"x_{part}": split.images for part, split in parts.items()}
        for part, split in parts.items():
            arrays[f"y_{part}"] = (split.read_labels() + shift) % 10
        np.savez(tmp_path / name, **arrays)

    def begin(path):
        source = [f"--source_dataset={path}"]
        try:
            baseline.COMMAND.run(baseline.COMMAND.parse([*flags, *source]))
        finally:
            while run_folder._held:
                run_folder._held.pop().close()

    save("a.npz")
    save("moved.npz")
    moved = tmp_path / "moved.npz"
    begin("a.npz")
    begin(moved)
    text = (folder / "flags.txt").read_text()
    earlier = data.content(digits, f"{pool}/pool.json").now
    earlier = re.sub("(?<=# content: ).*", earlier, text)
    (folder / "flags.txt").write_text(earlier)
    with pytest.raises(InputError, match="holds another run"):
        begin("a.npz")  # which may be another one
    begin(moved)
    assert (folder / "flags.txt").read_text() == text != earlier
    save("moved.npz", shift=1)
    with pytest.raises(InputError, match="--pool or --source_dataset holds"):
        begin(moved)


def test_only_what_the_content_answers_for_may_move(tmp_path):
    """Not the rates of another run, say, which it doesn't hold."""
    arguments = [f"--workdir={tmp_path}", "--steps=2"]
    claim("baseline", [*arguments, "--learned_rates=a/run"], Content("same"))
    with pytest.raises(InputError, match="--learned_rates=b/run"):
        claim("baseline", [*arguments, "--learned_rates=b/run"], Content("same"))


def test_content_of_files_and_folders(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.npy").write_bytes(b"x")
    before = content.of_path(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert content.of_path(tmp_path / "b") == before
    (tmp_path / "b" / "x.npy").write_bytes(b"y")
    assert content.of_path(tmp_path / "b") != before
    assert content.of_path(tmp_path / "b" / "x.npy") != before
    real = tfdistill.baselines.random_real(tfdistill.load_dataset("digits"), steps=1)
    real.save(tmp_path / "run" / "distilled")
    before = content.of_path(tmp_path / "run")
    (tmp_path / "run" / "metrics-mlp.json").write_text("{}")
    assert content.of_path(tmp_path / "run") == before
    assert content.of_path(tmp_path / "run" / "distilled") == before
    real.replace(images=-real.images).save(
        tmp_path / "run" / "distilled", overwrite=True
    )
    assert content.of_path(tmp_path / "run") != before


COMPARED = [
    *("compare", "--workdir=judged", "--architectures=linear", "--updates=2"),
    *("--rates=0.01", "--teacher_epochs=0", "--baselines=none", "--attack_images=0"),
    *("--networks=2", "--choosing=1", "--changes=none"),
]
SEARCHED = [
    *("search", "--workdir=judged", "--space=tests.search_spaces:widths"),
    *("--candidates=1", "--passes=1", "--keep=0", "--score_images=20"),
]
COACHED = [
    *("baseline", "--workdir=judged", "--student=linear", "--kind=average_real"),
    *("--steps=1", "--num_students=1"),
]


@pytest.mark.parametrize("command", [COMPARED, COACHED], ids=["compare", "baseline"])
def test_a_student_that_was_saved_anew_learns_anew(command, tmp_path):
    flags = [x for x in command if not x.startswith(("--student", "--architectures"))]
    flags += ["--architectures=net.keras", "--sets=made"] * (command is COMPARED)
    flags += ["--student=net.keras"] * (command is COACHED)
    digits = tfdistill.load_dataset("digits")
    made = tfdistill.baselines.random_real(digits, steps=1)
    made.save(tmp_path / "made" / "distilled")
    tfdistill.students.linear((8, 8, 1), 10).save(tmp_path / "net.keras")
    commands.succeed(*flags, cwd=tmp_path)
    assert "finished" in commands.succeed(*flags, cwd=tmp_path)
    tfdistill.students.mlp((8, 8, 1), 10, hidden=(4,)).save(tmp_path / "net.keras")
    process = commands.run(*flags, cwd=tmp_path)
    assert process.returncode == 2 and "holds another run (diff" in process.stderr


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        (COMPARED, "--sets=made"),
        (SEARCHED, "--distilled=made"),
        (COACHED, "--learned_rates=made"),
    ],
    ids=["compare", "search", "baseline"],
)
def test_a_set_that_was_made_anew_is_judged_anew(command, flag, tmp_path):
    if command is SEARCHED:
        pytest.importorskip("keras_tuner")
    digits = tfdistill.load_dataset("digits")
    made = tfdistill.baselines.random_real(digits, steps=1)
    made = made.replace(provenance={"load": {"dataset": "digits"}})
    made.save(tmp_path / "made" / "distilled")
    commands.succeed(*command, flag, cwd=tmp_path)
    again = commands.succeed(*command, flag, cwd=tmp_path)
    assert ", finished; --overwrite repeats it" in again
    # It may lie elsewhere, under the same name.
    (tmp_path / "made").rename(tmp_path / "elsewhere")
    name, _, _ = flag.partition("=")
    named = "made=" * (name == "--sets")
    moved = f"{name}={named}{tmp_path}/elsewhere"
    assert "finished" in commands.succeed(*command, moved, cwd=tmp_path)
    made = made.replace(images=-made.images)
    made.save(tmp_path / "elsewhere" / "distilled", overwrite=True)
    process = commands.run(*command, moved, cwd=tmp_path)
    assert process.returncode == 2
    assert f"or {name} holds); choose another folder" in process.stderr
    # As a folder of an earlier version: nothing is known of what it was made of.
    path = tmp_path / "judged" / "flags.txt"
    flags = path.read_text().splitlines(keepends=True)
    path.write_text("".join(x for x in flags if "# content" not in x))
    assert "finished" in commands.succeed(*command, moved, cwd=tmp_path)


def test_the_files_of_sets_are_content(digits, tmp_path):
    """Labels that nobody named, too; and a plus may be a part of a name."""
    (tmp_path / "c++").mkdir()
    images, labels = digits.train.images[:20] / 255, digits.train.labels[:20]
    paths = {name: str(tmp_path / name) for name in ("images.npy", "labels.npy")}
    paths["a+b.npz"] = str(tmp_path / "c++" / "a+b.npz")
    np.save(paths["images.npy"], images)
    np.save(paths["labels.npy"], labels)
    np.savez(paths["a+b.npz"], images=images, labels=labels)

    def held(*sets):
        flags = [f"--sets={','.join(sets)}", "--pixels=0..1", "--workdir=w"]
        c = main.command("compare").parse(flags)
        held = compared_sets.content(c, digits, ["linear"])
        return set(compared_sets.read(c, digits)), held

    alone, pair = paths["images.npy"], f"{paths['images.npy']}+{paths['labels.npy']}"
    names, of_pair = held(pair)
    assert names == {"images"} and held(alone)[1].now == of_pair.now
    names, known = held(alone, paths["a+b.npz"])
    assert names == {"images", "a+b"}
    flags = [f"--workdir={tmp_path / 'run'}", f"--sets={alone}"]
    before = content.of_values([("images", [content.of_path(alone), None])])
    claim("compare", flags, data.content(digits, sets=before))  # an earlier version
    claim("compare", flags, held(alone)[1])
    np.save(paths["labels.npy"], np.roll(labels, 1))
    assert held(alone, paths["a+b.npz"])[1].now != known.now
    with pytest.raises(InputError, match="different: what --dataset or --sets holds"):
        claim("compare", flags, held(alone)[1])


def test_a_whitening_may_move(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("set.npz", images=digits.train.images[:10])
    for path, scale in (("zca.npz", 1), ("moved.npz", 1), ("other.npz", 2)):
        np.savez(path, zca=scale * np.eye(64))

    def begin(*zca):
        flags = ["--workdir=w", "--dataset=digits", "--sets=set.npz", *zca]
        c = main.command("compare").parse(flags)
        claim("compare", flags, compared_sets.content(c, digits, ["linear"]))

    begin("--zca=zca.npz")
    begin(f"--zca=set:{tmp_path / 'moved.npz'}")
    with pytest.raises(InputError, match="here: --zca=other.npz"):
        begin("--zca=other.npz")
    with pytest.raises(InputError, match="there: --zca="):
        begin()
    os.replace("other.npz", "moved.npz")
    with pytest.raises(InputError, match="or --zca holds"):
        begin(f"--zca=set:{tmp_path / 'moved.npz'}")
