"""Names of code: "package.module:function". To look one up is to run what it names."""

import os
import re
from collections.abc import Sequence


def is_named(name: str | None) -> bool:
    """Whether a name, or one of several with commas, is that of code to import.

    `keras.applications:NAME` is not: it is Keras's own.
    """
    return any(
        ":" in each and not each.strip().startswith("keras.applications:")
        for each in (name or "").split(",")
    )


def is_fetched(name: str | None) -> bool:
    """Whether TFDS runs code of others for a data set: for "namespace:name".

    A folder or a .npz file of that name is only read.
    """
    if not name or name.endswith(".npz") or os.path.isdir(name):
        return False
    return bool(re.match(r"[\w-]+:[a-zA-Z]", name))


def is_saved_model(path: str | None) -> bool:
    """Whether a network is a folder: TensorFlow runs its graph when it is loaded."""
    return path is not None and os.path.isdir(os.path.expanduser(path))


def is_typed(flag: str, value: str, arguments: Sequence[str]) -> bool:
    """Whether a command line itself gives a flag a value, and not a file that it names.

    Args:
        flag: The flag's name.
        value: Its value; of a list, with commas.
        arguments: The command line.
    """
    # A list may be typed with spaces after its commas.
    value, *arguments = ("".join(text.split()) for text in (value, *arguments))
    typed = [argument.lstrip("-") for argument in arguments]
    return f"{flag}={value}" in typed or (flag, value) in zip(typed, arguments[1:])
