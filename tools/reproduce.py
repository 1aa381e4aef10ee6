"""Repeats the papers' tables and figures, with our column beside theirs.

    python tools/reproduce.py table1 --datasets=mnist --budget=hour
    python tools/reproduce.py table2 --datasets=mnist_usps,usps_mnist
    python tools/reproduce.py table3 --datasets=fashion_mnist_mnist
    python tools/reproduce.py today --datasets=mnist --seeds=2
    python tools/reproduce.py attack | gtn | search | figure2 | ablation | linear

Each cell of a table is one command of tfdistill and a flagfile in tools/flagfiles,
which can also be run alone (its first lines say how). Cells run one after another;
a cell that is done is not run again, and one that was cut off goes on where it was.
The pools of pretrained students that a table needs are made first, once for all tables.
The table is printed, and written with a picture into --workdir, a folder a budget; all
its numbers are in a JSON file in --workdir.

Budgets: "smoke" shows in minutes that everything runs; "hour" is a table in about an
hour on two cores, with 20 students a cell; "full" is the flagfiles as they are: the
paper's batches, outer steps and 200 students, for a GPU. The flagfiles of "today" are
for two cores as they are, in an hour or two a cell; "full" takes those for a GPU.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time

import numpy as np
from absl import app, flags

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The checkout's own tfdistill, installed or not, and the modules beside this file.
sys.path[:0] = [ROOT, os.path.dirname(os.path.abspath(__file__))]

import cells as papers  # noqa: E402
import figures  # noqa: E402
import paths  # noqa: E402

from tfdistill._internal import fields  # noqa: E402
from tfdistill.cli import content  # noqa: E402
from tfdistill.runs import files  # noqa: E402

FLAGS = flags.FLAGS
flags.DEFINE_list(
    "datasets",
    None,
    "Rows, by their data. "
    + " ".join(
        f"{table}: {', '.join(rows)} (default: {','.join(papers.default_rows(table))})."
        for table, rows in papers.tables("full").items()
        if len(rows) > 1
    ),
)
flags.DEFINE_list(
    "only",
    None,
    "The cells to run, by the last part of their flagfile's name, such as random; the "
    "table then shows these and those that are done. All if not given.",
)
flags.DEFINE_enum("budget", "hour", ["smoke", "hour", "full"], "How much to compute.")
paths.define("workdir", "reproduced", "Where runs and results go.")
paths.define(
    "pools",
    None,
    "Where the pools are, a folder each (mnist, usps, ...): those that are there are "
    "used, the others made; by default a folder in --workdir. For table2, table3 and "
    "attack.",
)
paths.define("data_dir", None, "Where TFDS keeps its data.")
flags.DEFINE_boolean("download", False, "Whether TFDS may download absent data.")
flags.DEFINE_integer("seeds", 1, "Distillations of each cell.", lower_bound=1)


def run(cells: list[papers.Cell], table: str) -> list[dict]:
    """Runs the cells that are not done; returns a record of each that then is."""
    from tfdistill.runs.progress import Progress

    path = os.path.join(FLAGS.workdir, f"{table}.json")
    # The commands have bars of their own; this one tells the time that all take.
    records, progress = [], Progress(shown=False)
    progress.part(table, len(cells), "cells")
    for number, cell in enumerate(cells):
        progress.to(number)
        began = time.monotonic()
        wanted = not FLAGS.only or os.path.basename(cell.name) in FLAGS.only
        if cell.command == "pretrain":
            folder = _pool(cell, make=wanted)
            found = [_of_pool(folder)] if folder else []
        else:
            title = f"[{progress.line}]" if wanted else None
            seeds = range(FLAGS.seeds)
            found = [_result(cell, table, path, s, title) for s in seeds]
        if time.monotonic() - began < 1:  # it was done before, which tells nothing
            progress.part(table, len(cells), "cells", number + 1)
        if all(found) and found:
            records.append(_record(cell, found))
    if not records:
        names = ", ".join(os.path.basename(cell.name) for cell in cells)
        sys.exit(f"reproduce: no cell of {table} is done; --only takes {names}.")
    return records


def _result(cell, table, path, seed, title):
    """The metrics of a cell, which is run if it is not done and has a title."""
    arguments = [*cell.arguments(FLAGS.budget), f"--seed={seed}"]
    # What it computes, and not where its data and what was made before it are.
    key = " ".join(arguments)
    done, pool = _done(path), cell.pool and papers.POOLS[cell.pool]
    if key in done:
        _check_pool(cell, done[key], pool)
    if key in done or not title:
        return done.get(key)
    learned = cell.learned and _folder(table, cell.learned, seed)
    if learned:
        arguments.append(f"--learned_rates={learned}")
    if pool:
        arguments.append(f"--pool={_pool_folder(pool)}")
    arguments += _data_flags()
    if learned and not os.path.isfile(os.path.join(learned, "metrics.json")):
        sys.exit(
            f"reproduce: {cell.name} tries the rates that {cell.learned} learns, which "
            f"is not done: add {os.path.basename(cell.learned)} to --only."
        )
    if pool:
        _pool(pool, make=True)
    print(f"\n{title} tfdistill {shlex.join(arguments)}", flush=True)
    folder = _folder(table, cell.name, seed)
    _tfdistill([*arguments, f"--workdir={folder}"])
    metrics = _read(os.path.join(folder, "metrics.json"))
    if cell.ordinary:
        metrics["ordinary"] = _ordinary(folder, metrics["num_students"])
    if pool:
        metrics["pool_content"] = _content(pool)
    # Another process may have done other cells in the meantime.
    files.write_json(path, {**_done(path), key: metrics})
    return metrics


def _content(pool):
    """A hash of the students of a pool; None if it is not there."""
    path = os.path.join(_pool_folder(pool), "pool.json")
    return content.of_path(path) if os.path.isfile(path) else None


def _check_pool(cell, metrics, pool):
    """Exits if a cell is done with another pool than the one that is there.

    Neither a pool that is gone nor earlier states of this program say which it was.
    """
    known, found = metrics.get("pool_content"), pool and _content(pool)
    if known and found and known != found:
        sys.exit(
            f"reproduce: {cell.name} is done with another pool than that in "
            f"{_pool_folder(pool)}: choose another --workdir, or the --pools of before."
        )


# Earlier states of this program kept these in the keys.
_PLACES = re.compile(r" --(?:(?:learned_rates|pool|data_dir)=.*?|download)(?= --|$)")


def _done(path):
    """The metrics of the cells of a table that are done, by what they compute."""
    return {_PLACES.sub("", key): metrics for key, metrics in _read(path).items()}


def _ordinary(folder, count):
    """What the images of a run teach as many networks by ordinary training."""
    updates = 20 if FLAGS.budget == "smoke" else 1000
    networks = [f"--num_students={count}", f"--updates={updates}"]
    _tfdistill(
        ["evaluate", "--ordinary", *networks, *_data_flags(), f"--workdir={folder}"]
    )
    return _read(os.path.join(folder, f"metrics-{updates}-updates-0.001.json"))


def _pool(cell, make):
    """The folder of a pool, made if it is not there; None if it is not to be made."""
    folder = _pool_folder(cell)
    if not os.path.isfile(os.path.join(folder, "pool.json")):
        if not make:
            return None
        arguments = [*cell.arguments(FLAGS.budget), *_data_flags()]
        print(f"\n[pool] tfdistill {shlex.join(arguments)}", flush=True)
        _tfdistill([*arguments, f"--workdir={folder}"])
    return folder


def _pool_folder(cell):
    pools = FLAGS.pools or os.path.join(FLAGS.workdir, FLAGS.budget, "pools")
    return os.path.abspath(os.path.join(pools, os.path.basename(cell.name)))


def _of_pool(folder):
    """What a table shows of pretrained students: how they do on their own data."""
    with open(os.path.join(folder, "pool.json"), "rb") as file:
        pool = json.load(file)
    accuracies = [student["accuracy"] for student in pool["students"]]
    return {
        "dataset": pool["dataset"],
        "accuracy_mean": float(np.mean(accuracies)),
        "accuracy_std": float(np.std(accuracies)),
        "num_students": len(accuracies),
        "selection": "nothing",
    }


def _data_flags():
    arguments = []
    if FLAGS.data_dir:
        arguments.append(f"--data_dir={os.path.abspath(FLAGS.data_dir)}")
    if FLAGS.download:
        arguments.append("--download")
    return arguments


def _folder(table, name, seed):
    parts = [FLAGS.workdir, FLAGS.budget, table, name.replace("/", "_")]
    return os.path.abspath(os.path.join(*parts) + (f"_seed{seed}" if seed else ""))


def execute(arguments: list[str]) -> int:
    """Runs a command of tfdistill; returns its exit status."""
    path = [ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-m", "tfdistill", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
    ).returncode


def _tfdistill(arguments):
    status = execute(arguments)
    if status:
        sys.exit(
            f"reproduce: tfdistill {arguments[0]} ended with exit code {status}; the "
            "same command goes on from here."
        )


def _record(cell, metrics):
    """What the table shows of a cell: all students of all its distillations.

    Seconds, images and bytes are those of one.
    """
    mean, std = figures.pooled(metrics, "accuracy")
    return {
        "name": cell.name,
        "title": cell.title,
        "dataset": metrics[0]["dataset"],
        "paper": cell.paper,
        "accuracy_mean": mean,
        "accuracy_std": std,
        "before": _mean_of("before", metrics),
        "shuffled": _mean_of("shuffled", metrics),
        "ordinary": _mean_of("ordinary", metrics),
        "num_students": sum(m["num_students"] for m in metrics),
        "seeds": len(metrics),
        # Not of a pool, whose students saw the whole training set.
        "seconds": float(np.mean([m.get("seconds", 0) for m in metrics])),
        "num_images": metrics[0].get("num_images"),
        "bytes": metrics[0].get("bytes"),
        "peak_memory_bytes": max(m.get("peak_memory_bytes", 0) for m in metrics),
        "selection": metrics[0]["selection"],
        "outer_steps": [m["outer_steps"] for m in metrics if "outer_steps" in m],
        "metrics": metrics,
    }


def _mean_of(name, metrics):
    found = [m[name]["accuracy_mean"] for m in metrics if name in m]
    return float(np.mean(found)) if found else None


def run_rows(table, rows):
    """A table and a picture of each row."""
    for row, cells in rows.items():
        name = f"{table}_{row}" if row else table
        records = run(cells, name)
        _publish(name, records, figures.bars(records))


def run_attack(table, rows):
    """Runs the attack, a table a data set."""
    for dataset, cells in rows.items():
        records = run(cells, f"{table}_{dataset}")
        text = figures.attack_markdown(records)
        _publish(f"{table}_{dataset}", records, figures.attack(records), text)


def run_search(table, rows):
    """Ranks architectures by distilled images, and by real ones to compare."""
    data, search = rows[""]
    _result(data, table, os.path.join(FLAGS.workdir, f"{table}.json"), 0, "[1/2]")
    arguments = search.arguments(FLAGS.budget)
    arguments += [f"--distilled={_folder(table, data.name, 0)}"]
    arguments += _data_flags()
    print(f"\n[2/2] tfdistill {shlex.join(arguments)}", flush=True)
    # It shows its own table, and its folder has a picture.
    _tfdistill([*arguments, f"--workdir={_folder(table, search.name, 0)}"])


def run_figure2(table, rows):
    """Runs figure 2's cells, of which one table shows all."""
    run_rows(table, {"": sum(rows.values(), [])})


