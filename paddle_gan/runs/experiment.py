"""A whole training run: from options to a run folder.

Options are filled in (`resolve`), data is loaded, the task is built (`building`), brought to its last checkpoint, and
trained in its folder (`session`). See `folder` for what a run folder holds.
"""

import os
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import paddle.nn as nn

from paddle_gan.config.language import tell
from paddle_gan.config.sizes import shown, sides
from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import DATASETS, ImageSet, load_dataset, load_held_out
from paddle_gan.datasets.feed import BatchFeed, on_disk_notice
from paddle_gan.datasets.image_set import DiskImages, fingerprint
from paddle_gan.errors import UsageError
from paddle_gan.evaluation.monitoring import copy_monitor, monitor
from paddle_gan.evaluation.real_images import LEAST_IMAGES, MOST_REAL, reference_images
from paddle_gan.evaluation.score import extractor_for
from paddle_gan.features.extractors import name_of_unnamed
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.runs.augmentation import automatic_notice, save_sheet
from paddle_gan.runs.branch import begin as begin_branch
from paddle_gan.runs.branch import continued
from paddle_gan.runs.building import batch_feed, build, precision_of, schedules_of
from paddle_gan.runs.clusters import run_clusters, save_clusters
from paddle_gan.runs.data import data_notices, folder_options, with_channels_of_run, with_classes_of_run
from paddle_gan.runs.execution import (
    Plan,
    Say,
    check_batch_size,
    check_same_job,
    execute,
    parameter_count,
    slow_notices,
    steps_between_measures,
)
from paddle_gan.runs.folder import (
    has_new_data_name,
    identity,
    read_origin,
    recorded,
    refuse_other_run,
    run_folder,
)
from paddle_gan.runs.length import length_of
from paddle_gan.runs.resolve import RunOptions, resolve
from paddle_gan.runs.session import Session
from paddle_gan.runs.starting import completed, start
from paddle_gan.system import parallel
from paddle_gan.system.device import select_device
from paddle_gan.training import callbacks, checkpoint
from paddle_gan.training.diagnosis import diagnosis
from paddle_gan.training.further_logs import chosen_logs
from paddle_gan.training.loop import Callback, Values
from paddle_gan.training.noise_to_image import NoiseToImage
from paddle_gan.training.schedule import scheduled
from paddle_gan.training.task import Task

# Enough for the distance to fall with every measure of a default run; tools/evaluate.py takes 10,000.
EVALUATION_SAMPLES = 2500
# In more training images, copies take long to find, and are hardly made.
_MOST_SEARCHED_FOR_COPIES = 10_000


def run(given: TrainConfig, say: Say = tell) -> Path:
    """Train as `given` says; go on with the run if its folder has a checkpoint.

    Args:
        given: options that are None are filled in, see `resolve`.
        say: takes one line for the user at a time.

    Returns:
        The run folder.

    Raises:
        GanError: one of its kinds, see `errors`; `Stopped` after SIGINT or SIGTERM.
    """
    if given.resume and given.resume_step is None:
        raise UsageError(
            "a run goes on from its folder with paddle_gan.resume(folder), which tools/train.py does for --resume"
        )
    device = select_device(given.device)
    with parallel.job(device):
        return _run(given, device, (lambda line: None) if parallel.rank() else say)


def resume(folder: str | Path, say: Say = tell, **options: Any) -> Path:
    """Go on with the run in a folder with its own options; with `out=OTHER` as a branch, which may have some others.

    Args:
        folder: of the run.
        say: takes one line for the user at a time.
        options: of `TrainConfig`, those that change: `steps`, or for a branch also the learning rate and so on.

    Returns:
        The folder of the run, or of the branch.

    Raises:
        UsageError: an option that may not change. GanError: as for `run`.
    """
    known = {field.name for field in fields(TrainConfig)}
    if unknown := sorted(options.keys() - known):
        raise UsageError(f"there is no option {unknown[0]}")
    given = TrainConfig(resume=str(folder), **options)
    return run(continued(Path(folder).expanduser(), given, {"resume", *options}, say), say)


