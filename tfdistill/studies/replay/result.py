"""What came out of a comparison of memories."""

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np

from tfdistill._internal import fields, spread
from tfdistill.evaluation import pairs


@dataclasses.dataclass(frozen=True)
class Replay:
    """Accuracies of networks that learned task after task.

    Attributes:
        dataset: Name of the real data.
        tasks: Names of the classes of each task.
        memories: By name, what each memory is: its "memory", whether it is "limited" to
            the bytes, its "images_per_class" and "bytes_per_class".
        accuracies: By name, float `[seeds, tasks, tasks]`: after each task (row), of
            the test images of each task (column); NaN for tasks to come.
        settings: The protocol, as JSON.

    Example:
        >>> import numpy as np, tfdistill
        >>> matrix = np.array([[[1.0, np.nan], [0.5, 0.9]]])
        >>> about = {"limited": True, "bytes_per_class": 65.0, "images_per_class": 1}
        >>> found = tfdistill.replay.Replay(
        ...     "two", (("0", "1"), ("2", "3")), {"a": about}, {"a": matrix}, {}
        ... )
        >>> found.final("a"), found.forgetting("a")
        (array([0.7]), array([0.5]))
    """

    dataset: str
    tasks: tuple[tuple[str, ...], ...]
    memories: Mapping[str, dict]
    accuracies: Mapping[str, np.ndarray]
    settings: Mapping

    def curve(self, name: str) -> np.ndarray:
        """Mean accuracy of the tasks so far after each task, float `[seeds, tasks]`.

        Args:
            name: Of the memory.
        """
        return np.nanmean(self.accuracies[name], axis=2)

    def final(self, name: str) -> np.ndarray:
        """Mean accuracy of all tasks after the last one, float `[seeds]`.

        Args:
            name: Of the memory.
        """
        return self.curve(name)[:, -1]

    def forgetting(self, name: str) -> np.ndarray:
        """How far tasks fell from their best accuracy, on average, float `[seeds]`.

        The last task is left out: it cannot have been forgotten (Chaudhry et al. 2018).

        Args:
            name: Of the memory.
        """
        earlier = self.accuracies[name][:, :, :-1]
        best = np.nanmax(earlier[:, :-1], axis=1)
        return (best - earlier[:, -1]).mean(1)

    def figures(self, name: str) -> dict:
        """The figures of a memory, as JSON: shares of 1.

        Args:
            name: Of the memory.
        """
        final, forgetting = self.final(name), self.forgetting(name)
        return {
            **self.memories[name],
            "accuracy_mean": float(final.mean()),
            "accuracy_std": float(final.std()),
            "forgetting_mean": float(forgetting.mean()),
            "forgetting_std": float(forgetting.std()),
            "accuracies": final.tolist(),
        }

    def pairs(self) -> list[dict]:
        """Which of two memories of the same bytes is better, by the paired test.

        Returns:
            For each pair its names `first` and `second`, the mean `difference` of the
            final accuracies of the same seeds, `p` (Holm's), and the name of the
            `better` one: None if the difference may well be chance.
        """
        names = [name for name, about in self.memories.items() if about["limited"]]
        final = {name: self.final(name) for name in names}
        return pairs.judged(final, itertools.combinations(names, 2))

    def markdown(self) -> str:
        """A table, and what can be said of every two memories."""
        lines = [
            "| memory | images of a class | bytes of a class | accuracy % | "
            "forgetting % |",
            "|---|---|---|---|---|",
        ]
        for name in self.memories:
            f, seeds = self.figures(name), len(self.accuracies[name])
            count = "" if f["images_per_class"] is None else f["images_per_class"]
            accuracy, lost = (
                spread.percent(f[f"{key}_mean"], f[f"{key}_std"], seeds, digits=1)
                for key in ("accuracy", "forgetting")
            )
            lines.append(
                f"| {name} | {count} | {f['bytes_per_class']:,.0f} | {accuracy} | "
                f"{lost} |"
            )
        lines.append("")
        lines += [f"- {sentence}" for sentence in self.sentences()]
        return "\n".join(lines) + "\n"

    def sentences(self) -> list[str]:
        """What can be said of every two memories."""
        return [pairs.sentence(pair) for pair in self.pairs()]

    def to_json(self) -> dict:
        """Everything, as JSON; the tasks to come are None."""
        content = {
            "dataset": self.dataset,
            "tasks": self.tasks,
            "memories": {name: self.figures(name) for name in self.memories},
            "matrices": self.accuracies,
            "pairs": self.pairs(),
            "settings": self.settings,
        }
        return fields.as_json(content)
