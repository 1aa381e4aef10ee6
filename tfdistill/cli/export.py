"""tfdistill export: writes a run's images or its trained network for other programs.

The form follows the name's end:

  .npz      arrays for NumPy, PyTorch, JAX: images, labels, learning rates
  .parquet  rows for Hugging Face's datasets (needs tfdistill[huggingface])
  .tflite   the trained network, for LiteRT (TensorFlow Lite)
"""

import os

from absl import flags

from tfdistill.cli import common

FLAGS = flags.FLAGS
_FORMS = (".npz", ".parquet", ".tflite")
_names = []


def define_flags() -> None:
    """Defines the command's flags."""
    flags.DEFINE_string("workdir", None, "The run folder.")
    flags.DEFINE_string(
        "output", None, f"The file, ending in one of {', '.join(_FORMS)}."
    )
    flags.DEFINE_boolean("overwrite", False, "Whether to replace --output.")
    _names.extend(["workdir", "output", "overwrite"])


def flag_names() -> list[str]:
    """The command's flags, in the order of its help."""
    return _names


def main() -> None:
    """Runs the command."""
    common.check_workdir("run")
    output = FLAGS.output or ""
    form = os.path.splitext(output)[1]
    if form not in _FORMS:
        raise common.InputError(
            f"--output={output} must be a file that ends in one of "
            f"{', '.join(_FORMS)}, e.g. --output=distilled.npz."
        )
    if os.path.exists(output) and not FLAGS.overwrite:
        raise common.InputError(
            f"--output={output} exists; choose another name, or pass --overwrite."
        )
    from tfdistill import DistilledDataset
    from tfdistill.distilled import exports

    try:
        with common.input_errors():
            if form == ".tflite":
                student = os.path.join(FLAGS.workdir, "student")
                exports.save_tflite(student, output, FLAGS.overwrite)
            else:
                folder = os.path.join(FLAGS.workdir, "distilled")
                save = exports.save_npz if form == ".npz" else exports.save_parquet
                save(DistilledDataset.load(folder), output, FLAGS.overwrite)
    except ImportError as error:
        raise common.InputError(str(error)) from error
    print(f"{output} ({os.path.getsize(output) / 1024:.0f} KiB).")
