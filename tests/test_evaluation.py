"""Each measure finds the faults for which it is meant, when they are put into real images."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle
import pytest
from conftest import command_here, command_line, refused_here, train_here
from PIL import Image
from visualdl import LogReader

from paddle_gan.datasets import load_dataset
from paddle_gan.datasets.folder import read_images
from paddle_gan.datasets.image_set import ImageSet
from paddle_gan.datasets.resize import block_means
from paddle_gan.errors import DataError, UsageError
from paddle_gan.evaluation import score as evaluation
from paddle_gan.evaluation.monitoring import copy_monitor, monitor
from paddle_gan.evaluation.real_images import real_images, reference_images
from paddle_gan.evaluation.records import FIGURES
from paddle_gan.features.classifier import Extracted
from paddle_gan.features.extractors import (
    Extractor,
    classifier_extractor,
    general_extractor,
    over_white,
    random_extractor,
    to_grey_28,
)
from paddle_gan.features.outlines import outlines
from paddle_gan.inference import npz_files
from paddle_gan.metrics import Moments, frechet_distance, near_copies

COUNT = 1500


@pytest.fixture(scope="module")
def mnist():
    """The first 6,000 training images, and the test images."""
    train, test = (load_dataset("mnist", 28, 1, split=split) for split in ("train", "test"))
    return ImageSet("mnist", train.images[:6000], train.labels[:6000], train.classes), test


@pytest.fixture(scope="module")
def against(mnist):
    return evaluation.baseline(real_images(*mnist, COUNT, 0), classifier_extractor("mnist"))


@pytest.fixture(scope="module")
def unseen():
    """Training images that are not in `mnist`, as perfect samples, and their labels."""
    train = load_dataset("mnist", 28, 1)
    return train.images[10_000 : 10_000 + 2 * COUNT].transpose(0, 2, 3, 1), train.labels[10_000 : 10_000 + 2 * COUNT]


def figures(images, against) -> dict[str, float]:
    record = evaluation.evaluate(images, against, {}, {"name": "test"}).record
    return {name: values["samples"] for name, values in record["figures"].items()}


@pytest.fixture(scope="module")
def perfect(unseen, against):
    return figures(unseen[0][:COUNT], against)


def test_real_images_score_like_the_floor(perfect, against):
    floor = against.figures
    assert perfect["frechet_distance"] == pytest.approx(floor["frechet_distance"], rel=0.35)
    assert abs(perfect["kernel_distance"]) < 0.01 and abs(floor["kernel_distance"]) < 0.01
    for name in ("precision", "recall", "density", "coverage", "diversity"):
        assert perfect[name] == pytest.approx(floor[name], abs=0.08), name
    assert perfect["near_copies"] < 0.01 and perfect["modes"] == 10 and perfect["class_kl"] < 0.02


def test_a_missing_digit_shows_in_the_classes(unseen, against, perfect):
    images, labels = unseen
    found = figures(images[labels != 4][:COUNT], against)
    assert found["class_kl"] > 5 * perfect["class_kl"] and found["class_kl"] > 0.08
    assert found["frechet_distance"] > 3 * perfect["frechet_distance"]
    assert found["recall"] < perfect["recall"] - 0.02 and found["coverage"] < perfect["coverage"] - 0.05
    assert found["precision"] == pytest.approx(perfect["precision"], abs=0.05)  # what is there is as good


def test_noise_shows_in_distance_and_precision(unseen, against, perfect):
    images = unseen[0][:COUNT].astype(np.int64)
    noise = np.random.default_rng(0).normal(0, 60, images.shape)
    found = figures((images + noise).clip(0, 255).astype(np.uint8), against)
    assert found["frechet_distance"] > 5 * perfect["frechet_distance"]
    assert found["kernel_distance"] > 0.02
    assert found["precision"] < perfect["precision"] - 0.2
    assert found["sliced_wasserstein"] > 2 * perfect["sliced_wasserstein"]


def test_copies_show_as_near_copies_and_in_coverage(mnist, against, perfect):
    """75 training images, twenty times each: every single image is perfect, and none is new."""
    copied = np.tile(mnist[0].images[:75].transpose(0, 2, 3, 1), (20, 1, 1, 1))
    found = figures(copied, against)
    assert found["near_copies"] == 1 and found["nearest_training"] == 0
    assert found["coverage"] < 0.5 * perfect["coverage"] and found["recall"] < 0.5 * perfect["recall"]
    noisy = (copied + np.random.default_rng(0).normal(0, 10, copied.shape)).clip(0, 255).astype(np.uint8)
    assert figures(noisy, against)["near_copies"] > 0.95


def test_one_image_has_no_diversity(unseen, against):
    found = figures(np.repeat(unseen[0][:1], COUNT, axis=0), against)
    assert found["diversity"] == 0 and found["modes"] == 1
    assert found["classifier_score"] == pytest.approx(1, abs=1e-6)


def test_the_distance_of_real_images_falls_with_their_number(mnist):
    """The known bias: the two distributions are the same, only N differs."""
    extractor = classifier_extractor("mnist")
    floors = [
        evaluation.baseline(real_images(*mnist, count, 0), extractor).figures["frechet_distance"]
        for count in (250, 1000, 4000)
    ]
    assert floors[0] > 2 * floors[1] > 3 * floors[2] > 0


def test_an_own_extractor(mnist):
    """Any function from images to features will do: here it gives two numbers for each image."""

    def brightness_and_one(images):
        features = np.stack([images.mean((1, 2, 3)), images[:, 14, 14, 0].astype(float)], axis=1)
        return Extracted(features, None)

    mine = Extractor("brightness", "0" * 64, "none", brightness_and_one)
    real = real_images(*mnist, 500, 0)
    record = evaluation.evaluate(real.reference + 0, evaluation.baseline(real, mine), {}, {"name": "same"}).record
    assert record["figures"]["frechet_distance"]["samples"] == pytest.approx(0, abs=1e-6)
    assert record["protocol"]["extractor"] == "brightness"
    assert "class_kl" not in record["figures"] and record["class_counts"] is None


def test_halves_of_a_set_without_test_images():
    random = np.random.default_rng(0)
    images = ImageSet("folder", random.integers(0, 256, (21, 3, 16, 16), dtype=np.uint8))
    real = real_images(images, None, 10_000, seed=1)
    assert len(real.reference) == len(real.floor) == 10 and len(real.training) == 21 and len(real.others) == 11
    together = np.concatenate([real.reference.transpose(0, 3, 1, 2), images.images[real.others]])
    assert sorted(map(bytes, together)) == sorted(map(bytes, images.images))  # a division, nothing twice
    np.testing.assert_array_equal(reference_images(images, None, 10_000, seed=1).images, real.reference)
    found = evaluation.baseline(real, general_extractor(3)).figures
    assert found["frechet_distance"] > 0 and found["near_copies"] == 0
    with pytest.raises(DataError, match="too few"):
        real_images(ImageSet("tiny", images.images[:11]), None, 100, 0)


def test_block_means_are_means_of_blocks():
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 2), dtype=np.uint8)
    small = block_means(images, 16).reshape(3, 14, 14, 2)
    assert small[1, 3, 5, 1] == pytest.approx(images[1, 6:8, 10:12, 1].mean() / 255, abs=1e-6)
    assert block_means(images[:, :27, :27], 16).shape == (3, 14 * 14 * 2)


def test_grey_28():
    images = np.zeros((2, 32, 32, 1), np.uint8)
    images[:, 2:-2, 2:-2, 0] = np.arange(28)
    assert (to_grey_28(images) == np.arange(28)).all()  # MNIST in its frame comes out as it was
    assert to_grey_28(np.full((1, 64, 64, 3), 7, np.uint8)).tolist() == np.full((1, 28, 28), 7).tolist()
    colours = np.full((1, 28, 28, 3), (0, 30, 60), np.uint8)
    assert (to_grey_28(colours) == 30).all()


def test_random_features_are_fixed():
    """The weights never change: their hash is part of every record."""
    extractor = random_extractor(3)
    assert extractor.sha256 == random_extractor(3).sha256 != random_extractor(1).sha256
    images = np.random.default_rng(0).integers(0, 256, (300, 64, 64, 3), dtype=np.uint8)
    features, probabilities = extractor(images)
    assert features.shape == (300, 256) and probabilities is None
    np.testing.assert_allclose(features[250:], extractor(images[250:])[0], rtol=1e-5, atol=1e-5)


def drawn_shapes(count, seed):
    """Squares and discs of random colours and places on white: uint8 [count, 32, 32, 3]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32]
    images = np.full((count, 32, 32, 3), 255, np.uint8)
    for image in images:
        size, colour = random.integers(5, 10), random.integers(0, 160, 3)
        down, across = abs(y - random.integers(10, 22)), abs(x - random.integers(10, 22))
        image[(np.maximum(down, across) if random.random() < 0.5 else np.hypot(down, across)) < size] = colour
    return images


