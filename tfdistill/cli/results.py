"""What a run folder holds in the end: data, metrics, and what is made of them."""

import functools
import os
import resource
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from tfdistill._internal import fields
from tfdistill.cli import lost_workers, run_folder
from tfdistill.cli.command import Flag
from tfdistill.cli.errors import IncompleteError, InputError
from tfdistill.reporting.metrics import SET
from tfdistill.runs import files

# More classes than lines are of no use on a screen: of these, the lowest are shown.
_MOST_LINES, _LOWEST = 30, 10
if TYPE_CHECKING:  # it imports Keras, for which help must not wait
    from tfdistill.runs.progress import Progress

SEED = Flag("seed", int, 0, "Random seed.", lowest=0, highest=fields.LARGEST_SEED)
STORED_AS = Flag(
    "stored_as",
    str,
    "float32",
    "How files hold the images' pixels: float16 takes half the room.",
    choices=("float32", "float16"),
)
METRICS = "metrics.json"


class Result:
    """The result of a run, written as soon as it exists.

    Data and metrics come first. What is made of them (comparisons, pictures, a trained
    network) comes later: each of these may fail alone, with a sentence, and is made
    again by the same command. Until all are there, metrics.json names those that are
    not, as "unfinished", and the run is not finished.

    Args:
        folder: The run folder.
        later: Names of all that will be attempted.
        progress: Where failures are told.
        writes: Whether this process writes; of several machines, one does.
    """

    def __init__(
        self,
        folder: str,
        later: Iterable[str],
        progress: "Progress",
        *,
        writes: bool = True,
    ):
        self._folder, self._progress, self._writes = folder, progress, writes
        self._left, self._content = list(later), {}

    @property
    def content(self) -> Mapping:
        """The content of metrics.json so far."""
        return self._content

    def save_data(self, distilled) -> None:
        """Writes a `DistilledDataset` into the folder.

        Raises:
            InputError: If the folder cannot be written.
        """
        if self._writes:
            with run_folder.writing(self._folder):
                save_data(self._folder, distilled)
            self._content[SET] = of_data(self._folder)

    def add(self, content: Mapping) -> None:
        """Adds to metrics.json, and writes it.

        Raises:
            InputError: If the folder cannot be written.
        """
        self._content.update(content)
        self._content["peak_memory_bytes"] = peak_memory()
        self._content.pop("unfinished", None)
        if self._left:
            self._content["unfinished"] = self._left
        if self._writes:
            with run_folder.writing(self._folder):
                files.write_json(os.path.join(self._folder, METRICS), self._content)

    def attempt(self, name: str, make: Callable[[], Mapping | None]) -> None:
        """Makes one of what comes later; says so if it fails.

        Args:
            name: One of the names of the constructor.
            make: Makes it, and may return what is to be added to metrics.json.
        """
        try:
            content = make()
        except InputError:
            raise
        except Exception as error:
            if files.is_disk_full(error) or lost_workers.is_lost_worker(error):
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            self._progress.say(f"Not made: {name} ({reason[:300]}).")
            return
        self._left.remove(name)
        self.add(content or {})

    def end(self) -> None:
        """Tidies up, when all has been attempted and shown.

        Raises:
            IncompleteError: If something failed.
        """
        if self._left:
            raise IncompleteError(
                f"{self._folder} holds the result, but not all that is made of it "
                f"({', '.join(self._left)}); the same command makes it again."
            )
        if self._writes:
            run_folder.journal(self._folder).forget()

    def attempt_pictures(self, pictures: Mapping[str, Callable]) -> None:
        """Draws pictures, one after another: by name what makes each."""
        for name, make in pictures.items():
            self.attempt(
                picture(name), functools.partial(draw, self._folder, name, make)
            )

    def costs(self, distilled) -> str:
        """What the result cost, and what was chosen on what, as two lines."""
        from tfdistill.runs.progress import in_words

        learning = self._content.get("seconds_learning")
        seconds = self._content["seconds"] if learning is None else learning
        what = "" if learning is None else " of learning"
        return (
            f"{num_bytes(distilled) / 1024:.0f} KiB of images and labels, "
            f"{in_words(seconds)}{what}, {peak_memory() / 2**20:.0f} MiB of memory "
            f"at the peak.\nChosen: {self._content['selection']}."
        )


def evaluation_json(result, student: str, dataset: str) -> dict:
    """An `Evaluation` as JSON: accuracies are fractions of 1."""
    return {**result.to_json(), "student": student, "dataset": dataset}


def compared_json(result, student: str, dataset: str) -> dict:
    """The same of what a result is compared with, without the confusion matrix."""
    content = evaluation_json(result, student, dataset)
    content.pop("confusion", None)
    content.pop("mistakes", None)
    return content


def class_lines(names, recalls) -> list[str]:
    """The recall of each class, a line for each; of many, the lowest.

    Args:
        names: Names of the classes.
        recalls: float `[classes]`, NaN for a class without test images.
    """
    known = [k for k in range(len(names)) if recalls[k] == recalls[k]]
    shown, lines = range(len(names)), []
    if len(names) > _MOST_LINES:
        shown = sorted(known, key=lambda k: recalls[k])[:_LOWEST]
        lines.append(f"  The {len(shown)} lowest of {len(names)} classes:")
    for k in shown:
        share = f"{100 * recalls[k]:.1f} %" if k in known else "no test images"
        lines.append(f"  {names[k]}: {share}")
    if len(known) < len(names) > _MOST_LINES:
        lines.append(f"  {len(names) - len(known)} classes have no test images.")
    return lines


def size_json(distilled) -> dict:
    """How large distilled data is, as JSON; None is no data."""
    count = 0 if distilled is None else distilled.num_images
    return {"num_images": count, "bytes": num_bytes(distilled)}


def num_bytes(distilled) -> int:
    """The bytes of images and labels; None is no data."""
    return 0 if distilled is None else distilled.num_bytes


def save_data(folder: str, distilled) -> None:
    """Writes a `DistilledDataset` into a run folder."""
    distilled.save(os.path.join(folder, "distilled"), overwrite=True)


def of_data(folder: str) -> str | None:
    """What the distilled set in a run folder holds, as a hash; None if there is none.

    Raises:
        ValueError: If it is damaged.
    """
    from tfdistill.distilled import tfrecords

    return tfrecords.fingerprint(os.path.join(folder, "distilled"))


def save_student(folder: str, distilled, model) -> None:
    """Exports a network that learned from distilled data into a run folder.

    It is the only version: readers would take a later one, of other data.
    """
    from tfdistill.distilled import serving

    with files.replacing(os.path.join(folder, "student")) as temporary:
        serving.save(distilled, model, os.path.join(temporary, "1"))


def picture(name: str) -> str:
    """Where in a run folder `draw` draws."""
    return f"images/{name}.png"


def draw(folder: str, name: str, make: Callable) -> None:
    """Draws a picture into a run folder.

    Args:
        folder: The run folder.
        name: Name of the picture, without a suffix.
        make: Returns a Matplotlib figure.
    """
    from tfdistill.reporting import plots

    plots.save(make(), os.path.join(folder, picture(name)))


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    # macOS counts bytes, others KiB.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
