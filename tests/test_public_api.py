"""What the package shows to others: names, docstrings, types, the wheel."""

import ast
import functools
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest

import tfdistill


def members(value, name):
    """(name, object, class) of a public object and of what is public in it."""
    yield name, value, None
    if isinstance(value, types.ModuleType):
        for key in dir(value):
            item = getattr(value, key)
            if not key.startswith("_") and not isinstance(item, types.ModuleType):
                yield from members(item, f"{name}.{key}")
    if inspect.isclass(value):
        for key, item in vars(value).items():
            attribute = getattr(value, key)
            if not key.startswith("_") and (callable(attribute) or is_property(item)):
                yield f"{name}.{key}", attribute, value


def is_property(value):
    return isinstance(value, (property, functools.cached_property))


PUBLIC = [
    member
    for name in tfdistill.__all__
    for member in members(getattr(tfdistill, name), name)
]


def test_a_face_shows_nothing_that_it_only_works_with():
    """To `dir` and tab completion."""
    faces = [getattr(tfdistill, name) for name in tfdistill.__all__]
    for face in filter(inspect.ismodule, faces):
        for key in (key for key in dir(face) if not key.startswith("_")):
            item = getattr(face, key)
            if inspect.ismodule(item):  # a folder shows its modules
                assert item.__name__ == f"{face.__name__}.{key}"
            elif getattr(item, "__module__", face.__name__) != face.__name__:
                assert f"{key} as {key}" in inspect.getsource(face), (face, key)
    assert {"RATES", "NearestNeighbours", "tune"} <= set(dir(tfdistill.baselines))


def test_every_public_name_has_a_docstring():
    for name, value, home in PUBLIC:
        # An attribute may be described with its class.
        described = home and f"{name.split('.')[-1]}:" in inspect.getdoc(home)
        assert inspect.getdoc(value) or described, name


def test_a_docstring_with_arguments_has_them_all():
    for name, value, _ in PUBLIC:
        text = inspect.getdoc(value) or ""
        if callable(value) and "Args:" in text:
            described = text.split("Args:")[1]
            for argument in inspect.signature(value).parameters:
                known = argument in described or argument in ("self", "kwargs")
                assert known, f"{name}: {argument}"


def test_what_type_checkers_see_is_what_there_is():
    tree = ast.parse(Path(tfdistill.__file__).with_suffix(".pyi").read_text())
    statements = [s for s in tree.body if isinstance(s, ast.ImportFrom)]
    seen = {
        alias.asname: (statement.module, alias.name)
        for statement in statements
        for alias in statement.names
    }
    assert sorted(seen) == sorted([*tfdistill.__all__, "__version__"])
    for name, (module, original) in seen.items():
        assert original == name  # or type checkers would not take it for public
        home = importlib.import_module(module)
        assert getattr(home, original) is getattr(tfdistill, name), name


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'Destiller'"):
        tfdistill.Destiller  # noqa: B018


def test_type_hints_are_right(tmp_path):
    """Of the package, and as a user's program meets them."""
    mypy = pytest.importorskip("mypy.api", reason="mypy is not installed")
    program = tmp_path / "program.py"
    program.write_text(
        "import tfdistill\n"
        "digits = tfdistill.load_dataset('digits').hold_out(0.1)\n"
        "images = tfdistill.DistilledImages.from_real(digits, steps=2)\n"
        "distilled = tfdistill.Distiller('mlp', images).distilled()\n"
        "reveal_type(distilled.epochs)\n"
        "distilled.save(3)\n"
    )
    found, errors, _ = mypy.run(["--no-incremental", "tfdistill", str(program)])
    assert re.search(r'Revealed type is "(builtins\.)?int"', found), found + errors
    # The one error is the program's.
    assert found.count("error:") == 1 and 'to "save"' in found, found


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_finds_nothing(command):
    pytest.importorskip("ruff", reason="ruff is not installed")
    process = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."],
        cwd=Path(tfdistill.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_the_wheel_holds_the_whole_package(tmp_path):
    pytest.importorskip("setuptools")
    root = Path(tfdistill.__file__).parents[1]
    if not (root / "setup.cfg").exists():
        pytest.skip("not a source tree")
    tree = tmp_path / "tree"
    shutil.copytree(root / "tfdistill", tree / "tfdistill")
    for name in ("README.md", "LICENSE", "setup.cfg", "pyproject.toml"):
        shutil.copy(root / name, tree)
    program = "from setuptools import build_meta as b; b.build_wheel('dist')"
    subprocess.run(
        [sys.executable, "-c", program], cwd=tree, check=True, capture_output=True
    )
    (wheel,) = (tree / "dist").iterdir()
    assert wheel.name.startswith(f"tfdistill-{tfdistill.__version__}-")
    with zipfile.ZipFile(wheel) as archive:
        packed = {n for n in archive.namelist() if n.startswith("tfdistill/")}
    written = {
        file.relative_to(root).as_posix()
        for file in (root / "tfdistill").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert packed == written


@pytest.mark.parametrize(
    ("settings", "backend", "says"),
    [
        ({}, "jax", "backend 'tensorflow', but the environment variable KERAS_BACKEND"),
        ({"backend": "numpy"}, "", "keras.json says 'numpy'"),
        ({"backend": "torch"}, "tensorflow", None),
        ({"image_data_format": "channels_first"}, "", "'channels_last', but"),
        ({"floatx": "float16"}, "", "floatx 'float32', but"),
    ],
)
def test_keras_that_is_set_up_otherwise(settings, backend, says, tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": backend}
    if says is None:  # the environment has the last word
        programs = [
            ["-c", "from tfdistill._internal.keras_setup import check; check()"]
        ]
    else:
        programs = [
            ["-c", "import tfdistill\ntfdistill.Distiller"],
            ["-m", "tfdistill", "distill", f"--workdir={tmp_path / 'run'}"],
        ]
    for program in programs:
        process = subprocess.run(
            [sys.executable, *program], capture_output=True, text=True, env=environment
        )
        assert (process.returncode == 0) == (says is None), process.stderr
        assert says is None or says in process.stderr.splitlines()[-1]
