"""Holes for in-painting: masks of boxes, of brush strokes, or from an image, and the inputs that are made with them.

A mask is a function of its key, a sequence of whole numbers: of (seed, batch, row) in training, and of the image's name
in measures.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
from paddle import Tensor
from PIL import Image, ImageDraw

from paddle_gan.datasets.pair_feed import Keys, Pair
from paddle_gan.datasets.pictures import read_picture

# Draws a mask, true in the hole: from the side of the image in pixels to bool [side, side].
Draw = Callable[[np.random.Generator, int], np.ndarray]

# A box has sides of a quarter to a half of the image's.
_BOX = (1 / 4, 1 / 2)
# Brush: strokes, turns of each, the length between two turns, and the width, as shares of the side.
_STROKES, _TURNS, _LENGTH, _WIDTH = (2, 4), (2, 5), (1 / 8, 1 / 3), (1 / 16, 1 / 8)
# Values from 0 to 255 from which on a pixel of a mask is in the hole.
_WHITE = 128


def box(random: np.random.Generator, side: int) -> np.ndarray:
    """One rectangle that lies within the image."""
    height, width = random.integers(round(_BOX[0] * side), round(_BOX[1] * side) + 1, 2)
    top, left = (random.integers(0, side - size + 1) for size in (height, width))
    hole = np.zeros((side, side), bool)
    hole[top : top + height, left : left + width] = True
    return hole


def brush(random: np.random.Generator, side: int) -> np.ndarray:
    """A few strokes with round ends, each a random walk."""
    image = Image.new("L", (side, side))
    drawing = ImageDraw.Draw(image)
    for _ in range(random.integers(*_STROKES, endpoint=True)):
        width = max(1, round(random.uniform(*_WIDTH) * side))
        place = random.uniform(0, side, 2)
        for _ in range(random.integers(*_TURNS, endpoint=True)):
            angle, length = random.uniform(0, 2 * np.pi), random.uniform(*_LENGTH) * side
            next_place = (place + length * np.array([np.cos(angle), np.sin(angle)])).clip(0, side)
            drawing.line([*place, *next_place], fill=255, width=width)
            for x, y in (place, next_place):
                drawing.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=255)
            place = next_place
    return np.asarray(image) > 0


# The masks by the names that `--mask` takes.
MASKS: dict[str, Draw] = {"box": box, "brush": brush}


def drawn_from(mask: str) -> Draw:
    """The masks of a name, or always that of an image, which is brought to size.

    Raises:
        DataError: neither a name nor an image that can be read.
    """
    if mask in MASKS:
        return MASKS[mask]
    picture = Image.fromarray(read_mask(Path(mask)))

    def draw(random: np.random.Generator, side: int) -> np.ndarray:
        return np.asarray(picture.resize((side, side), Image.Resampling.NEAREST))

    return draw


def read_mask(path: Path) -> np.ndarray:
    """The mask in an image file, bool [H, W]: true where it is white.

    Raises:
        DataError: the file cannot be read.
    """
    return np.asarray(Image.fromarray(read_picture(path).colours).convert("L")) >= _WHITE


def with_drawn_holes(draw: Draw, targets: Tensor, keys: Keys) -> Pair:
    """The pairs of targets [N, 3, H, W] and their inputs, each with the hole of its key; see `with_holes`."""
    side = targets.shape[2]
    masks = np.stack([draw(np.random.default_rng(list(key)), side) for key in keys])
    return Pair(with_holes(targets, paddle.to_tensor(masks[:, None].astype(np.float32) * 2 - 1)), targets)


def with_holes(images: Tensor, holes: Tensor) -> Tensor:
    """Images without what lies in their holes: [N, 4, H, W], the colours, 0 in the hole, and the hole.

    Args:
        images: [N, 3, H, W] in [-1, 1].
        holes: [N, 1, H, W], 1 in the hole and -1 elsewhere.
    """
    return paddle.concat([images * ((1 - holes) / 2), holes], 1)
