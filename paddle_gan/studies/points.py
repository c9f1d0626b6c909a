"""GANs on mixtures of Gaussians in the plane: their networks, their training, their pictures.

The training is that of `training`; the mixtures and the counting are those of `mixtures`. The networks see points in
units of the mixture's spread, so that one setting fits all.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor
from paddle.utils import unique_name

from paddle_gan.datasets.mixtures import Mixture, count_modes, draw
from paddle_gan.inference.images import save_gif
from paddle_gan.networks.blocks import leaky_relu
from paddle_gan.objectives.objective import OBJECTIVES, r1_penalty, r1_r2_penalty
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.system.files import atomic_path
from paddle_gan.system.runtime import seed_all
from paddle_gan.training import callbacks
from paddle_gan.training.loop import Callback, TrainState, train

_POINTS = 2500
_FRAMES = 40
_LOG_EVERY = 100

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
    axes = figure.add_axes((0.13, 0.07, 0.84, 0.84), title=title)
    axes.scatter(*draw(mixture, _POINTS, 0, 0).T, s=10, color="0.75", linewidths=0)
    axes.scatter(*samples.T, s=2, color="tab:red", linewidths=0)
    edge = 1.25 * np.abs(mixture.centres).max()
    axes.set(xlim=(-edge, edge), ylim=(-edge, edge))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
