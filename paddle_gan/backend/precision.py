"""In which type a training step multiplies: float32, or bfloat16 and float16 where those are quicker.

Weights, averages, optimisers, losses and logs are float32 in all of them. On a GPU the forward passes of
both networks run under Paddle's automatic mixed precision (level O1: convolutions and products in the lower
type, the rest where it is safe), and penalties, which take second gradients, in float32. On a CPU the
factors of convolutions are rounded to bfloat16, in penalties too, and sums are float32: see `kernels`.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache, partial

import paddle
import paddle.nn as nn
from paddle import Tensor
from paddle.amp import GradScaler

from paddle_gan.backend import kernels, onednn
from paddle_gan.backend.compiled import Call

Context = Callable[[], AbstractContextManager]


def call(network: nn.Layer, inputs: Tensor, labels: Tensor | None) -> Tensor:
    """The network itself."""
    return network(inputs, labels)


def unscaled() -> GradScaler:
    """One whose every method does as if it were not there."""
    return GradScaler(enable=False)


@dataclass(frozen=True)
class Precision:
    """What a step puts around its parts; by default nothing, which is float32.

    Attributes:
        around_round: of all steps of a round.
        around_forward: of a network's forward pass, but not in a penalty.
        discriminator_scaler, generator_scaler: scale the losses up, so that small gradients do not vanish in
            float16, and leave an update out when large ones overflow; they halve and double their scale by themselves.
        call: runs a network, as it stands or compiled.
    """

    around_round: Context = nullcontext
    around_forward: Context = nullcontext
    discriminator_scaler: GradScaler = field(default_factory=unscaled)
    generator_scaler: GradScaler = field(default_factory=unscaled)
    call: Call = call

    @property
    def scalers(self) -> dict[str, GradScaler]:
        """Those that scale, by the name of their network."""
        both = {"discriminator": self.discriminator_scaler, "generator": self.generator_scaler}
        return {name: scaler for name, scaler in both.items() if scaler.is_enable()}

    def forward(self, network: nn.Layer, inputs: Tensor, labels: Tensor | None) -> Tensor:
        """What `network` makes of `inputs`, in float32."""
        with self.around_forward():
            outputs = self.call(network, inputs, labels)
        return outputs if outputs.dtype == paddle.float32 else outputs.astype("float32")

    def add_scales(self, scalars: dict[str, float]) -> None:
        """Add the scales of the losses to the values of a logged round, if there are any.

        A gradient that overflows costs its update, not the run, as long as the scale can be halved: its norm,
        which is infinite or NaN then, is taken out.
        """
        for name, scaler in self.scalers.items():
            scale = scalars[f"optimizer/loss_scale_{name}"] = float(scaler.state_dict()["scale"][0])
            norm = f"optimizer/gradient_norm_{name}"
            if scale >= 1 and not math.isfinite(scalars[norm]):
                del scalars[norm]


def rounded() -> Precision:
    """On a CPU: the factors of convolutions rounded to bfloat16."""
    return Precision(around_round=_rounded_factors)


def mixed(dtype: str, scaled: bool) -> Precision:
    """On a GPU: Paddle's automatic mixed precision.

    Args:
        dtype: the lower type, "bfloat16" or "float16".
        scaled: scale the losses, as float16 needs for its small range.
    """
    scaler = GradScaler if scaled else unscaled
    return Precision(nullcontext, partial(paddle.amp.auto_cast, dtype=dtype, level="O1"), scaler(), scaler())


@cache
def can_round() -> bool:
    """Whether oneDNN is here and multiplies bfloat16 on this processor, in training: found out by trying."""
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


@contextmanager
def _rounded_factors() -> Iterator[None]:
    kernels.set_precision("bfloat16")
    try:
        yield
    finally:
        kernels.set_precision("float32")
