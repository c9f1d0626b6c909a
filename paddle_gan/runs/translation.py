"""A whole training run of a translation: from options to a run folder; as `experiment` for images from noise."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from paddle_gan.config import names
from paddle_gan.config.language import tell
from paddle_gan.config.paths import RUNS
from paddle_gan.config.translate import TranslateConfig
from paddle_gan.datasets.feed import on_disk_notice
from paddle_gan.datasets.image_set import DiskImages, all_alike
from paddle_gan.errors import UsageError
from paddle_gan.evaluation.translations import set_figures
from paddle_gan.features.extractors import random_extractor
from paddle_gan.inference.translation import translate_batch
from paddle_gan.objectives import OBJECTIVES
from paddle_gan.runs.building import precision_of
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
from paddle_gan.runs.folder import identity, name_with_digest, read_options, refuse_different
from paddle_gan.runs.length import length_of
from paddle_gan.runs.session import Session
from paddle_gan.runs.translation_building import TranslationTask, build_translation
from paddle_gan.runs.translation_data import (
    TranslationData,
    held_out_images,
    held_out_pairs,
    load_translation_data,
    translation_feed,
)
from paddle_gan.runs.translation_measures import against_targets, pixels
from paddle_gan.runs.translation_options import (
    EPOCHS,
    MOST_IMAGES_ON_CPU,
    MOST_UNPAIRED_ON_CPU,
    TranslationOptions,
    resolve_translation,
)
from paddle_gan.system import parallel
from paddle_gan.system.device import select_device
from paddle_gan.training import callbacks, checkpoint
from paddle_gan.training.diagnosis import diagnosis
from paddle_gan.training.further_logs import chosen_logs
from paddle_gan.training.loop import Callback, Values
from paddle_gan.training.schedule import SHAPES, Schedule, scheduled_rates
from paddle_gan.training.task import BatchSource, Task
from paddle_gan.training.unpaired import BUFFER_SIZE

# Held-out images that are translated at each measure of a run.
_MEASURED = 256
# What to try against faults, in options that a translation has.
_ADVICE = {
    "discriminator_saturated": "try a smaller --discriminator-learning-rate, a smaller --discriminator-depth, or "
    "--loss gan-r1",
    "generator_winning": "try a larger --discriminator-learning-rate or --discriminator-width",
    "losses_oscillate": "try smaller learning rates, or --loss gan-r1",
    "samples_alike": "the best translations so far are kept (tools/translate.py apply --best); try smaller learning "
    "rates, or larger weights of the other losses",
}


def run_translation(given: TranslateConfig, say: Say = tell) -> Path:
    """Train as `given` says; go on with the run if its folder has a checkpoint.

    Args:
        given: options that are None are filled in, see `resolve_translation`.
        say: takes one line for the user at a time.

    Returns:
        The run folder.

    Raises:
        GanError: one of its kinds, see `errors`; `Stopped` after SIGINT or SIGTERM.
    """
    device = select_device(given.device)
    with parallel.job(device):
        return _run(given, device, (lambda line: None) if parallel.rank() else say)


def read_translation(folder: Path) -> TranslationOptions:
    """The options of the translation run in `folder`, whoever wrote them; errors as for `folder.read_config`."""

    def filled(options: dict[str, Any]) -> TranslationOptions:
        lists = {name: tuple(value) for name, value in options.items() if isinstance(value, list)}
        return resolve_translation(TranslateConfig(**{**options, **lists}), "cpu")

    return read_options(folder, TranslateConfig, tuple(names.TRANSLATIONS), filled)


def resumed_translation(folder: Path, given: TranslateConfig, named: set[str]) -> TranslateConfig:
    """The options of the run in `folder`, with those in `named` taken from `given`."""
    if "out" in named:
        raise UsageError("--resume goes on in the run's own folder; leave --out out")
    changes: dict[str, Any] = {name: getattr(given, name) for name in named - {"resume"}}
    if "epochs" in named:
        changes["steps"] = None
    options = asdict(read_translation(folder)) | {"device": given.device} | changes
    return TranslateConfig(**{**options, "out": str(folder), "resume": None})


def _run(given: TranslateConfig, device: str, say: Say) -> Path:
    config = resolve_translation(given, device)
    folder = Path(config.out) if config.out else RUNS / _run_name(config)
    _refuse_other(config, folder)
    check_batch_size(config.batch_size)
    chosen_logs(config.log)
    check_buffer(config)
    precision = precision_of(config.precision, False, device)  # refused before anything is loaded
    data = load_translation_data(config)
    for notice in [*slow_notices(device), *_notices(config, data)]:
        say(f"notice: {notice}")
    steps = _steps(config, data, device)
    check_same_job(_moved(config), steps, config.minutes, config.log_every, data.fingerprint)

    def trial() -> tuple[TranslationTask, AbstractContextManager[BatchSource]]:
        # Without the steps in which the generator trains alone, which are quicker.
        return build_translation(config, data, precision, steps=0), translation_feed(config, data)

    length = length_of(folder, steps, config.minutes, trial, config.seed)
    config = replace(config, steps=length.steps, epochs=None, minutes=None)
    session = _session(config, data, folder, length.steps)
    task = build_translation(config, data, precision, length.steps)
    rate = Schedule(1.0, 0.0, length.steps, SHAPES[config.schedule])
    plan = Plan(
        task=task,
        feed=translation_feed(config, data),
        session=session,
        schedule=lambda: scheduled_rates(task, rate),
        measures=partial(_measures, config, data, task),
        refuse_other=partial(_refuse_other, config, folder),
        restore=partial(checkpoint.restore, task, session.folder / "checkpoints", session.fingerprint),
        recorded=lambda steps: asdict(replace(config, steps=steps)),
        description=_description(config, data, task, device),
        cost=length.cost,
    )
    execute(plan, say)
    return folder


def check_buffer(config: TranslationOptions) -> None:
    """The old images of `--method cyclegan` are those of one process, and all images of a batch must fit."""
    if config.method != "cyclegan":
        return
    if parallel.world_size() > 1:
        raise UsageError("--method cyclegan in several processes: it keeps old images of one process; use --method cut")
    if config.batch_size > BUFFER_SIZE:
        raise UsageError(f"--batch-size {config.batch_size} with --method cyclegan: at most {BUFFER_SIZE}")


def _run_name(config: TranslationOptions) -> str:
    folders = config.pairs or config.unpaired or (config.images or "",)
    kind = config.method or config.task
    return name_with_digest("-".join([*(Path(folder).name for folder in folders), kind]), config)


def _moved(config: TranslationOptions) -> dict[str, Any]:
    """The options that the numbers depend on, with the names of the folders only, which may have moved since."""
    bare = {name: folders and [Path(folder).name for folder in folders] for name, folders in _folders(config).items()}
    mask = {"mask": Path(config.mask).name} if config.mask else {}
    return identity(config) | bare | mask


def _folders(config: TranslationOptions) -> dict[str, tuple[str, ...] | None]:
    return {"pairs": config.pairs, "unpaired": config.unpaired, "images": (config.images,) if config.images else None}


def _refuse_other(config: TranslationOptions, folder: Path) -> None:
    if (folder / "config.json").exists():
        refuse_different(_moved(config), _moved(read_translation(folder)), folder)


def _notices(config: TranslationOptions, data: TranslationData) -> list[str]:
    """What the user should know of the images."""
    notices = []
    for images in data.training:
        notices += images.notices
        if isinstance(images.images, DiskImages):
            notices.append(on_disk_notice(images, config.workers))
        if all_alike(images):
            notices.append(f"all {len(images)} images of {images.name} are the same")
    if not len(data.held_out[0]):
        notices.append("no images are held out, so sheets show images that are trained on, and nothing is measured")
    return notices


def _steps(config: TranslationOptions, data: TranslationData, device: str) -> int | None:
    """The length in steps; None if it is given in minutes."""
    if config.steps is not None or config.minutes is not None:
        return config.steps
    images = (EPOCHS if config.epochs is None else config.epochs) * max(map(len, data.training))
    if config.epochs is None and device == "cpu":
        images = min(images, MOST_IMAGES_ON_CPU if data.pairs_of else MOST_UNPAIRED_ON_CPU)
    return max(1, round(images / config.batch_size))


def _session(config: TranslationOptions, data: TranslationData, folder: Path, steps: int) -> Session:
    return Session(
        folder=folder,
        steps=steps,
        seed=config.seed,
        log_every=config.log_every,
        sample_every=config.sample_every,
        checkpoint_every=config.checkpoint_every,
        images_per_round=config.batch_size,
        fingerprint=data.fingerprint,
        classes=(),
        hyper_parameters=identity(config),
        further_logs=chosen_logs(config.log),
        measure=callbacks.EVALUATED if data.pairs_of is None else callbacks.L1,
    )


def _measures(
    config: TranslationOptions,
    data: TranslationData,
    task: TranslationTask,
    earlier: list[dict[str, Any]],
    save_best: Callable[[Task], None],
) -> list[Callback]:
    """Measures of the translations of held-out images during training, and diagnoses."""
    total = config.steps
    assert total is not None
    diagnoses = [diagnosis(task.objective, earlier, suffix, _ADVICE) for suffix in task.directions]
    steps = steps_between_measures(config.evaluate_every, config.log_every, total)
    if not steps or min(map(len, data.held_out)) < 2:
        return diagnoses
    of_pairs = data.pairs_of is not None
    measure = _of_pairs(config, data) if of_pairs else _of_sets(data)
    chosen = callbacks.L1 if of_pairs else callbacks.EVALUATED
    return [
        callbacks.evaluation(steps, lambda _: measure(task), total),
        callbacks.keep_best(earlier, save_best, chosen),
        *diagnoses,
    ]


def _of_pairs(config: TranslationOptions, data: TranslationData) -> Callable[[TranslationTask], Values]:
    pairs = held_out_pairs(data, _MEASURED)
    inputs, figures_of = pairs.inputs.numpy(), against_targets(config, pairs)

    def measure(task: TranslationTask) -> Values:
        figures = figures_of(translate_batch(task.sampler, inputs))
        return {f"evaluation/{name}": value for name, value in figures.items()}

    return measure


def _of_sets(data: TranslationData) -> Callable[[TranslationTask], Values]:
    inputs, targets = (held_out_images(data, side, _MEASURED).numpy() for side in range(2))
    extractor, real = random_extractor(3), pixels(targets)

    def measure(task: TranslationTask) -> Values:
        figures = set_figures(translate_batch(task.sampler, inputs), real, extractor)
        return {f"evaluation/{name}": value for name, value in figures.items()}

    return measure


def _description(config: TranslationOptions, data: TranslationData, task: Task, device: str) -> str:
    """The line that says what is trained."""
    counts = " and ".join(f"{len(images)} images of {images.name}" for images in data.training)
    held_out = " and ".join(str(len(images)) for images in data.held_out)
    sizes = ", ".join(f"{name} {parameter_count(player.network):,}" for name, player in task.players.items())
    processes = f", {parallel.world_size()} processes" if parallel.world_size() > 1 else ""
    kind = f"{config.task} by {config.method}" if config.method else config.task
    return (
        f"{counts}, {held_out} more held out, {config.image_size}x{config.image_size}; {kind}, {config.loss} "
        f"({OBJECTIVES[config.loss].source}); {config.generator} generator; parameters: {sizes}; on {device}{processes}"
    )
