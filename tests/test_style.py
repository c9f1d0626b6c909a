"""The style generator with path lengths, and the residual networks, against explicit forms; runs with them."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from conftest import command_here, command_line, train_here
from safetensors.numpy import load_file
from states import tiny_task
from test_objectives import check_along_a_direction, some

from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import UsageError
from paddle_gan.networks import DISCRIMINATORS
from paddle_gan.networks.residual import BottleneckBlock, ResidualBlock, ResidualGenerator
from paddle_gan.networks.sizes import cropped, doubled
from paddle_gan.networks.style import ModulatedConv2D, SlowLinear, StyleGenerator
from paddle_gan.objectives.path_length import path_lengths, update_mean_length
from paddle_gan.runs.folder import run_name
from paddle_gan.runs.resolve import resolve
from paddle_gan.training import noise_to_image
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
    for _ in range(500):
        generator(paddle.randn([16, 6]))
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


class LinearStyles:
    """Two layers that each add their map of the style to the image; the style is the latent itself."""

    layers = 2

    def __init__(self, maps):
        self.maps = maps

    def mapping(self, latents, labels):
        style = latents * 1
        style.stop_gradient = False
        return style

    def draw(self, styles):
        return paddle.add_n([paddle.matmul(style, one) for style, one in zip(styles, self.maps, strict=True)])


def test_path_lengths_are_those_of_the_sum_of_all_layers_jacobians():
    """For G(w) = w (A + B) with P values: E ‖J_wᵀ y‖² / P = ‖A + B‖² / P."""
    a, b = np.random.default_rng(0).normal(size=(2, 5, 12))
    paddle.seed(0)
    generator = LinearStyles([paddle.to_tensor(a), paddle.to_tensor(b)])
    lengths = path_lengths(generator, paddle.randn([20_000, 5], "float64"), None)  # type: ignore[arg-type]
    assert lengths.square().mean().item() == pytest.approx(((a + b) ** 2).sum() / 12, rel=0.03)


def test_the_second_gradient_of_path_lengths_agrees_with_finite_differences(seed=0, most=None):
    """In float64, for parameters of every kind, those of the mapping included."""
    paddle.seed(seed)
    generator = StyleGenerator(16, 1, latent_dim=6, width=4, classes=3)
    generator.to(dtype="float64")
    generator.eval()  # constant noise
    for layer in generator.synthesis.layers:
        layer.strength.set_value(paddle.ones([1], "float64"))
    latents, labels = paddle.randn([3, 6], "float64"), paddle.to_tensor([0, 1, 2])
    random = np.random.default_rng(seed)

    def value():
        paddle.seed(1)  # the same directions
        return (path_lengths(generator, latents, labels) - 0.3).square().mean()

    value().backward()
    mapping, synthesis = generator.mapping.parameters(), generator.synthesis.parameters()
    parameters = [*mapping[:2], *synthesis[:1], *synthesis[6:11], *synthesis[-3:]]  # one styled layer, one image
    for parameter in some(parameters, most, random):
        check_along_a_direction(parameter, lambda: value().item(), random)


def test_the_mean_length_moves_by_a_hundredth():
    mean = paddle.to_tensor([2.0])
    update_mean_length(mean, paddle.to_tensor(5.0))
    assert mean.item() == pytest.approx(2.03)


def test_path_lengths_are_regularised_lazily_towards_their_mean(monkeypatch):
    """The loss that is logged is W E[(length − a)²], at every second step, and a follows."""
    monkeypatch.setattr(noise_to_image, "path_lengths", lambda generator, latents, labels: paddle.to_tensor([1.0, 4.0]))
    task = tiny_task(generator="style", path_length=2.0, path_length_every=2, image_size=16)
    batches = lambda number: (paddle.zeros([2, 1, 16, 16]), None)  # noqa: E731
    logged = [task.round(batches, seed=0) for _ in range(3)]
    assert "loss/path_length" not in logged[1]
    values = [logged[i]["loss/path_length"].item() for i in (0, 2)]
    a = 0.01 * 2.5
    assert values == pytest.approx([2 * (1 + 16) / 2, 2 * ((1 - a) ** 2 + (4 - a) ** 2) / 2])
    assert task.buffers["path_length"].item() == pytest.approx(a + 0.01 * (2.5 - a))


def test_path_length_needs_styles_and_makes_another_run():
    with pytest.raises(UsageError, match="--path-length with the pixelshuffle generator: it has no styles"):
        resolve(TrainConfig(path_length=2.0), "cpu")
    plain, regularised = (resolve(TrainConfig(generator="style", path_length=w), "cpu").config for w in (0.0, 2.0))
    assert run_name(plain) != run_name(regularised)


def test_the_residual_generator_starts_as_its_linear_maps():
    """With fix-up each block is the identity; the image has 0.3 of the latents' deviation, up to tanh."""
    paddle.seed(0)
    generator = ResidualGenerator("20x12", 1, width=8)
    latents = paddle.randn([64, 64])
    x = generator.project(latents).reshape(generator.shape)
    for transition in generator.transitions:
        x = doubled(transition(x))
    expected = F.tanh(cropped(generator.to_image(x), "20x12"))
    np.testing.assert_allclose(generator(latents).numpy(), expected.numpy(), **TOLERANCE)
    assert paddle.atanh(expected).square().mean().sqrt().item() == pytest.approx(0.3, rel=0.35)
    first = generator.blocks[0].first.conv.weight
    assert first.square().mean().sqrt().item() == pytest.approx((2 / 1.04 / first.shape[1]) ** 0.5 * 3**-0.25, rel=0.1)


def test_a_bottleneck_block_is_the_sum_of_its_two_paths():
    block = BottleneckBlock(4, blocks=2)
    x = paddle.randn([2, 4, 5, 6])
    expected = x.numpy() + block.last(block.second(block.first(x))).numpy()
    np.testing.assert_allclose(block(x).numpy(), expected, **TOLERANCE)
    assert np.abs(block(x).numpy() - x.numpy()).max() > 0  # Paddle's initialisation, before `initialise`
    block.initialise()
    np.testing.assert_array_equal(block(x).numpy(), x.numpy())


@pytest.mark.parametrize("labels", [[], ["--conditional"]], ids=["unconditional", "conditional"])
def test_a_run_with_styles_resumes_exports_and_samples(tmp_path, labels):
    path = ["--path-length", 2, "--path-length-every", 2]
    options = ["--generator", "style", *labels, *path, "--clusters", 0, "--evaluate-every", 0]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_here(whole, *options, "--steps", 3)
    train_here(parts, *options, "--steps", 2)
    assert command_line("train", "--resume", parts, "--steps", 3).returncode == 0
    states = [run / "checkpoints" / "step-00000003" / "state.safetensors" for run in (whole, parts)]
    assert states[0].read_bytes() == states[1].read_bytes()
    assert load_file(states[0])["buffers/path_length"][0] > 0
    command_here("export", whole)
    for source, out in ((whole, "a.npz"), (whole / "exported", "b.npz")):
        command_here("sample", source, "--num", 20, "--npz", tmp_path / out)
    with np.load(tmp_path / "a.npz") as mine, np.load(tmp_path / "b.npz") as theirs:
        assert np.abs(mine["images"].astype(int) - theirs["images"]).max() <= 1
