"""Losses that compare a generated image with the one that it should be: pure functions of tensors."""

from collections.abc import Callable

import paddle
from paddle import Tensor


def l1_loss(images: Tensor, targets: Tensor) -> Tensor:
    """E|y − G(x)|, the mean over all values (Isola et al. 2017, eq. 3)."""
    return (images - targets).abs().mean()


def perceptual_loss(maps: Callable[[Tensor], list[Tensor]], images: Tensor, targets: Tensor) -> Tensor:
    """The mean, over some feature maps φ, of E|φ(y) − φ(G(x))| (Johnson et al. 2016, section 3.1, with L1).

    Args:
        maps: images to their feature maps, see `features.maps`.
        images: generated, [N, C, H, W]; they get gradients.
        targets: of the same shape.
    """
    with paddle.no_grad():
        wanted = maps(targets)
    losses = [l1_loss(made, target) for made, target in zip(maps(images), wanted, strict=True)]
    return paddle.add_n(losses) / len(losses)
