"""Checks the cost model of docs/scaling.md against what is measured here.

    python tools/scaling.py --plot=docs/images/scaling.png

Five measured points calibrate each network on this machine (time to launch a step,
speeds, workspaces, what a second student costs); the others are predicted. Prints both
side by side and draws them.
Each point is a process of tools/benchmark.py, of which the fastest outer step counts:
let the machine have nothing else to do.
"""

import json
import math
import os
import sys

import paths
import processes
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_list("students", ["lenet", "mlp", "convnet@64"], "Networks.")
flags.DEFINE_integer("repeats", 5, "Outer steps timed at each point.", lower_bound=1)
flags.DEFINE_boolean("small", False, "Only a few small points, to try this out.")
paths.define("plot", None, "Also draw the points into this file.")
paths.define("json", None, "Also write the figures here.")

CLASSES = 10
MIB = 2**20


class Point:
    """One setting: a network, and how it is distilled for."""

    def __init__(self, student, side, steps, images=1, batch=256, students=1):
        self.student, self.side, self.steps = student, side, steps
        self.images, self.batch, self.students = images, batch, students

    @property
    def channels(self):
        return 3 if self.student.startswith("convnet") else 1

    def __str__(self):
        return (
            f"{self.student} | {self.side} | {self.steps} | {self.images} | "
            f"{self.batch} | {self.students}"
        )


def calibration(student, side):
    """Points that tell launching, weights, distilled images and real ones apart.

    The last is the second with another student.
    """
    few, many = (32, 128) if FLAGS.small else (64, 1024)
    return (
        Point(student, side, 10, batch=many),
        Point(student, side, 60, batch=few),
        Point(student, side, 10, images=2 if FLAGS.small else 10, batch=few),
        Point(student, 20, 30, batch=few),
        Point(student, side, 60, batch=few, students=2),
    )


def points(student, side):
    """What is predicted."""
    if FLAGS.small:
        return [Point(student, side, 20, batch=64)]
    return [
        Point(student, side, 30),
        Point(student, side, 200),
        Point(student, side, 30, images=10),
        Point(student, side, 30, students=4),
        Point(student, 32 if side == 28 else 16, 30),
    ]


def measure(point):
    """Seconds and bytes of an outer step, measured by a process of its own."""
    tool = os.path.join(os.path.dirname(__file__), "benchmark.py")
    shape = f"{point.side},{point.side},{point.channels}"
    command = [
        *(sys.executable, tool, f"--cell=back_gradient,{point.steps},1"),
        *(f"--student={point.student}", f"--image_shape={shape}"),
        *(f"--images_per_class={point.images}", f"--batch_size={point.batch}"),
        *(f"--students_per_step={point.students}", f"--repeats={FLAGS.repeats}"),
    ]
    cell = processes.figures(command)
    return cell["fastest_ms"] / 1000, cell["memory_bytes"]


class Network:
    """What the model has to know of a network: operations, weights, activations."""

    def __init__(self, point):
        import operations

        import tfdistill

        shape = (point.side, point.side, point.channels)
        model = tfdistill.students.build(point.student, shape, CLASSES)
        self.weights = model.count_params()
        self.operations = operations.forward(model)
        self.activations = sum(math.prod(x.output.shape[1:]) for x in model.layers)


def time_terms(point, network):
    """What the seconds of one student are a sum of multiples of (docs/scaling.md)."""
    distilled = 12 * point.steps * point.images * CLASSES * network.operations
    real = 3 * point.batch * network.operations
    return point.steps, point.steps * network.weights, distilled, real


def memory_terms(point, network):
    """The same of the bytes beside the weights of all steps."""
    each = point.students * network.activations
    weights = point.students * network.weights
    return 1, weights, each * point.images * CLASSES, each * point.batch


def history(point, network):
    """Bytes of the weights of all steps, of all students."""
    return 4 * point.students * point.steps * network.weights


