"""The training step: what it changes, what it leaves alone, and that it is the write-up's."""

from dataclasses import replace

import numpy as np
import paddle
import paddle.nn as nn
import pytest

from paddle_gan.backend.precision import Precision
from paddle_gan.errors import NumericalError
from paddle_gan.networks import DISCRIMINATORS, GENERATORS
from paddle_gan.networks.blocks import BatchNorm, LayerNorm
from paddle_gan.objectives.objective import OBJECTIVES
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.training import checkpoint
from paddle_gan.training import loop as training
from paddle_gan.training.loop import TrainState


def state_of(
    loss="lsgan", name="pixelshuffle", partner="strided", width=4, gradient_clip=None, **changes
) -> TrainState:
    paddle.seed(1)
    objective = OBJECTIVES[loss]
    sizes = {"image_size": 28} if name != "writeup" else {}
    norm = {"norm": LayerNorm} if objective.penalty else {}
    generator, average = (GENERATORS[name](channels=1, width=width, **sizes) for _ in range(2))
    discriminator = DISCRIMINATORS[partner](channels=1, width=width, **norm, **sizes)
    average.set_state_dict(generator.state_dict())
    optimizers = (
        objective.optimizer.build(
            [p for p in layer.parameters() if p.trainable], gradient_clip and nn.ClipGradByNorm(gradient_clip)
        )
        for layer in (generator, discriminator)
    )
    return TrainState(generator, discriminator, average, *optimizers, objective, **changes)


def snapshot(layer: nn.Layer) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in layer.state_dict().items()}


def same(before: dict[str, np.ndarray], layer: nn.Layer) -> bool:
    return all(np.array_equal(before[name], value.numpy()) for name, value in layer.state_dict().items())


def real_images(count: int = 8) -> paddle.Tensor:
    paddle.seed(5)
    return paddle.rand([count, 1, 28, 28]) * 2 - 1


@pytest.mark.parametrize("partner", ["strided", "mlp", "writeup"])
@pytest.mark.parametrize("classes", [0, 3])
def test_logits_of_two_batches_in_one_pass_are_those_of_two_passes(partner, classes):
    """Running statistics included, up to rounding; and a network that says nothing gets two passes."""
    paddle.seed(3)
    sizes = {"image_size": 28} if partner != "writeup" else {}
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
    together, separate = (training.logits_of(network, batches, labels, Precision()) for network in networks)
    assert calls == [(True, 12), (False, 6), (False, 6)]
    for mine, other in zip(together, separate, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-4, atol=1e-4)
    for mine, other in zip(networks[0].state_dict().values(), networks[1].state_dict().values(), strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", [nn.BatchNorm, nn.BatchNorm2D])
def test_a_norm_that_knows_nothing_of_several_batches_sees_one_at_a_time(norm):
    discriminator, seen = DISCRIMINATORS["strided"](image_size=28, channels=1, width=4, norm=norm), []
    discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[0]))
    training.logits_of(discriminator, [real_images(), real_images()], None, Precision())
    assert seen == [8, 8]


@pytest.mark.parametrize("loss", OBJECTIVES)
def test_each_step_changes_its_own_network_only_bit_for_bit(loss):
    """BatchNorm statistics included; and neither network is left with gradients of the other's step."""
    state = state_of(loss)
    latents = paddle.randn([8, 64])
    generator, average, discriminator = (snapshot(x) for x in (state.generator, state.average, state.discriminator))
    training.discriminator_step(state, real_images(), None, latents)
    assert same(generator, state.generator) and same(average, state.average)
    assert not same(discriminator, state.discriminator)
    assert all(p.grad is None for p in state.generator.parameters())
    discriminator = snapshot(state.discriminator)
    training.generator_step(state, None, latents)
    assert same(discriminator, state.discriminator)
    assert not same(generator, state.generator)
    assert all(p.grad is None for p in state.discriminator.parameters())
    assert all(not p.stop_gradient for p in state.discriminator.parameters() if p.trainable)


