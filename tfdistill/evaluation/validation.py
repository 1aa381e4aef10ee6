"""Tests of what a synthesizer makes, while it is being learned."""

from collections.abc import Callable

import tensorflow as tf

from tfdistill.evaluation import copies
from tfdistill.evaluation.fresh_students import FreshStudents, by_xla
from tfdistill.evaluation.result import Evaluation


class Validation:
    """Trains fresh students as the synthesizer's recipe says, and tests them.

    Of several architectures, each student takes the next one.

    Args:
        distiller: A `Distiller`: its population, synthesizer, objective and strategy.
        distilled: Gives the `DistilledDataset` as it is now.
        jit_compile: Whether XLA may compile the training.
    """

    def __init__(self, distiller, distilled: Callable, jit_compile: bool):
        self._distiller, self._distilled, self._teacher = distiller, distilled, None
        recipe = distiller.synthesizer.recipe
        # Whether students that start alike may learn something else.
        self._draws = copies.draws(distiller.population)
        if recipe is None:
            self._draws |= distiller.synthesizer.is_random
        else:
            data = distilled()
            self._draws |= recipe.draws(data.num_images)
            with distiller.distribute_strategy.scope():
                self._teacher = data.recipe.teacher(data)
        self._by_xla = jit_compile and by_xla(recipe)
        self._students: dict[int, FreshStudents] = {}  # by how many learn side by side

    def __call__(
        self, batches: tf.data.Dataset, num_students: int, seed: int
    ) -> Evaluation:
        """Trains and tests; the arguments are those of `FreshStudents.evaluate`.

        A student who would be the copy of another is not tested, nor those after it.
        """
        population = self._distiller.population
        side_by_side = min(2, num_students)
        if side_by_side not in self._students:
            self._students[side_by_side] = FreshStudents(
                population,
                self._teacher or self._distiller.synthesizer,
                self._distiller.objective,
                side_by_side=side_by_side,
                jit_compile=self._by_xla,
                strategy=self._distiller.distribute_strategy,
            )
        students = self._students[side_by_side]
        if self._teacher is not None:
            self._teacher.assign(self._distilled())
        if not self._draws:
            asked = [0] * num_students
            num_students = len(copies.before(asked, population, students.group))
        return students.evaluate(batches, num_students, seed)
