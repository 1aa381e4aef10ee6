"""p(theta_0): who learns from the distilled data (Wang et al. 2018, section 3.3)."""

import abc
import copy
from collections.abc import Callable

import keras
import tensorflow as tf

from tfdistill._internal.seeds import fold_in
from tfdistill.inner.stateless import StatelessModel
from tfdistill.weights.pool import Pool

_SEED_STATE = "seed_generator_state"


class InitialWeights(abc.ABC):
    """A distribution over the weights with which a student starts.

    An object is bound to one architecture by `build`, then sampled any number of
    times. `sample` is a pure function of its seed, so that a run is repeated, or
    resumed, exactly.
    """

    #: Whether two students may start from different weights.
    is_random: bool

    def build(self, make_model: Callable[[], keras.Model], model: keras.Model) -> None:
        """Binds the distribution to an architecture.

        Args:
            make_model: Returns another, freshly initialised model of the same kind.
            model: A built model; `sample` gives values for its variables.
        """
        self._student = StatelessModel(model)

    @abc.abstractmethod
    def sample(self, seed: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Draws the weights and the state of one student, in a graph or eagerly.

        Args:
            seed: int32 tensor `[2]`, as of `tf.random.experimental.stateless_fold_in`.

        Returns:
            A tensor for each trainable variable, and one for each other variable.
        """

    def sample_held_out(
        self, seed: tf.Tensor, number: tf.Tensor
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Draws a student to test with: never one that `sample` may give, if random.

        Args:
            seed: As of `sample`, and never one that `sample` is given.
            number: int32 scalar: the how-many-eth student of the test it is, from 0.
        """
        del number
        return self.sample(seed)

    def _fresh_seeds(self, state, seed):
        """The state, but for the seeds of stochastic layers (dropout): drawn afresh."""
        variables = self._student.model.non_trainable_variables
        return [
            _layer_seed(seed, index) if variable.name == _SEED_STATE else value
            for index, (variable, value) in enumerate(zip(variables, state))
        ]


class FixedWeights(InitialWeights):
    """One known draw, by default the weights that the model has. Saved with the result.

    Only the seeds of the model's stochastic layers (dropout) are drawn afresh.

    Args:
        pretrained: A `Pool`, or its folder, whose student is to be the start.
        number: Which of the pool's students, from 0.
        new_head: As of `PretrainedWeights`.

    Raises:
        ValueError: By `build`, if there is no such student, or it is of another
            architecture.
    """

    is_random = False

    def __init__(
        self,
        pretrained: Pool | str | None = None,
        number: int = 0,
        *,
        new_head: bool = False,
    ):
        self.pool = None if pretrained is None else _pool(pretrained)
        self._number = number
        self._new_head = new_head

    def build(self, make_model, model):
        super().build(make_model, model)
        if self.pool is None:
            return
        members = self.pool.members
        if not 0 <= self._number < len(members):
            raise ValueError(
                f"The pool has the students 0 to {len(members) - 1}, not "
                f"{self._number}."
            )
        (values,) = self.pool.values(
            [members[self._number]], make_model, new_head=self._new_head
        )
        split = len(model.trainable_variables)
        self._student.assign(values[:split], values[split:])

    def sample(self, seed):
        return self._student.weights, self._fresh_seeds(self._student.state, seed)


class RandomWeights(InitialWeights):
    """A fresh draw from the model's own initialisers for every student.

    Weights that the student's callable loads are not used: `FixedWeights` keeps them.

    Raises:
        ValueError: By `build`, if the model's initialisers cannot be found, or its
            callable gives another architecture each time.
    """

    is_random = True

    def build(self, make_model, model):
        super().build(make_model, model)
        # Inside a stateless scope a Keras variable keeps its initialiser until the
        # scope ends: this shows the one of every variable, whichever layer made it.
        try:
            with keras.StatelessScope():
                twin = make_model()
                found = {
                    kind: [v._initializer for v in getattr(twin, kind)]
                    for kind in ("trainable_variables", "non_trainable_variables")
                }
        except ValueError as error:
            raise ValueError(
                "RandomWeights() cannot find the initialisers of the student's "
                f"variables; use FixedWeights() (Keras says: {error})"
            ) from error
        self._initializers = found
        for kind, initializers in found.items():
            shapes = [v.shape for v in getattr(model, kind)]
            if [v.shape for v in getattr(twin, kind)] != shapes:
                raise ValueError(
                    "The student's callable gave two different models in a row; "
                    "RandomWeights() needs one architecture."
                )
            if any(initializer is None for initializer in initializers):
                raise ValueError(
                    "The student has variables without an initializer, so its "
                    "weights cannot be drawn afresh: use FixedWeights()."
                )

    def sample(self, seed):
        seeds = _Seeds(seed)
        model = self._student.model
        return tuple(
            [
                seeds.next()
                if variable.name == _SEED_STATE
                else _draw(initializer, variable, seeds)
                for variable, initializer in zip(
                    getattr(model, kind), self._initializers[kind]
                )
            ]
            for kind in ("trainable_variables", "non_trainable_variables")
        )


class PretrainedWeights(InitialWeights):
    """A student of a pool, drawn anew each time (Wang et al. 2018, section 3.4).

    Distillation draws from the pool's training students, an evaluation takes its
    held-out ones in turn.

    Args:
        pool: A `Pool`, or its folder.
        new_head: Whether students get a new last layer with weights of zero: for other
            classes than they know (section 4.3).

    Raises:
        ValueError: By `build`, if a student is of another architecture, or none is held
            out.
    """

    is_random = True

    def __init__(self, pool: Pool | str, *, new_head: bool = False):
        self.pool = _pool(pool)
        self._new_head = new_head

    def build(self, make_model, model):
        super().build(make_model, model)
        if not self.pool.held_out:
            raise ValueError(
                "The pool has no held-out students to test with; make it with "
                "--held_out, or start from one student of it (FixedWeights)."
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
        return self._start(self._held_out, number % len(self.pool.held_out), seed)

    def _start(self, stacked, number, seed):
        values = [tf.gather(v, number) for v in stacked]
        split = len(self._student.model.trainable_variables)
        return values[:split], self._fresh_seeds(values[split:], seed)


class _Seeds(keras.random.SeedGenerator):
    """Keras's seed generator without its variable: a pure function of one seed."""

    def __init__(self, seed):
        self._seed = seed
        self._count = 0

    def next(self, ordered=True):
        self._count += 1
        return _layer_seed(self._seed, self._count)


def _pool(pool):
    return pool if isinstance(pool, Pool) else Pool.load(pool)


def _layer_seed(seed, data):
    # int64 is the type of Keras's seed states on TensorFlow.
    return tf.cast(fold_in(seed, data), tf.int64)


def _draw(initializer, variable, seeds):
    # A Keras initialiser with a seed gives the same values at every call; a copy
    # that takes its seeds from ours gives fresh ones.
    if hasattr(initializer, "seed"):
        initializer = copy.copy(initializer)
        initializer.seed = seeds
    value = initializer(tuple(variable.shape), dtype=variable.dtype)
    return tf.cast(value, variable.dtype)
