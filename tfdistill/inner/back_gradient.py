"""The adjoint of the inner loop (Wang et al. 2018, algorithm 1).

A student's weights theta_0 become theta_T by T steps on synthetic batches; a real batch
judges theta_T; the meta-gradient is the derivative of that judgement with respect to
the tensors that the batches are computed from.
"""

import functools
import math
from typing import final

import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill.inner import unroll
from tfdistill.inner.judges import Unroll
from tfdistill.inner.problem import Judgement, Problem

#: The most bytes of one student's steps that are kept; beyond, some are recomputed.
KEPT_BYTES = 2**28


@final
class BackGradient(Unroll):
    """The exact meta-gradient; each step that is kept costs one set of weights.

    The forward loop keeps the student's weights and state before each step, and nothing
    else. The backward loop rebuilds one step at a time under a tape and takes one
    vector-Jacobian product. All loops are `tf.while_loop`s: neither the graph nor the
    time to trace it depends on T. Their iterations do not overlap; otherwise memory
    would hold the activations of several steps at once.

    Args:
        keep_every: k, at least 1: only every k-th of the T steps is kept; those in
            between are recomputed on the way back. Memory holds T / k + k steps instead
            of T, for about a quarter more arithmetic. By default 1 if T steps take at
            most 256 MiB, otherwise the square root of T.
        judgements: J, how often a student is judged: after all of its T steps, and
            evenly spaced before (the intermediate losses of Such et al. 2019). Each
            judgement uses its own part of the real batch, of at least one example; the
            meta-loss is their mean. J must divide T.

    Raises:
        ValueError: If a number is below 1.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=4, epochs=1)
        >>> distiller = tfdistill.Distiller(
        ...     "linear", images, meta_gradient=tfdistill.BackGradient(keep_every=2)
        ... )
    """

    def __init__(self, *, keep_every: int | None = None, judgements: int = 1):
        super().__init__(judgements=judgements)
        if keep_every is not None:
            keep_every = check_int("keep_every", keep_every, 1)
        self.keep_every = keep_every

    def __call__(self, problem: Problem) -> Judgement:
        curriculum = problem.curriculum
        num_steps, sources = curriculum.num_steps, curriculum.sources
        judges = self._judges(problem)
        last, distance = judges.last, judges.distance
        start = unroll.start(problem)
        go = functools.partial(unroll.walk, problem)

        def judged(number, learner):
            return unroll.judge(
                problem, learner, judges.images[number], judges.labels[number]
            )

        def back(first, track, stop, sums):
            """Steps `stop` - 1 ... `first`: d loss / d theta_{t+1} to d theta_t."""

            def backward(t, loss, cotangents, gradients):
                learner = unroll.read(track, t - first, start)
                origin = learner.differentiable
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(origin + sources)
                    after = unroll.step(problem, t, learner)
                products = tape.gradient(
                    after.differentiable,
                    origin + sources,
                    output_gradients=cotangents,
                    unconnected_gradients="zero",
                )
                cotangents = unroll.dense(products[: len(origin)])
                shares = products[len(origin) :]
                gradients = [_add(g, share) for g, share in zip(gradients, shares)]
                if last == 0:
                    return t - 1, loss, cotangents, gradients

                # An earlier judgement adds its own cotangents.
                def with_judgement():
                    more, _, own = judged(t // distance - 1, learner)
                    return loss + more, [c + o for c, o in zip(cotangents, own)]

                loss, cotangents = tf.cond(
                    (t > 0) & (t % distance == 0),
                    with_judgement,
                    lambda: (loss, cotangents),
                )
                return t - 1, loss, cotangents, gradients

            _, *sums = tf.while_loop(
                lambda t, *_: t >= first,
                backward,
                (stop - 1, *sums),
                maximum_iterations=num_steps,
                parallel_iterations=1,
            )
            return sums

        def judged_last(learner):
            loss, outputs, cotangents = judged(last, learner)
            zeros = [tf.zeros(s.shape, s.dtype) for s in sources]
            return outputs, (loss, cotangents, zeros)

        keep_every = self.keep_every or _affordable(start, num_steps)
        keep_every = min(keep_every, num_steps)
        if keep_every == 1:
            learner, track = go(start, 0, num_steps, unroll.room(start, num_steps))
            outputs, sums = judged_last(learner)
            loss, _, gradients = back(0, track, num_steps, sums)
        else:
            # Segments of k steps: the first of each is kept, the others are recomputed.
            count = -(-num_steps // keep_every)

            def ends(s):
                return s * keep_every, tf.minimum((s + 1) * keep_every, num_steps)

            def forward(s, learner, kept):
                kept = unroll.write(kept, s, learner)
                return s + 1, go(learner, *ends(s))[0], kept

            def backward(s, *sums):
                first, stop = ends(s)
                room = unroll.room(start, keep_every)
                _, track = go(unroll.read(kept, s, start), first, stop, room)
                return s - 1, *back(first, track, stop, sums)

            _, learner, kept = tf.while_loop(
                lambda s, *_: s < count,
                forward,
                (0, start, unroll.room(start, count)),
                parallel_iterations=1,
            )
            outputs, sums = judged_last(learner)
            _, loss, _, gradients = tf.while_loop(
                lambda s, *_: s >= 0,
                backward,
                (count - 1, *sums),
                maximum_iterations=count,
                parallel_iterations=1,
            )
        return Judgement(
            loss / (last + 1),
            [g / (last + 1) for g in gradients],
            judges.labels[last],
            outputs,
        )


def _affordable(learner, num_steps):
    """The default of `keep_every`."""
    size = sum(x.shape.num_elements() * x.dtype.size for x in tf.nest.flatten(learner))
    return 1 if num_steps * size <= KEPT_BYTES else math.isqrt(num_steps)


def _add(total, share):
    # A step reads one row of the distilled images: add that row, not a whole array.
    if isinstance(share, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(total, share.indices[:, None], share.values)
    return total + share
