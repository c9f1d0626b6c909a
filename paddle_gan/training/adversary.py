"""The adversarial part of tasks from images to images: a discriminator step, and the generator's loss against it.

What a discriminator judges is one tensor. For a conditional one it is the input stacked on the image, see `stacked`.
"""

import paddle
from paddle import Tensor

from paddle_gan.backend.precision import Precision
from paddle_gan.objectives.objective import Objective
from paddle_gan.objectives.penalties import Role, StepBatch
from paddle_gan.training.batch_parts import add_penalties, logits_of
from paddle_gan.training.task import Player
from paddle_gan.training.update import update


def stacked(inputs: Tensor, images: Tensor) -> Tensor:
    """Inputs and images of one size as one tensor, channel by channel: what a conditional discriminator judges."""
    return paddle.concat([inputs, images], 1)


def image_alone(inputs: Tensor, images: Tensor) -> Tensor:
    """The images without their inputs: what an unconditional discriminator judges."""
    return images


def discriminator_step(
    player: Player,
    objective: Objective,
    real: Tensor,
    fake: Tensor,
    *,
    number: int,
    suffix: str = "",
    precision: Precision,
    measure: bool = False,
) -> dict[str, Tensor]:
    """One update of a discriminator, penalties included.

    Args:
        player: changed in place.
        objective: its discriminator loss and penalties are taken.
        real, fake: what it judges, [N, C, H, W]; without gradients.
        number: of this step, for penalties that are not computed in every one.
        suffix: ends the names of the scalars, for a task with several discriminators, as does the player's name.
        precision: of the forward passes.
        measure: also return the norm of the gradient.

    Returns:
        0-D tensors by name, still on the device.
    """
    name, network = f"discriminator{suffix}", player.network
    real_logits, fake_logits = logits_of(network, [real, fake], None, precision)
    loss = objective.discriminator_loss(real_logits, fake_logits)
    scalars = {
        f"loss/{name}": loss,
        f"mean_logit/real{suffix}": real_logits.mean(),
        f"mean_logit/fake{suffix}": fake_logits.mean(),
    }
    penalties: dict[str, Tensor] = {}
    batch = StepBatch(real=real, fake=fake, latents=None, labels=None)
    loss = add_penalties(objective, Role.DISCRIMINATOR, network, batch, number, loss, penalties)
    scalars |= {f"{key}{suffix}": value for key, value in penalties.items()}
    return scalars | update({name: player}, loss, measure)


def adversarial_loss(player: Player, objective: Objective, real: Tensor, fake: Tensor, precision: Precision) -> Tensor:
    """The generator's loss against a discriminator that the caller has frozen.

    Args:
        player: the discriminator.
        objective: its generator loss is taken.
        real, fake: what the discriminator judges, [N, C, H, W]; `real` is used by a relativistic objective only.
        precision: of the forward passes.
    """
    fake_logits = precision.forward(player.network, fake, None)
    if not objective.relativistic:
        return objective.generator_loss(fake_logits)
    with paddle.no_grad():
        real_logits = precision.forward(player.network, real, None)
    return objective.generator_loss(real_logits, fake_logits)
