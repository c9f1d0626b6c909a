"""Pairs of images: reading, splitting, cropping, deriving, and measuring them."""

import numpy as np
import paddle
import pytest
from PIL import Image

from paddle_gan.datasets.derived import edges, grey
from paddle_gan.datasets.feed import BatchFeed
from paddle_gan.datasets.image_set import DiskImages, ImageSet, in_memory, subset
from paddle_gan.datasets.pair_feed import both_sides, cropped, derived_from, independent, random_crops
from paddle_gan.datasets.pairs import held_out_split, pairs_by_name, pairs_side_by_side, reversed_pairs
from paddle_gan.datasets.pictures import Picture, read_picture, write_picture, written_name
from paddle_gan.errors import DataError
from paddle_gan.evaluation.translations import hole_figures, pair_figures
from paddle_gan.features.maps import classifier_maps, random_convolutions
from paddle_gan.metrics import l1, luma, psnr, ssim, without_border
from paddle_gan.objectives.reconstruction import l1_loss, perceptual_loss


def patterns() -> tuple[np.ndarray, np.ndarray]:
    """Two different colour images, uint8 [1, 16, 20, 3]."""
    y, x = np.mgrid[0:16, 0:20]
    first = np.stack([7 * x + 3 * y, 5 * x * y, x * x + 11 * y], -1) % 256
    second = np.stack([7 * x + 3 * y + 10, 5 * x * y + x, x * x + 9 * y], -1) % 256
    return first[None].astype(np.uint8), second[None].astype(np.uint8)


# ---- Measures


def test_measures_are_those_of_scikit_image():
    """Values of scikit-image 0.25: structural_similarity(gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=255), peak_signal_noise_ratio, and rgb2ycbcr."""
    first, second = patterns()
    assert ssim(first, second)[0] == pytest.approx(0.8902677630519739, abs=1e-12)
    assert psnr(first, second)[0] == pytest.approx(17.06696788883056, abs=1e-12)
    assert luma(first).sum() == pytest.approx(33048.26785882353, rel=1e-12)


def test_ssim_is_the_formula_of_the_paper_window_by_window():
    """Wang et al. 2004, eq. 13, with one explicit window after the other; 17 pairs, to pass the chunk."""
    random = np.random.default_rng(0)
    first, second = random.integers(0, 256, (2, 17, 12, 13, 1)).astype(float)
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = np.zeros(17)
    for i in range(17):
        for top in range(2):
            for left in range(3):
                x, y = (side[i, top : top + 11, left : left + 11, 0] for side in (first, second))
                mean_x, mean_y = (window * x).sum(), (window * y).sum()
                var_x, var_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
                covariance = (window * (x - mean_x) * (y - mean_y)).sum()
                expected[i] += ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
                    (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
                )
    np.testing.assert_allclose(ssim(first, second), expected / 6, atol=1e-12)
    np.testing.assert_allclose(ssim(first, first), 1, atol=1e-12)


def test_measures_by_hand():
    black, grey_51 = np.zeros((2, 11, 11, 3), np.uint8), np.full((2, 11, 11, 3), 51, np.uint8)
    np.testing.assert_allclose(l1(black, grey_51), [0.2, 0.2])
    np.testing.assert_allclose(psnr(black, grey_51), 10 * np.log10(25))
    assert np.isinf(psnr(black, black)).all()
    c1 = (0.01 * 255) ** 2
    np.testing.assert_allclose(ssim(black, grey_51), c1 / (51**2 + c1))
    colours = np.array([[[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]]], np.uint8)
    np.testing.assert_allclose(luma(colours)[0, 0, :, 0], [16, 235, 81.481, 144.553, 40.966], atol=0.003)
    assert without_border(patterns()[0], 3).shape == (1, 10, 14, 3)
    with pytest.raises(ValueError, match="at least 11 pixels"):
        ssim(black[:, :10], black[:, :10])
    with pytest.raises(ValueError, match="one shape"):
        l1(black, black[:1])


