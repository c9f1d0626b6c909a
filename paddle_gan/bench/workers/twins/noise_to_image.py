"""The steps of images from noise, as in `paddle_gan.training.noise_to_image`."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .layers import sides
from .networks import DISCRIMINATORS, GENERATORS, SIGMOID
from .objectives import OBJECTIVES, R1, Objective
from .update import frozen, move_average


@dataclass
class Twin:
    """The twin of a `NoiseToImage` task; `options` are those of the training run."""

    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    objective: Objective
    options: dict[str, Any]
    step: int = 0


def build(
    options: dict[str, Any],
    classes: int = 0,
    device: str = "cpu",
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Twin:
    """The twin of a training run with these options, whose networks take so many labels, or none."""
    options = options | {"classes": classes}
    generator = GENERATORS[options["generator"]](options)
    discriminator = DISCRIMINATORS[options["discriminator"]](options)
    for network in (generator, discriminator):
        network.to(device=device, memory_format=memory_format)
        if options["init"] == "dcgan":
            for part in network.modules():
                if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                    nn.init.normal_(part.weight, 0.0, 0.02)
    return Twin(
        generator=generator,
        discriminator=discriminator,
        average=deepcopy(generator).eval(),
        generator_optimizer=optimizer(options, generator, options["generator_learning_rate"]),
        discriminator_optimizer=optimizer(options, discriminator, options["discriminator_learning_rate"]),
        objective=OBJECTIVES[options["loss"]],
        options=options,
    )


def optimizer(options: dict[str, Any], network: nn.Module, rate: float | None) -> torch.optim.Optimizer:
    rate = rate or options["learning_rate"]
    if options["optimizer"] == "adam":
        return torch.optim.Adam(network.parameters(), rate, (options["beta1"], options["beta2"]), fused=True)
    return torch.optim.RMSprop(network.parameters(), rate, options["rho"], foreach=True)


def discriminator_step(twin: Twin, real: Tensor, labels: Tensor | None, latents: Tensor, number: int = 0) -> Tensor:
    """One update of the discriminator, its step `number`; returns its loss, the penalties included, with their weights.

    A lazy penalty counts so many times as steps lie between two of them.
    """
    with frozen(twin.generator), torch.no_grad():
        fake = twin.generator(latents, labels)
    loss = twin.objective.discriminator_loss(twin.discriminator(real, labels), twin.discriminator(fake, labels))
    if number % twin.options["penalty_every"] == 0:
        for penalty, weight in ((twin.objective.penalty, "penalty_weight"), (R1, "r1")):
            if penalty and twin.options[weight]:
                value = twin.options[weight] * penalty.value(twin.discriminator, real, fake, labels)
                loss = loss + twin.options["penalty_every"] * value
    loss.backward(inputs=list(twin.discriminator.parameters()))  # no gradient with respect to the penalty's images
    twin.discriminator_optimizer.step()
    twin.discriminator_optimizer.zero_grad()
    if bound := twin.options["weight_clip"]:
        with torch.no_grad():
            for parameter in twin.discriminator.parameters():
                parameter.clamp_(-bound, bound)
    return loss.detach()


def generator_step(twin: Twin, real: Tensor, labels: Tensor | None, latents: Tensor) -> Tensor:
    """One update of the generator and of its average; returns its loss. A relativistic one looks at `real`."""
    with frozen(twin.discriminator):
        logits = [twin.discriminator(twin.generator(latents, labels), labels)]
        if twin.objective.relativistic:
            with torch.no_grad():
                logits.insert(0, twin.discriminator(real, labels))
        loss = twin.objective.generator_loss(*logits)
        loss.backward()
    twin.generator_optimizer.step()
    twin.generator_optimizer.zero_grad()
    move_average(twin.average, twin.generator, twin.options["ema_decay"], twin.step)
    return loss.detach()


def train_round(twin: Twin, batch: Callable[[], tuple[Tensor, Tensor | None]]) -> None:
    """The objective's discriminator steps, then one generator step."""
    steps, latent_dim = twin.options["discriminator_steps"], twin.options["latent_dim"]
    for i in range(steps):
        real, labels = batch()
        latents = torch.randn(len(real), latent_dim, device=real.device)
        discriminator_step(twin, real, labels, latents, twin.step * steps + i)
    generator_step(twin, real, labels, torch.randn(len(real), latent_dim, device=real.device))
    twin.step += 1


def rounds_of(
    options: dict[str, Any], classes: int, images: int, device: str, memory_format: torch.memory_format
) -> Callable[[], None]:
    """Rounds of the twin of a training run, on so many images of noise, with labels if there are classes."""
    twin = build(options, classes, device, memory_format)
    shape = (images, options["channels"], *sides(options["image_size"]))
    stored = torch.randint(256, shape, dtype=torch.uint8, device=device)
    stored_labels = torch.randint(classes, [images], device=device) if classes else None
    low, high = (0.0, 1.0) if options["generator"] in SIGMOID else (-1.0, 1.0)

    def batch() -> tuple[Tensor, Tensor | None]:
        chosen = torch.randint(len(stored), [options["batch_size"]], device=device)
        real = stored[chosen].float().mul_((high - low) / 255).add_(low)
        labels = None if stored_labels is None else stored_labels[chosen]
        return real.contiguous(memory_format=memory_format), labels

    return lambda: train_round(twin, batch)
