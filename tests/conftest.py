"""Of every test session: its two devices (the CPU, twice), and what ends it."""

import collections
import gc
import os
import signal
import sys

import commands
import pytest


def pytest_configure(config):
    """Sets up TensorFlow where tests run: the process that hands them out has none."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        _set_up()
    else:
        # Graphs come and go: what is freed stays with the processes that are started,
        # where glibc's own thresholds cost 5 to 14 % of the time.
        os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**32))
        os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**34))
        if config.args_source is config.ArgsSource.TESTPATHS:  # all tests
            commands.share()


def _set_up():
    import tfdistill  # noqa: F401  (before TensorFlow: it turns on oneDNN)

    import tensorflow as tf  # isort: skip
    from tensorflow.python.util import tf_stack

    cpus = [tf.config.LogicalDeviceConfiguration()] * 2
    # Only possible before TensorFlow has used a device.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], cpus
    )
    # Two of these processes share two cores, and handing small work to other threads
    # costs more than it saves.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    # A shell that runs the tests in the background has this signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Most graphs run once or twice, and Grappler need not rewrite them. (It does so in
    # the programs that tests start.)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    # Compiled programs are small and run a few times: LLVM need not make them fast.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    # TensorFlow notes with each operation the stack that made it. That of a test is
    # deep, and to look at it takes a twelfth of the time.
    stack = tf_stack.extract_stack()
    tf_stack.extract_stack = lambda stacklevel=1: stack
    # What is imported is never garbage: collections, of which Keras asks for many, need
    # not look at it again.
    gc.collect()
    gc.freeze()
    gc.disable()


@pytest.fixture(scope="session")
def mirrored():
    """A strategy of two devices: the one of this process, for two would share keys."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def grappler():
    """Graphs are rewritten, as in programs."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@pytest.fixture
def global_policy(request):
    """Keras's policy of a test, which names it."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.fixture(autouse=True, scope="module")
def _nothing_old_is_looked_at_again():
    """Graphs and pictures of a file end with it; a million objects stay."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_seed_of_another_test():
    """With a seed of TensorFlow's own, random maps of a pipeline repeat themselves."""
    import tensorflow as tf
    from tensorflow.python.eager import context

    if context.global_seed() is not None:
        tf.random.set_seed(None)  # which also forgets all kernels


def pytest_collection_modifyitems(items):
    """Files with long tests come first: none is left for one process at the end."""
    slow = collections.Counter(i.path for i in items if i.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_sessionfinish():
    """Ends what ran commands for this process's tests."""
    commands.stop()


def pytest_terminal_summary(terminalreporter):
    """Prints what tests recorded as their summary, whichever process ran them."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "summary":
                terminalreporter.write_line(value)
