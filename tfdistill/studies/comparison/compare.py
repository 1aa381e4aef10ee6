"""Compares sets of images: the protocol, from the first network to the last."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence

from tfdistill._internal import spread
from tfdistill.data.dataset import Dataset
from tfdistill.data.random_changes import RandomChanges
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.distilled.ordinary import OrdinaryTraining
from tfdistill.evaluation.evaluator import evaluate
from tfdistill.runs.journal import Journal
from tfdistill.studies.comparison import competitors
from tfdistill.studies.comparison.cells import Bench, Cell, label_kinds
from tfdistill.studies.comparison.networks import chosen
from tfdistill.studies.comparison.result import Comparison
from tfdistill.studies.comparison.settings import Settings
from tfdistill.studies.comparison.teachers import Teacher, usual_epochs


def compare(
    sets: Mapping[str, DistilledDataset],
    dataset: Dataset,
    *,
    architectures: Sequence | None = None,
    baselines: Sequence[str] = ("random_real", "k_means", "herding"),
    networks: int = 5,
    choosing: int = 2,
    rates: Sequence[float] = (0.001, 0.003),
    updates: Sequence[int] = (300, 1000),
    batch_size: int = 256,
    changes: RandomChanges | None = None,
    epsilon: float = 8 / 255,
    pgd_steps: int = 10,
    attack_images: int = 500,
    teacher_epochs: int | None = None,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
    report: Callable[[str], None] | None = None,
) -> Comparison:
    """Judges sets of images by what fresh networks learn from them.

    Networks are trained in the ordinary way on each set and on as many real images,
    with the set's own labels, hard labels and those of a teacher, each with random
    changes and without. The rate, the number of updates, the labels and the changes
    are chosen on validation images for every set and architecture, and the final
    networks are tested once.

    Args:
        sets: By name, `DistilledDataset`s in the normalisation of the real data, as
            `read_distilled` gives.
        dataset: The real data, with validation images (`Dataset.hold_out`).
        architectures: Each the same as for `students.get`, the main one first; by
            default those that the sets were made for, as far as they are here and are
            no code that only a set names, convnet and lenet.
        baselines: What sets are compared with: some of "random_real", "k_means" and
            "herding".
        networks: Networks that are tested in each cell.
        choosing: Other networks that judge each candidate on validation images.
        rates: Candidates for the first rate of Adam, > 0.
        updates: Candidates for the number of updates, at least 1.
        batch_size: Images of an update.
        changes: The random changes; by default shifts, turns and zooms, and flips of
            colour images.
        epsilon: The most that attacks change a pixel, as a share of its range: 255, or
            that of the training images if these are floats.
        pgd_steps: Steps of projected gradient descent.
        attack_images: Test images that are attacked, at most; 0 for none.
        teacher_epochs: Passes over the real data of the teacher; 0 for no teacher and
            no label-robust scores. By default 5, or as many as 1,000 updates take.
        seed: Of networks and baselines.
        folder: Where results are kept, so that a killed comparison goes on: cells in
            `journal`, the teacher in `teacher`, a `Pool`.
        report: Called with a line for each cell.

    Returns:
        The `Comparison`.

    Raises:
        ValueError: If a set doesn't fit the data or another argument is wrong.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits").hold_out(0.1)
        >>> means = tfdistill.baselines.average_real(digits, steps=1)
        >>> found = tfdistill.compare(
        ...     {"means": means}, digits, architectures=["linear"], networks=2,
        ...     updates=[20], rates=[0.01], baselines=["herding"], teacher_epochs=0,
        ... )
        >>> [(pair["first"], pair["second"]) for pair in found.pairs()]
        [('means', 'herding')]
    """
    if teacher_epochs is None:
        teacher_epochs = usual_epochs(dataset)
    settings = Settings(
        networks,
        choosing,
        tuple(rates),
        tuple(updates),
        batch_size,
        changes or usual_changes(dataset),
        epsilon,
        pgd_steps,
        attack_images,
        teacher_epochs,
        seed,
    )
    teacher_epochs, seed = settings.teacher_epochs, settings.seed
    if dataset.validation is None:
        raise ValueError("dataset has no validation images: call hold_out first.")
    report = report or (lambda line: None)
    rivals = competitors.given(sets, dataset)
    learners = chosen(architectures, sets, dataset)
    found = learners.architectures
    for line in learners.left_out:
        report(line)
    sizes = [rival.num_images for rival in rivals]
    rivals += competitors.real(sizes, baselines, dataset, seed)
    rivals = [ordinary(rival) for rival in rivals]
    learned = {name for name in learners.own if sets[name].recipe.is_ordered}
    for name in sorted(n for n in learned if _starts_from_a_pool(sets[n])):
        learned.remove(name)
        report(
            f"{name} is not tested by its learned steps: they are for networks of a "
            "pool; tfdistill evaluate tests those."
        )
    journal = Journal(os.path.join(folder, "journal")) if folder else None
    teacher = None
    if teacher_epochs:
        pool = os.path.join(folder, "teacher") if folder else None
        teacher = Teacher(learners.main, dataset, teacher_epochs, seed, pool)
        report(
            f"teacher: {found[0].name}, {teacher_epochs} epochs of all real images: "
            f"{100 * teacher.accuracy:.2f} %"
        )
    report(_plan(rivals, found, settings, teacher))
    cells: list[Cell] = []
    for architecture in found:
        bench = Bench(architecture, dataset, settings, teacher, journal)
        for rival in rivals:
            for labels in label_kinds(rival, teacher):
                for changed in (False, True):
                    cells.append(bench.fill(rival, labels, changed))
                    report(_line(cells[-1]))
    about = {rival.name: _about(rival) for rival in rivals}
    for name, data in sets.items():
        if name in learned:
            student = learners.own[name]
            result = evaluate(data, student, dataset.test, networks, seed=seed)
            mean, std = result.accuracy_mean, result.accuracy_std
            about[name]["as_learned"] = [mean, std, result.num_students]
            report(f"{name}, by its learned steps: {data.student} {result}")
    return Comparison(
        dataset.name,
        dataset.class_names,
        tuple(architecture.name for architecture in found),
        about,
        tuple(cells),
        teacher.accuracy if teacher else None,
        {**dataclasses.asdict(settings), "changes": settings.changes.to_config()},
    )


def usual_changes(dataset: Dataset) -> RandomChanges:
    """Shifts, turns and zooms, and flips of colour images."""
    flip = dataset.image_shape[-1] == 3
    return RandomChanges(shift=0.1, rotation=0.04, zoom=0.1, flip=flip)


def ordinary(rival: competitors.Competitor) -> competitors.Competitor:
    """The same images in one batch, for ordinary training, by any network."""
    draws = tuple(
        data.replace(
            images=data.stored_images.reshape(1, -1, *data.stored_images.shape[2:]),
            enlarged=data.enlarged,
            labels=data.labels.reshape(1, -1, data.num_classes),
            recipe=OrdinaryTraining(),
            initial_weights=None,
        )
        for data in rival.draws
    )
    return dataclasses.replace(rival, draws=draws)


def _starts_from_a_pool(data):
    """Whether the learned steps are for pretrained networks, which others lack."""
    known = data.provenance
    return bool(known.get("pretrained") or known.get("load", {}).get("pool"))


def _plan(rivals, architectures, settings, teacher):
    rows = sum(len(label_kinds(rival, teacher)) for rival in rivals)
    cells = 2 * rows * len(architectures)
    networks = cells * (settings.candidates * settings.choosing + settings.networks)
    return (
        f"{cells} cells: {len(rivals)} sets, {len(architectures)} architectures; "
        f"at most {networks} networks of at most {max(settings.updates)} updates."
    )


def _line(cell):
    changes = "random changes" if cell.changed else "no changes"
    found = cell.accuracies
    accuracy = spread.percent(found.mean(), found.std(), len(found))
    return (
        f"{cell.architecture}, {cell.name}, {cell.labels} labels, {changes}: rate "
        f"{cell.choice.rate:g}, {cell.choice.updates} updates: "
        f"{accuracy} % ({cell.seconds.mean():.1f} s a network)"
    )


def _about(rival):
    data = rival.draws[0]
    return {
        "given": rival.is_given,
        "images": rival.num_images,
        "bytes": rival.num_bytes,
        "labels": data.provenance.get("labels", ""),
        "student": data.student,
        "source": data.provenance.get("source", ""),
        "pixels": data.provenance.get("pixels", ""),
        "as_learned": None,
    }
