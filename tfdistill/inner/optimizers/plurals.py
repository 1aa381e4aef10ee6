"""What files call the values of hyperparameters: nothing else in them is called so."""

from collections.abc import Sequence

from tfdistill.inner.optimizers.hyperparameter import Hyperparameter

#: The names of all else that a folder, its records, .npz and Parquet files hold.
TAKEN = frozenset(
    (
        *("format", "steps", "batch", "image_shape", "image_dtype", "enlarged"),
        *("recipe", "inner_optimizer", "hyperparameters", "objective"),
        *("objective_options", "normalization", "class_names", "student"),
        *("initial_weights", "provenance", "created", "versions", "sha256"),
        *("image", "label", "soft_label", "step", "pixels"),
        *("images", "labels", "mean", "std", "scale"),
        "soft_labels",  # a reader of .npz files would prefer them to the labels
    )
)


def check(hyperparameters: Sequence[Hyperparameter]) -> None:
    """Refuses hyperparameters that cannot be told apart, from all else in files too.

    Args:
        hyperparameters: Those of an inner optimizer.

    Raises:
        ValueError: If a plural is taken, or two names, plurals or variables are equal.
    """
    for k, h in enumerate(hyperparameters):
        if h.plural in TAKEN or h.plural.startswith("initial_weights_"):
            raise ValueError(
                f"Files would call the values of {h.name!r} {h.plural!r}, which is "
                "something else in them: give its Hyperparameter another plural."
            )
        for other in hyperparameters[:k]:
            if h.name == other.name:
                raise ValueError(
                    f"Two hyperparameters are called {h.name!r}: give one "
                    "Hyperparameter another name."
                )
            if h.plural == other.plural:
                raise ValueError(
                    f"Files would call the values of {other.name!r} and {h.name!r} "
                    f"both {h.plural!r}: give one Hyperparameter another plural."
                )
            if h.variable == other.variable:
                raise ValueError(
                    f"{other.name!r} and {h.name!r} would be one variable, "
                    f"{h.variable!r}: give one Hyperparameter another variable."
                )
