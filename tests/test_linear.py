"""The linear case: theory, and what the distiller makes of it, in float64."""

import numpy as np
import pytest
import tensorflow as tf

from tfdistill import linear, unroll
from tfdistill.inner.objectives.regression import Regression
from tfdistill.inner.stateless import StatelessModel

DIMENSION = 16


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((200, DIMENSION))
    targets = inputs @ rng.standard_normal(DIMENSION) + rng.standard_normal(200)
    return linear.LinearProblem(inputs, targets, std=0.5)


def _sampled_excess(problem, points, num_students):
    """Students of one step, one after another: no closed form."""
    student = StatelessModel(problem.student())

    @tf.function
    def train(start):
        return unroll.train(student, points, Regression(), [start], [])[0][0]

    rng = np.random.default_rng(1)
    losses = []
    for _ in range(num_students):
        start = rng.normal(0, problem.std, (problem.dimension, 1))
        weights = train(tf.constant(start))
        losses.append(problem.loss(weights.numpy()[:, 0]))
    return np.mean(losses) - problem.loss(problem.optimum), np.std(losses)


def test_the_closed_form_is_what_students_reach(problem):
    rng = np.random.default_rng(2)
    points = linear.DistilledPoints(
        rng.standard_normal((5, DIMENSION)), rng.standard_normal(5), 0.1
    )
    mean, std = _sampled_excess(problem, points, 400)
    error = 4 * std / np.sqrt(400)
    assert abs(problem.excess_loss(*points.values()) - mean) < error


def test_students_start_as_the_problem_says():
    many = linear.LinearProblem(np.eye(400), np.zeros(400), std=0.5)
    start = np.asarray(many.student().weights[0])
    assert start.std() == pytest.approx(0.5, rel=0.15)
    assert start.mean() == pytest.approx(0, abs=0.1)


def test_as_many_points_as_dimensions_suffice(problem):
    for scale in (1.0, 3.0):
        points, targets, rate = problem.solution(scale)
        assert problem.excess_loss(points, targets, rate) < 1e-25
    synthesizer = linear.DistilledPoints(points, targets, rate)
    mean, std = _sampled_excess(problem, synthesizer, 5)
    assert abs(mean) < 1e-12 and std < 1e-12


def test_the_bounds_hold_for_the_best_of_fewer_points(problem):
    # Learning all but the flattest directions exactly reaches the upper bound.
    values, vectors = np.linalg.eigh(problem.inputs.T @ problem.inputs)
    for count in (4, 12, 15):
        kept = vectors[:, -count:]
        reached = problem.excess_loss(kept.T, kept.T @ problem.optimum, float(count))
        low, high = problem.bounds(count)
        assert 0 < low < high
        np.testing.assert_allclose(reached, high, rtol=1e-9)
    assert problem.bounds(DIMENSION) == problem.bounds(24) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("count", [15, 16])
def test_distillation_finds_what_the_theory_allows(problem, count):
    after = problem.excess_loss(*linear.distil(problem, count).values())
    low, high = problem.bounds(count)
    if count >= DIMENSION:
        start = linear.distil(problem, count, outer_steps=1, outer_learning_rate=1e-9)
        before = problem.excess_loss(*start.values())
        assert after < 1e-6 * before
    else:
        # The rounding of an optimum that is not quite reached is above it.
        assert low <= after <= 1.01 * high


def test_wrong_problems_are_refused():
    inputs = np.eye(3)
    with pytest.raises(ValueError, match="must have the shapes"):
        linear.LinearProblem(inputs, np.zeros(2))
    with pytest.raises(ValueError, match="full rank, 3, not 1"):
        linear.LinearProblem(np.ones((4, 3)), np.zeros(4))
    with pytest.raises(ValueError, match="finite"):
        linear.LinearProblem(inputs, [0, np.nan, 0])
    with pytest.raises(ValueError, match="std must be a finite number above 0, not 0"):
        linear.LinearProblem(inputs, np.zeros(3), std=0)


def test_shapes_that_would_broadcast_are_refused(problem):
    """Such as those of a student's kernel, [D, 1], and of a batch's labels, [M, 1]."""
    points, targets, rate = problem.solution()
    with pytest.raises(ValueError, match=r"weights must .* \[16\], not \[16, 1\]"):
        problem.loss(problem.optimum[:, None])
    for wrong in (
        (points, targets[:, None]),
        (points, targets[:1]),
        (points[:, :1], targets),
        (points[:0], targets[:0]),
    ):
        with pytest.raises(ValueError, match=r"shapes \[M, 16\] and \[M\], M at least"):
            problem.excess_loss(*wrong, rate)
    for count in (0, -3, 2.0):
        with pytest.raises(ValueError, match="num_points must be an integer of at"):
            problem.bounds(count)
    # One target would be that of all points.
    with pytest.raises(ValueError, match=r"shapes \[M, D\] .* \[16, 16\] and \[1\]"):
        linear.DistilledPoints(points, targets[:1])
    column = linear.DistilledPoints(points, targets[:, None])
    np.testing.assert_array_equal(column.values()[1], targets)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"num_points": 0}, "num_points must be an integer of at least 1, not 0"),
        ({"outer_steps": 0}, "outer_steps must be an integer of at least 1, not 0"),
        (
            {"outer_learning_rate": -0.05},
            "outer_learning_rate must be a finite number above 0, not -0.05",
        ),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
    ],
)
def test_what_teaches_nothing_is_refused(wrong, says):
    problem = linear.LinearProblem(np.eye(3), np.zeros(3))
    with pytest.raises(ValueError, match=says):
        linear.distil(problem, **{"num_points": 1, **wrong})
