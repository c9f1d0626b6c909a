"""From the options of a run, all filled in, to what they name: the batch feed, networks, objective, precision, task."""

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np
import paddle
import paddle.nn as nn

from paddle_gan.backend import kernels, precision
from paddle_gan.backend.compiled import compiled
from paddle_gan.backend.precision import Precision
from paddle_gan.datasets import ImageSet
from paddle_gan.datasets.feed import BatchFeed, thread_count
from paddle_gan.errors import UsageError
from paddle_gan.networks import DISCRIMINATORS, GENERATORS
from paddle_gan.networks.blocks import INITIALISERS
from paddle_gan.networks.freezing import freeze_first_blocks
from paddle_gan.networks.norms import NORMS
from paddle_gan.networks.packing import Packed
from paddle_gan.networks.spectral import normalise_spectrally
from paddle_gan.objectives import OBJECTIVES, r1_penalty
from paddle_gan.objectives.objective import Objective, with_penalty_weight
from paddle_gan.objectives.optimizers import OPTIMIZERS
from paddle_gan.objectives.path_length import PathLength
from paddle_gan.runs.augmentation import augmentation_of
from paddle_gan.runs.resolve import RunOptions
from paddle_gan.system.randomness import seeded
from paddle_gan.training.noise_to_image import NoiseToImage, assemble
from paddle_gan.training.schedule import SHAPES, Schedule, Schedules


def build(
    config: RunOptions, classes: int, shares: np.ndarray | None = None, images: int | None = None
) -> NoiseToImage:
    """The task of a run at step 0.

    Args:
        config: resolved.
        classes: number of labels of the data.
        shares: of the clusters that take the place of labels, [C, K]; None without clusters.
        images: number of images of the data, for an automatic augmentation; None for many.
    """
    classes = classes if config.conditional else 0
    labels = classes if shares is None else shares.shape[1]
    clip = paddle.nn.ClipGradByNorm(config.gradient_clip) if config.gradient_clip else None
    generator_recipe, discriminator_recipe = (
        optimizer_of(config, rate) for rate in (config.generator_learning_rate, config.discriminator_learning_rate)
    )
    with seeded("weights", config.seed):
        return assemble(
            partial(new_generator, config, labels),
            partial(new_discriminator, config, labels),
            objective_of(config),
            generator_optimizer=partial(generator_recipe.build, gradient_clip=clip),
            discriminator_optimizer=partial(discriminator_recipe.build, gradient_clip=clip),
            average_decay=config.ema_decay,
            classes=classes,
            shares=shares,
            precision=precision_of(config.precision, config.compile, paddle.get_device()),
            accumulate=config.accumulate,
            lecam=config.lecam,
            augmentation=augmentation_of(config, images),
            path_length=PathLength(config.path_length, config.path_length_every) if config.path_length else None,
        )


def batch_feed(config: RunOptions, data: ImageSet, task: NoiseToImage, clusters: np.ndarray | None = None) -> BatchFeed:
    """The batches of a resolved configuration from its data.

    Args:
        config: resolved.
        data: the images.
        task: that takes the batches.
        clusters: of each image, int64 [N], in place of its class; None without clusters.
    """
    return BatchFeed(
        data=data if clusters is None else replace(data, labels=clusters),
        batch_size=config.batch_size,
        seed=config.seed,
        value_range=task.generator.network.value_range,
        labelled=config.conditional or clusters is not None,
        workers=thread_count(config.workers),
        # As many as the next round takes, and one more, so that the threads have work also while it takes them.
        ahead=config.discriminator_steps + 1,
    )


def new_generator(config: RunOptions, classes: int) -> nn.Layer:
    """The generator of a resolved configuration, with new weights; `classes` is 0 if it takes no labels."""
    offered = {"latent_dim": config.latent_dim, "width": config.width}
    return _network(GENERATORS[config.generator], config, classes, offered, config.init)


def new_discriminator(config: RunOptions, classes: int) -> nn.Layer:
    """The discriminator of a resolved configuration, with new weights; `classes` is 0 if it takes no labels."""
    offered = {
        "channels": config.pack * config.channels,
        "width": config.discriminator_width,
        "norm": NORMS[config.discriminator_norm],
    }
    if config.minibatch_deviation:  # else as the network itself has it
        offered["minibatch_deviation"] = True
    network = _network(DISCRIMINATORS[config.discriminator], config, classes, offered, config.discriminator_init)
    if config.spectral_norm:
        normalise_spectrally(network)
    freeze_first_blocks(network, config.freeze_discriminator)
    return Packed(network, config.pack) if config.pack > 1 else network


