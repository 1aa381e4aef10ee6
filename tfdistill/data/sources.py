"""The contract of every source of labelled images."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from tfdistill.data.images import Form, Pairs
from tfdistill.data.normalization import Normalization


@dataclasses.dataclass(frozen=True)
class Source:
    """Labelled images that have been found but not read.

    Attributes:
        name: Name of the data.
        parts: `Pairs`, or a `tf.data.Dataset` for `raw_pairs`, under "train" and
            optionally "test".
        counts: Number of examples of each part; parts of unknown length are absent.
        class_names: One name per class; None if only the labels are known.
        normalization: Usual `Normalization` of the data; None if there is none.
        form: Usual `Form` of the images.
        verify: Raises a ValueError that names a damaged example, if there is one; it is
            called before they are streamed.
    """

    name: str
    parts: Mapping[str, Pairs | tf.data.Dataset]
    counts: Mapping[str, int]
    class_names: Sequence[str] | None
    normalization: Normalization | None = None
    form: Form = Form()
    verify: Callable[[], None] | None = None
