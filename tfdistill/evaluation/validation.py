"""Tests of what a synthesizer makes, while it is being learned."""

from collections.abc import Callable

import tensorflow as tf

from tfdistill.evaluation.fresh_students import FreshStudents, by_xla
from tfdistill.evaluation.result import Evaluation


class Validation:
    """Trains fresh students as the synthesizer's recipe says, and tests them.

    Args:
        distiller: A `Distiller`: its population, synthesizer, objective and strategy.
        distilled: Gives the `DistilledDataset` as it is now.
        side_by_side: Same as for `FreshStudents`.
        jit_compile: Whether XLA may compile the training.
    """

    def __init__(
        self, distiller, distilled: Callable, side_by_side: int, jit_compile: bool
    ):
        self._distilled, self._teacher = distilled, None
        synthesizer = distiller.synthesizer
        if synthesizer.recipe is not None:
            data = distilled()
            with distiller.distribute_strategy.scope():
                self._teacher = data.recipe.teacher(data)
        self._students = FreshStudents(
            distiller.population,
            self._teacher or synthesizer,
            distiller.objective,
            side_by_side=side_by_side,
            jit_compile=jit_compile and by_xla(synthesizer.recipe),
            strategy=distiller.distribute_strategy,
        )

    def __call__(
        self, batches: tf.data.Dataset, num_students: int, seed: int
    ) -> Evaluation:
        """Trains and tests; the arguments are those of `FreshStudents.evaluate`."""
        if self._teacher is not None:
            self._teacher.assign(self._distilled())
        return self._students.evaluate(batches, num_students, seed)
