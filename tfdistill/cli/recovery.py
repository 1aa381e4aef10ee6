"""What a command does when the machine fails it: locks, full disks, lost workers."""

import fcntl
import fnmatch
import os
import sys
from collections.abc import Iterable

from tfdistill.runs import files

#: The file that is locked; it says nothing, and stays.
LOCK = ".lock"
_held = []
_RESTARTS = "TFDISTILL_RESTARTS"
_MOST_RESTARTS = 20


def lock(folder: str) -> bool:
    """Makes a folder this process's own for as long as it lives.

    The system lets go of the lock when the process ends, however it ends.

    Args:
        folder: Where; it must exist.

    Returns:
        Whether no other process has it.
    """
    file = open(os.path.join(folder, LOCK), "a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    except OSError:  # a file system without locks
        pass
    _held.append(file)
    return True


def contents(folder: str) -> list[str]:
    """The names in a folder, but for the lock's."""
    return [name for name in os.listdir(folder) if name != LOCK]


def tidy(folder: str, owned: Iterable[str]) -> None:
    """Removes what processes that were killed have left under temporary names.

    Args:
        folder: Where.
        owned: Patterns of the names that a run has there; others' temporary files are
            kept.
    """
    stems = {name.partition(".")[0] for name in owned}
    for name in os.listdir(folder):
        stem, _, rest = name.partition(".")
        known = any(fnmatch.fnmatch(stem, pattern) for pattern in stems)
        if known and "tmp" in rest.split("."):
            files.remove(os.path.join(folder, name))


def is_lost_worker(error: BaseException) -> bool:
    """Whether an error of TensorFlow says that another worker cannot be reached."""
    tf = sys.modules.get("tensorflow")
    if tf is None or not os.environ.get("TF_CONFIG"):
        return False
    kinds = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
    )
    return isinstance(error, kinds) or "Collective ops is aborted" in str(error)


def start_again() -> bool:
    """Starts this command anew in this process, to wait for the lost worker.

    Returns:
        False if that was done too often already; else it doesn't return.
    """
    count = int(os.environ.get(_RESTARTS, 0))
    if count >= _MOST_RESTARTS:
        return False
    os.environ[_RESTARTS] = str(count + 1)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
