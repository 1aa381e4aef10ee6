"""One fixed start."""

from typing import final

from tfdistill._internal.checks import check_int
from tfdistill.weights.base import InitialWeights
from tfdistill.weights.pool import Pool


@final
class FixedWeights(InitialWeights):
    """One fixed start, which is saved with the result; by default the model's weights.

    Only the seeds of the model's stochastic layers (dropout) are drawn afresh.

    Args:
        pretrained: A `Pool`, or its folder, with the student to start from.
        number: Index of that student, from 0.
        new_head: Same as for `PretrainedWeights`.

    Raises:
        ValueError: If there is a number or a new head and no pool; by `build`, if there
            is no such student, or it is of another architecture.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_noise(digits, steps=1)
        >>> distiller = tfdistill.Distiller("mlp", images, tfdistill.FixedWeights())
    """

    is_random = False

    def __init__(
        self,
        pretrained: Pool | str | None = None,
        number: int = 0,
        *,
        new_head: bool = False,
    ):
        self.pool = None if pretrained is None else Pool.of(pretrained)
        self._number = check_int("number", number, 0)
        if self.pool is None and (self._number or new_head):
            raise ValueError(
                "number and new_head need a pool: give pretrained, or leave them out."
            )
        self._new_head = new_head

    def _facts(self):
        return {**({"pool": self.pool} if self.pool else {}), **super()._facts()}

    def build(self, make_model, model):
        super().build(make_model, model)
        if self.pool is None:
            return
        members = self.pool.members
        if self._number >= len(members):
            raise ValueError(
                f"The pool has the students 0 to {len(members) - 1}, not "
                f"{self._number}."
            )
        (values,) = self.pool.values(
            [members[self._number]], make_model, new_head=self._new_head
        )
        split = len(self.student.weights)
        self.student.assign(values[:split], values[split:])

    def sample(self, seed):
        return self.student.weights, self.reseeded(self.student.state, seed)
