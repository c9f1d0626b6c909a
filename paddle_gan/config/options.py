"""The options of a run as data: one frozen dataclass for each command. Free of Paddle, so that --help is quick.

None means "not given": `resolve.resolve` fills it from the preset, the objective's recipe, the
network or the data set. `config.json` of a run holds the filled one.
"""

import ast
import ipaddress
import os
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from paddle_gan.errors import UsageError


def option(default: Any, group: str, help: str, choices: tuple[str, ...] = ()) -> Any:
    """A field with what the command line says of it."""
    return field(default=default, metadata={"group": group, "help": help, "choices": choices})


def _names(module: str, table: str) -> tuple[str, ...]:
    """The keys of a dict literal in a module of this package, read without importing it.

    The dicts of objectives and networks are the only list of what there is, but their modules import
    Paddle, which takes seconds that `--help` should not cost.
    """
    tree = ast.parse((Path(__file__).parent.parent / module).read_text(encoding="utf-8"))
    for node in tree.body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and target.id == table and isinstance(node.value, ast.Dict):
            return tuple(ast.literal_eval(key) for key in node.value.keys if key)
    raise LookupError(f"{module} has no dict {table}")


LOSSES = _names("objectives/objective.py", "OBJECTIVES")
LOSS_ALIASES = {"bce": "gan", "mse": "lsgan", "wgan_gp": "wgan-gp"}
GENERATORS = _names("networks/__init__.py", "GENERATORS")
DISCRIMINATORS = _names("networks/__init__.py", "DISCRIMINATORS")
NORMS = _names("networks/blocks.py", "NORMS")
INITIALISERS = _names("networks/blocks.py", "INITIALISERS")
OPTIMIZERS = _names("objectives/optimizers.py", "OPTIMIZERS")
PRESETS = _names("runs/resolve.py", "PRESETS")
BENCHMARKS = _names("studies/modes.py", "BENCHMARKS")
IMAGE_SIZES = (28, 32, 64, 128)
MOST_WORKERS = 64
PRECISIONS = ("float32", "bfloat16", "float16")
PROJECT = Path(__file__).resolve().parents[2]
# In the project's own work/ in a checkout; where one works when the package is installed.
RUNS = (PROJECT if (PROJECT / "work" / "ConvBN.py").exists() else Path.cwd()) / "work" / "runs"
PEERS = ("torch", "writeup")
GROWTHS = ("batch", "width", "image-size", "data")

_POSITIVE = (
    *("image_size", "channels", "discriminator_steps", "weight_clip", "penalty_weight"),
    *("width", "discriminator_width", "latent_dim", "batch_size", "gradient_clip"),
    *("learning_rate", "generator_learning_rate", "discriminator_learning_rate"),
    *("epochs", "steps", "log_every", "sample_every", "checkpoint_every", "num", "seeds", "minutes", "repeats"),
)
_BELOW_ONE = ("beta1", "beta2", "rho", "ema_decay", "label_smoothing")
# Far beyond what is of use and within what can be computed with.
_MOST = {"width": 1024, "discriminator_width": 1024, "latent_dim": 2**14, "batch_size": 2**16}
_MOST_OF_ALL = 10**9
_LONGEST_SHOWN = 60
# What a field of each type says when it is given another.
_KINDS = {
    bool: "true or false",
    int: "must be a whole number",
    float: "must be a finite number",
    str: "must be a text",
    tuple[str, ...]: "must be a list of texts",
}


def flag(name: str) -> str:
    """An option as it is written on the command line."""
    return "--" + name.replace("_", "-")


