"""What takes part in a comparison: the sets that are given, and real images."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfdistill._internal.checks import check_different
from tfdistill._internal.seeds import seed_of_draw
from tfdistill.data.dataset import Dataset
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.distilled.foreign.labels import hard
from tfdistill.inner.objectives.classification import Classification
from tfdistill.studies import baselines

#: Real images that sets are compared with, and how many draws of each are dealt out
#: among the networks.
BASELINES = {"random_real": 3, "k_means": 1, "herding": 1}


@dataclasses.dataclass(frozen=True)
class Competitor:
    """One row of the table.

    Attributes:
        name: Of the set.
        draws: The set; of random real images several, which networks take in turn.
        is_given: Whether it is to be judged, and not one to compare with.
    """

    name: str
    draws: tuple[DistilledDataset, ...]
    is_given: bool

    @property
    def num_images(self) -> int:
        """Number of images."""
        return self.draws[0].num_images

    @property
    def num_bytes(self) -> int:
        """Bytes of the images, as read, and labels; a hard one has 1 or 2."""
        data = self.draws[0]
        size = 1 if data.num_classes <= 256 else 2
        labels = data.num_images * size if is_hard(data) else data.labels.nbytes
        return data.stored_images.nbytes + labels


def is_hard(data: DistilledDataset) -> bool:
    """Whether labels say no more than the class."""
    return bool(np.array_equal(hard(data.labels), data.labels))


def given(sets: Mapping[str, DistilledDataset], dataset: Dataset) -> list[Competitor]:
    """The sets that are to be judged.

    Raises:
        ValueError: If there is none, one doesn't fit the data, is not of a
            classification, or is called like real images.
    """
    if not sets:
        raise ValueError("sets must hold at least one set.")
    for name, data in sets.items():
        data.check_fits(dataset)
        if data.normalization != dataset.normalization:
            raise ValueError(
                f"{name} is normalised in another way than {dataset.name}: read it by "
                "read_distilled."
            )
        if not isinstance(data.objective, Classification):
            raise ValueError(
                f"{name} is for {data.objective.name}: only classifications can be "
                "compared."
            )
        if name.partition(" ")[0] in BASELINES:
            raise ValueError(f"A set cannot be called {name}: real images are.")
    return [Competitor(name, (data,), True) for name, data in sets.items()]


def real(
    sizes: Sequence[int], kinds: Sequence[str], dataset: Dataset, seed: int
) -> list[Competitor]:
    """Real images, as many as the sets have.

    Args:
        sizes: Numbers of images.
        kinds: Some of `BASELINES`.
        dataset: The real data.
        seed: Of draws.

    Raises:
        ValueError: If a kind is unknown or there twice, or a class has too few images.
    """
    unknown = set(kinds) - set(BASELINES)
    if unknown:
        raise ValueError(
            f"baselines must be some of {', '.join(BASELINES)}, not {min(unknown)}."
        )
    if kinds:
        check_different("baselines", kinds, "each is one row of the table")
    found = []
    for size in sorted(set(sizes)):
        steps = -(-size // dataset.num_classes)
        for kind in kinds:
            make = getattr(baselines, kind)
            seeds = [{"seed": seed_of_draw(seed, k)} for k in range(BASELINES[kind])]
            draws = [
                make(dataset, steps=steps, **({} if kind == "herding" else one))
                for one in seeds
            ]
            name = kind if len(set(sizes)) == 1 else f"{kind} {size}"
            draws = [_first(data, size) for data in draws]
            found.append(Competitor(name, tuple(draws), False))
    return found


def _first(data, size):
    """The first images in one batch, for ordinary training."""
    images = data.images.reshape(1, -1, *data.image_shape)[:, :size]
    labels = data.labels.reshape(1, -1, data.num_classes)[:, :size]
    return data.replace(
        images=images, labels=labels, learning_rates=np.ones((1, 1), "float32")
    )
