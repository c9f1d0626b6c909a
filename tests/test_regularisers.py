"""What keeps a discriminator in check or shows it more: spectral norm, packs, deviations in the batch."""

import shutil

import numpy as np
import paddle
import paddle.nn as nn
import pytest
from conftest import command_line, refused_here, train_here
from states import tiny_task
from test_objectives import check_along_a_direction, some

from paddle_gan.networks import DISCRIMINATORS
from paddle_gan.networks.layers import Linear, minibatch_deviation
from paddle_gan.networks.packing import Packed
from paddle_gan.networks.spectral import SpectralNorm, normalise_spectrally
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.objectives.losses.lecam import lecam_regulariser
from paddle_gan.objectives.penalties import StepBatch, penalty_value
from paddle_gan.training.batch_parts import best
from paddle_gan.training.noise_to_image import discriminator_step, generator_step


def normalised_parts(network) -> list[nn.Layer]:
    return [part for part in network.sublayers() if getattr(part, "spectral", None)]


def singular_values(network) -> list[float]:
    values = []
    for part in normalised_parts(network):
        weight = part.spectral(part.weight).numpy()
        matrix = weight.reshape(len(weight), -1)
        values.append(np.linalg.svd(matrix, compute_uv=False)[0])
    return values


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_the_largest_singular_value_becomes_1(name):
    paddle.seed(0)
    options = {} if name == "tutorial" else {"image_size": 16}
    discriminator = DISCRIMINATORS[name](channels=1, width=4, norm=None, classes=3, **options)
    normalise_spectrally(discriminator)
    images, labels = paddle.randn([2, 1, *[32 if name == "tutorial" else 16] * 2]), paddle.to_tensor([0, 2])
    before = [part.spectral.u.numpy() for part in normalised_parts(discriminator)]
    discriminator(images, labels)  # one step of power iteration
    for part, u in zip(normalised_parts(discriminator), before, strict=True):
        assert len(u) == 1 or (part.spectral.u.numpy() != u).any()
        for _ in range(400):  # more of them, without the passes: it is slow where two singular values are alike
            part.spectral(part.weight)
    values = singular_values(discriminator)
    assert len(values) >= 3 and values == pytest.approx([1] * len(values), abs=5e-3)


def test_power_iteration_stands_still_in_evaluation_and_while_frozen():
    layer = Linear(3, 5)
    layer.spectral = SpectralNorm(5, outputs_first=False)
    x, before = paddle.randn([2, 3]), layer.spectral.u.numpy()
    layer.eval()
    layer(x)
    np.testing.assert_array_equal(layer.spectral.u.numpy(), before)
    layer.train()
    layer.weight.stop_gradient = True
    layer(x)
    np.testing.assert_array_equal(layer.spectral.u.numpy(), before)
    layer.weight.stop_gradient = False
    layer(x)
    assert (layer.spectral.u.numpy() != before).any()


def test_the_gradient_of_a_normalised_linear_map():
    """∂/∂W of tr(AᵀW/σ) is (A − ⟨A, W⟩/σ · uvᵀ)/σ (Miyato et al. 2018, eq. 12)."""
    random = np.random.default_rng(0)
    weight, a = random.normal(size=(2, 4, 3))
    u, values, v = np.linalg.svd(weight)
    norm = SpectralNorm(4, outputs_first=True)
    norm.eval()
    norm.u = paddle.to_tensor(u[:, 0])
    parameter = paddle.to_tensor(weight, stop_gradient=False)
    (norm(parameter) * paddle.to_tensor(a)).sum().backward()
    sigma = values[0]
    expected = (a - (a * weight).sum() / sigma * np.outer(u[:, 0], v[0])) / sigma
    np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=1e-9)


WITH_OPTIONS = ("strided", "residual")
OPTIONS = (
    {"spectral_norm": True},
    {"spectral_norm": True, "conditional": True},
    {"minibatch_deviation": True},
    {"pack": 2},
)


