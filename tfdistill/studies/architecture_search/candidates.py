"""Candidate architectures with their results, and how well two rankings agree."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfdistill._internal import fields
from tfdistill._internal.checks import check_int

_FIELDS = {
    "values": fields.OBJECT,
    "parameters": fields.whole(0),
    "accuracies": fields.each(fields.maybe(fields.FIGURE)),
    "seconds": fields.number(0),
    "refusal": fields.maybe(fields.TEXT),
    "real_accuracy": fields.maybe(fields.FIGURE),
    "real_seconds": fields.maybe(fields.number(0)),
}
# Absent from files of earlier versions.
_OPTIONAL = {"real_training": fields.maybe(fields.OBJECT)}


@dataclasses.dataclass
class Candidate:
    """One architecture of a space.

    Attributes:
        values: Its hyperparameters, by name.
        parameters: Number of weights.
        accuracies: Validation accuracy of each network that was trained on distilled
            data.
        seconds: Time that these took, including building and tracing.
        refusal: Why it was skipped; None if it was not.
        real_accuracy: Accuracy on all validation images after real data; None if
            unknown.
        real_seconds: Time that this took.
        real_training: How: epochs, batch_size, learning_rate and halve_every; None if
            unknown.

    Example:
        >>> import tfdistill
        >>> candidate = tfdistill.architecture_search.Candidate(
        ...     {"depth": 2, "width": 16}, accuracies=[0.25, 0.75]
        ... )
        >>> str(candidate), candidate.score
        ('depth=2 width=16', 0.5)
    """

    values: dict
    parameters: int = 0
    accuracies: list[float] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    refusal: str | None = None
    real_accuracy: float | None = None
    real_seconds: float | None = None
    real_training: dict | None = None

    @classmethod
    def of_json(cls, content: Mapping) -> "Candidate":
        """The candidate that `dataclasses.asdict` described.

        Raises:
            ValueError, TypeError: If a field is of another kind.
        """
        fields.check(content, _FIELDS, _OPTIONAL)
        accuracies = list(map(fields.figure, content["accuracies"]))
        return cls(**{**content, "accuracies": accuracies})

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
        candidates: Number of candidates that were trained on both.
        spearman: The correlation of the ranks, -1 to 1.
        top: k, the number of best candidates that are compared.
        overlap: Share of the k best by distilled data that is among the k best by real
            data.
        shortfall: Accuracy by real data that the best of the k best by distilled data
            lacks to the best of all.
        speedup: How many times longer a candidate took on real data.

    Example:
        >>> import tfdistill
        >>> agreement = tfdistill.architecture_search.Agreement(
        ...     20, spearman=0.8, top=5, overlap=0.6, shortfall=0.01, speedup=9.0
        ... )  # as `Search.agreement` gives it
        >>> agreement.overlap
        0.6
    """

    candidates: int
    spearman: float
    top: int
    overlap: float
    shortfall: float
    speedup: float


def ranked(candidates: Sequence[Candidate], fewest: int) -> list[Candidate]:
    """Those with most networks first, and among them those with the best scores.

    Args:
        candidates: Candidates; those that were skipped don't count.
        fewest: Number of networks without which they don't count either, at least 1.
    """
    scored = [c for c in candidates if c.refusal is None]
    counted = [c for c in scored if len(c.accuracies) >= fewest]
    return sorted(counted, key=_standing, reverse=True)


def agreement_of(ranking: Sequence[Candidate], top: int) -> Agreement:
    """How well a ranking agrees with that by the accuracies on real data.

    Args:
        ranking: Candidates in the order of `ranked`; those without real data don't
            count.
        top: Same as for `Search.agreement`, which raises the same.
    """
    both = [c for c in ranking if c.real_accuracy is not None]
    if len(both) < 3:
        raise ValueError(
            f"Rankings of {len(both)} candidates cannot be compared; 3 are needed."
        )
    from scipy import stats

    standings = [_standing(c) for c in both]
    order = sorted(standings)
    places = np.array([order.index(standing) for standing in standings])
    real = np.array([c.real_accuracy for c in both])
    constant = np.ptp(places) == 0 or np.ptp(real) == 0
    top = min(check_int("top", top, 1), len(both) // 2)
    best = np.argsort(-real, kind="stable")[:top]
    return Agreement(
        candidates=len(both),
        spearman=0.0 if constant else float(stats.spearmanr(places, real).statistic),
        top=top,
        overlap=float(np.mean(best < top)),  # `both` is in the order of the ranking
        shortfall=float(real.max() - real[:top].max()),
        speedup=sum(c.real_seconds or 0.0 for c in both) / sum(c.seconds for c in both),
    )


def _standing(candidate):
    return len(candidate.accuracies), candidate.score


def table(candidates: Sequence[Candidate]) -> str:
    """A Markdown table of candidates, in the given order.

    It shows their numbers of networks where these differ.

    Args:
        candidates: Candidates that were not skipped.

    Example:
        >>> from tfdistill import architecture_search
        >>> candidate = architecture_search.Candidate({"depth": 2}, 1234, [0.5])
        >>> print(architecture_search.table([candidate]).splitlines()[-1])
        | 1 | 50.00 % |  | 1,234 | 0.0 | depth=2 |
    """
    differ = len({len(c.accuracies) for c in candidates}) > 1
    networks = ["networks"] if differ else []
    heads = "rank", *networks, "distilled data", "real data", "weights", "seconds"
    lines = [f"| {' | '.join(heads)} | architecture |", "|---" * (len(heads) + 1) + "|"]
    for rank, candidate in enumerate(candidates, 1):
        real = candidate.real_accuracy
        cells = (
            f"{rank}",
            *[f"{len(candidate.accuracies)}" for _ in networks],
            f"{100 * candidate.score:.2f} %",
            "" if real is None else f"{100 * real:.2f} %",
            f"{candidate.parameters:,}",
            f"{candidate.seconds:.1f}",
            f"{candidate}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
