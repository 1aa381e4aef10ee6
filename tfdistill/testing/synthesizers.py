"""Is a synthesizer right?"""

import os
import tempfile
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfdistill.distilled import synthesized
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.inner.back_gradient import BackGradient
from tfdistill.inner.curriculum import Batch, Curriculum
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.objectives.classification import Classification
from tfdistill.synthesizers.base import Synthesizer, check_penalties
from tfdistill.testing import measures
from tfdistill.testing.measures import SEED, require


def check_synthesizer(
    make: Callable[[], Synthesizer],
    *,
    objective: Objective | None = None,
    real=None,
    tolerance: float = 1e-5,
) -> None:
    """Tries a `Synthesizer` on small students.

    Its batches must have the shapes that it says, be pure functions of the seed, and
    repeat with every epoch; each of its variables must have the meta-gradient that
    central differences in float64 give; its rates must scale; what it exports must be
    saved and loaded as it is; and a new one must take on its state.

    Args:
        make: Makes one, the same each time. It is called in float64, too: variables
            come from `add_weight`, and constants have the type `compute_dtype`.
        objective: What students learn by; `Classification()` by default.
        real: A real batch (images, labels) that judges them; by default a random one
            with integer labels.
        tolerance: The relative error of a derivative that is allowed.

    Raises:
        AssertionError: If something is wrong; it says what.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> tfdistill.testing.check_synthesizer(
        ...     lambda: tfdistill.DistilledImages.from_real(digits, steps=2, epochs=2)
        ... )
    """
    require(
        not isinstance(make, Synthesizer),
        "make must be a function that makes a synthesizer, the same each time, not a "
        f"{type(make).__name__} itself.",
    )
    synthesizer = make()
    kind = type(synthesizer).__name__
    measures.require_kind("make()", synthesizer, Synthesizer)
    require(
        synthesizer.trainable_variables,
        f"{kind} has no trainable variables: make them by add_weight() in __init__.",
    )
    measures.require_reachable(kind, synthesizer.variables)
    for name in ("image_shape", "num_classes"):
        require(hasattr(synthesizer, name), f"{kind}.{name} is missing.")
    objective = objective or Classification()
    try:
        synthesized.check(synthesizer)
        _check_batches(synthesizer)
        check_penalties(kind, synthesizer.losses)
    except ValueError as error:
        raise AssertionError(str(error)) from None
    _check_derivatives(make, objective, real, tolerance)
    _check_rates(make())
    _check_export(synthesizer, objective)
    _check_state(make)


def _curriculum(synthesizer, seed=SEED):
    return synthesizer.curriculum(tf.constant(seed))


def _batches(synthesizer, seed=SEED):
    curriculum = _curriculum(synthesizer, seed)
    return [curriculum.batch(t) for t in range(curriculum.num_steps)]


