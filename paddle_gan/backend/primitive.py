"""Primitives of oneDNN as functions of tensors, with the memory that they need. They may be called from any thread.

Not about which primitives there are: see `onednn` and `norm`.
"""

import ctypes
import math
import threading
from collections.abc import Callable
from ctypes import c_float, c_int, c_void_p, sizeof
from functools import cache
from itertools import accumulate
from typing import NamedTuple

import paddle
from paddle import Tensor

from paddle_gan.backend.dnnl import (
    Argument,
    attributes,
    check,
    engine,
    library,
    make,
    memory_descriptor,
    required_descriptor,
    stream,
    use_threads,
)
from paddle_gan.backend.layout import Layout, empty

_ALIGNMENT = 64  # bytes: a cache line, and a vector register

# The memory objects of a function are used by each of its calls, so only one call runs at a time.
_lock = threading.Lock()

# From the tensors of a primitive's inputs to those of its results, see `primitive_function`.
Function = Callable[..., list[Tensor]]


class _ArgumentMemory(ctypes.Structure):
    _fields_ = [("argument", c_int), ("memory", c_void_p)]


class Operand(NamedTuple):
    """A tensor that a primitive reads or writes.

    Attributes:
        argument: its role, see `Argument`.
        layout: of the tensor.
        required: memory descriptor that the primitive requires; values are reordered if `layout` is another.
        step: values from one part of the tensor to the next, where the primitive runs once for each part of a batch;
            0 if all parts have the tensor in common.
    """

    argument: int
    layout: Layout
    required: c_void_p
    step: int = 0


def as_it_is(argument: Argument, layout: Layout, step: int = 0) -> Operand:
    """An operand that the primitive takes in its own layout."""
    return Operand(argument, layout, memory_descriptor(layout), step)


class _Scratch(NamedTuple):
    """A memory object for intermediate values, and the number of bytes that it needs."""

    memory: c_void_p
    size: int


class _Execution(NamedTuple):
    """A primitive with its memory objects, ready to run, and its scratchpad: a list of one or none."""

    run: Callable[[], None]
    scratchpad: list[_Scratch]


class _OperandMemory(NamedTuple):
    """The memory objects of an operand.

    Attributes:
        tensor: memory object for the values of the tensor.
        required: memory object in the layout that the primitive requires; None if the tensor has this layout.
        reorder: copies between the two, in the direction that the operand needs.
    """

    tensor: c_void_p
    required: _Scratch | None = None
    reorder: _Execution | None = None


class _Address(NamedTuple):
    """A memory object whose address is that of a tensor, and the bytes from one part of the tensor to the next."""

    memory: c_void_p
    step: int = 0


class _Described(NamedTuple):
    """A memory object with its descriptor."""

    descriptor: c_void_p
    memory: c_void_p


def _memory(descriptor: c_void_p) -> c_void_p:
    """A memory object without an address: each call sets it."""
    return make("memory_create", descriptor, engine(), None)


def _size(descriptor: c_void_p) -> int:
    """Bytes, rounded up so that the memory behind it is aligned."""
    return math.ceil(library().dnnl_memory_desc_get_size(descriptor) / _ALIGNMENT) * _ALIGNMENT


def _execution(primitive_descriptor: c_void_p, memories: list[tuple[int, c_void_p]]) -> _Execution:
    descriptor = required_descriptor(primitive_descriptor, Argument.SCRATCHPAD)
    scratchpad = [_Scratch(_memory(descriptor), _size(descriptor))] if _size(descriptor) else []
    memories = [*memories, *((int(Argument.SCRATCHPAD), scratch.memory) for scratch in scratchpad)]
    array = (_ArgumentMemory * len(memories))(*(_ArgumentMemory(argument, memory) for argument, memory in memories))
    primitive = make("primitive_create", primitive_descriptor)
    execute, queue, count = library().dnnl_primitive_execute, stream(), len(array)
    return _Execution(lambda: check("primitive_execute", execute(primitive, queue, count, array)), scratchpad)


def _reorder(source: _Described, destination: _Described) -> _Execution:
    planned = make(
        "reorder_primitive_desc_create",
        source.descriptor,
        engine(),
        destination.descriptor,
        engine(),
        attributes(),
    )
    memories: list[tuple[int, c_void_p]] = [
        (Argument.SOURCE, source.memory),
        (Argument.DESTINATION, destination.memory),
    ]
    return _execution(planned, memories)


