"""The training step and the loop around it, and nothing else: no files, no pictures, no progress bar.

One round is `objective.discriminator_steps` discriminator steps, each on its own batch, and one
generator step; `TrainState.step` counts rounds. Everything random in a round is drawn from
(seed, round), so there is no random state to save: round n is the same whenever it is run.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import paddle
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.backend.precision import Precision
from paddle_gan.errors import NumericalError
from paddle_gan.networks.blocks import apart
from paddle_gan.objectives.objective import Objective
from paddle_gan.system import parallel
from paddle_gan.system.runtime import seed_all

_BATCH_NORMS = (nn.BatchNorm, nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D, nn.SyncBatchNorm)
# (number of the batch) -> images [N, C, H, W] in the generator's range, labels int64 [N] or None
BatchSource = Callable[[int], tuple[Tensor, Tensor | None]]


@dataclass
class TrainState:
    """All that training changes.

    Attributes:
        generator, discriminator: the networks that are trained.
        average: same architecture as `generator`; the exponential moving average of its weights and
            statistics, which samples are taken from.
        generator_optimizer, discriminator_optimizer: one each.
        objective: what they minimise.
        ema_decay: of the average, in [0, 1).
        precision: in which type the networks multiply, and the scales of the losses.
        step: rounds done.
    """

    generator: nn.Layer
    discriminator: nn.Layer
    average: nn.Layer
    generator_optimizer: paddle.optimizer.Optimizer
    discriminator_optimizer: paddle.optimizer.Optimizer
    objective: Objective
    ema_decay: float = 0.999
    precision: Precision = field(default_factory=Precision)
    step: int = 0


# Called after every round with the state and, in rounds that are logged, the values to log, which a callback may
# add to for those after it; else None. Beside numbers there may be counts (a list) and sentences (a str).
Values = dict[str, float | list[int] | str]
Callback = Callable[[TrainState, Values | None], None]


def discriminator_step(
    state: TrainState, real: Tensor, labels: Tensor | None, latents: Tensor, measure: bool = False
) -> dict[str, Tensor]:
    """One update of the discriminator; the generator stays as it is, bit for bit.

    Args:
        state: changed in place.
        real: [N, C, H, W].
        labels: int64 [N] of the real images, given to both networks; None if unconditional.
        latents: [N, latent_dim].
        measure: also return the norm of the gradient, and the share of weights at the clipping bound.

    Returns:
        0-D tensors by name, still on the device.
    """
    objective, discriminator, precision = state.objective, state.discriminator, state.precision
    scaler, optimizer = precision.discriminator_scaler, state.discriminator_optimizer
    with frozen(state.generator):
        fake = precision.forward(state.generator, latents, labels)
    real_logits, fake_logits = logits_of(discriminator, [real, fake], labels, precision)
    loss = objective.discriminator_loss(real_logits, fake_logits)
    scalars = {"loss/discriminator": loss, "mean_logit/real": real_logits.mean(), "mean_logit/fake": fake_logits.mean()}
    if objective.penalty:
        penalty = objective.penalty_weight * objective.penalty(discriminator, real, fake, labels)
        loss = loss + penalty
        scalars["loss/penalty"] = penalty
    scaler.scale(loss).backward()
    parallel.average_gradients(discriminator)
    scaler.unscale_(optimizer)
    if measure:
        scalars["optimizer/gradient_norm_discriminator"] = gradient_norm(discriminator)
    scaler.step(optimizer)
    scaler.update()
    optimizer.clear_grad(set_to_zero=False)
    if objective.weight_clip:
        clip_weights(discriminator, objective.weight_clip)
        if measure:
            scalars["optimizer/share_at_clip"] = share_at_bound(discriminator, objective.weight_clip)
    return scalars


def logits_of(
    discriminator: nn.Layer, batches: list[Tensor], labels: Tensor | None, precision: Precision
) -> list[Tensor]:
    """The discriminator's logits of each batch, [N]; of all in one forward pass where samples meet in norms only.

    Args:
        discriminator: has a true attribute `samples_apart` if nothing but norms mixes samples. With other batch norms
            than those of `blocks`, which know of several batches in one, it gets one batch at a time too.
        batches: each [N, C, H, W].
        labels: int64 [N], those of every batch.
        precision: of the forward pass.
    """
    norms = [part for part in discriminator.sublayers() if isinstance(part, _BATCH_NORMS)]
    if not getattr(discriminator, "samples_apart", False) or not all(hasattr(norm, "parts") for norm in norms):
        return [precision.forward(discriminator, batch, labels) for batch in batches]
    count = len(batches)
    with apart(discriminator, count):
        logits = precision.forward(
            discriminator, paddle.concat(batches), None if labels is None else labels.tile(count)
        )
    return logits.split(count)


def generator_step(
    state: TrainState, labels: Tensor | None, latents: Tensor, measure: bool = False
) -> dict[str, Tensor]:
    """One update of the generator and of its average; the discriminator stays as it is, bit for bit.

    Arguments and result are those of `discriminator_step`.
    """
    precision, scaler, optimizer = state.precision, state.precision.generator_scaler, state.generator_optimizer
    with frozen(state.discriminator):
        fake = precision.forward(state.generator, latents, labels)
        loss = state.objective.generator_loss(precision.forward(state.discriminator, fake, labels))
        scaler.scale(loss).backward()
    parallel.average_gradients(state.generator)
    scaler.unscale_(optimizer)
    scalars = {"loss/generator": loss}
    if measure:
        scalars["optimizer/gradient_norm_generator"] = gradient_norm(state.generator)
    scaler.step(optimizer)
    scaler.update()
    optimizer.clear_grad(set_to_zero=False)
    update_average(state)
    return scalars


def train_round(state: TrainState, batches: BatchSource, seed: int, measure: bool = False) -> dict[str, Tensor]:
    """One round: the objective's discriminator steps, then one generator step.

    All its batches are taken first: where one cannot be had, nothing of the round has been done.

    Returns:
        The scalars of the last discriminator step and of the generator step.
    """
    seed_all("round", seed, state.step)
    steps = state.objective.discriminator_steps
    taken = [batches(state.step * steps + i) for i in range(steps)]
    with state.precision.around_round():
        for i, (real, labels) in enumerate(taken):
            latents = draw_latents(state, real.shape[0])
            scalars = discriminator_step(state, real, labels, latents, measure and i == steps - 1)
        latents = draw_latents(state, real.shape[0])
        scalars |= generator_step(state, labels, latents, measure)
    state.step += 1
    return scalars


def draw_latents(state: TrainState, count: int) -> Tensor:
    """Noise for `count` samples, this process's rows of the whole batch's: [count, latent_dim]."""
    return parallel.mine(paddle.randn([parallel.whole(count), state.generator.latent_dim]))


def train(
    state: TrainState, batches: BatchSource, steps: int, seed: int, log_every: int, callbacks: Iterable[Callback] = ()
) -> None:
    """Train until `state.step` is `steps`.

    The host waits for the device only in rounds that are logged: the first, every `log_every`-th and the last.

    Raises:
        NumericalError: a scalar of a logged round is NaN or infinite; no callback has seen that round.
    """
    state.generator.train()
    state.discriminator.train()
    while state.step < steps:
        logged = (state.step + 1) % log_every == 0 or state.step + 1 in (1, steps)
        tensors = train_round(state, batches, seed, measure=logged)
        if logged:
            parallel.average([tensor.detach() for tensor in tensors.values()])
        scalars = {name: tensor.item() for name, tensor in tensors.items()} if logged else None
        if scalars:
            state.precision.add_scales(scalars)
            check_finite(scalars, state.step)
        for callback in callbacks:
            callback(state, scalars)


@contextmanager
def frozen(layer: nn.Layer) -> Iterator[None]:
    """Let `layer` take part in the other network's step without a trace in it.

    Its parameters get no gradient, and its BatchNorms, still on the statistics of the batch, leave
    their running statistics alone: with momentum 1 those become 1 · old + 0 · new.
    """
    parameters = [parameter for parameter in layer.parameters() if not parameter.stop_gradient]
    norms = [part for part in layer.sublayers(include_self=True) if isinstance(part, _BATCH_NORMS)]
    momenta = [norm._momentum for norm in norms]
    try:
        for parameter in parameters:
            parameter.stop_gradient = True
        for norm in norms:
            norm._momentum = 1.0
        yield
    finally:
        for parameter in parameters:
            parameter.stop_gradient = False
        for norm, momentum in zip(norms, momenta):
            norm._momentum = momentum


def gradient_norm(layer: nn.Layer) -> Tensor:
    """L2 norm of all gradients of `layer` together, before any clipping."""
    squares = [parameter.grad.square().sum() for parameter in layer.parameters() if parameter.grad is not None]
    return paddle.sqrt(paddle.add_n(squares))


@paddle.no_grad()
def clip_weights(layer: nn.Layer, bound: float) -> None:
    """Clip every trainable parameter to [-bound, bound]; BatchNorm's statistics are none."""
    for parameter in layer.parameters():
        if parameter.trainable:
            parameter.clip_(-bound, bound)


