"""tfdistill report: shows runs on one HTML page.

The page holds everything: accuracies, the distilled images step by step, the learned
rates, who is taken for whom, the settings, and how to repeat the run. Several runs are
compared on it. It needs no other file, so it can be sent on.
"""

import os

from absl import flags

from tfdistill.cli import common
from tfdistill.runs import files

FLAGS = flags.FLAGS
_names = []


def define_flags() -> None:
    """Defines the command's flags."""
    flags.DEFINE_list(
        "workdir", None, "The run folder, or several with commas between them."
    )
    flags.DEFINE_string(
        "output", None, "The page; by default report.html in the first run folder."
    )
    flags.DEFINE_boolean(
        "overwrite",
        False,
        "Whether to replace an --output that is no report (an older report always is).",
    )
    _names.extend(["workdir", "output", "overwrite"])


def flag_names() -> list[str]:
    """The command's flags, in the order of its help."""
    return _names


def main() -> None:
    """Runs the command."""
    common.check_workdir("run")
    output = FLAGS.output or os.path.join(FLAGS.workdir[0], "report.html")
    _check_output(output)
    from tfdistill.reporting import report

    with common.input_errors():
        text = report.page(FLAGS.workdir)
        files.write_text(output, text)
    print(f"{output} shows {', '.join(FLAGS.workdir)} ({len(text) / 1024:.0f} KiB).")


def _check_output(path):
    if os.path.isdir(path):
        raise common.InputError(f"--output={path} is a folder, not a file.")
    if not os.path.exists(path) or FLAGS.overwrite:
        return
    with common.input_errors(), open(path, "rb") as file:
        start = file.readline(200)
    if not (start.startswith(b"<!-- tfdistill ") and b" report -->" in start):
        raise common.InputError(
            f"--output={path} is no report of tfdistill; choose another file, or pass "
            "--overwrite to replace it."
        )
