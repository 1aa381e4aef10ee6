"""The linear case: how many points are enough (Wang et al. 2018, section 3.3).

For a student without hidden layers, the quadratic loss and one step of gradient
descent, the meta-loss has a closed form, and so has the answer. D points teach every
initial weight vector of D dimensions; fewer cannot, and the best loss that they can
reach is known.

Example:
    >>> import numpy as np
    >>> from tfdistill import linear
    >>> inputs = np.random.default_rng(0).standard_normal((50, 6))
    >>> problem = linear.LinearProblem(inputs, inputs @ np.arange(6.0))
    >>> points = linear.distil(problem, num_points=2, outer_steps=50)
    >>> low, _ = problem.bounds(2)
    >>> bool(problem.excess_loss(*points.values()) > low)
    True
"""

from typing import final

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int, check_positive
from tfdistill.data.normalization import Normalization
from tfdistill.distiller import Distiller
from tfdistill.inner.curriculum import Batch, Curriculum
from tfdistill.inner.objectives.regression import Regression
from tfdistill.synthesizers.base import DataSource, Synthesizer
from tfdistill.synthesizers.schedule import Schedule


class LinearProblem:
    """Least squares: the loss of theta is 1/(2N) ||d theta - t||^2.

    Initial weights are drawn from N(0, std^2 I) throughout.

    Args:
        inputs: d, float `[N, D]`, of full rank, N >= D.
        targets: t, float `[N]`.
        std: The standard deviation of the initial weights, > 0.

    Raises:
        ValueError: If the shapes don't fit, values are not finite, or the inputs have
            less than full rank.

    Example:
        >>> import numpy as np
        >>> from tfdistill import linear
        >>> inputs = np.random.default_rng(0).standard_normal((50, 6))
        >>> problem = linear.LinearProblem(inputs, inputs @ np.arange(6.0))
        >>> problem.excess_loss(*problem.solution()) < 1e-9  # 6 points are enough
        True
    """

    def __init__(self, inputs, targets, std: float = 1.0):
        inputs = np.asarray(inputs, "float64")
        targets = np.asarray(targets, "float64")
        if inputs.ndim != 2 or targets.shape != inputs.shape[:1]:
            raise ValueError(
                "inputs and targets must have the shapes [N, D] and [N], not "
                f"{list(inputs.shape)} and {list(targets.shape)}."
            )
        if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
            raise ValueError("inputs and targets must be finite.")
        if np.linalg.matrix_rank(inputs) < inputs.shape[1]:
            raise ValueError(
                f"inputs must have full rank, {inputs.shape[1]}, not "
                f"{np.linalg.matrix_rank(inputs)}: otherwise the optimum is not unique."
            )
        check_positive("std", std)
        self.inputs, self.targets, self.std = inputs, targets, std
        #: theta*, float `[D]`.
        self.optimum = np.linalg.lstsq(inputs, targets, rcond=None)[0]

    @property
    def dimension(self) -> int:
        """D, the number of inputs."""
        return self.inputs.shape[1]

    def student(self) -> keras.Model:
        """A linear student without bias, from `[batch, D]` to `[batch, 1]`."""
        weights = keras.layers.Dense(
            1,
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=self.std),
            dtype="float64",
        )
        inputs = keras.Input((self.dimension,), dtype="float64")
        return keras.Sequential([inputs, weights])

    def loss(self, weights) -> float:
        """1/(2N) ||d theta - t||^2 of weights theta, float `[D]`.

        Raises:
            ValueError: If the weights have another shape.
        """
        weights = np.asarray(weights)
        if weights.shape != (self.dimension,):
            raise ValueError(
                f"weights must have the shape [{self.dimension}], not "
                f"{list(weights.shape)}."
            )
        errors = self.inputs @ weights - self.targets
        return float(np.mean(errors**2) / 2)

    def excess_loss(self, points, targets, learning_rate) -> float:
        """The meta-loss above that of the optimum, in expectation over theta_0.

        One step on M points takes theta_0 to A theta_0 + b, with
        A = I - (eta/M) D~^T D~ and b = (eta/M) D~^T t~.

        Args:
            points: D~, float `[M, D]`, M at least 1.
            targets: t~, float `[M]`.
            learning_rate: eta, float.

        Returns:
            1/(2N) (std^2 tr(A^T H A) + (b - theta*)^T H (b - theta*)), where H = d^T d.

        Raises:
            ValueError: If the points or the targets have another shape.
        """
        points, targets = _checked(points, targets, self.dimension)
        size, share = len(self.inputs), learning_rate / len(points)
        slope = np.eye(self.dimension) - share * points.T @ points
        miss = share * points.T @ targets - self.optimum
        spread = np.sum((self.inputs @ slope) ** 2)
        return float(
            (self.std**2 * spread + np.sum((self.inputs @ miss) ** 2)) / (2 * size)
        )

    def bounds(self, num_points: int) -> tuple[float, float]:
        """Lower and upper bound of the least excess loss with M points.

        Whatever the points, D - M directions of theta_0 do not change: at best, those
        in which the loss is flattest, the last eigenvectors of H. Learning all other
        directions exactly reaches the upper bound. Both bounds are 0 from M = D on.

        Args:
            num_points: M, at least 1.
        """
        check_int("num_points", num_points, 1)
        values, vectors = np.linalg.eigh(self.inputs.T @ self.inputs)
        flattest = slice(0, max(0, self.dimension - num_points))
        values, vectors = values[flattest], vectors[:, flattest]
        low = self.std**2 * values.sum()
        high = low + np.sum(values * (vectors.T @ self.optimum) ** 2)
        return low / (2 * len(self.inputs)), high / (2 * len(self.inputs))

    def solution(self, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, float]:
        """D points that take every theta_0 to the optimum: the paper's construction.

        Args:
            scale: c, not 0.

        Returns:
            Points c I, targets c theta* and the learning rate D / c^2.
        """
        points = scale * np.eye(self.dimension)
        return points, scale * self.optimum, self.dimension / scale**2


