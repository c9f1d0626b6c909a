"""The folder of a run: its name, its config.json, and the commands that go on with it.

A run folder holds

    config.json           every option, filled in; reproduces the run
    clusters.safetensors  the cluster of each image, and what assigns further ones
    augmented.png         ten images of the data, and what the discriminator sees of them, with augmentation
    metrics.jsonl         one line for each logged step
    samples/step-*.png    sample sheets, always from the same latents
    samples.gif           those sheets as an animation, at the end
    visualdl/             curves and sheets for VisualDL; also tensorboard/ and wandb/, see --log
    checkpoints/          what a resume needs
    best/                 the checkpoint whose samples measured nearest to the data
    generator.pdparams    weights of the averaged generator, written with each checkpoint, for paddle.load elsewhere
"""

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from paddle_gan.config.options import ORIGIN, legible
from paddle_gan.config.paths import PROJECT, RUNS, legal_name
from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import DATASETS
from paddle_gan.errors import CheckpointError, UsageError
from paddle_gan.runs.resolve import RunOptions, resolve

Options = TypeVar("Options")

# Options that may differ when a run goes on: how long, where, and how often something is written.
FREE = {
    "checkpoint_every",
    "compile",
    "data_dir",
    "device",
    "download",
    "epochs",
    "evaluate_every",
    "inception",
    "log",
    "log_every",
    "minutes",
    "out",
    "preset",
    "resume",
    "resume_step",
    "sample_every",
    "skip_unreadable",
    "steps",
    "workers",
}

# The task of a run whose config.json names none.
NOISE_TO_IMAGE = "noise-to-image"

# What options mean in a run that is older than they are.
_BEFORE = {
    "recipe": "paper",
    "clusters": 0,
    "r1": 0.0,
    "penalty_every": 1,
    "schedule": "constant",
    "augment": ("none",),
}


def identity(config: Any) -> dict[str, Any]:
    """The options, a dataclass of them, that the numbers of a run depend on."""
    return {name: value for name, value in asdict(config).items() if name not in FREE}


def name_with_digest(name: str, config: Any) -> str:
    """`name` with a few digits that differ where the numbers of runs with these options would.

    It is a legal name of a folder on every system. Options at their defaults are left out. So a run keeps its name when
    a later version has more options.
    """
    defaults = {field.name: field.default for field in fields(config)}
    options = {option: value for option, value in identity(config).items() if value != defaults[option]}
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:6]
    return f"{legal_name(name)}-{digest}"


def run_name(config: TrainConfig) -> str:
    """A folder name for a resolved configuration: readable, and different where the numbers would be."""
    conditional = "-conditional" if config.conditional else ""
    return name_with_digest(f"{Path(config.dataset).name}-{config.loss}-{config.generator}{conditional}", config)


def run_folder(config: TrainConfig) -> Path:
    """Where the run of a resolved configuration is: the folder that was given, or one named after the options."""
    return Path(config.out) if config.out else RUNS / run_name(config)


def read_config(folder: Path) -> RunOptions:
    """The options of the run in `folder`, whoever wrote them.

    Raises:
        UsageError: no run there, or one of another task. CheckpointError: its config.json is damaged, of another
            version, or holds options that the command line would refuse.
    """

    def filled(options: dict[str, Any]) -> RunOptions:
        # Options that a run of this project has written stay as they are. In a file of another origin, open options
        # are filled in, and options that do not go together are refused, as on the command line.
        return resolve(TrainConfig(**{**_BEFORE, **options}), "cpu").config

    return read_options(folder, TrainConfig, (NOISE_TO_IMAGE,), filled)


def task_of(folder: Path) -> str:
    """The name of the task of the run in `folder`: `NOISE_TO_IMAGE`, or what its options call it.

    Raises:
        UsageError: no run there. CheckpointError: its config.json is damaged.
    """
    return str(read_json(folder).get("task", NOISE_TO_IMAGE))


def read_options(
    folder: Path, kind: type, tasks: Collection[str], filled: Callable[[dict[str, Any]], Options]
) -> Options:
    """The options in the config.json of a run.

    Args:
        folder: of the run.
        kind: the dataclass of these options.
        tasks: names of the tasks that have these options.
        filled: makes the options of a run of what the file says.

    Raises:
        UsageError: no run there, or one of another task. CheckpointError: its config.json is damaged, of another
            version, or holds options that `filled` refuses.
    """
    options, path = read_json(folder), folder / "config.json"
    task = options.get("task", NOISE_TO_IMAGE)
    if task not in tasks:
        # A run of noise to images names no task.
        tool, functions = "train", ("load", "evaluate")
        if "task" in options:
            tool, functions = "translate", ("load_translator", "evaluate_translation")
        raise UsageError(
            f"{folder}: a run of the task {legible(task)}, and this command is for {', '.join(sorted(tasks))}; "
            f"tools/{tool}.py made it, and in Python {' and '.join(functions)} are for it"
        )
    try:
        options.pop(ORIGIN, None)
        unknown = options.keys() - {field.name for field in fields(kind)}
        if unknown:
            raise UsageError(f"it has options that this version does not know, as {legible(min(unknown))}")
        return filled(options)
    except (OSError, ValueError, RuntimeError, UsageError) as error:
        raise CheckpointError(f"{path}: cannot be used ({error})") from error


