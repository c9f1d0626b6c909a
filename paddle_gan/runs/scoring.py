"""The evaluation of a run's generator or of a file of samples, from their place on the disk to the record."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from paddle_gan.config.language import tell
from paddle_gan.config.results import EvaluateConfig
from paddle_gan.config.sizes import shown, written
from paddle_gan.datasets import DATASETS, load_dataset, load_held_out
from paddle_gan.datasets.folder import DEFAULTS, FolderOptions, read_images
from paddle_gan.errors import UsageError
from paddle_gan.evaluation.real_images import real_images
from paddle_gan.evaluation.score import Baseline, Evaluation, baseline, evaluate, extractor_for
from paddle_gan.features.extractors import over_white
from paddle_gan.inference.export import Exported, is_exported
from paddle_gan.inference.npz_files import read_npz
from paddle_gan.inference.sampling import generate
from paddle_gan.runs.data import folder_options
from paddle_gan.runs.folder import check_data_is_there, read_config
from paddle_gan.runs.generators import load_generator
from paddle_gan.system.notebook import changing_line, in_notebook

_STAGES = 32
# Shapes of images that are taken for MNIST unless a set is named: its own size, and that of the tutorial.
_LIKE_MNIST = ((28, 28, 1), (32, 32, 1))

# Real sides of evaluations, by all that they depend on.
Baselines = dict[tuple, Baseline]


@dataclass(frozen=True)
class Samples:
    """Samples to be measured.

    Attributes:
        images: uint8 [N, H, W, C].
        dataset: the set that they imitate.
        data_dir: folder of its files, or None.
        weights: kind of weights that made them, for the record.
        subject: whose samples they are, for the record.
        folder: how the folder that they imitate becomes a data set.
    """

    images: np.ndarray
    dataset: str
    data_dir: str | None
    weights: str
    subject: dict[str, Any]
    folder: FolderOptions = DEFAULTS


def score(
    source: Path | str, config: EvaluateConfig, say: Callable[[str], None] = tell, known: Baselines | None = None
) -> Evaluation:
    """Measure samples.

    Args:
        source: folder of a run, an exported generator, a folder or zip file of images, or an .npz file.
        config: how.
        say: for notices.
        known: the real sides measured so far, which are used again and added to.

    Raises:
        UsageError: options that do not go with the source. DataError: samples or data that cannot be used.
        CheckpointError: no checkpoint that fits.
    """
    source = Path(source).expanduser()
    known = {} if known is None else known
    with _stages() as step:
        step("samples")
        samples = _samples(source, config, say)
        against = _baseline(samples, config, known, step, say)
        protocol = {
            "dataset": samples.dataset if samples.dataset in DATASETS else Path(samples.dataset).name,
            "image_size": written(*samples.images.shape[1:3]),
            "channels": samples.images.shape[3],
            "seed": config.seed,
            "weights": samples.weights,
            **_unusual(samples.folder),
        }
        return evaluate(samples.images, against, protocol, samples.subject, step)


@contextmanager
def _stages() -> Iterator[Callable[[str], None]]:
    """Yields a function that shows the name of the part that begins, on a terminal or in a notebook."""
    if in_notebook():
        show = changing_line()
        yield lambda name: show(f"measuring: {name}")
        show("measured")
        return
    with tqdm(total=_STAGES, disable=not sys.stderr.isatty(), leave=False, dynamic_ncols=True) as bar:

        def step(name: str) -> None:
            bar.set_description(name)
            bar.update()

        yield step


def _samples(source: Path, config: EvaluateConfig, say: Callable[[str], None]) -> Samples:
    if (source / "config.json").exists():
        return _of_run(source, config, say)
    if config.raw or config.best:
        raise UsageError("--raw and --best choose the weights of a run; other samples have none")
    if is_exported(source):
        return _of_exported(source, config)
    is_zip = source.suffix.lower() == ".zip"
    return _of_folder(source, config) if source.is_dir() or is_zip else _of_file(source, config, say)


def _of_exported(source: Path, config: EvaluateConfig) -> Samples:
    generator = Exported(source)
    batches = generate(generator, config.num, config.seed, len(generator.class_names))
    return Samples(
        images=np.concatenate([batch.images for batch in batches]),
        dataset=_named(source, config),
        data_dir=config.data_dir,
        weights="exported",
        subject={"name": source.resolve().name},
    )


def _of_folder(source: Path, config: EvaluateConfig) -> Samples:
    """Images of one size, as tools/sample.py --png-dir writes them."""
    images = read_images(source)[: config.num]
    return Samples(
        images=images,
        dataset=_named(source, config),
        data_dir=config.data_dir,
        weights="of a folder",
        subject={"name": source.resolve().name, "sha256": hashlib.sha256(images.tobytes()).hexdigest()},
    )


def _named(source: Path, config: EvaluateConfig) -> str:
    if config.dataset is None:
        raise UsageError(f"{source}: name the images that these samples imitate with --dataset")
    return config.dataset


def _of_run(source: Path, config: EvaluateConfig, say: Callable[[str], None]) -> Samples:
    run = read_config(source)
    if config.dataset is None:
        check_data_is_there(run, source)
    generator = load_generator(source, say, raw=config.raw, best=config.best)
    chunks = generate(generator.network, config.num, config.seed, len(generator.classes))
    return Samples(
        images=np.concatenate([chunk for chunk, _ in chunks]),
        dataset=config.dataset or run.dataset,
        data_dir=config.data_dir or run.data_dir,
        weights="raw" if config.raw else "average",
        subject={"name": source.resolve().name, "step": generator.step, "best": config.best},
        folder=replace(folder_options(run), run=source),
    )


def _of_file(source: Path, config: EvaluateConfig, say: Callable[[str], None]) -> Samples:
    images = read_npz(source, say)[: config.num]
    if config.dataset is None:
        if images.shape[1:] not in _LIKE_MNIST:
            size = shown(*images.shape[1:])
            raise UsageError(f"{source}: name the images that these samples of {size} imitate with --dataset")
        say("notice: the samples are measured against mnist; --dataset names another set")
    dataset = config.dataset or "mnist"
    return Samples(
        images=over_white(images) if dataset in DATASETS else images,  # these have no transparency
        dataset=dataset,
        data_dir=config.data_dir,
        weights="of a file",
        subject={"name": source.name, "sha256": hashlib.sha256(images.tobytes()).hexdigest()},
    )


def _unusual(folder: FolderOptions) -> dict[str, Any]:
    """What else a record must say of its real images, where it is not as usual."""
    said = {"fit": folder.fit, "val_fraction": folder.val_fraction}
    return {name: value for name, value in said.items() if value != getattr(DEFAULTS, name)}


def _baseline(
    samples: Samples,
    config: EvaluateConfig,
    known: Baselines,
    step: Callable[[str], None],
    say: Callable[[str], None],
) -> Baseline:
    _, height, width, channels = samples.images.shape
    size = written(height, width)
    dataset, data_dir = samples.dataset, samples.data_dir
    key = (dataset, size, channels, data_dir, config.num, config.seed, config.inception, samples.folder)
    if key not in known:
        step("real images")
        training, held_out = (
            load(dataset, size, channels, data_dir=data_dir, download=config.download, folder=samples.folder)
            for load in (load_dataset, load_held_out)
        )
        assert training is not None, "only a held-out set may be missing"
        for notice in training.notices:
            say(f"notice: {notice}")
        real = real_images(training, held_out, count=config.num, seed=config.seed)
        known[key] = baseline(real, extractor_for(dataset, size, channels, config.inception), step)
    return known[key]
