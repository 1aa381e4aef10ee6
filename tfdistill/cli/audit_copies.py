"""`tfdistill audit --apply`: the copy, and the list of what to keep, after an audit."""

import os

from tfdistill.cli.command import Flag
from tfdistill.cli.errors import InputError, checking

APPLY = Flag(
    "apply",
    str,
    None,
    "Write a copy of the data with the suggested labels, and a list of what is not "
    "suspect, into this new folder.",
    value="FOLDER",
)


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
