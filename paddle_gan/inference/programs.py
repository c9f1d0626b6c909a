"""A network as a program of Paddle: how it is saved, and what a saved program holds, as plain data.

`paddle.jit.save` writes a program as JSON: one list of operations, each with its attributes, the numbers of its
operands and the number of its result. That list says all that the network computes, whatever its classes look like in
Python. So another format is written from it, one operation after the other; see `onnx_graph`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paddle
import paddle.nn as nn
from paddle.static import InputSpec

from paddle_gan.system.files import writable_home

# Types of whole numbers, by their names in a program.
_WHOLE = ("0.t_i32", "0.t_i64")


@dataclass(frozen=True)
class Operation:
    """One operation of a program.

    Attributes:
        name: without Paddle's dialect, as "conv2d"; "p" is a weight.
        attributes: by their names, plain values and lists of them; "name" of a weight is that of its tensor.
        operands: numbers of the values that it takes.
        result: number of the value that it computes; of the first one if there are several.
        shape: of the result, -1 for a size that is not known; None for a list of values.
        whole: whether the result consists of whole numbers.
    """

    name: str
    attributes: dict[str, Any]
    operands: tuple[int, ...]
    result: int
    shape: tuple[int, ...] | None
    whole: bool = False


def program_inputs(generator: nn.Layer, classes: Sequence[str]) -> list[InputSpec]:
    """The inputs of a generator's program, for any number of samples: `latents`, and `labels` if it has classes."""
    latents = InputSpec([None, generator.latent_dim], "float32", "latents")
    return [latents, InputSpec([None], "int64", "labels")] if classes else [latents]


def save_program(network: nn.Layer, inputs: Iterable[InputSpec], stem: Path) -> None:
    """Write `network` as a program for these inputs: the files `stem`.json and `stem`.pdiparams."""
    with writable_home():  # Paddle keeps a cache there
        program = paddle.jit.to_static(network, input_spec=list(inputs), full_graph=True)
        paddle.jit.save(program, str(stem))


def operation_names(program: dict) -> set[str]:
    """The names of all operations in a program, with their dialects, also of those in nested regions."""
    return {str(operation["#"]) for operation in _all_operations(program)}


def _all_operations(program: dict) -> Iterator[dict]:
    stack = list(program["program"]["regions"])
    while stack:
        for block in stack.pop()["blocks"]:
            for operation in block["ops"]:
                yield operation
                stack += operation.get("regions", [])


def read_operations(path: Path) -> list[Operation]:
    """The operations of a program without nested regions, in their order, from the .json file of `save_program`."""
    [region] = json.loads(path.read_text(encoding="utf-8"))["program"]["regions"]
    [block] = region["blocks"]
    return [_operation(operation) for operation in block["ops"]]


def _operation(operation: dict) -> Operation:
    name = operation["#"].rpartition(".")[2]
    if name == "p":  # its attributes have no names: three flags, then the name of the tensor
        attributes, result = {"name": operation["A"][3]}, operation["O"]
    else:
        attributes, result = {one["N"]: _plain(one["AT"]) for one in operation["A"]}, operation["O"][0]
    kind = result["TT"]
    shape, whole = (tuple(kind["D"][1]), kind["D"][0]["#"] in _WHOLE) if kind["#"] == "0.t_dtensor" else (None, False)
    return Operation(name, attributes, tuple(one["%"] for one in operation.get("I", [])), result["%"], shape, whole)


def _plain(value: Any) -> Any:
    """The value of an attribute without the names of its types."""
    if isinstance(value, dict):
        return _plain(value["D"])
    return [_plain(one) for one in value] if isinstance(value, list) else value
