"""Floating-point operations of the steps, counted from the shapes that pass through the networks.

A multiplication and an addition are two operations. Convolutions, transposed convolutions and linear maps are counted,
with every value of a kernel, also where it meets padding. Biases, norms, activations, losses and optimisers are not
counted. The gradient of such a map with respect to its input takes as many operations as the map itself, and so does
the gradient with respect to its weights.

Only the operations that a step needs are counted: no gradient with respect to images that need none, and none with
respect to weights that are frozen. A library may compute more (PyTorch, with a penalty, sends zeros back through the
forward pass).
"""

from typing import Any

import paddle
import paddle.nn as nn

from paddle_gan.objectives.objective import Objective
from paddle_gan.objectives.penalties import Role
from paddle_gan.training.noise_to_image import NoiseToImage


def operations(task: NoiseToImage, batch_size: int, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """Operations of one round, of one step of each network, and of sampling one image.

    The numbers are exact for penalised discriminators without norms and with piecewise linear activations, as all of
    them are here. With others, the second gradient of a penalty takes more operations.

    Args:
        task: not changed.
        batch_size: samples in a batch.
        image_shape: (channels, height, width).
    """
    latents = paddle.zeros([batch_size, task.generator.network.latent_dim])
    labels = paddle.zeros([batch_size], "int64") if task.classes else None
    images = paddle.zeros([batch_size, *image_shape])
    generator = forward(task.generator.network, latents, labels)
    discriminator = forward(task.discriminator.network, images, labels)
    forward_generator, forward_discriminator = sum(generator), sum(discriminator)
    # Fakes without a graph. Then, for real images and for fakes, the forward pass and both gradients of each map, but
    # no gradient with respect to the images.
    discriminator_step = forward_generator + 2 * (3 * forward_discriminator - discriminator[0])
    # The loss of a penalty contains the gradient with respect to its images, so the gradient of the first map counts
    # too. The gradient of this gradient is again two for each map: with respect to the weights, and with respect to the
    # gradient that came in. The gradient that came into the last map is a constant.
    penalty = 4 * forward_discriminator - discriminator[-1]
    discriminator_step += round(penalised_calls(task.objective) * penalty)
    # Forward through both networks, back through the discriminator with frozen weights, and through the generator.
    generator_step = 2 * forward_discriminator + 3 * forward_generator - generator[0]
    if task.objective.relativistic:
        generator_step += forward_discriminator
    return {
        "round": task.objective.discriminator_steps * discriminator_step + generator_step,
        "discriminator step": discriminator_step,
        "generator step": generator_step,
        "sampled image": forward_generator // batch_size,
    }


def forward(network: nn.Layer, inputs: paddle.Tensor, labels: paddle.Tensor | None = None) -> list[int]:
    """The operations of each convolution and linear map of a forward pass, in the order of the calls."""
    counts: list[int] = []

    def convolution(layer: nn.Layer, arguments: Any, output: paddle.Tensor) -> None:
        # A kernel is applied once at each place of the smaller map: of the output, or of the input if transposed.
        places = min(shape[2] * shape[3] for shape in (arguments[0].shape, output.shape))
        counts.append(2 * output.shape[0] * places * layer.weight.size)

    def linear(layer: nn.Layer, arguments: Any, output: paddle.Tensor) -> None:
        counts.append(2 * output.size * layer.weight.shape[0])

    training = network.training
    network.eval()  # so that the running statistics do not change
    hooks = []
    for layer in network.sublayers(include_self=True):
        weight = getattr(layer, "weight", None)
        if isinstance(layer, nn.Linear):
            hooks.append(layer.register_forward_post_hook(linear))  # type: ignore[arg-type]
        elif weight is not None and weight.ndim == 4:
            hooks.append(layer.register_forward_post_hook(convolution))  # type: ignore[arg-type]
    try:
        with paddle.no_grad():
            network(inputs, labels)
    finally:
        for hook in hooks:
            hook.remove()
        if training:
            network.train()
    return counts


def penalised_calls(objective: Objective) -> float:
    """How often the penalties call the discriminator in one of its steps, on average."""
    return sum(len(penalty.at) / penalty.every for penalty in objective.penalties_of(Role.DISCRIMINATOR))
