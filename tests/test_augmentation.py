"""Differentiable augmentation: every change against NumPy, its gradients, the adaptive probability, whole runs."""

import json
import shutil
from dataclasses import replace

import numpy as np
import paddle
import pytest
from PIL import Image
from states import tiny_task

from paddle_gan.config import names
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import UsageError
from paddle_gan.objectives import OBJECTIVES, penalties
from paddle_gan.runs.augmentation import augmentation_of
from paddle_gan.runs.experiment import run
from paddle_gan.runs.folder import read_config
from paddle_gan.runs.resolve import resolve
from paddle_gan.training import augmentation as module
from paddle_gan.training.augmentation import TRANSFORMATIONS, Augmentation, adapt, draw_change, overfitting
from paddle_gan.training.noise_to_image import discriminator_step, generator_step

ALL = tuple(TRANSFORMATIONS.values())
RANGE = (-1.0, 1.0)


def mirror(image, numbers, value_range):
    return image[:, :, ::-1] if numbers[0] < 0.5 else image


def shift(image, numbers, value_range):
    for axis, number in ((1, numbers[0]), (2, numbers[1])):
        most = image.shape[axis] // 8
        by = int(number * (2 * most + 1)) - most
        padded = np.pad(image, [(most, most) if i == axis else (0, 0) for i in range(3)], "reflect")
        image = np.take(padded, np.arange(image.shape[axis]) + most - by, axis)
    return image


def recolour(image, numbers, value_range):
    low, high = value_range
    brightness, saturation, contrast = 0.5 * (2 * numbers[0] - 1), 2 * numbers[1], 0.5 + numbers[2]
    colours, alpha = (image[:3], image[3:]) if len(image) == 4 else (image, image[:0])
    middle, grey = (low + high) / 2, colours.mean(0)
    saturated = grey + saturation * (colours - grey)
    return np.concatenate([middle + contrast * (saturated - middle) + brightness * (high - low) / 2, alpha])


def cut(image, numbers, value_range):
    image, (height, width) = image.copy(), image.shape[1:]
    top, left = int(numbers[0] * height) - round(height / 2) // 2, int(numbers[1] * width) - round(width / 2) // 2
    image[:, max(0, top) : top + round(height / 2), max(0, left) : left + round(width / 2)] = sum(value_range) / 2
    return image


BY_HAND = {"flip": mirror, "translation": shift, "colour": recolour, "cutout": cut}


@pytest.mark.parametrize("value_range", [RANGE, (0.0, 1.0)])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 33), (4, 17, 16)])
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_a_change_is_what_it_says(name, shape, value_range):
    random = np.random.default_rng(0)
    images = random.uniform(*value_range, (40, *shape))
    numbers = random.random((40, TRANSFORMATIONS[name].draws))
    numbers[0], numbers[1] = 0.0, 1 - 1e-9  # the ends of every range
    changed = random.integers(0, 2, 40).astype("float64")
    changed[:2] = 1
    given = (paddle.to_tensor(array) for array in (numbers, changed))
    change = TRANSFORMATIONS[name].change(images.shape, *given, value_range)
    found = change(paddle.to_tensor(images)).numpy()
    for i, image in enumerate(images):
        expected = BY_HAND[name](image, numbers[i], value_range) if changed[i] else image
        np.testing.assert_allclose(found[i], expected, atol=1e-12)


def augmented(images, augmentation, value_range, state=None):
    """The images after a change that is drawn for them."""
    return draw_change(augmentation, images, value_range, state)(images)


def test_nothing_changes_with_probability_0_and_everything_with_1():
    images = paddle.randn([32, 3, 16, 24])
    paddle.seed(0)
    np.testing.assert_array_equal(augmented(images, Augmentation(ALL), RANGE).numpy(), images.numpy())
    np.testing.assert_array_equal(
        augmented(images, Augmentation(ALL), RANGE, paddle.zeros([2])).numpy(), images.numpy()
    )
    differs = (augmented(images, Augmentation(ALL, 1.0), RANGE) != images).any(axis=[1, 2, 3])
    assert differs.all().item()


