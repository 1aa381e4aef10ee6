"""What a student is taught by, and what it is judged on."""

import abc

import numpy as np
import tensorflow as tf


class Objective(abc.ABC):
    """The two losses of the loop: the student's own, and the meta-loss."""

    #: The names that `metrics` gives.
    metric_names: tuple[str, ...] = ()

    @abc.abstractmethod
    def inner_loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """What the student descends on.

        Args:
            labels: float `[batch, classes]` of a distilled batch.
            outputs: float `[batch, outputs]`: what the student says.

        Returns:
            The mean loss over the batch, a scalar.
        """

    @abc.abstractmethod
    def meta_loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """What the trained student is judged on.

        Args:
            labels: Of a real batch, as the data set has them.
            outputs: float `[batch, outputs]`: what the trained student says.

        Returns:
            The mean loss over the batch, a scalar.
        """

    @abc.abstractmethod
    def metrics(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """What is averaged and shown of real batches.

        Args:
            labels, outputs: As of `meta_loss`.

        Returns:
            Scalars by name: those of `metric_names`.
        """


class Classification(Objective):
    """Cross-entropy inside and outside (Wang et al. 2018, equation 3)."""

    metric_names: tuple[str, ...] = ("accuracy",)

    def inner_loss(self, labels, outputs):
        """Mean cross-entropy.

        Args:
            labels: float `[batch, classes]`, one-hot or soft: rows that sum to 1.
            outputs: logits `[batch, classes]`.
        """
        # Not softmax_cross_entropy_with_logits: the gradient of its gradient with
        # respect to the labels is silently zero, and soft labels would never learn.
        log_probabilities = tf.nn.log_softmax(outputs)
        return -tf.reduce_mean(tf.reduce_sum(labels * log_probabilities, -1))

    def meta_loss(self, labels, outputs):
        """Mean cross-entropy.

        Args:
            labels: int `[batch]`, 0 to classes - 1.
            outputs: logits `[batch, classes]`.
        """
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)
        return tf.reduce_mean(losses)

    def metrics(self, labels, outputs):
        hits = tf.equal(tf.argmax(outputs, -1, labels.dtype), labels)
        return {"accuracy": tf.reduce_mean(tf.cast(hits, outputs.dtype))}


class Attack(Classification):
    """Data that makes students call one class another (Wang et al. 2018, section 3.5).

    The distilled labels stay true; only the judgement is changed: the real images of
    `attack_class` are to be called `target_class`, all others what they are.

    Args:
        attack_class: The class that is to be mistaken, from 0.
        target_class: What it is to be taken for, another one.

    Raises:
        ValueError: If the two are the same, or negative.
    """

    metric_names = ("accuracy", "modified_accuracy")

    def __init__(self, attack_class: int, target_class: int):
        classes = attack_class, target_class
        whole = all(isinstance(c, (int, np.integer)) for c in classes)
        if not whole or min(classes) < 0 or attack_class == target_class:
            raise ValueError(
                "attack_class and target_class must be two different classes from 0 "
                f"up, not {attack_class!r} and {target_class!r}."
            )
        self.attack_class, self.target_class = attack_class, target_class

    def meta_loss(self, labels, outputs):
        """Mean cross-entropy against the modified labels; arguments as of the base."""
        return super().meta_loss(self.modified(labels), outputs)

    def metrics(self, labels, outputs):
        modified = super().metrics(self.modified(labels), outputs)["accuracy"]
        return {**super().metrics(labels, outputs), "modified_accuracy": modified}

    def modified(self, labels: tf.Tensor) -> tf.Tensor:
        """Integer labels with `target_class` in the place of `attack_class`."""
        target = tf.constant(self.target_class, labels.dtype)
        return tf.where(tf.equal(labels, self.attack_class), target, labels)

    def figures(self, confusion) -> dict[str, np.ndarray]:
        """The paper's figures of an attack.

        Args:
            confusion: int `[students, classes, classes]`, as of an `Evaluation`.

        Returns:
            Each float `[students]`, in 0..1: `accuracy` on the true labels,
            `modified_accuracy` on the modified ones, and `attacked`, the share of
            `attack_class` that is called `target_class`.
        """
        total = confusion.sum((1, 2))
        hits = np.trace(confusion, axis1=1, axis2=2)
        row = confusion[:, self.attack_class]
        called, known = row[:, self.target_class], row[:, self.attack_class]
        return {
            "accuracy": hits / total,
            "modified_accuracy": (hits - known + called) / total,
            "attacked": called / np.maximum(row.sum(1), 1),
        }


class Regression(Objective):
    """Half the mean squared error, inside and outside.

    The loss of the linear case (Wang et al. 2018, section 3.3).
    """

    def inner_loss(self, labels, outputs):
        """Half the mean over examples of the squared distance.

        Args:
            labels: float `[batch, outputs]`.
            outputs: float `[batch, outputs]`.
        """
        squares = tf.math.squared_difference(outputs, labels)
        return tf.reduce_mean(tf.reduce_sum(squares, -1)) / 2

    def meta_loss(self, labels, outputs):
        """As `inner_loss`."""
        return self.inner_loss(labels, outputs)

    def metrics(self, labels, outputs):
        del labels, outputs
        return {}
