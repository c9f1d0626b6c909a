"""Benchmarks of mode coverage: data with countable modes, and how many of the modes appear among a generator's samples.

The data are two mixtures of Gaussians in the plane (see `points`) and Stacked MNIST (see `stacked`). The protocols are
the published ones; several seeds run one after another. Not about single training runs on images: see `experiment`.

A folder of results holds

    results.json    the settings that the numbers depend on, and one entry for each finished seed
    results.md      the table, with published figures beside it
    samples.png     samples of the first seed after training
    samples.gif     the same during training; mixtures only

Only finished seeds are kept. A benchmark that was interrupted goes on with the first seed that is not finished.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paddle_gan.config.language import tell
from paddle_gan.config.paths import RUNS
from paddle_gan.config.studies import ModesConfig
from paddle_gan.datasets.mixtures import GRID25, RING8
from paddle_gan.errors import UsageError
from paddle_gan.evaluation.records import mean_and_error
from paddle_gan.studies.points import POINT_SETTINGS, TrialResult, mixture_trial
from paddle_gan.studies.results import read_results, write_results
from paddle_gan.studies.stacked import STACKED_IMAGES, STACKED_SETTINGS, stacked_trial
from paddle_gan.system.device import select_device
from paddle_gan.system.files import locked, make_folder, write_text

FOLDER = RUNS.parent / "modes"


@dataclass(frozen=True)
class Row:
    """A line of the table: a published figure, or the score of the data themselves."""

    name: str
    modes: str
    score: str
    source: str


class Score(NamedTuple):
    """The second figure of a benchmark.

    Attributes:
        heading: of its column.
        form: how its numbers are formatted.
    """

    heading: str
    form: str


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        modes: number of modes of the data.
        score: the second figure.
        loss, steps: objective and steps unless the options say otherwise.
        trial: trains with (loss, steps, seed, folder for pictures or None, say), and a recipe if one is chosen, and
            counts the modes of the samples.
        settings: everything else that the numbers depend on, for results.json.
        rows: lines of the table below ours.
    """

    modes: int
    score: Score
    loss: str
    steps: int
    trial: Callable[..., TrialResult]
    settings: dict[str, Any]
    rows: tuple[Row, ...]


def run(name: str, config: ModesConfig, say: Callable[[str], None] = tell) -> Path:
    """Run the seeds of a benchmark that are not finished, and print the table of all finished seeds.

    Args:
        name: a key of BENCHMARKS.
        config: the options.
        say: takes text for the user.

    Returns:
        The folder of results.

    Raises:
        UsageError: the folder holds results of other settings, or the benchmark has no recipes.
    """
    benchmark = BENCHMARKS[name]
    if config.recipe and "recipe" not in benchmark.settings:
        raise UsageError(f"--recipe {config.recipe} with {name}: it has settings of its own; leave it out")
    select_device(config.device)
    recipe = {"recipe": config.recipe} if config.recipe else {}
    loss, steps = config.loss or benchmark.loss, config.steps or benchmark.steps
    folder = make_folder(Path(config.out) if config.out else FOLDER / "-".join([name, loss, *recipe.values()]))
    settings = {"benchmark": name, "loss": loss, "steps": steps, **benchmark.settings, **recipe}
    with locked(folder):
        results = read_results(folder / "results.json", settings)
        for seed in range(len(results), config.seeds):
            say(f"{name}, {loss}, seed {seed}")
            start = time.monotonic()
            found = benchmark.trial(loss, steps, seed, folder if seed == 0 else None, say, **recipe)
            minutes = (time.monotonic() - start) / 60
            results.append({"seed": seed, "modes": found.modes, "score": found.score, "minutes": round(minutes, 2)})
            write_results(folder / "results.json", settings, results)
            write_text(folder / "results.md", table(benchmark, loss, steps, results))
    say(table(benchmark, loss, steps, results))
    say(f"results: {folder}")
    return folder


