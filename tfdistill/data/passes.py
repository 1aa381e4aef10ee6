"""Whether a stream gives the same examples on every pass: it is read twice.

A streamed split chooses its examples by their positions. If these change from pass to
pass, test images reach the students, and labels belong to other images.
"""

import contextlib
import dataclasses
import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfdistill._internal import endless
from tfdistill._internal.pipelines import untuned
from tfdistill.data.images import Pairs

#: Examples after which a dataset of unknown length is held to have no end.
MOST = 20_000_000
_BATCH = 256
_IN_MEMORY = "in_memory=True if they fit in memory"


@dataclasses.dataclass(frozen=True)
class Scan:
    """What one pass over a stream has found.

    Attributes:
        labels: int32 [N].
        marks: Checksums of the records, uint8 [N, 8].
        moments: Lowest and highest number, mean and mean square of each image, float32
            [N, 4]; empty rows, [N, 0], if no images were decoded.
    """

    labels: np.ndarray
    marks: np.ndarray
    moments: np.ndarray


def length(pairs: Pairs) -> int | None:
    """Number of examples, if TensorFlow knows it.

    Raises:
        ValueError: If they never end, or there are none.
    """
    known = int(pairs.records.cardinality())
    if endless.is_endless(pairs.records):
        raise ValueError("the dataset must end, but it repeats forever.")
    if known == 0:
        raise ValueError("the dataset holds no examples.")
    return None if known == tf.data.UNKNOWN_CARDINALITY else known


