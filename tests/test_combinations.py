"""Every objective on every family of networks, plain and conditional, on real digits, without a warning.

The ordinary test takes a few steps of narrow networks; `-m slow` takes 200 of the real ones,
in about twenty minutes on two cores.
"""

import math
import warnings

import numpy as np
import paddle
import pytest
from conftest import command_here
from PIL import Image

from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import load_dataset
from paddle_gan.networks import GENERATORS
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.runs.building import build
from paddle_gan.runs.resolve import resolve
from paddle_gan.training.log import read_metrics

COMBINATIONS = [
    (loss, generator, conditional)
    for loss in ("gan", "lsgan", "wgan", "wgan-gp")
    for generator in ("tutorial", "pixelshuffle", "mlp")
    for conditional in (False, True)
]


# Each objective with three generators or so, each generator with four objectives or so, in every row and column others.
GRID = [
    (loss, generator) for i, loss in enumerate(OBJECTIVES) for j, generator in enumerate(GENERATORS) if (i + j) % 3 == 0
]


@pytest.mark.parametrize(("loss", "generator"), GRID)
def test_a_step_of_every_objective_with_clusters(loss, generator):
    """Also those that are not of the papers; all losses are finite, and every network moves."""
    size = 32 if generator == "tutorial" else 16
    narrow = {"width": 4, "discriminator_width": 4, "clusters": 5}
    given = TrainConfig(loss=loss, generator=generator, image_size=size, **narrow)
    task = build(resolve(given, "cpu").config, 0, np.full((1, 5), 0.2, np.float32), 60_000)
    before = {name: weights(player.network) for name, player in task.players.items()}
    images, labels = paddle.randn([8, 1, size, size]).clip(-1, 1), paddle.arange(8) % 5
    values = task.round(lambda number: (images, labels), seed=0)
    assert {"loss/discriminator", "loss/generator"} <= values.keys()
    assert all(math.isfinite(value.item()) for value in values.values())
    for name, player in task.players.items():
        assert any((value != before[name][key]).any() for key, value in weights(player.network).items())


def weights(network) -> dict[str, np.ndarray]:
    return {name: parameter.numpy() for name, parameter in network.named_parameters()}


def check(tmp_path, steps, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        command_here("train", "--out", tmp_path, "--steps", steps, "--device", "cpu", *arguments)
    assert read_metrics(tmp_path / "metrics.jsonl")[-1]["step"] == steps


@pytest.mark.parametrize(("loss", "generator", "conditional"), COMBINATIONS)
def test_trains_a_few_steps(tmp_path, loss, generator, conditional):
    narrow = ("--width", 4, "--discriminator-width", 8, "--batch-size", 8)
    check(tmp_path, 2, "--loss", loss, "--generator", generator, *narrow, *["--conditional"] * conditional)


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "generator", "conditional"), COMBINATIONS)
def test_trains_200_steps(tmp_path, loss, generator, conditional):
    # At its full width the tutorial's network alone would take most of an hour on two cores.
    width = ("--width", 32, "--discriminator-width", 32) if generator == "tutorial" else ()
    check(
        tmp_path,
        200,
        "--loss",
        loss,
        "--generator",
        generator,
        "--batch-size",
        16,
        *width,
        *["--conditional"] * conditional,
    )


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["gan", "lsgan", "wgan", "wgan-gp"])
def test_trains_200_steps_on_a_folder_of_colour_images(tmp_path, loss):
    """64x64: digits in colours, in ten class folders."""
    digits = load_dataset("mnist", 64, 3)
    for i in range(300):
        folder = tmp_path / "data" / str(digits.labels[i])
        folder.mkdir(parents=True, exist_ok=True)
        colour = np.array([[i % 7, i % 5, i % 3]]) / 6
        Image.fromarray((digits.images[i].transpose(1, 2, 0) * colour.clip(0.2, 1)).astype(np.uint8)).save(
            folder / f"{i}.png"
        )
    check(tmp_path / "run", 200, "--dataset", tmp_path / "data", "--conditional", "--loss", loss, "--batch-size", 16)
