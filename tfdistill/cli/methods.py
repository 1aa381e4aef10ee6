"""The methods of the field, as values of flags: a table.

A method sets the flags that are not given; every one of them can still be given.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfdistill.cli.command import Flag
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError

# To be trained on by the learned steps, in their order.
_OF_STEPS = {
    "synthesizer": "images",
    "images_per_class": 1,
    "steps": 10,
    "initial_weights": "random",
    "meta_gradient": "back_gradient",
    "objective": "classification",
    "centred_labels": False,
    "recipe": "learned",
    "num_students": 20,
    "students_per_step": 2,
    "batch_size": 256,
    "outer_learning_rate": 0.01,
}
# To be trained on by anybody: one batch of images, by students who are learning.
_ORDINARY = {
    "synthesizer": "images",
    "images_per_class": 10,
    "steps": 1,
    "initial_weights": "learning",
    "recipe": "ordinary",
    "updates": 600,
    "training_rate": 0.003,
    "num_students": 10,
    "students_per_step": 1,
    "batch_size": 512,
}
#: The methods by name: what each is, and its flags.
METHODS: dict[str, dict[str, Any]] = {
    # Wang, Zhu, Torralba and Efros 2018 (arXiv:1811.10959): learned steps, in order.
    "unrolled": _OF_STEPS,
    # Such, Rawal, Lehman, Stanley and Clune 2019 (arXiv:1912.07768): a network makes
    # the images.
    "teaching": {
        **_OF_STEPS,
        "synthesizer": "generator",
        "steps": 32,
        "images_per_step": 128,
    },
    # Feng, Vedantam and Kempe 2023 (arXiv:2311.07025): a window of Adam's steps, by
    # students of every age.
    "windows": {
        **_ORDINARY,
        "epochs": 20,
        "inner_optimizer": "adam",
        "learning_rate": 0.001,
        "learned_rates": False,
        "max_age": 140,
        "meta_gradient": "back_gradient",
        "objective": "classification",
        "centred_labels": False,
        "soft_labels": True,
        "outer_learning_rate": 0.003,
    },
    # Zhou, Nezhadarya and Ba 2022 (arXiv:2206.00719): feature regression.
    "ridge": {
        **_ORDINARY,
        "epochs": 1,
        "max_age": 100,
        "meta_gradient": "ridge",
        "objective": "least_squares",
        "centred_labels": True,
        "outer_learning_rate": 0.01,
    },
}
METHOD = Flag(
    "method",
    str,
    None,
    "Defaults of other flags (docs/methods.md). Images for any order: ridge, windows; "
    "for a fixed one: unrolled; a network makes them: teaching.",
    choices=tuple(METHODS),
    shown="ridge; unrolled or teaching, if there are flags for these",
)
# Flags that mean learned steps, unless their value is one of ridge regression's.
_MEAN_STEPS = {
    *("steps", "epochs", "inner_optimizer", "learning_rate", "momentum"),
    *("soft_labels", "judgements", "keep_every", "back_off", "pool", "objective"),
    *("initial_weights", "attack_class", "target_class", "meta_gradient", "recipe"),
}


#: Flags that have no use where others have these values.
Unused = Sequence[tuple[dict[str, Any], set[str]]]
_UNUSED: Unused = [
    ({"meta_gradient": "back_gradient"}, {"penalty", "margin", "mirrored", "features"}),
    ({"meta_gradient": "ridge"}, {"judgements", "keep_every"}),
    (
        {"meta_gradient": "ridge", "recipe": "ordinary"},
        {"inner_optimizer", "learning_rate", "learned_rates", "momentum", "back_off"},
    ),
    ({"learned_rates": False}, {"back_off"}),
    ({"inner_optimizer": "sgd"}, {"momentum"}),
    ({"inner_optimizer": "adam"}, {"momentum"}),
    (
        {"recipe": "learned"},
        {"updates", "training_rate", "training_batch", "changes"},
    ),
    ({"synthesizer": "images"}, {"curriculum", "generator"}),
    ({"synthesizer": "generator"}, {"start", "enlarged"}),
    (
        {"synthesizer": "real"},
        {
            *("curriculum", "generator", "start", "enlarged", "soft_labels"),
            "learned_rates",
        },
    ),
    ({"widths": None}, {"architectures"}),
    ({"pool": None}, {"pool_student", "new_head"}),
    ({"initial_weights": "pretrained"}, {"pool_student"}),
    *(
        ({"initial_weights": value}, {"learning_students", "max_age", "learning_batch"})
        for value in ("random", "fixed", "pretrained", "pretrained_fixed")
    ),
]


def unused(
    configuration: Configuration, more: Unused = ()
) -> dict[str, dict[str, Any]]:
    """The flags that have no use, whatever their values, beside those of others.

    Args:
        configuration: Of a command with some of the flags of distill.
        more: A command's own, beside those of all.

    Returns:
        By the name of each, the flags that leave it without use, with their values.
    """
    c = configuration
    found: dict[str, dict[str, Any]] = {}
    for values, names in (*_UNUSED, *more):
        if all(name in c and getattr(c, name) == v for name, v in values.items()):
            found = {name: values for name in names} | found
    if "images_per_step" in c and c.images_per_step:  # the same in other words
        found["images_per_class"] = {"images_per_step": c.images_per_step}
    return found


def preset(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the flags that a method sets, and of --method itself.

    Args:
        given: Flags that are given, by name. Records of earlier versions, which had no
            --method, give those of learned steps.
    """
    method = given.get("method")
    if method is None:
        ridge = METHODS["ridge"]
        others = {k for k in _MEAN_STEPS & set(given) if given[k] != ridge.get(k)}
        method = "unrolled" if others else "ridge"
        # Flags of a generator alone mean one.
        generator = {"curriculum", "generator"} & set(given)
        if given.get("synthesizer", "generator" if generator else "images") != "images":
            method = "teaching"
    values = {"method": method, **METHODS[method]}
    if "images_per_class" in given:  # the two say the same in other words
        values.pop("images_per_step", None)
    return values


