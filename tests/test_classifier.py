"""The classifiers in whose features samples are measured: their accuracy, their files, and the tool that makes them."""

import shutil

import numpy as np
import pytest
from conftest import command_line

from paddle_gan.datasets import load_dataset
from paddle_gan.datasets.grey_sets import FASHION_MNIST
from paddle_gan.datasets.image_set import ImageSet
from paddle_gan.errors import CheckpointError
from paddle_gan.features import classifier


def accuracy(name: str) -> float:
    test = load_dataset(name, 28, 1, split="test")
    network, _ = classifier.load_classifier(name)
    _, probabilities = classifier.classify(network, test.images[:, 0])
    return (probabilities.argmax(1) == test.labels).mean()


def test_mnist_accuracy():
    assert accuracy("mnist") >= 0.993


@pytest.mark.skipif(not any(folder.exists() for folder in FASHION_MNIST.folders), reason="needs Fashion-MNIST")
def test_fashion_mnist_accuracy():
    assert accuracy("fashion-mnist") >= 0.92


def test_features_and_probabilities():
    network, digest = classifier.load_classifier("mnist")
    assert digest == classifier.SHA256["mnist"]
    images = load_dataset("mnist", 28, 1, split="test").images[:600, 0]
    features, probabilities = classifier.classify(network, images)
    assert features.shape == (600, classifier.FEATURES) and probabilities.shape == (600, 10)
    assert features.min() == 0 and np.allclose(probabilities.sum(1), 1, atol=1e-5)
    # The probabilities follow from the features by the last linear map.
    logits = features @ network.logits.weight.numpy() + network.logits.bias.numpy()
    expected = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(probabilities, expected / expected.sum(1, keepdims=True), atol=1e-5)


def test_another_file_is_refused(tmp_path, monkeypatch):
    shutil.copy(classifier.WEIGHTS / "mnist.safetensors", tmp_path)
    monkeypatch.setattr(classifier, "WEIGHTS", tmp_path)
    path = tmp_path / "mnist.safetensors"
    payload = bytearray(path.read_bytes())
    payload[len(payload) // 2] ^= 1
    path.write_bytes(payload)
    with pytest.raises(CheckpointError, match="SHA-256"):
        classifier.load_classifier("mnist")
    path.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        classifier.load_classifier("mnist")


def test_training_is_reproducible_and_learns(tmp_path):
    train = load_dataset("mnist", 28, 1)
    few = ImageSet("few", train.images[:6000], train.labels[:6000], train.classes)
    digests = set()
    for name in ("a", "b"):
        trained = classifier.train_classifier(few, epochs=2, mirror=False, seed=0, say=lambda line: None)
        digests.add(classifier.save_classifier(trained, tmp_path / name))
    assert len(digests) == 1
    _, probabilities = classifier.classify(trained, train.images[6000:8000, 0])
    assert (probabilities.argmax(1) == train.labels[6000:8000]).mean() > 0.9


def test_augmentation_shifts_and_mirrors():
    image = np.zeros((1, 1, 28, 28), np.uint8)
    image[0, 0, 14, 10] = 255
    one = ImageSet("one", image, np.zeros(1, np.int64), ("0",))
    seen = set()
    for images, _ in classifier.augmented_batches(one, steps=3, mirror=True, seed=0):
        rows, columns = images.reshape(len(images), -1).argmax(1) // 28, images.reshape(len(images), -1).argmax(1) % 28
        seen |= set(zip(rows.tolist(), columns.tolist(), strict=True))
    left = {(row, column) for row in range(12, 17) for column in range(8, 13)}
    assert seen == left | {(row, 27 - column) for row, column in left}


def test_tool_refuses_what_it_does_not_know(tmp_path):
    done = command_line("train_classifier", "cifar", "--out", tmp_path / "c.safetensors")
    assert done.returncode == 2 and "one of mnist, fashion-mnist" in done.stderr


@pytest.mark.slow
def test_tool_makes_a_classifier_as_good_as_the_one_that_ships(tmp_path):
    done = command_line("train_classifier", "mnist", "--out", tmp_path / "c.safetensors")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split("% of the 10,000")[0].split()[-1]) >= 99.3
