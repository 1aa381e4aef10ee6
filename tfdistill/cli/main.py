"""The command line: `tfdistill COMMAND --flags`."""

import importlib
import math
import os
import sys

from absl import app, flags, logging

COMMANDS = {
    "distill": "learn distilled images of a data set",
    "baseline": "train networks on selected real images, to compare",
    "pretrain": "train students on real data, for a pool of pretrained ones",
    "evaluate": "train fresh networks on distilled images, and test them",
    "audit": "find wrong labels in a data set",
    "export": "write a run's images or network for other programs",
    "report": "show runs on one HTML page",
    "search": "rank architectures by what they learn from distilled images",
}

_USAGE = """tfdistill: a handful of synthetic images that train a network.

usage: tfdistill COMMAND [--flag=value ...]

{commands}

`tfdistill COMMAND --help` explains a command's flags. Flags can be kept in a file:
`tfdistill COMMAND --flagfile=FILE`. The shortest start, on a data set that is built in:

  tfdistill distill --dataset=digits --workdir=run
"""


def run() -> None:
    """The console script.

    Exits with 0, or with 1 (failed), 2 (wrong input) or 143 (stopped by SIGTERM, with
    its state saved: the same command goes on).
    """
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help", "help", "--version"):
        print(_version() if name == "--version" else _usage())
        sys.exit(0)
    if name not in COMMANDS:
        _refuse(
            f"{name!r} is not a command of tfdistill; "
            f"there are {', '.join(COMMANDS)} (tfdistill --help)."
        )
    # Before TensorFlow is imported, or it has no effect.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Neither window nor display: pictures are files.
    os.environ.setdefault("MPLBACKEND", "Agg")
    command = importlib.import_module(f"tfdistill.cli.{name}")
    command.define_flags()
    arguments = [f"tfdistill {name}", *sys.argv[2:]]
    if any(a in ("-h", "--help", "-help", "--helpfull") for a in arguments[1:]):
        print(_help(name, command))
        sys.exit(0)
    try:
        rest = flags.FLAGS(arguments)
        check_finite(command.flag_names())
    except flags.Error as error:
        _refuse(str(error).replace("FATAL Flags parsing error: ", ""))
    if rest[1:]:
        _refuse(
            f"{rest[1]!r} is not a flag; tfdistill {name} takes flags of the form "
            "--name=value only."
        )

    def main(_):
        from tfdistill.cli import common, recovery
        from tfdistill.runs import files, preemption

        preemption.exit_when_asked()
        # TensorFlow and TFDS tell of each file they write.
        logging.set_verbosity(logging.ERROR)
        try:
            command.main()
        except common.InputError as error:
            _refuse(str(error))
        except FloatingPointError as error:
            _refuse(str(error), status=1)
        except Exception as error:
            if files.is_disk_full(error):
                _refuse(
                    f"--workdir={flags.FLAGS.workdir} cannot be written: the disk is "
                    "full. When there is space, the same command goes on.",
                    status=1,
                )
            if recovery.is_lost_worker(error):
                print("A worker is lost; starting again.", file=sys.stderr)
                if not recovery.start_again():
                    _refuse("A worker is lost time and again.", status=1)
            raise

    app.run(main, argv=arguments[:1])


def check_finite(names) -> None:
    """Refuses NaN and infinity, which no bounds of a flag keep out.

    Raises:
        flags.Error: If one of the named flags is either.
    """
    for name in names:
        value = flags.FLAGS[name].value
        if isinstance(value, float) and not math.isfinite(value):
            raise flags.Error(f"--{name} must be a finite number, not {value}.")


def _refuse(sentence, status=2):
    print(f"tfdistill: {sentence}", file=sys.stderr)
    sys.exit(status)


def _version():
    import tfdistill

    return f"tfdistill {tfdistill.__version__}"


def _usage():
    width = max(map(len, COMMANDS))
    return _USAGE.format(
        commands="\n".join(f"  {n:{width}}  {text}" for n, text in COMMANDS.items())
    )


def _help(name, command):
    lines = [command.__doc__.strip(), "", "Flags, with their defaults:"]
    for flag in command.flag_names():
        flag = flags.FLAGS[flag]
        default = "" if flag.default is None else f" (default: {flag.default})"
        if flag.boolean:
            default = " (default: yes)" if flag.default else " (default: no)"
        lines += [f"  --{flag.name}{default}", f"      {flag.help}"]
    lines += ["  --flagfile", "      Read flags from this file."]
    return "\n".join(lines)
