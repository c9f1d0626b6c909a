"""Translators as programs for `paddle.inference` and as ONNX files, for pictures of any size.

Both take `images`, float32 [N, 3, H, W] in [0, 1], and for in-painting `masks`, float32 [N, 1, H, W], 1 in the hole and
0 elsewhere. They return `translated`, float32 [N, 3, scale · H, scale · W] in [0, 1]. N, H and W are free. See
`any_size` for what happens inside.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import paddle.inference
from paddle.static import InputSpec

from paddle_gan.backend.environment import environment
from paddle_gan.inference.any_size import Filling, Translating, for_any_size
from paddle_gan.inference.export import FORMAT, check_difference, predictor_config, sha256, write_manifest
from paddle_gan.inference.programs import save_program
from paddle_gan.system.randomness import seeded

Form = Translating | Filling
Arrays = dict[str, np.ndarray]

# Numbers, heights and widths of the pictures that an export is checked with.
SIZES = ((1, 64, 64), (3, 50, 37), (2, 96, 21))
OUTPUT = "translated"
_CHANNELS = {"images": 3, "masks": 1}
_MEANING = {"images": "colours divided by 255", "masks": "1 in the hole, 0 elsewhere"}
_PROGRAM, _WEIGHTS = "translator.json", "translator.pdiparams"


def interface(form: Form) -> dict[str, Any]:
    """What a translator takes and gives, for the metadata and the model card."""
    multiple, sides = form.network.multiple, ["H", "W"] if form.scale == 1 else [f"{form.scale} H", f"{form.scale} W"]
    inside = (
        f"; inside, a picture is extended by its mirror image to multiples of {multiple} pixels, and the result is cut"
        if multiple > 1
        else ""
    )
    return {
        "inputs": {
            name: {
                "type": "float32",
                "shape": ["N", _CHANNELS[name], "H", "W"],
                "value_range": [0, 1],
                "meaning": _MEANING[name],
            }
            for name in form.inputs
        },
        "outputs": {OUTPUT: {"type": "float32", "shape": ["N", 3, *sides], "value_range": [0, 1]}},
        "sizes": f"any number of pictures, any height and any width{inside}",
    }


def export_program(form: Form, folder: Path, origin: dict[str, str | int]) -> dict[str, float]:
    """Write a translator as a program with a manifest, and compare its results with those of the network.

    Args:
        form: the translator; not changed.
        folder: an empty one.
        origin: where it comes from, for the manifest.

    Returns:
        The largest difference of a value, by the size of the pictures.

    Raises:
        NumericalError: the results differ by more than `export.TOLERANCE`.
    """
    save_program(for_any_size(form), _specifications(form), folder / Path(_PROGRAM).stem)
    manifest = {
        "format": FORMAT,
        **origin,
        **interface(form),
        "sha256": {name: sha256(folder / name) for name in (_PROGRAM, _WEIGHTS)},
        "written_with": environment(),
    }
    write_manifest(folder, manifest)
    predictor = paddle.inference.create_predictor(predictor_config(folder / _PROGRAM, folder / _WEIGHTS))

    def run(inputs: Arrays) -> np.ndarray:
        for name, values in inputs.items():
            predictor.get_input_handle(name).copy_from_cpu(values)
        predictor.run()
        return predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()

    return _differences(form, run, "the exported program")


def export_onnx(form: Form, path: Path, origin: dict[str, str | int]) -> dict[str, float]:
    """Write a translator as an ONNX file, and compare its results in onnxruntime with those of the network.

    Arguments, result and errors are those of `export_program`; `path` is that of the .onnx file.
    """
    import onnxruntime

    from paddle_gan.inference.onnx_file import converted
    from paddle_gan.inference.onnx_graph import OPSET

    metadata = {**origin, **interface(form), "opset": OPSET}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}
    model = converted(for_any_size(form), _specifications(form), texts, OUTPUT)
    path.write_bytes(model.SerializeToString())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return _differences(form, lambda inputs: np.asarray(session.run([OUTPUT], inputs)[0]), "the ONNX file")


def _specifications(form: Form) -> list[InputSpec]:
    return [InputSpec([None, _CHANNELS[name], None, None], "float32", name) for name in form.inputs]


def _differences(form: Form, run: Callable[[Arrays], np.ndarray], whose: str) -> dict[str, float]:
    """The largest difference of a value between what `run` returns and the network, for each of `SIZES`."""
    differences = {}
    for count, height, width in SIZES:
        inputs = _trial(form, count, height, width)
        difference = float(np.abs(run(inputs) - _translated(form, inputs)).max())
        check_difference(difference, whose)
        differences[f"{count} of {width}x{height}"] = difference
    return differences


def largest_difference(one: Form, other: Form) -> float:
    """The largest difference of a value between what two translators of one kind make."""
    inputs = _trial(one, *SIZES[0])
    return float(np.abs(_translated(one, inputs) - _translated(other, inputs)).max())


def _translated(form: Form, inputs: Arrays) -> np.ndarray:
    """What the network itself makes of inputs."""
    with paddle.no_grad():
        return form(*map(paddle.to_tensor, inputs.values())).numpy()


def _trial(form: Form, count: int, height: int, width: int) -> Arrays:
    """Random pictures, and for in-painting a hole in the middle of each."""
    with seeded("export", 0):
        images = paddle.rand([count, _CHANNELS["images"], height, width]).numpy()
    masks = np.zeros((count, 1, height, width), np.float32)
    masks[..., height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] = 1
    return {name: {"images": images, "masks": masks}[name] for name in form.inputs}
