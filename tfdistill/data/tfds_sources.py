"""Data sets that TensorFlow Datasets (TFDS) has prepared or can download."""

import collections
import contextlib
import difflib
import os
import re
import threading
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from google.protobuf import json_format

from tfdistill._internal import record_lengths
from tfdistill.data.images import Form, Pairs
from tfdistill.data.normalization import Normalization
from tfdistill.data.sources import Source

_OWN_FEATURES = "tensorflow_datasets."
_MOST_CLASSES = 10**5
_REPLACING = threading.Lock()
# Mean and standard deviation of images scaled to [0, 1], as the literature uses
# them: results can be compared only if everyone normalises in the same way.
_KNOWN = {
    "mnist": ((0.1307,), (0.3081,)),
    "usps": ((0.159727,), (0.257267,)),
    "svhn_cropped": ((0.43791, 0.44398, 0.47293), (0.19803, 0.20102, 0.19704)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)),
    "caltech_birds2011": ((0.47851, 0.49927, 0.40222), (0.23211, 0.22771, 0.26652)),
    "voc": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
# USPS shares its students with MNIST, whose digits have a margin. With this margin,
# its mean is that of the paper's USPS (0.157; 0.255 without), and students of MNIST
# recognise as much of it as the paper's do. The images of the other two data sets
# differ in size.
_USUAL_FORM = {
    "usps": Form(28, margin=3),
    "caltech_birds2011": Form(224),
    "voc": Form(224),
}


def known_names() -> list[str]:
    """Returns the names of all data sets that can be loaded by name."""
    import tensorflow_datasets as tfds

    return ["digits", "usps", *tfds.list_builders(with_community_datasets=False)]


def is_name(text: str) -> bool:
    """Whether a text has the form of TFDS's names: "mnist", "name/config:1.0.0"."""
    import tensorflow_datasets as tfds

    try:
        tfds.core.naming.parse_builder_name_kwargs(text)
    except ValueError:
        return False
    return True


def prepared(folder: str):
    """Finds prepared data in a folder.

    Args:
        folder: Folder of a version, with dataset_info.json, or the folder above it.

    Returns:
        The TFDS builder of the folder or of its latest version; None if neither holds
        prepared data.

    Raises:
        ValueError: If the data name code to run.
    """
    import tensorflow_datasets as tfds

    versions = tfds.core.utils.version.list_all_versions(folder)
    for path in [folder, *(os.path.join(folder, str(v)) for v in versions[::-1])]:
        if os.path.isfile(os.path.join(path, "dataset_info.json")):
            with _own_features():
                return tfds.builder_from_directory(path)
    return None


def find_builder(name: str, data_dir, download: bool):
    """Finds a data set by its name, and prepares it if necessary.

    Args:
        name: Name that TFDS accepts, such as "mnist", "name/config" or "name:version".
        data_dir: Folder of prepared data; None is the default of TFDS.
        download: Whether the data may be downloaded and prepared.

    Returns:
        The TFDS builder of the prepared data.

    Raises:
        FileNotFoundError: If the data are not prepared and may not be downloaded.
        ValueError: If there is no data set of that name, or it names code to run.
    """
    import tensorflow_datasets as tfds

    base = re.split("[:/]", name)[0]
    if base == "usps":
        from tfdistill.data import usps  # noqa: F401  (the import registers it)
    try:
        with _own_features():
            builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        near = difflib.get_close_matches(base, known_names())
        hint = f"did you mean {' or '.join(near)}?" if near else "no name is near."
        raise ValueError(
            f"There is no data set, file or folder {name!r}; {hint}"
        ) from None
    except _NamesCode as error:
        raise ValueError(f"{name!r}: {error}") from None
    except (AssertionError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"TFDS has no {name!r}: {reason}") from error
    if not builder.is_prepared():
        if not download:
            raise FileNotFoundError(
                f"{name!r} is not prepared in {str(builder.data_dir)!r}: pass "
                "download=True to download it, or data_dir= if it is elsewhere."
            )
        builder.download_and_prepare()
    return builder


class _NamesCode(ValueError):
    """Data have features that are not TFDS's own."""


@contextlib.contextmanager
def _own_features():
    """Until the block ends, TFDS refuses features that are not its own.

    It imports what a file names. Which file that is depends on links, configurations
    and versions, and names may be nested in texts: all of them come to one function.
    """
    import tensorflow_datasets as tfds

    feature = tfds.features.FeatureConnector
    # What one thread puts back is not to be what another has put there.
    with _REPLACING:
        look_up, replaced = feature.cls_from_name, vars(feature)["cls_from_name"]

        def own(name):
            if not str(name).startswith(_OWN_FEATURES):
                raise _NamesCode(
                    f"a feature names code to run, {name!r}: only features of "
                    "TFDS itself are read."
                )
            return look_up(name)

        feature.cls_from_name = staticmethod(own)
        try:
            yield
        except (RecursionError, json_format.ParseError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"its features are damaged: {reason}") from error
        finally:
            feature.cls_from_name = replaced


