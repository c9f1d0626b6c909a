"""Every image file of a set opened once: the facts of each, and its pixels on the way.

The facts do not depend on the size or the colours that the networks take, so they are kept for later starts (`store`).
Not about what is made of the facts: see `report` and `folder`.
"""

import base64
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from paddle_gan.datasets import decode, depth
from paddle_gan.datasets.decode import Picture
from paddle_gan.datasets.depth import Range
from paddle_gan.datasets.found import Found
from paddle_gan.datasets.unreadable import Unreadable, unreadable
from paddle_gan.system.runtime import cpu_count

# Files that are decoded before their pixels are handed on.
_CHUNK = 256
# Seconds before the progress bar appears.
_DELAY = 1.0
_LOOK = (9, 8)


class Facts(NamedTuple):
    """What is to be known of one file.

    Attributes:
        name: of the file in its folder.
        problem: kind of the fault of a file that cannot be used, see `unreadable.Unreadable`; empty for any other.
        reason: of the fault, in words.
        digest: SHA-256 of its content; empty if it was not read.
        format, mode, bits, rotated, frames: see `decode.Picture`.
        height, width: in pixels, the right way up.
        transparent, grey: see `decode`.
        misnamed: whether the extension is that of another format.
        kind: of the values of a picture of more than 8 bits, see `depth.kind_of`; empty for any other.
        low, high: the least and the greatest of these values.
        look: a small copy, see `duplicates`.
    """

    name: str
    problem: str = ""
    reason: str = ""
    digest: str = ""
    format: str = ""
    mode: str = ""
    bits: int = 8
    rotated: bool = False
    frames: int = 1
    height: int = 0
    width: int = 0
    transparent: bool = False
    grey: bool = False
    misnamed: bool = False
    kind: str = ""
    low: float = 0.0
    high: float = 0.0
    look: str = ""


# From a picture of 8 bits to its pixels, uint8 [C, H, W].
ToPixels = Callable[[Picture], np.ndarray]


def read_facts(
    found: Found, to_pixels: ToPixels | None = None, write: Callable[[np.ndarray], object] | None = None
) -> list[Facts]:
    """The facts of all files.

    Args:
        found: the files.
        to_pixels: brings each readable picture of 8 bits to its form for the networks while it is at hand.
        write: takes these pixels, uint8 [n, C, H, W], in the order of the files.
    """

    def one(name: str) -> tuple[Facts, np.ndarray | None]:
        content = b""
        try:
            with unreadable():
                content = found.read(name)
            picture = decode.read_picture(content)
            facts = _facts(name, content, picture)
            return facts, to_pixels(picture) if to_pixels and picture.deep is None else None
        except Unreadable as error:
            digest = hashlib.sha256(content).hexdigest() if content else ""
            return Facts(name, error.kind, error.reason, digest), None

    everything = []
    for results in _in_chunks(one, list(found.entries), "reading images"):
        everything += [facts for facts, _ in results]
        pixels = [pixels for _, pixels in results if pixels is not None]
        if write and pixels:
            write(np.stack(pixels))
    return everything


def write_pixels(
    found: Found, names: Sequence[str], to_pixels: ToPixels, write: Callable[[np.ndarray], object]
) -> None:
    """Hand the pixels of files that are known to be readable to `write`, as `read_facts` does.

    Raises:
        Unreadable: a file has become unreadable.
    """

    def one(name: str) -> np.ndarray:
        with unreadable():
            content = found.read(name)
        return to_pixels(decode.read_picture(content))

    for pixels in _in_chunks(one, names, "decoding images"):
        write(np.stack(pixels))


def ranges_of(facts: Sequence[Facts]) -> dict[str, Range]:
    """The ranges of the values of all deep pictures, by their kinds."""
    return {kind: depth.range_of(kind, pairs) for kind, pairs in extremes_of(facts).items()}


def extremes_of(facts: Sequence[Facts]) -> dict[str, list[tuple[float, float]]]:
    """The least and the greatest value of each deep picture, by the kinds of their values."""
    kinds = sorted({one.kind for one in facts if one.kind})
    return {kind: [(one.low, one.high) for one in facts if one.kind == kind] for kind in kinds}


def _in_chunks(work: Callable, names: Sequence[str], title: str) -> Iterator[list]:
    """Results of `work` for all names in their order, by threads; only those of one chunk are held at a time."""
    shown = sys.stderr.isatty()
    with (
        ThreadPoolExecutor(cpu_count(), thread_name_prefix="decode") as threads,
        tqdm(total=len(names), desc=title, unit="file", disable=not shown, delay=_DELAY, leave=False) as bar,
    ):
        for start in range(0, len(names), _CHUNK):
            results = list(threads.map(work, names[start : start + _CHUNK]))
            bar.update(len(results))
            yield results


def _facts(name: str, content: bytes, picture: Picture) -> Facts:
    deep = picture.deep
    with unreadable():
        height, width = picture.size
        return Facts(
            name=name,
            digest=hashlib.sha256(content).hexdigest(),
            format=picture.format,
            mode=picture.mode,
            bits=picture.bits,
            rotated=picture.rotated,
            frames=picture.frames,
            height=height,
            width=width,
            transparent=decode.is_transparent(picture),
            grey=decode.is_grey(picture),
            misnamed=_is_misnamed(name, picture.format),
            kind="" if deep is None else depth.kind_of(deep),
            low=0.0 if deep is None else float(deep.min()),
            high=0.0 if deep is None else float(deep.max()),
            look=_look(picture),
        )


def _is_misnamed(name: str, format: str) -> bool:
    meant = Image.registered_extensions().get(os.path.splitext(name)[1].lower())
    return meant not in (None, format)


def _look(picture: Picture) -> str:
    """A small copy in base64: 8 bytes that say where it becomes brighter to the right, its colours as 8×9 RGB."""
    if picture.image is not None:
        image = decode.over_white(picture.image).convert("RGB")
    else:
        values = np.asarray(picture.deep, np.float64)
        low, high = values.min(), values.max()
        grey = (values - low) * (255 / (high - low if high > low else 1.0))
        image = Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    small = np.asarray(image.resize(_LOOK, Image.Resampling.BOX, reducing_gap=8.0))
    brightness = small.astype(int).sum(axis=2)
    brighter = np.packbits(brightness[:, 1:] > brightness[:, :-1])
    return base64.b64encode(brighter.tobytes() + small.tobytes()).decode()
