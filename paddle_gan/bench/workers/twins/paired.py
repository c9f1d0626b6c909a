"""The steps of the paired task, as in `paddle_gan.training.paired`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .adversary import Player, discriminator_step
from .objectives import Objective
from .translators import CHANNELS
from .update import frozen, move_average, update

Maps = Callable[[Tensor], list[Tensor]]


@dataclass
class Paired:
    """The twin of a `Paired` task.

    Attributes:
        generator, discriminator: the players.
        objective: the adversarial part.
        maps: for the perceptual loss; None if its weight is 0.
        conditional: whether the discriminator sees the input too.
        adversarial: whether the discriminator has begun.
        options: of the training run.
    """

    generator: Player
    discriminator: Player
    objective: Objective
    maps: Maps | None
    conditional: bool
    adversarial: bool
    options: dict[str, Any]
    step: int = 0

    @property
    def players(self) -> dict[str, Player]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def round(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """One round; the losses without their weights."""
        fake = self.generator.network(inputs)
        losses = {}
        if self.adversarial:
            real, made = self.judged(inputs, targets), self.judged(inputs, fake.detach())
            losses["discriminator"] = discriminator_step(self.discriminator, self.objective, real, made)
        losses |= self.generator_step(inputs, targets, fake)
        self.step += 1
        return losses

    def generator_step(self, inputs: Tensor, targets: Tensor, fake: Tensor) -> dict[str, Tensor]:
        c, losses = self.options, {}
        with frozen(self.discriminator.network):
            losses["l1"] = F.l1_loss(fake, targets)
            loss = c["l1_weight"] * losses["l1"]
            if self.adversarial:
                judged = self.judged(inputs, fake)
                losses["generator"] = self.objective.generator_loss(self.discriminator.network(judged))
                loss = loss + losses["generator"]
            if self.adversarial and self.maps:
                losses["perceptual"] = perceptual_loss(self.maps, fake, targets)
                loss = loss + c["perceptual_weight"] * losses["perceptual"]
            update([self.generator.optimizer], loss)
        move_average(self.generator.average, self.generator.network, c["ema_decay"], self.step)
        return {name: value.detach() for name, value in losses.items()}

    def judged(self, inputs: Tensor, images: Tensor) -> Tensor:
        return torch.cat([inputs, images], 1) if self.conditional else images


def perceptual_loss(maps: Maps, images: Tensor, targets: Tensor) -> Tensor:
    with torch.no_grad():
        wanted = maps(targets)
    losses = [F.l1_loss(made, target) for made, target in zip(maps(images), wanted, strict=True)]
    return torch.stack(losses).mean()


def random_convolutions(device: str, memory_format: torch.memory_format) -> Maps:
    """The maps of `paddle_gan.features.maps.random_convolutions`, with the same weights."""
    random, weights, inputs = np.random.default_rng(20180101), [], CHANNELS
    for width in (32, 64, 128, 256):
        weight = random.standard_normal((width, inputs, 4, 4)) * np.sqrt(2 / (inputs * 16))
        weights.append(torch.from_numpy(weight).float().to(device=device, memory_format=memory_format))
        inputs = width

    def maps(images: Tensor) -> list[Tensor]:
        made = [images]
        for weight in weights:
            made.append(F.relu(F.conv2d(made[-1], weight, stride=2, padding=2), inplace=True))
        return made[1:]

    return maps
