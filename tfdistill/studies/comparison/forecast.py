"""What a comparison would take, after a few networks that learn a little."""

import dataclasses
from collections.abc import Mapping, Sequence

from tfdistill.data.dataset import Dataset
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation.ordinarily_trained import Architecture
from tfdistill.studies.comparison import competitors
from tfdistill.studies.comparison.cells import Bench, label_kinds
from tfdistill.studies.comparison.compare import ordinary
from tfdistill.studies.comparison.settings import Settings


@dataclasses.dataclass(frozen=True)
class Work:
    """What networks of one architecture take.

    Attributes:
        architecture: Its name.
        choosing, choosing_seconds: Networks that choose on validation images, and what
            each takes on average.
        networks, seconds: Networks that are tested, and what each takes at most.
    """

    architecture: str
    choosing: int
    choosing_seconds: float
    networks: int
    seconds: float


def forecast(
    sets: Mapping[str, DistilledDataset],
    dataset: Dataset,
    architectures: Sequence[Architecture],
    baselines: Sequence[str],
    settings: Settings,
) -> list[Work]:
    """Measures networks of each architecture on the largest set.

    Args:
        sets, dataset, baselines: Same as for `compare.compare`.
        architectures: Those of the comparison.
        settings: The protocol.

    Returns:
        What is to do, without the teacher, an architecture after the other.
    """
    given = [ordinary(one) for one in competitors.given(sets, dataset)]
    largest = max(given, key=lambda one: one.num_images)
    has_teacher = bool(settings.teacher_epochs)
    real = len(baselines) * len({one.num_images for one in given})
    rows = sum(len(label_kinds(one, has_teacher)) for one in given)
    # Each with random changes and without.
    cells = 2 * (rows + real * (1 + has_teacher))
    found = []
    for architecture in architectures:
        times = Bench(architecture, dataset, settings).rehearse(largest)
        mean = sum(settings.updates) / len(settings.updates)
        found.append(
            Work(
                architecture.name,
                cells * settings.candidates * settings.choosing,
                mean * times.update + times.judged,
                cells * settings.networks,
                max(settings.updates) * times.update + times.tested,
            )
        )
    return found
