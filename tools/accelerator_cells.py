"""What tools/accelerator.py measures: outer steps, meta-gradients, single layers."""

import contextlib
import dataclasses
import math
import statistics
import time

import keras
import numpy as np
import operations
import tensorflow as tf

import tfdistill
from tfdistill.inner import back_gradient
from tfdistill.testing.measures import relative_error

CLASSES = 10
#: Largest relative error of a float32 meta-gradient, by whether XLA compiles it.
LIMITS = {False: 1e-3, True: 1e-2}
#: No longer than this for the repeats of one cell.
MOST_SECONDS = 20


@dataclasses.dataclass(frozen=True)
class Cell:
    """One setting of a distillation.

    Attributes:
        student: A student's name, or a function that makes one.
        shape: (height, width, channels).
        steps, epochs: Their product is T.
        real_batch: Real images that judge a student.
        batch: Synthetic images of a step.
        generator: The name of a network that makes them; None if they are learned.
        ridge: Whether students are judged by a ridge regression, and learn in a pool.
    """

    student: object
    shape: tuple[int, int, int]
    steps: int = 10
    epochs: int = 3
    real_batch: int = 1024
    batch: int = CLASSES
    generator: str | None = None
    ridge: bool = False


CELLS = {
    "lenet": Cell("lenet", (28, 28, 1)),
    "alex_cifar_net": Cell("alex_cifar_net", (32, 32, 3)),
    "convnet": Cell("convnet@128", (32, 32, 3)),
    "ridge": Cell(
        "wide_convnet_bn@128-256-512", (32, 32, 3), 1, 1, 1024, 100, ridge=True
    ),
    "gtn": Cell("gtn_learner", (28, 28, 1), 32, 1, 1024, 64, "gtn_generator"),
}
TINY_CELLS = {
    "lenet": Cell("lenet", (12, 12, 1), 2, 2, 32),
    "alex_cifar_net": Cell("alex_cifar_net", (8, 8, 3), 2, 2, 32),
    "convnet": Cell("convnet@8", (8, 8, 3), 2, 2, 32),
    "ridge": Cell("wide_convnet_bn@8-16", (8, 8, 3), 1, 1, 32, ridge=True),
    "gtn": Cell(
        "gtn_learner@4-8-16", (12, 12, 1), 4, 1, 32, 10, "gtn_generator@8-16-4"
    ),
}

# Layers whose first or second derivatives accelerators are known to lack, between two
# that are harmless. Those that may take a kernel of cuDNN are given `use_cudnn`.
LAYERS = {
    "LSTM": lambda use_cudnn: _recurrent(keras.layers.LSTM, use_cudnn),
    "LSTM, use_cudnn=False": lambda _: _recurrent(keras.layers.LSTM, False),
    "GRU": lambda use_cudnn: _recurrent(keras.layers.GRU, use_cudnn),
    "GRU, use_cudnn=False": lambda _: _recurrent(keras.layers.GRU, False),
    "max pooling": lambda _: [keras.layers.MaxPooling2D(3, 2, padding="same")],
    "bilinear resizing": lambda _: [keras.layers.Resizing(5, 7, "bilinear")],
    # One angle: XLA draws other random numbers than TensorFlow does.
    "random rotation": lambda _: [keras.layers.RandomRotation((0.1, 0.1), seed=1)],
    "batch norm": lambda _: [keras.layers.BatchNormalization()],
}


def _recurrent(layer, use_cudnn):
    return [keras.layers.Reshape((8, 32)), layer(8, use_cudnn=use_cudnn)]


def layers() -> list[str]:
    """Names of the layers to try; those that keep off cuDNN only where there is one."""
    on_gpu = main_device() != "CPU:0"
    return [name for name in LAYERS if on_gpu or "use_cudnn" not in name]


def layer_cell(name: str, use_cudnn="auto") -> Cell:
    """A small student with one of `LAYERS` in its middle."""

    def student():
        middle = LAYERS[name](use_cudnn)
        return keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                keras.layers.Conv2D(4, 3, padding="same", activation="tanh"),
                *middle,
                keras.layers.Flatten(),
                keras.layers.Dense(CLASSES),
            ]
        )

    return Cell(student, (8, 8, 3), 2, 2, 32)


def _student(cell, precision):
    """The cell's student, whose layers have a dtype policy and whose logits float32."""

    def student(image_shape, num_classes):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(precision)
        try:
            model = tfdistill.students.build(cell.student, image_shape, num_classes)
        finally:
            keras.config.set_dtype_policy(before)
        if precision == "float32":
            return model
        # What Keras's guide to mixed precision asks for: losses need float32.
        logits = keras.layers.Activation("linear", dtype="float32")(model.output)
        return keras.Model(model.inputs, logits)

    return student


def _distiller(cell, precision, weights):
    rng = np.random.default_rng(0)
    labels = np.arange(cell.batch) % CLASSES
    if cell.generator:
        synthesizer = tfdistill.Generator(
            cell.shape,
            CLASSES,
            steps=cell.steps * cell.epochs,
            batch_size=cell.batch,
            network=tfdistill.synthesizers.generator.network(cell.generator),
        )
    else:
        images = rng.standard_normal((cell.steps, cell.batch, *cell.shape))
        synthesizer = tfdistill.DistilledImages(
            images,
            labels,
            CLASSES,
            epochs=cell.epochs,
            centred_labels=cell.ridge,
            recipe=tfdistill.OrdinaryTraining() if cell.ridge else None,
        )
    others = {}
    if cell.ridge:
        others["objective"] = "least_squares"
        others["meta_gradient"] = tfdistill.RidgeRegression()
    student = _student(cell, precision)
    return tfdistill.Distiller(student, synthesizer, weights, **others)


