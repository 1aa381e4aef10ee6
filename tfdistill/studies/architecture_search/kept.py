"""The candidates that a search has tried, as its folder keeps them."""

import dataclasses
import hashlib
import os
from collections.abc import Sequence

import numpy as np

from tfdistill._internal import fields
from tfdistill.data import fingerprints
from tfdistill.data.dataset import Dataset
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.evaluation.batches import fitted
from tfdistill.runs import files
from tfdistill.runs.journal import held
from tfdistill.studies.architecture_search.candidates import Candidate

_FILE = "candidates.json"
# Absent from files of earlier versions.
_SAID_LATER = {
    "networks",
    "images",
    "normalization",
    "scored",
    "learning",
    "oracle",
    "saves",
}


def settings(
    space: str,
    distilled: DistilledDataset,
    dataset: Dataset,
    score_images: int,
    seed: int,
    told: str,
    oracle: str,
    num_students: int,
    saves: bool,
) -> dict:
    """Everything that the candidates' results depend on, but the number of networks.

    Args:
        space: Its name.
        distilled, dataset, score_images, seed: Same as for `Search`.
        told: What tells the space from others of its name.
        oracle, num_students, saves: Same as for `Search`.
    """
    key = hashlib.sha256()
    columns = distilled.recipe.columns().values()
    for array in (distilled.images, distilled.labels, *columns):
        key.update(np.ascontiguousarray(array))
    if not distilled.recipe.is_ordered:
        key.update(repr(distilled.recipe.to_config()).encode())
    objective = distilled.objective
    learning = [type(objective).__name__, sorted(held(objective).items())]
    if distilled.recipe.is_ordered:
        optimizer = distilled.inner_optimizer
        learning += [optimizer.name, sorted(held(optimizer).items())]
    parts = dataset.train, dataset.validation
    assert dataset.validation is not None  # `Search` says so
    scored = fitted(dataset.validation, distilled).normalization
    return {
        "space": space,
        "networks": told,
        "images": [fingerprints.of_split(part) for part in parts if part],
        "normalization": fingerprints.of_normalization(dataset.normalization),
        "scored": fingerprints.of_normalization(scored),
        "dataset": dataset.name,
        "distilled": key.hexdigest(),
        "learning": hashlib.sha256(repr(learning).encode()).hexdigest(),
        "score_images": score_images,
        "seed": seed,
        # Whom Hyperband gives how many networks depends on the largest number.
        "oracle": f"hyperband {num_students}" if oracle == "hyperband" else oracle,
        "saves": saves,
    }


def read(folder: str, settings: dict, num_students: int) -> list[Candidate]:
    """The candidates of a folder, in order; none, if there is no such file.

    Raises:
        ValueError: If the file is damaged, of other settings, or has a candidate of
            more than `num_students` networks.
    """
    path = os.path.join(folder, _FILE)
    if not os.path.isfile(path):
        return []
    try:
        content = files.read_json(path)
        fields.check(content, {"candidates": fields.each(fields.OBJECT)})
        candidates = [Candidate.of_json(c) for c in content["candidates"]]
        known = dict(content["settings"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} is damaged: remove it to start the search again."
        ) from error
    # Earlier versions scored on images that were normalised as the real data are.
    if "normalization" in known:
        known.setdefault("scored", known["normalization"])
    unsaid = _SAID_LATER - {*known}
    if known != {k: v for k, v in settings.items() if k not in unsaid}:
        raise ValueError(
            f"{path} belongs to another search: distilled data, space, data set, "
            "oracle, score_images, seed, saves or Hyperband's num_students differ."
        )
    most = max((len(c.accuracies) for c in candidates), default=0)
    if most > num_students:
        raise ValueError(
            f"{path} has scores of {most} networks: num_students must be at least "
            f"{most} to go on, not {num_students}."
        )
    return candidates


def write(folder: str, settings: dict, candidates: Sequence[Candidate]) -> None:
    """Writes them with the settings: completely or not at all."""
    content = {
        "settings": settings,
        "candidates": [dataclasses.asdict(c) for c in candidates],
    }
    files.write_json(os.path.join(folder, _FILE), content)


def drop_others(candidates: Sequence[Candidate], training: dict) -> None:
    """Drops results on real data that are of another training.

    Args:
        candidates: They are changed; a result that says of none counts.
        training: `Candidate.real_training` of the one that is asked for.
    """
    # Earlier versions rounded a third of the epochs down, and don't say so.
    before = {"halve_every": max(1, training["epochs"] // 3)}
    for candidate in candidates:
        known = candidate.real_training
        if known is not None and {**before, **known} != training:
            candidate.real_accuracy = candidate.real_seconds = None
            candidate.real_training = None
