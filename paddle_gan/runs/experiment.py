"""A whole run: from options to a run folder. The only module that knows all the others.

A run folder holds

    config.json           every option, filled in; reproduces the run
    metrics.jsonl         one line for each logged step
    samples/step-*.png    sample grids, always from the same latents
    samples.gif           those grids as an animation, at the end
    visualdl/             curves and grids for VisualDL
    checkpoints/          what a resume needs
    best/                 the checkpoint whose samples measured nearest to the data
    generator.pdparams    the averaged generator's weights, written with each checkpoint, for paddle.load elsewhere
"""

import hashlib
import json
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import paddle.nn as nn
from paddle.utils import unique_name

from paddle_gan.backend import kernels
from paddle_gan.config.options import PROJECT, RUNS, TrainConfig, legible
from paddle_gan.datasets import ImageSet, load_dataset, load_held_out
from paddle_gan.datasets.batches import batch_indices
from paddle_gan.datasets.image_set import DiskImages, size_in_bytes
from paddle_gan.datasets.reader import reader
from paddle_gan.errors import CheckpointError, DataError, UsageError
from paddle_gan.evaluation import score as evaluation
from paddle_gan.inference.images import grid, grid_columns, save_gif, save_png
from paddle_gan.inference.sampling import generate
from paddle_gan.networks import DISCRIMINATORS, GENERATORS
from paddle_gan.networks.blocks import INITIALISERS, synchronise_norms
from paddle_gan.objectives.objective import OBJECTIVES
from paddle_gan.runs.resolve import network_arguments, objective_of, optimizer_of, precision_of, resolve
from paddle_gan.system import parallel, runtime
from paddle_gan.system.files import atomic_path, locked, make_folder, remove_leftovers, write_text
from paddle_gan.system.runtime import cpu_count, seed_all, select_device
from paddle_gan.system.signals import Stopped, stop_on_signal
from paddle_gan.training import callbacks, checkpoint
from paddle_gan.training.diagnosis import diagnosis
from paddle_gan.training.loop import BatchSource, TrainState, Values, train

_GRID_ROWS = 8
_SAMPLES_IN_RUN = 20
_EVALUATIONS_IN_RUN = 10
_LEAST_BETWEEN_EVALUATIONS = 100
# Enough for the distance to fall with every measure of a default run; tools/evaluate.py takes 10,000.
EVALUATION_SAMPLES = 2500
_CHECKPOINT_SECONDS = 60
_MOST_WORKERS_UNASKED = 4
# Options that may differ when a run goes on: how long, where, and how often something is written.
_FREE = {
    *("steps", "epochs", "preset", "device", "out", "resume", "data_dir", "download", "workers", "compile"),
    *("log_every", "sample_every", "checkpoint_every", "evaluate_every", "inception"),
}


