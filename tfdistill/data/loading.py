"""Loads real data: every source becomes a `Dataset` of two `Split`s."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfdistill._internal.checks import check_int
from tfdistill.data import folders, npz, tfds_sources
from tfdistill.data.assembling import assemble, blame
from tfdistill.data.dataset import Dataset
from tfdistill.data.extent import Extent
from tfdistill.data.finding import find
from tfdistill.data.images import Form, as_images
from tfdistill.data.labels import numbered
from tfdistill.data.normalization import Normalization
from tfdistill.data.reading import read
from tfdistill.data.sources import Source
from tfdistill.data.split import Split


def from_arrays(
    train,
    test=None,
    *,
    class_names: Sequence[str] | None = None,
    normalization: Normalization | None = None,
    name: str = "arrays",
    seed: int = 0,
) -> Dataset:
    """Makes a data set from arrays.

    Args:
        train: Pair (images, labels) to train on: images [N, H, W, C] or [N, H, W],
            uint8, bools, other integers in 0..255 or finite floats; labels [N] that are
            0..K-1 for K classes, or [N, 1], one-hot rows [N, K], or names of classes.
        test: Same to test on; None holds out a fifth of every class of `train`.
        class_names: One name per class; None names them "0", "1", ..., or sorts the
            names that the labels are.
        normalization: `Normalization` of all images; None measures the training images.
        name: Name of the data.
        seed: Non-negative seed of the choice of the held-out fifth.

    Returns:
        The `Dataset`, in memory.

    Raises:
        ValueError: If the arrays are not what is described above.

    Example:
        >>> import numpy as np
        >>> import tfdistill
        >>> images = np.zeros([20, 8, 8, 3], np.uint8)
        >>> labels = np.arange(20) % 2
        >>> data = tfdistill.from_arrays((images, labels), class_names=["cat", "dog"])
        >>> data.image_shape, data.class_names
        ((8, 8, 3), ('cat', 'dog'))
        >>> len(data.train), len(data.test)
        (16, 4)
    """
    named = {"train": train} if test is None else {"train": train, "test": test}
    for part, pair in named.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(f"{part}: the data must be a pair (images, labels).")
    labels, class_names = numbered([pair[1] for pair in named.values()], class_names)
    classes = None if class_names is None else len(class_names)
    splits = []
    for (part, (images, _)), own in zip(named.items(), labels, strict=True):
        with blame(part):
            splits.append(Split(images, own, normalization, num_classes=classes))
    extents = [Extent.of_images(split.images) for split in splits]
    return assemble(name, splits, class_names, seed, extents)


def from_tf_data(
    train: tf.data.Dataset,
    test: tf.data.Dataset | None = None,
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    normalization: Normalization | None = None,
    in_memory: bool | None = None,
    name: str = "tf.data",
) -> Dataset:
    """Makes a data set from `tf.data.Dataset`s.

    Args:
        train: Unbatched (image, label) pairs to train on: images [H, W, C] or [H, W] of
            known shape, uint8, uint16, bools or floats; scalar integer labels 0..K-1
            for K classes, or one-hot vectors. If they are streamed, every pass must
            give the same pairs in the same order: they are read twice to see that.
        test: Same to test on; None holds out a fifth of every class of `train`.
        num_classes: Number of classes K; None takes the number of class names or the
            largest label plus one.
        class_names: One name per class; None names them "0", "1", ....
        normalization: `Normalization` of all images; None measures the training images.
        in_memory: Whether to hold the images in memory; None does if those of `train`
            take less than 2 GiB.
        name: Name of the data.

    Returns:
        The `Dataset`.

    Raises:
        ValueError: If the pairs are not what is described above.

    Example:
        >>> import numpy as np
        >>> import tensorflow as tf
        >>> import tfdistill
        >>> images, labels = np.zeros([20, 8, 8, 3], np.uint8), np.arange(20) % 2
        >>> pairs = tf.data.Dataset.from_tensor_slices((images, labels))
        >>> data = tfdistill.from_tf_data(pairs.take(12), pairs.skip(12))
        >>> data.num_classes, len(data.train), len(data.test), data.train.is_held
        (2, 12, 8, True)
    """
    if num_classes is not None and class_names is None:
        class_names = [str(c) for c in range(check_int("num_classes", num_classes, 2))]
    elif class_names is not None and num_classes not in (None, len(class_names)):
        raise ValueError(
            f"num_classes is {num_classes}, but class_names has {len(class_names)}."
        )
    parts = {"train": train} if test is None else {"train": train, "test": test}
    source = Source(name, parts, {}, class_names, normalization)
    return read(source, Form(), in_memory, seed=0)


def load_dataset(
    name: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    download: bool = False,
    in_memory: bool | None = None,
    image_size: int | None = None,
    channels: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Loads a data set by its name or from its files.

    If the data have no test (or validation) part, a fifth of every class is held out,
    the same examples for the same seed.

    Args:
        name: One of
            - "digits": the 8x8 digits that come with scikit-learn;
            - the name of a TensorFlow data set with an image and a class label, such
              as "mnist", "name/config" or "name:version", or "usps"; in one with
              labelled boxes, such as "voc/2007", each box is an example;
            - a `.npz` file with x_train, y_train and, optionally, x_test, y_test and
              class_names (array of strings), as in `from_arrays`;
            - a folder of images, `train/<class>/` and `test/<class>/` or just
              `<class>/`, with files and folders of files of any format that Pillow
              reads; without `test/`, `val/` or `valid/` is the test part;
            - the folder of a prepared TensorFlow data set: that of a version (with
              dataset_info.json), or the one above, for the latest version.
            A folder named like a data set is given as a path, such as "./mnist".
        data_dir: Folder of prepared TensorFlow data sets; None is the default of TFDS.
        download: Whether TensorFlow data sets may be downloaded and prepared.
        in_memory: Whether to hold the images in memory; None does if the raw training
            images take less than 2 GiB. Digits and `.npz` are always held.
        image_size: Height and width to resize the images to. None keeps their size,
            with three exceptions: "usps" becomes 28x28 with a margin of 3 black pixels,
            like MNIST; "voc" and "caltech_birds2011" become 224x224.
        channels: 3 gives grey images three equal channels, 1 makes colour images grey;
            None keeps them.
        seed: Non-negative seed of the choice of a held-out fifth; "digits" ignores it.

    Returns:
        The `Dataset`.

    Raises:
        FileNotFoundError: If a file or prepared data are missing.
        ValueError: If there is no such data set, or its data cannot be used.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> digits.num_classes, digits.image_shape, len(digits.train), len(digits.test)
        (10, (8, 8, 1), 1438, 359)
        >>> tfdistill.load_dataset("digits", image_size=16, channels=3).image_shape
        (16, 16, 3)
    """
    if image_size is not None:
        image_size = check_int("image_size", image_size, 1)
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 or 3, not {channels!r}.")
    form = Form(image_size, channels)
    found = find(name, data_dir, download)
    if found.kind == "digits":
        return _load_digits(form)
    with blame(repr(found.path)):
        if found.kind == "npz":
            return _load_npz(found.path, form, seed)
        if found.kind == "tfds":
            source = tfds_sources.of_builder(found.builder)
        else:
            root, one_size = pathlib.Path(found.path), image_size is None
            source = folders.of_folder(root, one_size=one_size)
        return read(source, form, in_memory, seed)


def _load_digits(form: Form) -> Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    return from_arrays((form.of_arrays(images), digits.target), name="digits")


def _load_npz(path: str, form: Form, seed: int) -> Dataset:
    arrays, names = npz.read(path)
    for key, images in arrays.items():
        if key[0] == "x":
            with blame(key):
                arrays[key] = form.of_arrays(as_images(images))
    values = list(arrays.values())
    pairs = zip(values[::2], values[1::2], strict=True)
    return from_arrays(
        *pairs, class_names=names, name=pathlib.Path(path).stem, seed=seed
    )