def test_losses_of_images_and_targets():
    target, made = paddle.zeros([2, 3, 32, 32]), paddle.full([2, 3, 32, 32], 0.5)
    made.stop_gradient = False
    assert l1_loss(made, target).item() == 0.5
    maps = random_convolutions(3).maps
    expected = np.mean([np.abs(a.numpy() - b.numpy()).mean() for a, b in zip(maps(made), maps(target), strict=True)])
    loss = perceptual_loss(maps, made, target)
    assert loss.item() == pytest.approx(expected, rel=1e-6) and perceptual_loss(maps, made, made).item() == 0
    loss.backward()
    assert np.abs(made.grad.numpy()).max() > 0
    digits = paddle.rand([2, 1, 28, 28]) * 2 - 1
    assert [list(one.shape) for one in classifier_maps("mnist")(digits)] == [
        [2, 32, 14, 14],
        [2, 64, 7, 7],
        [2, 128, 4, 4],
    ]
    with pytest.raises(ValueError, match="takes images"):
        classifier_maps("mnist")(made)


def test_the_distance_in_features_is_the_mean_over_the_pairs():
    """Of more pairs than are taken at once: 3 of them."""
    made, targets = np.random.default_rng(0).integers(0, 256, (2, 5, 144, 144, 3), np.uint8)
    maps = random_convolutions(3).maps
    one_by_one = [
        perceptual_loss(maps, *(paddle.to_tensor(one.transpose(2, 0, 1)[None] / np.float32(127.5) - 1) for one in pair))
        for pair in zip(made, targets, strict=True)
    ]
    expected = np.mean([loss.item() for loss in one_by_one])
    holes = np.ones((5, 144, 144), bool)
    for figures in (pair_figures(made, targets, maps), hole_figures(made, targets, maps, holes)):
        assert figures["perceptual"] == pytest.approx(expected, rel=1e-5)
    assert pair_figures(made, made, maps)["perceptual"] == 0


# ---- Reading


