"""From the options that were given to the options of a run: presets, recipes, defaults, and what is refused.

The answer is a `TrainConfig` in which everything that the numbers depend on is filled, but for a length
given in epochs, which needs the data; and the notices that the user should read.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import paddle

from paddle_gan.backend import kernels, precision
from paddle_gan.backend.compiled import compiled
from paddle_gan.backend.precision import Precision
from paddle_gan.config.options import LOSS_ALIASES, TrainConfig, flag
from paddle_gan.datasets import DATASETS, default_size
from paddle_gan.errors import UsageError
from paddle_gan.networks import DISCRIMINATORS, GENERATORS, PARTNERS
from paddle_gan.networks.blocks import NORMS
from paddle_gan.objectives.objective import OBJECTIVES, Objective, gan_discriminator_loss
from paddle_gan.objectives.optimizers import OPTIMIZERS, Adam


@dataclass(frozen=True)
class Preset:
    """What options that are left open become.

    Attributes:
        generator: its name.
        images: length of the run in real images that the discriminator sees. Not in epochs, of which
            a small folder of images needs many more than MNIST.
        adam: with that generator, takes the place of DCGAN's Adam in a recipe; None to leave it.
    """

    generator: str
    images: int
    adam: Adam | None = None


PRESETS: dict[str, Preset] = {
    # Recognisable digits within ten minutes on two cores: three epochs of MNIST. At these rates the small
    # networks need half the steps of DCGAN's for the same distance to the data (measured on MNIST).
    "small": Preset("pixelshuffle", 180_000, Adam(4e-4, 0.5, 0.99)),
    # The write-up's networks and length: a hundred epochs of MNIST.
    "full": Preset("writeup", 6_000_000),
}
# Where the preset's generator does not fit, as the write-up's in other sizes than 32x32.
_GENERATOR_OF_ANY_SIZE = "pixelshuffle"


def resolve(given: TrainConfig, device: str) -> tuple[TrainConfig, list[str]]:
    """Fill every option that was not given.

    Args:
        given: as the user wrote it.
        device: "cpu" or "gpu:N", which the automatic preset depends on.

    Returns:
        The filled options, and notices: one sentence each.

    Raises:
        UsageError: options that do not go together.
    """
    notices: list[str] = []
    config = replace(given, loss=LOSS_ALIASES.get(given.loss, given.loss))
    config = _with_preset(config, device, notices)
    if config.dataset not in DATASETS:
        config = replace(config, dataset=str(Path(config.dataset).expanduser().resolve()))
    if config.data_dir:
        config = replace(config, data_dir=str(Path(config.data_dir).expanduser().resolve()))
    discriminator, init = PARTNERS[config.generator]
    config = replace(config, discriminator=config.discriminator or discriminator, init=config.init or init)
    config = _with_sizes(config)
    config = _with_norm(config, notices)
    return _with_length(_with_recipe(config, notices)), notices


def objective_of(config: TrainConfig) -> Objective:
    """The objective with the numbers of a resolved configuration."""
    objective = OBJECTIVES[config.loss]
    discriminator_loss = objective.discriminator_loss
    if config.label_smoothing:
        discriminator_loss = partial(discriminator_loss, real_target=1 - config.label_smoothing)
    return replace(
        objective,
        discriminator_loss=discriminator_loss,
        penalty_weight=config.penalty_weight or 0.0,
        weight_clip=config.weight_clip,
        discriminator_steps=config.discriminator_steps,
    )


def optimizer_of(config: TrainConfig, learning_rate: float | None) -> Any:
    """The optimiser recipe of a resolved configuration, with a network's own learning rate or None."""
    kind = OPTIMIZERS[config.optimizer]
    numbers = {name: getattr(config, name) for name in ("beta1", "beta2", "rho") if name in _field_names(kind)}
    return kind(learning_rate=learning_rate or config.learning_rate, **numbers)


