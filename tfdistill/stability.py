"""Stability of the outer loop: clipped meta-gradients, and rates that back off.

Both look at each student: one that diverges must neither dominate the others nor go
unnoticed.
"""

import keras
import tensorflow as tf

from tfdistill.runs import strategies
from tfdistill.synthesizers import schedule

# Of so few values of a running mean, one this many times the others is an accident.
_FEW, _FAR = 10, 10.0


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


def add_counter() -> tf.Variable:
    """A whole number of the outer loop, 0, to which all replicas give the same value.

    It is none of the model's weights: files of them that earlier versions wrote, which
    lack it, still load. On a GPU, XLA does not reach variables of int32.
    """
    return tf.Variable(
        0,
        trainable=False,
        dtype=tf.int64,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


class MeanOfFinite(keras.metrics.Mean):
    """A figure of an epoch: the mean over students that end finite, or NaN."""

    def add(self, value: tf.Tensor, finite: tf.Tensor) -> None:
        """Adds a student's scalar, if the student is finite (a bool scalar)."""
        value = tf.convert_to_tensor(value)
        shown = tf.where(finite, value, tf.zeros_like(value))
        self.update_state(shown, tf.cast(finite, value.dtype))

    def result(self):
        """A scalar. Keras's mean of nothing is 0, which looks like a perfect loss."""
        mean = super().result()
        return tf.where(self.count > 0, mean, tf.constant(float("nan"), mean.dtype))


class RunningMean:
    """The mean of a number over outer steps, in a variable.

    It is the plain mean of the first hundred values, then an exponential one. It moves
    slowly, so that a burst of large values does not raise its own limit: Adam's steps
    would grow with the burst until its second moment had followed.

    A first value may be far off, such as the loss of a student that nearly diverged.
    So among the first ten, one that is less than a tenth of the mean of those before
    makes it start anew; and so does a second one of more than ten times the first.

    Args:
        variable: A scalar, initially 0; all replicas assign the same value.

    Attributes:
        skipped: An `add_counter` of the outer steps whose values are not in the mean.
    """

    def __init__(self, variable):
        self.variable = variable
        self.skipped = add_counter()

    def read(self, dtype) -> tf.Tensor:
        """The mean so far, a scalar; 0 before the first value."""
        return tf.cast(self.variable, dtype)

    def follow(self, value: tf.Tensor, held: tf.Tensor, outer_step: tf.Tensor) -> None:
        """Adds the value of an outer step, unless it is 0 or not finite.

        Args:
            value: A scalar, as it is.
            held: The same, limited by the mean so far: this is what is added.
            outer_step: An integer scalar, from 0.
        """
        mean, dtype = self.variable, self.variable.dtype
        value, held = tf.cast(value, dtype), tf.cast(held, dtype)
        step = tf.cast(outer_step, tf.int64)
        size, usual = tf.abs(value), tf.abs(mean)
        counts = tf.math.is_finite(value) & (size > 0)
        count = step - tf.minimum(self.skipped, step)
        falls = (count < _FEW) & (_FAR * size < usual)
        rises = (count <= 1) & (size > _FAR * usual)
        anew = counts & (falls | rises)
        count = tf.where(anew, tf.zeros_like(count), count)
        number = tf.cast(count, dtype)
        decay = tf.minimum(number / (number + 1), 0.99)
        new = decay * mean + (1 - decay) * tf.where(anew, value, held)
        mean.assign(tf.where(counts, new, mean))
        self.skipped.assign(step - count + tf.cast(~counts, tf.int64))


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
            means = mean_over_students(tf.stack([norms, clipped], 1), finite)
            for k, mean in enumerate(self._usual):
                mean.follow(means[0, k], means[1, k], outer_step)
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

    def factor(
        self, losses, finite, outer_step, outer_rate, num_examples=1
    ) -> tf.Tensor:
        """The factor for the learned rates, the same in all replicas, in (0, 1].

        Args:
            losses: float `[students]`.
            finite: bool `[students]`.
            outer_step: An integer scalar, from 0.
            outer_rate: The outer learning rate, a scalar.
            num_examples: The number of real examples that judged the students of this
                replica: without one, whether they diverged is not known.
        """
        usual = self._usual.read(losses.dtype)
        limit = tf.where(usual > 0, 2 * usual, losses)
        diverged = ~(finite & (losses <= limit)) & (num_examples > 0)
        both = tf.stack([losses, tf.minimum(losses, limit)], 1)
        means = mean_over_students(both, finite)
        self._usual.follow(means[0], means[1], outer_step)
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


def apply(optimizer: keras.optimizers.Optimizer, gradients, variables) -> None:
    """Moves variables by the gradients that all replicas have together.

    Args:
        optimizer: The outer optimizer.
        gradients: This replica's share of the gradient of each variable.
        variables: Keras variables.
    """
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    limits = optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    if replicas > 1 and any(limits):
        # Keras clips what each replica hands over, and then sums. An even part of the
        # clipped sum is below any limit, so that it is not clipped again.
        clipped = optimizer._clip_gradients(strategies.total(gradients))
        gradients = [gradient / replicas for gradient in clipped]
    # A step counts when its gradients are there: where data of unknown length end, its
    # graph is left midway.
    with tf.control_dependencies(gradients):
        optimizer.apply_gradients(list(zip(gradients, variables)))


def check_optimizer(optimizer: keras.optimizers.Optimizer) -> None:
    """Refuses an outer optimizer that scales losses, or that accumulates gradients.

    The scale would divide gradients; outer steps are counted by `iterations`, which do
    not count those whose gradients are only accumulated.

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
    if number := getattr(optimizer, "gradient_accumulation_steps", None):
        raise ValueError(
            "The outer optimizer must not accumulate gradients: leave "
            f"gradient_accumulation_steps out, and pass students_per_step={number} "
            "to compile, which averages over as many students."
        )


def spare_rates(optimizer: keras.optimizers.Optimizer, synthesizer) -> None:
    """Keeps weight decay off learned hyperparameters: a raw number of 0 is a high rate.

    What was excluded from it before stays so.

    Args:
        optimizer: The outer optimizer.
        synthesizer: The `Synthesizer`.
    """
    excluded = [
        variable
        for variable in synthesizer.trainable_variables
        if not optimizer._use_weight_decay(variable.value)
    ]
    raw = [
        variable for part in schedule.within(synthesizer) for variable in part.variables
    ]
    optimizer.exclude_from_weight_decay([*excluded, *raw])


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
