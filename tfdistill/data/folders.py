"""Folders of image files, one for each class."""

import collections
import concurrent.futures
import contextlib
import os
import pathlib
import warnings

import numpy as np
import tensorflow as tf

from tfdistill.data import pictures
from tfdistill.data.images import Pairs
from tfdistill.data.labels import as_text
from tfdistill.data.python_calls import call
from tfdistill.data.sources import Source

_PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation"),
}
# What systems put beside images: previews, and what is not a picture at all.
_OF_SYSTEMS = {"__MACOSX", "lost+found", "System Volume Information"}
_SHOWN = 3


def of_folder(root: pathlib.Path, *, one_size: bool) -> Source:
    """Finds the images in `train/<class>/` and `test/<class>/`, or in `<class>/`.

    All files that Pillow reads are images, whatever folders of their class they lie in,
    but for links to folders: those are followed to parts and classes only. A warning of
    one line says what is left out or changed.

    Args:
        root: The folder. Without `test/`, the images of `val/`, `valid/` or
            `validation/` are the test part.
        one_size: Whether to refuse images of different sizes.

    Returns:
        The `Source`, named like the folder. Its images are uint8, with 1 channel if all
        are grey, else 3; turned as EXIF says, and on white where transparent.

    Raises:
        ValueError: If there are no images, one is incomplete or has more than 8 bits
            per channel, sizes differ, a class is only in `test`, or a folder inside one
            of a class cannot be read.
    """
    account: collections.Counter = collections.Counter()
    roots = _parts(root, account)
    found = {part: _files(parent, account) for part, parent in roots.items()}
    names = sorted(set(folder for _, folder, _ in found["train"]))
    numbers = {name: k for k, name in enumerate(names)}
    for part, files in found.items():
        unknown = sorted({folder for _, folder, _ in files} - set(names))
        if unknown or not files:
            problem = f"the class {unknown[0]!r} is" if unknown else "no images are"
            where = f"only in {roots[part].name}"
            where = where if unknown else f"in {roots[part]}/<class>/"
            raise ValueError(f"{problem} {where}.")
    headers = [(path, h) for files in found.values() for path, _, h in files]
    first, shape = headers[0][0], headers[0][1].size
    for path, head in headers:
        if head.size != shape and one_size:
            raise ValueError(
                f"images differ in size, such as {first!r} and {path!r}: give "
                "image_size to resize them."
            )
    is_grey = all(head.is_grey for _, head in headers)
    _tell(root, found, [head for _, head in headers], is_grey, account)
    static = (*(shape if one_size else (None, None)), 1 if is_grey else 3)

    def load(path):
        def read(path):
            return pictures.pixels(os.fsdecode(path), is_grey)

        return tf.ensure_shape(call(read, path, tf.uint8), static)

    parts = {}
    for part, files in found.items():
        paths = [os.fsencode(path) for path, _, _ in files]
        labels = np.int32([numbers[folder] for _, folder, _ in files])
        parts[part] = Pairs.of_list(paths, labels, load)
    counts = {part: len(files) for part, files in found.items()}
    return Source(
        root.resolve().name,
        parts,
        counts,
        names,
        verify=lambda: _check([path for path, _ in headers]),
    )


def listed(root: pathlib.Path) -> dict[str, tuple[pathlib.Path, list]]:
    """The images of each part, as `of_folder` finds them, in its order.

    Args:
        root: The folder.

    Returns:
        For "train" and, if there is one, "test": the folder of the part, and the (path,
        class) of its images.
    """
    account: collections.Counter = collections.Counter()
    return {
        part: (parent, [(path, name) for path, name, _ in _files(parent, account)])
        for part, parent in _parts(root, account).items()
    }


def of_training(root: pathlib.Path) -> pathlib.Path:
    """The folder of the training part: `root/train`, say, or the root itself."""
    return _parts(root, collections.Counter())["train"]


