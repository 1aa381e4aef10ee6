"""What a name or a path of data stands for."""

import dataclasses
import os
from typing import Any

from tfdistill.data import tfds_sources
from tfdistill.data.assembling import blame


@dataclasses.dataclass(frozen=True)
class Found:
    """Where data lie.

    Attributes:
        kind: "digits", "npz", "folder" (of images) or "tfds".
        path: The file or folder; the name, if the data were found by it.
        builder: Of "tfds", the TFDS builder of the prepared data.
    """

    kind: str
    path: str
    builder: Any = None


def find(
    name: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    download: bool = False,
) -> Found:
    """Finds the data of a name, which goes before a folder that is called like it.

    Args:
        name, data_dir, download: Same as for `load_dataset`.

    Raises:
        FileNotFoundError: If a file or prepared data are missing.
        ValueError: If there is no such data set, or it names code to run.
    """
    path, is_path = os.fspath(name), isinstance(name, os.PathLike)
    if path == "digits" and not is_path:
        return Found("digits", path)
    is_path = is_path or path.startswith((".", "/", "~"))
    is_path = is_path or path.endswith(".npz") or not tfds_sources.is_name(path)
    path = os.path.expanduser(path) if is_path else path
    if os.path.isdir(path) and (is_path or path not in tfds_sources.known_names()):
        with blame(repr(path)):
            builder = tfds_sources.prepared(path)
        return Found("tfds" if builder else "folder", path, builder)
    if is_path and not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file or folder {path!r}.")
    if is_path:
        return Found("npz", path)
    data_dir = None if data_dir is None else os.path.expanduser(data_dir)
    return Found("tfds", path, tfds_sources.find_builder(path, data_dir, download))