@paddle.no_grad()
def share_at_bound(layer: nn.Layer, bound: float) -> Tensor:
    """Share of the trainable parameters' values that clipping to [-bound, bound] holds there, in [0, 1]."""
    trainable = [parameter for parameter in layer.parameters() if parameter.trainable]
    held = paddle.add_n([(parameter.abs() >= bound).sum().astype("float32") for parameter in trainable])
    return held / sum(parameter.size for parameter in trainable)


@paddle.no_grad()
def update_average(state: TrainState) -> None:
    """Move the average towards the generator, quicker at first so that the start is soon forgotten."""
    decay = min(state.ema_decay, (1 + state.step) / (10 + state.step))
    for average, current in zip(state.average.state_dict().values(), state.generator.state_dict().values()):
        average.add_((current - average).scale_(1 - decay))  # half the time of Paddle's lerp_


def check_finite(scalars: dict[str, float], step: int) -> None:
    """Raise NumericalError if a scalar is NaN or infinite."""
    bad = [f"{name} = {value}" for name, value in scalars.items() if not math.isfinite(value)]
    if bad:
        raise NumericalError(
            f"step {step}: {', '.join(bad)}; the same command would come to it again: try a smaller "
            "--learning-rate, --gradient-clip 1, or --loss wgan-gp"
        )
