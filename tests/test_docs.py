"""The documentation: it builds, and every block of code in it is true.

Each fenced block of README.md, CONTRIBUTING.md and docs/*.md is run (Python), compared
with the source (Python that is quoted) or parsed (commands): there is no other kind.
"""

import configparser
import dataclasses
import doctest
import fnmatch
import importlib
import importlib.util
import inspect
import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import commands as processes
import pytest

import tfdistill
from tfdistill.cli import main as commands
from tfdistill.cli import run_folder, useless_flags

ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ]
}
NOTEBOOKS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "colab").glob("*.ipynb"))
}


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block."""

    path: str
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}"


def blocks(path):
    text = DOCUMENTS[path]
    fences = re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [Block(path, text[: m.start()].count("\n") + 1, *m.groups()) for m in fences]


BLOCKS = [block for path in DOCUMENTS for block in blocks(path)]


@dataclasses.dataclass(frozen=True)
class Program:
    """Python blocks of a document, in their order: one process.

    Attributes:
        blocks: The first of the document's Python blocks, and the one after the last.
        before: What the text says is there, in the same process.
        changes: (old, new) of the blocks: smaller settings, what the reader fills in.
        apart: Whether tfdistill must not be there.
        optional: A module without which blocks that import it are only compiled.
    """

    blocks: tuple[int, int | None] = (0, None)
    before: str = ""
    changes: tuple[tuple[str, str], ...] = ()
    apart: bool = False
    optional: str = ""


#: Blocks that are quoted from the source.
QUOTED = {"docs/how_it_works.md"}
#: Programs of a document share a folder.
PROGRAMS = {
    "README.md": [
        Program(
            (0, 1),
            changes=(
                ("num_students=5", "num_students=1"),
                ("students.lenet(", "students.linear("),
                ('"lenet"', '"linear"'),
            ),
        ),
        Program(
            (1, 3),
            changes=(
                ('"wide_convnet_bn@32-64"', '"mlp"'),
                ("updates=600,", "updates=5,"),
                ("steps_per_epoch=250", "steps_per_epoch=2"),
                ("num_students=10", "num_students=2"),
                ("num_students=20", "num_students=2"),
                ("steps_per_epoch=600", "steps_per_epoch=6"),
            ),
        ),
        Program(
            (3, 4),
            apart=True,
            changes=(
                (
                    "model = ...  # your network, without a softmax",
                    "model = keras.Sequential([keras.Input((8, 8, 1)), "
                    "keras.layers.Flatten(), keras.layers.Dense(10)])",
                ),
                ("steps_per_epoch=600", "steps_per_epoch=20"),
            ),
        ),
    ],
    "docs/compare.md": [
        Program(
            changes=(
                ('["mlp", "linear"],', '["linear"], networks=2, teacher_epochs=0,'),
                ("updates=[300, 1000]", "updates=[10], rates=[0.01]"),
            )
        )
    ],
    "docs/elsewhere.md": [
        Program((0, 1)),
        Program(
            (1, None),
            before="import numpy as np\nraw_images = np.zeros((2, 28, 28, 1), 'uint8')",
            apart=True,
            optional="torch",
        ),
    ],
    "docs/extending.md": [Program()],
    "docs/linear.md": [
        Program(
            changes=(
                ("(4, 8, 12, 15, 16, 24)", "(4, 16)"),
                ("num_points)  #", "num_points, outer_steps=20)  #"),
            )
        )
    ],
    "docs/methods.md": [Program(changes=(("updates=300", "updates=20"),))],
    "docs/replay.md": [
        Program(
            changes=(
                ('"wide_convnet_bn@16-32", outer_steps=100', '"linear", outer_steps=2'),
                ('("digits")', '("digits").of_classes(range(4))'),
                ("updates=200", "updates=5"),
                ("range(3)", "range(1)"),
            )
        )
    ],
    "docs/resuming.md": [
        Program(
            changes=(
                ("steps=10, epochs=3)", "steps=1, epochs=1)"),
                ("steps_per_epoch=40", "steps_per_epoch=2"),
                ("outer_steps=120", "outer_steps=6"),
                ("every=40", "every=2"),
            )
        )
    ],
    "docs/scaling.md": [
        Program(
            before="import tensorflow as tf, tfdistill\n"
            "dataset = tfdistill.load_dataset('digits')",
            changes=(
                ("steps=10, epochs=3", "steps=1, epochs=1"),
                ("tfdistill.students.lenet", "'linear'"),
                ("steps_per_epoch=50, epochs=20", "steps_per_epoch=2, epochs=1"),
            ),
        )
    ],
    "docs/troubleshooting.md": [Program()],
}


def test_every_block_is_of_a_kind():
    for block in BLOCKS:
        assert block.language in ("python", "sh"), block
    in_python = {block.path for block in BLOCKS if block.language == "python"}
    assert in_python == QUOTED | set(PROGRAMS)
    for path, programs in PROGRAMS.items():
        count = len([b for b in blocks(path) if b.language == "python"])
        parts = [range(count)[slice(*program.blocks)] for program in programs]
        taken = [number for part in parts for number in part]
        assert taken == list(range(count)), path


@pytest.mark.slow
@pytest.mark.parametrize("path", PROGRAMS)
def test_programs_run(path, tmp_path):
    if path == "docs/elsewhere.md":
        make_run(tmp_path)
    if path == "README.md":  # the run of its first command
        tfdistill.load_distilled("digits/10").save(tmp_path / "run" / "distilled")
    if path == "docs/troubleshooting.md":  # a run of learned steps
        digits = tfdistill.load_dataset("digits")
        tfdistill.baselines.random_real(digits).save(tmp_path / "run" / "distilled")
    in_python = [block for block in blocks(path) if block.language == "python"]
    for program in PROGRAMS[path]:
        texts = [block.text for block in in_python[slice(*program.blocks)]]
        for old, new in program.changes:
            assert any(old in text for text in texts), old
            texts = [text.replace(old, new) for text in texts]
        if program.optional and importlib.util.find_spec(program.optional) is None:
            for text in texts:
                compile(text, path, "exec")
            wanted = f"import {program.optional}\n"
            texts = [text for text in texts if wanted not in text]
        apart = "import sys\nsys.modules['tfdistill'] = None\n" if program.apart else ""
        text = "\n".join([apart + program.before, *texts])
        run(text, tmp_path, fresh=program.apart)
    if path == "README.md":
        assert (tmp_path / "served" / "saved_model.pb").is_file()


def run(program, folder, fresh):
    process = processes.run_python("-c", program, cwd=folder, fresh=fresh)
    assert process.returncode == 0, process.stderr


def make_run(folder):
    """What docs/elsewhere.md reads, of a tiny run."""
    import numpy as np

    from tfdistill.distilled import exports

    pytest.importorskip("datasets", reason="datasets is not installed")
    distilled = tfdistill.DistilledDataset(
        np.random.default_rng(0).standard_normal((2, 10, 28, 28, 1)),
        np.broadcast_to(np.eye(10), (2, 10, 10)),
        np.full((3, 2), 0.02),
        normalization=tfdistill.Normalization((0.1,), (0.3,), 255),
        class_names=[str(digit) for digit in range(10)],
    )
    distilled.to_npz(folder / "steps.npz")
    names = {"images", "labels", "recipe", "objective", "inner_optimizer", "mean"}
    names |= {"std", "scale", "class_names", "learning_rates"}
    with np.load(folder / "steps.npz") as arrays:
        assert set(arrays) == names
    x_test, y_test = np.zeros((3, 28, 28, 1), np.uint8), np.arange(3)
    np.savez(folder / "my.npz", x_test=x_test, y_test=y_test)
    changes = tfdistill.RandomChanges(shift=0.1, rotation=0.04, zoom=0.1, flip=True)
    distilled = distilled.replace(
        recipe=tfdistill.OrdinaryTraining(updates=5, changes=changes),
        objective="least_squares",
    )
    distilled.save(folder / "run" / "distilled")
    distilled.to_npz(folder / "distilled.npz")
    distilled.to_parquet(folder / "distilled.parquet")
    model = distilled.train(tfdistill.students.linear())
    tfdistill.export_student(distilled, model, folder / "run" / "student")
    exports.save_tflite(folder / "run" / "student", folder / "student.tflite")


@pytest.mark.parametrize("path", sorted(QUOTED))
def test_quoted_code_is_that_of_the_source(path):
    sources = [
        [line.rstrip() for line in file.read_text(encoding="utf-8").split("\n")]
        for file in (ROOT / "tfdistill").rglob("*.py")
    ]
    for block in blocks(path):
        lines = block.text.rstrip().split("\n")
        assert any(holds(source, lines) for source in sources), str(block)


def holds(source, lines):
    """Whether lines follow each other in a source, all indented alike."""
    return any(
        textwrap.dedent("\n".join(source[i : i + len(lines)])) == "\n".join(lines)
        for i, line in enumerate(source)
        if line.lstrip() == lines[0]
    )


#: What is somebody else's to check.
OTHER_PROGRAMS = {
    "docker",
    "cd",
    "git",
    "mkdocs",
    "pip",
    "pre-commit",
    "ruff",
    "tensorboard",
    "uv",
}


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.language == "sh"], ids=lambda block: str(block)
)
def test_commands_are_right(block, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "flags.txt").write_text("--dataset=digits\n")
    monkeypatch.chdir(tmp_path)
    for line in block.text.replace("\\\n", " ").split("\n"):
        for words in split(line):
            check_command(words)


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_commands_of_notebooks_are_right(path):
    for cell in json.loads(NOTEBOOKS[path])["cells"]:
        source = "".join(cell["source"]).replace("\\\n", " ")
        if cell["cell_type"] == "code":
            lines = re.findall(r"^!\{sys.executable\} -m (tfdistill .+)$", source, re.M)
        else:
            lines = re.findall(r"^tfdistill .+$", source, flags=re.M)
            lines += [
                " ".join(span.split())
                for span in re.findall(r"`(tfdistill [^`]+)`", source)
            ]
        for line in lines:
            for words in split(line.format(DATASET="digits", STUDENT="mlp")):
                check_command(words)


def split(line):
    """The commands of a line, in words, without variables that it sets for them."""
    line, words = re.sub(r" > [\w.]+", "", line), []
    for word in [*shlex.split(line, comments=True), "&&"]:
        if word == "&&":
            if words:
                yield words
            words = []
        elif words or not re.match(r"[A-Z_]+=", word):
            words.append(word)


def check_command(words):
    program, *arguments = words
    program = program.removeprefix(".venv/bin/")
    if program == "tfdistill":
        check_tfdistill(*arguments)
    elif program in ("python", "python3"):
        check_python(*arguments)
    else:
        assert program in OTHER_PROGRAMS, words


def check_tfdistill(name, *arguments):
    if name == "help":
        assert set(arguments) <= set(commands.COMMANDS)
        return
    command, given = commands.command(name), set(arguments) - {"..."}
    if "..." in arguments:
        for flag in ("--dataset=digits", "--workdir=run"):
            if not any(a.startswith(flag.partition("=")[0]) for a in given):
                given.add(flag)
    useless_flags.check(command, command.parse(sorted(given)), sorted(given))


def check_python(first, *arguments):
    if first == "main.py":  # of the PyTorch original
        return
    if first == "-m":
        assert arguments[0] in ("venv", "pytest", "mypy"), arguments
        for argument in arguments[1:]:
            if argument.startswith("tests/"):
                assert (ROOT / argument).exists(), argument
        return
    source = (ROOT / first).read_text(encoding="utf-8")
    for argument in arguments:
        name = argument.removeprefix("--").partition("=")[0]
        assert re.search(rf'"(--)?{name}"', source), (first, argument)


def test_commands_in_sentences_are_right():
    """Their flags are known; values may be left out or stand for others."""
    for path, text in DOCUMENTS.items():
        outside = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
        for span in re.findall(r"`((?:tfdistill|python tools/)[^`]+)`", outside):
            for words in split(span.replace("\n", " ")):
                if words[0] == "python":
                    check_python(*words[1:])
                elif words[0] == "tfdistill" and len(words) > 1:
                    check_flags(path, span, *words[1:])


def check_flags(path, span, name, *arguments):
    if name in ("help", "COMMAND", "--help"):
        return
    known = {*commands.command(name).flags, "flagfile", "help"}
    for argument in arguments:
        flag = argument.removeprefix("--").partition("=")[0]
        assert not argument.startswith("--") or flag in known, (path, span)


def test_names_in_documents_are_there():
    for path, text in {**DOCUMENTS, **NOTEBOOKS}.items():
        for name in set(re.findall(r"(?<![\w/.])tfdistill(?:\.[A-Za-z_]\w*)+", text)):
            if name.endswith((".json", ".yml")):
                continue
            value, *parts = tfdistill, *name.split(".")[1:]
            reached = "tfdistill"
            for part in parts:
                reached = f"{reached}.{part}"
                if isinstance(value, types.ModuleType) and not hasattr(value, part):
                    importlib.import_module(reached)
                assert hasattr(value, part), (path, name)
                value = getattr(value, part)


def test_the_house_is_as_it_is_drawn():
    """In docs/how_it_works.md, as the contract of setup.cfg has it."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    layers = setup["importlinter:contract:house"]["layers"].replace("|", " ").split()
    text = DOCUMENTS["docs/how_it_works.md"].split("## Map of the source code")[1]
    rooms = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", text, flags=re.MULTILINE)
    assert rooms == [layer for layer in layers if layer != "__main__"]
    for room in rooms:
        assert importlib.util.find_spec(f"tfdistill.{room}"), room


