"""Repeats the papers' tables and figures, with our column beside theirs.

    python tools/reproduce.py table1 --datasets=mnist --budget=hour
    python tools/reproduce.py figure2 | ablation | linear

Each cell of a table is one command of tfdistill and a flagfile in tools/flagfiles,
which can also be run alone (its first line says how). Cells run one after another;
a cell that is done is not run again, and one that was cut off goes on where it was.
The table is printed, and written with all its numbers and a picture into --workdir.

Budgets: "smoke" shows in minutes that everything runs; "hour" is a table in about an
hour on two cores, with 20 students a cell; "full" is the flagfiles as they are: the
paper's batches, outer steps and 200 students, for a GPU.
"""

import dataclasses
import json
import os
import platform
import shlex
import subprocess
import sys

import numpy as np
from absl import app, flags

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The checkout's own tfdistill, installed or not.
sys.path.insert(0, ROOT)

from tfdistill.commands import common  # noqa: E402

FLAGS = flags.FLAGS
flags.DEFINE_list("datasets", ["mnist"], "Rows: mnist, fashion_mnist, cifar10, digits.")
flags.DEFINE_enum("budget", "hour", ["smoke", "hour", "full"], "How much to compute.")
flags.DEFINE_string("workdir", "reproduced", "Where runs and results go.")
flags.DEFINE_string("data_dir", None, "Where TFDS keeps its data.")
flags.DEFINE_boolean("download", False, "Whether TFDS may download absent data.")
flags.DEFINE_integer("seeds", 1, "Distillations of each cell.", lower_bound=1)

