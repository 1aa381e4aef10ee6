"""What a command is asked to do: the values of its flags, which nothing changes."""

from collections.abc import Mapping
from typing import Any


class Configuration:
    """Read-only attributes, one for each flag of a command.

        configuration.steps
        configuration = configuration.replace(student="lenet")

    Args:
        values: By the flags' names.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]):
        object.__setattr__(self, "_values", dict(values))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"This command has no flag --{name}.")
        return self._values[name]

    def __setattr__(self, name, value):
        raise AttributeError(f"{name} cannot be set: replace(...) makes a new one.")

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def replace(self, **changes) -> "Configuration":
        """Another configuration, with some other values.

        Raises:
            AttributeError: If there is no such flag.
        """
        for name in changes:
            getattr(self, name)
        return Configuration({**self._values, **changes})
