"""Branches of a run, and resumes with data in another place."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import newest_manifest
from PIL import Image

import paddle_gan
from paddle_gan.commands import COMMANDS
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import CheckpointError, UsageError
from paddle_gan.runs import experiment
from paddle_gan.runs.branch import _CHANGEABLE, _REASONS, branched
from paddle_gan.runs.folder import FREE, read_config, resumed
from paddle_gan.training.checkpoint import read_newest
from paddle_gan.training.log import read_metrics


def make_pictures(folder: Path, count: int = 9) -> Path:
    folder.mkdir()
    for i, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (count, 16, 16)).astype(np.uint8)):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def parent(tmp_path_factory) -> Path:
    """A run of four steps with clusters and a checkpoint of each step; the last two are kept."""
    folder = tmp_path_factory.mktemp("parent")
    given = TrainConfig(
        **{"dataset": str(make_pictures(folder / "data")), "image_size": 16, "channels": 1, "generator": "mlp"},
        **{"recipe": "paper", "width": 4, "discriminator_width": 4, "batch_size": 4, "clusters": 2, "steps": 4},
        **{"device": "cpu", "log_every": 1, "checkpoint_every": 1, "evaluate_every": 0, "out": str(folder / "run")},
    )
    return experiment.run(given, lambda line: None)


@pytest.fixture
def copy(parent, tmp_path) -> Path:
    return Path(shutil.copytree(parent, tmp_path / "parent"))


def options(*arguments: object) -> tuple[TrainConfig, set[str]]:
    parsed = COMMANDS["train"].parse([*map(str, arguments), "--device", "cpu"], "")
    return parsed.options, parsed.named


def branch(parent: Path, out: Path, *arguments: object, say=lambda line: None) -> Path:
    given, named = options("--resume", parent, "--out", out, *arguments)
    return experiment.run(branched(parent, given, named, say), say)


def go_on(folder: Path, *arguments: object, say=lambda line: None) -> Path:
    return experiment.run(resumed(folder, *options("--resume", folder, *arguments)), say)


def state(folder: Path) -> dict[str, np.ndarray]:
    return read_newest(folder / "checkpoints", print).arrays


def test_resume_in_python(parent, tmp_path):
    """`resume` goes on with a run as --resume does, and with `out` begins the same branch."""
    numbers = {"steps": 6, "learning_rate": 1e-3}
    out = paddle_gan.resume(parent, lambda line: None, out=str(tmp_path / "b"), device="cpu", **numbers)
    other = branch(parent, tmp_path / "c", "--steps", 6, "--learning-rate", 1e-3)
    expected = state(other)
    assert all((value == expected[name]).all() for name, value in state(out).items())
    paddle_gan.resume(out, lambda line: None, steps=7)
    assert read_config(out).steps == newest_manifest(out)["step"] == 7
    with pytest.raises(UsageError, match="there is no option learing_rate"):
        paddle_gan.resume(parent, learing_rate=1)
    with pytest.raises(UsageError, match="--loss gan: cannot change in a branch"):
        paddle_gan.resume(parent, out=str(tmp_path / "d"), loss="gan")


def test_a_branch_takes_the_state_of_its_parent_and_learns_with_its_own_numbers(parent, tmp_path):
    """RMSProp or Adam scale by the gradients: without a learning rate to speak of, the weights stay."""
    said = []
    out = branch(parent, tmp_path / "b", "--steps", 5, "--learning-rate", 1e-30, "--batch-size", 6, say=said.append)
    before, after = state(parent), state(out)
    assert before.keys() == after.keys()
    weights = [name for name in before if name.startswith("discriminator/") and "_mean" not in name]
    assert weights and all((before[name] == after[name]).all() for name in weights)
    moments = [name for name in before if name.endswith("moment1")]
    assert moments and any((before[name] != after[name]).any() for name in moments)
    assert any(f"a branch of {parent} at step 4: batch_size 4 -> 6, learning_rate 0.0002 -> 1e-30" in x for x in said)
    record = json.loads((out / "config.json").read_text())
    assert record["learning_rate"] == 1e-30 and record["batch_size"] == 6 and record["loss"] == "lsgan"
    assert record["origin"]["branch"] == {
        "run": str(parent),
        "step": 4,
        "sha256": newest_manifest(parent)["sha256"]["state.safetensors"],
        "changed": {"batch_size": [4, 6], "learning_rate": [2e-4, 1e-30]},
    }
    assert [line["step"] for line in read_metrics(out / "metrics.jsonl")] == [5]
    assert (out / "clusters.safetensors").read_bytes() == (parent / "clusters.safetensors").read_bytes()


def test_a_branch_without_a_change_is_the_parent_going_on_and_resumes_bit_for_bit_without_it(copy, tmp_path):
    branch(copy, tmp_path / "same", "--steps", 7)
    branch(copy, tmp_path / "parts", "--r1", 0.1, "--schedule", "linear", "--epochs", 3)
    assert read_config(tmp_path / "parts").steps == 7  # three passes over nine images: 27 / 4
    branch(copy, tmp_path / "whole", "--steps", 7, "--r1", 0.1)
    branch(copy, tmp_path / "halves", "--steps", 6, "--r1", 0.1)
    again = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("whole", "halves")]
    assert again[0]["origin"] == again[1]["origin"]
    # The same command again, although the parent has another newest checkpoint meanwhile.
    go_on(copy, "--steps", 7)
    branch(copy, tmp_path / "halves", "--steps", 7, "--r1", 0.1)
    # From its own config.json, from a checkpoint that is not the newest any more.
    branch_of = tmp_path / "again"
    shutil.copytree(copy / "checkpoints" / "step-00000006", copy / "best" / "step-00000006")
    given, named = options("--config", tmp_path / "whole" / "config.json", "--resume-step", 6, "--out", branch_of)
    experiment.run(branched(copy, given, named, print), print)
    assert read_config(branch_of).resume_step == 6 and newest_manifest(branch_of)["step"] == 7
    hashes = {name: newest_manifest(tmp_path / name)["sha256"] for name in ("same", "whole", "halves")}
    assert hashes["same"] == newest_manifest(copy)["sha256"]
    assert hashes["whole"] == hashes["halves"] != hashes["same"]
    shutil.rmtree(copy)
    for name, steps in (("whole", [9]), ("halves", [8, 9])):
        for step in steps:
            go_on(tmp_path / name, "--steps", step)
    assert newest_manifest(tmp_path / "whole")["sha256"] == newest_manifest(tmp_path / "halves")["sha256"]
    assert json.loads((tmp_path / "halves" / "config.json").read_text())["origin"] == again[0]["origin"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--width", 8], "--width 8: cannot change in a branch: the trained networks are made for it"),
        (["--clusters", 3], "--start-from takes their weights"),
        (["--optimizer", "rmsprop"], "state of the optimisers"),
        (["--loss", "hinge"], "the numbers of the run belong to it"),
        (["--recipe", "tuned"], "filled in already"),
        (["--steps", 4], "is at step 4 already; give the branch a larger --steps"),
        (["--weight-clip", 0.1, "--steps", 9], "--weight-clip with lsgan"),
        (["--evaluate-every", 3, "--log-every", 2, "--steps", 9], "multiple of --log-every"),
    ],
)
def test_what_cannot_change_is_refused_with_the_reason(parent, tmp_path, arguments, words):
    with pytest.raises(UsageError, match=words):
        branch(parent, tmp_path / "b", *arguments)
    assert not (tmp_path / "b").exists()


def test_every_option_is_free_or_changeable_or_refused_once():
    assert not _CHANGEABLE & (FREE | _REASONS.keys()) and not FREE & _REASONS.keys()
    assert {"learning_rate", "r1", "batch_size", "final_ema_decay"} <= _CHANGEABLE <= set(vars(TrainConfig()))


def test_a_step_that_is_not_kept_and_a_folder_of_another_branch_are_refused(parent, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint of step 1 any more"):
        branch(parent, tmp_path / "b", "--resume-step", 1, "--steps", 5)
    branch(parent, tmp_path / "c", "--resume-step", 3, "--steps", 5)
    assert newest_manifest(tmp_path / "c")["step"] == 5
    with pytest.raises(UsageError, match="holds another run"):
        branch(parent, tmp_path / "c", "--resume-step", 4, "--steps", 6)
    plain = vars(read_config(tmp_path / "c")) | {"resume": None, "resume_step": None, "steps": 6}
    with pytest.raises(UsageError, match="holds another run"):  # which would begin with new weights
        experiment.run(TrainConfig(**plain), print)
    with pytest.raises(UsageError, match="the folder of the run itself"):
        branch(parent, parent, "--learning-rate", 1)
    with pytest.raises(UsageError, match="--out"):
        options("--resume", parent, "--resume-step", 3)


def test_data_in_another_place_is_known_by_its_content(copy, parent, tmp_path):
    data = parent.parent / "data"
    shutil.copytree(data, tmp_path / "renamed")
    other = make_pictures(tmp_path / "other", count=8)
    with pytest.raises(UsageError, match="this data is not what the run was trained on"):
        go_on(copy, "--dataset", other, "--steps", 5)
    with pytest.raises(UsageError, match="this data is not what the run was trained on"):
        branch(copy, tmp_path / "b", "--dataset", other, "--steps", 5)
    assert newest_manifest(copy)["step"] == 4
    go_on(copy, "--dataset", tmp_path / "renamed", "--steps", 5)
    assert newest_manifest(copy)["step"] == 5 and read_config(copy).dataset == str(tmp_path / "renamed")
    shutil.rmtree(tmp_path / "renamed")
    with pytest.raises(UsageError, match=r"its data is not at .*renamed any more; name its place with --dataset"):
        go_on(copy, "--steps", 6)
    go_on(copy, "--dataset", data, "--steps", 6)
    whole = experiment.run(
        TrainConfig(**vars(read_config(parent)) | {"out": str(tmp_path / "whole"), "steps": 6}), lambda line: None
    )
    assert newest_manifest(copy)["sha256"] == newest_manifest(whole)["sha256"]
