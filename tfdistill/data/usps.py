"""USPS for TensorFlow Datasets, which has no builder for it.

Importing this module registers the data set: `tfds.builder("usps")` then finds it.
"""

import bz2

import numpy as np
import tensorflow_datasets as tfds

_URL = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"
_FILES = {"train": "usps.bz2", "test": "usps.t.bz2"}
_SIDE = 16


class Usps(tfds.core.GeneratorBasedBuilder):
    """Handwritten digits from US envelopes: 7291 to train on and 2007 to test on.

    Images are uint8 [16, 16, 1], labels are the digits 0..9. The files are those of
    LIBSVM; they are downloaded unless they are in TFDS's manual folder already.
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Optional: put {' and '.join(_FILES.values())} of {_URL} here."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description="Handwritten digits, scanned from envelopes by the USPS.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(_SIDE, _SIDE, 1)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
            homepage=_URL,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict:
        try:
            manual = dl_manager.manual_dir
            paths = {split: manual / file for split, file in _FILES.items()}
            found = all(path.exists() for path in paths.values())
        except AssertionError:  # TFDS raises it if the folder is absent or empty
            found = False
        if not found:
            paths = dl_manager.download({s: _URL + file for s, file in _FILES.items()})
        return {split: self._generate_examples(path) for split, path in paths.items()}

    def _generate_examples(self, path):
        with bz2.open(path, "rt", encoding="ascii") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    yield number, _parse(line)
                except (IndexError, ValueError) as error:
                    raise ValueError(
                        f"{str(path)!r} is not USPS in LIBSVM's format: line {number} "
                        f"is {line[:40]!r}... ({error})."
                    ) from error


def _parse(line: str) -> dict:
    """Parses "label index:value ...".

    The label is the digit plus one; pixels 1 to 256 have values in [-1, 1].
    """
    label, *pixels = line.split()
    values = np.zeros(_SIDE * _SIDE)  # LIBSVM omits zeros
    for pixel in pixels:
        index, value = pixel.split(":")
        if not 1 <= int(index) <= values.size or not -1 <= float(value) <= 1:
            raise ValueError(f"{pixel!r} is not a pixel in [-1, 1] from 1 to 256")
        values[int(index) - 1] = float(value)
    digit = int(float(label)) - 1
    if digit not in range(10):
        raise ValueError(f"the label {label!r} is not from 1 to 10")
    image = np.round((values + 1) / 2 * 255).astype(np.uint8)
    return {"image": image.reshape(_SIDE, _SIDE, 1), "label": digit}
