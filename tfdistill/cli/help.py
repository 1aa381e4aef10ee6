"""The help of a command, of 80 columns."""

import textwrap

from tfdistill.cli.command import Command, Flag

WIDTH = 80
_INDENT = " " * 6


def text(command: Command) -> str:
    """What `tfdistill COMMAND --help` shows."""
    lines = [
        command.about.strip(),
        "",
        f"usage: tfdistill {command.name} [--flag=value ...] [--flagfile=FILE]",
    ]
    for group in command.groups:
        lines += ["", f"{group.title}:"]
        for flag in group.flags:
            lines += [*_heading(flag), *about(flag)]
    return "\n".join([*lines, "", "examples:", *(f"  {x}" for x in command.examples)])


def heading(flag: Flag) -> tuple[str, str]:
    """A flag as it is typed, and its default in parentheses."""
    if flag.kind is bool:
        typed = f"--[no]{flag.name}"
    else:
        kinds = {int: "N", float: "X", str: "TEXT", list: "A,B,..."}
        value = flag.value or "|".join(flag.choices or ()) or kinds[flag.kind]
        typed = f"--{flag.name}={value}"
    return typed, f"({default(flag)})"


def default(flag: Flag) -> str:
    """What a flag is if it is not given, in words."""
    if flag.missing:
        return "required"
    if flag.shown or flag.default is None:
        return flag.shown or "none"
    if flag.kind is bool:
        return "yes" if flag.default else "no"
    if isinstance(flag.default, list):
        return ",".join(flag.default)
    return str(flag.default)


def _heading(flag):
    line = f"  {'  '.join(filter(None, heading(flag)))}"
    if len(line) <= WIDTH:
        return [line]
    typed, default = heading(flag)  # with so many choices that the default doesn't fit
    return [f"  {typed}", f"{_INDENT}{default}"]


def about(flag: Flag) -> list[str]:
    """A flag's help, in lines."""
    return textwrap.wrap(
        flag.help,
        WIDTH,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_on_hyphens=False,
    )
