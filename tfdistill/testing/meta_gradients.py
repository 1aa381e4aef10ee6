"""Is a meta-gradient right?"""

import functools

import keras
import numpy as np
import tensorflow as tf

from tfdistill.distilled.ordinary import OrdinaryTraining
from tfdistill.distiller import Distiller
from tfdistill.inner.problem import Judgement, MetaGradient
from tfdistill.synthesizers.images import DistilledImages
from tfdistill.testing import measures
from tfdistill.testing.measures import CLASSES, SHAPE, require


def check_meta_gradient(
    meta_gradient: MetaGradient,
    *,
    graph_grows: bool = False,
    xla: bool = True,
    strategy: tf.distribute.Strategy | None = None,
) -> None:
    """Tries a `MetaGradient` on small students of six steps.

    It must answer with a `Judgement` whose gradients are the derivatives of its loss
    (central differences in float64, 1e-6), the same each time, leave the model alone,
    answer with the outputs of the trained student, have a graph that does not grow with
    the number of steps, compile with XLA (1e-4 in float32), and do the same over a
    strategy's replicas (1e-5).

    Args:
        meta_gradient: The object to be checked.
        graph_grows: Whether its graph may grow with the number of steps.
        xla: Whether to compile it with XLA.
        strategy: Over whose replicas to try it, such as a `MirroredStrategy` of two
            logical CPUs; None leaves that out.

    Raises:
        AssertionError: If something is wrong; it says what.

    Example:
        >>> import tfdistill
        >>> tfdistill.testing.check_meta_gradient(
        ...     tfdistill.BackGradient(judgements=2), xla=False
        ... )
    """
    measures.require_kind("meta_gradient", meta_gradient, MetaGradient)
    fitting = _images(steps=6, epochs=1)
    meta_gradient.check_synthesizer(fitting, fitting)
    with measures.double_precision():
        synthesizer = _images()
        problem = measures.problem(synthesizer)
        judged = tf.function(
            lambda images, labels: meta_gradient(
                problem._replace(images=images, labels=labels)
            ),
            autograph=False,
        )
        function = functools.partial(judged, problem.images, problem.labels)
        before = [v.numpy() for v in problem.student.model.variables]
        judgement = function()
        _check_form(judgement, synthesizer)
        require(
            measures.same([v.numpy() for v in problem.student.model.variables], before),
            "A meta-gradient must leave the model's own variables alone: use "
            "problem.student, a pure function.",
        )
        require(
            measures.same(function(), judgement),
            "A meta-gradient must give the same each time it is asked the same.",
        )
        _check_outputs(function, judgement, synthesizer.images)
        _check_verdict(judged, problem)
        measures.check_derivatives(
            lambda: function().loss,
            synthesizer.trainable_variables,
            judgement.gradients,
        )
    function = _traced(meta_gradient)
    plain = function()
    if not graph_grows:
        sizes = [_size(function), _size(_traced(meta_gradient, epochs=9))]
        require(
            sizes[0] == sizes[1],
            f"The graph of a meta-gradient must not grow with the number of steps, but "
            f"it has {sizes[0]} nodes for 6 steps and {sizes[1]} for 18: use "
            "tf.while_loop, or pass graph_grows=True.",
        )
    if xla:
        compiled = _traced(meta_gradient, jit_compile=True)()
        error = measures.relative_error(compiled.gradients, plain.gradients)
        require(
            error < 1e-4,
            f"Compiled by XLA the gradients must be the same, but they differ by "
            f"{error:.2g} of their norm.",
        )
    if strategy is not None:
        _check_replicas(meta_gradient, strategy)


def _images(steps=2, epochs=3):
    images = np.random.default_rng(0).standard_normal((steps, 2 * CLASSES, *SHAPE))
    labels = np.arange(2 * CLASSES) % CLASSES
    return DistilledImages(
        images,
        labels,
        CLASSES,
        epochs=epochs,
        learning_rate=0.1,
        soft_labels=True,
        recipe=OrdinaryTraining(),
    )