def public_classes_and_functions():
    """By their paths in `tfdistill`, those of public modules too."""
    found = {name: getattr(tfdistill, name) for name in tfdistill.__all__}
    for name, module in [*found.items()]:
        if inspect.ismodule(module):
            keys = [key for key in dir(module) if not key.startswith("_")]
            found |= {f"{name}.{key}": getattr(module, key) for key in keys}
    return {
        path: value
        for path, value in found.items()
        if inspect.isclass(value) or inspect.isfunction(value)
    }


def test_public_classes_and_functions_have_an_example():
    for path, value in public_classes_and_functions().items():
        assert "Example:\n" in inspect.getdoc(value), path


def rooms():
    """Folders and modules of the package, those with long examples marked slow."""
    for room in pkgutil.iter_modules(tfdistill.__path__):
        if room.name != "__main__":
            marks = [pytest.mark.slow] if room.name == "testing" else []
            yield pytest.param(room.name, marks=marks)


@pytest.mark.parametrize("room", list(rooms()))
def test_examples_of_docstrings_run(room, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"tfdistill.{room}")
    inside = pkgutil.walk_packages(
        getattr(module, "__path__", []), f"{module.__name__}."
    )
    for name in [module.__name__, *(part.name for part in inside)]:
        assert doctest.testmod(importlib.import_module(name)).failed == 0, name