MIB = 2**20
_SMOKE = {
    "distill": ["--outer_steps=20", "--batch_size=64", "--num_students=2"],
    "baseline": ["--num_sets=1", "--num_students=2"],
}
_HOUR = {
    "distill": ["--batch_size=256", "--num_students=20"],
    "baseline": ["--num_students=20"],
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One command of tfdistill with a flagfile, and what the paper has there.

    Attributes:
        name: Its flagfile, under tools/flagfiles, without ".txt".
        title: What the table calls it.
        command: Of tfdistill.
        paper: The paper's figure, as (mean, std) in percent; (mean, None) if it is of
            one network; None if the paper has none.
        hour: Flags for the budget "hour", after the flagfile's.
        learned: The name of a cell whose learned rates are tried, too.
    """

    name: str
    title: str
    command: str = "distill"
    paper: tuple[float, float | None] | None = None
    hour: tuple[str, ...] = ()
    learned: str | None = None

    def arguments(self, budget: str) -> list[str]:
        """The command and its flags but those of data, folder and seed."""
        arguments = [
            self.command,
            f"--flagfile={os.path.join('tools', 'flagfiles', self.name)}.txt",
        ]
        if budget == "smoke":
            arguments += _SMOKE[self.command]
        if budget == "hour":
            arguments += [*_HOUR[self.command], *self.hour]
        return arguments


#: Table 1 of Wang et al. 2018, in percent.
TABLE_1 = {
    "mnist": {
        "fixed": (96.6, None),
        "random": (79.5, 8.1),
        "random_real": (68.6, 9.8),
        "optimized_real": (73.0, 7.6),
        "k_means": (76.4, 9.5),
        "average_real": (77.1, 2.7),
        "nn_random_real": (71.5, 2.1),
        "nn_k_means": (92.2, 0.1),
    },
    "cifar10": {
        "fixed": (54.0, None),
        "random": (36.8, 1.2),
        "random_real": (21.3, 1.5),
        "optimized_real": (23.4, 1.3),
        "k_means": (22.5, 3.1),
        "average_real": (22.3, 0.7),
        "nn_random_real": (18.8, 1.3),
        "nn_k_means": (29.4, 0.3),
    },
    "fashion_mnist": {},
    "digits": {},
}
_TITLES = {
    "fixed": "distilled, fixed initial weights",
    "random": "distilled, random initial weights",
    "random_real": "random real",
    "optimized_real": "optimized real",
    "k_means": "k-means",
    "average_real": "average real",
    "nn_random_real": "k-NN, random real",
    "nn_k_means": "k-NN, k-means",
}
# Networks side by side use the cores best; of fixed weights there is one.
_DISTILLED = {
    "fixed": ("--minutes=20.0",),
    "random": ("--students_per_step=2", "--minutes=8.0"),
}
# AlexCifarNet takes twenty times as long as LeNet: an hour is not enough.
_CIFAR_10 = ("--minutes=120.0",)


def table1(dataset: str) -> list[Cell]:
    """A row of table 1."""
    return [
        Cell(
            f"{dataset}/{name}",
            title,
            "distill" if name in _DISTILLED else "baseline",
            TABLE_1[dataset].get(name),
            _hour(dataset, name),
            # The rates that were learned for random weights are one more candidate.
            learned=None if name in _DISTILLED else f"{dataset}/random",
        )
        for name, title in _TITLES.items()
    ]


def _hour(dataset, name):
    if name not in _DISTILLED:
        return ()
    return _DISTILLED[name] + (_CIFAR_10 if dataset == "cifar10" else ())


FIGURE_2 = [
    Cell(
        "mnist/ten_fixed",
        "MNIST, 10 images",
        "distill",
        (93.76, None),
        ("--minutes=14.0",),
    ),
    Cell(
        "cifar10/fixed",
        "CIFAR-10, 100 images",
        "distill",
        (54.03, None),
        _hour("cifar10", "fixed"),
    ),
]

_BASE = "mnist/random"
#: Cells by the number that is varied, as (number, flagfile).
ABLATION = {
    "steps": [
        (1, "ablation/steps_1"),
        (2, "ablation/steps_2"),
        (5, "ablation/steps_5"),
        (10, _BASE),
        (20, "ablation/steps_20"),
    ],
    "epochs": [
        (1, "ablation/epochs_1"),
        (2, "ablation/epochs_2"),
        (3, _BASE),
        (5, "ablation/epochs_5"),
    ],
    "images a class in each step": [
        (1, _BASE),
        (2, "ablation/images_2"),
        (5, "ablation/images_5"),
    ],
    "steps that 100 images are divided into": [
        (1, "ablation/hundred_1"),
        (2, "ablation/hundred_2"),
        (5, "ablation/hundred_5"),
        (10, _BASE),
    ],
}
# As many outer steps for each, however long they take.
_ABLATION = ("--outer_steps=400", "--students_per_step=2")


def ablation() -> list[Cell]:
    """The cells of all of them, each once."""
    names = dict.fromkeys(name for points in ABLATION.values() for _, name in points)
    return [Cell(name, name.replace("/", ": ", 1), hour=_ABLATION) for name in names]


def run(cells: list[Cell], table: str) -> list[dict]:
    """Runs the cells that are not done; returns a record of each."""
    path = os.path.join(FLAGS.workdir, f"{table}.json")
    done = _read(path)
    records = []
    for number, cell in enumerate(cells):
        found = []
        for seed in range(FLAGS.seeds):
            folder = _folder(table, cell.name, seed)
            arguments = [*cell.arguments(FLAGS.budget), f"--seed={seed}"]
            if cell.learned and any(c.name == cell.learned for c in cells):
                learned = _folder(table, cell.learned, seed)
                arguments.append(f"--learned_rates={learned}")
            if FLAGS.data_dir:
                arguments.append(f"--data_dir={os.path.abspath(FLAGS.data_dir)}")
            if FLAGS.download:
                arguments.append("--download")
            key = " ".join(arguments)
            if key not in done:
                print(
                    f"\n[{number + 1}/{len(cells)}] tfdistill {shlex.join(arguments)}",
                    flush=True,
                )
                _tfdistill([*arguments, f"--workdir={folder}"])
                with open(os.path.join(folder, "metrics.json"), "rb") as file:
                    done[key] = json.load(file)
                common.write_json(path, done)
            found.append(done[key])
        records.append(_record(cell, found))
    return records


def _folder(table, name, seed):
    parts = [FLAGS.workdir, FLAGS.budget, table, name.replace("/", "_")]
    return os.path.abspath(os.path.join(*parts) + (f"_seed{seed}" if seed else ""))


def _tfdistill(arguments):
    path = [ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    status = subprocess.run(
        [sys.executable, "-m", "tfdistill", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
    ).returncode
    if status:
        sys.exit(
            f"reproduce: tfdistill {arguments[0]} ended with exit code {status}; the "
            "same command goes on from here."
        )


def _record(cell, metrics):
    """What the table shows of a cell: all students of all its distillations."""
    means = np.array([m["accuracy_mean"] for m in metrics])
    variances = np.array([m["accuracy_std"] ** 2 for m in metrics])
    before = [m["before"]["accuracy_mean"] for m in metrics if "before" in m]
    return {
        "name": cell.name,
        "title": cell.title,
        "dataset": metrics[0]["dataset"],
        "paper": cell.paper,
        "accuracy_mean": float(means.mean()),
        "accuracy_std": float(np.sqrt(variances.mean() + means.var())),
        "before": float(np.mean(before)) if before else None,
        "num_students": sum(m["num_students"] for m in metrics),
        "seeds": len(metrics),
        "seconds": sum(m["seconds"] for m in metrics),
        "num_images": metrics[0]["num_images"],
        "bytes": metrics[0]["bytes"],
        "peak_memory_bytes": max(m["peak_memory_bytes"] for m in metrics),
        "selection": metrics[0]["selection"],
        "outer_steps": [m["outer_steps"] for m in metrics if "outer_steps" in m],
    }


def markdown(records: list[dict]) -> str:
    """The records as a table, with what was selected on what below it."""
    lines = [
        "| | paper % | ours % | before % | networks | seconds | images | KiB "
        "| peak MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in records:
        paper, before = "", ""
        if r["paper"]:
            mean, std = r["paper"]
            paper = f"{mean}" if std is None else f"{mean} ± {std}"
        if r["before"] is not None:
            before = f"{100 * r['before']:.2f}"
        ours = f"{100 * r['accuracy_mean']:.2f}"
        if r["num_students"] > 1:
            ours += f" ± {100 * r['accuracy_std']:.2f}"
        lines.append(
            f"| {r['title']} | {paper} | **{ours}** | {before} | {r['num_students']} "
            f"| {r['seconds']:.0f} | {r['num_images']} | {r['bytes'] / 1024:.0f} "
            f"| {r['peak_memory_bytes'] / MIB:.0f} |"
        )
    lines.append("")
    for selection in dict.fromkeys(r["selection"] for r in records):
        titles = [r["title"] for r in records if r["selection"] == selection]
        lines.append(f"Selected, {', '.join(titles)}: {selection}.")
    lines += [
        "Accuracy is on the whole test set, ± the standard deviation over networks; of "
        "fixed weights there is one network. Distillations of each cell: "
        f"{max(r['seeds'] for r in records)}.",
        f"Budget: {FLAGS.budget}. Machine: {_machine()}.",
    ]
    return "\n".join(lines)


def _machine():
    import keras
    import tensorflow as tf

    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return (
        f"{os.cpu_count()} CPU cores, {', '.join(gpus) or 'no GPU'}; Python "
        f"{platform.python_version()}, TensorFlow {tf.__version__}, "
        f"Keras {keras.__version__}"
    )


def bars(records: list[dict]):
    """A figure: each cell's accuracy, with the paper's beside it."""
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(
        figsize=(7.5, 0.55 * len(records) + 1.2), layout="constrained"
    )
    rows = np.arange(len(records))
    mean = [100 * r["accuracy_mean"] for r in records]
    std = [100 * r["accuracy_std"] for r in records]
    known = [(row, *r["paper"]) for row, r in zip(rows, records) if r["paper"]]
    # Beside the paper's bars; in the middle where there are none.
    aside = 0.19 if known else 0.0
    style = {"height": 0.36, "error_kw": {"elinewidth": 1, "alpha": 0.6}}
    axis.barh(rows - aside, mean, xerr=std, label="ours", color="tab:blue", **style)
    if known:
        at, mean, std = zip(*known)
        axis.barh(
            np.array(at) + aside,
            mean,
            xerr=[s or 0 for s in std],
            label="paper",
            color="0.72",
            **style,
        )
        axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    axis.set_yticks(rows, [r["title"] for r in records])
    axis.invert_yaxis()
    axis.set(xlim=(0, 100), xlabel="test accuracy (%)")
    axis.grid(axis="x", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def curves(groups: dict[str, list[tuple[int, dict]]]):
    """A figure: accuracy against each of the numbers that an ablation varies."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        1,
        len(groups),
        figsize=(3.2 * len(groups), 3.2),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, (title, points) in zip(axes[0], groups.items()):
        at = [x for x, _ in points]
        mean = [100 * r["accuracy_mean"] for _, r in points]
        std = [100 * r["accuracy_std"] for _, r in points]
        axis.errorbar(at, mean, std, fmt="o-", capsize=3, ms=4, elinewidth=1)
        axis.set(xlabel=title, xscale="log")
        axis.minorticks_off()
        axis.set_xticks(at, list(map(str, at)))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("test accuracy (%)")
    return figure


def run_table1():
    """Runs table 1, a table a data set."""
    for dataset in FLAGS.datasets:
        records = run(table1(dataset), f"table1_{dataset}")
        _publish(f"table1_{dataset}", records, bars(records))


def run_figure2():
    """Runs figure 2's two cells: one step on MNIST, ten on CIFAR-10."""
    cells = [c for c in FIGURE_2 if c.name.split("/")[0] in FLAGS.datasets]
    records = run(cells, "figure2")
    _publish("figure2", records, bars(records))


def run_ablation():
    """Runs accuracy against steps, epochs and images, random initial weights."""
    records = run(ablation(), "ablation")
    by_name = {r["name"]: r for r in records}
    _publish(
        "ablation",
        records,
        curves(
            {
                title: [(number, by_name[name]) for number, name in points]
                for title, points in ABLATION.items()
            }
        ),
    )


def run_linear():
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
    common.write_json(
        os.path.join(FLAGS.workdir, "linear.json"),
        {"points": counts, "excess_loss": losses},
    )
    _publish("linear", None, _linear_figure(problem, counts, losses), "\n".join(lines))


def _linear_figure(problem, counts, losses):
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    below = np.arange(1, problem.dimension)
    low, high = np.transpose([problem.bounds(m) for m in below])
    axis.fill_between(
        below, low, high, alpha=0.25, lw=0, label="where the theory has the least"
    )
    axis.plot(counts, losses, "o", color="tab:blue", label="learned")
    axis.axvline(problem.dimension, color="0.6", ls=":", lw=1)
    axis.annotate(
        "M = D",
        (problem.dimension, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -12),
        textcoords="offset points",
        color="0.4",
    )
    axis.set(
        yscale="log",
        xlabel="distilled points M",
        ylabel="meta-loss above the optimum's",
    )
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    return figure


def _publish(name, records, figure, text=None):
    from tfdistill import plots

    text = text or markdown(records)
    path = os.path.join(FLAGS.workdir, name)
    plots.save(figure, f"{path}.png")
    common.write_text(f"{path}.md", text + "\n")
    print(f"\n{text}\n\nWritten: {path}.md, {path}.json and {path}.png.")


def _read(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


TABLES = {
    "table1": run_table1,
    "figure2": run_figure2,
    "ablation": run_ablation,
    "linear": run_linear,
}


def main(arguments):
    if len(arguments) != 2 or arguments[1] not in TABLES:
        sys.exit(
            f"reproduce: name one of {', '.join(TABLES)}, not "
            f"{' '.join(arguments[1:]) or 'nothing'}."
        )
    unknown = sorted(set(FLAGS.datasets) - set(TABLE_1))
    if unknown or not FLAGS.datasets:
        sys.exit(
            f"reproduce: --datasets={','.join(FLAGS.datasets)} must be some of "
            f"{', '.join(TABLE_1)}."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.makedirs(FLAGS.workdir, exist_ok=True)
    TABLES[arguments[1]]()


if __name__ == "__main__":
    app.run(main)
