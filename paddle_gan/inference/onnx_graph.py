"""An ONNX graph in the making, to which nodes, inputs and weights are added.

Not about what becomes of an operation of Paddle, see `onnx_operations`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# The oldest set of operators that has all that are used here in their present form, and the file format of its time
# (ONNX 1.11, February 2022).
OPSET, IR_VERSION = 16, 8
OUTPUT = "images"
DTYPES = {"float32": np.float32, "int32": np.int32, "int64": np.int64}
INPUT_TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


class Graph:
    """An ONNX graph in the making.

    Attributes:
        nodes, inputs, outputs, initializers: what it has so far.
        constants: values that are known already, by their numbers in the program.
        lists: lists of values, by their numbers.
    """

    def __init__(self, weights: dict[str, tuple[str, np.ndarray]], output: str):
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.constants: dict[int, np.ndarray] = {}
        self.lists: dict[int, tuple[int, ...]] = {}
        self._names: dict[int, str] = {}
        self._weights, self._output = weights, output

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
        self.inputs.append(helper.make_tensor_value_info(name, INPUT_TYPES[dtype], _named(shape, _AXES)))

    def set_output(self, number: int, shape: Sequence[int]) -> None:
        """Make a value the output, under its name."""
        name = self._names[number]
        for node in self.nodes:
            node.input[:] = [self._output if one == name else one for one in node.input]
            node.output[:] = [self._output if one == name else one for one in node.output]
        sizes = _named(shape, _OUTPUT_AXES)
        self.outputs.append(helper.make_tensor_value_info(self._output, TensorProto.FLOAT, sizes))


# What sizes that are not known are called, by their axes.
_AXES = ("batch", "channels", "height", "width")
_OUTPUT_AXES = ("batch", "channels", "output_height", "output_width")


def _named(shape: Sequence[int], names: Sequence[str]) -> list[int | str]:
    return [name if size == -1 else size for size, name in zip(shape, names, strict=False)]
