"""GANs on mixtures of Gaussians in the plane: their networks, their training, their pictures.

The package `training` trains them; `datasets.mixtures` has the mixtures and counts the modes. The networks get points
in units of the mixture's spread, so that the same settings fit every mixture.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.datasets.mixtures import Mixture, count_modes, draw
from paddle_gan.inference.images import save_gif
from paddle_gan.networks.activations import leaky_relu
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.objectives.objective import with_penalty_weight
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.system.files import atomic_path, writable_home
from paddle_gan.system.randomness import seeded
from paddle_gan.training import callbacks
from paddle_gan.training.loop import Callback, Values, train
from paddle_gan.training.noise_to_image import NoiseToImage, assemble
from paddle_gan.training.progress import progress
from paddle_gan.training.task import Task

# Samples whose modes are counted.
_POINTS = 2500
# Pictures in the animation.
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
    # Weights of the zero-centred penalties at the first step and at the last one.
    "penalty_weights": [0.2, 0.00025],
}


class TrialResult(NamedTuple):
    """The result of one seed of a benchmark.

    Attributes:
        modes: number of modes that the samples cover.
        score: the second figure: percent of high quality for mixtures, a divergence for Stacked MNIST.
    """

    modes: int
    score: float


class PointGenerator(nn.Layer):
    """From latents [N, latent_dim] to points [N, 2], through hidden layers, the first of them with tanh.

    Samples lie between two modes where the generator changes from one mode to the other; there are few of them only if
    this change is steep. So the tanh functions begin as steep steps across the latent space.

    Args:
        latent_dim: noise values.
        width: of the hidden layers.
        hidden_layers: number of them.
        steepness: standard deviation of the slopes of the steps at the start, along each axis.
    """

    def __init__(self, latent_dim: int, width: int, hidden_layers: int, steepness: float):
        super().__init__()
        self.latent_dim = latent_dim
        self.layers = _linear_layers([latent_dim, *[width] * hidden_layers, 2])
        nn.initializer.Normal(0.0, steepness)(self.layers[0].weight)
        # So the steps lie where the latents are: for 87 % of normal numbers, the distance from 0 is at most 1.5.
        nn.initializer.Uniform(-1.5 * steepness, 1.5 * steepness)(self.layers[0].bias)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return _after_first(self.layers, paddle.tanh(self.layers[0](latents)))


class PointDiscriminator(nn.Layer):
    """From points [N, 2] to logits [N], through hidden layers, the first of them with sine.

    Linear maps with ReLU learn the slowly varying parts of a function first. They need long to find modes that are a
    hundred times narrower than the data. Sines of random frequencies find them soon (Tancik et al. 2020).

    Args:
        width: of the hidden layers.
        hidden_layers: number of them.
        frequency: standard deviation of the frequencies at the start, along each axis, in radians per unit.
    """

    def __init__(self, width: int, hidden_layers: int, frequency: float):
        super().__init__()
        self.layers = _linear_layers([2, *[width] * hidden_layers, 1])
        nn.initializer.Normal(0.0, frequency)(self.layers[0].weight)
        nn.initializer.Uniform(-np.pi, np.pi)(self.layers[0].bias)

    def forward(self, points: Tensor, labels: Tensor | None = None) -> Tensor:
        return _after_first(self.layers, paddle.sin(self.layers[0](points))).reshape([-1])


def _after_first(layers: nn.LayerList, x: Tensor) -> Tensor:
    _, *hidden, last = layers
    for layer in hidden:
        x = leaky_relu(layer(x))
    return last(x)


def _linear_layers(widths: list[int]) -> nn.LayerList:
    return nn.LayerList([nn.Linear(before, after) for before, after in pairwise(widths)])


def point_task(loss: str, seed: int) -> NoiseToImage:
    """The task of an objective for points, at step 0.

    Objectives with Adam as their recipe get the Adam of POINT_SETTINGS instead.
    """
    objective, settings = OBJECTIVES[loss], POINT_SETTINGS
    recipe = objective.optimizer
    if isinstance(recipe, Adam):
        recipe = Adam(learning_rate=settings["learning_rate"], beta1=settings["beta1"], beta2=settings["beta2"])
    hidden = {"width": settings["width"], "hidden_layers": settings["hidden_layers"]}
    with seeded("weights", seed):
        return assemble(
            partial(PointGenerator, latent_dim=settings["latent_dim"], steepness=settings["steepness"], **hidden),
            partial(PointDiscriminator, frequency=settings["frequency"], **hidden),
            objective,
            generator_optimizer=recipe.build,
            discriminator_optimizer=recipe.build,
            average_decay=settings["ema_decay"],
        )


def anneal(task: NoiseToImage, steps: int) -> Callback:
    """The schedule of learning rates and penalty weight over `steps` rounds, by POINT_SETTINGS.

    Learning rates rise linearly over the first part, `warm_up`: otherwise the first steps of the generator can move the
    samples far outside of the region that the discriminator knows. Over the second half they fall to 0.

    The weight of zero-centred penalties falls geometrically (Huang et al. 2024 use a cosine). With a large weight, the
    basins around the modes are wide, so that all modes are found; with a small weight they are narrow, so that the
    samples become precise.
    """
    rate = task.generator.optimizer.get_lr()
    warm_up, (first, last) = POINT_SETTINGS["warm_up"], POINT_SETTINGS["penalty_weights"]
    penalties = task.objective.penalties
    zero_centred = penalties and all(penalty.centre == 0 for penalty in penalties)

    def callback(_: Task, values: Values | None) -> None:
        done = task.step / steps
        for player in task.players.values():
            player.optimizer.set_lr(rate * min(done / warm_up + 1 / steps, 1, 2 * (1 - done)))
        if zero_centred:
            task.objective = with_penalty_weight(task.objective, first * (last / first) ** done)

    callback(task, None)
    return callback


def mixture_trial(
    mixture: Mixture, loss: str, steps: int, seed: int, folder: Path | None, say: Callable[[str], None]
) -> TrialResult:
    """Train on points of the mixture, and count the modes of 2,500 samples. The score is the percent of high quality.

    Args:
        mixture: the data.
        loss: name of the objective.
        steps: of the generator.
        seed: of everything that is random.
        folder: for pictures; None for none.
        say: takes one line for the user at a time.
    """
    task, size = point_task(loss, seed), POINT_SETTINGS["batch_size"]

    def batches(number: int) -> tuple[Tensor, None]:
        return paddle.to_tensor((draw(mixture, size, seed, number) / mixture.spread).astype("float32")), None

    def samples() -> np.ndarray:
        with seeded("samples", seed):
            latents = paddle.randn([_POINTS, task.sampler.latent_dim])
        with paddle.no_grad():
            return task.sampler(latents).numpy() * mixture.spread

    with progress(steps, 0, say) as shown, tempfile.TemporaryDirectory() as frames:

        def picture(task: Task) -> None:
            path = Path(frames) / f"step-{task.step:08d}.png"
            save_points(path, mixture, samples(), f"{loss}, step {task.step}")

        chain = [callbacks.rates(size), shown, anneal(task, steps)]
        if folder:
            chain.append(callbacks.every(max(1, steps // _FRAMES), picture, steps))
        train(task, batches, steps, seed, _LOG_EVERY, chain)
        if folder:
            save_gif(folder / "samples.gif", sorted(Path(frames).iterdir()))
            save_points(folder / "samples.png", mixture, samples(), f"{loss}, step {steps}")
    modes, share = count_modes(mixture, samples())
    return TrialResult(modes=modes, score=100 * share)


def save_points(path: Path, mixture: Mixture, samples: np.ndarray, title: str) -> None:
    """Write a picture: points of the mixture in grey, and samples [N, 2] in colour over them."""
    with writable_home():  # Matplotlib keeps a cache there
        from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), dpi=100)
    axes = figure.add_axes((0.13, 0.07, 0.84, 0.84), title=title)
    real = draw(mixture, _POINTS, seed=0, step=0)
    axes.scatter(real[:, 0], real[:, 1], s=10, color="0.75", linewidths=0)
    axes.scatter(samples[:, 0], samples[:, 1], s=2, color="tab:red", linewidths=0)
    edge = 1.25 * np.abs(mixture.centres).max()
    axes.set(xlim=(-edge, edge), ylim=(-edge, edge))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
