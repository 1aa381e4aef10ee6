"""tfdistill: dataset distillation for TensorFlow and Keras.

Learns a handful of synthetic training examples, and the learning rates to train on
them with, such that a network trained on just those does almost as well as one that
saw the whole data set.
"""

import ast
import importlib
import os
from pathlib import Path

from tfdistill._internal import faces, keras_setup

# oneDNN's convolutions make the outer step two to three times faster on CPUs where
# TensorFlow leaves them off. Has no effect once TensorFlow (or Keras) is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# The public names and their homes are written once, in the stub that type checkers
# read. Each is imported on first use: TensorFlow takes seconds to import, and
# `tfdistill --help` must not wait for it.
_HOMES = {
    alias.asname: (statement.module, alias.name)
    for statement in ast.parse(Path(__file__).with_suffix(".pyi").read_text()).body
    if isinstance(statement, ast.ImportFrom)
    for alias in statement.names
}
__all__ = sorted(name for name in _HOMES if not name.startswith("_"))


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'tfdistill' has no attribute {name!r}")
    keras_setup.check()
    module, original = _HOMES[name]
    try:
        found = importlib.import_module(f"{module}.{original}")  # a module
    except ModuleNotFoundError as error:
        if error.name != f"{module}.{original}":
            raise
        return getattr(importlib.import_module(module), original)
    if not hasattr(found, "__path__"):  # a folder imports nothing for itself
        faces.show_own(found)
    return found


def __dir__():
    return [*__all__, "__version__"]
