"""Write a generator as a program that runs without this package: python tools/export.py RUN"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.config.command_line import main, parse
from paddle_gan.config.options import ExportConfig


def command() -> None:
    config, positional, _ = parse(
        ExportConfig, "Write the generator of a run as a program for paddle.inference.", {"run": "folder of the run"}
    )
    from paddle_gan.inference import export
    from paddle_gan.runs import experiment
    from paddle_gan.system.runtime import select_device

    select_device("cpu")
    run = Path(positional["run"]).expanduser()
    origin = {"run": run.resolve().name}
    if config.weights:
        weights = Path(config.weights).expanduser()
        generator, classes = experiment.generator_with(run, weights, print)
        origin |= {"weights": weights.name}
    else:
        generator, classes, step = experiment.load_generator(run, config.raw, print, config.best)
        origin |= {"step": step, "weights": "as trained" if config.raw else "average"}
    folder = Path(config.out).expanduser() if config.out else run / "exported"
    difference = export.export(generator, classes, folder, origin)
    print(f"{folder}: images differ from the network's by at most {difference:.1g} (allowed: {export.TOLERANCE})")


if __name__ == "__main__":
    main(command)
