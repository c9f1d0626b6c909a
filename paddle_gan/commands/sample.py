"""Take samples from a trained generator."""

from pathlib import Path
from typing import TYPE_CHECKING

from paddle_gan.commands.command import Command
from paddle_gan.commands.outputs import output_file, output_folder, refuse_in_data
from paddle_gan.config.command_line import Parsed
from paddle_gan.config.language import tell
from paddle_gan.config.results import SampleConfig, layer_range
from paddle_gan.errors import UsageError

if TYPE_CHECKING:
    from paddle.nn import Layer

    from paddle_gan.inference.sampling import Batches

# Of --mix-from: pose and shape.
_MIXED = "0-3"


def run(parsed: Parsed[SampleConfig]) -> None:
    config, folder = parsed.options, Path(parsed.positional["run"])
    if not (config.npz or config.png_dir or config.grid):
        raise UsageError("name a place for the samples: --npz FILE, --png-dir FOLDER or --grid FILE")
    npz = output_file("--npz", Path(config.npz), ".npz") if config.npz else None
    png_dir = output_folder("--png-dir", Path(config.png_dir)) if config.png_dir else None
    sheet = output_file("--grid", Path(config.grid), ".png") if config.grid else None
    from paddle_gan.inference import export, images, npz_files, sampling
    from paddle_gan.runs.folder import read_config
    from paddle_gan.runs.generators import check_label, chosen_generator
    from paddle_gan.system.device import select_device

    select_device(config.device)
    if export.is_exported(folder):
        _refuse_for_exported(config, folder)
        generator = export.Exported(folder)
        classes = generator.class_names
    else:
        dataset = read_config(folder).dataset
        for option, place in (("--png-dir", png_dir), ("--grid", sheet)):
            if place:
                refuse_in_data(option, place, dataset)
        trained = chosen_generator(folder, config.weights, raw=config.raw, best=config.best, say=tell)
        generator, classes = _steered(trained.network, config), trained.classes
    if config.label is not None:
        check_label(config.label, classes)

    def batches() -> sampling.Batches:
        return sampling.generate(generator, config.num, config.seed, len(classes), config.label)

    if npz:
        npz_files.write_npz(npz, config.num, batches())
    if png_dir:
        sampling.write_pngs(png_dir, batches())
    if sheet:
        columns = images.grid_columns(len(classes) if config.label is None else 0)
        if config.nearest:
            _write_with_nearest(sheet, batches(), columns, folder)
        else:
            sampling.write_grid(sheet, batches(), columns)
    tell(f"{config.num} samples in {', '.join(str(place) for place in (npz, png_dir, sheet) if place)}")


def _refuse_for_exported(config: SampleConfig, folder: Path) -> None:
    if config.weights or config.raw or config.best:
        raise UsageError(
            f"{folder}: an exported generator has one set of weights; leave --weights, --raw and --best out"
        )
    if config.truncation != 1 or config.mix_from is not None or config.nearest:
        raise UsageError(
            f"{folder}: an exported program gives images only; for --truncation, --mix-from and --nearest take the "
            "folder of the run that it is from"
        )


def _steered(generator: "Layer", config: SampleConfig) -> "Layer":
    """The generator with the truncation and the mixed styles of the options."""
    from paddle_gan.inference.sampling import latents_of
    from paddle_gan.inference.steering import Steered, StyleMix, style_layers

    if config.truncation == 1 and config.mix_from is None:
        return generator
    mix = None
    if config.mix_from is not None:
        last = style_layers(generator) - 1
        if last < 0:
            raise UsageError("--mix-from: the generator of this run has no styles; --generator style has")
        layers = layer_range(config.mix_layers or _MIXED)
        if layers[-1] > last:
            raise UsageError(f"--mix-layers {config.mix_layers or _MIXED}: the layers of this generator are 0-{last}")
        mix = StyleMix(latents_of(generator.latent_dim, config.mix_from)[:1], layers)
    return Steered(generator, config.truncation, mix)


def _write_with_nearest(path: Path, batches: "Batches", columns: int, run: Path) -> None:
    import numpy as np

    from paddle_gan.inference.images import grid, save_png
    from paddle_gan.runs.folder import read_config
    from paddle_gan.runs.nearest import nearest_training

    samples = np.concatenate([images for images, _ in batches])
    pairs = np.stack([samples, nearest_training(read_config(run), samples)], axis=1)
    save_png(path, grid(pairs.reshape(-1, *samples.shape[1:]), 2 * columns))


SAMPLE = Command(
    name="sample",
    description="Take samples from the generator of a run, or of an exported folder.",
    options=SampleConfig,
    run=run,
    positional={"run": "folder of the run, or a folder that tools/export.py wrote"},
    first=("num", "label", "seed", "grid", "npz", "png_dir"),
    examples={
        "RUN --num 64 --grid samples.png": "a sheet of 64 samples",
        "RUN --label 7 --num 100 --png-dir sevens": "a hundred sevens as files, from a conditional run",
        "RUN --num 10000 --npz samples.npz": "an array for other programs",
        "RUN --num 30 --nearest --grid pairs.png": "each sample beside the training image that is nearest to it",
        "RUN --best --truncation 0.7 --grid sheet.png": "of the best checkpoint, drawn towards the mean",
        "RUN --mix-from 3 --mix-layers 0-3 --grid mixed.png": "the coarse styles of another sample; style only",
    },
)
