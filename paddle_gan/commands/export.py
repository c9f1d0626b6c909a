"""Write a generator in a form that runs without this package."""

from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.results import ExportConfig


def run(parsed: Parsed[ExportConfig]) -> None:
    from paddle_gan.inference.web_runtime import find_runtime
    from paddle_gan.runs.generators import generator_with, load_generator
    from paddle_gan.runs.shipping import Shipment, ship
    from paddle_gan.system.device import select_device

    select_device("cpu")
    config, source = parsed.options, Path(parsed.positional["run"])
    place = Path(config.ort_web) if config.ort_web else None
    runtime = find_runtime(place, config.download, tell) if config.format == "web" else None
    if config.weights:
        weights = Path(config.weights)
        trained, kind = generator_with(source, weights, tell), weights.name
    else:
        trained, kind = (
            load_generator(source, tell, raw=config.raw, best=config.best),
            "raw" if config.raw else "average",
        )
    default = source / ("exported" if config.format == "paddle" else f"exported-{config.format}")
    folder = Path(config.out) if config.out else default
    shipment = Shipment(trained, source, kind, config.best, config.data_licence, runtime)
    said = ship(shipment, config.format, folder)
    tell(f"{folder}: {said}")


EXPORT = Command(
    name="export",
    description="Write the generator of a run in a form that runs without this project.",
    options=ExportConfig,
    run=run,
    positional={"run": "folder of the run"},
)