def test_discriminator_step_builds_no_graph_of_the_generator():
    state = state_of()
    fakes = []
    state.generator.register_forward_post_hook(lambda layer, inputs, output: fakes.append(output))
    training.discriminator_step(state, real_images(), None, paddle.randn([8, 64]))
    assert fakes[0].stop_gradient


@pytest.mark.parametrize("loss", ["gan", "lsgan", "wgan", "wgan-gp"])
def test_a_round_consumes_exactly_the_objectives_batches(loss):
    state, asked = state_of(loss), []

    def batches(number):
        asked.append(number)
        return real_images(), None

    steps = OBJECTIVES[loss].discriminator_steps
    training.train(state, batches, 3, seed=0, log_every=2)
    assert asked == list(range(3 * steps))
    assert state.step == 3


def test_clipping_bounds_the_weights_and_leaves_statistics_alone():
    state = state_of("wgan")
    statistics = {
        name: value.numpy().copy() for name, value in state.discriminator.state_dict().items() if "._" in name
    }
    assert len(statistics) == 4  # mean and variance of two norms
    training.clip_weights(state.discriminator, 0.01)
    for parameter in state.discriminator.parameters():
        if parameter.trainable:
            assert np.abs(parameter.numpy()).max() <= np.float32(0.01)
    for name, value in statistics.items():
        np.testing.assert_array_equal(state.discriminator.state_dict()[name].numpy(), value)
    assert any(np.abs(value).max() > 0.01 for value in statistics.values())


def test_the_penalty_is_added_to_the_loss_times_its_weight():
    """With a weight of 0 the step is that of plain WGAN; the logged penalty is weight times penalty."""
    logged, moved = {}, {}
    for weight in (0.0, 10.0, 20.0):
        state = state_of("wgan-gp")
        state.objective = replace(state.objective, penalty_weight=weight)
        paddle.seed(3)
        scalars = training.discriminator_step(state, real_images(), None, paddle.ones([8, 64]))
        logged[weight] = scalars["loss/penalty"].item()
        moved[weight] = state.discriminator.state_dict()["head.weight"].numpy()
    assert logged[0.0] == 0 and logged[20.0] == pytest.approx(2 * logged[10.0], rel=1e-5) and logged[10.0] > 0
    plain = state_of("wgan-gp")
    plain.objective = replace(plain.objective, penalty=None)
    paddle.seed(3)
    training.discriminator_step(plain, real_images(), None, paddle.ones([8, 64]))
    np.testing.assert_allclose(plain.discriminator.state_dict()["head.weight"].numpy(), moved[0.0], atol=1e-7)
    assert np.abs(moved[10.0] - moved[0.0]).max() > 1e-6


def test_every_wgan_step_ends_within_the_bound():
    state = state_of("wgan")
    training.discriminator_step(state, real_images(), None, paddle.randn([8, 64]))
    assert max(np.abs(p.numpy()).max() for p in state.discriminator.parameters() if p.trainable) <= np.float32(0.01)


def test_average_is_the_exponential_moving_average_with_a_quick_start():
    state = state_of(ema_decay=0.15)
    name = "project.linear.weight"
    expected = state.average.state_dict()[name].numpy().copy()
    for step, decay in enumerate((1 / 10, 0.15, 0.15)):
        training.generator_step(state, None, paddle.randn([8, 64]))
        state.step = step + 1
        expected = decay * expected + (1 - decay) * state.generator.state_dict()[name].numpy()
        np.testing.assert_allclose(state.average.state_dict()[name].numpy(), expected, rtol=1e-5, atol=1e-7)


def test_gradient_norm_is_of_all_gradients_together():
    layer = nn.Linear(3, 2)
    (layer(paddle.ones([1, 3])) * 2).sum().backward()
    assert training.gradient_norm(layer).item() == pytest.approx((6 * 4 + 2 * 4) ** 0.5)


