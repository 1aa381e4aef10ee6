"""Pools of pretrained students (Wang et al. 2018, section 3.4).

A pool is a folder: a file of weights for each student, and `pool.json`, which says what
they are, what they were trained on, and which of them are held out. Tests use the
held-out students, distillation draws from the others.
"""

import contextlib
import dataclasses
import json
import os
import warnings
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfdistill._internal import fields
from tfdistill._internal.checks import first_sentence, keep_ints
from tfdistill._internal.faces import Face
from tfdistill.data.normalization import Normalization
from tfdistill.runs import files
from tfdistill.students.applications import head, with_head_for
from tfdistill.students.building import assign
from tfdistill.students.teaching_networks import WeightNormalizedDense
from tfdistill.weights import h5_files

MANIFEST = "pool.json"
_FORMAT = 1
_FIELDS = {
    "students": fields.each(fields.OBJECT, 1),
    "held_out": fields.whole(0),
    "student": fields.maybe(fields.TEXT),
    "dataset": fields.TEXT,
    "normalization": fields.OBJECT,
}
# Absent from files of earlier versions.
_OPTIONAL = {"num_classes": fields.maybe(fields.whole(1))}
_MEMBER = {
    "file": fields.TEXT,
    "sha256": fields.CHECKSUM,
    "accuracy": fields.maybe(fields.number(0, 1)),
}


@dataclasses.dataclass(frozen=True)
class Member:
    """One pretrained student.

    Attributes:
        path: Its file: `.weights.h5`, `.keras`, or the folder of a SavedModel.
        sha256: SHA-256 of the file; "" for a SavedModel.
        accuracy: Test accuracy on the data set that it was trained on, in 0..1; None if
            unknown.

    Example:
        >>> import tfdistill
        >>> member = tfdistill.weights.Member("a.weights.h5", accuracy=0.9)
        >>> tfdistill.Pool((member,), student="lenet").members[0].path
        'a.weights.h5'
    """

    path: str
    sha256: str = ""
    accuracy: float | None = None


