"""The losses of the relativistic pairing GAN: each generated image is judged beside one real image.

The discriminator need not say how real an image is, only which of the two is the real one. This leaves no way for the
generator to do well by a few kinds of images (Sun et al. 2020; Huang et al. 2024, R3GAN, section 2).
"""

import paddle.nn.functional as F
from paddle import Tensor


def relativistic_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[softplus(−(D(x) − D(G(z))))], over pairs of the same row (Jolicoeur-Martineau 2019, eq. 5)."""
    return F.softplus(fake_logits - real_logits).mean()


def relativistic_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[softplus(−(D(G(z)) − D(x)))], over pairs of the same row (Jolicoeur-Martineau 2019, eq. 6)."""
    return F.softplus(real_logits - fake_logits).mean()