def run(given: TrainConfig, say: Callable[[str], None] = print) -> Path:
    """Train as `given` says; go on where it was if its run folder has a checkpoint.

    Args:
        given: what is None is filled in, see `resolve`.
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


def _run(given: TrainConfig, device: str, say: Callable[[str], None]) -> Path:
    config, notices = resolve(given, device)
    if runtime.too_late and device == "cpu":
        notices.append(
            "paddle was imported before paddle_gan, so its threads could not be set; that makes a CPU several times slower"
        )
    if device == "cpu" and not kernels.available():
        notices.append(
            "convolutions by Paddle's own kernels, about half as fast as through oneDNN, which is not used or not in this Paddle"
        )
    folder = Path(config.out).expanduser() if config.out else RUNS / run_name(config)
    _refuse_other_run(config, folder)
    _check_shares(config)
    precision_of(config, device)  # refused before anything is loaded

    def load() -> ImageSet:
        return load_dataset(
            *(config.dataset, config.image_size, config.channels, config.conditional, config.data_dir, config.download),
            config.workers,
        )

    data = parallel.one_first(load) if config.download else load()
    if isinstance(data.images, DiskImages):
        notices.append(_why_on_disk(config, data))
    for notice in notices:
        say(f"notice: {notice}")
    config = replace(config, steps=config.steps or _steps(config, len(data)), epochs=None)
    fingerprint = _fingerprint(data)
    with unique_name.guard():
        state = build(config, len(data.classes))
    _check_same_job(config, fingerprint)
    if parallel.rank():
        checkpoint.share(state)
        if state.step < config.steps:
            _follow(config, data, state)
        return folder
    checkpoints = make_folder(folder / "checkpoints")
    with locked(folder):
        _refuse_other_run(config, folder)  # again: one may have come and gone while the data was loaded
        for written in (folder, folder / "best", folder / "samples"):
            remove_leftovers(written)
        checkpoint.restore(state, checkpoints, fingerprint, say)
        checkpoint.share(state)
        recorded = replace(config, steps=max(config.steps, state.step))
        write_text(folder / "config.json", json.dumps(asdict(recorded), indent=2) + "\n")
        _describe(config, data, state, folder, device, say)
        if state.step < config.steps:
            _train(config, data, state, folder, fingerprint, say)
        _animate(folder)
    say(f"done: {state.step} steps")
    return folder


def build(config: TrainConfig, classes: int) -> TrainState:
    """Networks and optimisers of a resolved configuration, at step 0.

    Args:
        config: resolved.
        classes: number of labels of the data.
    """
    seed_all("weights", config.seed)
    classes = classes if config.conditional else 0
    generator, average = (_network(GENERATORS[config.generator], config, classes) for _ in range(2))
    discriminator = _network(DISCRIMINATORS[config.discriminator], config, classes)
    average.set_state_dict(generator.state_dict())
    average.eval()
    if parallel.world_size() > 1 and paddle.get_device().startswith("gpu"):
        for network in (generator, discriminator):
            synchronise_norms(network)
    clip = paddle.nn.ClipGradByNorm(config.gradient_clip) if config.gradient_clip else None
    rates = config.generator_learning_rate, config.discriminator_learning_rate
    optimizers = (
        optimizer_of(config, rate).build([p for p in network.parameters() if p.trainable], clip)
        for network, rate in zip((generator, discriminator), rates)
    )
    return TrainState(
        *(generator, discriminator, average, *optimizers, objective_of(config), config.ema_decay),
        precision=precision_of(config, paddle.get_device()),
    )


def load_generator(
    folder: Path, raw: bool, say: Callable[[str], None], best: bool = False
) -> tuple[nn.Layer, tuple[str, ...], int]:
    """The generator of a run from its newest checkpoint, or from its best one.

    Args:
        folder: the run's.
        raw: the weights as trained, not their average.
        say: for notices.
        best: take the checkpoint whose samples measured nearest to the data.

    Returns:
        The generator in evaluation mode, the names of its classes (none if unconditional), and its step.

    Raises:
        UsageError: not a run folder. CheckpointError: no checkpoint that fits.
    """
    config = read_config(folder)
    checkpoints = folder / ("best" if best else "checkpoints")
    if best and not os.path.isdir(checkpoints):
        raise UsageError(f"{folder}: no best checkpoint, its samples were not measured; see --evaluate-every")
    manifest, arrays = checkpoint.read_newest(checkpoints, say)
    classes = tuple(manifest["classes"]) if config.conditional else ()
    generator = _network(GENERATORS[config.generator], config, len(classes))
    checkpoint.load_weights(generator, checkpoint.part(arrays, "generator" if raw else "average"), folder)
    generator.eval()
    return generator, classes, manifest["step"]


def generator_with(folder: Path, weights: Path, say: Callable[[str], None]) -> tuple[nn.Layer, tuple[str, ...]]:
    """The generator of a run with the weights of a .pdparams or .safetensors file instead of its own.

    Args:
        folder: the run's; it needs a checkpoint only if it is conditional, for the names of its classes.
        weights: whoever wrote it, nothing in it is executed.
        say: for notices.

    Returns:
        The generator in evaluation mode, and the names of its classes (none if unconditional).

    Raises:
        UsageError: not a run folder, no such file. CheckpointError: the file is damaged or of another network.
    """
    config = read_config(folder)
    arrays = checkpoint.read_weights(weights)
    classes = tuple(checkpoint.read_newest(folder / "checkpoints", say)[0]["classes"]) if config.conditional else ()
    generator = _network(GENERATORS[config.generator], config, len(classes))
    checkpoint.load_weights(generator, arrays, weights)
    generator.eval()
    return generator, classes


def read_config(folder: Path) -> TrainConfig:
    """The options of the run in `folder`, whoever wrote them.

    Raises:
        UsageError: no run there. CheckpointError: its config.json is damaged, of another version, or holds
            what the command line would refuse.
    """
    path = folder / "config.json"
    if not os.path.isfile(path):
        raise UsageError(f"{folder}: not a run folder, it has no config.json")
    try:
        options = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(options, dict):
            raise UsageError("it holds no options")
        unknown = options.keys() - {field.name for field in fields(TrainConfig)}
        if unknown:
            raise UsageError(f"it has options that this version does not know, as {legible(min(unknown))}")
        # What a run of ours has written stays as it is; of others', what is left open is filled, and what does not go
        # together is refused, as on the command line.
        return resolve(TrainConfig(**options), "cpu")[0]
    except (OSError, ValueError, RuntimeError, UsageError) as error:
        raise CheckpointError(f"{path}: cannot be used ({error})") from error


def resumed(folder: Path, given: TrainConfig, named: set[str]) -> TrainConfig:
    """The options of the run in `folder`, with those in `named` taken from `given`."""
    if named & {"out", "preset"}:
        raise UsageError("--resume goes on in the run's own folder with its own options; leave --out and --preset out")
    changes: dict[str, Any] = {name: getattr(given, name) for name in named - {"resume"}}
    if "epochs" in named:
        changes["steps"] = None
    return replace(read_config(folder), **{"device": given.device, **changes, "out": str(folder), "resume": None})


def identity(config: TrainConfig) -> dict[str, Any]:
    """The options that the numbers of a run depend on."""
    return {name: value for name, value in asdict(config).items() if name not in _FREE}


def run_name(config: TrainConfig) -> str:
    """A folder name for a resolved configuration: readable, and different where the numbers would be."""
    digest = hashlib.sha256(json.dumps(identity(config), sort_keys=True).encode()).hexdigest()[:6]
    conditional = "-conditional" if config.conditional else ""
    return f"{Path(config.dataset).name}-{config.loss}-{config.generator}{conditional}-{digest}"


def _network(network: Callable[..., nn.Layer], config: TrainConfig, classes: int) -> nn.Layer:
    layer = network(**network_arguments(network, config, classes))
    if initialise := INITIALISERS[config.init]:
        initialise(layer)
    return layer


def _refuse_other_run(config: TrainConfig, folder: Path) -> None:
    """A folder may hold one run only: the one of these options."""
    if not (folder / "config.json").exists():
        return
    # A data folder may have moved since.
    mine, theirs = (identity(replace(c, dataset=Path(c.dataset).name)) for c in (config, read_config(folder)))
    different = [f"{name} {theirs[name]} -> {mine[name]}" for name in mine if theirs[name] != mine[name]]
    if different:
        raise UsageError(f"{folder} holds another run ({', '.join(different)}); name another folder with --out")


def _check_shares(config: TrainConfig) -> None:
    """A batch is divided evenly among the processes, and BatchNorm needs two samples in each."""
    processes = parallel.world_size()
    if processes > 1 and (config.batch_size % processes or config.batch_size < 2 * processes):
        raise UsageError(
            f"--batch-size {config.batch_size}: {processes} processes share it; "
            f"take a multiple of {processes}, at least {2 * processes}"
        )


def _check_same_job(config: TrainConfig, fingerprint: str) -> None:
    """The processes of a job, which may be on several machines, must have been started alike and see the same data."""
    mine = identity(replace(config, dataset=Path(config.dataset).name))
    text = json.dumps([mine, config.steps, config.log_every, fingerprint])
    if parallel.from_first(text) != text:
        raise UsageError(
            f"process {parallel.rank()} was started with other options than process 0, or finds other data; "
            "start every machine with the same command and the same files"
        )


def _follow(config: TrainConfig, data: ImageSet, state: TrainState) -> None:
    """What the processes after the first do: they train, and write nothing."""
    with stop_on_signal() as stop, batch_source(config, data, state.generator.value_range) as batches:
        try:
            parallel.meet()
            train(state, batches, config.steps, config.seed, config.log_every, [stop])
        except Stopped:
            parallel.meet()  # process 0 has saved; the launcher would give it three seconds once this process has ended
            raise


def _steps(config: TrainConfig, count: int) -> int:
    images = config.batch_size * config.discriminator_steps
    return max(1, round(config.epochs * count / images))


def _workers(config: TrainConfig) -> int:
    """Threads that read images, where those stay on the disk."""
    return min(cpu_count(), _MOST_WORKERS_UNASKED) if config.workers is None else config.workers


def _why_on_disk(config: TrainConfig, data: ImageSet) -> str:
    why = "as --workers asks"
    if config.workers is None:
        why = f"they would take {size_in_bytes(data) / 2**30:.1f} GiB, more than a quarter of the free memory"
    how = f"{_workers(config)} threads" if _workers(config) else "the step itself"
    return f"the images stay on the disk and are read by {how} while training: {why}"


@contextmanager
def batch_source(config: TrainConfig, data: ImageSet, value_range: tuple[float, float]) -> Iterator[BatchSource]:
    """Batches of images that lie on a GPU, in the host's memory or on the disk, made on the device."""
    low, high = value_range
    labels = paddle.to_tensor(data.labels) if config.conditional else None

    def indices(number: int) -> np.ndarray:
        return parallel.mine(batch_indices(len(data), config.batch_size, config.seed, number))

    def batch_from(images: Callable[[int], paddle.Tensor]) -> BatchSource:
        def batch(number: int):
            real = images(number).astype("float32") * ((high - low) / 255) + low
            return real, None if labels is None else paddle.gather(labels, paddle.to_tensor(indices(number)))

        return batch

    if _stays_on_gpu(data):
        resident = paddle.to_tensor(data.images)
        yield batch_from(lambda number: paddle.gather(resident, paddle.to_tensor(indices(number))))
        return
    # As many ahead as the next round takes, and one more, so that the threads have work also while it takes them.
    with reader(data.images, indices, _workers(config), config.discriminator_steps + 1) as images:
        yield batch_from(lambda number: paddle.to_tensor(images(number)))


