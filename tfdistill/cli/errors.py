"""What a person can mend, and how it comes to be said in one sentence."""

import contextlib
from collections.abc import Iterator

from tfdistill.runs import files


class InputError(Exception):
    """What a person can mend: shown as one sentence, without a traceback."""


class IncompleteError(Exception):
    """The result is there, but something that is made of it is not."""


@contextlib.contextmanager
def checking() -> Iterator[None]:
    """Turns errors about arguments and files into `InputError`.

    To be put around loading, building and checks alone. A ValueError out of a
    computation is a mistake of ours, and keeps its traceback.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        if files.is_disk_full(error):
            raise
        raise InputError(" ".join(str(error).split())) from error
