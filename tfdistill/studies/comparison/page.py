"""A comparison as a Markdown table and as an HTML page."""

from importlib import resources

import jinja2

from tfdistill._internal import spread
from tfdistill._internal.version import __version__
from tfdistill.evaluation import pairs
from tfdistill.studies.comparison.result import Comparison

#: The columns: title, what it means.
COLUMNS = {
    "accuracy": "Share of the test images that fresh networks of the set's own "
    "architecture (else the main one) call right: mean ± standard deviation over "
    "networks, with the 95 % confidence interval of the mean. Rate, updates, labels "
    "and random changes are the best on validation images.",
    "trained with": "The labels (the set's own, hard ones, or a teacher's) and the "
    "random changes of the images that were best on validation images.",
    "transfer": "Mean accuracy of the other architectures, and of the worst of them.",
    "LRS": "DD-Ranking's label-robust score, 0 to 1, of the main architecture: high if "
    "the set beats random images of the same number, and falls little behind all the "
    "real data when its labels are made hard. Random images have at most 0.27.",
    "ARS": "DD-Ranking's augmentation-robust score, 0 to 1, of the main architecture: "
    "high if the set beats random images with random changes and without. Random "
    "images have 0.27.",
    "FGSM": "Accuracy on test images attacked in one step, as a share of that on the "
    "same images unchanged.",
    "PGD": "The same under the stronger attack of several steps.",
    "ECE": "Expected calibration error: how far confidence and accuracy lie apart, "
    "after one factor for all outputs that is chosen on validation images.",
    "KiB": "Size of images, as they are read (float32; float16 of sets in half "
    "precision), and labels.",
    "s": "Seconds that training one network took, two at a time.",
}


def rows(comparison: Comparison) -> list[dict]:
    """A row of text for each set, given ones first, by `COLUMNS` and "set"."""
    found = []
    for name, about in comparison.sets.items():
        f = comparison.figures(name)
        count = len(f["accuracies"])
        accuracy = _spread(f["accuracy_mean"], f["accuracy_std"], count)
        if f["accuracy_low"] is not None:
            ends = _percent(f["accuracy_low"]), _percent(f["accuracy_high"])
            accuracy += f" ({ends[0]} to {ends[1]})"
        changes = "random changes" if f["changed"] else "no changes"
        transfer = "–"
        if f["transfer_mean"] is not None:
            transfer = _percent(f["transfer_mean"])
            transfer += f" (worst {_percent(f['transfer_worst'])})"
        found.append(
            {
                "set": f"{name} ({f['images']} images, {f['architecture']})",
                "accuracy": accuracy,
                "trained with": f"{f['labels']} labels, {changes}",
                "transfer": transfer,
                "LRS": _number(f["label_robust"]),
                "ARS": _number(f["augmentation_robust"]),
                "FGSM": _number(f["fgsm"]),
                "PGD": _number(f["pgd"]),
                "ECE": _percent(f["calibration_error"]),
                "KiB": f"{f['bytes'] / 1024:.0f}",
                "s": f"{f['seconds']:.1f}",
                "given": about["given"],
            }
        )
    return found


def sentences(comparison: Comparison) -> list[str]:
    """What can be said of every two rivals."""
    return [pairs.sentence(pair) for pair in comparison.pairs()]


def notes(comparison: Comparison) -> list[str]:
    """What one must know to read the table."""
    s = comparison.settings
    found = [
        f"Test images of {comparison.dataset}; {s['networks']} networks a cell, the "
        "last step of each. All choices are made on validation images of the real "
        "training data; test images decide nothing.",
        f"Architectures: {', '.join(comparison.architectures)} (the first is the main "
        f"one). Adam, rates {_listed(s['rates'])}, updates {_listed(s['updates'])}, "
        f"batches of {s['batch_size']}.",
        f'"Better" is said if a paired t-test over networks of {_main(comparison)} '
        "with the same initial weights, corrected by Holm for all pairs, has p below "
        f"{pairs.SIGNIFICANCE}.",
    ]
    if comparison.real_accuracy is not None:
        found.append(
            f"One network of {_main(comparison)} that learned from all real images "
            f"({s['teacher_epochs']} epochs) has "
            f"{_percent(comparison.real_accuracy)} %; it is the teacher."
        )
        if better := _better_than_teacher(comparison):
            found.append(
                "The teacher has learned less than networks did from "
                f"{', '.join(better)}: label-robust scores (LRS) may be too high. More "
                "--teacher_epochs help."
            )
    for name, about in comparison.sets.items():
        if about["as_learned"]:
            # Earlier versions don't say of how many networks.
            mean, std, count = [*about["as_learned"], s["networks"]][:3]
            found.append(
                f"{name}, by its own learned steps on {about['student']}: "
                f"{_spread(mean, std, count)} %."
            )
    return found


def markdown(comparison: Comparison) -> str:
    """One table, and what its numbers mean."""
    titles = ["set", *COLUMNS]
    lines = [f"# {comparison.dataset}: sets of images compared", ""]
    lines += [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for row in rows(comparison):
        cells = [row[title].replace("|", "\\|") for title in titles]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Accuracies, transfer and ECE are in %.", ""]
    lines += [f"- {sentence}" for sentence in sentences(comparison)]
    lines += ["", *notes(comparison), "", "What the columns mean:", ""]
    lines += [f"- **{title}**: {text}" for title, text in COLUMNS.items()]
    return "\n".join(lines) + "\n"


def html(comparison: Comparison) -> str:
    """The same as a page, with accuracies by architecture and by class."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source = resources.files("tfdistill.studies.comparison").joinpath("page.html")
    names = list(comparison.sets)
    by_architecture = {
        name: [
            _percent(comparison.best(name, which).accuracies.mean())
            for which in comparison.architectures
        ]
        for name in names
    }
    by_class = {
        name: [_percent(share) for share in comparison.figures(name)["per_class"]]
        for name in names
    }
    return environment.from_string(source.read_text("utf-8")).render(
        comparison=comparison,
        version=__version__,
        columns=COLUMNS,
        rows=rows(comparison),
        sentences=sentences(comparison),
        notes=notes(comparison),
        by_architecture=by_architecture,
        by_class=by_class,
    )


def _better_than_teacher(comparison):
    """The sets that taught more than all the real images did."""
    main = _main(comparison)
    return [
        name
        for name in comparison.sets
        if comparison.best(name, main).accuracies.mean() > comparison.real_accuracy
    ]


def _main(comparison):
    return comparison.architectures[0]


def _listed(values):
    return ", ".join(f"{value:g}" for value in values)


def _spread(mean, std, count):
    return spread.percent(mean, std, count, digits=1)


def _percent(share):
    return "–" if share is None else f"{100 * share:.1f}"


def _number(value):
    return "–" if value is None else f"{value:.2f}"
