"""The oneDNN library inside Paddle, through its C interface: the library, its objects, memory descriptors.

Paddle has already loaded the library into the process (oneDNN 3, `libdnnl.so.3`). So nothing is compiled: this module
calls a few C functions with numbers from `dnnl_types.h`, which stay the same within a major version. Not about running
primitives: see `primitive`.
"""

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Callable, Sequence
from ctypes import byref, c_int, c_int64, c_size_t, c_void_p
from enum import IntEnum
from functools import cache, wraps
from pathlib import Path
from typing import TypeVar

import paddle

from paddle_gan.backend.layout import Layout, Shape
from paddle_gan.system.runtime import cpu_count

_LIBRARIES = Path(paddle.__path__[0]) / "libs"
# Numbers of dnnl_types.h: dnnl_cpu, dnnl_stream_in_order, dnnl_format_tag_any, dnnl_scratchpad_mode_user and, below,
# dnnl_data_type_t.
_CPU, _IN_ORDER, _ANY_LAYOUT, _USER_SCRATCHPAD = 1, 1, 1, 1
_TYPES = {"bfloat16": 2, "float32": 3}
# dnnl_cpu_isa_t.
_INSTRUCTION_SETS = {
    0x1: "SSE4.1",
    0x3: "AVX",
    0x7: "AVX2",
    0xF: "AVX2 VNNI",
    0x1F: "AVX2 VNNI 2",
    0x27: "AVX-512",
    0x67: "AVX-512 VNNI",
    0xE7: "AVX-512 BF16",
    0x1EF: "AVX-512 FP16",
    0xFEF: "AMX",
    0x1FEF: "AMX FP16",
}

Result = TypeVar("Result")


class Argument(IntEnum):
    """The role of a tensor in a primitive, under oneDNN's names (DNNL_ARG_*)."""

    SOURCE = 1
    SOURCE_1 = 2
    DESTINATION = 17
    WEIGHTS = 33
    BIAS = 41
    MEAN = 49
    VARIANCE = 50
    SCALE = 51
    SHIFT = 52
    SCRATCHPAD = 80
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
    Argument.SCRATCHPAD: 136,
}


def is_platform() -> bool:
    """Whether Paddle contains the library on systems and processors of this kind."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


@cache
def available() -> bool:
    """Whether this build of Paddle contains the library: version 3, on Linux and x86-64."""
    try:
        library()
    except OSError:
        return False
    return True


def version() -> str:
    """The version of the library, such as "3.6.2"."""
    numbers = library().dnnl_version().contents
    return f"{numbers.major}.{numbers.minor}.{numbers.patch}"


def instruction_set() -> str:
    """The newest instructions of this processor that the library may use, such as "AVX2"."""
    number = library().dnnl_get_effective_cpu_isa()
    return _INSTRUCTION_SETS.get(number, f"unknown ({number:#x})")


@cache
def has_avx512() -> bool:
    """Whether the library may use AVX-512."""
    return bool(library().dnnl_get_effective_cpu_isa() & 0x20)


class _Version(ctypes.Structure):
    _fields_ = [("major", c_int), ("minor", c_int), ("patch", c_int)]


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


def use_threads() -> None:
    """Give oneDNN, called from this thread, as many OpenMP threads as MKL has: when it plans and when it computes.

    The environment variable OMP_NUM_THREADS says one, for the sake of Paddle's own loops: see `runtime`.
    """
    _openmp().omp_set_num_threads(_thread_count())


@cache
def library() -> ctypes.CDLL:
    """The library; raises OSError where there is none."""
    if not is_platform():
        raise OSError("Paddle contains oneDNN on Linux and x86-64 only")
    loaded = ctypes.CDLL(str(_LIBRARIES / "libdnnl.so.3"))
    _openmp()
    loaded.dnnl_version.restype = ctypes.POINTER(_Version)
    loaded.dnnl_primitive_desc_query_md.restype = c_void_p
    loaded.dnnl_memory_desc_get_size.restype = c_size_t
    loaded.dnnl_memory_set_data_handle.argtypes = [c_void_p, c_void_p]
    loaded.dnnl_primitive_execute.argtypes = [c_void_p, c_void_p, c_int, c_void_p]
    if loaded.dnnl_version().contents.major != 3:
        raise OSError("this is not version 3 of oneDNN")
    return loaded


def check(name: str, status: int) -> None:
    """Raise RuntimeError if a C function of this name returned an error."""
    if status:
        raise RuntimeError(f"oneDNN: {name} failed with status {status}")


def make(name: str, *arguments) -> c_void_p:
    """The object that the C function dnnl_`name` writes to its first argument. Objects live as long as the process."""
    made = c_void_p()
    use_threads()
    check(name, getattr(library(), f"dnnl_{name}")(byref(made), *arguments))
    return made


@_once
def engine() -> c_void_p:
    """oneDNN's engine: the processor."""
    return make("engine_create", _CPU, c_size_t(0))


@_once
def stream() -> c_void_p:
    """oneDNN's stream, which runs one primitive after the other."""
    return make("stream_create", engine(), _IN_ORDER)


def attributes(post_ops: c_void_p | None = None) -> c_void_p:
    """The attributes of each primitive: its scratchpad is memory that `primitive` gives to it.

    oneDNN's own scratchpad belongs to the thread that plans a primitive; executing it in another thread crashes.

    Args:
        post_ops: oneDNN's object of what is done to each result before it is written; None for nothing.
    """
    made = make("primitive_attr_create")
    if post_ops is not None:
        check("primitive_attr_set_post_ops", library().dnnl_primitive_attr_set_post_ops(made, post_ops))
    check(
        "primitive_attr_set_scratchpad_mode", library().dnnl_primitive_attr_set_scratchpad_mode(made, _USER_SCRATCHPAD)
    )
    return made


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
    return c_void_p(library().dnnl_primitive_desc_query_md(primitive_descriptor, _QUERIES[argument], 0))
