"""Animations for people: frames as a GIF, APNG or MP4 file, and in a notebook."""

import io
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from paddle_gan.errors import UsageError
from paddle_gan.inference.images import to_pil
from paddle_gan.system.files import atomic_path

# A video has sides of even length.
_EVEN = 2
# Frames in a second, and the least width in pixels in a notebook.
_FPS, _SHOWN_WIDTH = 12, 128


class Animation(tuple[Image.Image, ...]):
    """Pictures of one size, in their order. A notebook shows them as an endless animation."""

    def __repr__(self) -> str:
        return f"Animation of {len(self)} pictures"

    def save(self, path: Path | str, fps: int = _FPS) -> None:
        """Write an endless animation; arguments and errors as for `save_animation`."""
        save_animation(Path(path).expanduser(), (np.asarray(picture.convert("RGB")) for picture in self), fps)

    def _repr_png_(self) -> bytes:
        """An animated PNG; small pictures are enlarged."""
        scale = -(-_SHOWN_WIDTH // self[0].width)
        pictures = [
            picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
            for picture in self
        ]
        file = io.BytesIO()
        _animate(file, "PNG", pictures, _FPS)
        return file.getvalue()


def check_format(path: Path) -> None:
    """Raise a UsageError unless a file of this name can be written here."""
    if path.suffix.lower() not in _WRITERS:
        raise UsageError(f"{path}: the name of an animation ends with one of {' '.join(_WRITERS)}")
    if path.suffix.lower() == ".mp4" and not find_spec("imageio_ffmpeg"):
        raise UsageError(f"{path}: MP4 needs ffmpeg; pip install imageio-ffmpeg, or take .gif or .apng")


def save_animation(path: Path, frames: Iterable[np.ndarray], fps: int) -> int:
    """Write an endless animation.

    Args:
        path: its suffix is the format: .gif (256 colours in a frame), .apng or .png (exact), .mp4 (lossy, small).
        frames: uint8 [height, width, 3], all of one size.
        fps: frames in a second. A GIF counts in hundredths of a second.

    Returns:
        The number of frames.

    Raises:
        UsageError: see `check_format`.
    """
    check_format(path)
    pictures = list(frames)
    with atomic_path(path) as temporary:
        _WRITERS[path.suffix.lower()](temporary, pictures, fps)
    return len(pictures)


def _gif(path: Path, frames: list[np.ndarray], fps: int) -> None:
    pictures = [to_pil(frame).convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames]
    _animate(path, "GIF", pictures, fps)


def _apng(path: Path, frames: list[np.ndarray], fps: int) -> None:
    _animate(path, "PNG", [to_pil(frame) for frame in frames], fps)


def _animate(path: Path | io.BytesIO, form: str, pictures: list[Image.Image], fps: int) -> None:
    first, *others = pictures
    first.save(path, form, save_all=True, append_images=others, duration=round(1000 / fps), loop=0)


def _mp4(path: Path, frames: list[np.ndarray], fps: int) -> None:
    import imageio_ffmpeg  # type: ignore[import-not-found]

    height, width, _ = frames[0].shape
    frames = [np.pad(frame, ((0, height % _EVEN), (0, width % _EVEN), (0, 0)), "edge") for frame in frames]
    size = (frames[0].shape[1], frames[0].shape[0])
    writer = imageio_ffmpeg.write_frames(str(path), size, fps=fps, macro_block_size=_EVEN, output_params=["-f", "mp4"])
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()


_WRITERS: dict[str, Callable[[Path, list[np.ndarray], int], None]] = {
    ".gif": _gif,
    ".apng": _apng,
    ".png": _apng,
    ".mp4": _mp4,
}
