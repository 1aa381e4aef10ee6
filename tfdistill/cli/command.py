"""A command as it is declared: its flags in groups, each written once.

absl parses them, into an object of the command's own: what comes out is a frozen
`Configuration`, and no other module reads a flag.
"""

import contextlib
import dataclasses
import math
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from absl import flags as absl_flags

from tfdistill._internal import code
from tfdistill.cli import refused_flags, typed
from tfdistill.cli.configuration import Configuration
from tfdistill.cli.errors import InputError
from tfdistill.runs import files

# What help calls the values that are paths.
_PATHS = ("FOLDER", "FILE", "FOLDER,...")
#: What help shows, in this order.
TITLES = ("data", "who learns", "what is learned", "how long", "result", "machine")


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag.

    Attributes:
        name: Without dashes.
        kind: str, int, float, bool, or list (of strings, with commas between them).
        default: None for none, or for one that depends on other flags or on the data.
        help: Two lines of help at the most.
        choices: The only values there are.
        lowest, highest: Bounds, both allowed.
        value: What help calls the value; the choices, if there are any.
        shown: What help says the default is; the default itself, if it is empty.
        missing: What is to be done if the flag is not given; empty if it needn't be.
        written: Whether it is only written to, so that --dry_run goes without it.
        library: Whose default this is, as "module:function.argument" in tfdistill.
            The tests compare the two.
        table: Where the library has the choices, as "module:name".
        names_code: Which values are code to run; None if there are none. A file that
            the command line names (--flagfile) cannot give such a value: it must be
            typed.
    """

    name: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] | None = None
    lowest: float | None = None
    highest: float | None = None
    value: str = ""
    shown: str = ""
    missing: str = ""
    written: bool = False
    library: str = ""
    table: str = ""
    names_code: Callable[[str], bool] | None = None

    def define(self, values: absl_flags.FlagValues) -> None:
        """Makes it known to absl."""
        common: dict[str, Any] = {"flag_values": values}
        if self.choices:
            absl_flags.DEFINE_enum(
                self.name, self.default, self.choices, self.help, **common
            )
            return
        if self.kind in (int, float):
            common.update(lower_bound=self.lowest, upper_bound=self.highest)
        define = {
            str: absl_flags.DEFINE_string,
            int: absl_flags.DEFINE_integer,
            float: absl_flags.DEFINE_float,
            bool: absl_flags.DEFINE_boolean,
            list: absl_flags.DEFINE_list,
        }[self.kind]
        define(self.name, self.default, self.help, **common)

    def check_recorded(self, value) -> None:
        """Refuses a value that a file gives, if no command line could give it.

        Raises:
            ValueError: If it is of another kind, out of range, or names code.
        """
        fits = value is None or (
            isinstance(value, list) and all(isinstance(v, str) for v in value)
            if self.kind is list
            else type(value) is self.kind or (self.kind, type(value)) == (float, int)
        )
        if fits and self.choices:
            fits = value is None or value in self.choices
        if fits and self.kind in (int, float) and value is not None:
            low, high = (
                default if bound is None else bound
                for bound, default in ((self.lowest, -1e30), (self.highest, 1e30))
            )
            fits = low <= value <= high
        if not fits:
            raise ValueError(f"{self.name} cannot be {str(value)[:80]!r}")

    def line(self, value) -> str | None:
        """How a flagfile says that it has a value; None if it has none."""
        if isinstance(value, bool):
            return f"--{'' if value else 'no'}{self.name}"
        if isinstance(value, list):
            value = typed.listed(value)
        return None if value is None else f"--{self.name}={value}"


@dataclasses.dataclass(frozen=True)
class Group:
    """Flags that help shows together.

    Attributes:
        title: One of `TITLES`.
        flags: In the order of help.
    """

    title: str
    flags: tuple[Flag, ...]

    def __init__(self, title: str, flags: Iterable[Flag]):
        object.__setattr__(self, "title", title)
        object.__setattr__(self, "flags", tuple(flags))


def _as_it_is(configuration):
    return configuration


def _nothing(given) -> dict:
    del given
    return {}


def _all_is_well(given, read) -> None:
    del given, read


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of tfdistill.

    Attributes:
        name: As it is typed.
        about: What it does: "tfdistill NAME: in a sentence.", then paragraphs.
        groups: Its flags, in the order of `TITLES`.
        run: Does it.
        examples: Some whole command lines.
        resolve: Gives flags that are not given the values that follow from others, and
            refuses flags that don't go together, by an `InputError`.
        unrecorded: Names of flags that are not written into the run folder.
        uncompared: Names of those that are, so that the run can be repeated, and that
            may be others when it goes on: they don't change what comes out.
        preset: Gives values to flags that are not given, from those that are.
        unused: The flags that have no use beside the values of others: by the name of
            each, these others with their values.
        check_typed: Refuses flags that are typed, by an `InputError`, if what flagfiles
            give would leave them without effect.
    """

    name: str
    about: str
    groups: tuple[Group, ...]
    run: Callable[[Configuration], None]
    examples: tuple[str, ...]
    resolve: Callable[[Configuration], Configuration] = _as_it_is
    unrecorded: tuple[str, ...] = ("workdir", "overwrite", "verbose", "dry_run")
    uncompared: tuple[str, ...] = (
        *("threads", "strategy", "data_dir", "download", "keep_every"),
        *("report_every", "side_by_side"),
    )
    preset: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _nothing
    unused: Callable[[Configuration], Mapping[str, Mapping[str, Any]]] = _nothing
    check_typed: Callable[[Mapping[str, Any], Mapping[str, Any]], None] = _all_is_well

    @property
    def flags(self) -> dict[str, Flag]:
        """All flags by name, in the order of help."""
        return {flag.name: flag for group in self.groups for flag in group.flags}

    def parse(self, arguments: Sequence[str]) -> Configuration:
        """What a command line asks for.

        Args:
            arguments: What comes after the command's name. What is typed wins over what
                a flagfile says, wherever it stands.

        Raises:
            InputError: If a flag is unknown, missing or out of range, or if two don't
                go together.
        """
        apart = typed.apart(arguments, self.flags)
        read, words = (_values(self, each) for each in apart)
        self.check_typed(_given(words, self.flags), _given(read, self.flags))
        values = {k: words[k] if words[k].present else read[k] for k in self.flags}
        found = {name: values[name].value for name in self.flags}
        for name, flag in self.flags.items():
            # Where TFDS keeps its data may be a URL.
            if flag.value in _PATHS and found[name] and name != "data_dir":
                found[name] = _local(name, found[name])
        given = {name: found[name] for name in self.flags if values[name].present}
        found |= {k: v for k, v in self.preset(given).items() if k not in given}
        for name, value in found.items():
            # NaN and infinity, which no bounds keep out.
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"--{name} must be a finite number, not {value}.")
        for name, flag in self.flags.items():
            needed = flag.missing and not (flag.written and found.get("dry_run"))
            if needed and not found[name]:
                raise InputError(f"--{name} is missing: {flag.missing}")
            if flag.names_code:
                asked = values[name].value if name in given else found[name]
                _check_typed(flag, asked, arguments)
        return self.resolve(Configuration(found))

    def record(self, configuration: Configuration) -> str:
        """A flagfile of the values that make the result what it is."""
        return self._flagfile(self.recorded_values(configuration))

    def shown(self, configuration: Configuration) -> str:
        """The same, without flags that have no use: for people to read."""
        return self._flagfile(self.shown_values(configuration))

    def _flagfile(self, values):
        lines = [self.flags[name].line(value) for name, value in values.items()]
        return "\n".join(filter(None, lines)) + "\n"

    def shown_values(self, configuration: Configuration) -> dict[str, Any]:
        """The values of `shown`, by the flags' names."""
        unused = self.unused(configuration)
        values = self.recorded_values(configuration)
        return {name: value for name, value in values.items() if name not in unused}

    def recorded_values(self, configuration: Configuration) -> dict[str, Any]:
        """The values of `record`, by the flags' names."""
        return {
            name: getattr(configuration, name)
            for name in self.flags
            if name not in self.unrecorded
        }

    def compared(self, configuration: Configuration) -> str:
        """The same as `record`, of the flags on which the result depends."""
        lines = self.record(configuration).splitlines()
        return "\n".join(line for line in lines if name_of(line) not in self.uncompared)

    def differences(self, configuration: Configuration, recorded: str) -> list[str]:
        """The lines in which a recorded run is another one than this.

        The order of the lines makes no difference, and a flag that the record lacks
        (an older version may have written it) has its default there.

        Args:
            configuration: Of this run.
            recorded: What `record` once gave, for another run or the same.
        """
        lines = recorded.split("\n")
        found = {line for line in lines if line and not line.startswith("#")}
        known = {line for line in found if self._knows(line)}
        required = [
            f"--{name}={getattr(configuration, name)}"
            for name, flag in self.flags.items()
            if flag.missing and name in self.unrecorded
        ]
        before = known
        # What is damaged, or no longer allowed, is another run in any case.
        with contextlib.suppress(InputError):
            before = self._lines(self.parse([*required, *known]))
        foreign = found - known
        changed = (before | foreign) ^ self._lines(configuration)
        without = {*self.uncompared, *self.unused(configuration)}
        return sorted(line for line in changed if name_of(line) not in without)

    def by_flagfile(self, path: str, recorded: str) -> list[str]:
        """What is typed for a recorded run: its flagfile, and names of code again.

        Args:
            path: Of the flagfile.
            recorded: What it holds.
        """
        named = [
            line
            for line in filter(self._knows, recorded.split("\n"))
            if (names_code := self.flags[name_of(line)].names_code)
            and names_code(line.partition("=")[2])
        ]
        return [f"--flagfile={path}", *named]

    def records(self, line: str) -> bool:
        """Whether a line is one of those that `record` may give."""
        return self._knows(line) and name_of(line) not in self.unrecorded

    def _knows(self, line):
        return line[:2] == "--" and name_of(line) in self.flags

    def _lines(self, configuration):
        return set(filter(None, self.record(configuration).split("\n")))

    def in_flags(self, sentence: str) -> str:
        """A sentence of the library, whose arguments are flags here.

        "keep_every must be ..." becomes "--keep_every must be ...", "pass
        download=True" becomes "pass --download", and "FixedWeights()" the flag of it.
        """

        def flag(argument):
            name = argument[1]
            return f"--{name}" if name in self.flags else argument[0]

        elsewhere = "" if "initial_weights" in self.flags else " of tfdistill distill"
        fixed = f"--initial_weights=fixed{elsewhere}"
        sentence = sentence.replace("FixedWeights()", fixed)
        sentence = re.sub(r"(?<![-\w])(\w+)=(?:True|(?=[\s,.;)]))", flag, sentence)
        named = re.match(r"\w+(?: and \w+)*(?= (?:must|needs?) )", sentence)
        if not named:
            return sentence
        words = [
            f"--{word}" if word in self.flags else word
            for word in named[0].split(" and ")
        ]
        return " and ".join(words) + sentence[named.end() :]


