"""Pretrained students: made, kept, drawn and refused."""

import dataclasses
import json
import math
import os
import re
import shutil

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from commands import run as tfdistill_command

import tfdistill
from tfdistill import FixedWeights, Pool, PretrainedWeights, students
from tfdistill._internal.seeds import Stream, student_seed
from tfdistill.cli import evaluation_files
from tfdistill.runs.journal import Journal
from tfdistill.studies import pretraining
from tfdistill.weights import h5_files
from tfdistill.weights import pool as pools

SHAPE = (8, 8, 1)


def make_model():
    return students.build("linear", SHAPE, 10)


SMALL = [
    "--num_students=5",
    "--held_out=2",
    "--side_by_side=3",
    "--student=linear",
    "--epochs=4",
    "--learning_rate=0.01",
    "--batch_size=128",
]


@pytest.fixture(scope="module")
def pool_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pools") / "pool"
    process = tfdistill_command("pretrain", f"--workdir={folder}", *SMALL, fresh=True)
    assert process.returncode == 0, process.stderr
    assert "training 20/20 epochs, accuracy " in process.stdout
    return folder


@pytest.fixture
def copied(pool_folder, tmp_path):
    return shutil.copytree(pool_folder, tmp_path / "pool")


def test_a_pool_of_different_students_that_learned(pool_folder):
    pool = Pool.load(pool_folder)
    assert (len(pool.training), len(pool.held_out)) == (3, 2)
    assert (pool.student, pool.dataset) == ("linear", "digits")
    assert min(m.accuracy for m in pool.members) > 0.85
    kernels = [v[0] for v in pool.values(pool.members, make_model)]
    assert len({k.tobytes() for k in kernels}) == 5
    # The accuracies are of these weights, on the test images.
    test = tfdistill.load_dataset("digits").test
    model = make_model()
    model.set_weights(pool.values(pool.held_out[:1], make_model)[0])
    (accuracy,) = pretraining.accuracies([model], test)
    assert accuracy == pool.held_out[0].accuracy


def test_the_same_command_repeats_and_resumes(copied, pool_folder):
    again = tfdistill_command("pretrain", f"--workdir={copied}", *SMALL)
    assert again.returncode == 0 and "finished" in again.stdout
    # As after a crash between two groups of students.
    os.remove(copied / pools.MANIFEST)
    for number in (3, 4):
        os.remove(copied / f"student-{number:04}.weights.h5")
    kept = os.stat(copied / "student-0000.weights.h5").st_mtime
    again = tfdistill_command("pretrain", f"--workdir={copied}", *SMALL)
    assert again.returncode == 0, again.stderr
    assert os.stat(copied / "student-0000.weights.h5").st_mtime == kept
    for a, b in zip(*(_all_values(folder) for folder in (copied, pool_folder))):
        np.testing.assert_allclose(a, b, atol=1e-5)


def _all_values(folder):
    pool = Pool.load(folder)
    return [x for v in pool.values(pool.members, make_model) for x in v]


def test_a_pool_of_little_data_has_learned_by_default(tmp_path):
    flags = ["--dataset=digits", "--student=mlp", "--num_students=2", "--held_out=1"]
    flags.append("--batch_size=128")
    process = tfdistill_command("pretrain", f"--workdir={tmp_path / 'pool'}", *flags)
    assert process.returncode == 0, process.stderr
    pool = tfdistill.Pool.load(tmp_path / "pool")
    assert min(member.accuracy for member in (*pool.training, *pool.held_out)) > 0.95
    assert "learned little" not in process.stdout


def test_a_pool_that_has_learned_little_says_so(tmp_path):
    flags = ["--dataset=digits", "--student=mlp", "--num_students=2", "--epochs=1"]
    process = tfdistill_command("pretrain", f"--workdir={tmp_path / 'pool'}", *flags)
    assert process.returncode == 0, process.stderr
    *_, said, last = process.stdout.splitlines()
    assert last == f"The pool is in {tmp_path / 'pool'}."
    assert re.match(r"The students have learned little: \d+\.\d % of the test", said)
    assert "guessing gets 10.0 %, after 1 update each" in said and "--epochs" in said


