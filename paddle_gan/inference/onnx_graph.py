"""A program of Paddle as an ONNX graph: one small function for each kind of operation.

Not about files and their check, see `onnx_file`. The generators of this project need the operations of `TRANSLATIONS`;
a network with another one needs one entry more.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from paddle_gan.errors import UsageError
from paddle_gan.inference.programs import Operation

# The oldest set of operators that has all that are used here in their present form, and the file format of its time
# (ONNX 1.11, February 2022).
OPSET, IR_VERSION = 16, 8
OUTPUT = "images"
_DTYPES = {"float32": np.float32, "int32": np.int32, "int64": np.int64}
_INPUT_TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


class Graph:
    """An ONNX graph in the making.

    Attributes:
        nodes, inputs, outputs, initializers: what it has so far.
        constants: values that are known already, by their numbers in the program.
        lists: lists of values, by their numbers.
    """

    def __init__(self, weights: dict[str, tuple[str, np.ndarray]]):
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.constants: dict[int, np.ndarray] = {}
        self.lists: dict[int, tuple[int, ...]] = {}
        self._names: dict[int, str] = {}
        self._weights = weights

    def name(self, number: int) -> str:
        """The name of a value, which becomes an initializer if it is a constant."""
        return self._names[number] if number in self._names else self.initializer(self.constants[number])

    def set_name(self, number: int, name: str) -> None:
        self._names[number] = name

    def initializer(self, values: np.ndarray | Sequence[int] | float, name: str | None = None) -> str:
        """The name of an initializer with these values; whole numbers become int64. Equal constants are kept once."""
        array = np.asarray(
            values, None if isinstance(values, np.ndarray) else np.float32 if isinstance(values, float) else np.int64
        )
        name = name or "_".join(map(str, ["constant", array.dtype, *array.shape, *array.flat]))
        self.initializers.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def weight(self, name: str) -> str:
        """The name of the initializer with the weight whose tensor has this name."""
        readable, values = self._weights[name]
        return self.initializer(values, readable)

    def add(self, kind: str, inputs: Iterable[str], result: int | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its output, which is the value `result` of the program."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        if result is not None:
            self._names[result] = name
        return name

    def add_input(self, name: str, dtype: str, shape: Sequence[int]) -> None:
        self.inputs.append(helper.make_tensor_value_info(name, _INPUT_TYPES[dtype], _with_batch(shape)))

    def set_output(self, number: int, shape: Sequence[int]) -> None:
        """Make a value the output, under the name OUTPUT."""
        name = self._names[number]
        for node in self.nodes:
            node.output[:] = [OUTPUT if one == name else one for one in node.output]
        self.outputs.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, _with_batch(shape)))


def _with_batch(shape: Sequence[int]) -> list[int | str]:
    return ["batch" if size == -1 else size for size in shape]


def to_onnx(
    operations: Iterable[Operation], weights: dict[str, tuple[str, np.ndarray]], metadata: dict[str, str]
) -> onnx.ModelProto:
    """An ONNX model that computes what a program computes.

    Args:
        operations: of the program.
        weights: readable name and values of each weight, by the name of its tensor in the program.
        metadata: properties of the model.

    Raises:
        UsageError: the program has an operation that is not translated.
    """
    graph = Graph(weights)
    for operation in operations:
        if operation.name not in TRANSLATIONS:
            raise UsageError(f"this generator cannot be written as ONNX: it has the operation {operation.name}")
        TRANSLATIONS[operation.name](graph, operation)
    proto = helper.make_graph(graph.nodes, "generator", graph.inputs, graph.outputs, [*graph.initializers.values()])
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(proto, opset_imports=[opset], ir_version=IR_VERSION, producer_name="paddle_gan")
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


# --- The operations -------------------------------------------------------------------------------------------------

Translation = Callable[[Graph, Operation], None]


def _same(kind: str) -> Translation:
    """An operation that ONNX has too, with the same operands and no attributes."""

    def translate(graph: Graph, operation: Operation) -> None:
        graph.add(kind, map(graph.name, operation.operands), operation.result)

    return translate


def _input(graph: Graph, operation: Operation) -> None:
    name = operation.attributes["name"]
    graph.add_input(name, operation.attributes["dtype"], operation.attributes["shape"])
    graph.set_name(operation.result, name)


def _output(graph: Graph, operation: Operation) -> None:
    assert operation.shape is not None
    graph.set_output(operation.operands[0], operation.shape)


def _weight(graph: Graph, operation: Operation) -> None:
    graph.set_name(operation.result, graph.weight(operation.attributes["name"]))


def _full(graph: Graph, operation: Operation) -> None:
    shape, value, dtype = (operation.attributes[name] for name in ("shape", "value", "dtype"))
    graph.constants[operation.result] = np.full(shape, value, _DTYPES[dtype])


def _full_int_array(graph: Graph, operation: Operation) -> None:
    graph.constants[operation.result] = np.array(operation.attributes["value"], np.int64)


def _list(graph: Graph, operation: Operation) -> None:
    graph.lists[operation.result] = operation.operands


def _concat(graph: Graph, operation: Operation) -> None:
    parts, axis = operation.operands
    names = map(graph.name, graph.lists[parts])
    graph.add("Concat", names, operation.result, axis=graph.constants[axis].item())


def _stack(graph: Graph, operation: Operation) -> None:
    axis = operation.attributes["axis"]
    parts = [graph.name(part) for part in graph.lists[operation.operands[0]]]
    longer = [graph.add("Unsqueeze", [part, graph.initializer([axis])]) for part in parts]
    graph.add("Concat", longer, operation.result, axis=axis)


def _expand(graph: Graph, operation: Operation) -> None:
    """Paddle keeps a size where the new one is -1; ONNX does so where it is 1."""
    x, shape = operation.operands
    if shape in graph.constants:
        target = graph.initializer(np.maximum(graph.constants[shape], 1))
    else:
        target = graph.add("Max", [graph.name(shape), graph.initializer([1])])
    graph.add("Expand", [graph.name(x), target], operation.result)


def _matmul(graph: Graph, operation: Operation) -> None:
    names = []
    for operand, side in zip(operation.operands, ("transpose_x", "transpose_y"), strict=True):
        name = graph.name(operand)
        names.append(graph.add("Transpose", [name], perm=[1, 0]) if operation.attributes[side] else name)
    graph.add("MatMul", names, operation.result)


def _scale(graph: Graph, operation: Operation) -> None:
    """x · scale + bias, as Paddle writes arithmetic with Python numbers."""
    x, factor = operation.operands
    bias, last = operation.attributes["bias"], graph.name(x)
    assert operation.attributes["bias_after_scale"]
    last = graph.add("Mul", [last, graph.name(factor)])
    if bias:
        last = graph.add("Add", [last, graph.initializer(float(bias))])
    graph.set_name(operation.result, last)


def _sum(graph: Graph, operation: Operation) -> None:
    keepdims = int(operation.attributes["keepdim"])
    graph.add("ReduceSum", map(graph.name, operation.operands), operation.result, keepdims=keepdims)


def _rsqrt(graph: Graph, operation: Operation) -> None:
    root = graph.add("Sqrt", map(graph.name, operation.operands))
    graph.add("Reciprocal", [root], operation.result)


def _cast(graph: Graph, operation: Operation) -> None:
    to = _INPUT_TYPES[operation.attributes["dtype"]]
    graph.add("Cast", map(graph.name, operation.operands), operation.result, to=to)


def _one_hot(graph: Graph, operation: Operation) -> None:
    """The rows of the identity matrix."""
    labels, classes = operation.operands
    identity = np.eye(graph.constants[classes].item(), dtype=np.float32)
    rows = graph.initializer(identity, f"identity_{len(identity)}")
    graph.add("Gather", [rows, graph.name(labels)], operation.result)


def _embedding(graph: Graph, operation: Operation) -> None:
    labels, rows = map(graph.name, operation.operands)
    graph.add("Gather", [rows, labels], operation.result)


def _slice(graph: Graph, operation: Operation) -> None:
    axes, removed = operation.attributes["axes"], operation.attributes["decrease_axis"]
    part = graph.add("Slice", [*map(graph.name, operation.operands), graph.initializer(axes)], operation.result)
    if removed:
        graph.add("Squeeze", [part, graph.initializer(removed)], operation.result)


def _leaky_relu(graph: Graph, operation: Operation) -> None:
    alpha = operation.attributes["negative_slope"]
    graph.add("LeakyRelu", map(graph.name, operation.operands), operation.result, alpha=alpha)


def _pixel_shuffle(graph: Graph, operation: Operation) -> None:
    """Paddle's PixelShuffle has the channels outermost: the mode CRD (column, row, depth)."""
    size = operation.attributes["upscale_factor"]
    graph.add("DepthToSpace", map(graph.name, operation.operands), operation.result, blocksize=size, mode="CRD")


