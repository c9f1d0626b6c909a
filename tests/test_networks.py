"""Networks: shapes, ranges, labels, and the tutorial's exact architecture."""

import inspect
from itertools import pairwise

import numpy as np
import paddle
import paddle.nn as nn
import pytest

from paddle_gan.config.sizes import sides
from paddle_gan.config.train import TrainConfig
from paddle_gan.inference.sampling import generate
from paddle_gan.networks import DISCRIMINATORS, GENERATORS, PARTNERS
from paddle_gan.networks.activations import mish
from paddle_gan.networks.blocks import INITIALISERS, ConvBN
from paddle_gan.networks.norms import LayerNorm
from paddle_gan.runs.building import build
from paddle_gan.runs.resolve import resolve


def make(network, **arguments):
    accepted = inspect.signature(network).parameters
    return network(**{name: value for name, value in arguments.items() if name in accepted})


SIZES = [
    (name, size)
    for name in GENERATORS
    for size in (16, 28, 32, 64, 100, 128, "64x48", "30x53")
    if name != "tutorial" or size == 32
] + [(name, 256) for name in ("pixelshuffle", "residual", "style")]


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("name", "size"), SIZES)
def test_generator_and_partner_fit_each_other_at_every_size(name, size, channels, classes):
    width = 2 if size == 256 else 4
    generator = make(GENERATORS[name], image_size=size, channels=channels, classes=classes, width=width)
    discriminator = make(
        DISCRIMINATORS[PARTNERS[name][0]], image_size=size, channels=channels, classes=classes, width=width
    )
    labels = paddle.to_tensor([0, 2]) if classes else None
    images = generator(paddle.randn([2, generator.latent_dim]), labels)
    assert images.shape == [2, channels, *sides(size)]
    low, high = generator.value_range
    assert low <= images.min().item() and images.max().item() <= high
    assert discriminator(images, labels).shape == [2]


@pytest.mark.parametrize("name", GENERATORS)
def test_labels_change_what_a_generator_makes(name):
    generator = make(GENERATORS[name], image_size=32, channels=1, classes=3, width=4)
    latents = paddle.randn([4, generator.latent_dim])
    images = [generator(latents, paddle.full([4], label, "int64")).numpy() for label in (0, 1)]
    assert np.abs(images[0] - images[1]).max() > 1e-4


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_labels_change_the_logits(name):
    discriminator = make(DISCRIMINATORS[name], image_size=32, channels=1, classes=3, width=4)
    images = paddle.randn([4, 1, 32, 32])
    logits = [discriminator(images, paddle.full([4], label, "int64")).numpy() for label in (0, 1)]
    assert np.abs(logits[0] - logits[1]).max() > 1e-4


def test_tutorial_networks_have_its_shapes_names_and_parameter_counts():
    generator, discriminator = GENERATORS["tutorial"](channels=1), DISCRIMINATORS["tutorial"](channels=1)
    convolutions = [[128, 1, 5, 5], [2048, 128, 3, 3], [128, 128, 5, 5]]
    expected = {f"model.{i}.conv.weight": shape for i, shape in zip((0, 1, 3), convolutions, strict=True)}
    expected |= {
        f"model.{i}.BN.{part}": [n]
        for i, n in ((0, 128), (1, 2048), (3, 128))
        for part in ("weight", "bias", "_mean", "_variance")
    }
    expected |= {"model.4.weight": [1, 128, 5, 5], "model.4.bias": [1]}
    assert {name: list(value.shape) for name, value in generator.state_dict().items()} == expected
    trainable = lambda layer: sum(p.size for p in layer.parameters() if p.trainable)  # noqa: E731
    assert trainable(generator) == 1 * 128 * 25 + 128 * 2048 * 9 + 128 * 128 * 25 + 128 * 25 + 1 + 2 * (
        128 + 2048 + 128
    )
    assert trainable(discriminator) == 64 * 25 + 64 * 128 * 25 + 128 * 128 * 25 + 128 + 1 + 2 * (64 + 128 + 128)
    shapes = []
    for layer in generator.model:
        layer.register_forward_post_hook(lambda layer, inputs, output: shapes.append(output.shape[1:]))
    for layer in discriminator.model:
        layer.register_forward_post_hook(lambda layer, inputs, output: shapes.append(output.shape[1:]))
    discriminator(generator(paddle.randn([2, 100])))
    assert shapes[:3] == [[128, 10, 10], [2048, 8, 8], [128, 32, 32]]
    assert shapes[5:] == [[1, 32, 32], [64, 14, 14], [128, 5, 5], [128, 1, 1], [1, 1, 1]]


