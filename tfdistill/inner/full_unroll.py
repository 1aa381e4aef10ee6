"""The meta-gradient by plain nested tapes: the reference for all others."""

from typing import final

import tensorflow as tf

from tfdistill.inner import unroll
from tfdistill.inner.judges import Unroll
from tfdistill.inner.problem import Judgement, Problem


@final
class FullUnroll(Unroll):
    """The same meta-gradient as `BackGradient`, by plain nested tapes.

    The graph grows with every step, and memory holds the activations of all steps: it
    is slow and large. Its use is to check other meta-gradients.

    Args:
        judgements: Same as for `BackGradient`.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=2, epochs=1)
        >>> distiller = tfdistill.Distiller(
        ...     "linear", images, meta_gradient=tfdistill.FullUnroll()
        ... )
    """

    def __call__(self, problem: Problem) -> Judgement:
        curriculum, judges = problem.curriculum, self._judges(problem)
        losses = []
        with tf.GradientTape() as tape:
            tape.watch(curriculum.sources)
            learner = unroll.start(problem)
            for t in range(curriculum.num_steps):
                learner = unroll.step(problem, t, learner)
                if (t + 1) % judges.distance == 0:
                    number = (t + 1) // judges.distance - 1
                    outputs, _, _ = problem.student(
                        learner.weights,
                        learner.state,
                        judges.images[number],
                        training=False,
                    )
                    losses.append(
                        problem.objective.meta_loss(judges.labels[number], outputs)
                    )
            loss = tf.add_n(losses) / len(losses)
        judged = judges.labels[judges.last], outputs
        gradients = unroll.derivatives(
            tape, loss, curriculum.sources, problem, "meta_loss", *judged
        )
        return Judgement(loss, gradients, *judged)
