"""Losses against closed forms, penalties against closed forms and finite differences."""

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import paddle
import paddle.nn as nn
import pytest

from paddle_gan.networks import DISCRIMINATORS
from paddle_gan.networks.blocks import ConvBN
from paddle_gan.networks.norms import LayerNorm
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.objectives.losses.gan import gan_discriminator_loss
from paddle_gan.objectives.objective import with_penalty_weight
from paddle_gan.objectives.penalties import (
    Penalty,
    Role,
    StepBatch,
    around,
    between,
    fake,
    latents,
    penalty_value,
    real,
    squared_gradient,
)

REAL = [2.0, -1.0, 0.5]
FAKE = [-2.0, 1.0, 0.0]

WGAN_GP, WGAN_LP, DRAGAN, R1, R1_R2 = (
    OBJECTIVES[name].penalties[0] for name in ("wgan-gp", "wgan-lp", "dragan", "gan-r1", "gan-r1-r2")
)
EPSILON = np.finfo(np.float64).eps


def batch_of(real_images, fake_images=None, labels=None) -> StepBatch:
    return StepBatch(real=real_images, fake=fake_images, latents=None, labels=labels)


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
EXPECTED |= dict.fromkeys(("gan-r1", "gan-r1-r2", "dragan"), EXPECTED["gan"])
EXPECTED["wgan-lp"] = EXPECTED["wgan"]
EXPECTED["hinge"] = ((0 + 2 + 0.5) / 3 + (0 + 2 + 1) / 3, 1 / 3)
EXPECTED["rpgan-r1-r2"] = (
    -mean([math.log(sigmoid(x - y)) for x, y in zip(REAL, FAKE, strict=True)]),
    -mean([math.log(sigmoid(y - x)) for x, y in zip(REAL, FAKE, strict=True)]),
)


