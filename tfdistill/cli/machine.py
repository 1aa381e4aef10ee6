"""The flags that say what the machine does, and what they set."""

import os
import sys

from tfdistill.cli.command import Flag
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import checking

THREADS = Flag(
    "threads",
    int,
    os.cpu_count() or 1,
    "CPU cores that are used: for networks side by side, one each; with "
    "--initial_weights=learning and in search, all for one operation.",
    lowest=1,
    shown="the number of cores",
)
VERBOSE = Flag(
    "verbose", bool, False, "Show TensorFlow's notes about the machine, too."
)
DRY_RUN = Flag(
    "dry_run",
    bool,
    False,
    "Measure a few steps; say what time and memory it would take, which files it would "
    "write, and all default values. Write nothing.",
)
#: Of commands that take long.
LONG = (THREADS, VERBOSE, DRY_RUN)
_STRATEGIES = ("none", "mirrored", "multi_worker", "tpu")


def strategy_flag(machines: bool = False) -> Flag:
    """--strategy.

    Args:
        machines: Whether several machines can take part.
    """
    about = "Train on one device, on all GPUs of this machine, or on a TPU."
    if machines:
        about = (
            "Train on one device, on all GPUs of this machine, on the machines that "
            "TF_CONFIG names, or on a TPU (docs/scaling.md)."
        )
    return Flag(
        "strategy",
        str,
        "none",
        about,
        choices=tuple(s for s in _STRATEGIES if machines or s != "multi_worker"),
        table="runs.strategies:_STRATEGIES" if machines else "",
    )


def strategy(configuration: Configuration, flags: str = ""):
    """The `tf.distribute.Strategy` of --strategy; before anything else runs.

    Args:
        configuration: The command's.
        flags: Those in which several machines must agree, as a flagfile.

    Raises:
        InputError: If there is nothing for it to run on, or machines don't agree.
    """
    from tfdistill.runs import strategies

    with checking():
        found = strategies.make(
            configuration.strategy,
            flags.splitlines(),
            lambda text: print(text, file=sys.stderr, flush=True),
        )
    # TensorFlow takes SIGTERM for itself when workers find each other.
    exit_when_asked()
    return found


def exit_when_asked() -> None:
    """SIGTERM and Ctrl-C end the command, with a sentence on standard error."""
    from tfdistill.runs import preemption

    preemption.exit_when_asked(
        lambda text: print(f"\ntfdistill: {text}", file=sys.stderr)
    )


def set_threads(configuration: Configuration, within: int = 1) -> None:
    """Sets TensorFlow's thread pools, before it makes them.

    Args:
        configuration: The command's.
        within: Threads of one operation; more than one where networks are trained one
            after the other.
    """
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(configuration.threads)
    tf.config.threading.set_intra_op_parallelism_threads(within)
