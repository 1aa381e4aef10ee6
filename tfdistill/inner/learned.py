"""Whether images are learned, and whether they can be, through a student."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfdistill.inner import second_order
from tfdistill.inner.curriculum import Curriculum
from tfdistill.inner.stateless import StatelessModel


def depends(curriculum: Curriculum, make: Callable) -> bool:
    """Whether what is made of a curriculum has a derivative by its sources.

    Args:
        curriculum: What a student learns from.
        make: A callable that returns a tensor or several, from its batches.
    """
    # Of a strategy's variables, those of a replica can be watched.
    own = tf.distribute.get_strategy().experimental_local_results
    sources = [x for source in curriculum.sources for x in own(source)]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(sources)
        made = make()
    return any(g is not None for g in tape.gradient(made, sources))


def check(
    student: StatelessModel, image_shape: Sequence[int], curriculum: Curriculum
) -> None:
    """Refuses a student through which no derivative reaches images that are learned.

    Args:
        student: The network as a pure function.
        image_shape: (height, width, channels).
        curriculum: What it learns from; images that are not learned need none.

    Raises:
        ValueError: If the images would stay as they are.
    """
    if second_order.reaches_images(student, image_shape):
        return
    if depends(curriculum, lambda: curriculum.batch(tf.constant(0)).images):
        raise ValueError(
            f"student {student.name}: no derivative leads from its outputs to the "
            "images (integers, rounding and stopped gradients have none), so images "
            "cannot be learned through it: use layers of real numbers, such as Dense "
            "in place of Embedding."
        )
