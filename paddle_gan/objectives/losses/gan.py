"""The losses of GAN: cross-entropy, taken from logits so that it is finite for every logit.

With D = sigmoid(logit): −log D = softplus(−logit) and −log(1 − D) = softplus(logit).
"""

import paddle.nn.functional as F
from paddle import Tensor


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