def below(root: pathlib.Path) -> list[str]:
    """All files in a folder, also those that are no images, sorted.

    Links to folders are followed where `of_folder` follows them: those of parts and of
    classes, but none further down, so that no link leads round in a circle.

    Args:
        root: The folder.

    Returns:
        Paths within the folder.
    """
    levels = 1 + len(of_training(root).relative_to(root).parts)
    return sorted(os.path.relpath(path, root) for path in _below(root, levels))


def _below(folder, levels):
    with contextlib.suppress(PermissionError), os.scandir(folder) as items:
        for item in items:
            follows = levels > 0 and not _is_hidden(item.name)
            if item.is_dir(follow_symlinks=follows):
                yield from _below(item.path, levels - 1)
            elif item.is_file():
                yield item.path


def _folders(parent):
    return sorted(f for f in parent.iterdir() if f.is_dir() and not _is_hidden(f.name))


def _is_hidden(name):
    return name[0] in ".@#$" or name in _OF_SYSTEMS


def _parts(root, account):
    """The folders of train and test, if there is one of train; else the root."""
    named = {}
    for part, names in _PARTS.items():
        for folder in _folders(root):
            if folder.name.lower() in names and _folders(folder):
                named.setdefault(part, folder)
    if "train" not in named:
        return {"train": root}
    roots = {"train": named["train"]}
    test = named.get("test", named.get("validation"))
    if test:
        roots["test"] = test
    for folder in _folders(root):
        if folder not in roots.values():
            account[f"the folder {folder.name}/"] += 0
    return roots


def _files(parent, account):
    """(path, class, header) of all images of a part, in order."""
    found = []
    for item in sorted(parent.iterdir()):
        if item.is_file() and item.suffix.lower() in pictures.suffixes():
            account["image files outside the folders of classes"] += 1
        elif item.is_dir() and _is_hidden(item.name) and item.name[0] != ".":
            account[f"the folder {item.name}/"] += 0
    for folder in _folders(parent):
        before = len(found)
        for path in sorted(_walk(folder, account)):
            head = pictures.header(path)
            if head is None:
                suffix = os.path.splitext(path)[1] or "no suffix"
                account[f"other files ({suffix})"] += 1
            else:
                found.append((path, as_text(folder.name), head))
        if len(found) == before:
            account[f"the folder {folder.name}/ (without images)"] += 0
    return found


def _walk(folder, account):
    for path, folders, files in os.walk(folder, onerror=_refuse):
        for name in folders:
            if _is_hidden(name) and name[0] != ".":
                account[f"folders {name}/ inside those of classes"] += 1
            elif name[0] != "." and os.path.islink(os.path.join(path, name)):
                account["links to folders inside those of classes"] += 1
        folders[:] = [name for name in folders if not _is_hidden(name)]
        yield from (os.path.join(path, name) for name in files if name[0] != ".")


def _refuse(error):
    raise ValueError(
        f"the folder {error.filename!r} cannot be read: {error.strerror}."
    ) from error


def _check(paths):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(pictures.check, paths, chunksize=16):
            pass


def _tell(root, found, headers, is_grey, account):
    """Warns of what is left out or changed."""
    changed = {
        "are grey, beside colour ones": sum(h.is_grey for h in headers) * (not is_grey),
        "are turned as their EXIF data say": sum(h.is_turned for h in headers),
        "have transparent pixels, which become white": sum(
            h.is_transparent for h in headers
        ),
        "have several frames, of which the first counts": sum(
            h.has_frames for h in headers
        ),
    }
    changes = [f"{count} {what}" for what, count in changed.items() if count]
    left = [f"{n} {what}" if n else what for what, n in sorted(account.items())]
    if not changes and not left:
        return
    read = " and ".join(f"{len(files)} of {part}" for part, files in found.items())
    sentence = f"{root}: {read} images are read"
    if changes:
        sentence += f", of which {', '.join(changes)}"
    if left:
        shown = left[:_SHOWN] + [f"{len(left) - _SHOWN} more"] * (len(left) > _SHOWN)
        sentence += f"; left out: {', '.join(shown)}"
    warnings.warn(f"{sentence}.", stacklevel=4)
