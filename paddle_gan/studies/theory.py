"""Why a GAN's generator may learn nothing, and what WGAN changes: in closed form, and by training.

The example is that of Arjovsky et al. 2017 (WGAN, example 1): two parallel segments of length 1, the
real one at 0, the generator's at θ, its only parameter. Gaussians shifted by θ show the same smoothly.
Divergences are in nats. A point is an image of 1×1 with two channels, so that networks, objectives and
training steps are those of everything else here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.networks.discriminators import MLPDiscriminator
from paddle_gan.objectives.objective import OBJECTIVES, Objective
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.system.runtime import seed_all
from paddle_gan.training.loop import TrainState, discriminator_step, train

_WIDTH = 64  # hidden units of every discriminator and critic here: one layer of them
_BATCH = 256
_POINTS = 1024  # on each segment, where networks are measured
_GENERATOR_RATE = 0.02


# ---- Closed forms.


def kl_divergence(p: np.ndarray, q: np.ndarray, cell: float = 1.0) -> float:
    """KL(p‖q) = Σ p log(p/q) · cell of probabilities, or of densities on a grid; inf where p > 0 = q."""
    p, q = np.asarray(p, float), np.asarray(q, float)
    there = p > 0
    with np.errstate(divide="ignore"):
        return float(np.sum(p[there] * (np.log(p[there]) - np.log(q[there]))) * cell)


def js_divergence(p: np.ndarray, q: np.ndarray, cell: float = 1.0) -> float:
    """½KL(p‖m) + ½KL(q‖m) with m = (p + q)/2; between 0 and log 2, and log 2 for disjoint supports."""
    total = np.add(p, q)  # not halved: half of the smallest number is 0
    mass = float(total.sum() * cell)
    return (kl_divergence(p, total, cell) + kl_divergence(q, total, cell) + math.log(2) * mass) / 2


def optimal_discriminator(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """D* = p/(p + q), real density p, the generator's q (Goodfellow et al. 2014, proposition 1).

    With it the game's value E[log D(x)] + E[log(1 − D(G(z)))] is 2 JS(p, q) − 2 log 2 (theorem 1).
    Where neither density is positive any D is optimal, and ½ is returned.
    """
    total = np.add(p, q, dtype=float)
    return np.divide(p, total, out=np.full_like(total, 0.5), where=total > 0)


@dataclass(frozen=True)
class Divergences:
    """Between a distribution and the same one shifted by θ; inf where infinite."""

    js: float
    kl: float
    wasserstein: float


def segment_divergences(theta: float) -> Divergences:
    """Of the two segments: all that can differ is the line, 0 or θ, on which a point lies."""
    p, q = ([1.0, 0.0], [0.0, 1.0]) if theta else ([1.0], [1.0])
    return Divergences(js_divergence(p, q), kl_divergence(p, q), abs(theta))


def gaussian(x: np.ndarray, mean: float, sigma: float) -> np.ndarray:
    """Density of N(mean, sigma²)."""
    return np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))


def gaussian_divergences(theta: float, sigma: float) -> Divergences:
    """Of N(0, sigma²) and N(θ, sigma²); JS has no closed form and is summed on a grid."""
    x, cell = _grid(theta, sigma)
    js = js_divergence(gaussian(x, 0.0, sigma), gaussian(x, theta, sigma), cell)
    return Divergences(js, theta**2 / (2 * sigma**2), abs(theta))


def gaussian_gradients(theta: float, sigma: float) -> tuple[float, float]:
    """d/dθ of the minimax and of the non-saturating loss of a generator of N(θ, sigma²), with D* held.

    The first is that of 2 JS and goes to 0 as the two part. The second is that of KL(q‖p) − 2 JS
    (Arjovsky and Bottou 2017, theorem 2.5) and goes to θ/sigma², the slope of D*'s logit.
    """
    x, cell = _grid(theta, sigma)
    p, q = gaussian(x, 0.0, sigma), gaussian(x, theta, sigma)
    believed = float(np.sum(q * optimal_discriminator(p, q)) * cell)  # E[D*(G(z))]
    slope = theta / sigma**2
    return slope * believed, slope * (1 - believed)


def _grid(theta: float, sigma: float) -> tuple[np.ndarray, float]:
    """Points around both means, and the distance between neighbours."""
    x = np.linspace(min(0.0, theta) - 10 * sigma, max(0.0, theta) + 10 * sigma, 20001)
    return x, x[1] - x[0]


def penalised_distance(theta: float, weight: float) -> float:
    """What WGAN-GP's critic estimates of the segments with the penalty's weight λ: |θ| + θ²/2λ.

    The penalty is a price, not a bound: slope s from one segment to the other gains s|θ| − λ(s − 1)²,
    most at s = 1 + |θ|/2λ. (For critics that are level along the segments; others gain hardly more.)
    """
    return abs(theta) + theta**2 / (2 * weight)


def clipped_distance(theta: float, bound: float) -> float:
    """What no critic of this module with weights in ±bound exceeds: each hidden unit adds at most bound² of slope."""
    return _WIDTH * bound**2 * abs(theta)


# ---- The same, trained.


class Segment(nn.Layer):
    """A generator of points (θ, height) as images [N, 2, 1, 1]; heights are uniform in [0, 1] for normal latents."""

    latent_dim = 1

    def __init__(self, theta: float):
        super().__init__()
        self.theta = self.create_parameter([1], default_initializer=nn.initializer.Constant(theta))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        heights = 0.5 + 0.5 * paddle.erf(latents / math.sqrt(2))
        return paddle.concat([self.theta + paddle.zeros_like(heights), heights], axis=1).reshape([-1, 2, 1, 1])


@dataclass(frozen=True)
class Trace:
    """A GAN's discriminator while it learns and the generator rests; arrays, one value a measurement.

    Attributes:
        steps: discriminator steps done.
        js: log 2 less half of its loss: at most the JS divergence, equal to it for D*.
        minimax, non_saturating: d/dθ of the generator's two losses.
        bound: of |minimax|, ε/(1 − ε) with ε the largest D + ‖∇D‖ on the generator's segment, where
            D* = 0 (Arjovsky and Bottou 2017, theorem 2.4, with M = 1); inf while ε ≥ 1.
    """

    steps: np.ndarray
    js: np.ndarray
    minimax: np.ndarray
    non_saturating: np.ndarray
    bound: np.ndarray


def trace_discriminator(theta: float, steps: Sequence[int], seed: int = 0) -> Trace:
    """Train the discriminator of `OBJECTIVES["gan"]` at a fixed θ, and measure it after each number of `steps`."""
    state, done, rows = _start("gan", theta, seed), 0, []
    for number in sorted(steps):
        _train_discriminator(state, number - done)
        done = number
        js = math.log(2) - state.objective.discriminator_loss(*_logits(state)).item() / 2
        gradients = (_generator_gradient(state, OBJECTIVES[name]) for name in ("gan-minimax", "gan"))
        rows.append((number, js, *gradients, _vanishing_bound(state)))
    return Trace(*np.array(rows).T)


@dataclass(frozen=True)
class Estimate:
    """A critic's E[f(x)] − E[f(G(z))], which stands for the Wasserstein distance, and d/dθ of the generator's loss."""

    distance: float
    gradient: float


def critic_estimate(theta: float, steps: int, seed: int = 0, clip: float | None = None) -> Estimate:
    """Train the critic of WGAN-GP at a fixed θ, or with `clip` that of WGAN with its weights in ±clip."""
    state = _start("wgan" if clip else "wgan-gp", theta, seed, clip)
    _train_discriminator(state, steps)
    distance = -state.objective.discriminator_loss(*_logits(state)).item()
    return Estimate(distance, _generator_gradient(state, state.objective))


def theta_path(name: str, theta: float, rounds: int, steps: int, seed: int = 0) -> np.ndarray:
    """θ of a generator that follows its plain gradient against a discriminator trained before, [rounds + 1].

    Args:
        name: of the objective; five discriminator steps to each of the generator's.
        theta: where it starts.
        steps: of the discriminator before the first round.
    """
    state = _start(name, theta, seed)
    _train_discriminator(state, steps)
    path = [theta]
    train(state, _real_batch, rounds, seed, rounds, [lambda state, _: path.append(state.generator.theta.item())])
    return np.array(path)


def _start(name: str, theta: float, seed: int, clip: float | None = None) -> TrainState:
    """Networks and optimisers of an objective at step 0, for WGAN with weights in ±clip if not in the recipe's.

    Clipped critics keep RMSProp, at a rate that fits the bound. The others get Adam with its usual
    memory, also WGAN-GP's, whose own (0, 0.9) follows the signs of the batches' gradients more than
    their mean: its estimates stay several per cent off.
    """
    objective = OBJECTIVES[name]
    clip = clip or objective.weight_clip
    optimizer = replace(objective.optimizer, learning_rate=clip / 20) if clip else Adam(learning_rate=5e-3)
    objective = replace(objective, weight_clip=clip, discriminator_steps=5)
    seed_all("theory", seed)
    generator, average, discriminator = Segment(theta), Segment(theta), MLPDiscriminator(1, 2, _WIDTH)
    sgd = paddle.optimizer.SGD(_GENERATOR_RATE, generator.parameters())
    return TrainState(generator, discriminator, average, sgd, optimizer.build(discriminator.parameters()), objective)


def _real_batch(number: int) -> tuple[Tensor, None]:
    return Segment(0.0)(paddle.randn([_BATCH, 1])).detach(), None


def _train_discriminator(state: TrainState, steps: int) -> None:
    for number in range(steps):
        discriminator_step(state, *_real_batch(number), paddle.randn([_BATCH, 1]))


def _even_latents() -> Tensor:
    """Latents [N, 1] whose heights are evenly spaced."""
    heights = (paddle.arange(_POINTS, dtype="float32") + 0.5) / _POINTS
    return (math.sqrt(2) * paddle.erfinv(2 * heights - 1)).reshape([-1, 1])


def _logits(state: TrainState) -> tuple[Tensor, Tensor]:
    """Of evenly spaced real and generated points."""
    latents = _even_latents()
    return state.discriminator(Segment(0.0)(latents)), state.discriminator(state.generator(latents))


def _generator_gradient(state: TrainState, objective: Objective) -> float:
    """d/dθ of the generator's loss."""
    return paddle.grad(objective.generator_loss(_logits(state)[1]), state.generator.theta)[0].item()


def _vanishing_bound(state: TrainState) -> float:
    points = state.generator(_even_latents()).detach()
    points.stop_gradient = False
    outputs = nn.functional.sigmoid(state.discriminator(points))
    slopes = paddle.grad(outputs.sum(), points)[0].square().sum([1, 2, 3]).sqrt()
    epsilon = (outputs + slopes).max().item()
    return epsilon / (1 - epsilon) if epsilon < 1 else math.inf