def generator_loss_of(objective, real_logits, fake_logits):
    given = (real_logits, fake_logits) if objective.relativistic else (fake_logits,)
    return objective.generator_loss(*given)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_equal_the_papers_formulas(name):
    real, fake = (paddle.to_tensor(values, "float64") for values in (REAL, FAKE))
    objective = OBJECTIVES[name]
    discriminator, generator = EXPECTED[name]
    assert objective.discriminator_loss(real, fake).item() == pytest.approx(discriminator, rel=1e-12)
    assert generator_loss_of(objective, real, fake).item() == pytest.approx(generator, rel=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_of_the_losses_agree_with_finite_differences(name):
    objective = OBJECTIVES[name]
    losses = {
        "discriminator": lambda logits: objective.discriminator_loss(logits[:3], logits[3:]),
        "generator": lambda logits: generator_loss_of(objective, logits[:3], logits[3:]),
    }
    for loss in losses.values():
        logits = paddle.to_tensor(REAL + FAKE, "float64", stop_gradient=False)
        loss(logits).backward()
        step = 1e-5
        for i in range(6):
            moved = np.array(REAL + FAKE) + step * np.eye(6)[i], np.array(REAL + FAKE) - step * np.eye(6)[i]
            above, below = (loss(paddle.to_tensor(values)).item() for values in moved)
            # Rounding of both values over the step, and a third derivative below 1 of the losses here.
            tolerance = 16 * EPSILON * max(1, abs(above)) / step + step**2
            assert logits.grad[i].item() == pytest.approx((above - below) / (2 * step), rel=0, abs=tolerance)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_and_their_gradients_are_finite_at_extreme_logits(name):
    real, fake = paddle.to_tensor([-500.0, 500.0]), paddle.to_tensor([500.0, -500.0])
    for logits in (real, fake):
        logits.stop_gradient = False
    objective = OBJECTIVES[name]
    loss = objective.discriminator_loss(real, fake) + generator_loss_of(objective, real, fake)
    loss.backward()
    assert math.isfinite(loss.item())
    assert np.isfinite(real.grad.numpy()).all() and np.isfinite(fake.grad.numpy()).all()


def test_label_smoothing_is_the_cross_entropy_with_the_smoothed_target():
    logits = paddle.to_tensor([0.7], "float64")
    d = sigmoid(0.7)
    expected = -0.9 * math.log(d) - 0.1 * math.log(1 - d) - math.log(1 - d)
    smoothed = gan_discriminator_loss(logits, logits, real_target=0.9)
    assert smoothed.item() == pytest.approx(expected, rel=1e-12)


def test_recipes_are_the_papers():
    gan, lsgan, wgan, wgan_gp = (OBJECTIVES[name] for name in ("gan", "lsgan", "wgan", "wgan-gp"))
    assert (gan.discriminator_steps, gan.weight_clip, gan.penalties) == (1, None, ())
    assert (lsgan.optimizer.learning_rate, lsgan.optimizer.beta1) == (2e-4, 0.5)
    assert (wgan.optimizer.learning_rate, wgan.weight_clip, wgan.discriminator_steps) == (5e-5, 0.01, 5)
    assert type(wgan.optimizer).__name__ == "RMSProp"
    adam = wgan_gp.optimizer
    assert (adam.learning_rate, adam.beta1, adam.beta2) == (1e-4, 0.0, 0.9)
    assert (WGAN_GP.at, WGAN_GP.centre, WGAN_GP.weight, WGAN_GP.every) == ((between,), 1, 10, 1)
    assert (wgan_gp.discriminator_steps, wgan_gp.weight_clip) == (5, None)
    assert (R1.at, R1.centre, R1.weight, R1.every) == ((real,), 0, 5, 1)
    assert (R1_R2.at, R1_R2.centre) == ((real, fake), 0)
    assert (OBJECTIVES["gan-r1"].discriminator_steps, OBJECTIVES["gan-r1"].weight_clip) == (1, None)
    wgan_lp, dragan = (OBJECTIVES[name].penalties[0] for name in ("wgan-lp", "dragan"))
    assert wgan_lp == replace(WGAN_GP, one_sided=True)
    assert (dragan.at, dragan.centre, dragan.weight) == ((around,), 1, 10)
    relativistic = OBJECTIVES["rpgan-r1-r2"]
    assert (relativistic.penalties, relativistic.optimizer.beta1) == (OBJECTIVES["gan-r1-r2"].penalties, 0)
    assert all(penalty.against_batch_norm for penalty in (WGAN_GP, R1, R1_R2, wgan_lp, dragan))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_says_whether_it_takes_a_real_target(name):
    """Label smoothing asks the field, and the field tells the truth."""
    takes = "real_target" in inspect.signature(OBJECTIVES[name].discriminator_loss).parameters
    assert OBJECTIVES[name].takes_real_target == takes


def test_a_weight_goes_to_the_first_penalty_and_the_others_keep_their_ratio():
    both = replace(OBJECTIVES["gan"], penalties=(replace(R1, weight=0.5), replace(WGAN_GP, weight=2.0)))
    assert [penalty.weight for penalty in with_penalty_weight(both, 0.7).penalties] == [0.7, pytest.approx(2.8)]
    assert [penalty.weight for penalty in with_penalty_weight(both, 0).penalties] == [0, 0]


class Linear(nn.Layer):
    """A discriminator whose gradient is its weight, everywhere."""

    def __init__(self, weight):
        super().__init__()
        self.weight = self.create_parameter(weight.shape, dtype="float64")
        self.weight.set_value(weight)

    def forward(self, images, labels=None):
        return (images * self.weight).sum([1, 2, 3])


@pytest.mark.parametrize("centre", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("norm", [0.0, 0.25, 1.0, 4.0])
def test_penalty_of_a_linear_discriminator_on_nchw_images(norm, centre):
    """(‖w‖ − centre)², with the norm over all of C, H, W; a norm over one axis gives another number."""
    weight = np.random.default_rng(0).normal(size=(3, 5, 4))
    weight *= norm / np.linalg.norm(weight)
    real_images, fake_images = (paddle.randn([7, 3, 5, 4], dtype="float64") for _ in range(2))
    penalty = Penalty(at=(between,), centre=centre, weight=1.0)
    value = penalty_value(penalty, Linear(weight), batch_of(real_images, fake_images))
    assert value.item() == pytest.approx((norm - centre) ** 2, abs=6e-6)  # 1e-12 under the root, 1e-6 beside it


def test_penalty_is_taken_between_real_and_fake_one_t_for_each_sample():
    seen = []

    class Recorder(Linear):
        def forward(self, images, labels=None):
            seen.append(images.numpy())
            return super().forward(images)

    real_images, fake_images = paddle.zeros([500, 2, 3, 3], "float64"), paddle.ones([500, 2, 3, 3], "float64")
    penalty_value(WGAN_GP, Recorder(np.ones((2, 3, 3))), batch_of(real_images, fake_images))
    values = seen[0].reshape(500, -1)
    assert (values == values[:, :1]).all()
    t = values[:, 0]
    assert 0 <= t.min() < 0.02 and 0.98 < t.max() <= 1
    assert abs(t.mean() - 0.5) < 0.05 and abs(t.var() - 1 / 12) < 0.01


@pytest.mark.parametrize("norm", [0.25, 1.0, 4.0])
def test_a_one_sided_penalty_leaves_small_gradients_alone(norm):
    """max(0, ‖w‖ − 1)² of a linear critic (Petzka et al. 2018, eq. 8), and no gradient at all below 1."""
    critic = Linear(norm * np.ones((1, 2, 2)) / 2)
    real_images, fake_images = (paddle.randn([5, 1, 2, 2], dtype="float64") for _ in range(2))
    value = penalty_value(OBJECTIVES["wgan-lp"].penalties[0], critic, batch_of(real_images, fake_images))
    assert value.item() == pytest.approx(max(0, norm - 1) ** 2, abs=6e-6)
    value.backward()
    expected = 2 * max(0, norm - 1) * np.ones((1, 2, 2)) / 2
    np.testing.assert_allclose(critic.weight.grad.numpy(), expected, atol=2e-6)


def test_points_around_the_data_are_half_a_standard_deviation_away_at_most():
    """x + ½σu with u uniform in [0, 1] for each value (Kodali et al. 2017)."""
    images = paddle.to_tensor(np.random.default_rng(0).normal(scale=3.0, size=(50, 3, 8, 8)))
    paddle.seed(0)
    moved = ((around(batch_of(images)) - images) / (0.5 * images.numpy().std())).numpy()
    assert 0 <= moved.min() < 1e-3 and 1 - 1e-3 < moved.max() <= 1
    assert moved.mean() == pytest.approx(0.5, abs=0.02) and moved.var() == pytest.approx(1 / 12, abs=0.005)


def test_zero_centred_penalties_of_a_quadratic_discriminator():
    """Of ½‖x‖² the gradient is x itself: E‖x‖² over real images, and over generated ones too for R2."""

    def discriminator(images, labels):
        return 0.5 * images.square().sum([1, 2, 3])

    random = np.random.default_rng(0)
    real_images, fake_images = random.normal(size=(2, 6, 3, 5, 4))
    batch = batch_of(paddle.to_tensor(real_images), paddle.to_tensor(fake_images))
    real_square, fake_square = ((images**2).sum((1, 2, 3)).mean() for images in (real_images, fake_images))
    assert penalty_value(R1, discriminator, batch).item() == pytest.approx(real_square, rel=1e-12)
    assert penalty_value(R1_R2, discriminator, batch).item() == pytest.approx(real_square + fake_square, rel=1e-12)


def test_zero_centred_penalties_move_the_discriminator_only():
    """Also where the fakes carry the generator's graph."""
    scale = paddle.to_tensor(2.0, "float64", stop_gradient=False)
    weight = np.random.default_rng(0).normal(size=(1, 2, 2))
    discriminator = Linear(weight)
    real_images = paddle.randn([3, 1, 2, 2], "float64")
    penalty_value(R1_R2, discriminator, batch_of(real_images, scale * real_images)).backward()
    assert scale.grad is None
    np.testing.assert_allclose(discriminator.weight.grad.numpy(), 4 * weight, rtol=1e-12)


def test_the_generator_s_penalty_is_the_expected_length_of_its_images_paths():
    """Of G(z) = W z it is E‖Wᵀy‖² / P with y ~ N(0, I), which is ‖W‖² / P; and it moves W."""
    weight = paddle.to_tensor(np.random.default_rng(0).normal(size=(3, 8)), stop_gradient=False)
    penalty = Penalty(at=(latents,), weight=1.0, network=Role.GENERATOR)
    paddle.seed(0)
    z = paddle.randn([20_000, 3], "float64")
    value = penalty_value(penalty, lambda z, labels: paddle.matmul(z, weight), StepBatch(None, None, z))
    assert value.item() == pytest.approx((weight.numpy() ** 2).sum() / 8, rel=0.03)  # five deviations of the mean
    value.backward()
    np.testing.assert_allclose(weight.grad.numpy(), 2 * weight.numpy() / 8, atol=0.05)


def small_discriminators() -> Iterator[tuple[str, Callable[[], nn.Layer]]]:
    """By name; of small images, because a kink of an activation is then seldom in reach of a finite difference."""
    yield (
        "convolution with LayerNorm",
        lambda: nn.Sequential(ConvBN(2, 3, 3, 2, padding=1, norm=LayerNorm), Head()),
    )
    for name in DISCRIMINATORS:
        for norm in (LayerNorm, None):
            for classes in (0, 3):
                # A LayerNorm of two values is a step function, nearly: its differences say nothing.
                arguments = {"channels": 1, "width": 16 if "mlp" in name else 4, "classes": classes, "norm": norm}
                if name != "tutorial":
                    arguments["image_size"] = "18x14" if classes else 14
                described = f"{name}, {classes} classes, {'LayerNorm' if norm else 'no norm'}"
                yield described, partial(DISCRIMINATORS[name], **arguments)


class Head(nn.Layer):
    def forward(self, x, labels=None):
        return (x**3).mean([1, 2, 3])


# A smaller step has fewer kinks in reach and larger rounding errors.
STEPS = (1e-6, 1e-7, 1e-8)
# Of the sums in a penalty, which has some ten thousand terms: their rounding errors add up like their root.
ROUNDING = 100 * EPSILON


def some(parameters: list, most: int | None, random: np.random.Generator) -> list:
    """So many of the parameters, in random order; all of them if `most` is None or more than there are."""
    if most is None or most >= len(parameters):
        return parameters
    return [parameters[i] for i in random.choice(len(parameters), most, replace=False)]


def check_along_a_direction(parameter, value, random: np.random.Generator) -> None:
    """The gradient of `parameter` against central differences of `value` with two steps, along a random direction.

    Between two kinks of its leaky ReLUs a penalty is a smooth function, and both differences agree but for rounding. If
    they do not, there is a kink between the points, and another direction is taken. A wrong gradient cannot hide behind
    that: the differences know nothing of it.
    """
    start = parameter.detach().clone()

    def difference(direction, step):
        values = []
        for moved in (start + step * direction, start - step * direction):
            parameter.set_value(moved)
            values.append(value())
        parameter.set_value(start)
        return (values[0] - values[1]) / (2 * step), ROUNDING * max(map(abs, values)) / step

    for step in STEPS * 7:
        direction = paddle.to_tensor(random.normal(size=parameter.shape))
        (near, near_error), (far, far_error) = difference(direction, step), difference(direction, 2 * step)
        if abs(near - far) <= near_error + far_error + 1e-5 * abs(near):
            break
    else:
        pytest.fail("a kink in every direction")
    expected = (parameter.grad * direction).sum().item()
    assert expected == pytest.approx(near, rel=1e-4, abs=near_error + far_error)


SMALL_DISCRIMINATORS = dict(small_discriminators())
PENALTIES = {"wgan-gp": WGAN_GP, "wgan-lp": WGAN_LP, "dragan": DRAGAN, "gan-r1-r2": R1_R2}


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
@pytest.mark.parametrize("name", SMALL_DISCRIMINATORS)
def test_gradient_of_the_penalty_agrees_with_finite_differences(name, penalty, seed=0, most=None):
    """In float64, for every discriminator there is, labels included: second gradients are right."""
    paddle.seed(seed)
    discriminator = SMALL_DISCRIMINATORS[name]()
    discriminator.to(dtype="float64")
    sides = (32, 32) if name.startswith("tutorial") else (14, 18 if "3 classes" in name else 14)
    channels = 2 if name.startswith("conv") else 1
    random = np.random.default_rng(seed + 1)
    real_images, fake_images = (paddle.to_tensor(random.normal(size=(4, channels, *sides))) for _ in range(2))
    labels = paddle.to_tensor([0, 1, 2, 1]) if "3 classes" in name else None
    batch = batch_of(real_images, fake_images, labels)

    def judge(images, labels):
        return discriminator(images) if name.startswith("conv") else discriminator(images, labels)

    paddle.seed(3)
    # Gradients of these lengths: below 1 and above it, so that a one-sided penalty has both.
    lengths = paddle.to_tensor([0.5, 1.5, 2.0, 3.0], "float64")
    scales = (lengths / squared_gradient(judge, penalty.at[0](batch), labels).sqrt()).detach()

    def value():
        paddle.seed(3)  # the same points between real and fake
        return penalty_value(penalty, lambda images, labels: scales * judge(images, labels), batch)

    discriminator.clear_gradients()
    value().backward()
    parameters = [parameter for parameter in discriminator.parameters() if parameter.grad is not None]
    assert len(parameters) >= 2
    for parameter in some(parameters, most, random):
        check_along_a_direction(parameter, lambda: value().item(), random)
