"""Weights in Paddle's own form, `.pdparams`, read as data: nothing in the file is called, imported or trusted.

`paddle.save(layer.state_dict(), path)` writes an ordinary pickle, and a pickle is a program; `paddle.load`
runs it. This is no such machine made safe, but a reader of the few operations that arrays in a dict
consist of, which knows no way to call anything. A name in the file is compared with a short list
and never looked up, and each stands for a check and a value written here:

    collections OrderedDict                an empty dict
    builtins tuple                         Paddle's pair (name, array) of a tensor outside a state dict
    numpy ndarray                          nothing by itself
    numpy dtype                            one of the plain numbers in `_TYPES`, little-endian
    numpy.core.multiarray _reconstruct     an array still without content, shape (0,)
    numpy.core.numeric _frombuffer         an array, as protocol 5 writes it
    _codecs encode, builtins bytes         bytes, as protocol 2 writes them

(NumPy 2 writes numpy._core, protocol 2 __builtin__.) Arrays are views of the file's bytes, so that no header can ask for
memory; every operation is bounded by the file's size, and their number by `_MOST_OPERATIONS`.

Source of the form: Python's `pickletools`, PEP 307, 3154 and 574; `paddle.framework.io` 3.3.1 for what Paddle adds.
"""

import math
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paddle_gan.errors import CheckpointError, UsageError

_MOST_BYTES = 4 << 30
# About 3,000 arrays.
_MOST_OPERATIONS = 100_000
# Longer text is no name: protocol 2 writes the bytes of an array as text.
_LONGEST_TEXT = 128
_MOST_DIMENSIONS = 32
# uint16 is what Paddle writes for bfloat16.
_TYPES = ("f2", "f4", "f8", "u2", "i1", "i2", "i4", "i8", "u1", "u4", "u8", "b1")
# Of what Paddle adds to a state dict: the names that a static program would give the tensors.
_NAME_TABLE = "StructuredToParameterName@@"

# Operations and the bytes of their argument.
_FIXED = {
    **{"PROTO": 1, "FRAME": 8, "STOP": 0},
    **{"NONE": 0, "NEWTRUE": 0, "NEWFALSE": 0, "BININT1": 1, "BININT2": 2, "BININT": 4},
    **{"MARK": 0, "EMPTY_TUPLE": 0, "TUPLE1": 0, "TUPLE2": 0, "TUPLE3": 0, "TUPLE": 0},
    **{"EMPTY_DICT": 0, "SETITEM": 0, "SETITEMS": 0, "STACK_GLOBAL": 0, "REDUCE": 0, "BUILD": 0},
    **{"MEMOIZE": 0, "BINPUT": 1, "LONG_BINPUT": 4, "BINGET": 1, "LONG_BINGET": 4},
}
# Operations and the bytes of the number that says how long their argument is.
_COUNTED = {
    **{"LONG1": 1, "SHORT_BINUNICODE": 1, "BINUNICODE": 4, "BINUNICODE8": 8},
    **{"SHORT_BINBYTES": 1, "BINBYTES": 4, "BINBYTES8": 8, "BYTEARRAY8": 8},
}
_OPERATION = {ord(operation.code): operation.name for operation in pickletools.opcodes}


@dataclass(frozen=True, slots=True)
class _Name:
    """What the file calls a function or class: a word, never the thing."""

    name: str


_NAMES = {
    ("collections", "OrderedDict"): _Name("OrderedDict"),
    **{(module, "tuple"): _Name("tuple") for module in ("builtins", "__builtin__")},
    **{(module, "bytes"): _Name("bytes") for module in ("builtins", "__builtin__")},
    ("_codecs", "encode"): _Name("encode"),
    ("numpy", "ndarray"): _Name("ndarray"),
    ("numpy", "dtype"): _Name("dtype"),
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Name("_reconstruct") for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Name("_frombuffer") for core in ("core", "_core")},
}


@dataclass(slots=True, eq=False)
class _Array:
    """An array, None until its content has come."""

    value: np.ndarray | None = None


class _Refused(Exception):
    """Why a file is not read."""


