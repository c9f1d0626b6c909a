"""Batch normalisation by oneDNN, for float32 tensors on the CPU, without gradients of gradients: see `differentiable`.

For each channel y = scale · (x - mean) / √(variance + epsilon) + shift (Ioffe and Szegedy 2015, algorithm 1).
"""

from collections.abc import Sequence
from ctypes import c_float, c_void_p
from functools import cache, reduce
from operator import add
from typing import NamedTuple

from paddle import Tensor

from paddle_gan.backend.dnnl import Argument, attributes, engine, make, memory_descriptor
from paddle_gan.backend.layout import Layout, channels_last, contiguous, empty, layout_of
from paddle_gan.backend.primitive import Function, Operand, as_it_is, primitive_function

# Numbers of dnnl_types.h: dnnl_prop_kind_t and dnnl_normalization_flags_t.
_TRAINING, _INFERENCE, _BACKWARD = 64, 96, 128
_GLOBAL_STATISTICS, _SCALE_AND_SHIFT = 1, 2 | 4


class Statistics(NamedTuple):
    """Mean and biased variance of each channel over a batch: [C] each, without gradients."""

    mean: Tensor
    variance: Tensor


class Normalised(NamedTuple):
    """A batch after its normalisation, [N, C] or [N, C, H, W], and the statistics of each of its parts."""

    outputs: Tensor
    statistics: list[Statistics]


class NormGradients(NamedTuple):
    """Gradients of a batch normalisation: in the images, in scale [C] and in shift [C]."""

    images: Tensor
    scale: Tensor
    shift: Tensor


def normalise(x: Tensor, scale: Tensor, shift: Tensor, epsilon: float, parts: int) -> Normalised:
    """Batch normalisation of x [N, C, H, W]; each of `parts` equal parts of the batch is normalised by itself.

    Args:
        x: [N, C, H, W].
        scale, shift: [C].
        epsilon: added to the variance.
        parts: a divisor of N.
    """
    y, statistics = empty(channels_last(tuple(x.shape))), []
    for x_part, y_part in zip(_split(x, parts), _split(y, parts), strict=True):
        _, mean, variance = _norm(layout_of(x_part), epsilon)(x_part, scale, shift, into=(y_part,))
        statistics.append(Statistics(mean, variance))
    return Normalised(y, statistics)


def normalise_as(x: Tensor, known: Statistics, scale: Tensor, shift: Tensor, epsilon: float) -> Tensor:
    """The normalisation of x [N, C, H, W] with known statistics instead of its own."""
    return _fixed_norm(layout_of(x), epsilon)(x, known.mean, known.variance, scale, shift)[0]


def norm_gradients(
    output_gradients: Tensor, x: Tensor, statistics: Sequence[Statistics], scale: Tensor, epsilon: float
) -> NormGradients:
    """The gradients of `normalise`.

    Args:
        output_gradients: [N, C, H, W].
        x, scale, epsilon: as given to `normalise`.
        statistics: that it returned.
    """
    gradients, parts = empty(layout_of(x)), len(statistics)
    pieces = zip(_split(output_gradients, parts), _split(x, parts), _split(gradients, parts), statistics, strict=True)
    in_scale, in_shift = [], []
    for outputs_part, x_part, gradients_part, known in pieces:
        function = _norm_gradients(layout_of(outputs_part), layout_of(x_part), epsilon)
        made = function(outputs_part, x_part, known.mean, known.variance, scale, into=(gradients_part,))
        _, scale_part, shift_part = made
        in_scale.append(scale_part)
        in_shift.append(shift_part)
    return NormGradients(gradients, reduce(add, in_scale), reduce(add, in_shift))


def _split(x: Tensor, parts: int) -> list[Tensor]:
    """Equal parts of a batch, as views."""
    size = x.shape[0] // parts
    return [x] if parts == 1 else [x[i * size : (i + 1) * size] for i in range(parts)]


@cache
def _norm(x: Layout, epsilon: float) -> Function:
    images, parameters = channels_last(x.shape), contiguous(x.shape[1:2])
    inputs = [
        Operand(Argument.SOURCE, x, memory_descriptor(images)),
        as_it_is(Argument.SCALE, parameters),
        as_it_is(Argument.SHIFT, parameters),
    ]
    results = [
        as_it_is(Argument.DESTINATION, images),
        as_it_is(Argument.MEAN, parameters),
        as_it_is(Argument.VARIANCE, parameters),
    ]
    return primitive_function(_forward(images, epsilon), inputs, results)


@cache
def _fixed_norm(x: Layout, epsilon: float) -> Function:
    images, parameters = channels_last(x.shape), contiguous(x.shape[1:2])
    inputs = [
        Operand(Argument.SOURCE, x, memory_descriptor(images)),
        as_it_is(Argument.MEAN, parameters),
        as_it_is(Argument.VARIANCE, parameters),
        as_it_is(Argument.SCALE, parameters),
        as_it_is(Argument.SHIFT, parameters),
    ]
    planned = _forward(images, epsilon, kind=_INFERENCE, flags=_GLOBAL_STATISTICS | _SCALE_AND_SHIFT)
    return primitive_function(planned, inputs, [as_it_is(Argument.DESTINATION, images)])


@cache
def _norm_gradients(output_gradients: Layout, x: Layout, epsilon: float) -> Function:
    images, parameters = channels_last(x.shape), contiguous(x.shape[1:2])
    descriptor = memory_descriptor(images)
    planned = make(
        "batch_normalization_backward_primitive_desc_create",
        engine(),
        _BACKWARD,
        descriptor,
        descriptor,
        descriptor,
        c_float(epsilon),
        _SCALE_AND_SHIFT,
        _forward(images, epsilon),
        attributes(),
    )
    inputs = [
        Operand(Argument.DIFF_DESTINATION, output_gradients, descriptor),
        Operand(Argument.SOURCE, x, descriptor),
        as_it_is(Argument.MEAN, parameters),
        as_it_is(Argument.VARIANCE, parameters),
        as_it_is(Argument.SCALE, parameters),
    ]
    results = [
        Operand(Argument.DIFF_SOURCE, x, descriptor),
        as_it_is(Argument.DIFF_SCALE, parameters),
        as_it_is(Argument.DIFF_SHIFT, parameters),
    ]
    return primitive_function(planned, inputs, results)


def _forward(images: Layout, epsilon: float, kind: int = _TRAINING, flags: int = _SCALE_AND_SHIFT) -> c_void_p:
    descriptor = memory_descriptor(images)
    return make(
        "batch_normalization_forward_primitive_desc_create",
        engine(),
        kind,
        descriptor,
        descriptor,
        c_float(epsilon),
        flags,
        attributes(),
    )
