"""The options of the check of a folder."""

from dataclasses import dataclass

from paddle_gan.config import shared
from paddle_gan.config.options import option, settle
from paddle_gan.config.sizes import ImageSize


@dataclass(frozen=True)
class CheckConfig:
    """Options of `tools/check_data.py`; those that training has too mean the same there."""

    image_size: ImageSize | None = shared.image_size("data", unset="64")
    channels: int | None = shared.channels("data", unset="1 if all images are grey, else 3")
    fit: str = shared.fit("data")
    labels: str | None = shared.labels("data")
    skip_unreadable: str | None = shared.skip_unreadable("data")
    sheet: str | None = option(
        None, "where", "contact sheet to write, a .png file", unset="NAME.png in work/checks, named after the folder"
    )
    json: bool = option(False, "where", "print the report as JSON")

    def __post_init__(self) -> None:
        settle(self)
        shared.most_unreadable(self.skip_unreadable)
