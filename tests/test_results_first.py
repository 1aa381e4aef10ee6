"""Results are written first; the end of a run is rehearsed at its start."""

import json
import os
import re
import time

import commands
import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill.cli import (
    baseline,
    comparisons,
    distill,
    evaluate,
    main,
    outer_loop,
    run_folder,
    students,
)
from tfdistill.cli.errors import IncompleteError, InputError
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation.evaluator import Evaluator
from tfdistill.reporting import plots
from tfdistill.reporting.tensorboard import RunSummary
from tfdistill.studies import adaptation

SHUFFLED = "their steps shuffled"
DISTILL = (
    *("--student=linear", "--outer_steps=2", "--report_every=1", "--steps=2"),
    *("--epochs=1", "--batch_size=64", "--num_students=2"),
)

COMPARE = (
    *("--architectures=linear", "--networks=2", "--choosing=1", "--teacher_epochs=1"),
    *("--updates=2", "--rates=0.01", "--attack_images=4", "--baselines=random_real"),
)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a command in this process, into one folder."""
    one_device = tf.distribute.get_strategy()
    for module in ("distill", "baseline", "pretrain", "audit", "evaluate", "search"):
        machine = (
            main.command(module)
            and main.importlib.import_module(f"tfdistill.cli.{module}").machine
        )
        monkeypatch.setattr(machine, "set_threads", lambda *_, **__: None)
        monkeypatch.setattr(machine, "strategy", lambda *_: one_device)

    def run(name, *flags, folder=tmp_path / "w"):
        command = main.command(name)
        where = [f"--workdir={folder}"] if folder else []
        try:
            command.run(command.parse([*where, *flags]))
        finally:
            while run_folder._held:
                run_folder._held.pop().close()
        return folder

    return run


def broken(*args, **kwargs):
    raise RuntimeError("of $ours,\nnot yours")


def compared_with(*flags):
    """The `Comparisons` of a run that has not begun, beside real images."""
    c = main.command("distill").parse(["--dataset=digits", "--workdir=w", *flags])
    digits = tfdistill.load_dataset("digits").hold_out(0.1)
    distiller = outer_loop.distiller(c, digits)
    compared = comparisons.Comparisons(c, distiller, digits, None, None)
    assert compared.draw() is None
    return compared


_CHOOSE = comparisons.Comparisons._choose


def broken_late(self, learned):
    return _CHOOSE(self, learned) if learned is None else broken()


@pytest.mark.parametrize(
    ("command", "flags", "places"),
    [
        (
            "distill",
            DISTILL,
            {
                "random real images": (comparisons.Comparisons, "_choose", broken_late),
                "student/": (DistilledDataset, "train", broken),
                "images/accuracy.png": (plots, "accuracy_curve", broken),
                "logs/": (RunSummary, "add_tests", broken),
            },
        ),
        (
            "baseline",
            ("--student=linear", "--steps=1", "--num_sets=1", "--num_students=1"),
            {"student/": (DistilledDataset, "train", broken)},
        ),
    ],
)
def test_what_comes_after_the_result_fails_alone(
    command, flags, places, run, tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        for place in places.values():
            patch.setattr(*place)
        with pytest.raises(IncompleteError, match=f"{', '.join(places)}.*same command"):
            run(command, *flags)
    said = capsys.readouterr().out
    for name in places:
        assert f"Not made: {name} (of $ours, not yours)." in said
    assert "Test accuracy" in said  # the result is shown all the same
    metrics = json.loads((tmp_path / "w" / "metrics.json").read_text())
    assert metrics["unfinished"] == [*places] and 0 <= metrics["accuracy_mean"] <= 1
    assert (tmp_path / "w" / "images" / "distilled.png").exists()
    first = DistilledDataset.load(tmp_path / "w" / "distilled")
    run(command, *flags)
    said = capsys.readouterr().out
    assert f"the result of this run; still to be made: {', '.join(places)}." in said
    if command == "distill":  # it says first where it goes on, and nothing as if new
        going_on, again = "Going on after outer step 2.", "1/3 before learning, once"
        assert said.count(going_on) == 1
        assert said.index(going_on) < said.index(again)
        assert "Before, on the validation" not in said
    again = json.loads((tmp_path / "w" / "metrics.json").read_text())
    assert "unfinished" not in again
    assert again["accuracy_mean"] == pytest.approx(metrics["accuracy_mean"])
    second = DistilledDataset.load(tmp_path / "w" / "distilled")
    np.testing.assert_array_equal(first.images, second.images)
    run(command, *flags)
    assert "finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "flags", "place", "what"),
    [
        ("distill", DISTILL, (DistilledDataset, "save"), "saved"),
        ("distill", DISTILL, (DistilledDataset, "load"), "loaded"),
        ("distill", DISTILL, (DistilledDataset, "serving_model"), "exported"),
        ("distill", DISTILL, (plots, "distilled_images"), "drawn"),
        ("baseline", ("--student=linear",), (plots, "save"), "drawn"),
        (
            "pretrain",
            ("--student=linear", "--epochs=1"),
            (tfdistill.Pool, "load"),
            "loaded",
        ),
        ("audit", ("--student=linear",), (plots, "label_noise"), "drawn"),
    ],
)
def test_what_the_end_would_refuse_is_refused_first(
    command, flags, place, what, run, tmp_path, monkeypatch
):
    def missing(*args, **kwargs):
        raise ImportError("no module of yours")

    monkeypatch.setattr(*place, missing)
    with pytest.raises(InputError, match=f"could not be {what} in the end: no module"):
        run(command, *flags)
    assert not (tmp_path / "w").exists()


def test_of_several_widths_the_first_network_is_tried_and_exported():
    widths = ("--student=gtn_learner", "--widths=2-4,2-4,2-4", "--architectures=2")
    c = main.command("distill").parse([*widths, "--workdir=w"])
    digits = tfdistill.load_dataset("digits")
    one, *_ = students.sampled(c).students
    count = tfdistill.students.build(one, digits.image_shape, 10).count_params()
    assert students.first(c, digits).count_params() == count
    real = tfdistill.baselines.random_real(digits, steps=1)
    assert students.trained(c, real).count_params() == count


def test_class_names_are_anybodys(run, tmp_path, monkeypatch):
    from tfdistill.cli import data

    digits = tfdistill.load_dataset("digits").of_classes([0, 1, 2]).hold_out(0.1)
    names = ("of $5 to $6", "$a_{", "\\frac")
    named = type(digits)(**{**vars(digits), "class_names": names})
    monkeypatch.setattr(data, "load", lambda c: named)
    run("distill", *DISTILL)
    assert json.loads((tmp_path / "w" / "metrics.json").read_text())["before"]


def test_class_names_that_cannot_be_saved(run, tmp_path, monkeypatch):
    from tfdistill.cli import data

    digits = tfdistill.load_dataset("digits").of_classes([0, 1]).hold_out(0.1)
    named = type(digits)(**{**vars(digits), "class_names": ("one", "one")})
    monkeypatch.setattr(data, "load", lambda c: named)
    with pytest.raises(InputError, match=r"could not be saved .* is also that of"):
        run("distill", *DISTILL)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    ("command", "flags", "what"),
    [
        ("distill", DISTILL, "outer steps: 2 x"),
        ("distill", (*DISTILL[:1], "--minutes=30"), "  learning, "),
        (
            "pretrain",
            ("--student=linear", "--num_students=3"),
            "students at once: 1,000",
        ),
        ("baseline", ("--student=linear", "--steps=1"), "networks: "),
        (
            "baseline",
            ("--nearest_neighbours", "--num_sets=3"),
            "sets of images: 3 x",
        ),
        (
            "baseline",  # 18 candidates by 5 networks, 10 sets by 1; 2 are kept
            (
                *("--student=linear", "--steps=1", "--kind=optimized_real"),
                *("--initial_weights=fixed", "--num_sets=2"),
            ),
            "networks: 102 x",
        ),
        ("audit", ("--student=linear", "--rounds=1"), "outer steps: 1,600 x"),
    ],
)
def test_a_dry_run_says_what_it_would_take_and_writes_nothing(
    command, flags, what, run, tmp_path, capsys
):
    run(command, *flags, "--dry_run")
    said = capsys.readouterr().out
    assert what in said and " MiB of memory" in said
    assert f"It would write into {tmp_path / 'w'}" in said
    assert "  flags.txt" in said
    assert flags[0] in said and "--seed=0" in said
    assert not re.search(r" 0 s\b", said)
    assert not list(tmp_path.iterdir())


POOLED = (
    *("--steps=1", "--num_sets=2", "--num_students=2", "--initial_weights=pretrained"),
    f"--pool={os.path.join(os.path.dirname(__file__), 'earlier_versions', 'pool')}",
)


def test_a_dry_run_measures_what_pretrained_networks_do(run, monkeypatch, capsys):
    """Not how others learn from the images."""
    monkeypatch.setattr(Evaluator, "__call__", broken)
    run("baseline", *POOLED, "--kind=none", "--dry_run")
    assert "  networks: " in capsys.readouterr().out  # one, that the pool holds out

    def adapted(student, start, source, sets, *args, rounds, **kwargs):
        time.sleep(0.02 * rounds)
        yield tfdistill.students.build(student, sets[0].image_shape, 10)

    monkeypatch.setattr(adaptation, "adapted", adapted)
    run("baseline", *POOLED, "--kind=fada", "--dry_run")
    each = re.search(r"  networks: 2 x (\S+) s\n", capsys.readouterr().out)[1]
    assert float(each) >= 7  # 400 rounds


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("distill", DISTILL),
        ("baseline", ("--student=linear", "--num_sets=1", "--num_students=1")),
        ("pretrain", ("--student=linear", "--num_students=1")),
        ("audit", ("--student=linear", "--rounds=1", "--apply=new")),
        ("compare", ("--sets=run", *COMPARE)),
        ("search", ("--distilled=run", "--candidates=1", "--keep=0")),
    ],
)
def test_a_dry_run_needs_no_folder_to_write_into(
    command, flags, run, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    tfdistill.load_distilled("digits/10").save("run")
    run(command, *flags, "--dry_run", folder=None)
    said = capsys.readouterr().out
    assert "It would write into --workdir:" in said and "Nothing is written." in said
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_dry_run_of_one_test_needs_its_folder():
    with pytest.raises(InputError, match="--workdir is missing"):
        main.command("evaluate").parse(["--dry_run"])


def everything(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("command", "flags", "what"),
    [
        ("evaluate", ("--num_students=3",), "networks: 3 x"),
        (
            "search",  # one update is an epoch
            ("--candidates=3", "--retrain_epochs=2", "--batch_size=2000"),
            "candidates: 3 x",
        ),
        ("compare", COMPARE, "linear, to test: 16 x"),
    ],
)
def test_a_dry_run_on_distilled_images_leaves_everything_as_it_was(
    command, flags, what, run, tmp_path, capsys
):
    folder = run("distill", *DISTILL, folder=tmp_path / "run")
    before = everything(tmp_path)
    capsys.readouterr()
    where = {"search": "--distilled", "compare": "--sets"}.get(command)
    if where:
        run(command, f"{where}={folder}", *flags, "--dry_run")
    else:
        run(command, *flags, "--dry_run", folder=folder)
    said = capsys.readouterr().out
    assert what in said and " MiB of memory" in said and "It would write into" in said
    assert not re.search(r" 0 s\b", said)
    assert everything(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("distill", ["--student=linear", "--updates=20", "--num_students=2"]),
        ("audit", ["--student=linear", "--rounds=2", "--steps=1"]),
    ],
)
def test_a_dry_run_counts_the_memory_of_what_comes_later(command, flags, tmp_path):
    """Each of the run's parts traces networks of its own, which stay in memory."""
    flags = [command, "--dataset=digits", "--outer_steps=4", *flags]
    said = commands.succeed(*flags, "--dry_run")
    told = int(re.search(r"and ([\d,]+) MiB of memory", said)[1].replace(",", ""))
    commands.succeed(*flags, f"--workdir={tmp_path}")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    peak = metrics["peak_memory_bytes"] / 2**20
    assert 0.97 * peak < told < 1.2 * peak