def test_general_features_see_shapes_and_texture():
    """Where parts lie, which random features hardly see, and fine texture, which outlines hardly see."""
    real, others = drawn_shapes(600, 0), drawn_shapes(600, 1)
    random = np.random.default_rng(2)
    parts = others.reshape(600, 4, 8, 4, 8, 3).transpose(0, 1, 3, 2, 4, 5).reshape(600, 16, 8, 8, 3)
    parts = np.stack([one[random.permutation(16)] for one in parts]).reshape(600, 4, 4, 8, 8, 3)
    shuffled = parts.transpose(0, 1, 3, 2, 4, 5).reshape(others.shape)
    # A pattern of single pixels, whose mean over each block of 2×2 is 0.
    pattern = (60 * (-1) ** np.add.outer(np.arange(32), np.arange(32)))[..., None]
    textured = np.clip(others.astype(int) + pattern, 0, 255).astype(np.uint8)

    def distances(extract):
        moments = Moments().add(extract(real))
        return [frechet_distance(Moments().add(extract(x)), moments) for x in (others, shuffled, textured)]

    general = distances(lambda images: general_extractor(3)(images).features)
    texture = distances(lambda images: random_extractor(3)(images).features)
    shapes = distances(outlines)
    assert general[1] > 5 * general[0] and general[2] > 5 * general[0]
    assert shapes[1] > 10 * texture[1] and texture[2] > 5 * shapes[2]


