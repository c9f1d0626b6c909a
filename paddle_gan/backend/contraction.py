"""Convolutions on the CPU with gradients of any order.

For images x, filters w and weights y of the outputs, the form ⟨conv(x, w), y⟩ is linear in each of the three. A
convolution is the gradient of this form in y, its own gradient in the images is that in x, and its gradient in the
filters is that in w. So each of the three operations has the other two as its gradients, and one small class with the
three functions of `onednn` computes all the gradients that a gradient penalty needs.
"""

import paddle
import paddle.nn.functional as F
from paddle import Tensor
from paddle.autograd import PyLayer

from paddle_gan.backend import dnnl, onednn, winograd
from paddle_gan.backend.activation import leaky_relu_gradient
from paddle_gan.backend.computation import Computation, Given, Role, apply, gradients_wanted
from paddle_gan.backend.layout import FEW_CHANNELS
from paddle_gan.backend.onednn import Geometry

_FACTORS = {Role.IMAGES, Role.FILTERS, Role.OUTPUTS}


def contract(given: Given, geometry: Geometry, computation: Computation, slope: float | None = None) -> Tensor:
    """The gradient of ⟨conv(images, filters), outputs⟩ in the one of the three that is not given.

    Args:
        given: two of images [N, C, H, W], filters [K, C, R, S] and outputs [N, K, P, Q]; with filters there may be a
            bias of each channel of the result, [K] or [C], which is added to it.
        geometry: of the convolution.
        computation: of the layer.
        slope: of a leaky ReLU of the result, or None.
    """
    return apply(_Contraction, given, geometry, computation, slope)


class _Contraction(PyLayer):
    @staticmethod
    def forward(ctx, tensors, roles, geometry, computation, slope):
        given = dict(zip(roles, tensors, strict=True))
        result = contract_without_gradients(given, geometry, computation.factors, slope)
        # What comes out of a leaky ReLU is positive exactly where what goes in is. The next layer keeps it in any case.
        ctx.save_for_backward(*tensors, *([] if slope is None else [result.detach()]))
        ctx.roles, ctx.geometry, ctx.computation, ctx.slope = roles, geometry, computation, slope
        ctx.needed = [not tensor.stop_gradient for tensor in tensors]
        return result

    @staticmethod
    def backward(ctx, gradient):
        saved = ctx.saved_tensor()
        if ctx.slope is not None:
            gradient = leaky_relu_gradient(gradient, saved[-1].detach(), ctx.slope)
        given = dict(zip(ctx.roles, saved, strict=False))
        given.pop(Role.BIAS, None)
        (result,) = _FACTORS - set(given)

        def gradient_in(role):
            if role is Role.BIAS:
                return _channel_sums(gradient)
            others = {other: tensor for other, tensor in given.items() if other is not role}
            return contract({**others, result: gradient}, ctx.geometry, ctx.computation)

        wanted = gradients_wanted(ctx.roles, ctx.needed, ctx.computation)
        return (tuple(gradient_in(role) if want else None for role, want in zip(ctx.roles, wanted, strict=True)),)


def contract_without_gradients(given: Given, geometry: Geometry, factors: str, slope: float | None = None) -> Tensor:
    """What `contract` computes, by the fastest algorithm for this geometry.

    Args:
        given, geometry: as for `contract`.
        factors: type to which the factors are rounded, "float32" or "bfloat16".
        slope: as for `contract`.
    """
    if _few_outputs(geometry):
        result = _adjoint(given, geometry, factors)
    elif Role.OUTPUTS not in given:
        images, filters, bias = given[Role.IMAGES], given[Role.FILTERS], given.get(Role.BIAS)
        if bias is not None or not _winograd_is_faster(geometry, factors):
            return onednn.convolve(images, filters, bias, geometry, factors, slope)
        result = winograd.convolve(images, filters, geometry)
    elif Role.FILTERS not in given:
        result = _filter_gradient(given[Role.IMAGES], given[Role.OUTPUTS], geometry, factors)
    else:
        result = _image_gradient(given[Role.OUTPUTS], given[Role.FILTERS], geometry, factors)
        if (bias := given.get(Role.BIAS)) is not None:
            # Paddle adds tensors of one shape much faster than it broadcasts.
            result = result + bias.reshape([1, -1, 1, 1]).expand(result.shape)
    return result if slope is None else onednn.leaky_relu(result, slope, into=(result,))


def _few_outputs(geometry: Geometry) -> bool:
    """Whether the contraction is computed as one from outputs to images, see `_adjoint`."""
    few = geometry.filters[0] <= FEW_CHANNELS < geometry.filters[1]
    return few and geometry.stride == 1 and max(geometry.padding) < min(geometry.filters[2:])


