"""The training step: what it changes, what it leaves alone, and that it is the tutorial's."""

from dataclasses import replace
from functools import partial

import numpy as np
import paddle
import paddle.nn as nn
import pytest

from paddle_gan.backend.precision import Precision
from paddle_gan.errors import NumericalError
from paddle_gan.networks import DISCRIMINATORS, GENERATORS
from paddle_gan.networks.norms import BatchNorm, LayerNorm
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.objectives.objective import with_penalty_weight
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.training import checkpoint
from paddle_gan.training.batch_parts import logits_of
from paddle_gan.training.loop import train
from paddle_gan.training.noise_to_image import NoiseToImage, assemble, discriminator_step, generator_step
from paddle_gan.training.state import tensors_of
from paddle_gan.training.update import clip_weights, gradient_norm


def task_of(loss="lsgan", gradient_clip=None, average_decay=0.999, objective=None) -> NoiseToImage:
    paddle.seed(1)
    objective = objective or OBJECTIVES[loss]
    norm = LayerNorm if objective.penalties else BatchNorm
    clip = nn.ClipGradByNorm(gradient_clip) if gradient_clip else None
    return assemble(
        partial(GENERATORS["pixelshuffle"], image_size=28, channels=1, width=4),
        partial(DISCRIMINATORS["strided"], image_size=28, channels=1, width=4, norm=norm),
        objective,
        generator_optimizer=partial(objective.optimizer.build, gradient_clip=clip),
        discriminator_optimizer=partial(objective.optimizer.build, gradient_clip=clip),
        average_decay=average_decay,
    )


def snapshot(layer: nn.Layer) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in layer.state_dict().items()}


def same(before: dict[str, np.ndarray], layer: nn.Layer) -> bool:
    return all(np.array_equal(before[name], value.numpy()) for name, value in layer.state_dict().items())


def real_images(count: int = 8) -> paddle.Tensor:
    paddle.seed(5)
    return paddle.rand([count, 1, 28, 28]) * 2 - 1


@pytest.mark.parametrize("partner", ["strided", "mlp", "tutorial"])
@pytest.mark.parametrize("classes", [0, 3])
def test_logits_of_two_batches_in_one_pass_are_those_of_two_passes(partner, classes):
    """Running statistics included, up to rounding; and a network that says nothing gets two passes."""
    paddle.seed(3)
    sizes = {"image_size": 28} if partner != "tutorial" else {}
    networks = [
        DISCRIMINATORS[partner](channels=1, width=16, classes=classes, norm=BatchNorm, **sizes) for _ in range(2)
    ]
    networks[1].set_state_dict(networks[0].state_dict())
    size = 28 if sizes else 32
    batches = [paddle.randn([6, 1, size, size]), paddle.randn([6, 1, size, size]) * 2 + 1]
    labels = paddle.to_tensor([0, 1, 2, 0, 1, 2]) if classes else None
    networks[1].samples_apart = False
    calls = []
    for network in networks:
        network.register_forward_pre_hook(lambda layer, given: calls.append((layer is networks[0], given[0].shape[0])))
    together, separate = (logits_of(network, batches, labels, Precision()) for network in networks)
    assert calls == [(True, 12), (False, 6), (False, 6)]
    for mine, other in zip(together, separate, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-4, atol=1e-4)
    for mine, other in zip(networks[0].state_dict().values(), networks[1].state_dict().values(), strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", [nn.BatchNorm, nn.BatchNorm2D])
def test_a_norm_that_knows_nothing_of_several_batches_sees_one_at_a_time(norm):
    discriminator, seen = DISCRIMINATORS["strided"](image_size=28, channels=1, width=4, norm=norm), []
    discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[0]))
    logits_of(discriminator, [real_images(), real_images()], None, Precision())
    assert seen == [8, 8]