def test_general_features_are_fixed():
    extractor = general_extractor(3)
    assert extractor.sha256 == general_extractor(3).sha256
    assert len({extractor.sha256, general_extractor(1).sha256, random_extractor(3).sha256}) == 3
    images = np.random.default_rng(0).integers(0, 256, (300, 64, 64, 3), dtype=np.uint8)
    features, probabilities = extractor(images)
    assert features.shape == (300, 256 + 11 * 49) and probabilities is None
    np.testing.assert_array_equal(features[250:, 256:], outlines(images[250:]))


def test_monitor_agrees_with_the_evaluation(mnist, unseen):
    """A generator that returns stored images gets the same figures as these images."""
    stored = paddle.to_tensor(unseen[0][:500].transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)

    class Stored(paddle.nn.Layer):
        latent_dim, value_range, given = 4, (-1.0, 1.0), 0

        def forward(self, latents, labels=None):
            start = self.given
            self.given = (start + len(latents)) % 500
            return stored[start : start + len(latents)]

    real = real_images(*mnist, 500, 0)
    extractor = classifier_extractor("mnist")
    values = monitor(extractor, real.reference, 500)(Stored(), 0, 0)
    record = evaluation.evaluate(unseen[0][:500], evaluation.baseline(real, extractor), {}, {"name": "x"}).record
    assert values["evaluation/frechet_distance"] == pytest.approx(record["figures"]["frechet_distance"]["samples"])
    assert values["evaluation/class_counts"] == record["class_counts"]["samples"]
    assert values["evaluation/features"] == record["protocol"]["extractor"] == "mnist classifier"
    assert values["evaluation/diversity"] == pytest.approx(record["figures"]["diversity"]["samples"])


@pytest.mark.parametrize("held_out", [False, True])
def test_copies_are_searched_for_during_training(mnist, held_out):
    """The share among samples, and the share by chance among real images that the others are compared with."""
    training, test = replace(mnist[0], images=mnist[0].images[:300]), mnist[1] if held_out else None
    reference = reference_images(training, test, 100, seed=2)
    measure = copy_monitor(training, reference)
    real = real_images(training, test, 100, seed=2)
    samples = real.reference.copy()
    samples[:40] = training.images[:40].transpose(0, 2, 3, 1)
    blocks = block_means(training.images.transpose(0, 2, 3, 1), 16)
    by_chance = near_copies(block_means(real.reference, 16), blocks[real.others]).share
    expected = near_copies(block_means(samples, 16), blocks).share
    assert measure(samples) == {
        "evaluation/near_copies": expected,
        "evaluation/near_copies_by_chance": by_chance,
    }
    assert by_chance < 0.1 and expected == (pytest.approx(0.4, abs=0.05) if held_out else 1.0)


