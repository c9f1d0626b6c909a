"""Convolution, leaky ReLU, pixel shuffle and flattening by oneDNN, for float32 tensors on the CPU, without gradients.

Paddle's own kernels reach a third of a CPU's speed, and except for matrix products they run on one thread. The feature
maps that are made here are channels-last if they have more than a few channels, so nothing need be reordered between
two of these operations. A gradient has the layout of the tensor that it is the gradient in. Batch normalisation is in
`norm`; `contraction` and `differentiable` add the gradients.
"""

from ctypes import c_float, c_int, c_void_p
from functools import cache
from typing import NamedTuple

from paddle import Tensor

from paddle_gan.backend.dnnl import (
    Argument,
    any_layout_descriptor,
    attributes,
    check,
    engine,
    integers,
    library,
    make,
    memory_descriptor,
    required_descriptor,
)
from paddle_gan.backend.layout import Layout, channels_last, contiguous, layout_of
from paddle_gan.backend.primitive import Function, Operand, as_it_is, primitive_function, reorder_function

# oneDNN computes in blocks of so many channels. With a remainder, oneDNN chooses the layout: given channels-last
# layouts, its gradient in the filters would write outside its own memory (oneDNN 3.6.2).
_BLOCK = 16
# Numbers of dnnl_types.h: dnnl_convolution_direct, dnnl_eltwise_relu, dnnl_forward_training.
_DIRECT, _RELU, _TRAINING = 1, 32, 64


