"""Recipes: the numbers of each objective that no option gives.

`paper` is the recipe of the objective's paper, as it stands in `objectives.OBJECTIVES`. `tuned` is what gave the best
pictures in equal time on two cores, for convolutional discriminators: see docs/recipes.md for the study.

The tuned recipes have in common: clusters of the data as labels, no norm in the discriminator, and a small, lazy
penalty on its gradient at real images, R1 (Mescheder et al. 2018, eq. 9), with every loss that has no penalty itself.
WGAN, whose critic is bounded by clipping, keeps its BatchNorm.

The weights of R1 are those for 28×28 pixels and batches of 64, see `with_r1_for`.
"""

from dataclasses import dataclass, replace

from paddle_gan.config.sizes import ImageSize, sides
from paddle_gan.objectives.optimizers import Adam, RMSProp


@dataclass(frozen=True)
class Recipe:
    """Numbers that take the place of the paper's; None for those that stay.

    Attributes:
        optimizer: of both networks.
        discriminator_steps: for one generator step.
        penalty_weight: of the objective's own penalties.
        r1: weight of R1 in addition; 0 for none.
        penalty_every: discriminator steps between penalties.
        norm: of the discriminator.
        clusters: whether clusters take the place of labels.
        schedule: of the learning rates, to 0.
        augment: whether few images are augmented.
    """

    optimizer: Adam | RMSProp | None = None
    discriminator_steps: int | None = None
    penalty_weight: float | None = None
    r1: float = 0.0
    penalty_every: int = 1
    norm: str | None = None
    clusters: bool = False
    schedule: str = "constant"
    augment: bool = False


PAPER = Recipe()

_ADAM = Adam(4e-4, 0.5, 0.99)
_WITH_R1 = Recipe(optimizer=_ADAM, r1=0.05, penalty_every=4, norm="none", clusters=True, schedule="late", augment=True)
_LEAST_SQUARES = replace(_WITH_R1, r1=0.2)
_OWN_R1 = Recipe(
    optimizer=_ADAM, penalty_weight=0.05, penalty_every=4, norm="none", clusters=True, schedule="late", augment=True
)
_OWN_GRADIENT = Recipe(
    optimizer=Adam(4e-4, 0.0, 0.99), discriminator_steps=2, norm="none", clusters=True, schedule="late", augment=True
)

TUNED: dict[str, Recipe] = {
    "gan": _WITH_R1,
    "gan-minimax": _WITH_R1,
    "lsgan": _LEAST_SQUARES,
    "lsgan-sigmoid": _LEAST_SQUARES,
    "lsgan-tanh": _LEAST_SQUARES,
    "wgan": Recipe(
        optimizer=RMSProp(2e-4), discriminator_steps=1, norm="batch", clusters=True, schedule="late", augment=True
    ),
    "wgan-gp": _OWN_GRADIENT,
    "wgan-lp": _OWN_GRADIENT,
    "dragan": _OWN_GRADIENT,
    "hinge": _WITH_R1,
    "gan-r1": _OWN_R1,
    "gan-r1-r2": _OWN_R1,
    "rpgan-r1-r2": _OWN_R1,
}

_PIXELS, _BATCH_SIZE = 28 * 28, 64


def with_r1_for(recipe: Recipe, size: ImageSize, batch_size: int) -> Recipe:
    """A recipe with the weight of R1 for images of this size and for this batch size.

    It is in proportion to the pixels and to 1 / batch size (Karras et al. 2020, ADA, appendix C).
    """
    height, width = sides(size)
    scale = height * width / _PIXELS * _BATCH_SIZE / batch_size

    def scaled(weight: float) -> float:
        return float(f"{weight * scale:.3g}")

    own = None if recipe.penalty_weight is None else scaled(recipe.penalty_weight)
    return replace(recipe, r1=scaled(recipe.r1), penalty_weight=own)