def _check_form(judgement, synthesizer):
    require(
        isinstance(judgement, Judgement),
        f"A meta-gradient must return a Judgement, not a {type(judgement).__name__}.",
    )
    require(
        judgement.loss.shape == (),
        f"The loss must be a scalar, not of shape {judgement.loss.shape}.",
    )
    sources = synthesizer.sources
    shapes = [tuple(s.shape) for s in sources]
    found = [
        tuple(g.shape) if isinstance(g, tf.Tensor) else type(g).__name__
        for g in judgement.gradients
    ]
    require(
        found == shapes,
        "There must be a dense gradient for each of curriculum.sources, of shapes "
        f"{shapes}, not {found}.",
    )
    require(
        len(judgement.outputs) == len(judgement.labels),
        f"labels must be those of the outputs, but there are {len(judgement.labels)} "
        f"labels and {len(judgement.outputs)} outputs.",
    )


def _check_outputs(function, judgement, images):
    """Those of the trained student are others where it learns from other images."""
    before = images.numpy()
    images.assign(-before)
    outputs = function().outputs
    images.assign(before)
    require(
        not measures.same(outputs, judgement.outputs),
        "outputs must be those of the trained student, but they do not depend on the "
        "images that it learned from.",
    )


def _check_verdict(judged, problem):
    """What the outputs say of an image has a lower loss than what they deny.

    All of the batch is one image, since a judgement may show some of its outputs only.
    """
    images = tf.repeat(problem.images[:1], len(problem.images), 0)
    outputs = judged(images, problem.labels).outputs[0]
    kind = problem.labels.dtype
    labels = tf.argmax(outputs, output_type=kind), tf.argmin(outputs, output_type=kind)
    said, denied = (
        float(judged(images, tf.fill(problem.labels.shape, label)).loss)
        for label in labels
    )
    require(
        said < denied,
        "outputs must be those that the loss judges, but where the labels are the "
        f"classes that they say, it is {said:.4g}, and {denied:.4g} where the labels "
        "are those that they deny.",
    )


def _traced(meta_gradient, epochs=3, jit_compile=False):
    # Without dropout: XLA draws other random numbers.
    problem = measures.problem(
        _images(epochs=epochs), make_model=lambda: measures.small_student(dropout=False)
    )
    return tf.function(
        lambda: meta_gradient(problem), autograph=False, jit_compile=jit_compile
    )


def _size(function):
    """Number of nodes of a function's graph."""
    definition = function.get_concrete_function().graph.as_graph_def()
    return len(definition.node) + sum(
        len(function.node_def) for function in definition.library.function
    )


def _check_replicas(meta_gradient, strategy):
    """One outer step on replicas that see the same batch is that of one device."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((12, *SHAPE)).astype("float32")
    labels = rng.integers(0, CLASSES, 12).astype("int32")
    found = []
    for where in (tf.distribute.get_strategy(), strategy):
        count = where.num_replicas_in_sync
        data = np.tile(images, (count, 1, 1, 1)), np.tile(labels, count)
        with where.scope():
            distiller = Distiller(
                measures.small_student,
                _images(steps=6, epochs=1),
                meta_gradient=meta_gradient,
            )
            distiller.compile(
                keras.optimizers.SGD(1.0),
                students_per_step=strategy.num_replicas_in_sync,
                clip=None,
            )
        distiller.fit(tf.data.Dataset.from_tensors(data), verbose=0)
        found.append([v.numpy() for v in distiller.synthesizer.trainable_variables])
    error = max(np.abs(a - b).max() for a, b in zip(*found))
    require(
        error < 1e-5,
        f"Over {strategy.num_replicas_in_sync} replicas an outer step must be that of "
        f"one device, but it differs by {error:.2g}.",
    )
