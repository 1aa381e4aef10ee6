"""The names in a run folder that are a run's own: only these are ever removed."""

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator

from tfdistill.cli.command import Command
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError
from tfdistill.runs import files, headings
from tfdistill.runs.headings import FLAGS


def present(folder: str, owned: Iterable[str]) -> list[str]:
    """The names that are there, flags.txt among them.

    Args:
        folder: Where; it may be missing.
        owned: Names, or patterns such as "metrics*.json", of a run.
    """
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [name for name in names if _matches(name, [FLAGS, *owned])]


def check_overwrite(
    command: Command, configuration: Configuration, owned: Iterable[str]
) -> None:
    """Refuses to replace what no run has written, or what the command reads.

    Args:
        command, configuration, owned: Same as in `run_folder.claim`.

    Raises:
        InputError: If flags.txt does not say that names that are there are of a run of
            the command, or if one of the flags leads into them.
    """
    folder = configuration.workdir
    names = present(folder, owned)
    if names and headings.recorded(folder, headings.COMMAND) != command.name:
        raise InputError(
            f"--overwrite would remove {', '.join(names)} from --workdir={folder}, but "
            f"no {FLAGS} there says that a run of tfdistill {command.name} wrote that: "
            "choose another folder, or move it away."
        )
    removed = [os.path.realpath(os.path.join(folder, name)) for name in names]
    for flag, path in _paths(command, configuration):
        if any(f"{path}{os.sep}".startswith(f"{each}{os.sep}") for each in removed):
            raise InputError(
                f"--{flag} leads to {path}, which --overwrite would remove from "
                f"--workdir={folder}: choose another --workdir."
            )


def refuse_links(folder: str, owned: Iterable[str]) -> None:
    """Refuses symbolic links among a run's own names, and in its folders.

    What is written or removed by way of them would lie elsewhere. The folder itself may
    be one.

    Args:
        folder: Where.
        owned: Names, or patterns such as "images/exposure*.png", of a run; of a folder,
            all that is in it.

    Raises:
        InputError: If there is one.
    """
    tops = [pattern.partition("/")[0] for pattern in owned]
    for at, inside, names in os.walk(folder):
        if at == folder:
            inside[:], names = (
                [name for name in each if _matches(name, tops)]
                for each in (inside, names)
            )
        for path in (os.path.join(at, name) for name in (*inside, *names)):
            if os.path.islink(path):
                raise InputError(
                    f"{path} is a symbolic link, and a run writes only into its own "
                    "folder: remove the link, or choose another --workdir."
                )


def remove(folder: str, owned: Iterable[str]) -> None:
    """Removes what is there; flags.txt stays, to be replaced in one go."""
    for name in set(present(folder, owned)) - {FLAGS}:
        files.remove(os.path.join(folder, name))


def tidy(folder: str | os.PathLike, owned: Iterable[str]) -> None:
    """Removes what processes that were killed have left under temporary names.

    What was to be replaced is put back, if nothing is in its place yet.

    Args:
        folder: Where.
        owned: Patterns of the names that a run has there, such as "metrics*.json", or
            "images/exposure*.png"; of a folder, all that is in it. Others' temporary
            files are kept.
    """
    owned = [*owned]
    within = [*owned, *(f"{pattern}/*" for pattern in owned)]
    folders = [pattern.partition("/")[0] for pattern in owned]
    for at, inside, names in os.walk(os.fspath(folder)):
        place = os.path.relpath(at, folder)
        for name in (*inside, *names):
            final = files.final_name(name)
            path = final and os.path.normpath(os.path.join(place, final))
            if path and _matches(path, within):
                files.sweep(os.path.join(at, name))
        if place == os.curdir:
            inside[:] = [name for name in inside if _matches(name, folders)]


def _matches(name, patterns):
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _paths(command, configuration) -> Iterator[tuple[str, str]]:
    """The flags whose values lead to something that is there, and where that is."""
    for flag, value in command.recorded_values(configuration).items():
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                continue
            # A name may stand before a path, and a plus between two.
            for part in filter(None, {text, *re.split("[=:+]", text)}):
                path = os.path.realpath(os.path.expanduser(part))
                if os.path.exists(path):
                    yield flag, path