def _values(command, arguments):
    values = absl_flags.FlagValues()
    for flag in command.flags.values():
        flag.define(values)
    try:
        _, *rest = values([f"tfdistill {command.name}", *arguments])
    except (absl_flags.Error, UnicodeDecodeError) as error:
        sentence = refused_flags.sentence(error, command.flags, command.name)
        raise InputError(sentence) from error
    if rest:
        raise InputError(
            f"{rest[0]!r} is not a flag; tfdistill {command.name} takes flags of the "
            "form --name=value only."
        )
    return values


def _given(values, names):
    return {name: values[name].value for name in names if values[name].present}


def _check_typed(flag, value, arguments):
    line = flag.line(value) or ""
    value = line.partition("=")[2]
    if flag.names_code(value) and not code.is_typed(flag.name, value, arguments):
        raise InputError(
            f"{line} stands in a file and names code to run, and a file's word is not "
            f"enough: if you trust that code, type {shlex.quote(line)} as well."
        )


def _local(name, value):
    if isinstance(value, list):
        return [_local(name, each) for each in value]
    typed.check_path(value)
    try:
        return files.local(value)
    except ValueError as error:
        raise InputError(f"--{name}={error}") from error


def name_of(line: str) -> str:
    """The flag of a flagfile's line: of --name=value, --name or --noname."""
    name, equals, _ = line.removeprefix("--").partition("=")
    off = not equals and name.startswith("no")
    return name.removeprefix("no") if off else name
