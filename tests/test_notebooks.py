"""The notebooks of colab/ run from top to bottom, and show what they showed."""

import re
import sys
from pathlib import Path

import commands
import pytest

nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
pytest.importorskip("nbclient", reason="nbclient is not installed")

sys.path.append(str(Path(__file__).parents[1] / "tools"))
import notebooks as tool  # noqa: E402

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
    "elsewhere": [
        (
            "--outer_steps=300 --num_students=4",
            "--outer_steps=20 --num_students=2",
        ),
        ("for _ in range(3)", "for _ in range(1)"),
        ("np.full(3, row)", "np.full(1, row)"),
    ],
    "first_distillation": [
        ("OUTER_STEPS = 500", "OUTER_STEPS = 50"),
        ("num_students=10", "num_students=2"),
        ("num_students=20", "num_students=2"),
    ],
    "generative_teaching": [
        ('"digits", "mlp"', '"digits", "linear"'),
        ("OUTER_STEPS = 10, 20, 300", "OUTER_STEPS = 10, 20, 10"),
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
        ("Recipe(rounds=2, outer_steps=100)", "Recipe('linear', 1, outer_steps=20)"),
        ("(100, 4)", "(10, 4)"),
    ],
    "your_own": [
        ("OUTER_STEPS = 250", "OUTER_STEPS = 20"),
        ("num_students=6", "num_students=2"),
    ],
}


def by_name(path):
    return path.stem


@pytest.mark.slow
@pytest.mark.parametrize("path", tool.NOTEBOOKS, ids=by_name)
def test_it_runs(path, tmp_path, monkeypatch):
    notebook = nbformat.read(path, as_version=4)
    smaller = [*SMALLER[path.stem]]
    if path.stem == "elsewhere":  # whose kernel has not imported tfdistill
        smaller.append(("{sys.executable}", commands.python()))
    else:
        monkeypatch.setattr(sys, "executable", commands.python())  # of the kernel
    for old, new in smaller:
        assert any(old in cell.source for cell in notebook.cells), old
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)
    tool.execute(notebook, tmp_path, timeout=900)
    pictures = [o for o in outputs(notebook) if "image/png" in o.get("data", {})]
    assert len(pictures) >= 2


def outputs(notebook):
    return [o for cell in tool.code_cells(notebook) for o in cell.outputs]


@pytest.fixture(params=tool.NOTEBOOKS, ids=by_name)
def kept(request):
    """A notebook as it is kept."""
    notebook = nbformat.read(request.param, as_version=4)
    nbformat.validate(notebook)
    assert f"main/colab/{request.param.name}" in notebook.cells[0].source
    return notebook


#: What a cell does that shows something.
SHOWS = re.compile(
    r"^!|print\(|plt\.subplots\(|plots\.(?!grid)|verbose=2", re.MULTILINE
)


def test_it_shows_what_its_cells_showed(kept):
    """As tools/notebooks.py leaves it: run, whole, in order, and not changed since."""
    cells = tool.code_cells(kept)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert kept.metadata["tfdistill"]["executed"] == tool.fingerprint(kept), (
        "its cells were changed: python tools/notebooks.py runs them again"
    )
    for cell in cells:
        defines_only = all(line[:1] in " )" for line in cell.source.split("\n")[1:])
        if SHOWS.search(cell.source) and not (
            cell.source.startswith("def ") and defines_only
        ):
            assert cell.outputs, cell.source


def test_its_outputs_are_small_and_of_no_machine(kept, tmp_path):
    for output in outputs(kept):
        assert output.output_type != "error" and output.get("name") != "stderr"
    text = nbformat.writes(kept)
    assert len(text.encode()) <= 200 * 1024
    shown = [
        str(o.get("text", o.get("data", {}).get("text/plain"))) for o in outputs(kept)
    ]
    for output in shown:
        assert "\r" not in output and "Traceback" not in output
        assert not re.search(r"/(home|root|tmp|usr|opt|Users|site-packages)/", output)


def test_changed_cells_have_another_fingerprint(kept):
    before = tool.fingerprint(kept)
    tool.code_cells(kept)[-1].source += " "
    assert tool.fingerprint(kept) != before


def test_colab_installs_it_and_shows_its_errors(kept):
    """It installs from the repository, whose lower bounds keep what Colab has."""
    source = "\n".join(cell.source for cell in tool.code_cells(kept))
    assert "%pip install -q git+https://github.com/tfdistill/tfdistill\n" in source
    assert "/dev/null" not in source and "| tail" not in source
    if "-m tfdistill" in source and "import tfdistill" in source:
        # Two processes on one GPU.
        assert 'os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"' in source


def test_its_text_links_to_files_of_the_repository(kept):
    """Colab has the package, and neither programs nor documents."""
    text = "\n".join(c.source for c in kept.cells if c.cell_type == "markdown")
    unlinked = re.sub(r"(\[[^\[\]]*\])?\(https:[^)]*\)", "", text)
    assert not re.search(r"\b(colab|docs|examples|tests|tools)/", unlinked)


def test_its_text_calls_what_its_cells_know(kept):
    """So that a reader can paste what it suggests."""
    source = "\n".join(cell.source for cell in tool.code_cells(kept))
    text = "\n".join(c.source for c in kept.cells if c.cell_type == "markdown")
    for name in re.findall(r"`(?:\w+ = )?(\w+)(?:\.\w+)+\(", text):
        assert re.search(rf"(?<![\w.]){name}\b", source), name
