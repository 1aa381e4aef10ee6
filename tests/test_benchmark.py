"""The benchmark runs and prints its table."""

import json
import sys

import commands
import pytest


def tool(name, *arguments):
    process = commands.run_python(f"tools/{name}.py", *arguments)
    assert process.returncode == 0, process.stderr
    return process


def test_table(tmp_path):
    process = tool(
        "benchmark",
        "--steps=2,4",
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
def test_students_side_by_side():
    flags = "--steps=2", "--batch_size=16", "--student=linear", "--turns=1"
    *_, row = tool("benchmark", "--side_by_side=3", *flags).stdout.splitlines()
    _, steps, *figures, _ = row.split("|")
    assert int(steps) == 2 and len(figures) == 5
    assert min(float(x) for x in figures) >= 0


@pytest.mark.slow
def test_scaling(tmp_path):
    plot, figures = tmp_path / "plot.png", tmp_path / "figures.json"
    flags = "--small", "--students=linear", "--repeats=1"
    output = tool("scaling", *flags, f"--plot={plot}", f"--json={figures}").stdout
    (row,) = json.loads(figures.read_text())
    assert row["seconds"] > 0 and row["predicted_seconds"] > 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "of 1 predictions within 30 %" in output


def test_peers_are_timed_in_turns(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend("tools")
    import peers

    (tmp_path / "peer.py").write_text("print('{\"ms_a_student\": 1e6}')")
    cell = "--cell=back_gradient,2,1", "--student=linear", "--batch_size=16"
    pair = peers.Pair("tiny", (*cell, "--repeats=1"), "torch", ("peer.py",))
    monkeypatch.setattr(peers, "PAIRS", [pair])
    path = tmp_path / "figures.json"
    peers.compare(str(tmp_path), {"torch": sys.executable}, 1, str(path))
    (row,) = json.loads(path.read_text())
    assert row["theirs_ms"] == 1e6 and 0 < row["ours_ms"] < 1e6
    assert row["ratio"] == pytest.approx(row["ours_ms"] / 1e6)
    assert "| tiny (torch) |" in capsys.readouterr().out
