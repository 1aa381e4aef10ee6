"""Classification by least squares."""

from typing import final

import tensorflow as tf

from tfdistill.inner.objectives.classification import Classification, are_shares
from tfdistill.inner.objectives.squared_distance import (
    HalfSquaredDistance,
    half_squared_distances,
)


@final
class LeastSquares(Classification):
    """Classification by regression onto centred labels.

    Outputs are regressed onto one-hot labels less 1 / classes, in students' training
    and in the judgement: half the squared distance, a mean over images (Zhou et al.
    2022, section 3). A student's answer is the class of its largest output. Labels of
    distilled images may be any numbers, so that a ridge regression, or any optimizer,
    learns from them without a softmax; they start centred, too.

    Args:
        judged_by: "squared_distance"; or "cross_entropy", by which a trained student's
            outputs are logits, whose scale is that of the learned labels. Networks on
            the result are still taught by the squared distance.

    Raises:
        ValueError: If `judged_by` is something else.

    Example:
        >>> import tfdistill
        >>> tfdistill.LeastSquares().headline
        'accuracy'
    """

    name = "least_squares"
    takes_class_numbers = True

    def __init__(self, judged_by: str = "squared_distance"):
        if judged_by not in ("squared_distance", "cross_entropy"):
            raise ValueError(
                "judged_by must be 'squared_distance' or 'cross_entropy', not "
                f"{judged_by!r}."
            )
        self.judged_by = judged_by
        # Files of earlier versions name none, for the default.
        if judged_by != "squared_distance":
            self.options = {"judged_by": judged_by}

    def inner_loss(self, labels, outputs):
        """Half the mean over examples of the squared distance.

        Args:
            labels: float `[batch, classes]`, centred: one-hot labels less 1 / classes,
                or learned numbers.
            outputs: float `[batch, classes]`.
        """
        return tf.reduce_mean(half_squared_distances(labels, outputs))

    def meta_loss(self, labels, outputs):
        """Half the mean squared distance to the centred one-hot labels.

        Or the mean cross-entropy, if outputs are judged by it.

        Args:
            labels: int `[batch]`, 0 to classes - 1.
            outputs: float `[batch, classes]`.
        """
        if self.judged_by == "cross_entropy":
            return super().meta_loss(labels, outputs)
        return self.inner_loss(centred(labels, outputs.shape[-1]), outputs)

    def keras_loss(self):
        return HalfSquaredDistance()

    def check_labels(self, labels):
        """Accepts any numbers."""

    def check_start(self, labels):
        """Refuses labels that are not centred."""
        if are_shares(labels):
            raise ValueError(
                'labels must be centred for the objective "least_squares", which '
                "judges by centred ones: make DistilledImages with "
                "centred_labels=True, or take another objective."
            )

    def caption(self, label, names):
        """Name of the class with the largest number."""
        return names[int(label.argmax())]


def centred(labels: tf.Tensor, num_classes: int, dtype=tf.float32) -> tf.Tensor:
    """One-hot labels less 1 / classes: rows that sum to 0.

    Args:
        labels: int `[...]`, 0 to classes - 1.
        num_classes: Number of classes.
        dtype: Type of the result, `[..., classes]`.
    """
    return tf.one_hot(labels, num_classes, dtype=dtype) - 1 / num_classes
