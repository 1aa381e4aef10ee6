"""What all pipelines of `tf.data` have that this library makes or goes through."""

import tensorflow as tf


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same data, whose parallelism TensorFlow does not tune while they are read.

    TensorFlow tunes in a thread of each iterator. To delete the iterator waits for that
    thread, which now and then does not hear that it is to end, and sleeps on: as long
    as the iterator has lived, up to a minute (seen in TensorFlow 2.21).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
