"""Feature maps that can be differentiated, for losses that compare images in features.

In contrast to `extractors` they take and return tensors. The networks are those that the package has.
"""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import paddle
from paddle import Tensor

from paddle_gan.backend import kernels
from paddle_gan.features.classifier import SHA256, SIZE, load_classifier

# Images in [-1, 1], [N, C, H, W], to the maps of some layers, the first layer first.
Maps = Callable[[Tensor], list[Tensor]]

_RANDOM_SEED = 20180101
_RANDOM_WIDTHS = (32, 64, 128, 256)


class RandomConvolutions(NamedTuple):
    """A network with fixed random weights.

    Attributes:
        maps: after each of its four layers.
        sha256: of its weights.
    """

    maps: Maps
    sha256: str


def random_convolutions(channels: int) -> RandomConvolutions:
    """Four convolutions of stride 2 with ReLU and fixed random weights, for images of so many channels."""
    random = np.random.default_rng(_RANDOM_SEED)
    digest, weights, inputs = hashlib.sha256(), [], channels
    for width in _RANDOM_WIDTHS:
        # This scale keeps the size of the values from layer to layer (He et al. 2015).
        weight = (random.standard_normal((width, inputs, 4, 4)) * np.sqrt(2 / (inputs * 16))).astype(np.float32)
        digest.update(weight.tobytes())
        weights.append(paddle.to_tensor(weight))
        inputs = width

    def maps(images: Tensor) -> list[Tensor]:
        made, x = [], images
        for weight in weights:
            x = kernels.leaky_relu(kernels.conv2d(x, weight, stride=2, padding=(2, 2, 2, 2)), 0.0)
            made.append(x)
        return made

    return RandomConvolutions(maps, digest.hexdigest())


def maps_for(dataset: str, height: int, width: int, channels: int) -> Maps:
    """The maps in which images are compared: those of the data's classifier if it fits, else random convolutions.

    Args:
        dataset: name of the data.
        height, width, channels: of the images.
    """
    if dataset in SHA256 and (height, width, channels) == (SIZE, SIZE, 1):
        return classifier_maps(dataset)
    return random_convolutions(channels).maps


def classifier_maps(name: str) -> Maps:
    """The maps after each convolution of a classifier of the package, "mnist" or "fashion-mnist".

    It takes grey images of 28×28.

    Raises:
        CheckpointError: the file of weights is missing, or is not the one of the package.
    """
    network = load_classifier(name).network
    for parameter in network.parameters():
        parameter.stop_gradient = True

    def maps(images: Tensor) -> list[Tensor]:
        if list(images.shape[1:]) != [1, SIZE, SIZE]:
            raise ValueError(f"the {name} classifier takes images [N, 1, {SIZE}, {SIZE}], not {images.shape}")
        made, x = [], images
        for layer in network.convolutions:
            x = layer(x)
            made.append(x)
        return made

    return maps
