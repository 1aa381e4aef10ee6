"""One of several machines is gone: the others start anew and wait for it."""

import os
import sys

_RESTARTS = "TFDISTILL_RESTARTS"
_MOST_RESTARTS = 20


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