def precision_of(config: TrainConfig, device: str) -> Precision:
    """How a configuration's networks are run on a device, "cpu" or "gpu:N".

    Raises:
        UsageError: not on this device.
    """
    name = config.precision
    if config.compile:
        if name != "float32":
            raise UsageError(f"--compile with --precision {name}: not tried together; leave one of them out")
        if device == "cpu" and kernels.available():
            raise UsageError(
                "--compile on a CPU: a graph cannot use oneDNN's convolutions, which are quicker; leave it out"
            )
        return Precision(call=compiled())
    if name == "float32":
        return Precision()
    if device == "cpu":
        if name == "float16":
            raise UsageError("--precision float16 on a CPU: it is for a GPU; use bfloat16, or leave it out")
        if not precision.can_round():
            raise UsageError(
                "--precision bfloat16: this processor, or this build of Paddle, cannot train in it; leave it out"
            )
        return precision.rounded()
    supported = {"bfloat16": paddle.amp.is_bfloat16_supported, "float16": paddle.amp.is_float16_supported}
    if not supported[name]():
        raise UsageError(f"--precision {name}: this GPU, or this build of Paddle, has none; leave it out")
    return precision.mixed(name, scaled=name == "float16")


def network_arguments(network: Callable, config: TrainConfig, classes: int) -> dict[str, Any]:
    """The arguments that a network of GENERATORS or DISCRIMINATORS takes, from a resolved configuration."""
    offered = {"image_size": config.image_size, "channels": config.channels, "classes": classes}
    if network is GENERATORS[config.generator]:
        offered |= {"latent_dim": config.latent_dim, "width": config.width}
    else:
        offered |= {"width": config.discriminator_width, "norm": NORMS[config.discriminator_norm]}
    return {name: value for name, value in offered.items() if name in inspect.signature(network).parameters}


def _with_preset(config: TrainConfig, device: str, notices: list[str]) -> TrainConfig:
    name = config.preset if config.preset != "auto" else ("small" if device == "cpu" else "full")
    open_length = config.steps is None and config.epochs is None
    if config.preset == "auto" and name == "small" and (config.generator is None or open_length):
        notices.append(
            "no GPU, so what is left open comes from the small preset; --preset full trains the write-up's full network"
        )
    generator = config.generator or PRESETS[name].generator
    if config.generator is None and not _fits(generator, config):
        notices.append(
            f"the {name} preset's {generator} network is not made for these images; {_GENERATOR_OF_ANY_SIZE} takes its place"
        )
        generator = _GENERATOR_OF_ANY_SIZE
    return replace(config, preset=name, generator=generator)


def _fits(generator: str, config: TrainConfig) -> bool:
    """Whether a generator can make the images asked for; one of a fixed size is meant for the sets of digits."""
    network = GENERATORS[generator]
    if not hasattr(network, "image_size"):
        return True
    same_size = config.image_size in (None, network.image_size)
    return config.dataset in DATASETS and same_size and config.latent_dim in (None, network.latent_dim)


def _with_length(config: TrainConfig) -> TrainConfig:
    """The preset's length in steps, unless a length was given."""
    if config.steps is not None or config.epochs is not None:
        return config
    images = config.batch_size * config.discriminator_steps
    return replace(config, steps=max(1, round(PRESETS[config.preset].images / images)))


def _with_sizes(config: TrainConfig) -> TrainConfig:
    """Image size, channels, latent size and widths: as given, else the network's, else the data's."""
    generator, discriminator = GENERATORS[config.generator], DISCRIMINATORS[config.discriminator]
    data_size, data_channels = default_size(config.dataset)
    fixed = getattr(generator, "image_size", None) or getattr(discriminator, "image_size", None)
    size = config.image_size or fixed or data_size
    for name, network in ((config.generator, generator), (config.discriminator, discriminator)):
        if getattr(network, "image_size", size) != size:
            raise UsageError(
                f"the {name} network is made for {network.image_size}x{network.image_size} images, not {size}; leave --image-size out or choose another network"
            )
    latent_dim = getattr(generator, "latent_dim", None)
    if latent_dim and config.latent_dim not in (None, latent_dim):
        raise UsageError(f"the {config.generator} generator takes {latent_dim} noise values; leave --latent-dim out")
    return replace(
        config,
        image_size=size,
        channels=config.channels or data_channels,
        latent_dim=config.latent_dim or latent_dim or _default(generator, "latent_dim"),
        width=config.width or _default(generator, "width"),
        discriminator_width=config.discriminator_width or _default(discriminator, "width"),
    )


