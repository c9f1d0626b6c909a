"""Objectives: the two losses, which are functions of logits, and the penalty, as in `paddle_gan.objectives`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Points = Callable[[Tensor, Tensor], Tensor]


def real_images(real: Tensor, fake: Tensor) -> Tensor:
    return real


def fake_images(real: Tensor, fake: Tensor) -> Tensor:
    return fake


def between(real: Tensor, fake: Tensor) -> Tensor:
    t = torch.rand([real.shape[0]] + [1] * (real.ndim - 1), device=real.device)
    return t * real + (1 - t) * fake


def around(real: Tensor, fake: Tensor) -> Tensor:
    deviation = real.std(correction=0)
    return real + 0.5 * deviation * torch.rand(list(real.shape), device=real.device)


@dataclass(frozen=True)
class Penalty:
    """The mean of (‖gradient‖ − centre)² over each kind of points, summed."""

    at: tuple[Points, ...]
    centre: float = 0.0
    one_sided: bool = False

    def value(self, discriminator: nn.Module, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor:
        return sum(self._at(squared_gradient(discriminator, points(real, fake), labels)) for points in self.at)

    def _at(self, squares: Tensor) -> Tensor:
        if self.centre == 0:
            return squares.mean()
        excess = torch.sqrt(squares + 1e-12) - self.centre
        return (excess.relu() if self.one_sided else excess).square().mean()


def squared_gradient(discriminator: nn.Module, images: Tensor, labels: Tensor | None) -> Tensor:
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images, labels).sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1)


R1 = Penalty(at=(real_images,))


@dataclass(frozen=True)
class Objective:
    """`generator_loss` is a function of the fakes' logits; if `relativistic`, of those of real images and of fakes."""

    discriminator_loss: Callable[[Tensor, Tensor], Tensor]
    generator_loss: Callable[..., Tensor]
    penalty: Penalty | None = None
    relativistic: bool = False


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
    "gan-minimax": replace(_GAN, generator_loss=lambda fake: -F.softplus(fake).mean()),
    "lsgan": _LSGAN,
    "lsgan-sigmoid": Objective(
        discriminator_loss=lambda real, fake: (real.sigmoid() - 1).square().mean() + fake.sigmoid().square().mean(),
        generator_loss=lambda fake: (fake.sigmoid() - 1).square().mean(),
    ),
    "lsgan-tanh": Objective(
        discriminator_loss=lambda real, fake: (
            0.5 * ((real.tanh() - 1).square().mean() + (fake.tanh() + 1).square().mean())
        ),
        generator_loss=lambda fake: 0.5 * fake.tanh().square().mean(),
    ),
    "wgan": _WGAN,
    "wgan-gp": replace(_WGAN, penalty=Penalty(at=(between,), centre=1.0)),
    "wgan-lp": replace(_WGAN, penalty=Penalty(at=(between,), centre=1.0, one_sided=True)),
    "dragan": replace(_GAN, penalty=Penalty(at=(around,), centre=1.0)),
    "hinge": Objective(
        discriminator_loss=lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        generator_loss=lambda fake: -fake.mean(),
    ),
    "gan-r1": replace(_GAN, penalty=R1),
    "gan-r1-r2": replace(_GAN, penalty=Penalty(at=(real_images, fake_images))),
    "rpgan-r1-r2": Objective(
        discriminator_loss=lambda real, fake: F.softplus(fake - real).mean(),
        generator_loss=lambda real, fake: F.softplus(real - fake).mean(),
        penalty=Penalty(at=(real_images, fake_images)),
        relativistic=True,
    ),
}
