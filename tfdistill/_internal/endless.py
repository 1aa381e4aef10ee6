"""Data without an end, and data that do not say whether they have one."""

import keras
import tensorflow as tf

#: What gives a `tf.data.Dataset` a length that TensorFlow does not know.
WAY_OUT = ".apply(tf.data.experimental.assert_cardinality(n))"


def is_endless(batches) -> bool:
    """Whether data say of themselves that they have no end."""
    if isinstance(batches, keras.utils.PyDataset):
        return batches.num_batches is None
    return _cardinality(batches) == tf.data.INFINITE_CARDINALITY


def says_its_length(batches) -> bool:
    """Whether data say how many there are."""
    if isinstance(batches, tf.data.Dataset):
        return _cardinality(batches) >= 0
    if isinstance(batches, keras.utils.PyDataset):
        return batches.num_batches is not None
    return hasattr(batches, "__len__")


def _cardinality(batches) -> int:
    if not isinstance(batches, tf.data.Dataset):
        return tf.data.UNKNOWN_CARDINALITY
    return int(batches.cardinality())
