"""Output without a reader: `tfdistill evaluate ... | head -2`, or `2>&-`."""

import io
import os
import signal
import sys

#: As of a program that the system ends for it.
EXIT_STATUS = 128 + signal.SIGPIPE


class _Cut(io.FileIO):
    """A file that ends the process, quietly, when nobody reads it any more.

    Not by an exception: what prints may be within code that makes a sentence of it, or
    in the interpreter's own end. Files are whole at any moment, by renaming, so that
    the same command goes on.
    """

    def write(self, data):
        try:
            return super().write(data)
        except BrokenPipeError:
            os._exit(EXIT_STATUS)


def open_closed() -> None:
    """Opens standard output and error if they are closed: what they get is lost.

    Else their descriptors would be those of the next files, and TensorFlow's notes
    would go into these.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            file = open(number, "w", encoding="utf-8", errors="replace", closefd=False)
            setattr(sys, name, file)


def end_quietly() -> None:
    """From now on, the process ends with `EXIT_STATUS` when its output is cut."""
    before = sys.stdout
    if before is not sys.__stdout__ or not isinstance(before, io.TextIOWrapper):
        return  # somebody else has it
    before.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Cut(before.fileno(), "w", closefd=False)),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )
