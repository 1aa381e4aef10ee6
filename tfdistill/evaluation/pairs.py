"""Which of two is better: the paired test, and a sentence on what it says."""

from collections.abc import Iterable, Mapping

import numpy as np

from tfdistill.evaluation import statistics

#: Of a difference that is called one, corrected for the number of pairs.
SIGNIFICANCE = 0.05


def judged(
    accuracies: Mapping[str, np.ndarray], pairs: Iterable[tuple[str, str]]
) -> list[dict]:
    """Which of each pair is better, by the paired t-test, corrected by Holm.

    Args:
        accuracies: By name, float `[networks]`, of the same initial weights in one
            order.
        pairs: Pairs of names.

    Returns:
        For each pair its names `first` and `second`, the mean `difference` of the
        accuracies, `p` (Holm's), and the name of the `better` one: None if the
        difference may well be chance.
    """
    pairs = list(pairs)
    rows = [[accuracies[name] for name in two] for two in pairs]
    corrected = statistics.holm([statistics.paired_p(*row) for row in rows])
    found = []
    for (first, second), row, p in zip(pairs, rows, corrected):
        difference = float((row[0] - row[1]).mean())
        better = None
        if p < SIGNIFICANCE:
            better = first if difference > 0 else second
        found.append(
            {
                "first": first,
                "second": second,
                "difference": difference,
                "p": p,
                "better": better,
            }
        )
    return found


def sentence(pair: Mapping) -> str:
    """What can be said of a pair that was `judged`."""
    first, second = pair["first"], pair["second"]
    points = f"{100 * abs(pair['difference']):.1f} points"
    if pair["better"] is None:
        return (
            f"Between {first} and {second} no difference is shown ({points}, "
            f"p = {pair['p']:.2g})."
        )
    worse = second if pair["better"] == first else first
    return f"{pair['better']} is better than {worse} by {points} (p = {pair['p']:.2g})."
