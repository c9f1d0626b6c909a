"""Mode coverage: counts and divergences in closed form, the moments of the data, and the command line."""

import json

import numpy as np
import pytest
from conftest import command_line
from PIL import Image

from paddle_gan.config.names import BENCHMARKS
from paddle_gan.config.studies import ModesConfig
from paddle_gan.datasets import load_dataset
from paddle_gan.datasets.mixtures import GRID25, RING8, count_modes, draw
from paddle_gan.errors import UsageError
from paddle_gan.metrics import mode_coverage
from paddle_gan.studies import modes, stacked
from paddle_gan.studies.stacked import stacked_batches, stacked_classes, stacked_shares

MIXTURES = {"ring8": RING8, "grid25": GRID25}


def divergence(counts, shares):
    return mode_coverage(counts, shares)[1]


def test_mixtures_are_those_of_the_papers():
    assert RING8.sigma == 0.01 and GRID25.sigma == 0.05
    assert RING8.centres.shape == (8, 2)
    np.testing.assert_allclose(np.linalg.norm(RING8.centres, axis=1), 1)
    np.testing.assert_allclose(RING8.centres[1], [np.sqrt(0.5), np.sqrt(0.5)])
    assert {tuple(centre) for centre in GRID25.centres} == {(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}
    # The mean square of the coordinates -4 ... 4 is 8; on a circle it is a half.
    assert GRID25.spread == pytest.approx(np.sqrt(8 + 0.05**2))
    assert RING8.spread == pytest.approx(np.sqrt(0.5 + 0.01**2))


@pytest.mark.parametrize("name", MIXTURES)
def test_points_have_the_moments_of_the_mixture_and_depend_on_seed_and_step_only(name):
    mixture = MIXTURES[name]
    points = draw(mixture, 20_000, seed=3, step=7)
    np.testing.assert_array_equal(points, draw(mixture, 20_000, seed=3, step=7))
    assert (points != draw(mixture, 20_000, seed=3, step=8)).all()
    assert (points != draw(mixture, 20_000, seed=4, step=7)).all()
    offsets = points[:, None] - mixture.centres
    nearest = (offsets**2).sum(2).argmin(1)
    share = np.bincount(nearest) / len(points)
    np.testing.assert_allclose(share, 1 / len(mixture.centres), atol=5 * np.sqrt(0.1 / len(points)))
    noise = offsets[np.arange(len(points)), nearest]
    assert np.abs(noise.mean(0)).max() < 5 * mixture.sigma / np.sqrt(len(points))
    np.testing.assert_allclose(np.cov(noise.T), mixture.sigma**2 * np.eye(2), atol=0.05 * mixture.sigma**2)
    # The share of a Gaussian in the plane within three standard deviations is 1 - exp(-9/2).
    covered, quality = count_modes(mixture, points)
    assert covered == len(mixture.centres) and quality == pytest.approx(1 - np.exp(-4.5), abs=0.004)


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize(("sigmas", "good"), [(0, True), (2.999, True), (3.001, False)])
def test_high_quality_is_within_three_standard_deviations(name, sigmas, good):
    """Along the axes and between them: the distance is Euclidean."""
    mixture = MIXTURES[name]
    for direction in ([1, 0], [0, -1], [np.sqrt(0.5), np.sqrt(0.5)]):
        points = mixture.centres + sigmas * mixture.sigma * np.array(direction)
        assert count_modes(mixture, points) == (len(points) * good, float(good))


def test_modes_and_quality_are_counted_apart():
    centres = RING8.centres
    points = np.concatenate([centres[:2], centres[:1], np.zeros((5, 2)), centres[2:3] + [0.02, 0]])
    assert count_modes(RING8, points) == (3, 4 / 9)
    assert count_modes(RING8, np.full((4, 2), 9.0)) == (0, 0.0)


def test_divergence_in_closed_form():
    uniform = np.full(1000, 1 / 1000)
    assert divergence(np.full(1000, 26), uniform) == pytest.approx(0, abs=1e-12)
    # If all samples are evenly in k of K modes: log(K / k).
    assert divergence(np.repeat([5, 0], [100, 900]), uniform) == pytest.approx(np.log(10), rel=1e-12)
    assert divergence(np.array([3, 1]), np.array([0.5, 0.5])) == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5))
    assert divergence(np.array([3, 1]), np.array([0.75, 0.25])) == pytest.approx(0, abs=1e-12)