@pytest.mark.parametrize("discriminator", WITH_OPTIONS)
@pytest.mark.parametrize("options", OPTIONS)
def test_second_gradients_against_finite_differences(options, discriminator, seed=0, most=None):
    """Of R1 in float64, for a discriminator with each option, along random directions of every parameter."""
    task = tiny_task(
        loss="gan-r1", discriminator=discriminator, discriminator_init="he", image_size=20, seed=seed, **options
    )
    network = task.discriminator.network
    network.to(dtype="float64")
    network.eval()  # power iteration stands still
    random = np.random.default_rng(seed)
    images = paddle.to_tensor(random.normal(size=(4, 1, 20, 20)))
    labels = paddle.to_tensor([0, 3, 9, 3]) if "conditional" in options else None
    penalty = OBJECTIVES["gan-r1"].penalties[0]

    def value() -> paddle.Tensor:
        return penalty_value(penalty, network, StepBatch(images, None, None, labels))

    value().backward()
    parameters = [
        parameter
        for name, parameter in network.named_parameters()
        # A bias of the last layer has no part in a gradient with respect to images.
        if parameter.grad is not None and not name.endswith("head.bias")
    ]
    assert len(parameters) >= 4
    for parameter in some(parameters, most, random):
        check_along_a_direction(parameter, lambda: value().item(), random)


def test_a_discriminator_sees_how_much_the_samples_of_a_group_differ():
    features = np.random.default_rng(0).normal(size=(8, 5))
    found = minibatch_deviation(paddle.to_tensor(features)).numpy()
    groups = features.reshape(4, 2, 5)
    expected = np.sqrt(groups.var(0) + 1e-8).mean(1)
    np.testing.assert_allclose(found, np.tile(expected, 4), rtol=1e-9)
    six = minibatch_deviation(paddle.to_tensor(features[:6])).numpy()
    np.testing.assert_allclose(six, np.sqrt(features[:6].var(0) + 1e-8).mean(), rtol=1e-9)
    alike = minibatch_deviation(paddle.ones([8, 5], "float64"))
    assert alike.numpy() == pytest.approx(1e-4)


def test_a_pack_is_judged_as_one_image_of_more_channels():
    inner = DISCRIMINATORS["strided"](image_size=28, channels=6, width=4, norm=None)
    images = paddle.randn([8, 3, 28, 28])
    packed = Packed(inner, 2)
    assert packed(images).shape == [4]
    second = inner(paddle.concat([images[2:3], images[3:4]], axis=1))
    np.testing.assert_allclose(packed(images)[1].item(), second.item(), rtol=1e-5)


def test_the_gradient_of_a_pack_is_over_all_its_images():
    """Of a linear discriminator of packs with weight w, R1 is ‖w‖² over both images of a pack."""

    class LinearPack(nn.Layer):
        pack = 2

        def forward(self, images, labels=None):
            return (images.reshape([-1, 2, 4]) * weight).sum([1, 2])

    weight = paddle.to_tensor(np.random.default_rng(0).normal(size=(2, 4)))
    value = penalty_value(
        OBJECTIVES["gan-r1"].penalties[0], LinearPack(), StepBatch(paddle.randn([6, 4], "float64"), None, None)
    )
    assert value.item() == pytest.approx(5.0 / 5.0 * (weight.numpy() ** 2).sum(), rel=1e-12)


@pytest.mark.parametrize("options", [{"spectral_norm": True}, {"minibatch_deviation": True}, {"pack": 4}])
def test_the_generator_s_step_leaves_the_discriminator_alone(options):
    task = tiny_task(loss="lsgan", clusters=0, **options)
    for player in task.players.values():
        player.network.train()
    before = {name: value.numpy() for name, value in task.discriminator.network.state_dict().items()}
    generator_step(task, None, paddle.randn([8, task.generator.network.latent_dim]))
    after = task.discriminator.network.state_dict()
    assert all((after[name].numpy() == before[name]).all() for name in before)
    discriminator_step(task, paddle.randn([8, 1, 28, 28]), None, paddle.randn([8, task.generator.network.latent_dim]))
    assert any((after[name].numpy() != before[name]).any() for name in before)


def test_a_run_with_all_of_them_resumes_to_the_same_end(tmp_path):
    options = ["--spectral-norm", "--minibatch-deviation", "--pack", 2, "--loss", "hinge", "--evaluate-every", 0]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_here(whole, *options, "--steps", 4)
    train_here(parts, *options, "--steps", 2)
    assert command_line("train", "--resume", parts, "--steps", 4).returncode == 0
    states = [next((run / "checkpoints").glob("step-00000004")) / "state.safetensors" for run in (whole, parts)]
    assert states[0].read_bytes() == states[1].read_bytes()
    assert b"spectral.u" in states[0].read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pack", "2", "--conditional"], "the images of a pack have different labels"),
        (["--pack", "2", "--clusters", "5"], "the images of a pack have different labels"),
        (["--pack", "3"], "--pack 3 with --batch-size 64: not a multiple"),
        (["--accumulate", "64"], "must divide --batch-size 64 into parts of two or more"),
        (["--schedule", "linear", "--loss", "r3gan", "--final-best-share", "0.5"], "it compares pairs"),
        (["--generator", "mlp", "--minibatch-deviation"], "only strided and residual have it"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, options, said):
    assert said in refused_here("train", "--out", tmp_path / "run", *options)


