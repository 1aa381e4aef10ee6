"""What a search trains on, and the real data: split as for the distillation."""

import dataclasses
import os

from tfdistill.cli import data, results, run_folder
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking

SEED = dataclasses.replace(results.SEED, default=None, shown="the run's, or 0")
VALIDATION = dataclasses.replace(
    data.VALIDATION,
    default=None,
    shown=f"the run's, or {data.VALIDATION.default}",
    library="",
)


def load_distilled(folder: str):
    """The `DistilledDataset` of a run folder, or of a folder of distilled images.

    Raises:
        InputError: If there is none.
    """
    given = f"--distilled={folder}"
    if not os.path.isfile(os.path.join(folder, "tfdistill.json")):
        run_folder.check_run(folder, "distilled")
        folder = os.path.join(folder, "distilled")
    return run_folder.load_distilled(folder, given)


def load(configuration: Configuration, distilled):
    """The configuration, and the real data, with the distillation's validation part.

    Says so if images may rank that were learned from.

    Args:
        configuration: The command's; --seed is that of the search alone.
        distilled: A `DistilledDataset`.

    Returns:
        The configuration with the flags of the distillation where none is given, and
        the `Dataset`.

    Raises:
        InputError: If --validation is another share than the distillation's, or the
            data cannot be loaded.
    """
    c = as_distilled(configuration, distilled)
    if doubt := _doubt(c, distilled):
        print(doubt, flush=True)
    return c, data.load(c.replace(seed=_recorded(distilled).get("seed", 0)))


def as_distilled(configuration: Configuration, distilled) -> Configuration:
    """The configuration that `load` gives."""
    c, known = configuration, _recorded(distilled)
    share = known.get("validation")
    if share and c.validation not in (None, share):
        raise InputError(
            f"--validation={c.validation} would rank by images that the distillation, "
            f"with --validation={share}, has learned from: leave it out."
        )
    # A set may be learned from all training images.
    known = {
        "seed": known.get("seed", 0),
        "validation": share or data.VALIDATION.default,
    }
    missing = [name for name in known if getattr(c, name) is None]
    c = c.replace(**{name: known[name] for name in missing})
    return data.as_recorded(c, distilled.provenance)


def _doubt(c, distilled):
    """Why the accuracies that rank may be too high, in a sentence; None if not."""
    known = _recorded(distilled)
    if not known:
        return (
            f"--distilled={c.distilled} does not say which training images it was "
            f"learned from: the share of {c.validation} that ranks, drawn by seed 0, "
            "is a guess, and may have been learned from."
        )
    if not known["validation"]:
        return (
            f"--distilled={c.distilled} was learned from all training images "
            "(--validation=0.0): the accuracies that rank are of images that were "
            "learned from."
        )
    return None


def _recorded(distilled):
    """The seed and the share that set the validation images apart, if it says so."""
    flags = distilled.provenance.get("flags")
    if not flags:
        return {}
    # What flags leave out has its default.
    found = {"seed": 0, "validation": data.VALIDATION.default}
    for line in flags.splitlines():
        name, _, value = line.removeprefix("--").partition("=")
        for flag in (SEED, VALIDATION):
            if name == flag.name:
                with checking():
                    known = flag.kind(value)
                    if flag is SEED or known:
                        flag.check_recorded(known)
                    found[name] = known
    return found
