"""A trained generator as a folder to give away, in one of several formats.

Not about how a format is written: see `inference.export` and `inference.onnx_file`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from paddle import no_grad

from paddle_gan.errors import UsageError
from paddle_gan.inference import export
from paddle_gan.runs.card import CARD, shared_options, write_card
from paddle_gan.runs.folder import read_config
from paddle_gan.runs.generators import TrainedGenerator, generator_with, save_generator
from paddle_gan.system.files import atomic_folder, write_text


@dataclass(frozen=True)
class Shipment:
    """A generator that is to be exported, and where it comes from.

    Attributes:
        trained: the generator.
        run: folder of its run.
        weights: "average", "raw", or the name of a file.
        best: whether they are those that measured best during training.
        licence: of the data, for the card; None for what is known of a named set.
        runtime: folder with the files of onnxruntime-web, see `inference.web_runtime`; only a page needs them.
    """

    trained: TrainedGenerator
    run: Path
    weights: str
    best: bool = False
    licence: str | None = None
    runtime: Path | None = None

    @property
    def origin(self) -> dict[str, str | int]:
        """What an exported file says of its origin."""
        return {"run": self.run.resolve().name} | chosen_weights(self.weights, self.trained.step, self.best)


def chosen_weights(weights: str, step: int | None, best: bool) -> dict[str, str | int]:
    """What an exported file says of its weights; of step and best only what is known and true."""
    return {"weights": weights} | ({} if step is None else {"step": step}) | ({"best": 1} if best else {})


def ship(shipment: Shipment, form: str, folder: Path) -> str:
    """Write a generator and its model card to a folder.

    Args:
        shipment: the generator.
        form: name of the format, a key of `FORMATS`.
        folder: a new one, an empty one, or an exported one, which is replaced.

    Returns:
        How the export was checked, in one sentence.

    Raises:
        UsageError: the folder holds something else, or the format needs a package that is not installed.
        NumericalError: the exported generator makes other images.
        DiskError: the folder cannot be written.

    After an error, the folder is as it was.
    """

    def write(temporary: Path) -> str:
        said = FORMATS[form](shipment, temporary)
        origin = {"format": form, **shipment.origin}
        write_card(temporary, shipment.trained, shipment.run, origin, shipment.licence)
        return said

    return put_in_place(folder, write)


def put_in_place(folder: Path, write: Callable[[Path], str]) -> str:
    """Let `write` fill an empty folder, which then takes the place of `folder`, and return what it says.

    Raises:
        UsageError: the folder holds something else than an export. What `write` raises; then the folder is as it was.
    """
    if not (_is_exported(folder) or _is_free(folder)):
        raise UsageError(f"{folder} holds something else than an exported generator; name another folder with --out")
    with atomic_folder(folder) as temporary:
        return write(temporary)


def _is_exported(folder: Path) -> bool:
    return (folder / CARD).is_file() or export.is_exported(folder)  # older exports have no card


def _is_free(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and next(folder.iterdir(), None) is None)


def paddle(shipment: Shipment, folder: Path) -> str:
    """A program for paddle.inference."""
    trained = shipment.trained
    difference = export.export(trained.network, trained.classes, folder, shipment.origin)
    return f"images differ from the network's by at most {difference:.1g} (allowed: {export.TOLERANCE})"


def onnx(shipment: Shipment, folder: Path) -> str:
    """An ONNX file."""
    check_installed("onnx", "onnxruntime")
    from paddle_gan.inference.onnx_file import export_onnx

    trained = shipment.trained
    return _in_onnxruntime(export_onnx(trained.network, trained.classes, folder / "generator.onnx", shipment.origin))


def web(shipment: Shipment, folder: Path) -> str:
    """A page that draws samples in a browser."""
    check_installed("onnx", "onnxruntime")
    from paddle_gan.inference.web_page import export_page

    assert shipment.runtime is not None, "a page needs the files of onnxruntime-web"
    trained, data = shipment.trained, Path(read_config(shipment.run).dataset).name
    return _in_onnxruntime(
        export_page(trained.network, trained.classes, folder, shipment.origin, data, shipment.runtime)
    )


def _in_onnxruntime(differences: dict[int, float]) -> str:
    each = ", ".join(f"{difference:.1g} for {count}" for count, difference in differences.items())
    return f"images differ in onnxruntime from the network's by at most {each} samples (allowed: {export.TOLERANCE})"


def safetensors(shipment: Shipment, folder: Path) -> str:
    """The weights, and the options that the network is made from."""
    weights = folder / "generator.safetensors"
    save_generator(shipment.trained, weights)
    write_text(folder / "config.json", json.dumps(shared_options(read_config(shipment.run)), indent=2) + "\n")
    again = generator_with(folder, weights).network
    latents, labels = export.trial_inputs(again, 64, len(shipment.trained.classes))
    with no_grad():
        difference = (again(latents, labels) - shipment.trained.network(latents, labels)).abs().max().item()
    export.check_difference(difference, "the weights that were read again")
    return f"images after reading it again differ by {difference:.1g}"


def check_installed(*packages: str) -> None:
    """Raise a UsageError that names the packages that are not installed."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UsageError(f"this format needs {' and '.join(missing)}: pip install {' '.join(packages)}")


# A format writes its files into an empty folder, and says how they were checked.
FORMATS: dict[str, Callable[[Shipment, Path], str]] = {
    "paddle": paddle,
    "onnx": onnx,
    "web": web,
    "safetensors": safetensors,
}
