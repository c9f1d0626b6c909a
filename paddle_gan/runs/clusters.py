"""The clusters of a run: found once, and kept in its folder, so that every session trains on the same ones."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle
import safetensors
import safetensors.numpy

from paddle_gan.datasets import ImageSet
from paddle_gan.datasets.image_set import DiskImages
from paddle_gan.errors import DataError
from paddle_gan.features.clusters import Clusters, assign, find_clusters
from paddle_gan.runs.resolve import RunOptions
from paddle_gan.system import parallel
from paddle_gan.system.cache import keep, read_kept
from paddle_gan.system.files import FILESYSTEM, atomic_path

_FILE = "clusters.safetensors"
_ARRAYS = ("labels", "classes", "centres", "components", "mean")
# Of 3,786 drawings 63 clusters did better than 12, and at first better than 200; of 60,000 digits 200 than 1,000.
_IMAGES_PER_CLUSTER = 60
_MOST_CLUSTERS = 200
# Rises when other clusters are found in the same data.
_VERSION = 2


def cluster_count(config: RunOptions, images: int) -> int:
    """The number of clusters of a run on so many images, in all classes together; 0 for none."""
    if config.clusters is not None:
        return min(config.clusters, images)
    count = min(images // _IMAGES_PER_CLUSTER, _MOST_CLUSTERS)
    return count if count > 1 else 0


def run_clusters(
    config: RunOptions, data: ImageSet, fingerprint: str, folder: Path, say: Callable[[str], None]
) -> Clusters | None:
    """The clusters of a run: those in its folder, or new ones; the same in all processes. None without clusters.

    If the data is another than the clusters were found in, its images are assigned to them.

    Args:
        config: resolved.
        data: the images.
        fingerprint: of the data.
        folder: of the run.
        say: for notices.
    """
    count = cluster_count(config, len(data))
    if not count:
        return None
    clusters = _read(folder / _FILE, data, fingerprint, say)
    if clusters is None:
        clusters = _found(data, fingerprint, count, config, say)
    labels = paddle.to_tensor(clusters.labels)
    parallel.broadcast([labels])  # another processor may round another way
    return replace(clusters, labels=labels.numpy())


def _found(data: ImageSet, fingerprint: str, count: int, config: RunOptions, say: Callable[[str], None]) -> Clusters:
    """New clusters of the data, or those that an earlier run with the same seed has found in it on this machine."""
    key = f"{_VERSION} {fingerprint} {count} {config.seed} {config.conditional}"
    name = f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.clusters"
    kept = read_kept(name)
    if kept is not None:
        try:
            arrays = safetensors.numpy.load(kept)
            return Clusters(*(arrays[one] for one in _ARRAYS))
        except (ValueError, KeyError, safetensors.SafetensorError):  # damaged, so they are found anew
            pass
    if isinstance(data.images, DiskImages):
        say(f"notice: all {len(data)} images are read once to find clusters; --clusters 0 trains without them")
    clusters = find_clusters(data, count, config.seed, within_classes=config.conditional)
    keep(name, _bytes_of(clusters, fingerprint))
    return clusters


def save_clusters(clusters: Clusters, fingerprint: str, folder: Path) -> None:
    """Write the clusters to the folder of a run."""
    with atomic_path(folder / _FILE) as temporary:
        FILESYSTEM.write(temporary, _bytes_of(clusters, fingerprint))


def _bytes_of(clusters: Clusters, fingerprint: str) -> bytes:
    arrays = {name: np.ascontiguousarray(getattr(clusters, name)) for name in _ARRAYS}
    return safetensors.numpy.save(arrays, metadata={"data": fingerprint})


def copy_clusters(source: Path, target: Path) -> None:
    """Copy the clusters of a run, if it has any, from its folder to another one."""
    if (source / _FILE).exists():
        with atomic_path(target / _FILE) as temporary:
            shutil.copyfile(source / _FILE, temporary)


def _read(path: Path, data: ImageSet, fingerprint: str, say: Callable[[str], None]) -> Clusters | None:
    """The clusters in a file, for this data; None if there is no such file, or a damaged one.

    Raises:
        DataError: the data has changed, and the clusters are those of an older version.
    """
    try:
        with safetensors.safe_open(path, "numpy") as file:
            clusters = Clusters(*(file.get_tensor(name) for name in _ARRAYS))
            same = file.metadata()["data"] == fingerprint
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        say(f"notice: {path}: cannot be read ({error}); the clusters are found anew")
        return None
    if same:
        return clusters
    try:
        return assign(clusters, data)
    except ValueError as error:
        raise DataError(
            f"{path}: an older version found these clusters, and the images have changed since then, so they cannot be "
            "assigned; train on the images of then, or begin a new run"
        ) from error
