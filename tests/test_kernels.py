"""Convolutions and norms by oneDNN against Paddle's own kernels in float64, with first and second gradients."""

import copy
import gc
import threading
import weakref
from functools import partial

import numpy as np
import paddle
import paddle.nn as nn
import paddle.nn.functional as F
import pytest
from conftest import train
from hypothesis import given, settings
from hypothesis import strategies as st

from paddle_gan.backend import contraction, dnnl, kernels, onednn, winograd
from paddle_gan.backend.adam import Adam
from paddle_gan.backend.computation import Role
from paddle_gan.backend.kernels import Computation, conv2d, conv2d_transpose, flatten
from paddle_gan.backend.precision import can_round
from paddle_gan.networks.activations import leaky_relu
from paddle_gan.networks.blocks import ConvBN
from paddle_gan.networks.layers import Conv2D, Conv2DTranspose, PixelShuffle, images_only, round_factors
from paddle_gan.networks.norms import BatchNorm, apart
from paddle_gan.training.log import read_metrics

pytestmark = pytest.mark.skipif(not dnnl.available(), reason="this build of Paddle contains no oneDNN")
# The other tests hold for the fallback too: run them with PADDLE_GAN_ONEDNN=0.
needs_onednn = pytest.mark.skipif(not kernels.available(), reason="PADDLE_GAN_ONEDNN=0")

# A result in float32 is rounded by up to this share of itself.
UNIT = 2.0**-24

# (images, filters, stride, padding): many channels, one channel in, few out, not square, uneven, 1x1, no padding.
GEOMETRIES = [
    ((2, 20, 9, 9), (18, 20, 5, 5), 1, (2, 2, 2, 2)),
    ((3, 1, 8, 8), (16, 1, 3, 3), 2, (1, 1, 1, 1)),
    ((2, 5, 8, 6), (1, 5, 5, 5), 1, (2, 1, 2, 3)),
    ((2, 17, 6, 6), (3, 17, 5, 5), 2, (2, 2, 2, 2)),
    ((2, 4, 10, 10), (7, 4, 3, 3), 1, (0, 0, 0, 0)),
    ((2, 16, 2, 2), (1, 16, 1, 1), 1, (0, 0, 0, 0)),
    ((2, 16, 7, 9), (17, 16, 6, 4), 2, (2, 1, 2, 2)),
    ((1, 2, 5, 5), (2, 2, 4, 4), 1, (1, 2, 2, 1)),
]


def native(x, w, bias, stride, padding):
    top, left, bottom, right = padding
    return F.conv2d(x, w, bias, stride, [top, bottom, left, right])


def native_transpose(y, w, bias, stride, padding, output_padding=0):
    top, left, bottom, right = padding
    return F.conv2d_transpose(y, w, bias, stride, [top, bottom, left, right], output_padding)


def penalty(function, x, w, weights):
    """Output, gradient in x, and the gradients of that gradient's norm: all that WGAN-GP asks of a convolution."""
    y = function(x, w)
    gradient = paddle.grad((F.leaky_relu(y, 0.2).square() * weights).sum(), x, create_graph=True)[0]
    return [y, gradient, *paddle.grad(gradient.square().sum().sqrt(), [x, w])]


def rounding(terms, operations=1):
    """Tolerance, relative to the largest value, for float32 sums of so many terms in whatever order.

    The rounding errors of n additions behave like a random walk of n steps, each up to UNIT of a partial sum: √n UNIT
    is about two standard deviations of the sum. Four times this is far beyond chance, and far below a wrong term.

    Args:
        terms: of the longest sum.
        operations: sums that follow on one another; their errors add up.
    """
    return 4 * operations * terms**0.5 * UNIT


def longest_sum(images, filters, outputs):
    """Number of terms in the longest sum of a convolution and its gradients: in outputs, images, filters."""
    _, _, rows, columns = filters
    return max(images[1] * rows * columns, filters[0] * rows * columns, outputs[0] * outputs[2] * outputs[3])


def agree(ours, theirs, tolerance):
    for mine, other in zip(ours, theirs, strict=True):
        other = other.numpy()
        np.testing.assert_allclose(mine.numpy(), other, rtol=0, atol=tolerance * np.abs(other).max())


def tensors(random, *shapes):
    """The same random values in float32 and in float64, which Paddle's own kernels compute."""
    values = [random.normal(size=shape).astype("float32") for shape in shapes]
    return [
        [paddle.to_tensor(value.astype(kind), stop_gradient=False) for value in values]
        for kind in ("float32", "float64")
    ]


