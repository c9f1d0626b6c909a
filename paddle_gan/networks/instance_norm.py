"""Instance normalisation (Ulyanov et al. 2016): each channel of each image by itself, in training and in use alike."""

import paddle.nn as nn
import paddle.nn.functional as F
from paddle import Tensor

from paddle_gan.backend import kernels
from paddle_gan.backend.kernels import Computation
from paddle_gan.networks.layers import Activation, activation_slope


class InstanceNorm(nn.Layer):
    """Normalises each channel of each image over its pixels, with a learned scale and shift: [N, C, H, W].

    It is a batch normalisation whose batches are single images, and is computed as one.

    Args:
        channels: C.
        epsilon: added to the variance.

    Attributes:
        computation: how this layer computes, see `layers.images_only`.
    """

    takes_activation = True

    def __init__(self, channels: int, epsilon: float = 1e-5):
        super().__init__()
        self.epsilon = epsilon
        self.weight = self.create_parameter([channels], default_initializer=nn.initializer.Constant(1.0))
        self.bias = self.create_parameter([channels], is_bias=True)
        self.computation = Computation()

    def forward(self, x: Tensor, activation: Activation | None = None) -> Tensor:
        """Normalise x, and apply the activation if there is one. The shape stays."""
        slope = activation_slope(activation)
        computation, parts = self.computation, x.shape[0]
        made = kernels.batch_norm(x, self.weight, self.bias, self.epsilon, parts, slope, computation=computation)
        if made is not None:
            return activation(made.outputs) if activation and slope is None else made.outputs
        y = F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.epsilon)
        return activation(y) if activation else y