@pytest.mark.parametrize(
    ("name", "updates", "recipe"),
    [
        ("digits", 1, pretraining.Recipe(1000, 500)),
        ("digits", 30, pretraining.Recipe(40, 20)),
        ("mnist[0,1]", 1, pretraining.RECIPES["mnist"]),
        ("digits", None, pretraining.Recipe()),
    ],
)
def test_the_default_recipe_has_enough_updates(name, updates, recipe):
    assert pretraining.recipe_for(name, updates) == recipe


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1, not 0"),
        ({"halve_every": 0}, "halve_every must be an integer of at least 1, not 0"),
        ({"learning_rate": -0.1}, "learning_rate must be a finite number above 0"),
    ],
)
def test_a_recipe_that_trains_nothing_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        pretraining.Recipe(**wrong)


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ([], "numbers must be at least one"),
        ([1, 1], "numbers must all be different"),
        ([-1], "numbers must be an integer of at least 0"),
    ],
)
def test_students_that_are_none_or_copies_are_refused(numbers, says):
    digits, recipe = tfdistill.load_dataset("digits"), pretraining.Recipe(1)
    with pytest.raises(ValueError, match=says):
        pretraining.pretrain(tfdistill.students.linear, digits, numbers, recipe)


def test_several_at_once_are_what_each_would_be_alone():
    dataset = tfdistill.load_dataset("digits")
    recipe = pretraining.Recipe(epochs=2, halve_every=1, learning_rate=0.01)
    together = pretraining.pretrain(make_model, dataset, [4, 7], recipe, verbose=0)
    (alone,) = pretraining.pretrain(make_model, dataset, [7], recipe, verbose=0)
    for a, b in zip(together[1].get_weights(), alone.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_draws_come_from_the_pool_and_tests_from_the_held_out(pool_folder):
    weights = PretrainedWeights(str(pool_folder))
    weights.build(make_model, make_model())
    pool = weights.pool
    training, held_out = (
        {v[0].tobytes() for v in pool.values(members, make_model)}
        for members in (pool.training, pool.held_out)
    )
    draws = [
        weights.sample(student_seed(0, Stream.TRAINING, n))[0][0] for n in range(40)
    ]
    assert {x.numpy().tobytes() for x in draws} == training
    tests = [
        weights.sample_held_out(student_seed(0, Stream.EVALUATION, n), tf.constant(n))[
            0
        ][0]
        for n in range(2)
    ]
    assert {x.numpy().tobytes() for x in tests} == held_out
    assert not training & held_out


def test_one_student_of_a_pool_is_a_fixed_start(pool_folder):
    model, weights = make_model(), FixedWeights(str(pool_folder), 4)
    weights.build(make_model, model)
    (values,) = weights.pool.values(weights.pool.held_out[1:], make_model)
    np.testing.assert_array_equal(weights.student.weights[0], values[0])
    with pytest.raises(ValueError, match="students 0 to 4, not 5"):
        FixedWeights(str(pool_folder), 5).build(make_model, make_model())
    with pytest.raises(ValueError, match="number must be an integer of at least 0"):
        FixedWeights(str(pool_folder), 1.0)


@pytest.mark.parametrize("others", [{"number": 7}, {"new_head": True}])
def test_what_is_of_a_pool_needs_one(others):
    with pytest.raises(ValueError, match="need a pool: give pretrained"):
        FixedWeights(**others)


@pytest.fixture(scope="module")
def shifted(tmp_path_factory):
    """Digits one pixel further to the right: another domain."""
    path = tmp_path_factory.mktemp("data") / "shifted.npz"
    digits = tfdistill.load_dataset("digits")
    (x, y), (u, v) = (
        (np.roll(split.images, 1, axis=2), split.labels)
        for split in (digits.train, digits.test)
    )
    np.savez(path, x_train=x, y_train=y, x_test=u, y_test=v)
    return path


def test_adaptation_beats_no_adaptation(pool_folder, shifted, tmp_path):
    process = tfdistill_command(
        "distill",
        f"--dataset={shifted}",
        "--student=linear",
        "--initial_weights=pretrained",
        f"--pool={pool_folder}",
        "--steps=2",
        "--epochs=2",
        "--outer_steps=150",
        "--learning_rate=0.1",
        "--num_students=4",
        f"--workdir={tmp_path / 'run'}",
    )
    assert process.returncode == 0, process.stderr
    with open(tmp_path / "run" / "metrics.json", encoding="utf-8") as file:
        metrics = json.load(file)
    assert metrics["accuracy_mean"] > metrics["no_distilled_data"]["accuracy_mean"]
    assert metrics["accuracy_mean"] > 0.6
    # Two are held out, each of which is tested once.
    assert "2 of --num_students=4 test at the end" in process.stdout
    tested = metrics, metrics["no_distilled_data"], metrics["random_real"]
    assert [each["num_students"] for each in tested] == [2, 2, 2]
    assert metrics["shuffled"]["num_students"] == 4
    # The run knows its pool.
    again = tfdistill_command(
        "evaluate", f"--workdir={tmp_path / 'run'}", "--num_students=4"
    )
    assert again.returncode == 0, again.stderr
    assert f"{100 * metrics['accuracy_mean']:.2f}" in again.stdout
    # Another pool does not replace what its own has reached.
    kept = (tmp_path / "run" / "metrics.json").read_text()
    of_other_students(shutil.copytree(pool_folder, tmp_path / "other"))
    other = tfdistill_command(
        *("evaluate", f"--workdir={tmp_path / 'run'}", "--num_students=4"),
        f"--pool={tmp_path / 'other'}",
    )
    assert other.returncode == 0, other.stderr
    assert (tmp_path / "run" / "metrics.json").read_text() == kept
    rows = tfdistill.report.Run.of_folder(tmp_path / "run").rows
    assert any(row["what"].endswith("from the pool other") for row in rows)
    # What is exported has adapted, too, not begun anew.
    served = tf.saved_model.load(tmp_path / "run" / "student" / "1")
    with np.load(shifted) as file:
        said = served.serve(tf.cast(file["x_test"], tf.uint8)).numpy().argmax(-1)
        assert np.mean(said == file["y_test"]) > 0.6


def of_other_students(folder):
    """One more student is held out."""
    known = json.loads((folder / pools.MANIFEST).read_text())
    known["held_out"] += 1
    (folder / pools.MANIFEST).write_text(json.dumps(known))


def test_a_run_knows_its_pool_wherever_it_is(copied, tmp_path):
    def command(name, *flags):
        process = tfdistill_command(name, "--workdir=run", *flags, cwd=tmp_path)
        assert process.returncode == 0, process.stderr
        files = (tmp_path / "run").glob("metrics*.json")
        found = {path.name: json.loads(path.read_text()) for path in files}
        return {name: content["num_students"] for name, content in found.items()}

    flags = ["--steps=1", "--num_sets=1", "--num_students=2"]
    flags.append("--initial_weights=pretrained")
    own = {"metrics.json": 2}
    assert command("baseline", *flags, "--pool=pool") == own
    other = shutil.copytree(copied, tmp_path / "other")
    of_other_students(other)
    copied.rename(tmp_path / "moved")
    assert command("evaluate", "--pool=moved", "--num_students=2") == own
    own["metrics-pool-other.json"] = 3
    assert command("evaluate", "--pool=other", "--num_students=3") == own
    # Nor is it its own because it lies where that was.
    other.rename(copied)
    own["metrics-pool-pool.json"] = 3
    assert command("evaluate", "--num_students=3") == own
    # An earlier version said only where it lay.
    known = {"load": {"pool": str(tmp_path / "gone")}}
    for name, is_other in (("gone", False), ("moved", True)):
        found = evaluation_files.of_other_pool(known, str(tmp_path / name), "a hash")
        assert found == is_other


def test_what_is_for_a_pool_is_not_compared_from_other_starts(pool_folder):
    """No network of the pool, no figure: from random weights it would be another."""
    digits = tfdistill.load_dataset("digits").hold_out(0.1)
    images = tfdistill.DistilledImages.from_noise(digits, steps=1)
    of_pool = tfdistill.Distiller(
        "linear", images, PretrainedWeights(str(pool_folder))
    ).distilled()
    by_itself = tfdistill.Distiller("linear", images).distilled()
    # As the command has recorded it from the beginning.
    of_command = by_itself.replace(provenance={"load": {"pool": "pool"}})
    said = []
    found = tfdistill.compare(
        {"of_pool": of_pool, "of_command": of_command, "by_itself": by_itself},
        digits,
        **{"architectures": ["linear"], "networks": 1, "choosing": 1},
        **{"rates": [0.01], "updates": [2], "attack_images": 0, "teacher_epochs": 0},
        baselines=[],
        report=said.append,
    )
    known = {name: set_["as_learned"] is not None for name, set_ in found.sets.items()}
    assert known == {"of_pool": False, "of_command": False, "by_itself": True}
    told = [line for line in said if "is not tested by its learned steps" in line]
    assert sorted(line.split()[0] for line in told) == ["of_command", "of_pool"]


def test_data_of_networks_that_learn_from_a_pool_say_so(pool_folder):
    digits = tfdistill.load_dataset("digits")
    images = tfdistill.DistilledImages.from_noise(digits, steps=1)
    learning = tfdistill.LearningStudents(2, start=PretrainedWeights(str(pool_folder)))
    data = tfdistill.Distiller("linear", images, learning).distilled()
    assert data.provenance["pretrained"]


def test_no_network_of_a_pool_counts_twice(pool_folder):
    """More tests than there are networks are made where each learns otherwise only."""
    digits = tfdistill.load_dataset("digits")
    first, second = (
        tfdistill.baselines.random_real(digits, steps=5, seed=k) for k in range(2)
    )
    ordinary = first.replace(recipe=tfdistill.OrdinaryTraining(3, batch_size=7))
    all_at_once = first.replace(recipe=tfdistill.OrdinaryTraining(3, batch_size=50))
    weights = PretrainedWeights(str(pool_folder))
    one = weights.pool.held_out[:1]

    def test(data, initial_weights=weights, count=6, **kwargs):
        evaluator = tfdistill.Evaluator(
            "linear", np.ravel(data)[0], initial_weights=initial_weights
        )
        return evaluator, evaluator(data, digits.test, count, **kwargs)

    with pytest.warns(UserWarning, match="pool holds out 2 networks: 4 of 6 tests"):
        evaluator, ordered = test(first)
    assert ordered.num_students == 2 and ordered.accuracy_std > 0
    with pytest.warns(UserWarning, match="copies"):
        assert evaluator.untrained(digits.test, 5).num_students == 2
    # Pairs take the sets in turn: the third pair is the first one.
    with pytest.warns(UserWarning, match="2 of 6 tests would be copies"):
        _, of_two = test([first, second])
    assert len({*of_two.losses}) == of_two.num_students == 4
    np.testing.assert_array_equal(of_two.accuracies[:2], ordered.accuracies)
    with pytest.warns(UserWarning, match="copies"):
        assert test(all_at_once)[1].num_students == 2
    for data, kwargs in ((ordinary, {}), (first, {"shuffle_steps": True})):
        _, found = test(data, count=4, **kwargs)
        assert len({*found.losses}) == found.num_students == 4
    # Who asks for the tests is warned, once.
    with pytest.warns(UserWarning, match="copies") as warned:
        tfdistill.evaluate(first, "linear", digits.test, 3, initial_weights=weights)
    assert [warning.filename for warning in warned] == [__file__]
    # A single one learns from each set.
    alone = PretrainedWeights(dataclasses.replace(weights.pool, held_out=one))
    with pytest.warns(UserWarning, match="holds out 1 network: 4 of 6 tests"):
        assert test([first, second], alone)[1].num_students == 2
    # Of fixed weights there is one.
    assert test(first, FixedWeights())[1].num_students == 1
    assert test(first, None, count=3)[1].num_students == 3


def test_a_journal_tells_pools_apart_by_all_that_are_held_out(pool_folder, tmp_path):
    pool, digits = Pool.load(pool_folder), tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=1)
    journal = Journal(tmp_path)
    first, *others = pool.members[:4]

    def test(one, other, journal):
        own = dataclasses.replace(pool, training=(first,), held_out=(one, other))
        start = PretrainedWeights(own)
        return tfdistill.evaluate(
            data, "linear", digits.test, 2, initial_weights=start, journal=journal
        ).accuracies

    for pair in (others[:2], others[::2], others[:2]):
        np.testing.assert_array_equal(test(*pair, journal), test(*pair, None))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_adaptation_by_other_means(pool_folder, shifted, tmp_path):
    found = {}
    for kind in ("none", "fada"):
        process = tfdistill_command(
            "baseline",
            f"--kind={kind}",
            f"--dataset={shifted}",
            "--initial_weights=pretrained",
            f"--pool={pool_folder}",
            *["--num_sets=2"] * (kind == "fada"),
            "--num_students=2",
            f"--workdir={tmp_path / kind}",
        )
        assert process.returncode == 0, process.stderr
        with open(tmp_path / kind / "metrics.json", encoding="utf-8") as file:
            found[kind] = json.load(file)
    assert {m["num_students"] for m in found.values()} == {2}
    assert [m["num_images"] for m in found.values()] == [0, 100]
    assert found["fada"]["accuracy_mean"] > found["none"]["accuracy_mean"] + 0.1
    assert (tmp_path / "fada" / "student" / "1" / "saved_model.pb").exists()
    assert not (tmp_path / "none" / "distilled").exists()