@pytest.mark.parametrize("loss", OBJECTIVES)
def test_each_step_changes_its_own_network_only_bit_for_bit(loss):
    """BatchNorm statistics included; and neither network is left with gradients of the other's step."""
    task = task_of(loss)
    latents = paddle.randn([8, 64])
    networks = task.generator.network, task.sampler, task.discriminator.network
    generator, average, discriminator = map(snapshot, networks)
    discriminator_step(task, real_images(), None, latents)
    assert same(generator, task.generator.network) and same(average, task.sampler)
    assert not same(discriminator, task.discriminator.network)
    assert all(p.grad is None for p in task.generator.network.parameters())
    discriminator = snapshot(task.discriminator.network)
    generator_step(task, None, latents, real_images())
    assert same(discriminator, task.discriminator.network)
    assert not same(generator, task.generator.network)
    assert all(p.grad is None for p in task.discriminator.network.parameters())
    assert all(not p.stop_gradient for p in task.discriminator.network.parameters() if p.trainable)


def test_discriminator_step_builds_no_graph_of_the_generator():
    task = task_of()
    fakes = []
    task.generator.network.register_forward_post_hook(lambda layer, inputs, output: fakes.append(output))
    discriminator_step(task, real_images(), None, paddle.randn([8, 64]))
    assert fakes[0].stop_gradient


@pytest.mark.parametrize("loss", ["gan", "lsgan", "wgan", "wgan-gp"])
def test_a_round_consumes_exactly_the_objectives_batches(loss):
    task, asked = task_of(loss), []

    def batches(number):
        asked.append(number)
        return real_images(), None

    steps = OBJECTIVES[loss].discriminator_steps
    train(task, batches, 3, seed=0, log_every=2)
    assert asked == list(range(3 * steps))
    assert task.step == 3


def test_clipping_bounds_the_weights_and_leaves_statistics_alone():
    task = task_of("wgan")
    statistics = {
        name: value.numpy().copy() for name, value in task.discriminator.network.state_dict().items() if "._" in name
    }
    assert len(statistics) == 4  # mean and variance of two norms
    clip_weights(task.discriminator.network, 0.01)
    for parameter in task.discriminator.network.parameters():
        if parameter.trainable:
            assert np.abs(parameter.numpy()).max() <= np.float32(0.01)
    for name, value in statistics.items():
        np.testing.assert_array_equal(task.discriminator.network.state_dict()[name].numpy(), value)
    assert any(np.abs(value).max() > 0.01 for value in statistics.values())


def test_the_penalty_is_added_to_the_loss_times_its_weight():
    """With a weight of 0 the step is that of plain WGAN; the logged penalty is weight times penalty."""
    logged, moved = {}, {}
    for weight in (0.0, 10.0, 20.0):
        task = task_of("wgan-gp")
        task.objective = with_penalty_weight(task.objective, weight)
        paddle.seed(3)
        scalars = discriminator_step(task, real_images(), None, paddle.ones([8, 64]))
        logged[weight] = scalars["loss/penalty"].item()
        moved[weight] = task.discriminator.network.state_dict()["head.weight"].numpy()
    assert logged[0.0] == 0 and logged[20.0] == pytest.approx(2 * logged[10.0], rel=1e-5) and logged[10.0] > 0
    plain = task_of("wgan-gp")
    plain.objective = replace(plain.objective, penalties=())
    paddle.seed(3)
    discriminator_step(plain, real_images(), None, paddle.ones([8, 64]))
    np.testing.assert_allclose(plain.discriminator.network.state_dict()["head.weight"].numpy(), moved[0.0], atol=1e-7)
    assert np.abs(moved[10.0] - moved[0.0]).max() > 1e-6


def test_every_wgan_step_ends_within_the_bound():
    task = task_of("wgan")
    discriminator_step(task, real_images(), None, paddle.randn([8, 64]))
    trained = [parameter for parameter in task.discriminator.network.parameters() if parameter.trainable]
    assert max(np.abs(parameter.numpy()).max() for parameter in trained) <= np.float32(0.01)


