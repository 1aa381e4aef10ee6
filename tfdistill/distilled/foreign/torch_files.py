"""PyTorch's files, read without PyTorch and without running what is in them.

`torch.save` writes a zip archive: `data.pkl`, a pickle that says how the object is put
together, and an entry with the numbers of each tensor. A pickle is a program. Here it
is read by a machine that knows the few instructions that tensors, lists and
dictionaries need, and a few names; at anything else it stops. It calls nothing.
"""

import dataclasses
import pickletools
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from tfdistill.distilled.foreign.stored import Stored

_LARGEST_PROGRAM = 16 << 20  # bytes
_DEEPEST = 32
_CONVERT = (
    "save its tensors alone, by torch.save({'images': images, 'labels': labels}, path)"
)
#: Kinds of tensors, by the name of their storage in `torch`.
_KINDS = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_REBUILD = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"
_ORDERED = "collections OrderedDict"
_KEYS = (str, int, float, type(None))
_LONGEST = 100  # characters of a text that an error shows
_NAMES = {_REBUILD, _PARAMETER, _ORDERED, *(f"torch {kind}" for kind in _KINDS)}


@dataclasses.dataclass(frozen=True)
class _Name:
    """A name that the pickle asks for; it is never imported."""

    name: str


@dataclasses.dataclass(frozen=True)
class _Storage:
    """The numbers that tensors are views of."""

    entry: str
    kind: str
    count: int


class _Mark:
    """Where a list of items begins on the stack."""


