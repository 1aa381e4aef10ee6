"""What a student is taught by, what it is judged on, and what is measured of it."""

import abc
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf


class Objective(abc.ABC):
    """The two losses of the loop, and the figures by which trained students compare.

    Attributes:
        name: What files call the way of teaching: the inner loss and its labels.
        headline: The figure that students are compared by; "loss" is the meta-loss.
        higher_is_better: Whether more of it is better.
        shares: The names of those figures that are shares in 0..1: they are shown as
            percentages.
        metric_names: The names that `metrics` gives.
        takes_logits: Whether outputs are logits, so that students that end in a softmax
            or a sigmoid are refused.

    Example:
        >>> import tensorflow as tf, tfdistill
        >>> class AbsoluteError(tfdistill.Objective):
        ...     name = "absolute_error"
        ...     headline, higher_is_better = "absolute_error", False
        ...     metric_names = ("absolute_error",)
        ...     def inner_loss(self, labels, outputs):
        ...         return tf.reduce_mean(tf.square(outputs - labels))
        ...     def meta_loss(self, labels, outputs):
        ...         return self.inner_loss(labels, outputs)
        ...     def metrics(self, labels, outputs):
        ...         return {"absolute_error": tf.reduce_mean(abs(outputs - labels))}
    """

    name: str
    headline: str = "loss"
    higher_is_better: bool = False
    shares: tuple[str, ...] = ()
    metric_names: tuple[str, ...] = ()
    takes_logits: bool = False

    @abc.abstractmethod
    def inner_loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """What the student descends on.

        Args:
            labels: float `[batch, classes]` of a synthetic batch.
            outputs: float `[batch, outputs]`, the student's.

        Returns:
            The mean loss over the batch, a scalar.
        """

    @abc.abstractmethod
    def meta_loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """What the trained student is judged on.

        Args:
            labels: Those of a real batch, as the data set has them.
            outputs: float `[batch, outputs]`, the trained student's.

        Returns:
            The mean loss over the batch, a scalar.
        """

    def metrics(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Means over a real batch: what training shows, and what tests measure.

        Args:
            labels, outputs: The same as for `meta_loss`.

        Returns:
            Scalars by name: those of `metric_names`. By default none.
        """
        del labels, outputs
        return {}

    def totals(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """What is added up over all batches of a test. By default the metrics.

        Args:
            labels, outputs: The same as for `meta_loss`.

        Returns:
            Sums over the batch's examples, by name.
        """
        size = tf.cast(tf.shape(outputs)[0], outputs.dtype)
        metrics = self.metrics(labels, outputs)
        return {name: size * value for name, value in metrics.items()}

    def figures(
        self, totals: Mapping[str, np.ndarray], num_examples: int
    ) -> dict[str, np.ndarray]:
        """What a test says of each student.

        Args:
            totals: For each of `totals` by name, `[students, ...]`, over all examples.
            num_examples: How many they were.

        Returns:
            float `[students]` by name.
        """
        return {name: total / num_examples for name, total in totals.items()}

    def details(self, totals: Mapping[str, np.ndarray]) -> dict[str, list]:
        """More that `metrics.json` is to hold of a test: JSON. By default nothing."""
        del totals
        return {}

    def keras_loss(self) -> Callable:
        """A loss for `keras.Model.compile` that is `inner_loss`."""
        return self.inner_loss

    def check_labels(self, labels: np.ndarray) -> None:
        """Refuses labels that `inner_loss` cannot teach by. By default none.

        Args:
            labels: float `[steps, batch, classes]`.

        Raises:
            ValueError: If they are not what it needs.
        """
        del labels

    def caption(self, label: np.ndarray, names: Sequence[str]) -> str:
        """What a picture says of a synthetic image's label.

        Args:
            label: float `[classes]`.
            names: One for each class, or output.
        """
        del names
        return ", ".join(f"{value:.3g}" for value in label)
