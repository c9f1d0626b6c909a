"""A contact sheet: sections of images side by side, each with a title."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from paddle_gan.inference.images import grid

_COLUMNS = 8
_TITLE_HEIGHT = 20
_WHITE, _BLACK = 255, 0


def contact_sheet(sections: list[tuple[str, np.ndarray]]) -> np.ndarray:
    """Sections one below another.

    Args:
        sections: a title and images, uint8 [N, H, W, C], for each.

    Returns:
        uint8 [height, width, 3].
    """
    grids = [(title, grid(images, _COLUMNS)) for title, images in sections]
    width = max(sheet.shape[1] for _, sheet in grids)
    parts = []
    for title, sheet in grids:
        missing = width - sheet.shape[1]
        parts += [_title(title, width), np.pad(sheet, ((0, 0), (0, missing), (0, 0)), constant_values=_WHITE)]
    return np.concatenate(parts)


def _title(text: str, width: int) -> np.ndarray:
    image = Image.new("RGB", (width, _TITLE_HEIGHT), (_WHITE,) * 3)
    ImageDraw.Draw(image).text((4, 4), text, (_BLACK,) * 3, ImageFont.load_default())
    return np.asarray(image)
