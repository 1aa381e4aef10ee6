"""Stability of the outer loop: clipped meta-gradients, and rates that back off.

Both look at each student: one that diverges must neither dominate the others nor go
unnoticed.
"""

import keras
import tensorflow as tf

from tfdistill.runs import strategies


def add_scalar(model: keras.Model, name: str, dtype: str | None = None):
    """Adds a variable to a model, to which all replicas give the same value.

    Args:
        model: The `Distiller`.
        name, dtype: Those of the variable, which is 0.
    """
    return model.add_weight(
        shape=(),
        initializer="zeros",
        dtype=dtype,
        trainable=False,
        aggregation="only_first_replica",
        name=name,
    )


class RunningMean:
    """The mean of a number over outer steps, in a variable.

    It is the plain mean over the first hundred outer steps, then an exponential one. It
    moves slowly, so that a burst of large values does not raise its own limit: Adam's
    steps would grow with the burst until its second moment had followed.

    Args:
        variable: A scalar, initially 0; all replicas assign the same value.
    """

    def __init__(self, variable):
        self.variable = variable

    def read(self, dtype) -> tf.Tensor:
        """The mean so far, a scalar; 0 before the first step."""
        return tf.cast(self.variable, dtype)

    def follow(self, value: tf.Tensor, outer_step: tf.Tensor) -> None:
        """Adds the value of an outer step, unless it is not finite."""
        variable = self.variable
        step = tf.cast(outer_step, variable.dtype)
        decay = tf.minimum(step / (step + 1), 0.99)
        new = decay * variable + (1 - decay) * tf.cast(value, variable.dtype)
        variable.assign(tf.where(tf.math.is_finite(new), new, variable))


class Clipping:
    """Averages students' meta-gradients, each clipped to a multiple of its usual norm.

    Students whose loss or gradients are not finite are left out. (arXiv:2311.07025
    clips in the same way.)

    Args:
        factor: The largest norm, as a multiple of the usual one, > 0; None for no
            limit.
        usual: For each source, the `RunningMean` of its gradient's norm.
    """

    def __init__(self, factor: float | None, usual: list[RunningMean]):
        self._factor, self._usual = factor, usual

    def shares(self, gradients, norms, finite, outer_step) -> list[list[tf.Tensor]]:
        """Each student's share of the mean gradient over all finite students.

        The optimizer sums the shares of all replicas.

        Args:
            gradients: For each student, a list of one tensor for each source.
            norms: float `[students, sources]`, the norms of `gradients`.
            finite: bool `[students]`: whether loss and gradients are finite.
            outer_step: An integer scalar, from 0.

        Returns:
            Lists like `gradients`.
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

    A student has diverged if its meta-loss is not finite, or is more than twice the
    usual one. The meta-gradient does not see how likely that is, and raises the rates
    until it happens.

    Args:
        strength: For each diverged student, the logarithm of all rates falls by this
            many times the outer learning rate: about as far as this many outer steps
            could move it. The back-off is therefore annealed together with the steps.
        usual: The `RunningMean` of the meta-loss.
    """

    def __init__(self, strength: float, usual: RunningMean):
        self._strength, self._usual = strength, usual

    def factor(self, losses, finite, outer_step, outer_rate) -> tf.Tensor:
        """The factor for the learned rates, the same in all replicas, in (0, 1].

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


def norms(losses: tf.Tensor, gradients) -> tuple[tf.Tensor, tf.Tensor]:
    """The norms of students' meta-gradients, and whether all is finite.

    Args:
        losses: float `[students]`.
        gradients: For each student, a list of one tensor for each source.

    Returns:
        float `[students, sources]`, and bool `[students]`.
    """
    found = tf.stack([[tf.norm(g) for g in of_student] for of_student in gradients])
    finite = tf.math.is_finite(losses)
    return found, finite & tf.reduce_all(tf.math.is_finite(found), 1)


def mean_over_students(values: tf.Tensor, finite: tf.Tensor) -> tf.Tensor:
    """The mean over the finite students of all replicas; NaN if there are none.

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
