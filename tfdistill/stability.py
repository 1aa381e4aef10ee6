"""What keeps the outer loop stable: clipped meta-gradients, and rates that back off.

Both look at students one by one: a single one that diverges must neither drown the
others nor go unnoticed.
"""

import keras
import tensorflow as tf

from tfdistill.runs import strategies


class RunningMean:
    """The mean of a number over outer steps, in a variable.

    It is the plain mean of the first hundred outer steps, then an exponential one: a
    burst of large values must not raise its own limit, for Adam's steps grow with it
    until its second moment has followed.

    Args:
        variable: Scalar, 0 at first; all replicas give it the same value.
    """

    def __init__(self, variable):
        self.variable = variable

    def read(self, dtype) -> tf.Tensor:
        """The mean so far, a scalar; 0 before the first step."""
        return tf.cast(self.variable, dtype)

    def follow(self, value: tf.Tensor, outer_step: tf.Tensor) -> None:
        """Takes a step's value in, unless it is not finite."""
        variable = self.variable
        step = tf.cast(outer_step, variable.dtype)
        decay = tf.minimum(step / (step + 1), 0.99)
        new = decay * variable + (1 - decay) * tf.cast(value, variable.dtype)
        variable.assign(tf.where(tf.math.is_finite(new), new, variable))


class Clipping:
    """Averages students' meta-gradients, each clipped to a multiple of its usual norm.

    Students that do not end finite are left out (arXiv:2311.07025 clips likewise).

    Args:
        factor: How many times the usual norm is allowed, > 0; None for any norm.
        usual: A `RunningMean` of the norm for each source.
    """

    def __init__(self, factor: float | None, usual: list[RunningMean]):
        self._factor, self._usual = factor, usual

    def shares(self, gradients, norms, finite, outer_step) -> list[list[tf.Tensor]]:
        """Each student's share in the mean gradient of all that ended finite.

        The optimizer adds the shares of the replicas up.

        Args:
            gradients: A list for each student: one tensor a source.
            norms: float `[students, sources]`, theirs.
            finite: bool `[students]`, whose loss and gradients are.
            outer_step: An integer scalar, from 0.

        Returns:
            Like `gradients`.
        """
        scales = tf.ones_like(norms)
        if self._factor is not None:
            usual = tf.stack([mean.read(norms.dtype) for mean in self._usual])
            limits = tf.where(usual > 0, self._factor * usual, norms)
            clipped = tf.minimum(norms, limits)
            scales = tf.math.divide_no_nan(clipped, norms)
            means = mean_over_students(clipped, finite)
            for mean, value in zip(self._usual, tf.unstack(means)):
                mean.follow(value, outer_step)
        weights = tf.cast(finite, norms.dtype)
        weights = tf.math.divide_no_nan(
            weights, strategies.total(tf.reduce_sum(weights))
        )
        scales *= weights[:, None]
        return [
            [
                tf.where(
                    finite[k], tf.cast(scales[k, i], g.dtype) * g, tf.zeros_like(g)
                )
                for i, g in enumerate(of_student)
            ]
            for k, of_student in enumerate(gradients)
        ]


class BackOff:
    """Lowers the learned rates for each student that has diverged.

    A student has diverged if its meta-loss is not finite, or twice the usual one. How
    likely that is, the meta-gradient does not see: it raises rates until it happens.

    Args:
        strength: For each diverged student the logarithm of all rates falls by this
            many times the outer learning rate: as far as so many outer steps could move
            it. So both are annealed alike.
        usual: The `RunningMean` of the meta-loss.
    """

    def __init__(self, strength: float, usual: RunningMean):
        self._strength, self._usual = strength, usual

    def factor(self, losses, finite, outer_step, outer_rate) -> tf.Tensor:
        """What the rates of all replicas are to be multiplied by, in (0, 1].

        Args:
            losses: float `[students]`.
            finite: bool `[students]`.
            outer_step: An integer scalar, from 0.
            outer_rate: The outer learning rate, a scalar.
        """
        usual = self._usual.read(losses.dtype)
        limit = tf.where(usual > 0, 2 * usual, losses)
        diverged = ~(finite & (losses <= limit))
        self._usual.follow(
            mean_over_students(tf.minimum(losses, limit), finite), outer_step
        )
        count = strategies.total(tf.reduce_sum(tf.cast(diverged, losses.dtype)))
        return tf.exp(-self._strength * tf.cast(outer_rate, count.dtype) * count)


def mean_over_students(values: tf.Tensor, finite: tf.Tensor) -> tf.Tensor:
    """The mean over all replicas' students that ended finite; NaN without any.

    Args:
        values: `[students, ...]`.
        finite: bool `[students]`.
    """
    along = tf.reshape(finite, [-1] + [1] * (len(values.shape) - 1))
    total = tf.reduce_sum(tf.where(along, values, tf.zeros_like(values)), 0)
    count = tf.reduce_sum(tf.cast(finite, values.dtype))
    total, count = strategies.total([total, count])
    return total / count


def check_unscaled(optimizer: keras.optimizers.Optimizer) -> None:
    """Refuses an outer optimizer that divides gradients by the scale of a loss.

    Raises:
        ValueError: If it does.
    """
    scaled = getattr(optimizer, "loss_scale_factor", None) is not None
    if scaled or isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            "The outer optimizer must not scale losses, for the meta-loss is in "
            f"float32: pass a plain one, not {type(optimizer).__name__} with a loss "
            "scale."
        )


def check_precision(variables) -> None:
    """Refuses to learn variables in half precision.

    Args:
        variables: A synthesizer's.

    Raises:
        ValueError: If one is neither float32 nor float64.
    """
    for variable in variables:
        dtype = keras.backend.standardize_dtype(variable.dtype)
        if dtype not in ("float32", "float64"):
            raise ValueError(
                f"The synthesizer's variable {variable.name!r} is {dtype}, in which "
                "nothing is learned: make it with dtype='float32', or set a mixed "
                "policy such as 'mixed_bfloat16'."
            )
