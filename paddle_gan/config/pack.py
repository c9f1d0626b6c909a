"""The options of `tools/pack_for_ai_studio.py`."""

from dataclasses import dataclass

from paddle_gan.config.options import option, settle


@dataclass(frozen=True)
class PackConfig:
    """Options of `tools/pack_for_ai_studio.py`."""

    out: str | None = option(
        None, "where", ".zip file to write", unset="paddle_gan_for_ai_studio.zip in the current folder"
    )

    def __post_init__(self) -> None:
        settle(self)
