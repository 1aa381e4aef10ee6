"""What `tfdistill evaluate` writes: of what it is, and beside what the run has."""

import json
import os
from types import SimpleNamespace

import commands
import numpy as np
import pytest

import tfdistill
from tfdistill.cli import content, distill, distilled, evaluation_files, run_folder
from tfdistill.cli import evaluate as evaluate_command
from tfdistill.cli.errors import InputError
from tfdistill.cli.evaluation_files import TEST
from tfdistill.distilled import tfrecords
from tfdistill.reporting import metrics
from tfdistill.runs import files, headings
from tfdistill.weights import pool as pools

LINEAR = ["--dataset=digits", "--student=linear", "--steps=1", "--num_students=2"]


def read(folder):
    """What all files of results hold, by their names."""
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}


def baseline(tmp_path, *flags):
    commands.succeed("baseline", "--workdir=run", *LINEAR, *flags, cwd=tmp_path)
    return tmp_path / "run"


def evaluate(folder, *flags):
    return commands.succeed("evaluate", "--workdir=run", *flags, cwd=folder.parent)


def test_one_of_several_sets_is_not_the_run(tmp_path):
    folder = baseline(tmp_path, "--num_sets=2", "--num_students=4")
    before = read(folder)
    said = evaluate(folder, "--num_students=3")
    assert "keeps the result of all 2 sets" in said
    found = read(folder)
    one = found.pop("metrics-one-set.json")
    assert found == before and before["metrics.json"]["num_sets"] == 2
    assert one["num_sets"] == 1 and one["num_students"] == 3
    page = tfdistill.report.Run.of_folder(folder)
    assert [row["what"] for row in page.rows][-1].endswith(", one set of them")


def test_networks_fewer_than_architectures_are_spoken_of(tmp_path):
    folder = baseline(tmp_path, "--num_sets=1")
    few = "--student=linear,mlp", "--num_students=1"
    size = "--steps=1", "--epochs=1", "--outer_steps=1", "--workdir=two"
    for command in (["evaluate", "--workdir=run"], ["distill", *size]):
        process = commands.run(*command, *few, cwd=folder.parent)
        assert process.returncode == 0, process.stderr
        assert process.stdout.count("first 1 of 2 architectures is tested: ask") == 1


def test_networks_that_would_be_the_same_are_one(tmp_path):
    flags = ["--initial_weights=fixed", "--num_sets=1", "--seed=7"]
    folder = baseline(tmp_path, *flags)
    before = read(folder)["metrics.json"]
    said = evaluate(folder)
    assert "One network is tested" in said and "(1 student)" in said
    (found,) = read(folder).values()
    assert found["num_students"] == 1 and found["seed"] == 7
    assert found["accuracy_mean"] == pytest.approx(before["accuracy_mean"], abs=2e-3)
    # Others are not.
    for flags in (["--shuffle_steps"], ["--updates=2"], ["--student=mlp"]):
        said = evaluate(folder, *flags, "--num_students=2")
        assert "(2 students)" in said and "One network" not in said


def test_other_data_of_the_same_name_are_other_data(tmp_path):
    """Every corrected copy is called "images", say; a copy that moved is the same."""
    digits = tfdistill.load_dataset("digits")
    arrays = {
        f"{kind}_{part}": getattr(getattr(digits, part), of)
        for part in ("train", "test")
        for kind, of in (("x", "images"), ("y", "labels"))
    }
    other = {**arrays, "y_test": np.roll(arrays["y_test"], 1)}
    third = {**arrays, "y_test": np.roll(arrays["y_test"], 2)}
    for name, held in (("a", arrays), ("b", other), ("c", third), ("moved", arrays)):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "my.npz", **held)
    folder = baseline(tmp_path, "--dataset=a/my.npz", "--num_sets=1")
    before = read(folder)["metrics.json"]
    for name in "bc":
        evaluate(folder, f"--dataset={name}/my.npz", "--num_students=3")
    found = read(folder)
    assert found.pop("metrics.json") == before
    assert len(found) == 2 and "metrics-on-my.json" in found
    assert len({each[TEST] for each in found.values()}) == 2
    rows = [row["what"] for row in tfdistill.report.Run.of_folder(folder).rows]
    assert sum("on other data called my" in row for row in rows) == 2
    evaluate(folder, "--dataset=moved/my.npz", "--num_students=3")
    assert read(folder)["metrics.json"]["num_students"] == 3
    # An earlier version said where its data lay.
    flags = (folder / "flags.txt").read_text().splitlines(keepends=True)
    flags = "".join(line for line in flags if not line.startswith("# "))
    (folder / "flags.txt").write_text(flags)
    (folder / "metrics.json").write_text(json.dumps(before))
    load = {"load": {"dataset": str(tmp_path / "a" / "my.npz")}}
    known = SimpleNamespace(name="my", test=digits.test)
    for name, is_other in (("a", False), ("b", True)):
        path = str(tmp_path / name / "my.npz")
        found = evaluation_files.of_other_data(str(folder), load, known, path, None)
        assert found == is_other


