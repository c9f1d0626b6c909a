"""Why the generator of a GAN may learn nothing, and what WGAN changes: in closed form, and by training.

The example is example 1 of the WGAN paper (Arjovsky et al. 2017): two parallel segments of length 1. The real segment
is at 0. The segment of the generator is at θ, its only parameter. Gaussians shifted by θ show the same with smooth
densities. Divergences are in nats.

A point is an image of 1×1 with two channels, so the networks, objectives and training steps are those of the rest of
this project.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn as nn
from numpy.typing import ArrayLike
from paddle import Tensor

from paddle_gan.backend.values import number
from paddle_gan.networks.discriminators import MLPDiscriminator
from paddle_gan.objectives import OBJECTIVES, Objective
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.system.randomness import seeded
from paddle_gan.training.loop import Values, train
from paddle_gan.training.noise_to_image import NoiseToImage, assemble, discriminator_step
from paddle_gan.training.task import Task

# Every discriminator and critic here has one hidden layer with so many units.
_WIDTH = 64
_BATCH_SIZE = 256
# Points on each segment at which networks are measured.
_POINTS = 1024
_GENERATOR_RATE = 0.02


# ---- Closed forms.


def kl_divergence(p: ArrayLike, q: ArrayLike, cell: float = 1.0) -> float:
    """KL(p‖q) = Σ p log(p/q) · cell, of probabilities or of densities on a grid.

    It is inf if anywhere p > 0 and q = 0.

    Args:
        p, q: of equal shape.
        cell: distance between neighbours of the grid; 1 for probabilities.
    """
    p, q = np.asarray(p, float), np.asarray(q, float)
    positive = p > 0
    with np.errstate(divide="ignore"):
        return float(np.sum(p[positive] * (np.log(p[positive]) - np.log(q[positive]))) * cell)


def js_divergence(p: ArrayLike, q: ArrayLike, cell: float = 1.0) -> float:
    """½KL(p‖m) + ½KL(q‖m) with m = (p + q)/2: between 0 and log 2, and exactly log 2 if the supports are disjoint."""
    total = np.add(p, q)  # not divided by 2: half of the smallest positive number is 0
    mass = float(total.sum() * cell)
    return (kl_divergence(p, total, cell) + kl_divergence(q, total, cell) + math.log(2) * mass) / 2


def optimal_discriminator(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """D* = p/(p + q), with the real density p and the generator's density q (Goodfellow et al. 2014, proposition 1).

    With D*, the value of the game, E[log D(x)] + E[log(1 − D(G(z)))], is 2 JS(p, q) − 2 log 2 (theorem 1). Where both
    densities are 0, every D is optimal; ½ is returned there.
    """
    total = np.add(p, q, dtype=float)
    return np.divide(p, total, out=np.full_like(total, 0.5), where=total > 0)


@dataclass(frozen=True)
class Divergences:
    """Divergences between a distribution and the same distribution shifted by θ; inf if infinite."""

    js: float
    kl: float
    wasserstein: float


def segment_divergences(theta: float) -> Divergences:
    """The divergences of the two segments. They depend only on the line, 0 or θ, on which a point lies."""
    p, q = ([1.0, 0.0], [0.0, 1.0]) if theta else ([1.0], [1.0])
    return Divergences(js=js_divergence(p, q), kl=kl_divergence(p, q), wasserstein=abs(theta))


def gaussian(x: np.ndarray, mean: float, sigma: float) -> np.ndarray:
    """Density of N(mean, sigma²)."""
    return np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))


def gaussian_divergences(theta: float, sigma: float) -> Divergences:
    """The divergences of N(0, sigma²) and N(θ, sigma²). JS has no closed form and is summed on a grid."""
    x, cell = _grid(theta, sigma)
    js = js_divergence(gaussian(x, 0.0, sigma), gaussian(x, theta, sigma), cell)
    return Divergences(js=js, kl=theta**2 / (2 * sigma**2), wasserstein=abs(theta))


class Gradients(NamedTuple):
    """d/dθ of the generator's two losses."""

    minimax: float
    non_saturating: float


