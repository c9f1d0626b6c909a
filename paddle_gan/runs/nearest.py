"""The training images that are nearest to samples, in the features that the samples of their run are measured in."""

import numpy as np

from paddle_gan import metrics
from paddle_gan.datasets import load_dataset
from paddle_gan.evaluation.real_images import select
from paddle_gan.evaluation.score import extractor_for
from paddle_gan.runs.resolve import RunOptions

# Training images whose features are in memory at once.
_CHUNK = 2000


def nearest_training(config: RunOptions, images: np.ndarray) -> np.ndarray:
    """For each sample the training image with the smallest distance in features: uint8 [N, H, W, C].

    Args:
        config: of the run, whose data is read once.
        images: uint8 [N, H, W, C].

    Raises:
        DataError: the data is not where it was.
    """
    data = load_dataset(config.dataset, config.image_size, config.channels, data_dir=config.data_dir)
    extractor = extractor_for(config.dataset, config.image_size, config.channels, config.inception)
    features = extractor(images).features
    best, indices = np.full(len(images), np.inf), np.zeros(len(images), np.int64)
    for start in range(0, len(data), _CHUNK):
        found = metrics.nearest(features, extractor(select(data, slice(start, start + _CHUNK))).features)
        nearer = found.distances < best
        best[nearer], indices[nearer] = found.distances[nearer], start + found.indices[nearer]
    return select(data, indices)
