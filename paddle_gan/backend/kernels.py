"""Convolutions, leaky ReLU, batch norm and pixel shuffle, quick on a CPU, that can be differentiated any number of times.

Of images x, filters w and weights y of the outputs, ⟨conv(x, w), y⟩ is linear in each. A convolution is
that form of x and w, its gradient in the images that of y and w, its gradient in the filters that of x
and y; and the gradients of each of the three are the other two. So one small class with the three
functions of `onednn` gives all the gradients that a gradient penalty needs. On another device, in
another type, and while a network is exported, Paddle's own kernels do the work.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import paddle
import paddle.nn.functional as F
from paddle import Tensor
from paddle.autograd import PyLayer

from paddle_gan.backend import dnnl, onednn, winograd
from paddle_gan.backend.dnnl import FEW_CHANNELS
from paddle_gan.backend.onednn import Geometry

# Rows and columns of zeros at the top, left, bottom and right.
Padding = tuple[int, int, int, int]

# Of what is multiplied in a convolution on the CPU; sums and everything else are float32.
_precision = "float32"
_weight_gradients = True


@cache
def available() -> bool:
    """Whether convolutions on a CPU go through oneDNN; not where PADDLE_GAN_ONEDNN=0 says so."""
    return os.environ.get("PADDLE_GAN_ONEDNN") != "0" and dnnl.available()


def implementation() -> str:
    """What computes convolutions on the device in use, and with it their last bits."""
    return f"oneDNN {dnnl.version()}" if paddle.get_device() == "cpu" and available() else "Paddle"


def set_precision(precision: str) -> None:
    """Round what convolutions on a CPU multiply, from now on: "float32" not at all, "bfloat16" to 8 bits."""
    global _precision
    _precision = precision


@contextmanager
def no_weight_gradients() -> Iterator[None]:
    """Within this, convolutions have gradients in images only: `paddle.grad` computes those in weights too, in vain."""
    global _weight_gradients
    _weight_gradients = False
    try:
        yield
    finally:
        _weight_gradients = True


def conv2d(
    x: Tensor, w: Tensor, bias: Tensor | None = None, stride: int = 1, padding: Padding = (0, 0, 0, 0)
) -> Tensor:
    """Cross-correlation.

    Args:
        x: [N, C, H, W].
        w: [K, C, R, S].
        bias: [K] or None.
        stride: along both axes.
        padding: of x.

    Returns:
        [N, K, P, Q].
    """
    top, left, bottom, right = padding
    if not _here(x):
        return F.conv2d(x, w, bias, stride, [top, bottom, left, right])
    given = {"x": x, "w": w} if bias is None else {"x": x, "w": w, "bias": bias}
    return _contract(given, Geometry(tuple(x.shape), tuple(w.shape), stride, padding))


def conv2d_transpose(
    y: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: Padding = (0, 0, 0, 0),
    output_padding: int = 0,
) -> Tensor:
    """Transposed convolution: the adjoint of `conv2d` in its images.

    Args:
        y: [N, K, P, Q].
        w: [K, C, R, S].
        bias: [C] or None.
        stride: along both axes of what is returned.
        padding: of what is returned; so much is cut off.
        output_padding: more rows at the bottom and columns at the right.

    Returns:
        [N, C, H, W].
    """
    top, left, bottom, right = padding
    if not _here(y):
        return F.conv2d_transpose(y, w, bias, stride, [top, bottom, left, right], output_padding)
    n, _, p, q = y.shape
    _, c, r, s = w.shape
    height = (p - 1) * stride + r - top - bottom + output_padding
    width = (q - 1) * stride + s - left - right + output_padding
    x = _contract({"y": y, "w": w}, Geometry((n, c, height, width), tuple(w.shape), stride, padding))
    return x if bias is None else x + bias.reshape([1, -1, 1, 1])


def leaky_relu(x: Tensor, slope: float) -> Tensor:
    """x where it is positive, slope · x elsewhere."""
    if _here(x):
        return _LeakyReLU.apply(x, slope)
    return F.leaky_relu(x, slope) if slope else F.relu(x)  # which Paddle's inference knows better


def pixel_shuffle(x: Tensor, factor: int) -> Tensor:
    """[N, factor² C, H, W] to [N, C, factor H, factor W] (Shi et al. 2016)."""
    return _PixelShuffle.apply(x, factor, False) if _here(x) else F.pixel_shuffle(x, factor)


def flatten(x: Tensor) -> Tensor:
    """[N, C, H, W] to [N, C · H · W]."""
    return _Flatten.apply(x) if _here(x) else x.reshape([x.shape[0], -1])


# What is known of a batch after a norm: mean and biased variance of each channel, [C], without gradients.
Statistics = list[list[Tensor]]


def batch_norm(
    x: Tensor, scale: Tensor, shift: Tensor, epsilon: float, parts: int = 1, slope: float | None = None
) -> tuple[Tensor, Statistics] | None:
    """Each channel of x over the batch to mean 0 and variance 1, times scale, plus shift (Ioffe and Szegedy 2015).

    Args:
        x: [N, C] or [N, C, H, W].
        scale, shift: [C].
        epsilon: added to the variance.
        parts: batches that x consists of, one after the other and of one size; each is normalised by itself.
        slope: of a leaky ReLU at the end, or None.

    Returns:
        y of the shape of x, and the statistics of each part; None where Paddle's own has to do it.
    """
    if not _here(x):
        return None
    statistics: Statistics = []
    given = {"x": _as_images(x), "scale": scale, "shift": shift}
    y = _apply(_BatchNorm, given, epsilon, parts, slope, statistics)
    return (y.reshape(x.shape) if x.ndim == 2 else y), statistics


def fixed_batch_norm(
    x: Tensor, mean: Tensor, variance: Tensor, scale: Tensor, shift: Tensor, epsilon: float, slope: float | None = None
) -> Tensor | None:
    """`batch_norm` with known statistics; also None where gradients are recorded."""
    if not _here(x) or paddle.is_grad_enabled():
        return None
    y = onednn.normalise_as(_as_images(x), mean, variance, scale, shift, epsilon)
    if slope is not None:
        onednn.leaky_relu(y, slope, into=(y,))
    return y.reshape(x.shape) if x.ndim == 2 else y


def _as_images(x: Tensor) -> Tensor:
    """[N, C] as images of one pixel."""
    return x.reshape([*x.shape, 1, 1]) if x.ndim == 2 else x


def _here(x: Tensor) -> bool:
    return paddle.in_dynamic_mode() and x.dtype == paddle.float32 and x.place.is_cpu_place() and available()


class _LeakyReLU(PyLayer):
    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return onednn.leaky_relu(x, slope)

    @staticmethod
    def backward(ctx, gradient):
        return _Rectified.apply(gradient, ctx.saved_tensor()[0].detach(), ctx.slope)


class _Rectified(PyLayer):
    """The gradient, let through where x is positive; in x it is constant but for a jump."""

    @staticmethod
    def forward(ctx, gradient, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return onednn.rectify(gradient, x, slope)

    @staticmethod
    def backward(ctx, gradient):
        return _Rectified.apply(gradient, ctx.saved_tensor()[0], ctx.slope), None


class _PixelShuffle(PyLayer):
    """A permutation: what goes back is its gradient, and the other way round."""

    @staticmethod
    def forward(ctx, x, factor, back):
        ctx.factor, ctx.back = factor, back
        return (onednn.pixel_unshuffle if back else onednn.pixel_shuffle)(x, factor)

    @staticmethod
    def backward(ctx, gradient):
        return _PixelShuffle.apply(gradient, ctx.factor, not ctx.back)


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
    def forward(ctx, tensors, roles, epsilon, parts, slope, statistics):
        given = dict(zip(roles, tensors))
        y, found = onednn.normalise(given["x"], given["scale"], given["shift"], epsilon, parts)
        if slope is not None:
            onednn.leaky_relu(y, slope, into=(y,))
        statistics += found
        ctx.save_for_backward(given["x"], given["scale"], y.detach())  # y itself would hold its own history
        ctx.roles, ctx.epsilon, ctx.slope, ctx.statistics = roles, epsilon, slope, found
        ctx.needed = [not tensor.stop_gradient for tensor in tensors]
        return y

    @staticmethod
    def backward(ctx, gradient):
        x, scale, y = ctx.saved_tensor()
        if ctx.slope is not None:  # y is positive where it was before the leaky ReLU
            gradient = _Rectified.apply(gradient, y, ctx.slope)
        if paddle.is_grad_enabled():  # this gradient will be differentiated: out of operations that can be
            gradients = _norm_gradients(gradient, x, scale, ctx.epsilon, len(ctx.statistics))
        else:
            gradients = onednn.norm_gradients(gradient, x, ctx.statistics, scale, ctx.epsilon)
        gradients = dict(zip(("x", "scale", "shift"), gradients))
        return (tuple(gradients[role] if want else None for role, want in zip(ctx.roles, _wanted(ctx))),)


def _norm_gradients(
    gradient: Tensor, x: Tensor, scale: Tensor, epsilon: float, parts: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Of `batch_norm`, in x, scale and shift, as functions of all that they depend on."""
    shape, axes = x.shape, [1, 3, 4]
    gradient, x = (tensor.reshape([parts, -1, *shape[1:]]) for tensor in (gradient, x))
    centred = x - x.mean(axes, keepdim=True)
    inverse = paddle.rsqrt(centred.square().mean(axes, keepdim=True) + epsilon)
    normal = centred * inverse
    product = gradient * normal
    towards = gradient - gradient.mean(axes, keepdim=True) - normal * product.mean(axes, keepdim=True)
    dx = scale.reshape([1, 1, -1, 1, 1]) * inverse * towards
    return dx.reshape(shape), product.sum([0, *axes]), gradient.sum([0, *axes])


