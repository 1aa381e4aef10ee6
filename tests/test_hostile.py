"""Folders of strangers: nothing in them is run, and none asks for what it is not."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tfds_fixtures
from commands import run as tfdistill
from hypothesis import given
from hypothesis import strategies as st
from test_bad_input import anything, attempt, cases, paths_into, with_value

from tfdistill import DistilledDataset, Normalization, Pool, read_distilled, students
from tfdistill._internal import code, fields
from tfdistill.cli import (
    audit,
    data,
    distill,
    distilled,
    errors,
    evaluate,
    evaluation_files,
    run_folder,
)
from tfdistill.cli.errors import InputError
from tfdistill.data import loading
from tfdistill.distilled import tfrecords
from tfdistill.reporting import report
from tfdistill.runs import files
from tfdistill.studies import corrections
from tfdistill.studies.comparison import networks
from tfdistill.weights import pool as pools

# What it does when it is imported, and when it is called.
TRAP = """
import pathlib
pathlib.Path(__file__).with_name("imported").touch()
def net(image_shape, num_classes):
    pathlib.Path(__file__).with_name("called").touch()
    import keras
    return keras.Sequential([
        keras.Input(image_shape),
        keras.layers.Flatten(),
        keras.layers.Dense(num_classes),
    ])
"""


def make(**changes):
    rng = np.random.default_rng(0)
    return DistilledDataset(
        **{
            "images": rng.standard_normal((2, 10, 8, 8, 1)),
            "labels": np.broadcast_to(np.eye(10), (2, 10, 10)),
            "learning_rates": [[0.1, 0.1]],
            "normalization": Normalization((0.5,), (0.2,)),
            "class_names": [str(k) for k in range(10)],
            "student": "linear",
            "provenance": {"load": {"dataset": "digits"}},
            **changes,
        }
    )


def altered(folder, **changes):
    """Changes metadata as an attacker would: its checksum is right again."""
    path = folder / "tfdistill.json"
    content = {**json.loads(path.read_text()), **changes}
    checksums = {
        name: files.sha256(folder / name)
        for name in content["sha256"]
        if name != path.name
    }
    content["sha256"] = checksums
    checksums[path.name] = tfrecords.signature(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "changes",
    [
        {"image_shape": [100_000, 100_000, 1]},
        {"image_shape": [2**20] * 6},
        {"image_shape": [8, 8, 1] + [1] * 300},
        {"image_shape": [8, 9, 1]},
        {"image_dtype": "float16"},
        {"image_dtype": "float64"},
        {"image_shape": [64]},
        {"steps": 10**12},
        {"batch": 11},
        {"class_names": ["x"] * 10**5},
        {"class_names": [f"{k}" for k in range(9)]},
    ],
    ids=repr,
)
def test_sizes_are_compared_with_the_file(tmp_path, changes):
    make().save(tmp_path / "d")
    altered(tmp_path / "d", **changes)
    with pytest.raises(ValueError, match="cannot be read") as caught:
        DistilledDataset.load(tmp_path / "d")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("length", [2**62, 2**40, 2**64 - 12, 10**5])
def test_a_record_is_no_longer_than_its_file(tmp_path, length):
    make().save(tmp_path / "d")
    path = tmp_path / "d" / tfrecords._RECORDS
    whole = path.read_bytes()
    head = length.to_bytes(8, "little")
    path.write_bytes(head + whole[8:])
    altered(tmp_path / "d")
    with pytest.raises(ValueError, match="does not hold 20 images"):
        DistilledDataset.load(tmp_path / "d")


@pytest.mark.parametrize("shape", [(10**12,), (2**20, 2**20), (65,)])
def test_an_array_is_no_larger_than_its_file(tmp_path, shape):
    make(initial_weights=[np.zeros((64, 10)), np.zeros(10)]).save(tmp_path / "d")
    path = tmp_path / "d" / tfrecords._WEIGHTS
    with zipfile.ZipFile(path, "w") as archive, archive.open("arr_0.npy", "w") as file:
        head = {"descr": "<f8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, head)
        file.write(bytes(8 * 64))
    altered(tmp_path / "d")
    with pytest.raises(ValueError, match="initial_weights.npz is damaged"):
        DistilledDataset.load(tmp_path / "d")


def test_an_array_that_is_packed_tight_is_refused(tmp_path):
    make(initial_weights=[np.zeros(10)]).save(tmp_path / "d")
    path = tmp_path / "d" / tfrecords._WEIGHTS
    np.savez_compressed(path, np.zeros(10**6))
    altered(tmp_path / "d")
    with pytest.raises(ValueError, match="larger than its file"):
        DistilledDataset.load(tmp_path / "d")


@pytest.mark.parametrize("depth", [50, 900, 200_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_json_is_refused(depth, opening):
    closing = {"[": "]"}.get(opening, "}")
    text = '{"a": ' + opening * depth + "1" + closing * depth + "}"
    with pytest.raises(ValueError, match="nested too deeply"):
        fields.parse(text)
    assert fields.parse('{"a": [[1, {"b": []}]]}') == {"a": [[1, {"b": []}]]}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with code, and with data, a pool and a flagfile that name it."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "trap.py").write_text(TRAP)
    make(student="linear,trap:net").save(folder / "sampled" / "distilled")
    make(student="trap:net").save(folder / "run" / "distilled")
    (folder / "pool").mkdir()
    (folder / "pool" / "a.weights.h5").write_bytes(b"x")
    for name, student, dataset in (
        ("pool", "trap:net", "digits"),
        ("fetched", "linear", "theirs:code"),
    ):
        (folder / name).mkdir(exist_ok=True)
        text = pools.manifest(
            str(folder / name),
            [pools.Member(str(folder / name / "a.weights.h5"), "0" * 64, 0.5)],
            0,
            student=student,
            dataset=dataset,
            normalization=Normalization((0.5,), (0.2,)),
            num_classes=10,
        )
        (folder / name / "pool.json").write_text(text)
    (folder / "flags.txt").write_text("--student=trap:net\n--dataset=digits\n")
    (folder / "sets.txt").write_text("--sets=run\n--architectures=linear,trap:net\n")
    (folder / "generator.txt").write_text("--generator=trap:net\n")
    (folder / "model").mkdir()
    (folder / "model" / "saved_model.pb").write_bytes(b"x")
    for name, line in (
        ("with_model", "--model=model\n--dataset=digits\n"),
        ("with_data", "--dataset=theirs:code\n"),
    ):
        (folder / name).mkdir()
        (folder / name / "flags.txt").write_text(line)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "--workdir=run"],
        ["evaluate", "--workdir=sampled"],
        ["distill", "--initial_weights=pretrained", "--pool=pool", "--workdir=new"],
        ["baseline", "--flagfile=flags.txt", "--workdir=new"],
        ["compare", "--flagfile=sets.txt", "--workdir=new"],
        ["pretrain", "--flagfile=flags.txt", "--workdir=new"],
        ["distill", "--flagfile=generator.txt", "--workdir=new"],
        ["audit", "--flagfile=with_model/flags.txt", "--workdir=new"],
        ["audit", "--workdir=with_model", "--apply=new"],
        ["audit", "--workdir=with_data", "--apply=new"],
        ["evaluate", "--attack", "--flagfile=with_model/flags.txt", "--workdir=run"],
        ["distill", "--flagfile=with_data/flags.txt", "--workdir=new"],
        [
            *["baseline", "--kind=fada", "--initial_weights=pretrained"],
            *["--pool=fetched", "--workdir=new"],
        ],
    ],
    ids=" ".join,
)
def test_a_file_cannot_name_code_to_run(here, arguments):
    process = tfdistill(*arguments, cwd=here)
    assert process.returncode == 2, process.stderr
    assert re.search("names? code to run.*if you trust", process.stderr)
    assert process.stderr.count("\n") == 1
    assert not (here / "imported").exists() and not (here / "new").exists()


def test_names_of_networks_are_refused_before_a_comparison(here):
    """The set's own network is left alone, and one that is asked for is not there."""
    process = tfdistill(
        *["compare", "--sets=run", "--dataset=digits", "--architectures=linear:net"],
        "--workdir=new",
        cwd=here,
    )
    assert process.returncode == 2, process.stderr
    assert process.stderr.startswith("tfdistill: student 'linear:net' cannot be")
    assert process.stderr.count("\n") == 1 and not (here / "imported").exists()
    assert not (here / "new").exists()


