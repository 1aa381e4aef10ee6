"""The data of a synthesizer, as arrays."""

import numpy as np
from keras.ops import convert_to_numpy

from tfdistill._internal.checks import check_kind
from tfdistill.distilled.recipe import Recipe
from tfdistill.synthesizers.base import Synthesizer


def check(synthesizer: Synthesizer) -> None:
    """Refuses what makes no data, or data that nobody could be trained on.

    Args:
        synthesizer: What was passed.

    Raises:
        ValueError: If it is no `Synthesizer`, or its recipe no `Recipe`.
    """
    check_kind("synthesizer", synthesizer, Synthesizer)
    if synthesizer.recipe is not None:
        check_kind("recipe", synthesizer.recipe, Recipe)


def made_by(synthesizer: Synthesizer) -> dict:
    """Reads the curriculum that a synthesizer exports, once.

    Args:
        synthesizer: Any that has a source.

    Returns:
        Arguments of `DistilledDataset`.

    Raises:
        ValueError: If the synthesizer doesn't know its data's normalisation.
    """
    source = synthesizer.source
    if source is None:
        raise ValueError(
            "The synthesizer has no source, so nobody could use its images: make it "
            "with from_noise() or from_real(), or pass source=DataSource(...)."
        )
    curriculum = synthesizer.curriculum(synthesizer.exported_seed())
    batches = [curriculum.batch(t) for t in range(curriculum.num_steps)]
    once = batches[: len(batches) // synthesizer.epochs]
    made = {
        "images": np.stack([convert_to_numpy(b.images) for b in once]),
        "labels": np.stack([convert_to_numpy(b.labels) for b in once]),
        "normalization": source.normalization,
        "class_names": source.class_names,
        "provenance": {"dataset": source.name},
    }
    if synthesizer.enlarged > 1:
        made["images"] = convert_to_numpy(synthesizer.images)
        made["enlarged"] = synthesizer.enlarged
    if synthesizer.recipe is not None:
        return {**made, "recipe": synthesizer.recipe}
    hyperparameters = {
        h.name: np.reshape(
            [convert_to_numpy(b.hyperparameters[h.name]) for b in batches],
            (synthesizer.epochs, -1),
        )
        for h in curriculum.inner_optimizer.hyperparameters
    }
    return {
        **made,
        "learning_rates": hyperparameters.pop("learning_rate"),
        "inner_optimizer": curriculum.inner_optimizer,
        "hyperparameters": hyperparameters,
    }