def save(path, array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def plain(value: int, height: int = 8, width: int = 8) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def folders(tmp_path):
    """Two folders with three names in common, whose images have the values 10 i and 10 i + 5."""
    for i in range(3):
        save(tmp_path / "a" / f"{i}.png", plain(10 * i))
        save(tmp_path / "b" / f"{i}.bmp", plain(10 * i + 5))
    save(tmp_path / "a" / "only.png", plain(99))
    return tmp_path / "a", tmp_path / "b"


def test_pairs_have_the_same_name_whatever_the_extension(folders):
    data = pairs_by_name(*folders, image_size=4)
    images = data.images[:]
    assert images.shape == (3, 6, 4, 4) and data.name == "a-b" and data.names == ("0.png", "1.png", "2.png")
    assert images[:, :3, 0, 0].tolist() == [[10 * i] * 3 for i in range(3)]
    assert images[:, 3:, 3, 3].tolist() == [[10 * i + 5] * 3 for i in range(3)]
    assert data.notices[-1] == "left out: 1 of 4 images in a, which have no partner of their name"
    back = reversed_pairs(data).images[:]
    np.testing.assert_array_equal(back, np.roll(images, 3, axis=1))


def test_pairs_that_cannot_be_made_are_refused(folders, tmp_path):
    save(tmp_path / "c" / "x.png", plain(0))
    with pytest.raises(DataError, match="no image has the same name in both"):
        pairs_by_name(folders[0], tmp_path / "c", 4)
    save(folders[0] / "0.bmp", plain(0))
    with pytest.raises(DataError, match="another image has the same name but for its extension"):
        pairs_by_name(*folders, 4)
    save(tmp_path / "thin" / "x.png", plain(0, 8, 1))
    with pytest.raises(DataError, match="no two halves"):
        pairs_side_by_side(tmp_path / "thin", 4).images[:]


def test_both_sides_of_one_image(tmp_path):
    save(tmp_path / "one" / "x.png", np.concatenate([plain(7), plain(200)], axis=1))
    images = pairs_side_by_side(tmp_path / "one", 4).images[:]
    assert images.shape == (1, 6, 4, 4)
    assert (images[0, :3] == 7).all() and (images[0, 3:] == 200).all()


def test_the_split_depends_on_names_only(folders):
    def names(count: int, extension: str, prefix: str = "") -> tuple[str, ...]:
        return tuple(f"{prefix}{i:03d}.{extension}" for i in range(count))

    def split(names: tuple[str, ...], share: float = 0.1):
        data = ImageSet("x", np.zeros((len(names), 1, 1, 1), np.uint8), names=names)
        training, held_out = held_out_split(data, share)
        assert sorted([*training, *held_out]) == list(range(len(names)))
        return {names[i].split(".")[0] for i in held_out}

    assert len(split(names(100, "png"))) == 10 and len(split(names(3, "png"))) == 1 and not split(names(9, "png"), 0)
    assert split(names(100, "png")) == split(names(100, "jpg"))
    more = split(names(120, "png"))
    assert len(more) == 12 and len(split(names(100, "png")) & more) >= 7
    assert len(split(("one.png",))) == 0  # nothing would be left to train on


def test_a_subset_reads_its_own_images(folders):
    data = pairs_by_name(*folders, image_size=4)
    for source in (data, in_memory(data)):
        part = subset(source, np.array([2, 0]))
        assert part.images[:][:, 0, 0, 0].tolist() == [20, 0] and part.names == ("2.png", "0.png")
        assert part.fingerprint == data.fingerprint


def test_pictures_are_upright_and_keep_their_alpha(tmp_path):
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 10
    rotated = Image.fromarray(pixels)
    exif = rotated.getexif()
    exif[0x0112] = 6  # to be turned clockwise
    rotated.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "turned.png").colours, np.rot90(pixels, -1))

    alpha = np.array([[0, 255, 128]] * 2, np.uint8)
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / "alpha.png")
    picture = read_picture(tmp_path / "alpha.png")
    np.testing.assert_array_equal(picture.alpha, alpha)
    assert (picture.colours[:, 0] == 255).all() and (picture.colours[:, 1] == pixels[:, 1]).all()

    Image.fromarray(np.array([[0, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert read_picture(tmp_path / "deep.png").colours[0, :, 0].tolist() == [0, 255]
    write_picture(tmp_path / "again.png", Picture(pixels, alpha))
    again = read_picture(tmp_path / "again.png")
    np.testing.assert_array_equal(again.alpha, alpha)
    (tmp_path / "bad.png").write_bytes(b"no image")
    for name, message in (("bad.png", "not an image that can be read"), ("none.png", "there is no such file")):
        with pytest.raises(DataError, match=message):
            read_picture(tmp_path / name)


def test_results_keep_their_names(tmp_path):
    from pathlib import Path

    names = {
        ("x.png", True): "x.png",
        ("x.jpg", False): "x.jpg",
        ("x.jpg", True): "x.jpg.png",
        ("x.gif", False): "x.gif.png",
    }
    for (name, alpha), expected in names.items():
        assert written_name(Path(name), alpha) == Path(expected)
    write_picture(tmp_path / "x.jpg", Picture(plain(40), None))
    assert Image.open(tmp_path / "x.jpg").format == "JPEG"


# ---- Batches


def feed(images: np.ndarray, **options) -> BatchFeed:
    settings = {"batch_size": 4, "seed": 3, "value_range": (0.0, 255.0), "labelled": False, "workers": 0, "ahead": 1}
    return BatchFeed(data=ImageSet("x", images), **{**settings, **options})


def test_crops_are_windows_of_their_images_and_shared_by_both_sides():
    """Each pixel has its own value, and the second side is the first one plus 100."""
    count, size = 6, 10
    first = np.arange(size * size, dtype=np.uint8).reshape(1, 1, size, size).repeat(3, 1).repeat(count, 0)
    images = np.concatenate([first, first + 100], axis=1)
    seen = set()
    with cropped(feed(images), 8, seed=1, mirror=True, made=both_sides) as batches:
        for number in range(8):
            inputs, targets = batches(number)
            assert inputs.shape == targets.shape == [4, 3, 8, 8]
            np.testing.assert_array_equal(targets.numpy() - inputs.numpy(), 100)
            for crop in inputs.numpy()[:, 0]:
                mirrored = crop[0, 0] > crop[0, 1]
                crop = crop[:, ::-1] if mirrored else crop
                top, left = divmod(int(crop[0, 0]), size)
                np.testing.assert_array_equal(crop, first[0, 0, top : top + 8, left : left + 8])
                seen.add((top, left, bool(mirrored)))
        again = [batches(2).inputs.numpy(), batches(5).inputs.numpy()]
    assert len(seen) > 12  # of 18 places
    with cropped(feed(images), 8, seed=1, mirror=True, made=both_sides) as batches:
        np.testing.assert_array_equal(again[1], batches(5).inputs.numpy())
        np.testing.assert_array_equal(again[0], batches(2).inputs.numpy())
    with cropped(feed(images), 8, seed=2, mirror=True, made=both_sides) as batches:
        assert (again[0] != batches(2).inputs.numpy()).any()


def test_crops_of_a_process_are_its_rows_of_those_of_all(monkeypatch):
    from paddle_gan.system import parallel

    images = paddle.to_tensor(np.random.default_rng(0).uniform(size=(4, 1, 6, 6)).astype(np.float32))
    whole = random_crops(images, 4, seed=0, number=7, mirror=True).numpy()
    monkeypatch.setattr(parallel, "world_size", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(parallel, "rank", lambda rank=rank: rank)
        part = random_crops(images[2 * rank : 2 * rank + 2], 4, seed=0, number=7, mirror=True)
        np.testing.assert_array_equal(part.numpy(), whole[2 * rank : 2 * rank + 2])


def test_images_that_fit_are_left_alone():
    images = paddle.rand([2, 3, 8, 8])
    assert random_crops(images, 8, seed=0, number=0, mirror=False) is images


def test_several_feeds_are_a_tuple():
    first, second = (np.full((5, 1, 4, 4), value, np.uint8) for value in (1, 2))
    with independent(cropped(feed(first), 4, 0, False), cropped(feed(second), 4, 0, False)) as batches:
        a, b = batches(0)
    assert float(a.max()) == 1 and float(b.min()) == 2


def test_grey_is_the_luma_that_pillow_computes():
    first, _ = patterns()
    made = grey(paddle.to_tensor(first.transpose(0, 3, 1, 2)).astype("float32")).numpy()[0, 0]
    np.testing.assert_allclose(made, np.asarray(Image.fromarray(first[0]).convert("L"), np.float32), atol=1)
    pair = derived_from(grey)(paddle.ones([1, 3, 4, 4]), [(0,)])
    assert pair.inputs.shape == [1, 1, 4, 4] and pair.targets.shape == [1, 3, 4, 4]


def test_outlines_are_black_where_the_values_jump_and_white_where_they_do_not():
    flat = edges(paddle.full([1, 3, 8, 8], 0.3)).numpy()
    np.testing.assert_array_equal(flat, 1)
    step = np.full((1, 3, 8, 8), -1, np.float32)
    step[..., 4:] = 1
    lines = edges(paddle.to_tensor(step)).numpy()[0, 0]
    # By hand: smoothed to 0, 1/4, 3/4, 1; the Sobel gradients (/4) beside the jump are 3/4 · 1, black from 0.6 on.
    assert (lines[:, 3:5] == -1).all() and (lines[:, [0, 1, 6, 7]] == 1).all()
    np.testing.assert_allclose(lines[:, 2], 1 - 2 * (0.25 - 0.15) / 0.45, atol=1e-5)
    step[:, :2] = 1  # yellow beside white: only blue jumps
    np.testing.assert_allclose(edges(paddle.to_tensor(step)).numpy()[0, 0], lines, atol=1e-6)


def test_disk_images_of_pairs_are_read_by_threads_as_well(folders):
    data = pairs_by_name(*folders, image_size=4)
    assert isinstance(data.images, DiskImages)
    settings = dict(batch_size=2, seed=0, value_range=(0.0, 255.0), labelled=False, ahead=2)
    made = []
    for workers in (0, 2):
        with cropped(BatchFeed(data=data, workers=workers, **settings), 4, 0, True, both_sides) as batches:
            made.append([batches(number).targets.numpy() for number in range(4)])
    np.testing.assert_array_equal(made[0], made[1])
