"""Benchmarks of mode coverage: how many modes of data whose modes can be counted a generator makes samples of.

Two mixtures of Gaussians in the plane (see `mixtures`) and Stacked MNIST, by the published protocols, several
seeds in turn. The training is that of `training`; not about single runs on images, see `experiment`.

A folder of results holds

    results.json    what the numbers depend on, and one entry for each seed that has ended
    results.md      the table, beside the published figures
    samples.png     samples of the first seed, at the end
    samples.gif     the same over training; mixtures only

Only whole seeds are kept: what is started again goes on with the first that has not ended.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor
from paddle.utils import unique_name

from paddle_gan import callbacks
from paddle_gan.blocks import leaky_relu
from paddle_gan.config import ModesConfig, TrainConfig
from paddle_gan.datasets import ImageSet, load_dataset
from paddle_gan.datasets.batches import batch_indices
from paddle_gan.errors import UsageError
from paddle_gan.experiment import RUNS, build
from paddle_gan.extractors import classifier_extractor
from paddle_gan.files import atomic_path, locked, make_folder, write_text
from paddle_gan.images import grid, save_gif, save_png
from paddle_gan.mixtures import GRID25, RING8, Mixture, count_modes, divergence, draw
from paddle_gan.objectives import OBJECTIVES, r1_penalty, r1_r2_penalty
from paddle_gan.optimizers import Adam
from paddle_gan.resolve import resolve
from paddle_gan.runtime import seed_all, select_device
from paddle_gan.sampling import generate
from paddle_gan.training import BatchSource, Callback, TrainState, train

FOLDER = RUNS.parent / "modes"
_POINTS = 2500
_IMAGES = 26_000
_FRAMES = 40
_LOG_EVERY = 100


@dataclass(frozen=True)
class Row:
    """A line of the table: what others published, or what the data themselves score."""

    name: str
    modes: str
    score: str
    source: str


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        modes: how many there are.
        score: heading of the second column, and the format of its numbers.
        loss, steps: what is trained unless told otherwise.
        trial: (loss, steps, seed, folder for pictures or None, say) -> modes covered and the score.
        settings: all else that the numbers depend on, for results.json.
        rows: the figures to print ours beside.
    """

    modes: int
    score: tuple[str, str]
    loss: str
    steps: int
    trial: Callable[[str, int, int, Path | None, Callable[[str], None]], tuple[int, float]]
    settings: dict[str, Any]
    rows: tuple[Row, ...]


def run(name: str, config: ModesConfig, say: Callable[[str], None] = print) -> Path:
    """Run the seeds of a benchmark that have not ended yet, and print the table of all that have.

    Args:
        name: a key of BENCHMARKS.
        config: options.
        say: takes text for the user.

    Returns:
        The folder of results.

    Raises:
        UsageError: the folder holds results of other settings.
    """
    select_device(config.device)
    benchmark = BENCHMARKS[name]
    loss, steps = config.loss or benchmark.loss, config.steps or benchmark.steps
    folder = make_folder(Path(config.out).expanduser() if config.out else FOLDER / f"{name}-{loss}")
    settings = {"benchmark": name, "loss": loss, "steps": steps, **benchmark.settings}
    with locked(folder):
        results = read_results(folder / "results.json", settings)
        for seed in range(len(results), config.seeds):
            say(f"{name}, {loss}, seed {seed}")
            start = time.monotonic()
            modes, score = benchmark.trial(loss, steps, seed, folder if seed == 0 else None, say)
            minutes = (time.monotonic() - start) / 60
            results.append({"seed": seed, "modes": modes, "score": score, "minutes": round(minutes, 2)})
            write_text(folder / "results.json", json.dumps({"settings": settings, "seeds": results}, indent=2) + "\n")
            write_text(folder / "results.md", table(benchmark, loss, steps, results))
    say(table(benchmark, loss, steps, results))
    say(f"results: {folder}")
    return folder


def read_results(path: Path, settings: dict[str, Any]) -> list[dict[str, float]]:
    """The seeds that have ended according to the file at `path`; none where there is no file.

    Raises:
        UsageError: they were run with other settings, or the file is not one of results.
    """
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        theirs, seeds = content["settings"], content["seeds"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); remove it, or name another folder with --out") from error
    different = [f"{key} {theirs.get(key)} -> {value}" for key, value in settings.items() if theirs.get(key) != value]
    if different:
        raise UsageError(f"{path.parent} holds other results ({', '.join(different)}); name another folder with --out")
    return seeds


