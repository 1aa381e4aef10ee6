"""Is an inner optimizer right?"""

import keras
import numpy as np
import tensorflow as tf

from tfdistill.inner import optimizers, unroll
from tfdistill.inner.back_gradient import BackGradient
from tfdistill.inner.full_unroll import FullUnroll
from tfdistill.inner.optimizers import plurals
from tfdistill.inner.optimizers.base import InnerOptimizer
from tfdistill.inner.optimizers.hyperparameter import Hyperparameter
from tfdistill.synthesizers.images import DistilledImages
from tfdistill.testing import measures
from tfdistill.testing.measures import CLASSES, SHAPE, require


def check_inner_optimizer(optimizer: InnerOptimizer) -> None:
    """Tries an `InnerOptimizer` on small students.

    Its update must keep shapes and types and be a pure function, its hyperparameters
    and everything else must have the meta-gradient that central differences in float64
    give (1e-6), and not one of 0, and its Keras optimizer must take the same steps in
    `fit` (1e-5).

    Args:
        optimizer: The object to be checked.

    Raises:
        AssertionError: If something is wrong; it says what.

    Example:
        >>> import tfdistill
        >>> tfdistill.testing.check_inner_optimizer(tfdistill.inner.Momentum())
    """
    kind = type(optimizer).__name__
    measures.require_kind("optimizer", optimizer, InnerOptimizer)
    measures.check_name(optimizer, optimizers.get)
    known = getattr(optimizer, "hyperparameters", ())
    require(
        known and all(isinstance(h, Hyperparameter) for h in known),
        f"{kind}.hyperparameters must be a tuple of tfdistill.inner.Hyperparameter.",
    )
    names = [h.name for h in known]
    require(
        names[0] == "learning_rate" and len(set(names)) == len(names),
        f"The first hyperparameter must be learning_rate, and no two may have one "
        f"name, not {names}.",
    )
    measures.check_name(optimizer, lambda own: plurals.check(own.hyperparameters))
    _check_update(optimizer)
    with measures.double_precision():
        synthesizer = _images(optimizer)
        problem = measures.problem(synthesizer)

        function = tf.function(lambda kind: kind(problem), autograph=False)
        back, full = BackGradient(), FullUnroll()
        judgement = function(back)
        error = measures.relative_error(judgement.gradients, function(full).gradients)
        require(
            error < 1e-9,
            "BackGradient and plain nested tapes must agree, but differ by "
            f"{error:.2g} of the norm: does update() depend on anything but its "
            "arguments?",
        )
        measures.check_derivatives(
            lambda: function(back).loss,
            synthesizer.trainable_variables,
            judgement.gradients,
        )
        for variable, gradient in zip(
            synthesizer.trainable_variables, judgement.gradients
        ):
            require(
                np.any(gradient != 0),
                f"The variable {variable.name} has no meta-gradient, so it would never "
                "be learned: update() must use every hyperparameter, and what it "
                "learns from.",
            )
    _check_keras(optimizer)


def _images(optimizer):
    images = np.random.default_rng(0).standard_normal((2, 2 * CLASSES, *SHAPE))
    labels = np.arange(2 * CLASSES) % CLASSES
    synthesizer = DistilledImages(
        images, labels, CLASSES, epochs=2, inner_optimizer=optimizer, soft_labels=True
    )
    # Other values at every step, so that one taken for another is noticed.
    rng = np.random.default_rng(1)
    for raw in synthesizer.schedule.trainable_variables:
        raw.assign_add(0.3 * rng.standard_normal(raw.shape))
    return synthesizer


def _check_update(optimizer):
    rng = np.random.default_rng(0)
    weights, gradients = (
        [tf.constant(rng.standard_normal(s), "float32") for s in ((3, 2), (2,))]
        for _ in range(2)
    )
    now = {h.name: tf.constant(h.start, "float32") for h in optimizer.hyperparameters}
    slots = optimizer.slots(weights)
    require(
        len(slots) == optimizer.num_slots * len(weights),
        f"slots() must give num_slots = {optimizer.num_slots} tensors for each weight, "
        f"not {len(slots)} for {len(weights)} weights.",
    )

    def update(t):
        return optimizer.update(t, now, gradients, weights, slots)

    new_weights, new_slots = update(tf.constant(0))
    for what, before, after in (
        ("weights", weights, new_weights),
        ("slots", slots, new_slots),
    ):
        forms = [[(x.shape, x.dtype) for x in values] for values in (before, after)]
        require(
            forms[0] == forms[1],
            f"update() must return {what} of the shapes and types that it got, "
            f"{forms[0]}, not {forms[1]}.",
        )
    require(
        measures.same(update(tf.constant(0)), (new_weights, new_slots)),
        "update() must be a pure function: asked the same twice, it gave two answers.",
    )
    traced = tf.function(update, autograph=False)(tf.constant(0))
    close = all(
        np.allclose(a, b, rtol=1e-5, atol=1e-6)
        for a, b in zip(tf.nest.flatten(traced), [*new_weights, *new_slots])
    )
    require(close, "update() must give the same in a tf.function as outside.")
    require(
        any(not np.array_equal(a, b) for a, b in zip(new_weights, weights)),
        "update() must change the weights.",
    )


def _check_keras(optimizer):
    synthesizer = _images(optimizer)
    problem = measures.problem(synthesizer)
    weights, _ = unroll.train(
        problem.student,
        synthesizer,
        problem.objective,
        problem.weights,
        problem.state,
    )
    model = measures.small_student()
    values = {k: v.numpy().ravel() for k, v in synthesizer.schedule.values().items()}
    model.compile(
        optimizer.to_keras(values),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    for variable, value in zip(model.non_trainable_variables, problem.state):
        variable.assign(value)
    batches = synthesizer.images.numpy(), synthesizer.labels.numpy()
    model.fit(
        tf.data.Dataset.from_tensor_slices(batches), epochs=2, shuffle=False, verbose=0
    )
    error = max(
        np.abs(np.asarray(a) - b).max()
        for a, b in zip(weights, (v.numpy() for v in model.trainable_variables))
    )
    require(
        error < 1e-5,
        f"The Keras optimizer of to_keras() must take the steps of update(), but after "
        f"{synthesizer.num_steps} steps a weight differs by {error:.2g}.",
    )
