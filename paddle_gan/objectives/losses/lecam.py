"""LeCam regularisation: logits are drawn to the mean that the other kind of images had so far (Tseng et al. 2021).

It keeps a discriminator that sees few images from knowing them by heart.
"""

from paddle import Tensor


def lecam_regulariser(real_logits: Tensor, fake_logits: Tensor, anchors: Tensor) -> Tensor:
    """E[(D(x) − α_F)²] + E[(D(G(z)) − α_R)²] (Tseng et al. 2021, eq. 3).

    Args:
        real_logits, fake_logits: of any shape.
        anchors: α_R and α_F, the moving averages of the mean logits of real and of generated images: [2].
    """
    real_anchor, fake_anchor = anchors[0], anchors[1]
    return (real_logits - fake_anchor).square().mean() + (fake_logits - real_anchor).square().mean()