def test_results_of_several_counts_are_kept_side_by_side(run, tmp_path, capsys):
    folder = run("distill", *DISTILL)
    whole = json.loads((folder / "metrics.json").read_text())
    run("evaluate", "--num_students=1")
    assert "keeps the result of 2 networks" in capsys.readouterr().out
    kept = json.loads((folder / "metrics.json").read_text())
    assert kept == whole
    one = json.loads((folder / "metrics-1.json").read_text())
    assert one["num_students"] == 1 and "history" not in one
    run("evaluate", "--num_students=3")
    more = json.loads((folder / "metrics.json").read_text())
    assert more["num_students"] == 3 and more["history"] == whole["history"]
    before = json.loads((folder / "metrics-2.json").read_text())
    assert before["accuracy_mean"] == whole["accuracy_mean"]
    run("evaluate", "--num_students=3", "--seed=1")
    assert json.loads((folder / "metrics.json").read_text()) == more
    assert (folder / "metrics-3-seed1.json").exists()
    assert len(tfdistill.report.Run.of_folder(folder).rows) == 7


@pytest.mark.parametrize(
    ("main_", "real", "says"),
    [
        (0.5, 0.9, "worse than random"),
        (0.9, 0.9, "not clearly better than"),
        (0.95, 0.9, ""),
    ],
)
@pytest.mark.parametrize("higher_is_better", [True, False])
@pytest.mark.parametrize("ordered", [True, False])
def test_a_result_is_judged(main_, real, says, higher_is_better, ordered):
    def metrics(mean):
        return {
            "score_mean": mean if higher_is_better else -mean,
            "score_std": 0.01,
            "num_students": 4,
            "headline": "score",
            "higher_is_better": higher_is_better,
            "shares": [],
        }

    others = {"random real images": metrics(real), "another": None}
    found = comparisons.verdict(metrics(main_), others, is_ordered=ordered)
    said = " ".join(found)
    assert says in said
    assert bool(said) == bool(says) == ("What usually helps" in said)
    # --steps would mean another method.
    assert ("--steps" in said) == (bool(said) and ordered)


