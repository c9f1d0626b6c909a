"""How near images are to their targets, pixel by pixel: L1, PSNR, SSIM, and the luma in which some protocols take them.

Every function takes two arrays [N, H, W, C], uint8 or float in [0, 255], and returns one value for each pair.
"""

from functools import reduce
from operator import add

import numpy as np

# Wang et al. 2004, section III.B: a Gaussian window of 11×11 with σ = 1.5, and the constants K1 and K2.
_WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03
_PEAK = 255.0
# Pairs whose local statistics are computed at once.
_CHUNK = 16


def l1(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mean absolute difference, as a share of the value range, 0 ... 1: float64 [N]."""
    return np.abs(_difference(images, targets)).mean(axis=(1, 2, 3)) / _PEAK


def psnr(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio 10 log₁₀(255² / MSE) in dB: float64 [N]; infinite for images that are the same."""
    return _decibels(np.square(_difference(images, targets)).mean(axis=(1, 2, 3)))


def psnr_within(images: np.ndarray, targets: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """The PSNR of the pixels in holes, bool [N, H, W], in dB: float64 [N]; NaN for an image without a hole."""
    return _decibels(within(np.square(_difference(images, targets)), holes))


def ssim(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Structural similarity (Wang et al. 2004, eq. 13), at most 1: float64 [N].

    The mean over the windows that lie within the image, and over the channels. It is what scikit-image computes with
    gaussian_weights=True, sigma=1.5, use_sample_covariance=False and data_range=255.

    Raises:
        ValueError: the shapes differ, or the images are smaller than the window of 11 pixels.
    """
    return ssim_map(images, targets).mean(axis=(1, 2, 3))


def ssim_map(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The structural similarity in each window that lies within the image: float64 [N, H-10, W-10, C]; see `ssim`."""
    _difference(images[:0], targets[:0])
    if min(images.shape[1:3]) < _WINDOW:
        raise ValueError(f"SSIM needs images of at least {_WINDOW} pixels a side, not {list(images.shape[1:3])}")
    starts = range(0, len(images), _CHUNK)
    values = [_ssim(images[start : start + _CHUNK], targets[start : start + _CHUNK]) for start in starts]
    return np.concatenate(values) if values else np.zeros((0, 1, 1, 1))


def luma(images: np.ndarray) -> np.ndarray:
    """Y of YCbCr by ITU-R BT.601, 16 ... 235, not rounded: [N, H, W, 3] to float64 [N, H, W, 1].

    Super-resolution is measured in it (Matlab's rgb2ycbcr).
    """
    return 16 + images.astype(np.float64) @ (np.array([[65.481], [128.553], [24.966]]) / _PEAK)


def without_border(images: np.ndarray, border: int) -> np.ndarray:
    """Images without so many pixels at each side; super-resolution leaves out as many as its factor."""
    return images[:, border : images.shape[1] - border, border : images.shape[2] - border]


def _decibels(error: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return 10 * np.log10(_PEAK**2 / error)


def _difference(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    if images.ndim != 4 or images.shape != targets.shape:
        raise ValueError(f"pairs must have one shape [N, H, W, C], not {list(images.shape)} and {list(targets.shape)}")
    return images.astype(np.float64) - targets.astype(np.float64)


def _ssim(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    x, y = images.astype(np.float64), targets.astype(np.float64)
    mean_x, mean_y = _smoothed(x), _smoothed(y)
    variance_x, variance_y = _smoothed(x * x) - mean_x**2, _smoothed(y * y) - mean_y**2
    covariance = _smoothed(x * y) - mean_x * mean_y
    c1, c2 = (_K1 * _PEAK) ** 2, (_K2 * _PEAK) ** 2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return numerator / denominator


def within(values: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """The mean over the pixels of the hole, and the channels: float64 [N]; NaN without such a pixel.

    Args:
        values: [N, H, W, C], or the map of SSIM, whose windows count by their middle pixels.
        holes: bool [N, H, W].
    """
    border = (holes.shape[1] - values.shape[1]) // 2
    chosen = without_border(holes, border)[..., None]
    with np.errstate(invalid="ignore"):
        return (values * chosen).sum((1, 2, 3)) / (chosen.sum((1, 2, 3)) * values.shape[3])


def _smoothed(images: np.ndarray) -> np.ndarray:
    """Weighted means over each window that lies within the image: [N, H, W, C] to [N, H-10, W-10, C]."""
    offsets = np.arange(_WINDOW) - _WINDOW // 2
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    weights /= weights.sum()
    for axis in (1, 2):
        kept = images.shape[axis] - _WINDOW + 1
        shifted = (images.take(range(start, start + kept), axis=axis) for start in range(_WINDOW))
        images = reduce(add, (weight * part for weight, part in zip(weights, shifted, strict=True)))
    return images
