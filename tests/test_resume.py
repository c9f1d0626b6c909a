"""Checkpoints: exact resumes after a kill, damaged files, and files of other networks."""

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import paddle
import pytest
from conftest import ROOT, newest_manifest, start, train, train_here, wait_for
from paddle.utils import unique_name
from states import tiny_task, trained

from paddle_gan.errors import CheckpointError, NumericalError
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.objectives.optimizers import OPTIMIZERS
from paddle_gan.training import checkpoint
from paddle_gan.training.log import read_metrics
from paddle_gan.training.noise_to_image import NoiseToImage
from paddle_gan.training.state import arrays_of
from paddle_gan.training.task import Player
from paddle_gan.training.update import update_average

STEPS = 60


@pytest.mark.parametrize("loss", [pytest.param("gan", marks=pytest.mark.slow), "lsgan", "wgan", "wgan-gp"])
def test_killed_and_resumed_run_is_bit_for_bit_the_uninterrupted_one(loss, tmp_path):
    """SIGKILL in the middle of an epoch; a new process goes on; weights, average and moments are equal."""
    options = ("--loss", loss, "--steps", STEPS, "--log-every", 1, "--checkpoint-every", 2, "--conditional")
    train_here(tmp_path / "whole", *options)
    process = start(tmp_path / "killed", *options)
    wait_for(lambda: list((tmp_path / "killed" / "checkpoints").glob("step-0000001*")))
    process.kill()
    process.communicate()
    assert newest_manifest(tmp_path / "killed")["step"] < STEPS
    done = train(tmp_path / "killed", *options)
    assert "going on from step" in done.stdout and "notice: resumed under" not in done.stdout
    whole, killed = newest_manifest(tmp_path / "whole"), newest_manifest(tmp_path / "killed")
    assert whole["step"] == STEPS and killed["sha256"] == whole["sha256"]
    # The log has each step once, and the same values.
    lines = [
        [
            {k: v for k, v in line.items() if "/" in k and not k.startswith("speed")}
            for line in read_metrics(tmp_path / run / "metrics.jsonl")
        ]
        for run in ("whole", "killed")
    ]
    assert len(lines[0]) == STEPS and lines[0] == lines[1]


def test_a_run_goes_on_with_more_steps_and_from_its_folder_alone(tmp_path):
    options = ("--log-every", 3, "--loss", "wgan-gp")
    train_here(tmp_path / "whole", "--steps", 6, *options)
    train_here(tmp_path / "parts", "--steps", 3, *options)
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "parts", moved)
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "train.py", "--resume", moved, "--steps", "6"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert newest_manifest(moved)["sha256"] == newest_manifest(tmp_path / "whole")["sha256"]


@pytest.mark.parametrize("loss", ["lsgan", "wgan"])
def test_restore_brings_back_every_tensor_in_a_process_that_made_other_layers_before(tmp_path, loss):
    task = trained(tiny_task(loss=loss))
    checkpoint.save(task, tmp_path, "data")
    paddle.nn.Conv2D(1, 1, 1)
    other = tiny_task(loss=loss)
    notices = []
    checkpoint.restore(other, tmp_path, "data", notices.append)
    assert notices == [] and other.step == 2
    before, after = arrays_of(task), arrays_of(other)
    assert before.keys() == after.keys()
    assert any("moment" in name or "mean_square" in name for name in before)
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name], err_msg=name)


class Chain(paddle.nn.Layer):
    """Linear maps of one shape, made in any order: generated names would take one for another without an error."""

    NAMES = ("first", "second", "third")

    def __init__(self, backwards: bool):
        super().__init__()
        made = {name: paddle.nn.Linear(4, 4) for name in (reversed(self.NAMES) if backwards else self.NAMES)}
        for name in self.NAMES:
            self.add_sublayer(name, made[name])

    def forward(self, x):
        return self.third(paddle.tanh(self.second(paddle.tanh(self.first(x)))))


def chains(optimizer: str, backwards: bool, others: int) -> NoiseToImage:
    """A task in a process of its own, as far as names go, that made so many other layers before."""
    order = ("generator", "discriminator", "average")
    with unique_name.guard():
        for _ in range(others):
            paddle.nn.Linear(4, 4)
        networks = {name: Chain(backwards) for name in (reversed(order) if backwards else order)}
    optimizers = {}
    for name in ("discriminator", "generator") if backwards else ("generator", "discriminator"):
        parameters = networks[name].parameters()
        optimizers[name] = OPTIMIZERS[optimizer]().build(parameters[::-1] if backwards else parameters, None)
    return NoiseToImage(
        Player(networks["generator"], optimizers["generator"], networks["average"]),
        Player(networks["discriminator"], optimizers["discriminator"]),
        OBJECTIVES["gan"],
    )


def networks_of(task: NoiseToImage) -> dict[str, paddle.nn.Layer]:
    return {"generator": task.generator.network, "discriminator": task.discriminator.network, "average": task.sampler}


def advanced(task: NoiseToImage, steps: int) -> NoiseToImage:
    """`task` itself, after steps with gradients that differ from layer to layer and from step to step."""
    for _ in range(steps):
        task.step += 1
        x = paddle.to_tensor(np.random.default_rng(task.step).normal(size=(8, 4)).astype(np.float32))
        for player in task.players.values():
            (player.network(x) - x.roll(1)).square().sum().backward()
            player.optimizer.step()
            player.optimizer.clear_grad()
        update_average(task.generator, task.step)
    return task


