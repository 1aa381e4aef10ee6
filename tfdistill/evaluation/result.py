"""Results of trained students on a test set."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfdistill._internal import spread
from tfdistill._internal.faces import Face
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.objectives.classification import Classification, recall


@dataclasses.dataclass(frozen=True, repr=False)
class Evaluation(Face):
    """Results of students on a whole test set.

    Attributes:
        totals: The objective's sums over the test set, `[students, ...]`, by name. For
            classification "confusion", int `[students, classes, classes]`: rows are
            true classes, columns predicted ones.
        losses: float `[students]`, each student's mean meta-loss.
        num_examples: The number of test examples.
        objective: What was measured.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> data = tfdistill.baselines.random_real(digits, steps=2)
        >>> result = tfdistill.evaluate(data, "linear", digits.test, 2)
        >>> result.num_students, result.mean() == result.accuracy_mean
        (2, True)
    """

    totals: Mapping[str, np.ndarray]
    losses: np.ndarray
    num_examples: int
    objective: Objective = dataclasses.field(default_factory=Classification)

    @classmethod
    def of_confusion(cls, confusion: np.ndarray, losses: np.ndarray) -> "Evaluation":
        """An evaluation of classifiers from their confusion matrices.

        Args:
            confusion: int `[students, classes, classes]`, all of one test set.
            losses: float `[students]`.
        """
        return cls({"confusion": confusion}, losses, int(confusion[0].sum()))

    @classmethod
    def joined(cls, evaluations: Sequence["Evaluation"]) -> "Evaluation":
        """Joins evaluations of different students on one test set; at least one."""
        first = evaluations[0]
        totals = {
            name: np.concatenate([e.totals[name] for e in evaluations])
            for name in first.totals
        }
        losses = np.concatenate([e.losses for e in evaluations])
        return dataclasses.replace(first, totals=totals, losses=losses)

    @property
    def num_students(self) -> int:
        """Number of students that were tested."""
        return len(self.losses)

    @property
    def figures(self) -> dict[str, np.ndarray]:
        """All figures by name, float `[students]`: the objective's, and the "loss"."""
        own = self.objective.figures(self.totals, self.num_examples)
        return {**own, "loss": np.asarray(self.losses)}

    def mean(self, name: str | None = None) -> float:
        """The mean of a figure over students.

        Args:
            name: One of `figures`; by default the objective's headline.
        """
        return float(self.figures[name or self.objective.headline].mean())

    def std(self, name: str | None = None) -> float:
        """The standard deviation over students (dividing by their number)."""
        return float(self.figures[name or self.objective.headline].std())

    @property
    def confusion(self) -> np.ndarray:
        """For classifiers: counts of examples, int `[students, classes, classes]`."""
        try:
            return self.totals["confusion"]
        except KeyError:
            raise AttributeError(
                f"An evaluation of {self.objective.name} has no confusion matrix, but "
                f"the figures {', '.join(self.figures)}."
            ) from None

    @property
    def accuracies(self) -> np.ndarray:
        """For classifiers: the accuracies, float `[students]`, each in 0..1."""
        return np.trace(self.confusion, axis1=1, axis2=2) / self.num_examples

    @property
    def accuracy_mean(self) -> float:
        """For classifiers: the mean accuracy over students, in 0..1."""
        return float(self.accuracies.mean())

    @property
    def accuracy_std(self) -> float:
        """For classifiers: the standard deviation of the accuracy over students."""
        return float(self.accuracies.std())

    @property
    def per_class(self) -> np.ndarray:
        """For classifiers: the mean recall of each class, float `[classes]`.

        NaN for a class without test examples.
        """
        return recall(self.confusion)

    def logs(self) -> dict[str, float]:
        """The loss, and of each other figure the mean and, as NAME_std, the deviation.

        As `Distiller.evaluate` gives them.
        """
        logs = {"loss": self.mean("loss")}
        for name in self.figures:
            if name != "loss":
                logs[name], logs[f"{name}_std"] = self.mean(name), self.std(name)
        return logs

    def to_json(self) -> dict:
        """The content of `metrics.json`.

        Means and standard deviations over students by figure, which figure is the
        headline, whether higher is better, which figures are shares in 0..1, and the
        objective's details.
        """
        content: dict = {}
        for name, values in self.figures.items():
            content[f"{name}_mean"] = float(values.mean())
            content[f"{name}_std"] = float(values.std())
        return {
            **content,
            "num_students": self.num_students,
            "headline": self.objective.headline,
            "higher_is_better": self.objective.higher_is_better,
            "shares": list(self.objective.shares),
            **self.objective.details(self.totals),
        }

    def summary(self, name: str | None = None) -> str:
        """A figure as text: "96.50 ± 0.60 %", or "0.0312 ± 0.0004".

        A single network has no spread: "96.50 %".

        Args:
            name: One of `figures`; by default the objective's headline.
        """
        name = name or self.objective.headline
        mean, std = self.mean(name), self.std(name)
        if name in self.objective.shares:
            return f"{spread.percent(mean, std, self.num_students)} %"
        return spread.number(mean, std, self.num_students)

    def _facts(self):
        figures = {name: self.summary(name) for name in self.figures}
        return {
            **figures,
            "networks": str(self.num_students),
            "test examples": f"{self.num_examples:,}",
        }

    def __repr__(self):
        noun = "network" if self.num_students == 1 else "networks"
        name = self.objective.headline.replace("_", " ")
        return f"Evaluation({name} {self.summary()}, {self.num_students} {noun})"

    def __str__(self):
        noun = "student" if self.num_students == 1 else "students"
        name, about = self.objective.headline, ""
        if name not in self.objective.shares:
            about = f"{name.replace('_', ' ')} "
        return f"{about}{self.summary()} ({self.num_students} {noun})"