def run_ablation(table, rows):
    """Runs accuracy against steps, epochs and images, random initial weights."""
    records = run(rows[""], table)
    by_name = {r["name"]: r for r in records}
    _publish(
        table,
        records,
        figures.curves(
            {
                title: [(n, by_name[name]) for n, name in points if name in by_name]
                for title, points in papers.ABLATION.items()
            }
        ),
    )


def run_linear(table, _):
    """Runs the linear case: the meta-loss of M points in D = 16 dimensions."""
    from tfdistill import linear

    outer_steps = {"smoke": 20}.get(FLAGS.budget, 1000)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((200, 16))
    problem = linear.LinearProblem(inputs, inputs @ rng.standard_normal(16))
    counts = [4, 8, 12, 15, 16, 24]
    lines = [
        "| M | meta-loss | lower bound of the least | upper bound |",
        "|---|---|---|---|",
    ]
    losses = []
    for count in counts:
        points = linear.distil(problem, count, outer_steps=outer_steps)
        losses.append(problem.excess_loss(*points.values()))
        low, high = problem.bounds(count)
        lines.append(f"| {count} | {losses[-1]:.3g} | {low:.4g} | {high:.4g} |")
    lines.append("")
    lines.append(
        "The meta-loss above that of the optimum, in expectation over the initial "
        f"weights, after {outer_steps} outer steps; D = 16."
    )
    files.write_json(
        os.path.join(FLAGS.workdir, FLAGS.budget, f"{table}.json"),
        {"points": counts, "excess_loss": losses},
    )
    figure = figures.linear(problem, counts, losses)
    _publish(table, None, figure, "\n".join(lines))


