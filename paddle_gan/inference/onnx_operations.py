"""The operations of a program of Paddle in ONNX: one small function for each kind of operation.

The networks of this project need those of `TRANSLATIONS`; a network with another one needs one entry more.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from paddle_gan.inference.onnx_graph import DTYPES, INPUT_TYPES, Graph
from paddle_gan.inference.programs import Operation

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
    graph.constants[operation.result] = np.full(shape, value, DTYPES[dtype])


def _full_int_array(graph: Graph, operation: Operation) -> None:
    graph.constants[operation.result] = np.array(operation.attributes["value"], np.int64)


def _assign(graph: Graph, operation: Operation) -> None:
    """An array that the network makes of numbers."""
    shape, values, dtype = (operation.attributes[name] for name in ("shape", "values", "dtype"))
    array = np.array(values, DTYPES[dtype]).reshape(shape)
    graph.set_name(operation.result, graph.initializer(array, f"array_{operation.result}"))


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
    kind = int if operation.whole else float
    last = graph.add("Mul", [last, graph.initializer(kind(graph.constants[factor].item()))])
    if bias:
        last = graph.add("Add", [last, graph.initializer(kind(bias))])
    graph.set_name(operation.result, last)


def _sum(graph: Graph, operation: Operation) -> None:
    keepdims = int(operation.attributes["keepdim"])
    graph.add("ReduceSum", map(graph.name, operation.operands), operation.result, keepdims=keepdims)


def _rsqrt(graph: Graph, operation: Operation) -> None:
    root = graph.add("Sqrt", map(graph.name, operation.operands))
    graph.add("Reciprocal", [root], operation.result)


def _cast(graph: Graph, operation: Operation) -> None:
    to = INPUT_TYPES[operation.attributes["dtype"]]
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


def _index_select(graph: Graph, operation: Operation) -> None:
    graph.add("Gather", map(graph.name, operation.operands), operation.result, axis=operation.attributes["axis"])


def _range(graph: Graph, operation: Operation) -> None:
    """From a start to an end in steps; the constants among the three are scalars in ONNX."""
    graph.add("Range", [_scalar(graph, operand) for operand in operation.operands], operation.result)


def _clip(graph: Graph, operation: Operation) -> None:
    x, least, most = operation.operands
    graph.add("Clip", [graph.name(x), _scalar(graph, least), _scalar(graph, most)], operation.result)


def _scalar(graph: Graph, number: int) -> str:
    """The name of a value as a scalar, of a constant that Paddle may hold as a list of one."""
    return graph.initializer(graph.constants[number].reshape([])) if number in graph.constants else graph.name(number)


def _flip(graph: Graph, operation: Operation) -> None:
    axes = operation.attributes["axis"]
    # From the last one to the one before the first.
    ends = [[-1] * len(axes), [np.iinfo(np.int64).min] * len(axes), axes, [-1] * len(axes)]
    graph.add("Slice", [graph.name(operation.operands[0]), *map(graph.initializer, ends)], operation.result)


def _nothing(graph: Graph, operation: Operation) -> None:
    """Dropout of a network in use."""
    assert operation.attributes["is_test"] and operation.attributes["mode"] == "upscale_in_train"
    graph.set_name(operation.result, graph.name(operation.operands[0]))


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
    same = given["padding_algorithm"] == "SAME"
    padding: dict[str, Any] = {"auto_pad": "SAME_UPPER"} if same else {"pads": _pads(given["paddings"])}
    graph.add(
        "Conv",
        map(graph.name, operation.operands),
        operation.result,
        strides=given["strides"],
        dilations=given["dilations"],
        group=given["groups"],
        **padding,
    )


def _pads(paddings: list[int]) -> list[int]:
    """Paddle: one number for each axis, or both sides of each axis. ONNX: the beginnings, then the ends."""
    return paddings * 2 if len(paddings) == 2 else [*paddings[0::2], *paddings[1::2]]


def _transposed_convolution(graph: Graph, operation: Operation) -> None:
    """Its third operand is a size of the result, which the layers here leave open."""
    given = operation.attributes
    assert given["padding_algorithm"] == "EXPLICIT" and not graph.constants[operation.operands[2]].size
    graph.add(
        "ConvTranspose",
        map(graph.name, operation.operands[:2]),
        operation.result,
        strides=given["strides"],
        dilations=given["dilations"],
        group=given["groups"],
        pads=_pads(given["paddings"]),
        output_padding=given["output_padding"] or [0, 0],
    )


def _instance_norm(graph: Graph, operation: Operation) -> None:
    epsilon = operation.attributes["epsilon"]
    graph.add("InstanceNormalization", map(graph.name, operation.operands), operation.result, epsilon=epsilon)


def _average_pool(graph: Graph, operation: Operation) -> None:
    given = operation.attributes
    assert given["pooling_type"] == "avg" and given["exclusive"] and not given["adaptive"]
    x, size = operation.operands
    graph.add(
        "AveragePool",
        [graph.name(x)],
        operation.result,
        kernel_shape=graph.constants[size].tolist(),
        strides=given["strides"],
        pads=_pads(given["paddings"]),
        ceil_mode=int(given["ceil_mode"]),
    )


TRANSLATIONS: dict[str, Translation] = {
    "data": _input,
    "fetch": _output,
    "p": _weight,
    "full": _full,
    "full_int_array": _full_int_array,
    "assign_value_": _assign,
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
    "divide": _same("Div"),
    "floor_divide": _same("Div"),  # of sizes, which are not negative; so is the next one
    "remainder": _same("Mod"),
    "maximum": _same("Max"),
    "minimum": _same("Min"),
    "clip": _clip,
    "matmul": _matmul,
    "conv2d": _convolution,
    "depthwise_conv2d": _convolution,
    "conv2d_transpose": _transposed_convolution,
    "instance_norm": _instance_norm,
    "pool2d": _average_pool,
    "dropout": _nothing,
    "flip": _flip,
    "arange": _range,
    "index_select": _index_select,
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
