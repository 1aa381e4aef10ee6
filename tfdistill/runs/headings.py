"""What flags.txt says besides the flags: comments, which flagfiles leave out."""

import os

#: A run's flags, as a flagfile.
FLAGS = "flags.txt"
#: Whose run it is.
COMMAND = "# command: "
#: What the test part of the data holds, and what all paths lead to.
TEST, CONTENT = "# test part: ", "# content: "


def said(text: str, heading: str) -> str:
    """What the last line of a heading says; empty if there is none.

    Args:
        text: Of flags.txt.
        heading: One of those of this module.
    """
    lines = [line for line in text.split("\n") if line.startswith(heading)]
    return lines[-1].removeprefix(heading) if lines else ""


def recorded(folder: str | os.PathLike, heading: str) -> str:
    """The same of a folder's flags.txt; empty if it cannot be read."""
    try:
        with open(os.path.join(folder, FLAGS), encoding="utf-8") as file:
            return said(file.read(), heading)
    except (OSError, ValueError):
        return ""