def check_values(config: Any) -> None:
    """Refuse values that no run could have, by themselves, wherever they come from.

    Raises:
        UsageError: of another type, out of range, or not one of the choices.
    """
    for item in fields(config):
        value, choices, name = getattr(config, item.name), item.metadata["choices"], flag(item.name)
        kinds = get_args(item.type) if isinstance(item.type, UnionType) else (item.type,)
        if not any(_is(value, kind) for kind in kinds):
            raise UsageError(
                f"{name} {legible(value)}: {' or '.join(_KINDS[kind] for kind in kinds if kind in _KINDS)}"
            )
        if value is None:
            continue
        for one in value if isinstance(value, tuple) else (value,):
            if choices and one not in choices:
                raise UsageError(f"{name} {legible(one)}: one of {', '.join(choices)}")
        if item.name in _POSITIVE and value <= 0:
            raise UsageError(f"{name} {legible(value)}: must be more than 0")
        most = _MOST.get(item.name, _MOST_OF_ALL)
        if isinstance(value, int | float) and item.name != "seed" and value > most:
            raise UsageError(f"{name} {legible(value)}: must be at most {most:,}")
        if item.name in _BELOW_ONE and not 0 <= value < 1:
            raise UsageError(f"{name} {legible(value)}: must be at least 0 and less than 1")
        if item.name == "seed" and value < 0:
            raise UsageError(f"{name} {legible(value)}: must not be negative")


