"""How a layer wants its operations computed, and the roles of their tensors; the differentiable operations share both.

Not about the operations themselves: see `contraction` and `differentiable`.
"""

from dataclasses import dataclass
from enum import Enum, auto

from paddle import Tensor
from paddle.autograd import PyLayer


@dataclass
class Computation:
    """How the operations of one layer are computed. Each layer owns one and may change it at any time.

    An operation reads it in the forward pass, and again in each backward pass through that operation. So a change
    applies to everything that is computed afterwards, also to gradients of earlier results.

    Attributes:
        factors: type to which convolutions on a CPU round what they multiply, "float32" or "bfloat16". Sums and
            everything else are float32.
        weight_gradients: whether backward passes compute gradients in weights. If not, those in images only.
    """

    factors: str = "float32"
    weight_gradients: bool = True


class Role(Enum):
    """The role of a tensor in a differentiable operation."""

    IMAGES = auto()
    FILTERS = auto()
    OUTPUTS = auto()
    BIAS = auto()
    SCALE = auto()
    SHIFT = auto()

    # Members are unique objects. The hash of Enum itself would run Python code at each look-up in a dictionary.
    __hash__ = object.__hash__


Given = dict[Role, Tensor]

# All other roles are those of weights.
_NO_WEIGHTS = (Role.IMAGES, Role.OUTPUTS)


def apply(function: type[PyLayer], given: Given, *rest) -> Tensor:
    """function.apply(tensors, roles of these tensors, *rest)."""
    # Paddle computes gradients in the tensors of a list only if the first one needs a gradient, and then for all.
    roles = sorted(given, key=lambda role: given[role].stop_gradient)
    return function.apply([given[role] for role in roles], roles, *rest)


def gradients_wanted(roles: list[Role], needed: list[bool], computation: Computation) -> list[bool]:
    """Which gradients a backward pass computes.

    Args:
        roles: of the tensors in the forward pass.
        needed: whether each of them needed a gradient then.
        computation: of the layer.
    """
    if computation.weight_gradients:
        return needed
    return [need and role in _NO_WEIGHTS for role, need in zip(roles, needed, strict=True)]