@pytest.mark.parametrize(("images", "filters", "stride", "padding"), GEOMETRIES)
def test_convolution_with_first_and_second_gradients(images, filters, stride, padding):
    random = np.random.default_rng(0)
    single, double = tensors(random, images, filters)
    weights = paddle.to_tensor(random.normal(size=native(*double, None, stride, padding).shape))
    ours = penalty(lambda x, w: conv2d(x, w, None, stride, padding), *single, weights.astype("float32"))
    theirs = penalty(lambda x, w: native(x, w, None, stride, padding), *double, weights)
    # One behind the other: the output, its gradient, the gradient of that gradient.
    agree(ours, theirs, rounding(longest_sum(images, filters, weights.shape), operations=3))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    channels=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    size=st.tuples(st.integers(4, 12), st.integers(4, 12)),
    kernel=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    stride=st.integers(1, 3),
    padding=st.tuples(*[st.integers(0, 3)] * 4),
    batch=st.integers(1, 3),
)
def test_any_geometry(channels, size, kernel, stride, padding, batch):
    """Both kinds of convolution and their gradients."""
    top, left, bottom, right = padding
    if size[0] + top + bottom < kernel[0] or size[1] + left + right < kernel[1]:
        return
    random = np.random.default_rng(1)
    images, filters = (batch, channels[0], *size), (channels[1], channels[0], *kernel)
    single, double = tensors(random, images, filters)
    y, other = conv2d(*single, None, stride, padding), native(*double, None, stride, padding)
    weights = random.normal(size=other.shape).astype("float32")
    agree(
        [y, *paddle.grad(y, single, paddle.to_tensor(weights))],
        [other, *paddle.grad(other, double, paddle.to_tensor(weights.astype("float64")))],
        rounding(longest_sum(images, filters, weights.shape)),
    )
    y = paddle.to_tensor(weights, stop_gradient=False)
    theirs = [paddle.to_tensor(weights.astype("float64"), stop_gradient=False), double[1]]
    height = (weights.shape[2] - 1) * stride + kernel[0] - top - bottom
    width = (weights.shape[3] - 1) * stride + kernel[1] - left - right
    if min(height, width) < 1:
        return
    x, other = conv2d_transpose(y, single[1], None, stride, padding), native_transpose(*theirs, None, stride, padding)
    agree(
        [x, *paddle.grad(x.square().sum(), [y, single[1]])],
        [other, *paddle.grad(other.square().sum(), theirs)],
        rounding(longest_sum(x.shape, filters, weights.shape), operations=2),
    )


@pytest.mark.parametrize(("channels", "outputs", "free"), [(32, 16, 1), (27, 16, 3), (32, 1, 3), (32, 20, 3)])
def test_onednn_chooses_the_layout_of_channels_that_leave_a_remainder(channels, outputs, free, monkeypatch):
    """In channels-last layouts its gradient in the filters wrote outside its memory, such as 27 to 1, 3x3, stride 3."""
    chosen = []
    original = onednn.any_layout_descriptor
    monkeypatch.setattr(onednn, "any_layout_descriptor", lambda *given: chosen.append(original(*given)) or chosen[-1])
    told = []
    describe = dnnl.memory_descriptor
    monkeypatch.setattr(onednn, "memory_descriptor", lambda *given: told.append(given[0]) or describe(*given))
    geometry = onednn.Geometry(
        (5, channels, 6, 10), (outputs, channels, 3, 3), 3, (2, 0, 0, 1)
    )  # of no other test: plans are kept
    onednn.filter_gradient(paddle.randn(geometry.images), paddle.randn(geometry.outputs), geometry, "float32")
    assert len(chosen) == 3 and len(told) == 3 - free


@pytest.mark.parametrize(
    ("padding", "kernel", "stride"),
    [
        ("same", 3, 1),
        ("same", 4, 1),
        ("same", 1, 1),
        ("same", (1, 5), 1),
        ("valid", 5, 2),
        ("valid", 1, 1),
        (1, 4, 1),
        (1, 3, 2),
    ],
)
def test_layer_is_paddles(padding, kernel, stride):
    """Parameters, their names and numbers, bias included."""
    paddle.seed(0)
    ours = Conv2D(4, 6, kernel, stride, padding=padding)
    paddle.seed(0)
    theirs = nn.Conv2D(4, 6, kernel, stride, padding=padding.upper() if isinstance(padding, str) else padding)
    theirs.set_state_dict(ours.state_dict())
    ours.bias.set_value(paddle.randn([6]))
    theirs.bias.set_value(ours.bias)
    x = paddle.randn([2, 4, 9, 9])
    assert list(ours.state_dict()) == list(theirs.state_dict())
    rows, columns = ours.weight.shape[2:]
    agree([ours(x)], [theirs(x)], 2 * rounding(4 * rows * columns + 1))  # both round


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "padding", "more"),
    [(1, 6, 2, 2, 0), (3, 6, 2, 2, 0), (2, 6, 3, 0, 0), (3, 3, 2, 1, 1), (5, 5, 2, 2, 1), (4, 3, 1, 0, 0)],
)
def test_transposed_layer_is_paddles(channels, kernel, stride, padding, more):
    """Also the gradients in images, filters and bias."""
    ours = Conv2DTranspose(8, channels, kernel, stride, padding=padding, output_padding=more)
    theirs = nn.Conv2DTranspose(8, channels, kernel, stride, padding=padding, output_padding=more)
    ours.bias.set_value(paddle.randn([channels]))
    theirs.set_state_dict(ours.state_dict())
    x = paddle.randn([3, 8, 7, 9])
    x.stop_gradient = False
    values = []
    for layer in (ours, theirs):
        y = layer(x)
        values.append([y, *paddle.grad(y.square().sum(), [x, layer.weight, layer.bias])])
    longest = max(8 * kernel**2 + 1, 3 * y.shape[2] * y.shape[3])
    agree(*values, 2 * rounding(longest, operations=2))  # both round


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_leaky_relu_with_first_and_second_gradients(slope):
    single, double = tensors(np.random.default_rng(4), (3, 5), (3, 5))

    def values(function, x, w):
        y = function(x * w, slope)
        gradient = paddle.grad((y.pow(3) * w).sum(), x, create_graph=True)[0]
        return [y, gradient, *paddle.grad(gradient.square().sum(), [x, w])]

    # At most ten products and one sum of 15, one behind the other.
    agree(values(kernels.leaky_relu, *single), values(F.leaky_relu, *double), 10 * UNIT + rounding(15))