def table(benchmark: Benchmark, loss: str, steps: int, results: list[dict[str, float]]) -> str:
    """Markdown: every seed, their mean ± its standard error, and the figures of others."""
    heading, form = benchmark.score
    lines = [f"| | modes (of {benchmark.modes}) | {heading} | |", "|---|---|---|---|"]
    for result in results:
        own = f"{steps} steps, {result['minutes']:.1f} minutes"
        lines.append(f"| {loss}, seed {result['seed']} | {result['modes']} | {result['score']:{form}} | {own} |")
    modes, score = (
        _mean_and_error([result[key] for result in results], form) for key, form in (("modes", ".1f"), ("score", form))
    )
    lines.append(f"| **{loss}, mean** | **{modes}** | **{score}** | seeds: {len(results)} |")
    lines += [f"| {row.name} | {row.modes} | {row.score} | {row.source} |" for row in benchmark.rows]
    return "\n".join(lines) + "\n"


def _mean_and_error(values: list[float], form: str) -> str:
    """Mean ± standard error; of one value there is no error."""
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{np.mean(values):{form}} ± {np.std(values, ddof=1) / np.sqrt(len(values)):{form}}"


# ---- Mixtures in the plane. The networks see points in units of the mixture's spread, so that one setting fits both.

POINT_SETTINGS: dict[str, Any] = {
    "batch_size": 256,
    "latent_dim": 2,
    "width": 128,
    "hidden_layers": 4,
    "steepness": 150.0,
    "frequency": 4.0,
    "learning_rate": 1e-3,
    "beta1": 0.5,
    "beta2": 0.99,
    "warm_up": 0.1,
    "ema_decay": 0.999,
    # Of the zero-centred penalties, at the first step and at the last.
    "penalty_weights": [0.2, 0.00025],
}


class PointGenerator(nn.Layer):
    """Latents [N, latent_dim] to points [N, 2] through hidden layers, of which the first is a tanh.

    Between two modes a sample falls where the generator crosses over from one to the other; only a steep
    crossing makes few of those. Hence tanhs that are steps across the latent space to begin with.

    Args:
        latent_dim: noise values.
        width, hidden_layers: how wide and how many.
        steepness: standard deviation of the slopes of the steps at the start, along each axis.
    """

    def __init__(self, latent_dim: int, width: int, hidden_layers: int, steepness: float):
        super().__init__()
        self.latent_dim = latent_dim
        self.layers = nn.LayerList([nn.Linear(*sizes) for sizes in _pairs(latent_dim, *[width] * hidden_layers, 2)])
        nn.initializer.Normal(0.0, steepness)(self.layers[0].weight)
        # Steps lie where the latents do: 1.5 is the 87th percentile of a normal distribution's distance from 0.
        nn.initializer.Uniform(-1.5 * steepness, 1.5 * steepness)(self.layers[0].bias)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return _after_first(self.layers, paddle.tanh(self.layers[0](latents)))


class PointDiscriminator(nn.Layer):
    """Points [N, 2] to logits [N] through hidden layers, of which the first is a sine.

    Linear maps and ReLUs learn a function's slow parts first and take long to see modes that are a hundred
    times narrower than the data; sines of random frequencies see them soon (Tancik et al. 2020).

    Args:
        width, hidden_layers: how wide and how many.
        frequency: standard deviation of the frequencies at the start, along each axis, in radians a unit.
    """

    def __init__(self, width: int, hidden_layers: int, frequency: float):
        super().__init__()
        self.layers = nn.LayerList([nn.Linear(*sizes) for sizes in _pairs(2, *[width] * hidden_layers, 1)])
        nn.initializer.Normal(0.0, frequency)(self.layers[0].weight)
        nn.initializer.Uniform(-np.pi, np.pi)(self.layers[0].bias)

    def forward(self, points: Tensor, labels: Tensor | None = None) -> Tensor:
        return _after_first(self.layers, paddle.sin(self.layers[0](points))).reshape([-1])


def _after_first(layers: nn.LayerList, x: Tensor) -> Tensor:
    for layer in layers[1:-1]:
        x = leaky_relu(layer(x))
    return layers[-1](x)


def _pairs(*widths: int) -> list[tuple[int, int]]:
    return list(zip(widths, widths[1:]))