def _contract(given: dict[str, Tensor], geometry: Geometry) -> Tensor:
    """Of two among x, w and y: what the third is multiplied with in ⟨conv(x, w), y⟩; to x and w, a bias may be added."""
    return _apply(_Contraction, given, geometry)


def _apply(function: type[PyLayer], given: dict[str, Tensor], *rest) -> Tensor:
    # Paddle takes the gradients of tensors in a list if the first of them has one, and then also those not asked for.
    roles = sorted(given, key=lambda role: given[role].stop_gradient)
    return function.apply([given[role] for role in roles], roles, *rest)


def _wanted(ctx) -> list[bool]:
    """Which tensors of the list need a gradient."""
    return [needed and (_weight_gradients or role in "xy") for role, needed in zip(ctx.roles, ctx.needed)]


class _Contraction(PyLayer):
    @staticmethod
    def forward(ctx, tensors, roles, geometry):
        ctx.save_for_backward(*tensors)
        ctx.roles, ctx.geometry = roles, geometry
        ctx.needed = [not tensor.stop_gradient for tensor in tensors]
        return _computed(dict(zip(roles, tensors)), geometry)

    @staticmethod
    def backward(ctx, gradient):
        given = dict(zip(ctx.roles, ctx.saved_tensor()))
        given.pop("bias", None)
        (third,) = {"x", "w", "y"} - set(given)

        def gradient_in(role):
            if role == "bias":
                return _channel_sums(gradient)
            others = {other: tensor for other, tensor in given.items() if other != role}
            return _contract({**others, third: gradient}, ctx.geometry)

        return (tuple(gradient_in(role) if want else None for role, want in zip(ctx.roles, _wanted(ctx))),)