def test_average_is_the_exponential_moving_average_with_a_quick_start():
    task = task_of(average_decay=0.15)
    name = "project.linear.weight"
    expected = task.sampler.state_dict()[name].numpy().copy()
    for step, decay in enumerate((1 / 10, 0.15, 0.15)):
        generator_step(task, None, paddle.randn([8, 64]))
        task.step = step + 1
        expected = decay * expected + (1 - decay) * task.generator.network.state_dict()[name].numpy()
        np.testing.assert_allclose(task.sampler.state_dict()[name].numpy(), expected, rtol=1e-5, atol=1e-7)


def test_gradient_norm_is_of_all_gradients_together():
    layer = nn.Linear(3, 2)
    (layer(paddle.ones([1, 3])) * 2).sum().backward()
    assert gradient_norm(layer).item() == pytest.approx((6 * 4 + 2 * 4) ** 0.5)


def test_rounds_depend_on_seed_and_step_only():
    """A task made ready at step 1 goes on like the one that did step 0 before."""
    tasks = [task_of(), task_of()]
    images = real_images()
    batches = lambda number: (images * (number + 1) / 10, None)  # noqa: E731
    train(tasks[0], batches, 2, seed=7, log_every=100)
    train(tasks[1], batches, 1, seed=7, log_every=100)
    paddle.randn([13])
    train(tasks[1], batches, 2, seed=7, log_every=100)
    assert same(snapshot(tasks[0].generator.network), tasks[1].generator.network)
    other = task_of()
    train(other, batches, 2, seed=8, log_every=100)
    assert not same(snapshot(tasks[0].generator.network), other.generator.network)


def test_scalars_come_in_logged_rounds_and_the_last():
    task, seen = task_of("wgan-gp"), []
    callback = lambda task, scalars: seen.append((task.step, scalars))  # noqa: E731
    train(task, lambda number: (real_images(), None), 5, seed=0, log_every=2, callbacks=[callback])
    assert [step for step, scalars in seen if scalars] == [1, 2, 4, 5]
    assert set(seen[1][1]) == {
        *("loss/discriminator", "loss/generator", "loss/penalty", "mean_logit/real", "mean_logit/fake"),
        *("optimizer/gradient_norm_discriminator", "optimizer/gradient_norm_generator"),
    }


READS = ("item", "numpy", "tolist", "__array__", "__bool__", "__float__", "__int__", "__index__")


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """What brings values of a tensor to Python from now on: each makes the host wait for the device."""
    seen = []

    def recorded(name):
        method = getattr(paddle.Tensor, name)

        def read(self, *arguments, **options):
            seen.append(name)
            return method(self, *arguments, **options)

        return read

    for name in READS:
        monkeypatch.setattr(paddle.Tensor, name, recorded(name))
    return seen


def test_every_way_of_reading_a_tensor_is_seen(reads):
    for read in (paddle.Tensor.item, paddle.Tensor.numpy, paddle.Tensor.tolist, np.asarray, bool, float, int, range):
        reads.clear()
        read(paddle.to_tensor(1))
        assert reads, read


@pytest.mark.parametrize("gradient_clip", [None, 1.0])
@pytest.mark.parametrize("loss", OBJECTIVES)
def test_rounds_that_are_not_logged_read_nothing_back(loss, gradient_clip, reads):
    task = task_of(loss, gradient_clip=gradient_clip)
    images = real_images()
    reads.clear()
    for _ in range(2):
        task.round(lambda number: (images, None), seed=0)
    assert reads == []
    train(task, lambda number: (images, None), 3, seed=0, log_every=1)
    assert set(reads) >= {"item"}


