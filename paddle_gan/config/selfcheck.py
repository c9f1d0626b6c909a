"""The options of the check of a machine."""

from dataclasses import dataclass

from paddle_gan.config import shared
from paddle_gan.config.options import option, settle


@dataclass(frozen=True)
class SelfcheckConfig:
    """Options of `tools/selfcheck.py`."""

    device: str = shared.device("what")
    json: bool = option(False, "what", "print the result as JSON instead of a page of text")

    def __post_init__(self) -> None:
        settle(self)
