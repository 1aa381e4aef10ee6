"""The benchmark runs and prints its table."""

import json
import os
import subprocess
import sys


def test_table(tmp_path):
    process = subprocess.run(
        [
            sys.executable,
            "tools/benchmark.py",
            "--steps=2,4",
            "--batch_size=16",
            "--student=linear",
            "--repeats=1",
            "--full_limit=2",
            f"--json={tmp_path / 'figures.json'}",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert process.returncode == 0, process.stderr
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
