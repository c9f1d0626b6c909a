"""Files of samples, .npz: those of this project, and the common forms of other programs; other small arrays as .npz."""

import math
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from paddle_gan.datasets.depth import Range, range_of
from paddle_gan.errors import DataError, UsageError
from paddle_gan.inference.sampling import Batches
from paddle_gan.system.files import atomic_path

# Of images that are read from a file.
_MOST_BYTES = 8 << 30
_CHANNELS = (1, 3, 4)
_BYTE, _WORD = 255, 65535
# The ranges of floats that are usual.
_FLOATS = (Range(0, 1), Range(-1, 1), Range(0, _BYTE))
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


def read_npz(path: Path, say: Callable[[str], None] = lambda line: None) -> np.ndarray:
    """The images in an .npz or .npy file, whoever wrote it: nothing in it is executed.

    The array is called `images`, or it is the only one, or `arr_0` before one of labels, as numpy.savez names them.
    Where it is unambiguous, other forms than uint8 [N, H, W, C] are read too:

    - [N, C, H, W], [N, H, W] and Fortran order;
    - floats in [0, 1], [-1, 1] or [0, 255], also up to 5 % outside, which is cut off; booleans; whole numbers up to
      255; and uint16 whose greatest value is in the upper half of its range.

    A fourth channel is opacity, as in image files.

    Args:
        path: of the file.
        say: is told how numbers that are not bytes were read.

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
    return np.ascontiguousarray(_as_bytes(images, path, say))


def _read_array(path: Path) -> np.ndarray:
    """The array of numbers in a file, of any shape."""
    try:
        if path.suffix.lower() == ".npy":
            with open(path, "rb") as file:
                shape, fortran_order, dtype, payload = _stored(file)
        else:
            with zipfile.ZipFile(path) as archive, archive.open(_member(archive)) as file:
                shape, fortran_order, dtype, payload = _stored(file)
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


def _stored(file: IO[bytes], most: int = _MOST_BYTES) -> tuple[tuple[int, ...], bool, np.dtype, bytes]:
    """Shape, whether in Fortran order, type and bytes of an array, of which at most `most` and one are read."""
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    return *read_header[version](file), file.read(most + 1)


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
                with archive.open(f"{name}.npy") as file:
                    shape, _, dtype, payload = _stored(file)
                if dtype != np.float32:
                    raise ValueError(f"{name} is {dtype}, not float32")
                found[name] = np.frombuffer(payload, dtype).reshape(shape)
                if not np.isfinite(found[name]).all():
                    raise ValueError(f"{name} holds NaN or infinity")
    except _DAMAGES as error:
        raise DataError(f"{path}: not an .npz file that can be used ({error})") from error
    return found


def _member(archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    if "images.npy" in names or len(names) != 1 and not _is_before_labels(archive, names):
        return "images.npy"
    return "arr_0.npy" if "arr_0.npy" in names else names[0]


def _is_before_labels(archive: zipfile.ZipFile, names: list[str]) -> bool:
    """Whether the file holds images and one label for each, without their names."""
    if set(names) != {"arr_0.npy", "arr_1.npy"}:
        return False
    with archive.open("arr_0.npy") as images, archive.open("arr_1.npy") as labels:
        return _stored(labels, most=0)[0] == _stored(images, most=0)[0][:1]


def _channels_last(images: np.ndarray) -> np.ndarray | None:
    """Images as [N, H, W, C]; None if they have another shape."""
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4:
        return None
    if images.shape[3] not in _CHANNELS and images.shape[1] in _CHANNELS:
        images = images.transpose(0, 2, 3, 1)
    return images if images.shape[3] in _CHANNELS else None


def _as_bytes(images: np.ndarray, path: Path, say: Callable[[str], None]) -> np.ndarray:
    """Numbers as uint8; their range is told by the least and the greatest of all values."""
    kind = images.dtype.kind
    if kind == "b":
        return images * np.uint8(_BYTE)
    if kind == "f" and not np.isfinite(images).all():
        raise DataError(f"{path}: the images hold NaN or infinity")
    least, greatest = float(images.min()), float(images.max())
    if kind != "f" and least >= 0 and greatest == 1:
        say(f"notice: {path}: no value is above 1, so the samples are black; scale them to 0 ... 255")
    if images.dtype == np.uint8:
        return images
    chosen = _range(images.dtype, least, greatest)
    if chosen is None:
        raise DataError(f"{path}: the images have values from {least:.4g} to {greatest:.4g}; scale them to 0 ... 255")
    black, white = chosen
    if kind == "f" or white > _BYTE:
        numbers = f"the samples are numbers from {least:g} to {greatest:g}"
        say(f"notice: {numbers}: {black:g} is black and {white:g} is white")
    precise = images if images.dtype.itemsize >= 4 and kind == "f" else images.astype(np.float32)
    return ((precise - black) * (_BYTE / (white - black))).round().clip(0, _BYTE).astype(np.uint8)


def _range(dtype: np.dtype, least: float, greatest: float) -> Range | None:
    """The values of black and white; None if they cannot be told from the least and the greatest value."""
    if dtype.kind == "f":
        found = range_of("float", [(least, greatest)])
        return found if found in _FLOATS else None
    if 0 <= least and greatest <= _BYTE:
        return Range(0, _BYTE)
    return Range(0, _WORD) if dtype == np.uint16 and greatest > _WORD // 2 else None
