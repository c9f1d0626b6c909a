"""Values that are computed on this machine against the same values in float64, which Paddle's own kernels compute.

For float64, neither oneDNN nor Winograd's method is used (see `kernels`), so the two have no kernel in common.
"""

from typing import Literal

import numpy as np
import paddle
from paddle import Tensor

from paddle_gan.backend import winograd
from paddle_gan.backend.kernels import conv2d
from paddle_gan.backend.onednn import Geometry
from paddle_gan.config.sizes import sides
from paddle_gan.config.train import TrainConfig
from paddle_gan.runs.building import build
from paddle_gan.runs.resolve import resolve
from paddle_gan.system.randomness import seeded
from paddle_gan.training.noise_to_image import NoiseToImage, discriminator_loss, generator_loss
from paddle_gan.training.update import add_gradients

# Differences are compared with a gradient of its own size, but not with one that is only rounding errors: a bias before
# a norm has none. The least size is this share of the gradient of the whole network.
_LEAST_SHARE = 1e-3
# A convolution that Winograd's method is used for: images, and filters with same padding.
_LARGE = (4, 96, 24, 24), (96, 96, 5, 5)

Values = dict[str, np.ndarray]
Kind = Literal["float32", "float64"]


def step_difference(given: TrainConfig, device: str, images: int = 16) -> float:
    """How much the losses and gradients of both networks' first step differ from those in float64.

    Args:
        given: options of the run.
        device: the chosen one.
        images: in the batch.

    Returns:
        The largest relative difference: of a loss, relative to it or to 1; of the gradient in one parameter, in the L2
        norm, relative to that gradient, or to a thousandth of the gradient of the whole network if that is more.
    """
    single, double = step_values(given, device, images, "float32"), step_values(given, device, images, "float64")
    differences = []
    for player in ("discriminator", "generator"):
        whole = np.sqrt(sum(np.square(double[name]).sum() for name in double if name.startswith(f"{player}/")))
        for name in double:
            if name.startswith(f"{player}/"):
                differences.append(difference(single[name], double[name], _LEAST_SHARE * whole))
        differences.append(difference(single[player], double[player], 1.0))
    return max(differences)


def difference(values: np.ndarray, exact: np.ndarray, least: float = 0.0) -> float:
    """‖values − exact‖ / max(‖exact‖, least) in the L2 norm; infinite where a value is NaN."""
    found = float(np.linalg.norm(values - exact) / max(float(np.linalg.norm(exact)), least, 1e-300))
    return found if np.isfinite(found) else np.inf


def step_values(given: TrainConfig, device: str, images: int, kind: Kind) -> Values:
    """The losses of a first step as "PLAYER", and its gradients as "PLAYER/parameter", float64.

    Args:
        given, device, images: see `step_difference`.
        kind: of number, "float32" or "float64".
    """
    config = resolve(given, device).config
    task = build(config, classes=0)
    for player in task.players.values():
        player.network.to(dtype=kind)
        player.network.train()
    random = np.random.default_rng(0)
    low, high = task.generator.network.value_range
    shape = (images, config.channels, *sides(config.image_size))
    real = _tensor(random.uniform(low, high, shape), kind)
    noise = _tensor(random.normal(size=(images, task.generator.network.latent_dim)), kind)
    with seeded("selfcheck", 0):
        found = _values(task, "discriminator", discriminator_loss(task, real, None, noise, 0)[0])
    with seeded("selfcheck", 1):
        return found | _values(task, "generator", generator_loss(task, None, noise, real)[0])


def _values(task: NoiseToImage, name: str, loss: Tensor) -> Values:
    player = task.players[name]
    add_gradients({name: player}, loss)
    parameters = player.network.named_parameters()
    gradients = {f"{name}/{place}": p.grad.numpy() for place, p in parameters if p.grad is not None}
    for other in task.players.values():
        other.optimizer.clear_grad()
    return {key: value.astype("float64") for key, value in {name: loss.numpy(), **gradients}.items()}


def uses_winograd() -> bool:
    """Whether the convolution of `large_convolution_difference` is one that Winograd's method is used for."""
    images, filters = _LARGE
    return winograd.is_faster(Geometry(images, filters, 1, (2, 2, 2, 2)))


def large_convolution_difference() -> float:
    """The largest relative difference of a large convolution and its two gradients from those in float64."""
    single, double = _large_convolution("float32"), _large_convolution("float64")
    return max(difference(values, exact) for values, exact in zip(single, double, strict=True))


def _large_convolution(kind: str) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    images, filters = (_tensor(random.normal(size=shape), kind) for shape in _LARGE)
    images.stop_gradient = filters.stop_gradient = False
    outputs = conv2d(images, filters, padding=(2, 2, 2, 2))
    weights = _tensor(random.normal(size=outputs.shape), kind)
    gradients = paddle.grad((outputs * weights).sum(), [images, filters])
    return [tensor.numpy().astype("float64") for tensor in (outputs, *gradients)]


def _tensor(values: np.ndarray, kind: str) -> Tensor:
    """Values as they are in float32, in either kind of number."""
    return paddle.to_tensor(values.astype("float32").astype(kind))
