"""The flags that say what trained networks are judged on, and what they name."""

from tfdistill.cli.command import Flag
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError

FLAGS = [
    Flag(
        "objective",
        str,
        "classification",
        "Judge networks by the cross-entropy, by the squared distance to the labels, "
        "or by how well they take --attack_class for --target_class.",
        choices=("classification", "least_squares", "attack"),
    ),
    Flag("attack_class", int, None, "Index of the class that is to be mistaken."),
    Flag("target_class", int, None, "Index of the class that it is to be taken for."),
]


def check(configuration: Configuration) -> None:
    """Refuses classes of an attack that is none.

    Raises:
        InputError: If there are some.
    """
    c = configuration
    classes = (c.attack_class, c.target_class)
    if c.objective != "attack" and classes != (None, None):
        raise InputError("--attack_class and --target_class need --objective=attack.")


def make(configuration: Configuration, dataset):
    """The `Objective` of the flags.

    Raises:
        ValueError: If it needs other classes.
    """
    from tfdistill.inner import objectives
    from tfdistill.inner.objectives.attack import Attack

    if configuration.objective != "attack":
        return objectives.get(configuration.objective)
    classes = (configuration.attack_class, configuration.target_class)
    if None in classes or not all(0 <= c < dataset.num_classes for c in classes):
        raise ValueError(
            "--objective=attack needs --attack_class and --target_class in "
            f"0..{dataset.num_classes - 1}, not {classes[0]} and {classes[1]}."
        )
    return Attack(*classes)


def record(configuration: Configuration) -> dict:
    """What finds the attack of a result again, as JSON; nothing if it is none."""
    if configuration.objective != "attack":
        return {}
    return {"attack": [configuration.attack_class, configuration.target_class]}


def recorded(provenance):
    """The `Attack` of a result, from what `record` gave; None if it is none.

    Raises:
        ValueError: If its classes are none.
    """
    from tfdistill.inner.objectives.attack import Attack

    classes = provenance.get("attack")
    return Attack(*classes) if classes else None


def attack_text(objective, result) -> str | None:
    """What an `Evaluation` says of an attack, as a line; None if it is none."""
    if "attacked" not in objective.shares:
        return None
    return (
        f"call {result.summary('attacked')} of class {objective.attack_class} a "
        f"{objective.target_class}; {result.summary('modified_accuracy')} against the "
        "modified labels"
    )
