"""Files and folders that appear complete or not at all."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator

from tfdistill._internal import fields

_SAVED_MODEL = "saved_model.pb"
# The end of the name under which what is replaced steps aside.
_ASIDE = ".old"
# What `replacing` makes of the name STEM.REST.
_TEMPORARY = re.compile(
    r"(?P<stem>[^.]*)\.[0-9a-f]{8}\.tmp(?P<rest>(\..*?)??)(\.old)?", re.DOTALL
)


def local(path: str | os.PathLike) -> str:
    """A path of this machine, as a string; "~" is the user's home.

    Raises:
        ValueError: If it is a URL, such as gs://bucket/folder.
    """
    path = os.fspath(path)
    if "://" in path:
        raise ValueError(
            f"{path} is a URL, but only files of this machine can be read and written: "
            "use a local folder, and copy it."
        )
    return os.path.expanduser(path)


def saved_model(path: str | os.PathLike) -> str:
    """The folder of a SavedModel.

    Args:
        path: The folder itself, or one of numbered versions, of which the last is
            taken.
    """
    path = local(path)
    if os.path.isfile(os.path.join(path, _SAVED_MODEL)) or not os.path.isdir(path):
        return path
    versions = [name for name in os.listdir(path) if name.isdecimal()]
    return os.path.join(path, max(versions, key=int)) if versions else path


def holds_versions(folder: str | os.PathLike) -> bool:
    """Whether a folder holds numbered SavedModels, at least one, and nothing else.

    Hidden files, and what an interrupted `replacing` has left, don't count.
    """
    folder = local(folder)
    if not os.path.isdir(folder):
        return False
    names = [
        name
        for name in os.listdir(folder)
        if not (name.startswith(".") or final_name(name))
    ]
    return bool(names) and all(
        name.isdecimal() and os.path.isfile(os.path.join(folder, name, _SAVED_MODEL))
        for name in names
    )


@contextlib.contextmanager
def literal(folder: str | os.PathLike) -> Iterator[str]:
    """A path to a folder that TensorFlow does not take for a pattern.

    What belongs to a checkpoint, or to a SavedModel, TensorFlow looks for by a pattern
    that begins with its path: in "rate [0.1]" it finds nothing, and of "rate *" it
    removes what belongs to others.

    Args:
        folder: The folder; it must exist.

    Yields:
        Its own path, or if that is a pattern that of a link to it.
    """
    folder = local(folder)
    if not re.search(r"[*?[\\]", folder):
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        link = os.path.join(temporary, "folder")
        os.symlink(os.path.abspath(folder), link)
        yield link


@contextlib.contextmanager
def replacing(path: str | os.PathLike, *, overwrite: bool = True) -> Iterator[str]:
    """Writes a file, or a folder, under another name first.

        with files.replacing("metrics.json") as temporary:
            Path(temporary).write_text("{}")

    The temporary name is in the same folder and ends like the path, because some
    writers depend on the suffix. If the block fails, nothing of it remains, and what
    was there before is there again.

    Args:
        path: The final path. Its folder is created if necessary. A symbolic link is
            replaced, and what it leads to is not touched: a stranger's folder may hold
            some.
        overwrite: Whether an existing file or folder may be replaced.

    Yields:
        The path to write to; it does not exist yet.

    Raises:
        FileExistsError: If the path exists and overwrite is False; raised before
            anything is done.
    """
    path = os.path.abspath(local(path))
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it.")
    folder, name = os.path.split(path)
    try:
        os.makedirs(folder, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(
            f"{path} cannot be written: {folder} is not a folder."
        ) from None
    stem, dot, rest = name.partition(".")
    temporary = os.path.join(folder, f"{stem}.{uuid.uuid4().hex[:8]}.tmp{dot}{rest}")
    old = f"{temporary}{_ASIDE}"
    try:
        yield temporary
        if os.path.isdir(temporary) and os.path.lexists(path):
            # A folder cannot be replaced in one go: the old one steps aside.
            os.rename(path, old)
            os.rename(temporary, path)
            remove(old)
        else:
            os.replace(temporary, path)
    except BaseException:
        sweep(old)
        remove(temporary)
        raise


def final_name(temporary: str | os.PathLike) -> str | None:
    """The name that is to be written, by a name such as `replacing` gives until then.

    Of what stepped aside for it, too. None of all other names.
    """
    parts = _TEMPORARY.fullmatch(os.path.basename(temporary))
    return parts and parts["stem"] + parts["rest"]


def sweep(temporary: str | os.PathLike) -> None:
    """Removes what an interrupted `replacing` has left under a temporary name.

    If that is what was there before, and nothing is in its place, it is put back.
    """
    folder, name = os.path.split(temporary)
    final = final_name(name) if name.endswith(_ASIDE) else None
    path = os.path.join(folder, final) if final else temporary
    if os.path.lexists(path) or not os.path.lexists(temporary):
        remove(temporary)
    else:
        os.rename(temporary, path)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text file."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text)


def write_json(path: str | os.PathLike, content) -> None:
    """Writes a JSON file, by `fields.as_json`; lists of numbers take a line each."""
    text = json.dumps(fields.as_json(content), indent=1)
    # A line never ends within a string.
    text = re.sub(
        r"\[\n([^\[\]{}\"]*)\n *\]",
        lambda numbers: f"[{' '.join(numbers[1].split())}]",
        text,
    )
    write_text(path, text + "\n")


def read_json(path: str | os.PathLike) -> dict:
    """Reads an object that `write_json` has written, or a stranger.

    Raises:
        ValueError: If the file is damaged, or nested too deeply.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return fields.parse(file.read())
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}.") from error


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(path: str | os.PathLike) -> None:
    """Removes a file or a whole folder, if it is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, of Python or of TensorFlow, says that the disk is full."""
    texts = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT)]
    while error is not None:
        if any(text in str(error) for text in texts):
            return True
        error = error.__cause__ or error.__context__
    return False
