"""Standard output whose reader has gone: `tfdistill evaluate ... | head -2`."""

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
