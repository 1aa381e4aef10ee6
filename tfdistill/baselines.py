"""What distilled data is compared with (Wang et al. 2018, section 4.1)."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfdistill.distilled import DistilledDataset
from tfdistill.evaluation import fresh_students

RATES = (0.01, 0.03, 0.1, 0.3)


def random_real(
    dataset,
    student,
    *,
    images_per_class: int = 1,
    steps: int = 10,
    epochs: int = 3,
    rates: Sequence = RATES,
    initial_weights=None,
    num_students: int = 4,
    seed: int = 0,
) -> DistilledDataset:
    """Random real images, trained on in the same number of steps, at the best rate.

    The rate is chosen by the accuracy of a few students on held-out training
    images; test data has no part in it.

    Args:
        dataset: A `tfdistill.Dataset`.
        student: Who learns from it, as for `students.get`.
        images_per_class: Images a class in each step.
        steps, epochs: How they are gone through.
        rates: Candidates: numbers, or arrays `[epochs, steps]`.
        initial_weights: The arrays of a fixed start, or None for random ones.
        num_students: Students a candidate is judged by.
        seed: Of images and students.

    Returns:
        A `DistilledDataset`.
    """
    part, held_out = dataset.train.split(
        min(0.2, 2000 / dataset.train.num_examples), seed=seed
    )
    images, labels = part.sample(images_per_class * steps, seed=seed)
    classes = dataset.num_classes
    images = np.reshape(images, (steps, images_per_class * classes, *images.shape[1:]))
    labels = np.eye(classes)[np.reshape(labels, images.shape[:2])]

    fixed = initial_weights is not None
    data = DistilledDataset(
        images,
        labels,
        np.ones((epochs, steps)),
        normalization=dataset.normalization,
        class_names=dataset.class_names,
        initial_weights=initial_weights,
        provenance={"dataset": dataset.name, "kind": "random_real", "seed": seed},
    )
    curriculum = _AtAnyRate(data)
    students = fresh_students(curriculum, student, data, 1 if fixed else 2)

    def score(rate):
        curriculum.rates.assign(np.broadcast_to(rate, (epochs, steps)))
        count = 1 if fixed else num_students
        result = students.evaluate(held_out.batch(1000), count, seed + 1)
        return np.nan_to_num(result.accuracy_mean)

    best = np.broadcast_to(max(rates, key=score), (epochs, steps))
    return data.with_learning_rates(best)


class _AtAnyRate:
    """A curriculum whose rates can change without being traced again."""

    def __init__(self, curriculum):
        self._curriculum = curriculum
        self.num_steps = curriculum.num_steps
        self.rates = tf.Variable(curriculum.learning_rates, trainable=False)

    def batch(self, t):
        rate = tf.gather(tf.reshape(self.rates, [-1]), t)
        return self._curriculum.batch(t)._replace(learning_rate=rate)
