"""Are initial weights right?"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfdistill.synthesizers.images import DistilledImages
from tfdistill.testing import measures
from tfdistill.testing.measures import require
from tfdistill.weights.base import InitialWeights


def check_initial_weights(
    initial_weights: InitialWeights,
    make_model: Callable[[], keras.Model] = measures.small_student,
) -> None:
    """Tries `InitialWeights` on an architecture.

    Draws must fit the model's variables, be pure functions of their seeds, in a graph
    and eagerly, differ between seeds just if `is_random` says so, and leave the model
    alone. Students to test with must differ, and begin again after `num_held_out`. With
    `variables` as they were, draws and `advance` must repeat themselves.

    Args:
        initial_weights: The object to be checked; it is bound to the architecture.
        make_model: Makes a built model of the architecture.

    Raises:
        AssertionError: If something is wrong; it says what.

    Example:
        >>> import tfdistill
        >>> tfdistill.testing.check_initial_weights(tfdistill.RandomWeights())
    """
    kind = type(initial_weights).__name__
    measures.require_kind("initial_weights", initial_weights, InitialWeights)
    require(
        isinstance(initial_weights.is_random, bool),
        f"{kind}.is_random must say whether two students may start differently.",
    )
    model = make_model()
    initial_weights.build(make_model, model)
    require(
        getattr(initial_weights, "student", None) is not None,
        f"{kind}.build() must call super().build(make_model, model).",
    )
    measures.require_reachable(kind, initial_weights.variables)
    before = [v.numpy() for v in model.variables]
    for name, sample in (
        ("sample", initial_weights.sample),
        (
            "sample_held_out",
            lambda seed: initial_weights.sample_held_out(seed, tf.constant(0)),
        ),
    ):
        _check_draws(name, sample, model, initial_weights.is_random)
    _check_held_out(initial_weights)
    # A subclassed model does not say what it takes.
    does_advance = type(initial_weights).advance is not InitialWeights.advance
    if does_advance and hasattr(model, "output_shape"):
        _check_advance(initial_weights, make_model)
    require(
        measures.same([v.numpy() for v in model.variables], before),
        f"{kind} must not change the model's variables when it is sampled.",
    )


def _check_advance(initial_weights, make_model):
    """A run that takes on saved variables goes on as one that was not stopped."""
    model = initial_weights.student.model
    shape = [size or 32 for size in model.input_shape[1:]]
    classes = max(2, model.output_shape[-1])  # a regression may have one output
    images = np.random.default_rng(0).standard_normal((1, 2 * classes, *shape))
    curriculum = DistilledImages(
        images, np.arange(2 * classes) % classes, classes, epochs=1
    )
    real = curriculum.images[0], tf.zeros([2 * classes], "int32")
    problem = measures.problem(curriculum, make_model=make_model, real=real)

    @tf.function(autograph=False)
    def draw(seed):
        weights, state = initial_weights.sample(seed)
        own = {"student": initial_weights.student, "weights": weights, "state": state}
        initial_weights.advance(seed, problem._replace(**own))
        return weights, state

    variables = initial_weights.variables
    before = [v.numpy() for v in variables]
    seeds = [tf.constant([2, k]) for k in range(4)]
    first = [draw(seed) for seed in seeds]
    for variable, value in zip(variables, before):
        variable.assign(value)
    again = [draw(seed) for seed in seeds]
    require(
        all(
            np.allclose(a, b, atol=1e-6)
            for a, b in zip(tf.nest.flatten(first), tf.nest.flatten(again))
        ),
        f"{type(initial_weights).__name__}.variables must list every tf.Variable that "
        "advance() changes: with those as they were, other students are drawn, so a "
        "run could not be resumed.",
    )


def _check_draws(name, sample, model, is_random):
    graph = tf.function(sample, autograph=False)
    seeds = [tf.constant([1, 2]), tf.constant([1, 3])]
    first, again, other = graph(seeds[0]), graph(seeds[0]), graph(seeds[1])
    eager = sample(seeds[0])
    for what, values, variables in (
        ("weights", first[0], model.trainable_variables),
        ("state", first[1], model.non_trainable_variables),
    ):
        forms = [(tuple(x.shape), x.dtype.name) for x in values]
        wanted = [
            (tuple(v.shape), keras.backend.standardize_dtype(v.dtype))
            for v in variables
        ]
        require(
            forms == wanted,
            f"{name}() must give {what} of the model's shapes and types, {wanted}, not "
            f"{forms}.",
        )
    require(
        measures.same(first, again),
        f"{name}() must be a pure function of its seed: draw by tf.random.stateless_* "
        "only.",
    )
    close = all(
        np.allclose(a, b, atol=1e-6)
        for a, b in zip(tf.nest.flatten(eager), tf.nest.flatten(first))
    )
    require(close, f"{name}() must give the same in a tf.function as outside.")
    finite = all(np.isfinite(x).all() for x in first[0])
    require(finite, f"{name}() must give finite weights.")
    if not is_random:
        require(
            measures.same(first[0], other[0]),
            f"is_random is False, but {name}() gives other weights for another seed.",
        )
    elif name == "sample":
        draws = [first, other, *(graph(tf.constant([1, k])) for k in range(4, 20))]
        require(
            any(not measures.same(draw[0], first[0]) for draw in draws),
            "is_random is True, but sample() gives the same weights for every seed.",
        )


def _check_held_out(initial_weights):
    """Evaluations count students by `num_held_out`, and leave out copies."""
    count = initial_weights.num_held_out
    graph = tf.function(initial_weights.sample_held_out, autograph=False)

    def start(number):
        # An evaluation gives every number a seed of its own.
        try:
            return graph(tf.constant([1, number]), tf.constant(number))[0]
        except tf.errors.InvalidArgumentError as error:
            raise AssertionError(
                "sample_held_out() must take any number, and begin again after "
                f"num_held_out = {count}, but it fails for {number}."
            ) from error

    starts = [start(number) for number in range(count or 6)]
    for number, values in enumerate(starts):
        for earlier in range(number):
            require(
                not measures.same(values, starts[earlier]),
                f"num_held_out is {count}, but sample_held_out() gives the same "
                f"weights for the numbers {earlier} and {number}: say how many "
                "different students there are.",
            )
    if count:
        require(
            measures.same(start(count), starts[0]),
            f"num_held_out is {count}, so for the number {count} sample_held_out() "
            "must give the weights of number 0 again, whatever the seed.",
        )
