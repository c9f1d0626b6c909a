"""Read IDX files, the format of MNIST and similar sets: uncompressed, gzip or xz.

Layout (LeCun's web page of MNIST): two zero bytes, a type byte, the number of axes, one big-endian 32-bit size for each
axis, the values. Only unsigned bytes (type 0x08) are read, because all these sets use them.
"""

import gzip
import hashlib
import io
import lzma
import struct
import zlib
from pathlib import Path

import numpy as np

from paddle_gan.errors import DataError

_UNSIGNED_BYTE = 0x08
_MOST_AXES = 4
_MOST_BYTES = 1 << 31


def read_idx(path: Path, md5: str | None = None) -> np.ndarray:
    """Read one IDX file.

    Args:
        path: of the file; its first bytes show how it is compressed, not its name.
        md5: of the uncompressed content; None for no check.

    Returns:
        uint8 array with the shape that the header gives.

    Raises:
        DataError: the file is missing, damaged or not of this format, or its md5 is a different one.
    """
    return parse_idx(unpack(path), path, md5)


def parse_idx(payload: bytes, path: Path, md5: str | None = None) -> np.ndarray:
    """The array in the uncompressed content of the file at `path`; see `read_idx`."""
    if md5 and hashlib.md5(payload, usedforsecurity=False).hexdigest() != md5:
        raise DataError(
            f"{path}: md5 of the uncompressed content is not {md5}; the file is damaged, or it is a different file"
        )
    if len(payload) < 4 or payload[:2] != b"\0\0":
        raise DataError(f"{path}: not an IDX file")
    kind, axes = payload[2], payload[3]
    if kind != _UNSIGNED_BYTE or not 1 <= axes <= _MOST_AXES:
        raise DataError(
            f"{path}: IDX type 0x{kind:02x} with {axes} axes; expected unsigned bytes (0x08), 1 to {_MOST_AXES} axes"
        )
    start = 4 + 4 * axes
    if len(payload) < start:
        raise DataError(f"{path}: the file ends inside its header")
    shape = struct.unpack(f">{axes}I", payload[4:start])
    expected = int(np.prod(shape, dtype=object))
    if not expected:
        raise DataError(f"{path}: the header gives the shape {shape}, which has no values")
    found = len(payload) - start
    if found != expected:
        raise DataError(
            f"{path}: the header gives the shape {shape}, which takes {expected} bytes, but the file has {found}"
        )
    return np.frombuffer(payload, np.uint8, offset=start).reshape(shape)


def unpack(path: Path) -> bytes:
    """The uncompressed content of a file. Raises DataError if it cannot be read, or is too large."""
    try:
        with open(path, "rb") as file:
            magic = file.read(6)
            file.seek(0)
            opened: io.BufferedIOBase = file
            if magic[:2] == b"\x1f\x8b":
                opened = gzip.GzipFile(fileobj=file)
            elif magic == b"\xfd7zXZ\0":
                opened = lzma.LZMAFile(file)
            # A compressed file of a few kilobytes can have content of any size.
            payload = opened.read(_MOST_BYTES + 1)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason})") from error
    if len(payload) > _MOST_BYTES:
        raise DataError(f"{path}: the uncompressed content is larger than {_MOST_BYTES >> 30} GiB")
    return payload
