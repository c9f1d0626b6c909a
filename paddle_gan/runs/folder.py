"""The folder of a run: its name, its config.json, and the commands that go on with it.

A run folder holds

    config.json           every option, filled in; reproduces the run
    clusters.safetensors  the cluster of each image, and what assigns further ones
    metrics.jsonl         one line for each logged step
    samples/step-*.png    sample sheets, always from the same latents
    samples.gif           those sheets as an animation, at the end
    visualdl/             curves and sheets for VisualDL
    checkpoints/          what a resume needs
    best/                 the checkpoint whose samples measured nearest to the data
    generator.pdparams    weights of the averaged generator, written with each checkpoint, for paddle.load elsewhere
"""

import hashlib
import json
import os
import shlex
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from paddle_gan.config.options import legible
from paddle_gan.config.paths import PROJECT
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import CheckpointError, UsageError
from paddle_gan.runs.resolve import RunOptions, resolve

# Options that may differ when a run goes on: how long, where, and how often something is written.
_FREE = {
    "checkpoint_every",
    "compile",
    "data_dir",
    "device",
    "download",
    "epochs",
    "evaluate_every",
    "inception",
    "log_every",
    "out",
    "preset",
    "resume",
    "sample_every",
    "steps",
    "workers",
}

# What options mean in a run that is older than they are.
_BEFORE = {"recipe": "paper", "clusters": 0, "r1": 0.0, "penalty_every": 1, "schedule": "constant"}


# Options that runs of older versions do not have, with the values at which they change nothing: a run has the name that
# it had before there was the option.
_LATER = {"path_length": 0.0, "path_length_every": 4}


def identity(config: TrainConfig) -> dict[str, Any]:
    """The options that the numbers of a run depend on."""
    return {
        name: value
        for name, value in asdict(config).items()
        if name not in _FREE and not (name in _LATER and value == _LATER[name])
    }


def run_name(config: TrainConfig) -> str:
    """A folder name for a resolved configuration: readable, and different where the numbers would be."""
    digest = hashlib.sha256(json.dumps(identity(config), sort_keys=True).encode()).hexdigest()[:6]
    conditional = "-conditional" if config.conditional else ""
    return f"{Path(config.dataset).name}-{config.loss}-{config.generator}{conditional}-{digest}"


def read_config(folder: Path) -> RunOptions:
    """The options of the run in `folder`, whoever wrote them.

    Raises:
        UsageError: no run there. CheckpointError: its config.json is damaged, of another version, or holds options
            that the command line would refuse.
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
        for name, value in _BEFORE.items():
            options.setdefault(name, value)
        # Options that a run of this project has written stay as they are. In a file of another origin, open options
        # are filled in, and options that do not go together are refused, as on the command line.
        return resolve(TrainConfig(**options), "cpu").config
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


def refuse_other_run(config: TrainConfig, folder: Path) -> None:
    """Raise a UsageError if `folder` holds a run of other options: a folder is for one run only."""
    if not (folder / "config.json").exists():
        return
    # A data folder may have moved since.
    mine, theirs = (identity(replace(c, dataset=Path(c.dataset).name)) for c in (config, read_config(folder)))
    different = [
        f"{name} {theirs.get(name)} -> {mine.get(name)}"
        for name in {**mine, **theirs}
        if theirs.get(name) != mine.get(name)
    ]
    if different:
        raise UsageError(f"{folder} holds another run ({', '.join(different)}); name another folder with --out")


def summary(folder: Path) -> list[str]:
    """Lines for a user that say where the results of a finished run are, with commands that show them."""
    shown = short_path(folder)
    lines = []
    samples = sorted((folder / "samples").glob("step-*.png"))
    if samples:
        lines += [
            f"  samples     {shown / 'samples' / samples[-1].name}",
            f"  animation   {shown / 'samples.gif'}",
        ]
    return [
        *lines,
        f"  weights     {shown / 'generator.pdparams'}",
        f"  curves      {tool_command('board', folder)}",
        f"  more        {tool_command('sample', folder, '--num', 1000, '--npz', 'samples.npz')}",
        f"  measures    {tool_command('evaluate', folder)}",
    ]


def tool_command(tool: str, folder: Path, *options: object) -> str:
    """The command that starts a tool with `folder`: tools/TOOL.py of a checkout, paddle-gan of an installed package."""
    script = PROJECT / "tools" / f"{tool}.py"
    program = [short_path(Path(sys.executable)), short_path(script)] if script.exists() else ["paddle-gan", tool]
    return shlex.join(map(str, (*program, short_path(folder), *options)))


def short_path(path: Path) -> Path:
    """A path as short as it can be written from the working directory."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
