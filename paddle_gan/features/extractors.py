"""What turns images into the features that measures compare: an argument of every measure, so one may bring one's own.

An `Extractor` is a function with a name and a hash, because a score means nothing without the features that
it was taken in. Three kinds are here: the classifiers that ship with the package, the FID Inception from
a file that the user has, and a random network for images that neither was made for.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F
from PIL import Image

from paddle_gan.features.classifier import SIZE, classify, load_classifier
from paddle_gan.features.inception import WEIGHTS_SHA256, load_inception

# uint8 [N, H, W, C] -> features float [N, F], and class probabilities float [N, K] or None
Extract = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]

CLASSIFIERS = ("mnist", "fashion-mnist")
_RANDOM_SEED = 20180101
_RANDOM_WIDTHS = (32, 64, 128, 256)
_CHUNK = 250


@dataclass(frozen=True)
class Extractor:
    """A feature extractor and what a record of a score says of it.

    Attributes:
        name: for people.
        sha256: of its weights.
        resize: how images come to the size that it takes.
        extract: images, uint8 [N, H, W, C] of one or three channels, to features [N, F] and the probabilities
            of classes [N, K], or None where it knows no classes that mean anything for the data.
    """

    name: str
    sha256: str
    resize: str
    extract: Extract

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return self.extract(images)


def classifier_extractor(name: str) -> Extractor:
    """The last hidden layer, 128 features, and the ten classes of a classifier that ships: "mnist" or "fashion-mnist"."""
    classifier, digest = load_classifier(name)
    return Extractor(
        f"{name} classifier",
        digest,
        "to 28x28: the frame around 32x32 cut off, others bicubic; colours to their mean",
        lambda images: classify(classifier, to_grey_28(images)),
    )


def inception_extractor(path: Path) -> Extractor:
    """The 2,048 pool features of the FID Inception in the file at `path`; see `inception.load_inception`."""
    network = load_inception(path)
    return Extractor(
        "inception-2015-12-05",
        WEIGHTS_SHA256,
        "bilinear to 299x299, as the network itself does it",
        lambda images: (network.features(images), None),
    )


def random_extractor(channels: int) -> Extractor:
    """256 features of a convolutional network with fixed random weights.

    For images far from those that a trained network has seen, random features tell more (Naeem et al.
    2020, section 5): sonar, spectra, medical images. They order distances to one data set; their size
    says nothing by itself.

    Args:
        channels: of the images, 1 or 3.
    """
    random = np.random.default_rng(_RANDOM_SEED)
    digest, weights, before = hashlib.sha256(), [], channels
    for width in _RANDOM_WIDTHS:
        # He et al. 2015: keeps the size of the values through the layers.
        weight = (random.standard_normal((width, before, 4, 4)) * np.sqrt(2 / (before * 16))).astype(np.float32)
        digest.update(weight.tobytes())
        weights.append(paddle.to_tensor(weight))
        before = width

    @paddle.no_grad()
    def features(images: np.ndarray) -> np.ndarray:
        x = paddle.to_tensor(images.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
        for weight in weights:
            x = F.relu(F.conv2d(x, weight, stride=2, padding=2))
        return x.mean([2, 3]).numpy()

    def extract(images: np.ndarray) -> tuple[np.ndarray, None]:
        return np.concatenate([features(images[i : i + _CHUNK]) for i in range(0, len(images), _CHUNK)]), None

    return Extractor("random convolutions", digest.hexdigest(), "none", extract)


def to_grey_28(images: np.ndarray) -> np.ndarray:
    """Images, uint8 [N, H, W, C], as the shipped classifiers take them: uint8 [N, 28, 28].

    32×32 is MNIST's 28×28 in a black frame, which is cut off; other sizes are resampled.
    """
    grey = images[..., 0] if images.shape[3] == 1 else images.mean(axis=3).round().astype(np.uint8)
    size = grey.shape[1]
    if size == SIZE:
        return grey
    if size == SIZE + 4:
        return grey[:, 2:-2, 2:-2]
    small = (Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC) for image in grey)
    return np.stack([np.asarray(image) for image in small])
