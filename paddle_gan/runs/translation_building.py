"""From the options of a translation run, all filled in, to its networks and its task."""

from functools import partial

import paddle.nn as nn

from paddle_gan.backend.precision import Precision
from paddle_gan.datasets.pairs import CHANNELS
from paddle_gan.features.maps import random_convolutions
from paddle_gan.networks.translation import PatchDiscriminator, ResidualGenerator, UNetGenerator
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.objectives.reconstruction import l1_loss, perceptual_loss
from paddle_gan.runs.translation_data import DERIVATIONS, TranslationData, held_out_pairs
from paddle_gan.runs.translation_options import TranslationOptions
from paddle_gan.system.randomness import seeded
from paddle_gan.training import paired
from paddle_gan.training.paired import Paired, Term

# Groups of images in a sheet.
_SHOWN = 12

TranslationTask = Paired


def build_translation(config: TranslationOptions, data: TranslationData, precision: Precision) -> TranslationTask:
    """The task of a run at step 0.

    Args:
        config: resolved.
        data: its images, some of which are shown on the sheets.
        precision: in which type the networks are computed.
    """
    generator_adam, discriminator_adam = (
        Adam(rate, beta1=config.beta1) for rate in (config.learning_rate, config.discriminator_learning_rate)
    )
    with seeded("weights", config.seed):
        return paired.assemble(
            partial(new_translator, config),
            partial(_new_discriminator, config, input_channels(config) + CHANNELS),
            OBJECTIVES[config.loss],
            _terms(config),
            held_out_pairs(data, _SHOWN),
            generator_optimizer=generator_adam,
            discriminator_optimizer=discriminator_adam,
            average_decay=config.ema_decay,
            precision=precision,
        )


def new_translator(config: TranslationOptions) -> nn.Layer:
    """The generator of a resolved configuration, with new weights."""
    channels = input_channels(config)
    if config.generator == "unet":
        assert config.depth is not None
        return UNetGenerator(channels, CHANNELS, config.width, config.depth)
    assert config.blocks is not None
    return ResidualGenerator(channels, CHANNELS, config.width, config.blocks)


def input_channels(config: TranslationOptions) -> int:
    """Channels of the inputs: what a task makes of its targets is grey."""
    return 1 if config.task in DERIVATIONS else CHANNELS


def _new_discriminator(config: TranslationOptions, channels: int) -> nn.Layer:
    return PatchDiscriminator(channels, config.discriminator_width, config.discriminator_depth)


def _terms(config: TranslationOptions) -> dict[str, Term]:
    """The parts of the generator's loss that compare with the target, those of weight 0 left out."""
    terms = {}
    if config.l1_weight:
        terms["l1"] = Term(config.l1_weight, l1_loss)
    if config.perceptual_weight:
        terms["perceptual"] = Term(
            config.perceptual_weight, partial(perceptual_loss, random_convolutions(CHANNELS).maps)
        )
    return terms
