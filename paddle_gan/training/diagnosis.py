"""What goes wrong with GANs, recognised from the logged values while a run trains, with what to try.

Each `Fault` is a rule over the values of the last logged rounds and a plain sentence. They are meant to be silent on
runs that go well: the thresholds lie well outside of what the default runs show. Not about NaN, which ends a run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import paddle

from paddle_gan.objectives.objective import Objective, gradient_penalty
from paddle_gan.training.loop import Callback, TrainState, Values

_WINDOW = 10
_LONG_WINDOW = 20
# Before this many rounds a good run may look like any of them.
_WARM_UP = 200
History = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Fault:
    """A way in which training goes wrong.

    Attributes:
        holds: (values of the logged rounds so far, objective) -> whether it is there.
        sentence: what happened and what to try.
    """

    holds: Callable[[History, Objective], bool]
    sentence: str


def diagnosis(objective: Objective, earlier: History) -> Callback:
    """Adds `diagnosis/FAULT`, a sentence, to the values of the first logged round in which a fault is there.

    Args:
        objective: that is trained.
        earlier: the lines of the run's log so far; what they tell is not told again.
    """
    history = [line for line in earlier if line["step"] >= _WARM_UP]
    told = {name for line in earlier for name in line if name.startswith("diagnosis/")}

    def callback(state: TrainState, values: Values | None) -> None:
        if values is None or state.step < _WARM_UP:
            return
        history.append(dict(values))
        for name, fault in FAULTS.items():
            key = f"diagnosis/{name}"
            if key not in told and fault.holds(history, objective):
                told.add(key)
                values[key] = fault.sentence

    return callback


@lru_cache
def guessing_loss(objective: Objective) -> float:
    """The least loss of a discriminator that gives every image the same logit: 2 log 2 for GAN, 1/4 for LSGAN, 0 for WGAN."""
    return min(_loss(objective, logit, logit) for logit in np.linspace(-12, 12, 241))


@lru_cache
def least_loss(objective: Objective) -> float:
    """The least loss of a discriminator that knows: 0 for GAN and LSGAN."""
    logits = range(-12, 13)
    return min(_loss(objective, real, fake) for real in logits for fake in logits)


def _loss(objective: Objective, real: float, fake: float) -> float:
    return objective.discriminator_loss(*(paddle.to_tensor([logit], "float32") for logit in (real, fake))).item()


def _is_critic(objective: Objective) -> bool:
    """Whether its loss is a difference, which says nothing by itself and has no least value."""
    return abs(guessing_loss(objective)) < 1e-6


def _median(history: History, name: str, window: int = _WINDOW) -> float | None:
    """Median over the last logged values, or None where there are too few."""
    values = [line[name] for line in history[-window:] if name in line]
    return float(np.median(values)) if len(values) == window else None


def discriminator_saturated(history: History, objective: Objective) -> bool:
    """The discriminator is right and sure: its loss is under 2 % of the way from the least there is to guessing."""
    loss = _median(history, "loss/discriminator")
    if loss is None or _is_critic(objective):  # a critic stays useful however well it tells them apart
        return False
    least = least_loss(objective)
    return loss - least < 0.02 * (guessing_loss(objective) - least)


def generator_winning(history: History, objective: Objective) -> bool:
    """The discriminator does no better than guessing, or rates generated images above real ones."""
    real, fake = (_median(history, f"mean_logit/{side}", _LONG_WINDOW) for side in ("real", "fake"))
    if real is None or fake is None:
        return False
    loss = _median(history, "loss/discriminator", _LONG_WINDOW)
    return real <= fake or (not _is_critic(objective) and loss > 0.995 * guessing_loss(objective))


def losses_oscillate(history: History, objective: Objective) -> bool:
    """The discriminator's loss keeps jumping between under a third and over three times its median."""
    values = np.array([line["loss/discriminator"] for line in history[-_LONG_WINDOW:] if "loss/discriminator" in line])
    if len(values) < _LONG_WINDOW or _is_critic(objective):
        return False
    middle = np.median(values)
    return bool((values < middle / 3).sum() >= 3 and (values > 3 * middle).sum() >= 3)


def samples_alike(history: History, objective: Objective) -> bool:
    """The samples differ by less than half of what they did at their best, or by less than a quarter of what real images do.

    The first in two measures in a row, the second in four.
    """
    values = [line["evaluation/diversity"] for line in history if "evaluation/diversity" in line]
    fallen = len(values) >= 3 and max(values[-2:]) < 0.5 * min(1.0, max(values))
    return fallen or (len(values) >= 4 and max(values[-4:]) < 0.25)


def weights_at_bound(history: History, objective: Objective) -> bool:
    """Nearly every weight of the critic is at the clipping bound."""
    share = _median(history, "optimizer/share_at_clip")
    return share is not None and share > 0.9


def penalised_norm_off(history: History, objective: Objective) -> bool:
    """The penalised gradient's norm is typically further than 0.5 from the 1 that it is drawn to."""
    penalty = _median(history, "loss/penalty")
    if penalty is None or objective.penalty is not gradient_penalty:
        return False
    return (penalty / objective.penalty_weight) ** 0.5 > 0.5


FAULTS: dict[str, Fault] = {
    "discriminator_saturated": Fault(
        discriminator_saturated,
        "the discriminator tells real from generated almost without error, so the generator gets hardly any gradient "
        "(Arjovsky and Bottou 2017); try a smaller --discriminator-learning-rate, --label-smoothing 0.1 with gan, or --loss wgan-gp",
    ),
    "generator_winning": Fault(
        generator_winning,
        "the discriminator does no better than guessing, so it has nothing to teach; try a larger --discriminator-learning-rate, "
        "--discriminator-steps or --discriminator-width",
    ),
    "losses_oscillate": Fault(
        losses_oscillate,
        "the losses jump up and down instead of settling; try smaller learning rates, --beta1 0.5 or less, or --loss wgan-gp",
    ),
    "samples_alike": Fault(
        samples_alike,
        "the samples are nearly alike, the generator has collapsed onto a few images; the best ones so far are kept "
        "(tools/sample.py --best); try smaller learning rates or --loss wgan-gp",
    ),
    "weights_at_bound": Fault(
        weights_at_bound,
        "nearly all of the critic's weights are at the clipping bound, which leaves it a very simple function; "
        "try a larger --weight-clip, a smaller --discriminator-learning-rate, or --loss wgan-gp",
    ),
    "penalised_norm_off": Fault(
        penalised_norm_off,
        "the norm of the critic's gradient is far from 1, so its values are no distance; try a larger --penalty-weight, "
        "more --discriminator-steps, or a smaller --discriminator-learning-rate",
    ),
}
