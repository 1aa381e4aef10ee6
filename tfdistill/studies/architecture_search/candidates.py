"""What is known of each architecture, and how well two rankings agree."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass
class Candidate:
    """One architecture of a space.

    Attributes:
        values: The hyperparameters that make it, by name.
        parameters: How many weights it has.
        accuracies: On validation images, of each network trained on distilled data.
        seconds: What these cost, with building and tracing.
        refusal: Why it was skipped; None if it was not.
        real_accuracy: On all validation images, after real data; None if not known.
        real_seconds: What that cost.
    """

    values: dict
    parameters: int = 0
    accuracies: list[float] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    refusal: str | None = None
    real_accuracy: float | None = None
    real_seconds: float | None = None

    @property
    def score(self) -> float:
        """The mean of `accuracies`."""
        return float(np.mean(self.accuracies))

    def __str__(self):
        return " ".join(f"{name}={value}" for name, value in self.values.items())


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How well the ranking by distilled data agrees with real training.

    Attributes:
        candidates: How many were trained on both.
        spearman: The rank correlation of the accuracies, -1 to 1.
        top: k, of what follows.
        overlap: Which part of the k best by distilled data is among the k best by real.
        shortfall: What the best of the top k by distilled data lacks, in accuracy by
            real data, to the best of all.
        speedup: How much longer a candidate took on real data.
    """

    candidates: int
    spearman: float
    top: int
    overlap: float
    shortfall: float
    speedup: float


def table(candidates: Sequence[Candidate]) -> str:
    """Candidates, in the order given, as a Markdown table.

    Args:
        candidates: None of them skipped.
    """
    lines = [
        "| rank | distilled data | real data | weights | seconds | architecture |",
        "|---|---|---|---|---|---|",
    ]
    for rank, candidate in enumerate(candidates, 1):
        real = candidate.real_accuracy
        cells = (
            f"{rank}",
            f"{100 * candidate.score:.2f} %",
            "" if real is None else f"{100 * real:.2f} %",
            f"{candidate.parameters:,}",
            f"{candidate.seconds:.1f}",
            f"{candidate}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
