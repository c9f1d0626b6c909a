"""Forward passes as Paddle's static graphs, traced once each (`paddle.jit.to_static`).

A step of small networks on a GPU may take as long as Python needs to start its operations; a graph is started
as a whole. Penalties, which need second gradients, call the networks themselves and stay as they are.
"""

import warnings
from collections.abc import Callable

import paddle
import paddle.nn as nn
from paddle import Tensor

Call = Callable[[nn.Layer, Tensor, Tensor | None], Tensor]


def compiled() -> Call:
    """What calls a network by its graph, which is made at the first call.

    A graph holds fast which weights get gradients and what BatchNorm does to its running statistics. Both are
    different while the network is `training.frozen`, so there is one graph for each.
    """
    graphs: dict[tuple[int, bool], Callable] = {}

    def call(network: nn.Layer, inputs: Tensor, labels: Tensor | None) -> Tensor:
        key = id(network), all(parameter.stop_gradient for parameter in network.parameters())
        if key not in graphs:
            graphs[key] = _graph(network)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Tensor do not have 'place' interface")  # of Paddle's own tracing
            return graphs[key](inputs, labels)

    return call


def _graph(network: nn.Layer) -> Callable[[Tensor, Tensor | None], Tensor]:
    # Not of the network itself, whose `forward` would be replaced.
    def forward(inputs, labels):
        return network(inputs, labels)

    return paddle.jit.to_static(forward, full_graph=True)
