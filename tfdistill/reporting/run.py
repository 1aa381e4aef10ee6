"""What a report shows of a run, from a folder or from results in memory."""

import dataclasses
import os
import re
import shlex
import warnings
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation.result import Evaluation
from tfdistill.inner.objectives.base import Objective
from tfdistill.reporting import measure
from tfdistill.reporting.metrics import MAIN, TESTS, check_classes, of_set
from tfdistill.runs import files

_FLAGS = re.compile(r"--(?P<off>no)?(?P<name>\w+)(?:=(?P<value>.*))?")
_KINDS = {
    "random_real": "random real images",
    "optimized_real": "optimized real images",
    "k_means": "k-means centroids",
    "average_real": "average real images",
}
# A test whose name says too little outside of the command's own table.
_WORDS = {"before": "the images before"}


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """Distilled data with its evaluations: made by `of_folder` or `of_results`.

    Attributes:
        name: Its name in the report.
        distilled: The data that students learned from.
        metrics: The content of `metrics.json`, or of the file that has its place for
            the set that is in the folder: the main evaluation, and facts about the run.
        rows: All evaluations; "what" says what students learned from, and the main one
            has the key "main".
        folder: The run folder, or None.
        record: The content of `tfdistill.json` beside the data, or None.
        flags: The command's flags by name; none if it was made in Python.
        commands: What repeats it, quoted for a shell: by its flagfile, and without.
            Fewer if the folder has no flagfile, and none if no command has made it.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> data = tfdistill.baselines.random_real(digits, steps=2)
        >>> result = tfdistill.evaluate(data, "linear", digits.test, 2)
        >>> run = tfdistill.report.Run.of_results(data, {"real images": result})
        >>> run.measure.name
        'accuracy'
    """

    name: str
    distilled: DistilledDataset
    metrics: Mapping
    rows: Sequence[Mapping]
    folder: str | None = None
    record: Mapping | None = None
    flags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    commands: list[list[str]] = dataclasses.field(default_factory=list)

    @classmethod
    def of_folder(
        cls, folder: str | os.PathLike, *, objective: Objective | None = None
    ) -> "Run":
        """A finished run of the command line.

        Evaluations of another distilled set than the one that is in the folder are left
        out, with a warning.

        Args:
            folder: The run folder of `tfdistill distill` or `tfdistill baseline`.
            objective: An object of your own class that the data is for; it writes the
                captions.

        Raises:
            FileNotFoundError: If there is no distilled data set in the folder.
            ValueError: If the run is not finished, a file of it is damaged, or its main
                evaluation is of another distilled set.
        """
        folder = files.local(folder)
        path = os.path.join(folder, "metrics.json")
        data = os.path.join(folder, "distilled")
        if not os.path.isfile(path):
            way_out = _way_to_metrics(folder, data)
            raise ValueError(
                f"{folder} holds no finished run ({path} is absent){way_out}."
            )
        distilled = DistilledDataset.load(data, objective=objective)
        found, left_out = of_set(folder)
        (path, metrics), *others = found.items()
        check_classes(path, metrics, distilled.num_classes)
        if left_out:
            warnings.warn(
                f"Left out, as they are of another distilled set than the one in "
                f"{data}: {', '.join(map(os.path.basename, left_out))}.",
                stacklevel=2,
            )
        record = files.read_json(os.path.join(data, "tfdistill.json"))
        record = {"created": "", "versions": {}, **record}
        recorded = distilled.provenance.get("flags", "")
        flags = _flags(recorded)
        what = _KINDS.get(flags.get("kind", ""), flags.get("kind", MAIN))
        return cls(
            name=os.path.basename(os.path.abspath(folder)),
            distilled=distilled,
            metrics=metrics,
            rows=_rows(metrics, [content for _, content in others], what),
            folder=folder,
            record=record,
            flags=flags,
            commands=_commands(folder, flags, recorded),
        )

    @classmethod
    def of_results(
        cls,
        distilled: DistilledDataset,
        results: Mapping[str, Evaluation],
        *,
        name: str = "run",
        history: Sequence[Mapping] | keras.callbacks.History = (),
    ) -> "Run":
        """A run that was made in Python.

        Args:
            distilled: The data that students learned from.
            results: At least one evaluation, all of one objective, by what students
                learned from. The main one is "distilled images", or else the first.
            name: Name of the run in the report.
            history: What `Distiller.fit` returned; or mappings in order, each with
                "outer_step" and, if it was measured, the validation's "val_NAME" and
                "val_NAME_std", where NAME is the objective's headline.

        Raises:
            ValueError: If there are no results, their headlines differ, or `history`
                does not say how many outer steps an epoch had, or which had a
                validation.
        """
        if not results:
            raise ValueError("results must hold at least one evaluation.")
        contents = {what: result.to_json() for what, result in results.items()}
        headlines = {content["headline"] for content in contents.values()}
        if len(headlines) > 1:
            raise ValueError(
                "results must all have one headline figure to compare by, not "
                f"{', '.join(sorted(headlines))}."
            )
        main = MAIN if MAIN in contents else next(iter(contents))
        reports = _history(history)
        about = {
            "dataset": distilled.provenance.get("dataset"),
            "student": distilled.student,
            "outer_steps": reports[-1]["outer_step"] if reports else None,
            "history": reports,
        }
        return cls(
            name=name,
            distilled=distilled,
            metrics={**contents[main], **{k: v for k, v in about.items() if v}},
            rows=[
                {"what": what, **content, **({"main": True} if what == main else {})}
                for what, content in contents.items()
            ],
        )

    @property
    def measure(self) -> measure.Measure:
        """The figure by which its students are compared."""
        return measure.Measure.of(self.metrics)

    @property
    def what(self) -> str:
        """What students of the main evaluation learned from."""
        return next(row["what"] for row in self.rows if "main" in row)

    @property
    def num_bytes(self) -> int:
        """The size of images and labels."""
        return self.distilled.num_bytes

    @property
    def random_real(self) -> Mapping | None:
        """The evaluation of random real images beside the main one, if there is one."""
        for row in self.rows:
            if row["what"] == _KINDS["random_real"] and "main" not in row:
                return row
        return None

    @property
    def curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """The headline on validation data; None if it was not measured.

        Outer steps, and the mean and the standard deviation over students: each float
        `[reports]`.
        """
        return _curve(self, "outer_step")

    @property
    def timed_curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """The same with the seconds of learning; None if they were not measured."""
        return _curve(self, "seconds")

    @property
    def confusion(self) -> np.ndarray | None:
        """Shares of each true class, float `[classes, classes]`; rows sum to 1."""
        if "confusion" not in self.metrics:
            return None
        counts = np.asarray(self.metrics["confusion"], float)
        return counts / np.maximum(counts.sum(1, keepdims=True), 1)

    def beside(self, row: Mapping) -> str:
        """What is to be known of an evaluation besides its headline, in words.

        Its other figures; of images that take the room of more small ones, how many.

        Args:
            row: One of `rows`.
        """
        small, room = self.distilled.num_images, ""
        if row.get("num_images", small) < small:
            room = f"{row['num_images']} images, in the room of the {small} small ones"
        return "; ".join(filter(None, [room, _others(self, row)]))


