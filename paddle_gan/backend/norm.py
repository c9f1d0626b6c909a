"""Batch normalisation by oneDNN, for float32 tensors on the CPU, without gradients of gradients: see `differentiable`.

For each channel y = scale · (x - mean) / √(variance + epsilon) + shift (Ioffe and Szegedy 2015, algorithm 1).
"""

from ctypes import c_float, c_void_p
from functools import cache
from typing import NamedTuple

from paddle import Tensor

from paddle_gan.backend.dnnl import Argument, attributes, engine, make, memory_descriptor
from paddle_gan.backend.layout import Layout, channels_last, contiguous, empty, layout_of
from paddle_gan.backend.primitive import Function, Operand, as_it_is, primitive_function

# Numbers of dnnl_types.h: dnnl_prop_kind_t and dnnl_normalization_flags_t.
_TRAINING, _INFERENCE, _BACKWARD = 64, 96, 128
_GLOBAL_STATISTICS, _SCALE_AND_SHIFT = 1, 2 | 4


class Statistics(NamedTuple):
    """Mean and biased variance of each channel over a batch, [C], or over each of its parts, [parts, C].

    They have no gradients.
    """

    mean: Tensor
    variance: Tensor


class Normalised(NamedTuple):
    """A batch after its normalisation, [N, C] or [N, C, H, W], and the statistics of each of its parts."""

    outputs: Tensor
    statistics: Statistics


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
    y = empty(channels_last(tuple(x.shape)))
    mean, variance = (empty(contiguous((parts, x.shape[1]))) for _ in range(2))
    _norm(layout_of(x), epsilon, parts)(x, scale, shift, into=(y, mean, variance))
    return Normalised(y, Statistics(mean, variance))


def normalise_as(x: Tensor, known: Statistics, scale: Tensor, shift: Tensor, epsilon: float) -> Tensor:
    """The normalisation of x [N, C, H, W] with known statistics instead of its own."""
    return _fixed_norm(layout_of(x), epsilon)(x, known.mean, known.variance, scale, shift)[0]


def norm_gradients(
    output_gradients: Tensor, x: Tensor, statistics: Statistics, scale: Tensor, epsilon: float
) -> NormGradients:
    """The gradients of `normalise`.

    Args:
        output_gradients: [N, C, H, W].
        x, scale, epsilon: as given to `normalise`.
        statistics: that it returned.
    """
    x_layout, (parts, channels) = layout_of(x), statistics.mean.shape
    in_images, in_scale, in_shift = empty(x_layout), *(empty(contiguous((parts, channels))) for _ in range(2))
    function = _norm_gradients(layout_of(output_gradients), x_layout, epsilon, parts)
    function(output_gradients, x, *statistics, scale, into=(in_images, in_scale, in_shift))
    return NormGradients(in_images, in_scale.sum(0), in_shift.sum(0))


def _part(layout: Layout, parts: int) -> tuple[Layout, int]:
    """The layout of each of the equal parts of a batch, and the values from one part to the next."""
    size = layout.shape[0] // parts
    return Layout((size, *layout.shape[1:]), layout.strides), size * layout.strides[0]


@cache
def _norm(whole: Layout, epsilon: float, parts: int) -> Function:
    (x, x_step), (images, step) = _part(whole, parts), _part(channels_last(whole.shape), parts)
    parameters = contiguous(x.shape[1:2])
    inputs = [
        Operand(Argument.SOURCE, x, memory_descriptor(images), x_step),
        as_it_is(Argument.SCALE, parameters),
        as_it_is(Argument.SHIFT, parameters),
    ]
    results = [
        as_it_is(Argument.DESTINATION, images, step),
        as_it_is(Argument.MEAN, parameters, x.shape[1]),
        as_it_is(Argument.VARIANCE, parameters, x.shape[1]),
    ]
    return primitive_function(_forward(images, epsilon), inputs, results, parts)


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
def _norm_gradients(output_gradients: Layout, x: Layout, epsilon: float, parts: int) -> Function:
    images, _ = _part(channels_last(x.shape), parts)
    (outputs_part, outputs_step), (x_part, x_step) = _part(output_gradients, parts), _part(x, parts)
    descriptor, parameters, channels = memory_descriptor(images), contiguous(x.shape[1:2]), x.shape[1]
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
        Operand(Argument.DIFF_DESTINATION, outputs_part, descriptor, outputs_step),
        Operand(Argument.SOURCE, x_part, descriptor, x_step),
        as_it_is(Argument.MEAN, parameters, channels),
        as_it_is(Argument.VARIANCE, parameters, channels),
        as_it_is(Argument.SCALE, parameters),
    ]
    results = [
        Operand(Argument.DIFF_SOURCE, x_part, descriptor, x_step),
        as_it_is(Argument.DIFF_SCALE, parameters, channels),
        as_it_is(Argument.DIFF_SHIFT, parameters, channels),
    ]
    return primitive_function(planned, inputs, results, parts)


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
