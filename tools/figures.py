"""Tables in Markdown and pictures of what was reproduced."""

import os
import platform

import numpy as np

from tfdistill._internal import spread

MIB = 2**20


def markdown(records: list[dict]) -> str:
    """The records as a table, with what was selected on what below it."""
    lines = [
        "| | paper % | ours % | before % | shuffled % | ordinary % | networks "
        "| seconds | images | KiB | peak MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in records:
        paper = ""
        if r["paper"]:
            mean, std = r["paper"]
            paper = f"{mean}" if std is None else f"{mean} ± {std}"
        before, shuffled, ordinary = (
            "" if r[name] is None else f"{100 * r[name]:.2f}"
            for name in ("before", "shuffled", "ordinary")
        )
        found = r["accuracy_mean"], r["accuracy_std"]
        ours = spread.percent(*found, r["num_students"])
        line = (
            f"| {r['title']} | {paper} | **{ours}** | {before} | {shuffled} "
            f"| {ordinary} | {r['num_students']} "
        )
        if r["num_images"] is None:
            line += "| | all | | |"
        else:
            line += (
                f"| {r['seconds']:.0f} | {r['num_images']} | {r['bytes'] / 1024:.0f} "
                f"| {r['peak_memory_bytes'] / MIB:.0f} |"
            )
        lines.append(line)
    lines.append("")
    for selection in dict.fromkeys(r["selection"] for r in records):
        titles = [r["title"] for r in records if r["selection"] == selection]
        lines.append(f"Selected, {', '.join(titles)}: {selection}.")
    notes = (
        "Accuracy is on the whole test set, ± the standard deviation over networks; of "
        "fixed weights there is one network. Distillations of each cell: "
        f"{max(r['seeds'] for r in records)}; seconds, images and KiB are those of one."
    )
    if any(r["shuffled"] is not None for r in records):
        notes += (
            " Shuffled: on the same distilled data, its steps in another order for "
            "each network."
        )
    found = [m["ordinary"] for r in records for m in r["metrics"] if "ordinary" in m]
    if found:
        updates = " or ".join(f"{n:,}" for n in sorted({m["updates"] for m in found}))
        notes += (
            f" Ordinary: as many networks on the same images by {updates} updates of "
            "Adam (tfdistill evaluate --ordinary)."
        )
    return "\n".join([*lines, notes])


def pooled(metrics: list[dict], name: str) -> tuple[float, float]:
    """Mean and standard deviation over the networks of several distillations.

    Args:
        metrics: Of each, over as many networks.
        name: Of the figure, without "_mean" and "_std".
    """
    means = np.array([m[f"{name}_mean"] for m in metrics])
    variances = np.array([m[f"{name}_std"] ** 2 for m in metrics])
    return float(means.mean()), float(np.sqrt(variances.mean() + means.var()))


def machine() -> str:
    """What ran it, in words."""
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


def attack_markdown(records: list[dict]) -> str:
    """The four figures of each attack, before and after it, as a table."""
    lines = [
        "| | | paper % | called target % | accuracy % | against modified labels % "
        "| networks | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in records:
        for title, key in (
            ("before", "no_distilled_data"),
            ("random real images", "random_real"),
            ("attacked", None),
        ):
            found = [m[key] if key else m for m in r["metrics"]]
            cells = [r["title"] if key == "no_distilled_data" else "", title]
            cells.append(f"{r['paper'][0]} ± {r['paper'][1]}" if r["paper"] else "")
            if key:
                cells[-1] = ""
            cells += [
                _percent(*pooled(found, name))
                for name in ("attacked", "accuracy", "modified_accuracy")
            ]
            seconds = "" if key else f"{r['seconds']:.0f}"
            cells += [str(r["num_students"]), seconds]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            *lines,
            "",
            "± is the standard deviation over networks, on the whole test set; one "
            "gradient-descent step on 100 images. Attacks of each row: "
            f"{max(r['seeds'] for r in records)}; seconds are those of one. Nothing "
            "was selected on test images.",
        ]
    )


def _percent(mean, std):
    return f"{100 * mean:.2f} ± {100 * std:.2f}"


def attack(records: list[dict]):
    """A figure: the accuracy of each class, before and after each attack."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        len(records),
        1,
        figsize=(7.5, 2.6 * len(records)),
        squeeze=False,
        layout="constrained",
    )
    for axis, r in zip(axes[:, 0], records):
        for shift, key, label, color in (
            (-0.19, "no_distilled_data", "before", "0.72"),
            (0.19, None, "attacked", "tab:red"),
        ):
            found = [m[key] if key else m for m in r["metrics"]]
            shares = np.array([m["accuracy_per_class"] for m in found], float)
            shares = 100 * shares.mean(0)  # None, of a class without images, is NaN
            at = np.arange(len(shares))
            axis.bar(at + shift, shares, width=0.36, label=label, color=color)
        axis.set_xticks(at, list(map(str, at)))
        axis.set(title=r["title"], ylim=(0, 100), ylabel="recognised (%)")
        axis.grid(axis="y", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("class")
    axes[0, 0].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


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


def linear(problem, counts, losses):
    """A figure: the linear case's meta-loss against the distilled points."""
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
