"""The evaluation of a run's generator or of a file of samples, from their place on the disk to the record."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from paddle_gan.config.options import EvaluateConfig
from paddle_gan.datasets import DATASETS, load_dataset, load_held_out
from paddle_gan.errors import UsageError
from paddle_gan.evaluation import score as evaluation
from paddle_gan.inference.sampling import generate, read_npz
from paddle_gan.runs import experiment

_STAGES = 32


Baselines = dict[tuple, evaluation.Baseline]


def score(
    source: Path, config: EvaluateConfig, say: Callable[[str], None], known: Baselines | None = None
) -> evaluation.Evaluation:
    """Measure the samples of a run's generator, or of an .npz file.

    Args:
        source: the run's folder, or the file.
        config: how.
        say: for notices.
        known: the real sides measured so far, which are used again and added to.

    Raises:
        UsageError: options that do not go with the source. DataError: samples or data that cannot be
            used. CheckpointError: no checkpoint that fits.
    """
    known = {} if known is None else known
    with tqdm(total=_STAGES, disable=not sys.stderr.isatty(), leave=False, dynamic_ncols=True) as bar:

        def step(name: str) -> None:
            bar.set_description(name)
            bar.update()

        step("samples")
        images, dataset, data_dir, weights, subject = (_of_run if source.is_dir() else _of_file)(source, config, say)
        against = _baseline(dataset, images.shape, data_dir, config, known, step)
        protocol = {
            "dataset": dataset if dataset in DATASETS else Path(dataset).name,
            "image_size": images.shape[1],
            "channels": images.shape[3],
            "seed": config.seed,
            "weights": weights,
        }
        return evaluation.evaluate(images, against, protocol, subject, step)


def _of_run(source: Path, config: EvaluateConfig, say: Callable[[str], None]) -> tuple:
    """Images, data set, its folder, kind of weights, subject."""
    run = experiment.read_config(source)
    generator, classes, step = experiment.load_generator(source, config.raw, say, config.best)
    images = np.concatenate([chunk for chunk, _ in generate(generator, config.num, config.seed, len(classes))])
    subject = {"name": source.resolve().name, "step": step, "best": config.best}
    weights = "raw" if config.raw else "average"
    return images, config.dataset or run.dataset, config.data_dir or run.data_dir, weights, subject


def _of_file(source: Path, config: EvaluateConfig, say: Callable[[str], None]) -> tuple:
    if config.raw or config.best:
        raise UsageError("--raw and --best choose the weights of a run; a file of samples has none")
    images = read_npz(source)[: config.num]
    subject = {"name": source.name, "sha256": hashlib.sha256(images.tobytes()).hexdigest()}
    return images, config.dataset or "mnist", config.data_dir, "of a file", subject


def _baseline(
    dataset: str,
    shape: tuple[int, ...],
    data_dir: str | None,
    config: EvaluateConfig,
    known: Baselines,
    step: Callable[[str], None],
) -> evaluation.Baseline:
    _, size, _, channels = shape
    key = (dataset, size, channels, data_dir, config.num, config.seed, config.inception)
    if key not in known:
        step("real images")
        training = load_dataset(dataset, size, channels, False, data_dir, config.download)
        held_out = load_held_out(dataset, size, channels, data_dir, config.download)
        real = evaluation.real_images(training, held_out, config.num, config.seed)
        known[key] = evaluation.baseline(real, evaluation.extractor_for(dataset, channels, config.inception), step)
    return known[key]
