"""The benchmark runs and prints its table."""

import collections
import json
import math
import re
import resource
import sys
import types

import commands
import keras
import pytest
import tensorflow as tf

from tfdistill import inner
from tfdistill.cli import results


def tool(name, *arguments):
    process = commands.run_python(f"tools/{name}.py", *arguments)
    assert process.returncode == 0, process.stderr
    return process


def test_table(tmp_path):
    process = tool(
        "benchmark",
        "--steps=2,4,2",
        "--batch_size=16",
        "--student=linear",
        "--repeats=1",
        "--full_limit=2",
        f"--json={tmp_path / 'figures.json'}",
    )
    rows = [line for line in process.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 5
    assert "x the student's weights" in process.stdout
    cells = json.loads((tmp_path / "figures.json").read_text())["cells"]
    assert [(c["method"], c["T"]) for c in cells] == [
        ("back_gradient", 2),
        ("back_gradient", 4),
        ("full", 2),
    ]
    assert all(c["trace_s"] > 0 and c["step_ms"] > 0 for c in cells)


@pytest.mark.slow
def test_students_side_by_side(tmp_path):
    path = tmp_path / "figures.json"
    flags = "--steps=2,2", "--batch_size=16", "--student=linear", "--turns=1"
    process = tool("benchmark", "--side_by_side=3", f"--json={path}", *flags)
    *_, header, row = process.stdout.splitlines()
    assert header.startswith("|---")
    _, steps, *figures, _ = row.split("|")
    assert int(steps) == 2 and len(figures) == 5
    assert min(float(x) for x in figures) >= 0
    (cell,) = json.loads(path.read_text())["cells"]
    assert (cell["T"], cell["students"]) == (2, 3) and len(cell["turns"]) == 1
    assert f"{cell['together_ms']:.0f}" == figures[2].strip()


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--steps=10,12"], "multiples of 10"),
        (["--steps=0"], "multiples of 10"),
        (["--methods=fuller"], "some of back_gradient, full"),
        (["--side_by_side=2", "--students_per_step=2"], "leave out"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_it_is_measured(flags, sentence):
    process = commands.run_python("tools/benchmark.py", *flags)
    assert process.returncode and not process.stdout.startswith("|")
    assert sentence in " ".join((process.stdout + process.stderr).split())


@pytest.mark.slow
def test_scaling(tmp_path):
    plot, figures = tmp_path / "plot.png", tmp_path / "figures.json"
    flags = "--small", "--students=linear", "--repeats=1"
    output = tool("scaling", *flags, f"--plot={plot}", f"--json={figures}").stdout
    (row,) = json.loads(figures.read_text())
    assert row["seconds"] > 0 and row["predicted_seconds"] > 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    for line, name in (("time", "seconds"), ("memory", "bytes")):
        off = abs(row[f"predicted_{name}"] / row[name] - 1)
        assert row[name] > 0 and math.isfinite(off)
        said = rf"^{line}: {int(off <= 0.3)} of 1 .* off by {100 * off:.0f} %$"
        assert re.search(said, output, re.MULTILINE), output


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_memory_is_in_bytes_whatever_the_system_counts(platform, unit, monkeypatch):
    monkeypatch.syspath_prepend("tools")
    import processes

    used = types.SimpleNamespace(ru_maxrss=3 * 2**20)
    monkeypatch.setattr(resource, "getrusage", lambda who: used)
    monkeypatch.setattr(sys, "platform", platform)
    assert results.peak_memory() == processes.peak_memory() == unit * 3 * 2**20


def test_peers_are_timed_in_turns(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend("tools")
    import peers

    (tmp_path / "peer.py").write_text("print('{\"ms_a_student\": 1e6}')")
    cell = "--cell=back_gradient,2,1", "--student=linear", "--batch_size=16"
    pair = peers.Pair("tiny", (*cell, "--repeats=1"), "torch", ("peer.py",))
    monkeypatch.setattr(peers, "PAIRS", [pair])
    (row,) = peers.compare(str(tmp_path), {"torch": sys.executable}, 1)
    ((ours, theirs),) = row["peak_mib"]
    assert ours > 50 and theirs is None  # of the whole process; it imports TensorFlow
    assert row["theirs_ms"] == 1e6 and 0 < row["ours_ms"] < 1e6
    assert row["ratio"] == pytest.approx(row["ours_ms"] / 1e6)
    assert "| tiny (torch) |" in capsys.readouterr().out


def test_operations_are_those_of_every_weight_at_every_place(monkeypatch):
    monkeypatch.syspath_prepend("tools")
    import operations

    layers = [
        keras.Input((8, 6, 3)),
        keras.layers.Conv2D(4, 3, strides=2, padding="same"),
        keras.layers.Conv2D(8, 1, groups=2),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dense(10),
    ]
    first, second, last = 4 * 3 * 3 * 3 * 3 * 4, 4 * 3 * 2 * 8, 4 * 3 * 8 * 10
    model = keras.Sequential(layers)
    assert operations.forward(model) == 2 * (first + second + last)
    assert operations.ridge(model, 10, 7) == operations.forward(model) * 57


def test_a_ridge_step_is_compared_with_its_arithmetic(monkeypatch):
    monkeypatch.syspath_prepend("tools")
    import peers

    found = peers.ridge(width=2, side=8, batch=16, repeats=1)
    # A step of so few operations takes longer than they do in a large product.
    assert found["ms"] > 10 * found["arithmetic_ms"] > 0 and found["peak_mib"] > 50


@pytest.mark.parametrize(("count", "together"), [(1, [2]), (3, [1, 3])])
def test_as_many_students_learn_as_are_asked_for(count, together, monkeypatch):
    """Side by side in one graph: two a step, or three beside one alone."""
    monkeypatch.syspath_prepend("tools")
    import benchmark

    flags = "--student=linear", "--batch_size=16", "--image_shape=4,4,1"
    benchmark.FLAGS.unparse_flags()
    benchmark.FLAGS(["benchmark", *flags, "--repeats=1", "--students_per_step=2"])
    for kind in ("intra", "inter"):  # those of this process are set
        name = f"set_{kind}_op_parallelism_threads"
        monkeypatch.setattr(tf.config.threading, name, lambda _: None)
    graphs = collections.defaultdict(list)

    class Noting(inner.BackGradient):
        def __call__(self, problem):
            graphs[tf.compat.v1.get_default_graph()].append(problem)
            return super().__call__(problem)

    monkeypatch.setattr(inner, "BackGradient", Noting)
    cell = benchmark.measure("back_gradient", 2, count)
    assert cell["T"] == 2
    assert sorted(map(len, graphs.values())) == together
    for problems in graphs.values():
        assert len({id(problem.weights[0]) for problem in problems}) == len(problems)
