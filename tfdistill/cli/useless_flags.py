"""What is typed on a command line, and would have no effect."""

from collections.abc import Sequence

from tfdistill.cli.command import Command, name_of
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError


def check(
    command: Command, configuration: Configuration, arguments: Sequence[str]
) -> None:
    """Refuses a flag that a person has typed, and that has no use beside the others.

    A file of flags may hold such flags: a record of a run holds all.

    Args:
        command: Whose flags they are.
        configuration: What it made of the arguments.
        arguments: The command line.

    Raises:
        InputError: If there is such a flag, but for --noNAME.
    """
    dashed = (a.removeprefix("-").removeprefix("-") for a in arguments if a[:1] == "-")
    typed = {name_of(f"--{argument}") for argument in dashed}
    unused = command.unused(configuration)
    for name, flag in command.flags.items():
        if name not in typed & set(unused) or getattr(configuration, name) is False:
            continue
        if flag.names_code and "flagfile" in typed:  # the file's word is confirmed
            continue
        others = [_said(command.flags[k], value) for k, value in unused[name].items()]
        means = ""
        if "method" in command.flags and not typed & {"flagfile", *unused[name]}:
            means = f", which --method={configuration.method} sets"
        raise InputError(
            f"--{name} has no effect {' and '.join(others)}{means}: leave --{name} "
            f"out, or change {' or '.join(f'--{k}' for k in unused[name])}."
        )


def _said(flag, value):
    """With which value of a flag, in words."""
    line = flag.line(value)
    return f"with {line}" if line else f"without --{flag.name}"
