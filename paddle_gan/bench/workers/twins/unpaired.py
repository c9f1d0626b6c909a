"""The steps without pairs, there and back again, as in `paddle_gan.training.unpaired`."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .adversary import Player, discriminator_step
from .objectives import Objective
from .update import frozen, move_average, update


@dataclass
class Cycle:
    """The twin of a `Cycle` task; `fakes` and `fakes_back` are old translations [B, C, H, W]."""

    generator: Player
    generator_back: Player
    discriminator: Player
    discriminator_back: Player
    objective: Objective
    fakes: Tensor
    fakes_back: Tensor
    options: dict[str, Any]
    step: int = 0

    @property
    def players(self) -> dict[str, Player]:
        names = ("discriminator", "discriminator_back", "generator", "generator_back")
        return {name: getattr(self, name) for name in names}

    def round(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """One round; the losses without their weights."""
        fake, fake_back, losses = self.generator_step(first, second)
        for suffix, real, made in (("", second, fake), ("_back", first, fake_back)):
            old = exchanged(getattr(self, f"fakes{suffix}"), self.step * len(made), made)
            name = f"discriminator{suffix}"
            losses[name] = discriminator_step(self.players[name], self.objective, real, old)
        self.step += 1
        return losses

    def generator_step(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        c, there, back = self.options, self.generator.network, self.generator_back.network
        judges = self.discriminator.network, self.discriminator_back.network
        with frozen(*judges):
            fake, same_second = there(torch.cat([first, second])).chunk(2)
            fake_back, same_first = back(torch.cat([second, first])).chunk(2)
            losses = {
                "generator": self.objective.generator_loss(judges[0](fake)),
                "generator_back": self.objective.generator_loss(judges[1](fake_back)),
                "cycle": F.l1_loss(back(fake), first) + F.l1_loss(there(fake_back), second),
                "identity": F.l1_loss(same_second, second) + F.l1_loss(same_first, first),
            }
            loss = losses["generator"] + losses["generator_back"] + c["cycle_weight"] * losses["cycle"]
            update(
                [self.generator.optimizer, self.generator_back.optimizer],
                loss + c["identity_weight"] * losses["identity"],
            )
        for player in (self.generator, self.generator_back):
            move_average(player.average, player.network, c["ema_decay"], self.step)
        return fake.detach(), fake_back.detach(), {name: value.detach() for name, value in losses.items()}


def exchanged(buffer: Tensor, seen: int, images: Tensor) -> Tensor:
    """The images, about half of them replaced by older ones, which they take the place of."""
    filled = min(seen, len(buffer))
    kept = min(len(images), len(buffer) - filled)
    buffer[filled : filled + kept] = images[:kept]
    if kept == len(images):
        return images
    late = images[kept:]
    places = torch.randperm(len(buffer), device=images.device)[: len(late)]
    older = buffer[places]
    swap = torch.rand([len(late), 1, 1, 1], device=images.device) < 0.5
    buffer[places] = torch.where(swap, late, older)
    return torch.cat([images[:kept], torch.where(swap, older, late)])