@dataclasses.dataclass(frozen=True, repr=False)
class Pool(Face):
    """Pretrained students of one architecture.

    Attributes:
        training: Students that distillation may draw, at least one.
        held_out: Students for tests; none of `training`.
        student: The architecture, same as for `students.get`; None if the files hold
            it.
        dataset: Name of the data set that they were trained on; "" if unknown.
        normalization: The `Normalization` of that data set; None if unknown.
        num_classes: Number of its classes; None if unknown. For a new head it is needed
            if other classes are meant, and the files are not `.keras`, which tell it.

    Raises:
        ValueError: If there is no student, one is both in training and held out, or
            `num_classes` is no integer of at least 1.

    Example:
        >>> import os, tempfile, tfdistill
        >>> paths = [os.path.join(tempfile.mkdtemp(), "a.keras") for _ in range(2)]
        >>> for path in paths:
        ...     tfdistill.students.linear((8, 8, 1)).save(path)
        >>> pool = tfdistill.Pool.of_files(training=paths[:1], held_out=paths[1:])
        >>> len(pool.members)
        2
    """

    training: tuple[Member, ...]
    held_out: tuple[Member, ...] = ()
    student: str | None = None
    dataset: str = ""
    normalization: Normalization | None = None
    num_classes: int | None = None

    def __post_init__(self):
        if self.num_classes is not None:
            keep_ints(self, 1, "num_classes")
        if not self.training:
            raise ValueError("A pool needs at least one student that is not held out.")
        known = {key for member in self.training for key in _keys(member)}
        for member in self.held_out:
            if known & set(_keys(member)):
                raise ValueError(
                    f"{member.path} is in the pool both for training and held out; "
                    "held-out students must be others."
                )

    def _facts(self):
        known = [m.accuracy for m in self.members if m.accuracy is not None]
        facts = {
            "students": f"{len(self.training)} + {len(self.held_out)} held out",
            "student": self.student,
            "dataset": self.dataset,
        }
        if known:
            low, high = 100 * min(known), 100 * max(known)
            facts["accuracy"] = f"{low:.2f} to {high:.2f} %"
        return {name: value for name, value in facts.items() if value}

    @property
    def members(self) -> tuple[Member, ...]:
        """All students, those for training first."""
        return self.training + self.held_out

    @classmethod
    def of(cls, pool: "Pool | str | os.PathLike") -> "Pool":
        """A pool as it is, or the one in a folder."""
        return pool if isinstance(pool, Pool) else cls.load(pool)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "Pool":
        """Reads the manifest of a folder that `tfdistill pretrain` wrote.

        Raises:
            FileNotFoundError: If there is no manifest.
            ValueError: If it is damaged, or names files outside the folder.
        """
        folder = files.local(folder)
        path = os.path.join(folder, MANIFEST)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f"{folder} holds no pool of students ({path}); tfdistill pretrain "
                "makes one."
            )
        try:
            content = files.read_json(path)
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {content['format']!r}, not {_FORMAT}")
            fields.check(content, _FIELDS, _OPTIONAL)
            members = [_member(folder, entry) for entry in content["students"]]
            held_out = content["held_out"]
            if not held_out < len(members):
                raise ValueError(f"{held_out} of {len(members)} students are held out")
            return cls(
                tuple(members[: len(members) - held_out]),
                tuple(members[len(members) - held_out :]),
                student=content["student"],
                dataset=content["dataset"],
                normalization=Normalization.from_config(content["normalization"]),
                num_classes=content.get("num_classes"),
            )
        except (ValueError, KeyError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ValueError(f"The pool {folder} cannot be read: {reason}.") from error

    @classmethod
    def of_files(
        cls, training: Sequence[str], held_out: Sequence[str] = (), **kwargs
    ) -> "Pool":
        """A pool of models that were trained elsewhere.

        Args:
            training, held_out: Paths of `.keras` or `.weights.h5` files, or of
                SavedModels.
            **kwargs: Other attributes of the pool.

        Raises:
            FileNotFoundError: If a file does not exist.
            ValueError: If a student is in both lists.
        """

        def members(paths):
            for path in map(files.local, paths):
                if not os.path.exists(path):
                    raise FileNotFoundError(f"There is no pretrained student {path}.")
                yield Member(path, "" if os.path.isdir(path) else files.sha256(path))

        return cls(tuple(members(training)), tuple(members(held_out)), **kwargs)

    def values(
        self,
        members: Sequence[Member],
        make_model: Callable[[], keras.Model],
        *,
        new_head: bool = False,
    ) -> list[list[np.ndarray]]:
        """Reads the variables of students.

        Args:
            members: Members of this pool.
            make_model: Returns a built model of the architecture.
            new_head: Whether the last layer is zero instead of read: for other classes
                than the students know.

        Returns:
            For each, the values of the trainable variables of such a model, then of its
            other ones.

        Raises:
            ValueError: If a file is damaged or holds another architecture; by a new
                head also if the number of classes is needed and unknown.
        """
        model = make_model()
        if not new_head:
            return [_read(member, model) for member in members]
        last = head(model)
        told = self.num_classes or _units(members)
        known = with_head_for(make_model(), told or last.units)
        fresh = {
            index: _first(last, variable)
            for index, variable in enumerate(_in_order(model))
            if any(variable is v for v in last.trainable_variables)
        }
        try:
            found = [_read(member, known) for member in members]
        except ValueError as error:
            if told:
                raise
            raise ValueError(
                f"{error} If it knows other than {last.units} classes, give the pool "
                "num_classes=, the number that its students know."
            ) from error
        return [
            [fresh.get(index, value) for index, value in enumerate(values)]
            for values in found
        ]


def manifest(
    folder: str,
    members: Sequence[Member],
    held_out: int,
    *,
    student: str,
    dataset: str,
    normalization: Normalization,
    num_classes: int,
) -> str:
    """The text of a pool's manifest.

    Args:
        folder: Folder of the pool, which holds the members' files.
        members: All students; the last `held_out` of them are held out.
        held_out: Number of held-out students, fewer than there are members.
        student, dataset, normalization, num_classes: Same as for `Pool`.
    """
    content = {
        "format": _FORMAT,
        "student": student,
        "dataset": dataset,
        "normalization": normalization.to_config(),
        "num_classes": num_classes,
        "held_out": held_out,
        "students": [
            {
                "file": os.path.relpath(member.path, folder),
                "sha256": member.sha256,
                "accuracy": member.accuracy,
            }
            for member in members
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def _member(folder, entry):
    """A student as a manifest says: a file in the pool's own folder.

    A SavedModel is none: its graph may do anything when it is loaded.
    """
    fields.check(entry, _MEMBER)
    name = entry["file"]
    if os.path.basename(name) != name or name in ("", os.curdir, os.pardir):
        raise ValueError(f"{name!r} is outside the pool")
    if not name.endswith((".weights.h5", ".keras")) or "\0" in name:
        raise ValueError(f"{name!r} must end in .weights.h5 or .keras")
    return Member(os.path.join(folder, name), entry["sha256"], entry["accuracy"])


def _first(last, variable):
    """What a variable of a new head starts from: the head's outputs are zero."""
    if isinstance(last, WeightNormalizedDense) and variable is last._kernel:
        # A direction of zero would never learn: the gain is zero. Always the same one,
        # for a run that goes on.
        rng, scale = np.random.default_rng(0), (2 / variable.shape[0]) ** 0.5
        return (scale * rng.standard_normal(variable.shape)).astype(variable.dtype)
    return np.zeros(variable.shape, variable.dtype)


def _keys(member):
    # Two names of one file are one student.
    return filter(None, (os.path.realpath(member.path), member.sha256))


def _units(members):
    """The outputs of a student whose file tells its layers; None if none does."""
    for member in members:
        if member.path.endswith(".keras"):
            with _reading(member):
                model = keras.models.load_model(member.path, compile=False)
            with contextlib.suppress(ValueError):  # none is known to be its head
                return head(model).units
    return None


@contextlib.contextmanager
def _reading(member):
    """Refuses a file that is not the one of the pool, or that cannot be read."""
    path = member.path
    try:
        if member.sha256 and files.sha256(path) != member.sha256:
            raise ValueError("it is truncated or altered")
        yield
    # What h5py, zipfile and TensorFlow raise depends on which byte is wrong.
    except Exception as error:
        raise ValueError(
            f"The pretrained student {path} cannot be read: {first_sentence(error)}"
        ) from error


def _read(member, model):
    path = member.path
    with _reading(member):
        if os.path.isdir(path):
            with files.literal(files.saved_model(path)) as folder:
                values = _variables(tf.saved_model.load(folder))
        elif path.endswith(".weights.h5"):
            h5_files.check(path)
            before = _variables(model)  # it may be a model that the user has
            try:
                # Keras only warns of layers that the file does not have.
                with warnings.catch_warnings():
                    warnings.simplefilter("error", UserWarning)
                    model.load_weights(path)
                values = _variables(model)
            finally:
                assign(model, before)
        else:
            values = _in_order_of(model, keras.models.load_model(path, compile=False))
    expected = [tuple(v.shape) for v in _in_order(model)]
    if [value.shape for value in values] != expected:
        raise ValueError(
            f"The pretrained student {path} is of another architecture: its weights "
            f"have the shapes {[v.shape for v in values]}, not {expected}."
        )
    if not all(np.isfinite(v).all() for v in values if v.dtype.kind == "f"):
        raise ValueError(f"The pretrained student {path} has weights that are NaN.")
    return values


def _in_order_of(model, saved):
    """The values of a saved model in the order of one where other layers are frozen."""
    if [v.shape for v in saved.variables] != [v.shape for v in model.variables]:
        return _variables(saved)
    values = {id(v): np.asarray(w) for v, w in zip(model.variables, saved.variables)}
    return [values[id(v)] for v in _in_order(model)]


def _in_order(model):
    return [*model.trainable_variables, *model.non_trainable_variables]


def _variables(model):
    return [np.asarray(v) for v in _in_order(model)]