def table(benchmark: Benchmark, loss: str, steps: int, results: list[dict[str, float]]) -> str:
    """A table in Markdown: every seed, their mean ± its standard error, and the figures of others."""
    heading, form = benchmark.score
    lines = [f"| | modes (of {benchmark.modes}) | {heading} | |", "|---|---|---|---|"]
    for result in results:
        own = f"{steps} steps, {result['minutes']:.1f} minutes"
        lines.append(f"| {loss}, seed {result['seed']} | {result['modes']} | {result['score']:{form}} | {own} |")
    modes = _with_error([result["modes"] for result in results], ".1f")
    score = _with_error([result["score"] for result in results], form)
    lines.append(f"| **{loss}, mean** | **{modes}** | **{score}** | seeds: {len(results)} |")
    lines += [f"| {row.name} | {row.modes} | {row.score} | {row.source} |" for row in benchmark.rows]
    return "\n".join(lines) + "\n"


def _with_error(values: list[float], form: str) -> str:
    """Mean ± standard error; without an error for a single value."""
    mean, error = mean_and_error(values)
    return f"{mean:{form}}" if len(values) == 1 else f"{mean:{form}} ± {error:{form}}"


_QUALITY = Score(heading="high quality, %", form=".1f")
_PACGAN, _VEEGAN, _R3GAN = "Lin et al. 2018", "Srivastava et al. 2017", "Huang et al. 2024"
# The share of a Gaussian in the plane that lies within three standard deviations is 1 − exp(−3²/2).
_REAL_QUALITY = f"{100 * (1 - np.exp(-4.5)):.1f}"

BENCHMARKS: dict[str, Benchmark] = {
    "ring8": Benchmark(
        modes=8,
        score=_QUALITY,
        loss="gan-r1-r2",
        steps=5000,
        trial=partial(mixture_trial, RING8),
        settings=POINT_SETTINGS,
        rows=(
            Row("the data", "8", _REAL_QUALITY, "exact"),
            Row("GAN", "6.3 ± 0.5", "98.2 ± 0.2", f"{_PACGAN}, table 1"),
            Row("PacGAN2", "7.9 ± 0.1", "95.6 ± 2.0", f"{_PACGAN}, table 1"),
            Row("PacGAN4", "7.8 ± 0.1", "95.9 ± 1.4", f"{_PACGAN}, table 1"),
            Row("VEEGAN", "8", "", _VEEGAN),
        ),
    ),
    "grid25": Benchmark(
        modes=25,
        score=_QUALITY,
        loss="gan-r1-r2",
        steps=5000,
        trial=partial(mixture_trial, GRID25),
        settings=POINT_SETTINGS,
        rows=(
            Row("the data", "25", _REAL_QUALITY, "exact"),
            Row("GAN", "17.3 ± 0.8", "94.8 ± 0.7", f"{_PACGAN}, table 1"),
            Row("PacGAN2", "23.8 ± 0.7", "91.3 ± 0.8", f"{_PACGAN}, table 1"),
            Row("PacGAN4", "24.8 ± 0.2", "93.6 ± 0.6", f"{_PACGAN}, table 1"),
            Row("VEEGAN", "24.6", "", _VEEGAN),
        ),
    ),
    "stacked-mnist": Benchmark(
        modes=1000,
        score=Score(heading="KL, nats", form=".3f"),
        loss="gan-r1-r2",
        steps=3000,
        trial=stacked_trial,
        settings=STACKED_SETTINGS,
        rows=(
            # The expected divergence of N samples from the data is (modes − 1) / 2N.
            Row("the data", "1000", f"{999 / (2 * STACKED_IMAGES):.3f}", "expected of 26,000 samples"),
            Row("DCGAN", "99.0", "3.40", _VEEGAN),
            Row("DCGAN", "78.9 ± 6.5", "4.50 ± 0.13", f"{_PACGAN}, table 2"),
            Row("VEEGAN", "150.0", "2.95", _VEEGAN),
            Row("PacDCGAN2", "1000.0 ± 0.0", "0.06 ± 0.003", f"{_PACGAN}, table 2"),
            Row("WGAN-GP", "959", "0.73", f"according to {_R3GAN}"),
            Row("GAN + R1 + R2", "693", "0.93", f"{_R3GAN}, table 3"),
            Row("RpGAN + R1 + R2", "1000", "0.078", f"{_R3GAN}, tables 1 and 3"),
        ),
    ),
}
