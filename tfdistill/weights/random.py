"""Fresh draws from the model's own initialisers."""

import warnings

import keras
import tensorflow as tf

from tfdistill.inner.stateless import SEED_STATE, first_state
from tfdistill.students.frozen import constants, frozen
from tfdistill.weights import drawing
from tfdistill.weights.base import InitialWeights

_KINDS = ("trainable_variables", "non_trainable_variables")


class RandomWeights(InitialWeights):
    """A fresh draw from the model's own initialisers for every student.

    Frozen layers, such as a pretrained backbone with `trainable = False`, keep the
    values that the model has, and so does what the student's callable loads or assigns
    and training never changes. Other weights that it loads are not used: `FixedWeights`
    keeps them. Own initialisers are called with a shape and a
    `dtype` while a graph is traced; the seeds of Keras's that they hold as attributes
    are replaced.

    Raises:
        ValueError: By `build`, if the model's initialisers cannot be found, would give
            all students the same random numbers, or its callable gives another
            architecture, or the same layers, each time.

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
        # What is loaded into variables is noted by the scope.
        try:
            with keras.StatelessScope() as scope:
                twin = make_model()
                ended = keras.Variable("zeros", ())._initializer is None
                self._initializers = {
                    kind: [v._initializer for v in getattr(twin, kind)]
                    for kind in _KINDS
                }
        except ValueError as error:
            raise ValueError(
                "RandomWeights() cannot find the initialisers of the student's "
                f"variables; use FixedWeights() (Keras says: {error})"
            ) from error
        if ended:
            raise ValueError(
                "The student's callable calls keras.utils.clear_session(), after which "
                "its initialisers cannot be found: leave that call out."
            )
        for kind in _KINDS:
            shapes = [v.shape for v in getattr(model, kind)]
            if [v.shape for v in getattr(twin, kind)] != shapes:
                raise ValueError(
                    "The student's callable gave two different models in a row; "
                    "RandomWeights() needs one architecture."
                )
        known = {id(v) for v in model.variables}
        shared = [v.path for v in twin.trainable_variables if id(v) in known]
        if shared:
            raise ValueError(
                f"The student's callable gave the same layers twice ({shared[0]}), but "
                "weights are drawn afresh for new ones: make the layers inside the "
                "callable, freeze them (trainable = False), or use FixedWeights()."
            )
        loaded = [
            [scope.get_current_value(v) is not None for v in getattr(twin, kind)]
            for kind in _KINDS
        ]
        self._kept = {id(v) for v in frozen(model)}
        given = {
            id(v)
            for kind, of_kind in zip(_KINDS, loaded)
            for v, is_loaded in zip(getattr(model, kind), of_kind)
            if is_loaded and v.name != SEED_STATE
        }
        if given - self._kept:
            # Loaded constants, such as what a normalisation was adapted to, would never
            # be learned anew either.
            self._kept |= given & {id(v) for v in constants(model)}
        for kind, initializers in self._initializers.items():
            for variable, initializer in zip(getattr(model, kind), initializers):
                if initializer is None and id(variable) not in self._kept:
                    raise ValueError(
                        "The student has a variable without an initializer, or one "
                        f"that was made before ({variable.path}), so its weights "
                        "cannot be drawn afresh: make the layers inside the callable, "
                        "or use FixedWeights()."
                    )
        self._check_draws(model, loaded)
        self._say(bool(given - self._kept))

    def sample(self, seed):
        seeds = drawing.Seeds(seed)
        model = self.student.model
        return tuple(
            [
                self._one(variable, own, initializer, seeds)
                for variable, own, initializer in zip(
                    getattr(model, kind),
                    getattr(self.student, kind),
                    self._initializers[kind],
                )
            ]
            for kind in _KINDS
        )

    def _one(self, variable, own, initializer, seeds):
        if variable.name == SEED_STATE:
            return first_state(seeds.next())
        if id(variable) in self._kept:
            return tf.convert_to_tensor(own)
        return drawing.draw(initializer, variable, seeds)

    def _check_draws(self, model, loaded):
        drawn = [
            (initializer, variable, None if is_loaded else variable.value)
            for kind, of_kind in zip(_KINDS, loaded)
            for initializer, variable, is_loaded in zip(
                self._initializers[kind], getattr(model, kind), of_kind
            )
            if variable.name != SEED_STATE and id(variable) not in self._kept
        ]
        drawing.check(drawn)

    def _say(self, has_loaded):
        if self._kept:
            warnings.warn(
                f"{len(self._kept)} variables of the student belong to frozen layers "
                "or are loaded and never trained: every student keeps their values, "
                "and all others are drawn afresh.",
                stacklevel=3,
            )
        if has_loaded:
            warnings.warn(
                "The weights that the student loads are not used, for those of each "
                "student are drawn afresh: FixedWeights() keeps them, and so do frozen "
                "layers.",
                stacklevel=3,
            )