def test_divergence_of_a_sample_of_the_data_is_what_the_table_says_of_it():
    """Its mean is (K - 1) / 2N, and its standard deviation sqrt((K - 1) / 2) / N."""
    counts = np.random.default_rng(0).multinomial(26_000, np.full(1000, 1 / 1000))
    expected = 999 / 52_000
    assert divergence(counts, np.full(1000, 1 / 1000)) == pytest.approx(expected, abs=5 * np.sqrt(999 / 2) / 26_000)


def test_stacked_digits_are_digits_of_mnist():
    digits = load_dataset("mnist", 28, 1)
    known = {image.tobytes(): label for image, label in zip(digits.images, digits.labels, strict=True)}
    batches = stacked_batches(digits, 200, seed=5, value_range=(-1.0, 1.0))
    images, labels = batches(3)
    assert labels is None and images.shape == [200, 3, 28, 28] and images.dtype.name == "FLOAT32"
    restored = ((images.numpy() + 1) * 127.5).round().astype(np.uint8)
    classes = np.array([[known[channel.tobytes()] for channel in image] for image in restored])
    # The channels are independent of each other, so most of the 200 triples are different.
    assert len(np.unique(classes @ [100, 10, 1])) > 150
    again, other, next_one = batches(3)[0], stacked_batches(digits, 200, 6, (-1.0, 1.0))(3)[0], batches(4)[0]
    np.testing.assert_array_equal(again.numpy(), images.numpy())
    assert (other.numpy() != images.numpy()).any() and (next_one.numpy() != images.numpy()).any()


def test_class_of_a_stack_is_the_number_of_its_digits():
    """With an extractor that reads the class from the first pixel."""

    def extract(images):
        assert images.shape[1:] == (28, 28, 1)
        return None, np.eye(10)[images[:, 0, 0, 0]]

    images = np.zeros((3, 28, 28, 3), np.uint8)
    images[:, 0, 0] = [[0, 0, 7], [1, 2, 3], [9, 9, 9]]
    np.testing.assert_array_equal(stacked_classes(images, extract), [7, 123, 999])


def test_shares_of_stacks_are_products():
    shares = stacked_shares(np.repeat(np.arange(10), [1, 3, 1, 1, 1, 1, 1, 1, 1, 1]))
    assert shares.sum() == pytest.approx(1) and len(shares) == 1000
    assert (shares[0], shares[110], shares[111]) == pytest.approx((1 / 12**3, 9 / 12**3, 27 / 12**3))


def test_shipped_classifier_reads_the_channels_of_real_stacks():
    from paddle_gan.features.extractors import classifier_extractor

    digits = load_dataset("mnist", 28, 1, split="test")
    images, labels = digits.images[:300, 0].reshape(100, 3, 28, 28), digits.labels[:300].reshape(100, 3)
    classes = stacked_classes(images.transpose(0, 2, 3, 1), classifier_extractor("mnist"))
    assert (classes == labels @ [100, 10, 1]).mean() >= 0.95


def benchmark(out, *arguments, expect=0):
    done = command_line("modes", *arguments, "--device", "cpu", "--out", out)
    assert done.returncode == expect, done.stderr
    return done


def figures(folder):
    return [(seed["modes"], seed["score"]) for seed in json.loads((folder / "results.json").read_text())["seeds"]]


