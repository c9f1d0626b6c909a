"""In which type training multiplies: float32, or bfloat16 and float16 where those are quicker.

Weights, averages, optimisers, losses and logs are float32 in all of them. On a GPU the forward passes of the networks
run under Paddle's automatic mixed precision (level O1: convolutions and products in the lower type, the rest where it
is safe), and penalties, which take second gradients, in float32. On a CPU convolutions round what they multiply to
bfloat16, in penalties too, and add in float32 (see `kernels`).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import paddle
import paddle.nn as nn
from paddle import Tensor
from paddle.amp import GradScaler

from paddle_gan.backend import kernels, onednn
from paddle_gan.backend.compiled import Call


def call(network: nn.Layer, inputs: Tensor, labels: Tensor | None) -> Tensor:
    """Run the network as it stands."""
    return network(inputs, labels)


def unscaled() -> GradScaler:
    """A scaler that does nothing."""
    return GradScaler(enable=False)


@dataclass(frozen=True)
class Precision:
    """How the networks of a training run are computed; by default in float32, as they stand.

    Attributes:
        factors: type to which convolutions on a CPU round what they multiply, "float32" or "bfloat16".
        around_forward: context of a network's forward pass, but not of a penalty.
        new_scaler: makes the scaler of one network's loss. For float16 it scales the loss up, so that small gradients
            do not vanish, and leaves an update out when large ones overflow; it adapts its scale by itself.
        call: runs a network, as it stands or compiled.
    """

    factors: str = "float32"
    around_forward: Callable[[], AbstractContextManager] = nullcontext
    new_scaler: Callable[[], GradScaler] = unscaled
    call: Call = call

    def forward(self, network: nn.Layer, inputs: Tensor, labels: Tensor | None) -> Tensor:
        """The output of `network` for `inputs`, in float32; in float64 for a network in float64."""
        with self.around_forward():
            outputs = self.call(network, inputs, labels)
        return outputs if outputs.dtype in (paddle.float32, paddle.float64) else outputs.astype("float32")


def mixed(dtype: Literal["bfloat16", "float16"], scaled: bool) -> Precision:
    """Paddle's automatic mixed precision, for a GPU.

    Args:
        dtype: the lower type, "bfloat16" or "float16".
        scaled: scale the losses, as float16 needs for its small range.
    """
    return Precision(
        around_forward=partial(paddle.amp.auto_cast, dtype=dtype, level="O1"),
        new_scaler=GradScaler if scaled else unscaled,
    )


@cache
def can_round() -> bool:
    """Whether oneDNN is here and can train in bfloat16 on this processor. A small convolution is tried to find out."""
    if not kernels.available():
        return False
    x, w = paddle.ones([1, 16, 4, 4]), paddle.ones([16, 16, 3, 3])
    geometry = onednn.Geometry(tuple(x.shape), tuple(w.shape))
    try:
        y = onednn.convolve(x, w, None, geometry, "bfloat16")
        onednn.image_gradient(y, w, geometry, "bfloat16")
        onednn.filter_gradient(x, y, geometry, "bfloat16")
    except RuntimeError:
        return False
    return True
