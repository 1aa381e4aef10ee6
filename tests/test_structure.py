"""The house: its folders, the size of its rooms, and which way imports run."""

import ast
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1] / "tfdistill"
# Classes of more than 200 lines, and why they are not two.
LARGE = {
    "Distiller": "a Keras model: compile, fit, evaluate and the outer step are one",
    "Split": "twenty small public methods over one storage, mostly their documentation",
    "DistilledDataset": "what comes out: its fields, and each way to hand it on",
    "DistilledImages": "four ways to start, and the documentation of each",
    "Generator": "one network with four curricula",
    "Search": "the steps of one search, which share its folder",
}


def test_no_module_is_long():
    for path in ROOT.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path


def test_long_classes_have_a_reason():
    found = {
        node.name
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno >= 200
    }
    assert found <= set(LARGE)


def test_no_module_imports_the_face_of_the_package():
    graph = grimp.build_graph("tfdistill")
    assert graph.find_modules_that_directly_import("tfdistill") == set()