def test_a_benchmark_goes_on_with_the_next_seed(tmp_path):
    """It has the same figures as a benchmark without interruption, which runs in this process."""
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    benchmark(parts, "ring8", "--steps", 20, "--seeds", 1)
    done = benchmark(parts, "ring8", "--steps", 20, "--seeds", 2)
    assert "seed 1\n" in done.stdout and "seed 0\n" not in done.stdout
    said = []
    modes.run("ring8", ModesConfig(steps=20, seeds=2, device="cpu", out=str(whole)), said.append)
    assert figures(parts) == figures(whole) and len(figures(whole)) == 2
    assert sorted(path.name for path in whole.iterdir()) == [
        ".lock",
        "results.json",
        "results.md",
        "samples.gif",
        "samples.png",
    ]
    assert (parts / "results.md").read_text() in done.stdout
    assert "| **gan-r1-r2, mean** |" in done.stdout and "Lin et al. 2018, table 1" in done.stdout
    assert Image.open(parts / "samples.gif").n_frames == 20 and Image.open(parts / "samples.png").size == (400, 400)
    with pytest.raises(UsageError, match=r"other results \(steps 20 -> 21\)"):
        modes.run("ring8", ModesConfig(steps=21, device="cpu", out=str(parts)), said.append)
    (parts / "results.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        modes.run("ring8", ModesConfig(steps=20, device="cpu", out=str(parts)), said.append)


def test_stacked_digits_are_trained_by_a_recipe_with_its_schedule(tmp_path, monkeypatch):
    """ "late" falls to 0 in the second half; the recipe is one of the settings that results depend on."""
    rates, losses, train = [], [], stacked.train

    def noting(task, batches, steps, seed, log_every, chain):
        losses.append(task.objective)
        train(task, batches, steps, seed, 1, [*chain, lambda task, _: rates.append(task.generator.optimizer.get_lr())])

    monkeypatch.setattr(stacked, "train", noting)
    monkeypatch.setattr(stacked, "STACKED_IMAGES", 250)
    for width in ("width", "discriminator_width"):
        monkeypatch.setitem(stacked.STACKED_SETTINGS, width, 4)
    tuned, plain = ({"steps": 4, "seeds": 1, "device": "cpu", "recipe": recipe} for recipe in ("tuned", None))
    folders = [str(tmp_path / name) for name in ("tuned", "plain")]
    for options, folder in zip((tuned, plain), folders, strict=True):
        modes.run("stacked-mnist", ModesConfig(**options, out=folder), lambda line: None)
    assert rates == pytest.approx([4e-4, 4e-4, 2e-4, 0] + 4 * [4e-4])
    assert [(loss.penalties[0].weight, loss.penalties[0].every) for loss in losses] == [(0.05, 4), (0.5, 1)]
    recorded = [json.loads((tmp_path / name / "results.json").read_text())["settings"] for name in ("tuned", "plain")]
    assert [settings["recipe"] for settings in recorded] == ["tuned", "paper"]
    with pytest.raises(UsageError, match=r"other results \(recipe paper -> tuned\)"):
        modes.run("stacked-mnist", ModesConfig(**tuned, out=folders[1]), lambda line: None)
    with pytest.raises(UsageError, match="--recipe tuned with ring8: it has settings of its own; leave it out"):
        modes.run("ring8", ModesConfig(**tuned, out=str(tmp_path / "ring8")), lambda line: None)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["ring9"], f"ring9: the benchmarks are {', '.join(BENCHMARKS)}"),
        (["ring8", "--loss", "foo"], "--loss foo: one of gan, "),
        (["ring8", "--seeds", "0"], "--seeds 0: must be more than 0"),
        ([], "required: BENCHMARK"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments, expected, tmp_path):
    done = benchmark(tmp_path / "out", *arguments, expect=2)
    assert expected in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_ring_of_eight_is_covered(tmp_path):
    benchmark(tmp_path, "ring8", "--seeds", 1)
    [result] = json.loads((tmp_path / "results.json").read_text())["seeds"]
    assert result["modes"] == 8 and result["score"] > 90