def _check_batches(synthesizer):
    curriculum = _curriculum(synthesizer)
    require(
        isinstance(curriculum, Curriculum),
        "curriculum() must return a tfdistill.Curriculum, not a "
        f"{type(curriculum).__name__}.",
    )
    steps, epochs = curriculum.num_steps, synthesizer.epochs
    require(
        isinstance(steps, int) and steps >= 1 and steps % epochs == 0,
        f"num_steps must be an int that epochs = {epochs} divides, not {steps!r}.",
    )
    names = {h.name for h in curriculum.inner_optimizer.hyperparameters}
    batches = _batches(synthesizer)
    for t, batch in enumerate(batches):
        require(
            isinstance(batch, Batch),
            f"batch() must return a tfdistill.Batch, not a {type(batch).__name__}.",
        )
        size = batch.images.shape[0]
        for what, shape in (
            ("images", (size, *synthesizer.image_shape)),
            ("labels", (size, synthesizer.num_classes)),
        ):
            value = getattr(batch, what)
            require(
                tuple(value.shape) == shape and size,
                f"The {what} of a batch must have the shape {list(shape)}, not "
                f"{list(value.shape)}.",
            )
            require(np.isfinite(value).all(), f"The {what} of step {t} are not finite.")
        require(
            set(batch.hyperparameters) == names,
            "The hyperparameters of a batch must be those of the inner optimizer, "
            f"{sorted(names)}, not {sorted(batch.hyperparameters)}.",
        )
        for name, value in batch.hyperparameters.items():
            require(np.shape(value) == (), f"The {name} of a batch must be a scalar.")
    for t in range(steps // epochs, steps):
        first, later = batches[t % (steps // epochs)], batches[t]
        require(
            measures.same(first[:2], later[:2]),
            f"epochs is {epochs}, so the images and labels must repeat, but those of "
            f"step {t} are not those of step {t % (steps // epochs)}.",
        )
    require(
        measures.same(_batches(synthesizer), batches),
        "curriculum() must be a pure function of its seed: draw by "
        "tf.random.stateless_* only.",
    )
    alike = measures.same(_batches(synthesizer, (7, 8)), batches)
    require(
        synthesizer.is_random or alike,
        "is_random is False, but another seed gives another curriculum.",
    )


def _check_derivatives(make, objective, real, tolerance):
    with measures.double_precision():
        synthesizer = make()
        kind = _batches(synthesizer)[0].images.dtype
        require(
            kind == "float64",
            f"The images must be in the type that Keras is set to, here float64, not "
            f"{kind.name}: add_weight() does so, constants are tf.cast to "
            "self.compute_dtype.",
        )
        shape, outputs = synthesizer.image_shape, synthesizer.num_classes
        if real is not None:
            images, labels = real
            labels = np.asarray(labels)
            integers = labels.dtype.kind in "iu"
            real = (
                tf.constant(np.asarray(images), "float64"),
                tf.constant(labels, "int32" if integers else "float64"),
            )
        problem = measures.problem(
            _curriculum(synthesizer),
            objective=objective,
            make_model=lambda: measures.small_student(shape, outputs),
            real=real,
        )
        variables = synthesizer.trainable_variables
        meta_gradient = BackGradient()

        @tf.function(autograph=False)
        def judged():
            with tf.GradientTape() as tape:
                curriculum = _curriculum(synthesizer)
            judgement = meta_gradient(problem._replace(curriculum=curriculum))
            gradients = tape.gradient(
                curriculum.sources,
                [v.value for v in variables],
                output_gradients=judgement.gradients,
            )
            return judgement.loss, [
                tf.zeros(v.shape, v.dtype) if g is None else tf.convert_to_tensor(g)
                for v, g in zip(variables, gradients)
            ]

        _, gradients = judged()
        for variable, gradient in zip(variables, gradients):
            require(
                np.any(gradient != 0),
                f"The variable {variable.name} has no meta-gradient: is it, or what "
                "is computed from it, among the curriculum's sources?",
            )
        measures.check_derivatives(
            lambda: judged()[0], variables, gradients, tolerance=tolerance
        )


def _check_rates(synthesizer):
    with tf.GradientTape() as tape:
        before = tf.stack([batch.learning_rate for batch in _batches(synthesizer)])
    learned = [variable.value for variable in synthesizer.trainable_variables]
    are_learned = any(g is not None for g in tape.gradient(before, learned))
    synthesizer.scale_rates(tf.constant(0.5))
    after = [float(batch.learning_rate) for batch in _batches(synthesizer)]
    optimizer = _curriculum(synthesizer).inner_optimizer
    least = max(optimizer.hyperparameters[0].low, 0)
    fallen = least + 0.5 * (before.numpy() - least)
    require(
        np.allclose(after, fallen if are_learned else before, rtol=1e-4),
        "scale_rates(0.5) must halve learned rates, and leave others as they are: keep "
        "them in a tfdistill.Schedule that is an attribute, or overwrite "
        "scale_rates().",
    )


def _check_export(synthesizer, objective):
    require(
        synthesizer.source is not None,
        "source must be a tfdistill.DataSource, or nobody could use the images.",
    )
    data = DistilledDataset.from_synthesizer(synthesizer, objective=objective)
    curriculum = synthesizer.curriculum(synthesizer.exported_seed())
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "distilled")
        data.save(path)
        loaded = DistilledDataset.load(
            path, inner_optimizer=data.inner_optimizer, objective=data.objective
        )
    for t in range(curriculum.num_steps):
        batch, step = curriculum.batch(t), t % data.steps
        # In place of learned steps, a recipe of its own is saved.
        learned = batch.hyperparameters if synthesizer.recipe is None else {}
        close = (
            np.allclose(loaded.images[step], batch.images, atol=1e-5)
            and np.allclose(loaded.labels[step], batch.labels, atol=1e-5)
            and all(
                np.isclose(loaded.hyperparameters[name].flat[t], value, rtol=1e-4)
                for name, value in learned.items()
            )
        )
        require(close, f"What is saved is not the batch of step {t}.")


def _check_state(make):
    keras.utils.set_random_seed(5)
    first, second = make(), make()
    rng = np.random.default_rng(3)
    for variable in first.trainable_variables:
        variable.assign_add(0.1 * rng.standard_normal(variable.shape))
    with tempfile.TemporaryDirectory() as folder:
        path = tf.train.Checkpoint(synthesizer=first).write(os.path.join(folder, "c"))
        tf.train.Checkpoint(synthesizer=second).read(path).assert_consumed()
    require(
        measures.same(_batches(first), _batches(second)),
        "A new synthesizer that takes on a checkpoint must make the same batches: "
        "everything that is learned must be a variable of the layer.",
    )
