"""The folder of a run: whose it is, who is at work in it, whether it is finished."""

import contextlib
import fcntl
import os
import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tfdistill._internal import spread
from tfdistill.cli import own_names
from tfdistill.cli.command import Command, Flag, name_of
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.content import Content
from tfdistill.cli.errors import InputError, checking
from tfdistill.cli.typed import listed
from tfdistill.reporting import metrics
from tfdistill.runs import files, headings
from tfdistill.runs.headings import FLAGS

if TYPE_CHECKING:  # it imports Keras, for which help must not wait
    from tfdistill.runs.clock import Clock
    from tfdistill.runs.progress import Progress

#: The file that is locked; it says nothing, and stays.
LOCK = ".lock"
#: What is said of a result that is there.
REPEATED = "--overwrite repeats it"
#: The commands whose runs hold distilled images.
_WITH_IMAGES = ("distill", "baseline")
_held = []


def workdir_flag(example: str, what: str, written: bool = False) -> Flag:
    """--workdir.

    Args:
        example: A name for it.
        what: The help.
        written: Same as in `Flag`.
    """
    return Flag(
        "workdir",
        str,
        None,
        what,
        value="FOLDER",
        missing=f"name a folder, e.g. --workdir={example}.",
        written=written,
    )


def flags(what: str) -> list[Flag]:
    """The flags of a command that writes a folder.

    Args:
        what: What the folder holds, in a word.
    """
    about = f"The folder of the {what}; it is made if it is not there."
    return [
        workdir_flag(what, about, written=True),
        Flag("overwrite", bool, False, f"Replace another {what} in --workdir."),
    ]


def claim(
    command: Command,
    configuration: Configuration,
    owned: Iterable[str],
    content: Content | None = None,
) -> None:
    """Takes the run folder --workdir, or refuses one that holds another run.

    A folder that holds the same run is resumed; --overwrite replaces another one of the
    command. Data and pools may have moved, on this machine or to another one, if what
    they hold is the same.

    Args:
        command: Whose run it is.
        configuration: The run's.
        owned: Names in the folder, or patterns such as "metrics*.json", that belong to
            a run; overwriting removes them.
        content: What the paths among the flags lead to; None if that is unknown.

    Raises:
        InputError: If the folder holds another run or other files, with --overwrite a
            run of another command, or names in `owned` that no run of this one wrote or
            that the flags lead to; if one is a symbolic link; or if it cannot be
            written.
    """
    folder, overwrite = configuration.workdir, configuration.overwrite
    path = os.path.join(folder, FLAGS)

    def check():
        refuse_file(folder)
        refuse_another(folder, command.name)
        if overwrite:
            own_names.check_overwrite(command, configuration, owned)
            return
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                recorded = file.read()
            changed = _differences(command, configuration, recorded, content)
            if changed:
                given = shlex.join(command.by_flagfile(path, recorded))
                raise InputError(
                    f"--workdir={folder} holds another run ({changed}); choose another "
                    f"folder, pass {given} to resume it, or --overwrite to replace it."
                )
        elif os.path.isdir(folder) and _contents(folder):
            way_out = ", or pass --overwrite to write into it"
            way_out *= not own_names.present(folder, owned)
            raise InputError(
                f"--workdir={folder} is not empty and holds no run of tfdistill; "
                f"choose another folder{way_out}."
            )

    with writing(folder):
        check()
        os.makedirs(folder, exist_ok=True)
        lock(folder, owned)
        check()  # what another process may have done meanwhile
        own_names.tidy(folder, owned)
        if overwrite:
            own_names.remove(folder, owned)
        text = f"{headings.COMMAND}{command.name}\n{command.record(configuration)}"
        if content:
            text += f"{headings.TEST}{content.test}\n" * bool(content.test)
            text += f"{headings.CONTENT}{content.now}\n"
        files.write_text(path, text)


def made_by(folder: str) -> str | None:
    """The command whose run a folder holds, as its flags.txt says; None if it doesn't.

    Files of earlier versions don't.
    """
    name = headings.recorded(folder, headings.COMMAND)
    return name if name.isalpha() else None


