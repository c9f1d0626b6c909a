"""Convolutions and rectifiers by the oneDNN library that Paddle brings along, called through its C interface.

Paddle's own kernels reach a third of a CPU's rate, oneDNN's most of it, and the library is in the process
already (oneDNN 3, `libdnnl.so.3`). So there is nothing to compile: a few C functions and numbers of
`dnnl_types.h`, which stay the same throughout a major version.

A convolution is bilinear in images x [N, C, H, W] and filters w [K, C, R, S], with outputs y [N, K, P, Q];
here are it and its two adjoints, on float32 tensors that lie on the CPU. Not about gradients:
`kernels` is.
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

from paddle_gan.runtime import cpu_count

_LIBRARIES = Path(paddle.__file__).parent / "libs"
# Numbers of dnnl_types.h.
_CPU, _IN_ORDER, _DIRECT, _TRAINING, _RELU = 1, 1, 1, 64, 32
_ANY_LAYOUT = 1
_TYPES = {"bfloat16": 2, "float32": 3}
_QUERY = {"x": 129, "dx": 130, "w": 131, "dw": 132, "y": 133, "dy": 134}
_ARGUMENT = {"x": 1, "y": 17, "w": 33, "b": 41, "dx": 129, "dy": 145, "dw": 161}

_ALIGNMENT = 64  # bytes; a cache line, and a vector register

# The memory objects of an operation are its own, so one call at a time.
_lock = threading.Lock()


class Geometry(NamedTuple):
    """Of a convolution.

    Attributes:
        images: [N, C, H, W].
        filters: [K, C, R, S].
        stride: along both axes.
        padding: rows and columns of zeros at the top, left, bottom and right.
    """

    images: tuple[int, int, int, int]
    filters: tuple[int, int, int, int]
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def outputs(self) -> tuple[int, int, int, int]:
        """[N, K, P, Q]."""
        top, left, bottom, right = self.padding
        height = (self.images[2] + top + bottom - self.filters[2]) // self.stride + 1
        width = (self.images[3] + left + right - self.filters[3]) // self.stride + 1
        return self.images[0], self.filters[0], height, width


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


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, geometry: Geometry, precision: str) -> Tensor:
    """Cross-correlation of x with w, plus bias [K] if there is one: y.

    Args:
        precision: to which the factors are rounded, "float32" or "bfloat16"; sums and results are float32.
    """
    if bias is None:
        return _convolution("forward", geometry, precision, False)(x, w)
    return _convolution("forward", geometry, precision, True)(x, w, bias)


def image_gradient(dy: Tensor, w: Tensor, geometry: Geometry, precision: str) -> Tensor:
    """The adjoint in the images: what dy [N, K, P, Q] is worth at each pixel, [N, C, H, W]. A transposed convolution."""
    return _convolution("backward_data", geometry, precision, False)(dy, w)


def filter_gradient(x: Tensor, dy: Tensor, geometry: Geometry, precision: str) -> Tensor:
    """The adjoint in the filters: the correlation of x with dy [N, K, P, Q], [K, C, R, S]."""
    return _convolution("backward_weights", geometry, precision, False)(x, dy)


def rectify(dy: Tensor, x: Tensor, slope: float) -> Tensor:
    """dy where x > 0 and slope · dy elsewhere, of one shape: the gradient of a leaky ReLU of x."""
    return _rectifier(x.size, slope)(dy, x).reshape(x.shape)


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
    if library.dnnl_version().contents.major != 3:
        raise OSError("this is not version 3 of oneDNN")
    return library


def _call(name: str, *arguments) -> None:
    if status := getattr(_library(), f"dnnl_{name}")(*arguments):
        raise RuntimeError(f"oneDNN: {name} failed with status {status}")


def _make(name: str, *arguments) -> c_void_p:
    """The object that dnnl_`name` writes to its first argument. Objects live as long as the process."""
    made = c_void_p()
    _call(name, byref(made), *arguments)
    return made


@cache
def _engine() -> c_void_p:
    return _make("engine_create", _CPU, c_size_t(0))


@cache
def _stream() -> c_void_p:
    return _make("stream_create", _engine(), _IN_ORDER)


def _integers(values) -> ctypes.Array:
    return (c_int64 * len(values))(*values)


def _plain(shape: tuple[int, ...]) -> c_void_p:
    """Layout of a Paddle tensor of float32."""
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    return _make("memory_desc_create_with_strides", len(shape), _integers(shape), _TYPES["float32"], _integers(strides))


def _memory(layout: c_void_p) -> c_void_p:
    """A memory object that is told later where its values are."""
    return _make("memory_create", layout, _engine(), None)


def _execute(primitive: c_void_p, arguments: list[tuple[str, c_void_p]]) -> Callable[[], None]:
    array = (_Argument * len(arguments))(*(_Argument(_ARGUMENT[role], memory) for role, memory in arguments))
    return lambda: _call("primitive_execute", primitive, _stream(), len(array), array)


class _Operand(NamedTuple):
    """One tensor of an operation: its values as Paddle has them and, where oneDNN wants another layout, as it wants them."""

    shape: tuple[int, ...]
    plain: c_void_p
    own: c_void_p | None
    own_bytes: int
    reorder: Callable[[], None] | None


def _operand(shape: tuple[int, ...], layout: c_void_p, is_result: bool = False) -> _Operand:
    plain_layout = _plain(shape)
    plain = _memory(plain_layout)
    if _library().dnnl_memory_desc_equal(plain_layout, layout):
        return _Operand(shape, plain, None, 0, None)
    own = _memory(layout)
    ends = [(layout, own), (plain_layout, plain)] if is_result else [(plain_layout, plain), (layout, own)]
    (source, source_memory), (target, target_memory) = ends
    description = _make("reorder_primitive_desc_create", source, _engine(), target, _engine(), None)
    reorder = _execute(_make("primitive_create", description), [("x", source_memory), ("y", target_memory)])
    size = _library().dnnl_memory_desc_get_size(layout)
    return _Operand(shape, plain, own, math.ceil(size / _ALIGNMENT) * _ALIGNMENT, reorder)


@cache
def _convolution(kind: str, geometry: Geometry, precision: str, biased: bool) -> Callable[..., Tensor]:
    """One kind of convolution of one geometry, as a function of its tensors."""
    _use_threads()
    shapes = {"x": geometry.images, "w": geometry.filters, "y": geometry.outputs}
    x, w, y = (
        _make("memory_desc_create_with_tag", len(shape), _integers(shape), _TYPES[precision], _ANY_LAYOUT)
        for shape in shapes.values()
    )
    top, left, bottom, right = geometry.padding
    steps = [_integers(pair) for pair in ([geometry.stride] * 2, (0, 0), (top, left), (bottom, right))]
    bias = _plain(geometry.filters[:1]) if biased else None
    forward = _make(
        "convolution_forward_primitive_desc_create", _engine(), _TRAINING, _DIRECT, x, w, bias, y, *steps, None
    )
    if kind == "forward":
        description, roles = forward, ["x", "w", "y"]
    else:
        layouts, roles = {
            "backward_data": ((x, w, y), ["dy", "w", "dx"]),
            "backward_weights": ((x, w, None, y), ["x", "dy", "dw"]),
        }[kind]
        description = _make(
            f"convolution_{kind}_primitive_desc_create", _engine(), _DIRECT, *layouts, *steps, forward, None
        )
    operands = {
        role: _operand(
            shapes[role[-1]],
            c_void_p(_library().dnnl_primitive_desc_query_md(description, _QUERY[role], 0)),
            is_result=role == roles[-1],
        )
        for role in roles
    }
    if biased:
        operands = {
            "x": operands["x"],
            "w": operands["w"],
            "b": _operand(geometry.filters[:1], bias),
            "y": operands["y"],
        }
    return _function(description, operands)


@cache
def _rectifier(size: int, slope: float) -> Callable[..., Tensor]:
    _use_threads()
    layout = _plain((size,))
    numbers = ctypes.c_float(slope), ctypes.c_float(0.0)
    forward = _make(
        "eltwise_forward_primitive_desc_create", _engine(), _TRAINING, _RELU, layout, layout, *numbers, None
    )
    description = _make(
        "eltwise_backward_primitive_desc_create", _engine(), _RELU, layout, layout, layout, *numbers, forward, None
    )
    return _function(description, {role: _operand((size,), layout) for role in ("dy", "x", "dx")})


def _function(description: c_void_p, operands: dict[str, _Operand]) -> Callable[..., Tensor]:
    """The function of tensors that a primitive computes. The last of its operands is the result."""
    *inputs, result = operands.values()
    execute = _execute(
        _make("primitive_create", description),
        [(role, operand.own or operand.plain) for role, operand in operands.items()],
    )

    own = [operand for operand in operands.values() if operand.own]
    offsets = list(accumulate((operand.own_bytes for operand in own), initial=0))

    def run(*tensors: Tensor) -> Tensor:
        made = paddle.empty(result.shape)
        scratch = paddle.empty([offsets[-1]], "uint8")
        tensors = [tensor if tensor.is_contiguous() else tensor.contiguous() for tensor in tensors]
        with _lock:
            _use_threads()
            for operand, tensor in zip((*inputs, result), (*tensors, made)):
                _call("memory_set_data_handle", operand.plain, c_void_p(tensor.data_ptr()))
            for operand, offset in zip(own, offsets):
                _call("memory_set_data_handle", operand.own, c_void_p(scratch.data_ptr() + offset))
            for operand in inputs:
                if operand.reorder:
                    operand.reorder()
            execute()
            if result.reorder:
                result.reorder()
            _call("stream_wait", _stream())
        return made

    return run
