"""Discriminators (critics): images to logits. The objective decides what becomes of the logits.

Every discriminator is called as `discriminator(images, labels=None)` with images [N, C, H, W], and labels int64 [N] if
it was made with `classes > 0`. It returns logits [N]; a discriminator of patches may return a map [N, 1, H, W]. With
`norm=None` or `LayerNorm` each one can be differentiated twice, labels included: nothing here uses `nn.Flatten` or a
concatenation, which have no second gradient in Paddle 3.3.

`first_blocks` are the parts from the image on that can be frozen, see `freezing`; each is a list of layers.

A true attribute `samples_apart` says that only norms mix the samples of a batch. Then several batches can pass through
the network together, see `training.batch_parts.logits_of`.
"""

import math
from itertools import pairwise

import paddle.nn as nn
from paddle import Tensor

from paddle_gan.backend.kernels import flatten
from paddle_gan.config.sizes import ImageSize, sides
from paddle_gan.networks.activations import Activation, leaky_relu
from paddle_gan.networks.blocks import ConvBN
from paddle_gan.networks.layers import Conv2D, Embedding, Linear, minibatch_deviation
from paddle_gan.networks.norms import BatchNorm, Norm
from paddle_gan.networks.sizes import doublings


class StridedDiscriminator(nn.Layer):
    """Strided convolutions down to a small map, then one linear map, as in DCGAN (Radford et al. 2016).

    Labels enter by projection: the inner product of the embedding of the class with the features is added to the logit
    (Miyato and Koyama 2018, eq. 3).

    Args:
        image_size, channels: of the images.
        width: channels of the first map. A map of half the size has twice as many, up to eight times as many.
        classes: number of labels; 0 for an unconditional discriminator.
        norm: of every convolution but the first.
        minibatch_deviation: add to the logit, with a learned weight, how much the samples of a group differ, so that
            a lack of variety is seen (Karras et al. 2018, progressive GAN, section 3).
    """

    def __init__(
        self,
        image_size: ImageSize,
        channels: int,
        width: int = 32,
        classes: int = 0,
        norm: Norm | None = BatchNorm,
        minibatch_deviation: bool = False,
    ):
        super().__init__()
        self.samples_apart = not minibatch_deviation
        small, halvings = doublings(image_size)
        widths = [width * 2 ** min(i, 3) for i in range(halvings + 1)]
        self.stages = nn.Sequential(
            ConvBN(channels, widths[0], 3, 2, padding=1, norm=None, bias=False),
            *(ConvBN(before, after, 3, 2, padding=1, norm=norm) for before, after in pairwise(widths)),
        )
        features = widths[-1] * ((small.height + 1) // 2) * ((small.width + 1) // 2)
        self.head = Linear(features, 1)
        self.class_weights = Embedding(classes, features) if classes else None
        self.deviation_weight = self.create_parameter([1]) if minibatch_deviation else None

    @property
    def first_blocks(self) -> list[list[nn.Layer]]:
        return [[stage] for stage in self.stages]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features = flatten(self.stages(images))
        logits = self.head(features).reshape([-1])
        if self.deviation_weight is not None:
            logits = logits + self.deviation_weight * minibatch_deviation(features)
        return project(logits, features, self.class_weights, labels)


class TutorialDiscriminator(nn.Layer):
    """The tutorial's discriminator for 32×32 images: 5×5 convolutions of stride 2, then one of 1×1.

    Its parameters have the tutorial's names and, at width 64 and one channel, the tutorial's shapes. The tutorial's
    Flatten and Sigmoid after the last convolution are left to the objective. Labels enter by projection, as in
    `StridedDiscriminator`.
    """

    image_size = 32
    samples_apart = True

    def __init__(self, channels: int, width: int = 64, classes: int = 0, norm: Norm | None = BatchNorm):
        super().__init__()
        self.model = nn.Sequential(
            ConvBN(channels, width, 5, 2, norm=norm),
            ConvBN(width, width * 2, 5, 2, norm=norm),
            ConvBN(width * 2, width * 2, 5, 2, norm=norm),
            Conv2D(width * 2, 1, 1, 1),
        )
        self.class_weights = Embedding(classes, width * 2) if classes else None

    @property
    def first_blocks(self) -> list[list[nn.Layer]]:
        return [[block] for block in list(self.model)[:3]]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        maps = self.model[:3](images)
        return project(self.model[3](maps), maps, self.class_weights, labels)


class MLPDiscriminator(nn.Layer):
    """Linear maps only.

    Labels enter one-hot beside the pixels (Mirza and Osindero 2014): the first linear map of such a
    concatenation is the sum of one of the pixels and one of the label, and that sum has a second
    gradient where the concatenation has none.

    Args:
        image_size, channels, classes: as for `StridedDiscriminator`.
        width: of the first hidden layer.
        shrink: widths of the hidden layers, in fractions of `width`.
        norm: of every hidden layer, or None.
        activation: of the hidden layers.
    """

    samples_apart = True

    def __init__(
        self,
        image_size: ImageSize,
        channels: int,
        width: int = 512,
        classes: int = 0,
        norm: Norm | None = None,
        shrink: tuple[int, ...] = (1,),
        activation: Activation = leaky_relu,
    ):
        super().__init__()
        widths = [channels * math.prod(sides(image_size)), *(max(1, width // factor) for factor in shrink)]
        self.hidden = nn.LayerList([Linear(before, after) for before, after in pairwise(widths)])
        self.norms = nn.LayerList([norm(after) for after in widths[1:]] if norm else [])
        self.label_weights = Embedding(classes, widths[1]) if classes else None
        self.last = Linear(widths[-1], 1)
        self.activation = activation

    @property
    def first_blocks(self) -> list[list[nn.Layer]]:
        norms = list(self.norms)
        return [[linear, *norms[i : i + 1]] for i, linear in enumerate(self.hidden)]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = images.reshape([images.shape[0], -1])
        for i, linear in enumerate(self.hidden):
            x = linear(x)
            if i == 0 and self.label_weights is not None:
                x = x + self.label_weights(labels)
            if self.norms:
                x = self.norms[i](x)
            x = self.activation(x)
        return self.last(x).reshape([-1])


def project(logits: Tensor, features: Tensor, class_weights: Embedding | None, labels: Tensor | None) -> Tensor:
    """Logits [N, ...] with one value a sample as [N]; with class weights, plus the projection of the features."""
    logits = logits.reshape([-1])
    if class_weights is None:
        return logits
    return logits + (class_weights(labels) * features.reshape([features.shape[0], -1])).sum(1)
