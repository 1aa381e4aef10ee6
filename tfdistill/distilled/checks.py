"""Does a distilled set fit together?"""

import contextlib

import keras
import numpy as np

from tfdistill._internal.checks import check_kind
from tfdistill.distilled.recipe import Recipe
from tfdistill.inner.objectives.unknown import UnknownObjective
from tfdistill.inner.optimizers.unknown import UnknownOptimizer


def check(distilled) -> None:
    """Refuses shapes that don't fit and numbers that are none.

    Args:
        distilled: A `DistilledDataset`.

    Raises:
        ValueError: If something is wrong.
    """
    check_kind("recipe", distilled.recipe, Recipe)
    images, labels = distilled.stored_images, distilled.labels
    names, student = distilled.class_names, distilled.student
    if not all(isinstance(name, str) for name in (*names, student)):
        raise ValueError(
            f"class_names and student must be strings, not {names} and {student!r}."
        )
    if images.ndim < 3 or 0 in images.shape:
        raise ValueError(
            "images must have the shape [steps, batch, *image_shape], "
            f"not {list(images.shape)}."
        )
    if labels.shape != (*images.shape[:2], len(names)):
        raise ValueError(
            f"labels must have the shape [steps, batch, classes] = "
            f"{[*images.shape[:2], len(names)]}, not {list(labels.shape)}."
        )
    distilled.recipe.check(len(images))
    if not np.isfinite(images).all():
        raise ValueError("images must be finite; some pixels are NaN or infinite.")
    if not np.isfinite(labels).all():
        raise ValueError("labels must be finite.")
    distilled.objective.check_labels(labels)


def check_model(distilled, model: keras.Model) -> None:
    """Refuses a model of other images or outputs, as far as it knows its own.

    Args:
        distilled: A `DistilledDataset`.
        model: One that is to learn from it.

    Raises:
        ValueError: If shapes differ.
    """
    for name, what, own in (
        ("input_shape", "takes images", tuple(distilled.image_shape)),
        ("output_shape", "gives outputs", (distilled.num_classes,)),
    ):
        shape = None
        with contextlib.suppress(AttributeError, ValueError):  # of a model's own class
            shape = getattr(model, name)[1:]
        if not isinstance(shape, tuple) or any(isinstance(n, tuple) for n in shape):
            continue  # several inputs or outputs
        wrong = [n for n, mine in zip(shape, own) if n not in (None, mine)]
        if wrong or len(shape) != len(own):
            raise ValueError(
                f"The model {what} of the shape {shape}, but the distilled data needs "
                f"{own}."
            )


def unknown(distilled) -> dict[str, str]:
    """What of a set is an own class that only a file names.

    Args:
        distilled: A `DistilledDataset`; of an unknown class, it can only be viewed.

    Returns:
        The class's name in files, by the argument of `DistilledDataset.load` that
        takes an object of it.
    """
    kinds = {"objective": UnknownObjective, "inner_optimizer": UnknownOptimizer}
    found = {name: getattr(distilled, name) for name in kinds}
    return {k: v.name for k, v in found.items() if isinstance(v, kinds[k])}


def numbers(name: str, values) -> np.ndarray:
    """Values as float32.

    Raises:
        ValueError: If they are not numbers; it names them.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numbers, not {array.dtype}.")
    return array.astype("float32")