def _publish(name, records, figure, text=None):
    from tfdistill import plots

    text = text or figures.markdown(records)
    if records is not None:
        text += f"\nBudget: {FLAGS.budget}. Machine: {figures.machine()}."
    # Beside the budget's runs, so that one budget's table never replaces another's.
    path = os.path.join(FLAGS.workdir, FLAGS.budget, name)
    plots.save(figure, f"{path}.png")
    files.write_text(f"{path}.md", text + "\n")
    print(f"\n{text}\n\nWritten: {path}.md and {path}.png.")


def _read(path):
    """Results of a file, at whatever depth, whose figures are NaN where it has null."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file, object_hook=_with_figures)


def _with_figures(found):
    return {
        key: fields.figure(value) if key.endswith(("_mean", "_std")) else value
        for key, value in found.items()
    }


def run_today(table, rows):
    """Distils for ordinary training, and judges each cell beside real images."""
    for dataset, cells in rows.items():
        name = f"{table}_{dataset}"
        records = run(cells, name)
        _publish(name, records, figures.bars(records))
        done = {record["name"] for record in records}
        for cell in cells:
            if cell.name in done:
                _judge(cell, dataset, name)


# Networks that nothing was distilled through are among them.
_JUDGES = "--architectures=wide_convnet@32-64-128,convnet@32,lenet"
_JUDGED = {
    "smoke": ["--networks=2", "--choosing=1", "--updates=20", "--attack_images=0"],
    "hour": ["--choosing=1", "--updates=1000", "--attack_images=0"],
    "full": ["--choosing=2", "--updates=1000,3000", "--networks=5"],
}


def _judge(cell, dataset, table):
    """One table of a cell's distillations, random real images, k-means and herding."""
    sets = [
        f"seed{seed}={_folder(table, cell.name, seed)}" for seed in range(FLAGS.seeds)
    ]
    arguments = [
        "compare",
        f"--sets={','.join(sets)}",
        f"--dataset={dataset}",
        _JUDGES,
        *_JUDGED[FLAGS.budget],
        *_data_flags(),
    ]
    print(f"\n[judged] tfdistill {shlex.join(arguments)}", flush=True)
    # Those of fewer seeds are another comparison.
    name = f"{cell.name}_judged" + (f"_{FLAGS.seeds}" if FLAGS.seeds > 1 else "")
    _tfdistill([*arguments, f"--workdir={_folder(table, name, 0)}"])