@pytest.mark.parametrize("channels", [1, 3, 20])
def test_a_gradient_in_filters_is_contiguous(channels):
    """Paddle's scaler of losses would mix up the values of another one."""
    x, w = paddle.randn([2, channels, 8, 8]), paddle.randn([16, channels, 3, 3])
    w.stop_gradient = False
    assert paddle.grad(conv2d(x, w, None, 2, (1, 1, 1, 1)).sum(), w)[0].is_contiguous()


@needs_onednn
@pytest.mark.parametrize("winograds", [False, True], ids=["direct", "winograd"])
@pytest.mark.parametrize("biased", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("geometry", [*GEOMETRIES, ((2, 32, 9, 9), (16, 32, 3, 3), 1, (1, 1, 1, 1))])
def test_a_leaky_relu_within_a_convolution(geometry, slope, biased, winograds, monkeypatch):
    """By each algorithm of the convolution, with first and second gradients, in all that it is given."""
    images, filters, stride, padding = geometry
    possible = {((3, 3), 1), ((5, 5), 1)} if winograds else set()
    monkeypatch.setattr(winograd, "is_faster", lambda given: (given.filters[2:], given.stride) in possible)
    single, double = tensors(np.random.default_rng(12), images, filters, (filters[0],))

    def values(y, given):
        gradient = paddle.grad(y.pow(3).sum(), given[0], create_graph=True)[0]
        return [y, gradient, *paddle.grad(gradient.square().sum(), given[: 2 + biased])]

    y = conv2d(*single[:2], single[2] if biased else None, stride, padding, slope)
    other = F.leaky_relu(native(*double[:2], double[2] if biased else None, stride, padding), slope)
    # As without it; a third power makes a relative error three times as large, Winograd's method about five times.
    tolerance = 3 * rounding(longest_sum(images, filters, y.shape), operations=6) * (5 if winograds else 1)
    agree(values(y, single), values(other, double), tolerance)


@needs_onednn
@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_gradient_of_leaky_relu_at_zero(slope):
    """It is the slope; for Paddle's own it is 1, unless the slope is 0. Each is a subgradient."""
    zero = paddle.zeros([1])
    zero.stop_gradient = False
    assert paddle.grad(kernels.leaky_relu(zero, slope), zero)[0].item() == pytest.approx(slope, rel=UNIT, abs=0)


@pytest.mark.parametrize("order", ["contiguous", "channels-last"])
def test_gradient_of_a_bias(order):
    """First and second, from gradients in either layout."""
    place = channels_last if order == "channels-last" else paddle.clone
    single, double = tensors(np.random.default_rng(11), (3, 6, 5, 4), (7, 6, 3, 3), (7,))

    def values(y, given):
        first = paddle.grad(y.pow(3).sum(), given[2], create_graph=True)[0]
        return [first, *paddle.grad(first.square().sum(), given)]

    ours = values(place(conv2d(single[0], single[1], single[2], 1, (1, 1, 1, 1))), single)
    theirs = values(native(double[0], double[1], double[2], 1, (1, 1, 1, 1)), double)
    # One behind the other: the output, its third power, the sum over 60 pixels, and the way back through all three.
    agree(ours, theirs, rounding(7 * 3 * 3, operations=6))


def test_images_with_any_other_strides():
    x, w = paddle.randn([2, 6, 6, 4]), paddle.randn([5, 4, 3, 3])
    seen = x.transpose([0, 3, 1, 2])
    np.testing.assert_array_equal(conv2d(seen, w).numpy(), conv2d(paddle.to_tensor(seen.numpy()), w).numpy())


# 3×3 and 5×5, several parts of the batch and of the channels, tiles larger than the outputs, padding on one side.
WINOGRAD = [
    ((3, 20, 9, 14), (24, 20, 3, 3), (1, 1, 1, 1)),
    ((2, 17, 10, 10), (33, 17, 5, 5), (2, 2, 2, 2)),
    ((5, 6, 8, 7), (7, 6, 3, 3), (0, 2, 1, 0)),
    ((2, 5, 6, 6), (4, 5, 5, 5), (0, 0, 0, 0)),
]


@pytest.mark.parametrize("part", [winograd._PART, 1000])
@pytest.mark.parametrize("order", ["contiguous", "channels-last"])
@pytest.mark.parametrize(("images", "filters", "padding"), WINOGRAD)
def test_winograd_against_the_direct_sum(images, filters, padding, order, part, monkeypatch):
    monkeypatch.setattr(winograd, "_PART", part)
    geometry, random = onednn.Geometry(images, filters, 1, padding), np.random.default_rng(7)
    place = channels_last if order == "channels-last" else paddle.clone
    (x, w, dy), (x64, w64, dy64) = tensors(random, images, filters, geometry.outputs)
    y = native(x64, w64, None, 1, padding)
    made = [
        winograd.convolve(place(x), w, geometry),
        winograd.image_gradient(place(dy), w, geometry),
        winograd.filter_gradient(place(x), place(dy), geometry),
    ]
    # Rounded in the tiles, the filters, the products and the outputs. The matrices for 5x5 contain numbers up to 21/4.
    agree(made, [y, *paddle.grad(y, [x64, w64], dy64)], 2 * rounding(longest_sum(images, filters, y.shape), 4))


@pytest.mark.parametrize(("taps", "ratio"), [(3, 2.7), (5, 4.9)])
def test_winograd_errs_little_more_than_the_direct_sum(taps, ratio):
    """Root mean square of the error, relative to that of the result, against a direct sum in theory.

    A rounding errs by 0.42 UNIT in the root mean square. After n additions of independent terms with mean 0 these are
    0.42 UNIT √(n/2) of the result, whatever the processor.
    """
    random = np.random.default_rng(8)
    (x, w), (x64, w64) = tensors(random, (4, 128, 16, 16), (128, 128, taps, taps))
    padding = (taps // 2,) * 4
    geometry = onednn.Geometry((4, 128, 16, 16), (128, 128, taps, taps), 1, padding)
    exact = native(x64, w64, None, 1, padding).numpy()

    def error(y):
        return np.sqrt(np.mean((y.numpy() - exact) ** 2) / np.mean(exact**2))

    direct = 0.42 * UNIT * (128 * taps**2 / 2) ** 0.5
    # A processor may add in several accumulators, and may round products before it adds them: a factor of 1.5.
    assert 1 / 1.5 < error(winograd.convolve(x, w, geometry)) / direct / ratio < 1.5
    assert error(onednn.convolve(x, w, None, geometry, "float32")) / direct < 1.5


@needs_onednn
def test_winograd_is_taken_where_it_saves_two_thirds(monkeypatch):
    """For the convolution and both gradients; not with strides, few channels, little work or bfloat16."""
    taken = []
    for name in ("convolve", "image_gradient", "filter_gradient"):
        original = getattr(winograd, name)
        monkeypatch.setattr(winograd, name, lambda *given, f=original, name=name: taken.append(name) or f(*given))

    def by_winograd(images, filters, stride=1, factors="float32"):
        taken.clear()
        (x, w), _ = tensors(np.random.default_rng(9), images, filters)
        conv2d(x, w, None, stride, (2, 2, 2, 2), computation=Computation(factors=factors)).sum().backward()
        return taken

    large = (2, 128, 32, 32), (128, 128, 5, 5)
    assert by_winograd(*large) == ["convolve", "image_gradient", "filter_gradient"]
    assert by_winograd(*large, stride=2) == []
    assert by_winograd((2, 128, 8, 8), (128, 128, 5, 5)) == []
    assert by_winograd((2, 16, 64, 64), (128, 16, 5, 5)) == []
    assert by_winograd((2, 128, 32, 32), (128, 128, 4, 4)) == []
    if can_round():
        assert by_winograd(*large, factors="bfloat16") == []


def channels_last(x):
    """The same values in the layout in which the kernels return feature maps."""
    return x.transpose([0, 2, 3, 1]).contiguous().transpose([0, 3, 1, 2])


def plain_norm(x, scale, shift, epsilon, parts, slope):
    """Batch normalisation of each part, made of Paddle's simplest operations."""
    made = []
    for part in paddle.chunk(x, parts):
        centred = part - part.mean([0, 2, 3], keepdim=True)
        inverse = paddle.rsqrt(centred.square().mean([0, 2, 3], keepdim=True) + epsilon)
        y = centred * inverse * scale.reshape([1, -1, 1, 1]) + shift.reshape([1, -1, 1, 1])
        made.append(y if slope is None else paddle.where(y > 0, y, slope * y))
    return paddle.stack(made).reshape(x.shape)


@needs_onednn
@pytest.mark.parametrize("slope", [None, 0.0, 0.2])
@pytest.mark.parametrize(
    ("shape", "parts"), [((6, 20, 5, 4), 1), ((6, 17, 3, 3), 2), ((8, 2, 4, 4), 2), ((12, 5, 1, 2), 3)]
)
@pytest.mark.parametrize("order", [paddle.clone, channels_last], ids=["contiguous", "channels-last"])
def test_batch_norm_with_first_and_second_gradients(shape, parts, slope, order):
    random = np.random.default_rng(5)
    channels = shape[1:2]
    single, double = tensors(random, shape, channels, channels)
    weights = random.normal(size=shape)

    def values(function, x, scale, shift):
        y = function(x, scale, shift)
        loss = (y.pow(3) * paddle.to_tensor(weights.astype(y.numpy().dtype))).sum()
        first = paddle.grad(loss, [x, scale, shift], retain_graph=True)
        gradient = paddle.grad(loss, x, create_graph=True)[0]
        return [y, *first, gradient, *paddle.grad(gradient.square().sum(), [x, scale, shift])]

    def ours(x, scale, shift):
        y, statistics = kernels.batch_norm(order(x), scale, shift, 1e-3, parts, slope)
        for (mean, variance), part in zip(zip(*statistics, strict=True), paddle.chunk(x, parts), strict=True):
            exact, terms = part.numpy().astype("float64"), part.size // part.shape[1]
            np.testing.assert_allclose(mean.numpy(), exact.mean((0, 2, 3)), rtol=0, atol=rounding(terms))
            np.testing.assert_allclose(variance.numpy(), exact.var((0, 2, 3)), rtol=rounding(terms, operations=2))
        return y

    # One behind the other: mean, variance, output, loss, and the way back through each of them, twice.
    terms = single[0].size // shape[1]
    theirs = values(lambda *given: plain_norm(*given, 1e-3, parts, slope), *double)
    agree(values(ours, *single), theirs, rounding(terms, operations=12))


@pytest.mark.parametrize("shape", [(8, 20, 5, 6), (8, 3, 4, 4), (16, 20)])
def test_norm_layer_is_paddles(shape):
    """Parameters, running statistics, and what it does in evaluation mode."""
    ours, theirs = BatchNorm(shape[1], momentum=0.8), nn.BatchNorm(shape[1], momentum=0.8)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for _ in range(2):
        x = paddle.randn(shape) * 3 + 1
        np.testing.assert_allclose(ours(x).numpy(), theirs(x).numpy(), atol=1e-5)
    for mine, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-5)
    ours.eval(), theirs.eval()
    for recorded in (True, False):  # without gradients oneDNN does it
        with paddle.set_grad_enabled(recorded):
            np.testing.assert_allclose(ours(x).numpy(), theirs(x).numpy(), atol=1e-5)
            np.testing.assert_allclose(ours(x, leaky_relu).numpy(), F.leaky_relu(theirs(x), 0.2).numpy(), atol=1e-5)
            np.testing.assert_allclose(ours(x, paddle.tanh).numpy(), paddle.tanh(theirs(x)).numpy(), atol=1e-5)


def test_batches_apart_are_normalised_as_one_after_the_other():
    together, alone = BatchNorm(6), BatchNorm(6)
    first, second = paddle.randn([4, 6, 3, 3]), paddle.randn([4, 6, 3, 3]) + 2
    with apart(together, 2):
        y = together(paddle.concat([first, second]), leaky_relu)
    separate = [alone(first, leaky_relu), alone(second, leaky_relu)]
    np.testing.assert_array_equal(y.numpy(), paddle.concat(separate).numpy())
    for mine, other in zip(together.state_dict().values(), alone.state_dict().values(), strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
    assert not np.allclose(together(paddle.concat([first, second])).numpy(), y.numpy())  # again one batch


def test_a_norm_does_not_keep_its_own_graph_alive():
    """If it saved its result itself for the backward pass, the graph would never be freed."""

    class Held(np.ndarray):
        pass

    norm, x = BatchNorm(4), paddle.randn([2, 4, 3, 3])
    x.stop_gradient = False
    held = Held((1,))
    gone = weakref.ref(held)
    y = norm(x, leaky_relu)
    y.register_hook(lambda gradient, held=held: None)
    del y, held
    gc.collect()
    assert gone() is None


def test_a_leaky_relu_does_not_keep_its_own_graph_alive_either():
    class Held(np.ndarray):
        pass

    x = paddle.randn([2, 4, 3, 3])
    x.stop_gradient = False
    held = Held((1,))
    gone = weakref.ref(held)
    y = leaky_relu(x)
    y.register_hook(lambda gradient, held=held: None)
    del y, held
    gc.collect()
    assert gone() is None


def test_nor_does_one_within_a_convolution():
    class Held(np.ndarray):
        pass

    x, held = paddle.randn([2, 4, 3, 3]), Held((1,))
    x.stop_gradient = False
    gone = weakref.ref(held)
    y = ConvBN(4, 5, 3, norm=None)(x)
    y.register_hook(lambda gradient, held=held: None)
    del y, held
    gc.collect()
    assert gone() is None


@needs_onednn
def test_of_a_leaky_relu_only_the_output_is_kept_for_the_backward_pass():
    """The next layer keeps the output in any case."""
    weights = paddle.randn([64, 64, 16, 16])
    weights.stop_gradient = False
    held = partial(paddle.base.core.host_memory_stat_current_value, "Allocated", 0)
    before = held()
    x = weights * 2.0  # a product with a number keeps nothing
    y = leaky_relu(x)
    del x
    assert weights.size * 4 <= held() - before < 1.5 * weights.size * 4
    y.sum().backward()
    np.testing.assert_array_equal(weights.grad.numpy(), np.where(weights.numpy() > 0, 2, np.float32(0.2) * 2))


@needs_onednn
@pytest.mark.parametrize(("shape", "factor"), [((2, 36, 5, 6), 3), ((3, 16, 4, 4), 2), ((2, 64, 3, 2), 4)])
@pytest.mark.parametrize("order", [paddle.clone, channels_last], ids=["contiguous", "channels-last"])
def test_pixel_shuffle_with_first_and_second_gradients(shape, factor, order):
    single, double = tensors(np.random.default_rng(6), shape)

    def values(function, x):
        y = function(x)
        gradient = paddle.grad(y.pow(3).sum(), x, create_graph=True)[0]
        return [y, gradient, *paddle.grad(gradient.square().sum(), x)]

    def squares(x):
        n, c, h, w = x.shape
        parts = x.reshape([n, c // factor**2, factor, factor, h, w]).transpose([0, 1, 4, 2, 5, 3])
        return parts.reshape([n, c // factor**2, h * factor, w * factor])

    layer = PixelShuffle(factor)
    agree(values(lambda x: layer(order(x)), *single), values(squares, *double), 1e-6)
    np.testing.assert_array_equal(layer(single[0]).numpy(), F.pixel_shuffle(single[0], factor).numpy())


@pytest.mark.parametrize("order", [paddle.clone, channels_last], ids=["contiguous", "channels-last"])
def test_flatten_with_first_and_second_gradients(order):
    x = paddle.randn([3, 5, 2, 4])
    x.stop_gradient = False
    y = flatten(order(x))
    np.testing.assert_array_equal(y.numpy(), x.numpy().reshape(3, 40))
    gradient = paddle.grad(y.pow(3).sum(), x, create_graph=True)[0]
    np.testing.assert_allclose(gradient.numpy(), 3 * x.numpy() ** 2, rtol=1e-6)
    second = paddle.grad(gradient.sum(), x)[0]
    np.testing.assert_allclose(second.numpy(), 6 * x.numpy(), rtol=1e-6)


@needs_onednn
def test_feature_maps_stay_channels_last():
    """Nothing is reordered between two layers, neither forward nor backward."""
    x, seen = paddle.randn([2, 1, 8, 8]), []
    layers = nn.Sequential(Conv2D(1, 16, 3, 2, padding=1), BatchNorm(16), Conv2D(16, 32, 3, padding=1))
    for layer in layers:
        layer.register_forward_post_hook(lambda _, __, y: seen.append(y.strides[1]) or None)
        layer.register_forward_post_hook(lambda _, __, y: y.register_hook(lambda g: seen.append(g.strides[1])) and None)
    flatten(layers(x)).sum().backward()
    # Only the gradient that comes from `flatten` is contiguous: a channel has 16 pixels.
    assert seen == [1, 1, 1, 16, 1, 1]


@needs_onednn
def test_gradients_are_computed_only_where_they_are_asked_for(monkeypatch):
    computed = []
    original = contraction.contract_without_gradients

    def recording(given, *rest):
        computed.append(set(given))
        return original(given, *rest)

    monkeypatch.setattr(contraction, "contract_without_gradients", recording)
    x, w, layer = paddle.randn([1, 4, 6, 6]), paddle.randn([8, 4, 3, 3]), Computation()
    forward, in_images, in_filters = (
        {Role.IMAGES, Role.FILTERS},
        {Role.OUTPUTS, Role.FILTERS},
        {Role.IMAGES, Role.OUTPUTS},
    )

    def backward(needs_x, needs_w, gradient):
        x.stop_gradient, w.stop_gradient = not needs_x, not needs_w
        loss = conv2d(x, w, computation=layer).square().sum()
        assert computed == [forward]
        computed.clear()
        gradient(loss)
        made = list(computed)
        computed.clear()
        return made

    def both(made):
        return len(made) == 2 and in_images in made and in_filters in made

    assert backward(False, True, lambda loss: loss.backward()) == [in_filters]
    assert backward(True, False, lambda loss: loss.backward()) == [in_images]
    assert both(backward(True, True, lambda loss: loss.backward()))
    layer.weight_gradients = False
    assert backward(True, True, lambda loss: paddle.grad(loss, x)) == [in_images]
    layer.weight_gradients = True
    assert both(backward(True, True, lambda loss: paddle.grad(loss, x)))  # why the flag is there


class Critic(nn.Layer):
    """Layers of all kinds that own a `Computation`, with smooth activations."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            ConvBN(2, 5, 3, padding="same", activation=paddle.tanh, bias=True),
            Conv2DTranspose(5, 4, 4, 2, padding=1),
            nn.Tanh(),
            Conv2D(4, 1, 3, 2, padding=1),
        )

    def forward(self, x):
        return self.layers(x)


def critic(seed):
    """With weights from this seed."""
    made, random = Critic(), np.random.default_rng(seed)
    for parameter in made.parameters():
        if not parameter.stop_gradient:
            parameter.set_value(random.normal(size=parameter.shape).astype("float32") / 2)
    return made


def penalty_gradients(network, x, within):
    """Gradients, in all weights, of a loss with a gradient penalty whose first gradient is taken under `within`."""
    weights = [parameter for parameter in network.parameters() if not parameter.stop_gradient]
    x = x.clone().detach()
    x.stop_gradient = False
    y = network(x)
    with within:
        gradient = paddle.grad(y.sum(), x, create_graph=True)[0]
    loss = gradient.square().sum() + y.square().sum()
    made = paddle.grad(loss, weights, allow_unused=True)
    return [None if one is None else one.numpy() for one in made]


@needs_onednn
def test_images_only_leaves_out_gradients_in_weights_within_and_no_others_after_it():
    """Bit for bit: the same operations make all that is asked for."""
    network, x = critic(0), paddle.randn([3, 2, 6, 6])
    computations = [part.computation for part in network.sublayers() if hasattr(part, "computation")]
    assert len(computations) == 4 and all(one.weight_gradients for one in computations)
    expected = penalty_gradients(network, x, images_only(None))  # no layer: nothing happens
    network = critic(0)
    for mine, other in zip(penalty_gradients(network, x, images_only(network)), expected, strict=True):
        np.testing.assert_array_equal(mine, other)
    with images_only(network):
        y = network(x)
        weights = network.layers[3].weight
        assert paddle.grad(y.sum(), weights, allow_unused=True, retain_graph=True)[0] is None
    assert paddle.grad(y.sum(), weights)[0].abs().max().item() > 0  # through the same graph


def test_images_only_restores_what_was_before_it():
    network = critic(0)
    computations = [part.computation for part in network.sublayers() if hasattr(part, "computation")]
    computations[1].weight_gradients = False
    with pytest.raises(KeyError), images_only(network):
        with images_only(network):
            pass
        assert not any(one.weight_gradients for one in computations)
        raise KeyError
    assert [one.weight_gradients for one in computations] == [True, False, True, True]


def test_copies_of_a_network_have_computations_of_their_own():
    network = critic(0)
    round_factors(network, "bfloat16")
    copied = copy.deepcopy(network)
    ours, theirs = (
        [part.computation for part in n.sublayers() if hasattr(part, "computation")] for n in (network, copied)
    )
    assert theirs == [Computation(factors="bfloat16")] * 4
    round_factors(copied, "float32")
    with images_only(copied):
        assert ours == [Computation(factors="bfloat16")] * 4
        assert theirs == [Computation(weight_gradients=False)] * 4
    assert theirs == [Computation()] * 4
    assert len({id(one) for one in [*ours, *theirs]}) == 8


@needs_onednn
def test_two_threads_do_not_disturb_each_other():
    """One computes a penalty within `images_only`, the other asks for gradients in weights meanwhile; bit for bit."""
    first, second, x = critic(1), critic(2), paddle.randn([3, 2, 6, 6])
    inside, done = threading.Event(), threading.Event()
    made, failed = {}, []

    def penalised():
        with images_only(first):
            y = first(x)
            inside.set()
            assert done.wait(60)
            in_weights = paddle.grad(y.sum(), first.layers[3].weight, allow_unused=True, retain_graph=True)[0]
        made["within"] = in_weights
        made["after"] = paddle.grad(y.sum(), first.layers[3].weight)[0].numpy()

    def plain():
        assert inside.wait(60)
        made["other"] = penalty_gradients(second, x, images_only(None))
        done.set()

    def caught(action):
        try:
            action()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=caught, args=[action]) for action in (penalised, plain)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == []
    assert made["within"] is None
    first = critic(1)
    np.testing.assert_array_equal(made["after"], paddle.grad(first(x).sum(), first.layers[3].weight)[0].numpy())
    expected = penalty_gradients(critic(2), x, images_only(None))
    for mine, other in zip(made["other"], expected, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.skipif(not can_round(), reason="oneDNN has no bfloat16 convolution on this processor, or is turned off")
def test_bfloat16_rounds_the_factors_only():
    """In the convolution and, after it, in both gradients: against factors that were rounded before, in float64."""
    (x, w), _ = tensors(np.random.default_rng(3), (2, 32, 8, 8), (32, 32, 3, 3))
    layer = Computation(factors="bfloat16")
    y = conv2d(x, w, computation=layer)
    factors = [tensor.detach().astype("bfloat16").astype("float64") for tensor in (x, w, paddle.randn(y.shape))]
    for tensor in factors:
        tensor.stop_gradient = False
    exact = F.conv2d(*factors[:2])
    made = [y, *paddle.grad(y, [x, w], factors[2].detach().astype("float32"), retain_graph=True)]
    terms = [32 * 3 * 3, 32 * 3 * 3, 2 * 6 * 6]
    for mine, other, n in zip(made, [exact, *paddle.grad(exact, factors[:2], factors[2])], terms, strict=True):
        # Products of rounded factors are exact in float32. Their sum, of magnitude √n, is rounded, and so is the result
        # on its way to float32, to the 8 bits of a bfloat16.
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=2**-8, atol=rounding(n) * n**0.5)
    # A rounding to 8 bits errs by 0.42 · 2⁻⁸ in the root mean square. There are three: of two factors and the result.
    error = (y - conv2d(x, w)).square().mean().sqrt().item() / exact.square().mean().sqrt().item()
    assert error == pytest.approx(3**0.5 * 0.42 * 2**-8, rel=0.1)


def test_without_onednn_paddles_own_kernels_do_the_work(tmp_path, monkeypatch):
    """A notice says so, and another one that a run continues with oneDNN; the losses agree."""
    monkeypatch.setenv("PADDLE_GAN_ONEDNN", "0")
    done = train(tmp_path / "run", "--steps", 2, "--log-every", 1)
    assert "notice: convolutions run on Paddle's own kernels, about half as fast" in done.stdout
    native = read_metrics(tmp_path / "run" / "metrics.jsonl", 2)
    monkeypatch.delenv("PADDLE_GAN_ONEDNN")
    done = train(tmp_path / "run", "--steps", 3, "--log-every", 1)
    assert "Paddle's own kernels" not in done.stdout
    assert f"convolutions Paddle -> oneDNN {dnnl.version()}" in done.stdout
    train(tmp_path / "other", "--steps", 2, "--log-every", 1)
    for mine, other in zip(native, read_metrics(tmp_path / "other" / "metrics.jsonl", 2), strict=True):
        assert mine["loss/discriminator"] == pytest.approx(other["loss/discriminator"], rel=1e-4)


# --- Adam ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("beta1", "beta2"), [(0.0, 0.9), (0.5, 0.999)])
def test_adam_is_that_of_the_paper_with_the_state_of_paddles(beta1, beta2):
    """Algorithm 1 of Kingma and Ba 2015 in float64, for a large tensor and for one that is left to Paddle."""
    random, rate, epsilon = np.random.default_rng(0), 1e-2, 1e-8
    shapes = {"large": [64, 32, 8, 8], "small": [5, 3]}
    values = {name: random.normal(size=shape).astype("float32") for name, shape in shapes.items()}
    parameters = [paddle.create_parameter(shape, "float32") for shape in shapes.values()]
    for parameter, value in zip(parameters, values.values(), strict=True):
        parameter.set_value(value)
    ours = Adam(rate, beta1, beta2, epsilon, parameters=parameters)
    exact = {name: value.astype("float64") for name, value in values.items()}
    moments = {name: (np.zeros(shape), np.zeros(shape)) for name, shape in shapes.items()}
    sizes = {name: np.zeros(shape) for name, shape in shapes.items()}  # of the terms of m, which may cancel
    for t in range(1, 5):
        for parameter, (name, shape) in zip(parameters, shapes.items(), strict=True):
            gradient = random.normal(size=shape).astype("float32") * 10.0 ** random.integers(-6, 3, shape)
            parameter.grad = paddle.to_tensor(gradient.astype("float32"))
            g, (m, v) = gradient.astype("float32").astype("float64"), moments[name]
            m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
            exact[name] -= rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)
            moments[name] = m, v
            sizes[name] = beta1 * sizes[name] + (1 - beta1) * np.abs(g)
        ours.step()
    state = ours.state_dict()
    for parameter, (name, (m, v)) in zip(parameters, moments.items(), strict=True):
        np.testing.assert_allclose(parameter.numpy(), exact[name], rtol=2e-6, atol=2e-6)
        assert (np.abs(state[f"{parameter.name}_moment1_0"].numpy() - m) <= 1e-6 * sizes[name] + 1e-12).all()
        rounding = 5e-5  # Paddle rounds β2 to float32 before it takes 1 - β2
        np.testing.assert_allclose(state[f"{parameter.name}_moment2_0"].numpy(), v, rtol=rounding, atol=1e-12)
        for power, beta in (("beta1", beta1), ("beta2", beta2)):
            assert state[f"{parameter.name}_{power}_pow_acc_0"].item() == pytest.approx(beta**5, rel=1e-6)
    theirs = paddle.optimizer.Adam(rate, beta1, beta2, epsilon, parameters=parameters)
    theirs.set_state_dict(state)  # nothing is missing, and nothing is left over
    assert theirs.state_dict().keys() == state.keys()


def test_adam_with_a_number_that_changes_is_paddles(monkeypatch):
    """Each value of it would need operations of its own."""
    parameter = paddle.create_parameter([2**16], "float32")
    optimizer, made = Adam(1e-3, 0.5, 0.99, parameters=[parameter]), []
    monkeypatch.setattr("paddle_gan.backend.adam._step", lambda *numbers: made.append(numbers))
    parameter.grad = paddle.ones([2**16])
    optimizer._beta2 = 0.98  # as `training.schedule` does
    before = parameter.numpy()
    optimizer.step()
    assert not made and (parameter.numpy() != before).all()
