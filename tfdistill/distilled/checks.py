"""Does a distilled set fit together?"""

from collections.abc import Iterable, Sequence

import keras
import numpy as np

from tfdistill import students
from tfdistill._internal.checks import check_kind
from tfdistill.data import normalised
from tfdistill.data.labels import as_text
from tfdistill.distilled import untrusted
from tfdistill.distilled.recipe import Recipe
from tfdistill.inner.objectives.unknown import UnknownObjective
from tfdistill.inner.optimizers.unknown import UnknownOptimizer
from tfdistill.inner.stateless import storable
from tfdistill.students.ranges import check_type


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
    untrusted.check_provenance(distilled.provenance)


def check_fits(distilled, dataset) -> None:
    """Same as `DistilledDataset.check_fits`."""
    if tuple(dataset.image_shape) != tuple(distilled.image_shape):
        raise ValueError(
            f"The distilled images have the shape {tuple(distilled.image_shape)}, but "
            f"those of {dataset.name} have {tuple(dataset.image_shape)}."
        )
    if dataset.num_classes != distilled.num_classes:
        raise ValueError(
            f"The distilled images have {distilled.num_classes} classes, but "
            f"{dataset.name} has {dataset.num_classes}."
        )
    check_order(distilled.class_names, dataset)


def check_order(class_names: Sequence[str], dataset) -> None:
    """Refuses real data with the same names of classes in another order.

    Names that are others are taken for other words for the same classes.

    Args:
        class_names: Those of distilled data, in the order of their labels.
        dataset: A `tfdistill.Dataset`.

    Raises:
        ValueError: If the order is another one.
    """
    own, theirs = (
        [*map(as_text, names)] for names in (class_names, dataset.class_names)
    )
    if own == theirs or sorted(own) != sorted(theirs):
        return
    first = next(k for k, (a, b) in enumerate(zip(own, theirs)) if a != b)
    listed, of_images = (
        ", ".join(names[first : first + 5]) + ", ..." * (len(names) > first + 5)
        for names in (theirs, own)
    )
    raise ValueError(
        f"The classes of {dataset.name} come in another order ({listed}) than those "
        f"of the distilled images ({of_images}): choose them in the order of the "
        "images."
    )


def check_model(distilled, model: keras.Model) -> None:
    """Refuses a model that doesn't fit the data, and builds one that is not built yet.

    Args:
        distilled: A `DistilledDataset`.
        model: One that is to learn from it, or has.

    Raises:
        ValueError: If it takes other images, or whole numbers, gives other outputs, or
            no logits.
    """
    logits = distilled.objective.takes_logits
    students.check(model, distilled.image_shape, distilled.num_classes, logits=logits)
    check_type(model, model.name, distilled.normalization)


def check_learner(distilled, model: keras.Model) -> None:
    """Same as `check_model`, and refuses a model that expects images in 0..255.

    Args:
        distilled, model: Same as for `check_model`.

    Raises:
        ValueError: If it is refused.
    """
    check_model(distilled, model)
    students.check_range(
        [model], model.name, distilled.image_shape, distilled.normalization
    )


def unknown(distilled) -> dict[str, str]:
    """What of a set is a custom class that only a file names.

    Args:
        distilled: A `DistilledDataset`; of an unknown class, it can only be viewed.

    Returns:
        The class's name in files, by the argument of `DistilledDataset.load` that
        takes an object of it.
    """
    kinds = {"objective": UnknownObjective, "inner_optimizer": UnknownOptimizer}
    found = {name: getattr(distilled, name) for name in kinds}
    return {k: v.name for k, v in found.items() if isinstance(v, kinds[k])}


def pixels(values) -> np.ndarray:
    """Images as they are stored: float16 if they are float16, else float32.

    Raises:
        ValueError: If they are not floats.
    """
    images = np.asarray(values)
    normalised.refuse_integers(images)
    return images if images.dtype == np.float16 else numbers("images", images)


def weights(values: Iterable | None) -> list[np.ndarray] | None:
    """Initial weights as they are stored; None if there are none.

    Raises:
        ValueError: If some are not numbers, or not finite.
    """
    if values is None:
        return None
    arrays = [storable(value) for value in values]
    for array in arrays:
        if array.dtype.kind not in "biuf":
            raise ValueError(f"initial_weights must be numbers, not {array.dtype}.")
        if not np.isfinite(array).all():
            raise ValueError("initial_weights must be finite: files keep no others.")
    return arrays


def numbers(name: str, values) -> np.ndarray:
    """Values as float32.

    Raises:
        ValueError: If they are not numbers; it names them.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numbers, not {array.dtype}.")
    return array.astype("float32")