def check_typed(typed: Mapping[str, Any], read: Mapping[str, Any]) -> None:
    """Refuses a --method that is typed beside the flags of a run by another one.

    Such a run has recorded all that its method sets, which would stay.

    Args:
        typed: Flags that are typed, by name.
        read: Those that flagfiles give.

    Raises:
        InputError: If the method would not be the typed one.
    """
    if "method" not in typed:
        return
    asked, own = typed["method"], preset(read)["method"]
    sets = {*METHODS[own]} - {"images_per_step"}
    # Records of earlier versions lack a few; other files give a few.
    if asked == own or 4 * len(sets & {*read}) < 3 * len(sets):
        return
    set_now = METHODS[asked].items()
    if any(name not in typed and read.get(name, v) != v for name, v in set_now):
        raise InputError(
            f"--method={asked} does not go with the flags of a run by --method={own}, "
            "which say all that a method sets: leave --flagfile out, and type those of "
            "its flags that are to stay."
        )


def shown(flags: Iterable[Flag]) -> list[Flag]:
    """The same flags, where help says of some that the method sets them."""
    return [_shown(flag) for flag in flags]


def _shown(flag):
    ridge, words = METHODS["ridge"], []
    if any(flag.name in method for method in METHODS.values()):
        words = ["others by --method"]
    chosen = ("meta_gradient", ridge["meta_gradient"])
    unused = [names for those, names in _UNUSED if chosen in those.items()]
    if any(flag.name in names for names in unused):
        words.append("not with ridge")
    if not words:
        return flag
    value = ridge.get(flag.name, flag.shown or flag.default)
    if flag.kind is bool:
        value = "yes" if value else "no"
    return dataclasses.replace(flag, shown="; ".join([str(value), *words]))
