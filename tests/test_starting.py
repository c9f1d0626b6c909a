"""Starting from trained weights: what is taken, what is new, and a discriminator whose first blocks stay."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import paddle
import pytest
import safetensors.numpy
from conftest import newest_manifest

from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import UsageError
from paddle_gan.networks import DISCRIMINATORS
from paddle_gan.networks.freezing import freeze_first_blocks
from paddle_gan.networks.norms import BatchNorm
from paddle_gan.networks.packing import Packed
from paddle_gan.runs import experiment
from paddle_gan.runs.building import build, new_generator
from paddle_gan.runs.folder import read_config
from paddle_gan.runs.resolve import resolve
from paddle_gan.runs.starting import completed, start
from paddle_gan.training import checkpoint
from paddle_gan.training.checkpoint import read_newest
from paddle_gan.training.state import part, tensors_of
from paddle_gan.training.transfer import transfer


def options(pictures: Path, out: Path, **others) -> TrainConfig:
    common = {"dataset": str(pictures), "out": str(out), "device": "cpu", "batch_size": 4, "steps": 2}
    return TrainConfig(**common | {"log_every": 1, "checkpoint_every": 1, "evaluate_every": 0} | others)


def run(given: TrainConfig) -> list[str]:
    said: list[str] = []
    experiment.run(given, said.append)
    return said


@pytest.fixture(scope="module")
def source(pictures, tmp_path_factory) -> Path:
    """A trained run with three clusters, 32 pixels, width 8."""
    out = tmp_path_factory.mktemp("source") / "run"
    run(options(pictures, out, image_size=32, width=8, discriminator_width=8, clusters=3))
    return out


def started(source: Path, tmp_path: Path, pictures: Path, shares: int = 0, **others):
    """A task of new options at step 0 with the weights of `source`, its arrays, and what was said."""
    said: list[str] = []
    config = resolve(completed(options(pictures, tmp_path, start_from=str(source), **others)), "cpu").config
    task = build(config, 0, np.full([1, shares], 1 / shares) if shares else None)
    record = start(task, Path(config.start_from or ""), said.append)
    return {name: tensor.numpy() for name, tensor in tensors_of(task).items()}, said, record, config


def arrays_of(source: Path) -> dict[str, np.ndarray]:
    arrays = read_newest(source / "checkpoints", print).arrays
    return {name: array for name, array in arrays.items() if "optimizer" not in name and "buffers" not in name}


def test_the_same_networks_take_everything_but_the_optimisers(source, tmp_path, pictures):
    arrays, said, record, config = started(source, tmp_path, pictures, shares=3)
    before = arrays_of(source)
    assert before.keys() == arrays.keys() - {"buffers/shares", "buffers/augmentation"}
    assert all((arrays[name] == before[name]).all() for name in before)
    assert any(
        (before[f"generator/{name}"] != array).any() for name, array in part(before, "generator_average").items()
    )
    assert said == [f"start from {source}: 100% of the generator and 100% of the discriminator; new: nothing"]
    assert record == {
        "source": str(source),
        "sha256": newest_manifest(source)["sha256"]["state.safetensors"],
        "taken": {"generator": 1.0, "generator_average": 1.0, "discriminator": 1.0},
    }
    assert (config.width, config.discriminator_width, config.image_size, config.channels) == (8, 8, 32, 3)


def test_a_new_label_begins_as_an_old_one_in_both_networks(source, tmp_path, pictures):
    arrays, said, _, _ = started(source, tmp_path, pictures, shares=5)
    before = arrays_of(source)
    name = "generator/project.linear.weight"
    latents = 64
    np.testing.assert_array_equal(arrays[name], before[name][[*range(latents), *(latents + j % 3 for j in range(5))]])
    name = "discriminator/class_weights.weight"
    np.testing.assert_array_equal(arrays[name], before[name][[0, 1, 2, 0, 1]])
    assert "for another number of labels: generator/project.linear.weight, discriminator/class_weights" in said[0]


def test_without_labels_in_the_source_all_labels_give_its_pictures_and_logits(pictures, tmp_path):
    given = {"image_size": 32, "width": 8, "discriminator_width": 8, "clusters": 0}
    run(options(pictures, tmp_path / "plain", **given))
    config = resolve(completed(options(pictures, tmp_path, start_from=str(tmp_path / "plain"))), "cpu").config
    tasks = {}
    for labels in (0, 4):
        tasks[labels] = build(config, 0, np.full([1, labels], 0.25) if labels else None)
        start(tasks[labels], tmp_path / "plain", print)
    latents, images = paddle.randn([4, 64]), paddle.rand([4, 3, 32, 32])
    labels = paddle.to_tensor([0, 1, 2, 3])
    for player in ("generator", "discriminator"):
        x = latents if player == "generator" else images
        plain, labelled = (tasks[k].players[player].network for k in (0, 4))
        plain.eval(), labelled.eval()
        np.testing.assert_allclose(labelled(x, labels).numpy(), plain(x).numpy(), atol=1e-6)


def test_for_a_larger_image_maps_of_the_same_size_keep_their_weights(source, tmp_path, pictures):
    """64 pixels at half the width: 8x8 to 32x32 as before in both networks; only the largest size is new."""
    arrays, said, record, config = started(source, tmp_path, pictures, shares=3, image_size=64)
    before = arrays_of(source)
    assert (config.width, config.discriminator_width) == (4, 4)
    for name in ("project.linear.weight", "project.norm._mean", "stages.0.0.conv.weight"):
        np.testing.assert_array_equal(arrays[f"generator/{name}"], before[f"generator/{name}"])
    for new, old in (
        ("stages.2.conv.weight", "stages.1.conv.weight"),
        ("stages.3.conv.weight", "stages.2.conv.weight"),
    ):
        np.testing.assert_array_equal(arrays[f"discriminator/{new}"], before[f"discriminator/{old}"])
    for name in ("head.weight", "head.bias", "class_weights.weight"):
        np.testing.assert_array_equal(arrays[f"discriminator/{name}"], before[f"discriminator/{name}"])
    assert "generator/stages.1.0.conv.weight" in said[0] and 0.9 < record["taken"]["discriminator"] < 1


def test_other_channels_are_new_at_the_image_only(source, tmp_path, pictures):
    arrays, said, _, _ = started(source, tmp_path, pictures, shares=3, channels=1)
    before = arrays_of(source)
    new = {name for name in before if before[name].shape != arrays[name].shape}
    ends = ("generator/stages.1.conv", "generator_average/stages.1.conv", "discriminator/stages.0.conv.weight")
    assert new == {name for name in before if name.startswith(ends)} and len(new) == 5
    assert said[0].endswith(
        "new: generator/stages.1.conv.weight, generator/stages.1.conv.bias, discriminator/stages.0.conv.weight"
    )


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_file_gives_the_network_that_it_fits(source, tmp_path, pictures, network):
    before, path = arrays_of(source), tmp_path / "weights.safetensors"
    weights = part(before, "generator_average" if network == "generator" else network)
    safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in weights.items()}, path)
    own = {"width": 8, "discriminator_width": 8, "image_size": 32}
    arrays, said, record, _ = started(path, tmp_path, pictures, shares=3, **own)
    for name, array in weights.items():
        np.testing.assert_array_equal(arrays[f"{network}/{name}"], array)
        if network == "generator":
            np.testing.assert_array_equal(arrays[f"generator_average/{name}"], array)
    other = "discriminator" if network == "generator" else "generator"
    assert said == [f"start from {path}: 100% of the {network}; new: the whole {other}"]
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and other not in record["taken"]


def test_what_does_not_fit_is_refused_or_said(source, tmp_path, pictures):
    with pytest.raises(UsageError, match=r"only 0% of the generator and 0% of the discriminator.*--width 8 --discr"):
        started(source, tmp_path, pictures, generator="mlp", discriminator="mlp")
    _, said, _, _ = started(source, tmp_path, pictures, generator="mlp")
    assert "new: the whole generator" in said[0] and "of the discriminator" in said[0]
    _, said, _, _ = started(source, tmp_path, pictures, discriminator="residual")
    assert "new: the whole discriminator" in said[0] and "of the generator" in said[0]
    for name in ("nothing", "é" * 300):  # a file system allows 255 bytes
        with pytest.raises(UsageError, match="neither a run folder nor a file of weights"):
            started(tmp_path / name, tmp_path, pictures)
    with pytest.raises(UsageError, match="not a run folder"):
        started(pictures, tmp_path, pictures)
    with pytest.raises(UsageError, match=r"stages.0.conv.weight does not come from .* would never learn"):
        started(source, tmp_path, pictures, channels=1, freeze_discriminator=1)
    with pytest.raises(UsageError, match="--freeze-discriminator 2: new weights would never learn"):
        TrainConfig(freeze_discriminator=2)
    with pytest.raises(UsageError, match="has 3 blocks"):
        started(source, tmp_path, pictures, freeze_discriminator=4)


SHAPES = {"x.weight": (4, 6)}


@pytest.mark.parametrize(
    ("name", "latent_dim", "old", "new", "index", "axis"),
    [
        ("hidden.0.weight", 3, (5, 4), (6, 4), [0, 1, 2, 3, 4, 3], 0),  # two labels, then three
        ("hidden.0.weight", 3, (5, 4), (3, 4), [0, 1, 2], 0),  # none any more
        ("model.0.conv.weight", 100, (2, 3, 5, 5), (2, 5, 5, 5), [0, 1, 2, 1, 2], 1),
        ("mapping.embedding.weight", 3, (2, 4), (3, 4), [0, 1, 0], 0),
        ("label_weights.weight", None, (2, 4), (1, 4), [0], 0),
    ],
)
def test_labels_stand_where_the_networks_have_them(name, latent_dim, old, new, index, axis):
    array = np.random.default_rng(0).normal(size=old).astype(np.float32)
    found = transfer({name: new}, {name: array}, latent_dim)
    np.testing.assert_array_equal(found.taken[name], array.take(index, axis))
    assert found.relabelled == [name] and found.share == 1 and found.new == []


def test_other_differences_are_no_labels():
    array = np.ones((5, 4), np.float32)
    for name, shape, latent_dim in (
        ("hidden.0.weight", (5, 8), 3),  # another width
        ("hidden.0.weight", (6, 4), None),  # pixels of a discriminator
        ("hidden.0.weight", (9, 4), 8),  # more latents than there were rows
        ("other.weight", (6, 4), 3),
    ):
        found = transfer({name: shape}, {name: array}, latent_dim)
        assert (found.taken, found.new, found.share) == ({}, [name], 0)
    # Zeros have no largest singular value to be divided by.
    embedding = {"class_weights.weight": (3, 4)}
    assert not transfer(embedding, {}, None).taken["class_weights.weight"].any()
    assert transfer(embedding | {"class_weights.spectral.u": (3,)}, {}, None).taken == {}
    # A packed discriminator is the same network inside.
    assert transfer({"discriminator.head.weight": (5, 4)}, {"head.weight": array}, None).share == 1


def test_a_start_needs_its_source_once_and_resumes_bit_for_bit_with_frozen_blocks(source, pictures, tmp_path):
    moved = Path(shutil.copytree(source, tmp_path / "source"))
    given = {"start_from": str(moved), "freeze_discriminator": 2, "clusters": 2}
    run(options(pictures, tmp_path / "whole", steps=4, **given))
    run(options(pictures, tmp_path / "halves", steps=2, **given))
    shutil.rmtree(moved)
    said = run(options(pictures, tmp_path / "halves", steps=4, **given))
    assert any("going on from step 2 of 4" in line for line in said) and not any("start from" in line for line in said)
    assert newest_manifest(tmp_path / "whole")["sha256"] == newest_manifest(tmp_path / "halves")["sha256"]
    records = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("whole", "halves")]
    assert records[0]["start_from"] == str(moved) and records[0]["origin"] == records[1]["origin"]
    assert records[0]["origin"]["start"]["sha256"] == newest_manifest(source)["sha256"]["state.safetensors"]
    # The frozen blocks are those of the source, and have no state; the others learn.
    after, before = read_newest(tmp_path / "whole" / "checkpoints", print).arrays, arrays_of(source)
    own = [name for name in before if name.startswith("discriminator/")]
    same = {name for name in own if np.array_equal(after[name], before[name])}
    assert same == {name for name in before if name.startswith(("discriminator/stages.0.", "discriminator/stages.1."))}
    moments = [name for name in after if name.startswith("discriminator_optimizer/")]
    assert moments and not any("stages.0." in name or "stages.1." in name for name in moments)
    assert read_config(tmp_path / "halves").freeze_discriminator == 2


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_the_first_blocks_of_every_discriminator_freeze_from_the_image_on(name):
    network = DISCRIMINATORS[name](
        **({} if name == "tutorial" else {"image_size": 32}), channels=1, width=8, norm=BatchNorm
    )
    assert len(network.first_blocks) == {"strided": 3, "residual": 2, "tutorial": 3, "mlp": 2, "mlp-shallow": 1}[name]
    assert Packed(network, 2).first_blocks == network.first_blocks
    freeze_first_blocks(network, 1)
    first = {id(one) for layer in network.first_blocks[0] for one in layer.parameters()}
    statistics = [one for key, one in network.named_parameters() if key.endswith(("_mean", "_variance"))]
    trained = {id(one) for one in network.parameters() if one.trainable}
    assert trained == {id(one) for one in network.parameters()} - first - {id(one) for one in statistics}
    before = {key: one.numpy().copy() for key, one in network.named_parameters() if id(one) in first}
    network.train()
    images = paddle.rand([4, 1, 32, 32])
    images.stop_gradient = False
    network(images).square().sum().backward()
    assert before and images.grad is not None and float(images.grad.abs().sum()) > 0
    for key, one in network.named_parameters():
        if id(one) in first:
            np.testing.assert_array_equal(one.numpy(), before[key], err_msg=key)  # running statistics too
            assert one.grad is None


def test_a_checkpoint_of_a_start_is_that_of_its_networks(source, tmp_path, pictures):
    """The generator of a started run loads as any other: nothing in it depends on the source."""
    config = resolve(completed(options(pictures, tmp_path, start_from=str(source))), "cpu").config
    task = build(config, 0, np.full([1, 3], 1 / 3))
    start(task, source, print)
    checkpoint.save(task, tmp_path / "checkpoints", "data")
    arrays = part(read_newest(tmp_path / "checkpoints", print).arrays, "generator")
    assert new_generator(config, 3).state_dict().keys() == arrays.keys()
