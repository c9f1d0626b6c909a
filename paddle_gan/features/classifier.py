"""A small classifier of 28×28 grey images. Samples are measured in the features of its last hidden layer.

Two sets of weights are part of the package, for MNIST and Fashion-MNIST, as safetensors in `weights/`. They were made
by `train_classifier`, which `tools/train_classifier.py` calls. Not about the measures: see `extractors`.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn as nn
import paddle.nn.functional as F
import safetensors
import safetensors.numpy
from numpy.lib.stride_tricks import sliding_window_view
from paddle import Tensor

from paddle_gan.datasets import ImageSet
from paddle_gan.datasets.batches import batch_indices
from paddle_gan.errors import CheckpointError
from paddle_gan.networks.blocks import ConvBN
from paddle_gan.system.files import atomic_path
from paddle_gan.system.randomness import seeded

SIZE = 28
FEATURES = 128
WEIGHTS = Path(__file__).parent / "weights"
# The hashes of the files in `weights/`. A score depends on every bit of them, so each record of a score has the hash.
SHA256 = {
    "mnist": "a7a069cf11dabb251b4f94465fccb5dc18ade05efeeb707f528f6abeea8f9ba5",
    "fashion-mnist": "222e682c4e618af69bd28cdbda2faca4b2c28c01d0010d639e510df5063b61cc",
}
# Images that are classified at once.
_CHUNK = 500
_BATCH_SIZE = 128
_LEARNING_RATE = 2e-3
# Most pixels by which an image is moved along each axis in training.
_SHIFT = 2


class ShippedClassifier(NamedTuple):
    """A classifier of the package.

    Attributes:
        network: in evaluation mode.
        sha256: of its weights.
    """

    network: "Classifier"
    sha256: str


class Extracted(NamedTuple):
    """The features of N images.

    Attributes:
        features: float32 [N, F].
        probabilities: of the classes, float32 [N, K]; None if the network knows no classes that fit the data.
    """

    features: np.ndarray
    probabilities: np.ndarray | None


class Classifier(nn.Layer):
    """Three strided convolutions, one linear map to the features, one to the logits.

    Args:
        classes: number of logits.
        channels: of the images.
    """

    def __init__(self, classes: int = 10, channels: int = 1):
        super().__init__()
        self.convolutions = nn.Sequential(
            ConvBN(channels, 32, kernel_size=5, stride=2, padding=2, activation=F.relu),
            ConvBN(32, 64, kernel_size=4, stride=2, padding=1, activation=F.relu),
            ConvBN(64, 128, kernel_size=3, stride=2, padding=1, activation=F.relu),
        )
        self.features = nn.Linear(128 * 4 * 4, FEATURES)
        self.logits = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """From images, float32 [N, channels, 28, 28] in [−1, 1], to features ≥ 0 [N, 128] and logits [N, classes]."""
        maps = self.convolutions(images)
        features = F.relu(self.features(maps.reshape([maps.shape[0], -1])))
        return features, self.logits(features)


def load_classifier(name: str) -> ShippedClassifier:
    """A classifier of the package: "mnist" or "fashion-mnist".

    Raises:
        CheckpointError: the file of weights is missing, or is not the one of the package.
    """
    path = WEIGHTS / f"{name}.safetensors"
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); install paddle_gan again") from error
    digest = hashlib.sha256(payload).hexdigest()
    if digest != SHA256[name]:
        raise CheckpointError(
            f"{path}: SHA-256 {digest[:12]} is not the one of the package's file; install paddle_gan again"
        )
    classifier = Classifier()
    for key, array in safetensors.numpy.load(payload).items():
        classifier.state_dict()[key].set_value(array)
    classifier.eval()
    return ShippedClassifier(classifier, digest)


def classify(classifier: Classifier, images: np.ndarray) -> Extracted:
    """Features [N, 128] and class probabilities of images.

    Args:
        classifier: in evaluation mode.
        images: uint8 [N, 28, 28], or [N, C, 28, 28].
    """
    features, probabilities = [], []
    with paddle.no_grad():
        for start in range(0, len(images), _CHUNK):
            chunk_features, logits = classifier(_to_tensor(images[start : start + _CHUNK]))
            features.append(chunk_features.numpy())
            probabilities.append(F.softmax(logits).numpy())
    return Extracted(np.concatenate(features), np.concatenate(probabilities))


def train_classifier(data: ImageSet, *, epochs: int, mirror: bool, seed: int, say: Callable[[str], None]) -> Classifier:
    """Train a classifier on shifted copies of `data`. The same arguments give the same weights on the same CPU.

    The loss is the cross-entropy, the optimiser Adam with a cosine schedule. The result has the average of the weights
    over about the last tenth of the steps.

    Args:
        data: grey 28×28 images with labels.
        epochs: passes over the data.
        mirror: train on mirrored copies too, for classes that do not depend on left and right.
        seed: of weights, order and shifts.
        say: takes a line after each epoch.

    Returns:
        The classifier in evaluation mode.
    """
    steps = epochs * len(data) // _BATCH_SIZE
    batches = augmented_batches(data, steps=steps, mirror=mirror, seed=seed)
    tensors = ((_to_tensor(images), paddle.to_tensor(labels)) for images, labels in batches)

    def report(step: int, loss: Tensor) -> None:
        if step % max(1, len(data) // _BATCH_SIZE) == 0:
            say(f"step {step}/{steps}  cross-entropy {loss.item():.4f}")

    return fit(tensors, classes=len(data.classes), steps=steps, seed=seed, report=report)


def fit(
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    classes: int,
    steps: int,
    seed: int,
    channels: int = 1,
    report: Callable[[int, Tensor], None] = lambda step, loss: None,
) -> Classifier:
    """Train a classifier on batches, as `train_classifier` does.

    Args:
        batches: `steps` of them; images in [−1, 1], [B, channels, 28, 28], and labels, int64 [B].
        classes: number of classes.
        steps: number of batches.
        seed: of the weights.
        channels: of the images.
        report: takes the number of finished steps and the loss of the last one.

    Returns:
        The classifier in evaluation mode.
    """
    with seeded("classifier", seed):
        classifier = Classifier(classes, channels)
        average = Classifier(classes, channels)
    average.set_state_dict(classifier.state_dict())
    schedule = paddle.optimizer.lr.CosineAnnealingDecay(_LEARNING_RATE, steps)
    trainable = [parameter for parameter in classifier.parameters() if parameter.trainable]
    optimizer = paddle.optimizer.Adam(schedule, parameters=trainable)
    decay = math.exp(-10 / steps)
    for step, (images, labels) in enumerate(batches, 1):
        _, logits = classifier(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)
        schedule.step()
        with paddle.no_grad():
            for mean, current in zip(average.state_dict().values(), classifier.state_dict().values(), strict=True):
                mean.lerp_(current, 1 - decay)
        report(step, loss)
    average.eval()
    return average


def save_classifier(classifier: Classifier, path: Path) -> str:
    """Write the weights as safetensors and return their SHA-256."""
    arrays = {name: tensor.numpy() for name, tensor in classifier.state_dict().items()}
    payload = safetensors.numpy.save(arrays)
    with atomic_path(path) as temporary:
        temporary.write_bytes(payload)
    return hashlib.sha256(payload).hexdigest()


def augmented_batches(
    data: ImageSet, *, steps: int, mirror: bool, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches for training: images, uint8 [B, 28, 28], each moved by up to two pixels along each axis, and labels [B].

    Args:
        data: grey 28×28 images with labels.
        steps: number of batches.
        mirror: mirror about half of the images.
        seed: of order, shifts and mirroring.
    """
    assert isinstance(data.images, np.ndarray) and data.labels is not None
    padding = (_SHIFT, _SHIFT)
    padded = np.pad(data.images[:, 0], ((0, 0), padding, padding))
    windows = sliding_window_view(padded, window_shape=(SIZE, SIZE), axis=(1, 2))  # type: ignore[call-overload]
    for step in range(steps):
        indices = batch_indices(count=len(data), batch_size=_BATCH_SIZE, seed=seed, step=step)
        random = np.random.default_rng((seed, step))
        down, right = random.integers(0, 2 * _SHIFT + 1, (2, len(indices)))
        images = windows[indices, down, right]
        if mirror:
            images = np.where(random.integers(0, 2, len(indices))[:, None, None], images[:, :, ::-1], images)
        yield images, data.labels[indices]


def _to_tensor(images: np.ndarray) -> Tensor:
    with_channels = images[:, None] if images.ndim == 3 else images
    return paddle.to_tensor(with_channels.astype(np.float32) / 127.5 - 1)