def test_models_that_were_trained_elsewhere(tmp_path):
    models = [make_model() for _ in range(3)]
    models[0].save(tmp_path / "a.keras")
    models[1].save_weights(tmp_path / "b.weights.h5")
    models[2].export(tmp_path / "c", verbose=False)
    paths = [tmp_path / name for name in ("a.keras", "b.weights.h5", "c")]
    pool = Pool.of_files(paths[:2], paths[2:])
    for model, values in zip(models, pool.values(pool.members, make_model)):
        for a, b in zip(model.get_weights(), values):
            np.testing.assert_array_equal(a, b)


def test_students_are_not_both_in_training_and_in_tests(tmp_path):
    model = make_model()
    for name in ("a", "b"):
        model.save_weights(tmp_path / f"{name}.weights.h5")
    shutil.copy(tmp_path / "a.weights.h5", tmp_path / "copy.weights.h5")
    for other in ("a", "copy"):
        with pytest.raises(ValueError, match="must be others"):
            Pool.of_files(
                [tmp_path / "a.weights.h5"], [tmp_path / f"{other}.weights.h5"]
            )


def test_other_architectures_are_refused(pool_folder):
    weights = PretrainedWeights(str(pool_folder))

    def other():
        return students.build("mlp", SHAPE, 10)

    with pytest.raises(ValueError, match="student-0000.* cannot be read|architecture"):
        weights.build(other, other())


