"""Real data in: every source becomes a `Dataset` of two `Split`s."""

import contextlib
import difflib
import os
import pathlib
import re
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfdistill.normalization import Normalization
from tfdistill.raw_images import as_images, raw_pairs, resize_all
from tfdistill.splits import Dataset, Split, StreamedSplit, check_int

_MEMORY_LIMIT = 2 << 30  # bytes of raw training images that are still held
_HELD_OUT = 0.2  # of the training data, where a source has no test data
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")

# Mean and standard deviation of images scaled to [0, 1], as the literature uses
# them: results only compare when everyone normalises alike.
_KNOWN = {
    "mnist": ((0.1307,), (0.3081,)),
    "usps": ((0.159727,), (0.257267,)),
    "svhn_cropped": ((0.43791, 0.44398, 0.47293), (0.19803, 0.20102, 0.19704)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)),
    "caltech_birds2011": ((0.47851, 0.49927, 0.40222), (0.23211, 0.22771, 0.26652)),
}
_DEFAULT_SIZE = {"usps": 28}  # so that USPS and MNIST share their students


def from_arrays(
    train,
    test=None,
    *,
    class_names: Sequence[str] | None = None,
    normalization: Normalization | None = None,
    name: str = "arrays",
    seed: int = 0,
) -> Dataset:
    """Makes a data set of arrays.

    Args:
        train: (images, labels), as in `Split`; the labels are 0..C-1.
        test: The same for testing; None holds out a fifth of every class of `train`.
        class_names: One name per class; None names them "0", "1", ....
        normalization: None measures the training images.
        name: What to call the data.
        seed: Non-negative seed of the held-out part.

    Returns:
        The `Dataset`, in memory.

    Raises:
        ValueError: If the arrays are not what is described above.
    """
    splits = []
    for part, pair in (("train", train), ("test", test))[: 1 + (test is not None)]:
        with _blame(part):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ValueError("the data must be a pair (images, labels).")
            classes = None if class_names is None else len(class_names)
            images, labels = pair
            splits.append(Split(images, labels, normalization, num_classes=classes))
    return _assemble(name, splits, class_names, seed)


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
    """Makes a data set of `tf.data.Dataset`s.

    Args:
        train: Unbatched (image, label) pairs; images [H, W, C] or [H, W] of a known
            shape, uint8, uint16 or floats; labels integers 0..C-1. What is streamed
            must come in the same order on every pass.
        test: The same for testing; None holds out a fifth of every class of `train`.
        num_classes: None takes the number of names or the largest label plus one.
        class_names: One name per class; None names them "0", "1", ....
        normalization: None measures the training images.
        in_memory: Whether to hold the images in memory; None does so when those of
            `train` take less than 2 GiB.
        name: What to call the data.

    Returns:
        The `Dataset`.

    Raises:
        ValueError: If the pairs are not what is described above.
    """
    if num_classes is not None and class_names is None:
        class_names = [str(c) for c in range(check_int("num_classes", num_classes, 2))]
    elif class_names is not None and num_classes not in (None, len(class_names)):
        raise ValueError(
            f"num_classes is {num_classes}, but class_names has {len(class_names)}."
        )
    parts = {"train": train} if test is None else {"train": train, "test": test}
    return _from_pairs(
        name, parts, {}, in_memory, None, class_names, normalization, seed=0
    )


