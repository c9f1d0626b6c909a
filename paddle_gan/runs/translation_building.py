"""From the options of a translation run, all filled in, to its networks and its task."""

from functools import partial
from typing import Any

import paddle.nn as nn

from paddle_gan.backend.precision import Precision
from paddle_gan.datasets.derived import GREY
from paddle_gan.datasets.pairs import CHANNELS
from paddle_gan.features.maps import random_convolutions
from paddle_gan.networks.restoration import FillingGenerator, SubpixelGenerator
from paddle_gan.networks.translation import (
    ColourGenerator,
    PatchDiscriminator,
    PatchHeads,
    ResidualGenerator,
    UNetGenerator,
    feature_channels,
)
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.objectives.reconstruction import l1_loss, perceptual_loss
from paddle_gan.runs.translation_data import TranslationData, held_out_images, held_out_pairs
from paddle_gan.runs.translation_options import TranslationOptions
from paddle_gan.system.randomness import seeded
from paddle_gan.training import contrast, paired, unpaired
from paddle_gan.training.adversary import image_alone, stacked
from paddle_gan.training.contrast import Contrast
from paddle_gan.training.paired import Paired, Term
from paddle_gan.training.unpaired import Cycle

# Groups of images in a sheet.
_SHOWN = 12

TranslationTask = Paired | Cycle | Contrast


def build_translation(
    config: TranslationOptions, data: TranslationData, precision: Precision, steps: int
) -> TranslationTask:
    """The task of a run at step 0.

    Args:
        config: resolved.
        data: its images, some of which are shown on the sheets.
        precision: in which type the networks are computed.
        steps: length of the run. Where the generator trains alone at first, it does for a share of them.
    """
    generator_adam, discriminator_adam = (
        Adam(rate, beta1=config.beta1) for rate in (config.learning_rate, config.discriminator_learning_rate)
    )
    shared: dict[str, Any] = {
        "generator_optimizer": generator_adam,
        "discriminator_optimizer": discriminator_adam,
        "average_decay": config.ema_decay,
        "precision": precision,
    }
    make_generator, objective = partial(new_translator, config), OBJECTIVES[config.loss]
    with seeded("weights", config.seed):
        if data.pairs_of is not None:
            # The discriminator of super-resolution judges the image alone (Ledig et al. 2017, SRGAN).
            enlarging = config.task == "super-resolution"
            channels = CHANNELS if enlarging else input_channels(config) + CHANNELS
            make_discriminator = partial(_new_discriminator, config, channels)
            assert config.warm_up is not None
            return paired.assemble(
                make_generator,
                make_discriminator,
                objective,
                _terms(config),
                held_out_pairs(data, _SHOWN),
                judged=image_alone if enlarging else stacked,
                begins=round(config.warm_up * steps),
                **shared,
            )
        make_discriminator = partial(_new_discriminator, config, CHANNELS)
        first, second = (held_out_images(data, side, _SHOWN) for side in range(2))
        if config.method == "cyclegan":
            weights = {"cycle_weight": config.cycle_weight, "identity_weight": config.identity_weight}
            sizes = {"crop": config.image_size}
            return unpaired.assemble(
                make_generator, make_discriminator, objective, (first, second), **weights, **sizes, **shared
            )
        weights = {"patch_weight": config.patch_weight, "identity_weight": config.identity_weight or 0.0}
        heads = partial(PatchHeads, feature_channels(CHANNELS, config.width))
        return contrast.assemble(make_generator, make_discriminator, heads, objective, first, **weights, **shared)


def new_translator(config: TranslationOptions) -> nn.Layer:
    """The generator of a resolved configuration, with new weights."""
    if config.task == "colorize":
        return ColourGenerator(_generator(config, 1, 2))
    if config.task == "inpaint":
        return FillingGenerator(_generator(config, CHANNELS + 1, CHANNELS))
    if config.task == "super-resolution":
        assert config.scale is not None and config.blocks is not None
        return SubpixelGenerator(config.scale, CHANNELS, config.width, config.blocks)
    return _generator(config, input_channels(config), CHANNELS)


def _generator(config: TranslationOptions, channels: int, out_channels: int) -> UNetGenerator | ResidualGenerator:
    if config.generator == "unet":
        assert config.depth is not None
        return UNetGenerator(channels, out_channels, config.width, config.depth, gated=config.gated)
    assert config.blocks is not None
    return ResidualGenerator(channels, out_channels, config.width, config.blocks)


def input_channels(config: TranslationOptions) -> int:
    """Channels of the inputs: grey values and outlines have one; a hole is one more."""
    return 1 if config.task in GREY else CHANNELS + bool(config.mask)


def _new_discriminator(config: TranslationOptions, channels: int) -> nn.Layer:
    return PatchDiscriminator(channels, config.discriminator_width, config.discriminator_depth)


def _terms(config: TranslationOptions) -> dict[str, Term]:
    """The parts of the generator's loss that compare with the target, those of weight 0 left out."""
    terms = {}
    if config.l1_weight:
        terms["l1"] = Term(config.l1_weight, l1_loss)
    if config.perceptual_weight:
        terms["perceptual"] = Term(
            config.perceptual_weight, partial(perceptual_loss, random_convolutions(CHANNELS).maps), late=True
        )
    return terms
