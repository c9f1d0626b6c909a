"""Training with two processes, by Paddle's launcher: the same numbers as with one, and the same end for all."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import paddle
import paddle.nn as nn
import pytest
from conftest import ROOT, TINY, newest_manifest, train, train_here, wait_for
from safetensors.numpy import load_file

from paddle_gan.networks.blocks import ConvBN
from paddle_gan.networks.norms import synchronise_norms
from paddle_gan.system import parallel
from paddle_gan.training.log import read_metrics

TIMEOUT = 150
# Networks without BatchNorm, so small that the start of the processes takes most of the time.
PLAIN = (
    "--generator mlp-plain --discriminator mlp --discriminator-norm none --width 8 --discriminator-width 8 "
    "--batch-size 8 --log-every 1 --device cpu"
).split()
# The training command, after code that replaces some function in it. Each test gives the code.
SABOTAGED = """
import os, sys
sys.path.insert(0, {root!r})
from paddle_gan.commands import tool
from paddle_gan import errors
from paddle_gan.datasets import feed
from paddle_gan.runs import session
from paddle_gan.system import parallel
{code}
tool("train")
"""


def launcher(script: Path, logs: Path, *arguments: object) -> list[str]:
    module = ("-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", logs, "--log_level", "ERROR")
    return [str(part) for part in (sys.executable, *module, script, *arguments)]


def launch(logs: Path, *arguments: object, script: Path = ROOT / "tools" / "train.py", expect: int = 0) -> str:
    """Train in two processes; return what process 0 printed."""
    command = launcher(script, logs, *arguments)
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, cwd=logs.parent)
        # Rarely Paddle's own store of addresses aborts while it starts, before anything of ours has run.
        if "uv__finish_close: Assertion" not in done.stdout + done.stderr + (logs / "workerlog.0").read_text():
            break
    log = (logs / "workerlog.0").read_text()
    assert done.returncode == expect, done.stdout + done.stderr + log
    return log


def sabotaged(folder: Path, code: str) -> Path:
    script = folder / "sabotaged.py"
    script.write_text(SABOTAGED.format(root=str(ROOT), code=code))
    return script


def logged(run: Path) -> list[dict[str, float]]:
    lines = read_metrics(run / "metrics.jsonl")
    return [{k: v for k, v in line.items() if "/" in k and not k.startswith("speed")} for line in lines]


def newest_state(run: Path) -> dict[str, np.ndarray]:
    return load_file(sorted((run / "checkpoints").glob("step-*"))[-1] / "state.safetensors")


def assert_equal_but_for_rounding(two: Path, one: Path) -> None:
    lines = logged(one)
    assert len(logged(two)) == len(lines) > 0
    for mine, other in zip(logged(two), lines, strict=True):
        assert mine == pytest.approx(other, rel=1e-4, abs=1e-6)
    states = newest_state(two), newest_state(one)
    assert states[0].keys() == states[1].keys()
    for name, array in states[1].items():
        np.testing.assert_allclose(states[0][name], array, rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "options",
    [
        (
            *("--loss", "wgan-gp", "--conditional", "--gradient-clip", 1),
            *("--augment", "translation", "colour", "cutout", "--augment-target", -0.9),
        ),
        pytest.param(("--loss", "lsgan"), marks=pytest.mark.slow),
        pytest.param(("--loss", "wgan"), marks=pytest.mark.slow),
        pytest.param(("--loss", "gan-r1"), marks=pytest.mark.slow),
    ],
    ids=lambda options: options[1],
)
def test_two_processes_follow_one_and_go_on_as_one(options, tmp_path):
    """Two processes with shards of 4 against one with batches of 8; the run of two goes on with one, then with two."""
    options = (*PLAIN, *options)
    train_here(tmp_path / "one", *options, "--steps", 6)
    log = launch(tmp_path / "log", "--out", tmp_path / "two", *options, "--steps", 2)
    assert "2 processes" in log and "done: 2 steps" in log
    assert "images of" not in (tmp_path / "log" / "workerlog.1").read_text()
    assert newest_manifest(tmp_path / "two")["written_with"]["processes"] == 2
    done = train(tmp_path / "two", *options, "--steps", 4)
    assert "processes 2 -> 1" in done.stdout
    log = launch(tmp_path / "log", "--resume", tmp_path / "two", "--steps", 6)
    assert "going on from step 4" in log and "processes 1 -> 2" in log
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "one", "two"]
    assert_equal_but_for_rounding(tmp_path / "two", tmp_path / "one")


def test_all_processes_hold_the_same_state_bit_for_bit(tmp_path):
    """With BatchNorm, where each process has the statistics of its own images; also right after a resume."""
    code = f"""
