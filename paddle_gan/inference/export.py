"""Generators as programs for `paddle.inference`, which run without this package.

An exported folder holds

    generator.json        the program, as `paddle.jit.save` writes it
    generator.pdiparams   its weights
    manifest.json         the inputs and outputs, and the SHA-256 of both files

The program takes `latents`, float32 [N, latent_dim], and, if conditional, `labels`, int64 [N], for any N; it returns
float32 [N, channels, H, W] in the manifest's `value_range`; the manifest's `image_size` is H = W, or "WxH".

A program is code. So before Paddle loads one, its hashes are compared, and all its operations must be arithmetic of the
kind that the generators of this project consist of; none of them can read, write or call something. This is not a full
protection: a crafted file of weights may do harm in Paddle's own reader, and a hash does not prove where a file comes
from. Load programs only from people whom you trust.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import paddle
import paddle.inference
import paddle.nn as nn
from paddle import Tensor

from paddle_gan.backend.environment import environment
from paddle_gan.config.sizes import written
from paddle_gan.errors import CheckpointError, NumericalError
from paddle_gan.inference.folding import folded
from paddle_gan.inference.programs import operation_names, program_inputs, save_program
from paddle_gan.inference.sampling import CHUNK
from paddle_gan.system.randomness import seeded
from paddle_gan.system.runtime import cpu_count

FORMAT = 1
# A hundredth of a grey level, which is 2/255 for images in [-1, 1].
TOLERANCE = 1e-4
# The manifest explains how to get the samples of a seed; `randomness.seeded` is the code.
SEEDS = (
    f"the latents of tools/sample.py: for chunk c = 0, 1, ... of {CHUNK} samples, "
    "paddle.seed(int(numpy.random.SeedSequence("
    "[int.from_bytes(b'samples', 'little'), seed, c]).generate_state(1, numpy.uint64)[0] >> 1)), "
    f"then paddle.randn([{CHUNK}, latent_dim]) on the CPU; the label of sample i is i % classes"
)
_PROGRAM, _WEIGHTS, _MANIFEST = "generator.json", "generator.pdiparams", "manifest.json"
# So few that the feature maps stay in the processor's cache between two layers.
_BATCH_SIZE = 50
# The operations that a program may have, by their names in it: "p" is a weight, 0 and 1 are Paddle's dialects.
_INPUTS = "data fetch full full_int_array"
_SHAPES = "reshape transpose concat expand one_hot pixel_shuffle"
_ARITHMETIC = "add multiply scale matmul conv2d conv2d_transpose batch_norm_"
_ACTIVATIONS = "relu leaky_relu softplus tanh sigmoid"
_CHOICE = "slice greater_than cast sum"  # of a part, see `networks.mixture`
_STYLES = "embedding rsqrt shape64 square stack unsqueeze"  # see `networks.style`
_OPERATIONS = {"p", "0.combine"} | {
    f"1.{name}" for names in (_INPUTS, _SHAPES, _ARITHMETIC, _ACTIVATIONS, _CHOICE, _STYLES) for name in names.split()
}


class Exported(nn.Layer):
    """An exported generator. It is called as any other generator: `exported(latents, labels)`.

    On a CPU it runs with oneDNN, in small batches.

    Attributes:
        latent_dim, value_range: as of a generator.
        class_names: names of its labels; empty if unconditional.
    """

    def __init__(self, folder: Path):
        """Load the program in `folder`.

        Raises:
            CheckpointError: it holds no exported generator, a damaged one, or operations that no generator needs.
        """
        super().__init__()
        manifest = _checked_manifest(folder)
        self.latent_dim, self.value_range = manifest["latent_dim"], tuple(manifest["value_range"])
        self.class_names = tuple(manifest["classes"])
        try:
            self._predictor = paddle.inference.create_predictor(predictor_config(folder / _PROGRAM, folder / _WEIGHTS))
        except (ValueError, RuntimeError, OSError) as error:
            raise CheckpointError(f"{folder}: Paddle cannot load it ({error})") from error
        names = ["latents", "labels"] if self.class_names else ["latents"]
        if sorted(self._predictor.get_input_names()) != sorted(names):
            raise CheckpointError(f"{folder}: its program takes {self._predictor.get_input_names()}, not {names}")

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        inputs = {"latents": latents.numpy()} | ({} if labels is None else {"labels": labels.numpy()})
        starts = range(0, len(latents), _BATCH_SIZE)
        images = [self._run(inputs, slice(start, start + _BATCH_SIZE)) for start in starts]
        return paddle.to_tensor(np.concatenate(images))

    def _run(self, inputs: dict[str, np.ndarray], rows: slice) -> np.ndarray:
        for name, values in inputs.items():
            self._predictor.get_input_handle(name).copy_from_cpu(np.ascontiguousarray(values[rows]))
        self._predictor.run()
        return self._predictor.get_output_handle(self._predictor.get_output_names()[0]).copy_to_cpu()


def export(generator: nn.Layer, classes: tuple[str, ...], folder: Path, origin: dict[str, str | int]) -> float:
    """Write `generator` to `folder` in the form of `folding.folded`, and compare the images of both.

    Args:
        generator: in evaluation mode; not changed.
        classes: names of its labels; empty if unconditional.
        folder: an empty one.
        origin: where the generator comes from, for the manifest.

    Returns:
        The largest difference of a pixel value between the program's images and the generator's.

    Raises:
        NumericalError: the images differ by more than `TOLERANCE`.
    """
    save_program(folded(generator), program_inputs(generator, classes), folder / Path(_PROGRAM).stem)
    # One and a half batches, with every label.
    latents, labels = trial_inputs(generator, max(_BATCH_SIZE + _BATCH_SIZE // 2, len(classes)), len(classes))
    with paddle.no_grad():
        expected = generator(latents, labels).numpy()
    manifest = {
        "format": FORMAT,
        **origin,
        "latent_dim": generator.latent_dim,
        "image_size": written(*expected.shape[2:]),
        "channels": expected.shape[1],
        "value_range": list(generator.value_range),
        "classes": list(classes),
        "latents": "independent, standard normal",
        "seeds": SEEDS,
        "sha256": {name: sha256(folder / name) for name in (_PROGRAM, _WEIGHTS)},
        "written_with": environment(),
    }
    write_manifest(folder, manifest)
    difference = float(np.abs(Exported(folder)(latents, labels).numpy() - expected).max())
    check_difference(difference, "the exported program")
    return difference


def write_manifest(folder: Path, manifest: dict) -> None:
    """Write the description of an exported program beside it."""
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8", newline="\n")


def check_difference(difference: float, whose: str) -> None:
    """Raise a NumericalError if the images of an export differ by more than `TOLERANCE`, or by NaN."""
    if not difference <= TOLERANCE:
        raise NumericalError(
            f"the images of {whose} differ from those of the network by {difference:.2g}, "
            f"more than {TOLERANCE}; nothing was written"
        )


def is_exported(folder: Path) -> bool:
    """Whether `folder` looks like a folder that `export` has written, and not like a run folder."""
    return (folder / _MANIFEST).is_file() and not (folder / "config.json").exists()


def _checked_manifest(folder: Path) -> dict:
    """The manifest of an exported folder, whose files have the hashes in it and whose program is harmless.

    Raises:
        CheckpointError: this is not so.
    """
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] > FORMAT:
            raise CheckpointError(
                f"{folder}: format {manifest['format']}; this version reads up to {FORMAT}, update paddle_gan"
            )
        for name in (_PROGRAM, _WEIGHTS):
            if sha256(folder / name) != manifest["sha256"][name]:
                raise CheckpointError(f"{folder / name}: SHA-256 is not the one in its manifest")
        low, high = map(float, manifest["value_range"])
        if not (int(manifest["latent_dim"]) > 0 and low < high and isinstance(manifest["classes"], list)):
            raise ValueError("a value in its manifest is impossible")
        unknown = operation_names(json.loads((folder / _PROGRAM).read_text(encoding="utf-8"))) - _OPERATIONS
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise CheckpointError(f"{folder}: no exported generator ({type(error).__name__}: {error})") from error
    if unknown:
        shown = ", ".join(ascii(name) for name in sorted(unknown)[:3])
        raise CheckpointError(
            f"{folder / _PROGRAM}: has operations that no generator here needs ({shown}); it was not run"
        )
    return manifest


def predictor_config(program: Path, weights: Path) -> paddle.inference.Config:
    """How the program in these files is run: on the current device, on a CPU with oneDNN."""
    config = paddle.inference.Config(str(program), str(weights))
    kind, _, index = paddle.get_device().partition(":")
    if kind == "gpu":
        config.enable_use_gpu(100, int(index))
    else:
        config.disable_gpu()
        config.set_cpu_math_library_num_threads(cpu_count())
        config.enable_mkldnn()
        # Number of input shapes: the batches are of one size, except the last one.
        config.set_mkldnn_cache_capacity(4)
    # Without these two, Paddle 3.3 looks for the memory plan of its older executor, and fails.
    config.enable_new_ir(True)
    config.enable_new_executor(True)
    config.disable_glog_info()
    return config


def trial_inputs(generator: nn.Layer, count: int, classes: int) -> tuple[Tensor, Tensor | None]:
    """Latents, and labels in turn if there are any, to compare an export with its network."""
    with seeded("export", 0):
        latents = paddle.randn([count, generator.latent_dim])
    return latents, paddle.arange(count) % classes if classes else None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
