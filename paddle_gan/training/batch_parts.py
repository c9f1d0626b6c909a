"""Pieces of a step that know no task: logits of several batches, penalties that are due, parts and means of a batch."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.backend.precision import Precision
from paddle_gan.networks.norms import apart
from paddle_gan.objectives.objective import Objective
from paddle_gan.objectives.penalties import Role, StepBatch, penalty_value
from paddle_gan.system import parallel
from paddle_gan.training.update import batch_norms

_ANCHOR_DECAY = 0.99


def add_penalties(
    objective: Objective,
    role: Role,
    network: nn.Layer,
    batch: StepBatch,
    number: int,
    loss: Tensor,
    scalars: dict[str, Tensor],
) -> Tensor:
    """The loss with the penalties of the network that are due in its step `number`.

    Their sum, each with its weight λ, goes into `scalars`: as "loss/penalty" of the discriminator,
    "loss/penalty_generator" of the generator.
    """
    due = [penalty for penalty in objective.penalties_of(role) if number % penalty.every == 0]
    if not due:
        return loss
    values = [penalty.weight * penalty_value(penalty, network, batch) for penalty in due]
    name = "loss/penalty" if role is Role.DISCRIMINATOR else f"loss/penalty_{role.value}"
    scalars[name] = reduce(add, values)
    # A lazy penalty also stands for the steps in which it is left out.
    for penalty, value in zip(due, values, strict=True):
        loss = loss + (value * penalty.every if penalty.every > 1 else value)
    return loss


def logits_of(
    discriminator: nn.Layer, batches: Sequence[Tensor], labels: Tensor | None, precision: Precision
) -> list[Tensor]:
    """The discriminator's logits of each batch; in one forward pass where samples meet in BatchNorms only.

    Args:
        discriminator: has a true attribute `samples_apart` if nothing but norms mixes samples. With BatchNorms other
            than those of `networks.norms`, which know of several batches in one, it gets one batch at a time too.
        batches: each [N, C, H, W].
        labels: int64 [N], those of every batch.
        precision: of the forward pass.
    """
    together = getattr(discriminator, "samples_apart", False)
    if not together or not all(hasattr(norm, "parts") for norm in batch_norms(discriminator)):
        return [precision.forward(discriminator, batch, labels) for batch in batches]
    count = len(batches)
    labels = None if labels is None else labels.tile([count])
    with apart(discriminator, count):
        return precision.forward(discriminator, paddle.concat(list(batches)), labels).split(count)


def best(logits: Tensor, share: float) -> Tensor:
    """The largest logits, at least one: the generator learns from its best images only (Sinha et al. 2020, "top-k")."""
    return logits if share == 1 else paddle.topk(logits.flatten(), max(1, round(share * logits.size)))[0]


def split(count: int, **tensors: Tensor | None) -> list[dict[str, Any]]:
    """The tensors, [N, ...] each or None, in `count` parts of equal size."""
    if count == 1:
        return [tensors]
    parts = {name: [None] * count if tensor is None else tensor.split(count) for name, tensor in tensors.items()}
    return [{name: parts[name][i] for name in parts} for i in range(count)]


def means(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each scalar over the parts of a batch."""
    if len(parts) == 1:
        return parts[0]
    return {name: paddle.add_n([part[name].detach() for part in parts]) / len(parts) for name in parts[0]}


@paddle.no_grad()
def update_anchors(anchors: Tensor, scalars: dict[str, Tensor]) -> None:
    """Move the anchors of LeCam towards the mean logits of a step, averaged over the processes."""
    now = paddle.stack([scalars["mean_logit/real"], scalars["mean_logit/fake"]])
    parallel.average([now])
    anchors.add_((now - anchors).scale_(1 - _ANCHOR_DECAY))
