"""Workers find each other, or say who is missing, who is wrong, and why."""

import contextlib
import json
import signal
import socket
import threading
import time

import pytest
from commands import start

from tfdistill.runs import cluster, strategies

FLAGS = ["distill", "--strategy=multi_worker", "--student=linear", "--workdir=run"]


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]


def config(ports, index, job="worker", **others):
    addresses = [f"localhost:{port}" for port in ports]
    return json.dumps(
        {"cluster": {job: addresses}, "task": {"type": job, "index": index}, **others}
    )


def meet(monkeypatch, ports, abouts, wait=20, starts=None):
    """What each worker was told, or the sentence with which it was refused."""
    monkeypatch.setenv(cluster.WAIT_VARIABLE, str(wait))
    addresses = [f"localhost:{port}" for port in ports]
    found = {}

    def take_part(index, about):
        try:
            cluster._Meeting(addresses, index, about).hold(lambda text: None)
            found[index] = "met"
        except ValueError as error:
            found[index] = str(error)

    starts = starts or [0.3 * k for k in range(len(abouts))]
    threads = [
        threading.Timer(seconds, take_part, each)
        for seconds, each in zip(starts, enumerate(abouts), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [found[k] for k in range(len(abouts))]


@pytest.mark.parametrize("count", [2, 4])
def test_workers_meet(monkeypatch, count):
    assert meet(monkeypatch, free_ports(count), [["--seed=1"]] * count) == (
        ["met"] * count
    )


@pytest.mark.parametrize("gone", [0, 1])
def test_who_hangs_up_before_the_answer_was_not_told(monkeypatch, gone):
    """A busy machine's caller gives up; what is then answered reaches nobody."""
    ports = free_ports(2)
    hello = json.dumps([gone, "", []]).encode() + b"\n"

    def call():
        with socket.create_connection(("localhost", ports[1 - gone]), 1) as s:
            s.sendall(hello)

    def busy(self, *args, ask=cluster._Meeting._ask):
        if self._own == gone:
            time.sleep(1)
        ask(self, *args)

    monkeypatch.setattr(cluster._Meeting, "_ask", busy)
    caller = threading.Timer(1, call)
    caller.start()
    starts = [3 if k == gone else 0 for k in range(2)]
    assert meet(monkeypatch, ports, [[], []], starts=starts) == ["met", "met"]
    caller.join()


@pytest.mark.parametrize("count", [2, 8])
def test_workers_that_come_at_once_meet(monkeypatch, count):
    started = time.monotonic()
    starts = [0] * count
    found = meet(monkeypatch, free_ports(count), [[]] * count, starts=starts)
    assert found == ["met"] * count
    assert time.monotonic() - started < cluster._PATIENCE  # none waited in vain


class Stopped(Exception):
    """Somebody has stopped a worker."""


class Worker(threading.Thread):
    """One of three workers, in a thread of its own."""

    def __init__(self, ports, index, about=()):
        super().__init__()
        addresses = [f"localhost:{port}" for port in ports]
        self.meeting = cluster._Meeting(addresses, index, about)
        self.is_stopped, self.found = False, None
        self.start()

    def run(self):
        def tell(text):
            if self.is_stopped:
                raise Stopped

        try:
            self.meeting.hold(tell)
            self.found = "met"
        except (Stopped, ValueError) as error:
            self.found = str(error)

    def stop(self):
        self.is_stopped = True
        self.join(10)

    def waits_for_the_last(self):
        """Whether it has met all others but worker 2, within some seconds."""
        for _ in range(100):
            if self.meeting._unheard == self.meeting._uninformed == {2}:
                return True
            time.sleep(0.1)
        return False


@pytest.fixture
def quick(monkeypatch):
    """Workers that wait 20 seconds at most, and can be stopped at any time."""
    monkeypatch.setenv(cluster.WAIT_VARIABLE, "20")
    monkeypatch.setattr(cluster, "_SHOW_AFTER", 0)
    monkeypatch.setattr(cluster, "_SHOW_EVERY", 0)
    monkeypatch.setattr(cluster, "_QUIET", 0.5)


def started_again(ports, index, about=()):
    """One of two that wait for a third, and the other, stopped and started again."""
    stays, stopped = Worker(ports, 1 - index), Worker(ports, index)
    assert stays.waits_for_the_last() and stopped.waits_for_the_last()
    stopped.stop()
    return stays, Worker(ports, index, about)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_that_was_started_again_meets_the_others(index):
    ports = free_ports(3)
    stays, again = started_again(ports, index)
    assert again.waits_for_the_last() and stays.waits_for_the_last()
    workers = [stays, again, Worker(ports, 2)]
    for worker in workers:
        worker.join(20)
    assert [worker.found for worker in workers] == ["met"] * 3


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_that_was_started_again_with_other_flags_is_told(index):
    stays, again = started_again(free_ports(3), index, ["--seed=1"])
    for worker in (stays, again):
        worker.join(20)
        assert "is to do something else" in worker.found


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("index", [0, 1])
def test_who_calls_twice_was_not_started_again(index):
    """It does so if its thanks for the answer got lost."""
    ports = free_ports(3)
    workers = [Worker(ports, k) for k in range(2)]
    assert all(worker.waits_for_the_last() for worker in workers)
    workers[index].meeting._ask(1 - index, 10)
    assert workers[1 - index].meeting._unheard == {2}
    workers.append(Worker(ports, 2))
    for worker in workers:
        worker.join(20)
    assert [worker.found for worker in workers] == ["met"] * 3


def test_who_calls_out_of_turn_does_not_wait_for_long(monkeypatch):
    monkeypatch.setattr(cluster, "_QUIET", 0)
    test_workers_that_come_at_once_meet(monkeypatch, 3)


@pytest.mark.parametrize("flags", [["--seed=1"], ["--seed=0", "--outer_steps=9"]])
def test_other_flags_are_told_to_both(monkeypatch, flags):
    first, second = meet(monkeypatch, free_ports(2), [["--seed=0"], flags])
    assert first.startswith("Worker 1 (localhost:") and flags[-1] in first
    assert second.startswith("Worker 0 (localhost:") and "same command" in second


def test_who_is_missing_is_named(monkeypatch):
    ports = free_ports(3)
    found = meet(monkeypatch, ports, [[], []], wait=2)
    for sentence in found:
        assert f"worker 2 (localhost:{ports[2]}) did not come within 2" in sentence


def test_strangers_that_call_are_not_workers(monkeypatch):
    ports = free_ports(2)

    def call():
        for text in (b"GET / HTTP/1.1\r\n", b"[7, 1, []]\n", b"[" * 10**5, b""):
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                with socket.create_connection(("localhost", ports[0]), 1) as s:
                    s.sendall(text)

    thread = threading.Thread(target=call)
    thread.start()
    assert meet(monkeypatch, ports, [[], []]) == ["met", "met"]
    thread.join()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "TF_CONFIG cannot be used: Expecting"),
        ("[1]", "it holds no object"),
        (config([1, 2], 2), "index 2 is out of range: there are 2"),
        (config([1, 2], -1), "index must be a whole number"),
        (config([1, 2], "0"), "index must be a whole number"),
        (config([1, 1], 0), "two workers have the same address"),
        (config([1, 2], 0, job="ps"), "the jobs ps; use worker"),
        (config([1, 2], 0, task={"type": "chief", "index": 0}), "type must be one of"),
        (config([1, 2], 0, task=[]), "task must be an object"),
        ('{"cluster": {"worker": "a:1"}}', "worker must be a list"),
        (config([1, 70000], 0), "must be an address like host:2222"),
    ],
)
def test_a_wrong_tf_config_is_named(monkeypatch, text, says):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG cannot be used") as caught:
        strategies.make("multi_worker")
    assert says in str(caught.value)


def test_no_cluster_is_one_worker(monkeypatch):
    for text in ("", "{}", config([1], 0)):
        monkeypatch.setenv("TF_CONFIG", text)
        cluster.gather()


def test_a_taken_port_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "_PORT_SECONDS", 0.3)
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        ports = [taken.getsockname()[1], *free_ports(1)]
        monkeypatch.setenv("TF_CONFIG", config(ports, 0))
        with pytest.raises(ValueError, match=f"The port {ports[0]} of this worker"):
            cluster.gather()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_whoever_waits_hears_signals(tmp_path, number):
    ports = free_ports(2)
    process = start(*FLAGS, cwd=tmp_path, TF_CONFIG=config(ports, 1))
    line = process.stderr.readline()
    assert f"Waiting for worker 0 (localhost:{ports[0]}), for 60 minutes" in line
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 128 + number


def test_commands_with_other_flags_end_in_a_sentence(tmp_path):
    ports = free_ports(2)
    processes = [
        start(*FLAGS, f"--seed={k}", cwd=tmp_path, TF_CONFIG=config(ports, k))
        for k in range(2)
    ]
    for k, process in enumerate(processes):
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 2, errors
        assert f"it has --seed={1 - k}, this one (worker {k}) has --seed={k}" in errors
