"""Floating-point operations of the steps, counted from the shapes that pass through the networks.

Convention: a multiplication and an addition are two operations; convolutions, transposed convolutions and linear maps
count, every tap of a kernel also where it lies on padding; biases, norms, activations, losses and optimisers do not.
For such a map, the gradient towards its input and the one towards its weights take as many operations each as the map
itself. Only what the step needs is counted, not the gradient towards images that need none, nor that of weights which
stand still; a library may compute more (PyTorch, under a penalty, sends zeros back through the forward pass).
"""

import paddle
import paddle.nn as nn

from paddle_gan.training.loop import TrainState


def operations(state: TrainState, batch_size: int, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """Operations of one round, of one step of each network, and of sampling one image.

    Exact for discriminators without norm or of piecewise linear activations, as all that are penalised here: behind
    other ones the second gradient of a penalty takes more.

    Args:
        state: is left as it was.
        batch_size: samples in a batch.
        image_shape: (channels, height, width).
    """
    latents = paddle.zeros([batch_size, state.generator.latent_dim])
    images = paddle.zeros([batch_size, *image_shape])
    generator, discriminator = forward(state.generator, latents), forward(state.discriminator, images)
    forward_generator, forward_discriminator = sum(generator), sum(discriminator)
    # Fakes without a graph; then, on real images and fakes, forward, both gradients, but none towards the images.
    discriminator_step = forward_generator + 2 * (3 * forward_discriminator - discriminator[0])
    # A penalty's loss holds the gradient towards its images, the first of them too. The gradient of that one is again
    # two for each map, towards the weights and towards the gradient that came in; into the last came a constant.
    penalty = 4 * forward_discriminator - discriminator[-1]
    discriminator_step += penalised_calls(state, images) * penalty
    # Forward through both, back through the discriminator whose weights stand still, and through the generator.
    generator_step = 2 * forward_discriminator + 3 * forward_generator - generator[0]
    return {
        "round": state.objective.discriminator_steps * discriminator_step + generator_step,
        "discriminator step": discriminator_step,
        "generator step": generator_step,
        "sampled image": forward_generator // batch_size,
    }


def forward(network: nn.Layer, inputs: paddle.Tensor) -> list[int]:
    """Operations of each convolution and linear map, in the order in which the network calls them."""
    counts: list[int] = []

    def convolution(layer: nn.Layer, arguments: tuple, output: paddle.Tensor) -> None:
        # A kernel is applied once at each place of the smaller map: the output's, a transposed one the input's.
        places = min(shape[2] * shape[3] for shape in (arguments[0].shape, output.shape))
        counts.append(2 * output.shape[0] * places * layer.weight.size)

    def linear(layer: nn.Layer, arguments: tuple, output: paddle.Tensor) -> None:
        counts.append(2 * output.size * layer.weight.shape[0])

    training = network.training
    network.eval()  # which leaves the running statistics alone
    hooks = []
    for layer in network.sublayers(include_self=True):
        weight = getattr(layer, "weight", None)
        if isinstance(layer, nn.Linear):
            hooks.append(layer.register_forward_post_hook(linear))
        elif weight is not None and weight.ndim == 4:
            hooks.append(layer.register_forward_post_hook(convolution))
    try:
        with paddle.no_grad():
            network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
        if training:
            network.train()
    return counts


def penalised_calls(state: TrainState, images: paddle.Tensor) -> int:
    """How often the objective's penalty calls the discriminator."""
    calls = 0

    def discriminator(images: paddle.Tensor, labels: None) -> paddle.Tensor:
        nonlocal calls
        calls += 1
        return state.discriminator(images, labels)

    if state.objective.penalty:
        state.objective.penalty(discriminator, images[:2], images[:2], None)
    return calls
