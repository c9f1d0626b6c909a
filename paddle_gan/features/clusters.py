"""Labels that the data gives by itself: k-means clusters of the images in the principal components of their outlines.

Networks that are given such labels learn a mixture, one part for each cluster, which is much easier than all images at
once (Sage et al. 2018; Liu et al. 2020, "self-conditioned GAN"). Samples are drawn from the clusters by their
frequency, see `networks.mixture`, so the generator stays one of the whole data and no true label is used. If there are
true labels too, each class is divided into clusters of its own.

Not about where the clusters of a run are kept: see `runs.clusters`.
"""

from dataclasses import dataclass, replace

import numpy as np

from paddle_gan.datasets.image_set import ImageSet
from paddle_gan.features.outlines import outlines

_COMPONENTS = 50
_ITERATIONS = 25
# Images that are read and projected at once.
_CHUNK = 2000
# Components and centres of larger sets come from this many images; then all are assigned.
_MOST_FITTED = 20_000


@dataclass(frozen=True)
class Clusters:
    """A division of a data set, and what assigns further images to its clusters.

    Attributes:
        labels: cluster of each image, int64 [N], values 0 ... K-1.
        classes: class that each cluster belongs to, int64 [K]; 0 where there are none.
        centres: float32 [K, P], in principal components.
        components: float32 [F, P].
        mean: of the outlines, float32 [F].
    """

    labels: np.ndarray
    classes: np.ndarray
    centres: np.ndarray
    components: np.ndarray
    mean: np.ndarray

    @property
    def count(self) -> int:
        """K."""
        return len(self.centres)

    @property
    def shares(self) -> np.ndarray:
        """P(cluster | class): float32 [C, K], C = 1 without classes; each row sums to 1."""
        counts = np.zeros((self.classes.max() + 1, self.count), np.float64)
        counts[self.classes, np.arange(self.count)] = np.bincount(self.labels, minlength=self.count)
        return (counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)


def find_clusters(data: ImageSet, count: int, seed: int, within_classes: bool = False) -> Clusters:
    """Divide a data set.

    Args:
        data: images in memory or on the disk, of which at most a chunk is in memory at once.
        count: number of clusters in all.
        seed: of the first centres.
        within_classes: divide each class by itself, into clusters in proportion to its images, at least one.
    """
    random = np.random.default_rng(seed)
    fitted = np.arange(len(data))
    if len(data) > _MOST_FITTED:
        fitted = np.sort(random.choice(len(data), _MOST_FITTED, replace=False))
    mean, components = _principal_components(data, fitted)
    features = _project(data, mean, components)
    labels = _classes_of(data, within_classes)
    centres, classes = [], []
    for label in np.unique(labels):
        mine = fitted[labels[fitted] == label]
        if not len(mine):  # a class too rare for the choice above
            mine = np.flatnonzero(labels == label)
        share = max(1, round(count * len(mine) / len(fitted)))
        found = k_means(features[mine], min(share, len(mine)), random)
        centres.append(found)
        classes.append(np.full(len(found), label, np.int64))
    every_centre, every_class = np.concatenate(centres), np.concatenate(classes)
    return Clusters(
        labels=_nearest_of_class(features, labels, every_centre, every_class),
        classes=every_class,
        centres=every_centre,
        components=components,
        mean=mean,
    )


def assign(clusters: Clusters, data: ImageSet) -> Clusters:
    """The same clusters with the images of another version of the data set: each belongs to the nearest centre.

    Raises:
        ValueError: the clusters were found in other features, by an older version.
    """
    if _outlines(data, np.arange(1)).shape[1] != len(clusters.mean):
        raise ValueError("clusters in other features")
    features = _project(data, clusters.mean, clusters.components)
    labels = _classes_of(data, within_classes=bool(clusters.classes.any()))
    return replace(clusters, labels=_nearest_of_class(features, labels, clusters.centres, clusters.classes))


def _classes_of(data: ImageSet, within_classes: bool) -> np.ndarray:
    """The class of each image, int64 [N]; 0 for all of them where classes do not count, or there are none."""
    return data.labels if within_classes and data.labels is not None else np.zeros(len(data), np.int64)


def _nearest_of_class(features: np.ndarray, labels: np.ndarray, centres: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Index of the nearest centre of its own class for each image: int64 [N].

    Args:
        features: of the images, [N, P].
        labels: their classes, [N].
        centres: [K, P].
        classes: of the centres, [K].
    """
    found = np.empty(len(features), np.int64)
    for label in np.unique(labels):
        mine, own = labels == label, np.flatnonzero(classes == label)
        found[mine] = own[nearest(features[mine], centres[own])]
    return found


def k_means(points: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Lloyd's iterations from centres that k-means++ chose (Arthur and Vassilvitskii 2007).

    Args:
        points: float32 [N, P].
        count: number of centres, at most N.
        random: of the first centres.

    Returns:
        The centres, float32 [count, P].
    """
    centres = points[random.integers(len(points), size=count)]
    distances = _squared_distances(points, centres[:1])[:, 0]
    for i in range(1, count):
        total = distances.sum(dtype=np.float64)
        if total > 0:  # else all points are centres already
            chosen = np.searchsorted(np.cumsum(distances, dtype=np.float64), random.random() * total)
            centres[i] = points[min(chosen, len(points) - 1)]
        distances = np.minimum(distances, _squared_distances(points, centres[i : i + 1])[:, 0])
    for _ in range(_ITERATIONS):
        labels = nearest(points, centres)
        order = np.argsort(labels, kind="stable")
        present, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
        moved = centres.copy()  # a centre without points stays
        moved[present] = np.add.reduceat(points[order], starts) / sizes[:, None]
        if (moved == centres).all():
            break
        centres = moved
    return centres


def nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Index of the nearest centre of each point: int64 [N]; the first one of equal ones."""
    chunks = np.split(points, range(_CHUNK, len(points), _CHUNK))
    return np.concatenate([_squared_distances(chunk, centres).argmin(axis=1) for chunk in chunks])


def _squared_distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    squares = (points**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * points @ centres.T
    return np.maximum(squares, 0)


def _principal_components(data: ImageSet, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [F] and the first components [F, P] of the outlines of the images at the indices `chosen`."""
    total, products = 0.0, 0.0
    for start in range(0, len(chosen), _CHUNK):
        found = _outlines(data, chosen[start : start + _CHUNK]).astype(np.float64)
        total = total + found.sum(0)
        products = products + found.T @ found
    mean = np.asarray(total) / len(chosen)
    covariance = products / len(chosen) - np.outer(mean, mean)
    components = np.linalg.eigh(covariance)[1][:, ::-1][:, :_COMPONENTS]
    return mean.astype(np.float32), np.ascontiguousarray(components, np.float32)


def _project(data: ImageSet, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    """Principal components of all images: float32 [N, P]."""
    chunks = [np.arange(start, min(start + _CHUNK, len(data))) for start in range(0, len(data), _CHUNK)]
    return np.concatenate([(_outlines(data, chunk) - mean) @ components for chunk in chunks])


def _outlines(data: ImageSet, chosen: np.ndarray) -> np.ndarray:
    return outlines(data.images[chosen].transpose(0, 2, 3, 1))