class Machine:
    """The model, with what five points say of this machine and a network.

    Attributes:
        seconds: Of an inner step beside its arithmetic; for each of its weights; for
            each operation on a distilled, and on a real image.
        memory: Bytes beside all else; for each weight; for each activation of a
            distilled, and of a real image.
        share: The part of the machine that one student keeps busy.
    """

    def __init__(self, student, side):
        calibrated = calibration(student, side)
        networks = [Network(point) for point in calibrated]
        seconds, memory = zip(*map(measure, calibrated))
        memory = [m - history(*pair) for m, *pair in zip(memory, calibrated, networks)]
        terms = [list(map(f, calibrated, networks)) for f in (time_terms, memory_terms)]
        self.seconds = _solved(terms[0][:-1], seconds[:-1])
        self.memory = _solved(terms[1], memory)
        self.share = min(1.0, max(0.5, seconds[4] / seconds[1] / 2))

    def predict(self, point):
        """Seconds and bytes of an outer step."""
        network = Network(point)
        alone = _product(self.seconds, time_terms(point, network))
        together = point.students * alone * self.share
        memory = _product(self.memory, memory_terms(point, network))
        return max(alone, together), memory + history(point, network)

    def __str__(self):
        launch, weights, *slow = self.seconds
        speeds = " and ".join(f"{1e-9 / x:.1f}" if x else "any" for x in slow)
        fixed, *each = self.memory
        bytes_each = ", ".join(f"{x:.1f}" for x in each)
        return (
            f"{1e3 * launch:.2f} ms to launch a step and {1e9 * weights:.2f} ns a "
            f"weight; {speeds} GFLOP/s on distilled and on real images; {bytes_each} "
            f"bytes a weight, an activation of a distilled, of a real image, beside "
            f"{fixed / MIB:.0f} MiB; a student takes {self.share:.2f} of the machine"
        )


def _solved(terms, totals):
    """Factors >= 0 whose sums of terms are nearest to the totals, in proportion."""
    import numpy as np
    from scipy.optimize import nnls

    scaled = np.array(terms) / np.array(totals)[:, None]
    sizes = np.abs(scaled).max(0)
    factors, _ = nnls(scaled / sizes, np.ones(len(totals)))
    return (factors / sizes).tolist()


def _product(factors, terms):
    return sum(factor * term for factor, term in zip(factors, terms))


def main(_) -> None:
    """Measures, predicts, prints and draws."""
    rows = []
    columns = "network", "side", "T", "images a class", "real batch", "students"
    print(f"| {' | '.join(columns)} | time s | memory |")
    print("|---" * (len(columns) + 2) + "|")
    for student in FLAGS.students:
        side = 32 if student.startswith("convnet") else 28
        machine = Machine(student, side)
        print(f"{student}: {machine}", file=sys.stderr, flush=True)
        for point in points(student, side):
            (seconds, memory), predicted = measure(point), machine.predict(point)
            rows.append((point, seconds, memory, *predicted))
            print(
                f"| {point} | {seconds:.3f} (predicted {predicted[0]:.3f}) | "
                f"{memory / MIB:.0f} MiB (predicted {predicted[1] / MIB:.0f}) |",
                flush=True,
            )
    for what, measured, predicted in (("time", 1, 3), ("memory", 2, 4)):
        off = [abs(row[predicted] / row[measured] - 1) for row in rows]
        within = sum(x <= 0.3 for x in off)
        print(
            f"{what}: {within} of {len(off)} predictions within 30 %, the worst off by "
            f"{100 * max(off):.0f} %"
        )
    if FLAGS.plot:
        _draw(rows, FLAGS.plot)
    if FLAGS.json:
        names = ("point", "seconds", "bytes", "predicted_seconds", "predicted_bytes")
        with open(FLAGS.json, "w", encoding="utf-8") as file:
            content = [dict(zip(names, (str(row[0]), *row[1:]))) for row in rows]
            json.dump(content, file, indent=1)


def _draw(rows, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from tfdistill import plots

    figure, axes = plt.subplots(1, 2, figsize=(9, 4))
    for axis, unit, at, scale in zip(axes, ("s", "MiB"), (1, 2), (1, MIB)):
        for student in FLAGS.students:
            mine = [row for row in rows if row[0].student == student]
            axis.loglog(
                [row[at] / scale for row in mine],
                [row[at + 2] / scale for row in mine],
                "o",
                label=student,
            )
        ends = [f(row[at] / scale for row in rows) for f in (min, max)]
        axis.plot(ends, ends, "k-")
        for factor in (0.7, 1.3):
            axis.plot(ends, [factor * end for end in ends], "k:")
        axis.set(xlabel=f"measured [{unit}]", ylabel=f"predicted [{unit}]")
        axis.legend()
    plots.save(figure, path)


if __name__ == "__main__":
    app.run(main)
