"""Generators as ONNX files, which run in onnxruntime and in most other programs for inference.

The file takes `latents`, float32 [N, latent_dim], and, if conditional, `labels`, int64 [N], for any N; it returns
`images`, float32 [N, channels, image_size, image_size]. Its metadata say the value range and the names of the classes.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import paddle
import paddle.nn as nn
from paddle.static import InputSpec

from paddle_gan.inference.export import SEEDS, check_difference, trial_inputs
from paddle_gan.inference.folding import folded
from paddle_gan.inference.onnx_graph import OPSET, OUTPUT, to_onnx
from paddle_gan.inference.programs import program_inputs, read_operations, save_program
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


def converted(network: nn.Layer, inputs: list[InputSpec], metadata: dict[str, str]) -> onnx.ModelProto:
    """The ONNX model of a network, by way of its program."""
    with tempfile.TemporaryDirectory() as folder:
        save_program(network, inputs, Path(folder) / "network")
        operations = read_operations(Path(folder) / "network.json")
    tensors = [*network.named_parameters(), *network.named_buffers()]
    return to_onnx(operations, {tensor.name: (name, tensor.numpy()) for name, tensor in tensors}, metadata)


def _difference(generator: nn.Layer, count: int, classes: int, path: Path, feeds: dict[str, np.ndarray]) -> float:
    """The largest difference between the images of `count` samples."""
    latents, labels = trial_inputs(generator, count, classes)
    feeds = feeds | {"latents": latents.numpy()} | ({} if labels is None else {"labels": labels.numpy()})
    with paddle.no_grad():
        expected = generator(latents, labels).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = np.asarray(session.run([OUTPUT], feeds)[0])
    return float(np.abs(images - expected).max())
