"""The figure by which students are compared, and how it is written."""

import dataclasses
import math
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Measure:
    """A headline figure, read from the content of `metrics.json`.

    Attributes:
        name: Name of the figure, such as "accuracy" or "squared_error".
        is_share: Whether it lies in 0..1 and is written as a percentage.
        higher_is_better: Whether a higher value is better.
    """

    name: str
    is_share: bool
    higher_is_better: bool

    @classmethod
    def of(cls, metrics: Mapping) -> "Measure":
        """The headline of an evaluation.

        Args:
            metrics: What `Evaluation.to_json` gives. Earlier versions measured only the
                accuracy, and did not record it.
        """
        name = metrics.get("headline", "accuracy")
        is_share = name in shares(metrics)
        return cls(name, is_share, metrics.get("higher_is_better", is_share))

    @property
    def title(self) -> str:
        """The figure in words: "squared error"."""
        return self.name.replace("_", " ")

    @property
    def label(self) -> str:
        """The title with a capital first letter."""
        return self.title[:1].upper() + self.title[1:]

    @property
    def heading(self) -> str:
        """The title; if not obvious, also whether higher or lower is better."""
        if self.is_share and self.higher_is_better:
            return self.title
        better = "higher" if self.higher_is_better else "lower"
        return f"{self.title} ({better} is better)"

    @property
    def unit(self) -> str:
        """The unit after the number."""
        return " %" if self.is_share else ""

    def mean(self, row: Mapping) -> float:
        """The mean over students; NaN if it was not measured."""
        return float(row.get(f"{self.name}_mean", math.nan))

    def std(self, row: Mapping) -> float:
        """The standard deviation over students; 0 if it was not measured."""
        return float(row.get(f"{self.name}_std", 0))

    def mean_text(self, row: Mapping) -> str:
        """The mean, without its unit."""
        if f"{self.name}_mean" not in row:
            return "–"
        mean = self.mean(row)
        return f"{100 * mean:.2f}" if self.is_share else f"{mean:.4g}"

    def std_text(self, row: Mapping) -> str:
        """The standard deviation, without its unit; nothing for a single student."""
        if row.get("num_students", 1) == 1 or f"{self.name}_std" not in row:
            return ""
        std = self.std(row)
        return f"{100 * std:.2f}" if self.is_share else f"{std:.2g}"

    def text(self, row: Mapping) -> str:
        """Mean and standard deviation: "96.50 ± 0.60 %"."""
        std = self.std_text(row)
        return self.mean_text(row) + (f" ± {std}" if std else "") + self.unit

    def best(self, rows: Sequence[Mapping]) -> list[bool]:
        """Which rows have the best mean of all."""
        means = [self.mean(row) for row in rows]
        known = [mean for mean in means if not math.isnan(mean)]
        if not known:
            return [False] * len(rows)
        best = max(known) if self.higher_is_better else min(known)
        return [mean == best for mean in means]

    def bars(self, rows: Sequence[Mapping]) -> list[dict[str, float] | None]:
        """The positions of bars and whiskers.

        Args:
            rows: The evaluations that are compared.

        Returns:
            For each row, the "start" and the "length" of its bar, and the "low" end and
            the "spread" of its whisker, as fractions of the full width. The full width
            is 1 for shares, otherwise the range of the numbers shown. None for a row
            without a finite mean.
        """
        ends = [
            (mean - std, mean, mean + std)
            for mean, std in ((self.mean(row), self.std(row)) for row in rows)
        ]
        finite = [x for end in ends for x in end if math.isfinite(x)]
        lowest, highest = min([0.0, *finite]), max([0.0, *finite])
        if self.is_share:
            lowest, highest = 0.0, 1.0

        def place(x):
            return (min(max(x, lowest), highest) - lowest) / ((highest - lowest) or 1)

        bars: list[dict[str, float] | None] = []
        for low, mean, high in ends:
            if not math.isfinite(mean):
                bars.append(None)
                continue
            if not math.isfinite(high):
                low = high = mean
            bars.append(
                {
                    "start": place(min(mean, 0)),
                    "length": place(max(mean, 0)) - place(min(mean, 0)),
                    "low": place(low),
                    "spread": place(high) - place(low),
                }
            )
        return bars


def whole_percent(share: float) -> str:
    """A share in whole per cent, for a cell: nothing for 0, else "<1", "7" or ">99"."""
    if share <= 0:
        return ""
    if share < 0.01:
        return "<1"
    return ">99" if 0.99 < share < 1 else f"{100 * share:.0f}"


def shares(metrics: Mapping) -> Sequence[str]:
    """The figures of an evaluation that are shares in 0..1, by name.

    Args:
        metrics: Same as for `Measure.of`.
    """
    return metrics.get("shares", ("accuracy", "modified_accuracy", "attacked"))


def others(row: Mapping, headline: str) -> list[Measure]:
    """The figures of an evaluation besides its headline and the loss.

    Args:
        row: Same as for `Measure.of`.
        headline: The name of the headline.
    """
    names = [key.removesuffix("_mean") for key in row if key.endswith("_mean")]
    return [
        Measure(name, name in shares(row), True)
        for name in names
        if name not in (headline, "loss")
    ]
