"""Weights in Paddle's own form, `.pdparams`, read as data: nothing in the file is called, imported or trusted.

`paddle.save(layer.state_dict(), path)` writes an ordinary pickle. A pickle is a program, and `paddle.load` runs it.
This module does not try to make such an interpreter safe. It reads the few operations that a dict of arrays consists of
(see `pickle_operations`), and it has no means to call anything. Names in the file are compared with a short list and
are never looked up. Each of them stands for a check and a value written here:

    collections OrderedDict                an empty dict
    builtins tuple                         Paddle's pair (name, array) of a tensor outside a state dict
    numpy ndarray                          nothing by itself
    numpy dtype                            one of the plain numbers in `_TYPES`, little-endian
    numpy.core.multiarray _reconstruct     an array without content so far, shape (0,)
    numpy.core.numeric _frombuffer         an array, as protocol 5 writes it
    _codecs encode, builtins bytes         bytes, as protocol 2 writes them

(NumPy 2 writes numpy._core, protocol 2 writes __builtin__.) Arrays are views of the file's bytes, so no header in the
file can make this module allocate memory.

Source: `paddle.framework.io` 3.3.1 for what Paddle adds to a pickle of arrays.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paddle_gan.errors import CheckpointError, UsageError
from paddle_gan.training.pickle_operations import LONGEST_NAME, Refused, read_operations

_MOST_BYTES = 4 << 30
_MOST_DIMENSIONS = 32
# uint16 is what Paddle writes for bfloat16.
_TYPES = ("f2", "f4", "f8", "u2", "i1", "i2", "i4", "i8", "u1", "u4", "u8", "b1")
# An entry that Paddle adds to a state dict: the names that a static program would give the tensors.
_NAME_TABLE = "StructuredToParameterName@@"


@dataclass(frozen=True, slots=True)
class _Name:
    """A function or class that the file names: only its name, never the function or class itself."""

    name: str


# The names that may stand in a file, by module.
_NAMES = {
    (module, name): _Name(name)
    for module, name in (
        ("collections", "OrderedDict"),
        ("builtins", "tuple"),
        ("__builtin__", "tuple"),
        ("builtins", "bytes"),
        ("__builtin__", "bytes"),
        ("_codecs", "encode"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy.core.numeric", "_frombuffer"),
        ("numpy._core.numeric", "_frombuffer"),
    )
}


@dataclass(slots=True, eq=False)
class _Array:
    """An array; None until its content was read."""

    value: np.ndarray | None = None


def read_pdparams(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that `paddle.save` wrote from a dict of tensors or arrays; nothing in it is executed.

    Args:
        path: a pickle of protocol 2 to 5, at most 4 GiB.

    Returns:
        The arrays by name. They are read-only views of the file's content in memory. bfloat16 becomes uint16, as Paddle
        writes it.

    Raises:
        UsageError: there is no such file.
        CheckpointError: it holds anything else than plain arrays with plain names.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file of weights")
    try:
        return _arrays(_interpret(memoryview(_content(path))))
    except Refused as refused:
        reason = str(refused)
    except (IndexError, KeyError):  # the stack is empty, or the memo has no such entry
        reason = "it is damaged"
    except (OSError, UnicodeError, MemoryError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise CheckpointError(f"{path}: not read, and nothing in it was executed: {reason}")


def _content(path: Path) -> bytes:
    with open(path, "rb") as file:
        if file.read(1) != b"\x80":
            raise Refused("it is not a .pdparams file, as paddle.save writes it")
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise Refused(f"it has {size} bytes, more than {_MOST_BYTES >> 30} GiB")
        file.seek(0)
        return file.read(size)


def _interpret(data: memoryview) -> Any:
    """The value that the operations leave: a value of `_literal`, a tuple, dict, dtype, `_Name` or `_Array`."""
    stack: list[Any] = []
    marks: list[list[Any]] = []  # the stacks below each mark
    memo: dict[int, Any] = {}
    for name, argument in read_operations(data):
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
        raise Refused("it is damaged")
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
    if len(argument) <= LONGEST_NAME:
        return str(argument, "utf-8")
    # From here on a character must fit into one byte: otherwise the text would need four times the size of the file.
    if np.frombuffer(argument, np.uint8).max() > 0xC3:
        raise Refused(f"it holds a text of {len(argument)} bytes that is not an array")
    return memoryview(str(argument, "utf-8").encode("latin-1"))


def _set_items(target: Any, items: list[Any]) -> None:
    keys = items[::2]
    if type(target) is not dict or len(items) % 2 or not all(type(key) is str for key in keys):
        raise Refused("it holds something else than a dict with names for keys")
    target.update(zip(keys, items[1::2], strict=True))


def _named(module: Any, name: Any) -> _Name:
    if type(module) is not str or type(name) is not str:
        raise Refused("it is damaged")
    if (module, name) not in _NAMES:
        raise Refused(f"it asks for {ascii(f'{module}.{name}')}, which no array needs")
    return _NAMES[module, name]


def _reduced(function: Any, arguments: Any) -> Any:
    """The value of a call in the file."""
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
    raise Refused(f"it uses {called} in a way in which no plain array does")


def _build(target: Any, state: Any) -> None:
    """Give an array its content. A type of numbers may have its usual state only, which changes nothing."""
    match target, state:
        case np.dtype(), (3, "<" | "|", None, None, None, -1, -1, 0):
            return
        case _Array(), (1, tuple() as shape, np.dtype() as dtype, bool() as fortran, memoryview() as content):
            target.value = _view(content, dtype, shape, "F" if fortran else "C")
            return
    raise Refused("it holds an array or a type that is not of plain numbers")


def _view(content: memoryview, dtype: np.dtype, shape: tuple, order: Literal["C", "F"]) -> np.ndarray:
    if len(shape) > _MOST_DIMENSIONS or not all(type(length) is int and length >= 0 for length in shape):
        raise Refused("it holds an array of impossible shape")
    if math.prod(shape) * dtype.itemsize != len(content):
        raise Refused(f"it holds an array of shape {ascii(shape)[:80]} in {len(content)} bytes")
    try:
        return np.ndarray(shape, dtype, content.toreadonly(), order=order)
    except ValueError as error:  # (0, 2**62): no bytes, and yet too large
        raise Refused("it holds an array of impossible shape") from error


def _arrays(root: Any) -> dict[str, np.ndarray]:
    if type(root) is not dict:
        raise Refused("it holds no dict of arrays")
    arrays = {}
    for name, value in root.items():
        if name == _NAME_TABLE:
            continue
        if type(value) is tuple and len(value) == 2:  # Paddle's (name, array)
            value = value[1]
        if type(value) is not _Array or value.value is None:
            kind = "dict" if type(value) is dict else "value of another kind"
            raise Refused(f"{ascii(name)[:80]} is a {kind}, not an array; save the state_dict() of one network alone")
        arrays[name] = value.value
    return arrays
