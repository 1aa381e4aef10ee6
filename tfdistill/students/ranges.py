"""Which images does a student expect? The layers that have weights are asked.

Students are given normalised images, of mean 0 and deviation 1. One that first divides
by 255, or adds a brightness that suits 0..255, learns from next to nothing, or from
noise; nothing but its accuracy would say so. So does one with an Input of integers, to
which Keras casts the images.
"""

import contextlib
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from tfdistill.inner.stateless import observed

# The least deviation of what the first layer with weights sees, in tests, and how many
# times it may grow in training. Normalised images have 1; layers that crop or pool keep
# a good part of it. Some make raw images of them, on purpose.
_LEAST, _MOST = 0.03, 8.0
_BELOW = 0.25  # share of numbers below 0 that must not all be lost in training
_IMAGES, _REPEATS = 4, 5


def check_range(
    models: Sequence[keras.Model], name: str, image_shape: Sequence[int], normalization
) -> None:
    """Refuses a student that expects images in 0..255, or any of whole numbers.

    Args:
        models: Built models, whose variables have values.
        name: What the student is called.
        image_shape: (height, width, channels) of the images.
        normalization: `Normalization` of the images that it will get. If it changes
            nothing, they are as raw as their owner wants them, and nothing is asked;
            the same if it is None, not known.

    Raises:
        ValueError: If the first layer with weights gets next to nothing of normalised
            images, or, in training, huge numbers or only those above 0; or same as for
            `check_type`.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> model = tfdistill.students.linear(digits.image_shape)
        >>> tfdistill.students.check_range(
        ...     [model], "mine", digits.image_shape, digits.normalization
        ... )
    """
    for model in models:
        check_type(model, name, normalization)
    if normalization is None or _is_identity(normalization):
        return
    for model in models:
        problem = _problem(model, image_shape)
        if problem:
            raise ValueError(
                f"student {name} gets normalised images, of mean 0 and deviation 1, "
                f"but {problem}."
            )


def check_type(model: keras.Model, name: str, normalization) -> None:
    """Refuses a student with an Input of integers or bools, to which floats are cast.

    Args:
        model: A built model.
        name, normalization: Same as for `check_range`; images that it leaves as they
            are may be whole numbers, such as token ids.

    Raises:
        ValueError: If Keras would cast normalised images.
    """
    raw = normalization is None or (
        _is_identity(normalization) and normalization.scale == 1
    )
    takes = whole(model)
    if takes and not raw:
        raise ValueError(
            f"student {name} takes {takes} images, but gets normalised ones, which are "
            "floats: give it a float Input."
        )


def whole(model: keras.Model) -> str:
    """The type of integers or bools that Keras casts a model's images to; else ""."""
    inputs = getattr(model, "inputs", None)  # of a subclassed model there are none
    takes = keras.backend.standardize_dtype(inputs[0].dtype) if inputs else ""
    return takes if "int" in takes or takes == "bool" else ""


def _problem(model, image_shape):
    rng = np.random.default_rng(0)
    shape = (_IMAGES, *image_shape)
    with _unchanged(model):  # random layers draw anew each time
        asked, tested = _first_of_images(model, rng.standard_normal(shape))
        if asked is None:
            return None
        seen = [
            _seen(model, asked, rng.standard_normal(shape)) for _ in range(_REPEATS)
        ]
    if any(values is None for values in seen):
        return None
    values = np.concatenate([np.ravel(values) for values in seen])
    if tested.std() < _LEAST:
        return (
            f"makes them {1 / max(tested.std(), 1e-9):.0f} times smaller before its "
            "first weights: leave its rescaling out"
        )
    lost = values.min() >= 0 and np.mean(tested < 0) > _BELOW
    if lost or values.std() > _MOST * tested.std():
        return (
            "changes them at random as if they were in 0..255 before its first "
            "weights: give its augmentation their range, such as value_range=(-3, 3)"
        )
    return None


def _is_identity(normalization):
    return not any(normalization.mean) and set(normalization.std) == {1.0}


def _first_of_images(model, images):
    """The first layer with weights that is given images, and what it is given."""
    layers = [
        layer
        for layer in model._flatten_layers()
        if layer._trainable_variables and not isinstance(layer, keras.Model)
    ]
    for passage in _passages(model, layers, images, training=False):
        value = _numbers(passage)
        # Others are not made of the images, such as positions to be embedded.
        if value is not None and (value != value[:1]).any():
            return passage.layer, value
    return None, None


def _seen(model, layer, images):
    """What a layer is given in training; None if that is not known."""
    passages = _passages(model, [layer], images, training=True)
    return _numbers(passages[0]) if passages else None


def _passages(model, layers, images, training):
    # Whatever goes wrong is only that the student cannot take random numbers.
    with contextlib.suppress(Exception), observed(layers) as passages:
        model(images.astype(keras.config.floatx()), training=training)
    return passages


def _numbers(passage):
    value = np.asarray(passage.inputs)
    images = value.ndim > 1 and len(value) == _IMAGES and value.dtype.kind not in "biu"
    return value.astype("float64") if images else None


@contextlib.contextmanager
def _unchanged(model) -> Iterator[None]:
    """Gives a model the values back that it had; some layers assign to weights, too."""
    state = [(v, v.numpy()) for v in model.variables]
    try:
        yield
    finally:
        for variable, value in state:
            variable.assign(value)