def _run(given: TrainConfig, device: str, say: Say) -> Path:
    given = completed(given)
    without_data = resolve(given, device).config
    check_before_data(without_data, device)
    given, data = with_channels_of_run(given, without_data), None
    if given.channels is None and given.dataset not in DATASETS:
        data = _load(without_data, channels=None)
        given = replace(given, channels=data.images.shape[1])
    config, notices = resolve(given, device)
    folder = run_folder(config)
    refuse_other_run(config, folder)
    if data is None:
        data = _load(config, config.channels)
    if config.dataset not in DATASETS:
        data = with_classes_of_run(data, folder, say)
    for notice in [*notices, *slow_notices(device), *_notices(config, data)]:
        say(f"notice: {notice}")
    data_fingerprint = fingerprint(data)
    steps = _steps(config, len(data))
    mine = identity(replace(config, dataset=Path(config.dataset).name))
    check_same_job(mine, steps, config.minutes, config.log_every, data_fingerprint)
    has_clusters = folder if (folder / "config.json").exists() or not config.resume else Path(config.resume)
    clusters = run_clusters(config, data, data_fingerprint, has_clusters, say)

    def begun() -> tuple[NoiseToImage, BatchFeed]:
        task = build(config, len(data.classes), clusters.shares if clusters else None, len(data))
        return task, batch_feed(config, data, task, clusters.labels if clusters else None)

    length = length_of(folder, steps, config.minutes, begun, config.seed, new=config.resume is None)
    config = replace(config, steps=length.steps, epochs=None, minutes=None)
    session = _session(config, data, folder, length.steps, data_fingerprint)
    task, feed = begun()

    origin: dict[str, Any] = {}

    def restore(say: Say) -> None:
        origin.update(read_origin(folder))
        if config.resume and "branch" not in origin:
            origin["branch"] = begin_branch(config, folder, say)
        same_data = has_new_data_name(config, folder)
        checkpoint.restore(task, folder / "checkpoints", session.fingerprint, say, same_data)
        if config.start_from and not task.step:
            origin["start"] = start(task, Path(config.start_from), say)

    def begin() -> None:
        if clusters:
            save_clusters(clusters, session.fingerprint, folder)
        if task.augmentation.transformations:
            value_range = task.generator.network.value_range
            save_sheet(folder / "augmented.png", data, task.augmentation, value_range, config.seed)

    plan = Plan(
        task=task,
        feed=feed,
        session=session,
        schedule=lambda: scheduled(task, schedules_of(config, session.steps)),
        measures=partial(_measures, config, data, task, session.steps),
        refuse_other=partial(refuse_other_run, config, folder),
        restore=restore,
        recorded=lambda steps: recorded(replace(config, steps=steps), origin),
        description=_description(config, data, task, device),
        cost=length.cost,
        begin=begin,
    )
    execute(plan, say)
    return folder


def _load(config: RunOptions, channels: int | None) -> ImageSet:
    load = partial(
        load_dataset,
        config.dataset,
        image_size=config.image_size,
        channels=channels,
        labelled=config.conditional,
        data_dir=config.data_dir,
        download=config.download,
        workers=config.workers,
        folder=folder_options(config),
    )
    return parallel.local_process_0_first(load) if config.download else load()


def _session(config: RunOptions, data: ImageSet, folder: Path, steps: int, data_fingerprint: str) -> Session:
    return Session(
        folder=folder,
        steps=steps,
        seed=config.seed,
        log_every=config.log_every,
        sample_every=config.sample_every,
        checkpoint_every=config.checkpoint_every,
        images_per_round=config.batch_size * config.discriminator_steps,
        fingerprint=data_fingerprint,
        classes=data.classes,
        hyper_parameters=identity(config),
        further_logs=chosen_logs(config.log),
    )


def _notices(config: RunOptions, data: ImageSet) -> list[str]:
    """Where the images are, what is strange about them, and what follows from their number."""
    on_disk = [on_disk_notice(data, config.workers)] if isinstance(data.images, DiskImages) else []
    few = []
    if config.evaluate_every != 0 and len(data) < LEAST_IMAGES:
        few = [f"{len(data)} images are too few to measure during training, which takes {LEAST_IMAGES} or more"]
    return [*on_disk, *data_notices(data), *few, *automatic_notice(config, len(data))]


def check_before_data(config: RunOptions, device: str) -> None:
    """Raise a UsageError for what can be refused before anything is loaded."""
    check_batch_size(config.batch_size)
    chosen_logs(config.log)
    precision_of(config.precision, config.compile, device)
    out = run_folder(config)
    for place in (out, *out.parents):
        if os.path.exists(place) and not place.is_dir():
            raise UsageError(f"--out {out}: {place} is a file; name a folder")


def _steps(config: RunOptions, count: int) -> int | None:
    """The length in steps, also of a length in epochs of so many images; None if it is given in minutes."""
    if config.epochs is None:
        return config.steps
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
    steps = steps_between_measures(config.evaluate_every, config.log_every, total)
    if not steps or len(data) < LEAST_IMAGES:
        return [diagnose]
    measure_generator = cache(partial(_monitor, config, data))  # made at the first measure

    def measure(_: Task) -> Values:
        return measure_generator()(task.sampler, config.seed, task.classes)

    features = name_of_unnamed(config.dataset, config.inception)
    measured = [{callbacks.FEATURES: features} | line for line in earlier]
    return [callbacks.evaluation(steps, measure, total), callbacks.keep_best(measured, save_best), diagnose]


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
    extractor = extractor_for(config.dataset, config.image_size, config.channels, config.inception)
    copies = copy_monitor(data, reference) if len(data) <= _MOST_SEARCHED_FOR_COPIES else None
    return monitor(extractor, reference.images, EVALUATION_SAMPLES, copies)


def _description(config: RunOptions, data: ImageSet, task: NoiseToImage, device: str) -> str:
    """The line that says what is trained."""
    sizes = {name: parameter_count(player.network) for name, player in task.players.items()}
    labels = f" in {len(data.classes)} classes" if config.conditional else ""
    if "shares" in task.buffers:
        labels += f" in {task.buffers['shares'].shape[1]} clusters"
    processes = f", {parallel.world_size()} processes" if parallel.world_size() > 1 else ""
    return (
        f"{len(data)} images of {data.name}{labels}, {shown(*sides(config.image_size), config.channels)}; "
        f"{config.loss} ({OBJECTIVES[config.loss].source}); "
        f"{config.generator} generator ({sizes['generator']:,} parameters), "
        f"{config.discriminator} discriminator ({sizes['discriminator']:,}); on {device}{processes}"
    )
