"""The oneDNN library inside Paddle, through its C interface: memory descriptors, memory objects, primitives.

Paddle has already loaded the library into the process (oneDNN 3, `libdnnl.so.3`). So nothing is compiled: this module
calls a few C functions with numbers from `dnnl_types.h`, which stay the same within a major version. Not about which
primitives there are: see `onednn` and `norm`.
"""

import ctypes
import math
import os
import platform
import sys
import threading
from collections.abc import Callable, Sequence
from ctypes import byref, c_int, c_int64, c_size_t, c_void_p
from enum import IntEnum
from functools import cache, wraps
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, TypeVar

import paddle
from paddle import Tensor

from paddle_gan.backend.layout import Layout, Shape, empty
from paddle_gan.system.runtime import cpu_count

_LIBRARIES = Path(paddle.__file__).parent / "libs"
# Numbers of dnnl_types.h: dnnl_cpu, dnnl_stream_in_order, dnnl_format_tag_any, dnnl_data_type_t.
_CPU, _IN_ORDER, _ANY_LAYOUT = 1, 1, 1
_TYPES = {"bfloat16": 2, "float32": 3}

_ALIGNMENT = 64  # bytes: a cache line, and a vector register

# The memory objects of a function are used by each of its calls, so only one call runs at a time.
_lock = threading.Lock()

# A primitive with its memory: from the tensors of its inputs to those of its results, see `primitive_function`.
Function = Callable[..., list[Tensor]]
Result = TypeVar("Result")


class Argument(IntEnum):
    """The role of a tensor in a primitive, under oneDNN's names (DNNL_ARG_*)."""

    SOURCE = 1
    DESTINATION = 17
    WEIGHTS = 33
    BIAS = 41
    MEAN = 49
    VARIANCE = 50
    SCALE = 51
    SHIFT = 52
    DIFF_SOURCE = 129
    DIFF_DESTINATION = 145
    DIFF_WEIGHTS = 161
    DIFF_SCALE = 255
    DIFF_SHIFT = 256


# Numbers that ask a primitive descriptor for the memory descriptor of an argument (dnnl_query_src_md, ...).
_QUERIES = {
    Argument.SOURCE: 129,
    Argument.DIFF_SOURCE: 130,
    Argument.WEIGHTS: 131,
    Argument.DIFF_WEIGHTS: 132,
    Argument.DESTINATION: 133,
    Argument.DIFF_DESTINATION: 134,
}


@cache
def available() -> bool:
    """Whether this build of Paddle contains the library: version 3, on Linux and x86-64."""
    try:
        _library()
    except OSError:
        return False
    return True


def version() -> str:
    """The version of the library, such as "3.6.2"."""
    numbers = _library().dnnl_version().contents
    return f"{numbers.major}.{numbers.minor}.{numbers.patch}"


class _Version(ctypes.Structure):
    _fields_ = [("major", c_int), ("minor", c_int), ("patch", c_int)]


class _ArgumentMemory(ctypes.Structure):
    _fields_ = [("argument", c_int), ("memory", c_void_p)]


def _once(function: Callable[[], Result]) -> Callable[[], Result]:
    """`function`, called a single time in the process, even if two threads ask at once: both get the same object."""
    lock, cached = threading.Lock(), cache(function)

    @wraps(function)
    def locked() -> Result:
        with lock:
            return cached()

    return locked


@cache
def _openmp() -> ctypes.CDLL:
    """The OpenMP runtime that comes with MKL. oneDNN uses its threads too."""
    return ctypes.CDLL(str(_LIBRARIES / "libiomp5.so"))


