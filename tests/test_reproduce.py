"""The tables of the papers, as a reader repeats them."""

import json
import os
import re
import sys

import commands
import pytest
import tfds_fixtures

from tfdistill.cli import main, useless_flags
from tfdistill.cli.errors import InputError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOL = os.path.join(ROOT, "tools", "reproduce.py")


def reproduce(*arguments):
    return commands.run_python(TOOL, *arguments)


@pytest.fixture(scope="module")
def tool():
    """The module; its path is left as it was."""
    before = [*sys.path]
    sys.path.insert(0, os.path.dirname(TOOL))
    import reproduce

    sys.path[:] = before
    return reproduce


def _flagfiles():
    top = os.path.join(ROOT, "tools", "flagfiles")
    for folder, _, files in os.walk(top):
        for name in files:
            yield os.path.relpath(os.path.join(folder, name), ROOT)


def _cells(papers):
    cells = [c for d in papers.TABLE_1 for c in papers.table1(d)]
    cells += [c for row in papers.TABLE_2 for c in papers.table2(row)]
    cells += [c for row in papers.TABLE_3 for c in papers.table3(row)]
    cells += [c for today in papers.TODAY.values() for c in today]
    cells += [c for today in papers.TODAY_GPU.values() for c in today]
    cells += [c for attacks in papers.ATTACK.values() for c in attacks]
    cells += [*papers.GTN, papers.GTN_PAPER, papers.SEARCH_DATA, papers.SEARCH]
    cells += [*papers.FIGURE_2, *papers.ablation(), *papers.POOLS.values()]
    return cells


def test_every_cell_has_a_flagfile_and_every_flagfile_a_cell(tool):
    cells = _cells(tool.papers)
    named = {f"tools/flagfiles/{cell.name}.txt" for cell in cells}
    assert named == set(_flagfiles())


@pytest.mark.parametrize("budget", ["smoke", "hour", "full"])
def test_all_that_a_budget_adds_has_an_effect(budget, tool, monkeypatch):
    monkeypatch.chdir(ROOT)
    for cell in _cells(tool.papers):
        command, *arguments = cell.arguments(budget)
        arguments += ["--workdir=run", *(["--learned_rates=run"] * bool(cell.learned))]
        arguments += [f"--pool={cell.pool}"] * bool(cell.pool)
        asked = main.command(command)
        useless_flags.check(asked, asked.parse(arguments), arguments)


def test_a_flagfile_for_two_cores_is_taken_as_it_is(tool):
    for cell in (c for today in tool.papers.TODAY.values() for c in today):
        _, flagfile, *others = cell.arguments("hour")
        assert flagfile == f"--flagfile=tools/flagfiles/{cell.name}.txt" and not others
        assert "--outer_steps=20" in cell.arguments("smoke")


@pytest.mark.parametrize("path", sorted(_flagfiles()))
def test_a_flagfile_says_how_to_run_it_alone(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    command = re.search(r"#   tfdistill (\w+) --flagfile=(\S+) --workdir=run\n", text)
    pool = re.search(r"\n--pool=(\S+)\n", text)
    if pool:
        makes = f"pretrain --flagfile=tools/flagfiles/{pool[1]}.txt --workdir={pool[1]}"
        assert f"#   tfdistill {makes}\n" in text
    assert command and command[2] == path
    # Its flags are known and in range, and nothing but a folder is missing.
    asked = main.command(command[1])
    with pytest.raises(InputError, match="^--workdir is missing"):
        asked.parse([f"--flagfile={path}"])
    asked.parse([f"--flagfile={path}", "--workdir=run"])


def test_a_flagfile_is_read_by_a_command():
    path = min(_flagfiles())
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        command = re.search(r"#   tfdistill (\w+) ", file.read())[1]
    run = commands.run(command, f"--flagfile={path}", cwd=ROOT)
    assert run.returncode == 2
    assert "--workdir is missing" in run.stderr


def test_wrong_arguments_are_refused():
    for arguments, message in (
        (
            [],
            "name one of today, table1, table2, table3, attack, gtn, search, "
            "figure2, ablation, linear",
        ),
        (["table9"], "not table9"),
        (["table1", "--datasets=mnist,imagenet"], "must be some of mnist"),
        (["table2", "--datasets=mnist"], "must be some of mnist_usps"),
    ):
        run = reproduce(*arguments)
        assert run.returncode and message in run.stderr


@pytest.mark.slow
def test_a_row_is_run_printed_written_and_not_run_again(tmp_path):
    arguments = [
        "table1",
        "--datasets=digits",
        "--budget=smoke",
        "--only=random,random_real,nn_k_means",
        f"--workdir={tmp_path}",
    ]
    first = reproduce(*arguments)
    assert first.returncode == 0, first.stderr[-2000:]
    rows = re.findall(r"^\| .* \*\*\d+\.\d\d", first.stdout, re.MULTILINE)
    assert len(rows) == 3
    assert "Selected" in first.stdout and "Budget: smoke" in first.stdout
    with open(tmp_path / "table1_digits.json", encoding="utf-8") as file:
        cells = json.load(file)
    assert len(cells) == 3
    assert all(0 <= cell["accuracy_mean"] <= 1 for cell in cells.values())
    # Images, but not the nearest neighbours', teach by ordinary training, too.
    found = [c["ordinary"]["updates"] for c in cells.values() if "ordinary" in c]
    assert found == [20, 20]
    assert (tmp_path / "smoke" / "table1_digits.png").stat().st_size > 10_000

    again = reproduce(*arguments)
    assert again.returncode == 0, again.stderr[-2000:]
    assert "tfdistill distill" not in again.stdout
    assert rows == re.findall(r"^\| .* \*\*\d+\.\d\d", again.stdout, re.MULTILINE)


@pytest.mark.slow
def test_pools_are_made_once_and_serve_several_tables(tmp_path):
    tfds_fixtures.handwritten(tmp_path / "tfds", "mnist", "3.0.1", 28, 0)
    tfds_fixtures.handwritten(tmp_path / "tfds", "usps", "1.0.0", 16, 2)
    arguments = [
        "--budget=smoke",
        f"--data_dir={tmp_path / 'tfds'}",
        f"--workdir={tmp_path / 'tables'}",
        f"--pools={tmp_path / 'pools'}",
    ]
    adapted = reproduce(
        "table2", "--datasets=mnist_usps", "--only=none,usps", *arguments
    )
    assert adapted.returncode == 0, adapted.stderr[-2000:]
    assert adapted.stdout.count("[pool]") == 2
    rows = re.findall(r"^\| (.*?) \| (.*?) \| \*\*\d", adapted.stdout, re.MULTILINE)
    assert rows == [
        ("no adaptation", "90.4 ± 3.0"),
        ("full target set", "97.3 ± 0.3"),
    ]
    # What tries another cell's rates waits for it.
    early = reproduce("table2", "--only=k_means", *arguments)
    assert early.returncode and "add random to --only" in early.stderr

    attacked = reproduce("attack", "--only=mnist_fixed", *arguments)
    assert attacked.returncode == 0, attacked.stderr[-2000:]
    assert "[pool]" not in attacked.stdout
    assert re.search(r"\| attacked \| .*\d ± \d.* \| 1 \|", attacked.stdout)
    assert (tmp_path / "tables" / "smoke" / "attack_mnist.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_linear_case_is_drawn(tmp_path):
    run = reproduce("linear", "--budget=smoke", f"--workdir={tmp_path}")
    assert run.returncode == 0, run.stderr[-2000:]
    assert "| 16 |" in run.stdout
    assert (tmp_path / "smoke" / "linear.png").stat().st_size > 10_000
