"""What a folder of distilled data says of itself: a card, and TFDS's metadata."""

import contextlib
import json
import math
import re
from collections.abc import Mapping

from tfdistill._internal import fields, spread
from tfdistill.distilled import pictures
from tfdistill.distilled.citations import citation
from tfdistill.distilled.programs import instructions, labels, program, start

_ROW = {
    "student": fields.TEXT,
    **dict.fromkeys(("mean", "std"), fields.maybe(fields.FIGURE)),
    "num_students": fields.whole(1),
}
#: Pictures of a card have this many images in a row, and rows, at most.
_COLUMNS, _ROWS = 10, 10
_NUMBERS = 4  # the most that a line of a card gives
_STARTS = {
    "fixed": "fixed weights, in `initial_weights.npz`",
    "pretrained": "pretrained networks, those of a pool",
    "random": "random weights",
}
# Side of each, in pixels: 8 x 8 pixels would be too small to see.
_LEAST = 28
_CARD = """---
pretty_name: {title}
task_categories:
- image-classification
size_categories:
- {category}
license: other
license_name: that-of-the-source
tags:
- dataset-distillation
- tfdistill
---

# {title}

{description}

![{count} of the images](images.png)

| | |
|---|---|
{facts}

## Training on it

{training}. {instructions}

Images are normalised: a raw image x is `(x / {scale} - mean) / std`, with
mean {mean} and std {std}
(all, unrounded, in `tfdistill.json`). Labels are `soft_label`, {labels};
`label` is the largest of them.

```python
{program}```

Plain `tf.data` reads the `.tfrecord` file; `tfdistill export` writes `.npz` (NumPy,
PyTorch, JAX) and `.parquet` (`datasets`).
{measured}
## Source

The images were learned from {source}, whose licence holds for them as far as it does
for data that is derived from it. They are the work of tfdistill {version}{cited}
"""


def name(distilled) -> str:
    """The data set's name in TFDS, such as "mnist_distilled"."""
    source = re.sub(r"[^a-z0-9]+", "_", str(_source(distilled)).lower()).strip("_")
    return f"{source}_distilled" if source else "distilled"


def description(distilled) -> str:
    """What the data is, in a sentence or two."""
    text = (
        f"{distilled.num_images} synthetic images, learned from {_source(distilled)}, "
        "to train networks on in its place."
    )
    if distilled.enlarged > 1:
        text += (
            " They are stored small: networks learn from them bilinearly enlarged to "
            f"{_size(distilled.image_shape)}."
        )
    return text


def markdown(distilled, version: str) -> str:
    """The card: Markdown with the front matter that Hugging Face's hub reads.

    Args:
        distilled: A `DistilledDataset`.
        version: Of tfdistill.
    """
    normalization = distilled.normalization
    sizes, small = _size(distilled.image_shape), distilled.enlarged > 1
    if small:
        sizes += f", stored as {_size(distilled.stored_images.shape[2:])}"
    facts = {
        "images": f"{distilled.num_images} of {sizes}",
        "classes": ", ".join(distilled.class_names[:20])
        + (", ..." if distilled.num_classes > 20 else ""),
        "size": f"{distilled.num_bytes / 1024:.0f} KiB of images "
        f"({distilled.stored_images.dtype}) and labels",
        "distilled through": distilled.student or "–",
        "to be trained from": _STARTS[start(distilled)],
    }
    rows = [
        f"| {_cell(row['student'])} | {accuracy(row)} | {row['num_students']} |"
        for row in _measured(distilled.provenance.get("measured"))
    ]
    measured = ""
    if rows:
        head = "\n## Measured\n\nFresh networks on the whole test set.\n\n"
        head += "| network | test accuracy | networks |\n|---|---|---|\n"
        measured = head + "\n".join(rows) + "\n"
    paper = citation(distilled.provenance)
    training = _cell(distilled.recipe.describe(distilled.images.shape))
    return _CARD.format(
        title=name(distilled),
        category=_category(distilled.num_images),
        description=_cell(description(distilled)),
        count=min(distilled.num_images, _COLUMNS * _ROWS),
        facts="\n".join(f"| {key} | {_cell(value)} |" for key, value in facts.items()),
        training=training[0].upper() + training[1:],
        scale=repr(normalization.scale).removesuffix(".0"),
        mean=_numbers(map(_rounded, normalization.mean, normalization.std)),
        std=_numbers(f"{std:.4g}" for std in normalization.std),
        labels=_cell(labels(distilled)),
        instructions=_cell(instructions(distilled)),
        program=program(distilled),
        measured=measured,
        source=_cell(_source(distilled)),
        version=version,
        cited=f", by\n\n```\n{paper}\n```" if paper else ".",
    )


def picture(distilled) -> bytes:
    """The first images as one PNG."""
    flat = distilled.images.reshape(-1, *distilled.image_shape)[: _COLUMNS * _ROWS]
    shown = distilled.normalization.displayable(flat)
    return pictures.png(pictures.grid(shown, _COLUMNS, least=_LEAST))


def rename(path: str, distilled) -> None:
    """Gives TFDS's metadata the data set's own name; the file keeps its name.

    Args:
        path: Of dataset_info.json.
        distilled: The `DistilledDataset`.
    """
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    for split in content["splits"]:
        template = split["filepathTemplate"]
        split["filepathTemplate"] = template.replace("{DATASET}", content["name"])
    content["name"] = name(distilled)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)


def accuracy(row: Mapping) -> str:
    """What was measured, as text: the spread only where there is one.

    Args:
        row: `mean` and `std` in 0..1, None for NaN, and `num_students`.
    """
    mean, std = (fields.figure(row[name]) for name in ("mean", "std"))
    return f"{spread.percent(mean, std, row['num_students'])} %"


def _measured(rows):
    """The rows that are results of tests; anybody may have written others."""
    for row in rows if isinstance(rows, list) else []:
        with contextlib.suppress(ValueError):
            if fields.OBJECT.holds(row):
                fields.check(row, _ROW)
                yield row


def _source(distilled):
    return distilled.provenance.get("dataset") or "real data"


def _size(shape):
    return " x ".join(map(str, shape))


def _numbers(texts):
    texts = [*texts]
    return ", ".join(texts[:_NUMBERS]) + ", ..." * (len(texts) > _NUMBERS)


def _rounded(mean, std):
    """A mean in four digits, and as many more as it is larger than its std."""
    larger = math.ceil(math.log10(abs(mean)) - math.log10(std)) if mean else 0
    return f"{mean:.{min(17, 4 + max(0, larger))}g}"


def _category(count):
    """How many there are, as Hugging Face's hub says it."""
    ends = "1K", "10K", "100K", "1M", "10M"
    for power, (low, high) in enumerate(zip(("", *ends), ends), 3):
        if count < 10**power:
            return f"{low}<n<{high}" if low else f"n<{high}"
    return f"n>{ends[-1]}"


def _cell(text):
    """A text that anybody may have written, without table, HTML, heading and link."""
    return re.sub(r"[\\\[]", r"\\\g<0>", re.sub(r"[|\r\n<>]", " ", str(text)))
