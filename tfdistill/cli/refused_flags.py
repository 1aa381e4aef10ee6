"""What absl refuses of a command line, in sentences like all others."""

import difflib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from absl import flags as absl_flags

if TYPE_CHECKING:
    from tfdistill.cli.command import Flag


def sentence(error: Exception, flags: "Mapping[str, Flag]", command: str) -> str:
    """What is wrong with a flag, and what it takes.

    Args:
        error: Raised by absl while it parsed a command line, or read a flagfile.
        flags: The command's, by name.
        command: Name of the command.
    """
    text = " ".join(str(error).replace("FATAL Flags parsing error: ", "").split())
    if isinstance(error, UnicodeDecodeError):
        return f"--flagfile must name a text in {error.encoding.upper()}; it is none."
    if isinstance(error, absl_flags.UnrecognizedFlagError):
        near = difflib.get_close_matches(error.flagname, flags, 1)
        hint = f"; did you mean --{near[0]}?" if near else ""
        return (
            f"--{error.flagname} is not a flag of tfdistill {command}{hint} "
            f"(tfdistill help {command})"
        )
    illegal = re.match(r"flag --(\w+)=", str(error))
    if illegal and illegal[1] in flags:
        # "flag --NAME=VALUE: REASON", whose reason is Python's own.
        reason = f": {error.__context__}"
        value = str(error)[illegal.end() :].removesuffix(reason)
        return f"--{illegal[1]}={value} must be {values(flags[illegal[1]])}."
    lacking = re.fullmatch(r"Missing value for flag --?(\w+)", text)
    if lacking and lacking[1] in flags:
        return f"--{lacking[1]} needs a value: {values(flags[lacking[1]])}."
    if isinstance(error, absl_flags.CantOpenFlagFileError):
        where = re.search(r"\[Errno \d+\] (.*): '(.*)'", text)
        if where:
            return f"--flagfile={where[2]} cannot be read: {where[1]}."
    return text


def values(flag: "Flag") -> str:
    """What a flag takes, in words."""
    if flag.choices:
        return f"one of {', '.join(flag.choices)}"
    if flag.kind is bool:
        return "true or false"
    if flag.kind not in (int, float):
        return flag.value or "a text"
    what, form = ("a whole number", "d") if flag.kind is int else ("a number", "g")
    if None not in (flag.lowest, flag.highest):
        return f"{what} from {flag.lowest:{form}} to {flag.highest:{form}}"
    return what if flag.lowest is None else f"{what} of at least {flag.lowest:g}"