@pytest.mark.parametrize("name", ["convnet@1000000", "wide_convnet@9" + "-9" * 10**4])
def test_a_file_names_no_vast_networks(tmp_path, name):
    make(student=name).save(tmp_path / "distilled")
    with pytest.raises(InputError, match="is too large: a name has at most") as caught:
        evaluate._run(evaluate.COMMAND.parse([f"--workdir={tmp_path}"]))
    assert len(str(caught.value)) < 500
    dataset = loading.load_dataset("digits")
    sets = {"vast": make(student=name)}
    found = networks.chosen(None, sets, dataset)
    assert not found.own and "cannot be built here" in found.left_out[0]


def test_code_is_run_if_it_is_typed(here, tmp_path):
    shutil.copytree(here, tmp_path / "h")
    process = tfdistill(
        *["evaluate", "--workdir=run", "--student=trap:net", "--num_students=1"],
        cwd=tmp_path / "h",
    )
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "h" / "called").exists()


def test_names_of_code():
    for name in ("os:abort", "a.b:c", "linear,os:abort", "keras.utils:get_file"):
        assert code.is_named(name)
    for name in (None, "", "lenet", "mlp,convnet@32", "keras.applications:MobileNetV2"):
        assert not code.is_named(name)
    for name in ("huggingface:their/data", "theirs:code/small:1.0.0", "their-s:code"):
        assert code.is_fetched(name)
    for name in (None, "", "mnist", "mnist:3.0.1", "name/small:1.0.0", "a:b.npz"):
        assert not code.is_fetched(name)
    given = ["--space=a:b", "-student", "c:d", "--flagfile=x"]
    assert code.is_typed("space", "a:b", given)
    assert code.is_typed("student", "c:d", given)
    assert not code.is_typed("student", "a:b", given)
    assert code.is_typed("architectures", "a,b:c", ["--architectures=a, b:c"])


