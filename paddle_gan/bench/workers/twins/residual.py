"""Residual networks without norms, as in `paddle_gan.networks.residual`; `c` as in `generators`."""

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .discriminators import project
from .generators import with_labels
from .layers import Crop, doubled, doublings, leaky_relu, minibatch_deviation, unit

_ROOT_HALF = 0.5**0.5


class BottleneckBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            *unit(nn.Conv2d(channels, channels, 1), False, leaky_relu()),
            *unit(nn.Conv2d(channels, channels, 3, padding=1), False, leaky_relu()),
            nn.Conv2d(channels, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResidualGenerator(nn.Module):
    def __init__(self, c: dict[str, Any]):
        super().__init__()
        small, stages = doublings(c["image_size"])
        widths = [c["width"] * 2 ** min(stages - i, 3) for i in range(stages + 1)]
        self.classes, self.shape = c["classes"], (-1, widths[0], *small)
        self.project = nn.Linear(c["latent_dim"] + c["classes"], widths[0] * math.prod(small))
        self.blocks = nn.ModuleList([BottleneckBlock(width) for width in widths])
        self.transitions = nn.ModuleList(
            [nn.Conv2d(before, after, 1, bias=False) for before, after in pairwise(widths)]
        )
        self.to_image = nn.Conv2d(widths[-1], c["channels"], 1)
        self.crop = Crop(c["image_size"])

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.blocks[0](self.project(with_labels(latents, labels, self.classes)).reshape(self.shape))
        for transition, block in zip(self.transitions, self.blocks[1:], strict=True):
            x = block(doubled(transition(x)))
        return torch.tanh(self.crop(self.to_image(x)))


class ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, norm: bool):
        super().__init__()
        self.layers = nn.Sequential(
            *unit(nn.Conv2d(inputs, inputs, 3, padding=1, bias=not norm), norm, leaky_relu()),
            *unit(nn.Conv2d(inputs, outputs, 3, 2, padding=1, bias=not norm), norm, leaky_relu()),
        )
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        skipped = self.skip(F.avg_pool2d(x, 2, stride=2, ceil_mode=True))
        return (self.layers(x) + skipped) * _ROOT_HALF


class ResidualDiscriminator(nn.Module):
    def __init__(self, c: dict[str, Any]):
        super().__init__()
        small, halvings = doublings(c["image_size"])
        widths = [c["discriminator_width"] * 2 ** min(i, 3) for i in range(halvings + 1)]
        norm = c["discriminator_norm"] == "batch"
        self.deviation_weight = nn.Parameter(torch.zeros(widths[-1]))
        self.layers = nn.Sequential(
            *unit(nn.Conv2d(c["channels"], widths[0], 1), False, leaky_relu()),
            *(ResidualBlock(before, after, norm) for before, after in pairwise(widths)),
            *unit(nn.Conv2d(widths[-1], widths[-1], 3, padding=1, bias=not norm), norm, leaky_relu()),
            nn.Flatten(),
        )
        self.hidden = nn.Linear(widths[-1] * math.prod(small), widths[-1])
        self.head = nn.Linear(widths[-1], 1)
        self.class_weights = nn.Embedding(c["classes"], widths[-1]) if c["classes"] else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.layers(images)
        hidden = self.hidden(features) + minibatch_deviation(features)[:, None] * self.deviation_weight
        hidden = F.leaky_relu(hidden, 0.2, inplace=True)
        return project(self.head(hidden), hidden, self.class_weights, labels)
