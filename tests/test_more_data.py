"""The study of more data for a classifier: statistics, filter, changes, what is kept apart, and the command itself."""

import json
import math
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle
import pytest
from conftest import ROOT, command_here, command_line, newest_manifest, wait_for
from PIL import Image
from scipy import stats

from paddle_gan.config.studies import AugmentConfig
from paddle_gan.datasets.image_set import ImageSet
from paddle_gan.errors import DataError, UsageError
from paddle_gan.metrics.significance import paired_test, two_sided
from paddle_gan.studies import more_data
from paddle_gan.studies.labelled import Labelled, Sides, batches, changed, draw, load_sides
from paddle_gan.studies.more_data import first_of_each, passes
from paddle_gan.studies.more_data_report import compared, table

# ---- Statistics


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 10])
def test_probabilities_are_those_of_students_distribution(freedom):
    for t in (0.0, 0.3, -1.0, 2.5, 12.0):
        assert two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), abs=1e-12)


def test_the_paired_test_is_that_of_scipy():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 5))
    found, expected = paired_test(first, second), stats.ttest_rel(first, second)
    assert found == pytest.approx(((first - second).mean(), expected.statistic, expected.pvalue), abs=1e-12)
    turned = paired_test(second, first)
    assert (turned.mean, turned.t) == pytest.approx((-found.mean, -found.t)) and turned.p == found.p


def test_without_variation_nothing_or_everything_is_chance():
    assert paired_test([0.5, 0.25], [0.25, 0.0]) == (0.25, math.inf, 0.0)
    for same in (paired_test([0.5, 0.6], [0.5, 0.6]), paired_test([0.5], [0.4])):
        assert math.isnan(same.t) and math.isnan(same.p)


def entry(seed: int, *accuracies: float) -> dict:
    names = ("real", "augmentation", "samples", "both")
    return {
        "seed": seed,
        "accuracy": dict(zip(names, accuracies, strict=False)),
        "candidates": 80,
        "passed": 20,
        "kept": [7, 8],
    }


def test_the_table_says_what_helps_and_what_may_be_chance():
    settings = {"dataset": "mnist", "per_class": 20, "test": 10_000}
    seeds = [entry(0, 0.80, 0.90, 0.84, 0.9), entry(1, 0.82, 0.88, 0.85, 0.9), entry(2, 0.84, 0.92, 0.9), entry(3, 0.5)]
    text = table(settings, seeds)
    assert "seeds 0, 1; accuracy in % on 10,000 real test images" in text  # those that have all four
    assert f"| real images only | 81.00 | {math.sqrt(2):.2f} | 80.00, 82.00 |" in text
    assert "Samples that passed the filter: 25%, 25%. Kept: 15, 15." in text
    assert "| samples − real | +3.50 | 7.00 | 0.0903 |" in text
    assert "| both − augmentation | +1.00 | 1.00 | 0.5 |" in text
    assert "Samples instead of nothing: no difference that chance could not have made (p = 0.09)." in text
    sure = table(settings, [entry(seed, 0.8, 0.9, 0.85 + seed / 1000, 0.89 - seed / 1000) for seed in range(3)])
    assert "Samples instead of nothing help here: +5.10 points" in sure
    assert "Samples in addition to shifts and rotations harm here: -1.10 points" in sure
    assert compared([entry(0, 0.8, 0.9, 0.9, 0.9)])[0] == {
        **{"first": "samples", "second": "real", "seeds": 1},
        **{"points": pytest.approx(10), "t": None, "p": None},
    }


# ---- Filter


def test_the_filter_keeps_what_agrees_and_is_sure_and_the_first_ones_of_each_class():
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.6, 0.4], [0.1, 0.9], [0.02, 0.98], [0.9, 0.1], [0.0, 1.0]])
    labels = np.array([0, 1, 0, 1, 1, 0, 1])
    passed = passes(probabilities, labels, 0.9)
    np.testing.assert_array_equal(passed, [True, False, False, True, True, True, True])
    np.testing.assert_array_equal(first_of_each(passed, labels, 1), [True, False, False, True, False, False, False])
    np.testing.assert_array_equal(first_of_each(passed, labels, 9), passed)


# ---- Images


