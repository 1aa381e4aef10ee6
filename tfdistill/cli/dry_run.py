"""--dry_run: what a command would take, write and choose, after measured steps."""

import math
import re
import textwrap
import time
from collections.abc import Callable, Iterable

from tfdistill.cli import results
from tfdistill.cli.command import Command
from tfdistill.cli.configuration import Configuration

#: Steps that are measured, the first of which is traced.
STEPS = 3
_WIDTH = 80


def seconds_a_step(fit: Callable[[list], object]) -> float:
    """Measures a step of training, after the one that is traced.

    Args:
        fit: Begins the training with some Keras callbacks, which end it after `STEPS`
            steps; it is to have as many, so as many epochs if they may have one each.
    """
    import keras

    ends = []

    class Stopwatch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            ends.append(time.monotonic())
            if len(ends) == STEPS:
                self.model.stop_training = True

    fit([Stopwatch()])
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def seconds(do: Callable[[], object]) -> float:
    """Measures something once."""
    started = time.monotonic()
    do()
    return time.monotonic() - started


def growth(do: Callable[[], object]) -> int:
    """Does something, and measures by how many bytes that raises the most memory held.

    What TensorFlow has traced stays in memory: other networks of the same kind, traced
    later in the run, take about as much again.
    """
    before = results.peak_memory()
    do()
    return results.peak_memory() - before


def a_network(evaluator, distilled, split) -> tuple[float, int]:
    """Measures an `Evaluator` of some data, on a split.

    Args:
        evaluator: The `Evaluator`.
        distilled: What networks learn from; None for those that are tested untrained.
        split: What they are tested on.

    Returns:
        The seconds that it takes for a network, and the bytes of what it traces.
    """
    batches, sets = split.batch(1000), [] if distilled is None else [distilled]

    count = len(evaluator.dealt(sets, 2))

    def test():
        if sets:
            evaluator(sets, batches, count)
        else:
            evaluator.untrained(batches, count)

    traced = growth(test)
    return seconds(test) / count, traced


def show(
    command: Command,
    configuration: Configuration,
    work: Iterable[tuple[str, float, float]],
    later_bytes: float = 0,
) -> None:
    """Prints what a command would do.

    Args:
        command: The command.
        configuration: Its flags, with everything that is chosen by default.
        work: Each kind of work: what is done, how many times, and the seconds that it
            takes each time.
        later_bytes: Memory that the run will hold beyond what this process has held.
    """
    from tfdistill.runs.progress import in_words

    work = list(work)
    total = sum(count * seconds for _, count, seconds in work)
    # No more exact than it is: the next 50 MiB.
    memory = 50 * math.ceil((results.peak_memory() + later_bytes) / 2**20 / 50)
    print(
        f"tfdistill {command.name} would take about {in_words(total)} and "
        f"{memory:,} MiB of memory:"
    )
    for what, count, seconds in work:
        times = f"{count:,} x {seconds:.2g} s" if count != 1 else f"{seconds:.2g} s"
        print(f"  {what}: {times}")
    print(f"It would write into {configuration.workdir or '--workdir'}:")
    for line in re.findall(r"^  \S.*(?:\n {4,}\S.*)*", command.about, re.M):
        print(line)
    print("With these flags, given or by default:")
    flags = " ".join(command.shown(configuration).split("\n"))
    for line in textwrap.wrap(flags, _WIDTH - 2, break_on_hyphens=False):
        print(f"  {line}")
    print("Nothing is written.")
