"""Random changes to real images."""

import numpy as np

import tfdistill
from tfdistill.data import augmentation


def _windows(image, padding=4):
    """Every crop of a padded image and its mirror image, as bytes."""
    height, width, _ = image.shape
    padded = np.pad(image, [(padding, padding), (padding, padding), (0, 0)])
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            crop = padded[top : top + height, left : left + width]
            yield crop.tobytes()
            yield crop[:, ::-1].tobytes()


def test_crop_flip_gives_a_window_of_each_image_or_its_mirror_image():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 6, 5, 3), dtype=np.uint8)
    changed = augmentation.crop_flip(images, np.int32([1, 2])).numpy()
    assert changed.shape == images.shape and changed.dtype == np.uint8
    found = [
        list(_windows(before)).index(after.tobytes())
        for before, after in zip(images, changed)
    ]
    # Anywhere, and mirrored or not: each image on its own.
    assert len(set(found)) > 40
    assert 16 < sum(index % 2 for index in found) < 48


def test_crop_flip_reaches_every_place():
    images = np.zeros((400, 9, 9, 1), np.uint8)
    images[:, 4, 4] = 1
    changed = augmentation.crop_flip(images, np.int32([1, 2])).numpy()
    _, rows, columns, _ = np.nonzero(changed)
    assert {*rows} == {*columns} == {*range(9)}
    assert min(np.bincount(rows)) > 400 / 9 / 2


def test_resized_crop_flip_enlarges_a_part_of_each_image_or_its_mirror_image():
    # Pixels tell their place: what is cut out and resized is a slope again.
    places = np.stack(np.meshgrid(np.arange(9), np.arange(9), indexing="ij"), axis=-1)
    images = np.tile(places.astype("float32"), (64, 1, 1, 1))
    changed = augmentation.resized_crop_flip(images, np.int32([1, 2])).numpy()
    assert changed.shape == images.shape and changed.dtype == np.float32
    assert changed.min() >= 0 and changed.max() <= 8
    down, right = changed[:, 1, 0, 0] - changed[:, 0, 0, 0], changed[:, 0, 1, 1]
    right = right - changed[:, 0, 0, 1]
    steps = np.arange(9)
    np.testing.assert_allclose(
        changed[..., 0],
        np.tile((changed[:, :1, 0, 0] + down[:, None] * steps)[..., None], (1, 1, 9)),
        atol=1e-4,
    )
    area = down * np.abs(right)
    assert 0.05 < area.min() < 0.3 and 0.7 < area.max() <= 1
    assert 16 < np.sum(right < 0) < 48 and down.min() > 0
    assert np.max(np.maximum(down / np.abs(right), np.abs(right) / down)) < 4 / 3 + 1e-3


def test_resized_crop_flip_keeps_bytes():
    images = np.full((4, 6, 5, 3), 200, np.uint8)
    changed = augmentation.resized_crop_flip(images, np.int64([1, 2]))
    np.testing.assert_array_equal(changed, images)


def test_batches_are_changed_anew_and_repeatably():
    digits = tfdistill.load_dataset("digits")
    per_epoch = len(digits.train) // 128

    def batches(**kwargs):
        real = digits.train.batch(
            128, seed=3, repeat=True, augment=augmentation.crop_flip, **kwargs
        )
        return list(real.take(per_epoch + 2).as_numpy_iterator())

    first, again = batches(), batches()
    for (images, labels), (same, same_labels) in zip(first, again):
        np.testing.assert_array_equal(images, same)
        np.testing.assert_array_equal(labels, same_labels)
    # The same examples, an epoch later: the same labels, other pixels.
    np.testing.assert_array_equal(first[0][1], first[per_epoch][1])
    assert np.abs(first[0][0] - first[per_epoch][0]).max() > 0.1
    # A resumed run meets the batches that it would have met.
    for (images, _), (resumed, _) in zip(first[7:], batches(start=7)):
        np.testing.assert_array_equal(images, resumed)
