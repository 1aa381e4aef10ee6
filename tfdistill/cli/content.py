"""What the paths among a run's flags lead to, as a hash: the same wherever it lies."""

import dataclasses
import hashlib
import os
from collections.abc import Iterable

from tfdistill.distilled.foreign import pairs
from tfdistill.runs import files


@dataclasses.dataclass(frozen=True)
class Content:
    """What the paths among a run's flags lead to.

    Attributes:
        now: A hash of it; behind a dash, one of `of_students`, if there are any.
        flags: Names of the flags whose values it answers for: these may change on the
            way, if the hash is the same.
        earlier: The hashes of earlier versions, which know less: the data's and the
            pool's form alone, or those two alone.
        test: Of the test part alone, as `of_part` says; empty if there is none.
        students: Names of the flags of which it answers for the files alone: other
            names are other networks.
    """

    now: str
    flags: tuple[str, ...] = ("dataset", "pool")
    earlier: tuple[str, ...] = ()
    test: str = ""
    students: tuple[str, ...] = ()

    def may_move(self, known: str) -> tuple[str, ...] | None:
        """The flags whose values may be others than those of a run.

        Args:
            known: The hash that the run has recorded.

        Returns:
            Names of flags; None if the paths lead to something else.
        """
        if known and is_same(known, self.now):
            return self.flags
        is_earlier = known and any(is_same(known, one) for one in self.earlier)
        return ("dataset", "pool") if is_earlier else None


def of_values(values: Iterable) -> str:
    """A hash of values, by `repr`."""
    return hashlib.sha256(repr([*values]).encode()).hexdigest()[:16]


def of_path(path: str | None) -> str | None:
    """A hash of a file, or of a folder's files and their names; None of None.

    Of a distilled set of tfdistill, or of the run folder that it is in, it is the
    set's: what was measured on it since is no part of it.
    """
    if path is None:
        return None
    path = files.local(path)
    if folder := pairs.saved_set(path):
        # It has the hashes of the files beside it.
        return files.sha256(os.path.join(folder, "tfdistill.json"))
    if not os.path.isdir(path):
        return files.sha256(path)
    found = []
    for folder, _, names in os.walk(path):
        for name in names:
            whole = os.path.join(folder, name)
            found.append((os.path.relpath(whole, path), files.sha256(whole)))
    return of_values(sorted(found))


def of_students(names: Iterable[str]) -> str | None:
    """A hash of the .keras files among students' names; None if there are none."""
    found = [of_path(name) for name in names if name.endswith(".keras")]
    return of_values(found) if found else None


def of_part(split) -> str:
    """A hash of a `Split`: of its labels and, behind a dash, of images in memory."""
    from tfdistill.data import fingerprints

    labels, *images = fingerprints.of_split(split)
    return "-".join([labels[:16], *([of_values(images)] if images else [])])


def is_same(one: str, other: str) -> bool:
    """Whether two hashes are of the same, as far as both say.

    Of two of `of_part`, one may be of images that were not in memory; of two of
    `Content`, one may be of an earlier version, which had none of students.
    """
    return all(a == b for a, b in zip(one.split("-"), other.split("-")))
