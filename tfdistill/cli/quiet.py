"""TensorFlow's notes about the machine, kept off the screen.

They are written to file descriptor 2 by several C++ libraries before Python could ask
them not to, and no environment variable stops them (TF_CPP_MIN_LOG_LEVEL did, once). So
descriptor 2 becomes a pipe to a small process that passes on all but them. That process
outlives this one, so that nothing is lost if this one crashes. What Python itself
prints goes to the screen as before.

This file is that process's program, too, and imports nothing that takes time.
"""

import os
import re
import signal
import subprocess
import sys

# Information, and what TensorFlow says on every machine without a GPU. Warnings and
# errors other than these are passed on.
_NOTES = re.compile(
    rb"I\d{4} \d\d:\d\d:"
    rb"|WARNING: All log messages before absl::InitializeLog\(\) is called"
    rb"|To enable the following instructions:"
    rb"|E\d{4} .*failed call to cuInit"
    rb"|E\d{4} .*Unable to register cu(DNN|BLAS|FFT) factory"
    rb"|E\d{4} .*oneDNN supports \w+ only on platforms with"
)


def start() -> None:
    """Filters descriptor 2 from now on."""
    screen = os.dup(2)
    reader, writer = os.pipe()
    try:
        subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=reader, stderr=screen
        )
    except OSError:  # no more processes: then the screen is less tidy
        os.close(writer)
    else:
        os.dup2(writer, 2)
        os.close(writer)
        before = sys.stderr
        sys.stderr = os.fdopen(
            screen, "w", buffering=1, encoding=before.encoding, errors=before.errors
        )
    os.close(reader)


def _pass_on() -> None:
    # Ctrl-C is for the process that is filtered.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        if not _NOTES.match(line):
            os.write(2, line)


if __name__ == "__main__":
    _pass_on()