def _filter_gradient(images: Tensor, outputs: Tensor, geometry: Geometry, factors: str) -> Tensor:
    """`onednn.filter_gradient`, by the fastest algorithm for this geometry."""
    if _winograd_is_faster(geometry, factors):
        return winograd.filter_gradient(images, outputs, geometry)
    # With AVX2 oneDNN has a vector algorithm for images of three channels, but none for those of one.
    if geometry.images[1] == 1 and factors == "float32" and not dnnl.has_avx512():
        return _filter_gradient_by_columns(images, outputs, geometry)
    return onednn.filter_gradient(images, outputs, geometry, factors)


def _image_gradient(outputs: Tensor, filters: Tensor, geometry: Geometry, factors: str) -> Tensor:
    """`onednn.image_gradient`, by the fastest algorithm for this geometry."""
    if geometry.images[1] <= FEW_CHANNELS:
        return _image_gradient_by_columns(outputs, filters, geometry)
    rows = geometry.filters[2]
    if geometry.stride == 1 and max(geometry.padding) < rows and _winograd_is_faster(geometry.adjoint, factors):
        return winograd.image_gradient(outputs, filters, geometry)
    return onednn.image_gradient(outputs, filters, geometry, factors)


def _adjoint(given: Given, geometry: Geometry, factors: str) -> Tensor:
    """The same contraction as one from outputs to images, with mirrored filters: few channels stand at its images.

    For few channels at the images there are faster algorithms than for few at the outputs.
    """
    exchanged = {Role.BIAS: given[Role.BIAS]} if Role.BIAS in given else {}
    if Role.IMAGES in given:
        exchanged[Role.OUTPUTS] = given[Role.IMAGES]
    if Role.OUTPUTS in given:
        exchanged[Role.IMAGES] = given[Role.OUTPUTS]
    if Role.FILTERS not in given:
        return _mirrored(contract_without_gradients(exchanged, geometry.adjoint, factors))
    exchanged[Role.FILTERS] = _mirrored(given[Role.FILTERS])
    return contract_without_gradients(exchanged, geometry.adjoint, factors)


def _winograd_is_faster(geometry: Geometry, factors: str) -> bool:
    return factors == "float32" and winograd.is_faster(geometry)


def _image_gradient_by_columns(outputs: Tensor, filters: Tensor, geometry: Geometry) -> Tensor:
    """`onednn.image_gradient` for few channels: a matrix product with the filters, then col2im adds what overlaps."""
    n, k, p, q = geometry.outputs
    matrix = filters.reshape([k, -1])
    if outputs.is_contiguous():
        columns = paddle.matmul(matrix, outputs.reshape([n, k, p * q]), transpose_x=True)
    else:  # channels-last
        pixels = outputs.transpose([0, 2, 3, 1]).reshape([n, p * q, k])
        columns = paddle.matmul(matrix, pixels, transpose_x=True, transpose_y=True)
    (top, left, bottom, right), (height, width) = geometry.padding, geometry.images[2:]
    kernel, strides = geometry.filters[2:], [geometry.stride] * 2
    if (top, left) == (bottom, right):
        return F.fold(columns, [height, width], kernel, strides, [top, left])
    padded = F.fold(columns, [height + top + bottom, width + left + right], kernel, strides)
    return padded[:, :, top : top + height, left : left + width].contiguous()


def _filter_gradient_by_columns(images: Tensor, outputs: Tensor, geometry: Geometry) -> Tensor:
    """`onednn.filter_gradient` for few channels: matrix products with the columns that im2col makes of the images."""
    n, k, p, q = geometry.outputs
    top, left, bottom, right = geometry.padding
    columns = F.unfold(images, geometry.filters[2:], geometry.stride, [top, left, bottom, right])
    pixels = outputs.transpose([0, 2, 3, 1]).reshape([n, p * q, k])
    return paddle.matmul(columns, pixels).sum(0).transpose([1, 0]).contiguous().reshape(geometry.filters)


def _channel_sums(x: Tensor) -> Tensor:
    """[N, K, P, Q] to [K]. Matrix products with ones are several times faster than Paddle's sum over these axes."""
    n, k, p, q = x.shape
    if x.is_contiguous():
        return paddle.matmul(x.reshape([n * k, p * q]), paddle.ones([p * q, 1])).reshape([n, k]).sum(0)
    return paddle.matmul(paddle.ones([1, n * p * q]), x.transpose([0, 2, 3, 1]).reshape([-1, k])).reshape([k])


def _mirrored(filters: Tensor) -> Tensor:
    """[K, C, R, S] to [C, K, R, S], rotated by half a turn."""
    return filters.transpose([1, 0, 2, 3]).flip([2, 3])
