"""Exported folders: what is in them, their model card, and what they may replace."""

import hashlib
import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import paddle.nn as nn
import pytest
import yaml
from PIL import Image
from safetensors.numpy import save_file
from test_export import lively, of_clusters, shares_of, shift

from paddle_gan.commands.sample import SAMPLE
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import CheckpointError, NumericalError, UsageError
from paddle_gan.inference import export
from paddle_gan.inference.images import grid
from paddle_gan.inference.sampling import generate
from paddle_gan.networks.mixture import Mixture
from paddle_gan.runs.generators import TrainedGenerator, generator_with
from paddle_gan.runs.resolve import resolve
from paddle_gan.runs.shipping import Shipment, ship
from paddle_gan.training.weights import read_notes, write_weights

RECORD = {
    "format": 1,
    "subject": {"name": "run", "step": 5, "best": False},
    "protocol": {"samples": 1000, "weights": "average", "dataset": "cats"},
    "figures": {
        "frechet_distance": {"samples": 12.5, "real": 1.25},
        "near_copies": {"samples": 0.01, "real": 0.002},
    },
}


def shipment(folder: Path, network: nn.Layer, *, record: dict | None = None, **options: object) -> Shipment:
    """A generator of a run in `folder` that was not trained."""
    folder.mkdir(exist_ok=True)
    inner = network.parts if isinstance(network, Mixture) else network
    size = "36x28" if inner.classes else 28  # as `lively` makes them
    config = resolve(TrainConfig(image_size=size, channels=3, steps=5, **options), "cpu").config
    (folder / "config.json").write_text(json.dumps(asdict(config)))
    if record:
        (folder / "evaluation.json").write_text(json.dumps(record))
    classes = ("a", "b", "c") if options.get("conditional") else ()
    shares = shares_of(3 if classes else 0) if isinstance(network, Mixture) else None
    return Shipment(TrainedGenerator(network, classes, 5, shares), folder, "average")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> tuple[Shipment, Path]:
    """A measured conditional generator with clusters of the user's own images, and its exported folder."""
    home = tmp_path_factory.mktemp("shipped")
    own = shipment(
        home / "run", of_clusters("mlp", 3), record=RECORD, dataset="/secret/place/cats", conditional=True, r1=0.125
    )
    ship(own, "paddle", home / "out")
    return own, home / "out"


def test_the_card_says_what_the_generator_is(shipped):
    card = json.loads((shipped[1] / "model_card.json").read_text())
    assert card["export"] == {"format": "paddle", "run": "run", "weights": "average", "step": 5}
    assert card["data"] == {"name": "cats", "licence": None}
    assert (card["training"]["objective"], card["training"]["steps"]) == ("lsgan", 5)
    assert card["training"]["source"] == "Mao et al. 2017, eq. 9: linear output, codes 0 and 1"
    assert card["training"]["options"]["r1"] == 0.125
    assert card["input"] == {
        "latents": ["N", 101],
        "distribution": "independent, standard normal",
        "classes": ["a", "b", "c"],
        "clusters": 4,
    }
    assert card["output"] == {"images": ["N", 3, 28, 36], "value_range": [-1, 1]}
    assert card["measures"] == RECORD
    # Nothing of the user's machine.
    assert "secret" not in "".join(path.read_text() for path in shipped[1].glob("*.[jm][sd]*"))


def test_the_card_has_the_hash_of_every_other_file(shipped):
    hashes = json.loads((shipped[1] / "model_card.json").read_text())["sha256"]
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shipped[1].iterdir()}
    assert hashes == {name: digest for name, digest in files.items() if name not in ("model_card.json", "README.md")}
    assert set(hashes) == {"generator.json", "generator.pdiparams", "manifest.json", "samples.png"}


def test_the_page_says_the_same_for_people(shipped):
    text = (shipped[1] / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "license": "unknown",
        "library_name": "paddle",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["gan", "image-generation", "paddlepaddle", "paddle"],
        "datasets": ["cats"],
    }
    for line in (
        "# run: a generator of cats",
        "| data | cats, whose licence is not stated |",
        "| steps | 5 |",
        "| labels | 0 a, 1 b, 2 c |",
        "| images | 3 × 28 × 36 in [-1.0, 1.0] |",
        "Near-copies of training images: 1.00% of the samples, 0.20% of other real images.",
        "Protocol: dataset cats, samples 1000, weights average.",
    ):
        assert line in body.splitlines(), line
    assert re.search(r"^Fréchet distance +12.5 +1.25  lower$", body, re.M)


