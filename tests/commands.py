"""How tests run programs: in processes of their own, without importing again.

A process that has imported what the commands need, and has computed nothing, forks a
child for each program. The child has its own folder, environment, files, signals and
exit status, as a new interpreter has; what it lacks are the seconds in which TensorFlow
is imported. With `fresh=True` a new interpreter runs it: tests do so once with every
command at the least.
"""

import contextlib
import functools
import gc
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
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


def python():
    """A Python like `sys.executable`, for programs that start others themselves."""
    return _server().python


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
    """A program that the server forked, with what tests use of `subprocess.Popen`."""

    def __init__(self, arguments, cwd, environment, together):
        self.args, self.returncode = arguments, None
        pipes = [os.pipe() for _ in range(1 if together else 2)]
        ends = [write for _, write in pipes]
        with open(os.devnull) as nothing:
            given = [nothing.fileno(), ends[0], ends[-1]]
            self._status = _ask(_server().path, [arguments, cwd, environment], given)
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


class Server:
    """The process that has imported all, and a Python that it is asked for.

    Attributes:
        path: The socket on which it hears.
        python: A program that has it run what a new interpreter would.

    Args:
        folder: Where it hears; None starts one.
    """

    def __init__(self, folder=None):
        self.folder = folder or tempfile.mkdtemp(prefix="python-")
        self.path = os.path.join(self.folder, "socket")
        self.python = os.path.join(self.folder, "python")
        self._process = None if folder else self._start()

    def _start(self):
        this = os.path.abspath(__file__)
        with open(self.python, "w") as file:
            line = shlex.join([sys.executable, "-IS", this, "ask", self.path])
            file.write(f'#!/bin/sh\nexec {line} "$@"\n')
        os.chmod(self.python, 0o700)
        # A request waits in this socket until the server has imported all.
        with socket.socket(socket.AF_UNIX) as hears:
            hears.bind(self.path)
            hears.listen(64)
            return subprocess.Popen(
                [sys.executable, this, "serve", str(hears.fileno()), self.python],
                stdin=subprocess.PIPE,  # it ends with this process
                pass_fds=[hears.fileno()],
                # gRPC's preparations for a fork let workers that are forked hang.
                env={
                    **_environment(),
                    "MPLBACKEND": "Agg",
                    "GRPC_ENABLE_FORK_SUPPORT": "0",
                },
            )

    def stop(self):
        """Ends it, if this process has started it."""
        if self._process:
            self._process.communicate()
            shutil.rmtree(self.folder)


# Threads of a test may start it.
_servers = []
_starting = threading.Lock()
_SHARED = "SERVER_OF_TESTS"  # a variable: where the one of all processes hears


def share():
    """Starts the server of the processes that this one will start."""
    os.environ[_SHARED] = _server().folder


def _server():
    with _starting:
        if not _servers:
            _servers.append(Server(os.environ.get(_SHARED)))
        return _servers[0]


def stop():
    """Ends the server, if there is one."""
    while _servers:
        _servers.pop().stop()


def _ask(path, request, files):
    """Asks for a program: the socket on which its process and its exit status come."""
    status = socket.socket(socket.AF_UNIX)
    status.connect(path)
    socket.send_fds(status, [json.dumps(request).encode() + b"\n"], files)
    return status


# What follows runs in place of `python`, for programs that start others.


def _stand_in(path, arguments):
    """Has the server run a program, and ends as that does."""
    if arguments[:1] not in (["-m"], ["-c"]) and arguments[0].startswith("-"):
        os.execv(sys.executable, [sys.executable, *arguments])
    environment = dict(os.environ)
    with _ask(path, [arguments, os.getcwd(), environment], (0, 1, 2)) as status:
        reports = status.makefile()
        pid = int(reports.readline())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, lambda given, _: os.kill(pid, given))
        code = int(reports.readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


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


def _serve(number):
    """Forks a child a request; returns, in the child, what it is to run.

    Args:
        number: Of the file on which it hears.
    """
    running = {}
    heard, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    hears = socket.socket(fileno=number)
    while True:
        waited = {status: pid for pid, status in running.items()}
        ready, _, _ = select.select([0, heard, hears, *waited], [], [])
        if 0 in ready:
            os._exit(0)
        if heard in ready:
            os.read(heard, 2**10)
            _report_ends(running)
        for status in {*ready} & {*waited}:
            # Who asked for it has been killed.
            pid = waited[status]
            if running.pop(pid, None):
                os.kill(pid, signal.SIGKILL)
                status.close()
        if hears not in ready:
            continue
        status, _ = hears.accept()
        request, given = _request(status)
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number, file in enumerate(given):
                os.dup2(file, number)
            for number in (heard, wakes, *given):
                os.close(number)
            for own in (hears, status, *running.values()):
                own.close()
            return json.loads(request)
        for file in given:
            os.close(file)
        running[pid] = status
        status.sendall(b"%d\n" % pid)


def _request(status):
    """A line, and the three files that came with it."""
    line, given = b"", []
    while not line.endswith(b"\n"):
        part, files, _, _ = socket.recv_fds(status, 2**20, 3)
        line, given = line + part, given + files
    return line, given


def _report_ends(running):
    while True:
        try:
            pid, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        status = running.pop(pid, None)
        if status is None:
            continue
        with status, contextlib.suppress(BrokenPipeError):
            status.sendall(b"%d\n" % os.waitstatus_to_exitcode(code))


def _become(python, arguments, cwd, environment):
    """Makes of this process what a new interpreter would be."""
    import numpy as np

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    np.random.seed()  # or all children would draw the same numbers
    sys.executable, sys.orig_argv = python, [python, *arguments]
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
    _, what, where, *rest = sys.argv
    if what == "ask":
        _stand_in(where, rest)
    _import_all()
    gc.collect()
    gc.freeze()
    _run(*_become(*rest, *_serve(int(where))))
