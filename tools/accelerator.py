"""Measures outer steps, and checks meta-gradients, on a GPU: everything in one run.

    python tools/accelerator.py --minutes=9 --json=accelerator.json

One table: the error of meta-gradients against the CPU's, the time and memory of outer
steps, and layers that are troublesome on accelerators. What fails is a row that says
why. Where there is no GPU, all of it runs on the CPU (`--size=tiny` for a trial).

All cells run in one process, since it takes seconds to start TensorFlow on a GPU, and
the cheapest runs come first: what `--minutes` leaves out is the least of it.
"""

import dataclasses
import functools
import json
import os
import platform
import sys
import time
from collections.abc import Callable

import paths
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_list("cells", None, "What to distill for; all by default.")
flags.DEFINE_list("students", None, "Students a step. Default: 1,4,16,64; tiny: 1.")
flags.DEFINE_list(
    "precisions",
    None,
    "Students' policies. Default: float32,mixed_bfloat16; tiny: float32.",
)
flags.DEFINE_list("jit", ["true", "false"], "Whether XLA compiles the students.")
flags.DEFINE_integer("repeats", 10, "Outer steps timed, after two.", lower_bound=1)
flags.DEFINE_float("minutes", 60.0, "After these no cell is started.", lower_bound=0)
flags.DEFINE_float("cell_minutes", 3.0, "No cell that looks like taking longer.")
flags.DEFINE_boolean("layers", True, "Whether to try troublesome layers.")
flags.DEFINE_boolean("checks", True, "Whether to check the cells' meta-gradients.")
flags.DEFINE_enum("size", "full", ["full", "tiny"], "Tiny: a trial on a CPU.")
paths.define("json", None, "Also write the rows here, after each.")

# TensorFlow's default on a GPU: products of float32 in TF32. The checks' float32 is
# without it, to tell rounding from mistakes.
TF32 = "float32 by TF32"

COLUMNS = {
    "what": "",
    "cell": "",
    "precision": "",
    "jit": "",
    "students": "",
    "first_step_s": ".1f",
    "step_ms": ".2f",
    "student_ms": ".2f",
    "peak_mib": ".0f",
    "percent_of_product": ".2f",
    "relative_error": ".1e",
    "error": "",
}


@dataclasses.dataclass
class Job:
    """One row to come.

    Attributes:
        row: What is known of it.
        run: Gives the rest, as a dict.
    """

    row: dict
    run: Callable[[], dict]

    def __str__(self):
        students = self.row.get("students")
        names = [self.row[key] for key in ("what", "cell", "precision", "jit")]
        names += [f"{students} students"] if students else []
        return " ".join(map(str, names))


def jobs(cells, layers, measured, gflops) -> list[Job]:
    """All rows, the most telling first.

    Args:
        cells: Pairs of a `Cell` to time and one to check, by name.
        layers: Names of layers to try.
        measured: The module that measures.
        gflops: The speed of which a step reaches a percentage.
    """
    checker = measured.Checker()
    jits = [text.lower() == "true" for text in FLAGS.jit]
    policies = FLAGS.precisions or (
        ["float32"] if _tiny() else ["float32", "mixed_bfloat16"]
    )
    students = list(map(int, FLAGS.students or ([1] if _tiny() else [1, 4, 16, 64])))

    def step(name, precision, jit, count):
        def run():
            found = measured.measure_step(
                cells[name][0], precision, jit, count, FLAGS.repeats
            )
            speed = found["operations"] / found["step_ms"] / 1e6
            return found | {"percent_of_product": 100 * speed / gflops}

        return Job(_row("step", name, precision, jit, count), run)

    def check(what, name, cell, precision, jit, reference=None):
        def run():
            policy = "float32" if precision == TF32 else precision
            with measured.tf32(precision != "float32"):
                error = checker.error(name, cell, policy, jit, reference)
            limit = measured.LIMITS[jit]
            passed = precision != "float32" or error <= limit
            sentence = None if passed else f"above the limit of {limit:g}"
            return {"relative_error": error, "error": sentence}

        return Job(_row(what, name, precision, jit), run)

    def checks(precision):
        if not FLAGS.checks:
            return []
        return [
            check("check", name, cell, precision, jit)
            for name, (_, cell) in cells.items()
            for jit in jits
        ]

    def steps(count):
        return [
            step(name, precision, jit, count)
            for name in cells
            for precision in policies
            for jit in jits
        ]

    tried = [
        check(
            "layer",
            name,
            measured.layer_cell(name),
            "float32",
            jit,
            measured.layer_cell(name, use_cudnn=False),
        )
        for name in layers
        for jit in jits
    ]
    rounded = [p for p in policies if p != "float32"]
    if measured.main_device() != "CPU:0":
        rounded.insert(0, TF32)
    return [
        *checks("float32"),
        *steps(students[0]),
        *tried,
        *(job for precision in rounded for job in checks(precision)),
        *(job for count in students[1:] for job in steps(count)),
    ]


