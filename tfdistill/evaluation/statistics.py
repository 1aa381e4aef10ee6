"""What can be said of a few networks: intervals, paired tests, calibration, scores."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The confidence interval of a mean, by Student's t.

    Args:
        values: One for each network.
        level: Probability that it holds the mean.

    Returns:
        Its ends; NaN for fewer than two values.
    """
    from scipy import stats

    found = np.asarray(values, "float64")
    if len(found) < 2:
        return math.nan, math.nan
    width = stats.t.ppf((1 + level) / 2, len(found) - 1)
    width *= found.std(ddof=1) / math.sqrt(len(found))
    return float(found.mean() - width), float(found.mean() + width)


def paired_p(first: ArrayLike, second: ArrayLike) -> float:
    """The p-value of the paired t-test: how likely by chance is such a difference?

    Accuracies are multiples of 1 / test images, so a few differences are equal by
    chance, and show no spread to test with: then only their signs count (sign test).

    Args:
        first, second: Of networks with the same initial weights, in one order.

    Returns:
        1 for fewer than two networks.
    """
    from scipy import stats

    differences = np.asarray(first, "float64") - np.asarray(second, "float64")
    if len(differences) < 2:
        return 1.0
    if np.ptp(differences) < 1e-12:
        return 1.0 if abs(differences[0]) < 1e-12 else 2.0 ** (1 - len(differences))
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several tests at once, corrected by Holm's method."""
    order = np.argsort(p_values, kind="stable")
    corrected, highest = np.zeros(len(order)), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected.tolist()


def calibration_error(
    logits: np.ndarray, labels: np.ndarray, factor: float = 1.0, bins: int = 15
) -> float:
    """The expected calibration error, ECE (Guo et al. 2017).

    Args:
        logits: float `[n, classes]`.
        labels: int `[n]`.
        factor: What logits are multiplied by before the softmax.
        bins: Number of bins of equal width.

    Returns:
        The mean distance of accuracy and confidence over bins, in 0..1.
    """
    probabilities = _softmax(factor * logits)
    confidence = probabilities.max(1)
    hits = probabilities.argmax(1) == labels
    where = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs((hits - confidence)[where == k].sum()) for k in range(bins)]
    return float(np.sum(gaps) / len(labels))


def best_factor(logits: np.ndarray, labels: np.ndarray) -> float:
    """The factor of logits with the least cross-entropy, a power of the root of 2.

    Args:
        logits: float `[n, classes]`, of images that are not tested.
        labels: int `[n]`.
    """
    factors = 2.0 ** (np.arange(-8, 15) / 2)
    rows = np.arange(len(labels))

    def loss(factor):
        chosen = _softmax(factor * logits)[rows, labels]
        return -np.log(np.maximum(chosen, 1e-12)).mean()

    return float(min(factors, key=loss))


def ranking_score(alpha: float) -> float:
    """DD-Ranking's map of a difference of accuracies to a score in 0..1.

    Args:
        alpha: In -1..1.

    Example:
        >>> from tfdistill.evaluation import statistics
        >>> statistics.ranking_score(-1.0), statistics.ranking_score(1.0)
        (0.0, 1.0)
    """
    return (math.exp(alpha) - math.exp(-1)) / (math.e - math.exp(-1))


def label_robust_score(
    real_hard: float, hard: float, best: float, random: float, weight: float = 0.5
) -> float:
    """DD-Ranking's label-robust score, LRS.

    Args:
        real_hard: Accuracy of networks that learned from all the real data.
        hard: Accuracy by the set with hard labels.
        best: Accuracy by the set with whatever labels suit it best.
        random: The same of random real images.
        weight: Of the improvement over random images, against the loss by hard labels.
    """
    return ranking_score(weight * (best - random) - (1 - weight) * (real_hard - hard))


def augmentation_robust_score(
    changed: float, random_changed: float, plain: float, random_plain: float
) -> float:
    """DD-Ranking's augmentation-robust score, ARS.

    Args:
        changed, plain: Accuracy by the set, with random changes and without.
        random_changed, random_plain: The same of random real images.
    """
    return ranking_score((changed - random_changed + plain - random_plain) / 2)


def _softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
