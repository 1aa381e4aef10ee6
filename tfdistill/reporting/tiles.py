"""Images with captions, as one figure.

All lie on one axis whose unit is the inch: an axis for each image, and a layout that is
searched for, take five times as long.
"""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt

_POINTS = 8  # of a caption
_LINE, _LETTER = 0.14, 0.075  # height and width, at most, at this size
_GAP = 0.06  # between images


def tiles(
    images: np.ndarray,
    captions: Sequence[str],
    columns: int,
    *,
    notes: Sequence[str] = (),
    below: str = "",
    width: float = 1.0,
) -> plt.Figure:
    """Images in rows, a caption above each.

    Args:
        images: float `[count, height, width, 1 or 3]` in 0..1.
        captions: A caption for each image, of any number of lines.
        columns: Number of images in a row.
        notes: What stands before each row.
        below: What is said below them all.
        width: Width of an image with its gap, in inches.
    """
    count = len(images)
    rows = [range(k, min(k + columns, count)) for k in range(0, count, columns)]
    height = (width - _GAP) * min(1.0, images.shape[1] / images.shape[2])
    widest = max((len(line) for note in notes for line in note.split("\n")), default=0)
    left = _LETTER * widest
    above = [_GAP + max(_LINE * _lines(captions[k]) for k in row) for row in rows]
    notes = notes or [""] * len(rows)
    heights = [
        max(line + height, _LINE * _lines(note)) for line, note in zip(above, notes)
    ]
    said = textwrap.fill(below, int(15 * (left + columns * width)))  # letters an inch
    size = left + columns * width, sum(heights) + _LINE * _lines(said) + _GAP
    figure = plt.figure(figsize=size)
    figure.suppressComposite = True  # or they lose their pixels in a PDF
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(size[1], 0))
    axis.axis("off")
    top = 0.0
    for row, note, tall, line in zip(rows, notes, heights, above):
        for k in row:
            x, y = left + (k - row[0] + 0.5) * width, top + line
            text = {"fontsize": _POINTS, "ha": "center", "va": "bottom"}
            axis.text(x, y - _GAP / 2, captions[k], **text)
            _place(axis, images[k], x, y + height / 2, width - _GAP, height)
        if note:
            lowest = top + tall - _LINE * _lines(note) / 2
            y = min(top + line + height / 2, lowest)
            text = {"fontsize": _POINTS, "ha": "right", "va": "center"}
            axis.text(left - _GAP, y, note, **text)
        top += tall
    if said:
        figure.supxlabel(said, fontsize=_POINTS - 1, y=0.02 / size[1], va="bottom")
    return figure


def _lines(text):
    return text.count("\n") + bool(text)


def _place(axis, image, x, y, width, height):
    """Shows an image around a place, as large as it can be."""
    zoom = min(height / image.shape[0], width / image.shape[1])
    high, wide = zoom * image.shape[0] / 2, zoom * image.shape[1] / 2
    grey = image.shape[-1] == 1
    axis.imshow(
        image[..., 0] if grey else image,
        extent=(x - wide, x + wide, y + high, y - high),
        aspect="auto",
        cmap="gray" if grey else None,
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