def test_the_site_builds_without_warnings(tmp_path):
    for name in ("mkdocs", "material", "mkdocstrings_handlers"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: the extra [docs]")
    process = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean"]
        + ["-f", "tools/mkdocs.yml", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert process.returncode == 0, process.stderr
    page = (tmp_path / "site" / "api" / "distilled.dataset" / "index.html").read_text()
    assert "Distilled images and labels, and how to train" in page
    page = (tmp_path / "site" / "commands" / "distill" / "index.html").read_text()
    assert "Updates of the distilled images" in page
    outer_steps = '<code><span class="flag">--outer_steps</span>=N</code>'
    assert f"{outer_steps} (1000, if there is no --minutes)" in page
    shown = "".join(p.read_text() for p in (tmp_path / "site" / "api").rglob("*.html"))
    assert "Momentum" in shown and "check_synthesizer" in shown
    for path in public_classes_and_functions():
        name = path.rpartition(".")[2]
        assert re.search(rf'id="tfdistill[\w.]*\.{name}"', shown), path
    for page in (
        *("extending", "command_line", "changelog", "contributing", "glossary"),
        *("gallery", "citation", "api", "notebooks/elsewhere"),
    ):
        assert (tmp_path / "site" / page / "index.html").is_file(), page
    for name in tfdistill.distilled_names():
        assert (
            tmp_path / "site" / "gallery" / f"{name.replace('/', '_')}.png"
        ).is_file()
    page = (tmp_path / "site" / "notebooks" / "your_own" / "index.html").read_text()
    assert 'src="../your_own_' in page  # a picture that a cell drew


def test_readme_gives_the_accuracies_of_the_sets_that_ship():
    networks = {
        "ConvNet": "convnet@128",
        "wide ConvNet": "wide_convnet",
        "wide ConvNet with batch norm": "wide_convnet_bn",
        "AlexCifarNet": "alex_cifar_net",
        "LeNet": "lenet",
        "MLP": "mlp",
    }
    row = re.compile(r'^\| `"(.+?)"` \| (.*?) \| (.*?) \| (.*?) \|$', re.MULTILINE)
    table = row.findall(DOCUMENTS["README.md"])
    assert {name for name, *_ in table} == set(tfdistill.distilled_names())
    for name, images, convnet, others in table:
        distilled = tfdistill.load_distilled(name)
        small = " small ones" if distilled.enlarged == 2 else ""
        assert images == f"{distilled.num_images}{small}"
        measured = distilled.provenance["measured"]
        means = {row["student"]: f"{100 * row['mean']:.1f} %" for row in measured}
        # Of any widths.
        means |= {name.partition("@")[0]: mean for name, mean in means.items()}
        said = [f"ConvNet {convnet}"] if convnet != "–" else []
        for text in [*said, *others.split(", ")]:
            network = re.sub(r" \S+ %$", "", text)
            assert text == f"{network} {means[networks[network]]}"


def test_methods_have_the_values_that_are_said():
    from tfdistill.cli import students
    from tfdistill.cli.methods import METHODS, unused

    section = DOCUMENTS["docs/methods.md"].split("## What each method sets\n\n")[1]
    lines = [
        line.strip("| ").split(" | ") for line in section.split("\n\n")[0].split("\n")
    ]
    head, _, *rows = ([cell.strip("`") for cell in line] for line in lines)
    said = {row[0].removeprefix("--"): row[1:] for row in rows}
    distill = commands.command("distill")
    of_methods = [
        flag for flag in distill.flags if any(flag in m for m in METHODS.values())
    ]
    assert set(head[1:]) == set(METHODS)
    assert list(said)[2:] == of_methods
    for k, method in enumerate(head[1:]):
        given = distill.parse(["--workdir=w", f"--method={method}"])
        for flag in of_methods:
            value = getattr(given, flag)
            if isinstance(value, bool):
                value = "yes" if value else "no"
            if value is None or flag in unused(given):
                # Two flags for one thing are never errors.
                value = "not set" if flag.startswith("images_per_") else "–"
            assert said[flag][k] == str(value), (method, flag)
        for name, side in zip(list(said), (28, 27)):
            data = types.SimpleNamespace(image_shape=(side, side, 1))
            assert said[name][k] == students.with_student(given, data).student


def test_the_networks_that_ship_are_all_named():
    from tfdistill.students import STUDENTS

    text = DOCUMENTS["docs/command_line.md"].split("a network that ships:")[1]
    assert set(re.findall(r"`(\w+)`", text.split("Some take")[0])) == set(STUDENTS)


def test_the_audit_needs_as_many_images_as_is_said():
    given = commands.command("audit").parse(["--workdir=w"])
    needed = 2 * given.steps * given.images_per_class
    section = DOCUMENTS["docs/command_line.md"].split("## Wrong labels")[1]
    assert f"class: {needed}, if neither is given. With {needed - 1}," in section
    steps = (needed - 1) // 2 // given.images_per_class
    assert f"`--steps={steps}`" in section


def test_all_that_is_in_a_folder_is_said():
    """What commands say that they write, and what they own."""
    section = DOCUMENTS["docs/command_line.md"].split("### What is in a folder")[1]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", section.split("### ")[0], flags=re.M)
    said: dict[str, set] = {}
    for names, made_by in rows:
        makers = set(re.findall(r"`(\w+)", made_by)) - {"report"}
        if made_by.startswith("all"):
            makers = set(commands.COMMANDS) - makers
        for name in re.findall(r"`(.+?)`", names):
            said[name.rstrip("/")] = makers
    assert run_folder.LOCK in said and run_folder.FLAGS in said
    for command in map(commands.command, commands.COMMANDS):
        module = importlib.import_module(f"tfdistill.cli.{command.name}")
        listed = re.findall(r"^  (\S+\.\w+|\w+/\S*)(?: |$)", command.about, flags=re.M)
        for name in {*listed, *getattr(module, "_OWNED", ())}:
            name = name.partition("/")[0]
            makers = [said[one] for one in said if fnmatch.fnmatch(one, name)]
            assert makers, (command.name, name)
            # `evaluate` writes into the folder of a run, which then owns it.
            known = {command.name, "evaluate"} & makers[0]
            assert known or not makers[0], (command.name, name)
