"""The losses of LSGAN: squared distances to the codes a (generated), b (real) and c (what the generator wants)."""

import paddle.nn.functional as F
from paddle import Tensor


def lsgan_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """½E[(D(x) − 1)²] + ½E[D(G(z))²] with a linear D (Mao et al. 2017, eq. 9)."""
    return 0.5 * ((real_logits - 1).square().mean() + fake_logits.square().mean())


def lsgan_generator_loss(fake_logits: Tensor) -> Tensor:
    """½E[(D(G(z)) − 1)²] with a linear D (Mao et al. 2017, eq. 9)."""
    return 0.5 * (fake_logits - 1).square().mean()


def lsgan_sigmoid_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The tutorial's MSELoss on Sigmoid outputs with targets 1 and 0 (summed, not halved)."""
    return (F.sigmoid(real_logits) - 1).square().mean() + F.sigmoid(fake_logits).square().mean()


def lsgan_sigmoid_generator_loss(fake_logits: Tensor) -> Tensor:
    """The tutorial's MSELoss on the Sigmoid output with target 1."""
    return (F.sigmoid(fake_logits) - 1).square().mean()


def lsgan_tanh_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """½E[(tanh − 1)²] + ½E[(tanh + 1)²]: Mao et al. 2017, eq. 8 (a=−1, b=1), on a Tanh output."""
    return 0.5 * ((F.tanh(real_logits) - 1).square().mean() + (F.tanh(fake_logits) + 1).square().mean())


def lsgan_tanh_generator_loss(fake_logits: Tensor) -> Tensor:
    """½E[tanh²]: Mao et al. 2017, eq. 8 (c=0), on a Tanh output."""
    return 0.5 * F.tanh(fake_logits).square().mean()
