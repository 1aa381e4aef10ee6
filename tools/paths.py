"""Flags whose values are paths: "~" is the home folder, as in the commands."""

import os

from absl import flags

flags.disclaim_key_flags()  # they are those of the program


class _Parser(flags.ArgumentParser):
    """Puts the home folder in place of "~", when the flag is read."""

    def parse(self, argument):
        return os.path.expanduser(argument)


def define(name: str, default: str | None, about: str, **options) -> None:
    """Defines a flag, as `flags.DEFINE_string` does."""
    flags.DEFINE(
        _Parser(),
        name,
        default,
        about,
        serializer=flags.ArgumentSerializer(),
        **options,
    )
