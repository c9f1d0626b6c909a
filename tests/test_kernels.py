"""Convolutions through oneDNN against Paddle's own in float64, first and second gradients included."""

import numpy as np
import paddle
import paddle.nn as nn
import paddle.nn.functional as F
import pytest
from conftest import train
from hypothesis import given, settings
from hypothesis import strategies as st

from paddle_gan.backend import dnnl, kernels, onednn, winograd
from paddle_gan.backend.kernels import conv2d, conv2d_transpose, flatten, no_weight_gradients, set_precision
from paddle_gan.networks.blocks import BatchNorm, Conv2D, Conv2DTranspose, PixelShuffle, apart, leaky_relu
from paddle_gan.training.callbacks import read_metrics

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


@pytest.mark.parametrize(("channels", "outputs", "free"), [(32, 16, 1), (27, 16, 3), (32, 1, 3), (32, 20, 3)])
def test_channels_that_leave_a_remainder_lie_as_onednn_wants_them(channels, outputs, free, monkeypatch):
    """Given the channels last, its gradient in the filters wrote outside of its memory for some of them (27 to 1, 3x3, stride 3)."""
    chosen = []
    original = onednn.undecided
    monkeypatch.setattr(onednn, "undecided", lambda *given: chosen.append(original(*given)) or chosen[-1])
    told = []
    monkeypatch.setattr(onednn, "described", lambda *given: told.append(given[0]) or dnnl.described(*given))
    geometry = onednn.Geometry((2, channels, 6, 10), (outputs, channels, 3, 3), 3, (2, 0, 0, 1))
    onednn._convolution.cache_clear()
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


@pytest.mark.parametrize("order", ["in a row", "channels last"])
def test_gradient_of_a_bias(order):
    """First and second, of gradients that come in either order."""
    place = channels_last if order == "channels last" else paddle.clone
    single, double = tensors(np.random.default_rng(11), (3, 6, 5, 4), (7, 6, 3, 3), (7,))

    def values(y, given):
        first = paddle.grad(y.pow(3).sum(), given[2], create_graph=True)[0]
        return [first, *paddle.grad(first.square().sum(), given)]

    ours = values(place(conv2d(single[0], single[1], single[2], 1, (1, 1, 1, 1))), single)
    agree(ours, values(native(double[0], double[1], double[2], 1, (1, 1, 1, 1)), double), 1e-5)


def test_values_that_do_not_lie_in_a_row():
    x, w = paddle.randn([2, 6, 6, 4]), paddle.randn([5, 4, 3, 3])
    seen = x.transpose([0, 3, 1, 2])
    np.testing.assert_array_equal(conv2d(seen, w).numpy(), conv2d(paddle.to_tensor(seen.numpy()), w).numpy())


# Of 3×3 and 5×5, in several parts of the batch and of the channels, with tiles that stand out, padding on one side.
WINOGRAD = [
    ((3, 20, 9, 14), (24, 20, 3, 3), (1, 1, 1, 1)),
    ((2, 17, 10, 10), (33, 17, 5, 5), (2, 2, 2, 2)),
    ((5, 6, 8, 7), (7, 6, 3, 3), (0, 2, 1, 0)),
    ((2, 5, 6, 6), (4, 5, 5, 5), (0, 0, 0, 0)),
]


@pytest.mark.parametrize("part", [winograd._PART, 1000])
@pytest.mark.parametrize("order", ["in a row", "channels last"])
@pytest.mark.parametrize(("images", "filters", "padding"), WINOGRAD)
def test_winograd_against_the_direct_sum(images, filters, padding, order, part, monkeypatch):
    monkeypatch.setattr(winograd, "_PART", part)
    geometry, random = onednn.Geometry(images, filters, 1, padding), np.random.default_rng(7)
    place = channels_last if order == "channels last" else paddle.clone
    (x, w, dy), (x64, w64, dy64) = tensors(random, images, filters, geometry.outputs)
    y = native(x64, w64, None, 1, padding)
    made = [
        winograd.convolve(place(x), w, geometry),
        winograd.image_gradient(place(dy), w, geometry),
        winograd.filter_gradient(place(x), place(dy), geometry),
    ]
    agree(made, [y, *paddle.grad(y, [x64, w64], dy64)], 1e-5)