def test_what_is_perfect_already_is_not_to_be_helped():
    best = {"accuracy_mean": 1.0, "accuracy_std": 0.0, "num_students": 4}
    best |= {"headline": "accuracy", "shares": ["accuracy"], "higher_is_better": True}
    found = comparisons.verdict(best, {"random real images": best}, is_ordered=False)
    assert found[-1] == "Nothing is left to gain: fewer images may do as well."


@pytest.mark.parametrize(
    ("accuracy", "real", "how", "advice"),
    [
        (0.9824, 0.9815, "not clearly better", "Little is left to gain: random real"),
        (0.9024, 0.9015, "not clearly better", "What usually helps"),
        (0.9724, 0.9815, "worse", "What usually helps"),
    ],
)
def test_images_as_good_as_others_near_the_top_have_not_failed(
    accuracy, real, how, advice
):
    def metrics(mean):
        return {"accuracy_mean": mean, "accuracy_std": 0.003, "num_students": 8}

    others = {"random real images": metrics(real), "the images at the start": None}
    first, last = comparisons.verdict(metrics(accuracy), others, is_ordered=False)
    assert f"are {how} than random real images: {100 * accuracy:.2f} ± 0.30 %" in first
    assert last.startswith(advice) and "failed" not in last


@pytest.mark.parametrize("inner_optimizer", ["momentum", "adam"])
def test_an_evaluator_is_for_one_inner_optimizer(inner_optimizer):
    digits = tfdistill.load_dataset("digits")
    real = tfdistill.baselines.random_real(digits, steps=1)
    images = tfdistill.DistilledImages.from_real(
        digits, steps=1, inner_optimizer=inner_optimizer
    )
    like = DistilledDataset.from_synthesizer(images)
    evaluator = tfdistill.Evaluator("linear", like)
    with pytest.raises(ValueError, match="have the same inner optimizer as the one"):
        evaluator(real, digits.test, 1)