def test_a_saved_model_is_typed_as_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "net").mkdir()
    (tmp_path / "flags.txt").write_text("--model=~/net\n")
    flags = ["--attack", "--workdir=w", f"--flagfile={tmp_path / 'flags.txt'}"]
    with pytest.raises(InputError, match="names code to run"):
        evaluate.COMMAND.parse(flags)
    c = evaluate.COMMAND.parse([*flags, "--model=~/net"])
    assert c.model == str(tmp_path / "net")
    # Of a file no code is run.
    (tmp_path / "flags.txt").write_text("--model=net.keras\n")
    assert evaluate.COMMAND.parse(flags).model == "net.keras"


@pytest.mark.parametrize("key", ["pythonClassName", "python_class_name", "type"])
@pytest.mark.parametrize("named", ["trap.Feature", "antigravity.X"])
def test_features_of_prepared_data_are_tfds_own(tmp_path, key, named):
    make().save(tmp_path / "d")
    path = tmp_path / "d" / "features.json"
    content = json.loads(path.read_text())
    inside = {key: named, "jsonFeature": {"json": "{}"}}
    content["featuresDict"]["features"]["image"] = inside
    if key == "type":  # as earlier versions wrote it
        content = {key: named, "content": {}}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="names code to run"):
        loading.load_dataset(str(tmp_path / "d"))


@pytest.mark.parametrize("place", ["text", "dataset_info.json"])
def test_features_are_tfds_own_wherever_they_are_named(tmp_path, place):
    make().save(tmp_path / "d")
    path = tmp_path / "d" / "features.json"
    if place == "text":
        name = "tensorflow_datasets.core.features.sequence_feature.Sequence"
        inside = {"feature": {"type": "antigravity.X", "content": {}}, "length": None}
        content = {"pythonClassName": name, "jsonFeature": {"json": json.dumps(inside)}}
    else:
        features = path.read_text().replace("tensorflow_datasets.core", "trap")
        path = tmp_path / "d" / place
        content = {**json.loads(path.read_text()), "features": json.loads(features)}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="names code to run"):
        loading.load_dataset(str(tmp_path / "d"))
    assert "antigravity" not in sys.modules


