"""A style generator, after StyleGAN2 (Karras et al. 2020), in a small form for 16 to 256 pixels.

A mapping network turns the latent z into a style w. The synthesis network starts from a learned constant; in each of
its convolutions w scales the channels, so it decides at each size of the image what is drawn there. Fine detail comes
from noise with a learned strength.

What differs from the paper: a mapping of two layers instead of eight, nearest-neighbour up-sampling without a blur, and
He's initialisation instead of an equalised learning rate, except in the mapping, whose rate must be slower.
"""

from itertools import pairwise

import paddle
import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.config.sizes import ImageSize, Sides
from paddle_gan.networks.activations import leaky_relu
from paddle_gan.networks.layers import Conv2D
from paddle_gan.networks.sizes import cropped, doubled, doublings

# The mapping learns at this share of the rate of the other layers (Karras et al. 2019, appendix C).
_MAPPING_RATE = 0.01
# Weight of the old value in the average of w.
_AVERAGE_MOMENTUM = 0.995


class SlowLinear(nn.Layer):
    """A linear map whose outputs change `rate` times as fast as its parameters: those are 1/rate times as large."""

    def __init__(self, inputs: int, outputs: int, rate: float = _MAPPING_RATE):
        super().__init__()
        self.rate, self.gain = rate, rate * (2 / inputs) ** 0.5
        initial = nn.initializer.Normal(0.0, 1 / rate)
        self.weight = self.create_parameter([inputs, outputs], default_initializer=initial)
        self.bias = self.create_parameter([outputs], is_bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias * self.rate)


class Mapping(nn.Layer):
    """z [N, latent_dim], with an embedding of the label beside it, to w [N, width]: two linear maps."""

    def __init__(self, latent_dim: int, classes: int, width: int):
        super().__init__()
        self.activation = leaky_relu
        self.embedding = nn.Embedding(classes, latent_dim) if classes else None
        self.layers = nn.LayerList([SlowLinear(latent_dim * (2 if classes else 1), width), SlowLinear(width, width)])

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = _unit_mean_square(latents)
        if self.embedding is not None:
            assert labels is not None, "a generator that was made with classes needs labels"
            shares = labels.ndim == 2  # of the classes
            embedded = paddle.matmul(labels, self.embedding.weight) if shares else self.embedding(labels)
            x = paddle.concat([x, _unit_mean_square(embedded)], axis=1)
        for layer in self.layers:
            x = self.activation(layer(x))
        return x


def _unit_mean_square(x: Tensor) -> Tensor:
    return x * paddle.rsqrt(_squared(x).sum(1, keepdim=True) / x.shape[1] + 1e-8)


def _squared(x: Tensor) -> Tensor:
    # Not `x.square()`: in an exported program, Paddle 3.3 lets it overwrite an x that is used later.
    return x * x


