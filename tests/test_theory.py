"""The theory agrees with closed forms and independent implementations, and trained networks agree with the theory."""

import json
import math

import numpy as np
import ot
import paddle
import pytest
import scipy.integrate
import scipy.stats
from conftest import command_line
from PIL import Image

from paddle_gan.objectives import OBJECTIVES
from paddle_gan.studies import theory

WEIGHT = OBJECTIVES["wgan-gp"].penalties[0].weight


def test_divergences_of_a_fair_and_a_biased_coin():
    p, q = np.array([0.5, 0.5]), np.array([0.9, 0.1])
    assert theory.kl_divergence(p, q) == pytest.approx(0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1), rel=1e-14)
    entropy = scipy.stats.entropy
    assert theory.js_divergence(p, q) == pytest.approx(
        (entropy(p, (p + q) / 2) + entropy(q, (p + q) / 2)) / 2, rel=1e-14
    )
    assert theory.kl_divergence([1, 0], q) == pytest.approx(math.log(1 / 0.9)), "0 log 0 is 0"
    assert theory.kl_divergence(q, [1, 0]) == math.inf
    assert theory.optimal_discriminator([3, 0, 1, 0], [1, 2, 0, 0]).tolist() == [0.75, 0, 1, 0.5]


@pytest.mark.parametrize("theta", [-3.0, 1e-9, 0.5])
def test_segments_apart(theta):
    apart = theory.segment_divergences(theta)
    assert (apart.js, apart.kl, apart.wasserstein) == (pytest.approx(math.log(2), rel=1e-15), math.inf, abs(theta))


def test_segments_in_the_same_place():
    assert theory.segment_divergences(0.0) == theory.Divergences(0.0, 0.0, 0.0)


@pytest.mark.parametrize("theta", [-2.0, 0.0, 0.3, 40.0])
def test_gaussians(theta):
    sigma = 0.5
    p, q = scipy.stats.norm(0, sigma), scipy.stats.norm(theta, sigma)
    log_middle = lambda x: np.logaddexp(p.logpdf(x), q.logpdf(x)) - math.log(2)  # noqa: E731
    integrand = lambda x: p.pdf(x) * (p.logpdf(x) - log_middle(x))  # noqa: E731
    js, _ = scipy.integrate.quad(integrand, -8, 8, points=[-1, 0, 1], epsabs=1e-13)  # both halves are equal
    found = theory.gaussian_divergences(theta, sigma)
    assert found.js == pytest.approx(js, rel=1e-9, abs=1e-12)
    quantiles = (np.arange(1000) + 0.5) / 1000
    distance = scipy.stats.wasserstein_distance(p.ppf(quantiles), q.ppf(quantiles))
    assert found.wasserstein == pytest.approx(distance, rel=1e-12)
    if abs(theta) < 10:
        x = np.linspace(-12, 12, 5001)
        kl = theory.kl_divergence(p.pdf(x), q.pdf(x), x[1] - x[0])
        assert found.kl == pytest.approx(kl, rel=1e-9, abs=1e-12)


def test_value_of_the_game_with_the_optimal_discriminator():
    """It is 2 JS − 2 log 2 (Goodfellow et al. 2014, theorem 1), and no other discriminator has more."""
    x = np.linspace(-6, 7, 4001)
    p, q = theory.gaussian(x, 0.0, 0.5), theory.gaussian(x, 1.0, 0.5)

    def value(d):
        return np.sum(p * np.log(d) + q * np.log1p(-d)) * (x[1] - x[0])

    best = theory.optimal_discriminator(p, q)
    assert value(best) == pytest.approx(2 * theory.gaussian_divergences(1.0, 0.5).js - 2 * math.log(2), abs=1e-12)
    for other in (best**1.1, best**0.9, 0.5 * best + 0.25, 0.99 * best):
        assert value(other) < value(best) - 1e-5


@pytest.mark.parametrize("theta", [-1.5, -0.2, 0.4, 1.0, 3.0])
def test_gradients_with_the_optimal_discriminator_are_those_of_the_divergences(theta):
    """They are those of 2 JS and of KL − 2 JS (Arjovsky and Bottou 2017, theorem 2.5), by finite differences."""
    sigma, step = 0.5, 1e-4
    above, below = (theory.gaussian_divergences(theta + move, sigma) for move in (step, -step))
    js, kl = (above.js - below.js) / (2 * step), (above.kl - below.kl) / (2 * step)
    minimax, non_saturating = theory.gaussian_gradients(theta, sigma)
    assert minimax == pytest.approx(2 * js, rel=1e-5, abs=1e-9)
    assert non_saturating == pytest.approx(kl - 2 * js, rel=1e-5)


def test_minimax_gradient_vanishes_and_the_other_does_not():
    near, far = theory.gaussian_gradients(0.5, 0.25), theory.gaussian_gradients(4.0, 0.25)
    assert near[0] > 1 and 0 < far[0] < 1e-10
    assert far[1] == pytest.approx(4.0 / 0.25**2, rel=1e-9)
    assert theory.gaussian_gradients(40.0, 0.25) == (0.0, pytest.approx(40.0 / 0.25**2, rel=1e-9))


