"""The objective of a distilled attack."""

from typing import final

import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import is_int
from tfdistill.inner.objectives.classification import Classification


@final
class Attack(Classification):
    """Makes students mistake one class for another (Wang et al. 2018, section 3.5).

    The distilled labels stay correct; only the judgement changes: students should
    classify real images of `attack_class` as `target_class`, and all others correctly.

    Args:
        attack_class: The class that students should mistake, from 0.
        target_class: The class that they should take it for, a different one.

    Raises:
        ValueError: If the two are the same, or negative.

    Example:
        >>> import tfdistill
        >>> tfdistill.Attack(attack_class=0, target_class=1).shares
        ('accuracy', 'modified_accuracy', 'attacked')
    """

    shares = ("accuracy", "modified_accuracy", "attacked")
    metric_names = ("accuracy", "modified_accuracy")
    takes_class_numbers = True
    _counted = metric_names

    def __init__(self, attack_class: int, target_class: int):
        whole = is_int(attack_class, 0) and is_int(target_class, 0)
        if not whole or attack_class == target_class:
            raise ValueError(
                "attack_class and target_class must be two different classes from 0 "
                f"up, not {attack_class!r} and {target_class!r}."
            )
        self.attack_class, self.target_class = int(attack_class), int(target_class)

    def meta_loss(self, labels, outputs):
        """Mean cross-entropy against the modified labels."""
        return super().meta_loss(self.modified(labels), outputs)

    def check_real(self, labels, num_classes):
        super().check_real(labels, num_classes)
        most = max(self.attack_class, self.target_class)
        if most >= num_classes:
            raise ValueError(
                f"attack_class and target_class must be classes from 0 to "
                f"{num_classes - 1}, not {most}."
            )

    def metrics(self, labels, outputs):
        modified = super().metrics(self.modified(labels), outputs)["accuracy"]
        return {**super().metrics(labels, outputs), "modified_accuracy": modified}

    def modified(self, labels: tf.Tensor) -> tf.Tensor:
        """Integer labels with `target_class` in place of `attack_class`."""
        target = tf.constant(self.target_class, labels.dtype)
        return tf.where(tf.equal(labels, self.attack_class), target, labels)

    def figures(self, totals, num_examples):
        """The paper's figures of an attack.

        Returns:
            Each float `[students]`, in 0..1: `accuracy` on the true labels,
            `modified_accuracy` on the modified ones, and `attacked`, the share of
            `attack_class` that is classified as `target_class`.
        """
        confusion = totals["confusion"]
        hits = np.trace(confusion, axis1=1, axis2=2)
        row = confusion[:, self.attack_class]
        called, known = row[:, self.target_class], row[:, self.attack_class]
        return {
            "accuracy": hits / num_examples,
            "modified_accuracy": (hits - known + called) / num_examples,
            "attacked": called / np.maximum(row.sum(1), 1),
        }