def digest(task: NoiseToImage) -> str:
    arrays = arrays_of(task)
    return hashlib.sha256(b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays))).hexdigest()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("backwards", "others"), [(True, 0), (True, 3), (False, 3), (False, 0)])
def test_weights_moments_and_average_come_back_whatever_order_the_layers_were_made_in(
    tmp_path, optimizer, backwards, others
):
    """And the next steps are the same too."""
    task, other = advanced(chains(optimizer, False, 0), 3), chains(optimizer, backwards, others)
    names = [[p.name for network in networks_of(s).values() for p in network.parameters()] for s in (task, other)]
    if backwards and not others:  # each weight has the name of another: of the last the first, and so on
        assert names[1][::2] == names[0][::2][::-1]
    assert (names[0] == names[1]) == (not backwards and not others)
    checkpoint.save(task, tmp_path, "data")
    checkpoint.restore(other, tmp_path, "data", print)
    assert other.step == 3 and digest(other) == digest(task)
    assert any("moment" in name or "mean_square" in name for name in arrays_of(task))
    assert digest(advanced(other, 2)) == digest(advanced(task, 2))


@pytest.fixture
def two_checkpoints(tmp_path):
    task = tiny_task()
    for steps in (1, 2, 3):
        checkpoint.save(trained(task, steps), tmp_path, "data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]
    return tmp_path


def damage_bit(path):
    content = bytearray(path.read_bytes())
    # In the manifest: the last digit of the hash. In the tensors: the middle.
    place = content.index(b'"\n  },\n  "written') - 1 if path.suffix == ".json" else len(content) // 2
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["state.safetensors", "manifest.json"])
@pytest.mark.parametrize(
    "damage",
    [damage_bit, lambda path: path.write_bytes(path.read_bytes()[:100]), lambda path: path.unlink()],
    ids=["a bit flipped", "cut off", "deleted"],
)
def test_damaged_checkpoint_is_passed_over_for_the_one_before(two_checkpoints, name, damage):
    path = two_checkpoints / "step-00000003" / name
    damage(path)
    task, notices = tiny_task(), []
    checkpoint.restore(task, two_checkpoints, "data", notices.append)
    assert task.step == 2
    assert len(notices) == 1 and "step-00000003" in notices[0]


def test_no_whole_checkpoint_is_an_error_not_a_new_start(two_checkpoints):
    for path in two_checkpoints.glob("*/state.safetensors"):
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="no usable checkpoint"):
        checkpoint.restore(tiny_task(), two_checkpoints, "data", print)


def test_checkpoint_of_another_network_is_refused_and_changes_nothing(two_checkpoints):
    task = tiny_task(latent_dim=32)
    networks = networks_of(task)
    before = {name: {k: v.numpy().copy() for k, v in layer.state_dict().items()} for name, layer in networks.items()}
    with pytest.raises(CheckpointError, match=r"another network.*linear.weight.*\[64, 392\] \(expected \[32, 392\]\)"):
        checkpoint.restore(task, two_checkpoints, "data", print)
    for name, layer in networks.items():
        for key, value in layer.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), before[name][key])
    assert task.step == 0


def test_a_manifest_of_another_step_is_damaged(two_checkpoints):
    path = two_checkpoints / "step-00000003" / "manifest.json"
    path.write_text(path.read_text().replace('"step": 3', '"step": 7'))
    task, notices = tiny_task(), []
    checkpoint.restore(task, two_checkpoints, "data", notices.append)
    assert task.step == 2 and "step 7" in notices[0]


def test_what_others_leave_in_the_folders_does_no_harm(two_checkpoints):
    """A notebook server's or a file system's own files."""
    (two_checkpoints / "step-00000003-Copy1").mkdir()
    (two_checkpoints / ".step-00000009.partial").mkdir()  # of a process killed while it saved
    (two_checkpoints / "step-00000002" / ".ipynb_checkpoints").mkdir()
    task = tiny_task()
    checkpoint.restore(task, two_checkpoints, "data", print)
    checkpoint.save(trained(task, 4), two_checkpoints, "data")
    assert sorted(path.name for path in two_checkpoints.iterdir()) == [
        "step-00000003",
        "step-00000003-Copy1",
        "step-00000004",
    ]


def test_newer_format_is_refused(two_checkpoints):
    for path in two_checkpoints.glob("*/manifest.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        checkpoint.restore(tiny_task(), two_checkpoints, "data", print)


def test_other_data_is_said(two_checkpoints):
    notices = []
    checkpoint.restore(tiny_task(), two_checkpoints, "other data", notices.append)
    assert len(notices) == 1 and "data" in notices[0]


def test_state_with_nan_is_never_saved(two_checkpoints):
    task = trained(tiny_task())
    task.sampler.stages[-1].conv.bias.set_value(np.array([np.nan], np.float32))
    task.step = 9
    with pytest.raises(NumericalError, match="generator_average/"):
        checkpoint.save(task, two_checkpoints, "data")
    assert not list(two_checkpoints.glob("*9"))
