"""The sets that `tfdistill compare` judges: which they are, and what they hold."""

import dataclasses
import os
import re
from collections.abc import Sequence

from tfdistill.cli import content as contents
from tfdistill.cli import data, run_folder
from tfdistill.cli.command import Flag
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.content import Content
from tfdistill.cli.errors import InputError, checking
from tfdistill.cli.typed import listed
from tfdistill.distilled.foreign import pairs

#: Which sets, and what is said of them.
FLAGS = [
    Flag(
        "sets",
        list,
        None,
        "The sets to judge: folders or files, each the path, or NAME=PATH.",
        value="FOLDER,...",
        missing="name the sets, e.g. --sets=run,other.npz.",
    ),
    Flag(
        "pixels",
        list,
        None,
        "What pixels are: standardised, 0..1, 0..255 or -1..1; of all sets, or of "
        "some, as NAME:0..1.",
        value="[NAME:]KIND,...",
        shown="0..255 for whole numbers, else standardised",
    ),
    Flag(
        "mean",
        list,
        None,
        "What was subtracted from images in 0..1, channels with slashes between them, "
        "such as 0.49/0.48/0.45.",
        value="[NAME:]X/X/X,...",
        shown="the file's, or the real data's",
    ),
    Flag(
        "std",
        list,
        None,
        "What they were divided by then.",
        value="[NAME:]X/X/X,...",
        shown="the file's, or the real data's",
    ),
    Flag(
        "zca",
        list,
        None,
        "The whitening of the images, a .npz, .npy or .pt file with the matrix, and "
        "what is subtracted.",
        value="[NAME:]PATH,...",
        shown="the file's, if it has one",
    ),
    Flag(
        "check",
        bool,
        True,
        "Refuse sets whose pixels look like something else than they are said to be.",
        library="distilled.foreign.reading:read_distilled.check",
    ),
]


def said(c: Configuration) -> dict:
    """By a flag's name, what it says of sets, by their names.

    Raises:
        InputError: If two sets have one name, or a flag is for none of them.
    """
    sets = _named(c.sets)
    flags = "pixels", "mean", "std", "zca"
    return {flag: _of_each(flag, getattr(c, flag), sets) for flag in flags}


def read(c: Configuration, dataset) -> dict:
    """The sets by their names, in the normalisation of the real data.

    Args:
        c: The command's.
        dataset: The real data.

    Raises:
        InputError: If one cannot be read.
    """
    from tfdistill.distilled.foreign.reading import read_distilled
    from tfdistill.studies.comparison import competitors

    paths, values = _named(c.sets), said(c)
    with checking():
        own = {name for name, path in paths.items() if pairs.saved_set(path)}
    found = {}
    for name, path in paths.items():
        declared = {flag: of_sets.get(name) for flag, of_sets in values.items()}
        if name in own and own != {*paths}:  # what is said of all is for the others
            declared = {
                flag: value if _is_by_name(name, getattr(c, flag)) else None
                for flag, value in declared.items()
            }
        try:
            found[name] = read_distilled(path, dataset, **declared, check=c.check)
        except (ValueError, OSError) as error:
            raise InputError(_in_flags(str(error), name, len(paths))) from error
        how = found[name].provenance
        print(
            f"{name}: {found[name].num_images} images"
            + (f", {how['pixels']}, {how['labels']} labels" if "pixels" in how else ""),
            flush=True,
        )
        run_folder.refuse_own(found[name], f"--sets={path}")
    with checking():
        competitors.given(found, dataset)
    return found


def content(c: Configuration, dataset, learners: Sequence[str]) -> Content:
    """What the real data and the sets hold, what whitened these, and who learns.

    Args:
        c: The command's.
        dataset: The real data.
        learners: The names of all networks.
    """
    paths, whitening = _named(c.sets), said(c)["zca"]

    def held(of):
        with checking():
            found = {
                name: [*map(contents.of_path, [*of[name], whitening.get(name)])]
                for name in paths
            }
        return data.content(
            dataset,
            students={"architectures": learners},
            sets=contents.of_values(found.items()),
        )

    as_named = {name: pairs.named(path) for name, path in paths.items()}
    whole = {name: pairs.members(path) for name, path in paths.items()}
    found = held(whole)
    if whitening:
        found = dataclasses.replace(found, flags=(*found.flags, "zca"))
    if whole == as_named:
        return found
    # Earlier versions left out labels that nobody named.
    earlier = *found.earlier, held(as_named).now
    return dataclasses.replace(found, earlier=earlier)


def _named(sets):
    """The path of each set, by its name: the given one, or the end of its path."""
    found: dict[str, str] = {}
    for item in sets:
        name, equals, path = item.partition("=")
        if not equals:
            path = item
            with checking():
                first, *_ = pairs.named(path)
            name = os.path.basename(os.path.normpath(first))
            name = re.sub(r"\.(npz|npy|pt|pth|parquet)$", "", name)
        if name in found or not name:
            raise InputError(
                f"--sets={listed(sets)} has two sets that are called {name!r}: name "
                "them, as in --sets=one=a/run,two=b/run."
            )
        found[name] = path
    return found


def _of_each(flag, items, sets):
    """The values of a flag by the names of sets."""
    found = {}
    for item in sorted(items or [], key=lambda item: ":" in item):  # of all sets first
        name, colon, value = item.partition(":")
        names = [name] if colon else list(sets)
        if colon and name not in sets:
            raise InputError(
                f"--{flag}={item} is for the set {name!r}, but there are "
                f"{', '.join(sets)}."
            )
        value = value if colon else item
        for one in names:
            if flag in ("mean", "std"):
                try:
                    found[one] = [float(number) for number in value.split("/")]
                except ValueError:
                    raise InputError(
                        f"--{flag}={item} must be numbers with slashes between them."
                    ) from None
            else:
                found[one] = value
    return found


def _is_by_name(name, items):
    return any(item.startswith(f"{name}:") for item in items or [])


def _in_flags(sentence, name, count):
    """A sentence about arguments of `read_distilled`, which are flags of one set."""
    of = f"{name}:" if count > 1 else ""
    sentence = " ".join(sentence.split())
    sentence = sentence.replace("check=False", "--nocheck")
    return re.sub(r"\b(pixels|mean|std|zca)=", rf"--\1={of}", sentence)
