"""Playing with latents: walks, truncation, mixed styles, nearest training images, and their files and commands."""

import importlib.util
from pathlib import Path

import numpy as np
import paddle
import pytest
from conftest import TINY, command_here
from PIL import Image

from paddle_gan.config.results import layer_range
from paddle_gan.errors import UsageError
from paddle_gan.inference import animations, latents
from paddle_gan.inference.sampling import generate, latents_of
from paddle_gan.inference.steering import Steered, StyleMix, style_layers, taken_apart
from paddle_gan.inference.walks import keyframe_labels, places, slerp
from paddle_gan.networks import GENERATORS
from paddle_gan.networks.mixture import Mixture
from paddle_gan.runs.folder import read_config
from paddle_gan.runs.nearest import nearest_training

SHARES = np.array([[0.5, 0.2, 0.3]])


def small(name: str, classes: int = 0, seed: int = 0) -> paddle.nn.Layer:
    paddle.seed(seed)
    generator = GENERATORS[name](image_size=16, channels=1, width=4, classes=classes, latent_dim=6)
    generator.eval()
    return generator


def mixture() -> Mixture:
    return Mixture(small("mlp-shallow", classes=3), SHARES)


def test_slerp_goes_along_the_great_circle():
    """For orthogonal a and b it is cos(tπ/2) a + sin(tπ/2) b, of which the length stays that of both."""
    a, b = np.array([[3.0, 0, 0], [0, 0, 2.0]]), np.array([[0, 3.0, 0], [2.0, 0, 0]])
    for t in (0.0, 0.25, 1 / 3, 1.0):
        np.testing.assert_allclose(slerp(a, b, t), np.cos(t * np.pi / 2) * a + np.sin(t * np.pi / 2) * b, atol=1e-15)
    turned = np.array([np.cos(np.pi / 3), np.sin(np.pi / 3)])
    np.testing.assert_allclose(slerp(np.array([1.0, 0]), turned, 0.5), [np.cos(np.pi / 6), 0.5], rtol=1e-14)


def test_slerp_ends_at_its_ends_and_is_straight_without_an_angle():
    a, b = np.random.default_rng(0).normal(size=(2, 4, 64)).astype(np.float32)
    np.testing.assert_allclose(slerp(a, b, 0.0), a, rtol=1e-6)
    np.testing.assert_allclose(slerp(a, b, 1.0), b, rtol=1e-6, atol=1e-7)
    assert slerp(a, b, 0.3).dtype == np.float32
    np.testing.assert_allclose(slerp(a, 3 * a, 0.25), 1.5 * a, rtol=1e-6)
    np.testing.assert_allclose(slerp(a, -a, 0.25), 0.5 * a, rtol=1e-6)
    np.testing.assert_array_equal(slerp(0 * a, 0 * a, 0.5), 0 * a)


def test_a_closed_walk_comes_back_and_an_open_one_ends():
    assert places(2, 2, closed=True) == [(0, 1, 0.0), (0, 1, 0.5), (1, 0, 0.0), (1, 0, 0.5)]
    assert places(3, 1, closed=False) == [(0, 1, 0.0), (1, 2, 0.0), (2, 2, 0.0)]
    assert (len(places(5, 24, True)), len(places(5, 24, False))) == (120, 97)


@pytest.mark.parametrize("kind", ["plain", "classes", "clusters", "style"])
def test_keyframes_are_the_samples_of_their_seeds(kind):
    """Up to one grey level, since a sample's batch has another size; frames between are no keyframes."""
    classes = 3 if kind == "classes" else 0
    name = "style" if kind == "style" else "pixelshuffle"
    generator = mixture() if kind == "clusters" else small(name, classes)
    seeds, count, between = (3, 8, 14), 7, 4
    keyframes = latents.samples(generator, seeds, keyframe_labels((), 3, count, classes), count)
    frames = list(latents.walk_through(generator, keyframes, between, closed=False))
    assert len(frames) == 9 and frames[0].shape == (count, 16, 16, 1)
    for k, seed in enumerate(seeds):
        (samples,) = generate(generator, count, seed, classes)
        assert np.abs(frames[between * k].astype(int) - samples.images).max() <= 1
    assert (frames[2] != frames[0]).any() and (frames[2] != frames[4]).any()


