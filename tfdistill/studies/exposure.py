"""How exposed a network is to a distilled attack, and what ordinary care undoes.

A network takes a few training steps on the images of an attack (Wang et al. 2018,
section 3.5): once as the attacker intends, and once with each of several simple
counter-measures. What is left of the attack shows how much these help.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill import students
from tfdistill._internal.checks import check_int, check_positive, keep_ints
from tfdistill._internal.seeds import seed_of_draw
from tfdistill.data.dataset import Dataset
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation.batches import fitted
from tfdistill.evaluation.evaluator import evaluate_model
from tfdistill.evaluation.result import Evaluation
from tfdistill.inner import unroll
from tfdistill.inner.objectives.attack import Attack
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.objectives.classification import Classification
from tfdistill.inner.optimizers import GradientDescent
from tfdistill.inner.stateless import StatelessModel

_NO_LIMIT = math.inf


@dataclasses.dataclass(frozen=True)
class Training:
    """How somebody trains on images that others made.

    Attributes:
        rate: Factor for the distilled learning rates, at least 0: 0 for no training.
        shuffled: Whether images come in random order, in batches of as many as there
            are classes.
        clip: The largest norm of a step's gradient, over all weights; > 0.
        clean_steps: Number of gradient-descent steps on real training images
            afterwards, by cross-entropy; at least 0.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import tfdistill
        >>> tfdistill.exposure.Training(rate=0.3, clean_steps=10).shuffled
        False
    """

    rate: float = 1.0
    shuffled: bool = False
    clip: float = _NO_LIMIT
    clean_steps: int = 0

    def __post_init__(self):
        if not 0 <= self.rate < math.inf:
            raise ValueError(f"rate must be a number of at least 0, not {self.rate!r}.")
        if not self.clip > 0:
            raise ValueError(f"clip must be above 0, not {self.clip!r}.")
        keep_ints(self, 0, "clean_steps")


BEFORE, ATTACKED = "before", "attacked"

#: By name: no training, training as intended, and with each counter-measure.
TRAININGS: Mapping[str, Training] = {
    BEFORE: Training(rate=0.0),
    ATTACKED: Training(),
    "rates x 0.3": Training(rate=0.3),
    "rates x 0.1": Training(rate=0.1),
    "shuffled, small batches": Training(shuffled=True),
    "gradients clipped": Training(clip=1.0),
    "10 clean steps after": Training(clean_steps=10),
    "100 clean steps after": Training(clean_steps=100),
}


def measure(
    model: keras.Model,
    starts: Iterable[Sequence[np.ndarray]],
    distilled: DistilledDataset,
    dataset: Dataset,
    *,
    trainings: Mapping[str, Training] = TRAININGS,
    clean_rate: float = 0.01,
    clean_batch_size: int = 256,
    seed: int = 0,
) -> dict[str, Evaluation]:
    """Trains networks on distilled images in several ways, and tests each.

    Distilled images teach by the loss of their own objective.

    Args:
        model: A built model with logits, which is changed.
        starts: For each network, one or more, values of the model's trainable
            variables, then of its others.
        distilled: The attack.
        dataset: The real data, whose test images judge; its training images are the
            clean ones.
        trainings: Ways to train, by name.
        clean_rate: The learning rate of clean steps, > 0.
        clean_batch_size: Batch size of clean steps, at least 1.
        seed: Seed of orders and clean batches.

    Returns:
        An `Evaluation` of all networks, by the name of the training.

    Raises:
        ValueError: If the images are for another inner optimizer than "sgd", or of
            other shapes or classes than the real data, there is no network, one has not
            the values of all variables, or a number is out of range.

    Example:
        >>> import tfdistill
        >>> from tfdistill import exposure
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.baselines.random_real(digits, steps=2)  # of an attack
        >>> model = tfdistill.students.linear(digits.image_shape)
        >>> starts = [model.get_weights()]
        >>> found = exposure.measure(model, starts, images, digits)
        >>> list(found)[:3]
        ['before', 'attacked', 'rates x 0.3']
    """
    check_positive("clean_rate", clean_rate)
    check_int("clean_batch_size", clean_batch_size, 1)
    check_int("seed", seed, 0)
    distilled.check_fits(dataset)
    if distilled.inner_optimizer.name != "sgd":
        raise ValueError(
            'Exposure can be measured for the inner optimizer "sgd" only, not for '
            f"{distilled.inner_optimizer.name!r}."
        )
    train, test = (fitted(part, distilled) for part in (dataset.train, dataset.test))
    learn, clean = _step(model, distilled.objective), _step(model, Classification())
    test = test.batch(1000).cache()
    found = {name: [] for name in trainings}
    for number, values in enumerate(starts):
        for name, training in trainings.items():
            if not students.assign(model, values):
                raise ValueError(
                    "starts must hold, of each network, the values of all variables of "
                    "the model: of the trainable ones, then of the others."
                )
            rng = np.random.default_rng([seed, number])
            for images, labels, rate in _batches(distilled, training, rng):
                learn(images, labels, rate, tf.constant(training.clip, tf.float64))
            if training.clean_steps:
                own = seed_of_draw(seed, number)
                batches = train.batch(
                    clean_batch_size, shuffle=True, seed=own, repeat=True
                )
                for images, labels in batches.take(training.clean_steps):
                    labels = tf.one_hot(labels, dataset.num_classes)
                    rate, clip = tf.constant([clean_rate, _NO_LIMIT], tf.float64)
                    clean(images, labels, rate, clip)
            found[name].append(evaluate_model(model, test))
    if not all(found.values()):
        raise ValueError("starts must hold the values of at least one network.")
    return {name: Evaluation.joined(results) for name, results in found.items()}


def figures(results: Mapping[str, Evaluation], attack: Attack) -> dict[str, dict]:
    """The results of `measure`, as JSON.

    Args:
        results: By name; "before" and "attacked" are among them.
        attack: The objective of the attack.

    Returns:
        By name, the paper's four figures of an attack as means and standard deviations
        over networks in 0..1, and `survives`: the part of the attack that is left,
        measured by the share of attacked images that are classified as the target.

    Example:
        >>> import tfdistill
        >>> from tfdistill import exposure
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.baselines.random_real(digits, steps=2)  # of an attack
        >>> model = tfdistill.students.linear(digits.image_shape)
        >>> found = exposure.measure(model, [model.get_weights()], images, digits)
        >>> attack = tfdistill.Attack(attack_class=0, target_class=1)
        >>> "survives" in exposure.figures(found, attack)["gradients clipped"]
        True
    """
    found: dict[str, dict] = {}
    for name, result in results.items():
        shares = attack.figures(result.totals, result.num_examples)
        found[name] = {
            **{f"{key}_mean": float(x.mean()) for key, x in shares.items()},
            **{f"{key}_std": float(x.std()) for key, x in shares.items()},
            "accuracy_per_class": result.to_json()["accuracy_per_class"],
        }
    before, full = (found[name]["attacked_mean"] for name in (BEFORE, ATTACKED))
    for content in found.values():
        content["survives"] = (
            (content["attacked_mean"] - before) / (full - before)
            if full > before
            else None
        )
    return found


def _batches(
    distilled: DistilledDataset, training: Training, rng: np.random.Generator
) -> Iterator[tuple]:
    """The batches of the training, each with its rate."""
    if not training.rate:
        return
    images, labels = distilled.images, distilled.labels
    learned = distilled.hyperparameters["learning_rate"]
    for rates in learned * np.float32(training.rate):
        if not training.shuffled:
            yield from zip(images, labels, map(tf.constant, rates))
            continue
        order = rng.permutation(distilled.num_images)
        for rows in np.split(
            order, np.arange(0, len(order), distilled.num_classes)[1:]
        ):
            step, place = np.divmod(rows, images.shape[1])
            rate = tf.constant(rates[step].mean())
            yield images[step, place], labels[step, place], rate


def _step(model: keras.Model, objective: Objective) -> Callable:
    """One gradient-descent step of the model, traced once for each shape."""
    student, descent = StatelessModel(model), GradientDescent()

    @tf.function(reduce_retracing=True, autograph=False)
    def step(images, labels, rate, clip):
        weights = student.weights
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            outputs, state, penalty = student(weights, student.state, images, True)
            loss = objective.inner_loss(labels, outputs) + penalty
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
        gradients = unroll.dense(gradients)
        norm = tf.linalg.global_norm([tf.cast(g, tf.float32) for g in gradients])
        share = tf.minimum(tf.cast(clip, tf.float32) / norm, 1)
        rates = {"learning_rate": tf.cast(rate, tf.float32) * share}
        weights, _ = descent.take(tf.constant(0), rates, gradients, weights, [])
        student.assign(weights, state)

    return step
