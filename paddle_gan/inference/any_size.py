"""A trained translator as one function from pixels to pixels, for images of any size: what an export computes.

Values are in [0, 1], as of a picture whose grey levels were divided by 255. Inside, they are normalised, and an image
whose sides are no multiples of the network's `multiple` is extended by its mirror image and cut again. This is what
`translation.translate_picture` does with a picture of one tile. Nothing in it depends on a size that is known when a
program is written.
"""

import copy
from collections.abc import Callable

import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.datasets.bicubic import enlarged_of_any_size
from paddle_gan.datasets.holes import with_holes
from paddle_gan.inference.translation import LEAST_SIDE
from paddle_gan.networks.activations import SLOPE, leaky_relu
from paddle_gan.networks.filling import smooth_fill_of_any_size
from paddle_gan.networks.restoration import FillingGenerator, SubpixelGenerator


class Translating(nn.Layer):
    """Pictures to translated pictures.

    Args:
        network: a translator with values in [-1, 1], in evaluation mode.
        prepared: makes the network's inputs of colours in [-1, 1]: their grey values, or nothing else.
        scale: how many times larger the outputs are.
    """

    inputs = ("images",)

    def __init__(self, network: nn.Layer, prepared: Callable[[Tensor], Tensor], scale: int):
        super().__init__()
        self.network, self.prepared, self.scale = network, prepared, scale
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] to [N, 3, scale · H, scale · W], both in [0, 1]."""
        return whole(self.network, self.prepared(images * 2 - 1), self.scale)


class Filling(nn.Layer):
    """Pictures with holes to filled pictures.

    Args:
        network: fills holes, see `networks.restoration.FillingGenerator`; in evaluation mode.
    """

    inputs, scale = ("images", "masks"), 1

    def __init__(self, network: nn.Layer):
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images: Tensor, masks: Tensor) -> Tensor:
        """[N, 3, H, W] in [0, 1] and masks [N, 1, H, W], 1 in the hole and 0 elsewhere, to [N, 3, H, W] in [0, 1].

        Pixels that are not in the hole stay as they are.
        """
        made = whole(self.network, with_holes(images * 2 - 1, masks * 2 - 1), 1)
        return images * (1 - masks) + made * masks


def whole(network: nn.Layer, inputs: Tensor, scale: int) -> Tensor:
    """The outputs of a network for inputs of any size: [N, C, H, W] in [-1, 1] to [N, C', scale · H, scale · W] in
    [0, 1].
    """
    sizes = paddle.shape(inputs)
    extended = inputs
    for axis in (2, 3):
        extended = paddle.index_select(extended, _mirrored(sizes[axis], network.multiple), axis)
    outputs = network(extended)[:, :, : scale * sizes[2], : scale * sizes[3]]
    return ((outputs + 1) / 2).clip(0, 1)


def _mirrored(size: Tensor, multiple: int) -> Tensor:
    """The indices of the rows of an image that is extended by its mirror images, again and again if it is small."""
    least = paddle.full([], max(multiple, LEAST_SIDE), "int64")
    needed = paddle.maximum((size + (multiple - 1)) // multiple * multiple, least)
    place = paddle.arange(0, needed, dtype="int64") % (2 * size)
    return paddle.minimum(place, 2 * size - 1 - place)


def for_any_size(form: nn.Layer) -> nn.Layer:
    """A copy of a `Translating` or a `Filling` that computes the same in operations that a program can hold."""
    copied = copy.deepcopy(form)
    for part in copied.sublayers():
        if isinstance(part, FillingGenerator):
            part.smooth = smooth_fill_of_any_size
        if isinstance(part, SubpixelGenerator):
            part.enlarged = enlarged_of_any_size
        if getattr(part, "activation", None) is leaky_relu:
            part.activation = _leaky_relu
    copied.eval()
    return copied


def _leaky_relu(x: Tensor) -> Tensor:
    """`leaky_relu` in operations that Paddle does not fuse with a convolution, see `folding.unfused_leaky_relu`."""
    return paddle.maximum(x, SLOPE * x)
