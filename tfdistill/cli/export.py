"""tfdistill export: writes a run's images or its network for other programs.

The form follows the name's end:

  .npz      arrays for NumPy, PyTorch, JAX: images, labels, how to train
  .parquet  rows for Hugging Face's datasets (needs tfdistill[huggingface])
  .tflite   the trained network, for LiteRT (TensorFlow Lite)
"""

import os

from tfdistill.cli import machine, run_folder
from tfdistill.cli.command import Command, Flag, Group
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking

_FORMS = (".npz", ".parquet", ".tflite")


def _resolve(configuration: Configuration) -> Configuration:
    output = configuration.output
    if os.path.splitext(output)[1] not in _FORMS:
        raise InputError(
            f"--output={output} must be a file that ends in one of "
            f"{', '.join(_FORMS)}, e.g. --output=distilled.npz."
        )
    return configuration


def run(configuration: Configuration) -> None:
    """Runs the command."""
    c = configuration
    if os.path.exists(c.output) and not c.overwrite:
        raise InputError(
            f"--output={c.output} exists; choose another name, or pass --overwrite."
        )
    form = os.path.splitext(c.output)[1]
    part = "student" if form == ".tflite" else "distilled"
    run_folder.check_run(c.workdir, part=part)
    from tfdistill.distilled import exports
    from tfdistill.distilled.dataset import DistilledDataset

    folder = os.path.join(c.workdir, part)
    # Whatever is refused here is in the run's files, or in what is asked of them.
    try:
        with checking():
            if form == ".tflite":
                exports.save_tflite(folder, c.output, c.overwrite)
            else:
                save = exports.save_npz if form == ".npz" else exports.save_parquet
                distilled = DistilledDataset.load(folder)
                save(distilled, c.output, c.overwrite)
                _say_what_is_needed(distilled)
    except ImportError as error:
        raise InputError(str(error)) from error
    print(f"{c.output} ({os.path.getsize(c.output) / 1024:.0f} KiB).")


def _say_what_is_needed(distilled):
    from tfdistill.distilled import checks

    for what, name in checks.unknown(distilled).items():
        print(
            f"Training on it needs the {what.replace('_', ' ')} {name!r}, which does "
            "not ship with tfdistill."
        )


COMMAND = Command(
    name="export",
    about=__doc__,
    groups=(
        Group(
            "result",
            [
                run_folder.workdir_flag("run", "The run folder."),
                Flag(
                    "output",
                    str,
                    None,
                    f"The file, ending in one of {', '.join(_FORMS)}.",
                    value="FILE",
                    missing="name a file, e.g. --output=distilled.npz.",
                ),
                Flag("overwrite", bool, False, "Replace --output."),
            ],
        ),
        Group("machine", [machine.VERBOSE]),
    ),
    run=run,
    resolve=_resolve,
    examples=(
        "tfdistill export --workdir=run --output=distilled.npz",
        "tfdistill export --workdir=run --output=student.tflite",
    ),
)