def _operand_memory(operand: Operand, is_result: bool) -> _OperandMemory:
    descriptor = memory_descriptor(operand.layout)
    tensor = _Described(descriptor, _memory(descriptor))
    if library().dnnl_memory_desc_equal(descriptor, operand.required):
        return _OperandMemory(tensor.memory)
    required = _Described(operand.required, _memory(operand.required))
    reorder = _reorder(required, tensor) if is_result else _reorder(tensor, required)
    return _OperandMemory(tensor.memory, _Scratch(required.memory, _size(operand.required)), reorder)


def primitive_function(
    primitive_descriptor: c_void_p, inputs: list[Operand], results: list[Operand], parts: int = 1
) -> Function:
    """A primitive as a function: it takes tensors of the layouts of `inputs` and returns those of `results`.

    The function writes its first results to the tensors in the keyword argument `into`, if there are any, and makes
    tensors for the others. With several parts, the layouts are those of one part, and the tensors, which must then all
    be given, have all parts.
    """
    read = [_operand_memory(operand, is_result=False) for operand in inputs]
    written = [_operand_memory(operand, is_result=True) for operand in results]
    memories = [*read, *written]
    arguments = [
        (operand.argument, memory.required.memory if memory.required else memory.tensor)
        for operand, memory in zip([*inputs, *results], memories, strict=True)
    ]
    executions = [
        *(memory.reorder for memory in read if memory.reorder),
        _execution(primitive_descriptor, arguments),
        *(memory.reorder for memory in written if memory.reorder),
    ]
    scratches = [memory.required for memory in memories if memory.required]
    tensors = [
        _Address(memory.tensor, operand.step * sizeof(c_float))
        for operand, memory in zip([*inputs, *results], memories, strict=True)
    ]
    return _function(executions, tensors, scratches, [made.layout for made in results], parts)


@cache
def reorder_function(source: Layout, destination: Layout, result: Layout) -> Function:
    """A function that copies the values at `source`, in its argument, to `destination`, in its result.

    Args:
        source, destination: layouts of one shape, relative to the addresses of argument and result. They may cover
            parts of these, or have more axes.
        result: layout of the tensor that the function makes unless it is given one by `into`.
    """
    source_descriptor, destination_descriptor = memory_descriptor(source), memory_descriptor(destination)
    read = _Described(source_descriptor, _memory(source_descriptor))
    written = _Described(destination_descriptor, _memory(destination_descriptor))
    return _function([_reorder(read, written)], [_Address(read.memory), _Address(written.memory)], [], [result])


# One buffer, as large as the largest call so far needed. The lock makes it belong to one call at a time.
_buffer: list[Tensor] = []


def _buffer_address(size: int) -> int:
    if not _buffer or _buffer[0].shape[0] < size:
        _buffer[:] = [paddle.empty([size], "uint8")]
    return _buffer[0].data_ptr()


def _function(
    executions: list[_Execution],
    addresses: list[_Address],
    scratches: list[_Scratch],
    results: list[Layout],
    parts: int = 1,
) -> Function:
    """The function that runs `executions` one after the other.

    Args:
        executions: primitives, ready to run.
        addresses: of the function's arguments and results.
        scratches: further memory objects, for values between the executions.
        results: layouts of the results.
        parts: how often all of it runs.
    """
    set_address, wait, queue = library().dnnl_memory_set_data_handle, library().dnnl_stream_wait, stream()
    runs = [execution.run for execution in executions]
    scratches = [*scratches, *(scratch for execution in executions for scratch in execution.scratchpad)]
    *offsets, size = accumulate((scratch.size for scratch in scratches), initial=0)
    scratch_offsets = [(scratch.memory, offset) for scratch, offset in zip(scratches, offsets, strict=True)]

    def run(*tensors: Tensor, into: tuple[Tensor, ...] = ()) -> list[Tensor]:
        made = [*into, *(empty(layout) for layout in results[len(into) :])]
        with _lock:
            use_threads()
            if scratch_offsets:
                start = _buffer_address(size)
                for memory, offset in scratch_offsets:
                    set_address(memory, start + offset)
            starts = [tensor.data_ptr() for tensor in (*tensors, *made)]
            for part in range(parts):
                for (memory, step), start in zip(addresses, starts, strict=True):
                    set_address(memory, start + part * step)
                for execute in runs:
                    execute()
            check("stream_wait", wait(queue))
        return made

    return run
