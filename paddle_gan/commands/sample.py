"""Take samples from a trained generator."""

from pathlib import Path

from paddle_gan.commands.command import Command
from paddle_gan.commands.outputs import output_file, output_folder
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.results import SampleConfig
from paddle_gan.errors import UsageError


def run(parsed: Parsed[SampleConfig]) -> None:
    config, folder = parsed.options, Path(parsed.positional["run"])
    if not (config.npz or config.png_dir or config.grid):
        raise UsageError("name a place for the samples: --npz FILE, --png-dir FOLDER or --grid FILE")
    npz = output_file("--npz", Path(config.npz), ".npz") if config.npz else None
    png_dir = output_folder("--png-dir", Path(config.png_dir)) if config.png_dir else None
    sheet = output_file("--grid", Path(config.grid), ".png") if config.grid else None
    from paddle_gan.inference import export, images, npz_files, sampling
    from paddle_gan.runs.generators import generator_with, load_generator
    from paddle_gan.system.device import select_device

    select_device(config.device)
    if export.is_exported(folder):
        if config.weights or config.raw or config.best:
            raise UsageError(
                f"{folder}: an exported generator has one set of weights; leave --weights, --raw and --best out"
            )
        generator = export.Exported(folder)
        classes = generator.class_names
    else:
        if config.weights:
            trained = generator_with(folder, Path(config.weights))
        else:
            trained = load_generator(folder, raw=config.raw, best=config.best)
        generator, classes = trained.network, trained.classes
    _check_label(config.label, classes)

    def batches() -> sampling.Batches:
        return sampling.generate(generator, config.num, config.seed, len(classes), config.label)

    if npz:
        npz_files.write_npz(npz, config.num, batches())
    if png_dir:
        sampling.write_pngs(png_dir, batches())
    if sheet:
        columns = images.grid_columns(len(classes) if config.label is None else 0)
        sampling.write_grid(sheet, batches(), columns)
    print(f"{config.num} samples in {', '.join(str(place) for place in (npz, png_dir, sheet) if place)}")


def _check_label(label: int | None, classes: tuple[str, ...]) -> None:
    if label is not None and not 0 <= label < len(classes):
        known = ", ".join(f"{number} {name}" for number, name in enumerate(classes))
        raise UsageError(
            f"--label {label}: the labels of this run are: {known or 'none, it was trained without --conditional'}"
        )


SAMPLE = Command(
    name="sample",
    description="Take samples from the generator of a run, or of an exported folder.",
    options=SampleConfig,
    run=run,
    positional={"run": "folder of the run, or a folder that tools/export.py wrote"},
)
