"""The same networks, objectives and steps in PyTorch, written in the way that is fastest there.

This is for the comparison of speed only. Each twin has the parameters of its original, in the same order and with the
same shapes (except that the weight of a linear map is transposed), so weights can be copied and results compared. The
steps do the same as `paddle_gan.training`. If PyTorch has a faster way to the same result, it is taken: activations in
place, the fused Adam, one moving average for all tensors. The package paddle_gan is not imported, see `turns`.
"""

import math
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_WARM_UP = 2

# ---- Networks. `c` are the filled-in options of a training run.


def sides(image_size: int | str) -> tuple[int, int]:
    """Height and width of 64 or of "WIDTHxHEIGHT"."""
    width, _, height = str(image_size).partition("x")
    return int(height or width), int(width)


def doublings(image_size: int | str) -> tuple[tuple[int, int], int]:
    """The small sides from which those of `image_size`, or ones above, are reached by doubling, and how often."""
    (height, width), count = sides(image_size), 0
    while max(height, width) > 8:
        height, width, count = -(-height // 2), -(-width // 2), count + 1
    return (height, width), count


class Crop(nn.Module):
    """The middle of an image."""

    def __init__(self, image_size: int | str):
        super().__init__()
        self.height, self.width = sides(image_size)

    def forward(self, x: Tensor) -> Tensor:
        top, left = (x.shape[2] - self.height) // 2, (x.shape[3] - self.width) // 2
        return x[:, :, top : top + self.height, left : left + self.width]


def unit(convolution: nn.Module, norm: bool, activation: nn.Module) -> list[nn.Module]:
    """Convolution, norm if wanted, activation."""
    return [convolution, nn.BatchNorm2d(convolution.out_channels), activation] if norm else [convolution, activation]


def leaky_relu() -> nn.Module:
    return nn.LeakyReLU(0.2, inplace=True)


def relu() -> nn.Module:
    return nn.ReLU(inplace=True)


def pixel_shuffle_stage(before: int, after: int, last: bool) -> list[nn.Module]:
    if last:
        return [nn.ConvTranspose2d(before, after, 6, 2, padding=2)]
    return [*unit(nn.Conv2d(before, 4 * after, 3, padding=1, bias=False), True, relu()), nn.PixelShuffle(2)]


def upsample_stage(before: int, after: int, last: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=last)
    return [nn.Upsample(scale_factor=2)] + ([convolution] if last else unit(convolution, True, relu()))


def transposed_stage(before: int, after: int, last: bool) -> list[nn.Module]:
    convolution = nn.ConvTranspose2d(before, after, 5, 2, padding=2, output_padding=1, bias=last)
    return [convolution] if last else unit(convolution, True, relu())


def upsampling_generator(stage: Callable[[int, int, bool], list[nn.Module]], c: dict[str, Any]) -> nn.Module:
    (height, width), stages = doublings(c["image_size"])
    widths = [c["width"] * 2 ** min(stages - 1 - i, 3) for i in range(stages)]
    return nn.Sequential(
        nn.Linear(c["latent_dim"], widths[0] * height * width, bias=False),
        nn.Unflatten(1, (widths[0], height, width)),
        nn.BatchNorm2d(widths[0]),
        relu(),
        *(layer for before, after in pairwise(widths) for layer in stage(before, after, False)),
        *stage(widths[-1], c["channels"], True),
        *([] if (height << stages, width << stages) == sides(c["image_size"]) else [Crop(c["image_size"])]),
        nn.Tanh(),
    )


def tutorial_generator(c: dict[str, Any]) -> nn.Module:
    width = c["width"]
    return nn.Sequential(
        nn.Unflatten(1, (1, 10, 10)),
        *unit(nn.Conv2d(1, width, 5, padding="same", bias=False), True, leaky_relu()),
        *unit(nn.Conv2d(width, width * 16, 3, bias=False), True, leaky_relu()),
        nn.PixelShuffle(4),
        *unit(nn.Conv2d(width, width, 5, padding="same", bias=False), True, leaky_relu()),
        nn.Conv2d(width, c["channels"], 5, padding="same"),
        nn.Sigmoid(),
    )


class MLP(nn.Module):
    """Linear maps of the given widths, with the activation after the hidden ones and BatchNorm in the last `norms`."""

    def __init__(
        self, widths: list[int], norms: int, activation: Callable[[], nn.Module], output: Callable, shape: tuple
    ):
        super().__init__()
        self.hidden = nn.ModuleList([nn.Linear(before, after) for before, after in pairwise(widths[:-1])])
        self.norms = nn.ModuleList([nn.BatchNorm1d(width, momentum=0.2) for width in widths[-1 - norms : -1]])
        self.last = nn.Linear(widths[-2], widths[-1])
        self.activation, self.output, self.shape = activation(), output, shape

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        unnormed = len(self.hidden) - len(self.norms)
        for i, linear in enumerate(self.hidden):
            x = linear(x)
            x = self.activation(self.norms[i - unnormed](x) if i >= unnormed else x)
        return self.output(self.last(x)).reshape(self.shape)


def mlp_generator(growth: tuple[int, ...], norms: int, activation: Callable, output: Callable, c: dict) -> nn.Module:
    shape = (-1, c["channels"], *sides(c["image_size"]))
    pixels = c["channels"] * math.prod(sides(c["image_size"]))
    widths = [c["latent_dim"], *(c["width"] * factor for factor in growth), pixels]
    return MLP(widths, norms, activation, output, shape)


def mlp_discriminator(shrink: tuple[int, ...], activation: Callable, c: dict[str, Any]) -> nn.Module:
    hidden = [max(1, c["discriminator_width"] // factor) for factor in shrink]
    widths = [c["channels"] * math.prod(sides(c["image_size"])), *hidden, 1]
    return MLP(widths, len(hidden) if c["discriminator_norm"] == "batch" else 0, activation, nn.Identity(), (-1,))


def strided_discriminator(c: dict[str, Any]) -> nn.Module:
    (height, width), halvings = doublings(c["image_size"])
    widths = [c["discriminator_width"] * 2 ** min(i, 3) for i in range(halvings + 1)]
    norm = c["discriminator_norm"] == "batch"
    return nn.Sequential(
        *unit(nn.Conv2d(c["channels"], widths[0], 3, 2, padding=1, bias=False), False, leaky_relu()),
        *(
            layer
            for before, after in pairwise(widths)
            for layer in unit(nn.Conv2d(before, after, 3, 2, padding=1, bias=not norm), norm, leaky_relu())
        ),
        nn.Flatten(),
        nn.Linear(widths[-1] * ((height + 1) // 2) * ((width + 1) // 2), 1),
        nn.Flatten(0),
    )


def tutorial_discriminator(c: dict[str, Any]) -> nn.Module:
    width, norm = c["discriminator_width"], c["discriminator_norm"] == "batch"
    widths = [c["channels"], width, width * 2, width * 2]
    return nn.Sequential(
        *(
            layer
            for before, after in pairwise(widths)
            for layer in unit(nn.Conv2d(before, after, 5, 2, bias=not norm), norm, leaky_relu())
        ),
        nn.Conv2d(widths[-1], 1, 1),
        nn.Flatten(0),
    )


GENERATORS: dict[str, Callable[[dict[str, Any]], nn.Module]] = {
    "pixelshuffle": partial(upsampling_generator, pixel_shuffle_stage),
    "upsample": partial(upsampling_generator, upsample_stage),
    "dcgan": partial(upsampling_generator, transposed_stage),
    "tutorial": tutorial_generator,
    "mlp": partial(mlp_generator, (1, 2, 4, 8), 3, leaky_relu, torch.tanh),
    "mlp-plain": partial(mlp_generator, (1, 2, 4), 0, leaky_relu, torch.tanh),
    "mlp-shallow": partial(mlp_generator, (1,), 0, relu, torch.sigmoid),
}
DISCRIMINATORS: dict[str, Callable[[dict[str, Any]], nn.Module]] = {
    "strided": strided_discriminator,
    "tutorial": tutorial_discriminator,
    "mlp": partial(mlp_discriminator, (1, 2), leaky_relu),
    "mlp-shallow": partial(mlp_discriminator, (1,), relu),
}
_SIGMOID = ("tutorial", "mlp-shallow")  # generators of images in [0, 1]; the others' are in [-1, 1]

# ---- Objectives: the two losses, which are functions of logits, and the penalty.


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

# ---- The steps, as in `paddle_gan.training`.


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


class UsageError(Exception):
    """The asking process knows it by its name."""


def build(
    options: dict[str, Any], device: str = "cpu", memory_format: torch.memory_format = torch.contiguous_format
) -> Twin:
    """The twin of a training run with these options.

    Raises:
        UsageError: the objective has no twin.
    """
    if options["loss"] not in OBJECTIVES:
        raise UsageError(
            f"--against torch with --loss {options['loss']}: there is no twin of it; {', '.join(OBJECTIVES)} have one"
        )
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


def discriminator_step(twin: Twin, real: Tensor, latents: Tensor, number: int = 0) -> Tensor:
    """One update of the discriminator, its step `number`; returns its loss, the penalties included, with their weights.

    A lazy penalty counts so many times as steps lie between two of them.
    """
    with frozen(twin.generator), torch.no_grad():
        fake = twin.generator(latents)
    loss = twin.objective.discriminator_loss(twin.discriminator(real), twin.discriminator(fake))
    if number % twin.options["penalty_every"] == 0:
        for penalty, weight in ((twin.objective.penalty, "penalty_weight"), (r1_penalty, "r1")):
            if penalty and twin.options[weight]:
                value = twin.options[weight] * penalty(twin.discriminator, real, fake)
                loss = loss + twin.options["penalty_every"] * value
    loss.backward(inputs=list(twin.discriminator.parameters()))  # no gradient with respect to the penalty's images
    twin.discriminator_optimizer.step()
    twin.discriminator_optimizer.zero_grad()
    if bound := twin.options["weight_clip"]:
        with torch.no_grad():
            for parameter in twin.discriminator.parameters():
                parameter.clamp_(-bound, bound)
    return loss.detach()


def generator_step(twin: Twin, latents: Tensor) -> Tensor:
    """One update of the generator and of its average; returns its loss."""
    with frozen(twin.discriminator):
        loss = twin.objective.generator_loss(twin.discriminator(twin.generator(latents)))
        loss.backward()
    twin.generator_optimizer.step()
    twin.generator_optimizer.zero_grad()
    decay = min(twin.options["ema_decay"], (1 + twin.step) / (10 + twin.step))
    get_ema_multi_avg_fn(decay)(floats(twin.average), floats(twin.generator), None)
    return loss.detach()


def train_round(twin: Twin, batch: Callable[[], Tensor]) -> None:
    """The objective's discriminator steps, then one generator step."""
    steps = twin.options["discriminator_steps"]
    for i in range(steps):
        real = batch()
        latents = torch.randn(len(real), twin.options["latent_dim"], device=real.device)
        discriminator_step(twin, real, latents, twin.step * steps + i)
    generator_step(twin, torch.randn(len(real), twin.options["latent_dim"], device=real.device))
    twin.step += 1


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """No gradients of the parameters. BatchNorm uses the batch's statistics and does not change the running ones."""
    norms = [part for part in network.modules() if isinstance(part, _BATCH_NORMS)]
    momenta = [norm.momentum for norm in norms]
    network.requires_grad_(False)
    for norm in norms:
        norm.momentum = 0.0
    yield
    network.requires_grad_(True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def floats(network: nn.Module) -> list[Tensor]:
    """Parameters and running statistics, without the number of batches that BatchNorm counts."""
    return [value.detach() for value in network.state_dict().values() if value.is_floating_point()]


# ---- The worker.


def prepare(case: dict[str, Any]):
    """The rounds of one case, in both memory layouts.

    Args:
        case: "options", filled in; "images", the number of images of noise; "threads", the number of them; maybe
            "only", the one action that is prepared.
    """
    from turns import Work, resident, settings

    torch.set_num_threads(case["threads"])
    torch.backends.cudnn.benchmark = True
    options = case["options"]
    device = options["device"].replace("gpu", "cuda")
    shape = (case["images"], options["channels"], *sides(options["image_size"]))
    images = torch.randint(256, shape, dtype=torch.uint8, device=device)
    low, high = (0.0, 1.0) if options["generator"] in _SIGMOID else (-1.0, 1.0)

    def rounds(memory_format: torch.memory_format) -> Callable[[], None]:
        twin = build(options, device, memory_format)

        def batch() -> Tensor:
            chosen = torch.randint(len(images), [options["batch_size"]], device=device)
            real = images[chosen].float().mul_((high - low) / 255).add_(low)
            return real.contiguous(memory_format=memory_format)

        return lambda: train_round(twin, batch)

    layouts = {"torch": torch.contiguous_format, "torch, channels last": torch.channels_last}
    only = case.get("only")
    actions = {name: rounds(layout) for name, layout in layouts.items() if only in (None, name)}
    built = resident() if device == "cpu" else torch.cuda.memory_allocated()
    for action in actions.values():
        for _ in range(_WARM_UP):
            action()
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    about = {"versions": versions, "threads": torch.get_num_threads(), "environment": settings()}
    about["built_bytes"] = built
    if device == "cpu":
        return Work(about, actions)
    return Work(
        about,
        actions,
        synchronise=partial(torch.cuda.synchronize, device),
        device_peak=torch.cuda.max_memory_allocated,
    )


if __name__ == "__main__":
    from turns import serve

    serve(prepare)
