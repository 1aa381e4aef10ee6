"""Replays memories to networks that learn class after class, and compares these."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfdistill import students
from tfdistill._internal.checks import check_different, check_int
from tfdistill.data.dataset import Dataset
from tfdistill.data.random_changes import RandomChanges
from tfdistill.data.split import Split
from tfdistill.distilled.ordinary import OrdinaryTraining
from tfdistill.evaluation import networks
from tfdistill.evaluation.ordinarily_trained import Architecture
from tfdistill.runs.journal import Journal
from tfdistill.studies.comparison.compare import usual_changes
from tfdistill.studies.replay.distilling import Distillation, Distilled, SoftLabels
from tfdistill.studies.replay.learning import Learner
from tfdistill.studies.replay.memories import (
    Everything,
    Herding,
    Kept,
    Memory,
    Nothing,
    Reservoir,
)
from tfdistill.studies.replay.result import Replay

_LOWER, _UPPER = {"no memory": Nothing()}, {"all images": Everything()}


def compare(
    dataset: Dataset,
    memories: Mapping[str, Memory] | None = None,
    *,
    bytes_per_class: int,
    student="wide_convnet_bn@32-64",
    classes_per_task: int = 2,
    updates: int = 300,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    changes: RandomChanges | None = None,
    alone: bool = False,
    bounds: bool = True,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    folder: str | os.PathLike | None = None,
    report: Callable[[str], None] | None = None,
) -> Replay:
    """Compares memories of past classes in class-incremental learning.

    A network learns tasks of a few classes, one after the other, from the real images
    of each task and the memory of the tasks before, in batches with as many images of
    each class. One head serves all classes, and nothing tells which task a test image
    is of. All memories are given the same bytes, initial weights and number of updates.
    A memory sees the training images of one task at a time. Nothing is chosen at all.

    Args:
        dataset: The real data, in memory. Classes are learned in their order;
            `Dataset.of_classes` gives another one.
        memories: By name; by default distilled images, real ones with learned labels,
            herded and random ones.
        bytes_per_class: Bytes that may be kept of each class, images and labels.
        student: The network, same as for `students.get`.
        classes_per_task: Classes of each task, at least 2; the last may have more.
        updates: Updates of the network in each task.
        batch_size: Images of each update.
        learning_rate: Of Adam, at the first update of each task; it falls to 0 along a
            half cosine.
        changes: `RandomChanges` to each batch; by default shifts, turns and zooms, and
            flips of colour images.
        alone: Whether networks learn from memories alone: a fresh one after each task,
            from what is kept of all tasks so far, the last one included (Prabhu et al.
            2020), in the same number of updates.
        bounds: Whether to add what no memory, and all images of all tasks, give, by
            the names "no memory" (not with `alone`) and "all images".
        seeds: For each, all different, a network with memories of its own.
        folder: Where results are kept, so that a killed comparison goes on.
        report: Called with a line for each network.

    Returns:
        The `Replay`.

    Raises:
        ValueError: If an argument is wrong, the data are fewer than two tasks, or the
            bytes don't hold one image.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits").of_classes([0, 1, 2, 3])
        >>> found = tfdistill.replay.compare(
        ...     digits, {"reservoir": tfdistill.replay.Reservoir()}, bytes_per_class=65,
        ...     student="linear", updates=20, seeds=[0, 1], bounds=False,
        ... )
        >>> found.final("reservoir").shape
        (2,)
    """
    changes = usual_changes(dataset) if changes is None else changes
    training = OrdinaryTraining(updates, learning_rate, batch_size, changes)
    if memories is None:
        memories = {
            "distilled": Distilled(),
            "soft labels": SoftLabels(),
            "herding": Herding(),
            "reservoir": Reservoir(),
        }
    seeds = [check_int("seeds", seed, 0) for seed in seeds]
    if not memories or not seeds:
        raise ValueError("memories and seeds must each be at least one.")
    check_different("seeds", seeds, "the same seed gives the same network again")
    classes = _in_tasks(dataset.num_classes, classes_per_task)
    tasks = _tasks(dataset, classes)
    bytes_per_class = check_int("bytes_per_class", bytes_per_class, 1)
    if bounds:
        added = _UPPER if alone else {**_LOWER, **_UPPER}
        for name in added:
            if name in memories:
                raise ValueError(
                    f"A memory cannot be called {name}: a bound is. Give it another "
                    "name, or bounds=False."
                )
        memories = {**memories, **added}
    counts = {
        name: _images_per_class(name, memory, tasks, bytes_per_class)
        for name, memory in memories.items()
    }
    dataset = _normalised(dataset, tasks[0])
    architecture = Architecture(student, dataset)
    run = _Run(dataset, tasks, classes, architecture, training, alone, folder)
    accuracies: dict[str, list] = {name: [] for name in memories}
    sizes: dict[str, int] = {}
    for seed in seeds:
        for name, memory in memories.items():
            kept = run.kept(name, memory, counts[name], bytes_per_class, seed)
            found = run.learned(kept, seed)
            accuracies[name].append(found)
            sizes[name] = sum(one.num_bytes for one in kept)
            if report:
                accuracy = 100 * found[-1].mean()
                report(f"seed {seed}, {name}: {accuracy:.2f} % after the last task")
    seen = sum(map(len, classes[: run.remembered]))
    about = {
        name: {
            "memory": repr(memory),
            "limited": memory.limited,
            "images_per_class": counts[name] if memory.limited else None,
            "bytes_per_class": sizes[name] / seen,
        }
        for name, memory in memories.items()
    }
    return Replay(
        dataset.name,
        tuple(tuple(dataset.class_names[c] for c in task) for task in classes),
        about,
        {name: np.stack(values) for name, values in accuracies.items()},
        {
            "bytes_per_class": bytes_per_class,
            "student": architecture.name,
            "alone": alone,
            "seeds": seeds,
            **dataclasses.asdict(training),
            "changes": changes.to_config(),
        },
    )


def _in_tasks(num_classes, size):
    """The classes of each task."""
    size = check_int("classes_per_task", size, 2)
    starts = range(0, num_classes - size + 1, size)
    if len(starts) < 2:
        raise ValueError(
            f"{num_classes} classes are fewer than two tasks of {size}: give fewer "
            "classes_per_task."
        )
    ends = [*starts[1:], num_classes]
    return [list(range(start, end)) for start, end in zip(starts, ends)]


def _tasks(dataset, classes):
    """The training images of each task, normalised by those of the first."""
    first = dataset.train.of_classes(classes[0])
    normalization = Split(first.images, first.labels).normalization
    found = []
    for own in classes:
        train = dataset.train.of_classes(own).normalized_by(normalization, len(own))
        found.append(
            Dataset(
                name=f"{dataset.name}[{','.join(map(str, own))}]",
                train=train,
                test=train,  # nothing else is known
                normalization=normalization,
                class_names=tuple(dataset.class_names[c] for c in own),
            )
        )
    return found


def _normalised(dataset, first):
    test = dataset.test.normalized_by(first.normalization, dataset.num_classes)
    return dataclasses.replace(dataset, test=test, normalization=first.normalization)


def _images_per_class(name, memory, tasks, limit):
    if not memory.limited:  # it keeps all of a task, or nothing
        return 1
    each = max(memory.bytes_per_image(task) for task in tasks)
    if each > limit:
        raise ValueError(
            f"bytes_per_class={limit} don't hold one image of {name}, which takes "
            f"{each}."
        )
    return limit // each


def _is_told(student):
    """Whether a student's name tells it from all others."""
    if isinstance(student, students.Sampled):
        return all(map(_is_told, student.students))
    if isinstance(student, str):
        return True
    name = students.name_of(student)
    return name in students.STUDENTS or ":" in name


