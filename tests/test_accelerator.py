"""The accelerator's tool measures and checks, here on the CPU."""

import json

import commands
import pytest


def run(path, *arguments):
    process = commands.run_python(
        *("tools/accelerator.py", "--size=tiny", "--repeats=2"),
        *(f"--json={path}", *arguments),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout, json.loads(path.read_text())


@pytest.mark.slow
def test_rows(tmp_path):
    arguments = "--cells=lenet,ridge", "--precisions=float32", "--nolayers"
    output, content = run(tmp_path / "rows.json", *arguments)
    first, *lines = output.splitlines()
    assert "TensorFlow" in first and first == content["device"]
    rows = content["rows"]
    assert len([line for line in lines if line.startswith("| ")]) == 1 + len(rows)
    settings = {
        (what, cell, "float32", jit)
        for what in ("check", "step")
        for cell in ("lenet", "ridge")
        for jit in (True, False)
    }
    found = [tuple(r[k] for k in ("what", "cell", "precision", "jit")) for r in rows]
    assert set(found) == settings and len(found) == len(settings)
    assert not content["left_out"]
    assert min(content["gflops"].values()) > 0
    for row in rows:
        assert row["error"] is None
        if row["what"] == "step":
            assert row["first_step_s"] > 0 and row["operations"] > 0
            assert row["step_ms"] == row["student_ms"] > 0
            assert 0 < row["percent_of_product"] < 100
        else:
            assert row["relative_error"] < (1e-2 if row["jit"] else 1e-3)


def test_what_fails_or_takes_too_long_is_told(tmp_path):
    arguments = (
        *("--cells=lenet", "--precisions=mixed_bfloat16,no_policy", "--jit=false"),
        *("--students=1,2,1000", "--cell_minutes=0.5", "--nochecks", "--nolayers"),
    )
    output, content = run(tmp_path / "rows.json", *arguments)
    works, fails, grown = content["rows"]
    assert (works["students"], works["error"]) == (1, None)
    assert fails["error"].startswith("ValueError: ")
    assert (grown["students"], grown["error"]) == (2, None)
    left_out = content["left_out"]
    assert left_out["step lenet no_policy False 2 students"] == "1 students failed"
    assert left_out["step lenet mixed_bfloat16 False 1000 students"].startswith(
        "would take"
    )
    assert len(left_out) == 3 and output.count("\nLeft out: ") == 3
