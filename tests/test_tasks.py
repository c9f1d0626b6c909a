"""The seam between the training loop and what is trained: other tasks and objectives pass through it unchanged.

The second task here is an unpaired translation in small (Zhu et al. 2017, CycleGAN): two generators with one loss, two
discriminators of patches, and a buffer of old fakes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import paddle
import paddle.nn as nn
import pytest
from states import tiny_task

from paddle_gan.backend import kernels
from paddle_gan.backend.precision import Precision
from paddle_gan.errors import NumericalError
from paddle_gan.networks import DISCRIMINATORS, GENERATORS
from paddle_gan.networks.blocks import ConvBN
from paddle_gan.objectives import OBJECTIVES, Adam, Objective
from paddle_gan.objectives.losses.lsgan import lsgan_discriminator_loss, lsgan_generator_loss
from paddle_gan.objectives.penalties import Penalty, Role, latents, real
from paddle_gan.system.randomness import seeded
from paddle_gan.training import callbacks, checkpoint
from paddle_gan.training.log import metrics_log, read_metrics
from paddle_gan.training.loop import train
from paddle_gan.training.noise_to_image import assemble
from paddle_gan.training.progress import progress
from paddle_gan.training.state import tensors_of
from paddle_gan.training.task import Player, new_player
from paddle_gan.training.update import frozen, update, update_average


def translator() -> nn.Layer:
    return nn.Sequential(ConvBN(1, 4, 3, padding=1), ConvBN(4, 1, 3, padding=1, norm=None, activation=paddle.tanh))


def patches() -> nn.Layer:
    return nn.Sequential(ConvBN(1, 4, 4, 2, padding=1, norm=None), ConvBN(4, 1, 3, norm=None, activation=None))


@dataclass
class Unpaired:
    """Images of two domains, a and b, to each other. A batch is a pair of tensors [N, 1, H, W]."""

    players: dict[str, Player]
    buffers: dict[str, paddle.Tensor]
    step: int = 0
    generators: tuple[str, str] = ("a_to_b", "b_to_a")
    seen: list[float] = field(default_factory=list)

    def round(self, batches, seed: int, measure: bool = False) -> dict[str, paddle.Tensor]:
        with seeded("round", seed, self.step):
            a, b = batches(self.step)
            scalars, fakes = self.generator_step(a, b, measure)
            for name, real_images, fake in zip(("critic_a", "critic_b"), (a, b), fakes, strict=True):
                critic = self.players[name]
                old = self.from_buffer(f"old_{name}", fake)
                loss = lsgan_discriminator_loss(critic.network(real_images), critic.network(old))
                scalars |= {f"loss/{name}": loss, **update({name: critic}, loss, measure)}
        self.step += 1
        return scalars

    def generator_step(self, a, b, measure):
        a_to_b, b_to_a = (self.players[name] for name in self.generators)
        with frozen(self.players["critic_a"].network, self.players["critic_b"].network):
            fake_b, fake_a = a_to_b.network(a), b_to_a.network(b)
            fool = [self.players["critic_a"].network(fake_a), self.players["critic_b"].network(fake_b)]
            cycle = (b_to_a.network(fake_b) - a).abs().mean() + (a_to_b.network(fake_a) - b).abs().mean()
            losses = [lsgan_generator_loss(logits) for logits in fool]
            both = dict(zip(self.generators, (a_to_b, b_to_a), strict=True))
            norms = update(both, losses[0] + losses[1] + 10 * cycle, measure)
        update_average(a_to_b, self.step)
        named = {f"loss/{name}": loss for name, loss in zip(reversed(self.generators), losses, strict=True)}
        return named | {"loss/cycle": cycle} | norms, (fake_a.detach(), fake_b.detach())

    def from_buffer(self, name: str, fake):
        """Half of the fakes are replaced by older ones (Shrivastava et al. 2017)."""
        buffer, count = self.buffers[name], len(fake)
        places = paddle.randperm(len(buffer))[:count]
        old, swap = buffer[places], (paddle.rand([count, 1, 1, 1]) < 0.5).astype("float32")
        buffer[places] = swap * fake + (1 - swap) * old
        return swap * old + (1 - swap) * fake

    def sheet(self, seed: int) -> np.ndarray:
        return np.full((8, 8, 3), self.step, np.uint8)


def unpaired(seed: int = 0) -> Unpaired:
    adam = Adam().build
    with seeded("weights", seed):
        players = {name: new_player(translator(), adam, translator()) for name in ("a_to_b", "b_to_a")}
        players |= {name: new_player(patches(), adam) for name in ("critic_a", "critic_b")}
    buffers = {f"old_{name}": paddle.zeros([6, 1, 8, 8]) for name in ("critic_a", "critic_b")}
    return Unpaired(players, buffers | {"count": paddle.zeros([1], "int64")})


def pairs(number: int):
    random = np.random.default_rng(number)
    return tuple(paddle.to_tensor(random.uniform(-1, 1, (4, 1, 8, 8)).astype(np.float32)) for _ in range(2))


def arrays(task) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in tensors_of(task).items()}


def test_the_best_is_the_least_value_in_the_same_features():
    """A run that goes on with other features, by --inception or by a later version, begins to compare anew."""

    def line(features, distance):
        return {callbacks.FEATURES: features, callbacks.EVALUATED: distance}

    saved = []
    keep = callbacks.keep_best([line("old", 0.2), line("old", 0.1), line("new", 5.0)], saved.append)
    values = [line("new", 6.0), line("new", 4.0), None, {"loss/generator": 0.0}, line("new", 4.5), line("old", 0.15)]
    for number, one in enumerate(values):
        keep(number, one)
    assert saved == [1]


def test_a_second_task_is_saved_by_name_and_resumes_bit_for_bit(tmp_path):
    """Networks, averages, moments and the buffer of old fakes."""
    whole, parts, again = unpaired(), unpaired(), unpaired(seed=1)
    train(whole, pairs, 6, seed=3, log_every=2)
    train(parts, pairs, 3, seed=3, log_every=2)
    checkpoint.save(parts, tmp_path, "data")
    checkpoint.restore(again, tmp_path, "data", print)
    assert again.step == 3
    train(again, pairs, 6, seed=3, log_every=2)
    expected, found = arrays(whole), arrays(again)
    kinds = {name.split("/")[0] for name in expected}
    assert kinds >= {"a_to_b", "a_to_b_average", "b_to_a_optimizer", "critic_a", "critic_b_optimizer", "buffers"}
    assert np.abs(expected["buffers/old_critic_a"]).max() > 0.1
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(array, found[name], err_msg=name)
    # Not the buffer alone: without it the end is another.
    for tensor in again.buffers.values():
        tensor.set_value(paddle.zeros_like(tensor))
    again.step = 5
    train(again, pairs, 6, seed=3, log_every=2)
    assert any((array != arrays(again)[name]).any() for name, array in expected.items())


def test_a_second_task_is_logged_shown_and_stopped_by_nan(tmp_path):
    task, said = unpaired(), []
    with metrics_log(tmp_path / "log", 0) as log, progress(4, 0, said.append) as shown:
        train(task, pairs, 4, seed=0, log_every=2, callbacks=[callbacks.rates(4), log, shown])
    lines = read_metrics(tmp_path / "log")
    assert [line["step"] for line in lines] == [1, 2, 4]
    assert {f"optimizer/learning_rate_{name}" for name in task.players} <= set(lines[0])
    assert {"loss/cycle", "optimizer/gradient_norm_a_to_b", "optimizer/gradient_norm_critic_b"} <= set(lines[0])
    assert re.search(r"a_to_b \d\.\d+  b_to_a .* critic_b \d", said[0])  # initials would not tell them apart
    with pytest.raises(NumericalError, match="loss/cycle = nan"):
        train(task, lambda number: [images * float("nan") for images in pairs(number)], 8, seed=0, log_every=1)


# ---- Objectives that need more than the ones that are there, each added without touching the library.


def of(objective: Objective, make_discriminator: Callable[[], nn.Layer] | None = None):
    with seeded("weights", 0):
        return assemble(
            partial(GENERATORS["pixelshuffle"], image_size=28, channels=1, width=4),
            make_discriminator or partial(DISCRIMINATORS["strided"], image_size=28, channels=1, width=4, norm=None),
            objective,
            generator_optimizer=Adam().build,
            discriminator_optimizer=Adam().build,
        )


def digits(number: int):
    random = np.random.default_rng(number)
    return paddle.to_tensor(random.uniform(-1, 1, (4, 1, 28, 28)).astype(np.float32)), None


def history(task, steps: int) -> list[dict]:
    seen = []
    train(task, digits, steps, seed=0, log_every=1, callbacks=[lambda task, values: seen.append(dict(values))])
    return seen


@pytest.mark.skipif(not kernels.available(), reason="Paddle's own pixel shuffle has no second gradient")
def test_a_penalty_on_the_generator():
    path_length = Penalty(at=(latents,), centre=1.0, weight=2.0, network=Role.GENERATOR)
    plain, penalised = of(OBJECTIVES["lsgan"]), of(replace(OBJECTIVES["lsgan"], penalties=(path_length,)))
    values = history(penalised, 1)[0]
    assert values["loss/penalty_generator"] > 0 and "loss/penalty" not in values
    assert history(plain, 1)[0]["loss/generator"] == values["loss/generator"]
    weights = [task.generator.network.state_dict()["project.linear.weight"].numpy() for task in (plain, penalised)]
    assert np.abs(weights[0] - weights[1]).max() > 1e-6


def test_a_penalty_every_fourth_step_counts_four_times_in_it():
    lazy = Penalty(at=(real,), weight=0.5, every=4)
    values = history(of(replace(OBJECTIVES["gan"], penalties=(lazy,))), 9)
    assert [i for i, line in enumerate(values) if "loss/penalty" in line] == [0, 4, 8]

    def after_one_step(penalty: Penalty) -> np.ndarray:
        # SGD moves the weights by the gradient itself.
        task = of(replace(OBJECTIVES["gan"], penalties=(penalty,)))
        player = task.discriminator
        player.optimizer = paddle.optimizer.SGD(1.0, parameters=player.network.parameters())
        history(task, 1)
        return player.network.state_dict()["head.weight"].numpy()

    np.testing.assert_allclose(after_one_step(lazy), after_one_step(Penalty(at=(real,), weight=2.0)), rtol=1e-6)
    assert np.abs(after_one_step(lazy) - after_one_step(Penalty(at=(real,), weight=0.5))).max() > 1e-8


@pytest.mark.parametrize("loss", ["gan", "lsgan", "wgan", "wgan-gp", "gan-r1-r2"])
def test_a_discriminator_of_patches(loss):
    def critic() -> nn.Layer:
        body = nn.Sequential(ConvBN(1, 4, 4, 2, padding=1, norm=None), ConvBN(4, 1, 3, norm=None, activation=None))
        body.forward = lambda images, labels=None, layers=list(body): layers[1](layers[0](images))
        return body

    task = of(OBJECTIVES[loss], critic)
    assert task.discriminator.network(digits(0)[0]).shape == [4, 1, 12, 12]
    values = history(task, 2)
    assert all(np.isfinite(value) for line in values for value in line.values())


def test_a_weight_of_0_is_a_fair_ablation():
    """The same noise as with the penalty in every step, and updates as without one."""
    tasks, seen = [tiny_task(loss="wgan-gp", penalty_weight=weight) for weight in (0, 10)], [[], []]
    for task, latents_of_steps in zip(tasks, seen, strict=True):
        hook = lambda layer, given, seen=latents_of_steps: seen.append(given[0].numpy())  # noqa: E731
        task.generator.network.register_forward_pre_hook(hook)
    values = [history(task, 2) for task in tasks]
    assert [line["loss/penalty"] for line in values[0]] == [0, 0] and values[1][0]["loss/penalty"] > 0
    assert len(seen[0]) == 12
    np.testing.assert_array_equal(seen[0], seen[1])
    heads = [arrays(task)["discriminator/head.weight"] for task in tasks]
    assert np.abs(heads[0] - heads[1]).max() > 0


def test_the_state_of_a_task_is_its_own(tmp_path):
    """Two tasks in one process, one round each in turn, come to what each comes to alone."""
    alone, other = tiny_task(), tiny_task(loss="wgan-gp")
    together = tiny_task()
    train(alone, digits, 4, seed=0, log_every=9)
    for step in range(1, 5):
        train(together, digits, step, seed=0, log_every=9)
        train(other, digits, step, seed=1, log_every=9)
    for name, array in arrays(alone).items():
        np.testing.assert_array_equal(array, arrays(together)[name], err_msg=name)
    assert isinstance(together.precision, Precision)
