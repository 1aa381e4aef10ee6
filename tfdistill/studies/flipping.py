"""Labels that are made wrong, to test what finds them."""

import numpy as np

from tfdistill._internal.checks import check_int
from tfdistill.data.split import Split


def flipped(split: Split, share: float, seed: int = 0) -> tuple[Split, np.ndarray]:
    """Makes some labels wrong, to test how well an audit finds them.

    Args:
        split: A `Split` in memory.
        share: Probability with which each label becomes another, chosen uniformly, in
            0..1.
        seed: Seed of the choice.

    Returns:
        The split with these labels, and bool `[examples]`: which are wrong.

    Raises:
        ValueError: If the share is out of range.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits")
        >>> split, wrong = tfdistill.audit.flipped(digits.train, share=0.1)
        >>> bool(((split.labels != digits.train.labels) == wrong).all())
        True
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be between 0 and 1, not {share!r}.")
    rng = np.random.default_rng(check_int("seed", seed, 0))
    wrong = rng.random(split.num_examples) < share
    labels = np.array(split.labels)
    others = rng.integers(1, split.num_classes, wrong.sum())
    labels[wrong] = (labels[wrong] + others) % split.num_classes
    changed = Split(
        split.images, labels, split.normalization, num_classes=split.num_classes
    )
    return changed, wrong
