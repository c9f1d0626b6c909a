"""A style generator, as in `paddle_gan.networks.style`; `c` as in `generators`.

The map of noise that takes the place of random noise in evaluation is left out: nothing is drawn from the twin.
"""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Crop, doubled, doublings

_MAPPING_RATE = 0.01
_AVERAGE_MOMENTUM = 0.995
_MIXING = 0.5


class SlowLinear(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.gain = _MAPPING_RATE * (2 / inputs) ** 0.5
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / _MAPPING_RATE)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias * _MAPPING_RATE)


class Mapping(nn.Module):
    def __init__(self, latent_dim: int, classes: int):
        super().__init__()
        self.embedding = nn.Embedding(classes, latent_dim) if classes else None
        self.first = SlowLinear(latent_dim * (2 if classes else 1), latent_dim)
        self.second = SlowLinear(latent_dim, latent_dim)

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        x = unit_mean_square(latents)
        if self.embedding is not None:
            x = torch.cat([x, unit_mean_square(self.embedding(labels))], 1)
        for layer in (self.first, self.second):
            x = F.leaky_relu(layer(x), 0.2, inplace=True)
        return x


def unit_mean_square(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class ModulatedConv2d(nn.Module):
    """The style scales the inputs, and the expected size of the outputs is divided out: no weights for each sample."""

    def __init__(self, inputs: int, outputs: int, style_width: int, kernel_size: int = 3, demodulate: bool = True):
        super().__init__()
        self.style = nn.Linear(style_width, inputs)
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False)
        self.demodulate = demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.style(w) + 1
        y = self.conv(x * style[:, :, None, None])
        if not self.demodulate:
            return y
        squares = style.square() @ self.conv.weight.square().sum((2, 3)).T
        return y * torch.rsqrt(squares + 1e-8)[:, :, None, None]


class StyledLayer(nn.Module):
    def __init__(self, inputs: int, outputs: int, style_width: int, up: bool):
        super().__init__()
        self.up = up
        self.strength = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.conv = ModulatedConv2d(inputs, outputs, style_width)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = self.conv(doubled(x) if self.up else x, w)
        noise = torch.randn([x.shape[0], 1, *x.shape[2:]], device=x.device)
        return F.leaky_relu(x + (self.strength * noise + self.bias), 0.2, inplace=True)


class StyleGenerator(nn.Module):
    def __init__(self, c: dict[str, Any]):
        super().__init__()
        small, stages = doublings(c["image_size"])
        widths = [c["width"] * 2 ** min(stages - i, 3) for i in range(stages + 1)]
        latent_dim = c["latent_dim"]
        self.latent_dim = latent_dim
        self.mapping = Mapping(latent_dim, c["classes"])
        self.synthesis = Synthesis(widths, c["channels"], latent_dim, small)
        self.crop = Crop(c["image_size"])
        self.register_buffer("average_style", torch.zeros(latent_dim))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        w = self.mapping(latents, labels)
        if self.synthesis.constant.requires_grad:
            self.average_style.lerp_(w.detach().mean(0), 1 - _AVERAGE_MOMENTUM)
        return torch.tanh(self.crop(self.synthesis(self.mixed(w, labels))))

    def mixed(self, w: Tensor, labels: Tensor | None) -> list[Tensor]:
        """The style of each layer; some samples take that of a second latent from a random layer on."""
        count, layers = len(w), len(self.synthesis.layers)
        other = self.mapping(torch.randn([count, self.latent_dim], device=w.device), labels)
        crossover = 1 + (torch.rand([count, 1], device=w.device) * (layers - 1)).floor()
        crossover = crossover.where(torch.rand([count, 1], device=w.device) < _MIXING, float(layers))
        return [torch.where(crossover <= i, other, w) for i in range(layers)]


class Synthesis(nn.Module):
    def __init__(self, widths: list[int], channels: int, style_width: int, small: tuple[int, int]):
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, widths[0], *small))
        layers = [StyledLayer(widths[0], widths[0], style_width, up=False)]
        for before, after in pairwise(widths):
            layers += [
                StyledLayer(before, after, style_width, up=True),
                StyledLayer(after, after, style_width, up=False),
            ]
        self.layers = nn.ModuleList(layers)
        self.to_image = nn.ModuleList(
            [ModulatedConv2d(width, channels, style_width, 1, demodulate=False) for width in widths]
        )

    def forward(self, styles: list[Tensor]) -> Tensor:
        x = self.layers[0](self.constant.expand(len(styles[0]), -1, -1, -1), styles[0])
        image = self.to_image[0](x, styles[0])
        for i, to_image in enumerate(self.to_image[1:], 1):
            for layer in (2 * i - 1, 2 * i):
                x = self.layers[layer](x, styles[layer])
            image = doubled(image) + to_image(x, styles[2 * i])
        return image
