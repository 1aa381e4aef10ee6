"""The flags that name the real data, and the data that they name."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from types import NoneType

from tfdistill._internal import code
from tfdistill.cli import content as contents
from tfdistill.cli import typed
from tfdistill.cli.command import Flag
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.content import Content
from tfdistill.cli.errors import InputError, checking

# What finds the data of a result again.
_RECORDED = ("dataset", "data_dir", "image_size", "channels", "classes", "resplit")

VALIDATION = Flag(
    "validation",
    float,
    0.1,
    "Share of the training images that is set apart: whatever is watched or chosen is "
    "judged on them. The test images are used once, at the end.",
    lowest=0.001,
    highest=0.9,
    library="data.dataset:Dataset.hold_out.fraction",
)


def flags(dataset: str | None = "digits", *, held: bool = False) -> list[Flag]:
    """The flags that name the real data.

    Args:
        dataset: The default; None for the data of an earlier run.
        held: Whether the command always holds the images in memory.
    """
    found = _flags(dataset)
    if dataset is None:
        found = [
            dataclasses.replace(flag, shown="the run's")
            if flag.name in _RECORDED
            else flag
            for flag in found
        ]
    if held:
        found[-1] = dataclasses.replace(found[-1], shown="yes")
    return found


def _flags(dataset):
    load = "data.loading:load_dataset"
    return [
        Flag(
            "dataset",
            str,
            dataset,
            'The real data: "digits" (built in), a TFDS name such as "mnist", a .npz '
            "file, a folder of images by class, or a prepared TFDS folder.",
            value="NAME",
            names_code=code.is_fetched,
        ),
        Flag(
            "data_dir",
            str,
            None,
            "Where TFDS keeps its data.",
            value="FOLDER",
            shown="TFDS's own",
            library=f"{load}.data_dir",
        ),
        Flag(
            "download",
            bool,
            False,
            "Let TFDS download and prepare data that is not there.",
            library=f"{load}.download",
        ),
        Flag(
            "image_size",
            int,
            None,
            "Resize the images to this side.",
            lowest=1,
            shown="as they are; usps 28, voc and caltech_birds2011 224",
            library=f"{load}.image_size",
        ),
        Flag(
            "channels",
            str,
            None,
            "Give grey images three equal channels (3), or make colour ones grey (1).",
            choices=("1", "3"),
            shown="as they are",
            library=f"{load}.channels",
        ),
        Flag(
            "classes",
            list,
            None,
            "Take the images of these classes only, by their names or, if they have "
            "none, by their labels, such as 0,1,2; they become classes 0, 1, 2.",
            shown="all",
        ),
        Flag(
            "resplit",
            float,
            None,
            "Share of all images that becomes the test set, drawn at random, instead "
            "of the official one (the paper's USPS: 0.2).",
            lowest=0.001,
            highest=0.9,
            shown="none: the official test set",
        ),
        Flag(
            "in_memory",
            bool,
            None,
            "Hold the real images in memory, instead of reading them again and again.",
            shown="yes, if the training images take less than 2 GiB",
            library=f"{load}.in_memory",
        ),
    ]


def load(configuration: Configuration, name: str | None = None):
    """The `Dataset`, with a validation part if the command has --validation.

    Args:
        configuration: The command's.
        name: Another data set in the same form, with its own test split.

    Raises:
        InputError: If it cannot be found, or is not as it should be.
    """
    from tfdistill.data import assembling, loading

    c = configuration
    for path in (name or c.dataset, c.data_dir or ""):
        typed.check_path(path)
    with checking():
        dataset = loading.load_dataset(
            name or c.dataset,
            data_dir=c.data_dir,
            download=c.download,
            in_memory=c.in_memory,
            image_size=c.image_size,
            channels=c.channels and int(c.channels),
        )
        # All commands need them, and are not to fail on one after hours.
        for part in ("train", "test"):
            with assembling.blame(f"{name or c.dataset!r}: {part}"):
                getattr(dataset, part).read_labels()
        if c.classes:
            dataset = dataset.of_classes(labels(c.classes, dataset.class_names))
        if c.resplit and name is None:
            dataset = dataset.resplit(c.resplit)
        if "validation" in c:
            dataset = dataset.hold_out(c.validation, seed=c.seed)
        return dataset


def labels(classes: Sequence[str], names: Sequence[str]) -> list[int]:
    """The labels of classes that are named, or without names numbered, as --classes.

    Args:
        classes: The names, or labels.
        names: Of all classes, in the order of their labels.

    Raises:
        InputError: If there is no such class.
    """
    from tfdistill.data.labels import as_text

    classes, names = ([*map(as_text, each)] for each in (classes, names))
    named = [k for k in classes if k in names]
    # Numbers are names, where the names are numbers: folders 0, 1, 10, 11, 2.
    if not named and all(k.isdecimal() for k in classes):
        if not all(name.isdecimal() for name in names):
            return [int(k) for k in classes]
    unknown = [k for k in classes if k not in names]
    if unknown:
        shown = ", ".join(names[:12]) + ", ..." * (len(names) > 12)
        raise InputError(
            f"--classes={','.join(classes)}: no class is called {unknown[0]!r}; there "
            f"are {shown}."
        )
    found = [names.index(k) for k in classes]
    if any(str(label) != k for label, k in zip(found, classes)):
        shown = ", ".join(f"{k} (label {n})" for k, n in zip(classes, found))
        print(f"Classes by their names: {shown}.", flush=True)
    return found


def content(
    dataset,
    *paths: str | None,
    students: Mapping[str, Sequence[str]] | None = None,
    **others: str | None,
) -> Content:
    """What data hold, and files beside them, wherever they are.

    Args:
        dataset: A `Dataset`.
        *paths: Files, such as the list of a pool; None is left out.
        students: By the flag that says so, the names of who learns; some may be files.
        **others: By a flag's name, the hash of what its path leads to; None is left
            out. Earlier versions may have had no such hash.
    """
    from tfdistill.data import fingerprints
    from tfdistill.runs import files

    splits = dataset.train, dataset.test, dataset.validation
    normalization = dataset.normalization
    # Other machines sum in another order.
    numbers = [f"{x:.4g}" for x in (*normalization.mean, *normalization.std)]
    about = [
        *(split and split.num_examples for split in splits),
        *(tuple(dataset.image_shape), dataset.class_names, numbers),
        *(files.sha256(path) for path in paths if path),
    ]
    known = {flag: found for flag, found in others.items() if found}
    parts = [fingerprints.of_split(split) for split in splits if split]
    named = students or {}
    networks = contents.of_students(itertools.chain(*named.values()))

    def whole(known):
        hashes = contents.of_values([*about, parts, known]), networks
        return "-".join(filter(None, hashes))

    return Content(
        whole(known),
        ("dataset", "pool", *known),
        (contents.of_values(about), *([whole({})] if known else ())),
        contents.of_part(dataset.test),
        tuple(named) if networks else (),
    )


def record(configuration: Configuration) -> dict:
    """What finds the data of a result again, as JSON."""
    return {name: getattr(configuration, name) for name in _RECORDED}


def as_recorded(configuration: Configuration, provenance: Mapping) -> Configuration:
    """A configuration with the data of a result, where no flag says otherwise.

    Args:
        configuration: The command's.
        provenance: Of the distilled data, in which `load` is what `record` gave, or a
            stranger wrote.

    Raises:
        InputError: If what is taken from it is nothing that `record` gives, or it
            doesn't name the data.
    """
    known = provenance.get("load") or {"dataset": provenance.get("dataset")}
    missing = [name for name in _RECORDED if getattr(configuration, name) is None]
    declared = {flag.name: flag for flag in flags(None)}
    for name in missing:
        try:
            declared[name].check_recorded(known.get(name))
            if name == "dataset" and code.is_fetched(known.get(name)):
                raise ValueError("dataset names code of others, which TFDS would run")
        except ValueError as error:
            raise _not_believed(error, f"pass the right --{name}=...") from error
    # Evaluations look at these whatever the flags say.
    kinds = {"dataset": str, "pool": str, "pool_content": str, "new_head": bool}
    for name, kind in kinds.items():
        if not isinstance(known.get(name), (kind, NoneType)):
            wrong = f"{name} cannot be {str(known[name])[:80]!r}"
            raise _not_believed(wrong, "get the images anew from who made them.")
    configuration = configuration.replace(**{k: known.get(k) for k in missing})
    if configuration.dataset is None:
        raise InputError(
            "--dataset is missing: the distilled images don't say what they are of."
        )
    return configuration


def _not_believed(why, way_out):
    return InputError(
        f"The record of the real data is not to be believed ({why}): {way_out}"
    )
