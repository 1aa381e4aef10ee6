"""What distilled data is compared with (Wang et al. 2018, section 4.1).

Each baseline selects or computes images from the real training data. Students learn
from it in as many steps as from distilled images: a baseline is a `DistilledDataset`,
too. `tune` finds the best rates and number of epochs for it.
"""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.cluster import KMeans

from tfdistill._internal.checks import check_int
from tfdistill._internal.seeds import in_32_bits
from tfdistill.data.dataset import Dataset
from tfdistill.data.split import Split
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation.batches import fitted
from tfdistill.inner.optimizers.gradient_descent import GradientDescent
from tfdistill.runs.journal import Journal
from tfdistill.studies.nearest_neighbours import (
    NearestNeighbours as NearestNeighbours,
)
from tfdistill.studies.tuning import EPOCHS as EPOCHS
from tfdistill.studies.tuning import RATES as RATES
from tfdistill.studies.tuning import TRAINING_RATES as TRAINING_RATES
from tfdistill.studies.tuning import evaluator_of
from tfdistill.studies.tuning import tune as tune
from tfdistill.synthesizers import classes
from tfdistill.weights.base import InitialWeights

# Before `tune`: the initial values of distilled images.
_RATE, _EPOCHS = GradientDescent().hyperparameters[0].start, 3
# How many images of a class are needed, in the words of the arguments.
_COUNT = "(images_per_class * steps)"


def random_real(
    dataset: Dataset,
    *,
    images_per_class: int = 1,
    images_per_step: int | None = None,
    steps: int = 10,
    seed: int = 0,
) -> DistilledDataset:
    """Random training images, different ones in every step.

    Args:
        dataset: The real data; only `dataset.train` is used.
        images_per_class: Images of each class in each step, at least 1.
        images_per_step: Images in each step, in place of `images_per_class`; the
            classes take turns, as in `DistilledImages.from_real`.
        steps: Steps in each epoch, at least 1.
        seed: Seed of the draw.

    Returns:
        A `DistilledDataset`, with 3 epochs at a rate of 0.02.

    Raises:
        ValueError: If a class has fewer than images_per_class * steps images, or there
            are fewer images than classes in all.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> tfdistill.baselines.random_real(digits, steps=5).num_images
        50
    """
    size = classes.per_step(dataset, images_per_class, images_per_step)
    images = classes.sampled(dataset, steps, size, seed)
    return _dataset(dataset, "random_real", images, steps, seed)


def k_means(
    dataset: Dataset, *, images_per_class: int = 1, steps: int = 10, seed: int = 0
) -> DistilledDataset:
    """Centroids of each class by k-means, one for each of its images in all steps.

    Args:
        dataset, images_per_class, steps, seed: Same as for `random_real`.

    Returns:
        Same as `random_real`.

    Raises:
        ValueError: If there are more centroids than images of a class.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> tfdistill.baselines.k_means(digits, steps=5).num_images
        50
    """
    check_int("seed", seed, 0)
    count, centroids = _per_class(images_per_class, steps), []
    for label in range(dataset.num_classes):
        needs = f"k-means needs {count} images of each class for as many centroids"
        images = _of_class(dataset, label, count, f"{needs} {_COUNT}")
        means = KMeans(count, n_init=1, random_state=in_32_bits(seed))
        means.fit(images.reshape(len(images), -1))
        # The centroids are assigned to steps at random.
        order = np.random.default_rng(seed).permutation(count)
        centroids.append(means.cluster_centers_[order])
    images = np.stack(centroids, axis=1)
    images = images.reshape(*images.shape[:2], *dataset.image_shape)
    return _dataset(dataset, "k_means", images, steps, seed)


def herding(
    dataset: Dataset,
    *,
    images_per_class: int = 1,
    steps: int = 10,
    features: Callable[[np.ndarray], np.ndarray] | None = None,
) -> DistilledDataset:
    """Training images of each class whose running mean follows the mean of the class.

    Chosen one after the other (Welling 2009; Rebuffi et al. 2017): each is the image
    with which the mean of all so far comes nearest to the mean of the class.

    Args:
        dataset, images_per_class, steps: Same as for `random_real`.
        features: What means and distances are of: a function from normalised images
            `[n, *image_shape]` to `[n, ...]`, such as a network without its last layer;
            by default the pixels.

    Returns:
        Same as `random_real`; the first images are in the first steps.

    Raises:
        ValueError: If a class has fewer than images_per_class * steps images, or the
            features are not one finite row for each image.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> tfdistill.baselines.herding(digits, steps=5).num_images
        50
    """
    count, chosen = _per_class(images_per_class, steps), []
    for label in range(dataset.num_classes):
        needs = f"Herding needs {count} images of each class {_COUNT}"
        images = _of_class(dataset, label, count, needs)
        rows = np.asarray(images if features is None else features(images))
        if rows.ndim < 2 or len(rows) != len(images) or not np.isfinite(rows).all():
            raise ValueError(
                f"features must give a finite row for each of {len(images)} images, "
                f"not an array of shape {list(rows.shape)}."
            )
        chosen.append(images[herded(rows, count)])
    images = np.stack(chosen, axis=1)
    return _dataset(dataset, "herding", images, steps, None)


