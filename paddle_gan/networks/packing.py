"""Packing: a discriminator that judges several images of one kind at once (Lin et al. 2018, PacGAN)."""

import paddle.nn as nn
from paddle import Tensor


class Packed(nn.Layer):
    """A discriminator of packs: m images of a batch lie side by side as channels, and get one logit.

    A generator that makes too few kinds of images is found out, since its packs are more alike than real ones.

    Args:
        discriminator: made for m times the channels.
        pack: m; a batch has a multiple of it.
    """

    def __init__(self, discriminator: nn.Layer, pack: int):
        super().__init__()
        self.discriminator, self.pack = discriminator, pack
        self.samples_apart = getattr(discriminator, "samples_apart", False)

    @property
    def first_blocks(self) -> list[list[nn.Layer]]:
        return self.discriminator.first_blocks

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, C, H, W] to logits [N / m]; there are no labels, which the images of a pack would not share."""
        assert labels is None, "a pack has no label"
        _, channels, height, width = images.shape
        return self.discriminator(images.reshape([-1, self.pack * channels, height, width]))
