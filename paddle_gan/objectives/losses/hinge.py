"""The hinge losses: a logit beyond the margin of 1 on its own side costs the discriminator nothing."""

import paddle.nn.functional as F
from paddle import Tensor


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[max(0, 1 − D(x))] + E[max(0, 1 + D(G(z)))] (Lim and Ye 2017, eq. 8; Miyato et al. 2018, eq. 16)."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def hinge_generator_loss(fake_logits: Tensor) -> Tensor:
    """−E[D(G(z))] (Lim and Ye 2017, eq. 9; Miyato et al. 2018, eq. 17)."""
    return -fake_logits.mean()