def _stays_on_gpu(data: ImageSet) -> bool:
    """Whether all images of a set are kept on the GPU: there is one, and they take a quarter of its memory at most."""
    if not paddle.get_device().startswith("gpu") or isinstance(data.images, DiskImages):
        return False
    return size_in_bytes(data) <= paddle.device.cuda.get_device_properties().total_memory / 4


def _train(
    config: TrainConfig, data: ImageSet, state: TrainState, folder: Path, fingerprint: str, say: Callable[[str], None]
) -> None:
    samples = make_folder(folder / "samples")
    metrics = folder / "metrics.jsonl"
    classes = len(data.classes) if config.conditional else 0
    columns = grid_columns(classes)

    def save_samples(state: TrainState) -> None:
        images, _ = next(generate(state.average, columns * _GRID_ROWS, config.seed, classes))
        save_png(samples / f"step-{state.step:08d}.png", grid(images, columns))

    def save_best(state: TrainState) -> None:
        checkpoint.save(state, make_folder(folder / "best"), fingerprint, data.classes, keep=1)

    def save_checkpoint(state: TrainState) -> None:
        checkpoint.save(state, folder / "checkpoints", fingerprint, data.classes)
        with atomic_path(folder / "generator.pdparams") as temporary:
            paddle.save(state.average.state_dict(), str(temporary))

    def batch(number: int):
        try:
            return batches(number)
        except DataError:
            if state.step:
                save_checkpoint(state)  # nothing of this round has been done
            raise

    earlier = callbacks.read_metrics(metrics, state.step)
    for path in samples.glob("step-*.png"):
        if int(path.stem.removeprefix("step-")) > state.step:
            path.unlink()
    if state.step == 0:
        save_samples(state)
    sample_every = config.sample_every or max(1, config.steps // _SAMPLES_IN_RUN)
    with ExitStack() as stack:
        log = stack.enter_context(callbacks.metrics_log(metrics, state.step))
        visualdl = stack.enter_context(callbacks.visualdl_log(folder / "visualdl", metrics, samples, identity(config)))
        stop = stack.enter_context(stop_on_signal())
        batches = stack.enter_context(batch_source(config, data, state.generator.value_range))
        progress = stack.enter_context(callbacks.progress(config.steps, state.step, say))
        if config.checkpoint_every:
            checkpoints = callbacks.every(config.checkpoint_every, save_checkpoint, config.steps)
        else:
            checkpoints = callbacks.every_seconds(_CHECKPOINT_SECONDS, save_checkpoint, config.steps)
        chain = [
            callbacks.rates(config.batch_size * config.discriminator_steps),
            *_evaluation(config, data, classes, earlier, save_best),
            diagnosis(state.objective, earlier),
            log,
            callbacks.every(sample_every, save_samples, config.steps),
            visualdl,
            progress,
            checkpoints,
            stop,
        ]
        try:
            parallel.meet()
            train(state, batch, config.steps, config.seed, config.log_every, chain)
        except Stopped:
            save_checkpoint(state)
            parallel.meet()
            raise


def _evaluation(
    config: TrainConfig,
    data: ImageSet,
    classes: int,
    earlier: list[dict[str, Any]],
    save_best: Callable[[TrainState], None],
) -> list[callbacks.Callback]:
    """The measures while training, if any fall within the run."""
    steps = config.evaluate_every
    if steps is None:
        least = max(_LEAST_BETWEEN_EVALUATIONS, config.steps / _EVALUATIONS_IN_RUN)
        steps = config.log_every * math.ceil(least / config.log_every)
    if not 0 < steps <= config.steps or len(data) < evaluation.LEAST_IMAGES:
        return []

    @cache
    def measure_generator() -> Callable[[nn.Layer, int, int], Values]:
        held_out = load_held_out(config.dataset, config.image_size, config.channels, config.data_dir, config.download)
        reference = evaluation.reference_images(data, held_out, evaluation.MOST_REAL, config.seed)
        extractor = evaluation.extractor_for(config.dataset, config.channels, config.inception)
        return evaluation.monitor(extractor, reference, EVALUATION_SAMPLES)

    def measure(state: TrainState) -> Values:
        return measure_generator()(state.average, config.seed, classes)

    best = min((line[callbacks.EVALUATED] for line in earlier if callbacks.EVALUATED in line), default=math.inf)
    return [callbacks.evaluation(steps, measure, config.steps), callbacks.keep_best(best, save_best)]


def _animate(folder: Path) -> None:
    frames = sorted((folder / "samples").glob("step-*.png"))
    if frames:
        save_gif(folder / "samples.gif", frames)


def _fingerprint(data: ImageSet) -> str:
    """A hash of all that training sees of a data set, or of the files that it comes from."""
    if data.fingerprint:
        return data.fingerprint
    digest = hashlib.sha256(np.ascontiguousarray(data.images))
    if data.labels is not None:
        digest.update(data.labels.tobytes() + repr(data.classes).encode())
    return digest.hexdigest()


def _describe(
    config: TrainConfig, data: ImageSet, state: TrainState, folder: Path, device: str, say: Callable[[str], None]
) -> None:
    parameters = [
        sum(p.size for p in network.parameters() if p.trainable) for network in (state.generator, state.discriminator)
    ]
    labels = f" in {len(data.classes)} classes" if config.conditional else ""
    processes = f", {parallel.world_size()} processes" if parallel.world_size() > 1 else ""
    say(
        f"{len(data)} images of {data.name}{labels}, {config.image_size}x{config.image_size}x{config.channels}; "
        f"{config.loss} ({OBJECTIVES[config.loss].source}); "
        f"{config.generator} generator ({parameters[0]:,} parameters), {config.discriminator} discriminator ({parameters[1]:,}); on {device}{processes}"
    )
    say(f"run folder: {_shown(folder)}")
    if state.step >= config.steps:
        say(
            f"this run is complete at step {state.step}; a larger --steps or --epochs goes on, --out or --seed starts another"
        )
    elif state.step:
        say(f"going on from step {state.step} of {config.steps}")


def summary(folder: Path) -> list[str]:
    """Lines for a user that say where the results of a finished run are, with commands that show them."""
    shown = _shown(folder)
    lines = []
    samples = sorted((folder / "samples").glob("step-*.png"))
    if samples:
        lines += [
            f"  samples     {shown / 'samples' / samples[-1].name}",
            f"  animation   {shown / 'samples.gif'}",
        ]
    lines += [f"  weights     {shown / 'generator.pdparams'}"]
    if (PROJECT / "tools").exists():
        lines += [
            f"  curves      {tool_command('board', folder)}",
            f"  more        {tool_command('sample', folder, '--num', 1000, '--npz', 'samples.npz')}",
            f"  measures    {tool_command('evaluate', folder)}",
        ]
    return lines


def tool_command(tool: str, folder: Path, *options: object) -> str:
    """The command that starts tools/TOOL.py with `folder`, as it can be written from here."""
    program = _shown(PROJECT / "tools" / f"{tool}.py")
    return shlex.join(map(str, (_shown(Path(sys.executable)), program, _shown(folder), *options)))


def _shown(path: Path) -> Path:
    """A path as short as it can be written from here."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