def prepared(folder):
    """Prepared data of forty images, of two classes without names."""
    kinds = {
        "image": tfds.features.Image(shape=(8, 8, 1)),
        "label": tfds.features.ClassLabel(num_classes=2),
    }
    images = np.zeros((40, 8, 8, 1), "uint8")
    examples = [{"image": x, "label": k % 2} for k, x in enumerate(images)]
    tfds_fixtures._prepare(folder, "some", "1.0.0", kinds, {"train": examples})
    return folder / "some" / "1.0.0"


@pytest.mark.parametrize("by", ["folder", "data_dir", "compare"])
def test_prepared_data_are_no_larger_than_their_files(tmp_path, by):
    folder = prepared(tmp_path)

    def refused(says):
        with pytest.raises(ValueError, match=says) as caught:
            if by == "compare":
                read_distilled(folder, loading.load_dataset("digits"))
            elif by == "data_dir":
                loading.load_dataset("some:1.0.0", data_dir=tmp_path)
            else:
                loading.load_dataset(folder)
        assert len(str(caught.value)) < 500

    features = folder / "features.json"
    text = features.read_text()
    assert '"numClasses": "2"' in text
    features.write_text(text.replace('"numClasses": "2"', '"numClasses": "20000000"'))
    refused("claim 20000000 classes")
    features.write_text(text)
    (path,) = folder.glob("*.tfrecord*")
    whole = path.read_bytes()
    # Of a length whose checksum is right, TensorFlow would ask for the memory.
    for length in (2**62, 2**64 - 12, 10**5):
        path.write_bytes(length.to_bytes(8, "little") + whole[8:])
        refused("a record of some-train.* claims to be longer than the file")


def test_deep_features_are_refused(tmp_path):
    make().save(tmp_path / "d")
    deep = "[" * 100_000 + "]" * 100_000
    (tmp_path / "d" / "features.json").write_text(f'{{"type": {deep}}}')
    with pytest.raises(ValueError, match="its features are damaged"):
        loading.load_dataset(str(tmp_path / "d"))


@pytest.mark.parametrize(
    "place", ["data_dir", "registered", "camel case", "link", "configuration"]
)
def test_features_of_data_found_by_name_are_tfds_own(tmp_path, monkeypatch, place):
    make().save(tmp_path / "d" / "trapped" / "1.0.0")
    path = tmp_path / "d" / "trapped" / "1.0.0" / "features.json"
    path.write_text(path.read_text().replace("tensorflow_datasets.core", "trap"))
    name = {"camel case": "Trapped", "link": "linked", "configuration": "other"}
    name = name.get(place, "trapped")
    if place == "link":
        (tmp_path / "d" / name).mkdir()
        (tmp_path / "d" / name / "1.0.0").symlink_to(path.parent)
    if place == "configuration":
        (tmp_path / "d" / name / ".config").mkdir(parents=True)
        usual = json.dumps({"default_config_name": "../trapped"})
        (tmp_path / "d" / name / ".config" / "metadata.json").write_text(usual)
    monkeypatch.setattr(tfds.core.utils.file_utils, "_REGISTERED_DATA_DIRS", set())
    if place == "registered":
        tfds.core.add_data_dir(tmp_path / "d")
    data_dir = None if place == "registered" else str(tmp_path / "d")
    look_up = tfds.features.FeatureConnector.cls_from_name
    with pytest.raises(ValueError, match="names code to run"):
        loading.load_dataset(name, data_dir=data_dir, download=False)
    assert tfds.features.FeatureConnector.cls_from_name == look_up