def test_a_keras_file_of_another_architecture_is_refused(tmp_path):
    students.build("mlp", SHAPE, 10).save(tmp_path / "a.keras")
    pool = Pool.of_files([tmp_path / "a.keras"])
    with pytest.raises(ValueError, match="another architecture"):
        pool.values(pool.members, make_model)


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_student_is_refused(damage, copied):
    path = copied / "student-0001.weights.h5"
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    else:
        if damage == "flip":
            content[len(content) // 2] ^= 1
        else:
            del content[len(content) // 2 :]
        path.write_bytes(content)
    pool = Pool.load(copied)
    with pytest.raises(ValueError, match="student-0001.* cannot be read"):
        pool.values(pool.members, make_model)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("vast", "claims more weights than its size"),
        ("external", "in another file"),
        ("link", "links to other places"),
    ],
)
def test_weights_are_no_larger_than_their_file(how, says, tmp_path):
    path = tmp_path / "a.weights.h5"
    make_model().save_weights(path)
    h5_files.check(path)
    with h5py.File(path, "a") as file:
        found = []
        file.visititems(lambda name, _: found.append(name))
        layer = next(file[name] for name in found if name.endswith("vars"))
        shape = layer["0"].shape
        del layer["0"]
        if how == "vast":  # chunks that are never written: 4 GB for Keras
            layer.create_dataset("0", (2**15, 2**15), "f4", chunks=(2**12, 2**12))
        elif how == "external":
            elsewhere = [(str(tmp_path / "other"), 0, 4 * math.prod(shape))]
            layer.create_dataset("0", shape, "f4", external=elsewhere)
        else:
            layer["0"] = h5py.ExternalLink("other.h5", "0")
    pool = Pool.of_files([path])
    with pytest.raises(ValueError, match=f"a.weights.h5 cannot be read: .*{says}"):
        pool.values(pool.members, make_model)