def test_files_of_other_models_of_the_same_name_stay(tmp_path):
    def write(start, count=1, seed=0, test="labels-images"):
        found = {TEST: test, "start": start, "num_networks": count, "seed": seed}
        found["marked"] = start
        return evaluation_files.write(
            str(tmp_path), "exposure-mine.keras", found, "num_networks"
        )[0]

    assert write("aaaaaaaaaa") == "exposure-mine.keras"
    assert write("bbbbbbbbbb") == "exposure-mine.keras-bbbbbbbb"
    assert write("aaaaaaaaaa", test="others") == "exposure-mine.keras-others"
    assert write("aaaaaaaaaa", seed=1) == "exposure-mine.keras-1-seed1"
    assert write("bbbbbbbbbb", count=3) == "exposure-mine.keras-bbbbbbbb"
    assert write("aaaaaaaaaa", test="labels") == "exposure-mine.keras"  # streamed
    found = {name: each["marked"][0] for name, each in read(tmp_path).items()}
    assert found == {
        "exposure-mine.keras.json": "a",
        "exposure-mine.keras-1-seed1.json": "a",
        "exposure-mine.keras-others.json": "a",
        "exposure-mine.keras-bbbbbbbb.json": "b",
        "exposure-mine.keras-bbbbbbbb-1.json": "b",
    }


def test_files_of_networks_whose_names_look_alike_stay(tmp_path):
    def write(student, count, name=None):
        found = {"student": student, "num_students": count, "seed": 0, TEST: "a"}
        name = name or f"metrics-{evaluation_files.plain(student)}"
        return evaluation_files.write(str(tmp_path), name, found)[0]

    def kept():
        rows = read(tmp_path).values()
        return sorted((row["student"], row["num_students"]) for row in rows)

    assert write("convnet@2", 1) == "metrics-convnet@2"
    # As an earlier version called it.
    assert write("convnet@2", 3, "metrics-convnet-2") == "metrics-convnet-2"
    assert write("convnet", 2) == "metrics-convnet"
    assert write("convnet", 3) == "metrics-convnet"
    smaller = write("convnet", 2)
    assert smaller.startswith("metrics-convnet-2-") and len(read(tmp_path)) == 4
    # One name in a file's, but not for who learns.
    assert write("nets/a.keras", 2) == "metrics-nets-a.keras"
    assert write("nets-a.keras", 1).startswith("metrics-nets-a.keras-")
    assert kept() == [
        *(("convnet", 2), ("convnet", 3), ("convnet@2", 1), ("convnet@2", 3)),
        *(("nets-a.keras", 1), ("nets/a.keras", 2)),
    ]


def test_figures_of_other_networks_leave_with_them(tmp_path):
    before = {"num_students": 2, "seed": 0, "accuracy_mean": 0.2, "attacked_mean": 0.5}
    before |= {"mistakes": [], "outer_steps": 3, TEST: "a"}
    (tmp_path / "metrics.json").write_text(json.dumps(before))
    found = {"num_students": 4, "seed": 0, "accuracy_mean": 0.1, TEST: "a"}
    evaluation_files.write(str(tmp_path), "metrics", found)
    del before["outer_steps"]
    assert read(tmp_path) == {
        "metrics.json": {**found, "outer_steps": 3},
        "metrics-2.json": before,
    }


def test_training_of_other_networks_leaves_with_them(tmp_path):
    training = {"updates": 5, "training_batch": 8, "changes": {}}
    before = {"num_students": 2, "seed": 0, TEST: "a", **training}
    (tmp_path / "metrics-x.json").write_text(json.dumps(before))
    usual = {"num_students": 2, "seed": 0, TEST: "a", "updates": 5}
    evaluation_files.write(str(tmp_path), "metrics-x", usual)
    assert read(tmp_path) == {"metrics-x.json": usual}


