"""How pure clusters are in several features: python docs/clusters_study.py

200 clusters of the 60,000 training images of MNIST, found as those of a run are: first 50 principal components,
k-means on 20,000 of the images, then all are assigned. The purity is the share of the images that have the most
frequent true label of their cluster. It takes some minutes on one core. `fashion-mnist` as an argument takes that
set.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import paddle_gan  # noqa: F401  (before Paddle)
from paddle_gan.datasets import load_dataset
from paddle_gan.features.clusters import k_means, nearest
from paddle_gan.features.extractors import random_extractor
from paddle_gan.features.outlines import outlines

COMPONENTS, FITTED, CLUSTERS = 50, 20_000, 200
_RANDOM = random_extractor(1)

FEATURES = {
    "pixels": lambda images: images.reshape(len(images), -1).astype(np.float32) / 255,
    "outlines": outlines,
    "random convolutions": lambda images: _RANDOM(images).features,
}


def purity(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> float:
    """Of the clusters of features [N, F] with true labels [N], in [0, 1]."""
    random = np.random.default_rng(seed)
    fitted = random.choice(len(features), min(FITTED, len(features)), replace=False)
    centred = features - features[fitted].mean(0)
    components = np.linalg.eigh(np.cov(centred[fitted].T.astype(np.float64)))[1][:, ::-1][:, :COMPONENTS]
    points = centred @ components.astype(np.float32)
    clusters = nearest(points, k_means(points[fitted], CLUSTERS, random))
    counts = np.zeros((CLUSTERS, labels.max() + 1), np.int64)
    np.add.at(counts, (clusters, labels), 1)
    return counts.max(axis=1).sum() / len(labels)


def main(name: str = "mnist") -> None:
    data = load_dataset(name, 28, 1)
    assert data.labels is not None
    chunks = [np.arange(start, min(start + 2000, len(data))) for start in range(0, len(data), 2000)]
    for described, of in FEATURES.items():
        features = np.concatenate([of(data.images[chunk].transpose(0, 2, 3, 1)) for chunk in chunks])
        print(f"{described:20} {purity(features, data.labels):.3f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
