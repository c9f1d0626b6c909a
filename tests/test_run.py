"""A finished run as an object."""

import json

import numpy as np
import pytest
from conftest import command_line

from paddle_gan import EvaluateConfig, load
from paddle_gan.errors import UsageError


def test_samples_are_those_of_the_command(conditional_run, tmp_path):
    run = load(conditional_run)
    assert (run.step, run.classes, run.options.conditional) == (4, tuple("0123456789"), True)
    made = command_line("sample", conditional_run, "--num", 5, "--label", 7, "--seed", 3, "--npz", tmp_path / "s.npz")
    assert made.returncode == 0, made.stderr
    with np.load(tmp_path / "s.npz") as file:
        np.testing.assert_array_equal(run.sample(5, label=7, seed=3), file["images"])
    raw = load(conditional_run, raw=True).sample(5, label=7, seed=3)
    assert (raw != run.sample(5, label=7, seed=3)).any()
    with pytest.raises(UsageError, match="label 10: this run has 10 labels"):
        run.sample(1, label=10)


def test_a_walk_goes_through_the_samples_of_its_seeds(conditional_run):
    run = load(conditional_run)
    frames = run.walk([0, 3], frames=2, label=7)
    assert len(frames) == 4
    for place, seed in ((0, 0), (2, 3)):
        sample = run.sample(1, label=7, seed=seed)[0, ..., 0].astype(int)
        assert np.abs(np.asarray(frames[place]) - sample).max() <= 1
    with pytest.raises(UsageError, match="two seeds or more"):
        run.walk([5])


def test_pictures_of_a_run(conditional_run):
    """A column for each class; a panel for the losses and one for the mean logits."""
    run = load(conditional_run)
    columns, rows = 10, 2
    assert run.grid(20).size == (columns * (56 + 2) + 2, rows * (56 + 2) + 2)
    assert run.curves().size == (2 * 400, 280)
    assert run.log() == [json.loads(line) for line in (conditional_run / "metrics.jsonl").read_text().splitlines()]


def test_measures_of_a_run(conditional_run):
    record = load(conditional_run).evaluate(EvaluateConfig(num=300), say=[].append)
    assert (record["protocol"]["samples"], record["protocol"]["dataset"]) == (300, "mnist")
    distance = record["figures"]["frechet_distance"]
    assert 0 < distance["real"] < 50 < distance["samples"]


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UsageError, match="not a run folder"):
        load(tmp_path)