def test_changes_are_mirror_rotation_and_shift():
    """Against NumPy, for a quarter turn and whole pixels; the border goes on."""
    pixels = np.random.default_rng(0).random((2, 3, 28, 28)).astype(np.float32)
    images, zero = paddle.to_tensor(pixels), np.zeros(2)

    def made(angle: float, down: float, right: float, mirrored: int) -> np.ndarray:
        return changed(images, zero + angle, np.array([[down, right]] * 2), np.full(2, mirrored)).numpy()

    np.testing.assert_allclose(made(0, 0, 0, 0), pixels, atol=1e-5)
    np.testing.assert_allclose(made(90, 0, 0, 0), np.rot90(pixels, 1, (2, 3)), atol=1e-4)
    np.testing.assert_allclose(made(0, 2, -1, 0)[:, :, 2:, :-1], pixels[:, :, :-2, 1:], atol=1e-4)
    np.testing.assert_allclose(made(0, 2, 0, 0)[:, :, 0], pixels[:, :, 0], atol=1e-4)
    turned = np.rot90(pixels[..., ::-1], 1, (2, 3))
    np.testing.assert_allclose(made(90, 3, 2, 1)[:, :, 3:, 2:], turned[:, :, :-3, :-2], atol=1e-4)


def test_each_part_has_an_equal_share_of_a_batch():
    parts = [
        Labelled(np.full((count, 1, 28, 28), value, np.uint8), np.full(count, label))
        for count, value, label in ((3, 0, 0), (500, 255, 1))
    ]
    for images, labels in batches(parts, 2, 0, moved=True, mirror=True):
        assert images.shape == [128, 1, 28, 28] and labels.numpy().sum() == 64
        np.testing.assert_allclose(images.numpy().mean((1, 2, 3)), 2.0 * labels.numpy() - 1, atol=1e-5)


