"""Write a generator as a program that runs without this package."""

from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.results import ExportConfig


def run(parsed: Parsed[ExportConfig]) -> None:
    from paddle_gan.inference import export
    from paddle_gan.runs.generators import generator_with, load_generator
    from paddle_gan.system.device import select_device

    select_device("cpu")
    config, source = parsed.options, Path(parsed.positional["run"])
    origin: dict[str, str | int] = {"run": source.resolve().name}
    if config.weights:
        weights = Path(config.weights)
        trained = generator_with(source, weights)
        origin |= {"weights": weights.name}
    else:
        trained = load_generator(source, raw=config.raw, best=config.best)
        origin |= {"step": trained.step or 0, "weights": "as trained" if config.raw else "average"}
    folder = Path(config.out) if config.out else source / "exported"
    difference = export.export(trained.network, trained.classes, folder, origin)
    print(f"{folder}: images differ from the network's by at most {difference:.1g} (allowed: {export.TOLERANCE})")


EXPORT = Command(
    name="export",
    description="Write the generator of a run as a program for paddle.inference.",
    options=ExportConfig,
    run=run,
    positional={"run": "folder of the run"},
)
