"""Convolutions and leaky ReLU, quick on a CPU, that can be differentiated any number of times.

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

from paddle_gan import onednn
from paddle_gan.onednn import Geometry

# Rows and columns of zeros at the top, left, bottom and right.
Padding = tuple[int, int, int, int]

# oneDNN computes for blocks of sixteen channels. For so few, Paddle's transposed convolution is quicker: a product
# with the filters, and a sum of its overlapping parts.
_FEW_CHANNELS = 3

# Of what is multiplied in a convolution on the CPU; sums and everything else are float32.
_precision = "float32"
_weight_gradients = True


@cache
def available() -> bool:
    """Whether convolutions on a CPU go through oneDNN; not where PADDLE_GAN_ONEDNN=0 says so."""
    return os.environ.get("PADDLE_GAN_ONEDNN") != "0" and onednn.available()


def implementation() -> str:
    """What computes convolutions on the device in use, and with it their last bits."""
    return f"oneDNN {onednn.version()}" if paddle.get_device() == "cpu" and available() else "Paddle"


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


def _here(x: Tensor) -> bool:
    return paddle.in_dynamic_mode() and x.dtype == paddle.float32 and x.place.is_cpu_place() and available()


class _LeakyReLU(PyLayer):
    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return F.leaky_relu(x, slope)

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


def _contract(given: dict[str, Tensor], geometry: Geometry) -> Tensor:
    """Of two among x, w and y: what the third is multiplied with in ⟨conv(x, w), y⟩; to x and w, a bias may be added."""
    # Paddle takes the gradients of tensors in a list if the first of them has one.
    roles = sorted(given, key=lambda role: given[role].stop_gradient)
    return _Contraction.apply([given[role] for role in roles], roles, geometry)


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

        wanted = [needed and (_weight_gradients or role in "xy") for role, needed in zip(ctx.roles, ctx.needed)]
        return (tuple(gradient_in(role) if want else None for role, want in zip(ctx.roles, wanted)),)


def _computed(given: dict[str, Tensor], geometry: Geometry) -> Tensor:
    """What `_contract` promises, without gradients."""
    rows, columns = geometry.filters[2:]
    bias = given.get("bias")
    few_outputs = geometry.filters[0] <= _FEW_CHANNELS < geometry.filters[1]
    if few_outputs and geometry.stride == 1 and max(geometry.padding) < min(rows, columns):
        # Seen from the outputs it is a convolution too, with mirrored filters, and of few channels at its images.
        exchanged = {other: given[role] for role, other in (("x", "y"), ("y", "x")) if role in given}
        if "w" not in given:
            return _mirrored(_computed(exchanged, _seen_from_the_outputs(geometry)))
        y = _computed({**exchanged, "w": _mirrored(given["w"])}, _seen_from_the_outputs(geometry))
        return y if bias is None else y + bias.reshape([1, -1, 1, 1])
    if "y" not in given:
        return onednn.convolve(given["x"], given["w"], bias, geometry, _precision)
    if "w" not in given:
        return onednn.filter_gradient(given["x"], given["y"], geometry, _precision)
    if geometry.images[1] > _FEW_CHANNELS:
        return onednn.image_gradient(given["y"], given["w"], geometry, _precision)
    top, left, bottom, right = geometry.padding
    return F.conv2d_transpose(
        given["y"],
        given["w"],
        None,
        geometry.stride,
        [top, bottom, left, right],
        output_size=list(geometry.images[2:]),
    )


def _channel_sums(x: Tensor) -> Tensor:
    """[N, K, P, Q] to [K]; the product is several times quicker than Paddle's sum over these axes."""
    n, k, p, q = x.shape
    return paddle.matmul(x.reshape([n * k, p * q]), paddle.ones([p * q, 1])).reshape([n, k]).sum(0)


def _mirrored(w: Tensor) -> Tensor:
    return w.transpose([1, 0, 2, 3]).flip([2, 3])


def _seen_from_the_outputs(geometry: Geometry) -> Geometry:
    k, c, rows, columns = geometry.filters
    top, left, bottom, right = geometry.padding
    outside = (rows - 1 - top, columns - 1 - left, rows - 1 - bottom, columns - 1 - right)
    return Geometry(geometry.outputs, (c, k, rows, columns), 1, outside)