def point_state(loss: str, seed: int) -> TrainState:
    """Networks and optimisers for points, at step 0.

    Every objective whose recipe is Adam has the Adam of POINT_SETTINGS.
    """
    objective, settings = OBJECTIVES[loss], POINT_SETTINGS
    recipe = objective.optimizer
    if isinstance(recipe, Adam):
        recipe = Adam(settings["learning_rate"], settings["beta1"], settings["beta2"])
    seed_all("weights", seed)
    with unique_name.guard():
        size = settings["width"], settings["hidden_layers"]
        generator, average = (PointGenerator(settings["latent_dim"], *size, settings["steepness"]) for _ in range(2))
        discriminator = PointDiscriminator(*size, settings["frequency"])
        average.set_state_dict(generator.state_dict())
        optimizers = (recipe.build(network.parameters()) for network in (generator, discriminator))
        return TrainState(generator, discriminator, average, *optimizers, objective, settings["ema_decay"])


def anneal(state: TrainState, steps: int) -> Callback:
    """The schedule of the settings over `steps` rounds.

    Learning rates rise linearly over the share of `warm_up`, else the generator's first steps can throw the
    samples further out than the discriminator knows its way, and fall to nothing over the second half.
    The weight of a zero-centred penalty falls geometrically (as in Huang et al. 2024, by a cosine): wide
    basins around the modes let all of them be found, narrow ones make the samples precise.
    """
    rate = state.generator_optimizer.get_lr()
    warm_up, (first, last) = POINT_SETTINGS["warm_up"], POINT_SETTINGS["penalty_weights"]

    def callback(state: TrainState, scalars: dict[str, Any] | None) -> None:
        done = state.step / steps
        for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
            optimizer.set_lr(rate * min(done / warm_up + 1 / steps, 1, 2 * (1 - done)))
        if state.objective.penalty in (r1_penalty, r1_r2_penalty):
            state.objective = replace(state.objective, penalty_weight=first * (last / first) ** done)

    callback(state, None)
    return callback


