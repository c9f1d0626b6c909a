"""Images that are no squares: the sizes themselves, data, networks, and a run through the commands."""

import json
import math

import numpy as np
import paddle
import pytest
from conftest import TINY, command_here
from PIL import Image

from paddle_gan.config.sizes import read_size, sides, written
from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets.folder import load_folder, read_images
from paddle_gan.datasets.resize import block_means, resize_grey
from paddle_gan.errors import DataError, UsageError
from paddle_gan.evaluation.score import extractor_for
from paddle_gan.features.extractors import general_extractor, to_grey_28
from paddle_gan.inference.images import grid
from paddle_gan.inference.npz_files import read_npz
from paddle_gan.networks import DISCRIMINATORS
from paddle_gan.networks.sizes import cropped, doublings
from paddle_gan.runs.folder import identity, read_config


@pytest.mark.parametrize(
    ("given", "size", "expected"),
    [
        *((given, 64, (64, 64)) for given in (64, "64", "64x64", " 64X64 ")),
        *((given, "64x48", (48, 64)) for given in ("64x48", "64X48", "64×48", "064x048")),
    ],
)
def test_a_size_is_width_and_height(given, size, expected):
    config = TrainConfig(image_size=given)
    assert config.image_size == size and sides(size) == expected and written(*expected) == size


NO_SIZES = ("", "x", "64x", "x48", "64x48x3", "64*48", "-64", "6.4e1", 64.0, True, (48, 64), "9" * 9)


@pytest.mark.parametrize("given", NO_SIZES)
def test_what_is_no_size_is_refused(given):
    with pytest.raises(UsageError, match="--image-size .*: must be a number of pixels, as 64, or WIDTHxHEIGHT"):
        TrainConfig(image_size=given)


def test_each_side_has_the_bounds_of_a_square():
    for given in ("15x64", "64x257"):
        with pytest.raises(ValueError, match="each side 16 to 256"):
            read_size(given)
    with pytest.raises(ValueError, match="^16 to 256$"):
        read_size(15)


def test_both_sides_are_doubled_equally_often():
    assert [doublings(size) for size in ("64x48", "48x64")] == [((6, 8), 3), ((8, 6), 3)]
    for width in range(16, 257, 7):
        for height in range(16, 257, 11):
            small, count = doublings(written(height, width))
            assert max(small) <= 8 < 2 * max(small) or max(width, height) <= 8
            assert small == (math.ceil(height / 2**count), math.ceil(width / 2**count))


def test_the_middle_is_cut_out_on_both_axes():
    x = paddle.arange(30, dtype="float32").reshape([1, 1, 5, 6])
    np.testing.assert_array_equal(cropped(x, "4x3").numpy(), x.numpy()[:, :, 1:4, 1:5])
    assert cropped(x, "6x5") is x


@pytest.mark.parametrize("name", ["strided", "residual", "mlp"])
@pytest.mark.parametrize("size", ["256x16", "17x90"])
def test_a_discriminator_takes_long_images(name, size):
    discriminator = DISCRIMINATORS[name](image_size=size, channels=1, width=2, norm=None)
    height, width = sides(size)
    assert discriminator(paddle.randn([4, 1, height, width])).shape == [4]


def test_a_digit_stays_a_square_in_the_middle_of_black():
    digits = np.random.default_rng(0).integers(1, 256, (3, 28, 28), np.uint8)
    wide = resize_grey(digits, "41x30")  # one row above and below, six and seven columns beside
    assert wide.shape == (3, 30, 41)
    np.testing.assert_array_equal(wide[:, 1:29, 6:34], digits)
    assert wide.sum() == digits.sum(dtype=np.int64)
    tall = resize_grey(digits, "20x50")
    np.testing.assert_array_equal(tall[:, 15:35], resize_grey(digits, 20))
    assert not tall[:, :15].any() and not tall[:, 35:].any()


def test_blocks_are_square_and_the_longer_side_has_the_most():
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 12, 1)).astype(np.uint8)
    small = block_means(images, 4).reshape(2, 2, 4)
    assert small[1, 1, 2] == pytest.approx(images[1, 3:6, 6:9].mean() / 255)
    assert block_means(images[:, :5], 4).shape == (2, 8)


def test_a_picture_is_cropped_to_the_proportions_and_not_squeezed(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (40, 32, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    data = load_folder(tmp_path, "32x16", 3)
    np.testing.assert_array_equal(data.images[0].transpose(1, 2, 0), picture[12:28])
    np.testing.assert_array_equal(read_images(tmp_path)[0], picture)


def test_digits_of_other_shapes_are_not_given_to_the_classifier():
    assert extractor_for("mnist", "64x48", 1, None).name == general_extractor(1).name
    assert extractor_for("mnist", 64, 1, None).name == "mnist classifier"
    with pytest.raises(DataError, match="images of 64x48x1: the classifier is made for square images"):
        to_grey_28(np.zeros((1, 48, 64, 1), np.uint8))


def test_a_sheet_has_images_of_their_own_proportions():
    sheet = grid(np.full((3, 16, 40, 1), 9, np.uint8), columns=2)  # enlarged four times
    assert sheet.shape == (2 * 64 + 3 * 2, 2 * 160 + 3 * 2, 3)
    assert (sheet[2:66, 2:162] == 9).all() and (sheet[:, 162:164] == 128).all()


def test_a_run_on_wide_pictures_through_the_commands(tmp_path, capsys):
    pictures, run = tmp_path / "pictures", tmp_path / "run"
    pictures.mkdir()
    random = np.random.default_rng(0)
    for i in range(24):
        Image.fromarray(random.integers(0, 256, (30, 44, 3), np.uint8)).save(pictures / f"{i}.png")
    options = ("--dataset", pictures, "--image-size", "32x20", "--clusters", 2, "--loss", "wgan-gp", *TINY)
    command_here("train", "--out", run, *options, "--steps", 2, "--log-every", 1, "--evaluate-every", 0)
    assert "24 images of pictures in 2 clusters, 32x20x3; " in capsys.readouterr().out
    assert json.loads((run / "config.json").read_text())["image_size"] == "32x20"
    command_here("train", "--resume", run, "--steps", 3)
    assert identity(read_config(run))["image_size"] == "32x20"
    command_here("sample", run, "--num", 14, "--npz", tmp_path / "s.npz", "--png-dir", tmp_path / "s")
    samples = read_npz(tmp_path / "s.npz")
    assert samples.shape == (14, 20, 32, 3)
    np.testing.assert_array_equal(read_images(tmp_path / "s"), samples)
    command_here("export", run)
    assert json.loads((run / "exported" / "manifest.json").read_text())["image_size"] == "32x20"
    for source in (run, run / "exported", tmp_path / "s.npz", tmp_path / "s"):
        out = tmp_path / f"{source.name}.json"
        command_here("evaluate", source, "--num", 14, "--dataset", pictures, "--out", out)
        assert json.loads(out.read_text())["protocol"]["image_size"] == "32x20"


def test_a_square_run_has_the_number_that_it_always_had():
    assert type(identity(TrainConfig(image_size="64x64"))["image_size"]) is int


def test_the_tutorial_s_network_refuses_a_rectangle():
    from paddle_gan.runs.resolve import resolve

    with pytest.raises(UsageError, match="made for 32x32 images, not 64x48"):
        resolve(TrainConfig(generator="tutorial", image_size="64x48"), "cpu")
