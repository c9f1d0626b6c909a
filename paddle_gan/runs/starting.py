"""Starting from trained weights: those of another run, or of a file.

Not a resume: the optimisers, the step and the data are new. What fits is decided by `training.transfer`. Once the first
checkpoint is saved, the source is not needed any more.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle.nn as nn

from paddle_gan.config.train import TrainConfig
from paddle_gan.datasets import DATASETS, default_size
from paddle_gan.errors import UsageError
from paddle_gan.networks.sizes import doublings
from paddle_gan.runs.folder import read_config
from paddle_gan.runs.resolve import RunOptions
from paddle_gan.training.checkpoint import read_newest
from paddle_gan.training.noise_to_image import NoiseToImage
from paddle_gan.training.state import part
from paddle_gan.training.transfer import Transfer, transfer
from paddle_gan.training.weights import finite_float32, read_weights

# A start with less than this share of a network is none.
_LEAST_SHARE = 0.1
# Options that are taken from the source run if they are not given, for each network the second ones with the first.
_GENERATOR = ("generator", "latent_dim", "width")
_DISCRIMINATOR = ("discriminator", "discriminator_width")
# Networks whose width counts at the full size of the image.
_BY_RESOLUTION = ("pixelshuffle", "upsample", "dcgan", "style", "strided", "residual")
_SHOWN = 3


def completed(given: TrainConfig) -> TrainConfig:
    """`given` with networks like those of the run that it starts from, if there is one, in options that are not given.

    If the image size is another one, the widths are such that maps of the same size have as many channels as there.

    Raises:
        UsageError: `start_from` is neither a run folder nor a file.
    """
    if given.start_from is None or given.resume is not None:
        return given
    path = Path(given.start_from).resolve()
    given = replace(given, start_from=str(path))
    begun = Path(given.out) if given.out else None
    if begun and (begun / "config.json").exists():
        return _like(read_config(begun), given)  # without the source, which may be gone
    if os.path.isdir(path):
        return _like(read_config(path), given)
    if not os.path.isfile(path):  # also where the system refuses the name, for which pathlib raises OSError
        raise UsageError(f"--start-from {path}: is neither a run folder nor a file of weights")
    return given


def _like(source: RunOptions, given: TrainConfig) -> TrainConfig:
    options: dict[str, Any] = {}

    def take(name: str, value: Any) -> None:
        if getattr(given, name) is None:
            options[name] = value

    if given.dataset not in DATASETS:
        take("image_size", source.image_size)
        take("channels", source.channels)
    size = given.image_size or options.get("image_size") or default_size(given.dataset)[0]
    more = doublings(size)[1] - doublings(source.image_size)[1]
    for kind, *others in (_GENERATOR, _DISCRIMINATOR):
        name = getattr(source, kind)
        if getattr(given, kind) in (None, name):
            take(kind, name)
            for other in others:
                value = getattr(source, other)
                scaled = other.endswith("width") and name in _BY_RESOLUTION
                take(other, max(1, int(value * 2.0**-more)) if scaled and value else value)
    if given.loss == source.loss and not given.r1:  # R1 allows no BatchNorm
        take("recipe", source.recipe)
        take("discriminator_norm", source.discriminator_norm)
    return replace(given, **options)


@dataclass(frozen=True)
class _Source:
    """Trained weights.

    Attributes:
        networks: arrays of "generator", "generator_average" and "discriminator" by the names in each.
        sha256: of the file that holds them.
        apart: whether the networks are known to be these; a file holds one of them, and nothing says which.
    """

    networks: Mapping[str, Mapping[str, np.ndarray]]
    sha256: str
    apart: bool


def start(task: NoiseToImage, path: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Give a task at step 0 the weights of a source, as far as they fit.

    Args:
        task: changed in place.
        path: folder of a run, or a .pdparams or .safetensors file.
        say: takes a line for the user.

    Returns:
        The record of where the weights come from, for config.json.

    Raises:
        UsageError: no such source, or almost nothing in it fits. CheckpointError: it is damaged.
    """
    source = _read(path, say)
    networks = _networks(task)
    latent_dim = task.generator.network.latent_dim
    fits = {
        name: transfer(_shapes(network), source.networks[name], None if name == "discriminator" else latent_dim)
        for name, network in networks.items()
    }
    if not source.apart:
        other = "discriminator" if fits["generator"].share >= fits["discriminator"].share else "generator"
        fits = {name: found for name, found in fits.items() if not name.startswith(other)}
    chosen = {name: found for name, found in fits.items() if found.share >= _LEAST_SHARE}
    _refuse(path, fits, chosen, task.discriminator.network)
    for name, found in chosen.items():
        _set(networks[name], found, path)
    say(_sentence(path, chosen))
    taken = {name: round(found.share, 4) for name, found in chosen.items()}
    return {"source": str(path), "sha256": source.sha256, "taken": taken}


