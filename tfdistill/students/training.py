"""What training by Keras's `fit` would do, and the steps of a data set do not.

A student is a pure function of its weights, its state and images: its optimizer alone
changes the weights. Whatever else `fit` does would be missing where it is tested.
"""

import keras


def check_training(model: keras.Model, name: str) -> None:
    """Refuses a student that would be trained as another one than by `fit`.

    Args:
        model: A built model.
        name: What sentences call the student.

    Raises:
        ValueError: If it has weight constraints, or training steps or losses of its
            own.
    """
    _check_constraints(model, name)
    _check_steps(model, name)


def _check_constraints(model, name):
    for variable in model.trainable_variables:
        if variable.constraint is not None:
            raise ValueError(
                f"student {name} has the constraint "
                f"{type(variable.constraint).__name__} on {variable.path!r}, which the "
                "steps of a distilled data set do not keep; build it without."
            )


def _check_steps(model, name):
    for method in ("train_step", "compute_loss"):
        own = getattr(getattr(model, method), "__func__", None)
        if own is not getattr(keras.Model, method):
            raise ValueError(
                f"student {name} has a {method} of its own, which the steps of a "
                "distilled data set do not call: build it without, and give penalties "
                "by add_loss."
            )
