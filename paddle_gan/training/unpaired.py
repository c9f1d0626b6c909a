"""The unpaired task: two sets of images, and nothing says which belong together. A batch is one tensor of each set.

Both directions are learned: an image that goes there and back again must come to itself (Zhu et al. 2017, CycleGAN).
What belongs to the way back ends with "_back". `contrast` is the quicker form with one direction.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import paddle
import paddle.nn as nn
from paddle import Tensor
from paddle.utils import unique_name

from paddle_gan.backend.precision import Precision
from paddle_gan.inference.images import side_by_side
from paddle_gan.inference.translation import with_translations
from paddle_gan.objectives.objective import Objective
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.objectives.reconstruction import l1_loss
from paddle_gan.system.randomness import seeded
from paddle_gan.training.adversary import adversarial_loss, discriminator_step
from paddle_gan.training.task import BatchSource, Player, new_player
from paddle_gan.training.update import frozen, update, update_average

# Old translations that a discriminator also sees (Shrivastava et al. 2017; Zhu et al. 2017, section 4).
BUFFER_SIZE = 50
_SHEET_GROUPS = 2

Network = Callable[[], nn.Layer]


@dataclass
class Cycle:
    """Two generators and two discriminators.

    Attributes:
        generator, generator_back: from the first set to the second, and back; both have an average.
        discriminator, discriminator_back: judge images of the second set, and of the first.
        objective: the adversarial part of what they minimise.
        cycle_weight: of the distance between an image and what comes back of it.
        identity_weight: of the distance between an image and its translation to the set that it is from.
        shown: images of both sets for the sheet.
        buffers: `fakes` and `fakes_back`, old translations [BUFFER_SIZE, C, H, W].
        precision: in which type the networks are computed.
        step: rounds played.
    """

    generator: Player
    generator_back: Player
    discriminator: Player
    discriminator_back: Player
    objective: Objective
    cycle_weight: float
    identity_weight: float
    shown: tuple[Tensor, Tensor]
    buffers: dict[str, Tensor]
    precision: Precision = field(default_factory=Precision)
    step: int = 0

    directions = ("", "_back")

    @property
    def players(self) -> dict[str, Player]:
        names = ("discriminator", "discriminator_back", "generator", "generator_back")
        return {name: getattr(self, name) for name in names}

    @property
    def sampler(self) -> nn.Layer:
        """The network that translates from the first set to the second: the generator's average."""
        assert self.generator.average is not None
        return self.generator.average

    def round(self, batches: BatchSource, seed: int, measure: bool = False) -> dict[str, Tensor]:
        """See `task.Task`. The losses of the generators are their adversarial parts, without weights."""
        with seeded("round", seed, self.step):
            first, second = batches(self.step)
            fake, fake_back, scalars = self._generator_step(first, second, measure)
            for suffix, real, made in (("", second, fake), ("_back", first, fake_back)):
                scalars |= discriminator_step(
                    self.players[f"discriminator{suffix}"],
                    self.objective,
                    real=real,
                    fake=exchanged(self.buffers[f"fakes{suffix}"], self.step * len(made), made),
                    number=self.step,
                    suffix=suffix,
                    precision=self.precision,
                    measure=measure,
                )
        self.step += 1
        return scalars

    def _generator_step(self, first: Tensor, second: Tensor, measure: bool) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """One update of both generators; returns their translations, without gradients, and the scalars."""
        forward = self.precision.forward
        there, back = self.generator.network, self.generator_back.network
        with frozen(self.discriminator.network, self.discriminator_back.network):
            fake, same_second = forward(there, paddle.concat([first, second]), None).split(2)
            fake_back, same_first = forward(back, paddle.concat([second, first]), None).split(2)
            cycle = l1_loss(forward(back, fake, None), first) + l1_loss(forward(there, fake_back, None), second)
            identity = l1_loss(same_first, first) + l1_loss(same_second, second)
            fooling = adversarial_loss(self.discriminator, self.objective, second, fake, self.precision)
            fooling_back = adversarial_loss(self.discriminator_back, self.objective, first, fake_back, self.precision)
            loss = fooling + fooling_back + self.cycle_weight * cycle + self.identity_weight * identity
            generators = {"generator": self.generator, "generator_back": self.generator_back}
            norms = update(generators, loss, measure)
        for player in generators.values():
            update_average(player, self.step)
        scalars = {
            "loss/generator": fooling,
            "loss/generator_back": fooling_back,
            "loss/cycle": cycle,
            "loss/identity": identity,
        }
        return fake.detach(), fake_back.detach(), scalars | norms

    def sheet(self, seed: int) -> np.ndarray:
        """Images of the first set beside their translations, and images of the second set beside theirs."""
        assert self.generator_back.average is not None
        columns = []
        for images, network in zip(self.shown, (self.sampler, self.generator_back.average), strict=True):
            columns += with_translations(network, images)
        return side_by_side(columns, _SHEET_GROUPS)


@paddle.no_grad()
def exchanged(buffer: Tensor, seen: int, images: Tensor) -> Tensor:
    """The images, about half of them replaced by older ones, which they take the place of (Shrivastava et al. 2017).

    Args:
        buffer: older images [B, C, H, W], changed in place. It fills first; until then nothing is replaced.
        seen: images that came before these.
        images: [N, C, H, W], N at most B.
    """
    filled = min(seen, len(buffer))
    kept = min(len(images), len(buffer) - filled)
    if kept:
        buffer[filled : filled + kept] = images[:kept]
    if kept == len(images):
        return images
    late = images[kept:]
    places = paddle.randperm(len(buffer))[: len(late)]
    older = paddle.gather(buffer, places)
    swap = (paddle.rand([len(late), 1, 1, 1]) < 0.5).astype(images.dtype)
    buffer[places] = swap * late + (1 - swap) * older
    return paddle.concat([images[:kept], swap * older + (1 - swap) * late])


def assemble(
    make_generator: Network,
    make_discriminator: Network,
    objective: Objective,
    shown: tuple[Tensor, Tensor],
    *,
    cycle_weight: float,
    identity_weight: float,
    crop: int,
    generator_optimizer: Adam,
    discriminator_optimizer: Adam,
    average_decay: float = 0.999,
    precision: Precision | None = None,
) -> Cycle:
    """A task at step 0; arguments as in `paired.assemble` and `Cycle`. Both sets have the channels of `shown`.

    Args:
        crop: height and width of the images of a batch.
    """
    precision = precision or Precision()
    with unique_name.guard():  # names of parameters do not depend on what was made before
        networks = [make_generator() for _ in range(4)]
        generators = [
            new_player(network, generator_optimizer.build, average, average_decay, precision)
            for network, average in zip(networks[::2], networks[1::2], strict=True)
        ]
        discriminators = [
            new_player(make_discriminator(), discriminator_optimizer.build, precision=precision) for _ in range(2)
        ]
    shapes = {"fakes": shown[1].shape[1], "fakes_back": shown[0].shape[1]}
    return Cycle(
        *generators,
        *discriminators,
        objective=objective,
        cycle_weight=cycle_weight,
        identity_weight=identity_weight,
        shown=shown,
        buffers={name: paddle.zeros([BUFFER_SIZE, channels, crop, crop]) for name, channels in shapes.items()},
        precision=precision,
    )