import numpy as np
from paddle_gan.training.state import tensors_of
run = session.train
def train(task, *rest):
    for moment in ("before", "after"):
        arrays = {{name: tensor.numpy() for name, tensor in tensors_of(task).items()}}
        np.savez({str(tmp_path)!r} + f"/{{moment}}-{{parallel.rank()}}.npz", **arrays)
        moment == "before" and run(task, *rest)
session.train = train
"""
    script = sabotaged(tmp_path, code)
    train_here(tmp_path / "run", "--steps", 2)
    launch(tmp_path / "log", "--out", tmp_path / "run", *TINY, "--steps", 4, script=script)
    for moment in ("before", "after"):
        first, second = (np.load(tmp_path / f"{moment}-{rank}.npz") for rank in range(2))
        assert any(name.endswith("_variance") for name in first.files)
        assert any("moment" in name for name in first.files)
        assert first.files == second.files
        for name in first.files:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)


BAD_IMAGE = """
indices = feed.batch_indices
def broken(*, count, batch_size, seed, step):
    if step == 3 and os.environ["PADDLE_TRAINER_ID"] == "1":
        raise errors.DataError("x.png: not an image")
    return indices(count=count, batch_size=batch_size, seed=seed, step=step)
feed.batch_indices = broken
"""
FULL_DISK = """
def broken(path, image):
    raise errors.DiskError("cannot write x.png: no space")
session.save_png = broken
"""
NOT_A_NUMBER = """
batch = feed.BatchFeed.__call__
def broken(self, number):
    nan = float("nan") if os.environ["PADDLE_TRAINER_ID"] == "1" else 1.0
    return batch(self, number).images * nan, None
feed.BatchFeed.__call__ = broken
"""
GONE = """
indices = feed.batch_indices
def broken(**arguments):
    if os.environ["PADDLE_TRAINER_ID"] == "1":
        os.kill(os.getpid(), 9)
    return indices(**arguments)
feed.batch_indices = broken
"""


@pytest.mark.parametrize(
    ("code", "status", "sentence"),
    [
        (BAD_IMAGE, 2, "error: process 1 has failed: x.png: not an image"),
        pytest.param(FULL_DISK, 5, "error: cannot write x.png: no space", marks=pytest.mark.slow),
        pytest.param(NOT_A_NUMBER, 4, "error: step 1: loss/discriminator = nan", marks=pytest.mark.slow),
        pytest.param(GONE, 1, "error: process 1 has ended without an error message", marks=pytest.mark.slow),
    ],
    ids=["in a batch", "disk", "nan", "killed"],
)
def test_an_error_in_one_process_ends_all_with_its_message_and_status(code, status, sentence, tmp_path):
    script = sabotaged(tmp_path, code)
    log = launch(tmp_path / "log", "--out", tmp_path / "run", *PLAIN, "--steps", 5000, script=script, expect=status)
    assert sentence in log
    # The failed process wrote its last line less than a minute ago; the five thousand steps would take minutes.
    last_lines = [path.stat().st_mtime for path in (tmp_path / "log").glob("workerlog.*")]
    assert len(last_lines) == 2 and time.time() - min(last_lines) < 60


@pytest.mark.slow
def test_a_complete_run_is_left_as_it_is(tmp_path):
    train_here(tmp_path / "run", "--steps", 2)
    log = launch(tmp_path / "log", "--out", tmp_path / "run", *TINY, "--steps", 2)
    assert "complete at step 2" in log and "done: 2 steps" in log


@pytest.mark.slow
def test_process_0_may_be_away_for_longer_than_gloo_waits(tmp_path):
    code = """