def _others(run, row):
    """The figures of an evaluation besides its headline, in words."""
    found = {m.name: m.text(row) for m in measure.others(row, run.measure.name)}
    attack = _attack(run)
    if attack and found.keys() >= {"attacked", "modified_accuracy"}:
        return (
            f"calls {found['attacked']} of class {attack[0]} a {attack[1]}; "
            f"{found['modified_accuracy']} against the modified labels"
        )
    return "; ".join(f"{n.replace('_', ' ')} {text}" for n, text in found.items())


def _attack(run):
    """The attacked class and the target class; None if there is no attack."""
    names, objective = ("attack_class", "target_class"), run.distilled.objective
    if all(name in run.flags for name in names):
        return [run.flags[name] for name in names]
    if all(hasattr(objective, name) for name in names):
        return [getattr(objective, name) for name in names]
    return None


def _curve(run, against):
    name = f"val_{run.measure.name}"
    reports = [h for h in run.metrics.get("history", ()) if name in h]
    if not reports or not all(against in h for h in reports):
        return None
    return (
        np.array([h[against] for h in reports], float),
        np.array([h[name] for h in reports], float),
        np.array([h.get(f"{name}_std", 0) for h in reports], float),
    )


def _way_to_metrics(folder, data):
    """What makes the metrics, or where they may be, if that is known."""
    made = os.path.join(data, "tfdistill.json")
    if os.path.isfile(os.path.join(folder, "tfdistill.json")):
        return ": it is a distilled data set; a run has one in its folder distilled"
    if os.path.isfile(os.path.join(folder, "flags.txt")):
        return "; the command that began it goes on with it"
    if not (os.path.isfile(made) and files.read_json(made).get("student")):
        return ""
    return f": tfdistill evaluate --workdir={shlex.quote(folder)} makes it"