def gaussian_gradients(theta: float, sigma: float) -> Gradients:
    """The gradients of a generator of N(θ, sigma²), where the discriminator stays D* while θ moves.

    The gradient of the minimax loss is that of 2 JS. It goes to 0 as the Gaussians move apart. The gradient of the
    non-saturating loss is that of KL(q‖p) − 2 JS (Arjovsky and Bottou 2017, theorem 2.5). It goes to θ/sigma², the
    slope of D*'s logit.
    """
    x, cell = _grid(theta, sigma)
    p, q = gaussian(x, 0.0, sigma), gaussian(x, theta, sigma)
    mean_output = float(np.sum(q * optimal_discriminator(p, q)) * cell)  # E[D*(G(z))]
    slope = theta / sigma**2
    return Gradients(minimax=slope * mean_output, non_saturating=slope * (1 - mean_output))


class _Grid(NamedTuple):
    """Points around both means, and the distance between neighbours."""

    x: np.ndarray
    cell: float


def _grid(theta: float, sigma: float) -> _Grid:
    x = np.linspace(min(0.0, theta) - 10 * sigma, max(0.0, theta) + 10 * sigma, 20001)
    return _Grid(x, x[1] - x[0])


def penalised_distance(theta: float, weight: float) -> float:
    """The distance of the segments that WGAN-GP's critic finds with the penalty weight λ: |θ| + θ²/2λ.

    The penalty has a price, and is not a bound. A critic of slope s from one segment to the other gains s|θ| and pays
    λ(s − 1)². The difference is largest at s = 1 + |θ|/2λ. (This is for critics that are constant along the segments;
    others gain hardly more.)
    """
    return abs(theta) + theta**2 / (2 * weight)


def clipped_distance(theta: float, bound: float) -> float:
    """An upper bound of the distance for every critic of this module with weights in ±bound.

    A hidden unit adds at most bound² to the slope.
    """
    return _WIDTH * bound**2 * abs(theta)


# ---- The same by training.


class Segment(nn.Layer):
    """A generator of points (θ, height) as images [N, 2, 1, 1]. For normal latents, heights are uniform in [0, 1]."""

    latent_dim = 1

    def __init__(self, theta: float):
        super().__init__()
        self.theta = self.create_parameter([1], default_initializer=nn.initializer.Constant(theta))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        heights = 0.5 + 0.5 * paddle.erf(latents / math.sqrt(2))
        return paddle.concat([self.theta + paddle.zeros_like(heights), heights], axis=1).reshape([-1, 2, 1, 1])


@dataclass(frozen=True)
class Trace:
    """Measurements of a discriminator that learns while the generator does not change: arrays with one value for each.

    Attributes:
        steps: discriminator steps done.
        js: log 2 minus half of its loss. This is at most the JS divergence, and equal to it for D*.
        minimax, non_saturating: d/dθ of the generator's two losses.
        bound: upper bound of |minimax|: ε/(1 − ε), where ε is the largest value of D + ‖∇D‖ on the generator's segment,
            on which D* = 0 (Arjovsky and Bottou 2017, theorem 2.4, with M = 1); inf as long as ε ≥ 1.
    """

    steps: np.ndarray
    js: np.ndarray
    minimax: np.ndarray
    non_saturating: np.ndarray
    bound: np.ndarray


def trace_discriminator(theta: float, steps: Sequence[int], seed: int = 0) -> Trace:
    """Train the discriminator of `OBJECTIVES["gan"]` at a fixed θ, and measure it after each number in `steps`."""
    done, rows = 0, []
    with seeded("theory", seed):
        task = _start("gan", theta)
        for count in sorted(steps):
            _train_discriminator(task, count - done)
            done = count
            js = math.log(2) - _discriminator_loss(task) / 2
            minimax = _generator_gradient(task, OBJECTIVES["gan-minimax"])
            non_saturating = _generator_gradient(task, OBJECTIVES["gan"])
            rows.append((count, js, minimax, non_saturating, _vanishing_bound(task)))
    columns = np.array(rows).T
    return Trace(steps=columns[0], js=columns[1], minimax=columns[2], non_saturating=columns[3], bound=columns[4])


@dataclass(frozen=True)
class Estimate:
    """What a critic says.

    Attributes:
        distance: E[f(x)] − E[f(G(z))], its estimate of the Wasserstein distance.
        gradient: d/dθ of the generator's loss.
    """

    distance: float
    gradient: float