def test_all_figures_of_an_attack_are_of_the_same_networks(tmp_path):
    attack = ["--objective=attack", "--attack_class=0", "--target_class=1"]
    size = [*LINEAR, "--method=unrolled", "--epochs=1", "--outer_steps=1"]
    commands.succeed("distill", "--workdir=run", *size, *attack, cwd=tmp_path)
    before = read(tmp_path / "run")["metrics.json"]
    said = evaluate(tmp_path / "run", "--num_students=4")
    assert "of class 0 a 1" in said
    found = read(tmp_path / "run")
    assert len(found["metrics.json"]["shares"]) == 3
    for name, each in found.items():
        hits, all_of = (np.asarray(each["confusion"])[0, k] for k in (1, slice(None)))
        assert each["attacked_mean"] == pytest.approx(hits / all_of.sum())
        assert each["num_students"] == {"metrics.json": 4, "metrics-2.json": 2}[name]
    kept = found["metrics-2.json"]
    assert kept["attacked_mean"] == before["attacked_mean"]
    assert kept["attacked_std"] == before["attacked_std"]


def test_a_run_without_a_student_asks_for_one(tmp_path):
    run = "baseline", "--workdir=run", "--steps=1", "--num_sets=1"
    commands.succeed(*run, "--nearest_neighbours", cwd=tmp_path)
    process = commands.run("evaluate", "--workdir=run", cwd=tmp_path)
    assert process.returncode == 2
    assert "--student is missing: the images in --workdir=run are for" in process.stderr
    said = evaluate(tmp_path / "run", "--student=linear", "--num_students=2")
    assert "linear on digits" in said


def test_another_set_takes_the_results_of_the_one_before_away(tmp_path):
    folder = tmp_path / "run"
    copy = ["distilled", "--name=digits/10", f"--workdir={folder}"]
    commands.succeed(*copy)
    (folder / "images").mkdir()
    written = ["metrics.json", "metrics-4.json", "exposure-x.json", "report.html"]
    written += ["images/exposure-x.png"]
    for name in [*written, "images/mine.png", "notes.txt"]:
        (folder / name).write_text("{}")
    commands.succeed(*copy, "--overwrite")
    assert not any((folder / name).exists() for name in written)
    assert (folder / "notes.txt").exists() and (folder / "images/mine.png").exists()


def test_a_run_that_is_overwritten_leaves_no_exposure():
    assert "exposure*.json" in distill._OWNED


def test_a_run_says_what_its_test_part_holds(tmp_path):
    folder = baseline(tmp_path, "--num_sets=1")
    digits = tfdistill.load_dataset("digits")
    known = headings.recorded(folder, headings.TEST)
    assert known == content.of_part(digits.test) != content.of_part(digits.train)
    assert content.is_same(known, known.partition("-")[0])


def test_a_run_says_what_its_set_holds(tmp_path):
    folder = baseline(tmp_path, "--num_sets=1")
    own = tfrecords.fingerprint(folder / "distilled")
    assert read(folder)["metrics.json"][metrics.SET] == own
    set_ = tfdistill.DistilledDataset.load(folder / "distilled")
    others = {"provenance": {}}, {"student": "mlp"}, {"labels": set_.labels[..., ::-1]}
    same = []
    for change in others:
        set_.replace(**change).save(tmp_path / "other", overwrite=True)
        same.append(tfrecords.fingerprint(tmp_path / "other") == own)
    assert same == [True, True, False]
    assert tfrecords.fingerprint(tmp_path) is None


