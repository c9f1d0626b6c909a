"""Branches: runs that go on from a checkpoint of another run, the parent, in a folder of their own and with some other
options.

A branch has the parent's networks, averages, optimisers and clusters at one step. So only options may differ that
change none of these. Its `config.json` names the parent and the step. Once it has begun it is a run as any other: it
resumes bit for bit, and it does not need the parent any more.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paddle_gan.config.language import tell
from paddle_gan.config.options import flag
from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import DATASETS
from paddle_gan.errors import CheckpointError, UsageError
from paddle_gan.runs.clusters import copy_clusters
from paddle_gan.runs.folder import FREE, check_data_is_there, read_config, resumed, short_path
from paddle_gan.runs.resolve import RunOptions
from paddle_gan.system.files import atomic_folder
from paddle_gan.training.checkpoint import folder_name, read, read_newest

# Options that the numbers of a run depend on, and that may change in a branch.
_CHANGEABLE = set(
    "batch_size accumulate discriminator_steps seed "
    "learning_rate generator_learning_rate discriminator_learning_rate beta1 beta2 rho gradient_clip ema_decay "
    "weight_clip penalty_weight penalty_every r1 label_smoothing "
    "schedule warm_up final_learning_rate final_penalty_weight final_beta2 final_ema_decay final_best_share".split()
)
_NETWORKS = "the trained networks are made for it; --start-from takes their weights into others"
_STATE = "the saved state of the optimisers belongs to it; --start-from takes the weights without it"
# Why the others may not.
_REASONS = {
    "loss": "the numbers of the run belong to it; --start-from takes the weights into a run with another",
    "recipe": "its numbers are filled in already; give the numbers that shall change",
    "init": "the networks have their weights already",
    "discriminator_init": "the networks have their weights already",
    "start_from": "the networks have their weights already",
    **dict.fromkeys(("optimizer", "precision", "freeze_discriminator", "lecam"), _STATE),
}


def continued(folder: Path, given: TrainConfig, named: set[str], say: Callable[[str], None] = tell) -> TrainConfig:
    """The options with which the run in `folder` goes on, there or as a branch; errors as for `branched`.

    Args:
        folder: of the run.
        given: with `out` for a branch.
        named: the options to take from `given`.
        say: for notices.
    """
    return branched(folder, given, named, say) if given.out is not None else resumed(folder, given, named)


def branched(parent: Path, given: TrainConfig, named: set[str], say: Callable[[str], None] = tell) -> TrainConfig:
    """The options of a branch: those of the run in the folder `parent`, with some taken from `given`.

    Args:
        parent: whose newest checkpoint the branch begins with, unless `given.resume_step` names another one.
        given: with `out`, the folder of the branch. If this branch has begun there already, it goes on.
        named: the options to take from `given`. Those that have the parent's value are no change.
        say: for notices.

    Raises:
        UsageError: an option that may not change, or a parent that is complete. CheckpointError: no such checkpoint.
    """
    assert given.out is not None, "a branch has a folder of its own"
    origin, out = read_config(parent), Path(given.out)
    if out.resolve() == parent.resolve():
        raise UsageError(f"--out {out}: is the folder of the run itself; leave it out, or name a new one for a branch")
    if "dataset" not in named:
        check_data_is_there(origin, parent)
    changes = changed_options(origin, given, named)
    _refuse(changes)
    if changes.get("schedule") == "constant":  # nothing leads to the final values of the parent
        changes = {name: None for name in vars(origin) if name.startswith("final_")} | changes
    if "epochs" in changes:
        changes["steps"] = None
    begun = read_config(out) if (out / "config.json").exists() else None
    step = given.resume_step
    if step is None and begun and begun.resume == str(parent.resolve()):
        step = begun.resume_step
    if step is None:
        step = read_newest(parent / "checkpoints", say).step
    options: dict[str, Any] = vars(origin) | {"device": given.device} | changes
    options |= {"out": given.out, "resume": str(parent.resolve()), "resume_step": step}
    if begun is None and options["steps"] is not None and options["steps"] <= step:
        raise UsageError(f"{parent}: is at step {step} already; give the branch a larger --steps")
    return TrainConfig(**options)


def changed_options(origin: RunOptions, given: TrainConfig, named: set[str]) -> dict[str, Any]:
    """The options in `named` whose values in `given` are not those of the run `origin`, with their new values."""
    changes = {name: getattr(given, name) for name in sorted(named - {"resume", "resume_step", "out", "preset"})}
    if "dataset" in changes and given.dataset not in DATASETS:
        changes["dataset"] = str(Path(given.dataset).resolve())  # as in config.json
    return {name: value for name, value in changes.items() if value != getattr(origin, name)}


def _refuse(changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if name not in _CHANGEABLE | FREE | {"dataset"}:
            raise UsageError(f"{flag(name)} {value}: cannot change in a branch: {_REASONS.get(name, _NETWORKS)}")


def begin(config: RunOptions, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Give the folder of a branch the parent's checkpoint and clusters, unless it has them.

    Args:
        config: of the branch.
        folder: of the branch, locked.
        say: takes a line for the user.

    Returns:
        The record of where it comes from, for its config.json.

    Raises:
        UsageError: the parent is no run folder. CheckpointError: it has no checkpoint of this step.
    """
    assert config.resume is not None and config.resume_step is not None, "only a branch begins so"
    parent, name = Path(config.resume), folder_name(config.resume_step)
    origin = read_config(parent)
    source = next((path for kept in ("checkpoints", "best") if (path := parent / kept / name).is_dir()), None)
    if source is None:
        raise CheckpointError(
            f"{parent}: no checkpoint of step {config.resume_step} any more; leave --resume-step out for the newest one"
        )
    target = folder / "checkpoints" / name
    if not target.exists():
        copy_clusters(parent, folder)
        with atomic_folder(target) as temporary:
            for file in source.iterdir():
                shutil.copyfile(file, temporary / file.name)
    own = vars(config)
    changed = {
        key: [value, own[key]] for key, value in vars(origin).items() if key in _CHANGEABLE and value != own[key]
    }
    listed = ", ".join(f"{key} {old} -> {new}" for key, (old, new) in changed.items()) or "nothing changed"
    say(f"a branch of {short_path(parent)} at step {config.resume_step}: {listed}")
    return {
        "run": str(parent),
        "step": config.resume_step,
        "sha256": read(target).sha256,
        "changed": changed,
    }