@cache
def _thread_count() -> int:
    given = os.environ.get("MKL_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else cpu_count()


def _use_threads() -> None:
    """Give oneDNN, called from this thread, as many OpenMP threads as MKL has: when it plans and when it computes.

    The environment variable OMP_NUM_THREADS says one, for the sake of Paddle's own loops: see `runtime`.
    """
    _openmp().omp_set_num_threads(_thread_count())


@cache
def _library() -> ctypes.CDLL:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise OSError("Paddle contains oneDNN on Linux and x86-64 only")
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
    """The object that the C function dnnl_`name` writes to its first argument. Objects live as long as the process."""
    made = c_void_p()
    _use_threads()
    _check(name, getattr(_library(), f"dnnl_{name}")(byref(made), *arguments))
    return made


@_once
def engine() -> c_void_p:
    """oneDNN's engine: the processor."""
    return make("engine_create", _CPU, c_size_t(0))


@_once
def _stream() -> c_void_p:
    return make("stream_create", engine(), _IN_ORDER)


def integers(values: Sequence[int]) -> ctypes.Array:
    """Shapes, strides or paddings in the form that oneDNN takes."""
    return (c_int64 * len(values))(*values)


def memory_descriptor(layout: Layout, dtype: str = "float32") -> c_void_p:
    """oneDNN's descriptor of a layout, for values of type "float32" or "bfloat16"."""
    shape, strides = layout
    return make("memory_desc_create_with_strides", len(shape), integers(shape), _TYPES[dtype], integers(strides))


def any_layout_descriptor(shape: Shape, dtype: str) -> c_void_p:
    """oneDNN's descriptor of a shape for which the primitive chooses the layout."""
    return make("memory_desc_create_with_tag", len(shape), integers(shape), _TYPES[dtype], _ANY_LAYOUT)


def required_descriptor(primitive_descriptor: c_void_p, argument: Argument) -> c_void_p:
    """The memory descriptor, type and layout, that a primitive requires of an argument."""
    return c_void_p(_library().dnnl_primitive_desc_query_md(primitive_descriptor, _QUERIES[argument], 0))


class Operand(NamedTuple):
    """A tensor that a primitive reads or writes.

    Attributes:
        argument: its role.
        layout: of the tensor.
        required: memory descriptor that the primitive requires; values are reordered if `layout` is another.
    """

    argument: Argument
    layout: Layout
    required: c_void_p


def as_it_is(argument: Argument, layout: Layout) -> Operand:
    """An operand that the primitive takes in its own layout."""
    return Operand(argument, layout, memory_descriptor(layout))


class _OperandMemory(NamedTuple):
    """The memory objects of an operand.

    Attributes:
        tensor: memory object for the values of the tensor.
        scratch: memory object in the layout that the primitive requires; None if the tensor has this layout.
        scratch_bytes: that the latter needs.
        reorder: copies between the two, in the direction that the operand needs.
    """

    tensor: c_void_p
    scratch: c_void_p | None = None
    scratch_bytes: int = 0
    reorder: Callable[[], None] | None = None


def _memory(descriptor: c_void_p) -> c_void_p:
    """A memory object without an address: each call sets it."""
    return make("memory_create", descriptor, engine(), None)


def _execution(primitive: c_void_p, memories: list[tuple[Argument, c_void_p]]) -> Callable[[], None]:
    array = (_ArgumentMemory * len(memories))(*(_ArgumentMemory(argument, memory) for argument, memory in memories))
    execute, stream, count = _library().dnnl_primitive_execute, _stream(), len(array)
    return lambda: _check("primitive_execute", execute(primitive, stream, count, array))


class _Described(NamedTuple):
    """A memory object with its descriptor."""

    descriptor: c_void_p
    memory: c_void_p


def _reorder(source: _Described, destination: _Described) -> Callable[[], None]:
    planned = make("reorder_primitive_desc_create", source.descriptor, engine(), destination.descriptor, engine(), None)
    memories = [(Argument.SOURCE, source.memory), (Argument.DESTINATION, destination.memory)]
    return _execution(make("primitive_create", planned), memories)


def _operand_memory(operand: Operand, is_result: bool) -> _OperandMemory:
    descriptor = memory_descriptor(operand.layout)
    tensor = _Described(descriptor, _memory(descriptor))
    if _library().dnnl_memory_desc_equal(descriptor, operand.required):
        return _OperandMemory(tensor.memory)
    scratch = _Described(operand.required, _memory(operand.required))
    size = math.ceil(_library().dnnl_memory_desc_get_size(operand.required) / _ALIGNMENT) * _ALIGNMENT
    reorder = _reorder(scratch, tensor) if is_result else _reorder(tensor, scratch)
    return _OperandMemory(tensor.memory, scratch.memory, size, reorder)


def primitive_function(primitive_descriptor: c_void_p, inputs: list[Operand], results: list[Operand]) -> Function:
    """A primitive as a function: it takes tensors of the layouts of `inputs` and returns those of `results`.

    The function writes its first results to the tensors in the keyword argument `into`, if there are any, and makes
    tensors for the others.
    """
    operands = [*inputs, *results]
    memories = [_operand_memory(operand, is_result=operand in results) for operand in operands]
    arguments = [
        (operand.argument, memory.scratch or memory.tensor) for operand, memory in zip(operands, memories, strict=True)
    ]
    execute = _execution(make("primitive_create", primitive_descriptor), arguments)
    return _function(execute, memories, [result.layout for result in results])


@cache
def reorder_function(source: Layout, destination: Layout, result: Layout) -> Function:
    """A function that copies the values at `source`, in its argument, to `destination`, in its result.

    Args:
        source, destination: layouts of one shape, relative to the addresses of argument and result. They may cover
            parts of these, or have more axes.
        result: layout of the tensor that the function makes unless it is given one by `into`.
    """
    source_descriptor, destination_descriptor = memory_descriptor(source), memory_descriptor(destination)
    copied = _Described(source_descriptor, _memory(source_descriptor))
    written = _Described(destination_descriptor, _memory(destination_descriptor))
    return _function(
        _reorder(copied, written), [_OperandMemory(copied.memory), _OperandMemory(written.memory)], [result]
    )


# One buffer, as large as the largest call so far needed. The lock makes it belong to one call at a time.
_scratch: list[Tensor] = []


def _scratch_address(size: int) -> int:
    if not _scratch or _scratch[0].shape[0] < size:
        _scratch[:] = [paddle.empty([size], "uint8")]
    return _scratch[0].data_ptr()


def _function(execute: Callable[[], None], memories: list[_OperandMemory], results: list[Layout]) -> Function:
    set_address, wait, stream = _library().dnnl_memory_set_data_handle, _library().dnnl_stream_wait, _stream()
    tensor_memories = [memory.tensor for memory in memories]
    scratches = [memory for memory in memories if memory.scratch]
    *offsets, scratch_bytes = accumulate((memory.scratch_bytes for memory in scratches), initial=0)
    scratch_offsets = [(memory.scratch, offset) for memory, offset in zip(scratches, offsets, strict=True)]
    inputs = len(memories) - len(results)
    reorders_before = [memory.reorder for memory in memories[:inputs] if memory.reorder]
    reorders_after = [memory.reorder for memory in memories[inputs:] if memory.reorder]

    def run(*tensors: Tensor, into: tuple[Tensor, ...] = ()) -> list[Tensor]:
        made = [*into, *(empty(layout) for layout in results[len(into) :])]
        with _lock:
            _use_threads()
            for memory, tensor in zip(tensor_memories, (*tensors, *made), strict=True):
                set_address(memory, tensor.data_ptr())
            if scratch_offsets:
                start = _scratch_address(scratch_bytes)
                for memory, offset in scratch_offsets:
                    set_address(memory, start + offset)
            for reorder in reorders_before:
                reorder()
            execute()
            for reorder in reorders_after:
                reorder()
            _check("stream_wait", wait(stream))
        return made

    return run
