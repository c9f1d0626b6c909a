"""Take samples from a trained generator: python tools/sample.py RUN --num 100 --grid samples.png"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paddle_gan.config.command_line import main, parse
from paddle_gan.config.options import SampleConfig
from paddle_gan.errors import UsageError


def command() -> None:
    config, positional, _ = parse(
        SampleConfig,
        "Take samples from the generator of a run, or of an exported folder.",
        {"run": "folder of the run, or what tools/export.py wrote"},
    )
    if not (config.npz or config.png_dir or config.grid):
        raise UsageError("say where the samples go: --npz FILE, --png-dir FOLDER or --grid FILE")
    from paddle_gan.inference import export, images, sampling
    from paddle_gan.runs import experiment
    from paddle_gan.system.runtime import select_device

    select_device(config.device)
    run = Path(positional["run"]).expanduser()
    if export.is_exported(run):
        if config.weights or config.raw or config.best:
            raise UsageError(
                f"{run}: an exported generator has one set of weights; leave --weights, --raw and --best out"
            )
        generator = export.Exported(run)
        classes = generator.class_names
    elif config.weights:
        generator, classes = experiment.generator_with(run, Path(config.weights).expanduser(), print)
    else:
        generator, classes, _ = experiment.load_generator(run, config.raw, print, config.best)
    if config.label is not None and not 0 <= config.label < len(classes):
        known = (
            ", ".join(f"{i} {name}" for i, name in enumerate(classes)) or "none, it was trained without --conditional"
        )
        raise UsageError(f"--label {config.label}: the labels of this run are: {known}")

    def batches() -> sampling.Batches:
        return sampling.generate(generator, config.num, config.seed, len(classes), config.label)

    if config.npz:
        sampling.write_npz(Path(config.npz), config.num, batches())
    if config.png_dir:
        sampling.write_pngs(Path(config.png_dir), batches())
    if config.grid:
        columns = images.grid_columns(len(classes) if config.label is None else 0)
        sampling.write_grid(Path(config.grid), batches(), columns)
    print(f"{config.num} samples in {', '.join(filter(None, (config.npz, config.png_dir, config.grid)))}")


if __name__ == "__main__":
    main(command)
