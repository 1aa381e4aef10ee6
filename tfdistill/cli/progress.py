"""How far a long command is, on the screen."""

import time


class Progress:
    """Tells what is done, and how long the rest takes.

    Args:
        what: What is counted.
        total: How many there are in all.
        done: How many were done before.
    """

    def __init__(self, what: str, total: int, done: int):
        self._what, self._total, self._first = what, total, done
        self._started = time.monotonic()

    def show(self, done: int, text: str) -> None:
        """Prints a line.

        Args:
            done: How many are done now.
            text: About the last one.
        """
        elapsed = time.monotonic() - self._started
        left = elapsed / max(1, done - self._first) * (self._total - done)
        print(
            f"{self._what} {done}/{self._total}, {int(left) // 60}:{int(left) % 60:02} "
            f"left: {text}",
            flush=True,
        )