@pytest.mark.parametrize(
    "load",
    [
        {"dataset": ["digits"]},
        {"dataset": "huggingface:evil/repository"},
        {"image_size": "8"},
        {"image_size": -1},
        {"resplit": 7.0},
        {"channels": "2"},
        {"classes": [1, 2]},
        {"pool": 3},
        {"pool_content": 3},
    ],
    ids=repr,
)
def test_the_record_of_real_data_is_checked(load):
    c = evaluate.COMMAND.parse(["--workdir=run"])
    with pytest.raises(InputError, match="not to be believed"):
        data.as_recorded(c, {"load": load})
    with pytest.raises(InputError, match="not to be believed"):
        data.as_recorded(c, {"dataset": "theirs:code"})
    good = {"dataset": "mnist:3.0.1", "image_size": 8, "resplit": 0.2, "classes": ["1"]}
    assert data.as_recorded(c, {"load": good}).dataset == "mnist:3.0.1"


def test_flags_stand_in_for_the_record_of_real_data():
    def asked(*flags):
        return evaluate.COMMAND.parse(["--workdir=run", *flags])

    # The second is what a folder is called that has moved.
    for typed in ("--dataset=theirs:code", "--dataset=moved"):
        name = typed.partition("=")[2]
        for recorded in ({"load": {"dataset": "theirs:code"}}, {"dataset": "a:code"}):
            assert data.as_recorded(asked(typed), recorded).dataset == name
    wrong = {"load": {"dataset": "digits", "image_size": -1}}
    with pytest.raises(InputError, match="pass the right --image_size="):
        data.as_recorded(asked("--dataset=digits"), wrong)
    assert data.as_recorded(asked("--image_size=8"), wrong).dataset == "digits"
    # No flag makes up for what evaluations look at besides.
    for load in ({"dataset": ["digits"]}, {"pool": 3}):
        with pytest.raises(InputError, match="not to be believed .* images anew"):
            data.as_recorded(asked("--dataset=digits", "--pool=pool"), {"load": load})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run folder as `tfdistill distill` leaves one."""
    folder = tmp_path_factory.mktemp("finished") / "a run; touch gone"
    flags = "--dataset=$(touch gone)\n--student=linear\n--seed=`touch gone`\n"
    make(provenance={"flags": flags}).save(folder / "distilled")
    files.write_text(folder / "flags.txt", flags)
    row = {"accuracy_mean": 0.9, "accuracy_std": 0.1, "num_students": 2}
    metrics = {
        **{**row, "confusion": np.eye(10).tolist(), "seconds": 3.0, "outer_steps": 2},
        **{"before": row, "dataset": "digits", "student": "linear", "headline": "x"},
        **{"history": [{"outer_step": 1, "val_accuracy": 0.5}], "shares": ["accuracy"]},
        **{"selection": "none", "peak_memory_bytes": 1, "headline": "accuracy"},
    }
    files.write_json(folder / "metrics.json", metrics)
    return folder


def test_hostile_metrics(finished):
    path = finished / "metrics.json"
    whole = path.read_text()

    @cases(60)
    @given(st.data(), anything | st.just(paths_into))
    def check(data, value):
        content = json.loads(whole)
        place = data.draw(st.sampled_from(list(paths_into(content))))
        path.write_text(json.dumps(with_value(content, place, value)))
        attempt(report.Run.of_folder, finished)

    try:
        check()
    finally:
        path.write_text(whole)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("metrics", {"random_real": 5}),
        ("metrics", {"random_real": {"num_students": 2, "accuracy_mean": "x"}}),
        ("metrics", {"num_sets": "x"}),
        ("metrics", {"seconds_learning": "x"}),
        ("metrics-lenet", {"updates": 5, "changes": {"shift": []}}),
    ],
    ids=repr,
)
def test_figures_are_checked_before_they_are_used(finished, tmp_path, name, found):
    shutil.copytree(finished, tmp_path / "run")
    path, whole = tmp_path / "run" / f"{name}.json", finished / "metrics.json"
    files.write_json(path, files.read_json(whole) | found)
    for use in (report.page, lambda paths: evaluation_files.check(*paths)):
        with pytest.raises((ValueError, InputError), match=f"{name}.json is damaged"):
            use([str(tmp_path / "run")])


def test_figures_that_are_as_they_are_to_be_are_taken(finished, tmp_path):
    """A network that diverged has null for figures, and changes may be switches."""
    shutil.copytree(finished, tmp_path / "run")
    row = {"num_students": 2, "accuracy_mean": None, "accuracy_std": None}
    more = {"num_sets": 2, "changes": {"shift": 0.1, "flip": True}, "updates": 5}
    whole = files.read_json(finished / "metrics.json")
    files.write_json(tmp_path / "run" / "metrics.json", whole | {"random_real": row})
    files.write_json(tmp_path / "run" / "metrics-lenet.json", {**row, **more})
    assert "shift 0.1, flip 1" in report.page([tmp_path / "run"])
    known = evaluation_files.known(str(tmp_path / "run"), "metrics")
    assert np.isnan(known["random_real"]["accuracy_mean"])


@pytest.mark.parametrize("left", [1, "x", [1], {"a": 1}], ids=repr)
def test_what_is_unfinished_is_checked(finished, tmp_path, left):
    shutil.copytree(finished, tmp_path / "run")
    files.write_json(tmp_path / "run" / "metrics.json", {"unfinished": left})
    for ask in (run_folder.is_finished, run_folder.is_unfinished):
        with pytest.raises(InputError, match="damaged: unfinished must be a list"):
            ask(str(tmp_path / "run"))


@pytest.mark.parametrize("line", ["--apply=x", "--flagfile=flags.txt", "--workdir=x"])
def test_a_recorded_audit_names_no_folder_to_write(tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flags.txt").write_text(f"--dataset=digits\n--rounds=3\n{line}\n")
    c = audit.COMMAND.parse(["--workdir=.", "--apply=new"])
    assert (c.workdir, c.apply, c.dataset, c.rounds) == (".", "new", "digits", 3)


def test_an_attack_need_not_say_where_its_data_lay(tmp_path):
    network = students.linear((8, 8, 1))
    (tmp_path / "pool").mkdir()
    path = tmp_path / "pool" / "a.weights.h5"
    network.save_weights(path)
    member = pools.Member(str(path), files.sha256(path), 0.5)
    about = {"student": "linear", "dataset": "digits", "num_classes": 10}
    about["normalization"] = Normalization((0.5,), (0.2,))
    text = pools.manifest(str(path.parent), [member], 0, **about)
    (tmp_path / "pool" / "pool.json").write_text(text)
    provenance = {"attack": [0, 1], "dataset": "digits"}
    make(provenance=provenance).save(tmp_path / "run" / "distilled")
    flags = [f"--workdir={tmp_path / 'run'}", f"--pool={tmp_path / 'pool'}", "--attack"]
    evaluate._run(evaluate.COMMAND.parse(flags))
    run_folder._held.pop().close()
    assert (tmp_path / "run" / "exposure-pool.json").exists()


@pytest.mark.parametrize("number", [0, 1])
def test_commands_are_quoted_for_a_shell(finished, tmp_path, number):
    words = report.Run.of_folder(finished).commands[number]
    script = f"tfdistill() {{ printf '%s\\n' \"$@\"; }}; {' '.join(words)}"
    said = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == shlex.split(" ".join(words))[1:]
    assert not (tmp_path / "gone").exists()
    shown = report.page([finished])
    assert "&#39;--dataset=$(touch gone)&#39;" in shown


@pytest.mark.parametrize(
    "name", [".lock", "journal", "journal/seconds.json", "images", "metrics.json"]
)
@pytest.mark.parametrize(
    "arguments",
    [
        [evaluate, "--dataset=digits", "--num_students=1"],
        [distilled, "--name=digits/10", "--overwrite"],
        [distill, "--dataset=digits", "--overwrite"],
    ],
    ids=["evaluate", "distilled", "distill"],
)
def test_a_run_writes_into_its_own_folder_alone(tmp_path, name, arguments):
    """A stranger's folder may hold links to ours; it may itself be behind a link."""
    module, *flags = arguments
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    make().save(theirs / "distilled")
    (theirs / "flags.txt").write_text(f"# command: {module.COMMAND.name}\n")
    (theirs / name).parent.mkdir(exist_ok=True)
    (theirs / name).symlink_to(ours / "made" if name == ".lock" else ours)
    ours.mkdir()
    (ours / "exposure-a.png").write_text("ours")
    (tmp_path / "link").symlink_to(theirs)
    c = module.COMMAND.parse([f"--workdir={tmp_path / 'link'}", *flags])
    before = [*run_folder._held]
    with pytest.raises(InputError, match=f"{name} is a symbolic link"):
        if module is distill:
            run_folder.claim(module.COMMAND, c, module._OWNED)
        (evaluate._run if module is evaluate else module.run)(c)
    assert [path.name for path in ours.iterdir()] == ["exposure-a.png"]
    assert run_folder._held == before
    (theirs / name).unlink()
    run_folder.lock(c.workdir, ["journal", "images", "metrics*.json"])
    run_folder._held.pop().close()


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07a", "\ud800", "a\nb", "a\u2028b"])
def test_names_hold_nothing_that_a_terminal_obeys(tmp_path, text):
    make().save(tmp_path / "d")
    for changes in ({"class_names": [text, *"123456789"]}, {"student": text}):
        altered(tmp_path / "d", **changes)
        with pytest.raises(ValueError, match="cannot be read.* control char") as caught:
            DistilledDataset.load(tmp_path / "d")
        assert errors.shown(str(caught.value)) == str(caught.value)
        make().save(tmp_path / "d", overwrite=True)
    with pytest.raises(ValueError, match="student must hold no line breaks"):
        make(student=text).save(tmp_path / "e")
    # As an earlier version may have saved them.
    altered(tmp_path / "d", class_names=[" é ", "ü", *map(str, range(2, 10))])
    assert DistilledDataset.load(tmp_path / "d").class_names[0] == " é "


