"""The contract of objectives: the inner loss, the meta-loss, and what is measured."""

import abc
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfdistill._internal import lookup
from tfdistill._internal.faces import Face

#: The methods that the name of an objective stands for.
TAUGHT = ("inner_loss", "keras_loss")


class Objective(Face, abc.ABC):
    """The two losses of the loop, and the figures by which students are compared.

    Attributes:
        name: Name in files of the inner loss and its labels; by default, that of the
            class.
        headline: Name of the figure by which students are compared; "loss" is the
            meta-loss.
        higher_is_better: Whether a higher headline is better.
        shares: Names of the figures that are shares in 0..1; they are shown as
            percentages.
        metric_names: Names of what `metrics` returns.
        takes_logits: Whether outputs are logits, so that students that end in a softmax
            or a sigmoid are refused.
        options: What a file keeps of it beside the name, values for JSON: arguments of
            its class. By default none.
        takes_class_numbers: Whether real labels are the numbers of classes, integers
            `[batch]`: `Distiller.fit` refuses those of no class, whenever they come.

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
    takes_class_numbers: bool = False
    options: Mapping = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        lookup.name_by_class(cls, *TAUGHT)

    @abc.abstractmethod
    def inner_loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """The loss that the student minimises.

        Args:
            labels: float `[batch, classes]` of a synthetic batch.
            outputs: float `[batch, outputs]`, the student's.

        Returns:
            The mean loss over the batch, a scalar.
        """

    @abc.abstractmethod
    def meta_loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """The loss by which the trained student is judged.

        Args:
            labels: Labels of a real batch, as in the data set.
            outputs: float `[batch, outputs]`, the trained student's.

        Returns:
            The mean loss over the batch, a scalar.
        """

    def metrics(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Means over a real batch: shown during training, and measured by tests.

        Args:
            labels, outputs: Same as for `meta_loss`.

        Returns:
            A scalar for each of `metric_names`. By default none.
        """
        del labels, outputs
        return {}

    def totals(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Sums over a batch, which a test adds up. By default those of the metrics.

        Args:
            labels, outputs: Same as for `meta_loss`.

        Returns:
            Sums over the batch's examples, by name.
        """
        size = tf.cast(tf.shape(outputs)[0], outputs.dtype)
        metrics = self.metrics(labels, outputs)
        return {name: size * value for name, value in metrics.items()}

    def figures(
        self, totals: Mapping[str, np.ndarray], num_examples: int
    ) -> dict[str, np.ndarray]:
        """The figures of each student in a test.

        Args:
            totals: The sums of `totals` over all examples, `[students, ...]`, by name.
            num_examples: Number of examples.

        Returns:
            float `[students]` by name.
        """
        return {name: total / num_examples for name, total in totals.items()}

    def details(self, totals: Mapping[str, np.ndarray]) -> dict[str, list]:
        """More content for `metrics.json`, as JSON. By default none."""
        del totals
        return {}

    def keras_loss(self) -> Callable:
        """`inner_loss` as a loss for `keras.Model.compile`."""
        return self.inner_loss

    def check_labels(self, labels: np.ndarray) -> None:
        """Refuses labels that `inner_loss` cannot use. By default, accepts all.

        Args:
            labels: float `[steps, batch, classes]`.

        Raises:
            ValueError: If the labels are refused.
        """
        del labels

    def check_start(self, labels: np.ndarray) -> None:
        """Refuses labels that students are to learn from, but are not judged by.

        By default, those that `check_labels` refuses. Files of earlier versions may
        hold more than what is distilled from now on.

        Args:
            labels: float `[steps, batch, classes]`.

        Raises:
            ValueError: If the labels are refused.
        """
        self.check_labels(labels)

    def check_real(self, labels: np.ndarray, num_classes: int) -> None:
        """Refuses labels that `meta_loss` cannot use. By default, accepts all.

        Args:
            labels: Those of a real batch.
            num_classes: Number of the student's outputs.

        Raises:
            ValueError: If the labels are refused.
        """
        del labels, num_classes

    def caption(self, label: np.ndarray, names: Sequence[str]) -> str:
        """The caption of a synthetic image, from its label.

        Args:
            label: float `[classes]`.
            names: A name for each class, or for each output.
        """
        del names
        return ", ".join(f"{value:.3g}" for value in label)
