"""Kills a run at random moments, fills its disk, damages its backup.

    python tools/chaos.py --kills=20

Whatever happens, the run must end with the distilled images of an undisturbed one, and
nobody who looks into its folder may ever see half a file. Ends with one line that says
so, or with what was wrong, and the status 1. The part with the full disk mounts a small
file system, and is left out where that is not allowed.
"""

import contextlib
import glob
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

from tfdistill.runs import files

FLAGS = flags.FLAGS
flags.DEFINE_integer("kills", 20, "How often the run is killed.", lower_bound=0)
flags.DEFINE_integer("outer_steps", 4000, "Of each run.", lower_bound=20)
flags.DEFINE_integer("seed", 0, "Of the moments.")
flags.DEFINE_float("tolerance", 1e-5, "Of pixels, labels and rates.")
flags.DEFINE_boolean("full_disk", True, "Whether to fill a disk, too.")
flags.DEFINE_boolean("damage", True, "Whether to damage a backup, too.")

_FULL = "the disk is full"


class Wrong(Exception):
    """What must not happen."""


class Run:
    """A run of tfdistill in a folder, at which one can look while it is at work."""

    def __init__(self, folder):
        self.folder = folder
        self.looks = 0
        self.most = 0

    @contextlib.contextmanager
    def at_work(self):
        """Starts, or goes on; the process is dead after the block, whatever happens."""
        with self._start() as process:
            try:
                yield process
            finally:
                process.kill()

    def _start(self):
        flag_values = {
            "workdir": self.folder,
            "student": "mlp",
            "outer_steps": FLAGS.outer_steps,
            "report_every": max(1, FLAGS.outer_steps // 40),
            "steps": 3,
            "epochs": 2,
            "batch_size": 100,
            "num_students": 4,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tfdistill", "distill"]
            + [f"--{name}={value}" for name, value in flag_values.items()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        )

    def watch(self, process, seconds=600.0, until=lambda: False):
        """Looks into the folder until the process ends or something has come."""
        end = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < end and not until():
            self.look()
            time.sleep(0.02)
        self.look()

    def end(self, process):
        """Looks into the folder until the process ends; returns what it printed."""
        self.watch(process)
        if process.poll() is None:
            raise Wrong("the run does not end")
        return process.communicate()[0]

    def finish(self):
        """Goes on to the end; returns what was printed."""
        with self.at_work() as process:
            output = self.end(process)
        if process.returncode:
            raise Wrong(f"the run failed:\n{output}")
        return output

    def backups(self):
        """The numbers of the outer steps that are backed up."""
        names = glob.glob(os.path.join(self.folder, "backup", "ckpt-*.index"))
        return sorted(int(n.rpartition("-")[2].removesuffix(".index")) for n in names)

    def evaluations(self):
        """How many are in the journal."""
        return len(self._whole("journal/*.npz"))

    def _whole(self, pattern):
        """Paths in the folder whose names say that all of them is written."""
        paths = glob.glob(os.path.join(self.folder, pattern))
        return [path for path in paths if not files.final_name(path)]

    def look(self):
        """Checks every file that has its final name."""
        self.looks += 1
        self.most = max(self.most, self.evaluations())
        for name, is_whole in _WHOLE.items():
            for path in self._whole(name):
                before = _inode(path)
                try:
                    whole = is_whole(path)
                except (FileNotFoundError, ValueError, KeyError):
                    whole = False
                # Another inode: it was replaced while it was read.
                if not whole and before and _inode(path) == before:
                    raise Wrong(f"{path} is there, and not whole")
        numbers = self.backups()
        data = os.path.join(self.folder, "backup", f"ckpt-{max(numbers, default=0)}.d*")
        if numbers and not glob.glob(data) and self.backups() == numbers:
            raise Wrong(f"{data} is missing")

    def result(self):
        """The distilled images and rates."""
        from tfdistill import DistilledDataset

        return DistilledDataset.load(os.path.join(self.folder, "distilled"))


def _inode(path):
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None


def _is_json(path):
    with open(path, encoding="utf-8") as file:
        return bool(json.load(file))


def _ends(path, ending):
    with open(path, "rb") as file:
        return file.read().endswith(ending)


def _is_distilled(path):
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    for name, expected in content["sha256"].items():
        if name == os.path.basename(path):
            continue
        with open(os.path.join(os.path.dirname(path), name), "rb") as file:
            if hashlib.sha256(file.read()).hexdigest() != expected:
                return False
    return True


def _is_npz(path):
    import zipfile

    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except zipfile.BadZipFile:
        return False


def _is_model(path):
    return os.path.isfile(os.path.join(path, "1", "variables", "variables.index"))


_WHOLE = {
    "metrics.json": _is_json,
    "flags.txt": lambda path: _ends(path, b"\n"),
    "distilled/tfdistill.json": _is_distilled,
    "student": _is_model,
    "images/*.png": lambda path: _ends(path, b"IEND\xaeB`\x82"),
    "journal/*.npz": _is_npz,
}


def difference(a: Run, b: Run) -> float:
    """The largest one, of pixels, labels and rates; NaN if there is a NaN in either."""
    a, b = a.result(), b.result()
    names = "images", "labels", "learning_rates"
    pairs = [(getattr(a, name), getattr(b, name)) for name in names]
    return float(np.max([np.abs(x - y).max() for x, y in pairs]))


def moments(kills: int, start_seconds: float, evaluations: int):
    """When to kill: what must have come in the folder, and seconds after that.

    A third while it tests and writes its result; of the others some before its first
    backup of the time. They come in order, so that the run never ends before.
    """
    late = kills // 3
    for step in sorted(random.choices(range(FLAGS.outer_steps), k=kills - late)):
        if random.random() < 0.3:
            yield lambda run: True, random.uniform(0, start_seconds)
        else:
            # Four more backups come, at least, after that.
            step = min(step, FLAGS.outer_steps * 9 // 10)
            yield (
                lambda run, step=step: run.backups()[-1:] > [step],
                random.random() / 5,
            )
    for number in sorted(random.choices(range(1, evaluations), k=max(0, late - 2))):
        yield lambda run, number=number: run.evaluations() >= number, 0
    if late > 1:
        yield lambda run: os.path.exists(os.path.join(run.folder, "distilled")), 0
    if late:
        yield lambda run: os.path.exists(os.path.join(run.folder, "student")), 0


def kill(run: Run, kills: int, start_seconds: float, evaluations: int) -> None:
    """Kills a run, again and again.

    Args:
        run: A new one.
        kills: How often.
        start_seconds: From the start of a run to its first backup.
        evaluations: How many it makes at its end.
    """
    every = moments(kills, start_seconds, evaluations)
    for number, (come, seconds) in enumerate(every, 1):
        with run.at_work() as process:
            run.watch(process, until=lambda come=come: come(run))
            run.watch(process, seconds)
            if process.poll() is not None:
                output = process.communicate()[0]
                raise Wrong(f"it ended before kill {number} of {kills}:\n{output}")
        run.look()
        print(
            f"kill {number}: backups {run.backups()}, evaluations {run.evaluations()}",
            flush=True,
        )


def damage(run: Run) -> None:
    """Kills a run and damages its newest backup; it must fall back, with a warning."""
    with run.at_work() as process:
        run.watch(process, until=lambda: len(run.backups()) > 1)
    newest = run.backups()[-1]
    (path,) = glob.glob(os.path.join(run.folder, "backup", f"ckpt-{newest}.data*"))
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x10]))
    output = run.finish()
    if "damaged; trying the one before" not in output:
        raise Wrong(f"a damaged backup was not noticed:\n{output}")


