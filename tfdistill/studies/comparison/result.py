"""What came out of a comparison."""

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np

from tfdistill._internal import fields
from tfdistill.evaluation import pairs, statistics
from tfdistill.evaluation.attacked import robustness_ratio
from tfdistill.inner.objectives.classification import recall
from tfdistill.studies.comparison.cells import Cell


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What fresh networks learned from each set.

    Attributes:
        dataset: Name of the real data.
        class_names: Names of the classes.
        architectures: Names of the networks, the main one first.
        sets: By name, what each set is: "given" (or one to compare with), "images",
            "bytes", "labels", "student", "source", "pixels", and "as_learned": mean and
            deviation of the accuracy by its learned steps, and number of networks; None
            if it has none, or they are for networks of a pool.
        cells: All `Cell`s: of a set, an architecture, a kind of labels, and random
            changes or none.
        real_accuracy: Of the network of the main architecture that learned from all
            real training images, in 0..1; None if there is none.
        settings: The protocol, as JSON.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits").hold_out(0.1)
        >>> data = tfdistill.baselines.average_real(digits, steps=1)
        >>> found = tfdistill.compare(
        ...     {"means": data}, digits, architectures=["linear"], networks=2,
        ...     updates=[20], rates=[0.01], baselines=["random_real"], teacher_epochs=0,
        ... )
        >>> sorted(found.sets)
        ['means', 'random_real']
        >>> found.best("means", "linear").accuracies.shape
        (2,)
    """

    dataset: str
    class_names: tuple[str, ...]
    architectures: tuple[str, ...]
    sets: Mapping[str, dict]
    cells: tuple[Cell, ...]
    real_accuracy: float | None
    settings: Mapping

    def best(self, name: str, architecture: str, **fixed) -> Cell:
        """The cell of a set that is best on validation images.

        Args:
            name: Of the set.
            architecture: Of the networks.
            **fixed: `labels` or `changed`, if only some cells are meant.
        """
        cells = [
            cell
            for cell in self.cells
            if (cell.name, cell.architecture) == (name, architecture)
            and all(getattr(cell, key) == value for key, value in fixed.items())
        ]
        return max(cells, key=lambda cell: cell.choice.accuracy)

    @property
    def choices(self) -> dict[tuple, dict]:
        """All that was chosen, by set, architecture, labels and changes."""
        return {cell.key: dataclasses.asdict(cell.choice) for cell in self.cells}

    def own_architecture(self, name: str) -> str:
        """The architecture that a set was made for, or the main one."""
        student = self.sets[name]["student"]
        return student if student in self.architectures else self.architectures[0]

    def figures(self, name: str) -> dict:
        """The figures of a set, as JSON: shares of 1, bytes, seconds.

        "per_class" is None for a class without test images.

        Args:
            name: Of the set.
        """
        own = self.own_architecture(name)
        cell = self.best(name, own)
        others = {
            other: float(self.best(name, other).accuracies.mean())
            for other in self.architectures
            if other != own
        }
        ends = statistics.interval(cell.accuracies)  # of few networks, beyond 100 %
        low, high = map(float, np.clip(ends, 0, 1))
        return {
            "architecture": own,
            "labels": cell.labels,
            "changed": cell.changed,
            "accuracy_mean": float(cell.accuracies.mean()),
            "accuracy_std": float(cell.accuracies.std()),
            "accuracy_low": None if np.isnan(low) else low,
            "accuracy_high": None if np.isnan(high) else high,
            "accuracies": cell.accuracies.tolist(),
            "transfer": others,
            "transfer_mean": float(np.mean([*others.values()])) if others else None,
            "transfer_worst": min(others.values()) if others else None,
            **_scores(self, name),
            **_attacked(self, cell),
            "calibration_error": float(cell.calibration.mean()),
            "per_class": fields.as_json(recall(cell.confusion)),
            "seconds": float(np.median(cell.seconds)),
            "bytes": self.sets[name]["bytes"],
            "images": self.sets[name]["images"],
        }

    def pairs(self, architecture: str | None = None) -> list[dict]:
        """Which of two sets is better, by the paired test.

        Every set that was given is compared with the other given ones, and with real
        images of the same number.

        Args:
            architecture: Of the networks; the main one by default.

        Returns:
            For each pair its names `first` and `second`, the mean `difference` of the
            accuracies of networks with the same initial weights, `p` (Holm's), and the
            name of the `better` one: None if the difference may well be chance.
        """
        where = architecture or self.architectures[0]
        names = [
            two
            for two in itertools.combinations(self.sets, 2)
            if _are_rivals(self, *two)
        ]
        accuracies = {name: self.best(name, where).accuracies for name in self.sets}
        return pairs.judged(accuracies, names)

    def to_json(self) -> dict:
        """Everything, as JSON; what is NaN is None."""
        cells = [
            {
                **vars(cell),
                "confusion": cell.confusion.sum(0),
                "choice": dataclasses.asdict(cell.choice),
            }
            for cell in self.cells
        ]
        content = {
            "dataset": self.dataset,
            "class_names": self.class_names,
            "architectures": self.architectures,
            "sets": {
                name: {**about, **self.figures(name)}
                for name, about in self.sets.items()
            },
            "real_accuracy": self.real_accuracy,
            "pairs": {name: self.pairs(name) for name in self.architectures},
            "cells": cells,
            "settings": self.settings,
            "chosen_on": "validation images of the real data; test images decide "
            "nothing",
        }
        return fields.as_json(content)


def _scores(comparison, name):
    """DD-Ranking's scores, on the main architecture."""
    main = comparison.architectures[0]
    random = _random_of(comparison, comparison.sets[name]["images"])
    empty = {"label_robust": None, "augmentation_robust": None}
    if random is None:
        return empty

    def accuracy(which, **fixed):
        return float(comparison.best(which, main, **fixed).accuracies.mean())

    empty["augmentation_robust"] = statistics.augmentation_robust_score(
        accuracy(name, changed=True),
        accuracy(random, changed=True),
        accuracy(name, changed=False),
        accuracy(random, changed=False),
    )
    if comparison.real_accuracy is not None:
        empty["label_robust"] = statistics.label_robust_score(
            comparison.real_accuracy,
            accuracy(name, labels="hard"),
            accuracy(name),
            accuracy(random),
        )
    return empty


def _random_of(comparison, size):
    """The random real images of a number, if they are among the sets."""
    for name, about in comparison.sets.items():
        is_random = name.partition(" ")[0] == "random_real"
        if is_random and not about["given"] and about["images"] == size:
            return name
    return None


def _attacked(comparison, cell):
    """Accuracies under attack, as shares of those without."""
    if not len(cell.clean):
        return {"fgsm": None, "pgd": None, "robustness_ratio": None}
    clean = float(cell.clean.mean())
    under = [float(cell.fgsm.mean()), float(cell.pgd.mean())]
    rivals = [comparison.best(name, cell.architecture) for name in comparison.sets]
    worst = min(min(c.fgsm.mean(), c.pgd.mean()) for c in rivals)
    return {
        "fgsm": under[0] / clean if clean else None,
        "pgd": under[1] / clean if clean else None,
        "robustness_ratio": robustness_ratio(clean, under, worst),
    }


def _are_rivals(comparison, first, second):
    """Whether two sets are to be compared: one is given, and sizes are fair."""
    one, other = comparison.sets[first], comparison.sets[second]
    if one["given"] and other["given"]:
        return True
    return (one["given"] or other["given"]) and one["images"] == other["images"]