import time
save = session.save_png
def slow(path, image):
    if path.name == "step-00000002.png":
        time.sleep(35)
    save(path, image)
session.save_png = slow
"""
    options = ("--out", tmp_path / "run", *PLAIN, "--steps", 4, "--sample-every", 2)
    assert "done: 4 steps" in launch(tmp_path / "log", *options, script=sabotaged(tmp_path, code))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_launcher_stops_all_after_the_same_round_and_saves(number, tmp_path):
    run = tmp_path / "run"
    script = ROOT / "tools" / "train.py"
    command = launcher(script, tmp_path / "log", "--out", run, *PLAIN, "--steps", 100_000)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    wait_for(lambda: (run / "metrics.jsonl").exists() and len(read_metrics(run / "metrics.jsonl")) > 5, TIMEOUT)
    process.send_signal(number)
    assert process.wait(60) == number  # the launcher's own
    logs = [(tmp_path / "log" / f"workerlog.{rank}").read_text() for rank in range(2)]
    sentence = f"stopped at step {newest_manifest(run)['step']} by SIGTERM"
    assert all(sentence in log for log in logs), logs


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    from paddle_gan.errors import UsageError
    from paddle_gan.runs import execution

    monkeypatch.setattr(parallel, "world_size", lambda: 4)
    execution.check_batch_size(8)
    for size in (4, 10):
        with pytest.raises(UsageError, match=f"--batch-size {size}: 4 processes share it"):
            execution.check_batch_size(size)


def test_shards_of_a_batch_are_its_rows_in_order(monkeypatch):
    batch = paddle.arange(24).reshape([8, 3])
    assert parallel.shard(batch) is batch and parallel.global_rows(8) == 8
    parallel.barrier()
    assert not parallel.any_process(False) and parallel.any_process(True)
    monkeypatch.setattr(parallel, "world_size", lambda: 4)
    rows = []
    for rank in range(4):
        monkeypatch.setattr(parallel, "rank", partial(int, rank))
        rows.append(parallel.shard(batch).numpy())
    assert [len(part) for part in rows] == [2] * 4 and parallel.global_rows(2) == 8
    np.testing.assert_array_equal(np.concatenate(rows), batch.numpy())


def test_synchronised_norms_keep_parameters_names_and_order():
    """They have no CPU kernel, so their forward pass is not tried here."""
    network = nn.Sequential(ConvBN(1, 4, 3), nn.Sequential(ConvBN(4, 2, 3)))
    before = network.state_dict()
    synchronise_norms(network)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
    norms = [part for part in network.sublayers() if isinstance(part, nn.SyncBatchNorm)]
    assert len(norms) == 2 and not any(isinstance(part, nn.BatchNorm) for part in network.sublayers())
    assert all((norm._momentum, norm._epsilon) == (0.9, 1e-5) for norm in norms)


def test_each_process_takes_its_share_of_the_cores():
    code = "from paddle_gan.system.runtime import cpu_count; print(cpu_count())"
    counts = []
    for processes in ("1", "2", "1000"):
        environment = os.environ | {"PADDLE_LOCAL_SIZE": processes}
        done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
        counts.append(int(done.stdout))
    assert counts == [counts[0], max(1, counts[0] // 2), 1]


def test_nothing_of_the_launcher_is_needed_without_it():
    assert (parallel.world_size(), parallel.rank()) == (1, 0)
    with parallel.job("cpu"):
        assert (parallel.world_size(), parallel.rank()) == (1, 0)
    assert json.loads(parallel.broadcast_text("[1]")) == [1]