def test_the_sheet_is_of_the_first_samples_of_seed_0(shipped):
    own, folder = shipped
    images = np.concatenate([batch.images for batch in generate(own.trained.network, 64, 0, 3)])
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "samples.png")), grid(images, 3))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (None, "These weights were not measured."),
        ({"subject": {"name": "run", "step": 4, "best": False}}, "measured with other weights than these"),
        ({"subject": {"name": "run", "step": 5, "best": True}}, "measured with other weights than these"),
        ({"protocol": {"weights": "raw"}}, "measured with other weights than these"),
        ({"figures": 3}, "cannot be read"),
    ],
)
def test_measures_of_other_weights_are_not_claimed(change, reason, tmp_path):
    own = shipment(tmp_path / "run", lively("mlp-shallow"), record=None if change is None else RECORD | change)
    ship(own, "paddle", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "model_card.json").read_text())["measures"] is None
    assert reason in (tmp_path / "out" / "README.md").read_text()


def test_another_export_replaces_an_older_one_and_nothing_else(tmp_path):
    own = shipment(tmp_path / "run", lively("mlp-shallow"))
    for _ in range(2):
        ship(own, "paddle", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["run"], manifest["step"], manifest["image_size"], manifest["channels"]) == ("run", 5, 28, 3)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    for folder in (tmp_path / "thesis", tmp_path / "run"):
        before = sorted(folder.iterdir())
        with pytest.raises(UsageError, match="something else"):
            ship(own, "paddle", folder)
        assert sorted(folder.iterdir()) == before


def test_a_program_that_differs_from_its_network_is_not_left_there(tmp_path, monkeypatch):
    own = shipment(tmp_path / "run", lively("pixelshuffle"))
    monkeypatch.setattr(export, "folded", lambda generator: lively("pixelshuffle").apply(shift))
    with pytest.raises(NumericalError, match="differ"):
        ship(own, "paddle", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("paddle_gan.runs.shipping.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="needs onnx and onnxruntime: pip install onnx onnxruntime"):
        ship(shipment(tmp_path / "run", lively("mlp-shallow")), "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [lively, of_clusters])
@pytest.mark.parametrize("conditional", [False, True])
def test_safetensors_are_read_again_without_the_run(make, conditional, tmp_path, capsys):
    """By tools/sample.py, from the folder alone; the images are those of the run, bit for bit."""
    generator = make("mlp-shallow", 3 * conditional)
    own = shipment(
        tmp_path / "run", generator, generator="mlp-shallow", width=8, conditional=conditional, dataset="/x/y"
    )
    ship(own, "safetensors", tmp_path / "out")
    shutil.rmtree(tmp_path / "run")
    arguments = [str(tmp_path / "out"), "--weights", str(tmp_path / "out" / "generator.safetensors"), "--seed", "5"]
    SAMPLE.run(SAMPLE.parse([*arguments, "--num", "9", "--npz", str(tmp_path / "s.npz"), "--device", "cpu"]))
    [expected] = generate(generator, 9, 5, 3 * conditional)
    found = np.load(tmp_path / "s.npz")
    np.testing.assert_array_equal(found["images"], expected.images)
    assert ("labels" in found) == conditional and expected.images.std() > 1
    assert "/x" not in (tmp_path / "out" / "config.json").read_text()


@pytest.mark.parametrize(
    "notes",
    [
        {"classes": 3},
        {"classes": [1, 2, 3]},
        {"classes": ["a", "b", "c"], "shares": [[1.0]]},
        {"classes": ["a", "b", "c"], "shares": [[0.5, 0.5]] * 2},
        {"classes": ["a", "b", "c"], "shares": [[1.0, -1.0]] * 3},
        {"classes": ["a", "b", "c"], "shares": [[1.0], [1.0, 2.0], [3.0]]},
        {"classes": ["a", "b", "c"], "shares": "x"},
        {"classes": []},
    ],
)
def test_notes_that_nobody_would_write_are_refused(notes, tmp_path):
    own = shipment(tmp_path, lively("mlp-shallow", 3), generator="mlp-shallow", width=8, conditional=True)
    write_weights(tmp_path / "w.safetensors", own.trained.network, notes)
    with pytest.raises(CheckpointError, match="its notes on classes and clusters are damaged|has 0 classes"):
        generator_with(tmp_path, tmp_path / "w.safetensors")


def test_foreign_notes_are_no_harm(tmp_path):
    """Other programs write other metadata, which is not JSON."""
    own = shipment(tmp_path, lively("mlp-shallow"), generator="mlp-shallow", width=8, clusters=0)
    arrays = {name: value.numpy() for name, value in own.trained.network.state_dict().items()}
    save_file(arrays, tmp_path / "w.safetensors", {"format": "pt", "depth": "[" * 100_000})
    assert read_notes(tmp_path / "w.safetensors") == {}
    assert generator_with(tmp_path, tmp_path / "w.safetensors").classes == ()