def test_what_is_shown_is_what_is_to_be_typed(capsys):
    path = "写真\u3000集/a\u00a0b/\u202fc/می\u200cخ/\u200d"
    with pytest.raises(errors.InputError) as caught, errors.checking():
        raise ValueError(f"{path}\n is absent.")
    assert errors.shown(str(caught.value)) == f"{path} is absent."
    turning = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    for c in f"{turning}\x1b\x9b\x85\n\u2028\ud800":
        assert errors.shown(c) == c.encode("unicode_escape").decode()
    with errors.warnings_in_lines(str):
        warnings.warn("one\ntfdistill: \x1b[2K", stacklevel=1)
    assert capsys.readouterr().err == "one\n  tfdistill: \\x1b[2K\n"


def test_what_is_refused_is_shown_and_typed_as_it_is(tmp_path):
    student = "net:f;touch${IFS}gone #"
    make(student=student).save(tmp_path / "run" / "distilled")
    text = pools.manifest(
        str(tmp_path),
        [pools.Member(str(tmp_path / "a.weights.h5"), "0" * 64, 0.5)],
        0,
        student=student,
        dataset="their:data;\x1b[2K",
        normalization=Normalization((0.5,), (0.2,)),
        num_classes=10,
    )
    (tmp_path / "pool.json").write_text(text)
    (tmp_path / "flags.txt").write_text(f"--student={student}\n")
    run = ["evaluate", "--workdir=run"]
    fada = ["baseline", "--kind=fada", "--initial_weights=pretrained", "--pool=."]
    for arguments, word in (
        (run, f"--student={student}"),
        ([*run, "--flagfile=flags.txt"], f"--student={student}"),
        (
            [*fada, "--workdir=w", "--dataset=digits", "--student=mlp"],
            "--source_dataset=their:data;\\x1b[2K",
        ),
    ):
        process = tfdistill(*arguments, cwd=tmp_path)
        assert process.returncode == 2 and process.stderr.count("\n") == 1
        assert process.stderr.rstrip("\n").isprintable()
        assert word in shlex.split(process.stderr.partition("code, ")[2][:-2])


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-x", "@SUM(A1)", "\tx", "cat", ""])
def test_cells_are_no_formulas(text):
    assert corrections.cell(text) == (text if text in ("cat", "") else f"'{text}")


def test_a_pool_names_no_saved_models(tmp_path, here):
    path = tmp_path / "pool.json"
    content = json.loads((here / "pool" / "pool.json").read_text())
    for name in ("model", "..", "a.h5", "x/a.keras"):
        content["students"][0]["file"] = name
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match="must end in|outside the pool"):
            Pool.load(tmp_path)