def _with_norm(config: TrainConfig, notices: list[str]) -> TrainConfig:
    """The discriminator's norm: BatchNorm mixes the samples of a batch, and the penalty is one of single samples."""
    penalised = OBJECTIVES[config.loss].penalty is not None
    own = _default(DISCRIMINATORS[config.discriminator], "norm")
    norm = config.discriminator_norm or next(name for name, value in NORMS.items() if value is own)
    if penalised and norm == "batch":
        if config.discriminator_norm:
            raise UsageError(
                f"--discriminator-norm batch with {config.loss}: the penalty is on the gradient of each sample by itself, "
                "and BatchNorm mixes the samples (Gulrajani et al. 2017, section 4); use none or layer"
            )
        # LayerNorm learns a little more in a step, but no norm learns more in the same time (measured on MNIST).
        notices.append(
            f"{config.loss}: no BatchNorm in the discriminator, it mixes the samples that the penalty is for"
        )
        norm = "none"
    return replace(config, discriminator_norm=norm)


def _with_recipe(config: TrainConfig, notices: list[str]) -> TrainConfig:
    """The objective's own numbers, and a refusal of those that it has no use for."""
    objective = OBJECTIVES[config.loss]
    if config.weight_clip is not None and objective.weight_clip is None:
        raise UsageError(
            f"--weight-clip with {config.loss}: clipping is how wgan bounds its critic's slope; "
            f"here it would only weaken the discriminator; use --loss wgan, or leave it out"
        )
    if config.penalty_weight is not None and objective.penalty is None:
        raise UsageError(
            f"--penalty-weight with {config.loss}: it has no gradient penalty; use --loss wgan-gp, or leave it out"
        )
    if config.label_smoothing and objective.discriminator_loss is not gan_discriminator_loss:
        raise UsageError(f"--label-smoothing with {config.loss}: only the cross-entropy of gan has targets to smooth")
    recipe, preset = objective.optimizer, PRESETS[config.preset]
    if preset.adam and recipe == Adam() and config.generator == preset.generator:
        recipe = preset.adam
    name = config.optimizer or next(name for name, kind in OPTIMIZERS.items() if isinstance(recipe, kind))
    defaults = recipe if isinstance(recipe, OPTIMIZERS[name]) else OPTIMIZERS[name]()
    numbers = {}
    for number in ("beta1", "beta2", "rho"):
        value = getattr(config, number)
        if number in _field_names(OPTIMIZERS[name]):
            numbers[number] = getattr(defaults, number) if value is None else value
        elif value is not None:
            raise UsageError(f"{flag(number)} with {name}: it has none; leave it out or choose another --optimizer")
    if objective.weight_clip and name == "adam":
        notices.append(
            "adam with weight clipping: the paper found momentum to destabilise it and uses rmsprop (Arjovsky et al. 2017, section 4)"
        )
    return replace(
        config,
        optimizer=name,
        learning_rate=config.learning_rate or defaults.learning_rate,
        discriminator_steps=config.discriminator_steps or objective.discriminator_steps,
        weight_clip=config.weight_clip or objective.weight_clip,
        penalty_weight=config.penalty_weight or (objective.penalty_weight if objective.penalty else None),
        **numbers,
    )


def _default(function: Callable, parameter: str) -> Any:
    return inspect.signature(function).parameters[parameter].default


def _field_names(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}
