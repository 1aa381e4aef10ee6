"""Several machines find each other, before TensorFlow's own waiting, which is deaf.

`TF_CONFIG` says who there is. Each worker listens on its own address until it has heard
from all others, and all from it; then it leaves the address to TensorFlow. With one
that is stopped and started again meanwhile, which is another process, all begin anew.
"""

import errno
import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Sequence

from tfdistill._internal import fields
from tfdistill._internal.version import __version__

#: For how long workers are waited for, in seconds, if this variable does not say so.
WAIT_VARIABLE, WAIT_SECONDS = "TFDISTILL_WORKER_WAIT", 3600
_SHOW_AFTER, _SHOW_EVERY = 2.0, 60.0
_ONE_TRY = 2.0
# For how long an answer is waited for: the other may be calling workers that are not
# there yet, each for one try.
_PATIENCE = 20.0
# For how long one waits to be called before it calls, out of turn.
_QUIET = 5.0
# A process that has just ended may hold its port a moment longer.
_PORT_SECONDS = 10.0
_LONGEST = 2**20
_THANKS = b"heard\n"
_JOBS = ("chief", "worker")


def members() -> tuple[list[str], int]:
    """The addresses of all workers, the chief first, and which one this is.

    Returns:
        No addresses, if TF_CONFIG is not there or names no cluster.

    Raises:
        ValueError: If TF_CONFIG is damaged, or this worker is not in it.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        return [], 0
    try:
        content = fields.parse(text)
        cluster = content.get("cluster", {})
        fields.check({"cluster": cluster}, {"cluster": fields.OBJECT})
        if not cluster:
            return [], 0
        others = sorted(set(cluster) - set(_JOBS))
        if others:
            raise ValueError(f"it names the jobs {', '.join(others)}; use worker")
        addresses = fields.each(fields.TEXT)
        fields.check(cluster, {}, dict.fromkeys(_JOBS, addresses))
        task = content.get("task", {})
        fields.check({"task": task}, {"task": fields.OBJECT})
        kinds = {"type": fields.one_of(*cluster), "index": fields.whole(0)}
        fields.check(task, kinds)
        count = len(cluster[task["type"]])
        if task["index"] >= count:
            raise ValueError(
                f"index {task['index']} is out of range: there are {count} of type "
                f"{task['type']}, from 0"
            )
        known = [address for job in _JOBS for address in cluster.get(job, ())]
        for address in known:
            host, _, port = address.rpartition(":")
            if not (host and port.isdecimal() and 0 < int(port) < 2**16):
                raise ValueError(f"{address!r} must be an address like host:2222")
        if len(set(known)) < len(known):
            raise ValueError("two workers have the same address")
    except ValueError as error:
        raise ValueError(f"TF_CONFIG cannot be used: {error}.") from error
    return known, known.index(cluster[task["type"]][task["index"]])


def gather(about: Sequence[str] = (), tell: Callable[[str], None] = print) -> None:
    """Waits until all workers are there, and compares what they are about to do.

    Args:
        about: Lines in which all workers must agree, such as their flags.
        tell: Called with a sentence while others are missing.

    Raises:
        ValueError: If TF_CONFIG is damaged, the port is taken, a worker is about to do
            something else, or one has not come in time.
    """
    addresses, own = members()
    if len(addresses) > 1:
        _Meeting(addresses, own, [f"tfdistill {__version__}", *about]).hold(tell)


class _Meeting:
    def __init__(self, addresses, own, about):
        self._addresses, self._own = addresses, own
        self._about = sorted(about)
        others = set(range(len(addresses))) - {own}
        self._unheard, self._uninformed = set(others), set(others)
        self._process, self._processes = uuid.uuid4().hex, dict[int, str]()
        self._wait = _wait_seconds()

    def hold(self, tell):
        called = started = time.monotonic()
        shown = started + _SHOW_AFTER - _SHOW_EVERY
        with self._listening() as listener:
            while self._unheard or self._uninformed:
                self._answer(listener)
                is_quiet = time.monotonic() - called > _QUIET
                for number in sorted(self._unheard):
                    # Of two, the later calls first: not both, who would wait at once.
                    # But it does not call who was started again after they had met:
                    # so the earlier calls, too, though seldom and without patience.
                    in_turn = number < self._own or number not in self._uninformed
                    if in_turn or is_quiet:
                        self._ask(number, _PATIENCE if in_turn else _ONE_TRY)
                        self._answer(listener)
                now = time.monotonic()
                called = now if is_quiet else called
                if now - started > self._wait and self._unheard | self._uninformed:
                    raise ValueError(
                        f"{self._missing()} did not come within "
                        f"{_duration(self._wait)}: start all workers with the same "
                        f"command, or set {WAIT_VARIABLE} to more seconds."
                    )
                if now - shown > _SHOW_EVERY and self._unheard:
                    shown = now
                    rest = _duration(self._wait - (now - started))
                    tell(f"Waiting for {self._missing()}, for {rest} at the most.")

    def _missing(self):
        missing = sorted(self._unheard or self._uninformed)
        named = [f"worker {k} ({self._addresses[k]})" for k in missing]
        return ", ".join(named[:5]) + (", …" if len(named) > 5 else "")

    def _listening(self):
        port = int(self._addresses[self._own].rpartition(":")[2])
        deadline = time.monotonic() + min(_PORT_SECONDS, self._wait)
        while True:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("", port))
                listener.listen(len(self._addresses))
                listener.settimeout(0.1)
                return listener
            except OSError as error:
                listener.close()
                if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                    raise ValueError(
                        f"The port {port} of this worker ({self._own} in TF_CONFIG) "
                        f"cannot be used: {error.strerror}. Is another run at work "
                        "there, or has another worker the same index?"
                    ) from error
                time.sleep(0.2)

    def _hello(self):
        content = [self._own, self._process, self._about]
        return json.dumps(content).encode() + b"\n"

    def _answer(self, listener):
        """Hears whoever has called, and answers."""
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            return
        with connection, connection.makefile("rb") as file:
            connection.settimeout(_ONE_TRY)
            number, process, about = self._received(file)
            if number is None:
                return
            try:
                connection.settimeout(_PATIENCE)
                connection.sendall(self._hello())
                heard = bool(file.readline(len(_THANKS)))
            except OSError:
                heard = False
        self._compare(number, about)
        if heard:  # and not gone before the answer came
            self._notice(number, process)
            self._uninformed.discard(number)

    def _ask(self, number, patience):
        """Calls another worker, hears its answer, and says that it was heard."""
        host, _, port = self._addresses[number].rpartition(":")
        try:
            address = (host.strip("[]"), int(port))
            with (
                socket.create_connection(address, _ONE_TRY) as connection,
                connection.makefile("rb") as file,
            ):
                connection.settimeout(patience)
                connection.sendall(self._hello())
                found, process, about = self._received(file)
                if found == number:
                    connection.sendall(_THANKS)
        except OSError:  # not there yet
            return
        if found == number:
            self._compare(number, about)
            self._notice(number, process)
            self._unheard.discard(number)

    def _notice(self, number, process):
        """Begins anew with a worker that was started again: it knows nothing of us."""
        if self._processes.get(number) != process:
            self._processes[number] = process
            self._unheard.add(number)
            self._uninformed.add(number)

    def _received(self, file):
        """Number, process and lines of the other end; three None if it is no worker."""
        try:
            number, process, about = json.loads(file.readline(_LONGEST))
            known = number in range(len(self._addresses)) and number != self._own
            if known and all(isinstance(line, str) for line in about):
                return number, process, about
        except (OSError, ValueError, TypeError, RecursionError):
            pass
        return None, None, None

    def _compare(self, number, about):
        theirs, ours = set(about), set(self._about)
        if theirs != ours:
            raise ValueError(
                f"Worker {number} ({self._addresses[number]}) is to do something else: "
                f"it has {_listed(theirs - ours)}, this one (worker {self._own}) has "
                f"{_listed(ours - theirs)}. Start all workers with the same command."
            )


def _listed(lines):
    return " ".join(sorted(lines)) or "none of these"


def _wait_seconds():
    text = os.environ.get(WAIT_VARIABLE, str(WAIT_SECONDS))
    if not text.isdecimal():
        raise ValueError(f"{WAIT_VARIABLE} must be whole seconds, not {text!r}.")
    return int(text)


def _duration(seconds):
    if seconds < 120:
        return f"{max(1, round(seconds))} seconds"
    return f"{round(seconds / 60)} minutes"
