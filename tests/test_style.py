"""The style generator and the residual discriminator, against explicit forms; runs with them."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from conftest import command_line, train

from paddle_gan.networks import DISCRIMINATORS
from paddle_gan.networks.residual import ResidualBlock
from paddle_gan.networks.sizes import doubled
from paddle_gan.networks.style import ModulatedConv2D, SlowLinear, StyleGenerator
from paddle_gan.training.update import frozen

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def small(**options) -> StyleGenerator:
    paddle.seed(0)
    return StyleGenerator(28, 1, latent_dim=6, width=4, **options)


@pytest.mark.parametrize("demodulate", [True, False])
def test_modulation_is_that_of_each_sample_s_own_weights(demodulate):
    """W[k, c] s[n, c], divided by its norm over c and the kernel (Karras et al. 2020, eqs. 1 and 3)."""
    paddle.seed(0)
    layer = ModulatedConv2D(3, 5, 4, demodulate=demodulate)
    x, w = paddle.randn([2, 3, 6, 6]), paddle.randn([2, 4])
    styles, outputs = (layer.style(w) + 1).numpy(), layer(x, w).numpy()
    for n in range(2):
        weight = layer.conv.weight.numpy() * styles[n][None, :, None, None]
        if demodulate:
            weight = weight / np.sqrt((weight**2).sum((1, 2, 3), keepdims=True) + 1e-8)
        expected = F.conv2d(x[n : n + 1], paddle.to_tensor(weight), padding=1).numpy()[0]
        np.testing.assert_allclose(outputs[n], expected, **TOLERANCE)


def test_a_slow_map_learns_at_its_rate():
    """A step of gradient descent changes outputs rate² times as much, one of Adam rate times as much."""
    changes = {}
    for rate in (1.0, 0.01):
        paddle.seed(0)
        layer = SlowLinear(4, 3, rate)
        x = paddle.ones([1, 4])
        optimizer = paddle.optimizer.Adam(1e-3, parameters=layer.parameters())
        before = layer(x)
        before.sum().backward()
        optimizer.step()
        changes[rate] = (layer(x) - before).abs().mean().item()
    assert changes[0.01] == pytest.approx(0.01 * changes[1.0], rel=0.02)
    assert SlowLinear(1000, 50)(paddle.randn([200, 1000])).std().item() == pytest.approx(2**0.5, rel=0.03)


def test_doubling_repeats_pixels():
    x = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    expected = x.repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_array_equal(doubled(paddle.to_tensor(x)).numpy(), expected)


def test_an_image_depends_on_its_latent_only_once_trained():
    generator = small()
    latents = paddle.randn([4, 6])
    for layer in generator.synthesis.layers:
        layer.strength.set_value(paddle.ones([1]))
    first, second = generator(latents), generator(latents)
    assert (first != second).any().item()  # noise
    generator.eval()
    first, second = generator(latents), generator(latents[1:2])
    np.testing.assert_allclose(first[1].numpy(), second[0].numpy(), atol=1e-5)


def test_styles_are_mixed_from_a_random_layer_on():
    generator = small(mixing=1.0)
    w = generator.mapping(paddle.randn([200, 6]))
    styles = generator._mixed([w] * len(generator.synthesis.layers), None)
    own = np.stack([(style == w).all(1).numpy() for style in styles], axis=1)
    assert own[:, 0].all() and not own[:, -1].any()
    firsts = own.sum(1)  # layers with the own style
    assert (np.diff(own.astype(int), axis=1) <= 0).all() and set(firsts) == set(range(1, len(styles)))
    generator.mixing = 0.0
    assert all((style == w).all().item() for style in generator._mixed([w] * 3, None))


def test_the_average_style_follows_w_but_not_in_another_network_s_step():
    generator = small()
    generator(paddle.randn([64, 6]))
    assert (generator.average_style != 0).any().item()
    before = generator.average_style.numpy()
    with frozen(generator):
        generator(paddle.randn([64, 6]))
    np.testing.assert_array_equal(generator.average_style.numpy(), before)
    for _ in range(2000):
        generator(paddle.randn([2, 6]))
    mean = generator.mapping(paddle.randn([5000, 6])).mean(0).numpy()
    np.testing.assert_allclose(generator.average_style.numpy(), mean, atol=0.25)


@pytest.mark.parametrize("size", [7, 8])
def test_a_residual_block_is_the_scaled_sum_of_its_two_paths(size):
    block = ResidualBlock(2, 3, None)
    x = paddle.randn([2, 2, size, size])
    skipped = F.conv2d(F.avg_pool2d(x, 2, ceil_mode=True), block.skip.weight)
    expected = (block.second(block.first(x)) + skipped) / 2**0.5
    np.testing.assert_allclose(block(x).numpy(), expected.numpy(), **TOLERANCE)


def test_the_residual_discriminator_sees_differences_unless_told_otherwise():
    make = DISCRIMINATORS["residual"]
    assert not make(28, 1, width=4).samples_apart and make(28, 1, width=4, minibatch_deviation=False).samples_apart


@pytest.mark.parametrize("labels", [[], ["--conditional"]], ids=["unconditional", "conditional"])
def test_a_run_with_styles_resumes_exports_and_samples(tmp_path, labels):
    options = ["--generator", "style", *labels, "--clusters", 0, "--evaluate-every", 0]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, *options, "--steps", 3)
    train(parts, *options, "--steps", 2)
    assert command_line("train", "--resume", parts, "--steps", 3).returncode == 0
    states = [run / "checkpoints" / "step-00000003" / "state.safetensors" for run in (whole, parts)]
    assert states[0].read_bytes() == states[1].read_bytes()
    done = command_line("export", whole)
    assert done.returncode == 0, done.stderr
    for source, out in ((whole, "a.npz"), (whole / "exported", "b.npz")):
        assert command_line("sample", source, "--num", 20, "--npz", tmp_path / out).returncode == 0
    with np.load(tmp_path / "a.npz") as mine, np.load(tmp_path / "b.npz") as theirs:
        assert np.abs(mine["images"].astype(int) - theirs["images"]).max() <= 1
