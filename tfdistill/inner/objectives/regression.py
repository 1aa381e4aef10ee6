"""Regression."""

from typing import final

import tensorflow as tf

from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.objectives.squared_distance import (
    HalfSquaredDistance,
    half_squared_distances,
)


@final
class Regression(Objective):
    """Half the mean squared error, as inner loss and as meta-loss.

    The loss of the linear case (Wang et al. 2018, section 3.3). Labels are numbers
    `[batch, outputs]`; a test measures the mean squared distance to them.

    Example:
        >>> import tfdistill
        >>> tfdistill.Regression().headline
        'squared_error'
    """

    name = "regression"
    headline = "squared_error"
    metric_names = ("squared_error",)

    def inner_loss(self, labels, outputs):
        """Half the mean over examples of the squared distance.

        Args:
            labels: float `[batch, outputs]`.
            outputs: float `[batch, outputs]`.
        """
        return tf.reduce_mean(half_squared_distances(labels, outputs))

    def meta_loss(self, labels, outputs):
        """Same as `inner_loss`."""
        return self.inner_loss(labels, outputs)

    def keras_loss(self):
        return HalfSquaredDistance()

    def check_real(self, labels, num_classes):
        """Refuses what are not numbers `[batch, outputs]`: others would broadcast."""
        if labels.ndim == 2 and labels.shape[1] == num_classes:
            return
        way_out = ""
        if labels.ndim == 1 and num_classes == 1:
            way_out = ": labels[:, None]"
        elif labels.ndim == 1 and labels.dtype.kind in "iu":
            way_out = ": one-hot, if they are classes"
        raise ValueError(
            f"the labels of real batches must have the shape [batch, {num_classes}], a "
            f"number for each output, not {list(labels.shape)}{way_out}."
        )

    def metrics(self, labels, outputs):
        return {"squared_error": 2 * self.inner_loss(labels, outputs)}