# ---- The command line


def test_evaluate_a_run(plain_run, tmp_path):
    done = command_line("evaluate", plain_run, "--num", 60, "--out", tmp_path / "a.json")
    assert done.returncode == 0, done.stderr
    assert "Fréchet distance" in done.stdout and "real images" in done.stdout
    record = json.loads((tmp_path / "a.json").read_text())
    protocol = record["protocol"]
    assert (protocol["samples"], protocol["reference"], protocol["floor"]) == (60, 60, 60)
    assert protocol["weights"] == "average" and protocol["seed"] == 0 and protocol["dataset"] == "mnist"
    assert protocol["extractor"] == "mnist classifier" and len(protocol["extractor_sha256"]) == 64
    assert set(record["figures"]) == set(FIGURES) and record["subject"]["step"] == 12
    assert Image.open(tmp_path / "a.neighbours.png").size[0] > 100

    again = command_line(
        "evaluate", plain_run, "--num", 60, "--out", tmp_path / "b.json", "--against", tmp_path / "a.json"
    )
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "b.json").read_text()) == record  # to the last digit

    other = command_line(
        "evaluate", plain_run, "--num", 50, "--raw", "--out", tmp_path / "c.json", "--against", tmp_path / "a.json"
    )
    assert other.returncode == 2
    assert "cannot be compared" in other.stderr and "samples 50 and 60" in other.stderr
    assert "weights raw and average" in other.stderr and len(other.stderr.splitlines()) == 1
    assert (tmp_path / "c.json").exists()  # what was measured is kept


def test_evaluate_a_file(tmp_path, unseen):
    npz_files.write_npz(tmp_path / "s.npz", 300, [(unseen[0][:300], None)])
    done = command_line("evaluate", tmp_path / "s.npz", "--num", 300)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "s.evaluation.json").read_text())
    assert record["figures"]["precision"]["samples"] > 0.7 and record["protocol"]["weights"] == "of a file"
    assert "measured against mnist" in done.stdout


def test_samples_unlike_mnist_need_the_name_of_their_data(tmp_path):
    np.savez(tmp_path / "s.npz", images=np.zeros((20, 64, 64, 3), np.uint8))
    said = refused_here("evaluate", tmp_path / "s.npz", "--num", 20)
    assert "64x64x3" in said and "--dataset" in said


def test_real_images_that_are_all_the_same_measure_nothing():
    data = ImageSet("black", np.zeros((40, 1, 8, 8), np.uint8))
    with pytest.raises(DataError, match="black: .* the same"):
        real_images(data, None, count=20, seed=0)
    assert evaluation.diversity(np.random.default_rng(0).normal(size=(9, 3)), np.ones((9, 3))) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "no such file"),
        (("bad.npz",), "not an .npz file"),
        (("run", "--best"), "no best checkpoint"),
        (("run", "--inception", "nowhere"), "Inception"),
        (("run", "--against", "bad.npz"), "not a record"),
        (("run", "--num", "5"), "too few"),
    ],
)
def test_bad_input_gets_one_line(plain_run, tmp_path, monkeypatch, arguments, words):
    (tmp_path / "bad.npz").write_bytes(b"PK\3\4 nothing")
    (tmp_path / "run").symlink_to(plain_run)
    monkeypatch.chdir(tmp_path)
    assert words in refused_here("evaluate", *arguments, "--out", tmp_path / "out.json")


def test_files_of_samples_are_not_trusted(tmp_path):
    path = tmp_path / "s.npz"
    np.savez(path, images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="images are object"):
        npz_files.read_npz(path)
    np.savez(path, images=np.zeros((20, 32, 16, 2), np.uint8))
    with pytest.raises(DataError, match="grey or colour"):
        npz_files.read_npz(path)
    np.savez(path, other=np.zeros(3), more=np.zeros(3))
    with pytest.raises(DataError, match="not an .npz file with an array `images`"):
        npz_files.read_npz(path)
    with zipfile.ZipFile(path, "w") as archive, archive.open("images.npy", "w") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28, 1)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(DataError, match="holds 0 bytes"):  # and no petabyte is asked for
        npz_files.read_npz(path)
    with pytest.raises(UsageError, match="no such file"):
        npz_files.read_npz(tmp_path / "nothing.npz")


