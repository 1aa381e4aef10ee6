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


# Those that watch now, and the handlers from before the first of them.
_watching: list["Watch"] = []
_before: dict = {}


def _note(number, _):
    if number == signal.SIGINT:
        # A second Ctrl-C ends the process at once.
        signal.signal(number, _before[number])
    for watch in _watching:
        if watch._asked is None or number == signal.SIGTERM:
            watch._asked = number


class Watch:
    """Records SIGTERM and Ctrl-C instead of obeying them.

    Several may watch at a time: all of them record a signal, and it is obeyed when the
    last one has done what it does first. Python handles signals only in its main
    thread; in others, nothing is recorded. A second Ctrl-C is obeyed at once.
    """

    def __init__(self):
        self._asked: int | None = None

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self._asked is not None

    def start(self) -> None:
        """Begins to watch, anew if it did not stop."""
        self.stop()
        # The others may wait for this one to obey.
        self._asked = _watching[0]._asked if _watching else None
        if threading.current_thread() is threading.main_thread():
            _watching.append(self)
            if _watching == [self]:
                for number in (signal.SIGTERM, signal.SIGINT):
                    _before[number] = signal.getsignal(number)
                    signal.signal(number, _note)

    def stop(self) -> None:
        """Ends to watch; the last one restores the previous handlers."""
        if _watching == [self]:
            for number, handler in _before.items():
                signal.signal(number, handler)
        if self in _watching:
            _watching.remove(self)

    def exit_if_asked(self) -> None:
        """Ends the process if SIGTERM has come; the previous handlers are restored.

        While others watch, it only stops to do so: they end the process.

        Raises:
            SystemExit: With `EXIT_STATUS`, if SIGTERM has come.
            KeyboardInterrupt: If Ctrl-C was pressed, or a notebook's stop button.
        """
        if self.asked:
            self.stop()
        if _watching:
            return
        if self._asked == signal.SIGTERM:
            sys.exit(EXIT_STATUS)
        if self._asked == signal.SIGINT:
            raise KeyboardInterrupt
