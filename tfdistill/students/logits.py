"""Are a student's outputs logits? Its layers' names do not always tell; it is asked."""

import keras
import numpy as np
import tensorflow as tf

from tfdistill.inner.stateless import StatelessModel

# How large the numbers of each of the images are that a student is asked about.
_SCALES = (1.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
# Fewer rows of outputs that are numbers say nothing.
_FEWEST = 3
_TOLERANCE = 1e-4


def what_else(model: keras.Model, image_shape: tuple[int, ...]) -> str | None:
    """What a model gives in place of logits.

    The model is asked about a few random images. Where its answers look like
    probabilities, it is asked again with random weights: a last layer that is still
    zero, or has a bias and little else, must not raise an alarm.

    Args:
        model: A built model with two outputs or more, whose variables have values.
        image_shape: Of the images that it takes.

    Returns:
        Words for the outputs; None if they are logits, or nothing can be said.
    """
    student, rng = StatelessModel(model), np.random.default_rng(0)
    tolerance = max(_TOLERANCE, 4 * _epsilon(model))

    def look(weights):
        images = rng.standard_normal((len(_SCALES), *image_shape))
        images *= np.reshape(_SCALES, [-1] + [1] * len(image_shape))
        images = tf.constant(images, keras.config.floatx())
        outputs, _, _ = student(weights, student.state, images, training=False)
        return _looks_like(np.asarray(outputs, "float64"), tolerance)

    # Whatever goes wrong here is only that the student cannot take random numbers.
    try:
        kind = look(student.weights)
        for _ in range(2):
            if kind is not None and look(_random(student.weights, rng)) != kind:
                return None
        return kind
    except Exception:
        return None


def _looks_like(outputs, tolerance):
    rows = outputs[~(np.isnan(outputs) | (outputs == np.inf)).any(1)]
    if len(rows) < _FEWEST:
        return None

    def sum_to_one(values):
        return (np.abs(values.sum(1) - 1) <= tolerance).all()

    within = ((rows >= -tolerance) & (rows <= 1 + tolerance)).all()
    if within and sum_to_one(rows):
        return "probabilities that sum to 1, those of a softmax"
    if (rows <= tolerance).all() and sum_to_one(np.exp(rows)):
        return "logarithms of probabilities, those of a log-softmax"
    if within:
        return "numbers between 0 and 1, those of a sigmoid"
    return None


def _random(weights, rng):
    """Weights that keep a network's numbers at the size of its inputs."""
    return [
        tf.constant(
            rng.standard_normal(w.shape) * np.sqrt(2 / max(1, np.prod(w.shape[:-1]))),
            w.dtype,
        )
        for w in weights
    ]


def _epsilon(model):
    """The rounding error of the coarsest type that a layer computes in."""
    types = {tf.as_dtype(layer.compute_dtype) for layer in model._flatten_layers()}
    return max(
        np.ldexp(1.0, {tf.bfloat16: -7, tf.float16: -10}.get(dtype, -23))
        for dtype in types
    )
