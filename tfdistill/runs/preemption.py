"""SIGTERM and Ctrl-C: a scheduler takes the machine away, or a person wants it back."""

import contextlib
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable

from absl import logging

#: 128 + SIGTERM: schedulers (and TensorFlow's own preemption handling) restart a job
#: that exits with this status.
EXIT_STATUS = 128 + signal.SIGTERM
#: 128 + SIGINT: a person has pressed Ctrl-C.
INTERRUPTED = 128 + signal.SIGINT
#: What a person is told then.
GOES_ON = "Stopped; the same command goes on from here."


def exit_when_asked(say: Callable[[str], None] = logging.warning) -> None:
    """From now on, SIGTERM and Ctrl-C end the process; files stay whole.

    The exit status is `EXIT_STATUS` or `INTERRUPTED`; a person is told that the same
    command goes on.

    Args:
        say: Tells it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, functools.partial(_exit, say))


def _exit(say, number, _):
    # Not by an exception: it would be raised in whatever runs at that moment, and some
    # code (TensorFlow's `DType.max`, for one) catches every exception. Files are whole
    # at any moment, by renaming; only printed text must be flushed.
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        if number == signal.SIGINT:
            say(GOES_ON)
        sys.stderr.flush()
    os._exit(128 + number)


class Watch:
    """Records SIGTERM and Ctrl-C instead of obeying them.

    Python handles signals only in its main thread; in others, nothing is recorded. A
    second Ctrl-C is obeyed at once.
    """

    def __init__(self):
        self._asked: int | None = None
        self._before: dict = {}

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self._asked is not None

    def start(self) -> None:
        """Begins to watch, anew if it did not stop."""
        self.stop()
        self._asked = None
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._note)
                for number in (signal.SIGTERM, signal.SIGINT)
            }

    def stop(self) -> None:
        """Restores the previous handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def exit_if_asked(self) -> None:
        """Ends the process if SIGTERM has come; the previous handlers are restored.

        Raises:
            SystemExit: With `EXIT_STATUS`, if SIGTERM has come.
            KeyboardInterrupt: If Ctrl-C was pressed, or a notebook's stop button.
        """
        if self.asked:
            self.stop()
        if self._asked == signal.SIGTERM:
            sys.exit(EXIT_STATUS)
        if self._asked == signal.SIGINT:
            raise KeyboardInterrupt

    def _note(self, number, _):
        if number == signal.SIGINT:
            # For whoever is in a hurry.
            signal.signal(number, self._before[number])
        if self._asked is None or number == signal.SIGTERM:
            self._asked = number
