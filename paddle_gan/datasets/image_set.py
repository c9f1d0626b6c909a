"""What every data set becomes: all its images in memory as uint8, with their labels."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ImageSet:
    """Images and labels of one data set.

    Attributes:
        name: for messages and folder names.
        images: uint8 [N, C, H, W], H = W.
        labels: int64 [N], values 0 ... classes-1; None for a set without labels.
        classes: one name for each label value; empty without labels.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)