# ---- While training


def logged(run) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def measured_run(tmp_path_factory):
    """A run that is measured every 4 steps, stopped at step 8 and continued to step 12."""
    folder = tmp_path_factory.mktemp("runs") / "measured"
    for steps in (8, 12):
        train_here(folder, "--steps", steps, "--log-every", 2, "--evaluate-every", 4, "--learning-rate", 0.01)
    return folder


def test_measures_are_logged_and_shown(measured_run):
    lines = [line for line in logged(measured_run) if "evaluation/frechet_distance" in line]
    assert [line["step"] for line in lines] == [4, 8, 12]
    assert all(sum(line["evaluation/class_counts"]) == 2500 for line in lines)
    reader = LogReader(file_path=str(next((measured_run / "visualdl").glob("vdlrecords*"))))
    for tag in ("evaluation/frechet_distance", "evaluation/diversity", "evaluation/class_kl"):
        assert [record.id for record in reader.get_data("scalar", tag)] == [4, 8, 12]
    histograms = reader.get_data("histogram", "evaluation/class_counts")
    assert [list(record.histogram.hist) for record in histograms] == [line["evaluation/class_counts"] for line in lines]


def test_measuring_changes_nothing_that_is_trained(measured_run, tmp_path):
    train_here(tmp_path, "--steps", 12, "--log-every", 2, "--evaluate-every", 0, "--learning-rate", 0.01)
    for mine, theirs in zip(logged(tmp_path), logged(measured_run), strict=True):
        assert mine["loss/generator"] == theirs["loss/generator"]
    assert not (tmp_path / "best").exists()


def test_the_best_checkpoint_is_kept(measured_run, tmp_path):
    lines = [line for line in logged(measured_run) if "evaluation/frechet_distance" in line]
    best = min(lines, key=lambda line: line["evaluation/frechet_distance"])["step"]
    assert [path.name for path in (measured_run / "best").glob("step-*")] == [f"step-{best:08d}"]
    sheets = []
    for options in (["--best"], []):
        command_here("sample", measured_run, *options, "--npz", tmp_path / "s.npz")
        sheets.append(npz_files.read_npz(tmp_path / "s.npz"))
    assert (best == 12) == np.array_equal(*sheets)


def test_by_default_short_runs_are_not_measured(plain_run):
    assert not any("evaluation/frechet_distance" in line for line in logged(plain_run))


def test_measures_fall_on_logged_steps():
    done = command_line("train", "--evaluate-every", 75)
    assert done.returncode == 2 and "--evaluate-every 75: must be 0 or a multiple of --log-every, 50" in done.stderr


# ---- Samples of other programs


PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 5, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        (PIXELS, "arr_0"),
        (np.asfortranarray(PIXELS), "images"),
        (PIXELS.transpose(0, 3, 1, 2), "images"),
        (PIXELS / 255, "images"),
        ((PIXELS / 127.5 - 1).astype(np.float32), "images"),
        (PIXELS.astype(np.float64), "images"),
        ((PIXELS / 255).astype(np.float16), "images"),
        (PIXELS.astype(np.int64), "images"),
        (PIXELS.astype(np.uint16) * 257, "images"),
        (PIXELS.astype(">u2") * 257, "images"),
        (PIXELS / 255 - 1e-6, "images"),
        ((PIXELS / 127.5 - 1) * 1.0001, "images"),
        (PIXELS, "samples"),
    ],
    ids=[
        *("arr_0", "Fortran order", "NCHW", "floats to 1", "floats from -1", "floats to 255", "float16", "int64"),
        *("uint16", "big-endian", "rounded below 0", "rounded beyond 1", "another name"),
    ],
)
def test_common_forms_of_npz_are_read(tmp_path, stored, name):
    np.savez(tmp_path / "s.npz", **{name: stored})
    np.testing.assert_array_equal(npz_files.read_npz(tmp_path / "s.npz"), PIXELS)


