"""What the checks measure with: finite differences in double precision."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_kind
from tfdistill.inner.curriculum import Curriculum
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.objectives.classification import Classification
from tfdistill.inner.problem import Problem
from tfdistill.inner.stateless import StatelessModel
from tfdistill.weights.fixed import FixedWeights

#: Of the small problems that own classes are tried on.
SHAPE, CLASSES = (4, 4, 1), 3
SEED = (1, 2)


def require(condition, sentence: str) -> None:
    """Raises an `AssertionError` with a sentence, unless a condition holds."""
    if not condition:
        raise AssertionError(sentence)


def require_reachable(owner: str, variables: Sequence) -> None:
    """Raises an AssertionError if XLA on a GPU does not reach a variable.

    Args:
        owner: Whose variables they are.
        variables: TensorFlow's or Keras's.
    """
    types = {keras.backend.standardize_dtype(v.dtype) for v in variables}
    require(
        "int32" not in types,
        f"{owner} must not have variables of int32: TensorFlow keeps them in the "
        "host's memory, where XLA on a GPU does not reach them; take int64.",
    )


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """Has Keras make everything in float64, until the block ends."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def require_kind(name: str, value, kind: type) -> None:
    """Raises an AssertionError if an argument is no object of an abstract class.

    Args:
        name, value, kind: Same as for `check_kind`.
    """
    try:
        check_kind(name, value, kind)
    except ValueError as error:
        raise AssertionError(str(error)) from None


def check_name(value, get: Callable) -> None:
    """Checks a custom object's name in files.

    Args:
        value: An object with the attribute `name`.
        get: What refuses the name of another.

    Raises:
        AssertionError: If it is no name, or is taken.
    """
    require(
        isinstance(getattr(value, "name", None), str) and value.name,
        f"{type(value).__name__}.name must be a string: files call it so.",
    )
    try:
        get(value)
    except ValueError as error:
        raise AssertionError(str(error)) from None


def small_student(
    image_shape=SHAPE, num_outputs: int = CLASSES, *, dropout: bool = True, seed=1
) -> keras.Model:
    """A smooth network with batch norm, that is drawn alike each time."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input(image_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(7, "tanh"),
            keras.layers.BatchNormalization(momentum=0.7),
            keras.layers.Dropout(0.2 if dropout else 0.0, seed=3),
            keras.layers.Dense(num_outputs),
        ]
    )


def problem(
    curriculum: Curriculum,
    *,
    objective: Objective | None = None,
    make_model: Callable[[], keras.Model] = small_student,
    real=None,
) -> Problem:
    """A small student who is to learn from a curriculum.

    Args:
        curriculum: Any whose batches the student takes.
        objective: `Classification()` by default.
        make_model: Makes the student.
        real: A real batch (images, labels); by default 12 random ones.
    """
    model = make_model()
    start = FixedWeights()
    start.build(make_model, model)
    if real is None:
        rng = np.random.default_rng(0)
        shape = (12, *model.input_shape[1:])
        images = tf.constant(rng.standard_normal(shape), keras.config.floatx())
        real = images, tf.constant(rng.integers(0, model.output_shape[-1], 12), "int32")
    return Problem(
        StatelessModel(model),
        curriculum,
        objective or Classification(),
        *start.sample(tf.constant(SEED)),
        *real,
    )


def check_derivatives(
    function: Callable[[], tf.Tensor],
    variables: Sequence,
    gradients: Sequence,
    *,
    names: Sequence[str] | None = None,
    tolerance: float = 1e-6,
) -> None:
    """Compares derivatives with central differences, along a direction of each.

    Args:
        function: Gives a float64 scalar that depends on the variables.
        variables: Float64 variables, with `numpy` and `assign`.
        gradients: What is said to be d function / d variable, of the same shapes.
        names: What the variables are called.
        tolerance: The relative error that is allowed.

    Raises:
        AssertionError: If a derivative is wrong.
    """
    size = 1e-6
    rng = np.random.default_rng(1)
    for k, (variable, gradient) in enumerate(zip(variables, gradients)):
        name = names[k] if names else variable.name
        value = np.asarray(variable)
        gradient = np.asarray(gradient)
        require(
            gradient.shape == value.shape,
            f"The gradient of {name} must have its shape, {list(value.shape)}, not "
            f"{list(gradient.shape)}.",
        )
        norm = np.linalg.norm(gradient)
        direction = rng.standard_normal(value.shape)
        direction /= np.linalg.norm(direction)
        # Along the gradient too, so that the derivative is not small by chance.
        direction += gradient / norm if norm > 0 else 0
        losses = []
        for sign in (+1, -1):
            variable.assign(value + sign * size * direction)
            losses.append(float(function()))
        variable.assign(value)
        numeric = (losses[0] - losses[1]) / (2 * size)
        exact = float(np.sum(gradient * direction))
        # The differences themselves are rounded, to about 1e-16 / size.
        allowed = tolerance * max(abs(numeric), abs(exact)) + 1e-9
        require(
            abs(exact - numeric) <= allowed,
            f"The derivative with respect to {name} is wrong: along a direction it is "
            f"{exact:.9g}, but central differences in float64 give {numeric:.9g}. Is a "
            "function used whose second derivative TensorFlow does not have? (With "
            "soft labels, tf.nn.softmax_cross_entropy_with_logits is one: "
            "-tf.reduce_sum(labels * tf.nn.log_softmax(outputs), -1) is the same.)",
        )


def relative_error(found, expected) -> float:
    """||found - expected|| / ||expected||, over all tensors of two lists."""
    found, expected = (
        np.concatenate([np.ravel(np.asarray(x)) for x in values])
        for values in (found, expected)
    )
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def same(found, expected) -> bool:
    """Whether two nests of tensors are equal, to the last bit."""
    found, expected = tf.nest.flatten(found), tf.nest.flatten(expected)
    return len(found) == len(expected) and all(
        np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(found, expected)
    )
