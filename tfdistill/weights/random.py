"""Fresh draws from the model's own initialisers."""

import copy

import keras
import tensorflow as tf

from tfdistill.weights.base import SEED_STATE, InitialWeights, layer_seed


class RandomWeights(InitialWeights):
    """A fresh draw from the model's own initialisers for every student.

    Weights that the student's callable loads are not used: `FixedWeights` keeps them.

    Raises:
        ValueError: By `build`, if the model's initialisers cannot be found, or its
            callable gives another architecture each time.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_noise(digits, steps=1)
        >>> distiller = tfdistill.Distiller("mlp", images, tfdistill.RandomWeights())
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
        model = self.student.model
        return tuple(
            [
                seeds.next()
                if variable.name == SEED_STATE
                else _draw(initializer, variable, seeds)
                for variable, initializer in zip(
                    getattr(model, kind), self._initializers[kind]
                )
            ]
            for kind in ("trainable_variables", "non_trainable_variables")
        )


class _Seeds(keras.random.SeedGenerator):
    """Keras's seed generator without its variable: a pure function of one seed."""

    def __init__(self, seed):
        self._seed = seed
        self._count = 0

    def next(self, ordered=True):
        self._count += 1
        return layer_seed(self._seed, self._count)


def _draw(initializer, variable, seeds):
    # A Keras initialiser with a seed gives the same values at every call; a copy
    # that takes its seeds from ours gives fresh ones.
    if hasattr(initializer, "seed"):
        initializer = copy.copy(initializer)
        initializer.seed = seeds
    value = initializer(tuple(variable.shape), dtype=variable.dtype)
    return tf.cast(value, variable.dtype)
