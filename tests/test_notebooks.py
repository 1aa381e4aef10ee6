"""The notebooks of colab/ run from top to bottom, and are kept without outputs."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "colab").glob("*.ipynb"))
#: (old, new) of each notebook's cells: as much is run, and less is computed. The text
#: tells of the notebook as it is.
SMALLER = {
    "adaptation": [
        (
            "--num_students=16 --held_out=4 --side_by_side=8",
            "--num_students=6 --held_out=4 --side_by_side=6",
        ),
        ("--epochs=25", "--epochs=5"),
        ("OUTER_STEPS = 300", "OUTER_STEPS = 20"),
    ],
    "elsewhere": [("--outer_steps=300", "--outer_steps=20")],
    "first_distillation": [("OUTER_STEPS = 500", "OUTER_STEPS = 50")],
    "generative_teaching": [
        ("OUTER_STEPS = 10, 20, 300", "OUTER_STEPS = 10, 20, 30"),
        ("num_students=8", "num_students=2"),
    ],
    "replay": [
        ("outer_steps=100", "outer_steps=3"),
        ('"wide_convnet_bn@16-32"', '"linear"'),
        ("SEEDS = 3", "SEEDS = 1"),
        ("updates=200", "updates=10"),
        (
            "load_dataset(DATASET, download=True)",
            "load_dataset(DATASET).of_classes(range(4))",
        ),
    ],
    "sound_data": [
        ("Recipe(rounds=2, outer_steps=100)", "Recipe('mlp', 1, outer_steps=50)"),
        ("(100, 4)", "(10, 4)"),
    ],
    "your_own": [("OUTER_STEPS = 250", "OUTER_STEPS = 20")],
}


def by_name(path):
    return path.stem


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_it_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    notebook = nbformat.read(path, as_version=4)
    for old, new in SMALLER[path.stem]:
        assert any(old in cell.source for cell in notebook.cells), old
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)
    client = nbclient.NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": tmp_path}},
    )
    client.execute()
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_it_is_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert f"main/colab/{path.name}" in notebook.cells[0].source  # Open in Colab
    for cell in notebook.cells:
        assert not cell.get("outputs") and not cell.get("execution_count")
