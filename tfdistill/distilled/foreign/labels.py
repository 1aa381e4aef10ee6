"""What the labels of somebody else's data mean."""

from typing import NamedTuple

import numpy as np

from tfdistill._internal import fields
from tfdistill.inner import objectives
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.objectives.classification import Classification, are_shares
from tfdistill.inner.objectives.least_squares import LeastSquares
from tfdistill.inner.objectives.regression import Regression

# Learned centred labels stay near those that they start from, -1/K and 1 - 1/K; the
# outputs of a network do not.
_LARGEST_CENTRED = 3.0


class Meaning(NamedTuple):
    """Labels, and how networks learn from them.

    Attributes:
        values: float32 `[images, classes]`.
        kind: "integer", "one-hot", "soft" or "centred"; "learned" for other numbers,
            of which only a file that names their objective can tell.
        objective: What they are learned by.
    """

    values: np.ndarray
    kind: str
    objective: Objective


def meaning(
    labels: np.ndarray,
    num_images: int,
    num_classes: int,
    objective: str = "",
    options: str = "",
) -> Meaning:
    """Recognises integer, one-hot, soft and centred labels.

    Args:
        labels: Numbers, one or a row for each image; leading axes may be several, as
            of steps and batches.
        num_images: Number of images.
        num_classes: Number of classes of the real data.
        objective: Name of what they are learned by; one that doesn't ship tells as
            little as none.
        options: Its options, a JSON object; "" for none.

    Raises:
        ValueError: If they are none of these, or not for that objective.
    """
    labels = np.asarray(labels)
    stated = None
    if objective in objectives.OBJECTIVES:
        stated = objectives.of_file(objective, _parsed(options))
    if labels.size == num_images and not isinstance(stated, Regression):
        values = _integers(labels.reshape(-1), num_classes)
        return Meaning(values, "integer", stated or Classification())
    if labels.size != num_images * num_classes or labels.shape[-1] != num_classes:
        raise ValueError(
            f"its labels have the shape {list(labels.shape)}, which is neither a class "
            f"for each of {num_images} images nor {num_classes} numbers"
        )
    rows = labels.reshape(num_images, num_classes).astype("float32")
    found = stated or _recognised(rows)
    if are_shares(rows):
        one_hot = np.isin(rows, (0, 1)).all()
        return Meaning(rows, "one-hot" if one_hot else "soft", found)
    if found.name == Classification.name:
        raise ValueError(
            f"its objective is {found.name!r}, but its labels are not rows >= 0 that "
            "sum to 1: correct one of them"
        )
    return Meaning(rows, "centred" if rows.min() < 0 else "learned", found)


def _parsed(options):
    try:
        return fields.parse(options or "{}")
    except ValueError as error:
        raise ValueError(f"its objective_options are no JSON object: {error}") from None


def _recognised(rows):
    """The objective that rows of numbers look made for."""
    if rows.min() < 0:
        if np.abs(rows).max() > _LARGEST_CENTRED:
            raise ValueError(
                f"its labels go from {rows.min():.3g} to {rows.max():.3g}, like a "
                "network's outputs: store their softmax"
            )
        return LeastSquares()
    if are_shares(rows):
        return Classification()
    raise ValueError(
        "its labels are neither negative anywhere nor rows that sum to 1: neither "
        "probabilities nor centred ones"
    )


def hard(labels: np.ndarray) -> np.ndarray:
    """One-hot labels of the most likely classes, in the same shape."""
    return np.eye(labels.shape[-1], dtype="float32")[labels.argmax(-1)]


def _integers(labels, num_classes):
    whole = np.round(labels).astype("int64")
    if not np.array_equal(whole, labels):
        raise ValueError("its labels are neither whole numbers nor rows of classes")
    if whole.min() < 0 or whole.max() >= num_classes:
        raise ValueError(
            f"its labels go from {whole.min()} to {whole.max()}, but the real data has "
            f"the classes 0 to {num_classes - 1}"
        )
    return np.eye(num_classes, dtype="float32")[whole]
