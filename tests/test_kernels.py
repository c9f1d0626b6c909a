"""Convolutions through oneDNN against Paddle's own in float64, first and second gradients included."""

import numpy as np
import paddle
import paddle.nn as nn
import paddle.nn.functional as F
import pytest
from conftest import train
from hypothesis import given, settings
from hypothesis import strategies as st

from paddle_gan import dnnl, kernels
from paddle_gan.blocks import Conv2D, Conv2DTranspose
from paddle_gan.callbacks import read_metrics
from paddle_gan.kernels import conv2d, conv2d_transpose, no_weight_gradients, set_precision

pytestmark = pytest.mark.skipif(not dnnl.available(), reason="this build of Paddle brings no oneDNN along")

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
    agree(ours, theirs, 2e-6)


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
    single, double = tensors(random, (batch, channels[0], *size), (channels[1], channels[0], *kernel))
    y, other = conv2d(*single, None, stride, padding), native(*double, None, stride, padding)
    weights = random.normal(size=other.shape).astype("float32")
    agree(
        [y, *paddle.grad(y, single, paddle.to_tensor(weights))],
        [other, *paddle.grad(other, double, paddle.to_tensor(weights.astype("float64")))],
        2e-6,
    )
    y = paddle.to_tensor(weights, stop_gradient=False)
    theirs = [paddle.to_tensor(weights.astype("float64"), stop_gradient=False), double[1]]
    if min((n - 1) * stride + k - p for n, k, p in zip(weights.shape[2:], kernel, (top + bottom, left + right))) < 1:
        return
    x, other = conv2d_transpose(y, single[1], None, stride, padding), native_transpose(*theirs, None, stride, padding)
    agree(
        [x, *paddle.grad(x.square().sum(), [y, single[1]])], [other, *paddle.grad(other.square().sum(), theirs)], 4e-6
    )


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
    np.testing.assert_allclose(ours(x).numpy(), theirs(x).numpy(), atol=2e-5)


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "padding", "more"), [(1, 6, 2, 2, 0), (5, 5, 2, 2, 1), (4, 3, 1, 0, 0)]
)
def test_transposed_layer_is_paddles(channels, kernel, stride, padding, more):
    ours = Conv2DTranspose(8, channels, kernel, stride, padding=padding, output_padding=more)
    theirs = nn.Conv2DTranspose(8, channels, kernel, stride, padding=padding, output_padding=more)
    theirs.set_state_dict(ours.state_dict())
    x = paddle.randn([3, 8, 7, 7])
    np.testing.assert_allclose(ours(x).numpy(), theirs(x).numpy(), atol=2e-5)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_leaky_relu_with_first_and_second_gradients(slope):
    single, double = tensors(np.random.default_rng(4), (3, 5), (3, 5))

    def values(function, x, w):
        y = function(x * w, slope)
        gradient = paddle.grad((y.pow(3) * w).sum(), x, create_graph=True)[0]
        return [y, gradient, *paddle.grad(gradient.square().sum(), [x, w])]

    agree(values(kernels.leaky_relu, *single), values(F.leaky_relu, *double), 1e-6)
    zero = paddle.zeros([1])
    zero.stop_gradient = False
    assert paddle.grad(kernels.leaky_relu(zero, slope), zero)[0].item() == pytest.approx(slope)  # as Paddle has it


def test_values_that_do_not_lie_in_a_row():
    x, w = paddle.randn([2, 6, 6, 4]), paddle.randn([5, 4, 3, 3])
    seen = x.transpose([0, 3, 1, 2])
    np.testing.assert_array_equal(conv2d(seen, w).numpy(), conv2d(paddle.to_tensor(seen.numpy()), w).numpy())


def test_gradients_are_computed_only_where_they_are_asked_for(monkeypatch):
    computed = []
    original = kernels._computed

    def counting(given, geometry):
        computed.append("".join(sorted(given)))
        return original(given, geometry)

    monkeypatch.setattr(kernels, "_computed", counting)
    x, w = paddle.randn([1, 4, 6, 6]), paddle.randn([8, 4, 3, 3])

    def of(needs_x, needs_w, grad):
        computed.clear()
        x.stop_gradient, w.stop_gradient = not needs_x, not needs_w
        grad(conv2d(x, w).square().sum())
        return sorted(computed)

    assert of(False, True, lambda loss: loss.backward()) == ["wx", "xy"]
    assert of(True, False, lambda loss: loss.backward()) == ["wx", "wy"]
    assert of(True, True, lambda loss: loss.backward()) == ["wx", "wy", "xy"]
    with no_weight_gradients():
        assert of(True, True, lambda loss: paddle.grad(loss, x)) == ["wx", "wy"]


def test_no_weight_gradients_within_and_second_ones_after_it():
    single, double = tensors(np.random.default_rng(2), (2, 4, 6, 6), (1, 4, 3, 3))
    with no_weight_gradients():
        gradient = paddle.grad(conv2d(*single).pow(3).sum(), single[0], create_graph=True)[0]
    other = paddle.grad(F.conv2d(*double).pow(3).sum(), double[0], create_graph=True)[0]
    agree(
        [gradient, *paddle.grad(gradient.square().sum(), single)],
        [other, *paddle.grad(other.square().sum(), double)],
        2e-6,
    )


def test_bfloat16_rounds_the_factors_only():
    """Against the same product of factors that were rounded beforehand."""
    (x, w), _ = tensors(np.random.default_rng(3), (2, 32, 8, 8), (32, 32, 3, 3))
    rounded = [tensor.detach().astype("bfloat16").astype("float64") for tensor in (x, w)]
    exact = conv2d(x, w)
    set_precision("bfloat16")
    try:
        y = conv2d(x, w)
    finally:
        set_precision("float32")
    # The result too is rounded once on its way to float32.
    np.testing.assert_allclose(y.numpy(), F.conv2d(*rounded).numpy(), rtol=2**-8, atol=1e-3)
    assert 1e-4 < float((y - exact).abs().mean()) < 0.1


def test_without_onednn_paddles_own_kernels_do_the_work(tmp_path, monkeypatch):
    """The user is told, and so is one who goes on with oneDNN; the numbers are equal in kind."""
    monkeypatch.setenv("PADDLE_GAN_ONEDNN", "0")
    done = train(tmp_path / "run", "--steps", 2, "--log-every", 1)
    assert "notice: convolutions by Paddle's own kernels, about half as fast" in done.stdout
    native = read_metrics(tmp_path / "run" / "metrics.jsonl", 2)
    monkeypatch.delenv("PADDLE_GAN_ONEDNN")
    done = train(tmp_path / "run", "--steps", 3, "--log-every", 1)
    assert "Paddle's own kernels" not in done.stdout
    assert f"convolutions Paddle -> oneDNN {dnnl.version()}" in done.stdout
    train(tmp_path / "other", "--steps", 2, "--log-every", 1)
    for mine, other in zip(native, read_metrics(tmp_path / "other" / "metrics.jsonl", 2), strict=True):
        assert mine["loss/discriminator"] == pytest.approx(other["loss/discriminator"], rel=1e-4)
