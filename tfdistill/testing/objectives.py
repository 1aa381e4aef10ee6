"""Is an objective right?"""

import json

import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import with_kind
from tfdistill.inner import objectives
from tfdistill.inner.objectives.base import Objective
from tfdistill.testing import measures
from tfdistill.testing.measures import CLASSES, require


def check_objective(
    objective: Objective, inner_labels=None, real_labels=None, outputs=None
) -> None:
    """Tries an `Objective` on a batch.

    Its losses must be means over the batch whose first derivatives are right, the inner
    one's second ones too (central differences in float64, 1e-6); its metrics must be
    those that it names, its totals must add up over batches, and all these must be the
    same in a graph of batches of any size; its figures must be numbers of each student
    by itself, those of the metrics' names among them and the same as these, and its
    Keras loss must be its inner loss. It must accept the labels.

    Args:
        objective: The object to be checked.
        inner_labels: Labels of an even number of synthetic examples, float `[batch,
            classes]`; by default soft labels of three classes.
        real_labels: Labels of as many real examples, as your data has them; by default
            integers 0..2.
        outputs: A student's outputs for them, float `[batch, outputs]`; by default
            random numbers, as many as inner labels have.

    Raises:
        AssertionError: If something is wrong; it says what.

    Example:
        >>> import numpy as np, tfdistill
        >>> numbers = np.random.default_rng(0).normal(size=(8, 2))
        >>> tfdistill.testing.check_objective(
        ...     tfdistill.Regression(), inner_labels=numbers, real_labels=numbers
        ... )
    """
    measures.require_kind("objective", objective, Objective)
    measures.check_name(objective, objectives.get)
    rng = np.random.default_rng(0)
    if inner_labels is None:
        inner_labels = rng.dirichlet(np.ones(CLASSES), 8)
    if real_labels is None:
        real_labels = np.arange(len(inner_labels)) % np.shape(inner_labels)[-1]
    if outputs is None:
        # Not what labels may have been drawn from: there, all derivatives may be 0.
        outputs = np.random.default_rng(3).standard_normal(np.shape(inner_labels))
    real_labels = np.asarray(real_labels)
    # Pipelines give integers as int32, and numbers in the type of the outputs.
    integers = real_labels.dtype.kind in "iu"
    real = tf.constant(real_labels, "int32" if integers else "float64")
    labels = tf.Variable(np.asarray(inner_labels, "float64"), name="the labels")
    said = tf.Variable(np.asarray(outputs, "float64"), name="the outputs")
    try:
        with measures.double_precision():
            _check_losses(objective, labels, said, real)
        _check_figures(objective, labels, said, real)
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(
            f"{type(objective).__name__} fails of inner_labels {list(labels.shape)}, "
            f"real_labels {real.dtype.name} {list(real.shape)} and outputs "
            f"{list(said.shape)}; pass such as your data has. {with_kind(error)}"
        ) from error


def _check_losses(objective, labels, said, real):
    size, num_outputs = said.shape
    objective.check_real(real.numpy(), num_outputs)
    half = size // 2
    for name, known in (("inner_loss", labels), ("meta_loss", real)):
        function = getattr(objective, name)

        def loss(function=function, known=known):
            return function(known, said)

        value = tf.convert_to_tensor(loss())
        require(
            value.shape == () and np.isfinite(value),
            f"{name} must be a finite scalar, the mean over the batch, not {value}.",
        )
        require(
            value.dtype == said.dtype,
            f"{name} must be in the precision of its outputs, here {said.dtype.name}, "
            f"not {value.dtype.name}, in which it cannot be checked: make losses of "
            "Keras inside of it, or with dtype='float64'.",
        )
        parts = [
            float(function(known[part], said[part]))
            for part in (slice(0, half), slice(half, None))
        ]
        mean = np.average(parts, weights=[half, size - half])
        require(
            np.isclose(mean, value, rtol=1e-6),
            f"{name} must be the mean over the batch, but of a batch it is "
            f"{float(value):.6g}, and of its halves {mean:.6g} in the mean: a root, a "
            "maximum or a median is for figures().",
        )
        _check_graph(name, function, known, said)
        with tf.GradientTape() as tape:
            value = loss()
        gradient = tape.gradient(value, said)
        require(
            gradient is not None and np.any(gradient),
            f"{name} has no derivative with respect to outputs: nothing can be learned "
            "from it.",
        )
        measures.check_derivatives(
            loss, [said], [gradient], names=[f"{name}'s outputs"]
        )

    # A step is a gradient, so that the meta-gradient takes the derivative of one.
    weights = np.random.default_rng(2).standard_normal(said.shape)

    def slope():
        with tf.GradientTape() as tape:
            loss = objective.inner_loss(labels, said)
        gradient = tape.gradient(loss, said, unconnected_gradients="zero")
        return tf.reduce_sum(weights * gradient)

    with tf.GradientTape() as tape:
        value = slope()
    gradients = tape.gradient(value, [labels, said], unconnected_gradients="zero")
    measures.check_derivatives(
        slope,
        [labels, said],
        gradients,
        names=["inner_loss's labels, of its gradient", "inner_loss's outputs, twice"],
    )
    objective.check_labels(labels.numpy()[None])
    found = float(objective.keras_loss()(labels, said))
    expected = float(objective.inner_loss(labels, said))
    require(
        np.isclose(found, expected, rtol=1e-5),
        f"keras_loss() must be inner_loss, {expected:.6g}, but gives {found:.6g}.",
    )
    caption = objective.caption(labels.numpy()[0], [f"{k}" for k in range(100)])
    require(
        isinstance(caption, str), f"caption() must return a string, not {caption!r}."
    )


