"""Forward passes as static graphs of Paddle, each traced once (`paddle.jit.to_static`).

For small networks on a GPU, Python may need longer to start the operations of a step than the GPU to compute them. A
graph is started as a whole. Penalties, which need second gradients, do not use graphs: they call the networks.
"""

import warnings
from collections.abc import Callable

import paddle
import paddle.nn as nn
from paddle import Tensor

Call = Callable[[nn.Layer, Tensor, Tensor | None], Tensor]


def compiled() -> Call:
    """Makes a function that calls a network through its graph. The first call traces the graph.

    A graph is fixed in which weights get gradients and in what BatchNorm does to its running statistics. Both change
    while a network is frozen (`training.update.frozen`), so each network has a graph for each of the two cases.
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