def test_lecam_draws_the_logits_to_the_anchor_of_the_other_kind():
    """E[(D(x) − α_F)²] + E[(D(G(z)) − α_R)²] (Tseng et al. 2021, eq. 3)."""
    real, fake, anchors = (paddle.to_tensor(v, "float64") for v in ([1.0, 3.0], [-2.0, 0.0], [0.5, -1.0]))
    expected = ((1 + 1) ** 2 + (3 + 1) ** 2) / 2 + ((-2 - 0.5) ** 2 + (0 - 0.5) ** 2) / 2
    assert lecam_regulariser(real, fake, anchors).item() == pytest.approx(expected)


def test_the_anchors_are_moving_averages_of_the_mean_logits():
    task = tiny_task(loss="hinge", clusters=0, lecam=0.1)
    task.discriminator.network.train()
    anchors = np.zeros(2)
    for _ in range(3):
        latents = paddle.randn([4, task.generator.network.latent_dim])
        scalars = discriminator_step(task, paddle.randn([4, 1, 28, 28]), None, latents, number=1)
        logits = np.array([scalars["mean_logit/real"].item(), scalars["mean_logit/fake"].item()])
        anchors = 0.99 * anchors + 0.01 * logits
    np.testing.assert_allclose(task.buffers["anchors"].numpy(), anchors, rtol=1e-5)


def test_the_generator_learns_from_its_best_images_only():
    logits = paddle.to_tensor([0.3, -1.0, 2.0, 0.5], stop_gradient=False)
    assert best(logits, 1.0) is logits
    assert sorted(best(logits, 0.5).tolist()) == [0.5, 2.0]
    best(logits, 0.5).sum().backward()
    assert logits.grad.tolist() == [0, 0, 1, 1]
    assert best(logits.reshape([1, 1, 2, 2]), 0.1).tolist() == [2.0]


@pytest.mark.parametrize("loss", ["lsgan", "wgan-gp", "rpgan-r1-r2"])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(loss):
    """Without a norm in the discriminator, and with the generator frozen or in evaluation mode."""
    ends = []
    for parts in (1, 4):
        task = tiny_task(loss=loss, clusters=0, accumulate=parts, optimizer="adam")
        for player in task.players.values():
            player.optimizer = paddle.optimizer.SGD(1.0, parameters=player.network.parameters())
            player.network.eval()  # a BatchNorm would see the parts one by one
        paddle.seed(1)
        real, latents = paddle.randn([8, 1, 28, 28]), paddle.randn([8, task.generator.network.latent_dim])
        points = paddle.rand([8, 1, 1, 1])
        drawn = iter(points.split(parts))
        original, paddle.rand = paddle.rand, lambda shape, dtype=None, drawn=drawn: next(drawn)
        try:
            scalars = discriminator_step(task, real, None, latents)
        finally:
            paddle.rand = original
        scalars |= generator_step(task, None, latents, real)
        states = {
            f"{name}/{key}": value.numpy()
            for name, player in task.players.items()
            for key, value in player.network.state_dict().items()
        }
        ends.append((states, {name: value.item() for name, value in scalars.items()}))
    assert ends[0][1] == pytest.approx(ends[1][1], rel=1e-4, abs=1e-5)
    for name, value in ends[0][0].items():
        np.testing.assert_allclose(ends[1][0][name], value, rtol=1e-3, atol=2e-5, err_msg=name)


def test_a_run_in_parts_with_lecam_and_top_k_resumes_to_the_same_end(tmp_path):
    options = ["--lecam", 0.1, "--accumulate", 2, "--schedule", "linear", "--final-best-share", 0.5]
    options += ["--loss", "hinge", "--evaluate-every", 0, "--checkpoint-every", 2, "--log-every", 1]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_here(whole, *options, "--steps", 4)
    train_here(parts, *options, "--steps", 4)
    shutil.rmtree(parts / "checkpoints" / "step-00000004")
    assert command_line("train", "--resume", parts).returncode == 0
    states = [run / "checkpoints" / "step-00000004" / "state.safetensors" for run in (whole, parts)]
    assert states[0].read_bytes() == states[1].read_bytes() and b"buffers/anchors" in states[0].read_bytes()