def test_subpixel_output_equals_convolution_and_pixel_shuffle():
    """The last transposed convolution is a 3x3 convolution to 4 channels and PixelShuffle(2), weight for weight."""
    stage = GENERATORS["pixelshuffle"](image_size=28, channels=1).stages[-1]
    x = paddle.randn([2, 32, 14, 14])
    transposed = stage.conv.weight.numpy()  # [32, 1, 6, 6]
    # Output pixel 2p + r of PixelShuffle comes from input p + d - 1 with kernel tap d: transposed tap r + 2 + 2(1 - d).
    weight = np.empty((4, 32, 3, 3), np.float32)
    for row in range(2):
        for column in range(2):
            for i in range(3):
                for j in range(3):
                    weight[2 * row + column, :, i, j] = transposed[
                        :, 0, row + 2 + 2 * (1 - i), column + 2 + 2 * (1 - j)
                    ]
    expected = nn.functional.pixel_shuffle(nn.functional.conv2d(x, paddle.to_tensor(weight), padding=1), 2)
    np.testing.assert_allclose((stage(x) - stage.conv.bias.item()).numpy(), expected.numpy(), atol=2e-6)


def test_the_default_generator_mixes_the_latent_globally_and_the_tutorials_does_not():
    """One noise value reaches every pixel of the default's image, only a part of the tutorial's."""
    for name, reaches_all in (("pixelshuffle", True), ("tutorial", False)):
        generator = make(GENERATORS[name], image_size=32, channels=1, width=16)
        generator.eval()
        latents = paddle.randn([1, generator.latent_dim])
        moved = latents.clone()
        moved[0, 0] += 1
        changed = (generator(latents) != generator(moved)).numpy()
        assert (changed.mean() > 0.95) == reaches_all


def test_layer_norm_agrees_with_paddles():
    x = paddle.randn([4, 6, 5, 3]) * 3 + 1
    expected = nn.LayerNorm([6, 5, 3])(x)
    np.testing.assert_allclose(LayerNorm(6)(x).numpy(), expected.numpy(), atol=1e-5)


def test_mish():
    x = paddle.to_tensor([-1000.0, -1.0, 0.0, 2.0, 1000.0])
    np.testing.assert_allclose(mish(x).numpy(), [0, -0.303401, 0, 1.943959, 1000], atol=1e-5)


def test_conv_bn_has_a_bias_only_without_a_norm():
    assert ConvBN(1, 2, 3).conv.bias is None
    assert ConvBN(1, 2, 3, norm=None).conv.bias is not None
    assert ConvBN(1, 2, 3, norm=None, bias=False).conv.bias is None


def test_initialisations():
    paddle.seed(0)
    generator = GENERATORS["pixelshuffle"](image_size=28, channels=1)
    INITIALISERS["dcgan"](generator)
    assert generator.project.linear.weight.numpy().std() == pytest.approx(0.02, rel=0.02)
    INITIALISERS["kaiming"](generator)
    weight = generator.stages[0][0].conv.weight.numpy()
    assert np.abs(weight).max() == pytest.approx((6 / (64 * 9)) ** 0.5, rel=0.01)  # uniform, gain √2, fan-in 64·9
    assert generator.stages[-1].conv.bias.numpy() == pytest.approx(0.1)
    assert (generator.project.norm.weight.numpy() == 1).all()


def test_every_generator_has_a_partner():
    assert set(PARTNERS) == set(GENERATORS)
    assert {discriminator for discriminator, _ in PARTNERS.values()} <= set(DISCRIMINATORS)


class Linear(nn.Layer):
    """A generator without a width, as one's own may be."""

    value_range = (-1.0, 1.0)

    def __init__(self, image_size, channels, latent_dim=5, classes=0):
        super().__init__()
        self.latent_dim, self.shape = latent_dim, [-1, channels, image_size, image_size]
        self.linear = nn.Linear(latent_dim, channels * image_size**2)

    def forward(self, latents, labels=None):
        return paddle.tanh(self.linear(latents)).reshape(self.shape)


def test_a_network_needs_no_width(monkeypatch):
    monkeypatch.setitem(GENERATORS, "upsample", Linear)
    config = resolve(TrainConfig(generator="upsample"), "cpu").config
    assert (config.width, config.latent_dim) == (None, 5)
    assert next(generate(build(config, classes=0).sampler, 3, seed=0)).images.shape == (3, 28, 28, 1)


def test_he_keeps_the_size_of_the_values_through_layers_without_norms():
    paddle.seed(0)
    widths = (64, 64, 64, 64)
    layers = nn.Sequential(*(ConvBN(before, after, 3, norm=None) for before, after in pairwise(widths)))
    INITIALISERS["he"](layers)
    x = paddle.randn([16, 64, 20, 20])
    for layer in layers:  # no padding, whose zeros would take a part
        x = layer(x)
        assert x.square().mean().item() == pytest.approx(1, rel=0.15)
    embedding = nn.Embedding(50, 400)
    INITIALISERS["he"](embedding)
    assert embedding.weight.numpy().std() == pytest.approx(1 / 20, rel=0.02)