class _Run:
    """Keeps what networks learn, and what they learn from."""

    def __init__(self, dataset, tasks, classes, architecture, training, alone, folder):
        self._tasks, self._classes, self._alone = tasks, classes, alone
        #: Number of tasks that are kept.
        self.remembered = len(tasks) - (not alone)
        self._num_classes, self._architecture = dataset.num_classes, architecture
        self._learner, self._training = Learner(architecture, training), training
        self._journal = Journal(os.path.join(folder, "journal")) if folder else None
        self._test = [dataset.test.of_classes(own).passes() for own in classes]
        self._images = next(iter(dataset.test.batch(4)))[0]
        digest = hashlib.sha256()
        for split in (*(task.train for task in tasks), dataset.test):
            digest.update(split.images)
            digest.update(split.labels)
        self._data = digest.hexdigest()

    def kept(self, name, memory, count, limit, seed) -> list[Kept]:
        """What is kept of each task that is remembered."""
        found = []
        for number, task in enumerate(self._tasks[: self.remembered]):
            kept = self._remembered(memory, number, count, seed)
            if memory.limited and kept.num_bytes > limit * task.num_classes:
                raise ValueError(
                    f"{name} keeps {kept.num_bytes} bytes of {task.num_classes} "
                    f"classes, more than {limit} for each."
                )
            found.append(kept)
        return found

    def _remembered(self, memory, number, count, seed):
        # All images are not written down once more.
        if not (self._journal and memory.limited):
            return memory.remember(self._tasks[number], count, seed)
        settings = "memory", self._data, self._classes, number, repr(memory)
        told = self._networks(memory, number)
        entry = self._journal.entry([], *settings, count, seed, *told)
        if not (arrays := entry.read()):
            kept = memory.remember(self._tasks[number], count, seed)
            fields = {"images": kept.images, "labels": kept.labels}
            if kept.ranges is not None:
                fields["ranges"] = kept.ranges
            arrays = {**fields, "learned": np.array(kept.learned)}
            entry.write(**arrays)
        return Kept(**{**arrays, "learned": bool(arrays["learned"])})

    def _networks(self, memory, number):
        """What tells networks that a memory is learned through, if no name does."""
        student = getattr(memory, "distillation", Distillation()).student
        if _is_told(student):
            return ()
        return (networks.key(student, self._tasks[number]),)

    def learned(self, kept, seed) -> np.ndarray:
        """Trains a network on all tasks.

        Returns:
            Accuracy on the test images of each task after each task, float
            `[tasks, tasks]`: NaN for tasks to come.
        """
        entry = None
        if self._journal:
            arrays = self._architecture.depends(seed, self._images)
            arrays += [x for one in kept for x in (one.images, one.labels)]
            # Real images are told as in earlier versions.
            learned = [(n, one.ranges) for n, one in enumerate(kept) if one.learned]
            what = self._architecture.name, self._training, self._alone, self._data
            entry = self._journal.entry(arrays, *what, self._classes, seed, *learned)
            if found := entry.read():
                return found["accuracies"]
        accuracies = self._accuracies(kept, seed)
        if entry:
            entry.write(accuracies=accuracies)
        return accuracies

    def _accuracies(self, kept, seed):
        network = start = self._architecture.start(seed, 0)
        accuracies = np.full([len(self._tasks)] * 2, np.nan)
        for number, task in enumerate(self._tasks):
            if self._alone:
                network, known = start, kept[: number + 1]
            else:
                known = [*kept[:number], Kept(task.train.images, task.train.labels)]
            network = self._learner(network, *self._arrays(known), seed, number)
            for other in range(number + 1):
                accuracies[number, other] = self._accuracy(network, other)
        return accuracies

    def _arrays(self, known):
        """Images, targets and classes of the first tasks."""
        parts = [
            (
                one.normalized(self._tasks[0].normalization),
                one.targets(own, self._num_classes),
                np.asarray(own)[one.classes()],
            )
            for one, own in zip(known, self._classes)
        ]
        return [np.concatenate(arrays) for arrays in zip(*parts)]

    def _accuracy(self, network, task):
        logits = self._architecture.logits(network, self._test[task])
        labels = np.concatenate([labels for _, labels in self._test[task]])
        return np.mean(logits.argmax(1) == np.asarray(self._classes[task])[labels])
