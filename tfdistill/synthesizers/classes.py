"""Which class each synthetic image begins as, and real images of these classes."""

import numpy as np

from tfdistill._internal.checks import check_int


def in_turn(steps: int, size: int, num_classes: int) -> np.ndarray:
    """The classes in turn: 0, 1, ..., 0, 1, ...

    Every step begins with class 0. If a step has fewer images than there are classes,
    the next step goes on with the others, so that all of them are taught.

    Args:
        steps: Number of steps, at least 1.
        size: Number of images in each, at least 1.
        num_classes: Number of classes.

    Returns:
        int `[steps, size]`.

    Raises:
        ValueError: If there are fewer images than classes in all.
    """
    total = check_int("steps", steps, 1) * size
    if total < num_classes:
        raise ValueError(
            f"{total} images in all cannot teach {num_classes} classes: take more "
            "steps, or more images in each."
        )
    if size < num_classes:
        return np.arange(total).reshape(steps, size) % num_classes
    return np.tile(np.arange(size) % num_classes, (steps, 1))


def per_step(dataset, images_per_class: int, images_per_step: int | None) -> int:
    """How many images a step has, by either of two arguments, each at least 1."""
    if images_per_step is not None:
        return check_int("images_per_step", images_per_step, 1)
    return check_int("images_per_class", images_per_class, 1) * dataset.num_classes


def sampled(dataset, steps: int, size: int, seed: int) -> np.ndarray:
    """Random training images of the classes of `in_turn`, none of them twice.

    Args:
        dataset: A `tfdistill.Dataset`, whose training part is sampled.
        steps, size: Same as for `in_turn`.
        seed: Seed of the draw.

    Returns:
        float32 `[steps, size, *image_shape]`, normalised.

    Raises:
        ValueError: If a class has too few examples.
    """
    num_classes, total = dataset.num_classes, check_int("steps", steps, 1) * size
    goes_on = size < num_classes  # from step to step
    rounds = -(-total // num_classes) if goes_on else steps * -(-size // num_classes)
    images, _ = dataset.train.sample(rounds, seed, class_names=dataset.class_names)
    if goes_on:
        images = images[:total]
    return images.reshape(steps, -1, *dataset.image_shape)[:, :size]