def test_grey_images_without_an_axis_of_channels_and_transparent_ones_are_read(tmp_path):
    grey, mask = PIXELS[..., 0], PIXELS[..., 0] > 127
    clear = np.concatenate([PIXELS, PIXELS[..., :1]], axis=3)
    np.savez(tmp_path / "grey.npz", grey)
    np.savez(tmp_path / "mask.npz", mask)
    np.savez(tmp_path / "clear.npz", clear.transpose(0, 3, 1, 2))
    read = {name: npz_files.read_npz(tmp_path / f"{name}.npz") for name in ("grey", "mask", "clear")}
    np.testing.assert_array_equal(read["grey"], grey[..., None])
    np.testing.assert_array_equal(read["mask"], np.where(mask, 255, 0)[..., None])
    np.testing.assert_array_equal(read["clear"], clear)


def test_transparency_is_blended_with_white():
    pixels = np.array([[[[100, 50, 0, 51], [9, 9, 9, 0], [1, 2, 3, 255]]]], np.uint8)  # 51 is a fifth
    assert over_white(pixels).tolist() == [[[[224, 214, 204], [255, 255, 255], [1, 2, 3]]]]


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (PIXELS * 2.0, "from 0 to 510; scale"),
        (PIXELS + np.nan, "NaN"),
        (PIXELS.astype(np.int32) - 1, "from -1 to"),
        (PIXELS.astype(np.uint16) * 16, "scale"),  # of 12 bits, or dark ones of 16
        (PIXELS[..., :2], "grey or colour"),
        (PIXELS * 1j, "images are complex128"),
    ],
)
def test_forms_that_are_ambiguous_are_refused(tmp_path, stored, words):
    np.savez(tmp_path / "s.npz", images=stored)
    with pytest.raises(DataError, match=words):
        npz_files.read_npz(tmp_path / "s.npz")


def test_images_beside_labels_without_names_and_a_file_of_one_array_are_read(tmp_path):
    np.savez(tmp_path / "labelled.npz", PIXELS, np.arange(len(PIXELS)))
    np.save(tmp_path / "one.npy", PIXELS)
    for name in ("labelled.npz", "one.npy"):
        np.testing.assert_array_equal(npz_files.read_npz(tmp_path / name), PIXELS)


def test_how_numbers_were_read_is_said(tmp_path):
    said = []
    for number, stored in enumerate((PIXELS / 255, (PIXELS > 127).astype(np.uint8), PIXELS)):
        np.savez(tmp_path / f"{number}.npz", stored)
        npz_files.read_npz(tmp_path / f"{number}.npz", said.append)
    floats, mask = said
    assert "0 is black and 1 is white" in floats and "no value is above 1" in mask


def test_two_arrays_without_a_name_are_refused(tmp_path):
    np.savez(tmp_path / "s.npz", PIXELS, PIXELS)
    with pytest.raises(DataError, match="not an .npz file with an array `images`"):
        npz_files.read_npz(tmp_path / "s.npz")


def test_a_folder_of_pictures_and_an_exported_generator_are_measured(plain_run, tmp_path):
    """With the figures that the same samples have from the run itself."""
    command_here("sample", plain_run, "--num", 30, "--png-dir", tmp_path / "png", "--device", "cpu")
    command_here("export", plain_run, "--out", tmp_path / "exported")
    figures = []
    for source, more in ((plain_run, ()), (tmp_path / "png", ("mnist",)), (tmp_path / "exported", ("mnist",))):
        named = [option for name in more for option in ("--dataset", name)]
        command_here("evaluate", source, "--num", 30, "--out", tmp_path / "e.json", *named)
        record = json.loads((tmp_path / "e.json").read_text())
        figures.append({name: values["samples"] for name, values in record["figures"].items()})
        if more:
            with pytest.raises(UsageError, match="name the images"):
                command_here("evaluate", source, "--num", 30, "--out", tmp_path / "e.json")
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "png")  # the same samples
    np.testing.assert_array_equal(read_images(Path(archive)), read_images(tmp_path / "png"))
    with pytest.raises(UsageError, match="name the images that these samples imitate"):
        command_here("evaluate", archive, "--num", 30, "--out", tmp_path / "e.json")
    assert figures[1] == figures[0]
    assert figures[2] == pytest.approx(figures[0], rel=0.02, abs=1e-3)
