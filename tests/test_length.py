"""How long a run is: in steps, epochs or minutes; and what it costs, said before its first step."""

import re
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import paddle
import pytest

from paddle_gan.config.train import TrainConfig
from paddle_gan.config.translate import TranslateConfig
from paddle_gan.errors import UsageError
from paddle_gan.runs import experiment, length
from paddle_gan.runs.folder import read_config
from paddle_gan.runs.length import Cost, length_of, measure_cost
from paddle_gan.runs.translation import run_translation
from paddle_gan.system.memory import peak_memory
from paddle_gan.training.checkpoint import read_newest

STEPS = 200


class Clock:
    """A task whose round takes a second of this clock, and its first round a hundred."""

    step, players, buffers = 0, {}, {}

    def __init__(self) -> None:
        self.now = 0.0

    def round(self, batches, seed, measure=False):
        self.now += 1.0 if self.step else 100.0
        self.step += 1
        return {}


@pytest.fixture
def clock(monkeypatch) -> Clock:
    task = Clock()
    monkeypatch.setattr(length.time, "perf_counter", lambda: task.now)
    return task


def small(pictures: Path, out: Path, **options) -> TrainConfig:
    networks = {"generator": "mlp", "discriminator": "mlp-shallow", "width": 4, "discriminator_width": 4}
    return TrainConfig(
        **{"dataset": str(pictures), "image_size": 16, "recipe": "paper", "batch_size": 4, "log_every": 100},
        **{"device": "cpu", "out": str(out), "evaluate_every": 0, "sample_every": 100, **networks, **options},
    )


def test_cost_is_the_time_of_a_round_without_the_first(clock):
    assert measure_cost(clock, nullcontext(), 0).seconds == 1.0


def test_minutes_are_made_into_steps(clock, tmp_path):
    found = length_of(tmp_path, None, 2.5, lambda: (clock, nullcontext()), 0)
    assert found.steps == 150
    assert found.cost is not None and found.cost.startswith(
        "cost: about 2 minutes for 150 steps of 1 s on this machine"
    )


def test_a_short_run_has_no_trial(tmp_path):
    def trial():
        raise AssertionError("a trial")

    assert length_of(tmp_path, STEPS - 1, None, trial, 0) == length.Length(STEPS - 1)


@pytest.mark.parametrize(
    ("seconds", "steps", "text"),
    [
        (0.0123, 100, "cost: about 1 seconds for 100 steps of 12.3 ms on this machine; 1.5 GB of memory"),
        (0.28, 8000, "cost: about 37 minutes for 8000 steps of 280 ms on this machine; 1.5 GB of memory"),
        (1.25, 8000, "cost: about 2.8 hours for 8000 steps of 1.2 s on this machine; 1.5 GB of memory"),
    ],
)
def test_the_sentence(seconds, steps, text):
    assert Cost(seconds, 1_500_000_000).of(steps) == text
    assert Cost(seconds, None).of(steps) == text.removesuffix("; 1.5 GB of memory")


def test_a_trial_changes_nothing(pictures, tmp_path, monkeypatch):
    said: list[str] = []
    with_trial = experiment.run(small(pictures, tmp_path / "with", steps=STEPS), said.append)
    description, cost = said[said.index(next(line for line in said if "generator" in line)) :][:2]
    assert "parameters" in description
    assert re.fullmatch(rf"cost: about \d+ seconds for {STEPS} steps of [\d.]+ ms on this machine; [\d.]+ GB .*", cost)
    monkeypatch.setattr(length, "_LEAST_STEPS", STEPS + 1)
    without = experiment.run(small(pictures, tmp_path / "without", steps=STEPS), said.append)
    first, second = (read_newest(folder / "checkpoints", print) for folder in (with_trial, without))
    assert first.sha256 == second.sha256


def test_a_run_of_minutes_keeps_its_length(pictures, tmp_path):
    """The same command goes on with the run, however quick the machine is at that moment."""
    given = small(pictures, tmp_path / "run", minutes=0.02)
    said: list[str] = []
    start = time.perf_counter()
    folder = experiment.run(given, said.append)
    assert time.perf_counter() - start < 30
    config = read_config(folder)
    assert config.steps and config.minutes is None
    experiment.run(given, said.append)
    assert any(f"this run is complete at step {config.steps}" in line for line in said)


@pytest.mark.parametrize(
    "options",
    [{"minutes": 1, "steps": 1}, {"minutes": 1, "epochs": 1}, {"epochs": 1, "steps": 1}, {"minutes": 1, "resume": "x"}],
)
def test_one_length_is_enough(options):
    for kind in (TrainConfig, TranslateConfig):
        with pytest.raises(UsageError, match="length|--resume"):
            kind(**options)


def test_minutes_of_a_translation(pictures, tmp_path):
    said: list[str] = []
    networks = {"image_size": 32, "width": 4, "batch_size": 2, "device": "cpu"}
    given = TranslateConfig(
        images=str(pictures), task="colorize", minutes=0.01, evaluate_every=0, out=str(tmp_path / "run"), **networks
    )
    run_translation(given, said.append)
    assert any(re.match(r"cost: about \d+ seconds for \d+ steps", line) for line in said)


def test_peak_memory_counts_what_was_held(tmp_path):
    before = peak_memory()
    assert before is not None
    held = np.ones((before + (64 << 20)) // 8)
    assert peak_memory() >= held.nbytes
    del held
    assert peak_memory() > before


def test_peak_memory_without_proc(tmp_path):
    """The two ways to ask the system agree."""
    assert paddle.ones([1]).item() == 1  # keeps the import: a process with Paddle, as a run is
    missing = peak_memory(tmp_path / "none")
    present = peak_memory()
    assert missing is not None and present is not None
    assert missing == pytest.approx(present, rel=0.05)
