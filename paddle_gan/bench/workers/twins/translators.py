"""The networks from images to images, as in `paddle_gan.networks.translation` and `restoration`.

`c` are the filled-in options of the training of a translation. All images are in colour.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import leaky_relu, relu

CHANNELS = 3
_MOST_GROWTH = 8
_WITH_DROPOUT = 3


def instance_norm(channels: int) -> nn.Module:
    """Each channel is a group: the same as `nn.InstanceNorm2d(channels, affine=True)`, and faster on a CPU."""
    return nn.GroupNorm(channels, channels)


def unit(convolution: nn.Module, activation: Callable[[], nn.Module] | None) -> nn.Sequential:
    """Convolution, instance norm, and the activation if there is one."""
    return nn.Sequential(convolution, instance_norm(convolution.out_channels), *([activation()] if activation else []))


def halving(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 4, 2, padding=1, bias=False)


def doubling(before: int, after: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, 4, 2, padding=1, bias=False)


def reflecting(before: int, after: int, kernel_size: int, bias: bool) -> nn.Conv2d:
    """A convolution that keeps the size, with reflected borders."""
    return nn.Conv2d(before, after, kernel_size, padding=kernel_size // 2, padding_mode="reflect", bias=bias)


class UNet(nn.Module):
    """Halvings and doublings with skips."""

    def __init__(self, c: dict[str, Any]):
        super().__init__()
        depth = c["depth"]
        widths = [c["width"] * min(2**i, _MOST_GROWTH) for i in range(depth)]
        first = nn.Conv2d(CHANNELS + bool(c["mask"]), widths[0], 4, 2, padding=1)
        self.down = nn.ModuleList([nn.Sequential(first, leaky_relu())])
        self.down.extend(unit(halving(*pair), leaky_relu) for pair in pairwise(widths[:-1]))
        self.down.append(nn.Sequential(nn.Conv2d(widths[-2], widths[-1], 4, 2, padding=1), leaky_relu()))
        self.up = nn.ModuleList([unit(doubling(widths[-1], widths[-2]), relu)])
        self.up.extend(unit(doubling(2 * widths[i], widths[i - 1]), relu) for i in range(depth - 2, 0, -1))
        self.dropout = nn.Dropout(0.5)
        self.last = nn.ConvTranspose2d(2 * widths[0], CHANNELS, 4, 2, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        skips = [images]
        for stage in self.down:
            skips.append(stage(skips[-1]))
        x = skips.pop()
        for i, stage in enumerate(self.up):
            x = stage(x)
            if i < _WITH_DROPOUT:
                x = self.dropout(x)
            x = torch.cat([x, skips.pop()], 1)
        return torch.tanh(self.last(x))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside the identity."""

    def __init__(self, width: int, normed: bool):
        super().__init__()
        first, second = (reflecting(width, width, 3, bias=not normed) for _ in range(2))
        self.first = unit(first, relu) if normed else nn.Sequential(first, relu())
        self.second = unit(second, None) if normed else second

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)).add_(x)