def test_results_of_a_set_stay_with_it(tmp_path, monkeypatch, capsys):
    """One that replaces it, by hand or in Python, has results of its own."""
    monkeypatch.chdir(tmp_path)
    digits = tfdistill.load_dataset("digits")
    drawn = [tfdistill.baselines.random_real(digits, steps=1, seed=k) for k in (0, 1)]
    one, two = (each.replace(student="linear") for each in drawn)

    def evaluate(count):
        command = evaluate_command.COMMAND
        flags = ["--dataset=digits", f"--num_students={count}", "--workdir=run"]
        evaluate_command._run(command.parse(flags))
        run_folder._held.pop().close()
        return capsys.readouterr().out

    def shown():
        return [
            row["num_students"] for row in tfdistill.report.Run.of_folder("run").rows
        ]

    one.save("run/distilled")
    evaluate(4)
    path = tmp_path / "run" / "metrics.json"
    of_one = {**json.loads(path.read_text()), "num_sets": 2, TEST: "of another"}
    path.write_text(json.dumps(of_one))
    two.save("run/distilled", overwrite=True)
    with pytest.raises(
        ValueError, match="another distilled set .*: tfdistill evaluate"
    ):
        shown()
    assert "metrics.json is of another distilled set" in evaluate(2)
    evaluate(3)
    evaluate(1)
    assert read(tmp_path / "run")["metrics.json"] == of_one
    with pytest.warns(UserWarning, match="Left out, .* in run/distilled: metrics.json"):
        assert shown() == [3, 1, 2]
    one.save("run/distilled", overwrite=True)
    with pytest.warns(UserWarning, match="Left out"):
        assert shown() == [4]
    # Earlier versions did not say of which set it was.
    del of_one[metrics.SET]
    two.save("run/distilled", overwrite=True)
    path.write_text(json.dumps(of_one))
    assert shown() == [4, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("metrics", {"num_students": "20", "student": "linear"}),
        ("metrics", {"num_sets": [2]}),
        ("metrics-mlp", {"num_students": 20, "seed": "/../../elsewhere"}),
        ("exposure", {"num_networks": None}),
    ],
)
def test_strange_numbers_are_refused_before_networks_are_trained(
    name, found, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    digits = tfdistill.load_dataset("digits")
    images = tfdistill.baselines.random_real(digits, steps=1).replace(student="linear")
    images.save("run/distilled")
    path = tmp_path / "run" / f"{name}.json"
    path.write_text(json.dumps(found))
    monkeypatch.setattr(evaluate_command, "_test", None)
    with pytest.raises(
        InputError, match=rf"{name}.json is damaged: \w+ must be a whole"
    ):
        command = evaluate_command.COMMAND
        evaluate_command._run(command.parse(["--workdir=run", "--dataset=digits"]))


def test_what_a_killed_evaluation_has_left_is_removed(tmp_path):
    kept = ["report.0123abcd.tmp.html", "mine.0123abcd.tmp.json", "metrics.json"]
    left = ["metrics-20.0123abcd.tmp.json", "exposure.0123abcd.tmp.json"]
    (tmp_path / "images").mkdir()
    for name in (*kept, *left, "images/exposure.0123abcd.tmp.png"):
        (tmp_path / name).write_text("{")
    evaluation_files.tidy(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "images"}
    assert not list((tmp_path / "images").iterdir())


def test_a_set_that_a_killed_copy_has_put_aside_is_there_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = tfdistill.load_distilled("digits/10")
    made.save("run/distilled.0123abcd.tmp")
    (tmp_path / "run/distilled.0123abcd.tmp").rename("run/distilled.0123abcd.tmp.old")
    command = distilled.COMMAND
    with pytest.raises(InputError, match="exists"):
        command.run(command.parse(["--name=digits/10", "--workdir=run"]))
    assert sorted(os.listdir("run")) == [run_folder.LOCK, "distilled"]


def test_results_of_the_largest_seed_are_read(tmp_path):
    path = tmp_path / "metrics.json"
    files.write_json(path, {"num_students": 1, "seed": 2**63 - 1})
    assert metrics.read_figures(path)["seed"] == 2**63 - 1
    files.write_json(path, {"num_students": 1, "seed": 2**63})
    says = f"seed must be a whole number from 0 to {2**63 - 1}, not {2**63}"
    with pytest.raises(ValueError, match=says):
        metrics.read_figures(path)


def test_exposure_of_a_pool_that_was_made_anew_has_a_file_of_its_own(tmp_path):
    about = {"student": "linear", "dataset": "digits", "num_classes": 10}
    about["normalization"] = tfdistill.load_dataset("digits").normalization
    folder, run = tmp_path / "pool", tmp_path / "run"

    def pooled():
        folder.mkdir(exist_ok=True)
        path = str(folder / "a.weights.h5")
        tfdistill.students.linear((8, 8, 1)).save_weights(path)
        member = pools.Member(path, files.sha256(path), 0.5)
        manifest = pools.manifest(str(folder), [member], 0, **about)
        (folder / pools.MANIFEST).write_text(manifest)

    def measured(*flags):
        asked = [f"--workdir={run}", "--attack", *flags]
        evaluate_command._run(evaluate_command.COMMAND.parse(asked))
        run_folder._held.pop().close()
        return {path.name: path.read_bytes() for path in run.glob("exposure*.json")}

    pooled()
    load = {
        "dataset": "digits",
        "pool": str(folder),
        "pool_content": content.of_path(folder / pools.MANIFEST),
    }
    data = tfdistill.baselines.random_real(tfdistill.load_dataset("digits"), steps=1)
    provenance = {"attack": [0, 1], "dataset": "digits", "load": load}
    data = data.replace(provenance=provenance, student="linear")
    data.save(run / "distilled")
    first = measured()
    assert list(first) == ["exposure.json"]
    assert list(measured(f"--pool={folder}")) == ["exposure.json"]
    pooled()
    found = measured()
    assert sorted(found) == ["exposure-pool.json", "exposure.json"]
    assert found["exposure.json"] == first["exposure.json"]