def test_the_probability_is_that_of_each_change_and_each_image():
    images = paddle.arange(16, dtype="float32").reshape([1, 1, 1, 16]).expand([4000, 1, 16, 16])
    paddle.seed(0)
    flipped = augmented(images, Augmentation((TRANSFORMATIONS["flip"],), 0.6), RANGE)
    assert (flipped[:, 0, 0, 0] == 15).astype("float32").mean().item() == pytest.approx(0.3, abs=0.03)
    paddle.seed(0)
    adaptive = Augmentation((TRANSFORMATIONS["flip"],), target=0.6)
    assert (augmented(images, adaptive, RANGE, paddle.to_tensor([0.6, 0.0])) == flipped).all().item()


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 3, 8, 10), (2, 4, 9, 8)])
def test_gradients_of_both_orders_agree_with_differences(shape):
    """Of E[‖∇ₓ f(T(x))‖²] with a smooth f: its gradient takes the second gradient of every change."""
    random = np.random.default_rng(0)
    weight = paddle.to_tensor(random.normal(size=shape))

    def penalty(x):
        paddle.seed(3)
        changed = augmented(x, Augmentation(ALL, 0.8), RANGE)
        return paddle.grad((paddle.tanh(changed) * weight).sum(), x, create_graph=True)[0].square().sum()

    start, direction = random.normal(size=shape), random.normal(size=shape)
    x = paddle.to_tensor(start, stop_gradient=False)
    penalty(x).backward()
    found = (x.grad.numpy() * direction).sum()
    near = [penalty(paddle.to_tensor(start + step * direction, stop_gradient=False)).item() for step in (1e-5, -1e-5)]
    assert found == pytest.approx((near[0] - near[1]) / 2e-5, rel=1e-6)


def test_the_sign_of_overfitting_is_measured_from_the_boundary():
    def sign(real, fake, boundary):
        return overfitting(real, fake, boundary)[module.OVERFITTING].item()

    real, fake = paddle.to_tensor([2.0, 0.4, -1.0, 0.6]), paddle.to_tensor([3.0, 0.0, -2.0, 0.0])
    assert sign(real, fake, 0.0) == 0.5 and sign(real, fake, 0.5) == 0.0
    assert sign(real, fake, None) == sign(real + 7, fake + 7, None) == 0.5


def test_a_point_between_changed_images_is_a_changed_point_between_them():
    real, fake = paddle.randn([8, 3, 16, 20], "float64"), paddle.randn([8, 3, 16, 20], "float64")
    change = draw_change(Augmentation(ALL, 0.8), real, RANGE)
    np.testing.assert_allclose(change(0.3 * real + 0.7 * fake), 0.3 * change(real) + 0.7 * change(fake), atol=1e-12)


def test_at_its_boundary_a_loss_pulls_equally_to_both_sides():
    """There, real and generated images in equal numbers make the discriminator change nothing."""
    for name, objective in OBJECTIVES.items():
        if objective.boundary is None:
            shifted = [
                objective.discriminator_loss(paddle.full([4], 1.0 + by), paddle.full([4], by)) for by in (0.0, 5.0)
            ]
            assert shifted[0].item() == pytest.approx(shifted[1].item()), name
        else:
            logit = paddle.full([4], objective.boundary, "float64")
            logit.stop_gradient = False
            objective.discriminator_loss(logit, logit).backward()
            np.testing.assert_allclose(logit.grad.numpy(), 0, atol=1e-12, err_msg=name)


def test_the_probability_follows_the_sign_of_overfitting():
    """r ← ¾ r + ¼ now, p ← clip(p ± count / 50,000, 0, 0.8)."""
    augmentation, state = Augmentation(ALL, target=0.6), paddle.zeros([2])
    p = r = 0.0
    for now in [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2]:
        scalars = {module.OVERFITTING: paddle.to_tensor(now)}
        adapt(augmentation, state, scalars, 500)
        r = 0.75 * r + 0.25 * now
        p = min(0.8, max(0.0, p + (0.01 if r > 0.6 else -0.01)))
        assert scalars["augmentation/probability"].item() == pytest.approx(p, abs=1e-6)
        assert scalars[module.OVERFITTING].item() == pytest.approx(r, abs=1e-6)
        np.testing.assert_allclose(state.numpy(), [p, r], atol=1e-6)
    assert p == pytest.approx(0.03)
    for _ in range(100):
        adapt(augmentation, state, {module.OVERFITTING: paddle.to_tensor(1.0)}, 5000)
    assert state.tolist() == pytest.approx([0.8, 1.0])


def everywhere_the_first(count: int, size: int) -> paddle.Tensor:
    """Matrices that bring the pixels of place 0 to every place."""
    return (paddle.arange(size) == 0).astype("float32").expand([count, 1, size, size])


def recorded(network, calls):
    """Let a network note the images that it gets."""
    forward = network.forward

    def noting(images, labels=None):
        calls.append(images)
        return forward(images, labels)

    network.forward = noting