TABLES = {
    "today": run_today,
    "table1": run_rows,
    "table2": run_rows,
    "table3": run_rows,
    "attack": run_attack,
    "gtn": run_rows,
    "search": run_search,
    "figure2": run_figure2,
    "ablation": run_ablation,
    "linear": run_linear,
}


def _takes(table):
    """The flags that have an effect on a table, besides --budget and --workdir."""
    rows = papers.tables(FLAGS.budget)[table]
    found = {"data_dir", "download"} if rows else set()
    if rows and table != "search":  # which is of one distillation
        found |= {"only", "seeds"}
    if len(rows) > 1:
        found.add("datasets")
    if any(cell.pool for cells in rows.values() for cell in cells):
        found.add("pools")
    return found


_OF_SOME = ("datasets", "only", "seeds", "pools", "data_dir", "download")


def _asked(table):
    """The cells to run, by row; exits if a flag is wrong or has no effect."""
    takes, rows = _takes(table), papers.tables(FLAGS.budget)[table]
    for flag in _OF_SOME:
        if flag not in takes and FLAGS[flag].value != FLAGS[flag].default:
            sys.exit(f"reproduce: --{flag} has no effect on {table}: leave it out.")
    _check_known("datasets", rows)
    rows = {row: rows[row] for row in FLAGS.datasets or papers.default_rows(table)}
    cells = sum(rows.values(), [])
    _check_known("only", dict.fromkeys(os.path.basename(c.name) for c in cells))
    return rows


def _check_known(flag, known):
    given = FLAGS[flag].value or []
    if not set(given) <= set(known):
        sys.exit(
            f"reproduce: --{flag}={','.join(given)} must be some of {', '.join(known)}."
        )


def main(arguments):
    if len(arguments) != 2 or arguments[1] not in TABLES:
        sys.exit(
            f"reproduce: name one of {', '.join(TABLES)}, not "
            f"{' '.join(arguments[1:]) or 'nothing'}."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    table = arguments[1]
    rows = _asked(table)
    os.makedirs(os.path.join(FLAGS.workdir, FLAGS.budget), exist_ok=True)
    TABLES[table](table, rows)


if __name__ == "__main__":
    app.run(main)