def _rows(metrics, contents, what):
    tested = []
    for name, key in TESTS.items():
        if name == MAIN:
            tested.append({"what": what, "main": True, **metrics})
        elif key in metrics:
            tested.append({"what": _WORDS.get(name, name), **metrics[key]})
    others = []
    for content in contents:
        how = ", in another order" if content.get("shuffle_steps") else ""
        if "updates" in content:
            how = f", by {content['updates']:,} ordinary updates"
            how += f" from a rate of {content.get('training_rate', 0):g}"
            how += _unusual(content)
        if "other_pool" in content:
            how += f", from the pool {content['other_pool']}"
        if content.get("num_sets", 1) < metrics.get("num_sets", 1):
            how += ", one set of them"
        data = content.get("dataset")
        on = "" if data in (None, metrics.get("dataset")) else f", on {data}"
        if not on and content.get("other_data"):
            on = f", on other data called {data}"
        others.append({"what": f"{what}{how}{on}", **content})
    return [*tested, *others]


def _unusual(content):
    """What a row's file says of its ordinary training, beyond updates and rate."""
    text = ""
    if "training_batch" in content:
        text += f", batches of {content['training_batch']}"
    if "changes" in content:
        changes = content["changes"].items()
        listed = ", ".join(f"{name} {value:g}" for name, value in changes)
        text += f", random changes: {listed or 'none'}"
    return text


def _history(history):
    """One mapping for each report, with the outer step."""
    if not isinstance(history, keras.callbacks.History):
        return list(history)
    steps = history.params.get("steps")
    if not steps:
        raise ValueError(
            "history does not say how many outer steps an epoch had: pass "
            "steps_per_epoch to fit, or mappings that have an outer_step."
        )
    reports = getattr(history, "reports", None)
    if reports is None:
        if any(len(of) != len(history.epoch) for of in history.history.values()):
            raise ValueError(
                "history does not say after which epochs there was a validation: pass "
                "mappings that have an outer_step."
            )
        columns = {"epoch": history.epoch, **history.history}
        reports = [dict(zip(columns, row)) for row in zip(*columns.values())]
    return [{"outer_step": (r["epoch"] + 1) * steps, **r} for r in reports]


def _flags(lines: str) -> dict[str, str]:
    found = filter(None, map(_FLAGS.fullmatch, lines.split("\n")))
    return {
        m["name"]: m["value"] if m["value"] is not None else "no" if m["off"] else "yes"
        for m in found
    }


def _commands(folder, flags, recorded):
    command = "baseline" if "kind" in flags else "distill"
    ways = []
    if os.path.isfile(os.path.join(folder, "flags.txt")):
        ways.append([f"--flagfile={folder}/flags.txt", "--workdir=again"])
    if flags:
        lines = filter(_FLAGS.fullmatch, recorded.split("\n"))
        ways.append(["--workdir=again", *lines])
    return [["tfdistill", command, *map(shlex.quote, given)] for given in ways]
