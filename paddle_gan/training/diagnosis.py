"""Typical problems of GANs, recognised during training from the logged values, with advice.

Each `Fault` is a rule over the values of the last logged rounds, and a sentence for the user. A training run that goes
well shall give no such sentence: the thresholds are far outside of the values of the default runs. Not about NaN, which
ends a training run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import paddle

from paddle_gan.backend.values import number
from paddle_gan.objectives.objective import Objective
from paddle_gan.objectives.penalties import Role
from paddle_gan.training.loop import Callback, Values
from paddle_gan.training.task import Task

# Logged rounds that a rule looks at.
_WINDOW = 10
_LONG_WINDOW = 20
# In the first rounds, a good training run may look like any of the faults.
_WARM_UP = 200
# The values of the logged rounds so far.
History = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Fault:
    """A way in which training goes wrong.

    Attributes:
        holds: whether the fault is there, a function of (history, objective).
        sentence: what happened.
        advice: what to try.
    """

    holds: Callable[[History, Objective], bool]
    sentence: str
    advice: str


def diagnosis(
    objective: Objective, earlier: History, suffix: str = "", advice: Mapping[str, str] | None = None
) -> Callback:
    """A callback that adds `diagnosis/FAULT`, a sentence, to the first logged values in which a fault is recognised.

    Args:
        objective: of the training run.
        earlier: the lines of its log so far; a fault that was reported in them is not reported again.
        suffix: of the names of the values that are looked at, for one of several discriminators.
        advice: what to try where the faults' own advice does not fit the task, by their names.
    """
    history = [_without_suffix(line, suffix) for line in earlier if line["step"] >= _WARM_UP]
    advice = {name: fault.advice for name, fault in FAULTS.items()} | dict(advice or {})
    reported = {name for line in earlier for name in line if name.startswith("diagnosis/")}

    def callback(task: Task, values: Values | None) -> None:
        if values is None or task.step < _WARM_UP:
            return
        history.append(_without_suffix(values, suffix))
        for name, fault in FAULTS.items():
            key = f"diagnosis/{name}{suffix}"
            if key not in reported and fault.holds(history, objective):
                reported.add(key)
                sentence = f"{fault.sentence}; {advice[name]}"
                values[key] = f"discriminator{suffix}: {sentence}" if suffix else sentence

    return callback


def _without_suffix(values: dict[str, Any], suffix: str) -> dict[str, Any]:
    """The values whose names end with a suffix, without it."""
    return {name.removesuffix(suffix): value for name, value in values.items() if name.endswith(suffix)}


@lru_cache
def guessing_loss(objective: Objective) -> float:
    """The least loss of a discriminator that gives every image the same logit.

    It is 2 log 2 for GAN, 1/4 for LSGAN and 0 for WGAN.
    """
    return min(_loss(objective, logit, logit) for logit in np.linspace(-12, 12, 241))


@lru_cache
def least_loss(objective: Objective) -> float:
    """The least loss of a discriminator that makes no error: 0 for GAN and LSGAN."""
    logits = range(-12, 13)
    return min(_loss(objective, real, fake) for real in logits for fake in logits)


def _loss(objective: Objective, real: float, fake: float) -> float:
    real_logits, fake_logits = paddle.to_tensor([real], "float32"), paddle.to_tensor([fake], "float32")
    return number(objective.discriminator_loss(real_logits, fake_logits))


def _is_critic(objective: Objective) -> bool:
    """Whether the loss is a difference, as in WGAN: it has no least value, and a single value of it says nothing."""
    return abs(guessing_loss(objective)) < 1e-6


def _median(history: History, name: str, window: int = _WINDOW) -> float | None:
    """Median of the last logged values; None if there are fewer than `window`."""
    values = [line[name] for line in history[-window:] if name in line]
    return float(np.median(values)) if len(values) == window else None


def discriminator_saturated(history: History, objective: Objective) -> bool:
    """The discriminator makes no errors: its loss is closer to the least loss than 2 % of the distance to guessing."""
    loss = _median(history, "loss/discriminator")
    if loss is None or _is_critic(objective):  # a critic stays useful, however well it separates real from generated
        return False
    least = least_loss(objective)
    return loss - least < 0.02 * (guessing_loss(objective) - least)


def generator_winning(history: History, objective: Objective) -> bool:
    """The discriminator does no better than guessing, or gives generated images higher logits than real ones."""
    real = _median(history, "mean_logit/real", _LONG_WINDOW)
    fake = _median(history, "mean_logit/fake", _LONG_WINDOW)
    loss = _median(history, "loss/discriminator", _LONG_WINDOW)
    if real is None or fake is None or loss is None:
        return False
    return real <= fake or (not _is_critic(objective) and loss > 0.995 * guessing_loss(objective))


def losses_oscillate(history: History, objective: Objective) -> bool:
    """The discriminator's loss jumps again and again, below a third of its median and above three times its median."""
    values = np.array([line["loss/discriminator"] for line in history[-_LONG_WINDOW:] if "loss/discriminator" in line])
    if len(values) < _LONG_WINDOW or _is_critic(objective):
        return False
    middle = np.median(values)
    return bool((values < middle / 3).sum() >= 3 and (values > 3 * middle).sum() >= 3)


