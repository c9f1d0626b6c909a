"""Options of a training run that do not go together, or that nothing would use: refused with the reason."""

import inspect
from collections.abc import Callable
from typing import Any

from paddle_gan.config.options import flag
from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import DATASETS
from paddle_gan.errors import UsageError
from paddle_gan.networks import DISCRIMINATORS, GENERATORS
from paddle_gan.networks.style import StyleGenerator
from paddle_gan.objectives import OBJECTIVES, Objective
from paddle_gan.objectives.penalties import real


def default_of(network: Callable, parameter: str) -> Any:
    """The default of a network's parameter; None for a network that has no such parameter."""
    found = inspect.signature(network).parameters.get(parameter)
    return found.default if found else None


def refuse_data(given: TrainConfig) -> None:
    """Raise a UsageError for options of folders that the data has no use for."""
    if given.labels and not given.conditional:
        raise UsageError("--labels without --conditional: only conditional networks take classes; add --conditional")
    for name in ("labels", "skip_unreadable", "val_fraction"):
        if given.dataset in DATASETS and getattr(given, name):
            raise UsageError(f"{flag(name)} with {given.dataset}: it is for folders of images; leave it out")
    if given.dataset in DATASETS and given.fit != "crop":
        raise UsageError(f"--fit with {given.dataset}: it is for folders of images; leave it out")


def refuse_networks(given: TrainConfig, generator: str, discriminator: str, batch_size: int) -> None:
    """Raise a UsageError for options that a network, or the loss, has no use for."""
    if given.path_length and GENERATORS[generator] is not StyleGenerator:
        raise UsageError(f"--path-length with the {generator} generator: it has no styles; use --generator style")
    parts = given.accumulate * given.pack
    if given.accumulate > 1 and (batch_size % parts or batch_size // parts < 2):
        raise UsageError(
            f"--accumulate {given.accumulate}: must divide --batch-size {batch_size} into parts of two or more"
        )
    if given.final_best_share is not None and OBJECTIVES[given.loss].relativistic:
        raise UsageError(f"--final-best-share with {given.loss}: it compares pairs and needs them all; leave it out")
    if given.minibatch_deviation and default_of(DISCRIMINATORS[discriminator], "minibatch_deviation") is None:
        raise UsageError(
            f"--minibatch-deviation with the {discriminator} discriminator: only strided and residual have it"
        )
    if given.pack > 1:
        if given.conditional or given.clusters:
            raise UsageError("--pack with --conditional or --clusters: the images of a pack have different labels")
        if batch_size % given.pack:
            raise UsageError(f"--pack {given.pack} with --batch-size {batch_size}: not a multiple of it")


def refuse_useless(given: TrainConfig, objective: Objective) -> None:
    """Raise a UsageError for a number that the objective has no use for."""
    if given.weight_clip is not None and objective.weight_clip is None:
        raise UsageError(
            f"--weight-clip with {given.loss}: clipping is how wgan bounds the slope of its critic; "
            f"here it would only weaken the discriminator; use --loss wgan, or leave it out"
        )
    if given.penalty_weight is not None and not objective.penalties:
        raise UsageError(
            f"--penalty-weight with {given.loss}: it has no gradient penalty; use --loss wgan-gp, or leave it out"
        )
    if given.r1 and any(penalty.centre == 0 and real in penalty.at for penalty in objective.penalties):
        raise UsageError(f"--r1 with {given.loss}: it has that penalty already; --penalty-weight is its weight")
    if given.r1 and objective.weight_clip:
        raise UsageError(
            f"--r1 with {given.loss}: its weights are clipped already; use --loss wgan-gp, or leave it out"
        )
    if given.label_smoothing and not objective.takes_real_target:
        raise UsageError(f"--label-smoothing with {given.loss}: only the cross-entropy of gan has targets to smooth")
