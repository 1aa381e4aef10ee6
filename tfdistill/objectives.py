"""What a student is taught by, and what it is judged on."""

import abc

import tensorflow as tf


class Objective(abc.ABC):
    """The two losses of the loop: the student's own, and the meta-loss."""

    #: The names that `metrics` gives.
    metric_names: tuple[str, ...] = ()

    @abc.abstractmethod
    def inner_loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """What the student descends on: the mean loss over a distilled batch."""

    @abc.abstractmethod
    def meta_loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """What the trained student is judged on: the mean loss over a real batch."""

    @abc.abstractmethod
    def metrics(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scalars of a real batch to be averaged and shown, by name."""


class Classification(Objective):
    """Cross-entropy inside and outside (Wang et al. 2018, equation 3)."""

    metric_names = ("accuracy",)

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