def test_a_run_says_first_what_it_will_learn_and_on_what(run, tmp_path, capsys):
    run("distill", *DISTILL, "--precision=mixed_bfloat16")
    student = tf.saved_model.load(tmp_path / "w" / "student" / "1")
    graph = student.signatures["serving_default"].graph.as_graph_def()
    assert "DT_FLOAT" in str(graph) and "DT_BFLOAT16" not in str(graph)
    lines = capsys.readouterr().out
    first, *_ = lines.splitlines()
    assert first.startswith("--method=unrolled: 20 images of digits, through linear; ")
    train, validation, test = map(
        int, re.findall(r"(\d+) (?:real|to watch|for)", first)
    )
    digits = tfdistill.load_dataset("digits")
    assert train + validation == digits.train.num_examples
    assert test == digits.test.num_examples
    # A dry run counts as many networks: two more are tested after each outer step, and
    # those that chose the rate of the real images are not tested again.
    begin, end = map(int, re.findall(r"/3 .* 0/(\d+) networks", lines))
    run("distill", *DISTILL, "--dry_run")
    said = re.findall(r"networks on (\w+) images: (\d+) x", capsys.readouterr().out)
    real = begin - 2
    assert said == [("validation", f"{begin + 4}"), ("test", f"{end - real}")]


