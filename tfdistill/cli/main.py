"""The command line: `tfdistill COMMAND --flags`."""

import difflib
import importlib
import os
import sys

from absl import app, logging

from tfdistill._internal import keras_setup
from tfdistill._internal.version import __version__
from tfdistill.cli import cut_output, quiet, useless_flags
from tfdistill.cli import help as help_text
from tfdistill.cli.command import Command
from tfdistill.cli.errors import (
    IncompleteError,
    InputError,
    own_frames,
    shown,
    warnings_in_lines,
)

#: Each is a module of this folder, with a `COMMAND`.
COMMANDS = {
    "distill": "learn distilled images of a data set",
    "baseline": "train networks on selected real images, to compare",
    "pretrain": "train students on real data, for a pool of pretrained ones",
    "evaluate": "train fresh networks on distilled images, and test them",
    "compare": "judge sets of images, whatever program made them",
    "audit": "find wrong labels in a data set",
    "export": "write a run's images or network for other programs",
    "distilled": "list the distilled sets that ship with tfdistill",
    "report": "show runs on one HTML page",
    "search": "rank architectures by what they learn from distilled images",
}

_USAGE = """tfdistill: a handful of synthetic images that train a network.

usage: tfdistill COMMAND [--flag=value ...]

{commands}

`tfdistill help COMMAND` explains a command's flags. Flags can be kept in a file:
`tfdistill COMMAND --flagfile=FILE`. The shortest start, on a data set that is built in:

  tfdistill distill --dataset=digits --workdir=run
"""


def command(name: str) -> Command:
    """One of `COMMANDS`."""
    return importlib.import_module(f"tfdistill.cli.{name}").COMMAND


def run() -> None:
    """The console script.

    Exits with 0, or with 1 (failed), 2 (wrong input), 130 (stopped by Ctrl-C), 141 (who
    read its output has gone) or 143 (stopped by SIGTERM). After the last three the same
    command goes on.
    """
    cut_output.open_closed()
    cut_output.end_quietly()
    name, *arguments = sys.argv[1:] or ["--help"]
    if name == "--version":
        _show(f"tfdistill {__version__}")
    if name in ("-h", "--help", "help"):
        if not arguments:
            _show(_usage())
        name, arguments = arguments[0], ["--help"]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {near[0]}? There" if near else "there"
        _refuse(
            f"{name!r} is not a command of tfdistill; "
            f"{hint} are {', '.join(COMMANDS)} (tfdistill --help)."
        )
    # Before TensorFlow is imported, or it has no effect.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Neither window nor display: pictures are files.
    os.environ["MPLBACKEND"] = "Agg"
    asked = command(name)
    if any(a in ("-h", "--help", "-help", "--helpfull") for a in arguments):
        _show(help_text.text(asked))
    try:
        configuration = asked.parse(arguments)
        useless_flags.check(asked, configuration, arguments)
    except InputError as error:
        _refuse(str(error))
    try:
        keras_setup.check()
    except ImportError as error:
        _refuse(str(error))
    if not configuration.verbose:
        quiet.start()
    # absl starts the program; its own flags are not read.
    app.run(lambda _: _run(asked, configuration), argv=[f"tfdistill {name}"])


def _run(asked, configuration):
    from tfdistill.cli import lost_workers, machine
    from tfdistill.runs import files, preemption
    from tfdistill.runs.state import StateError

    machine.exit_when_asked()
    # TensorFlow and TFDS tell of each file they write.
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings_in_lines(asked.in_flags):
            asked.run(configuration)
    except (InputError, StateError) as error:
        print(own_frames(error), end="", file=sys.stderr)
        _refuse(asked.in_flags(str(error)))
    except KeyboardInterrupt:
        _refuse(preemption.GOES_ON, status=preemption.INTERRUPTED)
    except (FloatingPointError, IncompleteError) as error:
        _refuse(str(error), status=1)
    except Exception as error:
        if files.is_disk_full(error):
            _refuse(
                f"--workdir={configuration.workdir} cannot be written: the disk is "
                "full. When there is space, the same command goes on.",
                status=1,
            )
        if lost_workers.is_lost_worker(error):
            print("A worker is lost; starting again.", file=sys.stderr)
            if not lost_workers.start_again():
                _refuse("A worker is lost time and again.", status=1)
        raise


def _show(text):
    print(text, flush=True)
    sys.exit(0)


def _refuse(sentence, status=2):
    print(f"tfdistill: {shown(sentence)}", file=sys.stderr)
    sys.exit(status)


def _usage():
    width = max(map(len, COMMANDS))
    return _USAGE.format(
        commands="\n".join(f"  {n:{width}}  {text}" for n, text in COMMANDS.items())
    )
