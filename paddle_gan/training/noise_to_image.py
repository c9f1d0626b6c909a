"""The first task: a generator makes images from noise, a discriminator tells them from real ones.

One round is `objective.discriminator_steps` discriminator steps, each on its own batch, and one generator step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor
from paddle.optimizer import Optimizer
from paddle.utils import unique_name

from paddle_gan.backend.precision import Precision
from paddle_gan.inference.images import grid, grid_columns
from paddle_gan.inference.sampling import generate
from paddle_gan.networks.layers import apart
from paddle_gan.networks.mixture import Mixture
from paddle_gan.objectives.objective import Objective
from paddle_gan.objectives.penalties import Role, StepBatch, penalty_value
from paddle_gan.system import parallel
from paddle_gan.system.randomness import seeded
from paddle_gan.training.task import BatchSource, Player, new_player
from paddle_gan.training.update import batch_norms, clip_weights, frozen, share_at_bound, update, update_average

_SHEET_ROWS = 8


@dataclass
class NoiseToImage:
    """A generator and a discriminator with their objective. A batch is (real images [N, C, H, W], labels [N] or None).

    Attributes:
        generator, discriminator: the players; the generator has an average.
        objective: what they minimise.
        classes: number of labels that samples take, or 0.
        precision: in which type the networks are computed.
        step: rounds played.
        buffers: `shares`, P(cluster | class), float32 [C, K], if both networks take clusters as labels.
    """

    generator: Player
    discriminator: Player
    objective: Objective
    classes: int = 0
    precision: Precision = field(default_factory=Precision)
    step: int = 0
    buffers: dict[str, Tensor] = field(default_factory=dict)

    @property
    def players(self) -> dict[str, Player]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    @property
    def sampler(self) -> nn.Layer:
        """The network that samples are taken from: the generator's average, or with clusters their mixture."""
        average = self.generator.average
        assert average is not None
        return Mixture(average, self.buffers["shares"].numpy()) if self.buffers else average

    def round(self, batches: BatchSource, seed: int, measure: bool = False) -> dict[str, Tensor]:
        """See `task.Task`. The scalars are those of the last discriminator step and of the generator step."""
        steps = self.objective.discriminator_steps
        scalars: dict[str, Tensor] = {}
        with seeded("round", seed, self.step):
            taken = [batches(self.step * steps + i) for i in range(steps)]
            for i, (real, labels) in enumerate(taken):
                latents = draw_latents(self, real.shape[0])
                number, last = self.step * steps + i, i == steps - 1
                scalars = discriminator_step(self, real, labels, latents, number=number, measure=measure and last)
            latents = draw_latents(self, real.shape[0])
            scalars |= generator_step(self, labels, latents, real=real, measure=measure)
        self.step += 1
        return scalars

    def sheet(self, seed: int) -> np.ndarray:
        """Samples of the average; a column for each class, unless there are none or many."""
        columns = grid_columns(self.classes)
        images, _ = next(generate(self.sampler, columns * _SHEET_ROWS, seed, self.classes))
        return grid(images, columns)


def assemble(
    make_generator: Callable[[], nn.Layer],
    make_discriminator: Callable[[], nn.Layer],
    objective: Objective,
    *,
    generator_optimizer: Callable[[list[Tensor]], Optimizer],
    discriminator_optimizer: Callable[[list[Tensor]], Optimizer],
    average_decay: float = 0.999,
    classes: int = 0,
    shares: np.ndarray | None = None,
    precision: Precision | None = None,
) -> NoiseToImage:
    """A task at step 0. Weights are drawn from Paddle's generator as it stands, in the order of the arguments.

    Args:
        make_generator: called twice, for the generator and its average; with `latent_dim` and `value_range`.
        make_discriminator: called once.
        objective: what both minimise.
        generator_optimizer, discriminator_optimizer: each makes the optimiser of a list of parameters.
        average_decay: of the generator's average, in [0, 1).
        classes: number of labels that samples take, or 0.
        shares: P(cluster | class), [C, K], if both networks take clusters as labels, see `features.clusters`.
        precision: float32 if None.
    """
    precision = precision or Precision()
    with unique_name.guard():  # names of parameters do not depend on what was made before
        generator, average, discriminator = make_generator(), make_generator(), make_discriminator()
        return NoiseToImage(
            generator=new_player(generator, generator_optimizer, average, average_decay, precision),
            discriminator=new_player(discriminator, discriminator_optimizer, precision=precision),
            objective=objective,
            classes=classes,
            precision=precision,
            buffers={} if shares is None else {"shares": paddle.to_tensor(shares, "float32")},
        )


