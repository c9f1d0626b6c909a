"""Generators folded for inference and exported as programs."""

import json
import re
import subprocess
import sys

import numpy as np
import paddle
import paddle.nn as nn
import paddle.nn.functional as F
import pytest
from conftest import ROOT, command_line

from paddle_gan.errors import CheckpointError, NumericalError
from paddle_gan.inference import export
from paddle_gan.inference.folding import folded, sub_pixel_kernel
from paddle_gan.inference.sampling import generate
from paddle_gan.networks import GENERATORS
from paddle_gan.networks.mixture import Mixture
from paddle_gan.networks.style import StyledLayer

CLASSES = ("a", "b", "c")


def lively(name: str, classes: int = 0) -> nn.Layer:
    """A narrow generator whose norms, and whose noise, are far from their initial state."""
    paddle.seed(0)
    size = {} if name == "tutorial" else {"image_size": "36x28" if classes else 28}
    generator = GENERATORS[name](channels=3, width=8, classes=classes, **size)
    for norm in generator.sublayers():
        if isinstance(norm, nn.BatchNorm):
            norm._mean.set_value(paddle.randn(norm._mean.shape) * 0.5)
            norm._variance.set_value(paddle.rand(norm._variance.shape) + 0.5)
            norm.weight.set_value(paddle.rand(norm.weight.shape) + 0.5)
            norm.bias.set_value(paddle.randn(norm.bias.shape) * 0.5)
        elif isinstance(norm, StyledLayer):
            norm.strength.set_value(paddle.to_tensor([0.5]))
            norm.bias.set_value(paddle.randn(norm.bias.shape) * 0.5)
    generator.eval()
    return generator


def shares_of(classes: int) -> np.ndarray:
    """P(cluster | class) of four clusters, some of which do not occur."""
    shares = np.array([[0.4, 0.1, 0.5, 0.0], [0.3, 0.3, 0.2, 0.2], [0.0, 0.2, 0.0, 0.8]], np.float32)
    return shares[: classes or 1]


def of_clusters(name: str, classes: int = 0) -> nn.Layer:
    """As `lively`, for clusters within each class."""
    mixture = Mixture(lively(name, 4), shares_of(classes))
    mixture.eval()
    return mixture