def of_builder(builder) -> Source:
    """Describes prepared data: labelled images, or images with labelled boxes.

    In a detection data set, each box is an example: the part of the image inside it.

    Args:
        builder: TFDS builder of prepared data.

    Returns:
        The `Source`. Its test part is the TFDS split "test" or, without one,
        "validation".

    Raises:
        ValueError: If there is no split "train", the data are of another kind, or claim
            what their files do not hold.
    """
    info = builder.info
    splits = {"train": "train"}
    for split in ("validation", "test"):
        if split in info.splits:
            splits["test"] = split
    if "train" not in info.splits:
        raise ValueError(f"there is no split train, only {', '.join(info.splits)}.")
    check_records(builder, splits.values())
    read = _boxes if _has_boxes(info.features) else _labelled
    parts, counts, image, label = read(builder, splits)
    known = _KNOWN.get(builder.name)
    if known and (image.np_dtype != np.uint8 or image.shape[-1] != len(known[0])):
        known = None  # another data set of that name
    config = builder.builder_config.name if builder.builder_config else None
    return Source(
        f"{builder.name}/{config}" if config else builder.name,
        parts,
        counts,
        names_of(label),
        Normalization(*known) if known else None,
        _USUAL_FORM.get(builder.name, Form()),
    )


def check_records(builder, splits: Iterable[str]) -> None:
    """Compares the records of prepared data with the sizes of their files.

    Args:
        builder: TFDS builder of prepared data.
        splits: Names of the splits that will be read.

    Raises:
        ValueError: If a record claims to be longer than its file.
    """
    if builder.info.file_format.value != "tfrecord":
        return
    for split in splits:
        for path in {i.filename for i in builder.info.splits[split].file_instructions}:
            if os.path.isfile(path):  # elsewhere, each header would be a request
                collections.deque(record_lengths.of_file(path), maxlen=0)


def names_of(label) -> list[str]:
    """The names of the classes of a TFDS `ClassLabel`; numbers, where it has none.

    Raises:
        ValueError: If it claims more than 100,000 classes.
    """
    if (label.num_classes or 0) > _MOST_CLASSES:
        raise ValueError(
            f"its labels claim {label.num_classes} classes, but at most "
            f"{_MOST_CLASSES} are read: correct features.json."
        )
    return label.names


def _labelled(builder, splits):
    import tensorflow_datasets as tfds

    info, kinds = builder.info, (tfds.features.Image, tfds.features.ClassLabel)
    # A mask is an Image feature, too: supervised_keys then says which one is meant.
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
    wanted = {image_key: True, label_key: True}
    encoded = {image_key: tfds.decode.SkipDecoding()}
    parts = {
        part: Pairs(
            _read(builder, split, wanted, encoded).map(
                lambda example: (example[image_key], example[label_key])
            ),
            info.features[image_key].decode_example,
        )
        for part, split in splits.items()
    }
    counts = {part: info.splits[split].num_examples for part, split in splits.items()}
    return parts, counts, info.features[image_key], info.features[label_key]


def _has_boxes(features):
    import tensorflow_datasets as tfds

    with contextlib.suppress(KeyError, TypeError, AttributeError):
        objects = features["objects"].feature
        return isinstance(objects["bbox"], tfds.features.BBoxFeature) and isinstance(
            objects["label"], tfds.features.ClassLabel
        )
    return False


def _boxes(builder, splits):
    features = builder.info.features
    objects = {"bbox": True, "label": True}
    parts, counts = {}, {}
    for part, split in splits.items():
        images = _read(builder, split, {"image": True, "objects": objects})
        parts[part] = images.flat_map(_crops)
        labels = _read(builder, split, {"objects": {"label": True}})
        counts[part] = int(
            labels.reduce(
                np.int64(0),
                lambda n, x: n + tf.size(x["objects"]["label"], tf.int64),
            )
        )
    return parts, counts, features["image"], features["objects"].feature["label"]


def _crops(example):
    """Makes a `tf.data.Dataset` of (image inside a box, its label) of the boxes."""
    image, objects = example["image"], example["objects"]
    size = tf.cast(tf.shape(image)[:2], tf.float32)

    def crop(box, label):
        # ymin, xmin, ymax, xmax in [0, 1]; a crop has at least one pixel.
        low = tf.cast(tf.floor(box[:2] * size), tf.int32)
        high = tf.cast(tf.math.ceil(box[2:] * size), tf.int32)
        low = tf.minimum(low, tf.shape(image)[:2] - 1)
        high = tf.clip_by_value(high, low + 1, tf.shape(image)[:2])
        return image[low[0] : high[0], low[1] : high[1]], label

    boxes = tf.data.Dataset.from_tensor_slices((objects["bbox"], objects["label"]))
    return boxes.map(crop)


def _read(builder, split, features, decoders=None):
    import tensorflow_datasets as tfds

    return builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(features, decoders),
        read_config=tfds.ReadConfig(try_autocache=False),
    )
