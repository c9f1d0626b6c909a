"""The unpaired task in one direction, and so quicker: patches stay recognisable (Park et al. 2020, CUT and FastCUT).

Each patch of a translation must be found among the patches of its input, by features that the generator itself makes on
its way. A batch is one tensor of each set, as in `unpaired`.
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
from paddle_gan.objectives.contrastive import patch_contrast
from paddle_gan.objectives.objective import Objective
from paddle_gan.objectives.optimizers import Adam
from paddle_gan.system.randomness import seeded
from paddle_gan.training.adversary import adversarial_loss, discriminator_step
from paddle_gan.training.task import BatchSource, Player, new_player
from paddle_gan.training.update import frozen, update, update_average

# Patches of each feature map that are compared (Park et al. 2020, section 4).
_PATCHES = 256
_SHEET_GROUPS = 3

Network = Callable[[], nn.Layer]


@dataclass
class Contrast:
    """One generator, one discriminator, and the heads that make features of patches.

    Attributes:
        generator: from the first set to the second, with maps `features`; it has an average.
        discriminator: judges images of the second set.
        patches: the heads, see `networks.translation.PatchHeads`.
        objective: the adversarial part of what generator and discriminator minimise.
        patch_weight: of the contrast between inputs and their translations.
        identity_weight: of the same between images of the second set and theirs; 0 leaves it out.
        shown: images of the first set for the sheet.
        precision: in which type the networks are computed.
        step: rounds played.
        buffers: none.
    """

    generator: Player
    discriminator: Player
    patches: Player
    objective: Objective
    patch_weight: float
    identity_weight: float
    shown: Tensor
    precision: Precision = field(default_factory=Precision)
    step: int = 0
    buffers: dict[str, Tensor] = field(default_factory=dict)

    directions = ("",)

    @property
    def players(self) -> dict[str, Player]:
        return {name: getattr(self, name) for name in ("discriminator", "generator", "patches")}

    @property
    def sampler(self) -> nn.Layer:
        """The network that translates: the generator's average."""
        assert self.generator.average is not None
        return self.generator.average

    def round(self, batches: BatchSource, seed: int, measure: bool = False) -> dict[str, Tensor]:
        """See `task.Task`. "loss/generator" is its adversarial part, "loss/patches" the contrast, without weights."""
        with seeded("round", seed, self.step):
            first, second = batches(self.step)
            inputs = paddle.concat([first, second]) if self.identity_weight else first
            made = self.precision.forward(self.generator.network, inputs, None)
            # The gradient of a slice takes three times as long as that of a split.
            fake = made.split([len(first), len(second)])[0] if self.identity_weight else made
            scalars = discriminator_step(
                self.discriminator,
                self.objective,
                real=second,
                fake=fake.detach(),
                number=self.step,
                precision=self.precision,
                measure=measure,
            )
            scalars |= self._generator_step(inputs, made, fake, second, measure)
        self.step += 1
        return scalars

    def _generator_step(
        self, inputs: Tensor, made: Tensor, fake: Tensor, second: Tensor, measure: bool
    ) -> dict[str, Tensor]:
        """One update of the generator and of the heads. `inputs` and `made` hold both sets if both are compared."""
        with frozen(self.discriminator.network):
            fooling = adversarial_loss(self.discriminator, self.objective, second, fake, self.precision)
            contrasts = self._contrasts(inputs, made, len(fake))
            loss = fooling + self.patch_weight * contrasts[0]
            scalars = {"loss/generator": fooling, "loss/patches": contrasts[0]}
            if self.identity_weight:
                loss = loss + self.identity_weight * contrasts[1]
                scalars["loss/identity"] = contrasts[1]
            norms = update({"generator": self.generator, "patches": self.patches}, loss, measure)
        update_average(self.generator, self.step)
        return scalars | norms

    def _contrasts(self, inputs: Tensor, made: Tensor, count: int) -> list[Tensor]:
        """The contrast of each part of `count` images, the mean over the feature maps."""
        features, heads = self.generator.network.features, self.patches.network
        with self.precision.around_forward():
            maps = features(made)
            places = [paddle.randperm(one.shape[2] * one.shape[3])[:_PATCHES] for one in maps]
            queries = heads(maps, places)
            with paddle.no_grad():
                keys = heads(features(inputs), places)
        queries, keys = ([one.astype("float32") for one in side] for side in (queries, keys))
        contrasts = paddle.add_n([patch_contrast(*both) for both in zip(queries, keys, strict=True)]) / len(maps)
        return [part.mean() for part in contrasts.split(len(made) // count)]

    def sheet(self, seed: int) -> np.ndarray:
        """Images of the first set beside their translations."""
        return side_by_side(with_translations(self.sampler, self.shown), _SHEET_GROUPS)


def assemble(
    make_generator: Network,
    make_discriminator: Network,
    make_heads: Network,
    objective: Objective,
    shown: Tensor,
    *,
    patch_weight: float,
    identity_weight: float,
    generator_optimizer: Adam,
    discriminator_optimizer: Adam,
    average_decay: float = 0.999,
    precision: Precision | None = None,
) -> Contrast:
    """A task at step 0; arguments as in `paired.assemble` and `Contrast`."""
    precision = precision or Precision()
    with unique_name.guard():
        generator, average = make_generator(), make_generator()
        discriminator, heads = make_discriminator(), make_heads()
        return Contrast(
            generator=new_player(generator, generator_optimizer.build, average, average_decay, precision),
            discriminator=new_player(discriminator, discriminator_optimizer.build, precision=precision),
            patches=new_player(heads, generator_optimizer.build, precision=precision),
            objective=objective,
            patch_weight=patch_weight,
            identity_weight=identity_weight,
            shown=shown,
            precision=precision,
        )