def test_flags_that_are_not_shown_change_nothing(run, tmp_path):
    flags = ["--method=ridge", "--student=mlp", "--outer_steps=2", "--updates=2"]
    flags += ["--images_per_class=1", "--batch_size=64", "--num_students=2"]
    others = ["--learning_rate=0.5", "--inner_optimizer=momentum", "--momentum=0.9"]
    others += ["--nolearned_rates", "--back_off=3", "--architectures=2"]
    others += ["--curriculum=none", "--generator=mine"]
    found = [
        DistilledDataset.load(
            run("distill", *given, folder=tmp_path / name) / "distilled"
        )
        for name, given in (("one", flags), ("two", [*flags, *others]))
    ]
    one, two = found
    np.testing.assert_array_equal(one.images, two.images)
    assert one.provenance["flags"] == two.provenance["flags"]
    assert "momentum" in (tmp_path / "two" / "flags.txt").read_text()
    assert "momentum" not in one.provenance["flags"]


def test_the_seconds_of_a_run_are_those_of_all_its_parts(run, monkeypatch):
    """Of what comes before learning, too; each counts once."""
    before = distill._before

    def slow(*args):
        time.sleep(3)
        return before(*args)

    monkeypatch.setattr(distill, "_before", slow)
    started = time.monotonic()
    flags = ["--student=linear", "--outer_steps=2", "--num_students=1", "--updates=2"]
    content = json.loads((run("distill", *flags) / "metrics.json").read_text())
    assert content["seconds"] < time.monotonic() - started
    assert 0 < content["seconds_learning"] < content["seconds"] - 3


def test_a_set_is_no_run_but_can_become_one(run, tmp_path, capsys):
    digits = tfdistill.load_dataset("digits")
    data = tfdistill.baselines.random_real(digits, steps=1).replace(student="linear")
    data.save(tmp_path / "a set")
    for name, *flags in (("evaluate",), ("report",), ("export", "--output=o.npz")):
        with pytest.raises(InputError, match="a distilled set, .* compare --sets='/"):
            run(name, *flags, folder=tmp_path / "a set")
    data.save(tmp_path / "a run" / "distilled")
    with pytest.raises(InputError, match="evaluate --workdir='.*a run' makes it"):
        run("report", folder=tmp_path / "a run")
    run("evaluate", "--dataset=digits", "--num_students=1", folder=tmp_path / "a run")
    run("report", folder=tmp_path / "a run")
    assert (tmp_path / "a run" / "report.html").exists()


def test_a_set_that_ships_is_copied_and_tested(run, tmp_path, capsys):
    run("distilled", "--name=digits/10", folder=tmp_path / "a set")
    assert "tfdistill evaluate --workdir='/" in capsys.readouterr().out
    flags = "--student=linear", "--num_students=1"
    run("evaluate", *flags, folder=tmp_path / "a set")
    assert "linear on digits, ordinary training" in capsys.readouterr().out
    data = tfdistill.load_distilled("digits/10")
    data.replace(provenance={"dataset": None}).save(tmp_path / "own" / "distilled")
    with pytest.raises(InputError, match="--dataset is missing: the distilled images"):
        run("evaluate", *flags, folder=tmp_path / "own")


