"""Every objective on every family of networks, plain and conditional, on real digits, without a warning.

The ordinary test takes a few steps of narrow networks; `-m slow` takes 200 of the real ones.
"""

import pytest
from conftest import command_line
from paddle_gan.callbacks import read_metrics

COMBINATIONS = [
    (loss, generator, conditional)
    for loss in ("gan", "lsgan", "wgan", "wgan-gp")
    for generator in ("writeup", "pixelshuffle", "mlp")
    for conditional in (False, True)
]


def check(tmp_path, steps, *arguments):
    done = command_line("train", "--out", tmp_path, "--steps", steps, "--device", "cpu", *arguments)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert read_metrics(tmp_path / "metrics.jsonl")[-1]["step"] == steps


@pytest.mark.parametrize(("loss", "generator", "conditional"), COMBINATIONS)
def test_trains_a_few_steps(tmp_path, loss, generator, conditional):
    narrow = ("--width", 4, "--discriminator-width", 8, "--batch-size", 8)
    check(tmp_path, 2, "--loss", loss, "--generator", generator, *narrow, *["--conditional"] * conditional)


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "generator", "conditional"), COMBINATIONS)
def test_trains_200_steps(tmp_path, loss, generator, conditional):
    check(tmp_path, 200, "--loss", loss, "--generator", generator, *["--conditional"] * conditional)
