"""Projection: an image of a generator is found again, and the files, the walks and the command that use its latent."""

import numpy as np
import paddle
import pytest
from conftest import command_here
from PIL import Image
from test_export import shares_of
from test_walks import small

from paddle_gan import TrainConfig, load
from paddle_gan.config.results import WalkConfig
from paddle_gan.errors import DataError, UsageError
from paddle_gan.features.maps import maps_for, random_convolutions
from paddle_gan.inference.latents import read_latent, samples, walk_through, write_latent
from paddle_gan.inference.npz_files import read_npz, write_arrays
from paddle_gan.inference.projection import distance_to, project, schedule
from paddle_gan.inference.sampling import generate
from paddle_gan.inference.steering import FromStyles
from paddle_gan.networks.mixture import Mixture
from paddle_gan.runs.resolve import resolve
from paddle_gan.runs.run import Run

MAPS = random_convolutions(1).maps


def clusters(name: str) -> Mixture:
    generator = Mixture(small(name, classes=4), shares_of(0))
    generator.eval()
    for parameter in generator.parameters():
        if parameter.ndim == 2 and parameter.trainable and name != "style":  # new weights make grey images
            parameter.set_value(parameter * 3)
    return generator


# A generator of each family: with labels, with clusters, with styles.
GENERATORS = {
    "labels": lambda: small("pixelshuffle", classes=3),
    "clusters": lambda: clusters("mlp-shallow"),
    "style": lambda: small("style"),
    "style of clusters": lambda: clusters("style"),
}


def sample(generator: paddle.nn.Layer, seed: int) -> np.ndarray:
    return next(generate(generator, 1, seed, generator.classes)).images[0]


def test_the_distance_is_that_of_its_formula():
    """With maps x ↦ 2x and x ↦ x², by NumPy; 0 for the target itself."""
    random = np.random.default_rng(0)
    target, images = (random.uniform(-1, 1, (n, 3, 4, 5)).astype(np.float32) for n in (1, 2))
    distance = distance_to(paddle.to_tensor(target), lambda x: [2 * x, x * x])

    def squares(x: np.ndarray) -> np.ndarray:
        return (x.astype(float) ** 2).reshape(len(x), -1).sum(1)

    relative = [squares(f(images) - f(target)) / squares(f(target)) for f in (lambda x: 2 * x, np.square)]
    wanted = squares(images - target) / 60 + sum(relative) / 2
    np.testing.assert_allclose(distance(paddle.to_tensor(images)).numpy(), wanted, rtol=1e-5)
    assert distance(paddle.to_tensor(target)).item() == 0


def test_the_schedule_is_that_of_the_paper():
    """1000 steps: the rate rises over 50 and falls over 250 as a cosine, the noise is gone after 750."""
    rates, noise = zip(*schedule(1000), strict=True)
    assert (rates[0], rates[25], noise[0]) == (0, pytest.approx(0.05), 0.05)
    assert set(rates[50:750]) == {0.1} and rates[875] == pytest.approx(0.05) and rates[999] < 1e-5
    assert noise[375] == pytest.approx(0.05 / 4) and noise[749] > 0 == max(noise[750:])


@pytest.mark.parametrize("name", GENERATORS)
def test_an_image_of_the_generator_is_found_again(name, tmp_path):
    """The distance falls a hundredfold; its latent makes that image, also from a file, and by the seed the same one."""
    generator = GENERATORS[name]()
    image = sample(generator, 11)
    found = project(generator, image, MAPS, 5, 4, 120)
    assert found.start > 100 * found.end > 0
    assert np.abs(found.image.astype(int) - image).mean() < 3 < np.abs(sample(generator, 5).astype(int) - image).mean()
    weights = [parameter.stop_gradient for parameter in generator.parameters() if parameter.trainable]
    assert not any(weights) and weights
    write_latent(tmp_path / "latent.npz", found.latent, found.image[None])
    np.testing.assert_array_equal(read_npz(tmp_path / "latent.npz")[0], found.image)
    latent = read_latent(tmp_path / "latent.npz", generator)
    assert latent.styles == ("style" in name)
    np.testing.assert_array_equal(latent.keyframe.latents, found.latent.keyframe.latents)
    first, last = walk_through(generator, [latent, *samples(generator, [7], labels_of(generator), 1)], 1, False)
    assert np.abs(first[0].astype(int) - found.image).max() <= 1
    assert np.abs(last[0].astype(int) - sample(generator, 7)).max() <= 1
    again, other = (project(generator, image, MAPS, seed, 2, 6) for seed in (5, 6))
    np.testing.assert_array_equal(project(generator, image, MAPS, 5, 2, 6).image, again.image)
    assert (again.latent.keyframe.latents != other.latent.keyframe.latents).any()


def labels_of(generator: paddle.nn.Layer) -> list[np.ndarray] | None:
    return [np.zeros(1, np.int64)] if generator.classes else None


