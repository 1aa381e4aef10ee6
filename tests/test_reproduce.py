"""The tables of the papers, as a reader repeats them."""

import json
import os
import re
import sys

import commands
import pytest
import tfds_fixtures
from absl.testing import flagsaver

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
    reproduce.FLAGS(["reproduce"])
    return reproduce


def _flagfiles():
    top = os.path.join(ROOT, "tools", "flagfiles")
    for folder, _, files in os.walk(top):
        for name in files:
            yield os.path.relpath(os.path.join(folder, name), ROOT)


def _cells(papers):
    tables = [t for b in ("hour", "full") for t in papers.tables(b).values()]
    cells = [c for rows in tables for cells in rows.values() for c in cells]
    return [*dict.fromkeys([*cells, *papers.POOLS.values()])]


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


@pytest.mark.parametrize("budget", ["smoke", "hour"])
def test_no_budget_raises_the_batch_of_a_flagfile(budget, tool, monkeypatch):
    monkeypatch.chdir(ROOT)
    for cell in _cells(tool.papers):
        command, *arguments = cell.arguments(budget)
        asked = main.command(command)
        if "batch_size" in asked.flags:
            own, given = (
                asked.parse([*flags, "--workdir=run"]).batch_size
                for flags in (arguments[:1], arguments)
            )
            assert given <= own, cell.name


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
        (["figure2", "--datasets=fashion_mnist"], "must be some of mnist, cifar10."),
        (
            ["table1", "--only=nonsense"],
            "--only=nonsense must be some of fixed,",
        ),
        (["linear", "--seeds=7"], "--seeds has no effect on linear"),
    ):
        run = reproduce(*arguments)
        assert run.returncode and message in run.stderr


def test_a_table_takes_the_flags_that_have_an_effect_on_it(tool):
    with flagsaver.flagsaver(budget="smoke"):
        assert {t: tool._takes(t) for t in ("linear", "search", "gtn", "ablation")} == {
            "linear": set(),
            "search": {"data_dir", "download"},
            "gtn": {"only", "seeds", "data_dir", "download"},
            "ablation": {"only", "seeds", "data_dir", "download"},
        }
        assert tool._takes("attack") == {*tool._OF_SOME}
        assert tool._takes("table1") == {*tool._OF_SOME} - {"pools"}


@pytest.mark.parametrize("budget", ["smoke", "hour", "full"])
def test_the_help_offers_rows_that_there_are(budget, tool):
    offered = tool.FLAGS["datasets"].help
    for table, rows in tool.papers.tables(budget).items():
        found = re.search(rf"\b{table}: (.*?) \(default: (.*?)\)", offered)
        assert bool(found) == (len(rows) > 1)
        with flagsaver.flagsaver(budget=budget):
            assert list(tool._asked(table)) == tool.papers.default_rows(table)
            if found:
                every = found[1].split(", ")
                assert found[2].split(",") == list(tool._asked(table))
                with flagsaver.flagsaver(datasets=every):
                    assert tool._asked(table) == rows and all(rows.values())


@pytest.mark.parametrize("budget", ["smoke", "hour", "full"])
def test_what_a_cell_computes_tells_it_from_others(budget, tool):
    for rows in tool.papers.tables(budget).values():
        for cells in rows.values():
            found = {" ".join(cell.arguments(budget)) for cell in cells}
            assert len(found) == len(cells)
    for table in ("table1", "gtn"):  # budgets share a file
        for cells in tool.papers.tables("hour")[table].values():
            for cell in cells:
                every = {tuple(cell.arguments(b)) for b in ("smoke", "hour", "full")}
                # Nearest neighbours take no networks: an hour is the whole.
                assert len(every) == 2 + ("/nn_" not in cell.name)


def test_a_cell_that_diverged_is_in_the_tables(tool, tmp_path):
    """Files hold null for the figures that are NaN."""
    names = ("accuracy", "attacked", "modified_accuracy")
    tests = {f"{name}_{of}": None for name in names for of in ("mean", "std")}
    tests |= {"num_students": 2, "accuracy_per_class": [None, 0.5]}
    beside = dict.fromkeys(("before", "random_real", "no_distilled_data"), tests)
    costs = {"seconds": 1, "num_images": 3, "bytes": 9, "peak_memory_bytes": 9}
    found = {**tests, **beside, **costs, "dataset": "d", "selection": "nothing"}
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"key": found}))
    metrics = tool._done(path)["key"]
    record = tool._record(tool.papers.Cell("d/cell", "a cell"), [metrics])
    assert "| a cell | | **nan ± nan** | nan |" in (
        tool.figures.markdown([record]).replace("  ", " ")
    )
    assert "| attacked | | nan ± nan | nan ± nan |" in (
        tool.figures.attack_markdown([record]).replace("  ", " ")
    )
    for draw in (tool.figures.bars, tool.figures.attack):
        draw([record])


