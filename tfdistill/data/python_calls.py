"""Python functions in a `tf.data` pipeline that do not keep the process from ending.

When the interpreter shuts down, threads of TensorFlow that wait for it never go on, and
it waits for them. So calls are refused from the moment at which the process begins to
end, and it goes on to end when the last one has returned.
"""

import atexit
import threading
import time
from collections.abc import Callable

import tensorflow as tf

_QUIET, _LONGEST = 0.2, 10.0  # seconds without a call, and in all


class _Gate:
    """Counts calls, and refuses them once it is closed."""

    def __init__(self):
        self._lock = threading.Lock()
        self._is_open, self._running, self._last = True, 0, 0.0

    def __enter__(self):
        with self._lock:
            self._last = time.monotonic()
            if not self._is_open:
                raise RuntimeError("the process is ending.")
            self._running += 1

    def __exit__(self, *_):
        with self._lock:
            self._running -= 1
            self._last = time.monotonic()

    def close(self):
        """Refuses calls from now on, and waits until there are none."""
        end = time.monotonic() + _LONGEST
        with self._lock:
            self._is_open = False
            if not self._last:  # never used
                return
            self._last = time.monotonic()
        while time.monotonic() < end:
            with self._lock:
                if not self._running and time.monotonic() - self._last > _QUIET:
                    return
            time.sleep(0.02)


_gate = _Gate()
# Exit handlers run last in, first out: before those of TensorFlow, which is imported.
atexit.register(_gate.close)


def call(function: Callable, argument: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Same as `tf.numpy_function` of one argument, but lets the process end.

    Args:
        function: From a NumPy value to an array.
        argument: Its argument.
        dtype: Type of the result.

    Returns:
        A tensor of unknown shape.
    """

    def gated(value):
        with _gate:
            return function(value)

    return tf.numpy_function(gated, [argument], dtype)
