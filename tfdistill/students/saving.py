"""Rehearses that a model can be saved and loaded, before it is trained for long."""

import os
import tempfile

import keras

from tfdistill._internal.checks import first_sentence


def rehearse(model: keras.Model) -> None:
    """Saves a model as a `.keras` file, and loads it as a stranger would.

    Args:
        model: A built model.

    Raises:
        ValueError: If that fails: a layer of one's own that is not registered, a
            Lambda, or a subclassed model without its configuration.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.keras")
            model.save(path)
            keras.models.load_model(path, compile=False)
    # A layer's own code runs here, and may raise anything.
    except Exception as error:
        raise ValueError(
            "it cannot be saved as a .keras file and loaded again "
            f"({first_sentence(error)}); register own layers and models with "
            "@keras.saving.register_keras_serializable(), and write a layer in place "
            "of a Lambda"
        ) from error