def samples_alike(history: History, objective: Objective) -> bool:
    """The samples have become nearly the same.

    Either their diversity was less than half of its best value (or of 1, if that is less) in the last two measures, or
    it was less than a quarter of the diversity of real images in the last four measures.
    """
    values = [line["evaluation/diversity"] for line in history if "evaluation/diversity" in line]
    fallen = len(values) >= 3 and max(values[-2:]) < 0.5 * min(1.0, max(values))
    return fallen or (len(values) >= 4 and max(values[-4:]) < 0.25)


def weights_at_bound(history: History, objective: Objective) -> bool:
    """Nearly every weight of the critic is at the clipping bound."""
    share = _median(history, "optimizer/share_at_clip")
    return share is not None and share > 0.9


def penalised_norm_off(history: History, objective: Objective) -> bool:
    """The norm of the penalised gradient is typically more than 0.5 away from 1, the centre of the penalty."""
    value = _median(history, "loss/penalty")
    penalties = [penalty for penalty in objective.penalties_of(Role.DISCRIMINATOR) if penalty.weight]
    if value is None or len(penalties) != 1 or penalties[0].centre != 1:
        return False
    return (value / penalties[0].weight) ** 0.5 > 0.5


def samples_copied(history: History, objective: Objective) -> bool:
    """Near-copies of training images are clearly more frequent among samples than among other real images.

    In the last two measures their share was greater than 0.1 plus three times what chance makes in real images.
    """
    name, chance = "evaluation/near_copies", "evaluation/near_copies_by_chance"
    excesses = [line[name] - 3 * line[chance] for line in history if name in line]
    return len(excesses) >= 2 and min(excesses[-2:]) > 0.1


FAULTS: dict[str, Fault] = {
    "discriminator_saturated": Fault(
        discriminator_saturated,
        "the discriminator tells real from generated images almost without error, so the generator gets hardly any "
        "gradient (Arjovsky and Bottou 2017)",
        "try a smaller --discriminator-learning-rate, --label-smoothing 0.1 with gan, or --loss wgan-gp",
    ),
    "generator_winning": Fault(
        generator_winning,
        "the discriminator does no better than guessing, so the generator learns nothing from it",
        "try a larger --discriminator-learning-rate, --discriminator-steps or --discriminator-width",
    ),
    "losses_oscillate": Fault(
        losses_oscillate,
        "the losses jump up and down and do not become stable",
        "try smaller learning rates, --beta1 0.5 or less, or --loss wgan-gp",
    ),
    "samples_alike": Fault(
        samples_alike,
        "the samples are nearly the same: the generator has collapsed onto a few images",
        "the best samples so far are kept (tools/sample.py --best); try smaller learning rates or --loss wgan-gp",
    ),
    "weights_at_bound": Fault(
        weights_at_bound,
        "nearly all weights of the critic are at the clipping bound, so it can only be a very simple function",
        "try a larger --weight-clip, a smaller --discriminator-learning-rate, or --loss wgan-gp",
    ),
    "penalised_norm_off": Fault(
        penalised_norm_off,
        "the norm of the critic's gradient is far from 1, so the critic does not measure a distance",
        "try a larger --penalty-weight, more --discriminator-steps, or a smaller --discriminator-learning-rate",
    ),
    "samples_copied": Fault(
        samples_copied,
        "many samples are near-copies of training images: the networks learn the images by heart",
        "try --augment translation colour cutout, --lecam 0.1, more images, fewer --steps, or --start-from",
    ),
}
