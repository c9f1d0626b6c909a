"""Endless batches as a pure function of (seed, step): a resume has no state to load and no batches to skip.

The data is an endless sequence of epochs. Each epoch is a permutation of all samples, drawn from (seed, epoch). Batch t
has the samples at the positions t·B ... (t+1)·B − 1 of that sequence. So every sample comes exactly once in an epoch,
no sample is dropped, and a batch may be larger than the set.
"""

from functools import lru_cache

import numpy as np


def batch_indices(count: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Indices of the samples in one batch.

    Args:
        count: number of samples in the set.
        batch_size: samples in a batch.
        seed: of the order.
        step: number of the batch, from 0.

    Returns:
        int64 [batch_size], values 0 ... count-1.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, offsets = np.divmod(positions, count)
    indices = np.empty(batch_size, np.int64)
    for epoch in range(epochs[0], epochs[-1] + 1):
        here = epochs == epoch
        indices[here] = _permutation(count, seed, epoch)[offsets[here]]
    return indices


@lru_cache(maxsize=2)  # a batch has samples of at most two epochs, unless it is larger than the set
def _permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)
