"""Files of samples, .npz: those of this project, and the common forms of other programs; other small arrays as .npz."""

import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from paddle_gan.errors import DataError, UsageError
from paddle_gan.inference.sampling import Batches
from paddle_gan.system.files import atomic_path

# Of images that are read from a file.
_MOST_BYTES = 8 << 30
_CHANNELS = (1, 3, 4)
_BYTE, _WORD = 255, 65535
_DAMAGES = (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)


def write_npz(path: Path, count: int, batches: Batches) -> None:
    """Write an .npz file: `images`, uint8 [count, H, W, C], and `labels`, int64 [count], if the samples have them.

    Each batch of images is written before the next one is generated; only the labels are kept in memory.
    """
    labels = []
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        with archive.open("images.npy", "w", force_zip64=True) as file:
            for i, (images, chunk_labels) in enumerate(batches):
                if i == 0:
                    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *images.shape[1:])}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(images.tobytes())
                if chunk_labels is not None:
                    labels.append(chunk_labels)
        if labels:
            with archive.open("labels.npy", "w") as file:
                np.lib.format.write_array(file, np.concatenate(labels).astype(np.int64))


def read_npz(path: Path) -> np.ndarray:
    """The images in an .npz file, whoever wrote it: nothing in it is executed.

    The array is called `images`, or it is the only one that numpy.savez was given, `arr_0`. Where it is unambiguous,
    other forms than uint8 [N, H, W, C] are read too:

    - [N, C, H, W], [N, H, W] and Fortran order;
    - floats in [0, 1], [-1, 1] or [0, 255], booleans, whole numbers up to 255, and uint16 whose greatest value is in
      the upper half of its range.

    A fourth channel is opacity, as in image files.

    Returns:
        uint8 [N, H, W, C] with C 1, 3 or 4.

    Raises:
        UsageError: there is no such file.
        DataError: it holds no such array.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file of samples")
    images = _channels_last(_read_array(path))
    if images is None:
        raise DataError(f"{path}: the images are not [N, H, W, C], grey or colour")
    return np.ascontiguousarray(_as_bytes(images, path))


def _read_array(path: Path) -> np.ndarray:
    """The array of numbers in a file, of any shape."""
    try:
        with zipfile.ZipFile(path) as archive:
            shape, fortran_order, dtype, payload = _stored(archive, _member(archive))
    except _DAMAGES as error:
        raise DataError(f"{path}: not an .npz file with an array `images` ({error})") from error
    if dtype.kind not in "biuf" or 0 in shape:
        raise DataError(f"{path}: images are {dtype} {list(shape)}, not uint8 [N, H, W, C], grey or colour")
    if len(payload) != math.prod(shape) * dtype.itemsize:
        raise DataError(
            f"{path}: holds {len(payload)} bytes of images (at most {_MOST_BYTES >> 30} GiB are read), "
            f"but {math.prod(shape) * dtype.itemsize} according to its header"
        )
    return np.frombuffer(payload, dtype).reshape(shape, order="F" if fortran_order else "C")


def _stored(archive: zipfile.ZipFile, member: str) -> tuple[tuple[int, ...], bool, np.dtype, bytes]:
    """Shape, whether in Fortran order, type and bytes of an array, of which at most _MOST_BYTES and one are read."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        return *read_header[version](file), file.read(_MOST_BYTES + 1)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz file of arrays by name."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_floats(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Those of the arrays with these names that an .npz file has, whoever wrote it: nothing in it is executed.

    Raises:
        UsageError: there is no such file. DataError: it is damaged, or an array is not of float32 or not finite.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in set(names) & {member.removesuffix(".npy") for member in archive.namelist()}:
                shape, _, dtype, payload = _stored(archive, f"{name}.npy")
                if dtype != np.float32:
                    raise ValueError(f"{name} is {dtype}, not float32")
                found[name] = np.frombuffer(payload, dtype).reshape(shape)
                if not np.isfinite(found[name]).all():
                    raise ValueError(f"{name} holds NaN or infinity")
    except _DAMAGES as error:
        raise DataError(f"{path}: not an .npz file that can be used ({error})") from error
    return found


def _member(archive: zipfile.ZipFile) -> str:
    return "images.npy" if "images.npy" in archive.namelist() or "arr_1.npy" in archive.namelist() else "arr_0.npy"


def _channels_last(images: np.ndarray) -> np.ndarray | None:
    """Images as [N, H, W, C]; None if they have another shape."""
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4:
        return None
    if images.shape[3] not in _CHANNELS and images.shape[1] in _CHANNELS:
        images = images.transpose(0, 2, 3, 1)
    return images if images.shape[3] in _CHANNELS else None


def _as_bytes(images: np.ndarray, path: Path) -> np.ndarray:
    """Numbers as uint8; their range is told by the least and the greatest of all values."""
    kind = images.dtype.kind
    if images.dtype == np.uint8:
        return images
    if kind == "b":
        return images * np.uint8(_BYTE)
    if kind == "f" and not np.isfinite(images).all():
        raise DataError(f"{path}: the images hold NaN or infinity")
    least, greatest = float(images.min()), float(images.max())
    ranges = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)] if kind == "f" else [(0.0, 255.0)]
    if images.dtype == np.uint16 and greatest > _WORD // 2:
        ranges.append((0.0, float(_WORD)))
    for low, high in ranges:
        if low <= least and greatest <= high:
            precise = images if images.dtype.itemsize >= 4 and kind == "f" else images.astype(np.float32)
            return ((precise - low) * (_BYTE / (high - low))).round().astype(np.uint8)
    raise DataError(f"{path}: the images have values from {least:.4g} to {greatest:.4g}; scale them to 0 ... 255")