# Every generator plain, with labels and with clusters, as far as its family has not been there; one with both.
CASES = [
    *((name, lively, classes) for name in GENERATORS for classes in ((), CLASSES)),
    *((name, of_clusters, ()) for name in GENERATORS if not name.startswith("mlp-")),
    ("pixelshuffle", of_clusters, CLASSES),
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A generator and the folder that it was exported to."""
    generator, folder = lively("pixelshuffle"), tmp_path_factory.mktemp("pixelshuffle")
    export.export(generator, (), folder, {"run": "a run"})
    return generator, folder


@pytest.mark.parametrize(("size", "output_padding"), [(6, 0), (5, 1)])
def test_a_transposed_convolution_is_a_sub_pixel_convolution(size, output_padding):
    kernel, x = paddle.randn([3, 2, size, size]), paddle.randn([2, 3, 5, 4])
    expected = F.conv2d_transpose(x, kernel, stride=2, padding=2, output_padding=output_padding)
    small = F.conv2d(x, paddle.to_tensor(sub_pixel_kernel(kernel.numpy())), padding=1)
    np.testing.assert_allclose(F.pixel_shuffle(small, 2).numpy(), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(("name", "make", "classes"), CASES)
def test_every_generator_is_exported_and_makes_the_same_images(name, make, classes, tmp_path):
    """Any number of images, with oneDNN; the network itself is not changed."""
    generator = make(name, len(classes))
    before = {key: value.numpy().copy() for key, value in generator.state_dict().items()}
    assert not any(isinstance(part, nn.BatchNorm) for part in folded(generator).sublayers())
    assert export.export(generator, classes, tmp_path, {}) <= 1e-5
    loaded = export.Exported(tmp_path)
    assert (loaded.latent_dim, loaded.value_range) == (generator.latent_dim, generator.value_range)
    for count in (1, 7):
        latents = paddle.randn([count, generator.latent_dim])
        labels = paddle.arange(count) % 3 if classes else None
        expected = generator(latents, labels).numpy()
        np.testing.assert_allclose(loaded(latents, labels).numpy(), expected, atol=1e-5)
        assert expected.std() > 0.005
    for key, value in generator.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


def test_samples_are_those_of_the_network_to_a_grey_level(tmp_path):
    """For the same seed and number, with more than one chunk of latents."""
    generator = lively("tutorial", len(CLASSES))
    export.export(generator, CLASSES, tmp_path, {})
    batches = [generate(source, 260, 3, len(CLASSES)) for source in (generator, export.Exported(tmp_path))]
    for (images, labels), (other_images, other_labels) in zip(*batches, strict=True):
        assert images.std() > 10 and np.abs(images.astype(int) - other_images).max() <= 1
        np.testing.assert_array_equal(labels, other_labels)


def test_tools_sample_takes_it_in_place_of_a_run(conditional_run, tmp_path):
    """It refuses options that would choose other weights."""
    done = command_line("export", conditional_run, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    target = tmp_path / "s.npz"
    done = command_line("sample", tmp_path / "out", "--num", 5, "--label", 7, "--device", "cpu", "--npz", target)
    assert done.returncode == 0, done.stderr
    assert np.load(target)["images"].shape == (5, 28, 28, 1) and set(np.load(target)["labels"]) == {7}
    done = command_line("sample", tmp_path / "out", "--best", "--grid", tmp_path / "x.png")
    assert done.returncode == 2 and "one set of weights" in done.stderr


def test_the_documented_example_runs_without_this_package(exported, tmp_path):
    generator, folder = exported
    text = (ROOT / "docs" / "sampling-and-export.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(import numpy.*?)```", text, re.S)[1]
    code = code.replace("RUN/exported", str(folder)) + "numpy.savez('out.npz', latents=latents, images=images)\n"
    assert "paddle_gan" not in code
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    out = np.load(tmp_path / "out.npz")
    assert len(out["images"]) > 1
    np.testing.assert_allclose(out["images"], generator(paddle.to_tensor(out["latents"])).numpy(), atol=1e-5)


def test_a_program_that_differs_from_its_network_is_refused(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "folded", lambda generator: lively("pixelshuffle").apply(shift))
    with pytest.raises(NumericalError, match="differ"):
        export.export(exported[0], (), tmp_path, {})


def shift(layer):
    if isinstance(layer, nn.Conv2DTranspose):
        layer.bias.set_value(layer.bias + 0.01)


@pytest.fixture
def copied(exported, tmp_path):
    """A copy of the exported folder, which a test may change."""
    for path in exported[1].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", ["generator.json", "generator.pdiparams"])
def test_a_flipped_bit_is_noticed(copied, name):
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name}: SHA-256"):
        export.Exported(copied)


@pytest.mark.parametrize("harm", ["1.py_func", "1.save_combine", "1.run_program", "2.anything"])
@pytest.mark.parametrize("inner", [False, True])
def test_a_program_with_foreign_operations_is_not_run(copied, harm, inner):
    """With matching hashes: the attacker who made the program made the manifest too."""
    program = json.loads((copied / "generator.json").read_text())
    operations = program["program"]["regions"][0]["blocks"][0]["ops"]
    foreign = {"#": harm, "A": [], "I": [], "O": []}
    if inner:
        operations[-1]["regions"] = [{"#": "region_1", "blocks": [{"#": "block_0", "args": [], "ops": [foreign]}]}]
    else:
        operations.insert(3, foreign)
    sign(copied, program)
    with pytest.raises(CheckpointError, match=f"no generator here needs .'{harm}'.*not run"):
        export.Exported(copied)


def test_nonsense_is_no_exported_generator(copied):
    for program in ([], {}, {"program": {"regions": [{"blocks": [{}]}]}}, {"program": {"regions": 3}}):
        sign(copied, program)
        with pytest.raises(CheckpointError, match="no exported generator"):
            export.Exported(copied)
    (copied / "manifest.json").write_text("{")
    with pytest.raises(CheckpointError, match="no exported generator"):
        export.Exported(copied)


def sign(folder, program) -> None:
    """Put `program` into an exported folder, with its hash."""
    (folder / "generator.json").write_text(json.dumps(program))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"]["generator.json"] = export.sha256(folder / "generator.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))
