"""Puts the parts of a data set together, if they belong together."""

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from tfdistill.data import extent
from tfdistill.data.dataset import Dataset
from tfdistill.data.labels import check_names
from tfdistill.data.split import Split

_HELD_OUT = 0.2  # of the training data, where a source has no test data


def assemble(
    name: str,
    splits: Sequence[Split],
    class_names: Sequence[str] | None,
    seed: int,
    extents: Sequence[extent.Extent] = (),
) -> Dataset:
    """Checks that train and test match, and gives them the same normalization.

    Args:
        name: Name of the data; what no file in UTF-8 can hold of it is replaced.
        splits: Train and, optionally, test; without it, a part of train is held out.
        class_names: One name per class; None names them "0", "1", ....
        seed: Non-negative seed of what is held out.
        extents: What numbers the parts hold; empty if that is known to match.

    Raises:
        ValueError: If they do not.
    """
    declared = splits[0].is_normalized
    if declared and extents:
        extent.check_fits(splits[0].normalization, extents[0])
    if len(splits) == 2 and splits[0].image_shape != splits[1].image_shape:
        raise ValueError(
            "Images of train and test must have one shape, not "
            f"{splits[0].image_shape} and {splits[1].image_shape}: give both one size "
            "and one number of channels (in load_dataset, by image_size and channels)."
        )
    if len(extents) == 2:
        extent.check_alike(*extents, declared=declared)
    train, test = splits if len(splits) == 2 else splits[0].split(_HELD_OUT, seed)
    if class_names is None:
        # By those that there are: numbers of persons, say, may be in the billions.
        present = np.unique(train.read_labels())
        if len(present) < train.num_classes:
            from_one = present[0] == 1 and len(present) == train.num_classes - 1
            absent = int(np.argmax([*present, -1] != np.arange(len(present) + 1)))
            raise ValueError(
                "labels must be 0 to C - 1, but the largest is "
                f"{train.num_classes - 1} and train has none of class {absent}: "
                f"{'subtract 1' if from_one else 'number them without gaps'}, or give "
                "class_names."
            )
        class_names = [str(label) for label in present]
    class_names = check_names(class_names)
    if len(class_names) < 2:
        raise ValueError(f"There must be at least 2 classes, not {len(class_names)}.")
    if train.knows_labels and test.knows_labels:  # no stream is read just for this
        extra = set(test.read_labels().tolist()) - set(train.read_labels().tolist())
        if extra:
            name = dict(enumerate(class_names)).get(min(extra), min(extra))
            raise ValueError(f"test has class {name}, which is not in train.")
    name = name.encode("utf-8", "replace").decode()  # files are called in any way
    normalization, count = train.normalization, len(class_names)
    train, test = (part.normalized_by(normalization, count) for part in (train, test))
    return Dataset(name, train, test, normalization, class_names)


@contextlib.contextmanager
def blame(what: str) -> Iterator[None]:
    """Puts what a ValueError is about in front of its message."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
