"""Write a generator or a translator in a form that runs without this package."""

from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.results import ExportConfig
from paddle_gan.errors import UsageError


def run(parsed: Parsed[ExportConfig]) -> None:
    from paddle_gan.runs.folder import NOISE_TO_IMAGE, task_of
    from paddle_gan.system.device import select_device

    select_device("cpu")
    config, source = parsed.options, Path(parsed.positional["run"])
    default = "exported" if config.format == "paddle" else f"exported-{config.format}"
    folder = Path(config.out) if config.out else source / (f"{default}-back" if config.reverse else default)
    kind = Path(config.weights).name if config.weights else "raw" if config.raw else "average"
    export = _generator if task_of(source) == NOISE_TO_IMAGE else _translator
    tell(f"{folder}: {export(config, source, kind, folder)}")


def _generator(config: ExportConfig, source: Path, kind: str, folder: Path) -> str:
    """Export the generator of a run, and say how that was checked."""
    from paddle_gan.inference.web_runtime import find_runtime
    from paddle_gan.runs.generators import chosen_generator
    from paddle_gan.runs.shipping import Shipment, ship

    if config.reverse:
        raise UsageError("--reverse is for a translation that learned both directions")
    place = Path(config.ort_web) if config.ort_web else None
    runtime = find_runtime(place, config.download, tell) if config.format == "web" else None
    trained = chosen_generator(source, config.weights, raw=config.raw, best=config.best, say=tell)
    return ship(Shipment(trained, source, kind, config.best, config.data_licence, runtime), config.format, folder)


def _translator(config: ExportConfig, source: Path, kind: str, folder: Path) -> str:
    """Export the translator of a run, and say how that was checked."""
    from paddle_gan.runs.translator_shipping import TranslatorShipment, ship_translator
    from paddle_gan.runs.translators import load_translator

    weights = Path(config.weights) if config.weights else None
    translator = load_translator(
        source, tell, raw=config.raw, best=config.best, reverse=config.reverse, weights=weights
    )
    shipment = TranslatorShipment(translator, source, kind, config.best, config.reverse, config.data_licence)
    return ship_translator(shipment, config.format, folder)


EXPORT = Command(
    name="export",
    description="Write the generator of a run, or its translator, in a form that runs without this project.",
    options=ExportConfig,
    run=run,
    positional={"run": "folder of the run"},
    first=("format", "out", "best"),
    examples={
        "RUN --format onnx": "a file for onnxruntime, checked on the spot",
        "RUN --format web --download": "a page that makes samples in any browser",
        "RUN --format safetensors": "the weights alone, for other programs",
        "RUN --format onnx --reverse": "the way back of a cyclegan run",
    },
)
