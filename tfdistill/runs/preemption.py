"""SIGTERM: how a scheduler announces that it takes the machine away."""

import contextlib
import os
import signal
import sys
import threading

#: 128 + SIGTERM: schedulers (and TensorFlow's own preemption handling) restart a job
#: that exits with this status.
EXIT_STATUS = 128 + signal.SIGTERM


def exit_when_asked() -> None:
    """From now on, SIGTERM ends the process with `EXIT_STATUS`; files stay whole."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(*_):
    # Not by an exception: it would be raised in whatever runs at that moment, and some
    # code (TensorFlow's `DType.max`, for one) catches every exception. Files are whole
    # at any moment, by renaming; only printed text must be flushed.
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(EXIT_STATUS)


class Watch:
    """Records SIGTERM instead of obeying it.

    Python handles signals only in its main thread; in others, nothing is recorded.
    """

    def __init__(self):
        self.asked = False
        self._before = None

    def start(self) -> None:
        """Begins to watch."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)

    def stop(self) -> None:
        """Restores the previous handler of SIGTERM."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def exit_if_asked(self) -> None:
        """Ends the process if SIGTERM has come."""
        if self.asked:
            sys.exit(EXIT_STATUS)

    def _note(self, *_):
        self.asked = True
