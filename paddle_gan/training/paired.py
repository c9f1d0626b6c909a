"""The paired task: each input image has a target, as in pix2pix (Isola et al. 2017).

One round takes one batch. The generator makes images of the inputs; a discriminator of patches learns to tell them from
the targets; the generator learns to fool it, and to come near the target. The discriminator may begin later.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import paddle
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
from paddle_gan.training.state import create_accumulators_of
from paddle_gan.training.task import BatchSource, Player, new_player
from paddle_gan.training.update import frozen, update, update_average

_SHEET_GROUPS = 2


class Term(NamedTuple):
    """A loss that compares the generated image with its target.

    Attributes:
        weight: of the loss in the sum.
        loss: a function of (generated images, targets) to a scalar.
        late: whether it begins only when the discriminator does.
    """

    weight: float
    loss: Callable[[Tensor, Tensor], Tensor]
    late: bool = False


@dataclass
class Paired:
    """A generator from inputs to targets and its discriminator. A batch is a `Pair`.

    Attributes:
        generator, discriminator: the players; the generator has an average.
        objective: the adversarial part of what they minimise.
        terms: the other parts of the generator's loss, by name.
        shown: the pairs of the sheet, in the value range of the generator.
        judged: what the discriminator sees, of inputs and images.
        begins: the round in which the discriminator begins; before it, only the terms that are not `late` are learned.
        precision: in which type the networks are computed.
        step: rounds played.
        buffers: none.
    """

    generator: Player
    discriminator: Player
    objective: Objective
    terms: Mapping[str, Term]
    shown: Pair
    judged: Callable[[Tensor, Tensor], Tensor] = stacked
    begins: int = 0
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
            scalars = {}
            if self.step >= self.begins:
                scalars = self._discriminator_step(inputs, targets, fake.detach(), measure)
            scalars |= self._generator_step(inputs, targets, fake, measure)
        self.step += 1
        return scalars

    def _discriminator_step(self, inputs: Tensor, targets: Tensor, fake: Tensor, measure: bool) -> dict[str, Tensor]:
        return discriminator_step(
            self.discriminator,
            self.objective,
            real=self.judged(inputs, targets),
            fake=self.judged(inputs, fake),
            number=self.step,
            precision=self.precision,
            measure=measure,
        )

    def _generator_step(self, inputs: Tensor, targets: Tensor, fake: Tensor, measure: bool) -> dict[str, Tensor]:
        alone = self.step < self.begins
        terms = {name: term for name, term in self.terms.items() if not (alone and term.late)}
        with frozen(self.discriminator.network):
            values = {} if alone else {"generator": self._fooling(inputs, targets, fake)}
            parts = list(values.values())
            for name, term in terms.items():
                values[name] = term.loss(fake, targets)
                parts.append(term.weight * values[name])
            norms = update({"generator": self.generator}, paddle.add_n(parts), measure)
        update_average(self.generator, self.step)
        return {**{f"loss/{name}": value for name, value in values.items()}, **norms}

    def _fooling(self, inputs: Tensor, targets: Tensor, fake: Tensor) -> Tensor:
        real, made = self.judged(inputs, targets), self.judged(inputs, fake)
        return adversarial_loss(self.discriminator, self.objective, real, made, self.precision)

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
    judged: Callable[[Tensor, Tensor], Tensor] = stacked,
    begins: int = 0,
    average_decay: float = 0.999,
    precision: Precision | None = None,
) -> Paired:
    """A task at step 0. Weights are drawn from Paddle's generator as it stands, in the order of the arguments.

    Args:
        make_generator: called twice, for the generator and its average.
        make_discriminator: called once; it takes what `judged` makes of inputs and images.
        objective, terms, shown, judged, begins: see `Paired`.
        generator_optimizer, discriminator_optimizer: each makes the optimiser of a list of parameters.
        average_decay: of the generator's average, in [0, 1).
        precision: float32 if None.
    """
    precision = precision or Precision()
    with unique_name.guard():  # names of parameters do not depend on what was made before
        generator, average, discriminator = make_generator(), make_generator(), make_discriminator()
        judge = new_player(discriminator, discriminator_optimizer.build, precision=precision)
        if begins:  # a checkpoint holds the accumulators of every optimiser, also of one that has not begun
            create_accumulators_of(judge)
        return Paired(
            generator=new_player(generator, generator_optimizer.build, average, average_decay, precision),
            discriminator=judge,
            objective=objective,
            terms=terms,
            shown=shown,
            judged=judged,
            begins=begins,
            precision=precision,
        )