def test_rounds_depend_on_seed_and_step_only():
    """A state made ready at step 1 goes on like the one that did step 0 before."""
    states = [state_of(), state_of()]
    images = real_images()
    batches = lambda number: (images * (number + 1) / 10, None)  # noqa: E731
    training.train(states[0], batches, 2, seed=7, log_every=100)
    training.train(states[1], batches, 1, seed=7, log_every=100)
    paddle.randn([13])
    training.train(states[1], batches, 2, seed=7, log_every=100)
    assert same(snapshot(states[0].generator), states[1].generator)
    other = state_of()
    training.train(other, batches, 2, seed=8, log_every=100)
    assert not same(snapshot(states[0].generator), other.generator)


def test_scalars_come_in_logged_rounds_and_the_last():
    state, seen = state_of("wgan-gp"), []
    callback = lambda state, scalars: seen.append((state.step, scalars))  # noqa: E731
    training.train(state, lambda number: (real_images(), None), 5, seed=0, log_every=2, callbacks=[callback])
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
    state = state_of(loss, gradient_clip=gradient_clip)
    images = real_images()
    reads.clear()
    for _ in range(2):
        training.train_round(state, lambda number: (images, None), seed=0)
    assert reads == []
    training.train(state, lambda number: (images, None), 3, seed=0, log_every=1)
    assert set(reads) >= {"item"}


def test_adam_takes_all_parameters_at_once_on_a_gpu_to_the_same_end(monkeypatch, tmp_path):
    """But for the last bit on a CPU; and a checkpoint of the one goes on in the other."""
    states = [state_of()]
    monkeypatch.setattr(paddle, "get_device", lambda: "gpu:0")
    states += [state_of(), state_of()]
    monkeypatch.undo()
    assert [state.generator_optimizer._use_multi_tensor for state in states] == [False, True, True]
    images = real_images()
    for state in states[:2]:
        training.train(state, lambda number: (images, None), 3, seed=0, log_every=9)
    checkpoint.save(states[0], tmp_path, "data")
    checkpoint.restore(states[2], tmp_path, "data", print)
    for state in states:
        training.train(state, lambda number: (images, None), 5, seed=0, log_every=9)
    one, *others = ({name: t.numpy() for name, t in checkpoint._tensors(state).items()} for state in states)
    for other in others:
        assert other.keys() == one.keys()
        for name, array in one.items():
            np.testing.assert_allclose(other[name], array, rtol=2e-3, atol=2e-5, err_msg=name)


def test_nan_ends_training_at_the_next_logged_round():
    state = state_of()
    images = real_images() * float("nan")
    with pytest.raises(NumericalError, match="step 1: .*loss/discriminator = nan"):
        training.train(state, lambda number: (images, None), 10, seed=0, log_every=2)


class WriteupStep:
    """The write-up's training step as it stands there, with its loss on the Sigmoid's output."""

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
def test_steps_agree_with_the_writeups(name, loss):
    """Same weights, same noise, same data: same losses, three discriminator steps to one of the generator, twice."""
    width = {"width": 32}
    paddle.seed(2)
    networks = [
        (GENERATORS["writeup"](channels=1, **width), DISCRIMINATORS["writeup"](channels=1, **width)) for _ in range(2)
    ]
    for ours, theirs in zip(*networks):
        theirs.set_state_dict(ours.state_dict())
    (generator, discriminator), reference = networks[0], WriteupStep(*networks[1], loss)
    optimizers = (Adam().build([p for p in x.parameters() if p.trainable]) for x in (generator, discriminator))
    state = TrainState(
        generator, discriminator, GENERATORS["writeup"](channels=1, **width), *optimizers, OBJECTIVES[name]
    )
    for step in range(8):
        real, noise = paddle.rand([8, 1, 32, 32]), paddle.randn([8, 100])
        if step % 4 < 3:
            ours = training.discriminator_step(state, real, None, noise)["loss/discriminator"].item()
            theirs = reference.discriminator_step(real, noise)
        else:
            ours = training.generator_step(state, None, noise)["loss/generator"].item()
            theirs = reference.generator_step(noise)
        assert ours == pytest.approx(theirs, rel=2e-4), f"step {step}"