def test_adam_takes_all_parameters_at_once_on_a_gpu_to_the_same_end(monkeypatch, tmp_path):
    """But for the last bit on a CPU; and a checkpoint of the one goes on in the other."""
    tasks = [task_of()]
    monkeypatch.setattr(paddle, "get_device", lambda: "gpu:0")
    tasks += [task_of(), task_of()]
    monkeypatch.undo()
    assert [task.generator.optimizer._use_multi_tensor for task in tasks] == [False, True, True]
    images = real_images()
    for task in tasks[:2]:
        train(task, lambda number: (images, None), 3, seed=0, log_every=9)
    checkpoint.save(tasks[0], tmp_path, "data")
    checkpoint.restore(tasks[2], tmp_path, "data", print)
    for task in tasks:
        train(task, lambda number: (images, None), 5, seed=0, log_every=9)
    one, *others = ({name: t.numpy() for name, t in tensors_of(task).items()} for task in tasks)
    for other in others:
        assert other.keys() == one.keys()
        for name, array in one.items():
            np.testing.assert_allclose(other[name], array, rtol=2e-3, atol=2e-5, err_msg=name)


def test_nan_ends_training_at_the_next_logged_round():
    task = task_of()
    images = real_images() * float("nan")
    with pytest.raises(NumericalError, match="step 1: .*loss/discriminator = nan"):
        train(task, lambda number: (images, None), 10, seed=0, log_every=2)


class TutorialStep:
    """The tutorial's training step as it stands there, with its loss on the Sigmoid's output."""

    def __init__(self, generator, discriminator, loss):
        self.generator, self.discriminator, self.loss = generator, discriminator, loss
        arguments = {"learning_rate": 2e-4, "beta1": 0.5, "beta2": 0.999}
        self.g_optimizer = paddle.optimizer.Adam(parameters=generator.parameters(), **arguments)
        self.d_optimizer = paddle.optimizer.Adam(parameters=discriminator.parameters(), **arguments)

    def score(self, images):
        return nn.functional.sigmoid(self.discriminator(images)).reshape([-1, 1])

    def discriminator_step(self, real, noise):
        self.d_optimizer.clear_grad()
        fake = self.generator(noise)
        fake_score, real_score = self.score(fake), self.score(real)
        real_d_loss = self.loss(real_score, paddle.ones([len(real), 1]))
        real_d_loss.backward()
        fake_d_loss = self.loss(fake_score, paddle.zeros([len(real), 1]))
        fake_d_loss.backward()
        self.d_optimizer.step()
        self.d_optimizer.clear_grad()
        return (fake_d_loss + real_d_loss).item()

    def generator_step(self, noise):
        self.g_optimizer.clear_grad()
        fake_score = self.score(self.generator(noise))
        g_loss = self.loss(fake_score, paddle.ones([len(noise), 1]))
        g_loss.backward()
        self.g_optimizer.step()
        self.g_optimizer.clear_grad()
        return g_loss.item()


@pytest.mark.parametrize(("name", "loss"), [("gan", nn.BCELoss()), ("lsgan-sigmoid", nn.MSELoss())])
def test_steps_agree_with_the_tutorials(name, loss):
    """Same weights, same noise, same data: same losses, three discriminator steps to one of the generator, twice."""
    paddle.seed(2)
    tables = GENERATORS, DISCRIMINATORS
    generator, discriminator = (partial(table["tutorial"], channels=1, width=32) for table in tables)
    task = assemble(
        generator,
        discriminator,
        OBJECTIVES[name],
        generator_optimizer=Adam().build,
        discriminator_optimizer=Adam().build,
    )
    reference = TutorialStep(generator(), discriminator(), loss)
    reference.generator.set_state_dict(task.generator.network.state_dict())
    reference.discriminator.set_state_dict(task.discriminator.network.state_dict())
    for step in range(8):
        real, noise = paddle.rand([8, 1, 32, 32]), paddle.randn([8, 100])
        if step % 4 < 3:
            ours = discriminator_step(task, real, None, noise)["loss/discriminator"].item()
            theirs = reference.discriminator_step(real, noise)
        else:
            ours = generator_step(task, None, noise)["loss/generator"].item()
            theirs = reference.generator_step(noise)
        assert ours == pytest.approx(theirs, rel=2e-4), f"step {step}"
