"""What every source of labelled images tells before they are read."""

import dataclasses
from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfdistill.data.images import Form, Pairs
from tfdistill.data.normalization import Normalization


@dataclasses.dataclass(frozen=True)
class Source:
    """Labelled images that are there, and not yet read.

    Attributes:
        name: What the data are called.
        parts: "train" and perhaps "test": `Pairs`, or what `raw_pairs` makes them of.
        counts: How many each part has.
        class_names: A name for each class; None if only numbers are known.
        normalization: The usual one; None if there is none.
        form: What images are usually made to look like.
    """

    name: str
    parts: Mapping[str, Pairs | tf.data.Dataset]
    counts: Mapping[str, int]
    class_names: Sequence[str] | None
    normalization: Normalization | None = None
    form: Form = Form()
