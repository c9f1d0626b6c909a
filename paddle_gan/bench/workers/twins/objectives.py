"""Objectives: the two losses, which are functions of logits, and the penalty, as in `paddle_gan.objectives`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    t = torch.rand([real.shape[0]] + [1] * (real.ndim - 1), device=real.device)
    squares = squared_gradient(discriminator, t * real + (1 - t) * fake)
    return (torch.sqrt(squares + 1e-12) - 1).square().mean()


def r1_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    return squared_gradient(discriminator, real).mean()


def r1_r2_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    return squared_gradient(discriminator, real).mean() + squared_gradient(discriminator, fake).mean()


def squared_gradient(discriminator: nn.Module, images: Tensor) -> Tensor:
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1)


@dataclass(frozen=True)
class Objective:
    discriminator_loss: Callable[[Tensor, Tensor], Tensor]
    generator_loss: Callable[[Tensor], Tensor]
    penalty: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None


_GAN = Objective(
    discriminator_loss=lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
    generator_loss=lambda fake: F.softplus(-fake).mean(),
)
_LSGAN = Objective(
    discriminator_loss=lambda real, fake: 0.5 * ((real - 1).square().mean() + fake.square().mean()),
    generator_loss=lambda fake: 0.5 * (fake - 1).square().mean(),
)
_WGAN = Objective(
    discriminator_loss=lambda real, fake: fake.mean() - real.mean(),
    generator_loss=lambda fake: -fake.mean(),
)
OBJECTIVES: dict[str, Objective] = {
    "gan": _GAN,
    "lsgan": _LSGAN,
    "wgan": _WGAN,
    "wgan-gp": replace(_WGAN, penalty=gradient_penalty),
    "gan-r1": replace(_GAN, penalty=r1_penalty),
    "gan-r1-r2": replace(_GAN, penalty=r1_r2_penalty),
}