def _outer_step(distiller, cell):
    """A function without arguments, run as `fit` runs it, on random real images."""
    rng = np.random.default_rng(1)
    images = rng.standard_normal((cell.real_batch, *cell.shape))
    images = tf.constant(images, tf.float32)
    labels = tf.constant(rng.integers(0, CLASSES, cell.real_batch), tf.int32)
    step = tf.function(distiller.train_step, autograph=False)
    return tfdistill.inner.as_traced(lambda: step((images, labels)))


def measure_step(cell: Cell, precision: str, jit: bool, students: int, repeats: int):
    """Times outer steps, as they are in `Distiller.fit`.

    Returns:
        A dict: seconds of the first step, milliseconds of one and of a student, MiB at
        the peak (None on a CPU), and floating point operations of a step.
    """
    device = main_device()
    on_gpu = device != "CPU:0"
    if on_gpu:
        tf.config.experimental.reset_memory_stats(device)
    pool = tfdistill.LearningStudents if cell.ridge else tfdistill.RandomWeights
    distiller = _distiller(cell, precision, pool())
    distiller.compile(jit_compile=jit, students_per_step=students)
    step = _outer_step(distiller, cell)
    # The smallest of what a step changes (the rates): reading it waits for the device,
    # and moves next to nothing.
    result = min(
        distiller.synthesizer.trainable_variables, key=lambda v: math.prod(v.shape)
    )

    def timed():
        clock = time.perf_counter()
        step()
        np.asarray(result.value)
        return time.perf_counter() - clock

    first = timed()
    timed()
    times = [timed()]
    while len(times) < repeats and sum(times) < MOST_SECONDS:
        times.append(timed())
    seconds = statistics.median(times)
    memory = None
    if on_gpu:
        memory = tf.config.experimental.get_memory_info(device)["peak"] / 2**20
    return {
        "first_step_s": first,
        "step_ms": 1000 * seconds,
        "student_ms": 1000 * seconds / students,
        "peak_mib": memory,
        "operations": _operations(distiller, cell, students),
    }


def _operations(distiller, cell, students):
    """Floating point operations of an outer step, in convolutions and products.

    If F is what a batch costs to go forward, its gradient costs 2 F more. An inner step
    is taken on the way forward (3 F), again on the way back, under a tape (3 F), and
    the vector-Jacobian product of that costs twice what it differentiates (6 F): 12 F.
    Where not all steps are kept, they are taken once more (15 F). The judgement is one
    gradient (3 F). A generator makes all images (F), and makes them again to take its
    own gradient (3 F), once for all students.
    """
    (student, _), *_ = distiller.population.members
    synthesizer = distiller.synthesizer
    steps = cell.steps * cell.epochs
    slots = synthesizer.schedule.inner_optimizer.slots(student.weights)
    size = sum(math.prod(x.shape) for x in student.weights + student.state + slots)
    factor = 12 if 4 * size * steps <= back_gradient.KEPT_BYTES else 15
    if cell.ridge:
        return students * operations.ridge(student.model, cell.batch, cell.real_batch)
    forward = operations.forward(student.model)
    total = students * forward * (factor * steps * cell.batch + 3 * cell.real_batch)
    if cell.generator:
        total += 4 * steps * cell.batch * operations.forward(synthesizer.network)
    return total


def meta_gradient(
    cell: Cell, precision: str, jit: bool, device: str, start=None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The meta-gradient of one student, as the outer optimizer is given it.

    Args:
        cell, precision, jit: The setting.
        device: Where everything lies and runs.
        start: Values of all variables; by default what is drawn.

    Returns:
        The gradients, and the values of all variables before.
    """
    with tf.device(device):
        keras.utils.set_random_seed(0)
        distiller = _distiller(cell, precision, tfdistill.FixedWeights())
        # After one step, its momentum is the gradient itself.
        optimizer = keras.optimizers.SGD(1.0, momentum=0.9)
        distiller.compile(optimizer, jit_compile=jit, clip=None)
        (student, _), *_ = distiller.population.members
        variables = [*distiller.synthesizer.variables, *student.model.variables]
        if start is None:
            start = [np.asarray(v.value) for v in variables]
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        _outer_step(distiller, cell)()
        return [-np.asarray(m.value) for m in optimizer.momentums], start


class Checker:
    """Compares meta-gradients with those of the CPU, in float32 and without XLA."""

    def __init__(self):
        self._expected = {}

    def error(self, name: str, cell: Cell, precision: str, jit: bool, reference=None):
        """Relative error of the whole meta-gradient.

        Args:
            name: Under which the reference is kept.
            cell, precision, jit: The setting.
            reference: A cell that computes the same, for the CPU; by default `cell`.
        """
        if name not in self._expected:
            self._expected[name] = meta_gradient(
                reference or cell, "float32", False, "/CPU:0"
            )
        expected, start = self._expected[name]
        found, _ = meta_gradient(cell, precision, jit, main_device(), start)
        return relative_error(found, expected)


def main_device() -> str:
    """The first GPU, or the CPU."""
    return "GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0"


@contextlib.contextmanager
def tf32(enabled: bool):
    """Allows TensorFloat-32 in products of float32, or not, until the block ends."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(enabled)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def product_gflops(dtype: str, size: int) -> float:
    """Speed of the main device in the product of two square matrices."""
    a = tf.random.stateless_normal([size, size], [1, 2])
    a = tf.cast(a, dtype)

    def timed(count=4):
        clock = time.perf_counter()
        for _ in range(count):
            product = tf.matmul(a, a)
        product[0, 0].numpy()
        return (time.perf_counter() - clock) / count

    timed()
    return 2 * size**3 / min(timed() for _ in range(3)) / 1e9
