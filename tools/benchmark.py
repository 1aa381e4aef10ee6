"""Measures the unroll: seconds to trace, milliseconds an outer step, peak memory.

    python tools/benchmark.py --steps=10,30,100,1000 --methods=back_gradient,full

    python tools/benchmark.py --side_by_side=4 --steps=30

compares several students in one graph with as many single ones, one after another, by
the threads that tfdistill sets and by TensorFlow's own.

    python tools/benchmark.py --peers=FOLDER --torch=PYTHON --jax=PYTHON

times the same outer steps in PyTorch and JAX, in turns (tools/peers.py).

Each cell runs in a process of its own, one after another, so that peak memory is the
cell's alone and figures of one call can be compared. The data is random: neither time
nor memory depends on values.
"""

import json
import os
import statistics
import sys
import time

import paths
import processes
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_list(
    "steps",
    ["10", "30", "100", "1000"],
    "Inner steps T: up to 10, or multiples of 10, since ten are gone through T / 10 "
    "times.",
)
METHODS = ["back_gradient", "full"]
flags.DEFINE_list("methods", METHODS, "Ways to the meta-gradient.")
flags.DEFINE_string("student", "lenet", "A student of tfdistill.students.")
flags.DEFINE_list("image_shape", ["28", "28", "1"], "Height, width, channels.")
flags.DEFINE_integer("batch_size", 1024, "Real images.", lower_bound=1)
flags.DEFINE_integer("images_per_class", 1, "Distilled images.", lower_bound=1)
flags.DEFINE_integer("students_per_step", 1, "Students side by side.", lower_bound=1)
flags.DEFINE_integer(
    "side_by_side",
    None,
    "Students to compare, by the first of --methods.",
    lower_bound=2,
)
flags.DEFINE_integer("turns", 3, "Processes for each side of that.", lower_bound=1)
flags.DEFINE_integer(
    "intra_op_threads", 1, "Threads of one operation; 0: as TensorFlow likes."
)
flags.DEFINE_integer("inter_op_threads", os.cpu_count(), "Operations side by side.")
flags.DEFINE_integer("repeats", 5, "Outer steps timed, after a first.", lower_bound=1)
flags.DEFINE_integer("full_limit", 100, "The largest T for the method full.")
flags.DEFINE_boolean("jit_compile", False, "Whether XLA compiles the step.")
paths.define(
    "peers", None, "A folder of the same work in other frameworks: see tools/peers.py."
)
paths.define("torch", None, "With --peers: the Python that has PyTorch.")
paths.define("jax", None, "With --peers: the Python that has JAX.")
paths.define("json", None, "Also write the figures here.")
flags.DEFINE_string(
    "cell", None, "Internal: METHOD,T,COMPARED, measured in this process."
)

MIB = 2**20
#: Distilled steps, as in the paper's tables.
STEPS = 10


@flags.validator("steps", "Up to 10, or multiples of 10, as in --steps=5,10,30.")
def _are_steps(values):
    return all(
        value.isdecimal() and 0 < int(value) and not int(value) % min(STEPS, int(value))
        for value in values
    )


@flags.validator("methods", f"Must be some of {', '.join(METHODS)}.")
def _are_methods(values):
    return {*values} <= {*METHODS}


@flags.multi_flags_validator(
    ["side_by_side", "students_per_step"],
    "Either several students a step, or a comparison of them with single ones: leave "
    "out --students_per_step or --side_by_side.",
)
def _is_one_of_both(given):
    return not given["side_by_side"] or given["students_per_step"] == 1