def discriminator_step(
    task: NoiseToImage,
    real: Tensor,
    labels: Tensor | None,
    latents: Tensor,
    number: int = 0,
    measure: bool = False,
) -> dict[str, Tensor]:
    """One update of the discriminator; the generator stays as it is, bit for bit.

    Args:
        task: its discriminator is changed in place.
        real: [N, C, H, W].
        labels: int64 [N] of the real images, given to both networks; None if unconditional.
        latents: [N, latent_dim].
        number: of this step, for penalties that are not computed in every one.
        measure: also return the norm of the gradient, and the share of weights at the clipping bound.

    Returns:
        0-D tensors by name, still on the device.
    """
    objective, player, precision = task.objective, task.discriminator, task.precision
    with frozen(task.generator.network):
        fake = precision.forward(task.generator.network, latents, labels)
    real_logits, fake_logits = logits_of(player.network, [real, fake], labels, precision)
    loss = objective.discriminator_loss(real_logits, fake_logits)
    scalars = {"loss/discriminator": loss, "mean_logit/real": real_logits.mean(), "mean_logit/fake": fake_logits.mean()}
    batch = StepBatch(real=real, fake=fake, latents=latents, labels=labels)
    loss = add_penalties(objective, Role.DISCRIMINATOR, player.network, batch, number, loss, scalars)
    scalars |= update({"discriminator": player}, loss, measure)
    if objective.weight_clip:
        clip_weights(player.network, objective.weight_clip)
        if measure:
            scalars["optimizer/share_at_clip"] = share_at_bound(player.network, objective.weight_clip)
    return scalars


def generator_step(
    task: NoiseToImage,
    labels: Tensor | None,
    latents: Tensor,
    real: Tensor | None = None,
    measure: bool = False,
) -> dict[str, Tensor]:
    """One update of the generator and of its average; the discriminator stays as it is, bit for bit.

    Arguments and result are those of `discriminator_step`; `real` is needed by a relativistic objective only.
    """
    objective, player, precision = task.objective, task.generator, task.precision
    with frozen(task.discriminator.network):
        fake = precision.forward(player.network, latents, labels)
        fake_logits = precision.forward(task.discriminator.network, fake, labels)
        if objective.relativistic:
            assert real is not None, "this objective compares generated images with real ones"
            with paddle.no_grad():
                real_logits = precision.forward(task.discriminator.network, real, labels)
            loss = objective.generator_loss(real_logits, fake_logits)
        else:
            loss = objective.generator_loss(fake_logits)
        scalars = {"loss/generator": loss}
        batch = StepBatch(real=None, fake=fake, latents=latents, labels=labels)
        loss = add_penalties(objective, Role.GENERATOR, player.network, batch, task.step, loss, scalars)
        scalars |= update({"generator": player}, loss, measure)
    update_average(player, task.step)
    return scalars


def add_penalties(
    objective: Objective,
    role: Role,
    network: nn.Layer,
    batch: StepBatch,
    number: int,
    loss: Tensor,
    scalars: dict[str, Tensor],
) -> Tensor:
    """The loss with the penalties of the network that are due in its step `number`.

    Their sum, each with its weight λ, goes into `scalars`: as "loss/penalty" of the discriminator,
    "loss/penalty_generator" of the generator.
    """
    due = [penalty for penalty in objective.penalties_of(role) if number % penalty.every == 0]
    if not due:
        return loss
    values = [penalty.weight * penalty_value(penalty, network, batch) for penalty in due]
    name = "loss/penalty" if role is Role.DISCRIMINATOR else f"loss/penalty_{role.value}"
    scalars[name] = reduce(add, values)
    # A lazy penalty also stands for the steps in which it is left out.
    for penalty, value in zip(due, values, strict=True):
        loss = loss + (value * penalty.every if penalty.every > 1 else value)
    return loss


def logits_of(
    discriminator: nn.Layer, batches: Sequence[Tensor], labels: Tensor | None, precision: Precision
) -> list[Tensor]:
    """The discriminator's logits of each batch; in one forward pass where samples meet in BatchNorms only.

    Args:
        discriminator: has a true attribute `samples_apart` if nothing but norms mixes samples. With BatchNorms other
            than those of `networks.layers`, which know of several batches in one, it gets one batch at a time too.
        batches: each [N, C, H, W].
        labels: int64 [N], those of every batch.
        precision: of the forward pass.
    """
    together = getattr(discriminator, "samples_apart", False)
    if not together or not all(hasattr(norm, "parts") for norm in batch_norms(discriminator)):
        return [precision.forward(discriminator, batch, labels) for batch in batches]
    count = len(batches)
    labels = None if labels is None else labels.tile([count])
    with apart(discriminator, count):
        return precision.forward(discriminator, paddle.concat(list(batches)), labels).split(count)


def draw_latents(task: NoiseToImage, count: int) -> Tensor:
    """Noise for `count` samples, this process's rows of the global batch's: [count, latent_dim]."""
    return parallel.shard(paddle.randn([parallel.global_rows(count), task.generator.network.latent_dim]))