def test_a_frame_between_has_the_latents_and_labels_between():
    """A cluster goes gradually: half of the way it has a half of each keyframe's cluster."""
    generator, count = mixture(), 5
    frames = list(latents.walk_through(generator, latents.samples(generator, (0, 1), None, count), 2, closed=True))
    noise = [latents_of(generator.latent_dim, seed)[:count] for seed in (0, 1)]
    parts = [np.eye(3, dtype=np.float32)[generator.part_of(z[:, -1:]).numpy()] for z in noise]
    z = slerp(noise[0][:, :-1].numpy(), noise[1][:, :-1].numpy(), 0.5)
    images = generator.parts(paddle.to_tensor(z), paddle.to_tensor((parts[0] + parts[1]) / 2)).numpy()
    low, high = generator.value_range
    expected = ((images - low) * 255 / (high - low)).round().transpose(0, 2, 3, 1)
    assert np.abs(frames[1] - expected).max() <= 1


def test_labels_of_keyframes():
    assert keyframe_labels((), 2, 3, 0) is None
    np.testing.assert_array_equal(keyframe_labels((), 2, 4, 3), [[0, 1, 2, 0]] * 2)
    np.testing.assert_array_equal(keyframe_labels((2, 0), 3, 2, 3), [[2, 2], [0, 0], [2, 2]])


@pytest.mark.parametrize("name", [name for name in GENERATORS if name != "tutorial"])
def test_shares_of_one_label_are_that_label(name):
    generator, labels = small(name, classes=3), paddle.to_tensor([2, 0])
    latents = paddle.randn([2, 6])
    _, _, shares = taken_apart(generator, latents, labels)
    np.testing.assert_allclose(generator(latents, shares).numpy(), generator(latents, labels).numpy(), atol=1e-6)


@pytest.mark.parametrize("make", [mixture, lambda: small("style"), lambda: small("pixelshuffle")])
def test_truncation_1_changes_nothing_and_0_leaves_one_image_a_label(make):
    generator = make()
    latents = paddle.randn([40, generator.latent_dim])
    np.testing.assert_allclose(Steered(generator)(latents).numpy(), generator(latents).numpy(), atol=1e-6)
    images = Steered(generator, 0.0)(latents).numpy()
    labels = generator.part_of(latents[:, -1:]).numpy() if isinstance(generator, Mixture) else np.zeros(40, int)
    assert len(set(labels)) == (3 if isinstance(generator, Mixture) else 1)
    for label in set(labels):
        assert np.ptp(images[labels == label], axis=0).max() < 1e-6
    assert np.ptp(generator(latents).numpy(), axis=0).max() > 1e-3