def measure(method: str, num_steps: int, count: int) -> dict:
    """One cell: traces and runs the outer step in this process.

    Several students (a count above 1) are compared with single ones.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    # What tfdistill does itself where it is imported before TensorFlow and Keras.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import keras
    import numpy as np
    import tensorflow as tf

    import tfdistill
    from tfdistill import inner

    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.intra_op_threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.inter_op_threads)
    rng = np.random.default_rng(0)
    shape = tuple(map(int, FLAGS.image_shape))

    def make_model():
        return tfdistill.students.build(FLAGS.student, shape, 10)

    model = make_model()
    student = inner.StatelessModel(model)
    start = tfdistill.RandomWeights()
    start.build(make_model, model)
    steps = min(STEPS, num_steps)
    labels = np.tile(np.arange(10), FLAGS.images_per_class)
    synthesizer = tfdistill.DistilledImages(
        rng.standard_normal((steps, len(labels), *shape)),
        labels,
        10,
        epochs=num_steps // steps,
    )
    kinds = {"back_gradient": inner.BackGradient, "full": inner.FullUnroll}
    meta_gradient = kinds[method]()

    def step_of(count):
        @tf.function(jit_compile=FLAGS.jit_compile, autograph=False)
        def outer_step(seed, images, labels):
            return [
                meta_gradient(
                    inner.Problem(
                        student,
                        synthesizer,
                        tfdistill.Classification(),
                        *start.sample(seed + k),
                        images,
                        labels,
                    )
                )
                for k in range(count)
            ]

        return outer_step

    seed = tf.constant([1, 2])
    images = rng.standard_normal((FLAGS.batch_size, *shape))
    images = tf.constant(images, tf.float32)
    labels = tf.constant(rng.integers(0, 10, FLAGS.batch_size), tf.int32)
    student(student.weights, student.state, images[:1], training=True)

    def timed(step, calls=1):
        clock = time.perf_counter()
        for _ in range(calls):
            gradient = step(seed, images, labels)[-1].gradients[0]
            keras.ops.convert_to_numpy(gradient)
        return 1000 * (time.perf_counter() - clock)

    if count > 1:
        alone, together = (inner.as_traced(step_of(n)) for n in (1, count))
        timed(alone), timed(together)
        # In turns, so that whatever else the machine does hits both.
        pairs = [(timed(alone, count), timed(together)) for _ in range(FLAGS.repeats)]
        return {
            "T": synthesizer.num_steps,
            "alone_ms": statistics.median(a for a, _ in pairs),
            "together_ms": statistics.median(t for _, t in pairs),
            "ratio": statistics.median(t / a for a, t in pairs),
        }
    outer_step = step_of(FLAGS.students_per_step)
    before = processes.peak_memory()
    clock = time.perf_counter()
    outer_step.get_concrete_function(seed, images, labels)
    trace = time.perf_counter() - clock
    outer_step = inner.as_traced(outer_step)
    timed(outer_step)
    times = [timed(outer_step) for _ in range(FLAGS.repeats)]
    return {
        "method": method,
        "T": synthesizer.num_steps,
        "trace_s": trace,
        "step_ms": statistics.median(times),
        "fastest_ms": min(times),
        # Beside what there was before: TensorFlow itself, and the data.
        "memory_bytes": processes.peak_memory() - before,
        "peak_mib": processes.peak_memory() / MIB,
        "weights_bytes": 4 * model.count_params(),
    }


def matmul_gflops() -> float:
    """float32 speed of this machine, in a product of two 2048 x 2048 matrices."""
    import numpy as np

    a = np.random.default_rng(0).standard_normal((2048, 2048)).astype("float32")
    times = []
    for _ in range(6):
        clock = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - clock)
    return 2 * 2048**3 / statistics.median(times[1:]) / 1e9


def main(argv) -> None:
    """Measures every cell and prints a Markdown table."""
    if FLAGS.cell:
        method, *numbers = FLAGS.cell.split(",")
        print(json.dumps(measure(method, *map(int, numbers))))
        return
    gflops = matmul_gflops()
    print(f"{os.cpu_count()} cores, {gflops:.0f} GFLOP/s in a 2048^3 float32 product")
    print(
        f"{FLAGS.student}, images {'x'.join(FLAGS.image_shape)}, real batch "
        f"{FLAGS.batch_size}, {FLAGS.students_per_step} student(s) a step\n"
    )
    if FLAGS.peers:
        import peers

        pythons = {"torch": FLAGS.torch, "jax": FLAGS.jax}
        cells = peers.compare(FLAGS.peers, pythons, FLAGS.turns)
    elif FLAGS.side_by_side:
        cells = compare_students(argv)
    else:
        cells = compare_steps(argv)
    if FLAGS.json:
        with open(FLAGS.json, "w", encoding="utf-8") as file:
            json.dump({"gflops": gflops, "cells": cells}, file, indent=1)


def _steps():
    """The T to measure, each once."""
    return dict.fromkeys(map(int, FLAGS.steps))


def compare_steps(argv) -> list[dict]:
    """Measures each method and T, and prints a table; returns its cells."""
    print("| method | T | trace s | outer step ms | peak memory MiB |")
    print("|---|---|---|---|---|")
    cells = []
    for method in dict.fromkeys(FLAGS.methods):
        for num_steps in _steps():
            if method == "full" and num_steps > FLAGS.full_limit:
                print(f"| full | {num_steps} | above --full_limit | | |")
                continue
            cell = _cell(argv, method, num_steps)
            cells.append(cell)
            print(
                f"| {method} | {cell['T']} | {cell['trace_s']:.2f} | "
                f"{cell['step_ms']:.0f} | {cell['memory_bytes'] / MIB:.0f} |",
                flush=True,
            )
    ours = [c for c in cells if c["method"] == "back_gradient"]
    if len(ours) > 1:
        first, last = ours[0], ours[-1]
        slope = (last["memory_bytes"] - first["memory_bytes"]) / (
            last["T"] - first["T"]
        )
        print(
            f"\nback_gradient: {slope / 1024:.0f} KiB a step = "
            f"{slope / last['weights_bytes'] / FLAGS.students_per_step:.2f} x the "
            "student's weights"
        )
    return cells


def _cell(argv, method, num_steps, *more, count=1):
    """What `measure` gives in a process of its own."""
    command = [sys.executable, *argv[:1], *sys.argv[1:], *more]
    return processes.figures([*command, f"--cell={method},{num_steps},{count}"])


def compare_students(argv) -> list[dict]:
    """Students side by side, and one after another by our threads and TensorFlow's.

    Returns:
        For each T the medians that the table shows, and those of each turn.
    """
    method, count = FLAGS.methods[0], FLAGS.side_by_side
    usual = ("--intra_op_threads=0", "--inter_op_threads=0")
    print(
        "| T | one after another, TensorFlow's threads ms | one after another ms | "
        "side by side ms | ratio to the first | to the second |"
    )
    print("|---|---|---|---|---|---|")
    names = "usual_ms", "alone_ms", "together_ms", "ratio_to_usual", "ratio"
    cells = []
    for num_steps in _steps():
        turns = []
        # In turns: how fast a machine is changes from minute to minute.
        for _ in range(FLAGS.turns):
            theirs = count * _cell(argv, method, num_steps, *usual)["step_ms"]
            ours = _cell(argv, method, num_steps, count=count)
            ours |= {
                "usual_ms": theirs,
                "ratio_to_usual": ours["together_ms"] / theirs,
            }
            turns.append({name: ours[name] for name in names})
        cell = {"method": method, "T": ours["T"], "students": count}
        cell |= {name: statistics.median(t[name] for t in turns) for name in names}
        cells.append({**cell, "turns": turns})
        print(
            f"| {cell['T']} | {cell['usual_ms']:.0f} | {cell['alone_ms']:.0f} | "
            f"{cell['together_ms']:.0f} | {cell['ratio_to_usual']:.2f} | "
            f"{cell['ratio']:.2f} |",
            flush=True,
        )
    return cells


if __name__ == "__main__":
    app.run(main)