def _network(
    make: Callable[..., nn.Layer], config: RunOptions, classes: int, offered: dict[str, Any], init: str
) -> nn.Layer:
    """A network from those arguments that it takes; one of a fixed size takes no size."""
    offered = {"image_size": config.image_size, "channels": config.channels, "classes": classes, **offered}
    taken = inspect.signature(make).parameters
    network = make(**{name: value for name, value in offered.items() if name in taken})
    if initialise := INITIALISERS[init]:
        initialise(network)
    return network


def objective_of(config: RunOptions) -> Objective:
    """The objective with the numbers of a resolved configuration."""
    objective = OBJECTIVES[config.loss]
    if config.label_smoothing:
        smoothed = partial(objective.discriminator_loss, real_target=1 - config.label_smoothing)
        objective = replace(objective, discriminator_loss=smoothed)
    if config.penalty_weight is not None:
        objective = with_penalty_weight(objective, config.penalty_weight)
    penalties = objective.penalties
    if config.r1:
        penalties = (*penalties, r1_penalty(config.r1))
    # Only penalties of the discriminator, which is what an objective of the table has.
    penalties = tuple(replace(penalty, every=config.penalty_every) for penalty in penalties)
    return replace(
        objective,
        penalties=penalties,
        weight_clip=config.weight_clip,
        discriminator_steps=config.discriminator_steps,
    )


def optimizer_of(config: RunOptions, learning_rate: float | None) -> Any:
    """The optimiser recipe of a resolved configuration, with a network's own learning rate or None."""
    kind = OPTIMIZERS[config.optimizer]
    taken = {field.name for field in fields(kind)}
    numbers = {name: getattr(config, name) for name in ("beta1", "beta2", "rho") if name in taken}
    return kind(learning_rate=learning_rate or config.learning_rate, **numbers)


def schedules_of(config: RunOptions, steps: int) -> Schedules:
    """What changes over the `steps` rounds of a resolved configuration."""

    def number(first: float | None, last: float | None, warm_up: int = 0) -> Schedule | None:
        if first is None or (last in (None, first) and not warm_up):
            return None
        return Schedule(first, first if last is None else last, steps, SHAPES[config.schedule], warm_up)

    return Schedules(
        rate=number(1.0, config.final_learning_rate, config.warm_up),
        penalty_weight=number(config.penalty_weight or config.r1, config.final_penalty_weight),
        beta2=number(config.beta2, config.final_beta2),
        average_decay=number(config.ema_decay, config.final_ema_decay),
        best_share=number(1.0, config.final_best_share),
    )


def precision_of(name: str, as_graphs: bool, device: str) -> Precision:
    """How networks are computed on a device.

    Args:
        name: "float32", "bfloat16" or "float16".
        as_graphs: whether they run as static graphs.
        device: "cpu" or "gpu:N".

    Raises:
        UsageError: this device cannot do it.
    """
    if as_graphs:
        return _compiled(name, device)
    if name == "float32":
        return Precision()
    if device == "cpu":
        if name == "float16":
            raise UsageError("--precision float16 on a CPU: it is for a GPU; use bfloat16, or leave it out")
        if not precision.can_round():
            raise UsageError(
                "--precision bfloat16: this processor, or this build of Paddle, cannot train in it; leave it out"
            )
        return Precision(factors=name)
    supported = {"bfloat16": paddle.amp.is_bfloat16_supported, "float16": paddle.amp.is_float16_supported}
    if not supported[name]():
        raise UsageError(f"--precision {name}: this GPU, or this build of Paddle, does not support it; leave it out")
    return precision.mixed("float16", scaled=True) if name == "float16" else precision.mixed("bfloat16", scaled=False)


def _compiled(name: str, device: str) -> Precision:
    if name != "float32":
        raise UsageError(f"--compile with --precision {name}: not tried together; leave one of them out")
    if device == "cpu" and kernels.available():
        raise UsageError(
            "--compile on a CPU: a graph cannot use the convolutions of oneDNN, which are quicker; leave it out"
        )
    return Precision(call=compiled())
