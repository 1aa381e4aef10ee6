"""Images of any shape as pictures of limited size, and as PNG."""

import io

import numpy as np
from PIL import Image

# The largest ratio of a picture's sides: a line of single pixels could not be seen.
_RATIO = 8


def as_pictures(images: np.ndarray, side: int = 256) -> np.ndarray:
    """Images of one shape as grey or coloured pictures.

    Args:
        images: float `[count, *image_shape]` in 0..1. A vector `[D]` becomes one row of
            pixels. `[H, W]` is grey. In `[..., H, W, C]`, all axes before the width are
            rows. 3 or 4 channels are red, green, blue and one that is ignored;
            otherwise the first channel is shown in grey.
        side: Larger pictures are averaged over squares of pixels until height and
            width are at most this.

    Returns:
        float `[count, height, width, 1 or 3]` in 0..1.
    """
    shape = images.shape[1:]
    if len(shape) < 3:
        shape = (*shape, 1) if len(shape) == 2 else (1, *shape, 1)
    images = images.reshape(len(images), -1, *shape[-2:])
    images = images[..., : 3 if shape[-1] in (3, 4) else 1]
    block = -(-max(images.shape[1:3]) // side)
    for axis in (1, 2):
        images = _means(images, axis, block)
    height, width = images.shape[1:3]
    images = images.repeat(max(1, width // (_RATIO * height)), axis=1)
    return images.repeat(max(1, height // (_RATIO * width)), axis=2)


def _means(images, axis, block):
    """Means of neighbours along an axis; the last block may be smaller."""
    if block == 1:
        return images
    starts = np.arange(0, images.shape[axis], block)
    sizes = np.diff([*starts, images.shape[axis]])
    sums = np.add.reduceat(images, starts, axis)
    return sums / np.expand_dims(sizes.astype(images.dtype), (0, *range(2, 5 - axis)))


def grid(
    images: np.ndarray, columns: int = 10, side: int = 64, least: int = 1
) -> np.ndarray:
    """Images in rows, with a white line around each, as one picture.

    Args:
        images, side: Same as for `as_pictures`.
        columns: Images in a row.
        least: Smaller pictures are enlarged, by a whole number, to at least this side.

    Returns:
        float `[height, width, 1 or 3]` in 0..1.
    """
    shown = as_pictures(images, side)
    times = max(1, -(-least // max(shown.shape[1:3])))
    shown = shown.repeat(times, axis=1).repeat(times, axis=2)
    borders = [(0, -len(shown) % columns), (1, 1), (1, 1), (0, 0)]
    shown = np.pad(shown, borders, constant_values=1)
    rows = shown.reshape(-1, columns, *shown.shape[1:]).transpose(0, 2, 1, 3, 4)
    count, height, columns, width, channels = rows.shape
    return rows.reshape(count * height, columns * width, channels)


def png(image: np.ndarray) -> bytes:
    """An image as PNG.

    Args:
        image: float `[height, width, channels]` in 0..1; unless there are 1 or 3
            channels, the first one is shown.
    """
    pixels = (255 * image).round().astype("uint8")
    stream = io.BytesIO()
    shown = pixels if pixels.shape[-1] == 3 else pixels[..., 0]
    Image.fromarray(shown).save(stream, "PNG", optimize=True)
    return stream.getvalue()
