"""The trained generator of a run, from its checkpoints or with weights from a file."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle.nn as nn

from paddle_gan.config.language import tell
from paddle_gan.datasets.found import shown
from paddle_gan.errors import CheckpointError, UsageError
from paddle_gan.networks.mixture import Mixture
from paddle_gan.runs.building import new_generator
from paddle_gan.runs.folder import read_config
from paddle_gan.runs.resolve import RunOptions
from paddle_gan.training.checkpoint import Checkpoint, read_newest
from paddle_gan.training.state import part
from paddle_gan.training.weights import load_weights, read_notes, read_weights, write_weights


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator in use.

    Attributes:
        network: in evaluation mode.
        classes: names of its labels; none if unconditional.
        step: rounds that it was trained for; None where that is not known.
        shares: of the clusters in each class, [C, K], as `networks.mixture` takes them; None without clusters.
    """

    network: nn.Layer
    classes: tuple[str, ...]
    step: int | None
    shares: np.ndarray | None = None


def chosen_generator(
    folder: Path, weights: str | None, *, raw: bool, best: bool, say: Callable[[str], None] = tell
) -> TrainedGenerator:
    """The generator of a run with the weights that a command's options name: a file, or those of `load_generator`."""
    if weights:
        return generator_with(folder, Path(weights), say)
    return load_generator(folder, say, raw=raw, best=best)


def check_label(label: int, classes: tuple[str, ...], option: str = "--label") -> None:
    """Raise a UsageError for a label that no class has; it names the classes."""
    if not 0 <= label < len(classes):
        known = ", ".join(shown(f"{number} {name}") for number, name in enumerate(classes))
        raise UsageError(
            f"{option} {label}: the labels of this run are: {known or 'none, it was trained without --conditional'}"
        )


def load_generator(
    folder: Path | str, say: Callable[[str], None] = tell, *, raw: bool = False, best: bool = False
) -> TrainedGenerator:
    """The generator of a run from its newest checkpoint, or from its best one.

    Args:
        folder: the run's.
        say: for notices.
        raw: the weights as trained, not their average.
        best: take the checkpoint whose samples measured nearest to the data.

    Raises:
        UsageError: not a run folder. CheckpointError: no checkpoint that fits.
    """
    folder = Path(folder).expanduser()
    config = read_config(folder)
    checkpoints = folder / ("best" if best else "checkpoints")
    if best and not os.path.isdir(checkpoints):
        raise UsageError(f"{folder}: no best checkpoint, its samples were not measured; see --evaluate-every")
    found = read_newest(checkpoints, say)
    arrays = part(found.arrays, "generator" if raw else "generator_average")
    classes = found.classes if config.conditional else ()
    return _trained(config, classes, _shares(found), arrays, folder, found.step)


def generator_with(folder: Path, weights: Path, say: Callable[[str], None] = tell) -> TrainedGenerator:
    """The generator of a run with the weights of a .pdparams or .safetensors file instead of its own.

    Args:
        folder: the run's, or one that tools/export.py --format safetensors wrote. The names of the classes and the
            shares of the clusters are those in the notes of the file, or else those of the run's checkpoint.
        weights: whoever wrote the file, nothing in it is executed.
        say: for notices.

    Raises:
        UsageError: not a run folder, no such file. CheckpointError: the file is damaged or of another network.
    """
    config = read_config(folder)
    arrays, notes = read_weights(weights), read_notes(weights)
    classes, shares = (), None
    if "classes" in notes:
        classes, shares = _labels_in(notes, weights)
        if bool(classes) != config.conditional:
            raise CheckpointError(
                f"{weights} has {len(classes)} classes, but conditional is {config.conditional} in {folder}"
            )
    elif config.conditional or config.clusters != 0:
        found = read_newest(folder / "checkpoints", say)
        classes, shares = found.classes if config.conditional else (), _shares(found)
    return _trained(config, classes, shares, arrays, weights, step=None)


def save_generator(trained: TrainedGenerator, path: Path) -> None:
    """Write a generator's weights as a .safetensors file that `generator_with` reads, without a checkpoint."""
    network = trained.network.parts if isinstance(trained.network, Mixture) else trained.network
    shares = None if trained.shares is None else trained.shares.tolist()
    write_weights(path, network, {"classes": list(trained.classes), "shares": shares})


def _labels_in(notes: dict[str, Any], source: Path) -> tuple[tuple[str, ...], np.ndarray | None]:
    """The names of the classes, and the shares of the clusters, in the notes of `save_generator`."""
    classes, shares = notes["classes"], notes.get("shares")
    try:
        named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
        values = None if shares is None else np.array(shares, np.float32)
    except (ValueError, TypeError):
        named, values = False, None
    if named and values is not None:  # rows of shares, not all zero
        named = values.ndim == 2 and len(values) == max(len(classes), 1) and bool((values >= 0).all())
        named = named and bool(np.isfinite(values.sum(1)).all() and (values.sum(1) > 0).all())
    if not named:
        raise CheckpointError(f"{source}: its notes on classes and clusters are damaged")
    return tuple(classes), values


def _shares(found: Checkpoint) -> np.ndarray | None:
    """The shares of the clusters, [C, K]; None for a run without clusters."""
    return found.arrays.get("buffers/shares")


def _trained(
    config: RunOptions,
    classes: tuple[str, ...],
    shares: np.ndarray | None,
    arrays: dict[str, np.ndarray],
    source: Path,
    step: int | None,
) -> TrainedGenerator:
    """The generator with weights from `source`, in evaluation mode."""
    network = new_generator(config, len(classes) if shares is None else shares.shape[1])
    load_weights(network, arrays, source)
    if shares is not None:
        network = Mixture(network, shares)
    network.eval()
    return TrainedGenerator(network, classes, step, shares)
