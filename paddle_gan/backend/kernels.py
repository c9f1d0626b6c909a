"""Convolutions, leaky ReLU, batch norm and pixel shuffle that are fast on a CPU and have gradients of any order.

For float32 tensors on a CPU they are computed by oneDNN: see `contraction` and `differentiable`. On another device, for
another type, and while a network is exported, Paddle's own kernels are the fallback.
"""

import os
from collections.abc import Callable, Sequence
from functools import cache

import paddle
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.backend import activation, differentiable, dnnl, norm, onednn, pointwise
from paddle_gan.backend.computation import Computation, Role
from paddle_gan.backend.contraction import contract
from paddle_gan.backend.norm import Normalised, Statistics
from paddle_gan.backend.onednn import Geometry

# Rows and columns of zeros at the top, left, bottom and right.
Padding = tuple[int, int, int, int]


@cache
def available() -> bool:
    """Whether convolutions on a CPU use oneDNN. PADDLE_GAN_ONEDNN=0 in the environment turns it off."""
    return os.environ.get("PADDLE_GAN_ONEDNN") != "0" and dnnl.available()


def implementation() -> str:
    """The library that computes convolutions on the current device; the last bits of results depend on it."""
    return f"oneDNN {dnnl.version()}" if paddle.get_device() == "cpu" and available() else "Paddle"


def conv2d(
    images: Tensor,
    filters: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: Padding = (0, 0, 0, 0),
    slope: float | None = None,
    *,
    computation: Computation | None = None,
) -> Tensor:
    """Cross-correlation.

    Args:
        images: [N, C, H, W].
        filters: [K, C, R, S].
        bias: [K] or None.
        stride: along both axes.
        padding: of the images.
        slope: of a leaky ReLU that follows, or None.
        computation: of the layer; by default a new `Computation()`.

    Returns:
        [N, K, P, Q].
    """
    if not by_onednn(images):
        top, left, bottom, right = padding
        outputs = F.conv2d(images, filters, bias, stride, [top, bottom, left, right])
        return outputs if slope is None else leaky_relu(outputs, slope)
    given = {Role.IMAGES: images, Role.FILTERS: filters}
    if bias is not None:
        given[Role.BIAS] = bias
    geometry = Geometry(tuple(images.shape), tuple(filters.shape), stride, padding)
    return contract(given, geometry, computation or Computation(), slope)


def conv2d_transpose(
    inputs: Tensor,
    filters: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: Padding = (0, 0, 0, 0),
    output_padding: int = 0,
    *,
    computation: Computation | None = None,
) -> Tensor:
    """Transposed convolution: the adjoint of `conv2d` in its images.

    Args:
        inputs: [N, K, P, Q].
        filters: [K, C, R, S].
        bias: [C] or None.
        stride: along both axes of the result.
        padding: rows and columns that are cut off the result at the top, left, bottom and right.
        output_padding: rows and columns that are added to the result at the bottom and at the right.
        computation: of the layer; by default a new `Computation()`.

    Returns:
        [N, C, (P - 1) stride + R - top - bottom + output_padding, (Q - 1) stride + S - left - right + output_padding].
    """
    top, left, bottom, right = padding
    if not by_onednn(inputs):
        return F.conv2d_transpose(inputs, filters, bias, stride, [top, bottom, left, right], output_padding)
    n, _, p, q = inputs.shape
    _, c, r, s = filters.shape
    height = (p - 1) * stride + r - top - bottom + output_padding
    width = (q - 1) * stride + s - left - right + output_padding
    given = {Role.OUTPUTS: inputs, Role.FILTERS: filters}
    if bias is not None:
        given[Role.BIAS] = bias
    geometry = Geometry((n, c, height, width), tuple(filters.shape), stride, padding)
    return contract(given, geometry, computation or Computation())


def leaky_relu(x: Tensor, slope: float) -> Tensor:
    """x where it is positive, slope · x elsewhere; of any shape."""
    if by_onednn(x):
        return activation.leaky_relu(x, slope)
    # In an exported network Paddle's inference optimises a ReLU better than a leaky ReLU of slope 0.
    return F.leaky_relu(x, slope) if slope else F.relu(x)


def pixel_shuffle(x: Tensor, factor: int) -> Tensor:
    """[N, factor² C, H, W] to [N, C, factor H, factor W] (Shi et al. 2016)."""
    return differentiable.pixel_shuffle(x, factor) if by_onednn(x) else F.pixel_shuffle(x, factor)


