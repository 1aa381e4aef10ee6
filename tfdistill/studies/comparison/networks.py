"""Which networks a comparison is of: those that are asked for, or the sets' own."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfdistill import students
from tfdistill._internal import code
from tfdistill.data.dataset import Dataset
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation.ordinarily_trained import Architecture

_USUAL = ("convnet", "lenet")
_NAMES_CODE = (
    "names code to run, and a file's word is not enough: if you trust that code, name "
    "it among the architectures."
)
_NOT_HERE = "cannot be built here: only other networks judge it."


@dataclasses.dataclass(frozen=True)
class Networks:
    """Who learns in a comparison.

    Attributes:
        main: The main architecture, the same as for `students.get`.
        architectures: All of them, the main one first.
        own: Whom a set was made for, by its name, if they are here and have a part.
        left_out: A sentence for each set of which they are not.
    """

    main: Any
    architectures: tuple[Architecture, ...]
    own: Mapping[str, students.Sampled]
    left_out: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Of all who learn, whom the sets were made for among them."""
        own = [student for one in self.own.values() for student in one.students]
        return [*(one.name for one in self.architectures), *map(students.name_of, own)]


def chosen(
    architectures: Sequence | None,
    sets: Mapping[str, DistilledDataset],
    dataset: Dataset,
) -> Networks:
    """Finds and builds the networks of a comparison.

    A set may be a stranger's: whom it was made for is not taken where it names code to
    run, unless the caller names it, too.

    Args:
        architectures, sets, dataset: Same as for `compare`.

    Raises:
        ValueError: If there is no architecture, or one is unknown or doesn't fit.
    """
    if architectures is not None and (
        isinstance(architectures, str) or not architectures
    ):
        raise ValueError("architectures must be a list of at least one.")
    given = {students.name_of(one): one for one in architectures or ()}
    own, left_out = {}, []
    for name, data in sets.items():
        recorded = data.student.split(",")
        is_asked = architectures is None and len(recorded) == 1
        if not data.student or not (is_asked or data.recipe.is_ordered):
            continue
        known = [given.get(each, each) for each in recorded]
        if any(code.is_named(each) for each in set(recorded) - set(given)):
            why = _NAMES_CODE
        elif not all(_fits(one, dataset) for one in known):
            why = _NOT_HERE
        else:
            own[name] = students.Sampled(tuple(known))
            continue
        left_out.append(f"{name} is for {shlex.quote(data.student)}, which {why}")
    if architectures is None:
        alone = [one.students[0] for one in own.values() if len(one.students) == 1]
        given = {students.name_of(one): one for one in [*alone, *_USUAL]}
    found = tuple(Architecture(one, dataset) for one in given.values())
    return Networks(next(iter(given.values())), found, own, tuple(left_out))


def _fits(student, dataset):
    try:
        students.build(student, dataset.image_shape, dataset.num_classes)
    except (ValueError, MemoryError, tf.errors.ResourceExhaustedError):
        return False
    return True