class Geometry(NamedTuple):
    """Shapes, stride and padding of a convolution.

    Attributes:
        images: [N, C, H, W].
        filters: [K, C, R, S].
        stride: along both axes.
        padding: rows and columns of zeros at the top, left, bottom and right of the images.
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

    @property
    def adjoint(self) -> "Geometry":
        """Geometry of the convolution from outputs to images, with mirrored filters; for stride 1.

        It is the adjoint of this convolution in the images.
        """
        k, c, rows, columns = self.filters
        top, left, bottom, right = self.padding
        complement = (rows - 1 - top, columns - 1 - left, rows - 1 - bottom, columns - 1 - right)
        return Geometry(self.outputs, (c, k, rows, columns), 1, complement)


def convolve(
    images: Tensor,
    filters: Tensor,
    bias: Tensor | None,
    geometry: Geometry,
    factors: str,
    slope: float | None = None,
) -> Tensor:
    """Cross-correlation.

    Args:
        images: [N, C, H, W].
        filters: [K, C, R, S].
        bias: [K], added to each output, or None.
        geometry: of the convolution.
        factors: type to which images and filters are rounded before they are multiplied, "float32" or "bfloat16".
            Sums and results are float32.
        slope: of a leaky ReLU of each output, or None.

    Returns:
        [N, K, P, Q].
    """
    given = (images, filters) if bias is None else (images, filters, bias)
    return _forward(geometry, factors, slope, *map(layout_of, given))(*given)[0]


def image_gradient(output_gradients: Tensor, filters: Tensor, geometry: Geometry, factors: str) -> Tensor:
    """The adjoint of `convolve` in the images, which is a transposed convolution.

    Args:
        output_gradients: [N, K, P, Q].
        filters: [K, C, R, S].
        geometry, factors: as for `convolve`.

    Returns:
        [N, C, H, W].
    """
    function = _backward_data(geometry, factors, layout_of(output_gradients), layout_of(filters))
    return function(output_gradients, filters)[0]


def filter_gradient(images: Tensor, output_gradients: Tensor, geometry: Geometry, factors: str) -> Tensor:
    """The adjoint of `convolve` in the filters, which correlates images and gradients.

    Args:
        images: [N, C, H, W].
        output_gradients: [N, K, P, Q].
        geometry, factors: as for `convolve`.

    Returns:
        [K, C, R, S].
    """
    function = _backward_weights(geometry, factors, layout_of(images), layout_of(output_gradients))
    return function(images, output_gradients)[0]


def leaky_relu(x: Tensor, slope: float, into: tuple[Tensor, ...] = ()) -> Tensor:
    """x where it is positive, slope · x elsewhere.

    Args:
        x: of any shape.
        slope: at negative values.
        into: a tensor of the layout of x that the result is written to, which may be x itself; or nothing.
    """
    return _leaky_relu(layout_of(x), slope)(x, into=into)[0]


def leaky_relu_gradient(gradient: Tensor, x: Tensor, slope: float) -> Tensor:
    """The gradient of a leaky ReLU in x: `gradient` where x > 0, slope · gradient elsewhere; both of one shape."""
    return _leaky_relu_gradient(layout_of(gradient), layout_of(x), slope)(gradient, x)[0]


def pixel_shuffle(x: Tensor, factor: int) -> Tensor:
    """[N, factor² C, H, W] to [N, C, factor H, factor W]: channels become squares of pixels (Shi et al. 2016)."""
    return _shuffle(layout_of(x), factor)(x)[0]


def pixel_unshuffle(y: Tensor, factor: int) -> Tensor:
    """The inverse of `pixel_shuffle`."""
    return _unshuffle(layout_of(y), factor)(y)[0]


def flatten(x: Tensor) -> Tensor:
    """[N, C, H, W] to [N, C · H · W]."""
    row = contiguous(tuple(x.shape))
    return reorder_function(layout_of(x), row, row)(x)[0].reshape([x.shape[0], -1])


class _Convolution(NamedTuple):
    """Memory descriptors and parameters of a convolution, as oneDNN takes them, and its forward primitive."""

    source: c_void_p
    weights: c_void_p
    destination: c_void_p
    strides: object
    dilations: object
    padding_before: object
    padding_after: object
    forward: c_void_p


def _convolution(
    geometry: Geometry, factors: str, bias: c_void_p | None = None, post_ops: c_void_p | None = None
) -> _Convolution:
    source = any_layout_descriptor(geometry.images, factors)
    weights = any_layout_descriptor(geometry.filters, factors)
    destination = any_layout_descriptor(geometry.outputs, factors)
    if all(channels % _BLOCK == 0 for channels in geometry.filters[:2]):
        source = memory_descriptor(channels_last(geometry.images), factors)
        destination = memory_descriptor(channels_last(geometry.outputs), factors)
    top, left, bottom, right = geometry.padding
    strides, dilations = integers([geometry.stride] * 2), integers((0, 0))
    before, after = integers((top, left)), integers((bottom, right))
    forward = make(
        "convolution_forward_primitive_desc_create",
        engine(),
        _TRAINING,
        _DIRECT,
        source,
        weights,
        bias,
        destination,
        strides,
        dilations,
        before,
        after,
        attributes(post_ops),
    )
    return _Convolution(source, weights, destination, strides, dilations, before, after, forward)


def _required(planned: c_void_p, argument: Argument, layout: Layout) -> Operand:
    return Operand(argument, layout, required_descriptor(planned, argument))


@cache
def _forward(
    geometry: Geometry,
    factors: str,
    slope: float | None,
    images: Layout,
    filters: Layout,
    bias: Layout | None = None,
) -> Function:
    bias_operands = [] if bias is None else [as_it_is(Argument.BIAS, bias)]
    bias_descriptor = bias_operands[0].required if bias_operands else None
    post_ops = None if slope is None else _leaky_relu_of_results(slope)
    planned = _convolution(geometry, factors, bias_descriptor, post_ops).forward
    inputs = [_required(planned, Argument.SOURCE, images), _required(planned, Argument.WEIGHTS, filters)]
    result = _required(planned, Argument.DESTINATION, channels_last(geometry.outputs))
    return primitive_function(planned, [*inputs, *bias_operands], [result])


@cache
def _backward_data(geometry: Geometry, factors: str, output_gradients: Layout, filters: Layout) -> Function:
    convolution = _convolution(geometry, factors)
    planned = make(
        "convolution_backward_data_primitive_desc_create",
        engine(),
        _DIRECT,
        convolution.source,
        convolution.weights,
        convolution.destination,
        convolution.strides,
        convolution.dilations,
        convolution.padding_before,
        convolution.padding_after,
        convolution.forward,
        attributes(),
    )
    inputs = [
        _required(planned, Argument.DIFF_DESTINATION, output_gradients),
        _required(planned, Argument.WEIGHTS, filters),
    ]
    result = _required(planned, Argument.DIFF_SOURCE, channels_last(geometry.images))
    return primitive_function(planned, inputs, [result])


@cache
def _backward_weights(geometry: Geometry, factors: str, images: Layout, output_gradients: Layout) -> Function:
    convolution, no_bias = _convolution(geometry, factors), None
    planned = make(
        "convolution_backward_weights_primitive_desc_create",
        engine(),
        _DIRECT,
        convolution.source,
        convolution.weights,
        no_bias,
        convolution.destination,
        convolution.strides,
        convolution.dilations,
        convolution.padding_before,
        convolution.padding_after,
        convolution.forward,
        attributes(),
    )
    inputs = [
        _required(planned, Argument.SOURCE, images),
        _required(planned, Argument.DIFF_DESTINATION, output_gradients),
    ]
    result = _required(planned, Argument.DIFF_WEIGHTS, contiguous(geometry.filters))
    return primitive_function(planned, inputs, [result])


@cache
def _leaky_relu(layout: Layout, slope: float) -> Function:
    planned = _leaky_relu_forward(memory_descriptor(layout), slope)
    return primitive_function(planned, [as_it_is(Argument.SOURCE, layout)], [as_it_is(Argument.DESTINATION, layout)])


@cache
def _leaky_relu_gradient(gradient: Layout, x: Layout, slope: float) -> Function:
    descriptor = memory_descriptor(x)
    forward = _leaky_relu_forward(descriptor, slope)
    planned = make(
        "eltwise_backward_primitive_desc_create",
        engine(),
        _RELU,
        descriptor,
        descriptor,
        descriptor,
        c_float(slope),
        c_float(0.0),
        forward,
        attributes(),
    )
    inputs = [Operand(Argument.DIFF_DESTINATION, gradient, descriptor), Operand(Argument.SOURCE, x, descriptor)]
    return primitive_function(planned, inputs, [Operand(Argument.DIFF_SOURCE, x, descriptor)])


def _leaky_relu_of_results(slope: float) -> c_void_p:
    """What a primitive does to each result before it is written, see `attributes`."""
    made = make("post_ops_create")
    status = library().dnnl_post_ops_append_eltwise(made, c_int(_RELU), c_float(slope), c_float(0.0))
    check("post_ops_append", status)
    return made


def _leaky_relu_forward(descriptor: c_void_p, slope: float) -> c_void_p:
    return make(
        "eltwise_forward_primitive_desc_create",
        engine(),
        _TRAINING,
        _RELU,
        descriptor,
        descriptor,
        c_float(slope),
        c_float(0.0),
        attributes(),
    )


@cache
def _shuffle(x: Layout, factor: int) -> Function:
    n, c, h, w = x.shape
    y = channels_last((n, c // factor**2, h * factor, w * factor))
    return reorder_function(_before_shuffle(x, factor), _after_shuffle(y, factor), y)


@cache
def _unshuffle(y: Layout, factor: int) -> Function:
    n, c, h, w = y.shape
    x = channels_last((n, c * factor**2, h // factor, w // factor))
    return reorder_function(_after_shuffle(y, factor), _before_shuffle(x, factor), x)


def _before_shuffle(x: Layout, factor: int) -> Layout:
    """A tensor before a pixel shuffle, with axes [N, C, row in the square, column in the square, H, W]."""
    (n, c, h, w), (image, channel, row, column) = x
    strides = (image, channel * factor**2, channel * factor, channel, row, column)
    return Layout((n, c // factor**2, factor, factor, h, w), strides)


def _after_shuffle(y: Layout, factor: int) -> Layout:
    """A tensor after a pixel shuffle, with the same axes."""
    (n, c, h, w), (image, channel, row, column) = y
    strides = (image, channel, row, column, row * factor, column * factor)
    return Layout((n, c, factor, factor, h // factor, w // factor), strides)