class Growth:
    """Tells when more students are too many: by what fewer took."""

    def __init__(self, deadline):
        self._deadline = deadline
        self._last = {}

    def refuses(self, row: dict) -> str | None:
        """Why a row is not to be measured."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            return "no time left"
        if self._key(row) not in self._last:
            return None
        students, seconds, error = self._last[self._key(row)]
        if error:
            return f"{students} students failed"
        # To trace and to compile takes as many times longer as there are students.
        seconds *= row["students"] / students
        if seconds > min(left, 60 * FLAGS.cell_minutes):
            return f"would take {seconds:.0f} s"
        return None

    def add(self, row: dict) -> None:
        """Remembers a row that was measured."""
        if row["what"] == "step":
            self._last[self._key(row)] = row["students"], row["wall_s"], row["error"]

    @staticmethod
    def _key(row):
        return tuple(row[key] for key in ("what", "cell", "precision", "jit"))


def _row(what, cell, precision, jit, students=None):
    row = dict.fromkeys(COLUMNS)
    known = dict(cell=cell, precision=precision, jit=jit, students=students)
    return row | {"what": what} | known


def _tiny():
    return FLAGS.size == "tiny"


def first_line(error: Exception) -> str:
    """The line of an error that says what is wrong."""
    frame = ("Graph execution error", "Detected at node", "<stack traces", "File ")
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(frame)]
    text = (telling or lines or [""])[0].replace("|", "/")
    return f"{type(error).__name__}: {text[:160]}"


def _measured(job):
    """The whole row of a job, whatever happens."""
    import keras

    clock = time.perf_counter()
    try:
        row = job.row | job.run()
    except Exception as error:  # out of memory, not implemented: that is the result
        row = job.row | {"error": first_line(error)}
    keras.utils.clear_session()
    return row | {"wall_s": time.perf_counter() - clock}


def _line(row):
    texts = []
    for key, form in COLUMNS.items():
        value = row[key]
        texts.append("" if value is None else format(value, form))
    return f"| {' | '.join(texts)} |"


def _write(content):
    if FLAGS.json:
        with open(FLAGS.json + ".part", "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
        os.replace(FLAGS.json + ".part", FLAGS.json)


def _device(tf):
    """What it all runs on, in words."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"No GPU: the CPU, {os.cpu_count()} cores"
    details = tf.config.experimental.get_device_details(gpus[0])
    version = ".".join(map(str, details.get("compute_capability", ())))
    return f"{details.get('device_name', 'GPU')}, compute capability {version}"


def _chosen(flag, names, known):
    """Some of the known names, or all."""
    unknown = set(names or ()) - set(known)
    if unknown:
        raise app.UsageError(
            f"--{flag} must be of {', '.join(known)}, not {', '.join(sorted(unknown))}."
        )
    return names or list(known)


def main(_) -> None:
    """Measures row by row and prints a Markdown table."""
    deadline = time.monotonic() + 60 * FLAGS.minutes
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if _tiny():
        # To compile takes most of the time of a trial.
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")
    import accelerator_cells as measured
    import keras
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    known = measured.TINY_CELLS if _tiny() else measured.CELLS
    cells = {
        name: (known[name], measured.TINY_CELLS[name])
        for name in _chosen("cells", FLAGS.cells, known)
    }
    device = (
        f"{_device(tf)}; TensorFlow {tf.__version__}, Keras {keras.__version__}, "
        f"Python {platform.python_version()}"
    )
    print(device, flush=True)
    size = 1024 if _tiny() else 2048 if measured.main_device() == "CPU:0" else 8192
    products = {
        "float32": functools.partial(measured.product_gflops, "float32", size),
        "bfloat16": functools.partial(measured.product_gflops, "bfloat16", size),
    }
    with measured.tf32(False):
        speeds = {"float32 without TF32": products["float32"]()}
    speeds |= {name: product() for name, product in products.items()}
    texts = [f"{name} {speed:.0f}" for name, speed in speeds.items()]
    print(
        f"GFLOP/s in a product of two {size} x {size} matrices: {', '.join(texts)}. "
        "Percentages are of float32, as TensorFlow has it.\n"
    )
    print(f"| {' | '.join(key.replace('_', ' ') for key in COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|", flush=True)
    layers = measured.layers() if FLAGS.layers else ()
    rows, left_out = [], {}
    content = {"device": device, "gflops": speeds, "rows": rows, "left_out": left_out}
    growth = Growth(deadline)
    for job in jobs(cells, layers, measured, speeds["float32"]):
        reason = growth.refuses(job.row)
        if reason:
            left_out[str(job)] = reason
        else:
            rows.append(_measured(job))
            growth.add(rows[-1])
            print(_line(rows[-1]), flush=True)
        _write(content)
    for name, reason in left_out.items():
        print(f"\nLeft out: {name}: {reason}")
    wrong = [row for row in rows if (row["error"] or "").startswith("above")]
    if wrong:
        sys.exit(f"{len(wrong)} meta-gradients are off by more than they may be.")


if __name__ == "__main__":
    app.run(main)
