"""The objectives: what discriminator and generator minimise, and the recipe each paper gives.

Losses are pure functions of logits, shape [N], to a 0-D tensor: no backward pass, no logging, no
device here. Where an objective squashes the discriminator's output (the write-up's Sigmoid or Tanh),
it does so itself: a discriminator always returns logits.

A new objective is two functions and one entry of `OBJECTIVES`; the command line's choices and the tests
follow from that dict.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.backend.kernels import no_weight_gradients
from paddle_gan.objectives.optimizers import Adam, RMSProp
from paddle_gan.system import parallel


@dataclass(frozen=True)
class Objective:
    """One objective with its paper's recipe.

    Attributes:
        discriminator_loss: (real_logits, fake_logits) -> scalar, minimised by the discriminator.
        generator_loss: (fake_logits) -> scalar, minimised by the generator.
        source: paper and equation.
        penalty: (discriminator, real, fake, labels) -> scalar, added to the discriminator's loss
            times `penalty_weight`; None for no penalty.
        penalty_weight: λ of the penalty.
        discriminator_steps: discriminator steps for one generator step (the papers' k or n_critic).
        weight_clip: after each discriminator step its weights are clipped to ±this; None for never.
        optimizer: the recipe's optimiser, one instance for each network.
    """

    discriminator_loss: Callable[[Tensor, Tensor], Tensor]
    generator_loss: Callable[[Tensor], Tensor]
    source: str
    penalty: Callable[[nn.Layer, Tensor, Tensor, Tensor | None], Tensor] | None = None
    penalty_weight: float = 0.0
    discriminator_steps: int = 1
    weight_clip: float | None = None
    optimizer: Adam | RMSProp = field(default_factory=Adam)


# ---- GAN: cross-entropy. With D = sigmoid(logit): −log D = softplus(−logit), −log(1−D) = softplus(logit).


def gan_discriminator_loss(real_logits: Tensor, fake_logits: Tensor, real_target: float = 1.0) -> Tensor:
    """−E[log D(x)] − E[log(1 − D(G(z)))] (Goodfellow et al. 2014, eq. 1).

    `real_target` below 1 is one-sided label smoothing (Salimans et al. 2016, section 3.4): the real
    term becomes the cross-entropy with that target.
    """
    real = real_target * F.softplus(-real_logits) + (1 - real_target) * F.softplus(real_logits)
    return real.mean() + F.softplus(fake_logits).mean()


def gan_generator_loss(fake_logits: Tensor) -> Tensor:
    """Non-saturating: −E[log D(G(z))] (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake_logits).mean()


def gan_minimax_generator_loss(fake_logits: Tensor) -> Tensor:
    """Minimax: E[log(1 − D(G(z)))] (Goodfellow et al. 2014, eq. 1); saturates when D is sure."""
    return -F.softplus(fake_logits).mean()


# ---- LSGAN: least squares to the codes a (fake), b (real) and c (what the generator wants).


def lsgan_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """½E[(D(x) − 1)²] + ½E[D(G(z))²] with a linear D (Mao et al. 2017, eq. 9)."""
    return 0.5 * ((real_logits - 1).square().mean() + fake_logits.square().mean())


def lsgan_generator_loss(fake_logits: Tensor) -> Tensor:
    """½E[(D(G(z)) − 1)²] with a linear D (Mao et al. 2017, eq. 9)."""
    return 0.5 * (fake_logits - 1).square().mean()


def lsgan_sigmoid_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The write-up's MSELoss on Sigmoid outputs with targets 1 and 0 (summed, not halved)."""
    return (F.sigmoid(real_logits) - 1).square().mean() + F.sigmoid(fake_logits).square().mean()


def lsgan_sigmoid_generator_loss(fake_logits: Tensor) -> Tensor:
    """The write-up's MSELoss on the Sigmoid output with target 1."""
    return (F.sigmoid(fake_logits) - 1).square().mean()


def lsgan_tanh_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """½E[(tanh − 1)²] + ½E[(tanh + 1)²]: Mao et al. 2017, eq. 8 (a=−1, b=1), on a Tanh output."""
    return 0.5 * ((F.tanh(real_logits) - 1).square().mean() + (F.tanh(fake_logits) + 1).square().mean())


def lsgan_tanh_generator_loss(fake_logits: Tensor) -> Tensor:
    """½E[tanh²]: Mao et al. 2017, eq. 8 (c=0), on a Tanh output."""
    return 0.5 * F.tanh(fake_logits).square().mean()


# ---- WGAN: the critic's difference of means.


def wgan_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[f(G(z))] − E[f(x)] (Arjovsky et al. 2017, algorithm 1); minus the estimated distance."""
    return fake_logits.mean() - real_logits.mean()


def wgan_generator_loss(fake_logits: Tensor) -> Tensor:
    """−E[f(G(z))] (Arjovsky et al. 2017, algorithm 1)."""
    return -fake_logits.mean()


def gradient_penalty(discriminator: nn.Layer, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
    """E[(‖∇D(x̂)‖₂ − 1)²] at x̂ between real and fake (Gulrajani et al. 2017, eq. 3).

    One t, uniform in [0, 1], and one norm over all of C, H, W for each sample. The discriminator
    must treat samples one by one: no BatchNorm in it.

    Args:
        discriminator: called as discriminator(images, labels), returns logits [N].
        real, fake: [N, C, H, W].
        labels: int64 [N], or None.
    """
    t = parallel.mine(paddle.rand([parallel.whole(real.shape[0])] + [1] * (real.ndim - 1), dtype=real.dtype))
    squares = squared_gradient(discriminator, t * real + (1 - t) * fake, labels)
    # The square root's own gradient is infinite at 0, where a saturated discriminator can be.
    return (paddle.sqrt(squares + 1e-12) - 1).square().mean()


# ---- Zero-centred penalties: with them the training of a GAN converges near its equilibrium (Mescheder et al. 2018).


def r1_penalty(discriminator: nn.Layer, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
    """R1: E[‖∇D(x)‖²] at real x (Mescheder et al. 2018, eq. 9), whose weight γ/2 is the objective's λ.

    Arguments as for `gradient_penalty`.
    """
    return squared_gradient(discriminator, real, labels).mean()


def r1_r2_penalty(discriminator: nn.Layer, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
    """R1 + R2: E[‖∇D(x)‖²] at real x and E[‖∇D(G(z))‖²] at fakes (Mescheder et al. 2018, eqs. 9 and 10).

    Arguments as for `gradient_penalty`.
    """
    return sum(squared_gradient(discriminator, images, labels).mean() for images in (real, fake))


def squared_gradient(discriminator: nn.Layer, images: Tensor, labels: Tensor | None) -> Tensor:
    """‖∇D(x)‖², over all axes of each sample x of `images`, [N]; a function of the discriminator's weights only."""
    images = images.detach()
    images.stop_gradient = False
    with no_weight_gradients():
        gradient = paddle.grad(discriminator(images, labels).sum(), images, create_graph=True)[0]
    return gradient.square().sum(list(range(1, gradient.ndim)))


OBJECTIVES: dict[str, Objective] = {
    "gan": Objective(
        gan_discriminator_loss,
        gan_generator_loss,
        source="Goodfellow et al. 2014, non-saturating; DCGAN's optimiser",
    ),
    "gan-minimax": Objective(
        gan_discriminator_loss,
        gan_minimax_generator_loss,
        source="Goodfellow et al. 2014, eq. 1; DCGAN's optimiser",
    ),
    "lsgan": Objective(
        lsgan_discriminator_loss,
        lsgan_generator_loss,
        source="Mao et al. 2017, eq. 9: linear output, codes 0 and 1",
    ),
    "lsgan-sigmoid": Objective(
        lsgan_sigmoid_discriminator_loss,
        lsgan_sigmoid_generator_loss,
        source="the write-up's first variant: Sigmoid, codes 0 and 1",
    ),
    "lsgan-tanh": Objective(
        lsgan_tanh_discriminator_loss,
        lsgan_tanh_generator_loss,
        source="Mao et al. 2017, eq. 8, with the write-up's Tanh: codes -1, 1 and 0",
    ),
    "wgan": Objective(
        wgan_discriminator_loss,
        wgan_generator_loss,
        source="Arjovsky et al. 2017, algorithm 1: weight clipping",
        discriminator_steps=5,
        weight_clip=0.01,
        optimizer=RMSProp(learning_rate=5e-5),
    ),
    "wgan-gp": Objective(
        wgan_discriminator_loss,
        wgan_generator_loss,
        source="Gulrajani et al. 2017, algorithm 1: gradient penalty",
        penalty=gradient_penalty,
        penalty_weight=10.0,
        discriminator_steps=5,
        optimizer=Adam(learning_rate=1e-4, beta1=0.0, beta2=0.9),
    ),
    "gan-r1": Objective(
        gan_discriminator_loss,
        gan_generator_loss,
        source="Mescheder et al. 2018, eq. 9: gan with R1, a zero-centred penalty on real images; DCGAN's optimiser",
        penalty=r1_penalty,
        penalty_weight=5.0,
    ),
    "gan-r1-r2": Objective(
        gan_discriminator_loss,
        gan_generator_loss,
        source="Mescheder et al. 2018, eqs. 9 and 10: gan with R1 and R2, on real and generated images; DCGAN's optimiser",
        penalty=r1_r2_penalty,
        penalty_weight=0.5,
    ),
}