@pytest.mark.parametrize("loss", ["wgan-gp", "wgan-lp", "dragan", "gan-r1", "rpgan-r1-r2", "hinge", "lsgan"])
def test_a_conditional_step_shows_the_discriminator_changed_images_only(loss, monkeypatch):
    """Real and generated ones, in both steps, and in the points of a penalty; with labels and in parts of a batch.

    Points around changed images are these images with noise, which is one number for an image here.
    """
    uniform = penalties._uniform
    monkeypatch.setattr(penalties, "_uniform", lambda shape, images: uniform([shape[0], 1, 1, 1], images))
    monkeypatch.setattr(
        module, "_places", lambda table, chosen, dtype: everywhere_the_first(len(chosen), table.shape[1])
    )
    task = tiny_task(loss=loss, conditional=True, augment=("translation",), augment_strength=1.0, accumulate=2)
    for player in task.players.values():
        player.network.train()
    seen = []
    recorded(task.discriminator.network, seen)
    real, labels = paddle.randn([8, 1, 28, 28]), paddle.arange(8)
    latents = paddle.randn([8, task.generator.network.latent_dim])
    before = {name: value.numpy() for name, value in task.generator.network.state_dict().items()}
    discriminator_step(task, real, labels, latents)
    in_discriminator_step = len(seen)
    generator_step(task, labels, latents, real)
    assert in_discriminator_step >= 2 and len(seen) > in_discriminator_step
    for images in seen:  # each shows its first pixel everywhere
        assert (images == images[:, :, :1, :1]).all().item()
    after = task.generator.network.state_dict()
    assert any((after[name].numpy() != before[name]).any() for name in before)
    assert "augmentation" not in task.buffers


def test_augmentation_comes_from_the_number_of_images():
    few = resolve(TrainConfig(), "cpu").config
    assert few.augment == ("auto",) and few.augment_target == 0.6
    chosen = tuple(TRANSFORMATIONS[name] for name in ("translation", "colour", "cutout"))
    assert augmentation_of(few, 9_999) == Augmentation(chosen, target=0.6)
    assert augmentation_of(few, 10_000).transformations == augmentation_of(few, None).transformations == ()
    fixed = resolve(TrainConfig(augment=("cutout", "color", "flip"), augment_strength=0.3), "cpu").config
    assert fixed.augment == ("cutout", "colour", "flip")
    expected = tuple(TRANSFORMATIONS[name] for name in ("flip", "colour", "cutout"))
    assert augmentation_of(fixed, None) == Augmentation(expected, probability=0.3)
    assert resolve(TrainConfig(recipe="paper"), "cpu").config.augment == ("none",)
    assert tuple(names.AUGMENTATIONS) == ("auto", "none", *TRANSFORMATIONS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"augment": ("none", "flip")}, "--augment none flip: none stands alone"),
        ({"augment": ("cutout", "auto")}, "auto stands alone"),
        ({"augment": ("none",), "augment_strength": 0.5}, "--augment-strength without augmentation"),
        ({"recipe": "paper", "augment_target": 0.5}, "--augment-target without augmentation"),
        ({"augment_target": 0.5, "augment_strength": 0.5}, "give one of them"),
        ({"augment_strength": 1.5}, "0 to 1"),
    ],
)
def test_what_does_not_go_together_is_refused(options, said):
    with pytest.raises(UsageError, match=said):
        resolve(TrainConfig(**options), "cpu")


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """A folder of 24 small images."""
    folder, random = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    for i in range(24):
        rough = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        rough.resize((16, 16), Image.Resampling.BICUBIC).save(folder / f"{i:02d}.png")
    return folder


def test_an_adaptive_run_resumes_to_the_same_end(tmp_path, colours):
    """With few images; its state is in the checkpoint, its figures in the log, and its sheet is there."""
    whole, parts, said = tmp_path / "whole", tmp_path / "parts", []
    numbers = {"image_size": 16, "width": 4, "discriminator_width": 4, "batch_size": 8, "augment_target": -0.9}
    often = {"log_every": 1, "evaluate_every": 0, "checkpoint_every": 2, "steps": 4, "device": "cpu"}
    given = TrainConfig(dataset=str(colours), loss="wgan-gp", **numbers, **often)
    run(replace(given, out=str(whole)), said.append)
    assert any(line.startswith("notice: 24 images are few") for line in said)
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    rising = [step * 2 * 8 / 50_000 for step in (1, 2, 3, 4)]
    assert [line["augmentation/probability"] for line in lines] == pytest.approx(rising)
    assert all(-1 <= line["augmentation/overfitting"] <= 1 for line in lines)
    assert Image.open(whole / "augmented.png").size == (10 * 66 + 2, 6 * 66 + 2)
    assert read_config(whole).augment == ("auto",)
    shutil.copytree(whole, parts)
    shutil.rmtree(parts / "checkpoints" / "step-00000004")
    run(replace(given, out=str(parts)))
    states = [folder / "checkpoints" / "step-00000004" / "state.safetensors" for folder in (whole, parts)]
    assert states[0].read_bytes() == states[1].read_bytes() and b"buffers/augmentation" in states[0].read_bytes()