def points(theta: float, latents: np.ndarray) -> np.ndarray:
    return theory.Segment(theta)(paddle.to_tensor(latents, "float32")).numpy()[:, :, 0, 0]


def test_points_of_a_segment():
    latents = np.random.default_rng(0).normal(size=(500, 1))
    drawn = points(-0.75, latents)
    assert (drawn[:, 0] == -0.75).all()
    np.testing.assert_allclose(drawn[:, 1:], scipy.stats.norm.cdf(latents), atol=1e-6)


@pytest.mark.parametrize("theta", [-0.5, 1.0, 2.0])
def test_wasserstein_distance_of_samples_in_the_plane(theta):
    """By optimal transport between points: |θ|, or a little more if the heights are not the same."""
    latents = np.random.default_rng(1).normal(size=(2, 300, 1))
    real, same, other = points(0.0, latents[0]), points(theta, latents[0]), points(theta, latents[1])

    def distance(a, b):
        return ot.emd2([], [], ot.dist(a.astype(float), b.astype(float), "euclidean"))

    exact = theory.segment_divergences(theta).wasserstein
    assert distance(real, same) == pytest.approx(exact, rel=1e-6)
    assert exact <= distance(real, other) < exact + 0.02


@pytest.fixture(scope="module")
def trace():
    return theory.trace_discriminator(1.0, [0, 20, 60, 180], seed=3)


def test_discriminator_finds_the_js_divergence(trace):
    assert trace.steps.tolist() == [0, 20, 60, 180]
    assert (np.diff(trace.js) > 0).all()
    assert 0.98 * math.log(2) < trace.js[-1] < math.log(2)


def test_generator_of_a_good_discriminator_loses_its_gradient(trace):
    assert trace.minimax[1] > 0.1 and 0 < trace.minimax[-1] < 0.05 < trace.minimax[-2] < trace.minimax[1]
    assert trace.non_saturating[-1] > 100 * trace.minimax[-1]
    assert (np.abs(trace.minimax) <= trace.bound).all()
    assert trace.bound[-1] < 0.1, "a bound that says something"


def test_same_seed_same_numbers(trace):
    again = theory.trace_discriminator(1.0, [0, 20, 60], seed=3)
    np.testing.assert_array_equal(again.minimax, trace.minimax[:3])
    assert theory.trace_discriminator(1.0, [0], seed=4).minimax[0] != trace.minimax[0]


@pytest.mark.parametrize("theta", [-1.0, 0.5, 2.0])
def test_critic_with_penalty_finds_the_distance(theta):
    """The generator's gradient is 1. Both differ by what the finite weight of the penalty adds."""
    found = theory.critic_estimate(theta, steps=300)
    assert found.distance == pytest.approx(theory.penalised_distance(theta, WEIGHT), rel=0.01)
    assert found.distance == pytest.approx(abs(theta), rel=0.11)
    assert found.gradient == pytest.approx(math.copysign(1 + abs(theta) / (2 * WEIGHT), theta), rel=0.02)


def test_clipped_critic_finds_a_multiple_that_depends_on_the_bound():
    for theta in (0.5, 1.0):
        small, large = (theory.critic_estimate(theta, 150, clip=clip).distance for clip in (0.1, 0.2))
        assert 0.7 < small / theory.clipped_distance(theta, 0.1) <= 1
        assert large / small == pytest.approx(4, rel=0.15)


def test_generator_that_follows_its_gradient():
    minimax, wgan_gp = (theory.theta_path(name, 1.0, 30, 200) for name in ("gan-minimax", "wgan-gp"))
    assert len(minimax) == len(wgan_gp) == 31 and minimax[0] == wgan_gp[0] == 1
    assert 0.97 < minimax[-1] < 1
    np.testing.assert_allclose(np.diff(wgan_gp), -0.02 * 1.05, rtol=0.06)


def test_command_writes_the_figure_and_the_numbers(tmp_path):
    done = command_line("theory", "--steps", 2, "--out", tmp_path / "new")
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["theory.json", "theory.png"]
    assert Image.open(tmp_path / "new" / "theory.png").size == (1320, 990)
    numbers = json.loads((tmp_path / "new" / "theory.json").read_text(), parse_constant=pytest.fail)
    assert [point["exact"]["kl"] for point in numbers["segments"]] == ["inf"] * 6
    assert numbers["segments"][0]["discriminator"]["steps"] == [0, 1, 2]
    assert len(numbers["paths"]["gan"]) == 101
    assert done.stdout.count("\n") == 18 and "-2.00  2.000" in done.stdout


def test_command_refuses_no_steps():
    done = command_line("theory", "--steps", 0)
    assert done.returncode == 2 and done.stderr == "error: --steps 0: must be more than 0\n"