def herded(rows: np.ndarray, count: int) -> list[int]:
    """Indices of examples whose running mean follows the mean of all.

    Args:
        rows: Finite numbers `[n, ...]`, of the examples.
        count: How many are chosen, at most n.

    Example:
        >>> import numpy as np, tfdistill
        >>> tfdistill.baselines.herded(np.array([[0.0], [5.0], [10.0]]), count=1)
        [1]
    """
    rows = _flat(rows).astype("float64")
    squares, mean = np.square(rows).sum(1), rows.mean(0)
    total, chosen = np.zeros_like(mean), []
    for number in range(1, count + 1):
        # ||number * mean - total - row||^2, less what is the same for all rows.
        distances = squares - 2 * rows @ (number * mean - total)
        distances[chosen] = np.inf
        chosen.append(int(distances.argmin()))
        total += rows[chosen[-1]]
    return chosen


def average_real(
    dataset: Dataset, *, images_per_class: int = 1, steps: int = 10
) -> DistilledDataset:
    """The mean image of each class, the same in every step.

    Args:
        dataset, images_per_class, steps: Same as for `random_real`.

    Returns:
        Same as `random_real`.

    Raises:
        ValueError: If a class has no images.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> tfdistill.baselines.average_real(digits, steps=5).num_images
        50
    """
    needs = "A mean needs an image of each class"
    labels = range(dataset.num_classes)
    every = [_of_class(dataset, label, 1, needs) for label in labels]
    means = np.stack([images.mean(0) for images in every])
    images = np.repeat(means[None], _per_class(images_per_class, steps), axis=0)
    return _dataset(dataset, "average_real", images, steps, None)


def optimized_real(
    sets: Sequence[DistilledDataset],
    student,
    training: Split,
    *,
    keep: float = 0.2,
    num_students: int = 20,
    num_images: int = 2000,
    initial_weights: InitialWeights | None = None,
    seed: int = 0,
    journal: Journal | None = None,
) -> list[DistilledDataset]:
    """The best of many random sets, by the accuracy of students on training data.

    Args:
        sets: Many random sets, of one shape, tuned.
        student: The student that learns from each, same as for `students.get`.
        training: The real training data on which students are tested, normalised as
            by `evaluate`.
        keep: Share of the sets to keep, in (0, 1].
        num_students: Number of students for each set, at least 1.
        num_images: Number of random training images on which students are tested, at
            least 1; all of them, if there are no more.
        initial_weights: Same as for `Evaluator`.
        seed: Seed of students and images.
        journal: Same as for `Evaluator`.

    Returns:
        The best sets, best first.

    Raises:
        ValueError: If `keep` or `num_images` is out of range, or fixed initial weights
            are refused as by `evaluate`.

    Example:
        >>> import tfdistill
        >>> from tfdistill import baselines
        >>> digits = tfdistill.load_dataset("digits")
        >>> sets = [baselines.random_real(digits, seed=seed) for seed in range(5)]
        >>> few = {"num_students": 1, "num_images": 500}
        >>> best = baselines.optimized_real(sets, "linear", digits.train, **few)
        >>> len(best)  # a fifth of them
        1
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep must lie in (0, 1], not {keep}.")
    check_int("num_images", num_images, 1)
    check_int("seed", seed, 0)
    evaluator = evaluator_of(sets, student, num_students, initial_weights, journal)
    order = np.random.default_rng(seed).permutation(len(training))
    tested = fitted(training.subset(order < num_images), sets[0])
    batches = tested.batch(1000).cache()
    scores = [
        evaluator(data, batches, num_students, seed=seed).accuracy_mean for data in sets
    ]
    best = np.argsort(np.nan_to_num(scores))[::-1][: max(1, round(keep * len(sets)))]
    return [
        sets[index].replace(
            provenance={"baseline": "optimized_real", "score": float(scores[index])}
        )
        for index in best
    ]


def _of_class(dataset, label, count, needs):
    """The training images of a class, of which there must be so many: `needs` why."""
    found = int((dataset.train.read_labels() == label).sum())
    if found < count:
        name = dataset.class_names[label]
        raise ValueError(f"{needs}, but class {name} has {found}.")
    return dataset.train.of_class(label)


def _per_class(images_per_class, steps):
    each = check_int("images_per_class", images_per_class, 1)
    return each * check_int("steps", steps, 1)


def _dataset(dataset, baseline, images, steps, seed):
    """A baseline of images in the order of steps, of the classes in turn."""
    images = images.reshape(steps, -1, *dataset.image_shape)
    numbers = classes.in_turn(*images.shape[:2], dataset.num_classes)
    return DistilledDataset(
        images,
        np.eye(dataset.num_classes)[numbers],
        np.full((_EPOCHS, steps), _RATE),
        normalization=dataset.normalization,
        class_names=dataset.class_names,
        provenance={"dataset": dataset.name, "baseline": baseline, "seed": seed},
    )


def _flat(images):
    return np.asarray(images).reshape(len(images), -1)