def flatten(x: Tensor) -> Tensor:
    """[N, C, H, W] to [N, C · H · W]."""
    return differentiable.flatten(x) if by_onednn(x) else x.reshape([x.shape[0], -1])


def batch_norm(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    epsilon: float,
    parts: int = 1,
    slope: float | None = None,
    *,
    computation: Computation | None = None,
) -> Normalised | None:
    """Normalise each channel of x over the batch: mean 0 and variance 1, times scale, plus shift.

    Source: Ioffe and Szegedy 2015, algorithm 1.

    Args:
        x: [N, C] or [N, C, H, W].
        scale, shift: [C].
        epsilon: added to the variance.
        parts: number of batches of equal size that x consists of, one after the other. Each is normalised by itself.
        slope: of a leaky ReLU that follows, or None.
        computation: of the layer; by default a new `Computation()`.

    Returns:
        Outputs of the shape of x, and the statistics of each part; None where Paddle's own kernels must compute it.
    """
    if not by_onednn(x):
        return None
    made = differentiable.batch_norm(_as_images(x), scale, shift, epsilon, parts, slope, computation or Computation())
    return made if x.ndim > 2 else Normalised(made.outputs.reshape(x.shape), made.statistics)


def fixed_batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    scale: Tensor,
    shift: Tensor,
    epsilon: float,
    slope: float | None = None,
) -> Tensor | None:
    """`batch_norm` with known statistics [C], without gradients; None where Paddle's own kernels must compute it.

    They must do so also while gradients are recorded.
    """
    if not by_onednn(x) or paddle.is_grad_enabled():
        return None
    outputs = norm.normalise_as(_as_images(x), Statistics(mean, variance), scale, shift, epsilon)
    if slope is not None:
        onednn.leaky_relu(outputs, slope, into=(outputs,))
    return outputs.reshape(x.shape) if x.ndim == 2 else outputs


def elementwise(function: Callable[..., Tensor], *maps: Tensor) -> Tensor:
    """A function that treats each value by itself, such as a sum, of feature maps of one shape [N, C, H, W].

    Paddle's own operations make a contiguous result of maps whose channels are last in memory, which takes several
    times as long as the operation, and the next convolution reorders it again. Here the channels stay last.
    """
    if not by_onednn(maps[0]):
        return function(*maps)
    return _channels_first(function(*map(_channels_last, maps)))


def forked(x: Tensor) -> tuple[Tensor, Tensor]:
    """A feature map [N, C, H, W] for two uses, whose gradients are added as `elementwise` adds."""
    if not by_onednn(x):
        return x, x
    pixels = _channels_last(x)
    return _channels_first(pixels), _channels_first(pixels)


def concat(maps: Sequence[Tensor]) -> Tensor:
    """Feature maps [N, C, H, W] of one size, channel by channel; the channels stay last in memory."""
    if not by_onednn(maps[0]):
        return paddle.concat(list(maps), 1)
    return _channels_first(paddle.concat([_channels_last(one) for one in maps], 3))


def reflected(x: Tensor, width: int) -> Tensor:
    """x [N, C, H, W] with so many rows and columns on each side, mirrored at the border pixels, as H + 2 width."""
    if by_onednn(x):
        return differentiable.reflected(x, width)
    for axis in (2, 3):
        before = paddle.slice(x, [axis], [1], [width + 1])
        after = paddle.slice(x, [axis], [-1 - width], [-1])
        if width > 1:
            before, after = paddle.flip(before, [axis]), paddle.flip(after, [axis])
        x = paddle.concat([before, x, after], axis)
    return x


def move_towards(old: Tensor, new: Tensor, share: float) -> None:
    """Move `old` by a share of the way to `new`, in place; both of one shape and contiguous, without gradients."""
    if by_onednn(old) and old.is_contiguous() and new.is_contiguous():
        pointwise.move_towards(old, new, share)
    else:
        old.add_((new - old).scale_(share))  # half the time of Paddle's lerp_


def _channels_last(x: Tensor) -> Tensor:
    """[N, C, H, W] as [N, H, W, C], without a copy."""
    return x.transpose([0, 2, 3, 1])


def _channels_first(x: Tensor) -> Tensor:
    """[N, H, W, C] as [N, C, H, W], without a copy."""
    return x.transpose([0, 3, 1, 2])


def _as_images(x: Tensor) -> Tensor:
    """[N, C] as images of one pixel."""
    return x.reshape([*x.shape, 1, 1]) if x.ndim == 2 else x


def by_onednn(x: Tensor) -> bool:
    return paddle.in_dynamic_mode() and x.dtype == paddle.float32 and x.place.is_cpu_place() and available()
