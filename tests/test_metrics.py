"""The metrics against closed forms, brute force and independent implementations (SciPy, POT, figures from prdc)."""

import math
import subprocess
import sys
import tracemalloc

import numpy as np
import ot
import pytest
import scipy.linalg
from conftest import ROOT
from scipy.spatial.distance import cdist
from scipy.special import xlogy

from paddle_gan import metrics
from paddle_gan.errors import NumericalError
from paddle_gan.metrics import Moments, frechet_distance


def features(count, size, seed=0, scale=1.0, mean=0.0):
    """Correlated and skewed features: no metric can take a Gaussian's short cuts."""
    generator = np.random.default_rng(seed)
    return np.exp(0.3 * generator.normal(size=(count, size)) @ generator.normal(size=(size, size))) * scale + mean


def lattice(count, side, seed):
    """Far from the origin, on a few places only: copies and equal distances everywhere, all exact in integers."""
    return np.random.default_rng(seed).integers(0, side, size=(count, 3)) + 100_000


def gaussian(mean, covariance):
    """Moments that are exactly these."""
    mean, covariance = np.array(mean, float), np.array(covariance, float)
    return Moments(3, 3 * mean, 2 * covariance)


def test_no_paddle_is_imported():
    program = "import sys, paddle_gan.metrics; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60).returncode == 0


# Fréchet distance


def test_moments_are_numpys():
    x = features(2500, 7)
    moments = Moments().add(x)
    assert moments.count == 2500
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(x, rowvar=False), rtol=1e-12)


@pytest.mark.parametrize("cuts", [[], [1], [1024], [1, 2, 1500], list(range(100, 2500, 100))])
def test_moments_do_not_depend_on_the_batches(cuts):
    x = features(2500, 5, mean=100)
    whole, parts = Moments().add(x), Moments()
    for batch in np.split(x, cuts):
        assert parts.add(batch) is parts
    assert parts.count == 2500
    np.testing.assert_allclose(parts.sum, whole.sum, rtol=1e-10)
    np.testing.assert_allclose(parts.products, whole.products, rtol=1e-10)


