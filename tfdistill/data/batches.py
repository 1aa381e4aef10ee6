"""Batches in an order that can be replayed from any point."""

from collections.abc import Callable

import tensorflow as tf

from tfdistill._internal.pipelines import untuned
from tfdistill.data.examples import Examples
from tfdistill.data.normalization import Normalization


def replayable(
    examples: Examples,
    normalization: Normalization,
    size: int,
    *,
    shuffle: bool,
    seed: int,
    repeat: bool,
    start: int,
    drop_remainder: bool,
    augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None,
) -> tf.data.Dataset:
    """Batches examples and normalises the batches.

    Args:
        examples: The `Examples`.
        normalization: The `Normalization` of the batches.
        size: Number of examples in a batch, from 1 to N.
        shuffle, seed, repeat, start, drop_remainder, augment: Same as in `Split.batch`.

    Returns:
        Same as `Split.batch`. Its attribute `repeats_its_draws` says whether an order
        or changes that were drawn at random are the same whenever it is iterated.
    """
    full = repeat or drop_remainder or examples.num_examples % size == 0
    per_epoch = examples.num_examples // size + (not full)
    first = start // per_epoch if repeat else 0
    epochs = tf.data.Dataset.range(first, tf.int64.max if repeat else 1)

    # AutoGraph would take a quarter of a second of each program to rewrite what is
    # called here, none of which needs that. A user's function may need it.
    as_written = tf.autograph.experimental.do_not_convert

    def finish(index, batch):
        images, labels = examples.fetch(*batch)
        if augment is not None:
            images = augment(images, tf.stack([seed, index]))
        rows = size if full else None
        images = tf.ensure_shape(images, (rows, *examples.image_shape))
        labels = tf.ensure_shape(tf.cast(labels, tf.int32), (rows,))
        return normalization.normalize(images), labels

    batches = epochs.flat_map(
        as_written(
            lambda epoch: examples.epoch(
                size, full, tf.stack([seed, epoch]) if shuffle else None
            )
        )
    ).skip(start - first * per_epoch)
    left = tf.data.INFINITE_CARDINALITY if repeat else max(0, per_epoch - start)
    batches = batches.apply(tf.data.experimental.assert_cardinality(left))
    finished = as_written(finish) if augment is None else finish
    batches = batches.enumerate(start).map(finished, tf.data.AUTOTUNE, True)
    result = untuned(batches.prefetch(tf.data.AUTOTUNE))
    result.repeats_its_draws = not repeat and (shuffle or augment is not None)
    return result
