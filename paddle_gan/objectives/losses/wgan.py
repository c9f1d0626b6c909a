"""The losses of WGAN: the difference of the critic's mean values."""

from paddle import Tensor


def wgan_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[f(G(z))] − E[f(x)] (Arjovsky et al. 2017, algorithm 1); minus the estimated distance."""
    return fake_logits.mean() - real_logits.mean()


def wgan_generator_loss(fake_logits: Tensor) -> Tensor:
    """−E[f(G(z))] (Arjovsky et al. 2017, algorithm 1)."""
    return -fake_logits.mean()