def test_a_finished_cell_is_known_wherever_its_data_is(tool, tmp_path):
    cell = tool.papers.table2("mnist_usps")[2]
    assert cell.learned and cell.pool
    path = tmp_path / "table.json"
    key = f"{' '.join(cell.arguments('smoke'))} --seed=0"
    earlier = "--learned_rates=/a b/run --pool=/a b/pool --data_dir=/a b --download"
    for places in ("", f" {earlier}"):
        path.write_text(json.dumps({key + places: {"accuracy_mean": 0.5}}))
        for flags in ({}, {"download": True, "data_dir": "b", "workdir": "c"}):
            with flagsaver.flagsaver(budget="smoke", **flags):
                found = tool._result(cell, "table2", str(path), 0, "title")
                assert found == {"accuracy_mean": 0.5}
                assert tool._result(cell, "table2", str(path), 1, None) is None


def test_a_cell_is_done_with_one_pool(tool, monkeypatch, tmp_path, capsys):
    """Its folder has no room for a run with another one."""
    cell, ran = tool.papers.tables("smoke")["attack"]["mnist"][0], []

    def run(arguments):
        ran.append(arguments)
        folder = arguments[-1].partition("=")[2]
        os.makedirs(folder)
        with open(os.path.join(folder, "metrics.json"), "w") as file:
            json.dump({"accuracy_mean": 0.5}, file)

    monkeypatch.setattr(tool, "_tfdistill", run)
    path = str(tmp_path / "table.json")
    for name in ("one", "other"):
        folder = tmp_path / name / os.path.basename(tool.papers.POOLS[cell.pool].name)
        folder.mkdir(parents=True)
        (folder / "pool.json").write_text(name)

    def result(name):
        pools = str(tmp_path / name)
        with flagsaver.flagsaver(budget="smoke", workdir=str(tmp_path), pools=pools):
            return tool._result(cell, "attack", path, 0, "title")

    found = result("one")
    assert result("one") == result("gone") == found and len(ran) == 1
    with pytest.raises(SystemExit, match="done with another pool .* --workdir"):
        result("other")
    (known,) = json.loads(open(path).read().replace("pool_content", "old")).items()
    tool.files.write_json(path, dict([known]))  # an earlier state
    assert result("other")["accuracy_mean"] == 0.5 and len(ran) == 1


def test_a_folder_of_the_users_home_is_one_place(tool, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    names = "workdir", "pools", "data_dir"
    with flagsaver.flagsaver():
        tool.FLAGS(["reproduce", *(f"--{name}=~/{name}" for name in names)])
        for name in names:
            assert tool.FLAGS[name].value == str(tmp_path / name)


def test_a_record_tells_of_all_networks_and_of_one_distillation(tool):
    metrics = [
        {
            "dataset": "digits",
            "accuracy_mean": mean,
            "accuracy_std": 0.3,
            "num_students": 2,
            "num_images": 10,
            "bytes": 2048,
            "seconds": seconds,
            "selection": "nothing",
            "ordinary": {"accuracy_mean": 0.5, "updates": 20},
        }
        for mean, seconds in ((0.2, 10.0), (1.0, 30.0))
    ]
    record = tool._record(tool.papers.table1("digits")[1], metrics)
    assert record["num_students"] == 4 and record["seconds"] == 20
    assert record["accuracy_mean"] == pytest.approx(0.6)
    assert record["accuracy_std"] == pytest.approx(0.5)  # 0.3 within, 0.4 between
    text = tool.figures.markdown([record])
    assert "| 4 | 20 | 10 | 2 |" in text
    assert "Distillations of each cell: 2; seconds, images and KiB are those" in text
    assert "by 20 updates of Adam" in text and "1,000" not in text
    assert "Shuffled:" not in text
    for one in metrics:
        del one["ordinary"]
    record = tool._record(tool.papers.table1("digits")[1], metrics)
    assert "Ordinary:" not in tool.figures.markdown([record])


@pytest.mark.slow
def test_a_row_is_run_printed_written_and_not_run_again(tmp_path):
    arguments = [
        "table1",
        "--datasets=digits",
        "--budget=smoke",
        "--only=random,random_real,nn_k_means",
        f"--workdir={tmp_path / 'first'}",
    ]
    first = reproduce(*arguments)
    assert first.returncode == 0, first.stderr[-2000:]
    rows = re.findall(r"^\| .* \*\*\d+\.\d\d", first.stdout, re.MULTILINE)
    assert len(rows) == 3
    assert "Selected" in first.stdout and "Budget: smoke" in first.stdout
    with open(tmp_path / "first" / "table1_digits.json", encoding="utf-8") as file:
        cells = json.load(file)
    assert len(cells) == 3
    assert all(0 <= cell["accuracy_mean"] <= 1 for cell in cells.values())
    # Images, but not the nearest neighbours', teach by ordinary training, too.
    found = [c["ordinary"]["updates"] for c in cells.values() if "ordinary" in c]
    assert found == [20, 20]
    picture = tmp_path / "first" / "smoke" / "table1_digits.png"
    assert picture.stat().st_size > 10_000

    # Neither where the folder is nor how the data comes there is part of what is done.
    (tmp_path / "first").rename(tmp_path / "moved")
    again = reproduce(*arguments[:-1], "--download", f"--workdir={tmp_path / 'moved'}")
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
