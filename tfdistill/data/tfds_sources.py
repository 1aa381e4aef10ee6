"""What TensorFlow Datasets (TFDS) has prepared or can download."""

import contextlib
import difflib
import os
import re

import numpy as np
import tensorflow as tf

from tfdistill.data.images import Form, Pairs
from tfdistill.data.normalization import Normalization
from tfdistill.data.sources import Source

# Mean and standard deviation of images scaled to [0, 1], as the literature uses
# them: results only compare when everyone normalises alike.
_KNOWN = {
    "mnist": ((0.1307,), (0.3081,)),
    "usps": ((0.159727,), (0.257267,)),
    "svhn_cropped": ((0.43791, 0.44398, 0.47293), (0.19803, 0.20102, 0.19704)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)),
    "caltech_birds2011": ((0.47851, 0.49927, 0.40222), (0.23211, 0.22771, 0.26652)),
    "voc": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
# USPS shares its students with MNIST, whose digits have a margin. With this one, its
# mean is that of the paper's USPS (0.157; 0.255 without), and students of MNIST
# recognise as much of it as the paper's. The others' images have no one size.
_USUAL_FORM = {
    "usps": Form(28, margin=3),
    "caltech_birds2011": Form(224),
    "voc": Form(224),
}


def known_names() -> list[str]:
    """The data sets that have a name."""
    import tensorflow_datasets as tfds

    return ["digits", "usps", *tfds.list_builders(with_community_datasets=False)]


def prepared(folder: str):
    """The TFDS builder of a folder, or of its latest version; None if it has none."""
    import tensorflow_datasets as tfds

    versions = tfds.core.utils.version.list_all_versions(folder)
    for path in [folder, *(os.path.join(folder, str(v)) for v in versions[::-1])]:
        if os.path.isfile(os.path.join(path, "dataset_info.json")):
            return tfds.builder_from_directory(path)
    return None


def find_builder(name: str, data_dir, download: bool):
    """The TFDS builder of prepared data.

    Raises:
        FileNotFoundError: If it is not prepared, and may not be downloaded.
        ValueError: If there is none of that name.
    """
    import tensorflow_datasets as tfds

    base = re.split("[:/]", name)[0]
    if base == "usps":
        from tfdistill.data import usps  # noqa: F401  (TFDS knows it from then on)
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        near = difflib.get_close_matches(base, known_names())
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


def of_builder(builder) -> Source:
    """What TFDS has prepared: labelled images, or labelled boxes in images.

    Of a detection data set, each box is an example: what it cuts out of its image.

    Raises:
        ValueError: If there is no part to train on, or the data are of another kind.
    """
    info = builder.info
    splits = {"train": "train"}
    for split in ("validation", "test"):
        if split in info.splits:
            splits["test"] = split
    if "train" not in info.splits:
        raise ValueError(f"there is no split train, only {', '.join(info.splits)}.")
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
        label.names,
        Normalization(*known) if known else None,
        _USUAL_FORM.get(builder.name, Form()),
    )


def _labelled(builder, splits):
    import tensorflow_datasets as tfds

    info, kinds = builder.info, (tfds.features.Image, tfds.features.ClassLabel)
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
    """A data set of (what a box cuts out, its label), one for each box."""
    image, objects = example["image"], example["objects"]
    size = tf.cast(tf.shape(image)[:2], tf.float32)

    def crop(box, label):
        # ymin, xmin, ymax, xmax as parts of the image; at least one pixel is left.
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
