"""tfdistill distilled: lists the distilled sets that ship with tfdistill.

Each has its images, their size, how to train on them, and what fresh networks
reach on the whole test set. With --name and --workdir, one of them is copied
into a folder that TFDS and tf.data read.
"""

import os
import shlex

from tfdistill.cli import evaluation_files, machine, own_names, run_folder
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking


def _resolve(configuration: Configuration) -> Configuration:
    if (configuration.name is None) != (configuration.workdir is None):
        raise InputError("--name and --workdir need each other.")
    return configuration


def run(configuration: Configuration) -> None:
    """Runs the command."""
    from tfdistill.distilled import shipped

    c = configuration
    if c.name is None:
        for name in shipped.distilled_names():
            print(_text(name, shipped.load_distilled(name)))
        return
    with checking():
        distilled = shipped.load_distilled(c.name)
    run_folder.refuse_file(c.workdir)
    run_folder.refuse_another(c.workdir, "distilled")
    folder = os.path.join(c.workdir, "distilled")
    if os.path.lexists(folder) and not os.path.isfile(f"{folder}/tfdistill.json"):
        raise InputError(f"{folder} holds no distilled set; choose another folder.")
    try:
        os.makedirs(c.workdir, exist_ok=True)
        run_folder.lock(c.workdir, evaluation_files.WRITTEN)
        own_names.tidy(c.workdir, ["distilled"])
        if c.overwrite and os.path.isdir(folder):
            evaluation_files.forget(c.workdir)  # of the set that was there
        distilled.save(folder, overwrite=c.overwrite)
    except FileExistsError as error:
        raise InputError(
            f"{folder} exists; choose another folder, or pass --overwrite."
        ) from error
    except OSError as error:
        raise InputError(
            f"--workdir={c.workdir} cannot be written: {error.strerror or error}."
        ) from error
    where = shlex.quote(c.workdir)
    print(
        f"{c.name} is in {folder}; its README.md says how to train on it.\n"
        f"Test it: tfdistill evaluate --workdir={where} --student=lenet"
    )


def _text(name, distilled):
    from tfdistill.distilled import card

    size = distilled.num_bytes / 1024
    small = f", stored {distilled.enlarged} times smaller" * (distilled.enlarged > 1)
    lines = [
        f"{name}: {distilled.num_images} images{small}, {size:.0f} KiB; "
        f"{distilled.recipe.describe(distilled.images.shape)}"
    ]
    for row in distilled.provenance.get("measured", []):
        count = row["num_students"]
        networks = f"{count} networks" if count > 1 else "1 network"
        lines.append(f"  {row['student']:28} {card.accuracy(row)} ({networks})")
    return "\n".join(lines)


COMMAND = Command(
    name="distilled",
    about=__doc__,
    groups=(
        Group(
            "result",
            [
                Flag(
                    "name",
                    str,
                    None,
                    "The set to copy, such as mnist/10.",
                    value="NAME",
                ),
                Flag(
                    "workdir",
                    str,
                    None,
                    "The folder to copy it into; tfdistill evaluate takes it, too.",
                    value="FOLDER",
                ),
                Flag(
                    "overwrite",
                    bool,
                    False,
                    "Replace a set in --workdir, and what was found of it.",
                ),
            ],
        ),
        Group("machine", [machine.VERBOSE]),
    ),
    run=run,
    resolve=_resolve,
    examples=(
        "tfdistill distilled",
        "tfdistill distilled --name=mnist/10 --workdir=mnist",
    ),
)