def _is(value: Any, kind: Any) -> bool:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return -sys.float_info.max <= value <= sys.float_info.max
    if kind == tuple[str, ...]:
        return isinstance(value, tuple) and all(_is(one, str) for one in value)
    if kind is str and isinstance(value, str):
        try:
            return b"\0" not in os.fsencode(value)  # no path and no name has one
        except UnicodeEncodeError:
            return False
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def legible(value: Any) -> str:
    """A value of whoever's making, short and in one line."""
    text = value if isinstance(value, str) and value.isprintable() else ascii(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def refuse_two_weights(config: Any) -> None:
    """Refuse --weights beside what chooses among a run's own weights."""
    if config.weights and (config.raw or config.best):
        raise UsageError("--weights names the weights; --raw and --best choose among those of the run")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training run depends on."""

    dataset: str = option("mnist", "data", "mnist (embedded), fashion-mnist, or a folder of images")
    image_size: int | None = option(None, "data", "28, 32, 64 or 128 pixels (default: the network's or the data's)")
    channels: int | None = option(None, "data", "1 grey, 3 colour (default: 1 for mnist, 3 for a folder)")
    data_dir: str | None = option(None, "data", "folder with the four files of fashion-mnist")
    download: bool = option(False, "data", "fetch fashion-mnist from its public host if it is not here")
    workers: int | None = option(
        None,
        "data",
        "threads that read a folder's images while training; 0: in the step (default: memory, if they fit)",
    )

    loss: str = option("lsgan", "objective", "what is minimised", (*LOSSES, *LOSS_ALIASES))
    discriminator_steps: int | None = option(
        None, "objective", "discriminator steps for one generator step, k (default: the loss's)"
    )
    weight_clip: float | None = option(None, "objective", "bound of the critic's weights; wgan only")
    penalty_weight: float | None = option(
        None, "objective", "lambda of the gradient penalty; losses that have one only"
    )
    label_smoothing: float | None = option(None, "objective", "one-sided: real target 1 - this; gan only")

    generator: str | None = option(None, "networks", "generator", GENERATORS)
    discriminator: str | None = option(None, "networks", "its partner if left out", DISCRIMINATORS)
    conditional: bool = option(False, "networks", "give both networks the labels (a folder's sub-folders)")
    width: int | None = option(None, "networks", "channels of the generator's narrowest layer (default: its own)")
    discriminator_width: int | None = option(
        None, "networks", "channels of the discriminator's first layer (default: its own)"
    )
    latent_dim: int | None = option(None, "networks", "number of noise values (default: the generator's own)")
    discriminator_norm: str | None = option(None, "networks", "what the loss allows if left out", NORMS)
    init: str | None = option(None, "networks", "initial weights, the generator's best if left out", INITIALISERS)

    batch_size: int = option(64, "optimisation", "real images in a discriminator step")
    optimizer: str | None = option(None, "optimisation", "the loss's recipe if left out", OPTIMIZERS)
    learning_rate: float | None = option(None, "optimisation", "of both networks (default: the loss's recipe)")
    generator_learning_rate: float | None = option(None, "optimisation", "of the generator alone")
    discriminator_learning_rate: float | None = option(None, "optimisation", "of the discriminator alone")
    beta1: float | None = option(None, "optimisation", "of adam")
    beta2: float | None = option(None, "optimisation", "of adam")
    rho: float | None = option(None, "optimisation", "of rmsprop")
    gradient_clip: float | None = option(
        None, "optimisation", "clip each gradient tensor to this L2 norm (the write-up: 0.01)"
    )
    ema_decay: float = option(0.999, "optimisation", "decay of the generator's average, used for samples")
    compile: bool = option(
        False, "optimisation", "run the networks as static graphs, for a GPU; the first steps are slow"
    )
    precision: str = option(
        "float32", "optimisation", "type that networks multiply in while training; float16 on a GPU only", PRECISIONS
    )

    preset: str = option("auto", "run", "auto is small on a CPU, full on a GPU", ("auto", *PRESETS))
    epochs: float | None = option(None, "run", "length in passes over the data (default: the preset's)")
    steps: int | None = option(None, "run", "length in generator steps, instead of --epochs")
    seed: int = option(0, "run", "of everything random")
    device: str = option("auto", "run", "auto, cpu, gpu or gpu:N")
    out: str | None = option(None, "run", "run folder (default: work/runs/NAME, named after the options)")
    resume: str | None = option(None, "run", "go on with the run in this folder, with its own options")
    log_every: int = option(50, "run", "steps between logged values")
    sample_every: int | None = option(None, "run", "steps between sample grids (default: 20 in the run)")
    checkpoint_every: int | None = option(None, "run", "steps between checkpoints (default: one a minute)")
    evaluate_every: int | None = option(
        None,
        "run",
        "steps between measures, a multiple of --log-every; 0 for none (default: 10 in the run)",
    )
    inception: str | None = option(None, "run", "file of the FID Inception, to measure in its features")

    def __post_init__(self) -> None:
        check_values(self)
        if self.batch_size == 1:
            raise UsageError("--batch-size 1: BatchNorm in the networks needs at least two samples")
        if self.workers is not None and not 0 <= self.workers <= MOST_WORKERS:
            raise UsageError(f"--workers {self.workers}: 0 to {MOST_WORKERS}")
        if self.channels not in (None, 1, 3):
            raise UsageError(f"--channels {self.channels}: 1 (grey) or 3 (colour)")
        if self.image_size not in (None, *IMAGE_SIZES):
            raise UsageError(f"--image-size {self.image_size}: one of {', '.join(map(str, IMAGE_SIZES))}")
        if self.epochs is not None and self.steps is not None:
            raise UsageError("--epochs and --steps both say how long; give one of them")
        if self.evaluate_every is not None and (self.evaluate_every < 0 or self.evaluate_every % self.log_every):
            raise UsageError(
                f"--evaluate-every {self.evaluate_every}: must be 0 or a multiple of --log-every, {self.log_every}"
            )


@dataclass(frozen=True)
class SampleConfig:
    """Options of `tools/sample.py`."""

    num: int = option(64, "what", "number of samples")
    label: int | None = option(None, "what", "the class of all samples; conditional runs only")
    seed: int = option(0, "what", "of the noise")
    raw: bool = option(False, "what", "the weights as trained instead of their average")
    best: bool = option(False, "what", "the checkpoint that measured best while training, not the newest")
    weights: str | None = option(
        None, "what", "generator weights from this .pdparams or .safetensors file instead of the run's checkpoint"
    )
    device: str = option("auto", "what", "auto, cpu, gpu or gpu:N")
    npz: str | None = option(None, "where", "write uint8 images [N,H,W,C] (and labels) to this .npz file")
    png_dir: str | None = option(None, "where", "write one PNG for each sample to this folder")
    grid: str | None = option(None, "where", "write all samples as one sheet to this .png file")

    def __post_init__(self) -> None:
        check_values(self)
        refuse_two_weights(self)


@dataclass(frozen=True)
class ExportConfig:
    """Options of `tools/export.py`."""

    raw: bool = option(False, "what", "the weights as trained instead of their average")
    best: bool = option(False, "what", "the checkpoint that measured best while training, not the newest")
    weights: str | None = option(
        None, "what", "generator weights from this .pdparams or .safetensors file instead of the run's checkpoint"
    )
    out: str | None = option(None, "where", "folder to write, replaced if it is there (default: exported in the run)")

    def __post_init__(self) -> None:
        check_values(self)
        refuse_two_weights(self)


@dataclass(frozen=True)
class EvaluateConfig:
    """Options of `tools/evaluate.py`."""

    num: int = option(10_000, "what", "number of samples, and of real images on each side")
    seed: int = option(0, "what", "of the samples and of the choice of real images")
    raw: bool = option(False, "what", "the weights as trained instead of their average")
    best: bool = option(False, "what", "the checkpoint that measured best while training, not the newest")
    inception: str | None = option(None, "what", "file of the FID Inception, to measure in its features")
    device: str = option("auto", "what", "auto, cpu, gpu or gpu:N")
    dataset: str | None = option(
        None, "real images", "what the samples of an .npz file imitate, or where a run's data is now"
    )
    data_dir: str | None = option(None, "real images", "folder with the four files of fashion-mnist")
    download: bool = option(False, "real images", "fetch fashion-mnist from its public host if it is not here")
    out: str | None = option(
        None, "where", "file of the record (default: evaluation.json in the run, or beside the .npz)"
    )
    against: str | None = option(None, "where", "another record, to be shown beside this one if it was measured alike")

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(frozen=True)
class CompareConfig:
    """Options of `tools/compare.py`; what is not here comes from each objective's recipe."""

    loss: tuple[str, ...] = option(
        ("gan", "lsgan", "wgan", "wgan-gp"), "what", "the objectives", (*LOSSES, *LOSS_ALIASES)
    )
    seeds: int = option(3, "what", "runs of each")
    num: int = option(10_000, "what", "samples of each run, and real images on each side")
    inception: str | None = option(None, "what", "file of the FID Inception, to measure in its features")

    dataset: str = option("mnist", "equal for all", "mnist (embedded), fashion-mnist, or a folder of images")
    image_size: int | None = option(None, "equal for all", "28, 32, 64 or 128 pixels")
    channels: int | None = option(None, "equal for all", "1 grey, 3 colour")
    data_dir: str | None = option(None, "equal for all", "folder with the four files of fashion-mnist")
    download: bool = option(False, "equal for all", "fetch fashion-mnist from its public host if it is not here")
    generator: str | None = option(None, "equal for all", "generator, with its partner", GENERATORS)
    conditional: bool = option(False, "equal for all", "give both networks the labels")
    batch_size: int = option(64, "equal for all", "real images in a discriminator step")
    steps: int | None = option(None, "equal for all", "generator steps of each run")
    minutes: float | None = option(
        None,
        "equal for all",
        "time of each run, made into steps by a short trial (default: the same real images for each)",
    )

    device: str = option("auto", "run", "auto, cpu, gpu or gpu:N")
    out: str | None = option(None, "run", "folder of runs and report (default: work/comparisons/NAME)")

    def __post_init__(self) -> None:
        check_values(self)
        if self.steps is not None and self.minutes is not None:
            raise UsageError("--steps and --minutes both say how long; give one of them")
        if len({LOSS_ALIASES.get(loss, loss) for loss in self.loss}) < len(self.loss):
            raise UsageError(f"--loss {' '.join(self.loss)}: the same twice")


@dataclass(frozen=True)
class ClassifierConfig:
    """Options of `tools/train_classifier.py`."""

    out: str = option("classifier.safetensors", "run", "file to write")
    epochs: int | None = option(None, "run", "passes over the data (default: those of the one that ships)")
    seed: int = option(0, "run", "of weights, order and shifts")
    device: str = option("auto", "run", "auto, cpu, gpu or gpu:N")

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(frozen=True)
class TheoryConfig:
    """Options of `tools/theory.py`."""

    out: str | None = option(None, "run", "folder for theory.png and theory.json (default: work/runs/theory)")
    seed: int = option(0, "run", "of weights and points")
    steps: int = option(400, "run", "steps of each discriminator and critic")

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(frozen=True)
class ModesConfig:
    """Options of `tools/modes.py`."""

    loss: str | None = option(None, "what", "what is minimised (default: the benchmark's)", LOSSES)
    seeds: int = option(5, "what", "number of runs, of the seeds 0, 1, ...; those that have ended are not run again")
    steps: int | None = option(None, "what", "length of each in generator steps (default: the benchmark's)")
    device: str = option("auto", "what", "auto, cpu, gpu or gpu:N")
    out: str | None = option(None, "where", "folder of the results (default: work/modes/BENCHMARK-LOSS)")

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(frozen=True)
class BoardConfig:
    """Options of `tools/board.py`."""

    port: int = option(8040, "where", "port of the page, 0 for any that is free")
    host: str = option(
        "127.0.0.1",
        "where",
        "address to listen at; any but this machine's own shows the logs to others, without a password",
    )
    language: str | None = option(None, "page", "its language (default: the locale's)", ("en", "zh"))

    def __post_init__(self) -> None:
        check_values(self)
        if not 0 <= self.port < 2**16:
            raise UsageError(f"--port {self.port}: 0 to {2**16 - 1}")
        if self.host != "localhost":
            try:
                ipaddress.ip_address(self.host)
            except ValueError as error:
                raise UsageError(
                    f"--host {legible(self.host)}: an address of this machine, such as 127.0.0.1 or 0.0.0.0"
                ) from error


@dataclass(frozen=True)
class BenchConfig:
    """Options of `tools/bench.py`; what is not here comes from each objective's recipe."""

    loss: tuple[str, ...] | None = option(
        None, "what", "the objectives (default: lsgan; with --against writeup gan)", (*LOSSES, *LOSS_ALIASES)
    )
    generator: tuple[str, ...] | None = option(
        None, "what", "generators, each with its partner (default: pixelshuffle; with --against writeup)", GENERATORS
    )
    against: str | None = option(
        None, "what", "in turn with ours, and the ratio: the same in PyTorch, or the write-up's own step", PEERS
    )
    grow: str | None = option(
        None,
        "what",
        "how the time grows with the batch, the width of both networks, the pixels, or the images in the set",
        GROWTHS,
    )
    repeats: int = option(7, "what", "measurements of each")

    width: int | None = option(None, "sizes", "channels of the generator's narrowest layer (default: its own)")
    discriminator_width: int | None = option(None, "sizes", "channels of the discriminator's first layer")
    batch_size: int = option(64, "sizes", "real images in a discriminator step")
    image_size: int | None = option(None, "sizes", "28, 32, 64 or 128 pixels (default: the network's, or 28)")
    channels: int | None = option(None, "sizes", "1 grey, 3 colour (default: 1)")
    dataset: str | None = option(None, "sizes", "mnist, or a folder of images (default: 2,048 images of noise)")

    device: str = option("auto", "run", "auto, cpu, gpu or gpu:N")
    precision: str = option("float32", "run", "type that the networks multiply in", PRECISIONS)
    compile: bool = option(False, "run", "the networks as static graphs, for a GPU")
    json: str | None = option(None, "run", "write the machine and every repetition to this file")

    def __post_init__(self) -> None:
        check_values(self)
        losses = tuple(LOSS_ALIASES.get(loss, loss) for loss in self.loss or ())
        for name, given in (("loss", losses), ("generator", self.generator or ())):
            if len(set(given)) < len(given):
                raise UsageError(f"{flag(name)} {' '.join(getattr(self, name))}: the same twice")
        if self.against and self.grow:
            raise UsageError("--against and --grow are two questions; ask them one after the other")
        if self.dataset and (self.against or self.grow):
            raise UsageError("--dataset with --against or --grow: these take images of noise; leave it out")
        if self.against and (self.precision != "float32" or self.compile):
            raise UsageError(
                "--against with --precision or --compile: the others are measured in float32, as they stand"
            )
        if self.grow == "image-size" and self.image_size:
            raise UsageError("--image-size with --grow image-size: that takes all of them; leave it out")
        if self.against == "writeup":
            fixed = [
                *(("loss", losses, ("gan",)), ("generator", self.generator or (), ("writeup",))),
                *(("image_size", self.image_size, 32), ("channels", self.channels, 1)),
                *(("width", self.width, None), ("discriminator_width", self.discriminator_width, None)),
            ]
            for name, given, only in fixed:
                if given and given != only:
                    raise UsageError(f"{flag(name)} with --against writeup: that is one GAN of one size; leave it out")
