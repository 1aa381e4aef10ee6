"""Times tfdistill beside the same work in PyTorch and JAX, in turns on this machine.

    python tools/benchmark.py --peers=FOLDER --torch=A/bin/python --jax=B/bin/python

FOLDER has torch_unroll.py, jax_unroll.py and jax_ridge.py, small programs
that do one outer step and print its milliseconds as a JSON line. Each framework runs by
the Python of its own virtual environment; one that is not given is left out. A turn is
ours, then theirs; the table has the medians over turns, and the median of the ratios.
"""

import argparse
import json
import os
import statistics
import sys
import time
from typing import NamedTuple

import processes

_HERE = os.path.dirname(os.path.abspath(__file__))


class Pair(NamedTuple):
    """The same work, here and there.

    Attributes:
        name: What it is.
        ours: Arguments of benchmark.py, or of this file for the ridge step.
        framework: "torch" or "jax".
        theirs: A peer's file and arguments.
        students: Number of students in each step; times are for one.
    """

    name: str
    ours: tuple[str, ...]
    framework: str
    theirs: tuple[str, ...]
    students: int = 1


def _unroll(student, shape="28,28,1", count=1):
    return (
        "--cell=back_gradient,30,1",
        f"--student={student}",
        f"--image_shape={shape}",
        "--batch_size=1024",
        f"--students_per_step={count}",
    )


_RIDGE = ("--width=32", "--side=32", "--batch=512")
PAIRS = [
    Pair("LeNet, T = 30", _unroll("lenet"), "torch", ("torch_unroll.py", "lenet")),
    Pair(
        "LeNet, T = 30, four students",
        _unroll("lenet", count=4),
        "torch",
        ("torch_unroll.py", "lenet", "--students=4"),
        4,
    ),
    Pair(
        "AlexCifarNet, T = 30",
        _unroll("alex_cifar_net", "32,32,3"),
        "torch",
        ("torch_unroll.py", "alex_cifar_net"),
    ),
    Pair("LeNet, T = 30, JAX", _unroll("lenet"), "jax", ("jax_unroll.py",)),
    Pair(
        "ridge, widths 32-64-128, 32 px, batch 512",
        ("ridge", *_RIDGE),
        "jax",
        ("jax_ridge.py", *_RIDGE, "--doubling"),
    ),
]


def compare(folder: str, pythons: dict[str, str], turns: int) -> list[dict]:
    """Runs all pairs whose framework has a Python; prints a Markdown table.

    Args:
        folder: Where the peers are.
        pythons: The Python of each framework's environment.
        turns: Number of turns.

    Returns:
        A row for each pair: the medians that the table shows, and of each turn our
        figure and theirs: milliseconds, and the peak memory of the whole process in MiB
        (None where a peer doesn't print its `peak_mib`); of the ridge step, how many
        times as long it takes as its `arithmetic` would.
    """
    print("| one outer step, for a student | ours ms | theirs ms | ratio |")
    print("|---|---|---|---|")
    found = []
    for pair in PAIRS:
        python = pythons.get(pair.framework)
        if not python:
            continue
        times: list[tuple[float, float]] = []
        peaks: list[tuple[float, float | None]] = []
        arithmetic: list[float] = []
        for _ in range(turns):
            ours = processes.figures(_command(pair.ours))
            theirs = processes.figures(
                [python, os.path.join(folder, pair.theirs[0]), *pair.theirs[1:]]
            )
            times.append((_ms(ours) / pair.students, _ms(theirs)))
            peaks.append((ours["peak_mib"], theirs.get("peak_mib")))
            if "arithmetic_ms" in ours:
                arithmetic.append(ours["ms"] / ours["arithmetic_ms"])
        row = {
            "name": pair.name,
            "framework": pair.framework,
            "ours_ms": statistics.median(a for a, _ in times),
            "theirs_ms": statistics.median(b for _, b in times),
            "ratio": statistics.median(a / b for a, b in times),
            "turns": times,
            "peak_mib": peaks,
        }
        if arithmetic:
            row["arithmetic"] = statistics.median(arithmetic)
        found.append(row)
        print(
            f"| {pair.name} ({pair.framework}) | {row['ours_ms']:.0f} | "
            f"{row['theirs_ms']:.0f} | {row['ratio']:.2f} |",
            flush=True,
        )
    for row in found:
        if "arithmetic" in row:
            print(f"\n{row['name']}: {row['arithmetic']:.2f} times its arithmetic.")
    return found


def _command(ours):
    if ours[0] == "ridge":
        return [sys.executable, os.path.abspath(__file__), *ours[1:]]
    return [sys.executable, os.path.join(_HERE, "benchmark.py"), *ours]


def _ms(found):
    """Milliseconds of a step: ours of all its students together, a peer's of one."""
    return next(found[n] for n in ("ms", "step_ms", "ms_a_student") if n in found)


def ridge(width: int, side: int, batch: int, repeats: int = 9) -> dict:
    """One outer step of feature regression, with a pool of one network, as in JAX.

    Returns:
        Its milliseconds, `arithmetic_ms`, in which its operations take place at the
        speed of a large matrix product (2048 x 2048) right after it, and the peak
        memory.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    sys.path.insert(0, os.path.dirname(_HERE))

    import numpy as np
    import operations

    import tfdistill

    rng = np.random.default_rng(0)
    shape = (side, side, 1)
    images = tfdistill.DistilledImages(
        rng.standard_normal((1, 100, *shape)),
        np.arange(100) % 10,
        10,
        epochs=1,
        centred_labels=True,
        recipe=tfdistill.OrdinaryTraining(),
    )
    distiller = tfdistill.Distiller(
        f"wide_convnet@{width}-{2 * width}-{4 * width}",
        images,
        tfdistill.LearningStudents(size=1),
        "least_squares",
        meta_gradient=tfdistill.RidgeRegression(),
    )
    distiller.compile(students_per_step=1, clip=None, back_off=0.0)
    real = rng.standard_normal((batch, *shape)).astype("float32")
    labels = rng.integers(0, 10, batch).astype("int32")
    import tensorflow as tf

    data = tf.data.Dataset.from_tensors((tf.constant(real), tf.constant(labels)))
    step = distiller.make_train_function() or distiller.train_function
    iterator = iter(data.repeat())
    ms = _median_ms(lambda: step(iterator), repeats)
    peak = processes.peak_memory() / 2**20
    # By TensorFlow: NumPy's product may be by fewer threads.
    square = tf.random.normal([2048, 2048])
    product = _median_ms(lambda: (square @ square).numpy(), repeats)
    (student, _), *_ = distiller.population.members
    share = operations.ridge(student.model, 100, batch) / (2 * 2048**3)
    return {
        "ms": ms,
        "arithmetic_ms": share * product,
        "peak_mib": peak,
    }


def _median_ms(call, repeats):
    """Milliseconds of a call, the median of some after the first two."""
    times = []
    for _ in range(repeats + 2):
        clock = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - clock))
    return statistics.median(times[2:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Times one ridge step.")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=512)
    print(json.dumps(ridge(**vars(parser.parse_args()))))
