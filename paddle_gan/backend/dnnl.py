"""The oneDNN library that Paddle brings along, through its C interface: layouts, memory, and calls of its primitives.

The library is in the process already (oneDNN 3, `libdnnl.so.3`). So there is nothing to compile: a few C
functions and numbers of `dnnl_types.h`, which stay the same throughout a major version. Which primitives
there are is `onednn`'s business.
"""

import ctypes
import math
import os
import platform
import sys
import threading
from collections.abc import Callable
from ctypes import byref, c_int, c_int64, c_size_t, c_void_p
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import paddle
from paddle import Tensor

from paddle_gan.system.runtime import cpu_count

_LIBRARIES = Path(paddle.__file__).parent / "libs"
# Numbers of dnnl_types.h.
_CPU, _IN_ORDER, _ANY_LAYOUT = 1, 1, 1
_TYPES = {"bfloat16": 2, "float32": 3}
_QUERY = {"x": 129, "dx": 130, "w": 131, "dw": 132, "y": 133, "dy": 134}
_ARGUMENT = {
    **{"x": 1, "y": 17, "w": 33, "b": 41, "mean": 49, "variance": 50, "scale": 51, "shift": 52},
    **{"dx": 129, "dy": 145, "dw": 161, "dscale": 255, "dshift": 256},
}

_ALIGNMENT = 64  # bytes; a cache line, and a vector register

# The memory objects of an operation are its own, so one call at a time.
_lock = threading.Lock()


@cache
def available() -> bool:
    """Whether this build of Paddle has the library: version 3, on Linux and x86-64."""
    try:
        _library()
    except OSError:
        return False
    return True


def version() -> str:
    """Of the library, such as "3.6.2"."""
    numbers = _library().dnnl_version().contents
    return f"{numbers.major}.{numbers.minor}.{numbers.patch}"


class _Version(ctypes.Structure):
    _fields_ = [("major", c_int), ("minor", c_int), ("patch", c_int)]


class _Argument(ctypes.Structure):
    _fields_ = [("number", c_int), ("memory", c_void_p)]


@cache
def _openmp() -> ctypes.CDLL:
    """The OpenMP runtime that MKL brings, whose threads oneDNN uses too."""
    return ctypes.CDLL(str(_LIBRARIES / "libiomp5.so"))


