"""Images for people: the output of a generator as uint8, grids, PNG and GIF files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from paddle_gan.system.files import atomic_path

# Width and grey value of the lines between the images of a grid.
_GAP = 2
_GREY = 128
# Sides of the squares behind transparent pixels, in pixels of the enlarged image, and their grey values.
_SQUARE = 8
_SQUARES = (255, 204)
# Images in a row of a sheet, and the most of them where each class has its own column.
_COLUMNS = 10
_MOST_COLUMNS = 16
# Small images are enlarged to at least this many pixels a side.
_LEAST_SIDE = 64
_FRAME_MILLISECONDS = 250
_LAST_MILLISECONDS = 2000
_MOST_FRAMES = 60


def to_uint8(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Float images [N, C, H, W] in `value_range` as uint8 [N, H, W, C]."""
    low, high = value_range
    scaled = (images - low) * (255 / (high - low))
    return scaled.round().clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Images side by side, row by row, with thin grey lines between them; small images are enlarged.

    Transparent pixels show a checkerboard.

    Args:
        images: uint8 [N, H, W, C].
        columns: images in a row.

    Returns:
        uint8 [height, width, 3].
    """
    scale = max(1, _LEAST_SIDE // min(images.shape[1:3]))
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    if images.shape[3] == 1:
        images = images.repeat(3, axis=3)
    if images.shape[3] == 4:
        images = over_squares(images)
    count, height, width, _ = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _GREY, np.uint8)
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        top, left = row * (height + _GAP) + _GAP, column * (width + _GAP) + _GAP
        sheet[top : top + height, left : left + width] = image
    return sheet


def over_squares(images: np.ndarray) -> np.ndarray:
    """Images with alpha, uint8 [N, H, W, 4], over a checkerboard, uint8 [N, H, W, 3]."""
    _, height, width, _ = images.shape
    dark = (np.arange(height)[:, None] // _SQUARE + np.arange(width) // _SQUARE) % 2
    behind = np.array(_SQUARES)[dark][..., None]
    alpha = images[..., 3:] / 255
    return (images[..., :3] * alpha + behind * (1 - alpha)).round().astype(np.uint8)


def side_by_side(columns: Sequence[np.ndarray], across: int) -> np.ndarray:
    """A sheet that shows image i of each column beside one another: uint8 [height, width, 3].

    Args:
        columns: each uint8 [N, H, W, C], of which three channels or one are shown. Smaller images are enlarged to
            the largest ones, whose size is a multiple.
        across: such groups in a row.
    """
    size = max(images.shape[1] for images in columns)
    shown = []
    for images in columns:
        factor = size // images.shape[1]
        colours = images[..., :3] if images.shape[3] >= 3 else images.repeat(3, axis=3)
        shown.append(colours.repeat(factor, axis=1).repeat(factor, axis=2))
    cells = np.stack(shown, axis=1)
    return grid(cells.reshape(-1, *cells.shape[2:]), across * len(columns))


def grid_columns(classes: int = 0) -> int:
    """Columns of a sheet of samples: one for each class, or 10 if there are no classes or more than 16."""
    return classes if 0 < classes <= _MOST_COLUMNS else _COLUMNS


def to_pil(image: np.ndarray) -> Image.Image:
    """One image, uint8 [H, W, C] of one, three or four channels, as an image of Pillow."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def save_png(path: Path, image: np.ndarray, durable: bool = True) -> None:
    """Write one image, uint8 [H, W, C] of one, three or four channels, as a PNG file; see `files.atomic_path`."""
    with atomic_path(path, durable) as temporary:
        to_pil(image).save(temporary, "PNG")


def save_gif(path: Path, frames: list[Path]) -> None:
    """Write an endless animation of image files. At most about 60 are shown, the last one for two seconds."""
    every = -(-len(frames) // _MOST_FRAMES)
    frames = [*frames[:-1][::every], frames[-1]]
    pictures = [Image.open(frame).convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames]
    durations = [_FRAME_MILLISECONDS] * (len(pictures) - 1) + [_LAST_MILLISECONDS]
    with atomic_path(path) as temporary:
        pictures[0].save(temporary, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
