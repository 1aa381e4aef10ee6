"""How tests run programs: in processes of their own, without importing again.

A process that has imported what the commands need, and has computed nothing, forks a
child for each program. The child has its own folder, environment, files, signals and
exit status, as a new interpreter has; what it lacks are the seconds in which TensorFlow
is imported. With `fresh=True` a new interpreter runs it: tests do so once with every
command at the least.
"""

import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def start(*arguments, **options):
    """Starts a command of tfdistill: `start_python` of its flags."""
    return start_python("-m", "tfdistill", *arguments, **options)


def start_python(*arguments, cwd=None, fresh=False, together=False, **variables):
    """Starts a program of Python.

    Args:
        *arguments: `-m` and a module, `-c` and a text, or a path; then its arguments.
        cwd: Its working directory; this process's if not given.
        fresh: Whether a new interpreter runs it, which has imported nothing.
        together: Whether standard error goes where standard output goes.
        **variables: Of its environment, besides this process's.

    Returns:
        A `subprocess.Popen`, or what does the same.
    """
    arguments = [*map(str, arguments)]
    cwd = os.path.abspath(cwd or os.getcwd())
    environment = {**_environment(), **variables}
    if sys.platform == "linux" and not fresh:
        return Forked(arguments, cwd, environment, together)
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if together else subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment,
    )


def run(*arguments, timeout=300, **options):
    """Runs a command of tfdistill to its end: a `subprocess.CompletedProcess`."""
    return _ended(start(*arguments, **options), arguments, timeout)


def run_python(*arguments, timeout=300, **options):
    """Runs a program of Python to its end: a `subprocess.CompletedProcess`."""
    return _ended(start_python(*arguments, **options), arguments, timeout)


def _ended(process, arguments, timeout):
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def succeed(*arguments, **options):
    """Runs a command that must succeed; returns what it printed."""
    process = run(*arguments, **options)
    assert process.returncode == 0, process.stdout + (process.stderr or "")
    return process.stdout


def _environment():
    path = [ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


class Forked:
    """A command that the server forked, with what tests use of `subprocess.Popen`."""

    def __init__(self, arguments, cwd, environment, together):
        self.args, self.returncode = arguments, None
        pipes = [os.pipe() for _ in range(1 if together else 2)]
        self._status, theirs = socket.socketpair()
        ends = [write for _, write in pipes]
        request = json.dumps([arguments, cwd, environment]).encode()
        given = [theirs.fileno(), ends[0], ends[-1]]
        socket.send_fds(_server(), [request], given)
        theirs.close()
        for end in ends:
            os.close(end)
        files = [open(read, encoding="utf-8") for read, _ in pipes]
        self.stdout, self.stderr = files[0], None if together else files[1]
        self._reports = self._status.makefile()
        self.pid = int(self._reports.readline())
        self._texts = [[] for _ in files]
        self._readers = []

    def poll(self):
        """Its exit status, or None: negative if a signal ended it."""
        return self._report(0)

    def wait(self, timeout=None):
        """Waits for its exit status."""
        if self._report(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def _report(self, timeout):
        if self.returncode is None:
            if select.select([self._status], [], [], timeout)[0]:
                self.returncode = int(self._reports.readline())
        return self.returncode

    def communicate(self, timeout=None):
        """Waits for its end; returns what of its output is not yet read."""
        files = [file for file in (self.stdout, self.stderr) if file]
        if not self._readers:
            for file, text in zip(files, self._texts):
                read = functools.partial(self._read, file, text)
                self._readers.append(threading.Thread(target=read, daemon=True))
                self._readers[-1].start()
        for reader in self._readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait(timeout)
        output, errors = [*("".join(text) for text in self._texts), None][:2]
        return output, errors

    @staticmethod
    def _read(file, text):
        with file:
            text.append(file.read())

    def send_signal(self, number):
        """Sends it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self):
        """Ends it."""
        self.send_signal(signal.SIGKILL)


# The server and the socket on which it hears; threads of a test may start it.
_servers = []
_starting = threading.Lock()


def _server():
    with _starting:
        if not _servers:
            _servers.append(_start_server())
        return _servers[0][1]


def stop():
    """Ends the server, if there is one."""
    while _servers:
        process, control = _servers.pop()
        control.close()
        process.wait()


def _start_server():
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**_environment(), "MPLBACKEND": "Agg"},
            pass_fds=[theirs.fileno()],
        )
    return process, ours


# What follows runs in the server.


def _import_all():
    import importlib
    import pkgutil

    import tfdistill  # before TensorFlow: it turns on oneDNN

    for module in pkgutil.walk_packages(tfdistill.__path__, "tfdistill."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("matplotlib.pyplot", "sklearn.cluster", "sklearn.datasets"):
        importlib.import_module(name)
    # TensorFlow puts these off till they are used.
    import tensorflow as tf
    import tensorflow_datasets as tfds

    tf.keras, tf.compat.v1, tfds.builder, tfds.features  # noqa: B018
    # A child of a process with a device, or with threads of its own, may hang. (The
    # threads of OpenBLAS and of Arrow's allocator are made to be forked.)
    from tensorflow.python.eager import context

    assert context.context()._context_handle is None
    assert threading.active_count() == 1, threading.enumerate()


def _serve(control):
    """Forks a child a request; returns, in the child, what it is to run."""
    running = {}
    heard, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([control, heard], [], [])
        if heard in ready:
            os.read(heard, 2**10)
            _report_ends(running)
        if control not in ready:
            continue
        request, given, _, _ = socket.recv_fds(control, 2**20, 3)
        if not request:
            os._exit(0)
        status, *outputs = given
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number, output in zip((1, 2), outputs):
                os.dup2(output, number)
            for number in (control.fileno(), heard, wakes, *given, *running.values()):
                os.close(number)
            return json.loads(request)
        for output in outputs:
            os.close(output)
        running[pid] = status
        os.write(status, b"%d\n" % pid)


def _report_ends(running):
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        where = running.pop(pid)
        try:
            os.write(where, b"%d\n" % os.waitstatus_to_exitcode(status))
        except BrokenPipeError:
            pass  # nobody waits for it any more
        os.close(where)


def _become(arguments, cwd, environment):
    """Makes of this process what a new interpreter would be."""
    import numpy as np

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    np.random.seed()  # or all children would draw the same numbers
    how, *rest = arguments
    sys.argv = {"-m": rest, "-c": ["-c", *rest[1:]]}.get(how, arguments)
    named = how in ("-m", "-c")
    sys.path[0] = cwd if named else os.path.dirname(os.path.abspath(how))
    given = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [path for path in given if path and path not in sys.path]
    return how, rest


def _run(how, rest):
    import runpy
    import types

    if how == "-m":
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif how == "-c":
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), sys.modules["__main__"].__dict__)
    else:
        runpy.run_path(how, run_name="__main__")


if __name__ == "__main__":
    import gc

    _import_all()
    gc.collect()
    gc.freeze()
    _run(*_become(*_serve(socket.socket(fileno=int(sys.argv[1])))))
