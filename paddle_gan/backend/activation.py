"""Leaky ReLU by oneDNN, for float32 tensors on the CPU, with gradients of any order."""

from paddle import Tensor
from paddle.autograd import PyLayer

from paddle_gan.backend import onednn


def leaky_relu(x: Tensor, slope: float) -> Tensor:
    """x where it is positive, slope · x elsewhere; of any shape."""
    return _LeakyReLU.apply(x, slope)


def leaky_relu_gradient(gradient: Tensor, x: Tensor, slope: float) -> Tensor:
    """The gradient of a leaky ReLU, as a function of the gradient in its output: [...] as both are.

    In x, which may be the output of the leaky ReLU as well as its input, it is piecewise constant.
    """
    return _LeakyReLUGradient.apply(gradient, x, slope)


class _LeakyReLU(PyLayer):
    @staticmethod
    def forward(ctx, x, slope):
        y = onednn.leaky_relu(x, slope)
        # y is positive exactly where x is. The next layer keeps y in any case, so x need not be kept for the gradient.
        ctx.save_for_backward(y.detach())  # y itself would keep its own graph alive for ever
        ctx.slope = slope
        return y

    @staticmethod
    def backward(ctx, gradient):
        return leaky_relu_gradient(gradient, ctx.saved_tensor()[0].detach(), ctx.slope)


class _LeakyReLUGradient(PyLayer):
    @staticmethod
    def forward(ctx, gradient, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return onednn.leaky_relu_gradient(gradient, x, slope)

    @staticmethod
    def backward(ctx, gradient):
        return leaky_relu_gradient(gradient, ctx.saved_tensor()[0], ctx.slope), None
