"""Schedules: closed forms, what they change, and that a resumed run follows them."""

import json
import math

import pytest
from conftest import command_line, train_here
from states import tiny_task

from paddle_gan.training.checkpoint import read_newest
from paddle_gan.training.log import read_metrics
from paddle_gan.training.schedule import SHAPES, Schedule, Schedules, scheduled
from paddle_gan.training.state import tensors_of


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("constant", [3.0, 3.0, 3.0, 3.0]),
        ("linear", [3.0, 2.5, 1.0, 1.0]),
        ("late", [3.0, 3.0, 1.0, 1.0]),
        ("cosine", [3.0, 1 + 2 * (1 + math.cos(math.pi / 4)) / 2, 1.0, 1.0]),
    ],
)
def test_shapes_are_the_closed_forms(shape, expected):
    schedule = Schedule(3.0, 1.0, 40, SHAPES[shape])
    assert [schedule(step) for step in (0, 10, 40, 50)] == pytest.approx(expected)


def test_late_is_linear_in_the_second_half():
    schedule = Schedule(3.0, 1.0, 40, SHAPES["late"])
    assert [schedule(step) for step in (20, 25, 30, 35)] == pytest.approx([3.0, 2.5, 2.0, 1.5])


def test_a_warm_up_rises_in_equal_parts():
    schedule = Schedule(1.0, 1.0, 100, warm_up=4)
    assert [schedule(step) for step in (0, 1, 3, 4, 50)] == pytest.approx([0.2, 0.4, 0.8, 1.0, 1.0])


def test_a_task_gets_the_numbers_of_its_step():
    task = tiny_task(loss="gan-r1", clusters=0, learning_rate=0.01)
    linear = {"steps": 10, "shape": SHAPES["linear"]}
    schedule = scheduled(
        task,
        Schedules(
            rate=Schedule(1.0, 0.0, **linear),
            penalty_weight=Schedule(8.0, 0.0, **linear),
            beta2=Schedule(0.9, 0.99, **linear),
            average_decay=Schedule(0.5, 0.9, **linear),
        ),
    )

    def numbers():
        rates = [player.optimizer.get_lr() for player in task.players.values()]
        betas = [player.optimizer._beta2 for player in task.players.values()]
        return [*rates, *betas, task.objective.penalties[0].weight, task.generator.average_decay]

    assert numbers() == pytest.approx([0.01, 0.01, 0.9, 0.9, 8.0, 0.5])
    task.step = 5
    schedule(task, None)
    assert numbers() == pytest.approx([0.005, 0.005, 0.945, 0.945, 4.0, 0.7])
    task.step = 10
    schedule(task, None)
    assert numbers() == pytest.approx([0, 0, 0.99, 0.99, 0, 0.9])
    task.step = 5  # also from a weight of 0
    schedule(task, None)
    assert numbers() == pytest.approx([0.005, 0.005, 0.945, 0.945, 4.0, 0.7])


def test_adam_uses_the_beta2_of_the_step():
    """After one step from zero, Adam's second moment is (1 − β₂) g²."""
    task = tiny_task(loss="lsgan", clusters=0)
    player = task.discriminator
    scheduled(task, Schedules(beta2=Schedule(0.75, 0.75)))
    parameter = next(parameter for parameter in player.network.parameters() if parameter.trainable)
    (3.0 * parameter.sum()).backward()
    player.optimizer.step()
    place = next(name for name, value in player.network.named_parameters() if value is parameter)
    moment = tensors_of(task)[f"discriminator_optimizer/{place}/moment2"]
    assert moment.flatten()[0].item() == pytest.approx(0.25 * 9)


def test_a_run_follows_its_schedule_and_resumes_to_the_same_end(tmp_path):
    options = ["--schedule", "cosine", "--final-learning-rate", 0.1, "--warm-up", 2, "--final-ema-decay", 0.5]
    options += ["--loss", "gan-r1", "--final-penalty-weight", 1, "--final-beta2", 0.9, "--log-every", 1]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_here(whole, *options, "--clusters", 0, "--steps", 6, "--checkpoint-every", 3)
    train_here(parts, *options, "--clusters", 0, "--steps", 6, "--checkpoint-every", 3)
    for line in (parts / "checkpoints").glob("step-00000006"):
        for file in line.iterdir():
            file.unlink()
        line.rmdir()
    done = command_line("train", "--resume", parts)
    assert done.returncode == 0 and "going on from step 3 of 6" in done.stdout, done.stdout
    ends = [read_newest(run / "checkpoints", print).arrays for run in (whole, parts)]
    assert all((ends[0][name] == ends[1][name]).all() for name in ends[0])
    rates = [line["optimizer/learning_rate_generator"] for line in read_metrics(whole / "metrics.jsonl", 6)]
    first = json.loads((whole / "config.json").read_text())["learning_rate"]
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)]
    assert rates == pytest.approx([first * value * min(1, (i + 1) / 3) for i, value in enumerate(expected)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--schedule", "constant", "--final-beta2", "0.9"], "--final-beta2 with --schedule constant"),
        (["--schedule", "linear", "--r1", "0", "--final-penalty-weight", "1"], "--final-penalty-weight with lsgan"),
        (["--schedule", "linear", "--loss", "wgan", "--final-beta2", "0.9"], "--final-beta2 with rmsprop"),
    ],
)
def test_final_values_that_nothing_leads_to_are_refused(tmp_path, options, said):
    done = command_line("train", "--out", tmp_path / "run", *options)
    assert done.returncode == 2 and said in done.stderr
