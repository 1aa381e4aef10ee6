"""How long work takes that a process begins and another one ends."""

import contextlib
import functools
import os
import time

from tfdistill._internal import fields
from tfdistill.runs import files

_KINDS = {name: fields.number(0) for name in ("seconds", "cpu_seconds")}


class Clock:
    """Seconds of work that may be stopped and gone on with; a pause is not counted.

    Args:
        path: A JSON file, of what earlier processes took, written by `keep`. None for
            nowhere. A damaged file counts as none. It is read when seconds are first
            asked for: until then, who begins anew may remove it.
    """

    def __init__(self, path: str | os.PathLike | None = None):
        self._path = path
        self._started = self._now()

    @property
    def seconds(self) -> float:
        """Seconds in all."""
        return self._total("seconds")

    @property
    def cpu_seconds(self) -> float:
        """Seconds of all cores together, in all."""
        return self._total("cpu_seconds")

    def keep(self) -> None:
        """Writes down the seconds so far; at a kill, those since then are lost."""
        if self._path is not None:
            content = {name: self._total(name) for name in _KINDS}
            files.write_json(self._path, content)

    def leave_out(self, seconds: float) -> None:
        """Does not count seconds until now, which are counted elsewhere."""
        self._started["seconds"] += seconds

    def _total(self, name):
        return self._before[name] + self._now()[name] - self._started[name]

    def _now(self):
        return {"seconds": time.monotonic(), "cpu_seconds": time.process_time()}

    @functools.cached_property
    def _before(self):
        if self._path is not None and os.path.isfile(self._path):
            with contextlib.suppress(ValueError):
                content = files.read_json(self._path)
                fields.check(content, _KINDS)
                return {name: content[name] for name in _KINDS}
        return dict.fromkeys(_KINDS, 0.0)
