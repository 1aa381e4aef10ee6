"""Is Keras set up as this library needs it? Asked before TensorFlow is loaded."""

import json
import os
import sys
from pathlib import Path

_NEEDED = {
    "backend": "tensorflow",
    "image_data_format": "channels_last",
    "floatx": "float32",
}


def check() -> None:
    """Refuses another backend, order of axes or precision of Keras.

    Raises:
        ImportError: If Keras is set up otherwise, by the environment, by its file of
            settings, or by the program; the sentence says where.
    """
    for name, (value, where) in _found().items():
        if value != _NEEDED[name]:
            raise ImportError(
                f"tfdistill needs Keras with the {name} {_NEEDED[name]!r}, but "
                f"{where} says {value!r}: change it before Python starts."
            )


def _found() -> dict[str, tuple[object, str]]:
    """Each setting that is made, and where."""
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "config"):
        # float64 may be the program's wish, for a while.
        return {"backend": (keras.config.backend(), "this program")}
    folder = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    path = Path(folder).expanduser() / "keras.json"
    found: dict[str, tuple[object, str]] = {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        found = {k: (settings[k], str(path)) for k in _NEEDED if k in settings}
    except (OSError, ValueError, TypeError):  # none, or none that Keras reads either
        pass
    if backend := os.environ.get("KERAS_BACKEND"):
        found["backend"] = (backend, "the environment variable KERAS_BACKEND")
    return found
