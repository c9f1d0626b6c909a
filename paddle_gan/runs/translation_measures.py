"""How each task from images to images is measured: its figures, and the floors that stand beside them."""

from functools import partial
from importlib.util import find_spec

import numpy as np

from paddle_gan.datasets.bicubic import resampled
from paddle_gan.datasets.pair_feed import Pair
from paddle_gan.datasets.pairs import CHANNELS
from paddle_gan.evaluation.translations import (
    Columns,
    Measure,
    colour_matched,
    enlarged_figures,
    hole_figures,
    pair_figures,
)
from paddle_gan.features.maps import random_convolutions
from paddle_gan.inference.images import to_uint8
from paddle_gan.networks.filling import smooth_fill
from paddle_gan.runs.translation_options import TranslationOptions

_RANGE = (-1.0, 1.0)
# Iterations of the harmonic fill at each size.
_SWEEPS = 200


def against_targets(config: TranslationOptions, pair: Pair) -> Measure:
    """The figures of translations of the inputs of `pair`, uint8 [N, H, W, 3], beside its targets."""
    shared = {"targets": pixels(pair.targets.numpy()), "maps": random_convolutions(CHANNELS).maps}
    if config.scale:
        return partial(enlarged_figures, **shared, scale=config.scale)
    if config.mask:
        return partial(hole_figures, **shared, holes=_holes(pair))
    return partial(pair_figures, **shared)


def floors_of_pairs(config: TranslationOptions, pair: Pair, trained_on: Pair) -> Columns:
    """What is had of the inputs of `pair` without learning; the colours are those of `trained_on`."""
    if config.scale:
        return {"bicubic": pixels(resampled(pair.inputs, *pair.targets.shape[2:]).numpy())}
    if config.mask:
        filled = smooth_fill(pair.inputs[:, :CHANNELS], (1 - pair.inputs[:, CHANNELS:]) / 2, _SWEEPS)
        columns = {"harmonic": pixels(filled.numpy())}
        if has_biharmonic():
            columns["biharmonic"] = biharmonic_fill(pixels(pair.inputs[:, :CHANNELS].numpy()), _holes(pair))
        return columns
    own, wanted = (pixels(side.numpy()) for side in trained_on)
    return floors(pixels(pair.inputs.numpy()), own, wanted)


def _holes(pair: Pair) -> np.ndarray:
    """Where the inputs of in-painting have holes: bool [N, H, W]."""
    return pair.inputs.numpy()[:, CHANNELS] > 0


def has_biharmonic() -> bool:
    """Whether scikit-image is installed, which `biharmonic_fill` needs."""
    return find_spec("skimage") is not None


def biharmonic_fill(images: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Holes filled with the solution of the biharmonic equation, by scikit-image (Damelin and Hoang 2018).

    Args:
        images: uint8 [N, H, W, 3].
        holes: bool [N, H, W].
    """
    from skimage.restoration import inpaint_biharmonic  # type: ignore[import-not-found]

    filled = [inpaint_biharmonic(image / 255, hole, channel_axis=-1) for image, hole in zip(images, holes, strict=True)]
    return (np.stack(filled) * 255).round().clip(0, 255).astype(np.uint8)


def floors(inputs: np.ndarray, own: np.ndarray, wanted: np.ndarray) -> Columns:
    """Inputs as they are, and with other colours; the arguments are those of `colour_matched`, in grey or in colour."""
    identity = colours(inputs)
    return {"identity": identity, "matched": colour_matched(identity, colours(own), wanted)}


def pixels(images: np.ndarray) -> np.ndarray:
    """Images [N, C, H, W] in [-1, 1] as uint8 [N, H, W, C]."""
    return to_uint8(images, _RANGE)


def colours(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] in colour."""
    return images if images.shape[3] == CHANNELS else images.repeat(CHANNELS, axis=3)
