"""What tfdistill baseline reads beside its data, and the flags that go together."""

import os
import shlex
from typing import Any

from tfdistill._internal import code
from tfdistill.cli import data, methods, run_folder
from tfdistill.cli.command import Flag
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError

SOURCE = Flag(
    "source_dataset",
    str,
    None,
    "With --kind=fada: the data that the pool's students were trained on.",
    value="NAME",
    shown="what the pool says",
    names_code=code.is_fetched,
)
LEARNED_RATES = Flag(
    "learned_rates",
    str,
    None,
    "The run folder of a distillation with learned steps: its rates are tried, too.",
    value="FOLDER",
)
# Flags that have no use where others have these values.
_UNUSED: methods.Unused = [
    (
        {"nearest_neighbours": True},
        {
            *("student", "num_students", "initial_weights"),
            *("pool", "pool_student", "new_head"),
        },
    ),
    ({"kind": "none"}, {"images_per_class", "steps", "num_sets"}),
    *(({"kind": kind}, {"num_sets"}) for kind in ("average_real", "herding")),
]


def unused(configuration: Configuration) -> dict[str, dict[str, Any]]:
    """The flags of the command that have no use, as `methods.unused` gives them."""
    return methods.unused(configuration, _UNUSED)


def source(configuration: Configuration, dataset, start):
    """What the pool's students know, in the form of the data they are taken to.

    None if they are not adapted by it.

    Args:
        configuration: The command's.
        dataset: The `Dataset` that they are taken to.
        start: The `students.weights` of the configuration.

    Raises:
        InputError, ValueError: If it cannot be found, or is not of that form.
    """
    c = configuration
    if c.kind != "fada":
        return None
    name = c.source_dataset or start.pool.dataset
    if not c.source_dataset and code.is_fetched(name):
        raise InputError(
            f"--pool={c.pool} is of the data {name}, which names code to run, and a "
            "file's word is not enough: if you trust that code, pass "
            f"{shlex.quote(f'--source_dataset={name}')}."
        )
    found = data.load(c, name)
    for what in ("image_shape", "num_classes"):
        if getattr(found, what) != getattr(dataset, what):
            raise ValueError(
                f"--source_dataset={name} and --dataset={c.dataset} need the same "
                f"{what}, not {getattr(found, what)} and {getattr(dataset, what)}."
            )
    return found


def learned_rates(configuration: Configuration, dataset):
    """The rates `[epochs, steps]` of --learned_rates; None without it.

    Raises:
        InputError, ValueError: If there are none, or not for data or steps like these.
    """
    from tfdistill.distilled.dataset import DistilledDataset

    c = configuration
    if c.learned_rates is None:
        return None
    run_folder.check_run(c.learned_rates, "learned_rates")
    run = DistilledDataset.load(os.path.join(c.learned_rates, "distilled"))
    run.check_fits(dataset)
    if run.learning_rates is None:
        raise ValueError(f"--learned_rates={c.learned_rates} has no learned rates.")
    if run.steps != c.steps:
        raise ValueError(
            f"--learned_rates={c.learned_rates} has {run.steps} steps, but --steps "
            f"is {c.steps}."
        )
    return run.learning_rates
