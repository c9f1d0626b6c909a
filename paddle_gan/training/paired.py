"""The paired task: each input image has a target, as in pix2pix (Isola et al. 2017).

One round takes one batch. The generator makes images of the inputs; a discriminator of patches, which sees the input
too, learns to tell them from the targets; the generator learns to fool it, and to come near the target.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import paddle.nn as nn
from paddle import Tensor
from paddle.utils import unique_name

from paddle_gan.backend.precision import Precision
from paddle_gan.datasets.pair_feed import Pair
from paddle_gan.inference.images import side_by_side, to_uint8
from paddle_gan.inference.translation import with_translations
from paddle_gan.objectives.objective import Objective
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.system.randomness import seeded
from paddle_gan.training.adversary import adversarial_loss, discriminator_step, stacked
from paddle_gan.training.task import BatchSource, Player, new_player
from paddle_gan.training.update import frozen, update, update_average

_SHEET_GROUPS = 2


class Term(NamedTuple):
    """A loss that compares the generated image with its target.

    Attributes:
        weight: of the loss in the sum.
        loss: a function of (generated images, targets) to a scalar.
    """

    weight: float
    loss: Callable[[Tensor, Tensor], Tensor]


@dataclass
class Paired:
    """A generator from inputs to targets and its discriminator. A batch is a `Pair`.

    Attributes:
        generator, discriminator: the players; the generator has an average.
        objective: the adversarial part of what they minimise.
        terms: the other parts of the generator's loss, by name.
        shown: the pairs of the sheet, in the value range of the generator.
        precision: in which type the networks are computed.
        step: rounds played.
        buffers: none.
    """

    generator: Player
    discriminator: Player
    objective: Objective
    terms: Mapping[str, Term]
    shown: Pair
    precision: Precision = field(default_factory=Precision)
    step: int = 0
    buffers: dict[str, Tensor] = field(default_factory=dict)

    @property
    def players(self) -> dict[str, Player]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    @property
    def directions(self) -> tuple[str, ...]:
        """Suffixes of the names of the discriminators: one, without a suffix."""
        return ("",)

    @property
    def sampler(self) -> nn.Layer:
        """The network that translates: the generator's average."""
        assert self.generator.average is not None
        return self.generator.average

    def round(self, batches: BatchSource, seed: int, measure: bool = False) -> dict[str, Tensor]:
        """See `task.Task`. "loss/generator" is its adversarial part; the terms are logged without their weights."""
        with seeded("round", seed, self.step):
            inputs, targets = batches(self.step)
            fake = self.precision.forward(self.generator.network, inputs, None)
            scalars = self._discriminator_step(inputs, targets, fake.detach(), measure)
            scalars |= self._generator_step(inputs, targets, fake, measure)
        self.step += 1
        return scalars

    def _discriminator_step(self, inputs: Tensor, targets: Tensor, fake: Tensor, measure: bool) -> dict[str, Tensor]:
        return discriminator_step(
            self.discriminator,
            self.objective,
            real=stacked(inputs, targets),
            fake=stacked(inputs, fake),
            number=self.step,
            precision=self.precision,
            measure=measure,
        )

    def _generator_step(self, inputs: Tensor, targets: Tensor, fake: Tensor, measure: bool) -> dict[str, Tensor]:
        real = stacked(inputs, targets)
        with frozen(self.discriminator.network):
            fooling = adversarial_loss(self.discriminator, self.objective, real, stacked(inputs, fake), self.precision)
            values = {name: term.loss(fake, targets) for name, term in self.terms.items()}
            loss = fooling
            for name, term in self.terms.items():
                loss = loss + term.weight * values[name]
            norms = update({"generator": self.generator}, loss, measure)
        update_average(self.generator, self.step)
        return {"loss/generator": fooling, **{f"loss/{name}": value for name, value in values.items()}, **norms}

    def sheet(self, seed: int) -> np.ndarray:
        """Inputs, outputs of the average, and targets, side by side."""
        targets = to_uint8(self.shown.targets.numpy(), self.generator.network.value_range)
        return side_by_side([*with_translations(self.sampler, self.shown.inputs), targets], _SHEET_GROUPS)


def assemble(
    make_generator: Callable[[], nn.Layer],
    make_discriminator: Callable[[], nn.Layer],
    objective: Objective,
    terms: Mapping[str, Term],
    shown: Pair,
    *,
    generator_optimizer: Adam,
    discriminator_optimizer: Adam,
    average_decay: float = 0.999,
    precision: Precision | None = None,
) -> Paired:
    """A task at step 0. Weights are drawn from Paddle's generator as it stands, in the order of the arguments.

    Args:
        make_generator: called twice, for the generator and its average.
        make_discriminator: called once; its networks judge inputs and images stacked.
        objective, terms, shown: see `Paired`.
        generator_optimizer, discriminator_optimizer: each makes the optimiser of a list of parameters.
        average_decay: of the generator's average, in [0, 1).
        precision: float32 if None.
    """
    precision = precision or Precision()
    with unique_name.guard():  # names of parameters do not depend on what was made before
        generator, average, discriminator = make_generator(), make_generator(), make_discriminator()
        return Paired(
            generator=new_player(generator, generator_optimizer.build, average, average_decay, precision),
            discriminator=new_player(discriminator, discriminator_optimizer.build, precision=precision),
            objective=objective,
            terms=terms,
            shown=shown,
            precision=precision,
        )