@final
class DistilledPoints(Synthesizer, Curriculum):
    """A synthesizer of M points for one step, in float64.

    Args:
        points: Initial points, float `[M, D]`, M at least 1.
        targets: Initial targets, float `[M]` or `[M, 1]`.
        learning_rate: Initial learning rate, > 0.

    Raises:
        ValueError: If the points or the targets have another shape.

    Example:
        >>> import numpy as np
        >>> from tfdistill import linear
        >>> points = linear.DistilledPoints(np.eye(2, 6), np.zeros(2))
        >>> [value.shape for value in points.values()[:2]]
        [(2, 6), (2,)]
    """

    num_steps = num_classes = 1

    def __init__(self, points, targets, learning_rate: float = 0.02, **kwargs):
        super().__init__(dtype="float64", **kwargs)
        points, targets = _checked(points, np.ravel(targets))
        self.image_shape = points.shape[1:]
        # The points are in the problem's own coordinates.
        identity = Normalization(
            (0.0,) * self.image_shape[-1], (1.0,) * self.image_shape[-1], 1
        )
        self.source = DataSource("linear", identity, ("target",))
        self.points = self._learned(points, "points")
        self.targets = self._learned(targets[:, None], "targets")
        self.schedule = Schedule(
            1, 1, learning_rate=learning_rate, dtype=self.dtype_policy
        )
        self.inner_optimizer = self.schedule.inner_optimizer

    def curriculum(self, seed):
        del seed
        return self

    def batch(self, t) -> Batch:
        """The one batch: points `[M, D]`, targets `[M, 1]`, and the rate."""
        return Batch(self.points.value, self.targets.value, self.schedule.at(t))

    def values(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Points `[M, D]`, targets `[M]` and the learning rate."""
        batch = self.batch(0)
        points, targets = np.asarray(batch.images), np.asarray(batch.labels)
        return points, targets[:, 0], float(batch.learning_rate)


def distil(
    problem: LinearProblem,
    num_points: int,
    *,
    outer_steps: int = 1000,
    outer_learning_rate: float = 0.05,
    students_per_step: int = 4,
    seed: int = 0,
) -> DistilledPoints:
    """Learns M points for random initial weights with the `Distiller`.

    Args:
        problem: The problem to learn.
        num_points: M, at least 1.
        outer_steps: Number of updates of the points, at least 1.
        outer_learning_rate: Learning rate of the outer Adam, > 0; falls to 0 along a
            cosine.
        students_per_step: Number of draws of theta_0 in each update, at least 1.
        seed: Seed of the initial points and of theta_0, at least 0.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import numpy as np
        >>> from tfdistill import linear
        >>> inputs = np.random.default_rng(0).standard_normal((50, 6))
        >>> problem = linear.LinearProblem(inputs, inputs @ np.arange(6.0))
        >>> points = linear.distil(problem, num_points=2, outer_steps=5)
        >>> points.values()[0].shape
        (2, 6)
    """
    check_int("num_points", num_points, 1)
    check_int("outer_steps", outer_steps, 1)
    check_positive("outer_learning_rate", outer_learning_rate)
    check_int("seed", seed, 0)
    rng = np.random.default_rng(seed)
    points = DistilledPoints(
        rng.standard_normal((num_points, problem.dimension)),
        rng.standard_normal(num_points),
    )

    distiller = Distiller(problem.student, points, objective=Regression(), seed=seed)
    distiller.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(outer_learning_rate, outer_steps),
            beta_1=0.5,
        ),
        students_per_step=students_per_step,
        back_off=0.0,  # a student of one step does not diverge
    )
    real = tf.data.Dataset.from_tensors((problem.inputs, problem.targets[:, None]))
    distiller.fit(real.repeat(), steps_per_epoch=outer_steps, verbose=0)
    return points


def _checked(points, targets, dimension=None):
    """Points `[M, D]` and targets `[M]` as arrays: other shapes would broadcast."""
    points, targets = np.asarray(points), np.asarray(targets)
    fits = points.ndim == 2 and len(points) and targets.shape == points.shape[:1]
    if not fits or dimension not in (None, points.shape[1]):
        raise ValueError(
            f"points and targets must have the shapes [M, {dimension or 'D'}] and [M], "
            f"M at least 1, not {list(points.shape)} and {list(targets.shape)}."
        )
    return points, targets
