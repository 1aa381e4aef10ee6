"""How the package is built: which way imports run, and how long things get."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tfdistill

PACKAGE = Path(tfdistill.__file__).parent
LONGEST_MODULE, LONGEST_CLASS = 400, 200
#: Why they are longer. Most of each is what its public methods promise.
LONG_CLASSES = {
    "DistilledDataset": "all forms in which data leaves: files, Keras, NumPy, Parquet",
    "DistilledImages": "two ways to start, with their arguments described twice",
    "Distiller": "a Keras model: what compile, fit, evaluate and a file of Keras need",
    "Generator": "four curricula, which share their weights and their checks",
    "Search": "one search: it explores, ranks, compares, and goes on where it was",
    "Split": "examples in memory and streamed, with the same methods",
}


def test_imports_run_down_the_house():
    pytest.importorskip("importlinter", reason="import-linter is not installed")
    program = "import sys; from importlinter import cli; sys.exit(cli.lint_imports())"
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout


def test_nothing_inside_imports_the_face():
    """The public names are for users; modules import each other where they live."""
    grimp = pytest.importorskip("grimp", reason="import-linter is not installed")
    graph = grimp.build_graph("tfdistill", cache_dir=None)
    assert not graph.find_modules_that_directly_import("tfdistill")


def sources():
    for path in PACKAGE.rglob("*.py"):
        yield path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")


def test_modules_are_short():
    lengths = {path: text.count("\n") for path, text in sources()}
    assert len(lengths) > 50
    assert not {p: n for p, n in lengths.items() if n > LONGEST_MODULE}


def test_classes_are_short_or_have_a_reason():
    long = {
        node.name
        for _, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
        and node.end_lineno - node.lineno + 1 > LONGEST_CLASS
    }
    assert long == set(LONG_CLASSES)


def test_only_commands_print():
    """The library logs, as absl does; what it shows goes through `runs/progress.py`."""
    printing = {
        path
        for path, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == "print")
            or ast.unparse(node.func) in ("sys.stdout.write", "sys.stderr.write")
        )
    }
    assert {path.split("/")[0] for path in printing - {"runs/progress.py"}} == {"cli"}
