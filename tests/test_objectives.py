"""Losses against closed forms, penalties against closed forms and finite differences."""

import math

import numpy as np
import paddle
import paddle.nn as nn
import pytest

from paddle_gan.networks import DISCRIMINATORS
from paddle_gan.networks.blocks import ConvBN, LayerNorm
from paddle_gan.objectives import objective as objectives
from paddle_gan.objectives.objective import OBJECTIVES, gradient_penalty, r1_penalty, r1_r2_penalty

REAL = [2.0, -1.0, 0.5]
FAKE = [-2.0, 1.0, 0.0]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def mean(values):
    return sum(values) / len(values)


# By hand, from the papers' formulas in D = sigmoid(logit) or D = logit; never from softplus.
EXPECTED = {
    "gan": (
        -mean([math.log(sigmoid(x)) for x in REAL]) - mean([math.log(1 - sigmoid(x)) for x in FAKE]),
        -mean([math.log(sigmoid(x)) for x in FAKE]),
    ),
    "gan-minimax": (
        -mean([math.log(sigmoid(x)) for x in REAL]) - mean([math.log(1 - sigmoid(x)) for x in FAKE]),
        mean([math.log(1 - sigmoid(x)) for x in FAKE]),
    ),
    "lsgan": (0.5 * (1 + 4 + 0.25) / 3 + 0.5 * (4 + 1 + 0) / 3, 0.5 * (9 + 0 + 1) / 3),
    "lsgan-sigmoid": (
        mean([(sigmoid(x) - 1) ** 2 for x in REAL]) + mean([sigmoid(x) ** 2 for x in FAKE]),
        mean([(sigmoid(x) - 1) ** 2 for x in FAKE]),
    ),
    "lsgan-tanh": (
        0.5 * mean([(math.tanh(x) - 1) ** 2 for x in REAL]) + 0.5 * mean([(math.tanh(x) + 1) ** 2 for x in FAKE]),
        0.5 * mean([math.tanh(x) ** 2 for x in FAKE]),
    ),
    "wgan": (-1 / 3 - 0.5, 1 / 3),
    "wgan-gp": (-1 / 3 - 0.5, 1 / 3),
}
EXPECTED |= dict.fromkeys(("gan-r1", "gan-r1-r2"), EXPECTED["gan"])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_equal_the_papers_formulas(name):
    real, fake = (paddle.to_tensor(values, "float64") for values in (REAL, FAKE))
    objective = OBJECTIVES[name]
    discriminator, generator = EXPECTED[name]
    assert objective.discriminator_loss(real, fake).item() == pytest.approx(discriminator, rel=1e-12)
    assert objective.generator_loss(fake).item() == pytest.approx(generator, rel=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_of_the_losses_agree_with_finite_differences(name):
    objective = OBJECTIVES[name]
    losses = {
        "discriminator": lambda logits: objective.discriminator_loss(logits[:3], logits[3:]),
        "generator": lambda logits: objective.generator_loss(logits[3:]),
    }
    for loss in losses.values():
        logits = paddle.to_tensor(REAL + FAKE, "float64", stop_gradient=False)
        loss(logits).backward()
        for i in range(6):
            moved = np.array(REAL + FAKE) + 1e-6 * np.eye(6)[i], np.array(REAL + FAKE) - 1e-6 * np.eye(6)[i]
            above, below = (loss(paddle.to_tensor(values)).item() for values in moved)
            assert logits.grad[i].item() == pytest.approx((above - below) / 2e-6, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_and_their_gradients_are_finite_at_extreme_logits(name):
    real, fake = paddle.to_tensor([-500.0, 500.0]), paddle.to_tensor([500.0, -500.0])
    for logits in (real, fake):
        logits.stop_gradient = False
    objective = OBJECTIVES[name]
    loss = objective.discriminator_loss(real, fake) + objective.generator_loss(fake)
    loss.backward()
    assert math.isfinite(loss.item())
    assert np.isfinite(real.grad.numpy()).all() and np.isfinite(fake.grad.numpy()).all()


def test_label_smoothing_is_the_cross_entropy_with_the_smoothed_target():
    logits = paddle.to_tensor([0.7], "float64")
    d = sigmoid(0.7)
    expected = -0.9 * math.log(d) - 0.1 * math.log(1 - d) - math.log(1 - d)
    smoothed = objectives.gan_discriminator_loss(logits, logits, real_target=0.9)
    assert smoothed.item() == pytest.approx(expected, rel=1e-12)


def test_recipes_are_the_papers():
    gan, lsgan, wgan, wgan_gp = (OBJECTIVES[name] for name in ("gan", "lsgan", "wgan", "wgan-gp"))
    assert (gan.discriminator_steps, gan.weight_clip, gan.penalty) == (1, None, None)
    assert (lsgan.optimizer.learning_rate, lsgan.optimizer.beta1) == (2e-4, 0.5)
    assert (wgan.optimizer.learning_rate, wgan.weight_clip, wgan.discriminator_steps) == (5e-5, 0.01, 5)
    assert type(wgan.optimizer).__name__ == "RMSProp"
    adam = wgan_gp.optimizer
    assert (adam.learning_rate, adam.beta1, adam.beta2) == (1e-4, 0.0, 0.9)
    assert (wgan_gp.penalty_weight, wgan_gp.discriminator_steps, wgan_gp.weight_clip) == (10.0, 5, None)
    r1, r1_r2 = OBJECTIVES["gan-r1"], OBJECTIVES["gan-r1-r2"]
    assert (wgan_gp.penalty, r1.penalty, r1_r2.penalty) == (gradient_penalty, r1_penalty, r1_r2_penalty)
    assert (r1.penalty_weight, r1.discriminator_steps, r1.weight_clip) == (5.0, 1, None)


class Linear(nn.Layer):
    """A discriminator whose gradient is its weight, everywhere."""

    def __init__(self, weight):
        super().__init__()
        self.weight = self.create_parameter(weight.shape, dtype="float64")
        self.weight.set_value(weight)

    def forward(self, images, labels=None):
        return (images * self.weight).sum([1, 2, 3])


@pytest.mark.parametrize("norm", [0.0, 0.25, 1.0, 4.0])
def test_penalty_of_a_linear_discriminator_on_nchw_images(norm):
    """(‖w‖ − 1)², with the norm over all of C, H, W; a norm over one axis gives another number."""
    weight = np.random.default_rng(0).normal(size=(3, 5, 4))
    weight *= norm / np.linalg.norm(weight)
    real, fake = (paddle.randn([7, 3, 5, 4], dtype="float64") for _ in range(2))
    penalty = gradient_penalty(Linear(weight), real, fake)
    assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=3e-6)


def test_penalty_is_taken_between_real_and_fake_one_t_for_each_sample():
    seen = []

    class Recorder(Linear):
        def forward(self, images, labels=None):
            seen.append(images.numpy())
            return super().forward(images)

    real, fake = paddle.zeros([500, 2, 3, 3], "float64"), paddle.ones([500, 2, 3, 3], "float64")
    gradient_penalty(Recorder(np.ones((2, 3, 3))), real, fake)
    values = seen[0].reshape(500, -1)
    assert (values == values[:, :1]).all()
    t = values[:, 0]
    assert 0 <= t.min() < 0.02 and 0.98 < t.max() <= 1
    assert abs(t.mean() - 0.5) < 0.05 and abs(t.var() - 1 / 12) < 0.01


def test_zero_centred_penalties_of_a_quadratic_discriminator():
    """Of ½‖x‖² the gradient is x itself: E‖x‖² over real images, and over generated ones too for R2."""

    def discriminator(images, labels):
        return 0.5 * images.square().sum([1, 2, 3])

    random = np.random.default_rng(0)
    real, fake = random.normal(size=(2, 6, 3, 5, 4))
    tensors = paddle.to_tensor(real), paddle.to_tensor(fake)
    real_square, fake_square = ((images**2).sum((1, 2, 3)).mean() for images in (real, fake))
    assert r1_penalty(discriminator, *tensors).item() == pytest.approx(real_square, rel=1e-12)
    assert r1_r2_penalty(discriminator, *tensors).item() == pytest.approx(real_square + fake_square, rel=1e-12)


def test_zero_centred_penalties_move_the_discriminator_only():
    """Also where the fakes carry the generator's graph."""
    scale = paddle.to_tensor(2.0, "float64", stop_gradient=False)
    weight = np.random.default_rng(0).normal(size=(1, 2, 2))
    discriminator = Linear(weight)
    real = paddle.randn([3, 1, 2, 2], "float64")
    r1_r2_penalty(discriminator, real, scale * real).backward()
    assert scale.grad is None
    np.testing.assert_allclose(discriminator.weight.grad.numpy(), 4 * weight, rtol=1e-12)


def small_discriminators():
    # Seeded, for the derivative of a leaky ReLU jumps: weights drawn anew every time would, some time, be at a jump.
    paddle.seed(0)
    yield "convolution with LayerNorm", nn.Sequential(ConvBN(2, 3, 3, 2, padding=1, norm=LayerNorm), Head())
    for name in DISCRIMINATORS:
        for classes in (0, 3):
            arguments = {"channels": 1, "width": 4, "classes": classes, "norm": LayerNorm}
            if name != "writeup":
                arguments["image_size"] = 28
            yield f"{name}, {classes} classes", DISCRIMINATORS[name](**arguments)


class Head(nn.Layer):
    def forward(self, x, labels=None):
        return (x**3).mean([1, 2, 3])


@pytest.mark.parametrize("penalise", [gradient_penalty, r1_r2_penalty], ids=lambda penalise: penalise.__name__)
@pytest.mark.parametrize(
    ("name", "discriminator"), list(small_discriminators()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_gradient_of_the_penalty_agrees_with_finite_differences(name, discriminator, penalise):
    """In float64, for every discriminator there is, labels included: second gradients are right."""
    discriminator.to(dtype="float64")
    size = 32 if name.startswith("writeup") else 28
    channels = 2 if name.startswith("conv") else 1
    generator = np.random.default_rng(1)
    real, fake = (paddle.to_tensor(generator.normal(size=(4, channels, size, size))) for _ in range(2))
    labels = paddle.to_tensor([0, 1, 2, 1]) if "3 classes" in name else None
    call = discriminator if not name.startswith("conv") else lambda images, labels: discriminator(images)

    def penalty():
        paddle.seed(3)  # the same points between real and fake
        return penalise(call, real, fake, labels)

    discriminator.clear_gradients()
    penalty().backward()
    checked = 0
    for parameter in discriminator.parameters():
        if parameter.grad is None:
            continue
        direction = paddle.to_tensor(generator.normal(size=parameter.shape))
        expected = (parameter.grad * direction).sum().item()
        values, step = parameter.detach().clone(), 1e-7
        with paddle.no_grad():
            parameter.set_value(values + step * direction)
        above = penalty().item()
        with paddle.no_grad():
            parameter.set_value(values - step * direction)
        below = penalty().item()
        with paddle.no_grad():
            parameter.set_value(values)
        assert expected == pytest.approx((above - below) / (2 * step), rel=2e-4, abs=1e-8)
        checked += 1
    assert checked >= 2