def test_a_damaged_keras_file_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "a.keras"
    make_model().save(path)
    content = bytearray(path.read_bytes())
    content[content.find(b'"class_name"') + 3] ^= 1
    path.write_bytes(content)
    pool = Pool.of_files([path])
    with pytest.raises(ValueError, match="a.keras cannot be read: Bad CRC"):
        pool.values(pool.members, make_model)
    with pytest.raises(ValueError, match="a.keras cannot be read: Bad CRC"):
        students.get(str(path))()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "its format is 2"),
        ({"held_out": 5}, "5 of 5 students"),
        ({"students": 3}, "cannot be read"),
        ({"normalization": None}, "cannot be read"),
    ],
)
def test_a_damaged_manifest_is_refused(change, says, copied):
    path = copied / pools.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=says):
        Pool.load(copied)


def test_a_manifest_stays_in_its_folder(copied):
    path = copied / pools.MANIFEST
    path.write_text(path.read_text().replace("student-0000", "../student-0000"))
    with pytest.raises(ValueError, match="outside the pool"):
        Pool.load(copied)


def test_pools_need_held_out_students():
    member = pools.Member("nowhere.weights.h5")
    with pytest.raises(ValueError, match="no held-out students"):
        PretrainedWeights(Pool((member,))).build(make_model, make_model())
    with pytest.raises(ValueError, match="at least one student"):
        Pool(())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pretrain"], "--workdir is missing"),
        (["pretrain", "--workdir=W", "--num_students=3", "--held_out=3"], "none of"),
        (["distill", "--workdir=W", "--initial_weights=pretrained"], "needs a --pool"),
        (["distill", "--workdir=W", "--pool=P"], "needs no --pool"),
        (
            ["distill", "--workdir=W", "--initial_weights=pretrained", "--pool=P"],
            "P holds no pool of students",
        ),
        (["baseline", "--workdir=W", "--kind=fada"], "needs --initial_weights=pre"),
        (["baseline", "--workdir=W", "--source_dataset=mnist"], "needs --kind=fada"),
        (["pretrain", "--workdir=W", "--classes=1,a"], "no class is called 'a'"),
        (["pretrain", "--workdir=W", "--classes=1,10"], "no class is called '10'"),
        (["distill", "--workdir=W", "--attack_class=1"], "need --objective=attack"),
        (
            ["distill", "--workdir=W", "--objective=attack", "--attack_class=1"],
            "not 1 and None",
        ),
    ],
)
def test_bad_flags_get_one_sentence(arguments, says, tmp_path):
    arguments = [a.replace("=W", f"={tmp_path / 'w'}") for a in arguments]
    process = tfdistill_command(*arguments)
    assert process.returncode == 2
    line = process.stderr.strip().splitlines()[-1]
    assert line.startswith("tfdistill: ") and says in line
    assert not (tmp_path / "w").exists()


def test_batch_norm_and_dropout_survive_a_pool(tmp_path):
    def noisy():
        return keras.Sequential(
            [
                keras.Input(SHAPE),
                keras.layers.Flatten(),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.5),
                keras.layers.Dense(10),
            ]
        )

    models = [noisy() for _ in range(2)]
    for index, model in enumerate(models):
        model.layers[1].moving_mean.assign(np.full(64, index + 1.0))
        model.save(tmp_path / f"{index}.keras")
    pool = Pool.of_files([tmp_path / "0.keras"], [tmp_path / "1.keras"])
    weights = PretrainedWeights(pool)
    weights.build(noisy, noisy())
    state = weights.sample(student_seed(0, 1))[1]
    assert state[0][0] == 1.0
    # Each student's dropout has a seed of its own.
    other = weights.sample(student_seed(0, 2))[1]
    assert np.any(state[-1] != other[-1])
