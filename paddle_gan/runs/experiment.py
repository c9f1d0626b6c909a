"""A whole training run: from options to a run folder.

Options are filled in (`resolve`), data is loaded, the task is built (`building`), brought to its last checkpoint, and
trained in its folder (`session`). See `folder` for what a run folder holds.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import paddle.nn as nn

from paddle_gan.backend import kernels
from paddle_gan.config.paths import RUNS
from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import DATASETS, ImageSet, load_dataset, load_held_out
from paddle_gan.datasets.feed import BatchFeed, on_disk_notice
from paddle_gan.datasets.image_set import DiskImages, fingerprint
from paddle_gan.errors import UsageError
from paddle_gan.evaluation.real_images import LEAST_IMAGES, MOST_REAL, reference_images
from paddle_gan.evaluation.score import extractor_for, monitor
from paddle_gan.features.clusters import Clusters
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.runs.building import batch_feed, build, precision_of, schedules_of
from paddle_gan.runs.clusters import run_clusters, save_clusters
from paddle_gan.runs.data import data_notices, folder_options, with_channels, with_classes_of_run
from paddle_gan.runs.folder import identity, refuse_other_run, run_name, short_path
from paddle_gan.runs.resolve import RunOptions, resolve
from paddle_gan.runs.session import Session, animate, follow_session, train_session
from paddle_gan.system import parallel, runtime
from paddle_gan.system.device import select_device
from paddle_gan.system.files import locked, make_folder, remove_leftovers, write_text
from paddle_gan.training import callbacks, checkpoint
from paddle_gan.training.diagnosis import diagnosis
from paddle_gan.training.loop import Callback, Values
from paddle_gan.training.noise_to_image import NoiseToImage
from paddle_gan.training.schedule import scheduled
from paddle_gan.training.state import share
from paddle_gan.training.task import Task

_EVALUATIONS_IN_RUN = 10
_LEAST_BETWEEN_EVALUATIONS = 100
# Enough for the distance to fall with every measure of a default run; tools/evaluate.py takes 10,000.
EVALUATION_SAMPLES = 2500

Say = Callable[[str], None]


def run(given: TrainConfig, say: Say = print) -> Path:
    """Train as `given` says; go on with the run if its folder has a checkpoint.

    Args:
        given: options that are None are filled in, see `resolve`.
        say: takes one line for the user at a time.

    Returns:
        The run folder.

    Raises:
        GanError: one of its kinds, see `errors`; `Stopped` after SIGINT or SIGTERM.
    """
    if given.resume:
        raise UsageError(
            "a run goes on from its folder with resumed(folder, ...), which tools/train.py does for --resume"
        )
    device = select_device(given.device)
    with parallel.job(device):
        return _run(given, device, (lambda line: None) if parallel.rank() else say)


def _run(given: TrainConfig, device: str, say: Say) -> Path:
    without_data = resolve(given, device).config
    check_before_data(without_data, device)
    config, notices = resolve(with_channels(given, without_data), device)
    folder = Path(config.out).expanduser() if config.out else RUNS / run_name(config)
    refuse_other_run(config, folder)
    data = _load(config)
    if config.dataset not in DATASETS:
        data = with_classes_of_run(data, folder, say)
    for notice in [*notices, *_slow_notices(device), *_disk_notices(config, data), *data_notices(data)]:
        say(f"notice: {notice}")
    steps = config.steps or _steps(config, len(data))
    config = replace(config, steps=steps, epochs=None)
    session = _session(config, data, folder, steps)
    _check_same_job(config, session.fingerprint)
    clusters = run_clusters(config, data, session.fingerprint, folder, say)
    task = build(config, len(data.classes), clusters.shares if clusters else None)
    feed = batch_feed(config, data, task, clusters.labels if clusters else None)
    if parallel.rank():
        share(task)
        if task.step < session.steps:
            follow_session(task, feed, session, scheduled(task, schedules_of(config, session.steps)))
    else:
        _write(config, data, clusters, task, feed, session, device, say)
    return folder


def _write(
    config: RunOptions,
    data: ImageSet,
    clusters: Clusters | None,
    task: NoiseToImage,
    feed: BatchFeed,
    session: Session,
    device: str,
    say: Say,
) -> None:
    """The part of the process that writes the run folder."""
    folder = session.folder
    checkpoints = make_folder(folder / "checkpoints")
    with locked(folder):
        refuse_other_run(config, folder)  # again: one may have come and gone while the data was loaded
        for written in (folder, folder / "best", session.samples):
            remove_leftovers(written)
        checkpoint.restore(task, checkpoints, session.fingerprint, say)
        share(task)
        if clusters and not task.step:
            save_clusters(clusters, session.fingerprint, folder)
        recorded = replace(config, steps=max(session.steps, task.step))
        write_text(folder / "config.json", json.dumps(asdict(recorded), indent=2) + "\n")
        _describe(config, data, task, session, device, say)
        if task.step < session.steps:
            measures = partial(_measures, config, data, task, session.steps)
            schedule = scheduled(task, schedules_of(config, session.steps))
            train_session(task, feed, session, schedule, measures, say)
        animate(folder)
    say(f"done: {task.step} steps")


def _load(config: RunOptions) -> ImageSet:
    load = partial(
        load_dataset,
        config.dataset,
        image_size=config.image_size,
        channels=config.channels,
        labelled=config.conditional,
        data_dir=config.data_dir,
        download=config.download,
        workers=config.workers,
        folder=folder_options(config),
    )
    return parallel.local_process_0_first(load) if config.download else load()


def _session(config: RunOptions, data: ImageSet, folder: Path, steps: int) -> Session:
    return Session(
        folder=folder,
        steps=steps,
        seed=config.seed,
        log_every=config.log_every,
        sample_every=config.sample_every,
        checkpoint_every=config.checkpoint_every,
        images_per_round=config.batch_size * config.discriminator_steps,
        fingerprint=fingerprint(data),
        classes=data.classes,
        hyper_parameters=identity(config),
    )


def _slow_notices(device: str) -> list[str]:
    """Why a CPU is slower than it could be, if it is."""
    notices = []
    if device == "cpu" and runtime.prepare():
        notices.append(
            "paddle was imported before paddle_gan, so its threads could not be set; "
            "that makes a CPU several times slower"
        )
    if device == "cpu" and not kernels.available():
        notices.append(
            "convolutions run on Paddle's own kernels, about half as fast as through oneDNN, which is turned off or "
            "not part of this Paddle"
        )
    return notices


def _disk_notices(config: RunOptions, data: ImageSet) -> list[str]:
    return [on_disk_notice(data, config.workers)] if isinstance(data.images, DiskImages) else []


def check_before_data(config: RunOptions, device: str) -> None:
    """Raise a UsageError for what can be refused before anything is loaded."""
    check_batch_size(config)
    precision_of(config, device)


def check_batch_size(config: RunOptions) -> None:
    """A global batch is divided evenly among the processes, and BatchNorm needs two samples in each."""
    processes = parallel.world_size()
    if processes > 1 and (config.batch_size % processes or config.batch_size < 2 * processes):
        raise UsageError(
            f"--batch-size {config.batch_size}: {processes} processes share it; "
            f"take a multiple of {processes}, at least {2 * processes}"
        )


def _check_same_job(config: RunOptions, data: str) -> None:
    """The processes of a job, maybe on several machines, must have been started alike and see the same data."""
    mine = identity(replace(config, dataset=Path(config.dataset).name))
    text = json.dumps([mine, config.steps, config.log_every, data])
    if parallel.broadcast_text(text) != text:
        raise UsageError(
            f"process {parallel.rank()} was started with other options than process 0, or finds other data; "
            "start every machine with the same command and the same files"
        )


def _steps(config: RunOptions, count: int) -> int:
    """The length in steps of a length in epochs of so many images."""
    assert config.epochs is not None, "resolve fills in the steps unless there are epochs"
    return max(1, round(config.epochs * count / (config.batch_size * config.discriminator_steps)))


def _measures(
    config: RunOptions,
    data: ImageSet,
    task: NoiseToImage,
    total: int,
    earlier: list[dict[str, Any]],
    save_best: Callable[[Task], None],
) -> list[Callback]:
    """Measures of the samples during training, if any fall within its `total` steps, and diagnoses."""
    diagnose = diagnosis(task.objective, earlier)
    steps = config.evaluate_every
    if steps is None:
        least = max(_LEAST_BETWEEN_EVALUATIONS, total / _EVALUATIONS_IN_RUN)
        steps = config.log_every * math.ceil(least / config.log_every)
    if not 0 < steps <= total or len(data) < LEAST_IMAGES:
        return [diagnose]
    measure_generator = cache(partial(_monitor, config, data))  # made at the first measure

    def measure(_: Task) -> Values:
        return measure_generator()(task.sampler, config.seed, task.classes)

    best = min((line[callbacks.EVALUATED] for line in earlier if callbacks.EVALUATED in line), default=math.inf)
    return [callbacks.evaluation(steps, measure, total), callbacks.keep_best(best, save_best), diagnose]


def _monitor(config: RunOptions, data: ImageSet) -> Callable[[nn.Layer, int, int], Values]:
    """The quick evaluation of a run: a function of (generator, seed, classes) to the values to log."""
    held_out = load_held_out(
        config.dataset,
        image_size=config.image_size,
        channels=config.channels,
        data_dir=config.data_dir,
        download=config.download,
        folder=folder_options(config),
    )
    reference = reference_images(data, held_out, MOST_REAL, config.seed)
    extractor = extractor_for(config.dataset, config.channels, config.inception)
    return monitor(extractor, reference, EVALUATION_SAMPLES)


def _describe(config: RunOptions, data: ImageSet, task: Task, session: Session, device: str, say: Say) -> None:
    sizes = {name: _parameters(player.network) for name, player in task.players.items()}
    labels = f" in {len(data.classes)} classes" if config.conditional else ""
    if "shares" in task.buffers:
        labels += f" in {task.buffers['shares'].shape[1]} clusters"
    processes = f", {parallel.world_size()} processes" if parallel.world_size() > 1 else ""
    say(
        f"{len(data)} images of {data.name}{labels}, {config.image_size}x{config.image_size}x{config.channels}; "
        f"{config.loss} ({OBJECTIVES[config.loss].source}); "
        f"{config.generator} generator ({sizes['generator']:,} parameters), "
        f"{config.discriminator} discriminator ({sizes['discriminator']:,}); on {device}{processes}"
    )
    say(f"run folder: {short_path(session.folder)}")
    if task.step >= session.steps:
        say(
            f"this run is complete at step {task.step}; a larger --steps or --epochs goes on, --out or --seed starts "
            "another"
        )
    elif task.step:
        say(f"going on from step {task.step} of {session.steps}")


def _parameters(network: nn.Layer) -> int:
    return sum(parameter.size for parameter in network.parameters() if parameter.trainable)