def test_moments_are_exact_far_from_the_origin():
    x = np.random.default_rng(0).integers(-500, 500, size=(3000, 4)) / 256
    moments = Moments()
    for batch in np.array_split(x + 1e4, 13):
        moments.add(batch)
    np.testing.assert_allclose(moments.mean - 1e4, x.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(moments.covariance, np.cov(x, rowvar=False), rtol=1e-10, atol=1e-10)
    single = Moments().add((x + 1e4).astype(np.float32))  # these are exact in float32
    np.testing.assert_allclose(single.covariance, moments.covariance, rtol=1e-10, atol=1e-10)


def test_frechet_distance_of_commuting_gaussians():
    """|mu|^2 + sum (sigma_a - sigma_b)^2, in rotated axes."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    a = gaussian([1, 2, 3], rotation @ np.diag([1, 4, 9]) @ rotation.T)
    b = gaussian([1, 0, 4], rotation @ np.diag([4, 4, 0.25]) @ rotation.T)
    assert frechet_distance(a, b) == pytest.approx(5 + 1 + 0 + 2.5**2, rel=1e-12)
    line = frechet_distance(gaussian([0], [[4]]), gaussian([3], [[25]]))
    assert line == pytest.approx(9 + 9, rel=1e-12)


def test_frechet_distance_of_2x2_covariances():
    """Tr (A B)^(1/2) = sqrt(Tr AB + 2 sqrt(det AB)) for two dimensions."""
    a, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, -0.5], [-0.5, 4.0]])
    overlap = math.sqrt(np.trace(a @ b) + 2 * math.sqrt(np.linalg.det(a @ b)))
    expected = np.trace(a) + np.trace(b) - 2 * overlap
    assert frechet_distance(gaussian([0, 0], a), gaussian([0, 0], b)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("size", [1, 5, 60])
def test_frechet_distance_is_that_of_scipys_matrix_root(size):
    a, b = features(400, size), features(300, size, seed=1, scale=1.3, mean=0.2)
    root = scipy.linalg.sqrtm(np.atleast_2d(np.cov(a, rowvar=False)) @ np.atleast_2d(np.cov(b, rowvar=False)))
    trace = a.var(axis=0, ddof=1).sum() + b.var(axis=0, ddof=1).sum() - 2 * np.trace(root).real
    expected = np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + trace
    moments = Moments().add(a), Moments().add(b)
    assert frechet_distance(*moments) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(*moments[::-1]) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("count", "size"), [(500, 20), (20, 50), (2, 4), (30, 30)])
def test_frechet_distance_of_equal_and_of_shifted_sets(count, size):
    """0 and |d|^2, also where the covariance has no full rank."""
    x, shift = features(count, size), np.arange(size) / size
    moments = Moments().add(x)
    scale = np.trace(moments.covariance)
    assert 0 <= frechet_distance(moments, moments) < 1e-12 * scale
    assert 0 <= frechet_distance(moments, Moments().add(x[::-1])) < 1e-12 * scale
    squared = np.square(shift).sum()
    assert frechet_distance(moments, Moments().add(x + shift)) == pytest.approx(squared, abs=1e-12 * (scale + squared))


def test_frechet_distance_of_rank_deficient_sets():
    a, b = features(20, 50), features(30, 50, seed=1)
    centred = a - a.mean(axis=0), b - b.mean(axis=0)
    # The overlap from the features themselves: the nuclear norm of one set's products with the other.
    overlap = np.linalg.norm(centred[0] @ centred[1].T, "nuc") / math.sqrt(19 * 29)
    trace = np.square(centred[0]).sum() / 19 + np.square(centred[1]).sum() / 29 - 2 * overlap
    expected = np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + trace
    assert frechet_distance(Moments().add(a), Moments().add(b)) == pytest.approx(expected, rel=1e-11)


def test_frechet_distance_without_a_common_direction():
    """Nothing overlaps: the traces add up. So it is for a set without any spread."""
    a, b = np.zeros((10, 40)), np.zeros((12, 40))
    a[:, :20], b[:, 20:] = features(10, 20), features(12, 20, seed=1)
    moments = Moments().add(a), Moments().add(b), Moments().add(np.ones((5, 40)))
    shift = np.square(moments[0].mean - moments[1].mean).sum()
    traces = [np.trace(m.covariance) for m in moments]
    assert traces[2] == 0
    assert frechet_distance(*moments[:2]) == pytest.approx(shift + traces[0] + traces[1], rel=1e-12)
    expected = np.square(moments[0].mean - 1).sum() + traces[0]
    assert frechet_distance(moments[0], moments[2]) == pytest.approx(expected, rel=1e-12)


# Kernel distance


def test_kernel_distance_of_four_numbers():
    """The reference -1, 1 is standardised already; (x y + 1)^3 by hand: 0 + 7^3 - 2 (1 + 3 (4 + 9) / 2)."""
    reference, samples = np.array([[-1.0], [1.0]]), np.array([[2.0], [3.0]])
    assert metrics.kernel_distance(reference, samples) == pytest.approx(302, rel=1e-12)
    moved = metrics.kernel_distance(reference * 250 + 1e4, samples * 250 + 1e4)
    assert moved == pytest.approx(302, rel=1e-10)


@pytest.mark.parametrize(("n", "m"), [(30, 20), (1025, 1100)])
def test_kernel_distance_is_the_u_statistic(n, m):
    x, y = features(n, 6), features(m, 6, seed=1)
    a, b = ((z - x.mean(axis=0)) / x.std(axis=0) for z in (x, y))
    within_a, within_b, between = ((z @ w.T / 6 + 1) ** 3 for z, w in ((a, a), (b, b), (a, b)))
    off_a, off_b = (within[~np.eye(len(within), dtype=bool)] for within in (within_a, within_b))
    expected = off_a.mean() + off_b.mean() - 2 * between.mean()
    assert metrics.kernel_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert metrics.kernel_distance(x.astype(np.float32), y.astype(np.float32)) == pytest.approx(expected, rel=1e-5)


def test_kernel_distance_does_not_blow_up_what_hardly_varies_in_the_reference():
    """Deviations 1 and 0: the second is taken for a tenth of sqrt(1/2). On that scale the samples are at (0, 2)."""
    reference = np.array([[-1.0, 5.0], [1.0, 5.0]])
    samples = np.full((2, 2), (0.0, 5.0 + 2 * 0.1 * np.sqrt(0.5)))
    within_reference, within_samples, between = (-1 / 2 + 1) ** 3, (2 * 2 / 2 + 1) ** 3, 1
    expected = within_reference + within_samples - 2 * between
    assert metrics.kernel_distance(reference, samples) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="constant"):
        metrics.kernel_distance(np.full((5, 2), 0.1), samples)


# Nearest neighbours


def exact_distances(x, y):
    """Between lattices, from integers."""
    return np.sqrt(np.square(x[:, None] - y[None]).sum(axis=2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "m"), [(3, 1), (1024, 1025), (1500, 1100)])
def test_nearest_is_brute_force(n, m, dtype):
    x, y = features(n, 8, mean=50).astype(dtype), features(m, 8, seed=1, mean=50).astype(dtype)
    distances = cdist(x, y)
    indices, found = metrics.nearest(x, y)
    assert indices.dtype == np.int64 and found.dtype == np.float64
    np.testing.assert_array_equal(indices, distances.argmin(axis=1))
    np.testing.assert_allclose(found, distances.min(axis=1), rtol=1e-12)


def test_nearest_within_one_set_is_never_the_query_itself():
    x = features(1100, 8)
    distances = cdist(x, x)
    np.fill_diagonal(distances, np.inf)
    indices, found = metrics.nearest(x, x, same=True)
    np.testing.assert_array_equal(indices, distances.argmin(axis=1))
    np.testing.assert_allclose(found, distances.min(axis=1), rtol=1e-12)


def test_copies_are_at_distance_zero():
    x = features(1500, 40, mean=1e4).astype(np.float32)
    order = np.random.default_rng(0).permutation(1500)
    indices, found = metrics.nearest(x[order], x)
    np.testing.assert_array_equal(indices, order)
    assert (found == 0).all()
    twice = np.concatenate([x, x])
    indices, found = metrics.nearest(twice, twice, same=True)
    np.testing.assert_array_equal(indices, (np.arange(3000) + 1500) % 3000)
    assert (found == 0).all()
    assert (metrics.kth_distances(twice, 2) > 0).all()


@pytest.mark.parametrize("k", [1, 3, 7])
def test_kth_distances_are_brute_force(k):
    x = features(1030, 5)
    expected = np.sort(cdist(x, x), axis=1)[:, k]  # the first is the point itself
    np.testing.assert_allclose(metrics.kth_distances(x, k), expected, rtol=1e-12)
    assert metrics.kth_distances(x[: k + 1], k) == pytest.approx(cdist(x[: k + 1], x[: k + 1]).max(axis=1), rel=1e-12)
    x = lattice(1030, 4, seed=0)
    np.testing.assert_array_equal(metrics.kth_distances(x, k * 10), np.sort(exact_distances(x, x))[:, k * 10])


def brute_force(reference, samples, k, distances):
    """Precision, recall, density and coverage, word for word."""
    to_reference = distances(samples, reference)
    reference_radii = np.sort(distances(reference, reference), axis=1)[:, k]
    sample_radii = np.sort(distances(samples, samples), axis=1)[:, k]
    in_reference = to_reference <= reference_radii
    in_samples = to_reference.T <= sample_radii
    precision_recall = in_reference.any(axis=1).mean(), in_samples.any(axis=1).mean()
    return precision_recall, (in_reference.sum() / (k * len(samples)), in_reference.any(axis=0).mean())


@pytest.mark.parametrize(("n", "m", "k"), [(40, 60, 1), (1100, 1030, 3), (1030, 1500, 5)])
def test_balls_are_brute_force(n, m, k):
    x, y = features(n, 4), features(m, 4, seed=1)
    precision_recall, density_coverage = brute_force(x, y, k, cdist)
    assert metrics.precision_recall(x, y, k) == pytest.approx(precision_recall, rel=1e-12)
    assert metrics.density_coverage(x, y, k) == pytest.approx(density_coverage, rel=1e-12)


@pytest.mark.parametrize("k", [3, 30])
@pytest.mark.parametrize(("dtype", "spacing"), [(np.float32, 1), (np.float64, 1 / 7)])
def test_balls_are_closed_and_ties_exact(k, dtype, spacing):
    """On a lattice nearly every distance is also a radius, many radii are 0, and the origin is far away."""
    x, y = lattice(1030, 4, seed=0), lattice(1100, 6, seed=1)
    precision_recall, density_coverage = brute_force(x, y, k, exact_distances)
    assert 0.1 < precision_recall[0] < 0.9
    sets = (x * spacing).astype(dtype), (y * spacing).astype(dtype)
    assert metrics.precision_recall(*sets, k) == pytest.approx(precision_recall, rel=1e-12)
    assert metrics.density_coverage(*sets, k) == pytest.approx(density_coverage, rel=1e-12)


def waves(count, size, start):
    return np.sin(np.arange(start, start + count * size, dtype=np.float64) ** 2).reshape(count, size)


@pytest.mark.parametrize(
    ("k", "precision", "recall", "density", "coverage"), [(3, 180, 210, 446, 163), (5, 195, 273, 902, 232)]
)
def test_balls_are_those_of_prdc(k, precision, recall, density, coverage):
    """Counts out of 200 samples and 300 real ones from prdc 0.2, the implementation of Naeem et al."""
    real, fake = waves(300, 4, 0), 0.8 * waves(200, 4, 5000) + 0.1
    assert metrics.precision_recall(real, fake, k) == pytest.approx((precision / 200, recall / 300), rel=1e-12)
    assert metrics.density_coverage(real, fake, k) == pytest.approx((density / (200 * k), coverage / 300), rel=1e-12)


def test_balls_of_equal_and_of_distant_sets():
    x = features(200, 4)
    assert metrics.precision_recall(x, x) == (1, 1)
    assert metrics.density_coverage(x, x, 5) == (6 / 5, 1)  # each ball holds its centre and k others
    assert metrics.precision_recall(x, x + 1000) == (0, 0)
    assert metrics.density_coverage(x, x + 1000) == (0, 0)
    collapsed = np.tile(x[:1], (50, 1))
    precision, recall = metrics.precision_recall(x, collapsed)
    assert (precision, recall) == (1, 1 / 200)  # every ball of the samples has the radius 0
    density, coverage = metrics.density_coverage(x, collapsed)
    others = np.sort(cdist(x, x), axis=1)[:, 5]
    holds = cdist(x, x[:1])[:, 0] <= others
    assert (density, coverage) == pytest.approx((holds.sum() / 5, holds.mean()), rel=1e-12)


def test_near_copies_by_hand():
    training = np.array([[0, 0], [10, 0], [30, 0], [50, 50], [50, 50], [50, 70]], float)
    samples = {  # to which training image, how far, a near-copy or not
        (0, 4.9): (0, 4.9, True),
        (0, 5): (0, 5, False),
        (0, -5.1): (0, 5.1, False),
        (10, 4.9): (1, 4.9, True),
        (30, 9.9): (2, 9.9, True),
        (30, 10.1): (2, 10.1, False),
        (50, 40.5): (3, 9.5, True),  # the other image at the same place does not count: the next is 20 away
        (50, 39.5): (3, 10.5, False),
        (50, 50): (3, 0, True),
        (50, 70): (5, 0, True),
    }
    indices, distances, copied = map(list, zip(*samples.values(), strict=True))
    result = metrics.near_copies(np.array(list(samples)), training)
    assert result.indices.tolist() == indices
    assert result.distances == pytest.approx(distances, rel=1e-12)
    assert result.copied.tolist() == copied
    assert result.share == 0.6
    assert result.median_distance == pytest.approx((4.9 + 5.1) / 2, rel=0.02)
    assert result.median_distance == pytest.approx(np.median(distances), rel=1e-12)


def test_near_copies_are_brute_force():
    training, samples = features(1500, 3), features(1100, 3, seed=1)
    samples[:100] = training[300:400] + 1e-9
    own = cdist(training, training)
    np.fill_diagonal(own, np.inf)
    distances = cdist(samples, training)
    indices = distances.argmin(axis=1)
    copied = distances.min(axis=1) < own.min(axis=1)[indices] / 2
    assert 100 < copied.sum() < 900
    result = metrics.near_copies(samples, training)
    np.testing.assert_array_equal(result.copied, copied)
    np.testing.assert_array_equal(result.indices, indices)
    # The same with every training image there twice, the second time with the rounding of another batch.
    doubled = metrics.near_copies(samples, np.concatenate([training, training * (1 + 1e-7)]))
    np.testing.assert_array_equal(doubled.copied, copied)
    assert doubled.share == result.share == copied.mean()


def test_near_copies_of_a_training_set_of_one_image():
    training = np.full((5, 2), 0.3)
    result = metrics.near_copies(np.array([[0.3, 0.3], [0.3, 0.31]]), training)
    assert result.copied.tolist() == [True, False]


# Classes


def test_classifier_score_closed_forms():
    assert metrics.classifier_score(np.full((50, 10), 0.1)) == pytest.approx(1, abs=1e-12)
    assert metrics.classifier_score(np.tile([0.7, 0.3, 0], (50, 1))) == pytest.approx(1, abs=1e-12)
    for classes in (2, 10):
        assert metrics.classifier_score(np.eye(classes)[np.arange(70) % classes]) == pytest.approx(classes, rel=1e-12)
    one_hot = np.eye(3)[[0, 0, 0, 1]]  # certain but not balanced: e to the entropy of the shares
    assert metrics.classifier_score(one_hot) == pytest.approx(math.exp(0.75 * math.log(4 / 3) + 0.25 * math.log(4)))
    two = np.array([[0.9, 0.1], [0.2, 0.8]])
    divergence = sum(0.5 * p * math.log(p / q) for row in two for p, q in zip(row, (0.55, 0.45), strict=True))
    assert metrics.classifier_score(two) == pytest.approx(math.exp(divergence), rel=1e-12)


def test_classifier_score_of_float32_is_summed_in_float64():
    p = np.random.default_rng(0).dirichlet(np.full(10, 0.3), size=5000).astype(np.float32)
    rows = p.astype(np.float64) / p.astype(np.float64).sum(axis=1, keepdims=True)
    # xlogy has its own 0 log 0.
    divergences = xlogy(rows, rows).sum(axis=1) - xlogy(rows, rows.mean(axis=0)).sum(axis=1)
    assert metrics.classifier_score(p) == pytest.approx(math.exp(divergences.mean()), rel=1e-10)


def test_class_histogram():
    histogram = metrics.class_histogram(np.array([3, 0, 3, 3]), 5)
    assert histogram.tolist() == [1, 0, 0, 3, 0] and histogram.dtype == np.int64
    assert metrics.class_histogram(np.array([], np.int64), 3).tolist() == [0, 0, 0]
    for wrong in ([5], [-1]):
        with pytest.raises(ValueError, match="5 classes"):
            metrics.class_histogram(np.array(wrong), 5)


def test_mode_coverage_closed_forms():
    """KL(samples || real), in this direction."""
    real = np.array([10, 10, 10, 10])
    assert metrics.mode_coverage(np.array([7, 7, 7, 7]), real) == (4, 0)
    modes, divergence = metrics.mode_coverage(np.array([5, 0, 0, 0]), real)
    assert modes == 1 and divergence == pytest.approx(math.log(4), rel=1e-12)
    modes, divergence = metrics.mode_coverage(np.array([300, 100]), np.array([20, 80]))
    assert modes == 2 and divergence == pytest.approx(0.75 * math.log(3.75) + 0.25 * math.log(0.3125), rel=1e-12)
    assert metrics.mode_coverage(np.array([1, 0]), np.array([1, 0])) == (1, 0)
    assert metrics.mode_coverage(np.array([1, 1]), np.array([1, 0])) == (2, math.inf)


# Sliced Wasserstein distance


def test_sliced_wasserstein_on_a_line():
    """There every direction is the line itself."""
    a, b = np.array([[1.0], [0.0]]), np.array([[2.0], [0.0], [1.0]])
    # Quantiles 0 0 0 1 1 1 against 0 0 1 1 2 2, in sixths.
    assert metrics.sliced_wasserstein(a, b, projections=5) == pytest.approx(math.sqrt((1 + 2) / 6), rel=1e-12)
    x = features(1100, 1)
    assert metrics.sliced_wasserstein(x, x) == 0
    assert metrics.sliced_wasserstein(x, x[::-1] + 2.5) == pytest.approx(2.5, rel=1e-12)
    assert metrics.sliced_wasserstein(x, np.repeat(x, 3, axis=0)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("n", "m", "projections"), [(50, 50, 1), (1100, 1100, 70), (30, 45, 32), (1025, 700, 33)])
def test_sliced_wasserstein_is_that_of_pot(n, m, projections):
    a, b = features(n, 6), features(m, 6, seed=1, scale=1.2, mean=0.3)
    directions = np.random.default_rng(7).normal(size=(projections, 6))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = ot.sliced_wasserstein_distance(a, b, projections=directions.T)
    assert metrics.sliced_wasserstein(a, b, projections, seed=7) == pytest.approx(expected, rel=1e-9)
    assert metrics.sliced_wasserstein(b, a, projections, seed=7) == pytest.approx(expected, rel=1e-9)


def test_sliced_wasserstein_of_a_shift():
    """|d| / sqrt(F), the mean over all directions."""
    x = features(20, 5)
    shift = np.array([3.0, 0, 0, 4, 0])
    assert metrics.sliced_wasserstein(x, x + shift, projections=20_000) == pytest.approx(5 / math.sqrt(5), rel=0.02)
    one, other = (metrics.sliced_wasserstein(x, x + shift, 10, seed) for seed in (1, 2))
    assert one != other and one == metrics.sliced_wasserstein(x, x + shift, 10, 1)


# All of them


TWO_SETS = {
    "frechet_distance": lambda a, b: frechet_distance(Moments().add(a), Moments().add(b)),
    "kernel_distance": metrics.kernel_distance,
    "nearest": metrics.nearest,
    "precision_recall": metrics.precision_recall,
    "density_coverage": metrics.density_coverage,
    "near_copies": metrics.near_copies,
    "sliced_wasserstein": metrics.sliced_wasserstein,
}


@pytest.mark.parametrize("name", TWO_SETS)
def test_wrong_arguments_are_refused(name):
    metric, x = TWO_SETS[name], features(20, 4)
    for wrong in (features(20, 3), features(20, 4)[:0], features(20, 4)[0], np.zeros((20, 0))):
        with pytest.raises(ValueError):
            metric(x, wrong)
        with pytest.raises(ValueError):
            metric(wrong, x)
    for value in (math.nan, math.inf):
        damaged = x.copy()
        damaged[3, 2] = value
        for sets in ((x, damaged), (damaged, x)):
            with pytest.raises(NumericalError):
                metric(*sets)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: frechet_distance(Moments().add(x), Moments().add(x[:1])),
        lambda x: frechet_distance(Moments(), Moments()),
        lambda x: Moments().add(x).add(x[:, :2]),
        lambda x: metrics.kernel_distance(x, x[:1]),
        lambda x: metrics.nearest(x[:1], x[:1], same=True),
        lambda x: metrics.nearest(x, x[:2], same=True),
        lambda x: metrics.kth_distances(x, len(x)),
        lambda x: metrics.kth_distances(x, 0),
        lambda x: metrics.precision_recall(x, x[:3], k=3),
        lambda x: metrics.density_coverage(x[:5], x, k=5),
        lambda x: metrics.near_copies(x, x[:1]),
        lambda x: metrics.sliced_wasserstein(x, x, projections=0),
        lambda x: metrics.classifier_score(x),
        lambda x: metrics.classifier_score(np.array([[1.5, -0.5]])),
        lambda x: metrics.classifier_score(np.array([[math.nan, 1]])),
        lambda x: metrics.classifier_score(np.zeros((0, 3))),
        lambda x: metrics.mode_coverage(np.array([1, 2]), np.array([1, 2, 3])),
        lambda x: metrics.mode_coverage(np.array([0, 0]), np.array([1, 2])),
        lambda x: metrics.mode_coverage(np.array([1, 2]), np.array([0, 0])),
    ],
)
def test_too_little_is_refused(call):
    with pytest.raises(ValueError):
        call(features(10, 3))


@pytest.mark.parametrize("name", TWO_SETS)
def test_memory_does_not_grow_with_the_square_of_the_samples(name):
    """All distances of these would be 288 MB."""
    x, y = (np.random.default_rng(seed).normal(size=(6000, 4)).astype(np.float32) for seed in range(2))
    tracemalloc.start()
    TWO_SETS[name](x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
