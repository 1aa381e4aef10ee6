"""One HTML page that shows runs: everything is inside it, so it can be sent on."""

import base64
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources

import jinja2
import matplotlib
import numpy as np
from matplotlib import pyplot as plt

from tfdistill._internal.version import __version__
from tfdistill.distilled import exports
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.reporting import plots

#: The first line of each page: what may be written over.
MARK = f"<!-- tfdistill {__version__} report -->"
_PIXELS = 1_000_000  # of a run's images that are shown, at the most
_IMAGES_A_STEP = 100
# Matplotlib knows no CSS variables: these colours stand for them, and are replaced.
_COLOURS = {
    "currentColor": "#010101",
    "var(--line)": "#020202",
    **{f"var(--series-{k})": f"#0303{k:02d}" for k in range(6)},
}
_FLAGS = re.compile(r"--(?P<off>no)?(?P<name>\w+)(?:=(?P<value>.*))?")
_KINDS = {
    "random_real": "random real images",
    "optimized_real": "optimized real images",
    "k_means": "k-means centroids",
    "average_real": "average real images",
}
# Rows that `tfdistill distill` tests beside the result.
_BESIDE = {
    "no_distilled_data": "no distilled data",
    "before": "the images before",
    "random_real": "random real images",
}


class Run:
    """What a run folder holds.

    Args:
        folder: As `tfdistill distill` or `tfdistill baseline` leave it.

    Raises:
        ValueError: If the run is not finished, or a file of it is damaged.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = os.fspath(folder)
        self.name = os.path.basename(os.path.abspath(self.folder))
        path = os.path.join(self.folder, "metrics.json")
        if not os.path.isfile(path):
            raise ValueError(f"{self.folder} holds no finished run ({path} is absent).")
        self.metrics = _read_json(path)
        folder = os.path.join(self.folder, "distilled")
        self.distilled = DistilledDataset.load(folder)
        self.record = _read_json(os.path.join(folder, "tfdistill.json"))
        self.flags = _flags(self.record["provenance"].get("flags", ""))

    @property
    def command(self) -> str:
        return "baseline" if "kind" in self.flags else "distill"

    @property
    def what(self) -> str:
        """What students learn from."""
        kind = self.flags.get("kind", "distilled images")
        return _KINDS.get(kind, kind)

    @property
    def rows(self) -> list[dict]:
        """The evaluations: metrics, with a name for what was learned from."""
        beside = [
            {"what": name, **self.metrics[key]}
            for key, name in _BESIDE.items()
            if key in self.metrics
        ]
        others = []
        for file in sorted(os.listdir(self.folder)):
            if file.startswith("metrics-") and file.endswith(".json"):
                content = _read_json(os.path.join(self.folder, file))
                order = ", in another order" if content.get("shuffle_steps") else ""
                others.append({"what": f"{self.what}{order}", **content})
        return [*beside, {"what": self.what, "main": True, **self.metrics}, *others]

    @property
    def steps(self) -> list[dict]:
        """Pictures, labels and learned rates, step by step."""
        data = self.distilled
        count = min(data.images.shape[1], _IMAGES_A_STEP)
        height, width = data.image_shape[:2]
        shown = max(1, _PIXELS // (height * width * count))
        chosen = plots.evenly(data.steps, shown)
        images = data.normalization.displayable(data.images[chosen, :count])
        return [
            {
                "number": int(step) + 1,
                "rates": data.learning_rates[:, step].tolist(),
                "images": [
                    {"picture": _data_uri(image), **self._label(label)}
                    for image, label in zip(row, data.labels[step])
                ],
            }
            for step, row in zip(chosen, images)
        ]

    def _label(self, label):
        best = int(label.argmax())
        share = float(label[best])
        return {
            "label": self.distilled.class_names[best],
            "share": None if share > 0.995 else share,
        }

    @property
    def confusion(self) -> np.ndarray | None:
        """Shares of each true class, float `[classes, classes]`; rows sum to 1."""
        if "confusion" not in self.metrics:
            return None
        counts = np.asarray(self.metrics["confusion"], float)
        return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def page(folders: Sequence[str | os.PathLike]) -> str:
    """The report of one run, or of several side by side.

    Args:
        folders: Run folders, at least one, of finished runs.

    Returns:
        HTML with all pictures inside.

    Raises:
        ValueError: If there is no folder, or one is not as `Run` wants it.
    """
    if not folders:
        raise ValueError("A report needs at least one run folder.")
    runs = [Run(folder) for folder in folders]
    names = [run.name for run in runs]
    for run in runs:
        if names.count(run.name) > 1:
            run.name = run.folder
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source = resources.files("tfdistill.reporting").joinpath("report.html")
    return environment.from_string(source.read_text("utf-8")).render(
        mark=MARK,
        version=__version__,
        runs=runs,
        differing=_differing(runs),
        curves=_curves(runs),
        rates=[_rates(run) for run in runs],
    )


def _differing(runs) -> list[str]:
    """The names of the flags in which runs differ."""
    values = {}
    for run in runs:
        for name, value in run.flags.items():
            values.setdefault(name, set()).add(value)
    return [name for name, found in values.items() if len(found) > 1]


def _flags(lines: str) -> dict[str, str]:
    found = filter(None, map(_FLAGS.fullmatch, lines.split("\n")))
    return {
        m["name"]: m["value"] if m["value"] is not None else "no" if m["off"] else "yes"
        for m in found
    }


def _curves(runs) -> str | None:
    """Validation accuracy against outer steps, of all runs that have it."""
    runs = [run for run in runs if run.metrics.get("history")]
    if not runs:
        return None
    lowest = []
    with _page_style():
        figure, axis = plt.subplots(figsize=(5.2, 2.9), layout="constrained")
        for k, run in enumerate(runs):
            history, colour = run.metrics["history"], _series(k)
            steps = [h["outer_step"] for h in history]
            mean = 100 * np.array([h["val_accuracy"] for h in history])
            std = 100 * np.array([h["val_accuracy_std"] for h in history])
            axis.fill_between(
                steps, mean - std, mean + std, alpha=0.18, lw=0, color=colour
            )
            axis.plot(steps, mean, color=colour, label=run.name)
            lowest.append(float(np.min(mean - std)))
        axis.set(xlabel="outer steps", ylabel="validation accuracy, %")
        axis.set_ylim(max(0, 10 * (min(lowest) // 10)), 100)
        axis.margins(x=0.01)
        if len(runs) > 1:
            axis.legend(loc="lower right")
        return _svg(figure)


def _rates(run) -> str:
    """The learned rates, step by step, a line an epoch."""
    rates = run.distilled.learning_rates
    steps = np.arange(1, rates.shape[1] + 1)
    with _page_style():
        figure, axis = plt.subplots(figsize=(5.2, 2.6), layout="constrained")
        for k, epoch in enumerate(plots.evenly(len(rates), 6)):
            axis.plot(
                steps,
                rates[epoch],
                "o-" if len(steps) <= 40 else "-",
                color=_series(k),
                label=f"epoch {epoch + 1}",
            )
        axis.set(xlabel="step", ylabel="learned rate")
        axis.set_ylim(bottom=0)
        axis.xaxis.get_major_locator().set_params(integer=True)
        if len(rates) > 1:
            figure.legend(loc="outside upper right", ncols=3)
        return _svg(figure)


def _series(k):
    return list(_COLOURS.values())[2 + k % 6]


def _page_style():
    text, line = list(_COLOURS.values())[:2]
    return matplotlib.rc_context(
        {
            "svg.fonttype": "none",
            "font.size": 10,
            "text.color": text,
            "axes.labelcolor": text,
            "xtick.labelcolor": text,
            "ytick.labelcolor": text,
            "xtick.color": line,
            "ytick.color": line,
            "axes.edgecolor": line,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.grid.axis": "y",
            "grid.color": line,
            "grid.linewidth": 0.7,
            "axes.axisbelow": True,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "lines.markersize": 3.5,
        }
    )


def _svg(figure) -> str:
    """A figure as an SVG element in the page's colours and font."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    text = stream.getvalue()
    for variable, colour in _COLOURS.items():
        text = text.replace(colour, variable)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return text[text.index("<svg") :]


def _data_uri(image) -> str:
    return "data:image/png;base64," + base64.b64encode(exports.picture(image)).decode()


def _read_json(path) -> Mapping:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
