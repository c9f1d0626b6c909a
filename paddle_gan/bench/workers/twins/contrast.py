"""The steps without pairs in one direction, as in `paddle_gan.training.contrast`."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .adversary import Player, discriminator_step
from .objectives import Objective
from .update import frozen, move_average, update

_PATCHES = 256
_TEMPERATURE = 0.07


@dataclass
class Contrast:
    """The twin of a `Contrast` task."""

    generator: Player
    discriminator: Player
    patches: Player
    objective: Objective
    options: dict[str, Any]
    step: int = 0

    @property
    def players(self) -> dict[str, Player]:
        return {name: getattr(self, name) for name in ("discriminator", "generator", "patches")}

    def round(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """One round; the losses without their weights."""
        inputs = torch.cat([first, second]) if self.options["identity_weight"] else first
        made = self.generator.network(inputs)
        fake = made[: len(first)]
        losses = {"discriminator": discriminator_step(self.discriminator, self.objective, second, fake.detach())}
        losses |= self.generator_step(inputs, made, fake)
        self.step += 1
        return losses

    def generator_step(self, inputs: Tensor, made: Tensor, fake: Tensor) -> dict[str, Tensor]:
        c = self.options
        with frozen(self.discriminator.network):
            contrasts = self.contrasts(inputs, made, len(fake))
            losses = {
                "generator": self.objective.generator_loss(self.discriminator.network(fake)),
                "patches": contrasts[0],
            }
            loss = losses["generator"] + c["patch_weight"] * contrasts[0]
            if c["identity_weight"]:
                loss = loss + c["identity_weight"] * contrasts[1]
                losses["identity"] = contrasts[1]
            update([self.generator.optimizer, self.patches.optimizer], loss)
        move_average(self.generator.average, self.generator.network, c["ema_decay"], self.step)
        return {name: value.detach() for name, value in losses.items()}

    def contrasts(self, inputs: Tensor, made: Tensor, count: int) -> list[Tensor]:
        """The contrast of each part of `count` images, the mean over the feature maps."""
        features, heads = self.generator.network.features, self.patches.network
        maps = features(made)
        places = [torch.randperm(one.shape[2] * one.shape[3], device=one.device)[:_PATCHES] for one in maps]
        queries = heads(maps, places)
        with torch.no_grad():
            keys = heads(features(inputs), places)
        parts = [slice(start, start + count) for start in range(0, len(made), count)]
        return [
            torch.stack([patch_contrast(q[part], k[part]) for q, k in zip(queries, keys, strict=True)]).mean()
            for part in parts
        ]


def patch_contrast(queries: Tensor, keys: Tensor) -> Tensor:
    """The cross-entropy of finding, among all patches of an input, the one at the same place."""
    logits = torch.bmm(queries, keys.transpose(1, 2)).div_(_TEMPERATURE)
    count, patches = logits.shape[:2]
    same = torch.arange(patches, device=logits.device).repeat(count)
    return F.cross_entropy(logits.flatten(0, 1), same)