class ModulatedConv2D(nn.Layer):
    """A convolution whose input channels are scaled by the style, and whose outputs have unit variance again.

    Both are scalings around an ordinary convolution (Karras et al. 2020, eqs. 1 to 3): the weights of sample n would be
    W[k, c] s[n, c] d[n, k], with d[n, k] = 1 / √Σ (W[k, c] s[n, c])².

    Args:
        inputs, outputs: channels.
        style_width: of w.
        kernel_size: odd; the size of the map stays.
        demodulate: whether the outputs are scaled back.
    """

    def __init__(self, inputs: int, outputs: int, style_width: int, kernel_size: int = 3, demodulate: bool = True):
        super().__init__()
        self.style = nn.Linear(style_width, inputs)
        self.conv = Conv2D(inputs, outputs, kernel_size, padding=kernel_size // 2, bias_attr=False)
        self.demodulate = demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [N, C, H, W] and w [N, style_width] to [N, K, H, W]."""
        style = self.style(w) + 1  # at the start every channel counts
        y = self.conv(x * style.unsqueeze([2, 3]))
        if not self.demodulate:
            return y
        squares = paddle.matmul(_squared(style), _squared(self.conv.weight).sum([2, 3]), transpose_y=True)
        return y * paddle.rsqrt(squares + 1e-8).unsqueeze([2, 3])


class StyledLayer(nn.Layer):
    """A modulated convolution, noise, bias and leaky ReLU, as one unit; with `up`, at twice the size.

    Attributes:
        noise: what takes the place of random noise in evaluation, so that an image depends on its latent only.
    """

    def __init__(self, inputs: int, outputs: int, style_width: int, map_sides: Sides, up: bool):
        super().__init__()
        self.up = up
        self.conv = ModulatedConv2D(inputs, outputs, style_width)
        self.strength = self.create_parameter([1], default_initializer=nn.initializer.Constant(0.0))
        self.bias = self.create_parameter([1, outputs, 1, 1], is_bias=True)
        self.activation = leaky_relu
        self.register_buffer("noise", paddle.randn([1, 1, *map_sides]))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = self.conv(doubled(x) if self.up else x, w)
        noise = paddle.randn([x.shape[0], 1, *x.shape[2:]]) if self.training else self.noise
        # Additions of equal shapes: Paddle's own broadcasting of these two takes longer than the convolution on a CPU.
        return self.activation(x + (self.strength * noise).expand(x.shape) + self.bias.expand(x.shape))


class Synthesis(nn.Layer):
    """Styles to an image: a learned constant, then two layers at each size, each of which adds to the image."""

    def __init__(self, image_size: ImageSize, channels: int, width: int, style_width: int):
        super().__init__()
        small, stages = doublings(image_size)
        widths = [width * 2 ** min(stages - i, 3) for i in range(stages + 1)]
        self.constant = self.create_parameter([1, widths[0], *small], default_initializer=nn.initializer.Normal())
        layers = [StyledLayer(widths[0], widths[0], style_width, small, up=False)]
        for i, (before, after) in enumerate(pairwise(widths), 1):
            larger = Sides(small.height << i, small.width << i)
            layers.append(StyledLayer(before, after, style_width, larger, up=True))
            layers.append(StyledLayer(after, after, style_width, larger, up=False))
        self.layers = nn.LayerList(layers)
        self.to_image = nn.LayerList(
            [ModulatedConv2D(outputs, channels, style_width, 1, demodulate=False) for outputs in widths]
        )
        for layer in self.to_image:  # so that their sum does not start where tanh is flat
            nn.initializer.Normal(0.0, 0.3 / layer.conv.weight.shape[1] ** 0.5)(layer.conv.weight)

    def forward(self, styles: list[Tensor]) -> Tensor:
        """The styles of the layers, each [N, style_width], to [N, channels, H, W], not bounded."""
        x = self.layers[0](self.constant.expand([styles[0].shape[0], -1, -1, -1]), styles[0])
        image = self.to_image[0](x, styles[0])
        for i in range(1, len(self.to_image)):
            for layer in (2 * i - 1, 2 * i):
                x = self.layers[layer](x, styles[layer])
            image = doubled(image) + self.to_image[i](x, styles[2 * i])
        return image


class StyleGenerator(nn.Layer):
    """Mapping and synthesis. It is called as any generator, see `generators`.

    In training, a share `mixing` of the samples takes the styles of a second latent from a random layer on, so that
    layers do not rely on each other (Karras et al. 2019, section 3.1).

    Args:
        image_size, channels, latent_dim, classes: as of any generator.
        width: channels at the full size; half the size has twice as many, up to eight times as many.
        mixing: share of the samples with mixed styles, in [0, 1].

    Attributes:
        average_style: moving average of w in training, float32 [latent_dim]; styles are drawn to it for truncation.
    """

    value_range = (-1.0, 1.0)

    def __init__(
        self,
        image_size: ImageSize,
        channels: int,
        latent_dim: int = 64,
        width: int = 16,
        classes: int = 0,
        mixing: float = 0.5,
    ):
        super().__init__()
        self.latent_dim, self.classes, self.image_size, self.mixing = latent_dim, classes, image_size, mixing
        self.mapping = Mapping(latent_dim, classes, latent_dim)
        self.synthesis = Synthesis(image_size, channels, width, latent_dim)
        self.register_buffer("average_style", paddle.zeros([latent_dim]))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        w = self.mapping(latents, labels)
        styles = [w] * self.layers
        if self.training:
            if not self.synthesis.constant.stop_gradient:  # a frozen network stays as it is
                with paddle.no_grad():
                    self.average_style.lerp_(w.mean(0), paddle.full([], 1 - _AVERAGE_MOMENTUM))
            styles = self._mixed(styles, labels)
        return self.draw(styles)

    @property
    def layers(self) -> int:
        """Number of layers that take a style, from the smallest size to the full one."""
        return len(self.synthesis.layers)

    def draw(self, styles: list[Tensor]) -> Tensor:
        """The images of the styles of all layers, each [N, latent_dim]."""
        return F.tanh(cropped(self.synthesis(styles), self.image_size))

    def _mixed(self, styles: list[Tensor], labels: Tensor | None) -> list[Tensor]:
        w = styles[0]
        count = w.shape[0]
        other = self.mapping(paddle.randn([count, self.latent_dim]), labels)
        crossover = 1 + (paddle.rand([count, 1]) * (len(styles) - 1)).floor()  # uniform over 1 ... layers - 1
        crossover = paddle.where(paddle.rand([count, 1]) < self.mixing, crossover, paddle.full([1], float(len(styles))))
        return [paddle.where(crossover <= i, other, w) for i in range(len(styles))]
