"""Reads what a source has found: into memory, or as a stream."""

import dataclasses

import numpy as np

from tfdistill._internal.pipelines import untuned
from tfdistill.data import passes
from tfdistill.data.assembling import assemble, blame
from tfdistill.data.dataset import Dataset
from tfdistill.data.extent import Extent
from tfdistill.data.images import Form, Pairs, raw_pairs
from tfdistill.data.sources import Source
from tfdistill.data.split import Split
from tfdistill.data.streamed import Streamed

_MEMORY_LIMIT = 2 << 30  # bytes of raw training images that are still held


def read(source: Source, form: Form, in_memory: bool | None, seed: int) -> Dataset:
    """Makes the data set of a source.

    Args:
        source: The `Source`; parts that a user made are absent from its `counts`. They
            are read twice if they are streamed.
        form: `Form` that the user asked for.
        in_memory: Same as in `load_dataset`.
        seed: Same as in `load_dataset`.

    Raises:
        ValueError: If the source cannot be used.
    """
    if form.image_size is None:
        form = dataclasses.replace(source.form, channels=form.channels)
    names = source.class_names
    # Black margins count in the mean: it is that of images with the same ones.
    known = source.normalization if form.margin == source.form.margin else None
    normalization = form.of_normalization(known)
    classes = None if names is None else len(names)
    splits, extents, made, verify = [], [], {}, source.verify
    for part, found in source.parts.items():
        with blame(part):
            pairs, first = raw_pairs(found, form), None
            image, count = pairs.images().element_spec[0], source.counts.get(part)
            if count is None and in_memory is not False:
                count = passes.length(pairs)
            if count is None:
                first = passes.scan(pairs, decode=True)
                count = len(first.labels)
            if count == 0:
                raise ValueError("there are no examples.")
            if in_memory is None:  # decided by train, for both
                raw = count * image.shape.num_elements() * image.dtype.size
                in_memory = raw < _MEMORY_LIMIT
            if in_memory:
                split = Split(*hold(pairs, count), normalization, num_classes=classes)
                extents.append(Extent.of_images(split.images))
                made[part] = pairs, count
            else:
                labels = None
                if verify is not None:
                    verify()
                    verify = None  # it has looked at all parts
                if part not in source.counts:
                    first = first or passes.scan(pairs, decode=True)
                    passes.check_repeats(pairs, first)
                    labels = first.labels
                    extents.append(Extent.of_moments(first.moments, image.dtype.name))
                stream = Streamed(pairs, count, image.shape, labels)
                split = Split.of_examples(stream, normalization, classes)
                if labels is not None:
                    split.read_labels()  # checks them
            splits.append(split)
    if in_memory and len(splits) == 2 and not source.counts:
        train, test = (split.images for split in splits)
        passes.check_apart(train, test, lambda: hold(*made["test"])[0])
    return assemble(source.name, splits, names, seed, () if source.counts else extents)


def hold(pairs: Pairs, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads all pairs into arrays, which are allocated once.

    Args:
        pairs: What `raw_pairs` made.
        count: Number of pairs.

    Returns:
        (raw images [N, H, W, C], int32 labels [N]).

    Raises:
        ValueError: If an example is damaged, or there are not `count`.
    """
    decoded = pairs.images()
    spec = decoded.element_spec[0]
    images = np.empty((count, *spec.shape), spec.dtype.as_numpy_dtype)
    labels, at = np.empty(count, np.int32), 0
    position = [0]
    with passes.reading(position):
        for x, y in untuned(decoded.batch(512).prefetch(2)).as_numpy_iterator():
            if at + len(x) > count:
                at += len(x)
                break
            images[at : at + len(x)], labels[at : at + len(x)] = x, y
            position[0] = at = at + len(x)
    passes.check_length(at, count)
    return images, labels