def test_between_styles_the_way_is_straight():
    generator = GENERATORS["style"]()
    found = project(generator, sample(generator, 11), MAPS, 0, 1, 2)
    (seven,) = samples(generator, [7], None, 1)
    with paddle.no_grad():
        style = generator.mapping(paddle.to_tensor(seven.keyframe.latents)).numpy()
        half = FromStyles(generator)(paddle.to_tensor((found.latent.keyframe.latents + style) / 2)).numpy()
    frames = list(walk_through(generator, [found.latent, seven], 2, False))
    np.testing.assert_allclose(frames[1][0, ..., 0], (half[0, 0] + 1) * 127.5, atol=0.51)


def test_files_of_others_are_refused(tmp_path):
    plain, style, labels = small("mlp-shallow"), GENERATORS["style"](), GENERATORS["labels"]()
    path = tmp_path / "latent.npz"
    write_latent(path, project(style, sample(style, 0), MAPS, 0, 1, 1).latent, np.zeros((1, 16, 16, 1), np.uint8))
    for generator in (plain, labels):
        with pytest.raises(UsageError, match="no latent of this generator"):
            read_latent(path, generator)
    for arrays, error, words in (
        ({"latents": np.zeros((1, 6), np.float32)}, UsageError, "no latent of this generator"),
        ({"styles": np.full((1, 6), np.nan, np.float32)}, DataError, "NaN"),
        ({"styles": np.zeros((1, 6))}, DataError, "styles is float64, not float32"),
    ):
        write_arrays(path, arrays)
        with pytest.raises(error, match=words):
            read_latent(path, style)
    path.write_text("nothing")
    with pytest.raises(DataError, match="not an .npz file"):
        read_latent(path, style)
    with pytest.raises(UsageError, match="no such file"):
        read_latent(tmp_path / "none.npz", style)


def test_the_maps_are_those_of_the_data_if_they_fit():
    for data, shape, count in (("mnist", (28, 28, 1), 3), ("mnist", (32, 32, 1), 4), ("cats", (28, 28, 3), 4)):
        images = paddle.zeros([1, shape[2], *shape[:2]])
        assert len(maps_for(data, *shape)(images)) == count


def test_a_run_takes_pictures_of_any_size(tmp_path):
    """Brought to its size and channels; `Run.walk` goes through what was found."""
    options = resolve(TrainConfig(dataset="cats", image_size=16, channels=1), "cpu").config
    run = Run(tmp_path, options, small("mlp-shallow"), (), 1)
    image = sample(run.generator, 11)
    large = Image.fromarray(image[..., 0]).convert("RGBA").resize((64, 64), Image.Resampling.NEAREST)
    large.save(tmp_path / "large.png")
    np.testing.assert_array_equal(run.fitted(tmp_path / "large.png"), run.fitted(large))
    assert run.fitted(large).shape == (16, 16, 1) and np.abs(run.fitted(large).astype(int) - image).mean() < 25
    found = run.project(image, starts=2, steps=5)
    np.testing.assert_array_equal(run.project(Image.fromarray(image[..., 0]), starts=2, steps=5).image, found.image)
    frames = run.walk([found, 7], frames=2)
    assert len(frames) == 4 and np.abs(np.asarray(frames[0]).astype(int) - found.image[..., 0]).max() <= 1


def test_the_command_writes_picture_and_latent_and_a_walk_goes_through_them(plain_run, tmp_path, capsys):
    run = load(plain_run)
    Image.fromarray(run.sample(1, seed=3)[0, ..., 0]).save(tmp_path / "digit.png")
    command_here("project", tmp_path / "digit.png", plain_run, "--steps", 20, "--starts", 2)
    found = run.project(tmp_path / "digit.png", starts=2, steps=20)
    said = f"distance {found.start:.4g} at the nearest start, {found.end:.4g} after 20 steps"
    assert said in capsys.readouterr().out and found.end < found.start
    sheet = np.asarray(Image.open(tmp_path / "digit-projected.png"))
    np.testing.assert_array_equal(sheet[2:58:2, 2:58:2, 0], run.sample(1, seed=3)[0, ..., 0])
    np.testing.assert_array_equal(sheet[2:58:2, 60:116:2, 0], found.image[..., 0])
    walk = ("walk", plain_run, "--out", tmp_path / "walk.apng", "--projections", tmp_path / "digit-projected.npz")
    with pytest.raises(UsageError, match="needs two keyframes"):
        command_here(*walk)
    command_here(*walk, "--between", 1, 2, "--frames", 3, "--num", 2)
    animation = Image.open(tmp_path / "walk.apng")
    assert animation.n_frames == 9
    frame = np.asarray(animation.convert("L"))
    for left in (2, 60):  # both walks begin with the projection
        assert np.abs(frame[2:58:2, left : left + 56 : 2].astype(int) - found.image[..., 0]).max() <= 1
    with pytest.raises(UsageError, match="--truncation would change"):
        WalkConfig(projections=("a.npz",), truncation=0.5)