def read_pdparams(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that `paddle.save` wrote from a dict of tensors or arrays; nothing in it is executed.

    Args:
        path: a pickle of protocol 2 to 5, at most 4 GiB.

    Returns:
        Name and array, read-only views of the file's content in memory; bfloat16 is uint16, as Paddle writes it.

    Raises:
        UsageError: there is no such file. CheckpointError: anything else than plain arrays under plain names.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file of weights")
    try:
        return _arrays(_interpret(memoryview(_content(path))))
    except _Refused as refused:
        reason = str(refused)
    except (IndexError, KeyError):  # of a stack, of the memo
        reason = "it is damaged"
    except (OSError, UnicodeError, MemoryError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise CheckpointError(f"{path}: not read, nothing in it was executed: {reason}")


def _content(path: Path) -> bytes:
    with open(path, "rb") as file:
        if file.read(1) != b"\x80":
            raise _Refused("it is not a .pdparams file, as paddle.save writes it")
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise _Refused(f"it has {size} bytes, more than {_MOST_BYTES >> 30} GiB")
        file.seek(0)
        return file.read(size)


def _operations(data: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Name and argument of each operation up to STOP, which must be the end of the file."""
    at = 0
    for _ in range(_MOST_OPERATIONS):
        if at >= len(data):
            raise _Refused("it is cut off")
        code, at = data[at], at + 1
        name = _OPERATION.get(code, f"{code:#04x}")
        if name == "GLOBAL":
            size = _size_of_two_lines(data[at : at + 2 * _LONGEST_TEXT])
        elif name in _COUNTED:
            width = _COUNTED[name]
            size, at = int.from_bytes(data[at : at + width], "little"), at + width
        elif name in _FIXED:
            size = _FIXED[name]
        else:
            raise _Refused(f"it holds the operation {name}, which no array needs")
        if size > len(data) - at:
            raise _Refused("it is cut off")
        yield name, data[at : at + size]
        at += size
        if name == "STOP":
            if at < len(data):
                raise _Refused(f"{len(data) - at} bytes follow its end")
            return
    raise _Refused(f"it has more than {_MOST_OPERATIONS} operations")


def _size_of_two_lines(data: memoryview) -> int:
    lines = bytes(data).split(b"\n", 2)
    if len(lines) < 3:
        raise _Refused("it is cut off")
    return len(lines[0]) + len(lines[1]) + 2


def _interpret(data: memoryview) -> Any:
    """The value that the operations leave: one of `_literal`, a tuple, dict, dtype, `_Name` or `_Array`."""
    stack: list[Any] = []
    marks: list[list[Any]] = []  # the stacks below each mark
    memo: dict[int, Any] = {}
    for name, argument in _operations(data):
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                marks.append(stack)
                stack = []
            case "TUPLE":
                items, stack = tuple(stack), marks.pop()
                stack.append(items)
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                items = tuple(reversed([stack.pop() for _ in range(int(name[-1]))]))
                stack.append(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _set_items(stack[-1], [key, value])
            case "SETITEMS":
                items, stack = stack, marks.pop()
                _set_items(stack[-1], items)
            case "GLOBAL":
                stack.append(_named(*str(argument, "utf-8").split("\n")[:2]))
            case "STACK_GLOBAL":
                word, module = stack.pop(), stack.pop()
                stack.append(_named(module, word))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(_reduced(function, arguments))
            case "BUILD":
                state = stack.pop()
                _build(stack[-1], state)
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINPUT" | "LONG_BINPUT":
                memo[int.from_bytes(argument, "little")] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[int.from_bytes(argument, "little")])
            case _:
                stack.append(_literal(name, argument))
    if len(stack) != 1 or marks:
        raise _Refused("it is damaged")
    return stack[0]


def _literal(name: str, argument: memoryview) -> Any:
    """None, bool, int, str or bytes (as a memoryview), or an empty tuple or dict."""
    match name:
        case "NONE":
            return None
        case "NEWTRUE" | "NEWFALSE":
            return name == "NEWTRUE"
        case "BININT1" | "BININT2":
            return int.from_bytes(argument, "little")
        case "BININT" | "LONG1":
            return int.from_bytes(argument, "little", signed=True)
        case "EMPTY_TUPLE":
            return ()
        case "EMPTY_DICT":
            return {}
        case "SHORT_BINUNICODE" | "BINUNICODE" | "BINUNICODE8":
            return _text(argument)
        case _:  # SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
            return argument


def _text(argument: memoryview) -> str | memoryview:
    if len(argument) <= _LONGEST_TEXT:
        return str(argument, "utf-8")
    # One byte for a character from here on: others would make the text four times as large as the file.
    if np.frombuffer(argument, np.uint8).max() > 0xC3:
        raise _Refused(f"it holds a text of {len(argument)} bytes that is no array")
    return memoryview(str(argument, "utf-8").encode("latin-1"))


def _set_items(target: Any, items: list[Any]) -> None:
    keys = items[::2]
    if type(target) is not dict or len(items) % 2 or not all(type(key) is str for key in keys):
        raise _Refused("it holds something else than a dict with names for keys")
    target.update(zip(keys, items[1::2]))


def _named(module: Any, name: Any) -> _Name:
    if type(module) is not str or type(name) is not str:
        raise _Refused("it is damaged")
    if (module, name) not in _NAMES:
        raise _Refused(f"it asks for {ascii(f'{module}.{name}')}, which no array needs")
    return _NAMES[module, name]


def _reduced(function: Any, arguments: Any) -> Any:
    """What stands for a call in the file."""
    match function, arguments:
        case _Name("OrderedDict"), ():
            return {}
        case _Name("tuple"), ((str(), _Array()) as pair,):
            return pair
        case _Name("bytes"), ():
            return memoryview(b"")
        case _Name("encode"), (memoryview() as content, "latin1"):
            return content
        case _Name("encode"), (str() as content, "latin1"):
            return memoryview(content.encode("latin-1"))
        case _Name("dtype"), (str() as kind, 0, 1) if kind in _TYPES:
            return np.dtype(kind).newbyteorder("<")
        case _Name("_reconstruct"), (_Name("ndarray"), (0,), memoryview()):
            return _Array()
        case _Name("_frombuffer"), (memoryview() as content, np.dtype() as dtype, tuple() as shape, "C" | "F" as order):
            return _Array(_view(content, dtype, shape, order))
    called = function.name if isinstance(function, _Name) else f"a {type(function).__name__}"
    raise _Refused(f"it uses {called} as no plain array does")


def _build(target: Any, state: Any) -> None:
    """Give an array its content; a type of number has only the plain state, which changes nothing."""
    match target, state:
        case np.dtype(), (3, "<" | "|", None, None, None, -1, -1, 0):
            return
        case _Array(), (1, tuple() as shape, np.dtype() as dtype, bool() as fortran, memoryview() as content):
            target.value = _view(content, dtype, shape, "F" if fortran else "C")
            return
    raise _Refused("it holds an array or a type that is not of plain numbers")


def _view(content: memoryview, dtype: np.dtype, shape: tuple, order: str) -> np.ndarray:
    if len(shape) > _MOST_DIMENSIONS or not all(type(length) is int and length >= 0 for length in shape):
        raise _Refused("it holds an array of impossible shape")
    if math.prod(shape) * dtype.itemsize != len(content):
        raise _Refused(f"it holds an array of shape {ascii(shape)[:80]} in {len(content)} bytes")
    try:
        return np.ndarray(shape, dtype, content.toreadonly(), order=order)
    except ValueError as error:  # (0, 2**62): no bytes, and yet too large
        raise _Refused("it holds an array of impossible shape") from error


def _arrays(root: Any) -> dict[str, np.ndarray]:
    if type(root) is not dict:
        raise _Refused("it holds no dict of arrays")
    arrays = {}
    for name, value in root.items():
        if name == _NAME_TABLE:
            continue
        if type(value) is tuple and len(value) == 2:  # Paddle's (name, array)
            value = value[1]
        if type(value) is not _Array or value.value is None:
            kind = "dict" if type(value) is dict else "value of another kind"
            raise _Refused(f"{ascii(name)[:80]} is a {kind}, not an array; save the state_dict() of one network alone")
        arrays[name] = value.value
    return arrays
