"""Generators as ONNX files, which run in onnxruntime and in most other programs for inference.

The file takes `latents`, float32 [N, latent_dim], and, if conditional, `labels`, int64 [N], for any N; it returns
`images`, float32 [N, channels, image_size, image_size]. Its metadata say the value range and the names of the classes.
"""

import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import paddle
import paddle.nn as nn
from onnx import helper
from paddle.static import InputSpec

from paddle_gan.errors import UsageError
from paddle_gan.inference.export import SEEDS, check_difference, trial_inputs
from paddle_gan.inference.folding import folded
from paddle_gan.inference.onnx_graph import IR_VERSION, OPSET, OUTPUT, Graph
from paddle_gan.inference.onnx_operations import TRANSLATIONS
from paddle_gan.inference.programs import Operation, program_inputs, read_operations, save_program
from paddle_gan.inference.truncation import Truncated

# Numbers of samples that the file is checked with.
BATCHES = (1, 7, 64)


def export_onnx(
    generator: nn.Layer, classes: tuple[str, ...], path: Path, origin: dict[str, str | int], truncated: bool = False
) -> dict[int, float]:
    """Write `generator` to `path` in the form of `folding.folded`, and compare its images in onnxruntime.

    Args:
        generator: in evaluation mode; not changed.
        classes: names of its labels; empty if unconditional.
        path: of the .onnx file.
        origin: where the generator comes from, for the metadata.
        truncated: give the file a further input `truncation`, float32 [1], see `truncation.Truncated`.

    Returns:
        The largest difference of a pixel value between onnxruntime's images and the generator's, for each of `BATCHES`.

    Raises:
        NumericalError: the images differ by more than `export.TOLERANCE`.
    """
    metadata = {
        "value_range": list(generator.value_range),
        "class_names": list(classes),
        "latents": "independent, standard normal",
        "seeds": SEEDS,
        "opset": OPSET,
        **origin,
    }
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}
    network, inputs = folded(generator), program_inputs(generator, classes)
    if truncated:
        network = Truncated(network)
        inputs.insert(1, InputSpec([1], "float32", "truncation"))
    path.write_bytes(converted(network, inputs, texts).SerializeToString())
    whole = {"truncation": np.ones(1, np.float32)} if truncated else {}
    differences = {count: _difference(generator, count, len(classes), path, whole) for count in BATCHES}
    check_difference(max(differences.values()), "the ONNX file in onnxruntime")
    return differences


def converted(
    network: nn.Layer, inputs: Sequence[InputSpec], metadata: dict[str, str], output: str = OUTPUT
) -> onnx.ModelProto:
    """The ONNX model of a network, by way of its program, with an output of this name."""
    with tempfile.TemporaryDirectory() as folder:
        save_program(network, inputs, Path(folder) / "network")
        operations = read_operations(Path(folder) / "network.json")
    tensors = [*network.named_parameters(), *network.named_buffers()]
    return to_onnx(operations, {tensor.name: (name, tensor.numpy()) for name, tensor in tensors}, metadata, output)


def to_onnx(
    operations: Iterable[Operation],
    weights: dict[str, tuple[str, np.ndarray]],
    metadata: dict[str, str],
    output: str = OUTPUT,
) -> onnx.ModelProto:
    """An ONNX model that computes what a program computes.

    Args:
        operations: of the program.
        weights: readable name and values of each weight, by the name of its tensor in the program.
        metadata: properties of the model.
        output: name of its output.

    Raises:
        UsageError: the program has an operation that is not translated.
    """
    graph = Graph(weights, output)
    for operation in operations:
        if operation.name not in TRANSLATIONS:
            raise UsageError(f"this network cannot be written as ONNX: it has the operation {operation.name}")
        TRANSLATIONS[operation.name](graph, operation)
    proto = helper.make_graph(graph.nodes, "generator", graph.inputs, graph.outputs, [*graph.initializers.values()])
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(proto, opset_imports=[opset], ir_version=IR_VERSION, producer_name="paddle_gan")
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def _difference(generator: nn.Layer, count: int, classes: int, path: Path, feeds: dict[str, np.ndarray]) -> float:
    """The largest difference between the images of `count` samples."""
    latents, labels = trial_inputs(generator, count, classes)
    feeds = feeds | {"latents": latents.numpy()} | ({} if labels is None else {"labels": labels.numpy()})
    with paddle.no_grad():
        expected = generator(latents, labels).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = np.asarray(session.run([OUTPUT], feeds)[0])
    return float(np.abs(images - expected).max())
