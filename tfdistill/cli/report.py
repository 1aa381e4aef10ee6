"""tfdistill report: shows runs on one HTML page.

The page holds everything: accuracies, the distilled images step by step, the
learned rates, who is taken for whom, the settings, and how to repeat the run.
Several runs are compared on it. It needs no other file, so it can be sent on.
"""

import dataclasses
import os
import shlex

from tfdistill.cli import baseline, distill, machine, run_folder
from tfdistill.cli.command import Command, Flag, Group, name_of
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError, checking
from tfdistill.runs import files


def run(configuration: Configuration) -> None:
    """Runs the command."""
    folders = configuration.workdir
    output = configuration.output or os.path.join(folders[0], "report.html")
    _check_output(output, configuration.overwrite)
    for folder in folders:
        run_folder.check_run(folder)
    from tfdistill.reporting import report

    with checking():
        runs = [_repeatable(report.Run.of_folder(folder)) for folder in folders]
    text = report.page(runs)
    with checking():
        files.write_text(output, text)
    print(f"{output} shows {', '.join(folders)} ({len(text) / 1024:.0f} KiB).")


def _repeatable(run):
    """A run with the commands that repeat it today, as they must be typed."""
    ways = map(_repeating, run.commands)
    return dataclasses.replace(run, commands=[words for words in ways if words])


def _repeating(words):
    """A command of a `Run` without flags of no use, with names of code; or None.

    Earlier versions recorded such flags, and values that are refused today.
    """
    program, name, *given = shlex.split(" ".join(words))
    command = {"distill": distill.COMMAND, "baseline": baseline.COMMAND}[name]
    flagfile, is_file, path = given[0].partition("--flagfile=")
    try:
        if is_file:
            with open(path, encoding="utf-8") as file:
                given[:1] = command.by_flagfile(path, file.read())
            command.parse(given)
        else:
            if any(name_of(line) not in command.flags for line in given):
                return None  # of another version, or not a flag of the command's
            flags = command.shown(command.parse(given)).split("\n")
            given[1:] = filter(None, flags)
    except (OSError, ValueError, InputError):
        return None
    return [program, name, *map(shlex.quote, given)]


def _check_output(path, overwrite):
    if os.path.isdir(path):
        raise InputError(f"--output={path} is a folder, not a file.")
    if not os.path.exists(path) or overwrite:
        return
    with checking(), open(path, "rb") as file:
        start = file.readline(200)
    if not (start.startswith(b"<!-- tfdistill ") and b" report -->" in start):
        raise InputError(
            f"--output={path} is no report of tfdistill; choose another file, or pass "
            "--overwrite to replace it."
        )


COMMAND = Command(
    name="report",
    about=__doc__,
    groups=(
        Group(
            "result",
            [
                Flag(
                    "workdir",
                    list,
                    None,
                    "The run folder, or several with commas between them.",
                    value="FOLDER,...",
                    missing="name a folder, e.g. --workdir=run.",
                ),
                Flag(
                    "output",
                    str,
                    None,
                    "The page.",
                    value="FILE",
                    shown="report.html in the first run folder",
                ),
                Flag(
                    "overwrite",
                    bool,
                    False,
                    "Replace an --output that is no report; an older report always is.",
                ),
            ],
        ),
        Group("machine", [machine.VERBOSE]),
    ),
    run=run,
    examples=("tfdistill report --workdir=run,means --output=report.html",),
)
