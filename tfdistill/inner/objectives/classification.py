"""Classification."""

import keras
import numpy as np
import tensorflow as tf

from tfdistill.inner.objectives.base import Objective

# A matrix of more would be megabytes of text.
_MOST_CLASSES = 100


class Classification(Objective):
    """Cross-entropy, as inner loss and as meta-loss (Wang et al. 2018, equation 3).

    A test counts a confusion matrix; its figures are the accuracy, in 0..1, and the
    metrics that a subclass adds.

    Example:
        >>> import tfdistill
        >>> tfdistill.Classification().headline
        'accuracy'
    """

    name = "classification"
    headline, higher_is_better = "accuracy", True
    shares: tuple[str, ...] = ("accuracy",)
    metric_names: tuple[str, ...] = ("accuracy",)
    takes_logits = True
    # Metrics that a test takes from the confusion matrix.
    _counted: tuple[str, ...] = ("accuracy",)

    @property
    def takes_class_numbers(self) -> bool:
        """Not if a subclass has a `meta_loss` of its own, unless it says so."""
        return type(self).meta_loss is Classification.meta_loss

    def inner_loss(self, labels, outputs):
        """Mean cross-entropy.

        Args:
            labels: float `[batch, classes]`, one-hot or soft: rows that sum to 1.
            outputs: logits `[batch, classes]`.
        """
        # Not softmax_cross_entropy_with_logits: the gradient of its gradient with
        # respect to the labels is silently zero, and soft labels would never learn.
        log_probabilities = tf.nn.log_softmax(outputs)
        labels = tf.cast(labels, outputs.dtype)
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

    def totals(self, labels, outputs):
        """The confusion matrix, int64 `[true classes, predicted classes]`.

        And the sums of the metrics that a subclass adds.
        """
        metrics = super().totals(labels, outputs).items()
        added = {name: total for name, total in metrics if name not in self._counted}
        cells = tf.stack([labels, tf.argmax(outputs, -1, labels.dtype)], 1)
        # tf.math.confusion_matrix is this and eight checks of what is known.
        shape = 2 * [outputs.shape[-1]]
        ones = tf.ones_like(cells[:, 0], tf.int64)
        confusion = tf.scatter_nd(cells, ones, tf.cast(shape, cells.dtype))
        return {"confusion": confusion, **added}

    def figures(self, totals, num_examples):
        hits = np.trace(totals["confusion"], axis1=1, axis2=2)
        added = {name: totals[name] for name in self.metric_names if name in totals}
        return {"accuracy": hits / num_examples, **super().figures(added, num_examples)}

    def details(self, totals):
        """The recall of each class, and the confusion matrix of all students.

        Recall is None for a class without examples. For more than 100 classes, the most
        frequent mistakes stand in the place of the matrix: the true class, the one
        predicted and the share of the true class, `[mistakes][3]`.
        """
        recalls = recall(totals["confusion"]).tolist()
        confusion = totals["confusion"].sum(0)
        return {
            "accuracy_per_class": [None if np.isnan(r) else r for r in recalls],
            **(
                {"confusion": confusion.tolist()}
                if len(confusion) <= _MOST_CLASSES
                else {"mistakes": mistakes(confusion)}
            ),
        }

    def keras_loss(self):
        if type(self).inner_loss is not Classification.inner_loss:
            return super().keras_loss()  # a subclass has a loss of its own
        return keras.losses.CategoricalCrossentropy(from_logits=True)

    def check_labels(self, labels):
        if not are_shares(labels):
            raise ValueError(
                "labels must be distributions: rows >= 0 that sum to 1. (Centred ones "
                'are for the objective "least_squares".)'
            )

    def check_real(self, labels, num_classes):
        """Refuses what are not integers `[batch]` from 0 to classes - 1.

        A subclass with a `meta_loss` of its own may take other labels.
        """
        if self.takes_class_numbers:
            check_numbers(labels, num_classes)

    def caption(self, label, names):
        """Name of the most probable class, with its probability if that is below 1."""
        best = int(label.argmax())
        if label[best] >= 0.995:
            return names[best]
        return f"{names[best]} {100 * label[best]:.0f} %"


def are_shares(labels: np.ndarray) -> bool:
    """Whether labels are one-hot or soft: rows >= 0 that sum to 1.

    Args:
        labels: float `[..., classes]`.
    """
    return bool((labels >= 0).all() and np.allclose(labels.sum(-1), 1, atol=1e-3))


def check_numbers(labels: np.ndarray, num_classes: int) -> None:
    """Refuses labels that are not integers `[batch]` from 0 to classes - 1.

    Args:
        labels: Those of a real batch.
        num_classes: Number of classes.

    Raises:
        ValueError: If they are not.
    """
    found = f"{labels.dtype} of shape {labels.shape}"
    if labels.dtype.kind in "iu" and labels.ndim == 1:
        wrong = labels[(labels < 0) | (labels >= num_classes)]
        if not len(wrong):
            return
        found = f"{wrong[0]}"
    way_out = ""
    if labels.ndim == 2:
        way_out = ": labels[:, 0]" if labels.shape[1] == 1 else ": labels.argmax(1)"
    elif labels.dtype.kind == "f":
        way_out = ': labels.astype("int32")'
    raise ValueError(
        "the labels of real batches must be integers [batch] from 0 to "
        f"{num_classes - 1}, not {found}{way_out}."
    )


def recall(confusion: np.ndarray) -> np.ndarray:
    """The recall of each class, over all students.

    Args:
        confusion: int `[students, classes, classes]`.

    Returns:
        float `[classes]`; NaN where there are no examples of a class.
    """
    hits = np.diagonal(confusion, axis1=1, axis2=2).sum(0)
    counts = confusion.sum((0, 2))
    return np.where(counts, hits / np.maximum(counts, 1), np.nan)


def mistakes(confusion: np.ndarray, most: int = 20) -> list:
    """The most frequent mistakes: `[true class, predicted class, share]`, sorted.

    Args:
        confusion: Counts `[classes, classes]`; rows are true classes.
        most: Largest number of mistakes.

    Returns:
        Lists, with the share of the true class in 0..1, above 0.
    """
    confusion = np.asarray(confusion)
    wrong = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, wrong.shape))
    return [[int(i), int(j), float(wrong[i, j])] for i, j in pairs if wrong[i, j] > 0]
