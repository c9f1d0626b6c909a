"""An objective: what discriminator and generator minimise, with the recipe of its paper."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from paddle import Tensor

from paddle_gan.objectives.optimizers import Adam, RMSProp
from paddle_gan.objectives.penalties import Penalty, Role


@dataclass(frozen=True)
class Objective:
    """One objective with its paper's recipe.

    Attributes:
        discriminator_loss: (real_logits, fake_logits) -> scalar, minimised by the discriminator.
        generator_loss: (fake_logits) -> scalar, minimised by the generator; (real_logits, fake_logits) -> scalar if
            `relativistic`.
        source: paper and equation.
        penalties: gradient penalties, each added to the loss of its network.
        discriminator_steps: discriminator steps for one generator step (the papers' k or n_critic).
        weight_clip: after each discriminator step its weights are clipped to ±this; None for never.
        optimizer: the recipe's optimiser, one instance for each network.
        takes_real_target: whether discriminator_loss has an argument `real_target`, for label smoothing.
        relativistic: whether the generator's loss compares generated images with real ones.
        boundary: the logit at which an image is as likely real as generated; None if only differences of logits mean
            something. The sign of overfitting is measured from it, see `training.augmentation`.
    """

    discriminator_loss: Callable[..., Tensor]
    generator_loss: Callable[..., Tensor]
    source: str
    penalties: tuple[Penalty, ...] = ()
    discriminator_steps: int = 1
    weight_clip: float | None = None
    optimizer: Adam | RMSProp = field(default_factory=Adam)
    takes_real_target: bool = False
    relativistic: bool = False
    boundary: float | None = 0.0

    def penalties_of(self, role: Role) -> list[Penalty]:
        """The penalties that are added to the loss of that network."""
        return [penalty for penalty in self.penalties if penalty.network is role]


def with_penalty_weight(objective: Objective, weight: float) -> Objective:
    """The same objective with this weight λ for its first penalty; the others keep their ratios to it."""
    first = objective.penalties[0].weight
    weighted = (replace(penalty, weight=penalty.weight / first * weight) for penalty in objective.penalties)
    return replace(objective, penalties=tuple(weighted))