def of_pt(path: str) -> Any:
    """What a file of `torch.save` holds, with a `Stored` in place of each tensor.

    Returns:
        A `Stored`, a number or a string, or lists, tuples and dictionaries of them.

    Raises:
        ValueError: If the file is of an older form, or holds anything else than
            tensors, numbers, strings and collections of them.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(
            "it is not in the form that torch.save has written since PyTorch 1.6: "
            f"load it there, and {_CONVERT}"
        )
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        programs = [n for n in entries if n == "data.pkl" or n.endswith("/data.pkl")]
        if len(programs) != 1:
            raise ValueError(f"it holds no tensors of torch.save: {_CONVERT}")
        if any(e.compress_type != zipfile.ZIP_STORED for e in entries.values()):
            raise ValueError(
                f"its entries are compressed, which PyTorch never does: {_CONVERT}"
            )
        if entries[programs[0]].file_size > _LARGEST_PROGRAM:
            raise ValueError(
                f"it holds too many things that are no tensors: {_CONVERT}"
            )
        folder = programs[0].removesuffix("data.pkl")
        order = "<"
        if f"{folder}byteorder" in entries:
            with archive.open(f"{folder}byteorder") as file:
                order = ">" if file.read(8) == b"big" else "<"
        machine = _Machine(path, folder, order, entries)
        return machine.run(archive.read(programs[0]))


class _Machine:
    """Reads the pickle of a tensor file, instruction by instruction."""

    def __init__(self, path, folder, order, entries):
        self._path, self._folder, self._order = path, folder, order
        self._entries = entries
        self._stack: list = []
        self._memo: dict[int, Any] = {}

    def run(self, program: bytes) -> Any:
        """What the program leaves on the stack."""
        for code, argument, _ in pickletools.genops(program):
            if code.name == "STOP":
                return self._pop()
            # An instruction's name here is that of a method, or of a plain value.
            if code.name in _CONSTANTS:
                self._stack.append(_CONSTANTS[code.name]())
            elif code.name in _LITERALS:
                self._stack.append(argument)
            elif code.name in _INSTRUCTIONS:
                _INSTRUCTIONS[code.name](self, argument)
            else:
                raise ValueError(
                    f"it holds other things than tensors ({code.name}), which could "
                    f"run code: {_CONVERT}"
                )
        raise ValueError("its list of tensors ends too early")

    def _pop(self):
        if not self._stack:
            raise ValueError("its list of tensors is damaged")
        return self._stack.pop()

    def _items(self):
        """What is on the stack above the last mark."""
        items: list = []
        while True:
            top = self._pop()
            if isinstance(top, _Mark):
                return items[::-1]
            items.append(top)

    def _keep(self, number):
        self._memo[number] = self._stack[-1]

    def _memoize(self, _):
        self._keep(len(self._memo))

    def _recall(self, number):
        self._stack.append(self._memo[number])

    def _tuple(self, count):
        items = [self._pop() for _ in range(count)][::-1]
        self._stack.append(tuple(items))

    def _ask(self, name):
        if name not in _NAMES:
            raise ValueError(
                f"it asks for {_cut(name.replace(' ', '.'))}, which could run code: "
                f"{_CONVERT}"
            )
        self._stack.append(_Name(name))

    def _ask_by_stack(self, _):
        name, module = self._pop(), self._pop()
        self._ask(f"{_text(module)} {_text(name)}")

    def _store(self, _):
        """Of a storage: ("storage", its kind, its entry, where it was, its size)."""
        what, of, key, _, count = self._pop()
        kind = of.name.partition(" ")[2]
        if what != "storage" or kind not in _KINDS or not isinstance(count, int):
            raise ValueError("its list of tensors is damaged")
        entry, size = (
            f"{self._folder}data/{_text(key)}",
            np.dtype(_KINDS[kind]).itemsize,
        )
        if entry not in self._entries or self._entries[entry].file_size != count * size:
            raise ValueError(
                f"its tensor {_cut(key)!r} claims {count} numbers, which is not the "
                "size of what is there"
            )
        self._stack.append(_Storage(entry, kind, count))

    def _reduce(self, _):
        arguments, of = self._pop(), self._pop()
        if of == _Name(_ORDERED) and not arguments:  # its items are set afterwards
            self._stack.append({})
        elif of == _Name(_PARAMETER):
            self._stack.append(arguments[0])
        elif of == _Name(_REBUILD):
            self._stack.append(self._tensor(*arguments[:4]))
        else:
            raise ValueError("its list of tensors is damaged")

    def _tensor(self, storage, offset, shape, strides):
        numbers = [offset, *shape, *strides]
        whole = all(isinstance(n, int) and n >= 0 for n in numbers)
        if not whole or len(shape) != len(strides) or len(shape) > _DEEPEST:
            raise ValueError("a tensor of it has an impossible shape")
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides))
        if 0 not in shape and not last < storage.count:
            raise ValueError(
                f"a tensor of it claims the shape {list(shape)}, which is not the size "
                "of what is there"
            )
        kind = np.dtype(_KINDS[storage.kind]).newbyteorder(self._order)
        path, entry, is_bfloat = self._path, storage.entry, kind.itemsize == 2
        is_bfloat = is_bfloat and storage.kind == "BFloat16Storage"

        def load():
            with zipfile.ZipFile(path) as archive:
                values = np.frombuffer(archive.read(entry), kind)
            values = values.astype(kind.newbyteorder("="))
            if is_bfloat:  # the upper half of a float32
                values = (values.astype("u4") << 16).view("f4")
            if 0 in shape:
                return np.zeros(shape, values.dtype)
            bytes_apart = [step * values.itemsize for step in strides]
            view = np.lib.stride_tricks.as_strided(values[offset:], shape, bytes_apart)
            return view.copy()

        return Stored(tuple(shape), 4 if is_bfloat else kind.itemsize, load)

    def _append(self, items):
        self._collection(list).extend(items)

    def _set(self, items):
        if not all(map(_is_key, items[::2])):
            raise ValueError(
                "a dictionary of it has keys that are neither text nor numbers, nor "
                f"a few of them: {_CONVERT}"
            )
        self._collection(dict).update(zip(items[::2], items[1::2]))

    def _collection(self, kind):
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise ValueError("its list of tensors is damaged")
        return self._stack[-1]

    def _pair(self, _):
        value, key = self._pop(), self._pop()
        self._set([key, value])


def _is_key(value):
    """Whether it hashes in little time: tuples may hold each other."""
    parts = value if isinstance(value, tuple) else (value,)
    return len(parts) <= _DEEPEST and all(isinstance(part, _KEYS) for part in parts)


def _text(value):
    if not isinstance(value, str):
        raise ValueError("its list of tensors is damaged")
    return value


def _cut(text):
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_CONSTANTS: dict[str, Callable] = {
    "MARK": _Mark,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE"),
}
_INSTRUCTIONS: dict[str, Callable] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "BINPUT": _Machine._keep,
    "LONG_BINPUT": _Machine._keep,
    "MEMOIZE": _Machine._memoize,
    "BINGET": _Machine._recall,
    "LONG_BINGET": _Machine._recall,
    "TUPLE": lambda machine, _: machine._stack.append(tuple(machine._items())),
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "GLOBAL": _Machine._ask,
    "STACK_GLOBAL": _Machine._ask_by_stack,
    "BINPERSID": _Machine._store,
    "REDUCE": _Machine._reduce,
    "APPEND": lambda machine, _: machine._append([machine._pop()]),
    "APPENDS": lambda machine, _: machine._append(machine._items()),
    "SETITEM": _Machine._pair,
    "SETITEMS": lambda machine, _: machine._set(machine._items()),
    # The state of an OrderedDict, which holds nothing of ours.
    "BUILD": lambda machine, _: machine._pop() and None,
}