def mixture_trial(
    mixture: Mixture, loss: str, steps: int, seed: int, folder: Path | None, say: Callable[[str], None]
) -> tuple[int, float]:
    """Train on points of the mixture; count the modes of 2,500 samples.

    Returns:
        Modes covered, and percent of high quality.
    """
    state, size = point_state(loss, seed), POINT_SETTINGS["batch_size"]

    def batches(number: int) -> tuple[Tensor, None]:
        return paddle.to_tensor((draw(mixture, size, seed, number) / mixture.spread).astype("float32")), None

    def samples() -> np.ndarray:
        seed_all("samples", seed)
        with paddle.no_grad():
            return state.average(paddle.randn([_POINTS, state.average.latent_dim])).numpy() * mixture.spread

    with callbacks.progress(steps, 0, say) as progress, tempfile.TemporaryDirectory() as frames:

        def picture(state: TrainState) -> None:
            path = Path(frames) / f"step-{state.step:08d}.png"
            save_points(path, mixture, samples(), f"{loss}, step {state.step}")

        pictures = [callbacks.every(max(1, steps // _FRAMES), picture, steps)] if folder else []
        chain = [callbacks.rates(size), progress, anneal(state, steps), *pictures]
        train(state, batches, steps, seed, _LOG_EVERY, chain)
        if folder:
            save_gif(folder / "samples.gif", sorted(Path(frames).iterdir()))
            save_points(folder / "samples.png", mixture, samples(), f"{loss}, step {steps}")
    modes, share = count_modes(mixture, samples())
    return modes, 100 * share


def save_points(path: Path, mixture: Mixture, samples: np.ndarray, title: str) -> None:
    """A picture of points of the mixture, grey, and samples [N, 2], coloured, over them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), dpi=100)
    axes = figure.add_axes((0.1, 0.07, 0.86, 0.86), title=title)
    axes.scatter(*draw(mixture, _POINTS, 0, 0).T, s=10, color="0.75", linewidths=0)
    axes.scatter(*samples.T, s=2, color="tab:red", linewidths=0)
    edge = 1.25 * np.abs(mixture.centres).max()
    axes.set(xlim=(-edge, edge), ylim=(-edge, edge))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


# ---- Stacked MNIST: three digits as the channels of one image, a thousand combinations.


def stacked_batches(digits: ImageSet, batch_size: int, seed: int, value_range: tuple[float, float]) -> BatchSource:
    """Batches of images of three random digits, a function of (seed, number): float32 [batch_size, 3, H, W].

    Args:
        digits: of one channel.
        batch_size: images in a batch.
        seed: of the choice.
        value_range: of the generator.
    """
    images = paddle.to_tensor(digits.images)
    low, high = value_range

    def batch(number: int) -> tuple[Tensor, None]:
        chosen = paddle.to_tensor(batch_indices(len(digits), 3 * batch_size, seed, number))
        triples = paddle.gather(images, chosen).reshape([batch_size, 3, *images.shape[2:]])
        return triples.astype("float32") * ((high - low) / 255) + low, None

    return batch


def stacked_classes(images: np.ndarray, extract: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Which of the thousand modes each image is in: the class of its channels as the digits of a number.

    Args:
        images: uint8 [N, H, W, 3].
        extract: grey images, uint8 [M, H, W, 1], to features and class probabilities [M, 10].

    Returns:
        int64 [N], values 0 ... 999.
    """
    channels = images.transpose(0, 3, 1, 2).reshape(-1, *images.shape[1:3], 1)
    _, probabilities = extract(channels)
    return probabilities.argmax(1).reshape(-1, 3) @ np.array([100, 10, 1])


def stacked_shares(labels: np.ndarray) -> np.ndarray:
    """Share of the data in each of the thousand modes, float64 [1000], from the labels of the single digits [N]."""
    one = np.bincount(labels, minlength=10) / len(labels)
    return (one[:, None, None] * one[:, None] * one).reshape(-1)


def stacked_trial(
    loss: str, steps: int, seed: int, folder: Path | None, say: Callable[[str], None]
) -> tuple[int, float]:
    """Train on Stacked MNIST; count the modes of 26,000 samples.

    Returns:
        Modes covered, and the divergence of the samples' shares of the modes from the data's.
    """
    options = TrainConfig(loss=loss, steps=steps, seed=seed, channels=3, preset="small", **STACKED_SETTINGS)
    config, _ = resolve(options, "cpu")
    with unique_name.guard():
        state = build(config, 0)
    digits, extract = load_dataset("mnist", config.image_size, 1), classifier_extractor("mnist")
    batches = stacked_batches(digits, config.batch_size, seed, state.generator.value_range)
    with callbacks.progress(steps, 0, say) as progress:
        rates = callbacks.rates(config.batch_size * config.discriminator_steps)
        train(state, batches, steps, seed, _LOG_EVERY, [rates, progress])
    say(f"classes of {_IMAGES} samples")
    counts = np.zeros(1000, np.int64)
    for i, (images, _) in enumerate(generate(state.average, _IMAGES, seed)):
        counts += np.bincount(stacked_classes(images, extract), minlength=1000)
        if i == 0 and folder:
            save_png(folder / "samples.png", grid(images[:80], 10))
    return int((counts > 0).sum()), divergence(counts, stacked_shares(digits.labels))


STACKED_SETTINGS: dict[str, Any] = {"generator": "pixelshuffle", "width": 32, "discriminator_width": 32}

_QUALITY = ("high quality, %", ".1f")
_PACGAN, _VEEGAN, _R3GAN = "Lin et al. 2018", "Srivastava et al. 2017", "Huang et al. 2024"
# Of a Gaussian in the plane, 1 − exp(−3²/2) lies within three standard deviations.
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
        score=("KL, nats", ".3f"),
        loss="gan-r1-r2",
        steps=3000,
        trial=stacked_trial,
        settings=STACKED_SETTINGS,
        rows=(
            # Of N samples from the data the divergence is (modes − 1) / 2N in the mean.
            Row("the data", "1000", f"{999 / (2 * _IMAGES):.3f}", "expected of 26,000 samples"),
            Row("DCGAN", "99.0", "3.40", _VEEGAN),
            Row("DCGAN", "78.9 ± 6.5", "4.50 ± 0.13", f"{_PACGAN}, table 2"),
            Row("VEEGAN", "150.0", "2.95", _VEEGAN),
            Row("PacDCGAN2", "1000.0 ± 0.0", "0.06 ± 0.003", f"{_PACGAN}, table 2"),
            Row("WGAN-GP", "959", "0.73", f"as {_R3GAN} give it"),
            Row("GAN + R1 + R2", "693", "0.93", f"{_R3GAN}, table 3"),
            Row("RpGAN + R1 + R2", "1000", "0.078", f"{_R3GAN}, tables 1 and 3"),
        ),
    ),
}