def refuse_file(folder: str) -> None:
    """Refuses a --workdir that is a file.

    Raises:
        InputError: If it is one.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise InputError(f"--workdir={folder} is a file, not a folder.")


def refuse_another(folder: str, name: str) -> None:
    """Refuses a --workdir that holds a run of another command.

    Raises:
        InputError: If it does.
    """
    found = made_by(folder)
    if found not in (None, name):
        raise InputError(
            f"--workdir={folder} is a run of tfdistill {found}; choose another "
            "--workdir."
        )


def _differences(command, configuration, recorded, content):
    """In what a recorded run is another; where the same data lie is no difference."""
    changed = command.differences(configuration, recorded)
    known = headings.said(recorded, headings.CONTENT)
    if known and content:
        moved = content.may_move(known)
        if moved is not None:
            changed = [x for x in changed if name_of(x) not in moved]
        elif not changed:
            names = *content.flags, *content.students
            paths = [f"--{name}" for name in names if name in command.flags]
            return f"different: what {' or '.join(paths)} holds"
    own = set(command.record(configuration).split("\n"))
    sides = {
        "there": [line for line in changed if line not in own],
        "here": [line for line in changed if line in own],
    }
    return "; ".join(f"{k}: {' '.join(lines)}" for k, lines in sides.items() if lines)


def lock(folder: str, owned: Iterable[str]) -> None:
    """Makes a run folder this process's own, for as long as it lives.

    The system lets go of the lock when the process ends, however it ends.

    Args:
        folder: Where; it must exist.
        owned: Names in it that will be written, or patterns, as for `claim`.

    Raises:
        InputError: If another process has it, or one of the names is a symbolic link.
    """
    own_names.refuse_links(folder, [LOCK, FLAGS, *owned])
    with writing(folder):
        file = open(os.path.join(folder, LOCK), "a", opener=_not_by_link)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise InputError(
            f"--workdir={folder} is in use: another tfdistill is at work there."
        ) from None
    except OSError:  # a file system without locks
        pass
    _held.append(file)


def _not_by_link(path, flags):
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def load_distilled(folder: str, given: str):
    """The `DistilledDataset` of a folder, which networks are to learn from.

    Args:
        folder: Where it is.
        given: The flag that says so, with its value.

    Raises:
        InputError: If it cannot be read, or is for own classes.
    """
    from tfdistill.distilled.dataset import DistilledDataset

    with checking():
        distilled = DistilledDataset.load(folder)
    refuse_own(distilled, given)
    return distilled


def refuse_own(distilled, given: str) -> None:
    """Refuses data for own classes, to which the command line has no names.

    Args:
        distilled: A `DistilledDataset`.
        given: The flag that names it, with its value.

    Raises:
        InputError: If it is for some.
    """
    from tfdistill.distilled import checks

    for argument, name in checks.unknown(distilled).items():
        raise InputError(
            f"{given} is for the {argument.replace('_', ' ')} {name!r}, which does not "
            "ship with tfdistill, and commands know no others: train on it in Python, "
            f"by DistilledDataset.load(folder, {argument}=...)."
        )


def is_finished(
    folder: str,
    result: str = "metrics.json",
    what: str = "run",
    then: str = REPEATED,
) -> bool:
    """Whether a run folder holds a whole result; says so if it does.

    Args:
        folder: Where.
        result: The file that holds it: JSON, with the names of what is to be made again
            as "unfinished", if there is anything.
        what: What the folder holds.
        then: What is said of a whole result.

    Raises:
        InputError: If the file is damaged.
    """
    path = os.path.join(folder, result)
    if not os.path.isfile(path):
        return False
    with checking():
        left = metrics.unfinished(path)
    if left:
        print(
            f"{folder} holds the result of this {what}; still to be made: "
            f"{', '.join(left)}."
        )
        return False
    print(f"{folder} holds this {what}, finished; {then}.")
    return True


def is_unfinished(folder: str) -> bool:
    """Whether a folder holds a run of a command, and not its whole result."""
    flags, path = (os.path.join(folder, name) for name in (FLAGS, "metrics.json"))
    if not os.path.isfile(flags):
        return False
    if not os.path.isfile(path):
        return True
    with checking():
        return bool(metrics.unfinished(path))


def clock(folder: str, writes: bool = True) -> "Clock":
    """The `Clock` of a run, kept beside its journal if this process writes."""
    from tfdistill.runs.clock import Clock

    return Clock(os.path.join(folder, "journal", "seconds.json") if writes else None)


def journal(
    folder: str,
    writes: bool = True,
    progress: "Progress | None" = None,
    clock: "Clock | None" = None,
):
    """The `Journal` in which a run folder keeps evaluations that are under way.

    Args:
        folder: The run folder.
        writes: Whether this process writes.
        progress: Where each tested network is counted, with the accuracy of all so far.
        clock: What is kept with each tested network, too.
    """
    import numpy as np

    from tfdistill.runs.journal import Journal

    path = os.path.join(folder, "journal")
    if progress is None:
        return Journal(path, writes=writes)

    def tell(more, arrays, found):
        text = None
        if "confusion" in arrays:
            hits = [np.trace(matrix) / np.sum(matrix) for matrix in arrays["confusion"]]
            mean, std = np.mean(hits), np.std(hits)
            text = f"accuracy {spread.percent(mean, std, len(hits), digits=1)} %"
        progress.advance(more, text, found=found)
        if clock is not None:
            clock.keep()

    return Journal(path, writes=writes, tell=tell)


@contextlib.contextmanager
def writing(folder: str) -> Iterator[None]:
    """Says in a sentence that a run folder cannot be written."""
    try:
        yield
    except OSError as error:
        if files.is_disk_full(error):
            raise
        raise InputError(
            f"--workdir={folder} cannot be written: {error.strerror or error}."
        ) from error


def _contents(folder):
    return [name for name in os.listdir(folder) if name != LOCK]


def check_run(folder: str, flag: str = "workdir", part: str = "distilled") -> None:
    """Refuses what is not the folder of a run with distilled images, as far as it is.

    Args:
        folder: The run folder.
        flag: Who names it.
        part: The folder in it that is needed.

    Raises:
        InputError: If it is none, or the run has not come to that part.
    """
    given = f"--{flag}={folder}"
    if os.path.isdir(os.path.join(folder, part)):
        return
    if not os.path.isdir(folder):
        raise InputError(f"{given}: there is no such folder.")
    if os.path.isfile(os.path.join(folder, "tfdistill.json")):
        sets = shlex.quote(listed([folder]))
        raise InputError(
            f"{given} is a distilled set, not the folder of a run: move it "
            f"into a new folder, RUN, as RUN/distilled, and pass --{flag}=RUN; or "
            f"judge it where it is, by tfdistill compare --sets={sets}."
        )
    command = made_by(folder)
    if command and command not in _WITH_IMAGES:
        raise InputError(
            f"{given} is a run of tfdistill {command}, which makes no distilled "
            f"images; name a run of tfdistill {' or '.join(_WITH_IMAGES)}."
        )
    if is_unfinished(folder):
        raise InputError(
            f"The run in {given} is not finished and has nothing in "
            f"{os.path.join(folder, part)} yet; the same command of tfdistill "
            f"{command or 'distill'} goes on with it."
        )