@pytest.mark.parametrize("taps", [3, 5])
def test_winograd_errs_little_more_than_the_direct_sum(taps):
    """Root mean square of the error, relative to the result's: within seven times, as the module says of about five."""
    random = np.random.default_rng(8)
    (x, w), (x64, w64) = tensors(random, (4, 128, 16, 16), (128, 128, taps, taps))
    padding = (taps // 2,) * 4
    geometry = onednn.Geometry((4, 128, 16, 16), (128, 128, taps, taps), 1, padding)
    exact = native(x64, w64, None, 1, padding).numpy()

    def error(y):
        return np.sqrt(np.mean((y.numpy() - exact) ** 2) / np.mean(exact**2))

    direct = error(onednn.convolve(x, w, None, geometry, "float32"))
    assert error(winograd.convolve(x, w, geometry)) < min(7 * direct, 7e-6)


def test_winograd_is_taken_where_it_saves_two_thirds(monkeypatch):
    """In all three of its roles; not for strides, few channels, small work or bfloat16."""
    taken = []
    for name in ("convolve", "image_gradient", "filter_gradient"):
        original = getattr(winograd, name)
        monkeypatch.setattr(winograd, name, lambda *given, f=original, name=name: taken.append(name) or f(*given))

    def roles(images, filters, stride=1, padding=(2, 2, 2, 2)):
        taken.clear()
        (x, w), _ = tensors(np.random.default_rng(9), images, filters)
        conv2d(x, w, None, stride, padding).sum().backward()
        return taken

    large = (2, 128, 32, 32), (128, 128, 5, 5)
    assert roles(*large) == ["convolve", "image_gradient", "filter_gradient"]
    assert roles(*large, stride=2) == [] and roles((2, 128, 8, 8), (128, 128, 5, 5)) == []
    assert roles((2, 16, 64, 64), (128, 16, 5, 5)) == [] and roles((2, 128, 32, 32), (128, 128, 4, 4)) == []
    set_precision("bfloat16")
    try:
        assert roles(*large) == []
    finally:
        set_precision("float32")


def channels_last(x):
    """The same values, in the order in which the kernels leave feature maps."""
    return x.transpose([0, 2, 3, 1]).contiguous().transpose([0, 3, 1, 2])


def plain_norm(x, scale, shift, epsilon, parts, slope):
    """Batch normalisation of each part out of Paddle's simplest operations."""
    made = []
    for part in paddle.chunk(x, parts):
        centred = part - part.mean([0, 2, 3], keepdim=True)
        inverse = paddle.rsqrt(centred.square().mean([0, 2, 3], keepdim=True) + epsilon)
        y = centred * inverse * scale.reshape([1, -1, 1, 1]) + shift.reshape([1, -1, 1, 1])
        made.append(y if slope is None else paddle.where(y > 0, y, slope * y))
    return paddle.stack(made).reshape(x.shape)


@pytest.mark.parametrize("slope", [None, 0.0, 0.2])
@pytest.mark.parametrize(
    ("shape", "parts"), [((6, 20, 5, 4), 1), ((6, 17, 3, 3), 2), ((8, 2, 4, 4), 2), ((12, 5, 1, 2), 3)]
)
@pytest.mark.parametrize("order", [paddle.clone, channels_last], ids=["in a row", "channels last"])
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
        for (mean, variance), part in zip(statistics, paddle.chunk(x, parts), strict=True):
            np.testing.assert_allclose(mean.numpy(), part.numpy().mean((0, 2, 3)), atol=1e-6)
            np.testing.assert_allclose(variance.numpy(), part.numpy().var((0, 2, 3)), rtol=1e-5)
        return y

    agree(values(ours, *single), values(lambda *given: plain_norm(*given, 1e-3, parts, slope), *double), 1e-5)


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


def test_a_norm_does_not_keep_its_own_history_alive():
    """What it saves of its result would otherwise never be freed."""
    import gc
    import weakref

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


@pytest.mark.parametrize(("shape", "factor"), [((2, 36, 5, 6), 3), ((3, 16, 4, 4), 2), ((2, 64, 3, 2), 4)])
@pytest.mark.parametrize("order", [paddle.clone, channels_last], ids=["in a row", "channels last"])
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


@pytest.mark.parametrize("order", [paddle.clone, channels_last], ids=["in a row", "channels last"])
def test_flatten_with_first_and_second_gradients(order):
    x = paddle.randn([3, 5, 2, 4])
    x.stop_gradient = False
    y = flatten(order(x))
    np.testing.assert_array_equal(y.numpy(), x.numpy().reshape(3, 40))
    gradient = paddle.grad(y.pow(3).sum(), x, create_graph=True)[0]
    np.testing.assert_allclose(gradient.numpy(), 3 * x.numpy() ** 2, rtol=1e-6)
    second = paddle.grad(gradient.sum(), x)[0]
    np.testing.assert_allclose(second.numpy(), 6 * x.numpy(), rtol=1e-6)


def test_feature_maps_stay_with_the_channels_last():
    """Between two layers nothing is rearranged, in neither direction."""
    x, seen = paddle.randn([2, 1, 8, 8]), []
    layers = nn.Sequential(Conv2D(1, 16, 3, 2, padding=1), BatchNorm(16), Conv2D(16, 32, 3, padding=1))
    for layer in layers:
        layer.register_forward_post_hook(lambda _, __, y: seen.append(y.strides[1]) or None)
        layer.register_forward_post_hook(lambda _, __, y: y.register_hook(lambda g: seen.append(g.strides[1])) and None)
    flatten(layers(x)).sum().backward()
    # Only in the gradient that `flatten` gives do the 16 pixels of a channel lie in a row.
    assert seen == [1, 1, 1, 16, 1, 1]


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
