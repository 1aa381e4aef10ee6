"""The flags of ordinary training, and the recipe that they name."""

from tfdistill.cli.command import Flag
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError

_ORDINARY = "distilled.ordinary:OrdinaryTraining"
FLAGS = [
    Flag(
        "recipe",
        str,
        "learned",
        "How others train on the result: by the learned steps, in order; or in the "
        "ordinary way, by Adam, in any order.",
        choices=("learned", "ordinary"),
    ),
    Flag(
        "updates",
        int,
        1000,
        "Updates of ordinary training.",
        lowest=1,
        library=f"{_ORDINARY}.updates",
    ),
    Flag(
        "training_rate",
        float,
        0.001,
        "Learning rate of ordinary training at first; it falls to 0.",
        lowest=1e-8,
        library=f"{_ORDINARY}.learning_rate",
    ),
    Flag(
        "training_batch",
        int,
        256,
        "Images in each update of ordinary training, at most all there are.",
        lowest=1,
        library=f"{_ORDINARY}.batch_size",
    ),
    Flag(
        "changes",
        list,
        None,
        "Random changes to the images in ordinary training: shift, rotation, zoom, "
        "flip, cutout and colour, each with its strength; none for none.",
        value="NAME:SIZE,...",
        shown="shift:0.1,rotation:0.04,zoom:0.1, with flip for colour images",
    ),
]
#: Of ordinary training whatever the images are for; all but the first mean the first.
INSTEAD = [
    Flag(
        "ordinary",
        bool,
        False,
        "Train in the ordinary way, whatever the images are for. The four flags that "
        "follow mean it, too.",
    ),
    *FLAGS[1:],
]


def instead(given) -> dict:
    """Sets --ordinary where one of its own flags is given."""
    return {"ordinary": any(flag.name in given for flag in INSTEAD[1:])}


def changes(configuration: Configuration, channels: int):
    """The `RandomChanges` of --changes.

    Args:
        configuration: Of a command with `FLAGS`.
        channels: Of the images.

    Raises:
        InputError: If --changes cannot be read.
    """
    from tfdistill.data.random_changes import RandomChanges

    given = configuration.changes
    if given is None:
        return RandomChanges(shift=0.1, rotation=0.04, zoom=0.1, flip=channels == 3)
    found: dict = {}
    try:
        for part in given:
            name, _, size = part.partition(":")
            if (name, size) == ("none", ""):
                continue
            strength = 1.0 if (name, size) == ("flip", "") else float(size)
            found[name] = bool(strength) if name == "flip" else strength
        return RandomChanges.from_config(found)
    except ValueError as error:
        raise InputError(
            f"--changes={','.join(given)} must read like shift:0.1,zoom:0.1,flip "
            f"({error})."
        ) from error


def recipe(configuration: Configuration, channels: int):
    """The recipe of the flags; None for learned steps.

    Args:
        configuration: Of a command with `FLAGS`.
        channels: Of the images.

    Raises:
        InputError: If --changes cannot be read.
    """
    if configuration.recipe == "learned":
        return None
    return ordinary(configuration, channels)


def ordinary(configuration: Configuration, channels: int):
    """The `OrdinaryTraining` of the flags, as `recipe`."""
    from tfdistill.distilled.ordinary import OrdinaryTraining

    c = configuration
    return OrdinaryTraining(
        c.updates, c.training_rate, c.training_batch, changes(c, channels)
    )


def recorded(configuration: Configuration, recipe, channels: int) -> dict:
    """What an evaluation says of its training, as JSON: the rest is as usual.

    Args:
        configuration: Of a command with `INSTEAD`.
        recipe: The `OrdinaryTraining` of its flags.
        channels: Of the images.
    """
    said = {"updates": recipe.updates, "training_rate": recipe.learning_rate}
    if recipe.batch_size != type(recipe).batch_size:
        said["training_batch"] = recipe.batch_size
    if recipe.changes != changes(configuration.replace(changes=None), channels):
        said["changes"] = recipe.changes.to_config()
    return said