def _check_graph(name, function, *batch):
    batch = [tf.convert_to_tensor(x) for x in batch]
    sizes = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in batch]
    try:
        found = tf.function(function, sizes, autograph=False)(*batch)
    except Exception as error:
        raise AssertionError(
            f"{name} must work in a tf.function, of a batch of any size: take "
            "TensorFlow's operations, not NumPy's, and tf.shape(outputs)[0] for the "
            f"size. {with_kind(error)}"
        ) from error
    pairs = zip(tf.nest.flatten(found), tf.nest.flatten(function(*batch)))
    require(
        all(np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True) for a, b in pairs),
        f"{name} must give the same in a tf.function as outside.",
    )


def _check_figures(objective, labels, said, real):
    said = tf.cast(said, "float32")
    if not real.dtype.is_integer:
        real = tf.cast(real, "float32")
    metrics = objective.metrics(real, said)
    require(
        set(metrics) == set(objective.metric_names),
        f"metrics() must give those of metric_names, {sorted(objective.metric_names)}, "
        f"not {sorted(metrics)}.",
    )
    for name, value in metrics.items():
        require(value.shape == (), f"The metric {name} must be a scalar.")
    half = len(said) // 2
    whole = objective.totals(real, said)
    parts = [
        objective.totals(real[part], said[part])
        for part in (slice(0, half), slice(half, None))
    ]
    for name, value in whole.items():
        added = parts[0][name] + parts[1][name]
        require(
            np.allclose(added, value, rtol=1e-4),
            f"totals() must add up: {name} of two halves of a batch is {added}, of the "
            f"whole {value}.",
        )
    for name in ("metrics", "totals"):
        _check_graph(name, getattr(objective, name), real, said)
    # Students that say of an example what the first says of another.
    students = [objective.totals(real, tf.roll(said, k, 0)) for k in range(3)]
    totals = {name: np.stack([own[name] for own in students]) for name in whole}
    figures = objective.figures(totals, len(said))
    alone = [
        objective.figures({n: v[k : k + 1] for n, v in totals.items()}, len(said))
        for k in range(3)
    ]
    for name, values in figures.items():
        require(
            np.shape(values) == (3,),
            f"The figure {name} must be one number for each student, `[students]`, not "
            f"of shape {list(np.shape(values))}.",
        )
        own = np.ravel([each[name] for each in alone])
        require(
            np.allclose(values, own, rtol=1e-4, atol=1e-6, equal_nan=True),
            f"The figure {name} must be that of each student by itself, but of three "
            f"it is {values}, and of one at a time {own}.",
        )
        same = float(metrics.get(name, values[0]))
        require(
            np.isclose(values[0], same, rtol=1e-4, atol=1e-6, equal_nan=True),
            f"The figure {name} must be the metric of that name, but of one batch "
            f"figures() gives {float(values[0]):.6g}, and metrics() {same:.6g}.",
        )
    untested = sorted(set(metrics) - set(figures))
    require(
        not untested,
        f"Metrics are tested, too, but figures() lacks {', '.join(untested)}.",
    )
    require(
        objective.headline in {*figures, "loss"},
        f"headline must be one of the figures, {', '.join([*figures, 'loss'])}, not "
        f"{objective.headline!r}.",
    )
    for name in objective.shares:
        require(
            name in figures
            and 0 <= np.min(figures[name]) <= np.max(figures[name]) <= 1,
            f"{name!r} is one of shares, so it must be a figure in 0..1.",
        )
    try:
        json.dumps(objective.details(totals))
    except TypeError as error:
        raise AssertionError(f"details() must be JSON: {error}.") from None