@cache
def _threads() -> int:
    given = os.environ.get("MKL_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else cpu_count()


def _use_threads() -> None:
    """Let the calling thread have as many helpers as MKL has, both when an operation is planned and when it is run.

    The environment says one, for Paddle's own loops, see `runtime`.
    """
    _openmp().omp_set_num_threads(_threads())


@cache
def _library() -> ctypes.CDLL:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise OSError("Paddle brings oneDNN along on Linux and x86-64 only")
    library = ctypes.CDLL(str(_LIBRARIES / "libdnnl.so.3"))
    _openmp()
    library.dnnl_version.restype = ctypes.POINTER(_Version)
    library.dnnl_primitive_desc_query_md.restype = c_void_p
    library.dnnl_memory_desc_get_size.restype = c_size_t
    library.dnnl_memory_set_data_handle.argtypes = [c_void_p, c_void_p]
    library.dnnl_primitive_execute.argtypes = [c_void_p, c_void_p, c_int, c_void_p]
    if library.dnnl_version().contents.major != 3:
        raise OSError("this is not version 3 of oneDNN")
    return library


def _check(name: str, status: int) -> None:
    if status:
        raise RuntimeError(f"oneDNN: {name} failed with status {status}")


def make(name: str, *arguments) -> c_void_p:
    """The object that dnnl_`name` writes to its first argument. Objects live as long as the process."""
    made = c_void_p()
    _use_threads()
    _check(name, getattr(_library(), f"dnnl_{name}")(byref(made), *arguments))
    return made


@cache
def engine() -> c_void_p:
    """The processor, for oneDNN."""
    return make("engine_create", _CPU, c_size_t(0))


@cache
def _stream() -> c_void_p:
    return make("stream_create", engine(), _IN_ORDER)


def integers(values) -> ctypes.Array:
    """What oneDNN takes for shapes and steps."""
    return (c_int64 * len(values))(*values)


Shape = tuple[int, ...]

# oneDNN computes for blocks of sixteen channels; what has so few, as images have, is a case of its own.
FEW_CHANNELS = 3


class Layout(NamedTuple):
    """How the values of a tensor lie in memory: what oneDNN needs to know of it besides their address."""

    shape: Shape
    strides: Shape


@cache
def in_a_row(shape: Shape) -> Layout:
    """As Paddle lays a tensor out."""
    return Layout(shape, tuple(math.prod(shape[i + 1 :]) for i in range(len(shape))))


@cache
def channels_last(shape: Shape) -> Layout:
    """[N, C, H, W] with the channels of a pixel side by side, on which oneDNN works without rearranging anything.

    With a few channels its vectors would stay half empty: such images lie in a row.
    """
    n, c, h, w = shape
    return Layout(shape, (h * w * c, 1, w * c, c)) if c > FEW_CHANNELS and h * w > 1 else in_a_row(shape)


def layout_of(tensor: Tensor) -> Layout:
    """How `tensor` lies: channels last, or in a row; so it does afterwards if it did neither."""
    layout = Layout(tuple(tensor.shape), tuple(tensor.strides))
    if layout == in_a_row(layout.shape) or (len(layout.shape) == 4 and layout == channels_last(layout.shape)):
        return layout
    tensor.contiguous()  # moves the values of this tensor itself
    return in_a_row(layout.shape)


def empty(layout: Layout) -> Tensor:
    """A tensor that lies so, without values."""
    if layout == in_a_row(layout.shape):
        return paddle.empty(layout.shape)
    n, c, h, w = layout.shape
    return paddle.empty([n, h, w, c]).transpose([0, 3, 1, 2])


def described(layout: Layout, precision: str = "float32") -> c_void_p:
    """For oneDNN."""
    shape, strides = layout
    return make("memory_desc_create_with_strides", len(shape), integers(shape), _TYPES[precision], integers(strides))


def undecided(shape: Shape, precision: str) -> c_void_p:
    """For oneDNN, which may choose how the values lie."""
    return make("memory_desc_create_with_tag", len(shape), integers(shape), _TYPES[precision], _ANY_LAYOUT)


def decided(primitive: c_void_p, role: str) -> c_void_p:
    """How oneDNN wants the values of an operand."""
    return c_void_p(_library().dnnl_primitive_desc_query_md(primitive, _QUERY[role], 0))


class Operand(NamedTuple):
    """A tensor of an operation: how it lies, and how oneDNN wants it."""

    role: str
    layout: Layout
    wanted: c_void_p


class _Place(NamedTuple):
    """Memory objects of an operand; `own` and `reorder` where oneDNN wants the values in another way."""

    outer: c_void_p
    own: c_void_p | None
    own_bytes: int
    reorder: Callable[[], None] | None


def _memory(md: c_void_p) -> c_void_p:
    """A memory object that is told later where its values are."""
    return make("memory_create", md, engine(), None)


def _execution(primitive: c_void_p, arguments: list[tuple[str, c_void_p]]) -> Callable[[], None]:
    array = (_Argument * len(arguments))(*(_Argument(_ARGUMENT[role], memory) for role, memory in arguments))
    execute, stream, count = _library().dnnl_primitive_execute, _stream(), len(array)
    return lambda: _check("primitive_execute", execute(primitive, stream, count, array))


def _reorder(source: c_void_p, target: c_void_p, memories: tuple[c_void_p, c_void_p]) -> Callable[[], None]:
    planned = make("reorder_primitive_desc_create", source, engine(), target, engine(), None)
    return _execution(make("primitive_create", planned), list(zip("xy", memories)))


def _place(operand: Operand, is_result: bool) -> _Place:
    outer_md = described(operand.layout)
    outer = _memory(outer_md)
    if _library().dnnl_memory_desc_equal(outer_md, operand.wanted):
        return _Place(outer, None, 0, None)
    own = _memory(operand.wanted)
    size = math.ceil(_library().dnnl_memory_desc_get_size(operand.wanted) / _ALIGNMENT) * _ALIGNMENT
    if is_result:
        return _Place(outer, own, size, _reorder(operand.wanted, outer_md, (own, outer)))
    return _Place(outer, own, size, _reorder(outer_md, operand.wanted, (outer, own)))


def operation(primitive: c_void_p, inputs: list[Operand], results: list[Operand]) -> Callable[..., list[Tensor]]:
    """What a planned primitive computes, as a function of the tensors of its inputs; they lie as said here.

    The function takes as `into` tensors that the first results are written to; the others are made.
    """
    operands = [*inputs, *results]
    places = [_place(operand, operand in results) for operand in operands]
    named = [(operand.role, place.own or place.outer) for operand, place in zip(operands, places)]
    return _function(_execution(make("primitive_create", primitive), named), places, [made.layout for made in results])


@cache
def rearrangement(source: Layout, target: Layout, result: Layout) -> Callable[..., list[Tensor]]:
    """A copy of the values that `source` describes to where `target` does, of a tensor of which `result` is the layout."""
    mds = described(source), described(target)
    memories = _memory(mds[0]), _memory(mds[1])
    return _function(_reorder(*mds, memories), [_Place(memory, None, 0, None) for memory in memories], [result])


_scratch: list[Tensor] = []


def _scratch_of(size: int) -> int:
    """Address of that many bytes, for one call at a time; the most that was ever asked for is kept."""
    if not _scratch or _scratch[0].shape[0] < size:
        _scratch[:] = [paddle.empty([size], "uint8")]
    return _scratch[0].data_ptr()


def _function(execute: Callable[[], None], places: list[_Place], made: list[Layout]) -> Callable[..., list[Tensor]]:
    set_data, wait, stream = _library().dnnl_memory_set_data_handle, _library().dnnl_stream_wait, _stream()
    outer = [place.outer for place in places]
    own = [place for place in places if place.own]
    offsets = list(accumulate((place.own_bytes for place in own), initial=0))
    inputs = len(places) - len(made)
    before = [place.reorder for place in places[:inputs] if place.reorder]
    after = [place.reorder for place in places[inputs:] if place.reorder]

    def run(*tensors: Tensor, into: tuple[Tensor, ...] = ()) -> list[Tensor]:
        results = [*into, *(empty(layout) for layout in made[len(into) :])]
        with _lock:
            _use_threads()
            for memory, tensor in zip(outer, (*tensors, *results)):
                set_data(memory, tensor.data_ptr())
            if own:
                start = _scratch_of(offsets[-1])
                for place, offset in zip(own, offsets):
                    set_data(place.own, start + offset)
            for reorder in before:
                reorder()
            execute()
            for reorder in after:
                reorder()
            _check("stream_wait", wait(stream))
        return results

    return run