def _networks(task: NoiseToImage) -> dict[str, nn.Layer]:
    """By the names that they have in a checkpoint."""
    average = task.generator.average
    assert average is not None
    return {
        "generator": task.generator.network,
        "generator_average": average,
        "discriminator": task.discriminator.network,
    }


def _refuse(path: Path, fits: Mapping[str, Transfer], chosen: Mapping[str, Transfer], discriminator: nn.Layer) -> None:
    """Raise a UsageError for a source of which almost nothing fits, or if what is new would be frozen."""
    if not chosen:
        shares = " and ".join(f"{found.share:.0%} of the {name}" for name, found in fits.items() if "_" not in name)
        raise UsageError(
            f"--start-from {path}: only {shares} would come from there; it is of other networks ({_described(path)})"
        )
    taken = chosen["discriminator"].taken if "discriminator" in chosen else {}
    frozen = [name for name, one in discriminator.named_parameters() if one.stop_gradient and "._" not in name]
    if new := [name for name in frozen if name not in taken]:  # statistics of norms, such as BN._mean, do not count
        raise UsageError(f"--freeze-discriminator: {new[0]} does not come from {path} and would never learn")


def _sentence(path: Path, chosen: Mapping[str, Transfer]) -> str:
    """What is taken, what is changed for other labels, and what is new."""
    shown = {name: found for name, found in chosen.items() if name != "generator_average"}
    parts = [f"{found.share:.0%} of the {name}" for name, found in shown.items()]
    new = [f"the whole {name}" for name in ("generator", "discriminator") if name not in shown]
    new += [f"{name}/{tensor}" for name, found in shown.items() for tensor in found.new]
    relabelled = [f"{name}/{tensor}" for name, found in shown.items() for tensor in found.relabelled]
    labels = f"; for another number of labels: {', '.join(relabelled)}" if relabelled else ""
    more = f" and {len(new) - _SHOWN} more" if len(new) > _SHOWN else ""
    return f"start from {path}: {' and '.join(parts)}{labels}; new: {', '.join(new[:_SHOWN]) or 'nothing'}{more}"


def _read(path: Path, say: Callable[[str], None]) -> _Source:
    if not path.is_dir():
        arrays = read_weights(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return _Source(dict.fromkeys(("generator", "generator_average", "discriminator"), arrays), digest, apart=False)
    read_config(path)  # refuses what is no run folder
    found = read_newest(path / "checkpoints", say)
    networks = {name: part(found.arrays, name) for name in ("generator", "generator_average", "discriminator")}
    return _Source(networks, found.sha256, apart=True)


def _described(path: Path) -> str:
    if not path.is_dir():
        return "its names or shapes are others"
    source = read_config(path)
    sides = f"{source.image_size}x{source.image_size}x{source.channels}"
    return (
        f"--generator {source.generator} --width {source.width} --discriminator {source.discriminator} "
        f"--discriminator-width {source.discriminator_width}, for {sides}"
    )


def _shapes(network: nn.Layer) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _set(network: nn.Layer, found: Transfer, source: Path) -> None:
    tensors = network.state_dict()
    for name, array in found.taken.items():
        tensors[name].set_value(np.ascontiguousarray(finite_float32(array, name, source)))
