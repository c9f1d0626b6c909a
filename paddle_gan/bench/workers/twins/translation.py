"""The task of a translation, and its batches, from the options of the training run, all filled in."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .adversary import PATCH_OBJECTIVES, Player, player
from .contrast import Contrast
from .paired import Paired, random_convolutions
from .translators import CHANNELS, TRANSLATORS, Filling, PatchHeads, patch_discriminator, resampled
from .unpaired import Cycle
from .update import twin_of

# Old translations that a discriminator of `Cycle` also sees.
_BUFFER_SIZE = 50


def build(
    c: dict[str, Any], device: str = "cpu", memory_format: torch.memory_format = torch.contiguous_format
) -> Paired | Cycle | Contrast:
    """The twin of a training run with these options.

    Raises:
        UsageError: the objective has no twin.
    """
    objective = twin_of("--loss", c["loss"], PATCH_OBJECTIVES)

    def new(network: nn.Module, rate: float, averaged: bool = False) -> Player:
        for part in network.modules():
            if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(part.weight, 0.0, 0.02)
        return player(network.to(device=device, memory_format=memory_format), c, rate, averaged)

    def generator() -> Player:
        network = Filling if c["mask"] else TRANSLATORS[c["generator"]]
        return new(network(c), c["learning_rate"], averaged=True)

    def discriminator(channels: int = CHANNELS) -> Player:
        return new(patch_discriminator(c, channels), c["discriminator_learning_rate"])

    if c["task"] != "unpaired":
        conditional = c["task"] != "super-resolution"
        return Paired(
            generator=generator(),
            discriminator=discriminator(2 * CHANNELS + bool(c["mask"]) if conditional else CHANNELS),
            objective=objective,
            maps=random_convolutions(device, memory_format) if c["perceptual_weight"] else None,
            conditional=conditional,
            adversarial=c["warm_up"] < 1,
            options=c,
        )
    if c["method"] == "cyclegan":
        shape = [_BUFFER_SIZE, CHANNELS, c["image_size"], c["image_size"]]
        return Cycle(
            *(generator(), generator(), discriminator(), discriminator()),
            objective=objective,
            fakes=torch.zeros(shape, device=device).to(memory_format=memory_format),
            fakes_back=torch.zeros(shape, device=device).to(memory_format=memory_format),
            options=c,
        )
    heads = new(PatchHeads(c), c["learning_rate"])
    return Contrast(generator(), discriminator(), heads, objective=objective, options=c)


def rounds_of(c: dict[str, Any], images: int, device: str, memory_format: torch.memory_format) -> Callable[[], object]:
    """Rounds of the twin of a training run, on so many images of noise."""
    twin, batch = build(c, device, memory_format), batches_of(c, images, device, memory_format)
    return lambda: twin.round(*batch())


def batches_of(
    c: dict[str, Any], images: int, device: str, memory_format: torch.memory_format
) -> Callable[[], tuple[Tensor, Tensor]]:
    """A function to the next batch: random crops of so many images of noise, as a run of this task takes them."""
    size, crop = c["load_size"], partial(random_crops, c=c, memory_format=memory_format)

    def noise(channels: int) -> Tensor:
        return torch.randint(256, (images, channels, size, size), dtype=torch.uint8, device=device)

    if c["task"] == "unpaired":
        first, second = noise(CHANNELS), noise(CHANNELS)
        return lambda: (crop(first), crop(second))
    if c["task"] == "super-resolution":
        whole = noise(CHANNELS)

        def enlarged() -> tuple[Tensor, Tensor]:
            targets = crop(whole)
            return reduced(targets, c["scale"]), targets

        return enlarged
    if c["mask"]:
        complete = noise(CHANNELS)

        def filled() -> tuple[Tensor, Tensor]:
            targets = crop(complete)
            return with_boxes(targets).contiguous(memory_format=memory_format), targets

        return filled
    pairs = noise(2 * CHANNELS)

    def both() -> tuple[Tensor, Tensor]:
        inputs, targets = crop(pairs).split(CHANNELS, 1)
        return (
            inputs.contiguous(memory_format=memory_format),
            targets.contiguous(memory_format=memory_format),
        )

    return both


def random_crops(images: Tensor, c: dict[str, Any], memory_format: torch.memory_format) -> Tensor:
    """Crops of random ones of the images, half of them mirrored, in [-1, 1]."""
    count, size = c["batch_size"], c["image_size"]
    crops = torch.empty([count, images.shape[1], size, size], device=images.device, memory_format=memory_format)
    chosen = torch.randint(len(images), [count]).tolist()
    places = torch.randint(images.shape[2] - size + 1, [count, 2]).tolist()
    mirrored = torch.randint(2, [count]).tolist()
    for i, (top, left) in enumerate(places):
        one = images[chosen[i], :, top : top + size, left : left + size]
        crops[i] = one.flip(2) if mirrored[i] and not c["no_mirror"] else one
    return crops.mul_(2 / 255).sub_(1)


def with_boxes(targets: Tensor) -> Tensor:
    """Inputs of in-painting: targets, 0 in a random box of a quarter to a half of their side, and the box."""
    side, holes = targets.shape[2], torch.full_like(targets[:, :1], -1)
    for hole in holes:
        height, width = torch.randint(round(side / 4), round(side / 2) + 1, [2]).tolist()
        top, left = (int(torch.randint(side - size + 1, [])) for size in (height, width))
        hole[:, top : top + height, left : left + width] = 1
    return torch.cat([targets * ((1 - holes) / 2), holes], 1)


def reduced(targets: Tensor, scale: int) -> Tensor:
    """Inputs of super-resolution: targets in [-1, 1], reduced and rounded to 256 levels."""
    return resampled(targets, 1 / scale).add_(1).mul_(127.5).round_().clamp_(0, 255).div_(127.5).sub_(1)