def read_json(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not os.path.isfile(path):
        raise UsageError(f"{folder}: not a run folder, it has no config.json")
    try:
        options = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(options, dict):
            raise ValueError("it holds no options")
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: cannot be used ({error})") from error
    return options


def recorded(config: RunOptions, origin: Mapping[str, Any]) -> dict[str, Any]:
    """The content of config.json: the options, and where the run comes from if it does not begin with new weights."""
    return asdict(config) | ({ORIGIN: origin} if origin else {})


def read_origin(folder: Path) -> dict[str, Any]:
    """Where the run in `folder` comes from, as `recorded` was told; empty for new weights, or without a run."""
    path = folder / "config.json"
    origin = json.loads(path.read_text(encoding="utf-8")).get(ORIGIN) if path.exists() else None
    return origin if isinstance(origin, dict) else {}


def resumed(folder: Path, given: TrainConfig, named: set[str]) -> TrainConfig:
    """The options of the run in `folder`, with those in `named` taken from `given`."""
    if "preset" in named:
        raise UsageError("--resume goes on with the run's own options; leave --preset out")
    config = read_config(folder)
    changes: dict[str, Any] = {name: getattr(given, name) for name in named - {"resume"}}
    if "epochs" in named:
        changes["steps"] = None
    if "dataset" not in named:
        check_data_is_there(config, folder)
    return TrainConfig(**vars(config) | {"device": given.device, **changes, "out": str(folder)})


def check_data_is_there(config: RunOptions, folder: Path) -> None:
    """Raise a UsageError if the data of the run in `folder` is not where the run was trained on it."""
    if config.dataset not in DATASETS and not os.path.exists(config.dataset):
        raise UsageError(f"{folder}: its data is not at {config.dataset} any more; name its place with --dataset")


def refuse_other_run(config: TrainConfig, folder: Path) -> None:
    """Raise a UsageError if `folder` holds a run of other options: a folder is for one run only.

    A data folder may have another name or place since; `checkpoint.restore` compares the data.
    """
    if not (folder / "config.json").exists():
        return
    before = read_config(folder)
    mine, theirs = ({**identity(one), "branch of": (one.resume, one.resume_step)} for one in (config, before))
    if not DATASETS.keys() & {config.dataset, before.dataset}:
        mine["dataset"] = theirs["dataset"]
    refuse_different(mine, theirs, folder)


def refuse_different(mine: dict[str, Any], theirs: dict[str, Any], folder: Path) -> None:
    """Raise a UsageError if a run with the options `mine` is not the one in `folder`, which has `theirs`."""
    different = [f"{name} {theirs[name]} -> {mine[name]}" for name in mine if theirs[name] != mine[name]]
    if different:
        raise UsageError(f"{folder} holds another run ({', '.join(different)}); name another folder with --out")


def has_new_data_name(config: TrainConfig, folder: Path) -> bool:
    """Whether the data has another name than when the run in `folder`, or the parent of a branch, was last trained."""
    known = [place for place in (folder, Path(config.resume or folder)) if (place / "config.json").exists()]
    return bool(known) and Path(read_config(known[0]).dataset).name != Path(config.dataset).name


def summary(folder: Path) -> list[str]:
    """Lines for a user that say where the results of a finished run are, with commands that show them."""
    return [
        *_pictures(folder),
        *_curves(folder),
        f"  more        {tool_command('sample', folder, '--num', 1000, '--npz', 'samples.npz')}",
        f"  measures    {tool_command('evaluate', folder)}",
    ]


def translation_summary(folder: Path) -> list[str]:
    """As `summary`, for a run of a translation."""
    return [
        *_pictures(folder),
        *_curves(folder),
        f"  use         {tool_command('translate', folder, 'PICTURES', '--out', 'translated', verb='apply')}",
        f"  measures    {tool_command('evaluate', folder)}",
    ]


def _curves(folder: Path) -> list[str]:
    """A line with the command that shows the curves, if the run is logged for VisualDL."""
    return [f"  curves      {tool_command('board', folder)}"] if (folder / "visualdl").is_dir() else []


def _pictures(folder: Path) -> list[str]:
    """Lines that say where the sheets of a run are, if there are any, and its weights."""
    shown, lines = short_path(folder), []
    samples = sorted((folder / "samples").glob("step-*.png"))
    if samples:
        lines += [
            f"  samples     {shown / 'samples' / samples[-1].name}",
            f"  animation   {shown / 'samples.gif'}",
        ]
    return [*lines, f"  weights     {shown / 'generator.pdparams'}"]


def tool_command(tool: str, folder: Path, *options: object, verb: str | None = None) -> str:
    """The command that starts a tool with `folder`: tools/TOOL.py of a checkout, paddle-gan of an installed package.

    `verb` is what the tool shall do, where it does several things.
    """
    script = PROJECT / "tools" / f"{tool}.py"
    program = [short_path(Path(sys.executable)), short_path(script)] if script.exists() else ["paddle-gan", tool]
    verbs = [verb] if verb else []
    return shlex.join(map(str, (*program, *verbs, short_path(folder), *options)))


def short_path(path: Path) -> Path:
    """A path as short as it can be written from the working directory."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
