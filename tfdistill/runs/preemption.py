"""SIGTERM: a scheduler takes the machine away, and asks first."""

import contextlib
import os
import signal
import sys
import threading

#: 128 + SIGTERM, the exit status by which schedulers (and TensorFlow's own preemption
#: handling) know a job that wants to be started again.
EXIT_STATUS = 128 + signal.SIGTERM


def exit_when_asked() -> None:
    """From now on SIGTERM ends the process with `EXIT_STATUS`, files left whole."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(*_):
    # Not by an exception: it would rise out of whatever runs at that moment, and some
    # of that (TensorFlow's `DType.max`, for one) takes every exception for its own.
    # Files are whole at any moment, by renaming; only what was printed is on its way.
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(EXIT_STATUS)


class Watch:
    """Notes SIGTERM instead of obeying it, until it is asked.

    Python hears signals in its main thread only; elsewhere nothing is noted.
    """

    def __init__(self):
        self.asked = False
        self._before = None

    def start(self) -> None:
        """Begins to watch."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)

    def stop(self) -> None:
        """Gives SIGTERM back to whom it was for before."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def exit_if_asked(self) -> None:
        """Ends the process if SIGTERM has come."""
        if self.asked:
            sys.exit(EXIT_STATUS)

    def _note(self, *_):
        self.asked = True