def scan(pairs: Pairs, *, decode: bool) -> Scan:
    """Reads a stream once.

    Args:
        pairs: What `raw_pairs` made.
        decode: Whether to look at the images, too.

    Raises:
        ValueError: If an example cannot be read, or there are none.
    """
    length(pairs)
    parts = list(_chunks(pairs, decode))
    if not parts:
        raise ValueError("the dataset holds no examples.")
    return Scan(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def check_repeats(pairs: Pairs, first: Scan) -> None:
    """Reads a stream again and compares.

    Args:
        pairs: What `raw_pairs` made.
        first: What the first pass has found.

    Raises:
        ValueError: If the second pass gives other examples, or in another order.
    """
    at, count = 0, len(first.labels)
    for labels, marks, _ in _chunks(pairs, False):
        rows = slice(at, at + len(labels))
        if rows.stop > count:
            at = rows.stop
            break
        same = (first.labels[rows] == labels) & (first.marks[rows] == marks).all(1)
        if not same.all():
            raise ValueError(_other(pairs, first, marks, at + int(same.argmin())))
        at = rows.stop
    if at != count:
        raise ValueError(_of_other_length(at, count))
    unordered = _operations(pairs.records)
    if "unordered" in unordered and "cache" not in unordered:
        raise ValueError(
            "the dataset is read with deterministic=False, so that its order may "
            f"change with every pass: leave that out, or pass {_IN_MEMORY}."
        )


@contextlib.contextmanager
def reading(position: list[int]) -> Iterator[None]:
    """Makes a sentence of what goes wrong while a stream is read.

    Args:
        position: The number of examples that have been read, in a list that the block
            keeps up to date.
    """
    try:
        yield
    except tf.errors.OpError as error:
        reason = error.message.split("}} ")[-1].splitlines()[0]
        reason = re.sub(r"^.*Iterator::\S+: ", "", reason).rstrip(". ")
        # The library's own assertions are sentences; a user's hold values besides.
        reason = re.sub(r"^assertion failed: \[([^][]*)\]$", r"\1", reason)
        raise ValueError(
            f"example {position[0]} or a later one is damaged: {reason}."
        ) from error


def check_length(found: int, count: int) -> None:
    """Refuses a pass of another length than the one before.

    Args:
        found: Number of examples of this pass.
        count: Number of examples that were expected.
    """
    if found != count:
        raise ValueError(_of_other_length(found, count))


def check_apart(train: np.ndarray, test: np.ndarray, again) -> None:
    """Refuses a test part that was cut from a dataset that is shuffled on every pass.

    Args:
        train, test: Raw images [N, H, W, C] that were read.
        again: Reads the test images again.

    Raises:
        ValueError: If some test images are in train, and a second pass gives others.
    """
    known = {hash(image.tobytes()) for image in train}
    found = [hash(image.tobytes()) for image in test]
    shared = sum(mark in known for mark in found)
    if shared <= 0.01 * len(found):
        return
    if sorted(found) != sorted(hash(image.tobytes()) for image in again()):
        raise ValueError(
            f"{shared} of {len(found)} test images are also in train, because take() "
            "and skip() follow a shuffle that differs on every pass: give shuffle() "
            "reshuffle_each_iteration=False, or leave test out: a fifth is held out."
        )


def _chunks(pairs, decode):
    """Yields labels, checksums and moments of some examples at a time."""

    def look(record, label):
        mark = tf.fingerprint(tf.io.serialize_tensor(record)[None])[0]
        moments = tf.zeros([0])
        if decode:
            image = tf.cast(pairs.decode(record), tf.float32)
            parts = tf.reduce_min, tf.reduce_max, tf.reduce_mean
            moments = tf.stack(
                [f(image) for f in parts] + [tf.reduce_mean(tf.square(image))]
            )
        return label, mark, moments

    found = pairs.records.map(look, tf.data.AUTOTUNE, True).batch(_BATCH)
    position = [0]
    with reading(position):
        for chunk in untuned(found.prefetch(2)).as_numpy_iterator():
            position[0] += len(chunk[0])
            if position[0] > MOST and not endless.says_its_length(pairs.records):
                raise ValueError(
                    "the dataset must end, but it does not say how many examples it "
                    f"has, and {MOST:,} were not all: take(n) of it, or give it its "
                    f"length by {endless.WAY_OUT}."
                )
            yield chunk


def _other(pairs, first, marks, row):
    known = {mark.tobytes() for mark in first.marks}
    if not all(mark.tobytes() in known for mark in marks):
        return (
            f"example {row} is another image on the second pass: leave random changes "
            "out of the dataset and give them to batch(augment=), or pass "
            f"{_IN_MEMORY}, where each image is read once."
        )
    causes = _operations(pairs.records)
    if "reshuffled" in causes:
        remedy = (
            "give shuffle() reshuffle_each_iteration=False (or "
            "image_dataset_from_directory, which shuffles by default, shuffle=False)"
        )
    elif "unordered" in causes:
        remedy = "leave out deterministic=False"
    else:
        remedy = "read them in a fixed order"
    return (
        f"the examples come in another order on the second pass, from example {row} "
        f"on: {remedy}, as batch(shuffle=True) shuffles anyway, or pass {_IN_MEMORY}."
    )


def _of_other_length(found, count):
    if found == 0:
        return (
            f"the first pass gave {count} examples and the second none: from_generator "
            "needs a function that makes a new generator on every call."
        )
    more = "more than " if found > count else ""
    return (
        f"a pass gives {more}{count if more else found} examples, but {count} were "
        "expected: every pass must give the same ones."
    )


def _operations(dataset):
    """Which of "reshuffled", "unordered" and "cache" a dataset's graph holds."""
    try:
        variant = tf.data.experimental.to_variant(dataset)
        serialized = tf.raw_ops.DatasetToGraphV2(
            input_dataset=variant, external_state_policy=1
        )
        graph = tf.compat.v1.GraphDef.FromString(serialized.numpy())
    except tf.errors.OpError:  # then only the two passes tell
        return set()
    found = set()
    for nodes in (graph.node, *(f.node_def for f in graph.library.function)):
        for node in nodes:
            if node.op.startswith("CacheDataset"):
                found.add("cache")
            if node.attr["reshuffle_each_iteration"].b:
                found.add("reshuffled")
            if node.attr["deterministic"].s == b"false":
                found.add("unordered")
    return found
