"""`tfdistill audit --apply`: the copy, and the list of what to keep, after an audit."""

import os
import shlex
from collections.abc import Mapping
from typing import Any

from tfdistill.cli import run_folder
from tfdistill.cli.command import Command, Flag
from tfdistill.cli.errors import InputError, checking

APPLY = Flag(
    "apply",
    str,
    None,
    "Write a copy of the data with the suggested labels, and a list of what is not "
    "suspect, into this new folder.",
    value="FOLDER",
)


def as_before(command: Command, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """With --apply, the flags of the audit that --workdir holds; no data, if none.

    Args:
        command: That of audits.
        given: The flags that are given, by name.
    """
    folder = given.get("workdir")
    if not (given.get("apply") and folder):
        return {}
    path = os.path.join(folder, run_folder.FLAGS)
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line for line in file.read().split("\n") if command.records(line)]
        before = command.parse([*lines, f"--workdir={folder}"])
    except (OSError, ValueError, InputError):  # what it holds is refused later
        return {"dataset": None}
    return command.recorded_values(before)


def check(c) -> None:
    """Refuses flags that do not go with --apply.

    Raises:
        InputError: If there are some.
    """
    if not c.apply:
        return
    if c.flip:
        raise InputError("--apply is not for --flip, which makes labels wrong.")
    paths = (os.path.realpath(os.path.expanduser(p)) for p in (c.apply, c.workdir))
    if c.workdir and len(set(paths)) == 1:
        raise InputError("--apply must be another folder than --workdir.")


def check_audit(c) -> None:
    """Refuses a --workdir without an audit, if no data is named that could be audited.

    Raises:
        InputError: If it holds none.
    """
    if c.dataset is None:
        run_folder.refuse_another(c.workdir, "audit")
        where = shlex.quote(c.workdir)
        raise InputError(
            f"--workdir={c.workdir} holds no audit that --apply could follow: run "
            f"tfdistill audit --dataset=... --workdir={where} first."
        )


def check_folder(c, places) -> None:
    """Refuses a folder that could not be written, before the work.

    Raises:
        ValueError, OSError: If it could not.
    """
    from tfdistill.studies import corrections

    if c.apply:
        corrections.check_folder(c.apply, places.path)


def write(c, places, names) -> None:
    """Writes what --apply asks for, from the table of the run folder."""
    from tfdistill.studies import corrections

    if not c.apply:
        return
    with checking():
        table = os.path.join(c.workdir, "audit.csv")
        rows = corrections.read(table, places, names)
        print(corrections.apply(rows, places.kind, places.path, names, c.apply))