def _computed(given: dict[str, Tensor], geometry: Geometry) -> Tensor:
    """What `_contract` promises, without gradients."""
    rows, columns = geometry.filters[2:]
    bias = given.get("bias")
    few_outputs = geometry.filters[0] <= FEW_CHANNELS < geometry.filters[1]
    if few_outputs and geometry.stride == 1 and max(geometry.padding) < min(rows, columns):
        # Seen from the outputs it is a convolution too, with mirrored filters, and of few channels at its images.
        exchanged = {other: given[role] for role, other in (("x", "y"), ("y", "x")) if role in given}
        if "w" not in given:
            return _mirrored(_computed(exchanged, geometry.seen_from_the_outputs))
        y = _computed({**exchanged, "w": _mirrored(given["w"])}, geometry.seen_from_the_outputs)
        return y if bias is None else y + bias.reshape([1, -1, 1, 1])
    if "y" not in given:
        if bias is None and _by_winograd(geometry):
            return winograd.convolve(given["x"], given["w"], geometry)
        return onednn.convolve(given["x"], given["w"], bias, geometry, _precision)
    if "w" not in given:
        if _by_winograd(geometry):
            return winograd.filter_gradient(given["x"], given["y"], geometry)
        return onednn.filter_gradient(given["x"], given["y"], geometry, _precision)
    if geometry.images[1] <= FEW_CHANNELS:
        return _by_columns(given["y"], given["w"], geometry)
    if geometry.stride == 1 and max(geometry.padding) < rows and _by_winograd(geometry.seen_from_the_outputs):
        return winograd.image_gradient(given["y"], given["w"], geometry)
    return onednn.image_gradient(given["y"], given["w"], geometry, _precision)


def _by_winograd(geometry: Geometry) -> bool:
    return _precision == "float32" and winograd.suits(geometry)


def _by_columns(y: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
    """`onednn.image_gradient` for few channels: a product with the filters, and the sum of its overlapping parts."""
    n, k, p, q = geometry.outputs
    filters = w.reshape([k, -1])
    if y.is_contiguous():
        columns = paddle.matmul(filters, y.reshape([n, k, p * q]), transpose_x=True)
    else:  # the channels last
        columns = paddle.matmul(
            filters, y.transpose([0, 2, 3, 1]).reshape([n, p * q, k]), transpose_x=True, transpose_y=True
        )
    (top, left, bottom, right), (height, width) = geometry.padding, geometry.images[2:]
    rest = geometry.filters[2:], [geometry.stride] * 2
    if (top, left) == (bottom, right):
        return F.fold(columns, [height, width], *rest, [top, left])
    images = F.fold(columns, [height + top + bottom, width + left + right], *rest)
    return images[:, :, top : top + height, left : left + width].contiguous()


def _channel_sums(x: Tensor) -> Tensor:
    """[N, K, P, Q] to [K]; products are several times quicker than Paddle's sum over these axes."""
    n, k, p, q = x.shape
    if x.is_contiguous():
        return paddle.matmul(x.reshape([n * k, p * q]), paddle.ones([p * q, 1])).reshape([n, k]).sum(0)
    return paddle.matmul(paddle.ones([1, n * p * q]), x.transpose([0, 2, 3, 1]).reshape([-1, k])).reshape([k])


def _mirrored(w: Tensor) -> Tensor:
    return w.transpose([1, 0, 2, 3]).flip([2, 3])
