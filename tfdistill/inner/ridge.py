"""A student whose last layer is solved in closed form, on the features of a network."""

from typing import final

import keras
import tensorflow as tf

from tfdistill.inner import learned, parts, second_order, unroll
from tfdistill.inner.problem import Judgement, MetaGradient, Problem


@final
class RidgeRegression(MetaGradient):
    """The meta-gradient through a ridge regression in place of an inner loop.

    Synthetic and real images become features: what the student's network, as it is,
    makes of them before its last layer. The last layer that fits the synthetic labels
    best is the solution of a linear system, so that one Cholesky factorisation replaces
    T steps (Zhou et al. 2022, equation 5; Nguyen et al. 2021). With features phi of the
    n synthetic images, labels y and the penalty lambda,

        outputs = phi(real) phi^T (phi phi^T + lambda I)^-1 y.

    The objective judges the outputs: `LeastSquares` by the squared distance, or by
    cross-entropy, for which learned centred labels are logits of a learned scale.
    No steps are taken and no rates learned, so that the synthesizer has one epoch, and
    a `recipe` by which to train on the result.

    A network's own training comes from the initial weights: `LearningStudents`.

    Args:
        penalty: lambda, as a share of the mean of the kernel's diagonal, > 0.
        margin: Weight of a reward for labels whose largest number is clear: of the
            mean of min(largest - second largest, 1 / classes), at least 0.
        mirrored: Whether mirror images of the synthetic ones are regressed, too: for
            natural images.
        features: Name of the layer whose outputs are the features; by default, they are
            the inputs of the last layer, which is dense.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(
        ...     digits, steps=1, epochs=1, centred_labels=True,
        ...     recipe=tfdistill.OrdinaryTraining(),
        ... )
        >>> distiller = tfdistill.Distiller(
        ...     "convnet@16", images, tfdistill.LearningStudents(), "least_squares",
        ...     meta_gradient=tfdistill.RidgeRegression(),
        ... )
    """

    def __init__(
        self,
        *,
        penalty: float = 1e-6,
        margin: float = 0.0,
        mirrored: bool = False,
        features: str | None = None,
    ):
        if not 0 < penalty < float("inf"):
            raise ValueError(f"penalty must be above 0, not {penalty!r}.")
        if not 0 <= margin < float("inf"):
            raise ValueError(f"margin must be at least 0, not {margin!r}.")
        self.penalty, self.margin = penalty, margin
        self.mirrored, self.features = mirrored, features

    def check_synthesizer(self, synthesizer, curriculum):
        """Refuses one without images to learn, of several epochs, or without recipe."""
        name = type(synthesizer).__name__
        if not learned.depends(curriculum, lambda: _all_batches(curriculum)):
            raise ValueError(
                f"RidgeRegression learns images and labels, but {name} has neither to "
                "learn: use BackGradient, which learns rates."
            )
        if synthesizer.epochs > 1:
            raise ValueError(
                "RidgeRegression regresses once on all images, so that epochs must be "
                f"1, not {synthesizer.epochs}: give {name} epochs=1."
            )
        if synthesizer.recipe is None or synthesizer.recipe.is_ordered:
            raise ValueError(
                "RidgeRegression learns no steps by which to train on the result: give "
                f"{name} a recipe, recipe=tfdistill.OrdinaryTraining()."
            )

    def check_student(self, student, image_shape):
        """Refuses a network without features, or one that an option is not for."""
        if self.mirrored and len(image_shape) < 2:
            raise ValueError(
                "mirrored=True needs images of height and width, not "
                f"{list(image_shape)}: leave it out."
            )
        if self.margin and student.model(keras.Input(image_shape)).shape[-1] < 2:
            raise ValueError(
                "margin is for labels of several numbers, not of one: leave it out."
            )
        second_order.check(student, image_shape, student.name, order=1)
        student.check_features(image_shape, self.features)

    def __call__(self, problem: Problem) -> Judgement:
        def features(images):
            return problem.student.features(
                problem.weights, problem.state, images, self.features
            )

        # Real features depend on no source.
        real = parts.one_by_one(problem.student, features, problem.images)
        real = tf.stop_gradient(real)
        sources = problem.curriculum.sources
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            images, labels = _all_batches(problem.curriculum)
            if self.mirrored:
                images = tf.concat([images, tf.reverse(images, [2])], 0)
            synthetic = features(images)
            targets = tf.concat([labels, labels], 0) if self.mirrored else labels
            targets = tf.cast(targets, synthetic.dtype)
            # The real images' type is that of the loss, as in other meta-gradients.
            found = solution(synthetic, targets, self.penalty)
            outputs = real @ tf.cast(found, real.dtype)
            loss = problem.objective.meta_loss(problem.labels, outputs)
            if self.margin:
                clear = tf.cast(_clearness(labels), loss.dtype)
                loss -= self.margin * clear
        judged = problem.labels, outputs
        gradients = unroll.derivatives(
            tape, loss, sources, problem, "meta_loss", *judged
        )
        return Judgement(loss, gradients, *judged)


def solution(features: tf.Tensor, labels: tf.Tensor, penalty: float) -> tf.Tensor:
    """The last layer's weights by ridge regression.

    Args:
        features: float `[n, features]`.
        labels: `[n, outputs]`, of the same type.
        penalty: lambda, as a share of the mean of the kernel's diagonal.

    Returns:
        `[features, outputs]`, of the same type; computed in float64.
    """
    # With a small penalty float32 has too few digits for the kernel, let alone for its
    # factor: the rounding errors of a sum are larger than lambda.
    phi, y = tf.cast(features, tf.float64), tf.cast(labels, tf.float64)
    count = tf.shape(phi)[0]
    n = features.shape[0] or count
    total = tf.reduce_sum(tf.square(phi))  # the trace of the kernel
    # A network whose units have all died gives features of zero.
    weight = penalty * total / tf.cast(count, tf.float64) + 1e-30
    width = features.shape[1]
    if width is not None and features.shape[0] is not None and width < n:
        # The primal: the kernel of more images than features is singular.
        gram = tf.matmul(phi, phi, transpose_a=True)
        gram += weight * tf.eye(width, dtype=tf.float64)
        right = tf.matmul(phi, y, transpose_a=True)
        found = tf.linalg.cholesky_solve(tf.linalg.cholesky(gram), right)
    else:
        kernel = tf.matmul(phi, phi, transpose_b=True)
        kernel += weight * tf.eye(n, dtype=tf.float64)
        alpha = tf.linalg.cholesky_solve(tf.linalg.cholesky(kernel), y)
        found = tf.matmul(phi, alpha, transpose_a=True)
    return tf.cast(found, features.dtype)


def _all_batches(curriculum):
    """All that a student would learn from, as one batch."""
    batches = [curriculum.batch(t) for t in range(curriculum.num_steps)]
    if len(batches) == 1:
        return batches[0].images, batches[0].labels
    images = tf.concat([b.images for b in batches], 0)
    return images, tf.concat([b.labels for b in batches], 0)


def _clearness(labels):
    """How much larger a label's largest number is than the next, up to 1 / classes."""
    top = tf.math.top_k(labels, 2).values
    return tf.reduce_mean(tf.minimum(top[:, 0] - top[:, 1], 1 / labels.shape[-1]))
