"""Reads distilled data that anybody's program made."""

import os
from collections.abc import Sequence

import numpy as np

from tfdistill.data.dataset import Dataset
from tfdistill.data.ends import black_and_white
from tfdistill.distilled import checks
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.distilled.foreign import formats, labels, pairs, pixels, ranges
from tfdistill.distilled.foreign.arrays import Found, checked, whitening_in
from tfdistill.distilled.ordinary import OrdinaryTraining
from tfdistill.distilled.recipe import Recipe
from tfdistill.runs import files

# Data sets of photographs and of digits are less far from each other, read rightly.
_STRANGE = 2.2


def read_distilled(
    source,
    dataset: Dataset,
    *,
    pixels: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    zca=None,
    check: bool = True,
    recipe: Recipe | None = None,
) -> DistilledDataset:
    """Reads distilled data of any program, in the normalisation of the real data.

    Nothing in a file is run: arrays of objects and pickles of anything else than
    tensors are refused, and sizes are checked before anything is allocated. Integer,
    one-hot, soft and centred labels are recognised, if the file doesn't name their
    objective as ours do, and channels that come first.

    Args:
        source: A folder of `DistilledDataset.save`, a run folder, a folder of TFDS or
            of images by class; a file ending in .npz, .pt, .pth (of tensors) or
            .parquet; two .npy or .pt files with a "+" between them; a pair of arrays
            (images, labels); or a `DistilledDataset`.
        dataset: The real data.
        pixels: What the pixels are: "standardised" (by `mean` and `std`), "0..1",
            "0..255" or "-1..1". By default 0..255 for whole numbers, else standardised.
        mean, std: By channel, of images in 0..1 (or in 0..255, if above 2; or in the
            range of the real data, if that is another); by default those in the file,
            or the real data's.
        zca: The whitening that the images have: a matrix `[D, D]`, a pair of it and
            what was subtracted before, `[D]`, or a .npz, .npy or .pt file of these.
            It acts on images that are flat as they lie in the file, after `mean` and
            `std`, and is undone. By default the one in the file, if any. Folders of
            `DistilledDataset.save` say themselves what their images are, and so does a
            `DistilledDataset`: they take none of `pixels`, `mean`, `std` and `zca`.
        check: Whether a set whose moments look like something else is refused; also of
            a `DistilledDataset` whose images were floats.
        recipe: How to train on it; by default the own one of a folder of
            `DistilledDataset.save` or a `DistilledDataset`, else `OrdinaryTraining()`.

    Returns:
        The `DistilledDataset`; its provenance says how it was read.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, doesn't fit the real data, holds anything
            that could run code, or looks like something else than it is said to be.

    Example:
        >>> import numpy as np, tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> made = digits.train.images[:40] / 255.0, digits.train.labels[:40]
        >>> distilled = tfdistill.read_distilled(made, digits, pixels="0..1")
        >>> distilled.num_images, distilled.provenance["pixels"]
        (40, '0..1')
        >>> try:
        ...     tfdistill.read_distilled(made, digits)
        ... except ValueError as error:
        ...     print("pass pixels=0..1" in str(error))
        True
    """
    declared = {"pixels": pixels, "mean": mean, "std": std}
    own = source if isinstance(source, DistilledDataset) else None
    if own is not None:
        name, path = "the set", None
    elif isinstance(source, (tuple, list)):
        name, path = "the arrays", None
    else:
        name = path = files.local(source)
        folder = pairs.saved_set(path)
        own = None if folder is None else DistilledDataset.load(folder)
    if own is not None:
        _refuse_declared(name, {**declared, "zca": zca})
        found = _renormalised(own, name, dataset, check)
        return found if recipe is None else found.replace(recipe=recipe)
    return _read(
        name,
        source if path is None else path,
        dataset,
        {**declared, "check": check},
        zca,
        recipe,
    )


def _refuse_declared(name, declared):
    given = [f"{what}=" for what, value in declared.items() if value is not None]
    if given:
        raise ValueError(
            f"{name}: a set of this library says itself what its images are: leave "
            f"out {' and '.join(given)}."
        )


def _read(name, source, dataset, declared, zca, recipe):
    limit = pixels.limit(dataset)
    try:
        matrix, before = _whitening(zca, limit)
        said = pixels.Declared(**declared, zca=matrix, zca_mean=before)
        if isinstance(source, str):
            found = formats.find(source, dataset, limit)
        else:
            found = _of_pair(source)
        checks.check_order(found.class_names, dataset)
        images, words = pixels.normalised(found, dataset, said)
        means = labels.meaning(
            found.labels,
            len(images),
            dataset.num_classes,
            found.objective,
            found.objective_options,
        )
    except FileNotFoundError:
        raise
    # Damaged files make NumPy, zip, PyArrow and pickle's reader each raise their own.
    except Exception as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        if not isinstance(error, ValueError):
            reason = f"it is damaged ({' '.join(reason.split())})"
        raise ValueError(f"{name}: {reason}.") from error
    return DistilledDataset(
        images[None],
        means.values[None],
        recipe=recipe or OrdinaryTraining(),
        objective=means.objective,
        normalization=dataset.normalization,
        class_names=dataset.class_names,
        provenance={
            "source": name,
            "pixels": words,
            "labels": means.kind,
            "dataset": dataset.name,
        },
    )


def _of_pair(arrays):
    if len(arrays) != 2:
        raise ValueError(f"they must be two (images, labels), not {len(arrays)}")
    images, labels = arrays
    return Found(checked("images", images), checked("labels", labels))


def _whitening(zca, limit):
    if zca is None:
        return None, None
    if isinstance(zca, (str, os.PathLike)):
        path = files.local(zca)
        if not os.path.isfile(path):
            raise FileNotFoundError(f"There is no file {path!r}.")
        return whitening_in(formats.arrays_in(path), limit)
    if isinstance(zca, (tuple, list)) and len(zca) == 2:
        matrix, before = zca
        return checked("zca", matrix), checked("zca_mean", before)
    return checked("zca", zca), None


def _renormalised(distilled, name, dataset, check):
    """Data with a normalisation of its own, in that of the real data."""
    distilled.check_fits(dataset)
    if distilled.normalization == dataset.normalization:
        return distilled
    own, before = dataset.normalization, distilled.normalization
    # To enlarge is linear, and its weights sum to one: small images stay small.
    images, apart = ranges.in_real(
        before.denormalize(distilled.stored_images),
        before,
        dataset,
        black_and_white(dataset),
    )
    if check and apart > _STRANGE:
        raise ValueError(
            f"{name}: its images were floats of a range that it does not say, and look "
            "unlike the real ones, be it 0..1, 0..255 or the range of these: give real "
            "images in the range that it was distilled in (or check=False if they are "
            "right)."
        )
    images = (images - np.float32(own.mean)) / np.float32(own.std)
    return distilled.replace(
        images=images.astype(distilled.stored_images.dtype),
        enlarged=distilled.enlarged,
        normalization=own,
    )