def _convolution(graph: Graph, operation: Operation) -> None:
    given = operation.attributes
    padding: dict[str, Any]
    if given["padding_algorithm"] == "SAME":
        padding = {"auto_pad": "SAME_UPPER"}
    else:
        pads = given["paddings"]
        # Paddle: both sides of each axis; ONNX: the beginnings, then the ends.
        padding = {"pads": pads * 2 if len(pads) == 2 else [*pads[0::2], *pads[1::2]]}
    graph.add(
        "Conv",
        map(graph.name, operation.operands),
        operation.result,
        strides=given["strides"],
        dilations=given["dilations"],
        group=given["groups"],
        **padding,
    )


TRANSLATIONS: dict[str, Translation] = {
    "data": _input,
    "fetch": _output,
    "p": _weight,
    "full": _full,
    "full_int_array": _full_int_array,
    "combine": _list,
    "concat": _concat,
    "stack": _stack,
    "reshape": _same("Reshape"),
    "unsqueeze": _same("Unsqueeze"),
    "expand": _expand,
    "shape64": _same("Shape"),
    "slice": _slice,
    "add": _same("Add"),
    "subtract": _same("Sub"),
    "multiply": _same("Mul"),
    "scale": _scale,
    "matmul": _matmul,
    "conv2d": _convolution,
    "sum": _sum,
    "rsqrt": _rsqrt,
    "greater_than": _same("Greater"),
    "cast": _cast,
    "one_hot": _one_hot,
    "embedding": _embedding,
    "pixel_shuffle": _pixel_shuffle,
    "relu": _same("Relu"),
    "leaky_relu": _leaky_relu,
    "tanh": _same("Tanh"),
    "sigmoid": _same("Sigmoid"),
}