class Residual(nn.Module):
    """Two halvings, residual blocks, two doublings."""

    def __init__(self, c: dict[str, Any]):
        super().__init__()
        width = c["width"]
        self.first = unit(reflecting(CHANNELS, width, 7, bias=False), relu)
        self.down = nn.ModuleList(
            [unit(nn.Conv2d(width << i, width << i + 1, 3, 2, padding=1, bias=False), relu) for i in range(2)]
        )
        self.blocks = nn.ModuleList([ResidualBlock(4 * width, True) for _ in range(c["blocks"])])
        self.up = nn.ModuleList([unit(doubling(4 * width >> i, 2 * width >> i), relu) for i in range(2)])
        self.last = reflecting(width, CHANNELS, 7, bias=True)

    def forward(self, images: Tensor) -> Tensor:
        x = self.encoded(images)[-1]
        for stage in self.up:
            x = stage(x)
        return torch.tanh(self.last(x))

    def features(self, images: Tensor) -> list[Tensor]:
        """The image, the maps after each halving, and after the first and the middle residual block."""
        maps = self.encoded(images, blocks=len(self.blocks) // 2 + 1)
        return [images, maps[1], maps[2], maps[3], maps[-1]]

    def encoded(self, images: Tensor, blocks: int | None = None) -> list[Tensor]:
        maps = [self.first(images)]
        for stage in [*self.down, *list(self.blocks)[:blocks]]:
            maps.append(stage(maps[-1]))
        return maps


class Subpixel(nn.Module):
    """Residual blocks at the small size, whose channels become pixels; added to the bicubic enlargement."""

    def __init__(self, c: dict[str, Any]):
        super().__init__()
        self.scale = c["scale"]
        self.first = reflecting(CHANNELS, c["width"], 3, bias=True)
        self.blocks = nn.ModuleList([ResidualBlock(c["width"], False) for _ in range(c["blocks"])])
        self.last = reflecting(c["width"], CHANNELS * self.scale**2, 3, bias=True)

    def forward(self, images: Tensor) -> Tensor:
        x = self.first(images)
        for block in self.blocks:
            x = block(x)
        return F.pixel_shuffle(self.last(x), self.scale).add_(resampled(images, self.scale))


class Filling(nn.Module):
    """A U-Net whose output is moved in the hole, by a membrane, so that it meets the known pixels."""

    def __init__(self, c: dict[str, Any]):
        super().__init__()
        self.fill = UNet(c)

    def forward(self, images: Tensor) -> Tensor:
        made, known = self.fill(images), (1 - images[:, CHANNELS:]) / 2
        return made + smooth_fill(images[:, :CHANNELS] - made, known, sweeps=2)


def smooth_fill(values: Tensor, known: Tensor, sweeps: int) -> Tensor:
    """As `paddle_gan.networks.filling.smooth_fill`."""
    kept, hole = values * known, 1 - known
    height, width = values.shape[2:]
    if min(height, width) < 8 or height % 2 or width % 2:
        start = kept.sum([2, 3], keepdim=True) / known.sum([2, 3], keepdim=True).clamp(min=1)
    else:
        share = F.avg_pool2d(known, 2)
        small = F.avg_pool2d(kept, 2) / share.clamp(min=1 / 4)
        filled = smooth_fill(small, (share > 0).to(share.dtype), sweeps)
        start = F.interpolate(filled, scale_factor=2, mode="bilinear")
    filled = kept + hole * start
    for _ in range(sweeps):
        filled = kept + hole * F.avg_pool2d(filled, 3, stride=1, padding=1, count_include_pad=False)
    return filled


def resampled(images: Tensor, scale: float) -> Tensor:
    """Bicubic interpolation with the kernel widened where images are reduced."""
    return F.interpolate(images, scale_factor=scale, mode="bicubic", antialias=True)


def patch_discriminator(c: dict[str, Any], channels: int) -> nn.Module:
    """Judges each patch of an image by itself."""
    widths = [c["discriminator_width"] * min(2**i, _MOST_GROWTH) for i in range(c["discriminator_depth"] + 1)]
    return nn.Sequential(
        *(nn.Conv2d(channels, widths[0], 4, 2, padding=1), leaky_relu()),
        *(unit(halving(*pair), leaky_relu) for pair in pairwise(widths[:-1])),
        unit(nn.Conv2d(widths[-2], widths[-1], 4, 1, padding=1, bias=False), leaky_relu),
        nn.Conv2d(widths[-1], 1, 4, padding=1),
    )


class PatchHeads(nn.Module):
    """Features of patches: two linear maps for each feature map of `Residual.features`."""

    def __init__(self, c: dict[str, Any], width: int = 256):
        super().__init__()
        channels = (CHANNELS, 2 * c["width"], *[4 * c["width"]] * 3)
        self.first = nn.ModuleList([nn.Linear(count, width) for count in channels])
        self.second = nn.ModuleList([nn.Linear(width, width) for _ in channels])

    def forward(self, maps: list[Tensor], places: list[Tensor]) -> list[Tensor]:
        features = []
        for first, second, values, chosen in zip(self.first, self.second, maps, places, strict=True):
            pixels = values.flatten(2)[:, :, chosen].transpose(1, 2)
            features.append(F.normalize(second(F.relu(first(pixels), inplace=True)), dim=-1))
        return features


TRANSLATORS: dict[str, Callable[[dict[str, Any]], nn.Module]] = {
    "unet": UNet,
    "residual": Residual,
    "subpixel": Subpixel,
}