def test_an_attack_that_lowers_the_accuracy_is_not_called_worse():
    own = {"headline": "accuracy", "shares": ["accuracy"], "accuracy_mean": 0.2}
    found = {**own, "random_real": {**own, "accuracy_mean": 0.9}}
    for content, count in ((found, 2), ({**found, "attacked_mean": 1.0}, 0)):
        others = comparisons.compared(content)
        assert len(comparisons.verdict(content, others, is_ordered=True)) == count


def dropping(image_shape, num_classes):
    """A network in which no two draws of masks are the same."""
    layers = [keras.layers.Flatten(), keras.layers.Dropout(0.5)]
    return keras.Sequential(
        [keras.Input(image_shape), *layers, keras.layers.Dense(num_classes)]
    )


@pytest.mark.parametrize(
    ("flags", "counts", "validated"),
    [
        # Learned steps in order: all that start alike are one.
        (["--method=unrolled", "--student=mlp"], (1, 6), 1),
        (["--method=ridge", "--student=mlp"], (6, None), 2),
        (["--method=ridge", "--student=mlp", "--changes=none"], (1, None), 1),
        (["--method=unrolled", f"--student={__name__}:dropping"], (6, 6), 4),
    ],
)
def test_networks_that_start_alike_are_tested_where_they_differ(
    flags, counts, validated
):
    compared = compared_with("--initial_weights=fixed", "--num_students=6", *flags)
    tests, rates = compared.all(compared.start), compared.tested_at_first // validated
    found = [tests.get(name, [None])[0] for name in ("distilled images", SHUFFLED)]
    assert tuple(found) == counts and rates > 1
    c, distiller = compared._c, compared._distiller
    assert outer_loop.num_validated(c, distiller) == validated
    assert compared.tested_at_first == validated * rates


@pytest.mark.parametrize(("student", "count"), [("linear", 1), ("dropping", 5)])
def test_evaluate_and_baseline_test_one_network_of_those_that_are_alike(student, count):
    digits = tfdistill.load_dataset("digits")
    student = student if count == 1 else f"{__name__}:{student}"
    start = tfdistill.students.build(student, digits.image_shape, 10)
    start = tfdistill.inner.StatelessModel(start).arrays()
    data = tfdistill.baselines.random_real(digits, steps=1)
    data = data.replace(initial_weights=start, student=student)
    evaluator = tfdistill.Evaluator(student, data)
    c = main.command("evaluate").parse(["--workdir=none", "--num_students=5"])
    assert evaluate._one_if_alike(c, evaluator, data, None).num_students == count
    assert len(evaluator.dealt([data], baseline._count(c, [data]))) == count
    # One network for each set, even of fewer.
    assert len(evaluator.dealt(9 * [data], baseline._count(c, 9 * [data]))) == 9


@pytest.mark.parametrize(
    ("flags", "alike"),
    [
        ([], True),
        (["--start=noise"], False),
        (["--enlarged=2"], False),
        (["--images_per_step=5", "--steps=2"], True),
    ],
)
def test_images_before_learning_are_tested_unless_they_are_the_real_ones(flags, alike):
    compared = compared_with("--method=ridge", "--student=mlp", *flags)
    tests = compared.all(compared.start)
    assert ("before" not in tests) == alike
    assert compared.tested_at_last == sum(count for count, _ in tests.values())


def test_real_images_to_compare_with_are_of_the_classes_of_the_distilled_ones():
    compared = compared_with(
        *("--student=linear", "--images_per_step=4", "--steps=5", "--start=noise")
    )
    np.testing.assert_array_equal(compared._real.labels, compared.start.labels)
    assert compared._real.images.shape == compared.start.images.shape


def test_of_small_images_a_run_says_how_many_real_ones_take_their_room(run, capsys):
    size = ["--images_per_class=1", "--enlarged=2", "--updates=2", "--outer_steps=1"]
    size += ["--dataset=digits", "--student=linear", "--num_students=2"]
    folder = run("distill", *size, "--method=ridge")
    assert "students), 10 in the room of the 40 small ones" in capsys.readouterr().out
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["num_images"] == 40 and metrics["random_real"]["num_images"] == 10
    # The small images at the start are not the random real ones.
    assert metrics["before"]["num_students"] == 2
    assert "10 images, in the room of the 40" in tfdistill.report.page([folder])
