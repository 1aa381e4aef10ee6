"""p(theta_0): who learns from the distilled data (Wang et al. 2018, section 3.3)."""

import abc
from collections.abc import Callable

import keras
import tensorflow as tf

from tfdistill._internal.faces import Face
from tfdistill.inner import stateless
from tfdistill.inner.problem import Problem
from tfdistill.students.frozen import frozen
from tfdistill.weights.bound import Bound


class InitialWeights(Face, abc.ABC):
    """A distribution over the initial weights of students.

    An object is bound to one architecture by `build`, then sampled any number of
    times. `sample` is a pure function of its seed and of `variables`, so that a run is
    repeated, or resumed, exactly. Distillers and evaluations bind copies (`copy.copy`),
    so that one object may be given to several.

    Attributes:
        is_random: Whether two students may start from different weights. If not, the
            weights are saved with the result, and one student is tested, unless it
            draws something while it learns (dropout, batches).
        student: After `build`, the bound architecture, a `StatelessModel`: its
            `weights` and `state` are the values that the model had then.

    Example:
        >>> import tfdistill
        >>> class ScaledDown(tfdistill.RandomWeights):
        ...     def sample(self, seed):
        ...         weights, state = super().sample(seed)
        ...         return [0.5 * w for w in weights], state
    """

    is_random: bool = True
    student: Bound

    def build(self, make_model: Callable[[], keras.Model], model: keras.Model) -> None:
        """Binds the distribution to an architecture.

        Args:
            make_model: Returns another, freshly initialised model of the same kind.
            model: A built model; `sample` gives values for its variables.
        """
        del make_model
        self.student = Bound(model)

    @abc.abstractmethod
    def sample(self, seed: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Draws the weights and the state of one student, in a graph or eagerly.

        Args:
            seed: int32 tensor `[2]`, for TensorFlow's stateless functions.

        Returns:
            A tensor for each trainable variable, and one for each other variable.
        """

    def sample_held_out(
        self, seed: tf.Tensor, number: tf.Tensor
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Draws a student to test with; if random, never one that `sample` gives.

        Args:
            seed: Same as for `sample`, but never one that `sample` gets.
            number: Index of the test student, int32 scalar, from 0.
        """
        del number
        return self.sample(seed)

    @property
    def num_held_out(self) -> int | None:
        """How many different students there are to test with; None for no end of them.

        `sample_held_out` begins again after so many.
        """
        return None if self.is_random else 1

    @property
    def draws_from_pool(self) -> bool:
        """Whether students start from networks of a pool: of the provenance of data.

        The pool is not saved with the result. By default False.
        """
        return False

    @property
    def variables(self) -> list[tf.Variable]:
        """What `advance` changes, to be saved with a run. By default nothing."""
        return []

    def advance(self, seed: tf.Tensor, problem: Problem) -> None:
        """Called after the student of a seed has been judged. By default does nothing.

        Args:
            seed: The same as of `sample`.
            problem: What the student learned from, with the weights that it had.
        """
        del seed, problem

    def reseeded(self, state: list[tf.Tensor], seed: tf.Tensor) -> list[tf.Tensor]:
        """A state in which stochastic layers (dropout) have seeds derived from `seed`.

        Args:
            state: One tensor for each variable of the model that is not trained.
            seed: Same as for `sample`.
        """
        return stateless.reseeded(self.student.model, state, seed)

    def with_frozen(self, state: list[tf.Tensor]) -> list[tf.Tensor]:
        """A state in which frozen layers have the values that the model had.

        For distributions that draw states themselves: what a student knows from
        elsewhere, and is not to learn anew, is not theirs to draw.

        Args:
            state: One tensor for each variable of the model that is not trained.
        """
        kept = {id(v) for v in frozen(self.student.model)}
        bound = self.student
        pairs = zip(bound.model.non_trainable_variables, bound.non_trainable_variables)
        return [
            tf.convert_to_tensor(own) if id(variable) in kept else value
            for (variable, own), value in zip(pairs, state)
        ]