def make_classes(folder: Path, count: int = 8) -> Path:
    """A folder with two classes: dark images and bright ones, no two of them alike."""
    random = np.random.default_rng(0)
    for name, low in (("dark", 0), ("bright", 128)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(low, low + 128, (28, 28, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def hashes(data: ImageSet) -> set[bytes]:
    return {image.tobytes() for image in data.images[:]}


def test_the_few_are_never_among_the_test_images(tmp_path):
    sides = load_sides(str(make_classes(tmp_path / "set")), 3, None, False)
    assert len(hashes(sides.pool)) == len(hashes(sides.test)) == 8 and not hashes(sides.pool) & hashes(sides.test)
    assert np.bincount(sides.test.labels).tolist() == [4, 4]
    few, other = draw(sides.pool, 3, 0), draw(sides.pool, 3, 1)
    assert few.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert {image.tobytes() for image in few.images} < hashes(sides.pool)
    assert (few.images != other.images).any()
    np.testing.assert_array_equal(few.images, draw(sides.pool, 3, 0).images)
    with pytest.raises(DataError, match=r"4 images of the class bright .*, and --per-class 5 needs more"):
        draw(sides.pool, 5, 0)
    for path in sorted((tmp_path / "set" / "dark").iterdir())[1:]:
        path.unlink()
    with pytest.raises(DataError, match=r"the class dark has one image"):
        load_sides(str(tmp_path / "set"), 3, None, False)


# ---- The study

TINY_STUDY = ("--per-class", 2, "--steps", 1, "--samples", 2, "--confidence", 0.2, "--classifier-steps", 2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A study of one seed, by the real command line."""
    home = tmp_path_factory.mktemp("study")
    make_classes(home / "set")
    done = command_line("augment", "--dataset", home / "set", *TINY_STUDY, "--seeds", 1, "--out", home / "out")
    assert done.returncode == 0, done.stderr
    assert (home / "out" / "results.md").read_text() in done.stdout
    return home


def contents(folder: Path) -> dict[str, bytes]:
    """The files that a study makes of the training images: the few, the samples, and all weights."""
    patterns = ("few/*/*.png", "kept/*/*.png", "samples.png", "*.safetensors")
    return {str(path.relative_to(folder)): path.read_bytes() for pattern in patterns for path in folder.glob(pattern)}


def test_a_study_trains_tests_and_shows(finished):
    results = json.loads((finished / "out" / "results.json").read_text())
    [seed] = results["seeds"]
    assert set(seed["accuracy"]) == {"real", "augmentation", "samples", "both"}
    assert all(accuracy * 8 == int(accuracy * 8) for accuracy in seed["accuracy"].values())
    assert seed["candidates"] == 16 and sum(seed["kept"]) <= 4
    made = contents(finished / "out" / "seed-0")
    assert sum(name.startswith("few/") for name in made) == 4
    assert sum(name.startswith("kept/") for name in made) == sum(seed["kept"])
    assert {f"{name}.safetensors" for name in seed["accuracy"]} | {"samples.png"} <= set(made)
    config = json.loads((finished / "out" / "seed-0" / "gan" / "config.json").read_text())
    assert config["conditional"] and config["dataset"] == str(finished / "out" / "seed-0" / "few")


def test_what_is_finished_is_kept_and_what_is_missing_is_the_same_again(finished, monkeypatch):
    """An interrupted study goes on with the classifier that is missing, and makes the same one."""
    out = finished / "out"
    path, before, made = out / "results.json", (out / "results.json").read_text(), contents(out / "seed-0")
    interrupted = json.loads(before)
    del interrupted["seeds"][0]["accuracy"]["both"]
    path.write_text(json.dumps(interrupted))
    (out / "seed-0" / "both.safetensors").unlink()
    trained = []
    fit = more_data.fit
    monkeypatch.setattr(more_data, "fit", lambda *batch, **options: trained.append(1) or fit(*batch, **options))
    arguments = ("--dataset", finished / "set", *TINY_STUDY, "--seeds", 1, "--out", out)
    command_here("augment", *arguments)
    assert trained == [1] and path.read_text() == before and contents(out / "seed-0") == made
    with pytest.raises(UsageError, match=r"other results \(per_class 2 -> 3\)"):
        command_here("augment", *arguments, "--per-class", 3)
    (path.rename(out / "elsewhere.json"))
    with pytest.raises(UsageError, match=r"no results\.json"):
        command_here("augment", *arguments)
    (out / "elsewhere.json").rename(path)


@pytest.mark.slow
def test_a_killed_study_comes_to_the_same_results(tmp_path):
    """SIGKILL while its GAN trains, SIGTERM (which saves it), SIGKILL while its classifiers train: it goes on."""
    make_classes(tmp_path / "set")
    options = {**dict(zip(TINY_STUDY[::2], TINY_STUDY[1::2], strict=True)), "--steps": 60, "--classifier-steps": 20}
    line = [str(part) for pair in options.items() for part in pair]

    def start(out: Path) -> subprocess.Popen:
        command = [sys.executable, ROOT / "tools" / "augment.py", "--dataset", tmp_path / "set", *line, "--seeds", "1"]
        return subprocess.Popen([*map(str, command), "--out", str(out)], stdout=subprocess.PIPE, text=True)

    def end_when(there_is: Path, how: signal.Signals) -> None:
        process = start(killed)
        wait_for(lambda: there_is.exists() and there_is.stat().st_size, seconds=300)
        process.send_signal(how)
        process.wait()

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole).wait(600) == 0
    log = killed / "seed-0" / "gan" / "metrics.jsonl"
    end_when(log, signal.SIGKILL)
    assert not list(log.parent.glob("checkpoints/step-*"))
    log.unlink()
    end_when(log, signal.SIGTERM)
    assert 0 < newest_manifest(log.parent)["step"] < 60
    end_when(killed / "seed-0" / "samples.safetensors", signal.SIGKILL)
    assert not (killed / "seed-0" / "both.safetensors").exists()
    assert "going on" not in start(killed).communicate()[0]  # the GAN was finished before
    assert contents(killed / "seed-0") == contents(whole / "seed-0")
    assert (killed / "results.json").read_text() == (whole / "results.json").read_text()


def test_nothing_but_the_accuracy_depends_on_the_test_images(finished, tmp_path, monkeypatch):
    """With other test images and other labels, every image, sample and weight is the same."""
    load = more_data.load_sides

    def with_another_test(*arguments) -> Sides:
        pool, test = load(*arguments)
        return Sides(pool, replace(test, images=255 - test.images[:], labels=1 - test.labels))

    monkeypatch.setattr(more_data, "load_sides", with_another_test)
    options = AugmentConfig(
        **{"dataset": str(finished / "set"), "per_class": 2, "steps": 1, "samples": 2, "confidence": 0.2},
        **{"classifier_steps": 2, "seeds": 1, "out": str(tmp_path / "out"), "device": "cpu"},
    )
    more_data.study(options, lambda line: None)
    assert contents(tmp_path / "out" / "seed-0") == contents(finished / "out" / "seed-0")