def test_truncation_is_towards_the_mean_style_or_the_mean_latent():
    styled, plain = small("style"), small("mlp-plain")
    styled.average_style.set_value(paddle.randn([6]))
    latents = paddle.randn([3, 6])
    style = 0.3 * styled.average_style + 0.7 * styled.mapping(latents)
    expected = styled.draw([style] * styled.layers)
    np.testing.assert_allclose(Steered(styled, 0.7)(latents).numpy(), expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(Steered(plain, 0.7)(latents).numpy(), plain(0.7 * latents).numpy(), atol=1e-6)


def test_mixed_styles_are_those_of_the_other_latent_at_their_layers():
    generator = small("style", classes=2)
    assert (style_layers(generator), style_layers(Mixture(generator, SHARES)), style_layers(mixture())) == (3, 3, 0)
    latents, other, labels = paddle.randn([4, 6]), paddle.randn([1, 6]), paddle.to_tensor([0, 1, 1, 0])
    mine, theirs = generator.mapping(latents, labels), generator.mapping(other.expand([4, -1]), labels)
    images = Steered(generator, mix=StyleMix(other, range(0, 2)))(latents, labels)
    np.testing.assert_allclose(images.numpy(), generator.draw([theirs, theirs, mine]).numpy(), atol=1e-6)


def test_layers_are_a_number_or_a_range():
    assert (layer_range("2"), layer_range("0-3")) == (range(2, 3), range(4))
    for text in ("", "3-1", "a", "1-2-3", "-1"):
        with pytest.raises(UsageError, match="--mix-layers .*: must be a layer or a range of them, as 2 or 0-3"):
            layer_range(text)


FRAMES = list(np.random.default_rng(0).integers(0, 256, (5, 33, 41, 3)).astype(np.uint8))


@pytest.mark.parametrize("name", ["a.gif", "a.apng", "A.PNG"])
def test_animations_open_with_all_frames_and_their_time(tmp_path, name):
    assert animations.save_animation(tmp_path / name, FRAMES, fps=20) == 5
    with Image.open(tmp_path / name) as opened:
        assert (opened.n_frames, opened.size, opened.info["loop"]) == (5, (41, 33), 0)
        for i, frame in enumerate(FRAMES):
            opened.seek(i)
            assert opened.info["duration"] == 50
            if name != "a.gif":
                np.testing.assert_array_equal(np.asarray(opened.convert("RGB")), frame)


def test_a_video_has_the_frames_and_needs_ffmpeg(tmp_path, monkeypatch):
    if importlib.util.find_spec("imageio_ffmpeg"):
        import imageio_ffmpeg  # type: ignore[import-not-found]

        animations.save_animation(tmp_path / "a.mp4", FRAMES, fps=20)
        assert imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "a.mp4"))[0] == 5
    monkeypatch.setattr(animations, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="MP4 needs ffmpeg; pip install imageio-ffmpeg, or take .gif or .apng"):
        animations.check_format(tmp_path / "a.mp4")
    with pytest.raises(UsageError, match="ends with one of .gif .apng .png .mp4"):
        animations.check_format(tmp_path / "a.avi")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A conditional run with styles and clusters on a folder of two classes."""
    folder = tmp_path_factory.mktemp("walks")
    random = np.random.default_rng(0)
    for i in range(16):
        (folder / "pictures" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        picture = random.integers(0, 256, (18, 24, 3), np.uint8)
        Image.fromarray(picture).save(folder / "pictures" / "ab"[i % 2] / f"{i}.png")
    options = ("--dataset", folder / "pictures", "--image-size", "24x18", "--conditional", "--clusters", 4)
    command_here("train", "--generator", "style", *options, *TINY, "--steps", 1, "--out", folder / "run")
    return folder / "run"


def test_the_walk_command(run, capsys):
    command_here("walk", run, "--between", 3, 8, "--frames", 3, "--num", 2, "--fps", 10, "--truncation", 0.5)
    assert f"6 frames in {run / 'walk.gif'}" in capsys.readouterr().out
    command_here("walk", run, "--between", 5, "--labels", 0, 1, "--frames", 4, "--open", "--out", run / "m.apng")
    assert "5 frames in " in capsys.readouterr().out
    with Image.open(run / "m.apng") as opened:
        assert opened.size == (3 * 24 + 4, 3 * 18 + 4)
    for arguments, message in (
        (["--between", 3], "a walk needs two keyframes"),
        (["--labels", 0, 2], "--labels 2: the labels of this run are: 0 a, 1 b"),
        (["--between", -1, 2], "--between -1: must be at least 0"),
        (["--between", "x", 2], "must be whole numbers"),
        (["--out", run / "w.webm"], "ends with one of"),
    ):
        with pytest.raises(UsageError, match=message):
            command_here("walk", run, *arguments)


def test_the_sample_command_steers(run, tmp_path):
    sheets = {}
    for name, options in {
        "plain": [],
        "truncated": ["--truncation", 0],
        "all styles": ["--mix-from", 3, "--mix-layers", "0-4"],
        "coarse": ["--mix-from", 3],
    }.items():
        command_here("sample", run, "--num", 6, "--label", 1, "--npz", tmp_path / "s.npz", *options)
        with np.load(tmp_path / "s.npz") as file:
            sheets[name] = file["images"].astype(int)
    assert len(np.unique(sheets["plain"], axis=0)) == 6
    assert len(np.unique(sheets["truncated"], axis=0)) <= 2  # clusters of this class
    command_here("sample", run, "--num", 1, "--seed", 3, "--label", 1, "--npz", tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as file:  # with the styles of sample 0 of seed 3 at all layers, it is that sample
        assert np.abs(sheets["all styles"] - file["images"]).max() <= 1
    command_here("export", run)
    for folder, arguments, message in (
        (run, ["--mix-from", 3, "--mix-layers", "0-5"], "the layers of this generator are 0-4"),
        (run, ["--nearest"], "--nearest is shown in the sheet"),
        (run, ["--mix-layers", "1"], "name the seed"),
        (run / "exported", ["--truncation", 0.5], "an exported program gives images only"),
    ):
        with pytest.raises(UsageError, match=message):
            command_here("sample", folder, "--npz", tmp_path / "s.npz", *arguments)
    with pytest.raises(UsageError, match="an exported program gives images only"):
        command_here("walk", run / "exported")


def test_the_nearest_training_images_stand_beside_the_samples(run, tmp_path):
    config = read_config(run)
    from paddle_gan.datasets import load_dataset

    training = load_dataset(config.dataset, config.image_size, config.channels).images[:].transpose(0, 2, 3, 1)
    noise = np.random.default_rng(1).integers(-3, 4, training.shape)
    samples = (training[::-1] + noise[::-1]).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(nearest_training(config, samples), training[::-1])
    command_here("sample", run, "--num", 3, "--grid", tmp_path / "s.png", "--nearest")
    with Image.open(tmp_path / "s.png") as opened:  # two columns of pairs for two classes, in two rows
        assert opened.size == (4 * 72 + 5 * 2, 2 * 54 + 3 * 2)