def load_dataset(
    name: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    download: bool = False,
    in_memory: bool | None = None,
    image_size: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Loads a data set by its name or from its files.

    Data without a test (or validation) part are split: a fifth of every class is
    held out, the same one for the same seed.

    Args:
        name: One of
            - "digits": the 8x8 digits that come with scikit-learn;
            - the name of a TensorFlow data set with an image and a class label,
              such as "mnist", "name/config" or "name:version", or "usps";
            - a `.npz` file with x_train, y_train and, optionally, x_test, y_test and
              class_names (array of strings), as in `from_arrays`;
            - a folder of images, `train/<class>/*.png` and `test/<class>/*.png` or
              just `<class>/*.png`; also jpg, jpeg, bmp and gif;
            - the folder of a prepared TensorFlow data set (with dataset_info.json).
            A folder that is called like a data set is reached as "./mnist".
        data_dir: Folder of prepared TensorFlow data sets; None is that of TFDS.
        download: Whether TensorFlow data sets may be downloaded and prepared.
        in_memory: Whether to hold the images in memory; None does so when the raw
            training images take less than 2 GiB. Digits and `.npz` are always held.
        image_size: Side to resize the images to; None keeps them as they are, but for
            "usps", which becomes 28x28 like MNIST.
        seed: Non-negative seed of the held-out part; that of "digits" is fixed.

    Returns:
        The `Dataset`.

    Raises:
        FileNotFoundError: If a file, or prepared data, are missing.
        ValueError: If there is no such data set, or its data cannot be used.
    """
    path = os.fspath(name)
    if image_size is not None:
        check_int("image_size", image_size, 1)
    if path == "digits":
        return _load_digits(image_size)
    is_path = isinstance(name, os.PathLike) or path.startswith((".", "/", "~"))
    is_path = is_path or path.endswith(".npz")
    path = os.path.expanduser(path) if is_path else path
    with _blame(repr(path)):
        if os.path.isdir(path) and (is_path or path not in _known_names()):
            if os.path.isfile(os.path.join(path, "dataset_info.json")):
                import tensorflow_datasets as tfds

                builder = tfds.builder_from_directory(path)
                return _load_tfds(builder, in_memory, image_size, seed)
            return _load_folder(pathlib.Path(path), in_memory, image_size, seed)
        if is_path and not os.path.isfile(path):
            raise FileNotFoundError(f"There is no file or folder {path!r}.")
        if is_path:
            return _load_npz(path, image_size, seed)
    builder = _find_builder(path, data_dir, download)
    with _blame(repr(path)):
        return _load_tfds(builder, in_memory, image_size, seed)


def _load_digits(image_size: int | None) -> Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    return from_arrays((resize_all(images, image_size), digits.target), name="digits")


def _load_npz(path: str, image_size: int | None, seed: int) -> Dataset:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except Exception as error:  # zip, zlib, numpy and the system each have their own
        raise ValueError(f"not a whole .npz file of plain arrays ({error})") from error
    tested = {"x_test", "y_test"} & set(arrays)
    wanted = ["x_train", "y_train", "x_test", "y_test"][: 4 if tested else 2]
    missing = [key for key in wanted if key not in arrays]
    if missing:
        raise ValueError(
            f"the file must hold {', '.join(wanted)}, but lacks {', '.join(missing)}."
        )
    values = [arrays[key] for key in wanted]
    for i in range(0, len(values), 2):
        with _blame(wanted[i]):
            values[i] = resize_all(as_images(values[i]), image_size)
    names = arrays.get("class_names")
    names = None if names is None else [str(name) for name in names.reshape(-1)]
    pairs = zip(values[::2], values[1::2], strict=True)
    return from_arrays(
        *pairs, class_names=names, name=pathlib.Path(path).stem, seed=seed
    )


def _load_folder(root: pathlib.Path, in_memory, image_size, seed) -> Dataset:
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
        for file, _ in found:  # headers only: a bad file should show up now
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
            if size != shape[0] and not image_size:
                raise ValueError(
                    f"images differ in size, such as {shape[1]!r} and "
                    f"{str(file)!r}: give image_size to resize them."
                )
        files = [str(file) for file, _ in found]
        labels = np.int32([names.index(folder) for _, folder in found])
        static = (*((None, None) if image_size else shape[0]), len(mode))

        def load(file, label, static=static):
            image = tf.numpy_function(read, [file], tf.uint8)
            return tf.ensure_shape(image, static), label

        pairs = tf.data.Dataset.from_tensor_slices((files, labels))
        parts[part] = pairs.map(load, num_parallel_calls=tf.data.AUTOTUNE)
        counts[part] = len(files)
    return _from_pairs(
        root.resolve().name, parts, counts, in_memory, image_size, names, None, seed
    )


def _known_names() -> list[str]:
    import tensorflow_datasets as tfds

    return ["digits", "usps", *tfds.list_builders(with_community_datasets=False)]


def _find_builder(name: str, data_dir, download: bool):
    import tensorflow_datasets as tfds

    base = re.split("[:/]", name)[0]
    if base == "usps":
        from tfdistill import usps  # noqa: F401  (TFDS knows it from then on)
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        near = difflib.get_close_matches(base, _known_names())
        hint = f"did you mean {' or '.join(near)}?" if near else "no name is near."
        raise ValueError(f"There is no data set or file {name!r}; {hint}") from None
    except (AssertionError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"TFDS has no {name!r}: {reason}") from error
    if not builder.is_prepared():
        if not download:
            raise FileNotFoundError(
                f"{name!r} is not prepared in {str(builder.data_dir)!r}: give "
                "--download (download=True) to fetch it or --data_dir (data_dir) to "
                "say where it is."
            )
        builder.download_and_prepare()
    return builder


def _load_tfds(builder, in_memory, image_size, seed) -> Dataset:
    import tensorflow_datasets as tfds

    info = builder.info
    kinds = tfds.features.Image, tfds.features.ClassLabel
    # A mask is an image too: what is meant by the images is then in supervised_keys.
    keys = [k for k in info.supervised_keys or () if isinstance(k, str)]
    for candidates in (keys, list(info.features)):
        found = [
            [k for k in candidates if isinstance(info.features[k], kind)]
            for kind in kinds
        ]
        if [len(keys) for keys in found] == [1, 1]:
            (image_key,), (label_key,) = found
            break
    else:
        raise ValueError(
            "the data need one Image and one ClassLabel feature, not "
            f"{', '.join(info.features)}."
        )
    splits = {"train": "train"}
    for split in ("validation", "test"):
        if split in info.splits:
            splits["test"] = split
    if "train" not in info.splits:
        raise ValueError(f"there is no split train, only {', '.join(info.splits)}.")
    parts = {
        part: builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding({image_key: True, label_key: True}),
            read_config=tfds.ReadConfig(try_autocache=False),
        ).map(lambda example: (example[image_key], example[label_key]))
        for part, split in splits.items()
    }
    counts = {part: info.splits[split].num_examples for part, split in splits.items()}
    image, known = info.features[image_key], _KNOWN.get(builder.name)
    if known and (image.np_dtype != np.uint8 or image.shape[-1] != len(known[0])):
        known = None  # another data set of that name
    config = builder.builder_config.name if builder.builder_config else None
    return _from_pairs(
        f"{builder.name}/{config}" if config else builder.name,
        parts,
        counts,
        in_memory,
        image_size or _DEFAULT_SIZE.get(builder.name),
        info.features[label_key].names,
        Normalization(*known) if known else None,
        seed,
    )


def _from_pairs(
    name, parts, counts, in_memory, image_size, class_names, normalization, seed
) -> Dataset:
    """Makes a data set of streams; `counts` lacks those that a user made."""
    classes = None if class_names is None else len(class_names)
    splits = []
    for part, pairs in parts.items():
        with _blame(part):
            pairs = raw_pairs(pairs, image_size)
            image, count = pairs.element_spec[0], counts.get(part)
            if count is None:
                count = int(pairs.cardinality())
                if count == tf.data.INFINITE_CARDINALITY:
                    raise ValueError("the dataset must end, but it repeats forever.")
                if count == tf.data.UNKNOWN_CARDINALITY:
                    count = int(pairs.reduce(np.int64(0), lambda n, _: n + 1))
            if in_memory is None:  # decided by train, for both
                raw = count * image.shape.num_elements() * image.dtype.size
                in_memory = raw < _MEMORY_LIMIT
            split = StreamedSplit(pairs, count, image.shape, normalization, classes)
            if in_memory:
                split = Split(*_hold(pairs, count), normalization, num_classes=classes)
            elif part not in counts:  # a user's labels: checked before they do harm
                split._read_labels()
            splits.append(split)
    return _assemble(name, splits, class_names, seed)


def _hold(pairs: tf.data.Dataset, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads `count` pairs into arrays that are allocated once."""
    spec = pairs.element_spec[0]
    images = np.empty((count, *spec.shape), spec.dtype.as_numpy_dtype)
    labels, at = np.empty(count, np.int32), 0
    try:
        for x, y in pairs.batch(512).prefetch(2).as_numpy_iterator():
            images[at : at + len(x)], labels[at : at + len(x)] = x, y
            at += len(x)
    except tf.errors.OpError as error:
        reason = error.message.split("}} ")[-1].splitlines()[0]
        raise ValueError(f"example {at} or a later one is damaged: {reason}") from error
    if at != count:
        raise ValueError(f"there are {at} examples, but {count} were announced.")
    return images, labels


def _assemble(name, splits, class_names, seed) -> Dataset:
    """Checks what the two parts must agree on, and normalises them alike."""
    train, test = splits if len(splits) == 2 else splits[0].split(_HELD_OUT, seed)
    if class_names is None:
        class_names = [str(label) for label in range(train.num_classes)]
        absent = set(range(train.num_classes)) - set(train._read_labels().tolist())
        if absent:
            raise ValueError(
                "labels must be 0 to C - 1, but the largest is "
                f"{train.num_classes - 1} and train has none of class {min(absent)}."
            )
    if len(class_names) < 2:
        raise ValueError(f"There must be at least 2 classes, not {len(class_names)}.")
    if train.image_shape != test.image_shape:
        raise ValueError(
            "Images of train and test must have one shape, not "
            f"{train.image_shape} and {test.image_shape}."
        )
    if train._labels is not None and test._labels is not None:
        extra = set(test._labels.tolist()) - set(train._labels.tolist())
        if extra:
            raise ValueError(f"test has class {min(extra)}, which train has not.")
    normalization, count = train.normalization, len(class_names)
    train, test = (part._with(normalization, count) for part in (train, test))
    return Dataset(name, train, test, normalization, tuple(map(str, class_names)))


@contextlib.contextmanager
def _blame(what: str):
    """Says in the sentence of a ValueError what it is about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
