"""The objectives by name: what discriminator and generator minimise, and the recipe that each paper gives.

A new objective is two functions of logits (`losses/`), one entry here and its name in `config.names`; the command
line, the tests and the comparisons follow.

    losses/       the losses, pure functions of logits
    penalties     gradient penalties, as data
    optimizers    the optimisers of the recipes, as data
    objective     losses, penalties and recipe together
"""

from paddle_gan.objectives.losses.gan import (
    gan_discriminator_loss,
    gan_generator_loss,
    gan_minimax_generator_loss,
)
from paddle_gan.objectives.losses.hinge import hinge_discriminator_loss, hinge_generator_loss
from paddle_gan.objectives.losses.lsgan import (
    lsgan_discriminator_loss,
    lsgan_generator_loss,
    lsgan_sigmoid_discriminator_loss,
    lsgan_sigmoid_generator_loss,
    lsgan_tanh_discriminator_loss,
    lsgan_tanh_generator_loss,
)
from paddle_gan.objectives.losses.relativistic import relativistic_discriminator_loss, relativistic_generator_loss
from paddle_gan.objectives.losses.wgan import wgan_discriminator_loss, wgan_generator_loss
from paddle_gan.objectives.objective import Objective
from paddle_gan.objectives.optimizers import Adam, RMSProp
from paddle_gan.objectives.penalties import Penalty, around, between, fake, real

MIXES_SAMPLES = (
    "the penalty is on the gradient of each sample by itself, and BatchNorm mixes the samples "
    "(Gulrajani et al. 2017, section 4)"
)


def r1_penalty(weight: float) -> Penalty:
    """R1, the zero-centred penalty on real images (Mescheder et al. 2018, eq. 9), where `weight` is γ/2."""
    return Penalty(at=(real,), weight=weight, against_batch_norm=MIXES_SAMPLES)


OBJECTIVES: dict[str, Objective] = {
    "gan": Objective(
        gan_discriminator_loss,
        gan_generator_loss,
        source="Goodfellow et al. 2014, non-saturating; DCGAN's optimiser",
        takes_real_target=True,
    ),
    "gan-minimax": Objective(
        gan_discriminator_loss,
        gan_minimax_generator_loss,
        source="Goodfellow et al. 2014, eq. 1; DCGAN's optimiser",
        takes_real_target=True,
    ),
    "lsgan": Objective(
        lsgan_discriminator_loss,
        lsgan_generator_loss,
        source="Mao et al. 2017, eq. 9: linear output, codes 0 and 1",
        boundary=0.5,
    ),
    "lsgan-sigmoid": Objective(
        lsgan_sigmoid_discriminator_loss,
        lsgan_sigmoid_generator_loss,
        source="the tutorial's first variant: Sigmoid, codes 0 and 1",
    ),
    "lsgan-tanh": Objective(
        lsgan_tanh_discriminator_loss,
        lsgan_tanh_generator_loss,
        source="Mao et al. 2017, eq. 8, with the tutorial's Tanh: codes -1, 1 and 0",
    ),
    "wgan": Objective(
        wgan_discriminator_loss,
        wgan_generator_loss,
        source="Arjovsky et al. 2017, algorithm 1: weight clipping",
        discriminator_steps=5,
        weight_clip=0.01,
        optimizer=RMSProp(learning_rate=5e-5),
        boundary=None,
    ),
    "wgan-gp": Objective(
        wgan_discriminator_loss,
        wgan_generator_loss,
        source="Gulrajani et al. 2017, algorithm 1: gradient penalty",
        penalties=(Penalty(at=(between,), centre=1.0, weight=10.0, against_batch_norm=MIXES_SAMPLES),),
        discriminator_steps=5,
        optimizer=Adam(learning_rate=1e-4, beta1=0.0, beta2=0.9),
        boundary=None,
    ),
    "wgan-lp": Objective(
        wgan_discriminator_loss,
        wgan_generator_loss,
        source="Petzka et al. 2018, eq. 8: as wgan-gp, but only gradients above 1 are penalised",
        penalties=(Penalty(at=(between,), centre=1.0, weight=10.0, against_batch_norm=MIXES_SAMPLES, one_sided=True),),
        discriminator_steps=5,
        optimizer=Adam(learning_rate=1e-4, beta1=0.0, beta2=0.9),
        boundary=None,
    ),
    "dragan": Objective(
        gan_discriminator_loss,
        gan_generator_loss,
        source="Kodali et al. 2017, section 2.4: gan with a penalty around the real images; DCGAN's optimiser",
        penalties=(Penalty(at=(around,), centre=1.0, weight=10.0, against_batch_norm=MIXES_SAMPLES),),
        takes_real_target=True,
    ),
    "hinge": Objective(
        hinge_discriminator_loss,
        hinge_generator_loss,
        source="Lim and Ye 2017, eqs. 8 and 9; DCGAN's optimiser",
    ),
    # Zero-centred penalties: with them the training of a GAN converges near its equilibrium. The paper's weight is γ/2.
    "gan-r1": Objective(
        gan_discriminator_loss,
        gan_generator_loss,
        source="Mescheder et al. 2018, eq. 9: gan with R1, a zero-centred penalty on real images; DCGAN's optimiser",
        penalties=(r1_penalty(5.0),),
        takes_real_target=True,
    ),
    "gan-r1-r2": Objective(
        gan_discriminator_loss,
        gan_generator_loss,
        source="Mescheder et al. 2018, eqs. 9 and 10: gan with R1 and R2, on real and generated images; "
        "DCGAN's optimiser",
        penalties=(Penalty(at=(real, fake), weight=0.5, against_batch_norm=MIXES_SAMPLES),),
        takes_real_target=True,
    ),
    "rpgan-r1-r2": Objective(
        relativistic_discriminator_loss,
        relativistic_generator_loss,
        source="Huang et al. 2024 (R3GAN), eqs. 2, 5 and 6: the relativistic pairing loss with R1 and R2",
        penalties=(Penalty(at=(real, fake), weight=0.5, against_batch_norm=MIXES_SAMPLES),),
        optimizer=Adam(learning_rate=2e-4, beta1=0.0, beta2=0.99),
        relativistic=True,
        boundary=None,
    ),
}

__all__ = ["OBJECTIVES", "Objective", "r1_penalty"]
