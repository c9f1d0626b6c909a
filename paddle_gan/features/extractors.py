"""Feature extractors: functions from images to the features in which measures compare them.

Every evaluation takes an extractor as an argument, so a user can bring another one. An `Extractor` is a function with a
name and a hash, because a score means nothing without the features that it was measured in. There are three kinds here:
the classifiers of the package, the FID Inception from a file that the user has, and, for images for which neither of
these was made, a random network with the images' outlines beside it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
from PIL import Image

from paddle_gan.config.sizes import shown
from paddle_gan.errors import DataError
from paddle_gan.features.classifier import SIZE, Extracted, classify, load_classifier
from paddle_gan.features.inception import WEIGHTS_SHA256, load_inception
from paddle_gan.features.maps import random_convolutions
from paddle_gan.features.outlines import VERSION, outlines

# From images, uint8 [N, H, W, C], to their features.
Extract = Callable[[np.ndarray], Extracted]

CLASSIFIERS = ("mnist", "fashion-mnist")
# Names in records and logs.
_INCEPTION, _RANDOM = "inception-2015-12-05", "random convolutions"
_CHUNK = 250


@dataclass(frozen=True)
class Extractor:
    """A feature extractor, with everything that the record of a score states about it.

    Attributes:
        name: for people.
        sha256: of its weights.
        resize: how images are brought to the size that it takes, in words.
        extract: takes images, uint8 [N, H, W, C] of one, three or four channels.
    """

    name: str
    sha256: str
    resize: str
    extract: Extract

    def __call__(self, images: np.ndarray) -> Extracted:
        """The features of images, uint8 [N, H, W, C]."""
        return self.extract(images)


def classifier_extractor(name: str) -> Extractor:
    """The 128 features of the last hidden layer of a classifier of the package, "mnist" or "fashion-mnist".

    It gives the probabilities of its ten classes too.
    """
    classifier = load_classifier(name)
    return Extractor(
        name=_classifier_name(name),
        sha256=classifier.sha256,
        resize="to 28x28: the frame around 32x32 cut off, others bicubic; colours to their mean",
        extract=lambda images: classify(classifier.network, to_grey_28(images)),
    )


def inception_extractor(path: Path) -> Extractor:
    """The 2,048 pooled features of the FID Inception in the file `path`; see `inception.load_inception`."""
    network = load_inception(path)
    return Extractor(
        name=_INCEPTION,
        sha256=WEIGHTS_SHA256,
        resize="bilinear to 299x299, as the network itself does it",
        extract=lambda images: Extracted(network.features(over_white(images)), None),
    )


def random_extractor(channels: int) -> Extractor:
    """256 features of a convolutional network with fixed random weights.

    Use it for images that are very different from those on which a network was trained, such as sonar, spectra or
    medical images; there random features tell more (Naeem et al. 2020, section 5). Distances in these features can be
    compared with each other for one data set. The value of a single distance says nothing.

    Args:
        channels: of the images.
    """
    network = random_convolutions(channels)

    @paddle.no_grad()
    def features(images: np.ndarray) -> np.ndarray:
        x = paddle.to_tensor(images.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
        return network.maps(x)[-1].mean([2, 3]).numpy()

    def extract(images: np.ndarray) -> Extracted:
        chunks = [features(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)]
        return Extracted(np.concatenate(chunks), None)

    return Extractor(name=_RANDOM, sha256=network.sha256, resize="none", extract=extract)


def general_extractor(channels: int) -> Extractor:
    """The features of `random_extractor`, and the outlines of the images (`outlines.outlines`), side by side.

    Random features are means over the whole image: they see texture, and not where anything is. In them alone, spots of
    the right colours were nearer to drawings than faces were. Outlines see shapes in their places, in images of 28
    pixels, and no fine texture. For square images in colour these are 256 and 539 features.

    Args:
        channels: of the images.
    """
    texture = random_extractor(channels)

    def extract(images: np.ndarray) -> Extracted:
        chunks = [outlines(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)]
        return Extracted(np.concatenate([texture(images).features, np.concatenate(chunks)], axis=1), None)

    digest = hashlib.sha256(f"{texture.sha256} outlines {VERSION}".encode()).hexdigest()
    return Extractor(name=f"{_RANDOM} and outlines", sha256=digest, resize="none", extract=extract)


def name_of_unnamed(dataset: str, inception: str | None) -> str:
    """Name of the features that a run was measured in, if its log, of an older version, does not name them.

    Args:
        dataset: name or path.
        inception: the file of the FID Inception, or None.
    """
    if inception:
        return _INCEPTION
    return _classifier_name(dataset) if dataset in CLASSIFIERS else _RANDOM


def _classifier_name(dataset: str) -> str:
    return f"{dataset} classifier"


def over_white(images: np.ndarray) -> np.ndarray:
    """Images, uint8 [N, H, W, C], of which those with alpha are blended with white: C 1 or 3."""
    if images.shape[3] != 4:
        return images
    alpha = images[..., 3:].astype(np.float32) / 255
    return (images[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)


def to_grey_28(images: np.ndarray) -> np.ndarray:
    """Images, uint8 [N, H, W, C], in the form that the classifiers of the package take: uint8 [N, 28, 28].

    Images of 32×32 are 28×28 images of MNIST in a black frame, which is cut off. Other sizes are resampled.

    Raises:
        DataError: the images are no squares.
    """
    images = over_white(images)
    _, height, width, channels = images.shape
    if height != width:
        raise DataError(
            f"images of {shown(height, width, channels)}: the classifier is made for square images; measure these in "
            "the features of the Inception network (--inception FILE)"
        )
    grey = images[..., 0] if channels == 1 else images.mean(axis=3).round().astype(np.uint8)
    if height == SIZE:
        return grey
    if height == SIZE + 4:
        return grey[:, 2:-2, 2:-2]
    small = (Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC) for image in grey)
    return np.stack([np.asarray(image) for image in small])
