"""How an audit lists examples, and what it draws."""

import csv
import io
import os

_SHOWN = 40
# Letters of two names that have room in one line.
_SHORT = 10


def first(found) -> list:
    """The rows to look at first: the top of the ranking, whether suspect or not.

    Args:
        found: An `Audit`.
    """
    return found.ranking[:_SHOWN].tolist()


def words(found, names, places, shown) -> str:
    """Examples in lines of text: the suspects, then the others.

    Args:
        found, names, places: Same as for `table`.
        shown: The rows to list.
    """
    suspects, others = [], []
    for k in shown:
        line = f"  {places.places[k]}: labelled {names[found.given[k]]}"
        if found.suspects[k]:
            suspects.append(f"{line}, probably {names[found.suggested[k]]}")
        else:
            others.append(line)
    lines = ["The most suspect:", *suspects] if suspects else []
    lines += ["The least certain, not suspect:", *others] if others else []
    return "\n".join(lines)


def figures(found, dataset, places, shown) -> dict:
    """Functions that draw the pictures, by name.

    Args:
        found: An `Audit`.
        dataset: What was audited.
        places: Where its examples lie.
        shown: The rows to show.
    """
    from tfdistill.reporting import plots

    names, normalization = dataset.class_names, dataset.normalization
    images = normalization.normalize(dataset.train.images[shown]).numpy()
    return {
        "noise": lambda: plots.label_noise(found.noise(), names),
        "suspects": lambda: plots.titled_images(
            normalization.displayable(images),
            [_title(found, names, places, k) for k in shown],
            "In brackets: another label is likelier, but the example is not suspect."
            if any(_is_doubtful(found, k) for k in shown)
            else "",
        ),
    }


def _is_doubtful(found, k):
    """Whether another label is suggested for what is not suspect."""
    return not found.suspects[k] and found.given[k] != found.suggested[k]


def _title(found, names, places, k):
    """A title of some lines: the label given, and the one suggested if it is another.

    That of an example that is not suspect stands in brackets.
    """
    given, other = names[found.given[k]], names[found.suggested[k]]
    lines = [given]
    if found.suspects[k] or _is_doubtful(found, k):
        first, then = f"{given} →", f"{other}?"
        if not found.suspects[k]:
            first, then = f"{given} (→", f"{other}?)"
        short = len(given + other) <= _SHORT
        lines = [f"{first} {then}"] if short else [first, then]
    lines.append(os.path.basename(places.places[k]))
    return "\n".join(" ".join(line.split()) for line in lines)


def table(found, names, places, wrong) -> str:
    """All examples as CSV; with a column of those made wrong, if there are any.

    Args:
        found: An `Audit`.
        names: Of the classes.
        places: Where the examples lie.
        wrong: bool, whether a label was made wrong on purpose; None if none was.
    """
    from tfdistill.studies.corrections import COLUMNS, cell

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *["flipped"] * (wrong is not None)])
    for k in found.ranking.tolist():
        texts = (places.places[k], names[found.given[k]], names[found.suggested[k]])
        row = [int(places.rows[k]), *map(cell, texts)]
        row += [f"{found.scores[k]:.3g}", f"{found.agreement[k]:.3f}"]
        row.append(int(found.suspects[k]))
        writer.writerow(row if wrong is None else [*row, int(wrong[k])])
    return text.getvalue()
