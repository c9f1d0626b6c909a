"""The optimisers of the papers' recipes, as data that a network's parameters turn into an optimiser."""

from dataclasses import dataclass

import paddle
from paddle import Tensor
from paddle.nn import ClipGradByNorm as GradientClip

from paddle_gan.backend import adam


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015); the defaults are DCGAN's (Radford et al. 2016, section 4)."""

    learning_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999

    def build(self, parameters: list[Tensor], gradient_clip: GradientClip | None = None) -> paddle.optimizer.Optimizer:
        # One call for all parameters spares a GPU the wait for the next; a CPU would gain a thousandth of a round.
        together = paddle.get_device().startswith("gpu")
        kind = paddle.optimizer.Adam if together else adam.Adam
        return kind(
            *(self.learning_rate, self.beta1, self.beta2),
            parameters=parameters,
            grad_clip=gradient_clip,
            use_multi_tensor=together,
        )


@dataclass(frozen=True)
class RMSProp:
    """RMSProp without momentum; the defaults are WGAN's (Arjovsky et al. 2017, algorithm 1)."""

    learning_rate: float = 5e-5
    rho: float = 0.99

    def build(self, parameters: list[Tensor], gradient_clip: GradientClip | None = None) -> paddle.optimizer.Optimizer:
        # Paddle adds epsilon under the root, so its default of 1e-6 acts like 1e-3 beside it: more than
        # the gradients behind clipped weights, which would hardly be scaled up. 1e-16 acts like 1e-8.
        return paddle.optimizer.RMSProp(
            self.learning_rate, self.rho, epsilon=1e-16, parameters=parameters, grad_clip=gradient_clip
        )


OPTIMIZERS: dict[str, type] = {"adam": Adam, "rmsprop": RMSProp}
