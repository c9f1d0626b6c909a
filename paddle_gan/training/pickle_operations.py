"""The operations of a pickle, read as data: nothing is called, imported or built here.

Only the operations that plain arrays in a dict need are known. Each is bounded by the size of the file, and their
number by `_MOST_OPERATIONS`. Not about what they mean: see `pdparams`. Source: Python's `pickletools`, PEP 307, 3154
and 574.
"""

import pickletools
from collections.abc import Iterator
from typing import NamedTuple

# Enough for about 3,000 arrays.
_MOST_OPERATIONS = 100_000
# A longer text is not a name: protocol 2 writes the bytes of an array as text.
LONGEST_NAME = 128

# Operations whose argument has a fixed size, with that size in bytes.
_FIXED_SIZES = {
    **dict.fromkeys(("STOP", "MARK", "MEMOIZE"), 0),
    **dict.fromkeys(("NONE", "NEWTRUE", "NEWFALSE"), 0),
    **dict.fromkeys(("EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE"), 0),
    **dict.fromkeys(("EMPTY_DICT", "SETITEM", "SETITEMS"), 0),
    **dict.fromkeys(("STACK_GLOBAL", "REDUCE", "BUILD"), 0),
    **dict.fromkeys(("PROTO", "BININT1", "BINPUT", "BINGET"), 1),
    **dict.fromkeys(("BININT2",), 2),
    **dict.fromkeys(("BININT", "LONG_BINPUT", "LONG_BINGET"), 4),
    **dict.fromkeys(("FRAME",), 8),
}
# Operations whose argument begins with its length, with the size of that length in bytes.
_LENGTH_SIZES = {
    **dict.fromkeys(("LONG1", "SHORT_BINUNICODE", "SHORT_BINBYTES"), 1),
    **dict.fromkeys(("BINUNICODE", "BINBYTES"), 4),
    **dict.fromkeys(("BINUNICODE8", "BINBYTES8", "BYTEARRAY8"), 8),
}
_NAMES = {ord(operation.code): operation.name for operation in pickletools.opcodes}


class Refused(Exception):
    """Why a file is not read."""


class Operation(NamedTuple):
    """An operation by its name in `pickletools`, and the bytes of its argument."""

    name: str
    argument: memoryview


def read_operations(data: memoryview) -> Iterator[Operation]:
    """Each operation up to STOP, which must be at the end of the file.

    Raises:
        Refused: the file is damaged, or has an operation that no array needs.
    """
    at = 0
    for _ in range(_MOST_OPERATIONS):
        if at >= len(data):
            raise Refused("it is cut off")
        code, at = data[at], at + 1
        name = _NAMES.get(code, f"{code:#04x}")
        if name == "GLOBAL":
            size = _size_of_two_lines(data[at : at + 2 * LONGEST_NAME])
        elif name in _LENGTH_SIZES:
            width = _LENGTH_SIZES[name]
            size, at = int.from_bytes(data[at : at + width], "little"), at + width
        elif name in _FIXED_SIZES:
            size = _FIXED_SIZES[name]
        else:
            raise Refused(f"it holds the operation {name}, which no array needs")
        if size > len(data) - at:
            raise Refused("it is cut off")
        yield Operation(name, data[at : at + size])
        at += size
        if name == "STOP":
            if at < len(data):
                raise Refused(f"{len(data) - at} bytes follow its end")
            return
    raise Refused(f"it has more than {_MOST_OPERATIONS} operations")


def _size_of_two_lines(data: memoryview) -> int:
    lines = bytes(data).split(b"\n", 2)
    if len(lines) < 3:
        raise Refused("it is cut off")
    return len(lines[0]) + len(lines[1]) + 2
