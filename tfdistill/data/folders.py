"""Folders of image files, one for each class."""

import os
import pathlib

import numpy as np
import tensorflow as tf

from tfdistill.data.images import Pairs
from tfdistill.data.sources import Source

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")


def of_folder(root: pathlib.Path, *, one_size: bool) -> Source:
    """Finds the images in `train/<class>/` and `test/<class>/`, or in `<class>/`.

    Args:
        root: The folder.
        one_size: Whether to refuse images of different sizes.

    Returns:
        The `Source`, named like the folder. Its images are uint8, with 1 channel if
        the first one is grey, else 3.

    Raises:
        ValueError: If there are no images, one is incomplete or has more than 8 bits
            per channel, sizes differ, or a class is only in `test`.
    """
    from PIL import Image

    def folders(parent):
        return sorted(f for f in parent.iterdir() if f.is_dir() and f.name[0] != ".")

    has_train = (root / "train").is_dir()
    roots = {"train": root / "train" if has_train else root}
    if has_train and (root / "test").is_dir():
        roots["test"] = root / "test"
    names = [folder.name for folder in folders(roots["train"])]
    mode, shape, parts, counts = "", ((0, 0), ""), {}, {}

    def read(path):
        with Image.open(os.fsdecode(path)) as image:
            return np.atleast_3d(np.asarray(image.convert(mode)))

    for part, parent in roots.items():
        found = [
            (file, folder.name)
            for folder in folders(parent)
            for file in sorted(folder.iterdir())
            if file.suffix.lower() in _IMAGE_SUFFIXES
        ]
        unknown = sorted({folder for _, folder in found} - set(names))
        if unknown or not found:
            problem = f"the class {unknown[0]!r} is" if unknown else "no images are"
            where = "only in test" if unknown else f"in {parent}/<class>/"
            raise ValueError(f"{problem} {where}.")
        for file, _ in found:  # headers only: bad files are refused now
            try:
                with Image.open(file) as image:
                    if not mode:
                        mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
                        shape = (image.height, image.width), str(file)
                    size, deep = (image.height, image.width), image.mode[0] in "IF"
            except OSError as error:
                raise ValueError(f"{str(file)!r} is not a whole image.") from error
            if deep:
                raise ValueError(f"{str(file)!r} has more than 8 bits per channel.")
            if size != shape[0] and one_size:
                raise ValueError(
                    f"images differ in size, such as {shape[1]!r} and "
                    f"{str(file)!r}: give image_size to resize them."
                )
        files = [str(file) for file, _ in found]
        labels = np.int32([names.index(folder) for _, folder in found])
        static = (*(shape[0] if one_size else (None, None)), len(mode))

        def load(file, static=static):
            return tf.ensure_shape(tf.numpy_function(read, [file], tf.uint8), static)

        pairs = tf.data.Dataset.from_tensor_slices((files, labels))
        parts[part] = Pairs(pairs, load)
        counts[part] = len(files)
    return Source(root.resolve().name, parts, counts, names)
