"""Blocks of a discriminator that stay as they are while the others learn (Mo et al. 2020, FreezeD).

The blocks next to the image know edges and textures, which the images of another set have too. With few images, a
trained discriminator that keeps them overfits later.
"""

import paddle.nn as nn

from paddle_gan.errors import UsageError


def freeze_first_blocks(discriminator: nn.Layer, count: int) -> None:
    """Take blocks of a discriminator out of training: no gradient, no state of an optimiser, no running statistics.

    Args:
        discriminator: with `first_blocks`, see `discriminators`; changed in place, before it gets an optimiser.
        count: how many, counted from the image.

    Raises:
        UsageError: it has fewer blocks.
    """
    blocks: list[list[nn.Layer]] = discriminator.first_blocks
    if count > len(blocks):
        raise UsageError(f"--freeze-discriminator {count}: this discriminator has {len(blocks)} blocks before its end")
    for layer in (layer for block in blocks[:count] for layer in block):
        for parameter in layer.parameters():
            parameter.stop_gradient = True
        for part in layer.sublayers(include_self=True):
            if isinstance(part, nn.BatchNorm):
                part._momentum = 1.0  # running statistics become 1 · old + 0 · new
