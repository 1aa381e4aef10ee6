"""Where the outputs of a network come from."""

import keras


def output(operation: keras.Operation, index: int = 0) -> keras.KerasTensor | None:
    """A symbolic output of a functional or `Sequential` model.

    Args:
        operation: A model, or any other layer or function.
        index: Which output.

    Returns:
        None for what is no such model: of a subclassed one nobody knows which of its
        layers comes last.
    """
    if isinstance(operation, keras.Model):
        outputs = getattr(operation, "outputs", None)
        if isinstance(outputs, list) and isinstance(outputs[0], keras.KerasTensor):
            return outputs[index]
    return None


def final(model: keras.Model) -> keras.Operation:
    """The layer or function that makes a model's output, in nested models, too."""
    made, operation = output(model), model
    while made is not None:
        operation, _, index = made._keras_history
        made = output(operation, index)
    return operation
