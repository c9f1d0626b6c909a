"""Pixel shuffle, flattening, borders and batch normalisation on the CPU, with gradients of any order.

The values are computed by `onednn`, `norm` and `borders`. Each gradient is again an operation that has gradients.
"""

import paddle
from paddle import Tensor
from paddle.autograd import PyLayer

from paddle_gan.backend import borders, norm, onednn
from paddle_gan.backend.activation import leaky_relu_gradient
from paddle_gan.backend.computation import Computation, Role, apply, gradients_wanted
from paddle_gan.backend.norm import Normalised, NormGradients, Statistics


def pixel_shuffle(x: Tensor, factor: int) -> Tensor:
    """[N, factor² C, H, W] to [N, C, factor H, factor W]."""
    return _Linear.apply(x, factor, onednn.pixel_shuffle, onednn.pixel_unshuffle)


def flatten(x: Tensor) -> Tensor:
    """[N, C, H, W] to [N, C · H · W]."""
    return _Flatten.apply(x)


def reflected(x: Tensor, width: int) -> Tensor:
    """`kernels.reflected`."""
    return _Linear.apply(x, width, borders.reflected, borders.folded)


def batch_norm(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    epsilon: float,
    parts: int,
    slope: float | None,
    computation: Computation,
) -> Normalised:
    """`kernels.batch_norm` of x [N, C, H, W]."""
    found: list[Statistics] = []
    given = {Role.IMAGES: x, Role.SCALE: scale, Role.SHIFT: shift}
    outputs = apply(_BatchNorm, given, epsilon, parts, slope, found, computation)
    return Normalised(outputs, found[0])


class _Linear(PyLayer):
    """A linear map of x and a whole number, and its adjoint: the gradient of each is the other one."""

    @staticmethod
    def forward(ctx, x, number, function, adjoint):
        ctx.number, ctx.function, ctx.adjoint = number, function, adjoint
        return function(x, number)

    @staticmethod
    def backward(ctx, gradient):
        return _Linear.apply(gradient, ctx.number, ctx.adjoint, ctx.function)


class _Flatten(PyLayer):
    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return onednn.flatten(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.reshape(ctx.shape)


class _BatchNorm(PyLayer):
    @staticmethod
    def forward(ctx, tensors, roles, epsilon, parts, slope, found, computation):
        given = dict(zip(roles, tensors, strict=True))
        x, scale = given[Role.IMAGES], given[Role.SCALE]
        y, statistics = norm.normalise(x, scale, given[Role.SHIFT], epsilon, parts)
        if slope is not None:
            onednn.leaky_relu(y, slope, into=(y,))
        found.append(statistics)
        ctx.save_for_backward(x, scale, y.detach())  # y itself would keep its own graph alive for ever
        ctx.roles, ctx.epsilon, ctx.slope, ctx.statistics = roles, epsilon, slope, statistics
        ctx.computation = computation
        ctx.needed = [not tensor.stop_gradient for tensor in tensors]
        return y

    @staticmethod
    def backward(ctx, gradient):
        x, scale, y = ctx.saved_tensor()
        if ctx.slope is not None:  # y is positive exactly where it was positive before the leaky ReLU
            gradient = leaky_relu_gradient(gradient, y, ctx.slope)
        if paddle.is_grad_enabled():  # this gradient will be differentiated itself
            made = _differentiable_norm_gradients(gradient, x, scale, ctx.epsilon, ctx.statistics.mean.shape[0])
        else:
            made = norm.norm_gradients(gradient, x, ctx.statistics, scale, ctx.epsilon)
        gradients = {Role.IMAGES: made.images, Role.SCALE: made.scale, Role.SHIFT: made.shift}
        wanted = gradients_wanted(ctx.roles, ctx.needed, ctx.computation)
        return (tuple(gradients[role] if want else None for role, want in zip(ctx.roles, wanted, strict=True)),)


def _differentiable_norm_gradients(
    gradient: Tensor, x: Tensor, scale: Tensor, epsilon: float, parts: int
) -> NormGradients:
    """`norm.norm_gradients`, made of operations that Paddle can differentiate in gradient, x and scale."""
    shape, axes = x.shape, [1, 3, 4]
    gradient, x = (tensor.reshape([parts, -1, *shape[1:]]) for tensor in (gradient, x))
    centred = x - x.mean(axes, keepdim=True)
    inverse = paddle.rsqrt(centred.square().mean(axes, keepdim=True) + epsilon)
    normal = centred * inverse
    product = gradient * normal
    towards = gradient - gradient.mean(axes, keepdim=True) - normal * product.mean(axes, keepdim=True)
    in_images = scale.reshape([1, 1, -1, 1, 1]) * inverse * towards
    return NormGradients(in_images.reshape(shape), product.sum([0, *axes]), gradient.sum([0, *axes]))
