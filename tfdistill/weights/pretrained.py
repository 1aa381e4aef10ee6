"""Initial weights from a pool of pretrained students."""

from typing import final

import tensorflow as tf

from tfdistill.weights.base import InitialWeights
from tfdistill.weights.pool import Pool


@final
class PretrainedWeights(InitialWeights):
    """A student of a pool, drawn for each student (Wang et al. 2018, section 3.4).

    Distillation draws from the pool's training students; an evaluation takes its
    held-out students in turn.

    Args:
        pool: A `Pool`, or its folder.
        new_head: Whether students get a new last layer, with weights of zero: for other
            classes than they know (section 4.3).

    Raises:
        ValueError: By `build`, if a student is of another architecture, or none is held
            out.

    Example:
        >>> import tfdistill
        >>> pool = tfdistill.Pool((tfdistill.weights.Member("a.keras"),))
        >>> weights = tfdistill.PretrainedWeights(pool, new_head=True)
    """

    is_random = True

    def __init__(self, pool: Pool | str, *, new_head: bool = False):
        self.pool = Pool.of(pool)
        self._new_head = new_head

    def build(self, make_model, model):
        super().build(make_model, model)
        if not self.pool.held_out:
            raise ValueError(
                "The pool has no held-out students to test with: give some as "
                "held_out, or start from one student of it (FixedWeights)."
            )
        self._training = self._stacked(self.pool.training, make_model)
        self._held_out = self._stacked(self.pool.held_out, make_model)

    def _stacked(self, members, make_model):
        values = self.pool.values(members, make_model, new_head=self._new_head)
        return [tf.stack(v) for v in zip(*values)]

    def sample(self, seed):
        count = len(self.pool.training)
        number = tf.random.stateless_uniform([], seed, 0, count, tf.int32)
        return self._start(self._training, number, seed)

    def sample_held_out(self, seed, number):
        return self._start(self._held_out, number % self.num_held_out, seed)

    @property
    def num_held_out(self):
        return len(self.pool.held_out)

    @property
    def draws_from_pool(self):
        return True

    def _start(self, stacked, number, seed):
        values = [tf.gather(v, number) for v in stacked]
        split = len(self.student.model.trainable_variables)
        return values[:split], self.reseeded(values[split:], seed)
