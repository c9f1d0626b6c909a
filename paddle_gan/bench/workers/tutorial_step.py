"""The training step of the AI Studio tutorial (project 1668279), unchanged, with Paddle's own settings.

This project wants to be faster than this step. Its habits are kept: networks with Flatten and Sigmoid, BCELoss on
probabilities, two backward passes, fakes that carry the generator's graph into the discriminator step, `minimize` after
`backward`. Everything beside the step is left out: reading images, VisualDL, printing. This script does not import the
package paddle_gan, whose settings of threads and matrix library would change it.
"""

import warnings
from collections.abc import Callable
from typing import Any, Literal

import paddle
import paddle.nn as nn
from turns import Work, serve, settings

warnings.filterwarnings("ignore")  # as the tutorial does


class ConvBN(nn.Layer):
    """The tutorial's unit."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        padding: Literal["valid", "same"] = "valid",
    ):
        super().__init__()
        self.conv = nn.Conv2D(in_channels, out_channels, kernel_size, stride, padding=padding, bias_attr=False)
        self.BN = nn.BatchNorm(out_channels)
        self.lrelu = nn.LeakyReLU(0.2)

    def forward(self, x):
        return self.lrelu(self.BN(self.conv(x)))


def new_generator() -> nn.Layer:
    return nn.Sequential(
        ConvBN(1, 128, 5, 1, "same"),
        ConvBN(128, 128 * 16, 3, 1),
        nn.PixelShuffle(4),
        ConvBN(128, 128, 5, 1, "same"),
        nn.Conv2D(128, 1, 5, 1, padding="same"),
        nn.Sigmoid(),
    )


def new_discriminator() -> nn.Layer:
    return nn.Sequential(
        ConvBN(1, 64, 5, 2),
        ConvBN(64, 128, 5, 2),
        ConvBN(128, 128, 5, 2),
        nn.Conv2D(128, 1, 1, 1),
        nn.Flatten(),
        nn.Sigmoid(),
    )


def tutorial_step(batch_size: int) -> Callable[[], None]:
    """The tutorial's step on new networks and constant images."""
    generator, discriminator = new_generator(), new_discriminator()
    adam: dict[str, Any] = {"learning_rate": 2e-4, "beta1": 0.5, "beta2": 0.999}
    generator_optimizer = paddle.optimizer.Adam(parameters=generator.parameters(), **adam)
    discriminator_optimizer = paddle.optimizer.Adam(parameters=discriminator.parameters(), **adam)
    loss = nn.BCELoss()
    real = paddle.rand([batch_size, 1, 32, 32])

    def generate():
        return generator(paddle.reshape(paddle.randn([batch_size, 100]), [batch_size, 1, 10, 10]))

    def step() -> None:
        discriminator_optimizer.clear_grad()
        fake = generate()
        fake_score = discriminator(fake)
        real_score = discriminator(real)
        loss(real_score, paddle.ones([batch_size, 1])).backward()
        loss(fake_score, paddle.zeros([batch_size, 1])).backward()
        discriminator_optimizer.step()
        discriminator_optimizer.clear_grad()

        generator_optimizer.clear_grad()
        generator_loss = loss(discriminator(generate()), paddle.ones([batch_size, 1]))
        generator_loss.backward()
        generator_optimizer.minimize(generator_loss)
        generator_optimizer.clear_grad()

    return step


def prepare(case: dict[str, Any]) -> Work:
    """The tutorial's step, ready to be timed.

    Args:
        case: "options" with batch_size and device.
    """
    device = case["options"]["device"]
    paddle.set_device(device)
    step = tutorial_step(case["options"]["batch_size"])
    step()
    about = {"versions": {"paddle": paddle.__version__}, "environment": settings()}
    synchronise = paddle.device.synchronize if device != "cpu" else lambda: None
    return Work(about, {"tutorial": step}, synchronise)


if __name__ == "__main__":
    serve(prepare)