def critic_estimate(theta: float, steps: int, seed: int = 0, clip: float | None = None) -> Estimate:
    """Train the critic of WGAN-GP at a fixed θ; with `clip`, the critic of WGAN with its weights in ±clip."""
    with seeded("theory", seed):
        task = _start("wgan" if clip else "wgan-gp", theta, clip)
        _train_discriminator(task, steps)
        return Estimate(-_discriminator_loss(task), _generator_gradient(task, task.objective))


def theta_path(name: str, theta: float, rounds: int, steps: int, seed: int = 0) -> np.ndarray:
    """θ over the rounds, [rounds + 1], when the generator follows its gradient with plain gradient descent.

    Args:
        name: of the objective; each generator step has five discriminator steps.
        theta: value at the start.
        rounds: number of generator steps.
        steps: discriminator steps before the first round.
        seed: of everything that is random.
    """
    path = [theta]
    with seeded("theory", seed):
        task = _start(name, theta)
        _train_discriminator(task, steps)

    def record(_: Task, values: Values | None) -> None:
        path.append(number(_theta(task)))

    train(task, _real_batch, steps=rounds, seed=seed, log_every=rounds, callbacks=[record])
    return np.array(path)


def _start(name: str, theta: float, clip: float | None = None) -> NoiseToImage:
    """The task of an objective at step 0; for WGAN with weights in ±clip if that is given.

    Clipped critics keep RMSProp, with a learning rate that fits the bound. The others get Adam with its usual β, also
    WGAN-GP: the Adam of its paper, with β (0, 0.9), follows the signs of the gradients of the batches more than their
    mean, and the estimates stay several per cent away from the exact values.
    """
    objective = OBJECTIVES[name]
    clip = clip or objective.weight_clip
    recipe = replace(objective.optimizer, learning_rate=clip / 20) if clip else Adam(learning_rate=5e-3)
    return assemble(
        partial(Segment, theta),
        partial(MLPDiscriminator, image_size=1, channels=2, width=_WIDTH),
        replace(objective, weight_clip=clip, discriminator_steps=5),
        generator_optimizer=lambda parameters: paddle.optimizer.SGD(_GENERATOR_RATE, parameters),
        discriminator_optimizer=recipe.build,
    )


def _theta(task: NoiseToImage) -> Tensor:
    return task.generator.network.theta


def _real_batch(step: int) -> tuple[Tensor, None]:
    return Segment(0.0)(paddle.randn([_BATCH_SIZE, 1])).detach(), None


def _train_discriminator(task: NoiseToImage, steps: int) -> None:
    for step in range(steps):
        real, labels = _real_batch(step)
        discriminator_step(task, real, labels, paddle.randn([_BATCH_SIZE, 1]))


def _even_latents() -> Tensor:
    """Latents [N, 1] for which the heights are evenly spaced."""
    heights = (paddle.arange(_POINTS, dtype="float32") + 0.5) / _POINTS
    return (math.sqrt(2) * paddle.erfinv(2 * heights - 1)).reshape([-1, 1])


class _Logits(NamedTuple):
    """The discriminator's logits [N] at evenly spaced real and generated points."""

    real: Tensor
    fake: Tensor


def _logits(task: NoiseToImage) -> _Logits:
    latents, discriminator = _even_latents(), task.discriminator.network
    return _Logits(discriminator(Segment(0.0)(latents)), discriminator(task.generator.network(latents)))


def _discriminator_loss(task: NoiseToImage) -> float:
    logits = _logits(task)
    return number(task.objective.discriminator_loss(logits.real, logits.fake))


def _generator_gradient(task: NoiseToImage, objective: Objective) -> float:
    """d/dθ of the generator's loss."""
    return number(paddle.grad(objective.generator_loss(_logits(task).fake), _theta(task))[0])


def _vanishing_bound(task: NoiseToImage) -> float:
    points = task.generator.network(_even_latents()).detach()
    points.stop_gradient = False
    outputs = nn.functional.sigmoid(task.discriminator.network(points))
    slopes = paddle.grad(outputs.sum(), points)[0].square().sum([1, 2, 3]).sqrt()
    epsilon = number((outputs + slopes).max())
    return epsilon / (1 - epsilon) if epsilon < 1 else math.inf