def fill(run: Run, size: int) -> bool:
    """Runs on a disk that is too small until there is space.

    Args:
        run: A new one, whose folder's parent is made into the disk.
        size: Of an undisturbed run, in bytes.

    Returns:
        Whether a disk could be mounted.
    """
    disk = os.path.dirname(run.folder)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={2 * size + 2**21}", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True).returncode:
        return False
    try:
        ballast = os.path.join(disk, "ballast")
        for share in (0.1, 0.5, 0.8):
            free = shutil.disk_usage(disk).free
            if os.path.exists(ballast):
                free += os.path.getsize(ballast)
            with open(ballast, "wb") as file:
                file.write(bytes(max(0, int(free - share * size))))
            with run.at_work() as process:
                output = run.end(process)
            if process.returncode == 0:
                break  # it was small enough
            if process.returncode != 1 or _FULL not in output or "Trace" in output:
                raise Wrong(f"a full disk was not told in one sentence:\n{output}")
            print(f"disk full: {output.splitlines()[-1]}", flush=True)
        os.remove(ballast)
        run.finish()
        run.kept = run.result()
    finally:
        subprocess.run(["umount", disk], check=True)
    return True


def _size(folder):
    paths = glob.glob(os.path.join(folder, "**"), recursive=True)
    return sum(os.path.getsize(p) for p in paths if os.path.isfile(p))


def main(_) -> None:
    """Runs everything and says how it went."""
    random.seed(FLAGS.seed)
    with tempfile.TemporaryDirectory(prefix="chaos-") as base:
        disturb(base)


def disturb(base: str) -> None:
    """Runs undisturbed, and with every disturbance, in an empty folder."""
    whole = Run(os.path.join(base, "whole"))
    began = time.monotonic()
    with whole.at_work() as process:
        whole.watch(process, until=lambda: whole.backups())
        start_seconds = time.monotonic() - began
        output = whole.end(process)
    if process.returncode:
        raise Wrong(f"the undisturbed run failed:\n{output}")
    print(
        f"undisturbed: {start_seconds:.1f} s to the first backup, "
        f"{time.monotonic() - began:.1f} s in all",
        flush=True,
    )
    done, runs = [], [whole]
    if FLAGS.kills:
        killed = Run(os.path.join(base, "killed"))
        kill(killed, FLAGS.kills, start_seconds, whole.most)
        killed.finish()
        runs.append(killed)
        done.append(f"{FLAGS.kills} kills")
    if FLAGS.damage:
        damaged = Run(os.path.join(base, "damaged"))
        damage(damaged)
        runs.append(damaged)
        done.append("a damaged backup")
    if FLAGS.full_disk:
        disk = os.path.join(base, "disk")
        os.mkdir(disk)
        full = Run(os.path.join(disk, "run"))
        if fill(full, _size(whole.folder)):
            full.result = lambda: full.kept
            runs.append(full)
            done.append("a full disk")
        else:
            done.append("no full disk (nothing may be mounted here)")
    largest = float(np.max([difference(run, whole) for run in runs]))
    # A NaN is not within it.
    if not largest <= FLAGS.tolerance:
        raise Wrong(f"the images differ from the undisturbed run's by {largest:.1e}")
    print(
        f"chaos: {', '.join(done)}: the same distilled images as undisturbed (largest "
        f"difference {largest:.1e}), no partial file in {sum(r.looks for r in runs)} "
        "looks."
    )


if __name__ == "__main__":
    try:
        app.run(main)
    except Wrong as wrong:
        sys.exit(f"chaos: {wrong}")
