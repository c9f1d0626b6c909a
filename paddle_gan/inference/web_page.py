"""A generator as a folder with one static page that draws samples in a browser, without a server and a network.

The folder holds

    index.html, page.js    the page
    model.js               the network as ONNX, and the latents of the first seeds of tools/sample.py
    ort.wasm.min.js        onnxruntime-web
    runtime.js             its WebAssembly and the loader of that
    onnxruntime-LICENSE.txt

A browser that opens a page as a file lets it read no other file. So the network and the WebAssembly are texts within
scripts, packed with gzip and written in base64, and a double click on index.html is enough.
"""

import base64
import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import paddle.nn as nn

from paddle_gan.inference.onnx_file import export_onnx
from paddle_gan.inference.sampling import latents_of
from paddle_gan.inference.web_runtime import BINARY, LOADER, SCRIPT

# The latents that are written: for each of the first seeds, those of the first samples. These are what the page shows.
SEEDS, SAMPLES = 64, 16
_PAGE = Path(__file__).with_name("web")


def export_page(
    generator: nn.Layer,
    classes: tuple[str, ...],
    folder: Path,
    origin: dict[str, str | int],
    data: str,
    runtime: Path,
) -> dict[int, float]:
    """Write the page of a generator.

    Args:
        generator: in evaluation mode; not changed.
        classes: names of its labels; empty if unconditional.
        folder: an empty one.
        origin: where the generator comes from.
        data: what it was trained on, for the title.
        runtime: folder with the files of onnxruntime-web, see `web_runtime`.

    Returns:
        The differences that `onnx_file.export_onnx` finds.

    Raises:
        NumericalError: the images of the ONNX file differ.
    """
    path = folder / "generator.onnx"
    differences = export_onnx(generator, classes, path, origin, truncated=True)
    latents = np.stack([latents_of(generator.latent_dim, seed, 0).numpy()[:SAMPLES] for seed in range(SEEDS)])
    channels, height, width = _sizes(path)
    model = {
        "network": _packed(path.read_bytes()),
        "latents": _packed(latents.astype("<f4").tobytes()),
        "data": data,
        "classes": list(classes),
        "latentDim": generator.latent_dim,
        "seeds": SEEDS,
        "samples": SAMPLES,
        "valueRange": list(generator.value_range),
        "channels": channels,
        "height": height,
        "width": width,
    }
    path.unlink()  # it is within the script
    loader, binary = (runtime / LOADER).read_text(encoding="utf-8"), (runtime / BINARY).read_bytes()
    _write_script(folder / "model.js", "MODEL", model)
    _write_script(folder / "runtime.js", "RUNTIME", {"loader": loader, "wasm": _packed(binary)})
    for source in (runtime / SCRIPT, *_PAGE.iterdir()):
        shutil.copyfile(source, folder / source.name)
    return differences


def _sizes(path: Path) -> tuple[int, ...]:
    """Channels, height and width of the images of an ONNX file."""
    [output] = onnx.load(path).graph.output
    return tuple(size.dim_value for size in output.type.tensor_type.shape.dim[1:])


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")


def _write_script(path: Path, name: str, value: dict) -> None:
    """A script that sets a constant."""
    path.write_text(f"const {name} = {json.dumps(value)};\n", encoding="utf-8", newline="\n")
