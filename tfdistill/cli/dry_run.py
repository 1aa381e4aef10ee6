"""--dry_run: what a command would take, write and choose, after measured steps."""

import re
import textwrap
import time
from collections.abc import Callable, Iterable

from tfdistill.cli import results
from tfdistill.cli.command import Command
from tfdistill.cli.configuration import Configuration

_STEPS = 3
_WIDTH = 80


def seconds_a_step(fit: Callable[[list], object]) -> float:
    """Measures a step of training, after the one that is traced.

    Args:
        fit: Begins the training with some Keras callbacks; it ends after a few steps.
    """
    import keras

    ends = []

    class Stopwatch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            ends.append(time.monotonic())
            if len(ends) == _STEPS:
                self.model.stop_training = True

    fit([Stopwatch()])
    return (ends[-1] - ends[0]) / max(1, len(ends) - 1)


def seconds_a_time(do: Callable[[], object]) -> float:
    """Measures something that is traced when it is done for the first time."""
    do()
    return seconds(do)


def seconds(do: Callable[[], object]) -> float:
    """Measures something once."""
    started = time.monotonic()
    do()
    return time.monotonic() - started


def seconds_a_network(evaluator, distilled, split) -> float:
    """Measures how long an `Evaluator` takes for a network of some data, on a split."""
    batches = split.batch(1000)
    return seconds_a_time(lambda: evaluator(distilled, batches, 2)) / 2


def show(
    command: Command,
    configuration: Configuration,
    work: Iterable[tuple[str, float, float]],
) -> None:
    """Prints what a command would do.

    Args:
        command: The command.
        configuration: Its flags, with everything that is chosen by default.
        work: Each kind of work: what is done, how many times, and the seconds that it
            takes each time.
    """
    from tfdistill.runs.progress import in_words

    work = list(work)
    total = sum(count * seconds for _, count, seconds in work)
    memory = results.peak_memory() / 2**20
    print(
        f"tfdistill {command.name} would take about {in_words(total)} and "
        f"{memory:.0f} MiB of memory:"
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
