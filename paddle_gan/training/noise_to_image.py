"""The first task: a generator makes images from noise, a discriminator tells them from real ones.

One round is `objective.discriminator_steps` discriminator steps, each on its own batch, and one generator step.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor
from paddle.optimizer import Optimizer
from paddle.utils import unique_name

from paddle_gan.backend.precision import Precision
from paddle_gan.inference.images import grid, grid_columns
from paddle_gan.inference.sampling import generate
from paddle_gan.networks.mixture import Mixture
from paddle_gan.networks.style import StyleGenerator
from paddle_gan.objectives.losses.lecam import lecam_regulariser
from paddle_gan.objectives.objective import Objective
from paddle_gan.objectives.path_length import PathLength, path_lengths, update_mean_length
from paddle_gan.objectives.penalties import Role, StepBatch
from paddle_gan.system import parallel
from paddle_gan.system.randomness import seeded
from paddle_gan.training.augmentation import NO_AUGMENTATION, Augmentation, Change, adapt, draw_change, overfitting
from paddle_gan.training.batch_parts import add_penalties, best, logits_of, means, split, update_anchors
from paddle_gan.training.task import BatchSource, Player, new_player
from paddle_gan.training.update import (
    add_gradients,
    apply_gradients,
    clip_weights,
    frozen,
    share_at_bound,
    update_average,
)

_SHEET_ROWS = 8


@dataclass
class NoiseToImage:
    """A generator and a discriminator with their objective. A batch is (real images [N, C, H, W], labels [N] or None).

    Attributes:
        generator, discriminator: the players; the generator has an average.
        objective: what they minimise.
        classes: number of labels that samples take, or 0.
        precision: in which type the networks are computed.
        accumulate: parts of a batch, whose gradients are added before an update; saves memory. A BatchNorm sees one
            part at a time.
        lecam: weight of LeCam regularisation, 0 for none.
        augmentation: random changes of all images that the discriminator sees.
        best_share: share of the generated images of a batch, those with the largest logits, that the generator learns
            from.
        path_length: regularisation of a style generator, or None.
        step: rounds played.
        buffers: `shares`, P(cluster | class), float32 [C, K], if both networks take clusters as labels; `anchors` [2]
            of LeCam; `augmentation` [2], its probability and the sign of overfitting, if that probability is adaptive;
            `path_length` [1], the moving average of the lengths.
    """

    generator: Player
    discriminator: Player
    objective: Objective
    classes: int = 0
    precision: Precision = field(default_factory=Precision)
    accumulate: int = 1
    lecam: float = 0.0
    augmentation: Augmentation = NO_AUGMENTATION
    best_share: float = 1.0
    path_length: PathLength | None = None
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
        shares = self.buffers.get("shares")
        return average if shares is None else Mixture(average, shares.numpy())

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
    accumulate: int = 1,
    lecam: float = 0.0,
    augmentation: Augmentation = NO_AUGMENTATION,
    path_length: PathLength | None = None,
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
        accumulate: parts of a batch.
        lecam: weight of LeCam regularisation.
        augmentation: random changes of all images that the discriminator sees.
        path_length: regularisation of the generator, which is a `StyleGenerator` then.
    """
    precision = precision or Precision()
    buffers = {} if shares is None else {"shares": paddle.to_tensor(shares, "float32")}
    if lecam:
        buffers["anchors"] = paddle.zeros([2])
    if augmentation.target is not None:  # also if no changes are applied yet: more or fewer images may come later
        buffers["augmentation"] = paddle.zeros([2])
    if path_length:
        buffers["path_length"] = paddle.zeros([1])
    with unique_name.guard():  # names of parameters do not depend on what was made before
        generator, average, discriminator = make_generator(), make_generator(), make_discriminator()
        return NoiseToImage(
            generator=new_player(generator, generator_optimizer, average, average_decay, precision),
            discriminator=new_player(discriminator, discriminator_optimizer, precision=precision),
            objective=objective,
            classes=classes,
            precision=precision,
            accumulate=accumulate,
            lecam=lecam,
            augmentation=augmentation,
            path_length=path_length,
            buffers=buffers,
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
    objective, player = task.objective, task.discriminator
    loss_of = partial(discriminator_loss, task, number=number)
    scalars = add_gradients_of_parts(task, "discriminator", loss_of, real=real, labels=labels, latents=latents)
    if task.lecam:
        update_anchors(task.buffers["anchors"], scalars)
    if task.augmentation.adaptive:
        adapt(task.augmentation, task.buffers["augmentation"], scalars, real.shape[0])
    scalars |= apply_gradients({"discriminator": player}, measure)
    if objective.weight_clip:
        clip_weights(player.network, objective.weight_clip)
        if measure:
            scalars["optimizer/share_at_clip"] = share_at_bound(player.network, objective.weight_clip)
    return scalars


def discriminator_loss(
    task: NoiseToImage, real: Tensor, labels: Tensor | None, latents: Tensor, number: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of the discriminator, penalties included, and 0-D tensors to log; arguments as in its step.

    With augmentation, every image is a changed one: the logits, and the points of the penalties. The players' game is
    then the same game between the two distributions of changed images, and a penalty is about the discriminator as a
    function of what it sees, at points where it is used. So R1, a Lipschitz constant of 1 and the rest keep their
    meaning.
    """
    objective, network, precision = task.objective, task.discriminator.network, task.precision
    with frozen(task.generator.network):
        fake = precision.forward(task.generator.network, latents, labels)
    change = draw_change_of(task, real)
    real, fake = change(real), change(fake)
    real_logits, fake_logits = logits_of(network, [real, fake], labels, precision)
    loss = objective.discriminator_loss(real_logits, fake_logits)
    scalars = {"loss/discriminator": loss, "mean_logit/real": real_logits.mean(), "mean_logit/fake": fake_logits.mean()}
    if task.augmentation.adaptive:
        scalars |= overfitting(real_logits, fake_logits, objective.boundary)
    if task.lecam:
        loss = loss + task.lecam * lecam_regulariser(real_logits, fake_logits, task.buffers["anchors"])
    batch = StepBatch(real=real, fake=fake, latents=latents, labels=labels)
    return add_penalties(objective, Role.DISCRIMINATOR, network, batch, number, loss, scalars), scalars


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
    player = task.generator
    with frozen(task.discriminator.network):
        loss_of = partial(generator_loss, task)
        scalars = add_gradients_of_parts(task, "generator", loss_of, labels=labels, latents=latents, real=real)
        scalars |= apply_gradients({"generator": player}, measure)
    if "path_length" in scalars:
        update_mean_length(task.buffers["path_length"], scalars["path_length"])
    update_average(player, task.step)
    return scalars


def add_gradients_of_parts(
    task: NoiseToImage, name: str, loss_of: Callable[..., tuple[Tensor, dict[str, Tensor]]], **batch: Tensor | None
) -> dict[str, Tensor]:
    """Add the gradients of a player's loss on a batch, part by part if the task accumulates.

    Args:
        task: not changed but for the gradients.
        name: of the player.
        loss_of: takes a part of the batch by the names in `batch`; returns the loss and the scalars to log.
        batch: tensors [N, ...], or None.

    Returns:
        The means of the scalars over the parts.
    """
    scalars = []
    for part in split(task.accumulate, **batch):
        loss, values = loss_of(**part)
        add_gradients({name: task.players[name]}, loss / task.accumulate if task.accumulate > 1 else loss)
        scalars.append(values)
    return means(scalars)


def generator_loss(
    task: NoiseToImage, labels: Tensor | None, latents: Tensor, real: Tensor | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of the generator, penalties included, and 0-D tensors to log; arguments as in its step."""
    objective, network, discriminator = task.objective, task.generator.network, task.discriminator.network
    fake = task.precision.forward(network, latents, labels)
    change = draw_change_of(task, fake)
    fake_logits = task.precision.forward(discriminator, change(fake), labels)
    if objective.relativistic:
        assert real is not None, "this objective compares generated images with real ones"
        with paddle.no_grad():
            real_logits = task.precision.forward(discriminator, change(real), labels)
        loss = objective.generator_loss(real_logits, fake_logits)
    else:
        loss = objective.generator_loss(best(fake_logits, task.best_share))
    scalars = {"loss/generator": loss}
    if task.path_length and task.step % task.path_length.every == 0:
        loss = loss + path_length_penalty(task, task.path_length, labels, latents, scalars)
    batch = StepBatch(real=None, fake=fake, latents=latents, labels=labels)
    return add_penalties(objective, Role.GENERATOR, network, batch, task.step, loss, scalars), scalars


def draw_change_of(task: NoiseToImage, images: Tensor) -> Change:
    """The augmentation of a batch like `images`, [N, C, H, W]: the discriminator sees them only after it."""
    if not task.augmentation.transformations:
        return lambda images: images
    return draw_change(task.augmentation, images, task.generator.network.value_range, task.buffers.get("augmentation"))


def path_length_penalty(
    task: NoiseToImage, path: PathLength, labels: Tensor | None, latents: Tensor, scalars: dict[str, Tensor]
) -> Tensor:
    """The penalty on path lengths in a step in which it is due, as it is added to the loss.

    Their mean goes into `scalars` as "path_length", and the penalty, with its weight, as "loss/path_length".
    """
    lengths = path_lengths(cast(StyleGenerator, task.generator.network), latents, labels)
    value = path.weight * (lengths - task.buffers["path_length"]).square().mean()
    scalars["path_length"], scalars["loss/path_length"] = lengths.mean(), value
    return value * path.every  # it also stands for the steps in which it is left out


def draw_latents(task: NoiseToImage, count: int) -> Tensor:
    """Noise for `count` samples, this process's rows of the global batch's: [count, latent_dim]."""
    return parallel.shard(paddle.randn([parallel.global_rows(count), task.generator.network.latent_dim]))
