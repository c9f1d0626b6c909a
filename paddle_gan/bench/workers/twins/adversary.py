"""Players and the adversarial part of tasks from images to images, as in `paddle_gan.training.adversary`."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .objectives import OBJECTIVES, Objective
from .update import update

# The objectives of these tasks that have a twin: those without a penalty.
PATCH_OBJECTIVES = {name: OBJECTIVES[name] for name in ("gan", "lsgan")}


@dataclass
class Player:
    """A network in training, its optimiser, and its average if it has one."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: nn.Module | None = None


def player(network: nn.Module, c: dict[str, Any], rate: float, averaged: bool = False) -> Player:
    optimizer = torch.optim.Adam(network.parameters(), rate, (c["beta1"], 0.999), fused=True)
    return Player(network, optimizer, deepcopy(network).eval() if averaged else None)


def discriminator_step(judge: Player, objective: Objective, real: Tensor, fake: Tensor) -> Tensor:
    """One update of a discriminator; returns its loss. Nothing mixes samples, so one pass judges both batches."""
    real_logits, fake_logits = judge.network(torch.cat([real, fake])).chunk(2)
    loss = objective.discriminator_loss(real_logits, fake_logits)
    update([judge.optimizer], loss)
    return loss.detach()
