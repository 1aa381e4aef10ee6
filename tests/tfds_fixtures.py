"""Small data sets in the form in which TFDS prepares the real ones."""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

_VOC = tfds.features.ClassLabel(names=[f"object{k}" for k in range(20)])


def _prepare(data_dir, name, version, features, examples, config=None):
    """Writes `data_dir/name[/config]/version`, where `tfds.builder(name)` finds it."""

    class Small(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(version)
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=config)] if config else []

        def _info(self):
            keys = ("image", "label") if "label" in features else None
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                supervised_keys=keys,
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in examples}

        def _generate_examples(self, split):
            yield from enumerate(examples[split])

    Small.name = name
    Small(data_dir=data_dir, config=config).download_and_prepare()


def _image(rng, shape, label, classes):
    """Noise on a level that tells the class."""
    level = 20 + 200 * label / (classes - 1)
    return np.clip(rng.normal(level, 10, shape), 0, 255).astype(np.uint8)


def svhn(data_dir, per_class=6):
    """SVHN: 32x32 in colour."""
    rng = np.random.default_rng(0)
    _prepare(
        data_dir,
        "svhn_cropped",
        "3.1.0",
        {
            "id": tfds.features.Text(),
            "image": tfds.features.Image(shape=(32, 32, 3)),
            "label": tfds.features.ClassLabel(num_classes=10),
        },
        {
            split: [
                {"id": str(k), "image": _image(rng, (32, 32, 3), k, 10), "label": k}
                for k in list(range(10)) * per_class
            ]
            for split in ("train", "test")
        },
    )


def handwritten(data_dir, name, version, side, shift):
    """MNIST or USPS: the digits of scikit-learn, moved by some pixels."""
    data = load_digits()
    images = tf.image.resize(data.images[..., None] * (255 / 16), (side, side))
    images = np.roll(np.uint8(np.clip(images, 0, 255)), shift, axis=2)
    examples = [{"image": x, "label": int(y)} for x, y in zip(images, data.target)]
    _prepare(
        data_dir,
        name,
        version,
        {
            "image": tfds.features.Image(shape=(side, side, 1)),
            "label": tfds.features.ClassLabel(num_classes=10),
        },
        {"train": examples[:1400], "test": examples[1400:]},
    )


def cub(data_dir, classes=200):
    """CUB-200: photographs of any size, with boxes and masks."""
    rng = np.random.default_rng(0)

    def example(label):
        shape = tuple(rng.integers(20, 40, 2))
        return {
            "image": _image(rng, (*shape, 3), label, classes),
            "image/filename": f"{label}.jpg",
            "bbox": tfds.features.BBox(0.1, 0.1, 0.9, 0.9),
            "label": label,
            "label_name": str(label),
            "segmentation_mask": np.zeros((*shape, 1), np.uint8),
        }

    _prepare(
        data_dir,
        "caltech_birds2011",
        "0.2.0",
        {
            "image": tfds.features.Image(),
            "image/filename": tfds.features.Text(),
            "bbox": tfds.features.BBoxFeature(),
            "label": tfds.features.ClassLabel(num_classes=classes),
            "label_name": tfds.features.Text(),
            "segmentation_mask": tfds.features.Image(shape=(None, None, 1)),
        },
        {
            split: [example(label) for label in list(range(classes)) * 2]
            for split in ("train", "test")
        },
    )


def voc(data_dir, per_split=40):
    """PASCAL VOC 2007: photographs with labelled boxes, of two objects each.

    The left half shows an object of class k mod 20, the right upper quarter one of
    class k + 1 mod 20.
    """
    rng = np.random.default_rng(0)

    def example(k):
        height, width = 2 * rng.integers(16, 24, 2)
        labels = [k % 20, (k + 1) % 20]
        image = np.zeros((height, width, 3), np.uint8)
        middle, half = width // 2, height // 2
        image[:, :middle] = _image(rng, (height, middle, 3), labels[0], 20)
        image[:half, middle:] = _image(rng, (half, middle, 3), labels[1], 20)
        boxes = [(0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 0.5, 1.0)]
        return {
            "image": image,
            "image/filename": f"{k}.jpg",
            "objects": [
                {
                    "bbox": tfds.features.BBox(*box),
                    "is_difficult": False,
                    "is_truncated": False,
                    "label": label,
                    "pose": 0,
                }
                for box, label in zip(boxes, labels)
            ],
            "labels": labels,
            "labels_no_difficult": labels,
        }

    _prepare(
        data_dir,
        "voc",
        "5.0.0",
        {
            "image": tfds.features.Image(),
            "image/filename": tfds.features.Text(),
            "objects": tfds.features.Sequence(
                {
                    "bbox": tfds.features.BBoxFeature(),
                    "is_difficult": np.bool_,
                    "is_truncated": np.bool_,
                    "label": _VOC,
                    "pose": tfds.features.ClassLabel(num_classes=5),
                }
            ),
            "labels": tfds.features.Sequence(_VOC),
            "labels_no_difficult": tfds.features.Sequence(_VOC),
        },
        {
            split: [example(k) for k in range(per_split)]
            for split in ("train", "validation", "test")
        },
        config="2007",
    )
