"""k-NN on a small set: the classifier that needs no training."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier

from tfdistill.data.split import Split
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation.batches import Fits, Passes, difference
from tfdistill.evaluation.result import Evaluation
from tfdistill.inner.objectives.classification import Classification


@dataclasses.dataclass(frozen=True)
class NearestNeighbours:
    """k-NN on a small set: the classifier that needs no training.

    Attributes:
        k: Number of neighbours that vote, at least 1.
        metric: "l1" or "l2": the distance of normalised pixels.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> data = tfdistill.baselines.random_real(digits, steps=2)
        >>> neighbours = tfdistill.baselines.NearestNeighbours(k=1)
        >>> neighbours.evaluate([data], digits.test).accuracy_mean > 0.3
        True
    """

    k: int = 1
    metric: str = "l2"

    def evaluate(self, sets: Sequence[DistilledDataset], test: Split) -> Evaluation:
        """Classifies a whole test set by the nearest images of each set.

        Args:
            sets: At least one, all of one image shape, normalization and number of
                classes.
            test: The real images to classify, or batches of them, as in `evaluate`.

        Returns:
            An `Evaluation` with one row for each set; its losses are the error rates.

        Raises:
            ValueError: If a set has fewer than k images, the sets differ, or the test
                is of other images or classes.
        """
        for data in sets:
            if different := difference(data, sets[0]):
                raise ValueError(
                    f"Data sets that are tested at once have the same {different}: "
                    "evaluate each kind alone."
                )
        fits = Fits(sets[0], Classification(), sets[0].normalization)
        batches = list(Passes(test, check=fits))
        images = np.concatenate([_flat(images) for images, _ in batches])
        labels = np.concatenate([labels for _, labels in batches])
        confusion = np.stack([self._confusion(data, images, labels) for data in sets])
        hits = np.trace(confusion, axis1=1, axis2=2)
        return Evaluation.of_confusion(confusion, 1 - hits / confusion.sum((1, 2)))

    def _confusion(self, data, images, labels):
        if not 1 <= self.k <= data.num_images:
            raise ValueError(
                f"k must lie between 1 and the {data.num_images} images of the set, "
                f"not be {self.k}."
            )
        classifier = KNeighborsClassifier(self.k, metric=self.metric, algorithm="brute")
        classifier.fit(
            _flat(data.images.reshape(-1, *data.image_shape)),
            data.labels.argmax(-1).reshape(-1),
        )
        classes = np.arange(data.num_classes)
        return confusion_matrix(labels, classifier.predict(images), labels=classes)

    @classmethod
    def tuned(
        cls,
        sets: Sequence[DistilledDataset],
        validation: Split,
        *,
        ks: Sequence[int] = (1, 3),
        metrics: Sequence[str] = ("l1", "l2"),
    ) -> "NearestNeighbours":
        """The best of some k and metrics on held-out training images.

        Args:
            sets, validation: Same as for `tune`.
            ks, metrics: Candidates.

        Raises:
            ValueError: If every k is larger than a set.
        """
        smallest = min(data.num_images for data in sets)
        candidates = [cls(k, m) for k in ks if k <= smallest for m in metrics]
        if not candidates:
            raise ValueError(
                f"k must lie between 1 and the {smallest} images of the set, but is "
                f"one of {', '.join(map(str, ks))}."
            )
        return max(candidates, key=lambda c: c.evaluate(sets, validation).accuracy_mean)


def _flat(images):
    return np.asarray(images).reshape(len(images), -1)
